"use strict";
(() => {
  const page = document.getElementById("page");
  const options = JSON.parse(page.dataset.options);
  const url = new URL(page.dataset.document, location.href).href;
  Redoc.init(url, { nativeScrollbars: true, ...options }, page);
})();

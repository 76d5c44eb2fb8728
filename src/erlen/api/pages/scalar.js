"use strict";
(() => {
  const page = document.getElementById("page");
  const options = JSON.parse(page.dataset.options);
  Scalar.createApiReference(page, {
    url: new URL(page.dataset.document, location.href).href,
    // Nothing is asked of, or told to, hosts on the internet.
    withDefaultFonts: false,
    proxyUrl: "",
    telemetry: false,
    agent: { disabled: true },
    mcp: { disabled: true },
    hideClientButton: true,
    showDeveloperTools: "never",
    ...options,
  });
})();

"use strict";
(() => {
  const page = document.getElementById("page");
  const options = JSON.parse(page.dataset.options);
  const { oauth, ...others } = options;
  const ui = SwaggerUIBundle({
    domNode: page,
    url: new URL(page.dataset.document, location.href).href,
    oauth2RedirectUrl: new URL(page.dataset.assets + "oauth2.html", location.href).href,
    // No request to the validator on the internet.
    validatorUrl: null,
    deepLinking: true,
    persistAuthorization: false,
    presets: [SwaggerUIBundle.presets.apis],
    layout: "BaseLayout",
    ...others,
  });
  if (oauth) ui.initOAuth(oauth);
})();

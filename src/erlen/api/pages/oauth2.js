"use strict";
// The window to which an OAuth 2 server sends the user back: it hands over what the server said.
(() => {
  const asked = window.opener.swaggerUIRedirectOauth2;
  const said = Object.fromEntries(
    new URLSearchParams(location.hash.length > 1 ? location.hash.slice(1) : location.search)
  );
  const isValid = said.state === asked.state;
  if (said.code) {
    asked.auth.code = said.code;
    delete asked.state;
    asked.callback({ auth: asked.auth, redirectUrl: asked.redirectUrl });
  } else if (said.access_token) {
    asked.callback({ auth: asked.auth, token: said, isValid, redirectUrl: asked.redirectUrl });
  } else {
    asked.errCb({
      authId: asked.auth.name,
      source: "auth",
      level: "error",
      message: said.error_description || said.error || "The server sent no access code.",
    });
  }
  window.close();
})();

"""Werkzeug's interactive debugger, for the development server on one's own machine only."""

from __future__ import annotations

import os
import secrets
import typing as t
from urllib.parse import urlsplit

from werkzeug.debug import DebuggedApplication
from werkzeug.exceptions import Forbidden, SecurityError
from werkzeug.wrappers import Request

if t.TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
EVERY_INTERFACE = frozenset({"", "0.0.0.0", "::"})
PIN_VARIABLE = "WERKZEUG_DEBUG_PIN"
PIN_GROUPS, PIN_GROUP_DIGITS = 4, 5


def new_pin() -> str:
    """A PIN that no fact about the machine tells: twenty random digits, 66 bits."""
    groups = (secrets.randbelow(10**PIN_GROUP_DIGITS) for _ in range(PIN_GROUPS))
    return "-".join(f"{group:0{PIN_GROUP_DIGITS}}" for group in groups)


class Debugger(DebuggedApplication):
    """Shows tracebacks of `app`, and lets who knows the PIN evaluate code in their frames.

    What can evaluate code answers only requests for the loopback names and `host` (unknown Host:
    400), sent by a page of the same origin or typed by hand (else 403). Outside Werkzeug's own
    server it does nothing at all.
    """

    def __init__(self, app: WSGIApplication, host: str, evalex: bool = True) -> None:
        super().__init__(app, evalex=evalex)
        if PIN_VARIABLE not in os.environ:
            # The cookie's name first: working it out sets Werkzeug's PIN along with it.
            self._pin_cookie = self.pin_cookie_name
            self.pin = new_pin()
        named = set() if host.startswith("unix:") else {host.strip("[]").lower()}
        self.trusted_hosts = sorted(LOOPBACK | named - EVERY_INTERFACE)

    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> t.Iterable[bytes]:
        if "werkzeug.socket" not in environ:
            return self.app(environ, start_response)
        if self._is_for_debugger(environ):
            if not self.check_host_trust(environ):
                return SecurityError()(environ, start_response)
            if not _comes_from_own_page(environ):
                return Forbidden()(environ, start_response)
        return super().__call__(environ, start_response)

    def _is_for_debugger(self, environ: WSGIEnvironment) -> bool:
        request = Request(environ)
        return request.args.get("__debugger__") == "yes" or (
            self.evalex and request.path == self.console_path
        )

    def check_host_trust(self, environ: WSGIEnvironment) -> bool:
        """Whether the Host header names this server: literally, or below ``.localhost``."""
        try:
            name = urlsplit(f"//{environ.get('HTTP_HOST', '')}").hostname or ""
        except ValueError:
            return False
        return name in self.trusted_hosts or name.endswith(".localhost")


def _comes_from_own_page(environ: WSGIEnvironment) -> bool:
    """Whether the browser says that no other site's page sent this request."""
    origin = environ.get("HTTP_ORIGIN")
    if origin is not None and origin.partition("://")[2] != environ.get("HTTP_HOST"):
        return False
    return environ.get("HTTP_SEC_FETCH_SITE", "none") in ("none", "same-origin")

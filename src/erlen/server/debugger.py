"""Werkzeug's interactive debugger, for the development server on one's own machine only."""

from __future__ import annotations

import os
import secrets
import typing as t
from io import BytesIO
from urllib.parse import urlsplit

from werkzeug.debug import DebuggedApplication
from werkzeug.exceptions import Forbidden, SecurityError
from werkzeug.wrappers import Request

from ..transports.answer import Answer
from ..wrappers.scope import EXTRA, environ_of

if t.TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from ..app import Erlen
    from ..wrappers.scope import Message, Receive, Scope, Send

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


class AsgiDebugger:
    """The debugger around an application over ASGI, for the development server only.

    Its pages are answered on a thread, by the WSGI debugger with all its guards; an exception is
    handed to that one too, together with the contexts that its frames ran in.
    """

    def __init__(self, app: Erlen, debugger: Debugger) -> None:
        self.app = app
        self.debugger = debugger
        # In place of the application: an exception that has happened already.
        debugger.app = _raise_again
        debugger.console_init_func = lambda: {"app": app}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        environ = environ_of(scope, BytesIO())
        environ.update({"werkzeug.socket": None, "wsgi.multiprocess": False})
        if self.debugger._is_for_debugger(environ) and await self._answer(environ, send):
            return
        contexts: list[t.Any] = []
        extra = {"werkzeug.debug.preserve_context": contexts.append}
        extensions = {**(scope.get("extensions") or {}), EXTRA: extra}
        is_started = False

        async def noting(message: Message) -> None:
            nonlocal is_started
            is_started = True
            await send(message)

        try:
            await self.app({**scope, "extensions": extensions}, receive, noting)
        except Exception as error:
            if is_started:
                raise
            environ[_RAISED], environ[_CONTEXTS] = error, contexts
            await self._answer(environ, send)

    async def _answer(self, environ: WSGIEnvironment, send: Send) -> bool:
        """Send the debugger's answer, if it has one: without the PIN it has none to some."""
        answer = Answer()
        body = await self.app.worker_threads.submit(_collect, self.debugger, environ, answer)
        if _UNANSWERED in environ:
            return False
        await send(answer.message())
        await send({"type": "http.response.body", "body": body})
        return True


_RAISED, _CONTEXTS, _UNANSWERED = "erlen.raised", "erlen.contexts", "erlen.unanswered"


def _collect(app: WSGIApplication, environ: WSGIEnvironment, answer: Answer) -> bytes:
    return b"".join(app(environ, answer))


def _raise_again(environ: WSGIEnvironment, start_response: StartResponse) -> t.Iterable[bytes]:
    if _RAISED not in environ:
        environ[_UNANSWERED] = True
        start_response("404 NOT FOUND", [])
        return ()
    for context in environ[_CONTEXTS]:
        environ["werkzeug.debug.preserve_context"](context)
    raise environ[_RAISED]


def _comes_from_own_page(environ: WSGIEnvironment) -> bool:
    """Whether the browser says that no other site's page sent this request."""
    origin = environ.get("HTTP_ORIGIN")
    if origin is not None and origin.partition("://")[2] != environ.get("HTTP_HOST"):
        return False
    return environ.get("HTTP_SEC_FETCH_SITE", "none") in ("none", "same-origin")

"""ASGI middleware.

`ProxyFix` is Werkzeug's middleware of this name, for `app.asgi_app`. Where an application has
Werkzeug's around its own `app.wsgi_app`, the ASGI edge does the same without being told.
"""

from __future__ import annotations

import typing as t

from .wrappers.scope import PROXY_FIX, native, path_in_app

if t.TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from _typeshed.wsgi import WSGIEnvironment

    from .wrappers.scope import Receive, Scope, Send

    AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_FORWARDED = {
    b"x-forwarded-for": "HTTP_X_FORWARDED_FOR",
    b"x-forwarded-host": "HTTP_X_FORWARDED_HOST",
    b"x-forwarded-port": "HTTP_X_FORWARDED_PORT",
    b"x-forwarded-prefix": "HTTP_X_FORWARDED_PREFIX",
    b"x-forwarded-proto": "HTTP_X_FORWARDED_PROTO",
    b"host": "HTTP_HOST",
}
_SOCKET_SCHEMES = {"http": "ws", "https": "wss"}


class ProxyFix:
    """Takes a request's client, scheme, host, port and prefix from what proxies say of them.

    `app.asgi_app = ProxyFix(app.asgi_app, x_for=1, x_proto=1)`. The arguments are numbers of
    proxies that set each header; 0 ignores it. Tell no more than there are: what comes before is
    the client's own word. The values of before are `environ["werkzeug.proxy_fix.orig"]`.

    :param app: the ASGI application
    :param x_for: for `X-Forwarded-For`, which tells the client's address
    :param x_proto: for `X-Forwarded-Proto`, the scheme
    :param x_host: for `X-Forwarded-Host`
    :param x_port: for `X-Forwarded-Port`
    :param x_prefix: for `X-Forwarded-Prefix`, the path under which the application is
    """

    def __init__(
        self,
        app: AsgiApp,
        x_for: int = 1,
        x_proto: int = 1,
        x_host: int = 0,
        x_port: int = 0,
        x_prefix: int = 0,
    ) -> None:
        from werkzeug.middleware.proxy_fix import ProxyFix as WsgiProxyFix

        self.app = app
        # What the headers mean is Werkzeug's to say.
        self._fix = WsgiProxyFix(_nothing, x_for, x_proto, x_host, x_port, x_prefix)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            scope = self.fixed(scope)
        await self.app(scope, receive, send)

    def fixed(self, scope: Scope) -> Scope:
        """A scope as if there were no proxies."""
        environ = _forwarded(scope)
        before = environ.copy()
        self._fix(environ, _nothing)
        scope = {**scope, PROXY_FIX: environ["werkzeug.proxy_fix.orig"]}
        changed = {key for key, value in before.items() if environ[key] != value}
        if "REMOTE_ADDR" in changed:
            scope["client"] = (environ["REMOTE_ADDR"], (scope.get("client") or ("", 0))[1])
        if "wsgi.url_scheme" in changed:
            scheme = environ["wsgi.url_scheme"]
            is_socket = scope["type"] == "websocket"
            scope["scheme"] = _SOCKET_SCHEMES.get(scheme, scheme) if is_socket else scheme
        if "HTTP_HOST" in changed:
            others = [pair for pair in scope["headers"] if pair[0] != b"host"]
            scope["headers"] = [(b"host", environ["HTTP_HOST"].encode("latin1")), *others]
        if not changed.isdisjoint({"SERVER_NAME", "SERVER_PORT"}):
            port = environ["SERVER_PORT"]
            scope["server"] = (environ["SERVER_NAME"], int(port) if port.isdigit() else port)
        if "SCRIPT_NAME" in changed:
            prefix = environ["SCRIPT_NAME"].encode("latin1").decode(errors="replace")
            scope["path"] = prefix.rstrip("/") + path_in_app(scope)
            scope["root_path"] = prefix
        return scope


def _nothing(*args: t.Any) -> t.Any:
    return ()


def _forwarded(scope: Scope) -> WSGIEnvironment:
    """What is forwarded, and what it may replace, as an environ has it."""
    environ: WSGIEnvironment = {}
    for name, value in scope["headers"]:
        key = _FORWARDED.get(name)
        if key is not None:
            text = value.decode("latin1")
            environ[key] = f"{environ[key]},{text}" if key in environ else text
    environ.setdefault("HTTP_HOST", None)
    client, server = scope.get("client"), scope.get("server")
    scheme = scope.get("scheme", "http")
    environ["REMOTE_ADDR"] = client[0] if client else None
    environ["wsgi.url_scheme"] = {"ws": "http", "wss": "https"}.get(scheme, scheme)
    environ["SERVER_NAME"] = server[0] if server else None
    environ["SERVER_PORT"] = str(server[1]) if server else None
    environ["SCRIPT_NAME"] = native((scope.get("root_path") or "").rstrip("/"))
    return environ

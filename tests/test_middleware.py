"""Middleware on ASGI: what proxies say, and applications and middleware of others around ours."""

from __future__ import annotations

import asyncio
import gzip
import threading
import typing as t

import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix as WsgiProxyFix

from erlen import Erlen, Response, has_request_context, request, url_for, websocket
from erlen.middleware import ProxyFix

Message = dict[str, t.Any]


def scope_of(path: str = "/", kind: str = "http", **headers: t.Any) -> dict[str, t.Any]:
    pairs = [(b"host", b"inner:8000")]
    for name, values in headers.items():
        for value in [values] if isinstance(values, str) else values:
            pairs.append((name.replace("_", "-").encode(), value.encode("latin1")))
    return {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": {"http": "http", "websocket": "ws"}[kind],
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"a=1",
        "root_path": "",
        "headers": pairs,
        "client": ("10.0.0.1", 5000),
        "server": ("127.0.0.1", 8000),
        "subprotocols": [],
    }


def environ_like(scope: dict[str, t.Any]) -> dict[str, t.Any]:
    """What a WSGI server makes of the same request."""
    environ: dict[str, t.Any] = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"],
        "QUERY_STRING": "a=1",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "REMOTE_ADDR": "10.0.0.1",
        "wsgi.url_scheme": "http",
    }
    for name, value in scope["headers"]:
        key = "HTTP_" + name.decode().upper().replace("-", "_")
        environ[key] = f"{environ[key]},{value.decode()}" if key in environ else value.decode()
    return environ


def call(app: t.Any, scope: dict[str, t.Any]) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the answer to an ASGI request."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, b"".join(m.get("body", b"") for m in sent[1:])


def call_wsgi(app: t.Any, environ: dict[str, t.Any]) -> bytes:
    return b"".join(app(environ, lambda status, headers, exc_info=None: None))


@pytest.fixture
def told() -> t.Callable[[bool], Erlen]:
    """An application that tells what it knows of a request, in a coroutine view or a plain one."""

    def build(is_async: bool) -> Erlen:
        app = Erlen("told")

        def tell() -> t.Any:
            before = request.environ["werkzeug.proxy_fix.orig"]
            return {
                "remote": request.remote_addr,
                "url": request.url,
                "root": request.root_path,
                "host": request.host,
                "path": request.path,
                "server": request.server,
                "secure": request.is_secure,
                "link": url_for("view", _external=True),
                "before": {key: value or "" for key, value in sorted(before.items())},
                "thread": threading.current_thread() is threading.main_thread() or not is_async,
            }

        async def tell_async() -> t.Any:
            return tell()

        app.add_url_rule("/", "view", tell_async if is_async else tell)
        app.add_url_rule("/app/", "below", tell_async if is_async else tell)
        return app

    return build


FORWARDED: dict[str, dict[str, t.Any]] = {
    "nothing": {},
    "client": {"x_forwarded_for": "1.1.1.1"},
    "clients": {"x_forwarded_for": "6.6.6.6, 1.1.1.1, 2.2.2.2"},
    "clients in lines": {"x_forwarded_for": ["6.6.6.6", "1.1.1.1", "2.2.2.2"]},
    "empty": {"x_forwarded_for": "", "x_forwarded_proto": ""},
    "scheme": {"x_forwarded_proto": "https"},
    "schemes": {"x_forwarded_proto": "http,https"},
    "host": {"x_forwarded_host": "shop.example"},
    "host and port": {"x_forwarded_host": "shop.example:444"},
    "IPv6": {"x_forwarded_host": "[2001:db8::1]"},
    "IPv6 and port": {"x_forwarded_host": "[2001:db8::1]:444"},
    "port": {"x_forwarded_port": "445"},
    "host, and port": {"x_forwarded_host": "shop.example:444", "x_forwarded_port": "445"},
    "prefix": {"x_forwarded_prefix": "/app"},
    "prefix with a slash": {"x_forwarded_prefix": "/app/"},
    "quoted": {"x_forwarded_for": '"1.1.1.1"'},
    "all": {
        "x_forwarded_for": "1.1.1.1",
        "x_forwarded_proto": "https",
        "x_forwarded_host": "shop.example",
        "x_forwarded_port": "445",
        "x_forwarded_prefix": "/app",
    },
}
TRUSTED = {
    "two": (1, 1, 0, 0, 0),
    "all": (1, 1, 1, 1, 1),
    "twice": (2, 2, 2, 2, 2),
    "none": (0,) * 5,
}


@pytest.mark.parametrize("path", ["/", "/app/"])
@pytest.mark.parametrize("trusted", TRUSTED.values(), ids=TRUSTED)
@pytest.mark.parametrize("headers", FORWARDED.values(), ids=FORWARDED)
@pytest.mark.parametrize("is_async", [True, False], ids=["async", "sync"])
def test_proxies_are_believed_on_asgi_as_on_wsgi(
    told: t.Callable[[bool], Erlen],
    headers: dict[str, t.Any],
    trusted: tuple[int, ...],
    is_async: bool,
    path: str,
) -> None:
    scope = scope_of(path, **headers)
    app = told(is_async)
    app.wsgi_app = WsgiProxyFix(app.wsgi_app, *trusted)  # type: ignore[method-assign]
    expected = call_wsgi(app, environ_like(scope))
    assert call(app, scope)[2] == expected
    app = told(is_async)
    app.asgi_app = ProxyFix(app.asgi_app, *trusted)  # type: ignore[method-assign]
    assert call(app, scope)[2] == expected


@pytest.mark.parametrize("edge", ["wsgi_app", "asgi_app"])
def test_websockets_are_told_of_proxies_too(edge: str) -> None:
    app = Erlen("sockets")
    fix = WsgiProxyFix if edge == "wsgi_app" else ProxyFix
    setattr(app, edge, fix(getattr(app, edge), x_for=1, x_proto=1, x_host=1))

    @app.websocket("/")
    async def view() -> None:
        await websocket.send(f"{websocket.remote_addr} {websocket.url}")

    sent: list[Message] = []
    incoming = [{"type": "websocket.connect"}]

    async def receive() -> Message:
        return incoming.pop()

    async def send(message: Message) -> None:
        sent.append(message)

    scope = scope_of(
        kind="websocket",
        x_forwarded_for="1.1.1.1",
        x_forwarded_proto="https",
        x_forwarded_host="shop.example",
    )
    asyncio.run(app(scope, receive, send))  # type: ignore[arg-type]
    assert sent[1]["text"] == "1.1.1.1 wss://shop.example/?a=1"


@pytest.mark.parametrize("is_async", [True, False], ids=["async", "sync"])
def test_without_the_middleware_nobody_is_believed(is_async: bool) -> None:
    app = Erlen("wary")

    def tell() -> str:
        return f"{request.remote_addr} {request.url} {request.is_secure}"

    async def tell_async() -> str:
        return tell()

    app.add_url_rule("/", "view", tell_async if is_async else tell)
    for _ in range(2):  # the second one goes the short way
        answer = call(app, scope_of(x_forwarded_for="6.6.6.6", **FORWARDED["scheme"]))
        assert answer[2] == b"10.0.0.1 http://inner:8000/?a=1 False"


def test_a_changed_middleware_counts_from_the_next_request_on(
    told: t.Callable[[bool], Erlen],
) -> None:
    app = told(True)
    fix = WsgiProxyFix(app.wsgi_app, x_for=0)
    app.wsgi_app = fix  # type: ignore[method-assign]
    scope = scope_of(x_forwarded_for="1.1.1.1")
    assert b'"remote":"10.0.0.1"' in call(app, scope)[2]
    fix.x_for = 1
    assert b'"remote":"1.1.1.1"' in call(app, scope)[2]


# WSGI middleware


class Gzip:
    """WSGI middleware that rewrites bodies and headers, late and in pieces."""

    def __init__(self, app: t.Any) -> None:
        self.app = app
        self.threads: list[threading.Thread] = []

    def __call__(self, environ: t.Any, start_response: t.Any) -> t.Iterator[bytes]:
        started: list[t.Any] = []

        def start(status: str, headers: t.Any, exc_info: t.Any = None) -> t.Any:
            started.extend((status, headers))
            return lambda data: None

        body = self.app(environ, start)
        try:
            self.threads.append(threading.current_thread())
            packed = gzip.compress(b"".join(body))
        finally:
            if hasattr(body, "close"):
                body.close()
        status, headers = started
        kept = [(name, value) for name, value in headers if name.lower() != "content-length"]
        start_response(status, [*kept, ("Content-Encoding", "gzip")])
        yield packed[:10]
        yield packed[10:]


@pytest.mark.parametrize("path", ["/async", "/sync", "/stream", "/async-stream"])
def test_wsgi_middleware_rewrites_the_bodies_of_all_views(path: str) -> None:
    app = Erlen("packed")
    closed: list[str] = []

    @app.get("/async")
    async def of_coroutine() -> str:
        await asyncio.sleep(0)
        return "text"

    @app.get("/sync")
    def plain() -> str:
        return "text"

    @app.get("/stream")
    def stream() -> t.Any:
        def generate() -> t.Iterator[str]:
            try:
                yield from "text"
            finally:
                closed.append("stream")

        return Response(generate())

    @app.get("/async-stream")
    async def async_stream() -> t.Any:
        async def generate() -> t.AsyncIterator[str]:
            try:
                for letter in "text":
                    await asyncio.sleep(0)
                    yield letter
            finally:
                closed.append("stream")

        return Response(generate())

    middleware = Gzip(app.wsgi_app)
    app.wsgi_app = middleware  # type: ignore[method-assign]
    status, headers, body = call(app, scope_of(path))
    assert (status, headers["content-encoding"]) == (200, "gzip")
    assert gzip.decompress(body) == b"text"
    assert closed == (["stream"] if "stream" in path else [])
    assert threading.main_thread() not in middleware.threads


@pytest.mark.parametrize(
    ("path", "body"), [("/", b"main /"), ("/other/x", b"other /x"), ("/main/x", b"main /main/x")]
)
def test_a_dispatcher_gives_each_application_its_paths(path: str, body: bytes) -> None:
    main, other = Erlen("main"), Erlen("other")

    for app in (main, other):

        @app.get("/")
        @app.get("/<path:rest>")
        async def view(rest: str = "", name: str = app.name) -> str:
            return f"{name} {request.path}"

    main.wsgi_app = DispatcherMiddleware(main.wsgi_app, {"/other": other})  # type: ignore[method-assign]
    assert call(main, scope_of(path))[2] == body


# ASGI middleware of others


def with_header(app: t.Any) -> t.Any:
    async def middleware(scope: t.Any, receive: t.Any, send: t.Any) -> None:
        async def send_more(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], (b"x-outer", b"1")]}
            await send(message)

        await app(scope, receive, send_more)

    return middleware


def starlette_gzip(app: t.Any) -> t.Any:
    module = pytest.importorskip("starlette.middleware.gzip")
    return module.GZipMiddleware(app, minimum_size=1)


def starlette_cors(app: t.Any) -> t.Any:
    module = pytest.importorskip("starlette.middleware.cors")
    return module.CORSMiddleware(app, allow_origins=["*"])


def starlette_function(app: t.Any) -> t.Any:
    module = pytest.importorskip("starlette.middleware.base")

    async def dispatch(given: t.Any, call_next: t.Any) -> t.Any:
        response = await call_next(given)
        response.headers["x-outer"] = "1"
        return response

    return module.BaseHTTPMiddleware(app, dispatch=dispatch)


def asgiref_wrapped(app: t.Any) -> t.Any:
    compatibility = pytest.importorskip("asgiref.compatibility")
    return compatibility.guarantee_single_callable(app)


@pytest.mark.parametrize(
    "wrap", [with_header, starlette_gzip, starlette_cors, starlette_function, asgiref_wrapped]
)
@pytest.mark.parametrize("path", ["/async", "/sync", "/stream", "/nowhere"])
def test_asgi_middleware_goes_around_every_view(wrap: t.Any, path: str) -> None:
    app = Erlen("wrapped")

    @app.get("/async")
    async def of_coroutine() -> str:
        return "text"

    @app.get("/sync")
    def plain() -> str:
        return "text"

    @app.get("/stream")
    async def stream() -> t.Any:
        async def generate() -> t.AsyncIterator[str]:
            for letter in "text":
                yield letter

        return Response(generate())

    app.asgi_app = wrap(app.asgi_app)  # type: ignore[method-assign]
    scope = scope_of(path, accept_encoding="gzip", origin="http://elsewhere.example")
    status, headers, body = call(app, scope)
    if headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
    assert (status, body[:4]) == ((404, b"<!do") if path == "/nowhere" else (200, b"text"))
    if wrap is starlette_cors:
        assert headers["access-control-allow-origin"] == "*"
    elif wrap in (with_header, starlette_function):
        assert headers["x-outer"] == "1"


def test_the_context_does_not_leave_the_application() -> None:
    app = Erlen("wrapped")
    seen: list[bool] = []

    @app.get("/")
    async def view() -> str:
        seen.append(has_request_context())
        return ""

    inner = app.asgi_app

    async def middleware(scope: t.Any, receive: t.Any, send: t.Any) -> None:
        await inner(scope, receive, send)
        seen.append(has_request_context())

    app.asgi_app = middleware  # type: ignore[method-assign]
    call(app, scope_of())
    assert seen == [True, False]

"""Applications under a path: ASGI and WSGI ones, under either kind of server."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from werkzeug.test import Client, create_environ, run_wsgi_app

from erlen import Blueprint, Erlen, request, session
from erlen.errors import SetupError
from erlen.mounts import find_mount
from erlen.testing import FlaskClient, WebSocketRefused


@pytest.fixture
def app(app: Erlen) -> Iterator[Erlen]:
    app.add_url_rule("/", "own", view_func=lambda: "own")
    app.add_url_rule("/sub/own", "below", view_func=lambda: "own, but below the mount")
    yield app
    app.stop_serving()


def wsgi_echo(environ: Any, start_response: Any) -> list[bytes]:
    body = environ["wsgi.input"].read()
    start_response("203 Fine", [("Content-Type", "text/plain"), ("X-Kind", "wsgi")])
    parts = environ["SCRIPT_NAME"], environ["PATH_INFO"], environ["QUERY_STRING"], body.decode()
    return [line.encode("latin1") + b"\n" for line in parts]


async def read_all(receive: Any) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


async def asgi_echo(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        raise RuntimeError("no lifespan")
    body = await read_all(receive)
    headers = [(b"content-type", b"text/plain"), (b"x-kind", b"asgi")]
    await send({"type": "http.response.start", "status": 203, "headers": headers})
    root = scope["root_path"]
    parts = root, scope["path"][len(root) :], scope["query_string"].decode(), body.decode()
    for line in parts:
        await send({"type": "http.response.body", "body": line.encode() + b"\n", "more_body": True})
    await send({"type": "http.response.body", "body": b""})


KINDS = {"wsgi": wsgi_echo, "asgi": asgi_echo}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def mounted(app: Erlen, client: FlaskClient, kind: str) -> FlaskClient:
    app.mount("/sub", KINDS[kind])
    return client


# Requests


def test_application_answers_below_its_path(mounted: FlaskClient, kind: str) -> None:
    answer = mounted.post("/sub/a/b?c=d", data=b"body")
    assert answer.status_code == 203
    assert answer.headers["X-Kind"] == kind
    assert answer.text.splitlines() == ["/sub", "/a/b", "c=d", "body"]


@pytest.mark.parametrize(
    ("path", "rest"), [("/sub", ""), ("/sub/", "/"), ("/sub/own", "/own"), ("/sub//x", "//x")]
)
def test_mount_wins_over_routes(mounted: FlaskClient, path: str, rest: str) -> None:
    assert mounted.get(path).text.split("\n")[:2] == ["/sub", rest]


@pytest.mark.parametrize("path", ["/", "/subway", "/su", "/other"])
def test_other_paths_are_not_the_mounts(mounted: FlaskClient, path: str) -> None:
    answer = mounted.get(path)
    assert "X-Kind" not in answer.headers
    assert answer.status_code == (200 if path == "/" else 404)


def test_path_is_decoded_as_everywhere(app: Erlen, client: FlaskClient, kind: str) -> None:
    app.mount("/žlutý", KINDS[kind])
    lines = client.get("/žlutý/kůň").data.decode().splitlines()
    assert lines[:2] == ["/žlutý", "/kůň"]


def test_path_of_the_application_itself_comes_first(mounted: FlaskClient) -> None:
    answer = mounted.get("/sub/x", environ_overrides={"SCRIPT_NAME": "/base"})
    assert answer.text.split("\n")[:2] == ["/base/sub", "/x"]


def test_longest_path_wins(app: Erlen, client: FlaskClient) -> None:
    app.mount("/sub", wsgi_echo)
    app.mount("/sub/deep", asgi_echo)
    assert client.get("/sub/deep/x").text.split("\n")[:2] == ["/sub/deep", "/x"]
    assert client.get("/sub/deeper").text.split("\n")[:2] == ["/sub", "/deeper"]


def test_hooks_of_the_application_do_not_run(app: Erlen, mounted: FlaskClient) -> None:
    app.before_request(lambda: "stopped")
    assert mounted.get("/").text == "stopped"
    assert mounted.get("/sub/").status_code == 203


def test_middleware_sees_requests_for_mounted_wsgi_applications(
    app: Erlen, client: FlaskClient
) -> None:
    app.mount("/sub", wsgi_echo)
    inner = app.wsgi_app

    def middleware(environ: Any, start_response: Any) -> Any:
        environ["QUERY_STRING"] = "changed"
        return inner(environ, start_response)

    app.wsgi_app = middleware  # type: ignore[method-assign]
    assert client.get("/sub/x").text.splitlines()[2] == "changed"


def test_error_of_a_mounted_application_reaches_the_server(app: Erlen, client: FlaskClient) -> None:
    def fail(environ: Any, start_response: Any) -> Any:
        raise LookupError("wsgi")

    async def fail_async(scope: Any, receive: Any, send: Any) -> None:
        raise LookupError("asgi")

    app.mount("/wsgi", fail)
    app.mount("/asgi", fail_async)
    for name in ("wsgi", "asgi"):
        with pytest.raises(LookupError, match=name):
            client.get(f"/{name}")


def test_application_without_a_response_is_an_error(app: Erlen) -> None:
    async def nothing(scope: Any, receive: Any, send: Any) -> None:
        return

    app.mount("/sub", nothing)
    with pytest.raises(RuntimeError, match="ended before its response"):
        app.test_client(transport="wsgi").get("/sub/")
    with pytest.raises(RuntimeError, match="ended without starting a response"):
        app.test_client(transport="asgi").get("/sub/")


# Other Erlen applications, and real frameworks


@pytest.mark.parametrize("transport", ["wsgi", "asgi"], indirect=True)
def test_erlen_application_is_mounted_as_the_server_is(
    app: Erlen, client: FlaskClient, transport: str
) -> None:
    other = Erlen("other")
    other.secret_key = "other"

    @other.get("/where")
    def where() -> list[str]:
        session["a"] = 1
        return [request.script_root, request.path, request.url]

    @other.get("/async")
    async def where_async() -> str:
        return "async" if request.scope is not None else "wsgi"

    app.mount("/sub", other)
    assert client.get("/sub/where").json == ["/sub", "/where", "http://localhost/sub/where"]
    assert client.get("/sub/async").text == {"asgi": "async", "wsgi": "wsgi"}[transport]
    assert client.get("/sub/nowhere").status_code == 404


def test_flask_application_is_mounted(app: Erlen, client: FlaskClient, real_flask: Any) -> None:
    other = real_flask.Flask("other")
    other.add_url_rule("/where", view_func=lambda: real_flask.request.url)
    app.mount("/sub", other)
    assert client.get("/sub/where").text == "http://localhost/sub/where"


def test_fastapi_application_is_mounted_with_its_lifespan(app: Erlen, client: FlaskClient) -> None:
    fastapi = pytest.importorskip("fastapi", reason="FastAPI is not installed")
    log: list[str] = []

    @contextlib.asynccontextmanager
    async def lifespan(api: Any) -> AsyncIterator[dict[str, str]]:
        log.append("in")
        yield {"db": "connected"}
        log.append("out")

    api = fastapi.FastAPI(lifespan=lifespan)

    async def item(request: Any, number: int) -> dict[str, Any]:
        return {
            "number": number,
            "db": request.state.db,
            "url": str(request.url_for("item", number=2)),
        }

    item.__annotations__ = {"request": fastapi.Request, "number": int}
    api.get("/items/{number}", name="item")(item)
    app.mount("/api", api)
    app.while_serving(functools.partial(around, log))
    expected = {"number": 1, "db": "connected", "url": "http://localhost/api/items/2"}
    assert client.get("/api/items/1").json == expected
    assert client.get("/api/items/x").status_code == 422
    assert client.get("/api/openapi.json").json["servers"] == [{"url": "/api"}]
    assert log == ["own in", "in"]
    app.stop_serving()
    assert log == ["own in", "in", "out", "own out"]


MCP = """
import logging
from mcp.server import MCPServer
from erlen import Erlen

logging.disable()
server = MCPServer("sums")

@server.tool()
def add(a: int, b: int) -> int:
    return a + b

app = Erlen(__name__)
app.mount("/tools", server.streamable_http_app())
client = app.test_client(transport={transport!r})
headers = {{"Accept": "application/json, text/event-stream", "Host": "127.0.0.1:8000"}}

def ask(method, **params):
    message = {{"jsonrpc": "2.0", "id": 1, "method": method, "params": params}}
    answer = client.post("/tools/mcp", json=message, headers=headers)
    headers.setdefault("mcp-session-id", answer.headers.get("mcp-session-id"))
    return answer.text

ask(
    "initialize",
    protocolVersion="2025-03-26",
    capabilities={{}},
    clientInfo={{"name": "test", "version": "1"}},
)
print('"result":5' in ask("tools/call", name="add", arguments={{"a": 2, "b": 3}}))
app.stop_serving()
"""


@pytest.mark.parametrize("transport", ["wsgi", "asgi"])
def test_mcp_server_is_mounted(
    run_python: Callable[..., subprocess.CompletedProcess[str]], transport: str
) -> None:
    server = pytest.importorskip("mcp.server", reason="mcp is not installed")
    if not hasattr(server, "MCPServer"):
        pytest.skip("this mcp is older than 2")
    done = run_python(MCP.format(transport=transport))
    assert done.stdout.strip() == "True", done.stderr


def around(log: list[str]) -> Iterator[None]:
    log.append("own in")
    yield
    log.append("own out")


# Lifespans


class WithLifespan:
    """An ASGI application that notes its lifespan and shows its state."""

    def __init__(self, **failures: str) -> None:
        self.failures = failures
        self.log: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": repr(scope.get("state")).encode()})
            return
        for what in ("startup", "shutdown"):
            assert (await receive())["type"] == f"lifespan.{what}"
            self.log.append(what)
            if what in self.failures:
                message = self.failures[what]
                await send({"type": f"lifespan.{what}.failed", "message": message})
                return
            scope["state"]["value"] = what
            await send({"type": f"lifespan.{what}.complete"})


def test_state_of_a_mounted_application_is_its_own(app: Erlen, client: FlaskClient) -> None:
    app.mount("/one", WithLifespan())
    app.mount("/two", asgi_echo)
    assert client.get("/one").text == "{'value': 'startup'}"


def test_mounted_application_is_started_and_ended_once(app: Erlen, client: FlaskClient) -> None:
    other = WithLifespan()
    app.mount("/sub", other)
    client.get("/sub")
    client.get("/")
    assert other.log == ["startup"]
    app.stop_serving()
    assert other.log == ["startup", "shutdown"]


def test_start_of_a_mounted_application_can_fail(app: Erlen, client: FlaskClient) -> None:
    app.mount("/sub", WithLifespan(startup="no database"))
    with pytest.raises(RuntimeError, match="mounted at '/sub' could not start: no database"):
        client.get("/")


def test_end_of_a_mounted_application_can_fail(app: Erlen) -> None:
    app.mount("/sub", WithLifespan(shutdown="still busy"))
    app.start_serving()
    with pytest.raises(RuntimeError, match="mounted at '/sub' did not end well: still busy"):
        app.stop_serving()


def test_functions_of_a_mounted_erlen_application_run(app: Erlen, client: FlaskClient) -> None:
    other, log = Erlen("other"), []
    other.while_serving(functools.partial(around, log))
    other.add_url_rule("/", view_func=lambda: "other")
    app.mount("/sub", other)
    assert client.get("/sub/").text == "other"
    assert log == ["own in"]
    app.stop_serving()
    assert log == ["own in", "own out"]


def test_mounted_application_without_a_lifespan_costs_no_start(
    app: Erlen, client: FlaskClient
) -> None:
    app.mount("/sub", wsgi_echo)
    app.mount("/other", Erlen("other"))
    assert client.get("/sub").status_code == 203
    assert app._life is None


# Streams


class Streamed:
    """An ASGI application that streams for ever, and notes how far it came."""

    def __init__(self) -> None:
        self.sent = 0
        self.ended: list[BaseException] = []
        self.has_ended = threading.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while True:
                self.sent += 1
                await send({"type": "http.response.body", "body": b"x" * 1000, "more_body": True})
        except BaseException as error:
            self.ended.append(error)
            raise
        finally:
            self.has_ended.set()


def test_stream_waits_for_the_server_and_ends_with_the_client(app: Erlen) -> None:
    stream = Streamed()
    app.mount("/sub", stream)
    response = Client(app).get("/sub")
    pieces = iter(response.response)
    assert [next(pieces), next(pieces)] == [b"x" * 1000] * 2
    assert stream.sent <= 4
    response.close()
    assert stream.has_ended.wait(20)
    assert isinstance(stream.ended[0], OSError)


def test_leaving_client_is_told_to_who_waits_for_it(app: Erlen) -> None:
    told = threading.Event()

    async def waiting(scope: Any, receive: Any, send: Any) -> None:
        await read_all(receive)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        assert (await receive())["type"] == "http.disconnect"
        told.set()

    app.mount("/sub", waiting)
    response = Client(app).get("/sub")
    assert next(iter(response.response)) == b"first"
    response.close()
    assert told.wait(20)


def test_finished_request_is_told_to_who_waits_for_the_client(app: Erlen) -> None:
    """Frameworks have a task that waits for the client to leave, beside the one that sends."""
    told = threading.Event()

    async def both(scope: Any, receive: Any, send: Any) -> None:
        async def listen() -> None:
            while (await receive())["type"] != "http.disconnect":
                continue
            told.set()

        listening = asyncio.ensure_future(listen())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"all"})
        await listening

    app.mount("/sub", both)
    assert Client(app).get("/sub").text == "all"
    assert told.wait(20)


def test_upload_is_read_as_the_application_asks_for_it(app: Erlen) -> None:
    class Input:
        """A body of 64 MiB that counts what was read of it."""

        left = 64 * 1024 * 1024

        def read(self, size: int = -1) -> bytes:
            size = min(size, self.left)
            self.left -= size
            return bytes(size)

    source = Input()
    most: list[int] = []

    async def count(scope: Any, receive: Any, send: Any) -> None:
        size, more = 0, True
        while more:
            message = await receive()
            size += len(message["body"])
            more = message["more_body"]
            most.append(Input.left - source.left - size)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(size).encode()})

    app.mount("/sub", count)
    environ = create_environ("/sub", method="POST")
    environ.update({"wsgi.input": source, "CONTENT_LENGTH": str(Input.left)})
    body, status, _ = run_wsgi_app(app, environ)
    assert (status, b"".join(body)) == ("200 OK", str(Input.left).encode())
    assert max(most) == 0


def test_error_behind_the_start_of_a_stream_breaks_it_off(app: Erlen) -> None:
    async def fail(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        raise LookupError("in the middle")

    app.mount("/sub", fail)
    response = Client(app).get("/sub")
    pieces = iter(response.response)
    assert next(pieces) == b"first"
    with pytest.raises(LookupError, match="in the middle"):
        next(pieces)


# WebSockets


async def echo_socket(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": f"{scope['root_path']} {scope['path']}"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


def test_websocket_reaches_a_mounted_asgi_application(app: Erlen) -> None:
    app.mount("/sub", echo_socket, interface="asgi")
    with app.test_client(transport="asgi").websocket("/sub/chat") as socket:
        assert socket.receive() == "/sub /sub/chat"
        socket.send("hello")
        assert socket.receive() == "hello"


def test_websocket_to_a_mounted_wsgi_application_is_refused(app: Erlen) -> None:
    app.mount("/sub", wsgi_echo)
    with pytest.raises(WebSocketRefused):
        with app.test_client(transport="asgi").websocket("/sub/chat"):
            pass


# Setting up


class AsyncCall:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


class WsgiCall:
    def __call__(self, environ: Any, start_response: Any) -> Any: ...


class AsgiCall:
    def __call__(self, scope: Any, receive: Any, send: Any) -> Any: ...

    def wsgi(self, environ: Any, start_response: Any, option: int = 0) -> Any: ...


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        pytest.param(asgi_echo, "asgi", id="coroutine function"),
        pytest.param(functools.partial(asgi_echo), "asgi", id="partial"),
        pytest.param(AsyncCall(), "asgi", id="async call"),
        pytest.param(AsgiCall(), "asgi", id="three arguments"),
        pytest.param(AsgiCall().wsgi, "wsgi", id="method"),
        pytest.param(WsgiCall(), "wsgi", id="two arguments"),
        pytest.param(wsgi_echo, "wsgi", id="function"),
        pytest.param(Erlen(__name__), "both", id="erlen"),
    ],
)
def test_interface_is_seen(app: Erlen, other: Any, expected: str) -> None:
    app.mount("/sub", other)
    assert app.mounts[0].interface == expected


def test_interface_can_be_said(app: Erlen) -> None:
    app.mount("/sub", lambda *args: None, interface="asgi")
    assert app.mounts[0].interface == "asgi"


def refused(*args: Any) -> None: ...


@pytest.mark.parametrize(
    ("args", "options", "message"),
    [
        pytest.param(("/sub", refused), {}, "say so with 'interface=\"asgi\"'", id="unclear"),
        pytest.param(("/sub", 42), {}, "42 does not show", id="not callable"),
        pytest.param(("/sub", refused), {"interface": "cgi"}, "not 'cgi'", id="interface"),
        pytest.param(("/", wsgi_echo), {}, "'/' is no path", id="root"),
        pytest.param(("", wsgi_echo), {}, "'' is no path", id="empty"),
        pytest.param(("sub", wsgi_echo), {}, "'sub' is no path", id="relative"),
        pytest.param(("/<name>", wsgi_echo), {}, "without variables", id="variable"),
    ],
)
def test_what_cannot_be_mounted_is_refused(
    app: Erlen, args: Any, options: Any, message: str
) -> None:
    with pytest.raises(SetupError, match=message) as caught:
        app.mount(*args, **options)
    assert "test_mounts.py" in str(caught.value)


def test_path_is_mounted_once(app: Erlen) -> None:
    app.mount("/sub/", wsgi_echo)
    with pytest.raises(SetupError, match="Two applications are mounted at '/sub'") as caught:
        app.mount("/sub", asgi_echo)
    assert str(caught.value).count("test_mounts.py") == 2


def test_mounting_drops_the_program(app: Erlen) -> None:
    program = app._current_program()
    app.mount("/sub", wsgi_echo)
    assert app._current_program() is not program
    assert app._current_program().asks is True


def test_application_without_mounts_is_asked_nothing(app: Erlen) -> None:
    blueprint = Blueprint("blueprint", __name__)
    app.register_blueprint(blueprint)
    assert app._current_program().asks is False
    assert find_mount((), "/") is None

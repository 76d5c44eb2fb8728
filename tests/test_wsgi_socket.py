"""WebSockets that a library for WSGI speaks by itself, over ASGI."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import socket
from typing import Any

import pytest
from serving import ASGI_SERVERS, running
from sockets import Client, run_async

from erlen import Erlen, request
from erlen.engine.sockets import SocketThreads

simple_websocket = pytest.importorskip("simple_websocket", reason="it is not installed")

RemoteProtocolError = pytest.importorskip("wsproto.utilities").RemoteProtocolError

LONG = "\N{SNOWMAN}" * 60_000


def make_app() -> Erlen:
    """Views that take the connection from the environ, as those of Flask-Sock do."""
    app = Erlen(__name__)
    app.config["PROPAGATE_EXCEPTIONS"] = True

    def accept(**options: Any) -> Any:
        return simple_websocket.Server.accept(request.environ, **options)

    @app.route("/echo", websocket=True)
    def echo() -> Any:
        socket = accept(subprotocols=["second"])
        try:
            while True:
                message = socket.receive()
                if message == "end":
                    socket.close(4001, "as you wish")
                    break
                socket.send(message)
        except simple_websocket.ConnectionClosed as closed:
            app.config["ENDED"] = (int(closed.reason), closed.message)
        return ""

    @app.route("/refused", websocket=True)
    def refused() -> Any:
        return "not you", 403, {"X-Why": "no"}

    @app.route("/returns", websocket=True)
    def returns() -> Any:
        socket = accept()
        socket.send(request.args["say"])
        return ""

    @app.route("/fails", websocket=True)
    def fails() -> Any:
        accept()
        raise ValueError("after the handshake")

    return app


@run_async
async def test_messages_come_back_as_they_were() -> None:
    client = Client(make_app(), "/echo")
    client.start()
    messages: list[str | bytes] = ["text", b"\x00\xff", LONG, LONG.encode()]
    client.send(*messages)
    assert [await client.receive() for _ in messages] == messages
    client.send("end")
    await client.end()
    assert client.close == (4001, "as you wish")


@run_async
async def test_subprotocol_is_chosen_by_the_library() -> None:
    client = Client(make_app(), "/echo", subprotocols=["first", "second"])
    client.start()
    assert await client.next() == {"type": "websocket.accept", "subprotocol": "second"}
    client.leave()
    await client.end()


@pytest.mark.parametrize(
    ("code", "heard"), [(1000, 1000), (4002, 4002), (1005, 1001), (1006, 1001)]
)
def test_library_hears_that_the_client_leaves(code: int, heard: int) -> None:
    app = make_app()

    @run_async
    async def visit() -> None:
        client = Client(app, "/echo")
        client.start()
        client.send("one")
        assert await client.receive() == "one"
        client.leave(code, "enough")
        await client.end()

    visit()
    assert app.config["ENDED"] == (heard, "enough")


@run_async
async def test_view_that_refuses_answers_with_its_response() -> None:
    client = Client(make_app(), "/refused")
    client.start()
    start, body = await client.end()
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 403)
    assert (b"x-why", b"no") in start["headers"]
    assert body == {"type": "websocket.http.response.body", "body": b"not you"}


@run_async
async def test_view_that_refuses_closes_where_the_server_takes_no_response() -> None:
    client = Client(make_app(), "/refused", extensions={})
    client.start()
    assert [message["type"] for message in await client.end()] == ["websocket.close"]


@run_async
async def test_connection_is_closed_when_the_view_returns() -> None:
    client = Client(make_app(), "/returns?say=hello")
    client.start()
    assert await client.receive() == "hello"
    await client.end()
    assert client.close == (1000, "")


@run_async
async def test_error_of_the_view_closes_the_connection_and_is_told() -> None:
    client = Client(make_app(), "/fails")
    client.start()
    with pytest.raises(ValueError, match="after the handshake"):
        await client.end()
    assert client.close == (1011, "")


@run_async
async def test_client_that_vanishes_ends_the_view() -> None:
    client = Client(make_app(), "/echo")
    client.start()
    client.send("one")
    assert await client.receive() == "one"
    client.vanish()
    await client.end()


HANDSHAKE = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"


def shake_hands(**headers: str) -> socket.socket:
    """The connection in the hands of a library that knows little of the protocol."""
    key = request.environ["HTTP_SEC_WEBSOCKET_KEY"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    proof = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
    lines = {"Sec-WebSocket-Accept": proof, **headers}
    more = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    connection: socket.socket = request.environ["werkzeug.socket"]
    connection.sendall(HANDSHAKE + more.encode() + b"\r\n")
    return connection


def make_breaking(sent: bytes = b"", **headers: str) -> Erlen:
    app = Erlen(__name__)

    @app.route("/", websocket=True)
    def breaking() -> str:
        connection = shake_hands(**headers)
        connection.sendall(sent)
        while connection.recv(1000):
            pass
        return ""

    return app


@pytest.mark.parametrize(
    "headers",
    [{"Sec-WebSocket-Protocol": "nobody-asked"}, {"Sec-WebSocket-Accept": "wrong"}],
    ids=["subprotocol", "proof"],
)
@run_async
async def test_a_library_that_does_not_shake_hands_is_cut_off(headers: dict[str, str]) -> None:
    client = Client(make_breaking(**headers), "/")
    client.start()
    with pytest.raises(RemoteProtocolError):
        await client.end()
    assert client.kinds == ["close"]


@pytest.mark.parametrize(
    ("sent", "code"), [(b"\xff\xff\xff", 1002), (b"\x81\x01\xff", 1007)], ids=["frame", "utf-8"]
)
@run_async
async def test_a_library_whose_messages_are_none_is_cut_off(sent: bytes, code: int) -> None:
    client = Client(make_breaking(sent), "/")
    client.start()
    await client.end()
    assert client.kinds == ["accept", "close"]
    assert client.close is not None
    assert client.close[0] == code


def test_a_server_that_fails_to_send_ends_the_view() -> None:
    app = make_app()

    async def fail(message: Any) -> None:
        raise RuntimeError("the server is broken")

    @run_async
    async def visit() -> None:
        client = Client(app, "/echo")
        client.hold = fail
        client.start()
        with pytest.raises(RuntimeError, match="the server is broken"):
            await client.end()

    visit()


@pytest.mark.parametrize("error", [RuntimeError("broken"), ConnectionResetError("gone")], ids=repr)
def test_a_server_that_fails_to_receive_ends_the_view(error: Exception) -> None:
    app = make_app()

    async def broken(scope: Any, receive: Any, send: Any) -> None:
        calls = 0

        async def receive_twice() -> Any:
            nonlocal calls
            calls += 1
            if calls > 2:
                raise error
            return await receive()

        await app(scope, receive_twice, send)

    @run_async
    async def visit() -> None:
        client = Client(broken, "/echo")
        client.start()
        client.send("one")
        assert (await client.next())["type"] == "websocket.accept"
        if isinstance(error, OSError):  # so servers say that the client has left
            await client.end()
        else:
            with pytest.raises(RuntimeError, match="broken"):
                await client.end()

    visit()
    assert app.config["ENDED"][0] == 1001


def test_a_library_that_goes_on_sending_to_nobody_is_cut_off() -> None:
    app = Erlen(__name__)

    @app.route("/", websocket=True)
    def ticker() -> str:
        connection = shake_hands()
        with pytest.raises(BrokenPipeError):
            while True:
                connection.sendall(b"\x81\x04tick")
        return ""

    @run_async
    async def visit() -> None:
        client = Client(app, "/")
        client.start()
        assert await client.receive() == "tick"
        client.vanish()
        await client.end()

    visit()


def test_a_server_that_cancels_leaves_nothing_behind() -> None:
    app = make_app()

    @run_async
    async def visit() -> None:
        client = Client(app, "/echo")
        client.start()
        client.send("one")
        assert await client.receive() == "one"
        client.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await client.end()

    visit()


@run_async
async def test_connections_beyond_the_threads_are_told_to_come_again() -> None:
    app = make_app()
    app.websocket_threads = SocketThreads(1)
    first, second = Client(app, "/echo"), Client(app, "/echo")
    first.start()
    first.send("one")
    assert await first.receive() == "one"
    second.start()
    await second.end()
    assert second.close == (1013, "")
    first.leave()
    await first.end()


@run_async
async def test_middleware_around_wsgi_app_gets_sockets_that_no_rule_has() -> None:
    app = make_app()
    inner = app.wsgi_app

    def middleware(environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] != "/mine":
            return inner(environ, start_response)
        socket = simple_websocket.Server.accept(environ)
        socket.send(socket.receive())
        socket.close()
        raise ConnectionError  # as python-engineio does

    app.wsgi_app = middleware  # type: ignore[method-assign]
    client = Client(app, "/mine")
    client.start()
    client.send("to the middleware")
    assert await client.receive() == "to the middleware"
    await client.end()
    assert client.close == (1000, "")

    client = Client(app, "/nobody's")
    client.start()
    assert (await client.end())[0]["status"] == 404


@pytest.mark.live
@pytest.mark.parametrize(
    "kind", [*ASGI_SERVERS, "granian-serving-asgi", "gunicorn-gthread"], ids=str
)
def test_flask_sock_works_on_every_server(kind: str) -> None:
    pytest.importorskip("flask_sock", reason="Flask-Sock is not installed")
    client = pytest.importorskip("websockets.sync.client", reason="websockets is not installed")
    with running(kind, app="sock_app:app", ERLEN_AS_FLASK="1") as server:
        with client.connect(f"ws://127.0.0.1:{server.port}/echo/Ann") as echo:
            for message in ("text", b"\x00", LONG):
                echo.send(message)
                assert echo.recv(timeout=10) == message
            echo.send("who")
            assert echo.recv(timeout=10) == "Ann"
        assert server.fetch("GET", "/")[1] == b"over HTTP"

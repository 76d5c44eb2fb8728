"""The socket of a view: receiving, sending, the handshake, closing, views of all kinds."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sockets import connected, run_async

import erlen
from erlen import (
    BadMessage,
    BlockingWebsocket,
    Erlen,
    Websocket,
    WebsocketDisconnected,
    await_,
    has_websocket_context,
    request,
    websocket,
)
from erlen.views import View

# What a view does with its socket


@run_async
async def test_receiving_and_sending_accept_the_connection_first(app: Erlen) -> None:
    @app.websocket("/")
    async def echo() -> None:
        while True:
            await websocket.send(await websocket.receive())

    async with connected(app) as client:
        for message in ("text", "", b"bytes", b"", "\N{SNOWMAN}", b"\xff\x00"):
            client.send(message)
            assert await client.receive() == message
    assert client.kinds == ["accept"] + ["send"] * 6


@run_async
async def test_iterating_ends_with_the_connection(app: Erlen) -> None:
    seen: list[Any] = []

    @app.websocket("/")
    async def view(socket: Websocket) -> None:
        async for message in socket:
            seen.append(message)
        seen.append((socket.close_code, socket.close_reason))

    async with connected(app) as client:
        client.send("a", b"b")
        client.leave(1001, "going away")
    assert seen == ["a", b"b", (1001, "going away")]


@run_async
async def test_json_goes_through_the_applications_provider(app: Erlen) -> None:
    @app.websocket("/")
    async def view(socket: Websocket) -> None:
        async for value in socket.iter_json():
            await socket.send_json(value)
        assert socket.close_code == 1000

    async with connected(app) as client:
        client.send('{"b": [1, null]}', b'"bytes"')
        assert await client.receive() == '{"b": [1, null]}'
        assert await client.receive() == '"bytes"'


@pytest.mark.parametrize(
    ("args", "kwargs", "text"),
    [
        ((1,), {}, "1"),
        ((1, 2), {}, "[1, 2]"),
        ((), {"a": 1}, '{"a": 1}'),
        ((), {}, "null"),
    ],
    ids=["one", "several", "named", "nothing"],
)
@run_async
async def test_send_json_takes_what_jsonify_takes(
    app: Erlen, args: Any, kwargs: Any, text: str
) -> None:
    @app.websocket("/")
    async def view(socket: Websocket) -> None:
        await socket.send_json(*args, **kwargs)

    async with connected(app) as client:
        assert await client.receive() == text


@pytest.mark.parametrize(
    ("method", "sent", "code", "reason"),
    [
        ("receive_text", b"x", 1003, "text expected"),
        ("receive_bytes", "x", 1003, "bytes expected"),
        ("receive_json", "{", 1007, "JSON expected"),
        ("receive_json", b"\xff", 1007, "JSON expected"),
        ("receive_json", "[" * 100_000, 1007, "JSON expected"),
    ],
    ids=["bytes for text", "text for bytes", "no JSON", "no text", "too deep"],
)
@run_async
async def test_the_wrong_kind_of_message_closes_with_a_code_that_says_so(
    app: Erlen, method: str, sent: Any, code: int, reason: str
) -> None:
    @app.websocket("/")
    async def view(socket: Websocket) -> None:
        await getattr(socket, method)()

    async with connected(app) as client:
        client.send(sent)
        await client.end()
    assert client.close == (code, reason)


@run_async
async def test_a_view_or_a_handler_may_take_the_wrong_kind_of_message(app: Erlen) -> None:
    @app.websocket("/")
    async def view(socket: Websocket) -> None:
        with pytest.raises(ValueError, match="1003 text expected"):
            await socket.receive_text()
        await socket.send_text(await socket.receive_text())
        await socket.receive_bytes()

    handled: list[BadMessage] = []

    @app.errorhandler(BadMessage)
    def handler(error: BadMessage) -> str:
        handled.append(error)
        return "never seen"

    async with connected(app) as client:
        client.send(b"bytes", "text", "text")
        assert await client.receive() == "text"
        await client.end()
    assert [error.code for error in handled] == [1003]
    assert client.close == (1000, "")


@pytest.mark.parametrize(
    ("call", "hint"),
    [
        (lambda socket: socket.send({"a": 1}), "'send_json' sends other data"),
        (lambda socket: socket.send_text(b"x"), "sends str"),
        (lambda socket: socket.send_bytes("x"), "sends bytes"),
    ],
    ids=["dict", "bytes as text", "text as bytes"],
)
@run_async
async def test_sending_what_is_no_message_is_a_type_error(
    app: Erlen, call: Callable[[Any], Awaitable[None]], hint: str
) -> None:
    @app.websocket("/")
    async def view(socket: Websocket) -> None:
        with pytest.raises(TypeError, match=hint):
            await call(socket)

    async with connected(app) as client:
        await client.end()


@run_async
async def test_bytes_may_be_any_buffer(app: Erlen) -> None:
    @app.websocket("/")
    async def view(socket: Websocket) -> None:
        await socket.send(bytearray(b"array"))  # type: ignore[arg-type]
        await socket.send_bytes(memoryview(b"view"))  # type: ignore[arg-type]

    async with connected(app) as client:
        assert [await client.receive(), await client.receive()] == [b"array", b"view"]


# The handshake


@run_async
async def test_the_socket_shows_the_request_that_opened_it(app: Erlen) -> None:
    seen: dict[str, Any] = {}

    @app.websocket("/room/<int:number>")
    async def room(socket: Websocket, number: int) -> None:
        seen.update(
            args=socket.args["q"],
            cookie=socket.cookies["c"],
            header=socket.headers["X-Own"],
            path=socket.path,
            url=socket.url,
            base=socket.base_url,
            host=socket.host,
            scheme=socket.scheme,
            endpoint=socket.endpoint,
            view_args=socket.view_args,
            address=socket.remote_addr,
            agent=socket.user_agent.string,
            same=request.path == websocket.path == socket.path,
        )

    headers = {"host": "example.com", "cookie": "c=1", "x-own": "yes", "user-agent": "test"}
    async with connected(app, "/room/7?q=1", scheme="wss", headers=headers) as client:
        await client.end()
    assert seen == {
        "args": "1",
        "cookie": "1",
        "header": "yes",
        "path": "/room/7",
        "url": "wss://example.com/room/7?q=1",
        "base": "wss://example.com/room/7",
        "host": "example.com",
        "scheme": "wss",
        "endpoint": "room",
        "view_args": {"number": 7},
        "address": "127.0.0.1",
        "agent": "test",
        "same": True,
    }


@run_async
async def test_an_attribute_that_nobody_has_is_an_attribute_error(app: Erlen) -> None:
    @app.websocket("/")
    async def view(socket: Websocket) -> None:
        for name in ("nothing", "_private"):
            with pytest.raises(AttributeError, match=name):
                getattr(socket, name)
        assert repr(socket) == "<Websocket 'ws://localhost/'>"

    async with connected(app) as client:
        await client.end()


@run_async
async def test_accepting_takes_headers_and_a_subprotocol(app: Erlen) -> None:
    @app.websocket("/")
    async def view(socket: Websocket) -> None:
        assert socket.requested_subprotocols == ["chat", "v2.chat"]
        await socket.accept({"X-Extra": "1", "Connection": "no"}, "v2.chat")
        await socket.accept({"X-Extra": "2"})

    async with connected(app, subprotocols=["chat", "v2.chat"]) as client:
        await client.end()
    assert client.sent[0] == {
        "type": "websocket.accept",
        "subprotocol": "v2.chat",
        "headers": [(b"x-extra", b"1")],
    }
    assert client.kinds == ["accept", "close"]


@pytest.mark.parametrize(
    "offered",
    [["ok", "b\xe4d", "a b", "", 'quo"te', "x\r\ny", "\udcff"], None],
    ids=["by the server", "in the header"],
)
@run_async
async def test_names_that_are_no_subprotocols_are_left_out(app: Erlen, offered: Any) -> None:
    @app.websocket("/")
    async def view(socket: Websocket) -> None:
        assert socket.requested_subprotocols == ["ok"]
        for wrong in ("other", "b\xe4d"):
            with pytest.raises(ValueError, match="not one that the client offers"):
                await socket.accept(subprotocol=wrong)
        await socket.accept(subprotocol="ok")

    headers = {"sec-websocket-protocol": "b\xe4d, ok, a b,,"}
    async with connected(app, subprotocols=offered, headers=headers) as client:
        await client.end()
    assert client.sent[0]["subprotocol"] == "ok"


@run_async
async def test_several_tasks_accept_once_and_wait_for_it(app: Erlen) -> None:
    @app.websocket("/")
    async def view(socket: Websocket) -> None:
        await asyncio.gather(socket.accept(), socket.send("a"), socket.accept(), socket.send("b"))

    async with connected(app) as client:
        await client.end()
    assert client.kinds == ["accept", "send", "send", "close"]


@run_async
async def test_a_header_with_a_line_break_is_refused(app: Erlen) -> None:
    @app.websocket("/")
    async def view(socket: Websocket) -> None:
        with pytest.raises(ValueError, match="newline"):
            await socket.accept({"X": "a\r\nSet-Cookie: b"})

    async with connected(app) as client:
        await client.end()
    assert client.kinds == ["close"]


# Closing


@run_async
async def test_a_view_closes_with_code_and_reason(app: Erlen) -> None:
    @app.websocket("/")
    async def view(socket: Websocket) -> None:
        await socket.accept()
        await socket.close(4001, "enough")
        await socket.close(4002)
        assert (socket.close_code, socket.close_reason) == (4001, "enough")
        for call in (socket.receive(), socket.send("x"), socket.accept()):
            with pytest.raises(WebsocketDisconnected) as error:
                await call
            assert (error.value.code, error.value.reason) == (4001, "enough")

    async with connected(app) as client:
        await client.end()
    assert client.close == (4001, "enough")
    assert client.kinds == ["accept", "close"]


@pytest.mark.parametrize(
    ("code", "reason"),
    [(999, ""), (1005, ""), (1006, ""), (1015, ""), (2000, ""), (5000, ""), (1000, "x" * 124)],
)
@run_async
async def test_codes_that_may_not_be_sent_are_refused(app: Erlen, code: int, reason: str) -> None:
    @app.websocket("/")
    async def view(socket: Websocket) -> None:
        with pytest.raises(ValueError, match="closed|123 bytes"):
            await socket.close(code, reason)

    async with connected(app) as client:
        await client.end()


@run_async
async def test_a_server_that_knows_no_reasons_gets_none(app: Erlen) -> None:
    @app.websocket("/")
    async def view(socket: Websocket) -> None:
        await socket.accept()
        await socket.close(1000, "bye")

    async with connected(app, asgi={"version": "3.0", "spec_version": "2.1"}) as client:
        await client.end()
    assert client.sent[-1] == {"type": "websocket.close", "code": 1000}


@run_async
async def test_a_message_beyond_the_limit_closes(app: Erlen) -> None:
    app.config["WEBSOCKET_MAX_MESSAGE_SIZE"] = 10

    @app.websocket("/")
    async def view(socket: Websocket) -> None:
        for _ in range(3):
            await socket.send(await socket.receive())
        with pytest.raises(WebsocketDisconnected, match="1009"):
            await socket.receive()

    async with connected(app) as client:
        client.send("0123456789", b"0123456789", "\N{SNOWMAN}" * 3, "\N{SNOWMAN}" * 4)
        await client.end()
    assert client.close == (1009, "more than 10 bytes")


@run_async
async def test_no_limit_is_none(app: Erlen) -> None:
    app.config["WEBSOCKET_MAX_MESSAGE_SIZE"] = None

    @app.websocket("/")
    async def view(socket: Websocket) -> None:
        await socket.send(str(len(await socket.receive())))

    async with connected(app) as client:
        client.send("x" * 20_000_000)
        assert await client.receive() == "20000000"


# Which parameter gets the socket


def through(view: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(view)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await view(*args, **kwargs)

    return wrapper


def narrow(view: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(view)
    async def wrapper() -> Any:
        return await view("filled")

    return wrapper


async def by_name_socket(socket): ...  # type: ignore[no-untyped-def]
async def by_name_ws(ws): ...  # type: ignore[no-untyped-def]
async def by_name_any(websocket: Any) -> None: ...
async def by_type(connection: Websocket) -> None: ...
async def by_type_with_module(connection: erlen.Websocket) -> None: ...
async def by_type_by_keyword(*, connection: Websocket) -> None: ...
async def by_type_unknown(connection: Elsewhere.Websocket) -> None: ...  # type: ignore # noqa: F821
async def with_default(socket=None): ...  # type: ignore[no-untyped-def]
async def of_other_type(socket: int = 1) -> None: ...
async def without() -> None: ...


@pytest.mark.parametrize(
    ("view", "variables", "name"),
    [
        (by_name_socket, (), "socket"),
        (by_name_ws, (), "ws"),
        (by_name_any, (), "websocket"),
        (by_type, (), "connection"),
        (by_type_with_module, (), "connection"),
        (by_type_by_keyword, (), "connection"),
        (by_type_unknown, (), "connection"),
        (through(by_type), (), "connection"),
        (functools.partial(by_type), (), "connection"),
        (through(by_name_socket), (), None),
        (narrow(by_type), (), None),
        (with_default, (), None),
        (of_other_type, (), None),
        (without, (), None),
        (print, (), None),
        (by_name_socket, ("socket",), None),
        (by_type, ("connection",), None),
    ],
    ids=[
        *("name", "short name", "name and Any", "type", "type of a module", "keyword only"),
        *("type that is not imported", "type behind a decorator", "type behind a partial"),
        *("name behind a decorator", "decorator that fills it", "default", "other type"),
        *("no parameter", "built-in", "URL variable", "URL variable with type"),
    ],
)
def test_the_socket_is_passed_where_it_is_asked_for(
    view: Any, variables: tuple[str, ...], name: str | None
) -> None:
    from erlen.engine.sockets import parameter_for_socket

    assert parameter_for_socket(view, variables) == name


@run_async
async def test_a_url_variable_keeps_its_name(app: Erlen) -> None:
    @app.websocket("/<socket>")
    async def view(socket: str) -> None:
        await websocket.send(socket)

    async with connected(app, "/name") as client:
        assert await client.receive() == "name"


# Views of other kinds


@run_async
async def test_a_plain_view_runs_on_a_thread_of_its_own_and_waits(app: Erlen) -> None:
    @app.websocket("/<word>")
    def view(socket: BlockingWebsocket, word: str) -> None:
        assert isinstance(socket, BlockingWebsocket)
        assert has_websocket_context() and request.path == f"/{word}"
        websocket.accept()
        websocket.send(threading.current_thread().name)
        socket.send_json(text=socket.receive_text())
        socket.send_json(size=len(socket.receive_bytes()))
        socket.send_json(socket.receive_json())
        socket.send_text("t")
        socket.send_bytes(b"b")
        for message in socket:
            socket.send(message)
        with pytest.raises(WebsocketDisconnected):
            socket.receive()
        assert list(socket.iter_json()) == []
        seen.append((socket.close_code, socket.close_reason, socket.path))
        socket.close()

    seen: list[Any] = []
    async with connected(app, "/plain") as client:
        assert str(await client.receive()).startswith("erlen-websocket-")
        client.send("x", b"xy", "[1]", "last")
        assert await client.receive() == '{"text": "x"}'
        assert await client.receive() == '{"size": 2}'
        assert await client.receive() == "[1]"
        assert [await client.receive() for _ in range(3)] == ["t", b"b", "last"]
        client.leave(1001, "gone")
        await client.end()
    assert seen == [(1001, "gone", "/plain")]


@run_async
async def test_hooks_of_a_plain_view_run_where_it_runs(app: Erlen) -> None:
    names = []

    @app.before_websocket
    def before() -> None:
        names.append(threading.current_thread().name)

    @app.before_websocket
    async def on_loop() -> None:
        await websocket.accept({"X-From": "hook"})

    @app.websocket("/")
    def view() -> None:
        names.append(threading.current_thread().name)

    async with connected(app) as client:
        await client.end()
    assert names[0] == names[1] != threading.current_thread().name
    assert client.headers == {"x-from": "hook"}


@run_async
async def test_more_plain_views_than_threads_are_refused_at_once(app: Erlen) -> None:
    app.config["WEBSOCKET_THREADS"] = 1

    @app.websocket("/")
    def view() -> None:
        websocket.send("here")
        websocket.receive()

    async with connected(app) as first:
        await first.receive()
        async with connected(app) as second:
            await second.end()
        assert second.status == 503
    async with connected(app) as third:
        assert await third.receive() == "here"


@run_async
async def test_a_class_based_view_is_one_of_the_kind_of_its_method(app: Erlen) -> None:
    class Echo(View):
        async def dispatch_request(self) -> None:  # type: ignore[override]
            await websocket.send(threading.current_thread().name)

    app.add_websocket("/", view_func=Echo.as_view("echo"))
    async with connected(app) as client:
        assert await client.receive() == threading.current_thread().name


@run_async
async def test_sync_code_below_a_coroutine_view_can_wait(app: Erlen) -> None:
    def helper() -> str | bytes:
        return await_(websocket.receive())

    @app.websocket("/")
    async def view() -> None:
        await websocket.send(helper())

    async with connected(app) as client:
        client.send("deep")
        assert await client.receive() == "deep"

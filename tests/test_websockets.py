"""WebSockets: the socket of a view, what surrounds the view, how a connection ends."""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sockets import Client, connected
from werkzeug.exceptions import HTTPException, ImATeapot

import erlen
from erlen import (
    BadMessage,
    BlockingWebsocket,
    Blueprint,
    Erlen,
    Response,
    Websocket,
    WebsocketDisconnected,
    abort,
    after_this_request,
    after_this_websocket,
    await_,
    copy_current_websocket_context,
    current_app,
    g,
    has_request_context,
    has_websocket_context,
    request,
    session,
    url_for,
    websocket,
)
from erlen.views import View


def run(test: Callable[..., Awaitable[Any]]) -> Callable[..., None]:
    """Run a test that is a coroutine function, and see that it leaves no task behind."""

    @functools.wraps(test)
    def runner(*args: Any, **kwargs: Any) -> None:
        async def main() -> None:
            await test(*args, **kwargs)
            left = asyncio.all_tasks() - {asyncio.current_task()}  # type: ignore[arg-type]
            assert not left

        asyncio.run(main())

    return runner


# What a view does with its socket


@run
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


@run
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


@run
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
@run
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
@run
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


@run
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
@run
async def test_sending_what_is_no_message_is_a_type_error(
    app: Erlen, call: Callable[[Any], Awaitable[None]], hint: str
) -> None:
    @app.websocket("/")
    async def view(socket: Websocket) -> None:
        with pytest.raises(TypeError, match=hint):
            await call(socket)

    async with connected(app) as client:
        await client.end()


@run
async def test_bytes_may_be_any_buffer(app: Erlen) -> None:
    @app.websocket("/")
    async def view(socket: Websocket) -> None:
        await socket.send(bytearray(b"array"))  # type: ignore[arg-type]
        await socket.send_bytes(memoryview(b"view"))  # type: ignore[arg-type]

    async with connected(app) as client:
        assert [await client.receive(), await client.receive()] == [b"array", b"view"]


# The handshake


@run
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


@run
async def test_an_attribute_that_nobody_has_is_an_attribute_error(app: Erlen) -> None:
    @app.websocket("/")
    async def view(socket: Websocket) -> None:
        for name in ("nothing", "_private"):
            with pytest.raises(AttributeError, match=name):
                getattr(socket, name)
        assert repr(socket) == "<Websocket 'ws://localhost/'>"

    async with connected(app) as client:
        await client.end()


@run
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
@run
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


@run
async def test_several_tasks_accept_once_and_wait_for_it(app: Erlen) -> None:
    @app.websocket("/")
    async def view(socket: Websocket) -> None:
        await asyncio.gather(socket.accept(), socket.send("a"), socket.accept(), socket.send("b"))

    async with connected(app) as client:
        await client.end()
    assert client.kinds == ["accept", "send", "send", "close"]


@run
async def test_a_header_with_a_line_break_is_refused(app: Erlen) -> None:
    @app.websocket("/")
    async def view(socket: Websocket) -> None:
        with pytest.raises(ValueError, match="newline"):
            await socket.accept({"X": "a\r\nSet-Cookie: b"})

    async with connected(app) as client:
        await client.end()
    assert client.kinds == ["close"]


# Closing


@run
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
@run
async def test_codes_that_may_not_be_sent_are_refused(app: Erlen, code: int, reason: str) -> None:
    @app.websocket("/")
    async def view(socket: Websocket) -> None:
        with pytest.raises(ValueError, match="closed|123 bytes"):
            await socket.close(code, reason)

    async with connected(app) as client:
        await client.end()


@run
async def test_a_server_that_knows_no_reasons_gets_none(app: Erlen) -> None:
    @app.websocket("/")
    async def view(socket: Websocket) -> None:
        await socket.accept()
        await socket.close(1000, "bye")

    async with connected(app, asgi={"version": "3.0", "spec_version": "2.1"}) as client:
        await client.end()
    assert client.sent[-1] == {"type": "websocket.close", "code": 1000}


@run
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


@run
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


@run
async def test_a_url_variable_keeps_its_name(app: Erlen) -> None:
    @app.websocket("/<socket>")
    async def view(socket: str) -> None:
        await websocket.send(socket)

    async with connected(app, "/name") as client:
        assert await client.receive() == "name"


# Views of other kinds


@run
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


@run
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


@run
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


@run
async def test_a_class_based_view_is_one_of_the_kind_of_its_method(app: Erlen) -> None:
    class Echo(View):
        async def dispatch_request(self) -> None:  # type: ignore[override]
            await websocket.send(threading.current_thread().name)

    app.add_websocket("/", view_func=Echo.as_view("echo"))
    async with connected(app) as client:
        assert await client.receive() == threading.current_thread().name


@run
async def test_sync_code_below_a_coroutine_view_can_wait(app: Erlen) -> None:
    def helper() -> str | bytes:
        return await_(websocket.receive())

    @app.websocket("/")
    async def view() -> None:
        await websocket.send(helper())

    async with connected(app) as client:
        client.send("deep")
        assert await client.receive() == "deep"


# What surrounds the view


@run
async def test_hooks_run_in_the_order_of_requests_hooks(app: Erlen) -> None:
    steps: list[str] = []

    def note(step: str, wants: int = 0) -> Callable[..., Any]:
        def plain(*args: Any) -> Any:
            steps.append(step)
            return args[0] if wants else None

        async def coroutine(*args: Any) -> Any:
            await asyncio.sleep(0)
            return plain(*args)

        return coroutine if step.endswith("2") else plain

    blueprint = Blueprint("blueprint", __name__, url_prefix="/bp")
    for scaffold, name in ((app, "app"), (blueprint, "bp")):
        for number in (1, 2):
            scaffold.before_websocket(note(f"before {name} {number}"))  # type: ignore[attr-defined]
            scaffold.after_websocket(note(f"after {name} {number}", 1))  # type: ignore[attr-defined]
            scaffold.teardown_websocket(note(f"teardown {name} {number}"))  # type: ignore[attr-defined]
    blueprint.before_app_websocket(note("before all"))
    blueprint.after_app_websocket(note("after all", 1))
    blueprint.teardown_app_websocket(note("teardown all"))
    app.url_value_preprocessor(lambda endpoint, values: steps.append(f"values {endpoint}"))
    app.before_request(note("never"))
    app.after_request(note("never", 1))
    app.teardown_request(note("never"))
    app.teardown_appcontext(note("teardown appcontext"))

    @blueprint.websocket("/")
    async def view() -> None:
        steps.append("view")

    app.register_blueprint(blueprint)
    async with connected(app, "/bp/") as client:
        await client.end()
    assert steps == [
        *("values blueprint.view", "before app 1", "before app 2", "before all"),
        *("before bp 1", "before bp 2", "view", "after bp 2", "after bp 1"),
        *("after all", "after app 2", "after app 1"),
        *("teardown bp 2", "teardown bp 1", "teardown all", "teardown app 2", "teardown app 1"),
        "teardown appcontext",
    ]


@run
async def test_what_a_hook_before_returns_refuses_the_connection(app: Erlen) -> None:
    @app.before_websocket
    def refuse() -> Any:
        return {"error": "no"}, 403, {"X-Why": "because"}

    @app.websocket("/")
    async def view() -> None:
        raise AssertionError

    async with connected(app) as client:
        await client.end()
    assert (client.status, client.body) == (403, b'{"error":"no"}\n')
    assert client.headers["x-why"] == "because"


@run
async def test_functions_after_see_and_replace_the_answer(app: Erlen) -> None:
    seen: list[Any] = []

    @app.after_websocket
    def after(response: Any) -> Any:
        seen.append(response)
        return Response("replaced", 418) if response is not None else None

    @app.websocket("/refuses")
    async def refuses() -> Any:
        after_this_websocket(lambda response: seen.append("this") or response)
        return "no", 400

    @app.websocket("/accepts")
    async def accepts() -> None:
        await websocket.accept()

    async with connected(app, "/refuses") as client:
        await client.end()
    assert (client.status, client.body) == (418, b"replaced")
    assert seen[0] == "this" and seen[1].status_code == 400
    async with connected(app, "/accepts") as client:
        await client.end()
    assert seen[2:] == [None]
    assert client.close == (1000, "")


@run
async def test_the_context_is_that_of_a_request_and_more(app: Erlen) -> None:
    @app.before_websocket
    def before() -> None:
        g.user = "ada"

    @app.route("/page")
    def page() -> str:
        assert not has_websocket_context()
        with pytest.raises(RuntimeError, match="outside of websocket context"):
            websocket.path  # noqa: B018
        with pytest.raises(RuntimeError, match="'after_this_websocket' can only be used"):
            after_this_websocket(lambda response: response)
        return "page"

    @app.websocket("/<word>")
    async def view(word: str) -> None:
        assert has_websocket_context() and has_request_context()
        assert current_app == app and g.user == "ada"
        assert url_for("page") == "/page"
        assert url_for("page", _external=True) == "http://localhost/page"
        assert url_for("view", word="x") == "ws://localhost/x"

    async with connected(app, "/w") as client:
        await client.end()
    assert app.test_client().get("/page").text == "page"


@run
async def test_other_tasks_take_part_in_the_context(app: Erlen) -> None:
    @app.websocket("/")
    async def view() -> None:
        g.own = "view"

        async def inherits() -> None:
            await websocket.send(f"inherits {g.own}")

        @copy_current_websocket_context
        async def copied() -> str:
            await asyncio.sleep(0)
            await websocket.send(f"copied {request.path} {g.own}")
            return "done"

        @copy_current_websocket_context
        def on_thread() -> str:
            return f"thread {websocket.path}"

        await asyncio.create_task(inherits())
        assert await asyncio.create_task(copied()) == "done"
        await websocket.send(await asyncio.to_thread(on_thread))

    torn: list[Any] = []
    app.teardown_websocket(torn.append)
    async with connected(app) as client:
        assert await client.receive() == "inherits view"
        assert await client.receive() == "copied / view"
        assert await client.receive() == "thread /"
        await client.end()
    assert torn == [None]


def test_copying_the_context_needs_one() -> None:
    with pytest.raises(RuntimeError, match="'copy_current_websocket_context' can only be used"):
        copy_current_websocket_context(print)


@run
async def test_signals_tell_of_each_stage(app: Erlen) -> None:
    heard: list[Any] = []

    async def started(sender: Any) -> None:
        heard.append(("started", sender is app, websocket.path))

    def finished(sender: Any, response: Any) -> None:
        heard.append(("finished", response))

    def torn_down(sender: Any, exc: Any) -> None:
        heard.append(("torn down", exc))

    @app.websocket("/")
    async def view() -> None:
        await websocket.accept()

    with (
        erlen.websocket_started.connected_to(started, app),
        erlen.websocket_finished.connected_to(finished, app),
        erlen.websocket_tearing_down.connected_to(torn_down, app),
    ):
        async with connected(app) as client:
            await client.end()
    assert heard == [("started", True, "/"), ("finished", None), ("torn down", None)]


# The session


@run
async def test_a_session_that_was_changed_goes_with_the_answer(app: Erlen) -> None:
    @app.websocket("/<how>")
    async def view(how: str) -> Any:
        session["user"] = "ada"
        if how == "refuse":
            return "no", 400
        await websocket.send(session["user"])

    for how in ("accept", "refuse"):
        async with connected(app, f"/{how}") as client:
            await client.end()
        cookie = client.headers["set-cookie"]
        assert cookie.startswith("session=") and client.headers["vary"] == "Cookie"
        value = cookie.partition(";")[0]
        with app.test_request_context("/", headers={"Cookie": value}):
            assert session["user"] == "ada"


@run
async def test_a_session_that_nobody_touches_is_not_sent(app: Erlen) -> None:
    @app.websocket("/")
    async def view() -> None:
        await websocket.accept()

    async with connected(app) as client:
        await client.end()
    assert client.headers == {}


@run
async def test_a_change_that_comes_too_late_is_said(
    app: Erlen, caplog: pytest.LogCaptureFixture
) -> None:
    @app.websocket("/late")
    async def late() -> None:
        session["early"] = 1
        await websocket.accept()
        session["late"] = 1

    @app.websocket("/in-time")
    async def in_time() -> None:
        session["early"] = 1
        await websocket.accept()
        assert session["early"] == 1

    with caplog.at_level(logging.WARNING):
        async with connected(app, "/in-time") as client:
            await client.end()
        assert not caplog.records
        async with connected(app, "/late") as client:
            await client.end()
    assert "its cookie cannot be sent any more" in caplog.text


@run
async def test_a_session_that_needs_no_cookie_is_saved_at_the_end(app: Erlen) -> None:
    kept: dict[str, Any] = {}

    class Store(erlen.sessions.SessionInterface):  # type: ignore[name-defined,misc]
        def open_session(self, app: Any, request: Any) -> Any:
            return erlen.sessions.SecureCookieSession(kept)  # type: ignore[attr-defined]

        def save_session(self, app: Any, session: Any, response: Any) -> None:
            kept.update(session)

    app.session_interface = Store()

    @app.websocket("/")
    async def view() -> None:
        session["early"] = 1
        await websocket.accept()
        assert kept == {"early": 1}
        session["late"] = 2

    async with connected(app) as client:
        await client.end()
    assert kept == {"early": 1, "late": 2}


@run
async def test_after_this_request_takes_part_in_the_answer(app: Erlen) -> None:
    @app.websocket("/")
    async def view() -> None:
        @after_this_request
        def add(response: Response) -> Response:
            response.set_cookie("seen", "1")
            return response

        await websocket.accept()

    async with connected(app) as client:
        await client.end()
    assert client.headers["set-cookie"] == "seen=1; Path=/"


# Errors


@run
async def test_an_http_error_before_accepting_is_the_answer(app: Erlen) -> None:
    @app.websocket("/")
    async def view() -> None:
        abort(401)

    async with connected(app) as client:
        await client.end()
    assert client.status == 401 and b"Unauthorized" in client.body
    assert client.headers["content-type"] == "text/html; charset=utf-8"
    async with connected(app, extensions={}) as client:
        await client.end()
    assert client.sent == [{"type": "websocket.close", "code": 1000}]


@run
async def test_a_streamed_refusal_is_sent_in_its_pieces(app: Erlen) -> None:
    closed: list[str] = []

    @app.websocket("/")
    async def view() -> Any:
        async def pieces() -> Any:
            yield "one "
            yield b"two"

        response = Response(pieces(), status=400)  # type: ignore[arg-type]
        response.call_on_close(lambda: closed.append("closed"))
        return response

    async with connected(app) as client:
        await client.end()
    assert (client.status, client.body, closed) == (400, b"one two", ["closed"])


@pytest.mark.parametrize(
    ("error", "code"),
    [(401, 1008), (404, 1008), (500, 1011), (503, 1011)],
)
@run
async def test_an_http_error_after_accepting_closes(app: Erlen, error: int, code: int) -> None:
    @app.websocket("/")
    async def view() -> None:
        await websocket.accept()
        abort(error)

    async with connected(app) as client:
        await client.end()
    assert client.close == (code, "")


@run
async def test_error_handlers_answer_as_for_requests(app: Erlen) -> None:
    class Own(Exception):
        pass

    blueprint = Blueprint("blueprint", __name__)

    @blueprint.errorhandler(Own)
    async def own(error: Own) -> Any:
        await asyncio.sleep(0)
        return f"own {websocket.path}", 409

    @app.errorhandler(418)
    def teapot(error: HTTPException) -> Any:
        return "tea", 418

    @blueprint.websocket("/<what>")
    async def view(what: str) -> None:
        raise Own if what == "own" else ImATeapot

    app.register_blueprint(blueprint)
    async with connected(app, "/own") as client:
        await client.end()
    assert (client.status, client.body) == (409, b"own /own")
    async with connected(app, "/tea") as client:
        await client.end()
    assert (client.status, client.body) == (418, b"tea")


@pytest.mark.parametrize("accepts", [False, True], ids=["before", "after accepting"])
@run
async def test_an_error_that_nobody_handles_is_logged(
    app: Erlen, accepts: bool, caplog: pytest.LogCaptureFixture
) -> None:
    app.testing = False
    heard: list[Any] = []

    @app.websocket("/")
    async def view() -> None:
        if accepts:
            await websocket.accept()
        raise ZeroDivisionError("on purpose")

    def hear(sender: Any, exception: Any) -> None:
        heard.append(exception)

    torn: list[Any] = []
    app.teardown_websocket(torn.append)
    with (
        erlen.got_websocket_exception.connected_to(hear, app),
        erlen.got_request_exception.connected_to(hear, app),
    ):
        async with connected(app) as client:
            await client.end()
    assert "Exception on / [GET]" in caplog.text
    assert [type(error) for error in heard] == [ZeroDivisionError] * 2
    assert [type(error) for error in torn] == [ZeroDivisionError]
    if accepts:
        assert client.close == (1011, "")
    else:
        assert client.status == 500 and b"Internal Server Error" in client.body


@pytest.mark.parametrize("accepts", [False, True], ids=["before", "after accepting"])
@run
async def test_in_testing_mode_it_is_raised_after_the_connection_was_ended(
    app: Erlen, accepts: bool
) -> None:
    @app.websocket("/")
    async def view() -> None:
        if accepts:
            await websocket.accept()
        raise ZeroDivisionError("on purpose")

    client = Client(app)
    client.start()
    with pytest.raises(ZeroDivisionError, match="on purpose"):
        await client.end()
    assert client.close == (1011, "") if accepts else client.status == 500


@run
async def test_a_handler_of_500_answers_for_any_error(app: Erlen) -> None:
    app.testing = False

    @app.errorhandler(500)
    def broken(error: Any) -> Any:
        return f"sorry: {error.original_exception}", 500

    @app.websocket("/")
    async def view() -> None:
        raise ZeroDivisionError("on purpose")

    async with connected(app) as client:
        await client.end()
    assert (client.status, client.body) == (500, b"sorry: on purpose")


@run
async def test_an_error_in_a_teardown_function_reaches_the_server(app: Erlen) -> None:
    @app.teardown_websocket
    def fail(error: Any) -> None:
        raise ZeroDivisionError("in teardown")

    @app.websocket("/")
    async def view() -> None:
        await websocket.accept()

    client = Client(app)
    client.start()
    with pytest.raises(ZeroDivisionError, match="in teardown"):
        await client.end()


# Finding the view


@run
async def test_a_page_and_a_socket_may_share_a_url(app: Erlen) -> None:
    @app.get("/both")
    def page() -> str:
        return "page"

    @app.websocket("/both")
    async def socket() -> None:
        await websocket.send("socket")

    assert app.test_client().get("/both").text == "page"
    async with connected(app, "/both") as client:
        assert await client.receive() == "socket"


@run
async def test_the_wrong_kind_of_connection_is_told(app: Erlen) -> None:
    app.add_url_rule("/page", "page", lambda: "page")
    app.add_websocket("/socket", "socket", without)
    for path, status in (("/page", 400), ("/nowhere", 404)):
        async with connected(app, path) as client:
            await client.end()
        assert client.status == status
    assert app.test_client().get("/socket").status_code == 400
    answer = app.test_client().get(
        "/socket", headers={"Connection": "Upgrade", "Upgrade": "websocket"}
    )
    assert answer.status_code == 501 and "WebSockets need an ASGI server" in answer.text


@run
async def test_a_socket_is_found_below_a_root_path(app: Erlen) -> None:
    @app.websocket("/socket")
    async def socket() -> None:
        await websocket.send(f"{websocket.root_path} {url_for('socket')}")

    async with connected(app, "/mounted/socket", root_path="/mounted") as client:
        assert await client.receive() == "/mounted ws://localhost/mounted/socket"


@run
async def test_a_host_that_is_not_trusted_is_refused(app: Erlen) -> None:
    app.config["TRUSTED_HOSTS"] = ["example.com"]
    app.add_websocket("/", "view", without)
    async with connected(app) as client:
        await client.end()
    assert client.status == 400
    async with connected(app, headers={"host": "example.com"}) as client:
        await client.end()
    assert client.kinds == ["close"]


@run
async def test_nested_blueprints_register_sockets_below_their_prefixes(app: Erlen) -> None:
    outer = Blueprint("outer", __name__, url_prefix="/outer")
    inner = Blueprint("inner", __name__, url_prefix="/inner")

    async def view(word: str) -> None:
        await websocket.send(f"{websocket.endpoint} {websocket.blueprints} {word}")

    inner.add_websocket("/<word>", "named", view, defaults={})
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    async with connected(app, "/outer/inner/x") as client:
        assert await client.receive() == "outer.inner.named ['outer.inner', 'outer'] x"


def test_an_endpoint_has_one_function(app: Erlen) -> None:
    app.add_websocket("/", "view", without)
    with pytest.raises(AssertionError, match="overwriting an existing endpoint function: view"):
        app.add_websocket("/other", "view", by_type)


# Origins

OWN = "http://localhost"


@pytest.mark.parametrize(
    ("origin", "host", "allowed", "is_let_in"),
    [
        (None, "localhost", None, True),
        ("http://localhost", "localhost", None, True),
        ("https://localhost", "localhost", None, True),
        ("https://LocalHost", "LOCALHOST", None, True),
        ("https://localhost:443", "localhost", None, True),
        ("http://localhost:8000", "localhost:8000", None, True),
        ("http://[::1]:8000", "[::1]:8000", None, True),
        ("http://localhost:8000", "localhost:8001", None, False),
        ("http://localhost", "localhost:8000", None, False),
        ("http://evil.com", "localhost", None, False),
        ("http://localhost.evil.com", "localhost", None, False),
        ("http://evil.com/localhost", "localhost", None, False),
        ("http://localhost@evil.com", "localhost", None, False),
        ("http://user@localhost", "localhost", None, False),
        ("http://localhost/", "localhost", None, False),
        ("http://localhost, http://evil.com", "localhost", None, False),
        ("http://localhost:x", "localhost", None, False),
        ("http://[::1", "localhost", None, False),
        ("file://localhost", "localhost", None, False),
        ("null", "localhost", None, False),
        ("", "localhost", None, False),
        ("https://app.example", "localhost", ["https://app.example"], True),
        ("https://APP.example", "localhost", ["https://app.EXAMPLE/"], True),
        ("http://app.example", "localhost", ["https://app.example"], False),
        ("https://app.example", "localhost", "https://app.example", True),
        ("http://localhost", "localhost", ["https://app.example"], True),
        ("capacitor://localhost", "localhost", ["capacitor://localhost"], True),
        ("null", "localhost", ["null"], True),
        ("https://evil.com", "localhost", ["*"], True),
        ("https://evil.com", "localhost", "*", True),
    ],
)
@run
async def test_only_pages_of_the_own_host_may_connect_unless_others_are_allowed(
    app: Erlen, origin: str | None, host: str, allowed: Any, is_let_in: bool
) -> None:
    if allowed is not None:
        app.config["WEBSOCKET_ALLOWED_ORIGINS"] = allowed

    @app.websocket("/")
    async def view() -> None:
        await websocket.accept()

    headers = {"host": host} if origin is None else {"host": host, "origin": origin}
    async with connected(app, headers=headers) as client:
        await client.end()
    assert client.kinds[0] == ("accept" if is_let_in else "http.response.start")
    assert is_let_in or client.status == 403


@run
async def test_two_origins_are_none(app: Erlen) -> None:
    app.add_websocket("/", "view", without)
    client = Client(app)
    client.scope["headers"] += [(b"origin", OWN.encode())] * 2
    client.start()
    await client.end()
    assert client.status == 403


@run
async def test_a_setting_that_is_no_list_of_origins_is_an_error(app: Erlen) -> None:
    app.config["WEBSOCKET_ALLOWED_ORIGINS"] = 3
    app.add_websocket("/", "view", without)
    client = Client(app, headers={"origin": OWN})
    client.start()
    with pytest.raises(AssertionError, match="WEBSOCKET_ALLOWED_ORIGINS has to be a list"):
        await client.end()

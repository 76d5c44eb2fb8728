"""What surrounds the view of a WebSocket: hooks, the context, the session, errors."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from sockets import Client, connected, run_async
from werkzeug.exceptions import HTTPException, ImATeapot

import erlen
from erlen import (
    Blueprint,
    Erlen,
    Response,
    abort,
    after_this_request,
    after_this_websocket,
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

# What surrounds the view


@run_async
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


@run_async
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


@run_async
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


@run_async
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


@run_async
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


@run_async
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


@run_async
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
        assert cookie.startswith("session=")
        assert client.headers.get("vary") == ("Cookie" if how == "refuse" else None)
        value = cookie.partition(";")[0]
        with app.test_request_context("/", headers={"Cookie": value}):
            assert session["user"] == "ada"


@run_async
async def test_a_session_that_nobody_touches_is_not_sent(app: Erlen) -> None:
    @app.websocket("/")
    async def view() -> None:
        await websocket.accept()

    async with connected(app) as client:
        await client.end()
    assert client.headers == {}


@run_async
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


@run_async
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


@run_async
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


@run_async
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


@run_async
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
@run_async
async def test_an_http_error_after_accepting_closes(app: Erlen, error: int, code: int) -> None:
    @app.websocket("/")
    async def view() -> None:
        await websocket.accept()
        abort(error)

    async with connected(app) as client:
        await client.end()
    assert client.close == (code, "")


@run_async
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
@run_async
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
@run_async
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


@run_async
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


@run_async
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

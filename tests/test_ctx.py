"""Contexts are real objects, pushed and popped in any order."""

from __future__ import annotations

import gc
import sys
import typing as t
import weakref

import pytest
from werkzeug.test import create_environ

import erlen
from erlen import Erlen
from erlen import globals as names
from erlen.ctx import AppContext, RequestContext, _AppCtxGlobals


def test_contexts_are_of_flasks_classes(app: Erlen) -> None:
    assert type(app.app_context()) is AppContext
    assert type(app.test_request_context("/")) is RequestContext
    with app.test_request_context("/"):
        assert type(names.app_ctx._get_current_object()) is AppContext
        assert type(names.request_ctx._get_current_object()) is RequestContext
        assert type(erlen.g._get_current_object()) is _AppCtxGlobals


def test_contexts_can_be_referenced_weakly_and_are_freed(app: Erlen) -> None:
    for make in (app.app_context, lambda: app.test_request_context("/")):
        ctx = make()
        with ctx:
            assert weakref.ref(ctx)() is ctx
            own = weakref.ref(names.app_ctx._get_current_object())
        reference = weakref.ref(ctx)
        del ctx
        gc.collect()
        assert reference() is None
        assert own() is None


def test_a_served_request_leaves_no_garbage_cycles(app: Erlen) -> None:
    made: list[weakref.ref[t.Any]] = []

    @app.route("/")
    def view() -> str:
        made.append(weakref.ref(names.request_ctx._get_current_object()))
        erlen.g.x = 1
        return "view"

    gc.disable()
    try:
        for _ in range(3):
            environ = create_environ("/")
            list(app(environ, lambda *args: None))
            del environ
        assert [reference() for reference in made] == [None] * 3
    finally:
        gc.enable()


def test_a_request_context_shows_flasks_attributes(app: Erlen) -> None:
    app.add_url_rule("/<x>", "view", lambda x: x)
    with app.test_request_context("/1") as ctx:
        assert ctx.app is app
        assert ctx.request is erlen.request._get_current_object()
        assert ctx.url_adapter is not None
        assert ctx.url_adapter.build("view", {"x": "2"}) == "/2"
        assert ctx.flashes is None
        assert ctx.session is erlen.session._get_current_object()
        assert ctx._after_request_functions == []
        assert len(ctx._cv_tokens) == 1
        assert repr(ctx) == f"<RequestContext 'http://localhost/1' [GET] of {app.name}>"


def test_the_context_of_a_served_request_shows_them_too(app: Erlen) -> None:
    seen: list[t.Any] = []

    @app.route("/<x>")
    def view(x: str) -> str:
        ctx = names.request_ctx
        seen.append(
            (
                ctx.app is app,
                ctx.request.path,
                ctx.flashes,
                ctx._after_request_functions,
                len(ctx._cv_tokens),
                ctx.url_adapter is not None and ctx.url_adapter.build("view", {"x": 2}),
                type(ctx.session).__name__,
                hasattr(ctx, "_session"),
            )
        )
        return x

    for _ in range(3):
        app.test_client().get("/1")
    assert seen == [(True, "/1", None, [], 1, "/2", "SecureCookieSession", True)] * 3


def test_a_session_can_be_put_into_a_context(app: Erlen) -> None:
    from erlen.sessions import SecureCookieSession

    with app.test_request_context("/") as ctx:
        ctx._session = SecureCookieSession({"own": 1})
        assert erlen.session["own"] == 1


def test_popping_what_is_not_current_tells_so_and_restores_the_rest(app: Erlen) -> None:
    outer, inner = app.app_context(), app.app_context()
    outer.push()
    inner.push()
    with pytest.raises(AssertionError, match="Popped wrong app context"):
        outer.pop()
    assert not erlen.has_app_context()


@pytest.mark.parametrize("first", ["app", "request"])
def test_an_app_and_a_request_context_are_popped_in_any_order(app: Erlen, first: str) -> None:
    app_ctx, request_ctx = app.app_context(), app.test_request_context("/")
    app_ctx.push()
    request_ctx.push()
    order = [app_ctx, request_ctx] if first == "app" else [request_ctx, app_ctx]
    for ctx in order:
        ctx.pop()
    assert not erlen.has_app_context()
    assert not erlen.has_request_context()


def test_a_context_can_be_entered_again_and_again(app: Erlen) -> None:
    ended: list[t.Any] = []
    app.teardown_appcontext(ended.append)
    ctx = app.test_request_context("/")
    for number in range(1, 4):
        with ctx, ctx, ctx:
            assert erlen.has_app_context()
        assert len(ended) == number
        assert not erlen.has_app_context()


def test_errors_of_the_block_reach_the_teardown_functions(app: Erlen) -> None:
    seen: list[t.Any] = []
    app.teardown_request(seen.append)
    app.teardown_appcontext(seen.append)
    with pytest.raises(ZeroDivisionError), app.test_request_context("/"):
        raise ZeroDivisionError
    assert [type(error) for error in seen] == [ZeroDivisionError] * 2
    assert sys.exc_info() == (None, None, None)


def test_a_failing_teardown_function_does_not_leave_the_context_behind(app: Erlen) -> None:
    @app.teardown_request
    def fail(error: t.Any) -> None:
        raise LookupError("teardown")

    app.add_url_rule("/", "view", lambda: "view")
    for _ in range(3):
        with pytest.raises(LookupError, match="teardown"):
            app.test_client().get("/")
        assert not erlen.has_app_context()
        assert not erlen.has_request_context()


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_no_exception_passes_and_the_context_is_popped(
    app: Erlen, kind: type[BaseException]
) -> None:
    seen: list[t.Any] = []
    app.teardown_request(seen.append)

    @app.route("/")
    def view() -> t.NoReturn:
        raise kind

    for _ in range(3):
        with pytest.raises(kind):
            app(create_environ("/"), lambda *args: None)
        assert not erlen.has_request_context()
    assert [type(error) for error in seen] == [kind] * 3


def test_requests_nest_in_requests(app: Erlen) -> None:
    app.add_url_rule("/inner", "inner", lambda: erlen.g.get("x", "nothing"))

    @app.route("/")
    def outer() -> t.Any:
        erlen.g.x = "outer"
        inner = app.test_client().get("/inner").text
        return [inner, erlen.g.x, erlen.request.path]

    for _ in range(3):
        answer = app.test_client().get("/").json
        # A request within a context of its own application shares that context's g.
        assert answer == ["outer", "outer", "/"]


def test_a_function_carries_the_request_to_where_it_runs(app: Erlen) -> None:
    app.add_url_rule("/<x>", "view", lambda x: x)

    def tell(more: str) -> str:
        """Documented."""
        return f"{erlen.request.path} {more} {erlen.request.view_args}"

    with app.test_request_context("/1"):
        carried = erlen.copy_current_request_context(tell)
    assert carried("more") == "/1 more {'x': '1'}"
    assert carried("again") == "/1 again {'x': '1'}"
    assert (carried.__name__, carried.__doc__) == ("tell", "Documented.")
    assert not erlen.has_request_context()


def test_a_stream_keeps_its_context_and_ends_it_twice(app: Erlen) -> None:
    events: list[str] = []

    @app.teardown_appcontext
    def end(error: t.Any) -> None:
        events.append("teardown")

    @app.route("/")
    def view() -> t.Any:
        erlen.g.x = "kept"

        def generate() -> t.Iterator[str]:
            yield erlen.g.x
            events.append("streamed")
            yield erlen.request.path

        return erlen.stream_with_context(generate())

    for _ in range(3):
        assert app.test_client().get("/").data == b"kept/"
        assert events == ["teardown", "streamed", "teardown"]
        del events[:]


def test_after_this_request_counts_for_one_request(app: Erlen) -> None:
    @app.route("/<name>")
    def view(name: str) -> str:
        if name == "once":

            @erlen.after_this_request
            def mark(response: t.Any) -> t.Any:
                response.headers["X-Marked"] = "yes"
                return response

        return name

    client = app.test_client()
    for _ in range(3):
        assert "X-Marked" in client.get("/once").headers
        assert "X-Marked" not in client.get("/other").headers

"""The life of a request, as the engine runs it: one order, and stages that can be replaced."""

from __future__ import annotations

import logging
import typing as t

import pytest
from carrying import carried
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.test import create_environ

import erlen
from erlen import Blueprint, Erlen
from erlen.engine.plan import Plan


def ask(app: Erlen, path: str = "/", **environ: t.Any) -> tuple[str, bytes]:
    seen: list[str] = []
    answer = carried(app)(
        {**create_environ(path), **environ}, lambda status, headers, info=None: seen.append(status)
    )
    try:
        return seen[0], b"".join(answer)
    finally:
        close = getattr(answer, "close", None)
        if close is not None:
            close()


LIFE = [
    *("request_started", "preprocessor", "before app", "before bp", "view"),
    *("make_response", "after this", "after bp", "after app", "save session", "request_finished"),
    *("teardown bp", "teardown app", "request_tearing_down", "teardown_appcontext"),
    "appcontext_tearing_down",
]


@pytest.fixture
def lived(app: Erlen) -> list[str]:
    """What happened in the life of a request, in order."""
    events: list[str] = []
    bp = Blueprint("bp", "x")

    def note(name: str) -> t.Callable[..., t.Any]:
        def run(*args: t.Any, **kwargs: t.Any) -> t.Any:
            events.append(name)
            return args[0] if name.startswith("after") else None

        return run

    app.url_value_preprocessor(note("preprocessor"))
    for owner, name in ((app, "app"), (bp, "bp")):
        owner.before_request(note(f"before {name}"))
        owner.after_request(note(f"after {name}"))
        owner.teardown_request(note(f"teardown {name}"))
    app.teardown_appcontext(note("teardown_appcontext"))

    @bp.route("/")
    def view() -> str:
        events.append("view")
        erlen.session["x"] = 1
        erlen.after_this_request(note("after this"))
        return "view"

    app.register_blueprint(bp)
    make_response, save = app.make_response, app.session_interface.save_session

    def making(rv: t.Any) -> t.Any:
        events.append("make_response")
        return make_response(rv)

    class Interface(type(app.session_interface)):  # type: ignore[misc]
        def save_session(self, *args: t.Any) -> None:
            events.append("save session")
            save(*args)

    app.make_response = making  # type: ignore[method-assign]
    app.session_interface = Interface()
    return events


def test_the_life_of_a_request_has_one_order(app: Erlen, lived: list[str]) -> None:
    def receiver(name: str) -> t.Callable[..., None]:
        return lambda sender, **values: lived.append(name)

    kept = {name: receiver(name) for name in LIFE if hasattr(erlen, name) and "_" in name}
    for name, function in kept.items():
        if name not in ("make_response",):
            getattr(erlen, name).connect(function, app)
    try:
        for _ in range(3):
            del lived[:]
            assert ask(app) == ("200 OK", b"view")
            assert lived == LIFE
    finally:
        for name, function in kept.items():
            if name not in ("make_response",):
                getattr(erlen, name).disconnect(function, app)


def test_without_listeners_the_order_is_the_same(app: Erlen, lived: list[str]) -> None:
    signals = {"request_started", "request_finished", "request_tearing_down"}
    expected = [name for name in LIFE if name not in {*signals, "appcontext_tearing_down"}]
    for _ in range(3):
        del lived[:]
        ask(app)
        assert lived == expected


def test_a_request_to_nowhere_runs_the_applications_hooks(app: Erlen, lived: list[str]) -> None:
    for _ in range(3):
        del lived[:]
        assert ask(app, "/nowhere")[0] == "404 NOT FOUND"
        assert [name for name in lived if name.endswith(("app", "bp", "context"))] == [
            *("before app", "after app", "teardown app", "teardown_appcontext"),
        ]


STAGES = (
    *("full_dispatch_request", "preprocess_request", "dispatch_request", "finalize_request"),
    *("make_response", "process_response", "do_teardown_request", "do_teardown_appcontext"),
    *("request_context", "app_context", "create_url_adapter", "ensure_sync"),
)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("when", ["before the first request", "after the first request"])
def test_a_stage_that_an_instance_replaces_is_called_once_a_request(
    app: Erlen, stage: str, when: str
) -> None:
    app.add_url_rule("/", "view", lambda: "view")
    app.before_request(lambda: None)
    if when.startswith("after"):
        for _ in range(3):
            ask(app)
    calls: list[str] = []
    original = getattr(app, stage)

    def replaced(*args: t.Any, **kwargs: t.Any) -> t.Any:
        calls.append(stage)
        return original(*args, **kwargs)

    setattr(app, stage, replaced)
    for _ in range(3):
        del calls[:]
        assert ask(app) == ("200 OK", b"view")
        assert calls or stage == "ensure_sync"
        assert len(calls) == 1 or stage in ("ensure_sync", "create_url_adapter")
    delattr(app, stage)
    del calls[:]
    assert ask(app) == ("200 OK", b"view")
    assert not calls


def test_a_replaced_stage_may_answer_by_itself(app: Erlen) -> None:
    app.add_url_rule("/", "view", lambda: "view")
    app.dispatch_request = lambda: "dispatched"  # type: ignore[method-assign]
    assert ask(app)[1] == b"dispatched"
    app.preprocess_request = lambda: "preprocessed"  # type: ignore[method-assign]
    assert ask(app)[1] == b"preprocessed"
    app.full_dispatch_request = lambda: erlen.Response("full")  # type: ignore[method-assign]
    assert ask(app)[1] == b"full"


def test_a_dispatch_written_anew_with_flasks_parts_works(app: Erlen) -> None:
    """As a well-known debug toolbar does it."""

    class Toolbar(Erlen):
        def dispatch_request(self) -> t.Any:
            request = erlen.globals.request_ctx.request
            if request.routing_exception is not None:
                self.raise_routing_exception(request)
            rule: t.Any = request.url_rule
            if getattr(rule, "provide_automatic_options", False) and request.method == "OPTIONS":
                return self.make_default_options_response()
            view = self.view_functions[rule.endpoint]
            return self.ensure_sync(view)(**request.view_args)

    app = Toolbar("toolbar")
    app.add_url_rule("/<x>", "view", lambda x: x)
    app.add_url_rule("/post", "post", lambda: "post", methods=["POST"])
    for _ in range(3):
        assert ask(app, "/a") == ("200 OK", b"a")
        assert ask(app, "/a/b")[0] == "404 NOT FOUND"
        assert ask(app, "/post", REQUEST_METHOD="PUT")[0] == "405 METHOD NOT ALLOWED"
        assert ask(app, "/a", REQUEST_METHOD="OPTIONS") == ("200 OK", b"")


def test_an_error_without_handler_is_logged_with_method_and_path(
    app: Erlen, caplog: pytest.LogCaptureFixture
) -> None:
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.add_url_rule("/boom", "boom", lambda: 1 / 0)
    for _ in range(3):
        caplog.clear()
        with caplog.at_level(logging.ERROR):
            assert ask(app, "/boom")[0] == "500 INTERNAL SERVER ERROR"
        (record,) = caplog.records
        assert record.getMessage() == "Exception on /boom [GET]"
        assert record.exc_info and record.exc_info[0] is ZeroDivisionError


def test_the_traceback_of_a_propagated_error_starts_in_the_view(app: Erlen) -> None:
    def boom() -> t.NoReturn:
        raise ZeroDivisionError("here")

    app.add_url_rule("/boom", "boom", boom)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError, match="here") as caught:
            ask(app, "/boom")
        assert caught.traceback[-1].name == "boom"
        assert caught.value.__context__ is None


def test_a_failing_after_request_function_of_an_error_page_is_logged_only(
    app: Erlen, caplog: pytest.LogCaptureFixture
) -> None:
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.add_url_rule("/", "boom", lambda: 1 / 0)

    @app.after_request
    def fail(response: t.Any) -> t.NoReturn:
        raise LookupError("after")

    assert ask(app)[0] == "500 INTERNAL SERVER ERROR"
    assert "Request finalizing failed" in caplog.text


HANDLERS: tuple[tuple[str, t.Any, t.Any, str], ...] = (
    ("by class", KeyError, KeyError("x"), "KeyError"),
    ("by base class", LookupError, KeyError("x"), "LookupError"),
    ("by code", 404, NotFound(), "404"),
    ("by class of HTTP", HTTPException, NotFound(), "HTTPException"),
    ("of everything", Exception, KeyError("x"), "Exception"),
)


@pytest.mark.parametrize(
    ("what", "error", "expected"), [row[1:] for row in HANDLERS], ids=[row[0] for row in HANDLERS]
)
def test_error_handlers_answer(app: Erlen, what: t.Any, error: Exception, expected: str) -> None:
    def view() -> t.NoReturn:
        raise error

    app.add_url_rule("/", "view", view)
    app.register_error_handler(what, lambda error: (expected, 499))
    for _ in range(3):
        assert ask(app) == ("499 UNKNOWN", expected.encode())


def test_the_closest_handler_wins(app: Erlen) -> None:
    bp = Blueprint("bp", "x", url_prefix="/bp")
    order: list[t.Any] = [Exception, LookupError, KeyError]
    for owner, name in ((app, "app"), (bp, "bp")):
        owner.add_url_rule("/", "view", lambda: {}["x"])
        for kind in order if name == "app" else order[:2]:
            owner.register_error_handler(
                kind, lambda error, tag=f"{name} {kind.__name__}": (tag, 499)
            )
    app.register_blueprint(bp)
    assert ask(app, "/")[1] == b"app KeyError"
    assert ask(app, "/bp/")[1] == b"bp LookupError"


def test_a_handlers_own_error_is_not_handled_again(app: Erlen) -> None:
    @app.errorhandler(KeyError)
    def fail(error: Exception) -> t.NoReturn:
        raise LookupError("in handler")

    app.add_url_rule("/", "view", lambda: {}["x"])
    for _ in range(3):
        with pytest.raises(LookupError, match="in handler"):
            ask(app)


def test_a_plan_names_its_steps_and_their_owners(app: Erlen) -> None:
    bp = Blueprint("bp", "x")

    def before() -> None: ...

    def after(response: t.Any) -> t.Any:
        return response

    def view() -> str:
        return "view"

    app.before_request(before)
    bp.after_request(after)
    bp.add_url_rule("/", "view", view)
    app.register_blueprint(bp)
    app.prepare()
    program = app._current_program()
    rule = next(app.url_map.iter_rules("bp.view"))
    plan = app._plan_for_rule(program, rule)
    assert isinstance(plan, Plan)
    assert [source for source in plan.sources if source[2] in (before, after, view)] == [
        ("before_request", None, before),
        ("view", None, view),
        ("after_request", "bp", after),
    ]
    assert plan.blueprints == ["bp"]


def test_a_plan_of_plain_functions_calls_them_as_they_are(app: Erlen) -> None:
    def view() -> str:
        return "view"

    app.add_url_rule("/", "view", view)
    plan = app._plan_for_rule(app._current_program(), next(app.url_map.iter_rules("view")))
    assert plan.view is view


@pytest.mark.parametrize(
    "names",
    [(), ("x",), ("x", "y"), ("view", "values"), ("class", "def"), ("a", "b", "c", "d")],
    ids=",".join,
)
def test_a_view_gets_the_values_by_the_names_of_the_rule(
    app: Erlen, names: tuple[str, ...]
) -> None:
    got: list[dict[str, t.Any]] = []

    def view(**values: t.Any) -> str:
        got.append(values)
        return "view"

    app.add_url_rule("/r" + "".join(f"/<int:{name}>" for name in names), "view", view)
    expected = {name: number for number, name in enumerate(names)}
    for _ in range(3):
        path = "/r" + "".join(f"/{number}" for number in expected.values())
        assert ask(app, path) == ("200 OK", b"view")
        assert got.pop() == expected


def test_a_view_in_another_order_than_its_rule_gets_its_own(app: Erlen) -> None:
    class View:
        def __call__(self, second: int, *, first: str, third: str = "c") -> str:
            return f"{first} {second} {third}"

    app.add_url_rule("/<first>/<int:second>", "view", View())
    for _ in range(3):
        assert ask(app, "/a/2") == ("200 OK", b"a 2 c")


def test_a_view_that_wants_other_values_is_told_so(app: Erlen) -> None:
    app.testing = True
    app.add_url_rule("/<first>", "view", lambda second: "never")
    for _ in range(3):
        with pytest.raises(TypeError, match="first"):
            ask(app, "/a")


@pytest.mark.parametrize("mimetype", ["text/plain", "application/x-own", None])
def test_a_response_class_decides_the_type_of_text(app: Erlen, mimetype: str | None) -> None:
    class Own(app.response_class):  # type: ignore[misc,name-defined]
        default_mimetype = mimetype

    app.add_url_rule("/", "view", lambda: "text")
    client = app.test_client()
    for _ in range(2):
        assert client.get("/").mimetype == "text/html"
        ask(app)
    app.response_class = Own
    types: list[str | None] = []
    for _ in range(2):
        app(
            create_environ(),
            lambda status, headers, *info: types.append(dict(headers).get("Content-Type")),
        )
    assert types == [Own("text").content_type] * 2


def test_a_context_can_be_pushed_again_while_and_after_it_serves(app: Erlen) -> None:
    kept: list[t.Any] = []

    def view() -> str:
        context = erlen.globals.request_ctx._get_current_object()  # type: ignore[attr-defined]
        kept.append(context)
        with context:
            assert erlen.request.path == "/"
        assert erlen.has_request_context()
        return "view"

    app.add_url_rule("/", "view", view)
    app.add_url_rule(
        "/quiet",
        "quiet",
        lambda: kept.append(erlen.globals.request_ctx._get_current_object()) or "",  # type: ignore[attr-defined]
    )
    for path in ("/", "/quiet") * 3:
        assert ask(app, path)[0] == "200 OK"
        assert not erlen.has_app_context()
        with kept.pop():
            assert erlen.request.path == path
            assert erlen.current_app._get_current_object() is app  # type: ignore[attr-defined]
        assert not erlen.has_request_context()
        assert not erlen.has_app_context()


def test_a_plan_has_coroutine_functions_in_a_form_that_sync_code_can_call(app: Erlen) -> None:
    async def view() -> str:
        return "view"

    app.add_url_rule("/", "view", view)
    plan = app._plan_for_rule(app._current_program(), next(app.url_map.iter_rules("view")))
    assert plan.native is True
    assert plan.view() == "view"


@pytest.mark.parametrize(
    "method", ["GET", "HEAD", "OPTIONS", "POST", "get", "options", "head", "BREW"]
)
def test_methods_in_any_letters(app: Erlen, method: str) -> None:
    app.add_url_rule("/", "view", lambda: "view")
    expected = {"GET": b"view", "HEAD": b"", "OPTIONS": b""}
    for _ in range(3):
        status, body = ask(app, REQUEST_METHOD=method)
        known = method.upper() in expected
        assert status == ("200 OK" if known else "405 METHOD NOT ALLOWED")
        if known and method != "head":
            assert body == expected[method.upper()]


def test_a_signal_connected_and_disconnected_counts_for_the_time_between(app: Erlen) -> None:
    app.add_url_rule("/", "view", lambda: "view")
    heard: list[str] = []

    def receiver(sender: t.Any, **values: t.Any) -> None:
        heard.append("heard")

    signals = (
        *(erlen.request_started, erlen.request_finished, erlen.request_tearing_down),
        *(erlen.appcontext_pushed, erlen.appcontext_tearing_down, erlen.appcontext_popped),
    )
    for _ in range(3):
        ask(app)
    assert not heard
    for signal in signals:
        with signal.connected_to(receiver, app):
            ask(app)
            assert len(heard) == 1, signal.name
        ask(app)
        assert heard.pop() == "heard"
        assert not heard


def test_nothing_of_a_request_stays_after_it(app: Erlen) -> None:
    app.add_url_rule("/", "view", lambda: "view")
    for path in ("/", "/missing"):
        for _ in range(3):
            environ = create_environ(path)
            app(environ, lambda *args: None)
            assert environ["werkzeug.request"] is None
            assert not erlen.has_app_context()
            assert not erlen.has_request_context()


def test_contexts_are_kept_for_whoever_asks_in_the_environ(app: Erlen) -> None:
    app.add_url_rule("/", "view", lambda: "view")
    for _ in range(3):
        kept: list[t.Any] = []
        ask(app, **{"werkzeug.debug.preserve_context": kept.append})
        assert [type(ctx).__name__ for ctx in kept] == ["AppContext", "RequestContext"]

"""`erlen plan URL`: the steps of a request, and the place of each function."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from erlen import Blueprint, Erlen, request_started
from erlen.cli import FlaskGroup
from erlen.cli.plan import inner, name_of, place_of, plan_command, view_of
from erlen.views import MethodView

HERE = Path(__file__)


def line_of(function: Callable[..., Any]) -> int:
    return inspect.unwrap(function).__code__.co_firstlineno


def make_app() -> Erlen:
    app = Erlen("planned", static_folder=None)
    app.secret_key = "key"
    outer, nested = Blueprint("outer", "planned"), Blueprint("nested", "planned")

    @app.url_value_preprocessor
    def read_language(endpoint: str | None, values: dict[str, Any] | None) -> None: ...

    @app.before_request
    def load_user() -> None: ...

    @outer.before_request
    def check_outer() -> None: ...

    @nested.before_request
    def check_nested() -> None: ...

    @app.after_request
    def count(response: Any) -> Any: ...

    @app.after_request
    def count_last(response: Any) -> Any: ...

    @nested.after_request
    def count_nested(response: Any) -> Any: ...

    @app.teardown_request
    def forget(error: Any) -> None: ...

    @app.teardown_appcontext
    def close_database(error: Any) -> None: ...

    @app.errorhandler(404)
    def not_found(error: Any) -> Any: ...

    @nested.errorhandler(ValueError)
    def bad_value(error: Any) -> Any: ...

    @nested.errorhandler(404)
    def not_found_nested(error: Any) -> Any: ...

    @app.get("/plain/")
    def plain() -> str:
        raise AssertionError("a view must not run for its plan")

    @nested.route("/items/<int:number>", methods=["GET", "POST"])
    async def show(number: int) -> str: ...

    class Things(MethodView):
        def get(self) -> str: ...

        def post(self) -> str: ...

    app.add_url_rule("/things", view_func=Things.as_view("things"))
    outer.register_blueprint(nested)
    app.register_blueprint(outer)
    return app


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """The lines of a plan, blanks made single."""
    monkeypatch.chdir(HERE.parent)

    def run(*args: str, app: Erlen | None = None, code: int = 0) -> list[str]:
        made = app or make_app()
        group = FlaskGroup(create_app=lambda: made)
        group.add_command(plan_command)
        result = CliRunner().invoke(group, ["plan", *args])
        assert result.exit_code == code, result.output
        return [" ".join(line.split()) for line in result.output.splitlines()]

    return run


def steps(lines: list[str]) -> list[str]:
    """Stage, scope and the function's bare name of each step."""
    body = lines[2 : lines.index("", 2)] if "" in lines[2:] else lines[2:]
    return [
        " ".join([*line.split()[:2], line.split()[2].rpartition(".")[2]])
        for line in body
        if not line.startswith("session")
    ]


def test_the_steps_stand_in_the_order_in_which_they_run(plan: Any) -> None:
    lines = plan("/items/3?q=1")
    assert lines[0] == (
        "GET /items/3?q=1: rule /items/<int:number>, endpoint outer.nested.show(number=3)"
    )
    assert steps(lines) == [
        "url_value_preprocessor app read_language",
        "before_request app load_user",
        "before_request outer check_outer",
        "before_request outer.nested check_nested",
        "view outer.nested show",
        "after_request outer.nested count_nested",
        "after_request app count_last",
        "after_request app count",
        "teardown_request app forget",
        "teardown_appcontext app close_database",
    ]


def test_the_plan_is_what_happens(plan: Any) -> None:
    app = Erlen("traced", static_folder=None)
    blueprint = Blueprint("bp", "traced")
    ran: list[str] = []

    def traced(name: str, result: Callable[..., Any]) -> Callable[..., Any]:
        def function(*args: Any) -> Any:
            ran.append(name)
            return result(*args)

        function.__qualname__ = name
        return function

    for part in (app, blueprint):
        for number in (1, 2):
            tag = f"{part.name}{number}"
            part.before_request(traced(f"before-{tag}", lambda: None))
            part.after_request(traced(f"after-{tag}", lambda response: response))
            part.teardown_request(traced(f"teardown-{tag}", lambda error: None))
            part.url_value_preprocessor(traced(f"values-{tag}", lambda endpoint, values: None))
            app.teardown_appcontext(traced(f"context-{tag}", lambda error: None))
    blueprint.add_url_rule("/x", endpoint="x", view_func=traced("view", lambda: "text"))
    app.register_blueprint(blueprint)
    assert app.test_client().get("/x").text == "text"
    happened = [*ran]
    assert [step.split()[2] for step in steps(plan("/x", app=app))] == happened


def test_each_function_has_its_file_and_line(plan: Any) -> None:
    lines = plan("/plain/")
    view = next(line for line in lines if line.startswith("view"))
    number = HERE.read_text().splitlines().index('    @app.get("/plain/")') + 1
    assert view.endswith(f"make_app.<locals>.plain {HERE.name}:{number}")


def test_coroutine_functions_are_marked(plan: Any) -> None:
    view = next(line for line in plan("/items/3") if line.startswith("view"))
    assert "show (async)" in view


@pytest.mark.parametrize(
    ("method", "name"),
    [
        ("GET", "Things.get"),
        ("POST", "Things.post"),
        ("HEAD", "Things.get"),
        ("post", "Things.post"),
    ],
)
def test_of_a_class_based_view_the_method_is_named(plan: Any, method: str, name: str) -> None:
    view = next(line for line in plan("/things", "--method", method) if line.startswith("view"))
    assert f"{name} " in view


def test_an_automatic_answer_is_named(plan: Any) -> None:
    lines = plan("/things", "-m", "OPTIONS")
    assert "view app an answer to OPTIONS, made from the rules" in lines


def test_error_handlers_are_listed_in_the_order_of_precedence(plan: Any) -> None:
    lines = plan("/items/3")
    handlers = lines[lines.index("Error handlers, in the order in which they are asked") + 1 :]
    assert [line.split()[:2] for line in handlers] == [
        ["404", "outer.nested"],
        ["404", "app"],
        ["ValueError", "outer.nested"],
    ]
    assert "not_found_nested" in handlers[0]


def test_handlers_of_other_blueprints_are_not_listed(plan: Any) -> None:
    lines = plan("/plain/")
    handlers = lines[lines.index("Error handlers, in the order in which they are asked") + 1 :]
    assert [line.split()[:2] for line in handlers] == [["404", "app"]]


@pytest.mark.parametrize(
    ("args", "heading", "step"),
    [
        (["/none"], "GET /none: no rule, 404 Not Found", "no view app raises 404 Not Found"),
        (
            ["/plain/", "-m", "POST"],
            "POST /plain/: no rule, 405 Method Not Allowed",
            "error handler app none: Werkzeug's page for 405 Method Not Allowed",
        ),
        (
            ["/plain"],
            "GET /plain: no rule, 308 Permanent Redirect",
            "no view app 308 Permanent Redirect to http://localhost/plain/",
        ),
    ],
    ids=["404", "405", "redirect"],
)
def test_without_a_rule_it_says_what_happens_then(
    plan: Any, args: list[str], heading: str, step: str
) -> None:
    lines = plan(*args)
    assert lines[0] == heading
    assert step in lines
    assert not any(line.startswith("view") for line in lines)
    # The application's own functions run all the same.
    assert "before_request app load_user" in steps(lines)


def test_the_handler_of_an_unmatched_url_is_named(plan: Any) -> None:
    line = next(line for line in plan("/none") if line.startswith("error handler"))
    assert "make_app.<locals>.not_found " in line


def test_a_whole_url_decides_by_its_host(plan: Any) -> None:
    app = Erlen("hosts", static_folder=None, host_matching=True)
    for host in ("a.example", "b.example"):
        app.add_url_rule("/", endpoint=host[0], host=host, view_func=lambda: "")
    assert "endpoint b()" in plan("http://b.example/", app=app)[0]
    assert "no rule" in plan("http://c.example/", app=app)[0]


@pytest.mark.parametrize("url", ["plain", "ftp://x/", ""])
def test_what_is_no_path_is_refused(plan: Any, url: str) -> None:
    assert any("A path starts with '/'" in line for line in plan(url, code=2))


def test_stages_that_an_application_replaces_are_listed(plan: Any) -> None:
    class Own(Erlen):
        def dispatch_request(self) -> Any: ...

    app = Own("own", static_folder=None)
    app.add_url_rule("/", endpoint="index", view_func=lambda: "")
    app.make_response = lambda rv: rv  # type: ignore[method-assign, assignment]
    lines = [line for line in plan("/", app=app) if line.startswith("replaced stage")]
    assert [line.split()[2] for line in lines] == ["dispatch_request", "make_response"]
    assert f"{HERE.name}:{line_of(Own.dispatch_request)}" in lines[0]


def test_receivers_of_signals_are_listed(plan: Any) -> None:
    def on_start(sender: Any, **extra: Any) -> None: ...

    app = make_app()
    with request_started.connected_to(on_start, app):
        lines = plan("/plain/", app=app)
    assert any(line.startswith("signal request_started app") for line in lines)


def test_the_session_is_said_to_open_late_or_at_once(plan: Any) -> None:
    from erlen.sessions import SecureCookieSessionInterface

    class Own(SecureCookieSessionInterface):
        pass

    app = make_app()
    lines = [line for line in plan("/plain/", app=app) if line.startswith("session")]
    assert lines[0] == "session app opened at its first use (SecureCookieSessionInterface)"
    app.session_interface = Own()
    lines = [line for line in plan("/plain/", app=app) if line.startswith("session")]
    assert lines[0] == "session app opened now (Own)"


# WebSockets


def test_a_websocket_has_hooks_of_its_own(plan: Callable[..., list[str]]) -> None:
    app = make_app()
    blueprint = Blueprint("live", "planned")

    @app.before_websocket
    def check() -> None: ...

    @blueprint.after_websocket
    async def log(response: Any) -> Any: ...

    @blueprint.teardown_websocket
    def leave(error: Any) -> None: ...

    @blueprint.websocket("/live/<int:number>")
    async def watch(number: int) -> None: ...

    app.register_blueprint(blueprint)
    lines = plan("ws://localhost/live/3", app=app)
    assert lines[0] == "WebSocket /live/3: rule /live/<int:number>, endpoint live.watch(number=3)"
    assert steps(lines) == [
        "origin app has",
        "url_value_preprocessor app read_language",
        "before_websocket app check",
        "view live watch",
        "after_websocket live log",
        "teardown_websocket live leave",
        "teardown_appcontext app close_database",
    ]
    assert "load_user" not in "".join(lines)
    assert (
        plan("wss://localhost/plain/", app=app)[0] == "WebSocket /plain/: no rule, 400 Bad Request"
    )
    assert plan("/live/3", app=app)[0] == "GET /live/3: no rule, 400 Bad Request"


# Functions


def plain() -> None: ...


class Callee:
    def __call__(self) -> None: ...

    def method(self) -> None: ...


@pytest.mark.parametrize(
    ("function", "wanted"),
    [
        (plain, plain),
        (functools.partial(plain), plain),
        (functools.wraps(plain)(lambda: None), plain),
        (functools.partial(functools.wraps(plain)(lambda: None)), plain),
        (Callee().method, Callee.method),
        (Callee(), Callee.__call__),
        (Callee, Callee),
        (click.command()(plain), click.Command.__call__),
        (len, len),
    ],
    ids=["plain", "partial", "wrapped", "both", "method", "object", "class", "command", "built-in"],
)
def test_what_a_user_wrote_is_found(function: Any, wanted: Any) -> None:
    assert inner(function) is wanted


def test_names_and_places_of_odd_functions() -> None:
    assert name_of(len) == "builtins.len"
    assert place_of(len) == ""
    assert place_of(Callee).rpartition(":")[0].endswith(HERE.name)
    assert view_of(plain, "GET") is plain


def test_files_elsewhere_are_named_in_full(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert place_of(plain) == f"{HERE}:{line_of(plain)}"
    monkeypatch.chdir(HERE.parent)
    assert place_of(plain) == f"{HERE.name}:{line_of(plain)}"


def mounted(environ: Any, start_response: Any) -> Any: ...


def test_mounted_application_is_told() -> None:
    app = make_app()
    app.mount("/sub", mounted)
    group = FlaskGroup(create_app=lambda: app)
    group.add_command(plan_command)
    result = CliRunner().invoke(group, ["plan", "/sub/page"])
    assert "GET /sub/page: mounted at " in result.output
    assert f"test_plan_command.py:{line_of(mounted)}" in result.output
    assert "load_user" not in result.output

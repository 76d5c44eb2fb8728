"""Wherever an application takes a function, it may be a coroutine function, over both protocols."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import click
import pytest

from erlen import (
    Blueprint,
    Erlen,
    Response,
    abort,
    after_this_request,
    await_,
    current_app,
    g,
    get_flashed_messages,
    get_template_attribute,
    render_template,
    render_template_string,
    request,
    signals,
    stream_template,
    stream_template_string,
    url_for,
)
from erlen.commands import with_appcontext
from erlen.testing import FlaskClient
from erlen.views import MethodView, View


async def later(value: Any = None) -> Any:
    """The value, after others had their turn."""
    await asyncio.sleep(0)
    return value


@pytest.fixture
def log() -> list[Any]:
    return []


@pytest.fixture(params=["sync", "async"])
def view_of(request: pytest.FixtureRequest) -> Callable[[Callable[[], Any]], Callable[..., Any]]:
    """Make a view of either kind of a function that gives its answer."""

    def make(answer: Callable[[], Any]) -> Callable[..., Any]:
        def view(**values: Any) -> Any:
            return answer()

        async def async_view(**values: Any) -> Any:
            await later()
            return answer()

        return view if request.param == "sync" else async_view

    return make


# Views and what is around them


def test_classes_of_views_have_async_methods(app: Erlen, client: FlaskClient) -> None:
    class Items(MethodView):
        async def get(self) -> Any:
            return await later("got")

        def post(self) -> str:
            return "posted"

    class Plain(View):
        async def dispatch_request(self) -> Any:
            return await later("dispatched")

    class Decorated(View):
        init_every_request = False

        async def dispatch_request(self, name: str) -> Any:
            return await later(name)

    app.add_url_rule("/items", view_func=Items.as_view("items"))
    app.add_url_rule("/plain", view_func=Plain.as_view("plain"))
    app.add_url_rule("/decorated/<name>", view_func=Decorated.as_view("decorated"))
    assert client.get("/items").text == "got"
    assert client.post("/items").text == "posted"
    assert client.get("/plain").text == "dispatched"
    assert client.get("/decorated/x").text == "x"


def test_a_request_goes_through_async_functions_in_order(
    app: Erlen, client: FlaskClient, log: list[Any], view_of: Any
) -> None:
    bp = Blueprint("bp", __name__)

    for owner in (app, bp):

        @owner.url_value_preprocessor
        async def take_value(
            endpoint: str | None, values: dict[str, Any] | None, name: str = owner.name
        ) -> None:
            assert values is not None
            values["seen"] = await later(True)
            log.append(f"values {name}")

        @owner.before_request
        async def before(name: str = owner.name) -> None:
            g.before = await later(True)
            log.append(f"before {name}")

        @owner.after_request
        async def after(response: Response, name: str = owner.name) -> Response:
            assert g.before
            log.append(f"after {name}")
            return await later(response)  # type: ignore[no-any-return]

        @owner.teardown_request
        async def teardown(error: BaseException | None, name: str = owner.name) -> None:
            await later()
            log.append(f"teardown {name}")

    @bp.before_app_request
    async def before_app() -> None:
        log.append(await later("before all"))

    @app.teardown_appcontext
    async def teardown_app(error: BaseException | None) -> None:
        log.append(await later("teardown context"))

    def answer() -> str:
        assert request.view_args == {"seen": True}

        @after_this_request
        async def once(response: Response) -> Response:
            log.append(await later("after this"))
            return response

        log.append("view")
        return "done"

    bp.add_url_rule("/", "view", view_of(answer))
    app.register_blueprint(bp)
    assert client.get("/", buffered=True).text == "done"
    assert log == [
        *("values test_app", "values bp", "before test_app", "before all", "before bp"),
        *("view", "after this", "after bp", "after test_app"),
        *("teardown bp", "teardown test_app", "teardown context"),
    ]


def test_an_async_function_answers_before_the_view(
    app: Erlen, client: FlaskClient, view_of: Any
) -> None:
    @app.before_request
    async def answer() -> Any:
        return await later(("early", 203))

    app.add_url_rule("/", "view", view_of(lambda: "late"))
    response = client.get("/")
    assert (response.status_code, response.text) == (203, "early")


@pytest.mark.parametrize(
    ("path", "status"),
    [("/gone", 410), ("/value", 400), ("/error", 500), ("/missing", 404), ("/bp/value", 422)],
)
def test_async_handlers_answer_errors(
    app: Erlen, client: FlaskClient, view_of: Any, path: str, status: int
) -> None:
    app.config.update(PROPAGATE_EXCEPTIONS=False)
    bp = Blueprint("bp", __name__)

    def fail(error: type[Exception]) -> Callable[[], Any]:
        def answer() -> Any:
            raise error

        return answer

    app.add_url_rule("/gone", "gone", view_of(lambda: abort(410)))
    app.add_url_rule("/value", "value", view_of(fail(ValueError)))
    app.add_url_rule("/error", "error", view_of(fail(LookupError)))
    bp.add_url_rule("/bp/value", "value", view_of(fail(ValueError)))

    @app.errorhandler(410)
    @app.errorhandler(404)
    @app.errorhandler(500)
    async def by_code(error: Any) -> Any:
        return await later((f"handled {error.code}", error.code))

    @app.errorhandler(ValueError)
    async def by_class(error: Exception) -> Any:
        return await later(("handled 400", 400))

    @bp.errorhandler(ValueError)
    async def in_blueprint(error: Exception) -> Any:
        return await later(("handled 422", 422))

    app.register_blueprint(bp)
    response = client.get(path)
    assert (response.status_code, response.text) == (status, f"handled {status}")


def test_signals_have_async_receivers(app: Erlen, client: FlaskClient, log: list[Any]) -> None:
    async def started(sender: Erlen, **extra: Any) -> None:
        log.append(await later("started"))

    async def finished(sender: Erlen, response: Response, **extra: Any) -> None:
        log.append(await later(f"finished {response.status_code}"))

    app.add_url_rule("/", "view", lambda: "done")
    with (
        signals.request_started.connected_to(started, app),
        signals.request_finished.connected_to(finished, app),
    ):
        client.get("/")
    assert log == ["started", "finished 200"]


def test_functions_for_urls_may_wait(app: Erlen, client: FlaskClient, view_of: Any) -> None:
    @app.url_defaults
    async def add_language(endpoint: str, values: dict[str, Any]) -> None:
        values.setdefault("lang", await later("de"))

    app.add_url_rule("/<lang>/", "view", view_of(lambda: url_for("view")))
    assert client.get("/en/").text == "/de/"


def test_sync_code_below_an_async_view_waits_for_coroutines(
    app: Erlen, client: FlaskClient
) -> None:
    def extension() -> Any:
        return await_(later(request.path))

    @app.get("/path")
    async def view() -> Any:
        return await later(extension() + extension())

    assert client.get("/path").text == "/path/path"


def test_a_context_variable_set_by_a_hook_is_seen_by_the_view_and_after_it(
    app: Erlen, client: FlaskClient, view_of: Any
) -> None:
    from contextvars import ContextVar

    var: ContextVar[str] = ContextVar("var", default="unset")

    @app.before_request
    async def set_it() -> None:
        await later()
        var.set("set")

    @app.after_request
    async def show_it(response: Response) -> Response:
        response.headers["X-Var"] = var.get()
        return response

    app.add_url_rule("/", "view", view_of(var.get))
    response = client.get("/")
    assert (response.text, response.headers["X-Var"]) == ("set", "set")


def test_an_async_hook_calls_sync_code_that_waits(
    app: Erlen, client: FlaskClient, view_of: Any
) -> None:
    @app.before_request
    async def read() -> None:
        g.sent = request.get_json()
        g.later = await_(later("waited for"))

    app.add_url_rule("/", "view", view_of(lambda: [g.sent, g.later]), methods=["POST"])
    assert client.post("/", json={"a": 1}).json == [{"a": 1}, "waited for"]


# Templates


@pytest.fixture
def templates(app: Erlen, tmp_path: Path) -> Erlen:
    """An application with an asynchronous Jinja environment and things to await in it."""
    app.template_folder = str(tmp_path)
    app.jinja_options = {"enable_async": True}
    (tmp_path / "page.html").write_text(
        "{% extends 'base.html' %}{% block body %}{{ name }} {{ fetch(1) }} {{ g.x }}"
        " {% for item in items() %}{{ item }}{% endfor %} {{ request.path }}{% endblock %}"
    )
    (tmp_path / "base.html").write_text("<{% block body %}{% endblock %}> {{ processed }}")
    (tmp_path / "macros.html").write_text(
        "{% macro hello(name) %}{{ fetch(name) }}, {{ name }}{% endmacro %}{% set answer = 42 %}"
    )

    @app.template_global()
    async def fetch(value: Any) -> str:
        return f"fetched {await later(value)}"

    @app.template_global()
    async def items() -> AsyncIterator[int]:
        for number in range(3):
            yield await later(number)

    @app.template_filter()
    async def doubled(value: str) -> Any:
        return await later(value * 2)

    @app.context_processor
    async def processed() -> dict[str, Any]:
        return {"processed": await later("processed")}

    return app


PAGE = "<given fetched 1 2 012 /> processed"


@pytest.mark.parametrize(
    "render",
    [
        lambda: render_template("page.html", name="given"),
        lambda: stream_template("page.html", name="given"),
        lambda: "".join(stream_template("page.html", name="given")),
        lambda: render_template_string("{% include 'page.html' %}", name="given"),
        lambda: stream_template_string("{% include 'page.html' %}", name="given"),
    ],
    ids=["render", "stream", "stream-joined", "string", "stream-string"],
)
def test_an_asynchronous_environment_renders(
    templates: Erlen, client: FlaskClient, view_of: Any, render: Callable[[], Any]
) -> None:
    def answer() -> Any:
        g.x = 2
        return render()

    templates.add_url_rule("/", "view", view_of(answer))
    assert client.get("/", buffered=True).text == PAGE


def test_extensions_render_templates_of_an_asynchronous_environment_themselves(
    templates: Erlen, client: FlaskClient, view_of: Any
) -> None:
    def answer() -> Any:
        template = current_app.jinja_env.from_string("{{ fetch(name) }}!")
        pieces = list(template.generate(name=2))
        return [template.render(name=1), "".join(pieces), len(pieces)]

    templates.add_url_rule("/", "view", view_of(answer))
    assert client.get("/").json == ["fetched 1!", "fetched 2!", 2]


def test_the_environment_may_be_switched_later(
    app: Erlen, client: FlaskClient, view_of: Any
) -> None:
    app.jinja_env.is_async = True
    app.template_global("fetch")(later)
    app.add_url_rule("/", "view", view_of(lambda: render_template_string("{{ fetch(1) }}")))
    assert client.get("/").text == "1"


def test_async_filters_are_awaited(templates: Erlen, client: FlaskClient, view_of: Any) -> None:
    templates.add_url_rule(
        "/", "view", view_of(lambda: render_template_string("{{ 'ab' | doubled | upper }}"))
    )
    assert client.get("/").text == "ABAB"


def test_templates_render_outside_of_requests(templates: Erlen) -> None:
    with templates.app_context():
        assert render_template_string("{{ fetch(1) }} {{ processed }}") == "fetched 1 processed"
        assert "".join(stream_template_string("{{ fetch(1) }}")) == "fetched 1"


def test_a_streamed_template_can_be_iterated_by_async_code(
    templates: Erlen, client: FlaskClient
) -> None:
    @templates.get("/")
    async def view() -> Any:
        pieces: Any = stream_template_string("{{ request.path }} {{ fetch(1) }}")
        return [piece async for piece in pieces]

    assert "".join(client.get("/").json) == "/ fetched 1"


def test_signals_around_templates_are_sent_once(
    templates: Erlen, client: FlaskClient, log: list[Any]
) -> None:
    def note(sender: Erlen, template: Any, context: dict[str, Any], **extra: Any) -> None:
        log.append((template.name, context["name"]))

    templates.add_url_rule("/", "view", lambda: stream_template("page.html", name="given"))
    with (
        signals.before_render_template.connected_to(note, templates),
        signals.template_rendered.connected_to(note, templates),
    ):
        client.get("/", buffered=True)
    assert log == [("page.html", "given")] * 2


def test_attributes_of_a_template_are_used_from_python(
    templates: Erlen, client: FlaskClient, view_of: Any
) -> None:
    def answer() -> Any:
        hello = get_template_attribute("macros.html", "hello")
        return f"{hello('Ada')} {get_template_attribute('macros.html', 'answer')}"

    templates.add_url_rule("/", "view", view_of(answer))
    assert client.get("/").text == "fetched Ada, Ada 42"


def test_an_error_in_a_template_is_raised_in_the_view(
    templates: Erlen, client: FlaskClient, view_of: Any
) -> None:
    def answer() -> Any:
        with pytest.raises(ZeroDivisionError):
            render_template_string("{{ 1 // 0 }}")
        return "raised"

    templates.add_url_rule("/", "view", view_of(answer))
    assert client.get("/").text == "raised"


def test_an_async_context_processor_serves_plain_environments_too(
    app: Erlen, client: FlaskClient, view_of: Any
) -> None:
    @app.context_processor
    async def known() -> dict[str, Any]:
        return {"known": await later("here"), "flashed": get_flashed_messages()}

    app.add_url_rule("/", "view", view_of(lambda: render_template_string("{{ known }}")))
    assert client.get("/").text == "here"


# Commands and the shell


@pytest.mark.parametrize("in_context", [True, False], ids=["in-context", "without"])
@pytest.mark.parametrize("passed", [True, False], ids=["context-passed", "plain"])
def test_a_command_is_a_coroutine_function(app: Erlen, in_context: bool, passed: bool) -> None:
    async def greet(*args: Any, name: str) -> None:
        await later()
        assert bool(current_app) is in_context
        assert len(args) == passed
        click.echo(f"Hello, {name}")

    with_argument = click.argument("name")(click.pass_context(greet) if passed else greet)
    app.cli.command("greet", with_appcontext=in_context)(with_argument)
    result = app.test_cli_runner().invoke(args=["greet", "Ada"])
    assert (result.exit_code, result.output) == (0, "Hello, Ada\n")


def test_a_command_of_a_blueprint_and_of_click_itself_may_wait(app: Erlen) -> None:
    bp = Blueprint("bp", __name__)

    @bp.cli.command("one")
    async def one() -> None:
        click.echo(await later(current_app.name))

    @app.cli.group()
    def tools() -> None:
        """A group in a group."""

    @tools.command("two")
    async def two() -> None:
        click.echo(await later("two"))

    @click.command("three")
    @with_appcontext
    async def three() -> None:
        click.echo(await later(current_app.name))

    app.register_blueprint(bp)
    app.cli.add_command(three)
    runner = app.test_cli_runner()
    assert runner.invoke(args=["bp", "one"]).output == "test_app\n"
    assert runner.invoke(args=["tools", "two"]).output == "two\n"
    assert runner.invoke(args=["three"]).output == "test_app\n"


def test_an_error_of_a_command_is_its_result(app: Erlen) -> None:
    @app.cli.command()
    async def broken() -> None:
        await later()
        raise LookupError("broken")

    @app.cli.command()
    async def aborted() -> None:
        await later()
        raise click.UsageError("not like this")

    runner = app.test_cli_runner()
    assert isinstance(runner.invoke(args=["broken"]).exception, LookupError)
    result = runner.invoke(args=["aborted"])
    assert (result.exit_code, "not like this" in result.output) == (2, True)


def test_a_command_renders_an_asynchronous_template(templates: Erlen) -> None:
    @templates.cli.command()
    async def show() -> None:
        click.echo(render_template_string("{{ fetch(1) }}"))

    assert templates.test_cli_runner().invoke(args=["show"]).output == "fetched 1\n"


def test_names_of_the_shell_may_be_waited_for(app: Erlen) -> None:
    @app.shell_context_processor
    async def names() -> dict[str, Any]:
        return {"thing": await later("a thing")}

    assert app.make_shell_context()["thing"] == "a thing"

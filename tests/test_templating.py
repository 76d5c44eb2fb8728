"""Templates: where they are found, what they are given, how they are rendered and streamed."""

from __future__ import annotations

import importlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import GeneratorType, ModuleType
from typing import Any

import jinja2
import pytest
from jinja2.sandbox import SandboxedEnvironment, SecurityError
from markupsafe import Markup

TEMPLATES = {
    "app/templates/base.html": "<{% block body %}base{% endblock %}>",
    "app/templates/page.html": "{% extends 'base.html' %}{% block body %}{{ text }}{% endblock %}",
    "app/templates/plain.txt": "{{ text }}",
    "app/templates/both.html": "application's",
    "one/templates/both.html": "one's",
    "one/templates/one/own.html": "one's own",
    "two/templates/both.html": "two's",
    "two/templates/two.html": "two's",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in TEMPLATES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture
def app(framework: ModuleType, folder: Path) -> Any:
    app = framework.Flask("templating_app", root_path=str(folder / "app"))
    app.secret_key = "key"
    for name in ("one", "two"):
        app.register_blueprint(
            framework.Blueprint(
                name, name, root_path=str(folder / name), template_folder="templates"
            ),
            url_prefix=f"/{name}",
        )
    return app


@pytest.fixture
def templating(framework: ModuleType) -> Any:
    return importlib.import_module(f"{framework.__name__}.templating")


@pytest.fixture
def render(app: Any, framework: ModuleType) -> Callable[..., str]:
    """Render text within a request."""

    def render(source: str, path: str = "/", **context: Any) -> str:
        with app.test_request_context(path):
            text: str = framework.render_template_string(source, **context)
        return text

    return render


# -- finding ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("page.html", "<x>"),
        ("both.html", "application's"),
        ("one/own.html", "one's own"),
        ("two.html", "two's"),
        (["missing.html", "page.html"], "<x>"),
    ],
    ids=["inheritance", "application first", "blueprint", "second blueprint", "list"],
)
def test_a_template_is_found_in_the_application_then_in_blueprints(
    app: Any, framework: ModuleType, name: Any, expected: str
) -> None:
    with app.app_context():
        assert framework.render_template(name, text="x") == expected


def test_a_template_object_is_rendered_as_it_is(app: Any, framework: ModuleType) -> None:
    with app.app_context():
        template = app.jinja_env.from_string("{{ text }}")
        assert framework.render_template(template, text="x") == "x"
        assert framework.render_template([template], text="y") == "y"


@pytest.mark.parametrize(
    ("name", "error"),
    [("missing.html", jinja2.TemplateNotFound), (["a", "b"], jinja2.TemplatesNotFound)],
    ids=["name", "names"],
)
def test_a_missing_template_is_an_error(
    app: Any, framework: ModuleType, name: Any, error: type[Exception]
) -> None:
    with app.app_context():
        with pytest.raises(error):
            framework.render_template(name)
        with pytest.raises(error):
            framework.stream_template(name)


def test_all_templates_can_be_listed(app: Any) -> None:
    assert sorted(app.jinja_env.list_templates()) == [
        "base.html", "both.html", "one/own.html", "page.html", "plain.txt", "two.html",
    ]  # fmt: skip


def test_the_loader_gives_the_source_and_its_file(app: Any, folder: Path, templating: Any) -> None:
    loader = app.jinja_env.loader
    assert type(loader) is templating.DispatchingJinjaLoader
    text, file, is_fresh = loader.get_source(app.jinja_env, "two.html")
    assert (text, file, is_fresh()) == ("two's", str(folder / "two/templates/two.html"), True)
    owners = [owner for owner, _ in loader._iter_loaders("any")]
    assert owners == [app, *app.blueprints.values()]


def test_the_loader_can_be_replaced(app: Any, framework: ModuleType) -> None:
    app.create_global_jinja_loader = lambda: jinja2.DictLoader({"x": "from the dict"})
    with app.app_context():
        assert framework.render_template("x") == "from the dict"


# -- the context ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ request.path }} {{ request.args.a }}", "/page 1"),
        ("{{ g.word }}", "from g"),
        ("{{ session.word }}", "from the session"),
        ("{{ config.KEY }}", "configured"),
        ("{{ url_for('static', filename='a.css') }}", "/static/a.css"),
        ("{{ get_flashed_messages() }}", "[&#39;flashed&#39;]"),
        ("{{ injected }} {{ more }}", "1 {&#39;a&#39;: 2}"),
        ("{{ g is defined and missing is not defined }}", "True"),
    ],
    ids=["request", "g", "session", "config", "url_for", "flashed", "processor", "defined"],
)
def test_a_template_sees_the_request_and_its_surroundings(
    app: Any, framework: ModuleType, source: str, expected: str
) -> None:
    app.config["KEY"] = "configured"
    app.context_processor(lambda: {"injected": 1, "more": {"a": 2}})
    with app.test_request_context("/page?a=1"):
        framework.g.word = "from g"
        framework.session["word"] = "from the session"
        framework.flash("flashed")
        assert framework.render_template_string(source) == expected


def test_the_default_processor_gives_real_objects(
    app: Any, framework: ModuleType, templating: Any
) -> None:
    get = templating._default_template_ctx_processor
    assert get() == {}
    with app.app_context():
        assert get() == {"g": framework.g._get_current_object()}
    with app.test_request_context():
        found = get()
        assert list(found) == ["g", "request"]
        assert found["g"] is framework.g._get_current_object()
        assert found["request"] is framework.request._get_current_object()
        with app.app_context():
            inner = get()
            assert inner["g"] is framework.g._get_current_object()
            assert inner["g"] is not found["g"]
            assert inner["request"] is found["request"]


def test_rendering_outside_of_requests_has_the_application_only(
    app: Any, framework: ModuleType
) -> None:
    with app.app_context():
        text = "{{ config.DEBUG }} {{ g is defined }} {{ request is defined }}"
        assert framework.render_template_string(text) == "False True True"
    with pytest.raises(RuntimeError, match="Working outside of application context"):
        framework.render_template_string("")


def test_what_the_caller_passes_wins_over_processors(app: Any, render: Callable[..., str]) -> None:
    app.context_processor(lambda: {"a": "processor", "b": "processor", "g": "processor"})
    assert render("{{ a }} {{ b }} {{ g }}", a="caller") == "caller processor processor"
    assert render("{{ config }} {{ request }}", config=1, request=2) == "1 2"


def test_the_processors_of_a_blueprint_count_for_its_requests(
    app: Any, framework: ModuleType, folder: Path
) -> None:
    blueprint = framework.Blueprint("three", "three", root_path=str(folder))
    blueprint.context_processor(lambda: {"mine": "yes"})
    text = "{{ mine or 'no' }}"
    blueprint.add_url_rule("/in", "in", lambda: framework.render_template_string(text))
    app.register_blueprint(blueprint)
    app.add_url_rule("/out", "out", lambda: framework.render_template_string(text))
    client = app.test_client()
    assert (client.get("/in").text, client.get("/out").text) == ("yes", "no")


def test_using_the_session_in_a_template_varies_the_response(
    app: Any, framework: ModuleType
) -> None:
    app.add_url_rule(
        "/<name>", "show", lambda name: framework.render_template_string(f"{{{{ {name} }}}}")
    )
    client = app.test_client()
    assert "Cookie" not in client.get("/request").headers.get("Vary", "")
    assert client.get("/session").headers["Vary"] == "Cookie"


# -- escaping, filters and such ---------------------------------------------------------------


@pytest.mark.parametrize(("name", "expected"), [("page.html", "<&lt;b&gt;>"), ("plain.txt", "<b>")])
def test_the_suffix_decides_about_escaping(
    app: Any, framework: ModuleType, name: str, expected: str
) -> None:
    with app.app_context():
        assert framework.render_template(name, text="<b>") == expected
        assert framework.render_template(name, text=Markup("<b>")).count("<b>") == 1


@pytest.mark.parametrize("suffix", ["html", "htm", "xml", "xhtml", "svg", "txt", "js"])
def test_the_escaped_suffixes_are_flasks(app: Any, real_flask: ModuleType, suffix: str) -> None:
    expected = suffix not in {"txt", "js"}
    assert app.select_jinja_autoescape(f"a.{suffix}") is expected
    assert app.select_jinja_autoescape(None) is True


def test_text_is_escaped(render: Callable[..., str]) -> None:
    assert render("{{ text }} {{ text|safe }}", text="<b>") == "&lt;b&gt; <b>"
    assert render("{% autoescape false %}{{ text }}{% endautoescape %}", text="<b>") == "<b>"


def test_filters_tests_and_globals_can_be_added(app: Any, render: Callable[..., str]) -> None:
    app.add_template_filter(lambda s: s[::-1], "backwards")
    app.template_test("short")(lambda s: len(s) < 3)
    app.template_global("answer")(lambda: 42)
    text = "{{ 'abc'|backwards }} {{ 'ab' is short }} {{ answer() }}"
    assert render(text) == "cba True 42"


def test_json_in_a_template_is_safe_in_a_script(render: Callable[..., str]) -> None:
    text = render("{{ {'a': text}|tojson }}", text="</script>'&")
    assert text == '{"a": "\\u003c/script\\u003e\\u0027\\u0026"}'


# -- environments -----------------------------------------------------------------------------


def test_the_environment_can_be_subclassed(framework: ModuleType, templating: Any) -> None:
    class Environment(templating.Environment):
        def __init__(self, app: Any, **options: Any) -> None:
            super().__init__(app, **options)
            self.globals["word"] = "custom"

    class App(framework.Flask):
        jinja_environment = Environment

    app = App("templating_app")
    assert type(app.jinja_env) is Environment
    assert app.jinja_env.app is app
    with app.app_context():
        assert framework.render_template_string("{{ word }}") == "custom"


def test_an_environment_takes_the_loader_that_it_is_given(app: Any, templating: Any) -> None:
    loader = jinja2.DictLoader({"a": "b"})
    assert templating.Environment(app, loader=loader).get_template("a").render() == "b"
    assert templating.Environment(app).get_template("plain.txt").render(text=1) == "1"
    assert templating.Environment(app, trim_blocks=True).trim_blocks is True


def test_templates_of_users_run_in_jinjas_sandbox(app: Any, templating: Any) -> None:
    class Sandbox(SandboxedEnvironment, templating.Environment):
        pass

    users = Sandbox(app, autoescape=True)
    assert users.from_string("{{ name }}").render(name="<b>") == "&lt;b&gt;"
    for attack in ("{{ ''.__class__.__mro__ }}", "{{ f.__globals__.os }}"):
        with pytest.raises(SecurityError):
            users.from_string(attack).render(f=test_text_is_escaped)


def test_changed_templates_are_reloaded_if_asked_for(
    app: Any, framework: ModuleType, folder: Path
) -> None:
    app.config["TEMPLATES_AUTO_RELOAD"] = True
    with app.app_context():
        assert framework.render_template("plain.txt", text=1) == "1"
        path = folder / "app/templates/plain.txt"
        path.write_text("changed")
        os.utime(path, (1, 1))
        assert framework.render_template("plain.txt", text=1) == "changed"


# -- streams ----------------------------------------------------------------------------------


def test_a_template_is_streamed_piece_by_piece(app: Any, framework: ModuleType) -> None:
    taken: list[int] = []

    def numbers() -> Iterator[int]:
        for n in range(3):
            taken.append(n)
            yield n

    source = "{% for n in numbers %}{{ n }}{% endfor %}"
    with app.app_context():
        stream = framework.stream_template_string(source, numbers=numbers())
        assert isinstance(stream, GeneratorType)
        assert taken == []
        assert next(stream) == "0"
        assert len(taken) <= 2  # Jinja's loop looks one item ahead
        assert list(stream) == ["1", "2"]


@pytest.mark.parametrize("call", ["stream_template", "stream_template_string"])
def test_a_streamed_template_keeps_the_request(
    app: Any, framework: ModuleType, folder: Path, call: str
) -> None:
    source = "{{ request.args.a }} {{ session.word }} {{ g.word }} {{ config.X }}"
    (folder / "app/templates/stream.html").write_text(source)

    @app.get("/")
    def index() -> Any:
        framework.session["word"] = "s"
        framework.g.word = "g"
        name = "stream.html" if call == "stream_template" else source
        return getattr(framework, call)(name)

    app.config["X"] = "x"
    assert app.test_client().get("/?a=1").text == "1 s g x"


def test_signals_frame_the_stream(app: Any, framework: ModuleType) -> None:
    events: list[str] = []

    def before(sender: Any, **sent: Any) -> None:
        events.append("before")

    def after(sender: Any, **sent: Any) -> None:
        events.append("after")

    with framework.before_render_template.connected_to(before, app):
        with framework.template_rendered.connected_to(after, app), app.app_context():
            stream = framework.stream_template_string("{{ 1 }}{{ 2 }}")
            assert events == ["before"]
            assert "".join(stream) == "12"
            assert events == ["before", "after"]


# -- the module -------------------------------------------------------------------------------


def test_rendering_goes_through_the_module_so_that_it_can_be_watched(
    app: Any, framework: ModuleType, templating: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(templating, "_render", lambda app, template, context: (template, context))
    with app.app_context():
        template, context = framework.render_template("page.html", a=1)
    assert (template.name, context) == ("page.html", {"a": 1})


def test_jinja_is_loaded_when_a_class_of_it_is_asked_for(
    run_python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = run_python(
        "import sys, erlen, erlen.templating as t\n"
        "assert not [name for name in sys.modules if name.startswith('jinja2')]\n"
        "from erlen.templating import Environment, DispatchingJinjaLoader\n"
        "import jinja2\n"
        "assert issubclass(Environment, t.BaseEnvironment) and t.Template is jinja2.Template\n"
        "assert issubclass(DispatchingJinjaLoader, t.BaseLoader)\n"
        "assert t.TemplateNotFound is jinja2.TemplateNotFound\n"
        "assert t.Environment is Environment\n"
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_an_unknown_name_of_the_module_is_an_attribute_error(templating: Any) -> None:
    with pytest.raises(AttributeError, match="Nothing"):
        _ = templating.Nothing

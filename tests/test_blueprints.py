"""Blueprints are recorded and replayed, under names and prefixes, nested as deep as one likes."""

from __future__ import annotations

import typing as t

import pytest

import erlen
from erlen import Blueprint, Erlen
from erlen.blueprints import BlueprintSetupState
from erlen.errors import SetupError


def urls(app: Erlen) -> dict[str, str]:
    return {
        rule.endpoint: rule.rule for rule in app.url_map.iter_rules() if rule.endpoint != "static"
    }


PREFIXES = (
    ("none", None, "/x", "/x"),
    ("plain", "/p", "/x", "/p/x"),
    ("slash behind", "/p/", "/x", "/p/x"),
    ("slash behind, index", "/p/", "/", "/p/"),
    ("index", "/p", "/", "/p/"),
    ("empty rule", "/p", "", "/p"),
    ("variable", "/<lang>", "/x", "/<lang>/x"),
    ("root", "/", "/x", "/x"),
    ("empty", "", "/x", "/x"),
)


@pytest.mark.parametrize(
    ("prefix", "rule", "expected"), [row[1:] for row in PREFIXES], ids=[row[0] for row in PREFIXES]
)
def test_a_prefix_and_a_rule_meet_with_one_slash(
    framework: t.Any, prefix: str | None, rule: str, expected: str
) -> None:
    app = framework.Flask("x")
    bp = framework.Blueprint("bp", "x", url_prefix=prefix)
    bp.add_url_rule(rule, "view", lambda: "")
    app.register_blueprint(bp)
    assert urls(app) == {"bp.view": expected}


def test_options_of_the_registration_override_the_blueprints_own(framework: t.Any) -> None:
    app = framework.Flask("x", subdomain_matching=True)
    bp = framework.Blueprint("bp", "x", url_prefix="/own", url_defaults={"a": 1}, subdomain="own")
    bp.add_url_rule("/", "view", lambda **values: values)
    app.register_blueprint(bp)
    app.register_blueprint(
        bp, name="again", url_prefix="/given", url_defaults={"b": 2}, subdomain="given"
    )
    rules = {rule.endpoint: rule for rule in app.url_map.iter_rules()}
    assert (rules["bp.view"].rule, rules["bp.view"].defaults) == ("/own/", {"a": 1})
    assert (rules["again.view"].rule, rules["again.view"].defaults) == ("/given/", {"a": 1, "b": 2})
    assert (rules["bp.view"].subdomain, rules["again.view"].subdomain) == ("own", "given")


def test_blueprints_nest(framework: t.Any) -> None:
    app = framework.Flask("x")
    names = ("one", "two", "three", "four")
    made = [framework.Blueprint(name, "x", url_prefix=f"/{name}") for name in names]
    for bp in made:
        bp.add_url_rule("/", "view", lambda: framework.request.blueprints)
    for outer, inner in zip(made, made[1:], strict=False):
        outer.register_blueprint(inner)
    app.register_blueprint(made[0])
    assert urls(app)["one.two.three.four.view"] == "/one/two/three/four/"
    assert list(app.blueprints) == ["one", "one.two", "one.two.three", "one.two.three.four"]
    for _ in range(3):
        assert app.test_client().get("/one/two/three/").json == [
            "one.two.three",
            "one.two",
            "one",
        ]


def test_hooks_of_nested_blueprints_run_from_the_outside_in_and_back(framework: t.Any) -> None:
    app = framework.Flask("x")
    ran: list[str] = []
    outer, inner = framework.Blueprint("outer", "x"), framework.Blueprint("inner", "x")
    for owner, name in ((inner, "inner"), (app, "app"), (outer, "outer")):
        owner.before_request(lambda name=name: ran.append(f"before {name}"))
        owner.after_request(lambda r, name=name: ran.append(f"after {name}") or r)
        owner.teardown_request(lambda e, name=name: ran.append(f"teardown {name}"))
    inner.add_url_rule("/", "view", lambda: "view")
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    for _ in range(3):
        del ran[:]
        app.test_client().get("/")
        assert ran == [
            *("before app", "before outer", "before inner"),
            *("after inner", "after outer", "after app"),
            *("teardown inner", "teardown outer", "teardown app"),
        ]


def test_a_blueprint_may_be_registered_on_several_applications(framework: t.Any) -> None:
    bp = framework.Blueprint("bp", "x")
    first: list[bool] = []
    bp.record(lambda state: first.append(state.first_registration))
    bp.add_url_rule("/", "view", lambda: framework.current_app.name)
    for name in ("one", "two"):
        app = framework.Flask(name)
        app.register_blueprint(bp)
        assert app.test_client().get("/").text == name
    assert first == [True, True]


def test_what_is_recorded_once_runs_at_the_first_registration_of_an_application(
    framework: t.Any,
) -> None:
    bp = framework.Blueprint("bp", "x")
    ran: list[str] = []
    bp.record_once(lambda state: ran.append(f"once {state.name}"))
    bp.record(lambda state: ran.append(f"each {state.name}"))
    app = framework.Flask("x")
    app.register_blueprint(bp)
    app.register_blueprint(bp, name="again", url_prefix="/again")
    assert ran == ["once bp", "each bp", "each again"]


def test_a_setup_state_of_ones_own_is_used(framework: t.Any) -> None:
    base = framework.blueprints.BlueprintSetupState
    seen: list[t.Any] = []

    class State(base):  # type: ignore[misc, valid-type]
        def __init__(
            self, blueprint: t.Any, app: t.Any, options: t.Any, first_registration: bool
        ) -> None:
            super().__init__(blueprint, app, options, first_registration)
            seen.append((blueprint.name, options, first_registration))

        def add_url_rule(self, rule: str, *args: t.Any, **options: t.Any) -> None:
            super().add_url_rule(rule + "suffixed", *args, **options)

    class Own(framework.Blueprint):  # type: ignore[misc, name-defined]
        def make_setup_state(
            self, app: t.Any, options: t.Any, first_registration: bool = False
        ) -> t.Any:
            return State(self, app, options, first_registration)

    app, bp = framework.Flask("x"), Own("bp", "x")
    bp.add_url_rule("/", "view", lambda: "")
    app.register_blueprint(bp, own_option=5)
    assert seen == [("bp", {"own_option": 5}, True)]
    assert urls(app) == {"bp.view": "/suffixed"}


def test_a_setup_state_can_be_patched_on_the_instance(framework: t.Any) -> None:
    app, bp = framework.Flask("x"), framework.Blueprint("bp", "x", url_prefix="/p")

    def wrap(state: t.Any) -> None:
        original = state.add_url_rule
        state.add_url_rule = lambda rule, **options: original("/wrapped" + rule, **options)
        state.add_url_rule("/x", endpoint="x", view_func=lambda: "")

    bp.record(wrap)
    app.register_blueprint(bp)
    assert urls(app) == {"bp.x": "/p/wrapped/x"}


def test_the_state_shows_what_recorded_functions_need(app: Erlen) -> None:
    bp = Blueprint("bp", "x", url_prefix="/p", subdomain="s", url_defaults={"a": 1})
    states: list[BlueprintSetupState] = []
    bp.record(states.append)
    app.register_blueprint(bp, name="other", x=1)
    (state,) = states
    assert state.app is app
    assert state.blueprint is bp
    assert state.options == {"name": "other", "x": 1}
    assert (state.url_prefix, state.subdomain, state.url_defaults) == ("/p", "s", {"a": 1})
    assert (state.name, state.name_prefix, state.first_registration) == ("other", "", True)


NAMES = (
    ("dot", "a.b", "'name' may not contain a dot"),
    ("empty", "", "'name' may not be empty"),
)


@pytest.mark.parametrize(("name", "text"), [n[1:] for n in NAMES], ids=[n[0] for n in NAMES])
def test_unusable_names_are_refused(framework: t.Any, name: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        framework.Blueprint(name, "x")


def test_names_that_are_taken_are_refused(framework: t.Any) -> None:
    app, bp = framework.Flask("x"), framework.Blueprint("bp", "x")
    app.register_blueprint(bp)
    with pytest.raises(ValueError, match="already registered for this blueprint"):
        app.register_blueprint(bp)
    with pytest.raises(ValueError, match="already registered for a different blueprint"):
        app.register_blueprint(framework.Blueprint("bp", "y"))
    app.register_blueprint(bp, name="other")


def test_a_registered_blueprint_is_closed(framework: t.Any) -> None:
    bp = framework.Blueprint("bp", "x")
    framework.Flask("x").register_blueprint(bp)
    for change in (
        lambda: bp.route("/")(len),
        lambda: bp.before_request(len),
        lambda: bp.record(len),
        lambda: bp.errorhandler(404),
        lambda: bp.register_blueprint(framework.Blueprint("other", "x")),
        lambda: bp.app_template_filter("x"),
    ):
        with pytest.raises(AssertionError, match="has already been registered at least once"):
            change()


def test_methods_for_the_whole_application(framework: t.Any) -> None:
    app, bp = framework.Flask("x"), framework.Blueprint("bp", "x")
    ran: list[str] = []
    bp.before_app_request(lambda: ran.append("before"))
    bp.after_app_request(lambda response: ran.append("after") or response)
    bp.teardown_app_request(lambda error: ran.append("teardown"))
    bp.app_errorhandler(404)(lambda error: ("missing", 404))
    bp.app_context_processor(lambda: {"x": "from bp"})
    bp.app_url_defaults(lambda endpoint, values: values.setdefault("d", 1))
    bp.app_url_value_preprocessor(lambda endpoint, values: ran.append("preprocessor"))
    bp.app_template_filter("double")(lambda text: text * 2)
    bp.app_template_test("fine")(lambda value: True)
    bp.app_template_global("made")(lambda: "global")
    app.register_blueprint(bp)
    template = "{{ x|double }} {{ made() }} {{ 1 is fine }}"
    app.add_url_rule("/", "view", lambda: framework.render_template_string(template))
    app.add_url_rule("/url", "url", lambda: framework.url_for("view"))
    client = app.test_client()
    assert client.get("/").text == "from bpfrom bp global True"
    assert client.get("/url").text == "/?d=1"
    assert client.get("/nowhere").text == "missing"
    assert ran[:4] == ["preprocessor", "before", "after", "teardown"]


def test_an_empty_blueprint_can_be_registered(app: Erlen) -> None:
    app.register_blueprint(Blueprint("empty", "x"))
    assert list(app.iter_blueprints()) == [app.blueprints["empty"]]


def test_an_endpoint_taken_by_another_view_is_refused_with_places(app: Erlen) -> None:
    bp = Blueprint("bp", "x")
    bp.add_url_rule("/a", "same", lambda: "a")
    bp.add_url_rule("/b", "same", lambda: "b")
    with pytest.raises(SetupError, match=r"bp\.same") as caught:
        app.register_blueprint(bp)
    assert __file__ in str(caught.value)


def test_relative_endpoints_are_looked_up_in_the_current_blueprint(framework: t.Any) -> None:
    app, bp = framework.Flask("x"), framework.Blueprint("bp", "x", url_prefix="/p")
    bp.add_url_rule("/", "view", lambda: framework.url_for(".view"))
    app.register_blueprint(bp)
    for _ in range(3):
        assert app.test_client().get("/p/").text == "/p/"


def test_static_files_of_a_blueprint(app: Erlen, tmp_path: t.Any) -> None:
    (tmp_path / "a.txt").write_text("of the blueprint")
    bp = Blueprint(
        "bp", "x", static_folder=str(tmp_path), static_url_path="/files", url_prefix="/p"
    )
    app.register_blueprint(bp)
    for _ in range(3):
        with app.test_client().get("/p/files/a.txt") as answer:
            assert answer.text == "of the blueprint"
    with app.test_request_context():
        assert erlen.url_for("bp.static", filename="a.txt") == "/p/files/a.txt"

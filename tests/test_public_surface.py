"""Each public name, signature and default of Flask's modules exists in Erlen's.

Read off the real Flask that is installed. What differs is listed here with its reason.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from importlib import import_module
from subprocess import CompletedProcess
from types import ModuleType
from typing import Any

import pytest

flask = pytest.importorskip("flask", reason="Flask, which is compared with, is not installed")

MODULES = """
    app blueprints cli config ctx debughelpers globals helpers json json.provider json.tag logging
    sessions signals templating testing typing views wrappers
""".split()

#: Names that Flask's modules have because they import them from elsewhere in Flask. Under the alias
#: they are there (see the last test); Erlen's own modules need not have them.
IMPORTED = {
    "app": {
        *("App", "AppContext", "Environment", "RequestContext", "current_app", "request_ctx"),
        *("get_load_dotenv", "send_from_directory", "appcontext_tearing_down"),
        *("got_request_exception", "request_finished", "request_started", "request_tearing_down"),
    },
    "blueprints": {"AppGroup", "SansioBlueprint", "current_app", "send_from_directory"},
    "debughelpers": {"App", "Blueprint", "request_ctx"},
    "logging": {"request"},
    "templating": {"current_app", "request"},
    "testing": {"ScriptInfo", "SessionMixin"},
    "wrappers": {"current_app"},
}

#: Names of the type variables of a module: nothing but the module itself uses them.
OWN_VARIABLES = {"cli": {"F"}}

ALLOWED = {
    "app.Flask.__init__": "`docs`, by keyword only: the path of a documentation page",
    "app.Flask.__call__": "with a third argument it is an ASGI application",
    "app.Flask.wsgi_app": "a plain function whose first parameter has another name than `self`",
    "ctx._AppCtxGlobals.__setattr__": "the one of `object`; its parameters are positional only",
    "json.tag.TaggedJSONSerializer.__slots__": "one more slot, which remembers the fast path",
}

#: Parameters that constructors have beyond Flask's, by keyword only.
ADDED = {"app.Flask": {"docs"}}

#: What `inspect` calls a class's own business, or what Python itself puts there.
MACHINERY = {
    *("__module__", "__doc__", "__dict__", "__weakref__", "__annotations__", "__parameters__"),
    *("__abstractmethods__", "_abc_impl", "__orig_bases__", "__static_attributes__"),
    *("__firstlineno__", "__annotate__", "__annotate_func__", "__annotations_cache__"),
    *("__classdictcell__",),
}


def in_flask(value: Any) -> bool:
    """Whether a value is Flask's own, not Werkzeug's or the standard library's."""
    home = getattr(value, "__module__", None) or ""
    return home.partition(".")[0] == "flask" or type(value).__module__.startswith(
        ("blinker", "werkzeug.local", "flask")
    )


def public_names(module: ModuleType) -> list[str]:
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not inspect.ismodule(value) and in_flask(value)
    ]


def counterpart(name: str) -> ModuleType:
    return import_module(f"erlen.{name}" if name else "erlen")


def parameters(value: Any) -> list[tuple[str, Any, Any]] | None:
    """Names, kinds and defaults; a default that is an object of its own counts as its class."""
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return None
    return [(p.name, p.kind, comparable(p.default)) for p in signature.parameters.values()]


def comparable(value: Any) -> Any:
    """A value if it can be compared across frameworks, else the name of its class."""
    if isinstance(value, (bool, int, float, str, bytes, type(None))):
        return value
    if isinstance(value, (tuple, list, set, frozenset)):
        return type(value)(comparable(item) for item in value)
    if isinstance(value, dict):
        return {key: comparable(item) for key, item in value.items()}
    if inspect.isclass(value):
        return "class Erlen" if value.__name__ == "Flask" else f"class {value.__name__}"
    return f"a {type(value).__name__}"


def members(cls: type) -> Iterator[str]:
    """The names of a class that Flask defines, in it or in a base."""
    own = {name for base in cls.__mro__ if in_flask(base) for name in vars(base)}
    for name in sorted(own - MACHINERY):
        if not name.startswith("_") or (name.startswith("__") and name.endswith("__")):
            yield name


CLASSES = [
    pytest.param(module, name, id=f"{module}.{name}")
    for module in MODULES
    for name, value in sorted(vars(import_module(f"flask.{module}")).items())
    if inspect.isclass(value) and value.__module__ == f"flask.{module}"
]
FUNCTIONS = [
    pytest.param(module, name, id=f"{module}.{name}")
    for module in MODULES
    for name, value in sorted(vars(import_module(f"flask.{module}")).items())
    if inspect.isfunction(value)
    and value.__module__ == f"flask.{module}"
    and not name.startswith("_")
]


@pytest.mark.parametrize("module", ["", *MODULES], ids=["flask", *MODULES])
def test_a_module_has_the_public_names_of_flasks(module: str) -> None:
    wanted = set(public_names(import_module(f"flask.{module}" if module else "flask")))
    ours = counterpart(module)
    missing = {name for name in wanted if not hasattr(ours, name)}
    allowed = IMPORTED.get(module, set()) | OWN_VARIABLES.get(module, set())
    assert missing <= allowed <= wanted


@pytest.mark.parametrize(("module", "name"), FUNCTIONS)
def test_a_function_takes_the_parameters_of_flasks(module: str, name: str) -> None:
    theirs = getattr(import_module(f"flask.{module}"), name)
    assert parameters(getattr(counterpart(module), name)) == parameters(theirs)


@pytest.mark.parametrize(("module", "name"), CLASSES)
def test_a_class_has_the_members_of_flasks(module: str, name: str) -> None:
    theirs = getattr(import_module(f"flask.{module}"), name)
    ours = getattr(counterpart(module), name)
    added = ADDED.get(f"{module}.{name}", set())
    mine = parameters(ours) or []
    assert {each[0] for each in mine if each[1] is inspect.Parameter.KEYWORD_ONLY} >= added
    assert [each for each in mine if each[0] not in added] == (parameters(theirs) or [])
    differing = set()
    for member in members(theirs):
        if not hasattr(ours, member):
            differing.add(member)
            continue
        static = inspect.getattr_static(theirs, member)
        wanted, found = getattr(theirs, member), getattr(ours, member)
        if callable(wanted) and not inspect.isclass(wanted):
            same = parameters(found) == parameters(wanted)
        elif hasattr(static, "__get__"):  # computed for each object: a property or the like
            same = hasattr(inspect.getattr_static(ours, member), "__get__")
        else:
            same = comparable(found) == comparable(wanted)
        if not same:
            differing.add(member)
    prefix = f"{module}.{name}."
    assert differing == {
        entry.removeprefix(prefix) for entry in ALLOWED if entry.startswith(prefix)
    }


def test_the_settings_and_their_defaults_are_flasks() -> None:
    from erlen import Erlen

    assert dict(Erlen.default_config) == dict(flask.Flask.default_config)


def test_objects_have_the_attributes_that_flasks_have() -> None:
    """Attributes that constructors set are seen on an object only."""
    from erlen import Blueprint, Erlen

    for ours, theirs in (
        (Erlen("x"), flask.Flask("x")),
        (Blueprint("b", "x"), flask.Blueprint("b", "x")),
    ):
        wanted = {name for name in vars(theirs) if not name.startswith("_")}
        assert {name for name in wanted if not hasattr(ours, name)} == set()


# Beyond the documented ones: what extensions and applications have been seen to use.

PRIVATE = {
    "globals": "_cv_app _cv_request app_ctx request_ctx",
    "ctx": "AppContext RequestContext _AppCtxGlobals",
    "helpers": "_endpoint_from_view_func get_root_path get_debug_flag",
    "app": "Rule",
    "blueprints": "BlueprintSetupState",
    "cli": (
        "AppGroup FlaskGroup ScriptInfo NoAppException cli click find_best_app get_version"
        " load_dotenv locate_app prepare_import run_command with_appcontext"
    ),
    "config": "Config ConfigAttribute",
    "json.provider": "JSONProvider DefaultJSONProvider _default",
    "json.tag": (
        "TaggedJSONSerializer JSONTag PassDict PassList TagBytes TagDateTime TagDict TagMarkup"
        " TagTuple TagUUID"
    ),
    "sessions": (
        "SessionInterface SessionMixin NullSession SecureCookieSession"
        " SecureCookieSessionInterface session_json_serializer"
    ),
    "signals": "Namespace",
    "testing": "FlaskClient FlaskCliRunner EnvironBuilder",
    "templating": "DispatchingJinjaLoader _render",
    "debughelpers": "DebugFilesKeyError",
    "views": "http_method_funcs",
    "logging": "default_handler has_level_handler wsgi_errors_stream",
    "typing": "ResponseReturnValue ResponseValue HeadersValue RouteCallable",
}
PRIVATE_MEMBERS = {
    "app.Flask": (
        "_check_setup_finished _find_error_handler _method_route _get_exc_class_and_code"
    ),
    "blueprints.Blueprint": "_merge_blueprint_funcs make_setup_state",
    "json.tag.TaggedJSONSerializer": "_untag_scan",
    "testing.FlaskClient": "_request_from_builder_args _add_cookies_to_wsgi _copy_environ",
}


@pytest.mark.parametrize("module", PRIVATE)
def test_names_that_extensions_reach_for_are_there(module: str) -> None:
    for name in PRIVATE[module].split():
        assert hasattr(import_module(f"flask.{module}"), name) or (module, name) == (
            "helpers",
            "_endpoint_from_view_func",  # Flask has it in `flask.sansio.scaffold`
        )
        assert hasattr(counterpart(module), name), f"{module}.{name}"


@pytest.mark.parametrize("place", PRIVATE_MEMBERS)
def test_members_that_extensions_reach_for_are_there(place: str) -> None:
    module, _, cls = place.rpartition(".")
    for name in PRIVATE_MEMBERS[place].split():
        theirs = getattr(getattr(import_module(f"flask.{module}"), cls), name)
        ours = getattr(getattr(counterpart(module), cls), name)
        assert not callable(theirs) or parameters(ours) == parameters(theirs), f"{place}.{name}"


def test_contexts_and_clients_have_the_attributes_that_extensions_reach_for() -> None:
    from erlen import Erlen, current_app, g, request, session
    from erlen.globals import app_ctx, request_ctx

    app = Erlen("x")
    assert app._got_first_request is flask.Flask("x")._got_first_request is False
    assert app.test_client()._cookies == {}
    with app.test_request_context() as ctx:
        assert ctx._after_request_functions == []
        assert len(ctx._cv_tokens) == 1
        for proxy in (app_ctx, request_ctx, current_app, g, request, session):
            assert proxy._get_current_object() is not None


# Under the alias

STANDARD_LIBRARY_AND_OWN_BUSINESS = {
    *("iscoroutinefunction chain TracebackType _url_quote timedelta update_wrapper".split()),
    *("itemgetter ModuleType F _path_is_ancestor ContextVar datetime contextmanager".split()),
    *("ExitStack copy urlsplit _werkzeug_version".split()),
}


def test_under_the_alias_each_module_has_every_name_of_flasks(
    run_python: Callable[..., CompletedProcess[str]],
) -> None:
    places = [*MODULES, "sansio.app", "sansio.blueprints", "sansio.scaffold"]
    wanted = [
        (f"flask.{place}", name)
        for place in places
        for name, value in vars(import_module(f"flask.{place}")).items()
        if not name.startswith("__") and not inspect.ismodule(value)
    ]
    done = run_python(
        "from erlen.compat import install; install()\n"
        "from importlib import import_module\n"
        f"for module, name in {wanted!r}:\n"
        "    if not hasattr(import_module(module), name): print(name)"
    )
    assert done.stderr == ""
    assert set(done.stdout.split()) <= STANDARD_LIBRARY_AND_OWN_BUSINESS

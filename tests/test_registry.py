"""Registries tell when they change; foreign containers in their place are watched instead."""

from __future__ import annotations

import copy
import pickle
import typing as t
from collections import OrderedDict, defaultdict, deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from erlen import Blueprint, Erlen
from erlen.engine.registry import HookDict, HookList, ViewDict, fingerprint, foreign

LIST_CHANGES: dict[str, t.Callable[[list[t.Any]], t.Any]] = {
    "append": lambda held: held.append(3),
    "extend": lambda held: held.extend([3, 4]),
    "insert": lambda held: held.insert(0, 3),
    "remove": lambda held: held.remove(1),
    "pop": lambda held: held.pop(),
    "clear": lambda held: held.clear(),
    "sort": lambda held: held.sort(),
    "reverse": lambda held: held.reverse(),
    "item set": lambda held: held.__setitem__(0, 5),
    "slice set": lambda held: held.__setitem__(slice(0, 1), [7, 8]),
    "item deleted": lambda held: held.__delitem__(0),
    "added in place": lambda held: held.__iadd__([5]),
    "multiplied in place": lambda held: held.__imul__(2),
}
DICT_CHANGES: dict[str, t.Callable[[dict[t.Any, t.Any]], t.Any]] = {
    "item set": lambda held: held.__setitem__("c", 3),
    "item deleted": lambda held: held.__delitem__("a"),
    "update": lambda held: held.update(c=3),
    "setdefault": lambda held: held.setdefault("c", 3),
    "pop": lambda held: held.pop("a"),
    "popitem": lambda held: held.popitem(),
    "clear": lambda held: held.clear(),
    "or in place": lambda held: held.__ior__({"c": 3}),
}


@pytest.fixture
def calls() -> list[None]:
    return []


@pytest.mark.parametrize("change", LIST_CHANGES.values(), ids=LIST_CHANGES)
def test_a_hook_list_changes_as_a_list_and_tells(
    change: t.Callable[[t.Any], t.Any], calls: list[None]
) -> None:
    told, plain = HookList(lambda: calls.append(None)), [2, 1]
    told.extend(plain)
    del calls[:]
    results = [change(told), change(plain)]
    assert told == plain
    assert calls
    assert results[0] == results[1]


@pytest.mark.parametrize("kind", [HookDict, ViewDict])
@pytest.mark.parametrize("change", DICT_CHANGES.values(), ids=DICT_CHANGES)
def test_a_registry_changes_as_a_dict_and_tells(
    kind: type[t.Any], change: t.Callable[[t.Any], t.Any], calls: list[None]
) -> None:
    told, plain = kind(lambda: calls.append(None)), {"a": 1, "b": 2}
    told.update(plain)
    del calls[:]
    results = [change(told), change(plain)]
    assert told == plain
    assert calls
    assert results[0] == results[1]


@pytest.mark.parametrize("kind", [HookDict, ViewDict])
def test_a_change_that_fails_raises_what_a_dict_raises(kind: type[t.Any]) -> None:
    registry = kind(lambda: None)
    with pytest.raises(KeyError, match="missing"):
        registry.pop("missing")
    with pytest.raises(TypeError):
        registry.update(5)


def test_a_missing_name_starts_a_list_that_tells(calls: list[None]) -> None:
    registry = HookDict(lambda: calls.append(None))
    held = registry["blueprint"]
    del calls[:]
    held.append(print)
    assert registry == {"blueprint": [print]}
    assert len(calls) == 1


def test_copies_are_ordinary_and_tell_nobody(calls: list[None]) -> None:
    registry = HookDict(lambda: calls.append(None))
    registry[None].append(len)
    del calls[:]
    for made in (
        copy.copy(registry),
        copy.deepcopy(registry),
        registry.copy(),
        pickle.loads(pickle.dumps(registry)),
    ):
        assert made == {None: [len]}
        made["other"].append(max)
        assert registry == {None: [len]}
    assert not calls


FOREIGN: dict[str, t.Callable[[], t.Any]] = {
    "dict": lambda: {None: [len]},
    "defaultdict": lambda: defaultdict(list, {None: [len]}),
    "OrderedDict": lambda: OrderedDict({None: [len]}),
    "dict of tuples": lambda: {None: (len,)},
    "dict of deques": lambda: {None: deque([len])},
}


@pytest.mark.parametrize("make", FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_registry_is_known_by_its_content(make: t.Callable[[], t.Any]) -> None:
    registry = make()
    assert foreign([registry], lambda: None) == [registry]
    before = fingerprint([registry])
    assert fingerprint([registry]) == before
    registry[None] = [*registry[None], max]
    assert fingerprint([registry]) != before


def test_a_registry_is_foreign_while_it_holds_a_plain_list() -> None:
    def changed() -> None: ...

    registry = HookDict(changed)
    registry[None].append(len)
    assert foreign([registry], changed) == []
    registry["x"] = [len]
    assert foreign([registry], changed) == [registry]
    del registry["x"]
    assert foreign([registry], changed) == []


def test_a_registry_of_another_application_is_foreign() -> None:
    first, second = Erlen("first"), Erlen("second")
    ran: list[str] = []
    second.route("/")(lambda: "second")
    second.before_request_funcs = first.before_request_funcs
    client = second.test_client()
    client.get("/")
    first.before_request_funcs[None].append(lambda: ran.append("hook"))
    client.get("/")
    client.get("/")
    assert ran == ["hook", "hook"]


@pytest.mark.parametrize(
    "change",
    [
        lambda app: app.before_request_funcs[None].append(len),
        lambda app: app.after_request_funcs.setdefault("bp", []),
        lambda app: app.teardown_request_funcs.clear(),
        lambda app: app.url_value_preprocessors[None].clear(),
        lambda app: app.view_functions.update(x=len),
        lambda app: app.config.update(X=1),
        lambda app: app.url_map.add(app.url_rule_class("/x", endpoint="x")),
        lambda app: setattr(app, "handle_exception", len),
        lambda app: setattr(app, "debug", True),
    ],
    ids=[
        *("before", "after", "teardown", "preprocessors", "views", "config", "map"),
        *("method", "debug"),
    ],
)
def test_every_kind_of_change_has_the_program_compiled_anew(
    app: Erlen, change: t.Callable[[Erlen], t.Any]
) -> None:
    app.prepare()
    program = app._program
    assert app._current_program() is program
    change(app)
    assert app._current_program() is not program


def test_without_changes_the_program_stays(app: Erlen) -> None:
    app.route("/")(lambda: "x")
    app.prepare()
    program = app._program
    for _ in range(3):
        app.test_client().get("/")
    assert program is not None
    assert app._program is program


# Random writes: whatever is done to the registries of both frameworks has the same effect.

NAMES = (None, "bp", "bp.inner", "unknown")
REGISTRIES = ("before_request_funcs", "after_request_funcs", "teardown_request_funcs")
Write = tuple[str, str, t.Any, int]
OPERATIONS = (
    *("append", "insert", "extend", "pop", "reverse", "slice", "remove", "clear", "double"),
    *("setdefault", "assign list", "assign tuple", "assign dict", "delete name", "swap"),
    *("kept append", "kept pop", "registry clear", "update", "replace all", "same again"),
)


class World:
    """An application of one framework, and what its hooks did."""

    def __init__(self, flask: t.Any) -> None:
        self.ran: list[str] = []
        self.kept: list[t.Any] = []
        self.app = flask.Flask("random", root_path="/nonexistent")
        bp, inner = flask.Blueprint("bp", "x"), flask.Blueprint("inner", "x")
        for owner, path in ((self.app, "/"), (bp, "/bp"), (inner, "/inner")):
            owner.add_url_rule(path, endpoint="view", view_func=lambda: "view")
        bp.register_blueprint(inner)
        self.app.register_blueprint(bp)

    def hook(self, number: int) -> t.Callable[..., t.Any]:
        def run(*args: t.Any) -> t.Any:
            self.ran.append(str(number))
            return args[0] if args and hasattr(args[0], "headers") else None

        return run

    def held(self, registry: t.Any, name: t.Any) -> list[t.Any]:
        """A list to change; a tuple in its place is made one."""
        found = registry.setdefault(name, [])
        if isinstance(found, tuple):
            found = registry[name] = list(found)
        return t.cast("list[t.Any]", found)

    def write(self, operation: str, attribute: str, name: t.Any, number: int) -> None:
        registry = getattr(self.app, attribute)
        hook = self.hook(number)
        match operation:
            case "append":
                self.held(registry, name).append(hook)
            case "insert":
                self.held(registry, name).insert(0, hook)
            case "extend":
                self.held(registry, name).extend([hook, self.hook(-number)])
            case "pop" if registry.get(name):
                self.held(registry, name).pop()
            case "reverse":
                self.held(registry, name).reverse()
            case "slice":
                self.held(registry, name)[:1] = [hook]
            case "remove" if registry.get(name):
                held = self.held(registry, name)
                held.remove(held[0])
            case "clear":
                self.held(registry, name).clear()
            case "double":
                held = self.held(registry, name)
                held *= 2
                del held[8:]
            case "setdefault":
                self.kept = registry.setdefault(name, [])
            case "assign list":
                self.kept = registry[name] = [hook]
            case "assign tuple":
                registry[name] = (hook,)
            case "assign dict":
                setattr(self.app, attribute, {key: list(h) for key, h in registry.items()})
            case "delete name":
                registry.pop(name, None)
            case "swap":
                registry[name], registry["bp"] = registry.get("bp", []), registry.get(name, [])
            case "kept append" if isinstance(self.kept, list):
                self.kept.append(hook)
            case "kept pop" if self.kept and isinstance(self.kept, list):
                self.kept.pop()
            case "registry clear":
                registry.clear()
            case "update":
                registry.update({name: [hook]})
            case "replace all":
                made: t.Any = defaultdict(list)
                self.kept = made[name]
                made[name].append(hook)
                setattr(self.app, attribute, made)
            case "same again":
                setattr(self.app, attribute, registry)

    def ask(self) -> list[tuple[str, list[str]]]:
        seen = []
        client = self.app.test_client()
        for path in ("/", "/bp", "/inner", "/missing"):
            del self.ran[:]
            status = client.get(path).status
            seen.append((status, list(self.ran)))
        return seen


@settings(max_examples=80)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(OPERATIONS),
            st.sampled_from(REGISTRIES),
            st.sampled_from(NAMES),
            st.integers(1, 99),
        ),
        max_size=12,
    ),
    st.sets(st.integers(0, 12)),
)
def test_random_writes_have_the_effect_that_they_have_in_flask(
    writes: list[Write], asked_after: set[int]
) -> None:
    flask = pytest.importorskip("flask", reason="Flask is not installed")
    import erlen

    theirs, ours = World(flask), World(erlen)
    for number, write in enumerate(writes):
        theirs.write(*write)
        ours.write(*write)
        if number in asked_after:
            assert ours.ask() == theirs.ask()
    assert ours.ask() == theirs.ask()
    assert ours.ask() == theirs.ask()


def test_registries_of_a_blueprint_are_copied_when_it_is_registered(app: Erlen) -> None:
    ran: list[str] = []
    bp = Blueprint("bp", "x")
    bp.before_request(lambda: ran.append("registered"))
    bp.route("/")(lambda: "x")
    app.register_blueprint(bp)
    bp.before_request_funcs[None].append(lambda: ran.append("too late"))
    app.test_client().get("/")
    assert ran == ["registered"]

"""What is written to the application directly, before or after its first request, counts."""

from __future__ import annotations

import typing as t
from collections import defaultdict, deque

from .harness import Case, Cases, Framework, get

cases = Cases()
Log = list[t.Any]
Function = t.Callable[..., t.Any]


def hook(app: t.Any, tag: str) -> Function:
    """A function that fits every registry: before, after, teardown, preprocessor, processor."""

    def run(*args: t.Any) -> t.Any:
        app.log.append(tag)
        return args[0] if len(args) == 1 and hasattr(args[0], "headers") else None

    t.cast("t.Any", run).tag = tag
    return run


def plain_app(fw: Framework, log: Log) -> t.Any:
    app = fw.app()
    app.log = log
    bp = fw.Blueprint("bp", __name__, url_prefix="/bp")
    for owner in (app, bp):
        owner.add_url_rule("/", endpoint="index", view_func=lambda: "index")
        owner.add_url_rule("/boom", endpoint="boom", view_func=lambda: 1 / 0)
    app.register_blueprint(bp)
    return app


ASK = (get("/"), get("/bp/"), get("/boom"), get("/nothing"))
REGISTRIES = ("before_request_funcs", "after_request_funcs", "teardown_request_funcs")
Write = t.Callable[[t.Any, str], t.Any]


def _in_place(registry: t.Any, app: t.Any) -> None:
    registry[None] = [hook(app, "1"), hook(app, "2"), hook(app, "3")]
    registry[None].sort(key=lambda function: function.tag, reverse=True)
    registry[None].reverse()
    registry[None][0:2] = [hook(app, "sliced")]
    registry[None] *= 2
    registry[None] += [hook(app, "added")]
    registry[None].insert(0, hook(app, "inserted"))
    del registry[None][1]


def _kept_list(app: t.Any, name: str) -> None:
    app.kept = getattr(app, name).setdefault(None, [])
    app.kept.append(hook(app, "through a kept list"))


def _foreign_list(app: t.Any, name: str) -> None:
    app.kept = [hook(app, "of a plain list")]
    getattr(app, name)[None] = app.kept


def _foreign_dict(app: t.Any, name: str) -> None:
    app.kept = [hook(app, "of a plain dict")]
    setattr(app, name, {None: app.kept, "bp": [hook(app, "of bp")]})


def _foreign_defaultdict(app: t.Any, name: str) -> None:
    made: t.Any = defaultdict(list)
    app.kept = made[None]
    setattr(app, name, made)
    app.kept.append(hook(app, "of a defaultdict"))


def _tuple(app: t.Any, name: str) -> None:
    getattr(app, name)[None] = (hook(app, "of a tuple"),)


def _deque(app: t.Any, name: str) -> None:
    app.kept = getattr(app, name)[None] = deque([hook(app, "of a deque")])


def _update(app: t.Any, name: str) -> None:
    getattr(app, name).update({None: [hook(app, "updated")], "bp": [hook(app, "of bp")]})


def _ior(app: t.Any, name: str) -> None:
    registry = getattr(app, name)
    registry |= {None: [hook(app, "or")], "bp": [hook(app, "of bp")]}


def _bp(app: t.Any, name: str) -> None:
    getattr(app, name)["bp"].append(hook(app, "bp"))
    getattr(app, name).setdefault("bp", []).insert(0, hook(app, "bp first"))


def _of_the_blueprint(app: t.Any, name: str) -> None:
    getattr(app.blueprints["bp"], name).setdefault(None, []).append(hook(app, "too late"))


def _pop(app: t.Any, name: str) -> None:
    getattr(app, name)[None].append(hook(app, "popped"))
    getattr(app, name)["bp"].append(hook(app, "stays"))
    getattr(app, name).pop(None)


def _clear(app: t.Any, name: str) -> None:
    getattr(app, name)[None].append(hook(app, "cleared"))
    getattr(app, name).clear()


def _empty(app: t.Any, name: str) -> None:
    getattr(app, name)[None].append(hook(app, "gone"))
    del getattr(app, name)[None][:]
    getattr(app, name)["bp"].append(hook(app, "gone"))
    getattr(app, name)["bp"].clear()


def _nested_fill(app: t.Any, name: str) -> None:
    registry = getattr(app, name)
    registry["unknown"].append(hook(app, "never"))
    registry[None].extend(hook(app, f"extended {n}") for n in range(2))


def _same_function_twice(app: t.Any, name: str) -> None:
    twice = hook(app, "twice")
    getattr(app, name)[None] += [twice, twice]


def _copy(app: t.Any, name: str) -> None:
    getattr(app, name)[None].append(hook(app, "copied"))
    copied = {key: list(held) for key, held in getattr(app, name).items()}
    setattr(app, name, copied)
    app.kept = copied[None]


WRITES: dict[str, Write] = {
    "append": lambda app, name: getattr(app, name)[None].append(hook(app, "appended")),
    "setdefault": lambda app, name: (
        getattr(app, name).setdefault(None, []).append(hook(app, "setdefault"))
    ),
    "every list method": lambda app, name: _in_place(getattr(app, name), app),
    "a kept list": _kept_list,
    "a plain list": _foreign_list,
    "a plain dict": _foreign_dict,
    "a defaultdict": _foreign_defaultdict,
    "a tuple": _tuple,
    "a deque": _deque,
    "update": _update,
    "or": _ior,
    "the blueprint's key": _bp,
    "the blueprint's own": _of_the_blueprint,
    "pop": _pop,
    "clear": _clear,
    "emptied lists": _empty,
    "an unknown blueprint": _nested_fill,
    "the same function twice": _same_function_twice,
    "a copy": _copy,
}


def registry_case(name: str, write: Write, registry: str) -> None:
    def step(app: t.Any) -> None:
        write(app, registry)

    def more(app: t.Any) -> None:
        kept = getattr(app, "kept", None)
        if kept is not None:
            kept.append(hook(app, "later"))

    def replace(app: t.Any) -> None:
        kept = getattr(app, "kept", None)
        if isinstance(kept, list):
            kept[0] = hook(app, "replaced")

    def fewer(app: t.Any) -> None:
        kept = getattr(app, "kept", None)
        if kept is not None:
            kept.pop()

    changes = [x for change in (more, replace, fewer) for x in (change, *ASK)]
    for label, steps in (
        ("before", (step, *ASK, *changes)),
        ("after", (*ASK, step, *ASK, *changes)),
    ):
        title = f"{registry}: {name}, {label} the first request"
        cases.append(Case(title, plain_app, steps, False, True))


for write_name, write in WRITES.items():
    for registry in REGISTRIES:
        registry_case(write_name, write, registry)


def _teardown_appcontext(app: t.Any) -> None:
    app.teardown_appcontext_funcs.append(hook(app, "teardown_appcontext"))


def _teardown_appcontext_assigned(app: t.Any) -> None:
    app.kept = app.teardown_appcontext_funcs = [hook(app, "assigned")]


def _later(app: t.Any) -> None:
    app.kept.append(hook(app, "later"))


def _preprocessors(app: t.Any) -> None:
    app.url_value_preprocessors[None].append(lambda endpoint, values: app.log.append(endpoint))
    app.url_value_preprocessors["bp"].append(lambda endpoint, values: app.log.append("bp"))


def _handlers(app: t.Any) -> None:
    app.error_handler_spec[None][404][app.not_found] = lambda error: ("own 404", 404)
    app.error_handler_spec[None][None][ZeroDivisionError] = lambda error: ("zero", 500)
    app.error_handler_spec["bp"][None][ArithmeticError] = lambda error: ("bp zero", 500)


def _handlers_replaced(app: t.Any) -> None:
    app.error_handler_spec = {None: {None: {Exception: lambda error: (repr(error), 299)}}}


@cases.case(
    _teardown_appcontext,
    *ASK,
    _teardown_appcontext,
    *ASK,
    _teardown_appcontext_assigned,
    *ASK,
    _later,
    *ASK,
    fails=True,
)
def teardown_functions_of_the_app_context(fw: Framework, log: Log) -> t.Any:
    return plain_app(fw, log)


@cases.case(*ASK, _preprocessors, *ASK, _handlers, *ASK, _handlers_replaced, *ASK, fails=True)
def preprocessors_and_error_handlers(fw: Framework, log: Log) -> t.Any:
    from werkzeug.exceptions import NotFound

    app = plain_app(fw, log)
    app.not_found = NotFound
    return app


def _views_replaced(app: t.Any) -> None:
    app.view_functions = {}


def _views_kept(app: t.Any) -> None:
    app.kept = app.view_functions = {"index": lambda: "kept", "bp.index": lambda: "bp kept"}


def _views_kept_change(app: t.Any) -> None:
    app.kept["index"] = lambda: "changed"


@cases.case(
    *ASK,
    lambda app: app.view_functions.__setitem__("index", lambda: "other"),
    *ASK,
    lambda app: app.view_functions.update({"bp.index": lambda: "other in bp"}),
    *ASK,
    lambda app: app.view_functions.pop("index"),
    *ASK,
    lambda app: app.view_functions.setdefault("index", lambda: "back"),
    *ASK,
    lambda app: app.view_functions.__delitem__("index"),
    *ASK,
    _views_replaced,
    *ASK,
    _views_kept,
    *ASK,
    _views_kept_change,
    *ASK,
    fails=True,
)
def view_functions(fw: Framework, log: Log) -> t.Any:
    return plain_app(fw, log)


def _wrap_views(app: t.Any) -> None:
    for endpoint, view in app.view_functions.items():
        app.view_functions[endpoint] = lambda view=view: f"wrapped {view()}"


@cases.case(*ASK, _wrap_views, *ASK, fails=True)
def views_wrapped_in_place(fw: Framework, log: Log) -> t.Any:
    return plain_app(fw, log)


@cases.parametrize()
def test_writes_to_the_application_count_as_in_flask(case: Case) -> None:
    case.check()

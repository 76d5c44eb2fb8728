"""Puts predictors at routes: the endpoint, its description, its page and its place in serving."""

from __future__ import annotations

import json
import re
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module

from pydantic import PydanticUserError, TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic_core import SchemaError

from ..api.params import Body
from ..api.problems import Problem
from ..errors import SetupError
from ..paths import caller_place
from .life import Model, beside
from .predictor import MISSING, read_predictor
from .served import Served

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from ..errors import Place
    from ..scaffold import Scaffold
    from .predictor import Definition

#: When a model is loaded: when serving starts, then but on a thread beside, for the first request.
LOADS = ("start", "background", "first")
#: Options of a predictor that its batcher gets.
_BATCHING = ("max_size", "max_queue", "pure", "deadline", "collate", "workers")
_OWN = ("endpoint", "page", "examples", "title", "description", "max_body", "load", *_BATCHING)
#: Options of a route that say who may call it, and on which host it is.
_GUARDS = ("dependencies", "host", "subdomain")
_KEPT = "erlen.ml"


@dataclass
class Serving:
    """The predictors of one application."""

    app: t.Any
    served: list[Served] = field(default_factory=list)
    #: Those that are loaded when serving starts, and how.
    loads: dict[int, str] = field(default_factory=dict)
    #: Paths of the health routes; `None` until somebody says, and `()` for none.
    health: tuple[str, ...] | None = None
    is_stopping: bool = False
    #: Whether there are metrics.
    watches: bool = False

    @classmethod
    def of(cls, app: t.Any) -> Serving:
        """That of an application, which from then on is started and stopped with it."""
        kept = app.extensions.get(_KEPT)
        if kept is None:
            kept = app.extensions[_KEPT] = cls(app)
            app.before_serving(kept.start)
            app.after_serving(kept.stop)
        return t.cast("Serving", kept)

    def add(self, served: Served, load: str) -> None:
        self.served.append(served)
        self.loads[id(served)] = load
        if self.watches:
            self._watch()

    def _watch(self) -> None:
        from .metrics import watch_all, watch_requests

        watch_all()
        for each in self.served:
            watch_requests(each)

    def start(self) -> None:
        """Load the models."""
        from .health import add_health

        self.is_stopping = False
        if self.health is None:
            add_health(self)
        for each in self.served:
            load = self.loads[id(each)]
            each.open()
            if load == "start":
                beside(each.model.ensure)
            elif load == "background":
                each.model.ensure_beside()
        if self.watches:
            self._watch()

    def stop(self) -> None:
        """Answer what waits, and take no more."""
        self.is_stopping = True
        for each in self.served:
            each.stop()

    @property
    def models(self) -> list[Model]:
        return [each.model for each in self.served]


def register(scaffold: Scaffold, rule: str, predictor: t.Any, options: dict[str, t.Any]) -> t.Any:
    """Serve a predictor at a route of an application or blueprint. Raises SetupError.

    Without a predictor it is a decorator.
    """
    place = caller_place()
    if predictor is None:
        return lambda given: _decorated(scaffold, rule, given, options, place)
    return _serve(scaffold, rule, predictor, options, place)


def _decorated(
    scaffold: Scaffold, rule: str, given: t.Any, options: dict[str, t.Any], place: Place | None
) -> t.Any:
    _serve(scaffold, rule, given() if isinstance(given, type) else given, options, place)
    return given


def _serve(
    scaffold: Scaffold, rule: str, predictor: t.Any, options: dict[str, t.Any], place: Place | None
) -> Served:
    load = options.get("load", "start")
    if load not in LOADS:
        raise SetupError(f"load is {load!r}: known are {', '.join(LOADS)}.", place)
    if "<" in rule:
        raise SetupError(f"A predictor takes no variables of the URL, as {rule!r} has them.", place)
    _check(options, place)
    definition = read_predictor(predictor, place)
    batching = {name: options[name] for name in _BATCHING if options.get(name) is not None}
    if definition.streams:
        _check_stream(definition, batching, place)
    if definition.stacks:
        batching.setdefault("collate", "stack")
    try:
        served = Served(
            definition,
            rule,
            batching=batching,
            examples=options.get("examples") or (),
            title=options.get("title"),
            description=options.get("description"),
            most=options.get("max_body"),
            guards={name: options[name] for name in _GUARDS if name in options},
            place=place,
        )
    except SetupError as error:
        raise SetupError(error.message, place, definition.place) from None
    endpoint = options.get("endpoint") or _snake(definition.name)
    rest = {name: value for name, value in options.items() if name not in _OWN}
    said = _described(served)
    if "responses" in rest:
        rest["responses"] = {**said["responses"], **rest["responses"]}
    scaffold.add_url_rule(rule, endpoint, _view_of(served), **{**said, **rest})
    page = options.get("page")
    record = getattr(scaffold, "record", None)
    if record is None:
        _attach(scaffold, served, endpoint, rule, page, load, served.guards)
    else:
        record(lambda state: _attach_below(state, served, endpoint, rule, page, load))
    return served


def _check(options: dict[str, t.Any], place: Place | None) -> None:
    """Raise SetupError for options that cannot work."""
    most, page, examples = (options.get(name) for name in ("max_body", "page", "examples"))
    if most is not None and not _is_count(most):
        raise SetupError(f"'max_body' is a number of bytes from 1, not {most!r}.", place)
    if not (page is None or isinstance(page, (bool, str)) or hasattr(page, "path")):
        raise SetupError(f"'page' is True, a path, or a Page, not {page!r}.", place)
    if isinstance(examples, (str, bytes, Mapping)):
        raise SetupError(f"'examples' is a list of them, not {examples!r}.", place)


def _check_stream(definition: Definition, batching: dict[str, t.Any], place: Place | None) -> None:
    """Raise SetupError for options of batches where there are none."""
    most = batching.get("max_queue", 1)
    if not _is_count(most):
        raise SetupError(f"'max_queue' is a number of streams from 1, not {most!r}.", place)
    for name in batching:
        if name == "max_queue":
            continue
        raise SetupError(
            f"{name!r} is for batches, and 'predict' of {definition.name} yields: its items are"
            " made for one request at a time.",
            place,
            definition.place,
        )


def _is_count(number: t.Any) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number > 0


def _attach_below(
    state: t.Any, served: Served, endpoint: str, rule: str, page: t.Any, load: str
) -> None:
    """Attach the predictor of a blueprint when that is registered."""
    name = ".".join(part for part in (state.name_prefix, state.name, endpoint) if part)
    prefix = (state.url_prefix or "").rstrip("/")
    if isinstance(page, str):
        page = prefix + page
    elif hasattr(page, "path"):
        page = replace(page, path=prefix + page.path)
    guards = served.guards
    if state.subdomain is not None:
        guards = {"subdomain": state.subdomain, **guards}
    _attach(state.app, served, name, prefix + rule, page, load, guards)


def _attach(
    app: t.Any,
    served: Served,
    endpoint: str,
    rule: str,
    page: t.Any,
    load: str,
    guards: Mapping[str, t.Any],
) -> None:
    served.endpoint = endpoint
    served.rule = rule
    serving = Serving.of(app)
    if served not in serving.served:
        serving.add(served, load)
    if page is None or page is False:
        return
    demo = import_module(".demo", __package__)
    where = f"{rule.rstrip('/')}/try" if page is True else page
    demo.add_page(
        app, where, served, served.examples, served.place, endpoint=endpoint, guards=guards
    )


def enable_health(app: t.Any, alive: str | None, ready: str | None) -> None:
    """`app.enable_health`."""
    from .health import add_health

    add_health(Serving.of(app), alive, ready)


# The endpoint


def _view_of(served: Served) -> Callable[..., t.Any]:
    """The view: the body is read by the predictor, and it answers what is in it."""

    def view(inputs: t.Any, **_: t.Any) -> t.Any:
        # What a blueprint's prefix or defaults bring is for its hooks.
        return served.respond(inputs)

    definition = served.definition
    t.cast("t.Any", view)._erlen_source = definition.predict.function
    view.__name__ = view.__qualname__ = definition.name
    view.__module__ = __name__
    view.__doc__ = served.description or None
    mark = Body(read=served.read, forms=True)
    view.__annotations__ = {"inputs": t.Annotated[definition.body, mark]}
    return view


def _described(served: Served) -> dict[str, t.Any]:
    """The options of the route."""
    definition = served.definition
    responses: dict[t.Any, t.Any] = {
        413: (Problem, "The body is too large."),
        500: (Problem, "The model failed on this input."),
        503: (Problem, "There is more to do than the model can, or the server is being stopped."),
    }
    if definition.is_batched:
        responses[504] = (Problem, "The model has not answered in time.")
    said: dict[str, t.Any] = {}
    if definition.streams:
        said["responses"] = {
            "200": {"description": "OK", "content": _streamed(definition.returned)}
        }
    elif _can_be_described(definition.returned):
        responses[200] = (definition.returned, "OK")
    made: dict[str, t.Any] = {
        "methods": ["POST"],
        # What it waits for, it waits for without stopping the event loop.
        "inline": True,
        "responses": responses,
        "summary": served.title,
        "description": served.description or None,
    }
    examples = _json_examples(served)
    if examples:
        made["examples"] = {"request": examples}
    if said:
        made["openapi"] = said
    return {key: value for key, value in made.items() if value is not None}


def _streamed(returned: t.Any) -> dict[str, t.Any]:
    schema = {"type": "string"}
    item = _schema_of(returned)
    return {
        "application/x-ndjson": {"schema": schema},
        "text/event-stream": {"schema": schema},
        "application/json": {"schema": {"type": "array", "items": item}},
    }


def _schema_of(kind: t.Any) -> dict[str, t.Any]:
    if not _can_be_described(kind):
        return {}
    schema = TypeAdapter(kind).json_schema(mode="serialization")
    return {} if "$defs" in schema else schema


def _can_be_described(kind: t.Any) -> bool:
    if kind in (MISSING, None, t.Any):
        return False
    try:
        TypeAdapter(kind).json_schema(mode="serialization")
    except (PydanticUserError, PydanticInvalidForJsonSchema, SchemaError, TypeError, NameError):
        return False
    return True


def _json_examples(served: Served) -> dict[str, t.Any]:
    """The examples that JSON can hold, as bodies by their names."""
    found: dict[str, t.Any] = {}
    for number, example in enumerate(served.examples, 1):
        body = example if isinstance(example, dict) else {served.inputs[0].name: example}
        if any(each.is_file and each.name in body for each in served.inputs):
            continue
        try:
            found[f"Example {number}"] = json.loads(json.dumps(body, allow_nan=False))
        except (TypeError, ValueError):
            continue
    return found


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()

"""Whether a view asks for what Flask does not give: parameters bound by their types, typed answers.

A view that asks for nothing is left as it is. One that asks is handed to the product that gives
it, which is imported by name only then.
"""

from __future__ import annotations

import re
import typing as t
from functools import partial
from importlib import import_module
from types import FunctionType, MethodType, ModuleType

from ..errors import MissingExtra
from .names import NAMES, annotations_of, innermost

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from werkzeug.routing import Rule

    View = t.Callable[..., t.Any]

#: Attribute of what marks a parameter: of `Query`, of `Depends(...)` and so on.
MARK = "__erlen_param__"
#: Attribute of a view in bound form that reads a JSON body before anything else.
READS_JSON = "_erlen_reads_json"
#: Attribute of a view in bound form: the same for the edge of WSGI, called with the values of the
#: match as a dict; it may return a `Ready`.
TAKES_VALUES = "_erlen_takes_values"

# What classes of models have: pydantic's, dataclasses, msgspec's.
_OF_MODELS = ("__pydantic_fields__", "__dataclass_fields__", "__struct_fields__")
_DOTTED = re.compile(r"[^\W\d]\w*(?:\s*\.\s*[^\W\d]\w*)*")
_HOLDS = re.compile(r"(?i)\b(?:list|dict|set|frozenset|mapping|sequence|iterable)\s*\[")
_PRODUCT = ".api.bind"
# Options of a route that change what it binds or answers.
_OPTIONS = ("dependencies", "status", "responses", "returns")


def derive(view: View, rule: Rule | None, app: t.Any) -> View:
    """The view, or one in its place that binds what it asks for and answers by its type."""
    if rule is None:
        return view
    found = app.url_map.iter_rules(rule.endpoint)
    variables = {name for other in found for name in other.arguments}
    functions = [*functions_of(view)]
    marked = _asks_by_route(rule, app) or any(_is_marked(f) for f, _ in functions)
    if not marked and not any(
        whole and unfilled(function, variables) for function, whole in functions
    ):
        return view
    try:
        product = import_module(_PRODUCT, (__package__ or "").rpartition(".")[0])
    except ImportError as error:
        if getattr(error, "name", "") != "pydantic":
            raise
        if not marked and any(app.url_value_preprocessors.values()):
            return view  # they may fill the parameter, as in Flask
        name = getattr(view, "__qualname__", repr(view))
        raise MissingExtra(f"The typed view {name}", "pydantic", "api") from error
    return t.cast("View", product.derive(view, rule, app))


def _asks_by_route(rule: Rule, app: t.Any) -> bool:
    """Whether options of the route ask, or dependencies of a blueprint of it or the application."""
    own = rule.__dict__
    if any(own.get(name) is not None for name in _OPTIONS) or app.__dict__.get("dependencies"):
        return True
    if "." not in rule.endpoint:
        return False
    return any(
        blueprint.__dict__.get("dependencies")
        for name, blueprint in app.blueprints.items()
        if rule.endpoint.startswith(f"{name}.")
    )


def functions_of(view: View) -> Iterator[tuple[t.Any, bool]]:
    """What answers: the view itself, or the methods of a class-based view.

    With each, whether its signature is all that there is to know. It is not where a decorator or
    a class's own dispatch stands before the function: they may fill a parameter themselves, so
    that only marked ones count.
    """
    cls = getattr(view, "view_class", None)
    if cls is None:
        yield view, _is_whole(view)
        return
    from ..views import MethodView

    plain = not hasattr(view, "__wrapped__") and not cls.decorators
    if not issubclass(cls, MethodView):
        yield cls.dispatch_request, plain and isinstance(cls.dispatch_request, FunctionType)
        return
    plain = plain and cls.dispatch_request is MethodView.dispatch_request
    for verb in sorted(getattr(cls, "methods", None) or ()):
        method = getattr(cls, verb.lower(), None)
        if method is not None:
            yield method, plain and _is_whole(method)


def _is_whole(function: t.Any) -> bool:
    while isinstance(function, (partial, MethodType)):
        function = function.func if isinstance(function, partial) else function.__func__
    return isinstance(function, FunctionType) and not hasattr(function, "__wrapped__")


def _is_marked(function: t.Any) -> bool:
    """Whether a parameter has a mark, or the answer is of a model's type."""
    inner = innermost(function)
    names = {**getattr(inner, "__globals__", {}), **_local_names(inner)}
    annotations = {**annotations_of(inner), **annotations_of(function)}
    for name, annotation in annotations.items():
        if name == "return":
            if any(_asks(part) for part in _alternatives(annotation, names)):
                return True
        elif any(hasattr(part, MARK) for part in _parts(annotation, names)):
            return True
    defaults = (
        *(getattr(inner, "__defaults__", None) or ()),
        *(getattr(inner, "__kwdefaults__", None) or {}).values(),
    )
    return any(hasattr(default, MARK) for default in defaults)


def _local_names(function: t.Any) -> dict[str, t.Any]:
    """Names of the functions around one, as far as they are known."""
    found = dict(getattr(function, NAMES, {}))
    code, cells = getattr(function, "__code__", None), getattr(function, "__closure__", None)
    for name, cell in zip(getattr(code, "co_freevars", ()), cells or (), strict=False):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            continue  # it is yet to be assigned
    return found


def unfilled(function: t.Any, variables: Collection[str]) -> set[str]:
    """The required parameters with a type that no variable of the URL fills."""
    given: set[str] = set()
    skipped = 0
    while isinstance(function, (partial, MethodType)):
        if isinstance(function, partial):
            given |= function.keywords.keys()
            skipped += len(function.args)
            function = function.func
        else:
            skipped += 1
            function = function.__func__
    typed = annotations_of(function).keys()
    positional = function.__code__.co_varnames[:skipped]
    return (_required(function) & typed) - {*variables, *given, *positional}


def _required(function: FunctionType) -> set[str]:
    """Parameters that a call by keyword has to give."""
    code = function.__code__
    positional = code.co_varnames[: code.co_argcount]
    by_keyword = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    given = len(function.__defaults__ or ())
    required = {*positional[: len(positional) - given]} if given else {*positional}
    return (required | ({*by_keyword} - {*(function.__kwdefaults__ or ())})) - {"self"}


def _read(annotation: t.Any, names: Mapping[str, t.Any]) -> Iterator[t.Any]:
    """What the names in an annotation that is text stand for, where that is known."""
    text = getattr(annotation, "__forward_arg__", annotation)
    for dotted in _DOTTED.findall(text):
        first, *rest = (part.strip() for part in dotted.split("."))
        found = names.get(first)
        for part in rest:
            if not isinstance(found, (ModuleType, type)):
                break
            found = getattr(found, part, None)
        if found is not None:
            yield found


def _is_text(annotation: t.Any) -> bool:
    return isinstance(annotation, str) or hasattr(annotation, "__forward_arg__")


def _parts(annotation: t.Any, names: Mapping[str, t.Any]) -> Iterator[t.Any]:
    """An annotation and what it is made of; of one that is text, what its names stand for."""
    if _is_text(annotation):
        for found in _read(annotation, names):
            yield from _parts(found, {})
        return
    yield annotation
    for part in getattr(annotation, "__metadata__", ()):
        yield part
        yield from getattr(part, "__metadata__", ())
    for part in getattr(annotation, "__args__", ()):
        yield from _parts(part, names)


def _alternatives(annotation: t.Any, names: Mapping[str, t.Any]) -> Iterator[tuple[t.Any, bool]]:
    """The classes in a return annotation, with whether each is returned by itself.

    What a list or dict holds is not: Flask answers lists and dicts of dataclasses, too.
    """
    if _is_text(annotation):
        text = getattr(annotation, "__forward_arg__", annotation)
        is_alone = not _HOLDS.search(text)
        for found in _read(annotation, names):
            for part, inner_alone in _alternatives(found, {}):
                yield part, is_alone and inner_alone
        return
    origin = getattr(annotation, "__origin__", None)
    holds = isinstance(origin, type) and issubclass(origin, (list, dict, set, frozenset))
    yield annotation, True
    if _is_model(origin):
        yield origin, True
    for part in getattr(annotation, "__args__", ()):
        for found, is_alone in _alternatives(part, names):
            yield found, is_alone and not holds


def _asks(part: tuple[t.Any, bool]) -> bool:
    """Whether something in a return annotation asks for an answer by its type."""
    kind, is_alone = part
    return _is_model(kind) and (is_alone or not hasattr(kind, "__dataclass_fields__"))


def _is_model(part: t.Any) -> bool:
    return isinstance(part, type) and any(hasattr(part, name) for name in _OF_MODELS)

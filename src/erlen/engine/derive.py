"""Whether a view asks for what Flask does not give: parameters bound by their types, typed answers.

A view that asks for nothing is left as it is. One that asks is handed to the product that gives
it, which is imported by name only then.
"""

from __future__ import annotations

import re
import typing as t
from importlib import import_module
from types import FunctionType

from ..errors import MissingExtra

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from werkzeug.routing import Rule

    View = t.Callable[..., t.Any]

#: Attribute of what marks a parameter: of `Query`, of `Depends(...)` and so on.
MARK = "__erlen_param__"

# What classes of models have: pydantic's, dataclasses, msgspec's.
_OF_MODELS = ("__pydantic_fields__", "__dataclass_fields__", "__struct_fields__")
_NAME = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")
_PRODUCT = ".api.bind"


def derive(view: View, rule: Rule | None, app: t.Any) -> View:
    """The view, or one in its place that binds what it asks for and answers by its type."""
    if rule is None:
        return view
    found = app.url_map.iter_rules(rule.endpoint)
    variables = {name for other in found for name in other.arguments}
    functions = [*functions_of(view)]
    marked = _has_dependencies(rule, app) or any(_is_marked(f) for f, _ in functions)
    if not marked and not any(
        whole and unfilled(function, variables) for function, whole in functions
    ):
        return view
    try:
        product = import_module(_PRODUCT, __package__.rpartition(".")[0])
    except ImportError as error:
        if getattr(error, "name", "") != "pydantic":
            raise
        if not marked and any(app.url_value_preprocessors.values()):
            return view  # they may fill the parameter, as in Flask
        name = getattr(view, "__qualname__", repr(view))
        raise MissingExtra(f"The typed view {name}", "pydantic", "api") from error
    return t.cast("View", product.derive(view, rule, app))


def _has_dependencies(rule: Rule, app: t.Any) -> bool:
    """Whether the route, a blueprint of it or the application names dependencies."""
    if getattr(rule, "dependencies", None) or getattr(app, "dependencies", None):
        return True
    if "." not in rule.endpoint:
        return False
    return any(
        getattr(blueprint, "dependencies", None)
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
        yield view, isinstance(view, FunctionType) and not hasattr(view, "__wrapped__")
        return
    from ..views import MethodView

    whole = (
        not hasattr(view, "__wrapped__")
        and not cls.decorators
        and getattr(cls, "dispatch_request", None) is MethodView.dispatch_request
    )
    for verb in getattr(cls, "methods", None) or ():
        method = getattr(cls, verb.lower(), None)
        if method is not None:
            yield method, whole and isinstance(method, FunctionType)


def _is_marked(function: t.Any) -> bool:
    """Whether a parameter has a mark, or the answer is of a model's type."""
    inner = _innermost(function)
    annotations: Mapping[str, t.Any] = getattr(function, "__annotations__", None) or {}
    names = getattr(inner, "__globals__", {})
    for name, annotation in annotations.items():
        parts = _parts(annotation, names)
        if any(_is_model(part) if name == "return" else hasattr(part, MARK) for part in parts):
            return True
    if inner is None:
        return False
    defaults = (*(inner.__defaults__ or ()), *(inner.__kwdefaults__ or {}).values())
    return any(hasattr(default, MARK) for default in defaults)


def unfilled(function: FunctionType, variables: Collection[str]) -> set[str]:
    """The required parameters with a type that no variable of the URL fills."""
    typed = (function.__annotations__ or {}).keys()
    return (_required(function) & typed) - {*variables}


def _innermost(function: t.Any) -> t.Any:
    """The plain function behind decorators that note what they wrap; `None` where there is none."""
    while True:
        inner = getattr(function, "__wrapped__", None) or getattr(function, "func", None)
        if inner is None:
            return function if isinstance(function, FunctionType) else None
        function = inner


def _required(function: FunctionType) -> set[str]:
    """Parameters that a call by keyword has to give."""
    code = function.__code__
    positional = code.co_varnames[: code.co_argcount]
    by_keyword = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    given = len(function.__defaults__ or ())
    required = {*positional[: len(positional) - given]} if given else {*positional}
    return (required | ({*by_keyword} - {*(function.__kwdefaults__ or ())})) - {"self"}


def _parts(annotation: t.Any, names: Mapping[str, t.Any]) -> Iterator[t.Any]:
    """An annotation and what it is made of; of one that is text, what its names stand for."""
    if isinstance(annotation, str):
        for name in _NAME.findall(annotation):
            if name in names:
                yield from _parts(names[name], {})
        return
    yield annotation
    for part in getattr(annotation, "__metadata__", ()):
        yield part
    for part in getattr(annotation, "__args__", ()):
        yield from _parts(part, names)


def _is_model(part: t.Any) -> bool:
    return isinstance(part, type) and any(hasattr(part, name) for name in _OF_MODELS)

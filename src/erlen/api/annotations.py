"""Annotations: read where they are texts, taken apart into marks and types."""

from __future__ import annotations

import builtins
import inspect
import sys
import typing as t

from pydantic import Field as make_info
from pydantic import TypeAdapter
from pydantic.fields import FieldInfo
from werkzeug.datastructures import FileStorage

from ..engine.names import NAMES, innermost
from . import structs
from .kinds import UNIONS, annotated, is_class, is_list, plain
from .params import Dependency, In, Upload

if t.TYPE_CHECKING:
    from collections.abc import Mapping

#: What a converter of Werkzeug's makes of the text in a URL: values of all kinds that it can give.
_SAMPLES: dict[str, tuple[t.Any, ...]] = {
    "IntegerConverter": (0, 1, 2, 7, 10, 100, 1_000, 10**6, 2**31),
    "FloatConverter": (0.0, 1.0, 0.5, 1.5, 100.0, 10.0**6),
}


def resolve(annotation: t.Any, function: t.Any, names: Mapping[str, t.Any]) -> t.Any:
    """An annotation of a function with its texts read. Raises NameError.

    :param names: those that it may use besides its module's
    """
    if annotation is inspect.Parameter.empty or annotation is None:
        return annotation
    holder = type("Holder", (), {"__annotations__": {"it": annotation}})
    inner: t.Any = innermost(function)
    space = {**vars(builtins), **getattr(inner, "__globals__", {})}
    if not hasattr(inner, "__globals__"):
        space.update(vars(sys.modules.get(getattr(inner, "__module__", ""), builtins)))
    # All in one: functions within the annotation find their names among the globals.
    space.update(names)
    return t.get_type_hints(holder, space, {}, include_extras=True)["it"]


def takes(adapter: TypeAdapter[t.Any], value: t.Any) -> bool | None:
    """Whether a value is valid; None where functions decide, which may need a request."""
    if _has_functions(adapter.core_schema):
        return None
    try:
        adapter.validate_python(value)
    except ValueError:
        return False
    return True


def _has_functions(schema: t.Any) -> bool:
    if isinstance(schema, dict):
        kind = schema.get("type")
        is_function = isinstance(kind, str) and kind.startswith("function-")
        return is_function or any(map(_has_functions, schema.values()))
    return isinstance(schema, list) and any(map(_has_functions, schema))


def samples_of(converter: t.Any) -> tuple[t.Any, ...]:
    name = type(converter).__name__
    if name == "UUIDConverter":
        from uuid import uuid4

        return (uuid4(),)
    if name == "AnyConverter":
        return tuple(converter.items)
    samples = _SAMPLES.get(name, ())
    bounds = [getattr(converter, each, None) for each in ("min", "max")]
    return (*samples, *(each for each in bounds if each is not None)) if samples else ()


def signature_of(function: t.Any) -> inspect.Signature:
    """`inspect.signature`, also where names of annotations are not known yet."""
    if sys.version_info >= (3, 14):
        from annotationlib import Format

        return inspect.signature(function, annotation_format=Format.FORWARDREF)
    return inspect.signature(function)


def names_around(function: t.Any, owner: type | None) -> dict[str, t.Any]:
    """Names that annotations may use besides the module's: of closures, classes, parameters."""
    inner = innermost(function)
    names: dict[str, t.Any] = dict(getattr(inner, NAMES, {}))
    code, cells = getattr(inner, "__code__", None), getattr(inner, "__closure__", None)
    for name, cell in zip(getattr(code, "co_freevars", ()), cells or (), strict=False):
        try:
            names[name] = cell.cell_contents
        except ValueError:
            continue  # it is yet to be assigned
    for parameter in getattr(inner, "__type_params__", ()):
        names[parameter.__name__] = parameter
    if owner is not None:
        for base in reversed(owner.__mro__[:-1]):
            names.update(
                (name, value) for name, value in vars(base).items() if not name.startswith("_")
            )
    return names


def takes_self(function: t.Any, owner: type) -> bool:
    """Whether the first parameter of what a class has is the object."""
    name = getattr(function, "__name__", "")
    held = inspect.getattr_static(owner, name, None)
    return not isinstance(held, (staticmethod, classmethod))


def marks_in(annotation: t.Any) -> list[t.Any]:
    return without_marks(annotation)[0]


def without_marks(annotation: t.Any) -> tuple[list[t.Any], t.Any]:
    """The marks that stand around a type, also within a union, and the type without them."""
    origin = t.get_origin(annotation)
    if origin is t.Annotated:
        base, *metadata = t.get_args(annotation)
        marks, base = without_marks(base)
        rest = []
        for each in metadata:
            if isinstance(each, (In, Dependency)):
                marks.append(each)
            elif _is_bare_alias(each):
                marks.append(each.__metadata__[0])
            else:
                rest.append(each)
        return marks, annotated(base, rest)
    if origin in UNIONS:
        found = [without_marks(each) for each in t.get_args(annotation)]
        marks = [mark for marks, _ in found for mark in marks]
        if marks:
            return marks, t.Union[tuple(kind for _, kind in found)]  # noqa: UP007
    return [], annotation


def _is_bare_alias(each: t.Any) -> bool:
    """Whether this is `Query` itself, as in `Annotated[int, Query]`."""
    return (
        t.get_origin(each) is t.Annotated
        and isinstance(t.get_args(each)[0], t.TypeVar)
        and isinstance(each.__metadata__[0], In)
    )


def for_validation(annotation: t.Any, lax: bool = False) -> t.Any:
    """The type as pydantic takes it: without what is of parameters only, and without files.

    :param lax: whether texts become numbers and the like also where pydantic does not decide
    """
    if t.get_origin(annotation) is t.Annotated:
        base, *metadata = t.get_args(annotation)
        said: list[t.Any] = []
        for each in metadata:
            if isinstance(each, FieldInfo):
                said += [*each.metadata, *_about(each)]
            elif not isinstance(each, Upload):
                said.append(each)
        return annotated(for_validation(base, lax), said)
    if t.get_origin(annotation) in UNIONS and any(_uploads(e) for e in t.get_args(annotation)):
        return t.Any
    if is_class(annotation, FileStorage):
        return t.Any
    if is_list(annotation) and any(_uploads(each) for each in t.get_args(annotation)):
        return list[t.Any]
    return structs.adapted(annotation, lax)


def _uploads(annotation: t.Any) -> bool:
    return is_class(plain(annotation), FileStorage)


def _about(info: FieldInfo) -> list[t.Any]:
    """What a description says of the values, without name and default."""
    said: dict[str, t.Any] = {
        name: value
        for name in ("title", "description", "examples", "discriminator", "json_schema_extra")
        if (value := getattr(info, name, None)) is not None
    }
    if info.deprecated:
        extra = said.get("json_schema_extra")
        said["json_schema_extra"] = {
            **(extra if isinstance(extra, dict) else {}),
            "deprecated": True,
        }
    return [make_info(**said)] if said else []

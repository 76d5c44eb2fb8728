"""From what a predictor returns to JSON.

NaN and infinities, which JSON does not have, become `null` (RFC 8259, 6).
"""

from __future__ import annotations

import dataclasses
import typing as t
from decimal import Decimal

import orjson

from .fields import is_pillow
from .files import File, Image
from .tables import Table

_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS


class NoJson(TypeError):
    """A predictor has returned what JSON cannot hold."""


def as_json(value: t.Any) -> bytes:
    """The JSON of an answer: also of arrays, tensors, models and kinds. Raises NoJson."""
    try:
        return orjson.dumps(value, _other, _OPTIONS)
    except (TypeError, RecursionError) as error:
        raise NoJson(f"The answer {_shortly(value)} cannot be written as JSON: {error}") from error


def as_data(value: t.Any) -> t.Any:
    """An answer as what JSON can hold: dicts, lists, texts, numbers. Raises NoJson."""
    return orjson.loads(as_json(value))


def _shortly(value: t.Any) -> str:
    return f"of {type(value).__module__}.{type(value).__qualname__}"


def _other(value: t.Any) -> t.Any:
    """What stands for a value that orjson does not know."""
    if isinstance(value, Table):
        return [*value]
    if isinstance(value, File):
        return value.data_url()
    if is_pillow(type(value)):
        return Image.of(value).data_url()
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(mode="python", by_alias=True)
    if hasattr(value, "tolist"):  # arrays that orjson leaves, such as those of float16; tensors
        return (value.detach() if hasattr(value, "detach") else value).tolist()
    if isinstance(value, (set, frozenset)):
        return [*value]
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, bytes):
        return File(value).data_url()
    if hasattr(value, "__struct_fields__"):
        return {name: getattr(value, name) for name in value.__struct_fields__}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, t.Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not known")

"""Answers in the form that validation takes them in: fields under the names that it knows."""

from __future__ import annotations

import typing as t

from pydantic import BaseModel, RootModel
from pydantic_core import from_json, to_json

from ..api.kinds import UNIONS, is_class, plain
from .inputs import key_of

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pydantic.fields import FieldInfo


def restorer_of(kind: t.Any, *, by_alias: bool) -> Callable[[bytes], bytes] | None:
    """What renames the fields of an answer; `None` where they have the same names both ways.

    :param by_alias: whether the view's answer has the aliases of the fields
    """
    if not _differs(kind, by_alias, set()):
        return None
    return lambda data: to_json(_restored(kind, from_json(data), by_alias))


def _names(model: type[BaseModel], by_alias: bool) -> Iterator[tuple[str, str, FieldInfo]]:
    """Of each field its name in an answer, and the name that validation takes."""
    for name, info in model.model_fields.items():
        written = (info.serialization_alias or info.alias or name) if by_alias else name
        yield written, key_of(name, info), info


def _is_renamed(kind: t.Any) -> bool:
    return is_class(kind, BaseModel) and not issubclass(kind, RootModel)


def _parts_of(kind: t.Any) -> tuple[t.Any, ...]:
    return () if t.get_origin(kind) is t.Literal else t.get_args(kind)


def _differs(kind: t.Any, by_alias: bool, seen: set[t.Any]) -> bool:
    kind = plain(kind)
    if not _is_renamed(kind):
        return any(_differs(each, by_alias, seen) for each in _parts_of(kind))
    if kind in seen:
        return False
    seen.add(kind)
    if kind.model_computed_fields and kind.model_config.get("extra") == "forbid":
        return True
    return any(
        written != taken or _differs(info.annotation, by_alias, seen)
        for written, taken, info in _names(kind, by_alias)
    )


def _restored(kind: t.Any, data: t.Any, by_alias: bool) -> t.Any:
    kind = plain(kind)
    if _is_renamed(kind):
        return _restored_model(kind, data, by_alias) if isinstance(data, dict) else data
    parts = _parts_of(kind)
    if t.get_origin(kind) in UNIONS:
        chosen = next((each for each in parts if _fits(plain(each), data, by_alias)), None)
        return data if chosen is None else _restored(chosen, data, by_alias)
    if isinstance(data, dict) and len(parts) == 2:
        return {key: _restored(parts[1], each, by_alias) for key, each in data.items()}
    if isinstance(data, list) and parts:
        if len(parts) != len(data) or Ellipsis in parts:
            parts = (parts[0],) * len(data)
        return [_restored(p, each, by_alias) for p, each in zip(parts, data, strict=True)]
    return data


def _restored_model(kind: type[BaseModel], data: dict[str, t.Any], by_alias: bool) -> t.Any:
    left = {key: each for key, each in data.items() if key not in _computed(kind, by_alias)}
    made = {}
    for written, taken, info in _names(kind, by_alias):
        if written in left:
            made[taken] = _restored(info.annotation, left.pop(written), by_alias)
    return {**left, **made}


def _computed(kind: type[BaseModel], by_alias: bool) -> set[str]:
    found = kind.model_computed_fields.items()
    return {(by_alias and info.alias) or name for name, info in found}


def _fits(kind: t.Any, data: t.Any, by_alias: bool) -> bool:
    """Whether an answer has what a model of a union requires."""
    if not _is_renamed(kind) or not isinstance(data, dict):
        return not _is_renamed(kind) and isinstance(data, list) and bool(_parts_of(kind))
    names = _names(kind, by_alias)
    return all(written in data for written, _, info in names if info.is_required())

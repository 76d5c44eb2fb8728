"""Answers in the form that validation takes them in: fields under the names that it knows."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

import typing_extensions as te
from pydantic import BaseModel, RootModel
from pydantic_core import from_json, to_json

from ..api.kinds import UNIONS, is_class, is_list, is_model, is_struct, plain
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


def _names(model: t.Any, by_alias: bool) -> Iterator[tuple[str, str, t.Any]]:
    """Of each field its name in an answer, the name that validation takes, and its type."""
    model = t.get_origin(model) or model
    infos: dict[str, FieldInfo] = getattr(model, "__pydantic_fields__", {})
    for name, info in infos.items():
        written = (info.serialization_alias or info.alias or name) if by_alias else name
        yield written, key_of(name, info), info.annotation
    if not infos:
        for name, hint in te.get_type_hints(model).items():
            yield name, name, hint


def _is_named(kind: t.Any) -> bool:
    return is_model(kind) and not is_struct(kind) and not is_class(kind, RootModel)


def _parts_of(kind: t.Any) -> tuple[t.Any, ...]:
    return () if t.get_origin(kind) is t.Literal else t.get_args(kind)


def _differs(kind: t.Any, by_alias: bool, seen: set[t.Any]) -> bool:
    kind = plain(kind)
    if is_class(kind, RootModel):
        return _differs(kind.model_fields["root"].annotation, by_alias, seen)
    if not _is_named(kind):
        return any(_differs(each, by_alias, seen) for each in _parts_of(kind))
    if kind in seen:
        return False
    seen.add(kind)
    if _computed(kind, by_alias) and kind.model_config.get("extra") == "forbid":
        return True
    return any(
        written != taken or _differs(hint, by_alias, seen)
        for written, taken, hint in _names(kind, by_alias)
    )


def _restored(kind: t.Any, data: t.Any, by_alias: bool) -> t.Any:
    kind = plain(kind)
    if is_class(kind, RootModel):
        return _restored(kind.model_fields["root"].annotation, data, by_alias)
    if _is_named(kind):
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


def _restored_model(kind: t.Any, data: dict[str, t.Any], by_alias: bool) -> t.Any:
    computed = _computed(kind, by_alias)
    left = {key: each for key, each in data.items() if key not in computed}
    made = {}
    for written, taken, hint in _names(kind, by_alias):
        if written in left:
            made[taken] = _restored(hint, left.pop(written), by_alias)
    return {**left, **made}


def _computed(kind: t.Any, by_alias: bool) -> set[str]:
    if not is_class(kind, BaseModel):
        return set()
    found = kind.model_computed_fields.items()
    return {(by_alias and info.alias) or name for name, info in found}


def _fits(kind: t.Any, data: t.Any, by_alias: bool) -> bool:
    """Whether the member of a union is what an answer seems to be."""
    if _is_named(kind):
        if not isinstance(data, dict):
            return False
        required = _required(kind)
        return all(
            written in data
            for written, taken, _ in _names(kind, by_alias)
            if required is None or taken in required
        )
    origin = t.get_origin(kind) or kind
    if isinstance(data, dict):
        return is_class(origin, Mapping)
    return isinstance(data, list) and is_list(kind)


def _required(kind: t.Any) -> set[str] | None:
    """The names that validation needs; `None` for all."""
    infos = getattr(t.get_origin(kind) or kind, "__pydantic_fields__", None)
    if infos is None:
        return None
    return {key_of(name, info) for name, info in infos.items() if info.is_required()}

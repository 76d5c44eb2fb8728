"""Values in the form that validation takes them in.

Serialisation gives what a view answers, not what it takes: aliases may differ, secrets are
starred, some fields are left out and others computed.
"""

from __future__ import annotations

import dataclasses
import typing as t

from pydantic import BaseModel, RootModel, SecretBytes, SecretStr
from pydantic_core import to_jsonable_python

if t.TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic.fields import FieldInfo


def input_of(adapter: TypeAdapter[t.Any], value: t.Any, *, lean: bool = False) -> t.Any:
    """What JSON can hold and the adapter's type is validated from.

    :param lean: whether to leave out what a model's maker did not set, so that the view sees the
        same `model_fields_set`
    """
    dumped = adapter.dump_python(value, mode="json", by_alias=False, warnings=False)
    left_out = _unset_of(value) if lean and isinstance(value, BaseModel) else frozenset()
    return _mended(value, dumped, left_out)


def _mended(value: t.Any, dumped: t.Any, left_out: frozenset[str] = frozenset()) -> t.Any:
    if isinstance(value, (SecretStr, SecretBytes)):
        return to_jsonable_python(value.get_secret_value())
    if isinstance(value, RootModel):
        return _mended(value.root, dumped)
    if isinstance(dumped, list) and isinstance(value, (list, tuple)) and len(value) == len(dumped):
        return [_mended(each, made) for each, made in zip(value, dumped, strict=True)]
    if not isinstance(dumped, dict):
        return dumped
    if isinstance(value, BaseModel):
        return _of_model(value, dumped, left_out)
    if dataclasses.is_dataclass(value):
        return _of_dataclass(value, dumped)
    if isinstance(value, dict) and len(value) == len(dumped):
        pairs = zip(value.values(), dumped.items(), strict=True)
        return {key: _mended(found, made) for found, (key, made) in pairs}
    return dumped


def _of_model(
    value: BaseModel, dumped: dict[str, t.Any], left_out: frozenset[str]
) -> dict[str, t.Any]:
    made = {key: dumped[key] for key in value.model_extra or () if key in dumped}
    for name, info in type(value).model_fields.items():
        if name in left_out:
            continue
        found = getattr(value, name)
        made_of_it = dumped[name] if name in dumped else to_jsonable_python(found)
        made[key_of(name, info)] = _mended(found, made_of_it)
    return made


def _of_dataclass(value: t.Any, dumped: dict[str, t.Any]) -> dict[str, t.Any]:
    infos: dict[str, FieldInfo] = getattr(type(value), "__pydantic_fields__", {})
    made = {}
    for each in dataclasses.fields(value):
        if not each.init:
            continue
        found = getattr(value, each.name)
        made_of_it = dumped[each.name] if each.name in dumped else to_jsonable_python(found)
        key = key_of(each.name, infos[each.name]) if each.name in infos else each.name
        made[key] = _mended(found, made_of_it)
    return made


def key_of(name: str, info: FieldInfo) -> str:
    """The name under which validation takes a field."""
    alias = info.validation_alias or info.alias
    for each in getattr(alias, "choices", (alias,)):
        if isinstance(each, str):
            return each
    return name


def _unset_of(value: BaseModel) -> frozenset[str]:
    """The fields that nobody set, and that are what they are by default."""
    if isinstance(value, RootModel):
        return frozenset()
    unset = type(value).model_fields.keys() - value.model_fields_set
    return frozenset(name for name in unset if _is_default(value, name))


def _is_default(value: BaseModel, name: str) -> bool:
    info = type(value).model_fields[name]
    if info.default_factory_takes_validated_data:
        return False
    # Arrays compare element by element: what is not plainly equal is sent.
    return (info.get_default(call_default_factory=True) == getattr(value, name)) is True

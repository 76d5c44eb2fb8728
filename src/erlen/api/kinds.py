"""Types: what they are made of, and what values they can be made from."""

from __future__ import annotations

import dataclasses
import enum
import types
import typing as t
from collections.abc import Collection, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import PurePath
from uuid import UUID

import typing_extensions as te
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from werkzeug.datastructures import FileStorage

UNIONS = (t.Union, types.UnionType)
_SCALARS = (str, bytes, int, float, bool, Decimal, UUID, date, time, timedelta, enum.Enum, PurePath)
_LISTS = (list, set, frozenset, tuple, Collection)
_QUALIFIERS = (te.Required, te.NotRequired, te.ReadOnly)
_ALIASES = tuple(
    {each for each in (getattr(t, "TypeAliasType", None), te.TypeAliasType) if each is not None}
)


def annotated(base: t.Any, metadata: t.Sequence[t.Any]) -> t.Any:
    """`Annotated` of a type, or the type itself where there is nothing to say about it."""
    return t.Annotated[t.cast("t.Any", (base, *metadata))] if metadata else base


def plain(annotation: t.Any) -> t.Any:
    """A type without what is said about it, and without `None`."""
    while True:
        if t.get_origin(annotation) is t.Annotated:
            annotation = t.get_args(annotation)[0]
        elif isinstance(annotation, _ALIASES):
            annotation = annotation.__value__
        elif t.get_origin(annotation) in UNIONS:
            options = [each for each in t.get_args(annotation) if each is not type(None)]
            if len(options) != 1:
                return annotation
            annotation = options[0]
        else:
            return annotation


def metadata_of(annotation: t.Any) -> tuple[t.Any, ...]:
    """What is said about a type, at its top and about the parts of a union or list there."""
    if t.get_origin(annotation) is t.Annotated:
        base, *metadata = t.get_args(annotation)
        return (*metadata, *metadata_of(base))
    if isinstance(annotation, _ALIASES):
        return metadata_of(annotation.__value__)
    if t.get_origin(annotation) in UNIONS or is_list(annotation):
        return tuple(each for part in t.get_args(annotation) for each in metadata_of(part))
    return ()


def is_class(annotation: t.Any, base: type) -> bool:
    # Python 3.10 takes `list[int]` for a class, too.
    is_any = isinstance(annotation, type) and t.get_origin(annotation) is None
    return is_any and issubclass(annotation, base)


def is_struct(kind: t.Any) -> bool:
    """Whether a type is a class of msgspec's."""
    return isinstance(kind, type) and hasattr(kind, "__struct_fields__")


def is_model(kind: t.Any) -> bool:
    """Whether a plain type is a class with named fields, a generic one with its types included."""
    kind = t.get_origin(kind) or kind
    if not isinstance(kind, type):
        return False
    return (
        issubclass(kind, BaseModel)
        or dataclasses.is_dataclass(kind)
        or te.is_typeddict(kind)
        or is_struct(kind)
    )


def is_typed_dict(kind: t.Any) -> bool:
    return te.is_typeddict(t.get_origin(kind) or kind)


def is_list(kind: t.Any) -> bool:
    """Whether a plain type takes several values."""
    origin = t.get_origin(kind) or kind
    return (
        isinstance(origin, type)
        and issubclass(origin, _LISTS)
        and not issubclass(origin, (str, bytes, Mapping))
        and not is_model(origin)
    )


def is_simple(kind: t.Any) -> bool:
    """Whether a plain type can be made of one text, or of several."""
    if is_list(kind):
        return all(each is Ellipsis or is_simple(plain(each)) for each in t.get_args(kind))
    origin = t.get_origin(kind)
    if origin is t.Literal or kind is t.Any:
        return True
    if origin in UNIONS:
        return all(each is type(None) or is_simple(plain(each)) for each in t.get_args(kind))
    if isinstance(kind, t.NewType):
        return is_simple(plain(kind.__supertype__))
    if not is_class(kind, object):
        return False
    if issubclass(kind, _SCALARS):
        return True
    return not is_model(kind) and not issubclass(kind, (Mapping, Collection, FileStorage))


def is_file(kind: t.Any) -> bool:
    """Whether a plain type is that of a file, or of several."""
    if is_list(kind):
        return any(is_class(plain(each), FileStorage) for each in t.get_args(kind))
    return is_class(kind, FileStorage)


def natural_location(annotation: t.Any) -> str:
    """Where an unmarked parameter of a type comes from."""
    kind = plain(annotation)
    if is_file(kind):
        return "file"
    if is_list(kind) and not t.get_args(kind):
        return "json"
    return "query" if is_simple(kind) else "json"


def members_of(model: t.Any, location: str) -> dict[str, FieldInfo]:
    """The values that a model takes from a place, by their names there."""
    cls = t.get_origin(model) or model
    found: dict[str, FieldInfo] = {}
    if issubclass(cls, BaseModel):
        for name, info in model.model_fields.items():
            for key in _names_of(name, info, cls):
                found[key] = info
    elif is_struct(cls):
        hints = t.get_type_hints(cls, include_extras=True)
        names = zip(cls.__struct_fields__, cls.__struct_encode_fields__, strict=True)
        found = {key: FieldInfo.from_annotation(hints[name]) for name, key in names}
    elif dataclasses.is_dataclass(cls):
        hints = t.get_type_hints(cls, include_extras=True)
        for each in dataclasses.fields(cls):
            if each.init:
                info = _info_of(hints[each.name], each)
                found[info.alias or each.name] = info
    else:
        found = {name: _info_of_key(cls, name, hint) for name, hint in _keys_of(cls).items()}
    if location == "header":
        return {key.replace("_", "-"): info for key, info in found.items()}
    return found


def _names_of(name: str, info: FieldInfo, cls: type[BaseModel]) -> list[str]:
    """The names under which a model takes the value of a field."""
    alias = info.validation_alias or info.alias
    names = [alias] if isinstance(alias, str) else []
    choices = getattr(alias, "choices", None)
    if choices is not None:
        names = [each for each in choices if isinstance(each, str)]
    config = cls.model_config
    if not names or config.get("populate_by_name") or config.get("validate_by_name"):
        names.append(name)
    return names


def _info_of(hint: t.Any, each: dataclasses.Field[t.Any]) -> FieldInfo:
    if isinstance(each.default, FieldInfo):
        return FieldInfo.from_annotated_attribute(hint, each.default)
    if each.default is not dataclasses.MISSING:
        return FieldInfo.from_annotated_attribute(hint, each.default)
    info = FieldInfo.from_annotation(hint)
    if each.default_factory is not dataclasses.MISSING:
        info.default_factory = each.default_factory
    return info


def _keys_of(cls: t.Any) -> dict[str, t.Any]:
    return te.get_type_hints(cls, include_extras=True)


def _info_of_key(cls: t.Any, name: str, hint: t.Any) -> FieldInfo:
    while t.get_origin(hint) in _QUALIFIERS:
        hint = t.get_args(hint)[0]
    info = FieldInfo.from_annotation(hint)
    if name not in cls.__required_keys__ and info.is_required():
        info.default = None
    return info

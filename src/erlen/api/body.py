"""Steps that bind parameters from a JSON body, or one of MessagePack."""

from __future__ import annotations

import typing as t

from pydantic import Field as make_info
from pydantic import TypeAdapter, ValidationError, create_model

from . import structs
from .annotations import for_validation
from .fields import Field, Operation
from .formats import JSON, MSGPACK_TYPES, content_type_of, has_msgpack, unpacker
from .places import Faults, Step, Values, defaults_of, is_bodyless
from .problems import (
    Fault,
    MalformedBody,
    MalformedJson,
    WrongMediaType,
    faults_of,
    missing,
)

if t.TYPE_CHECKING:
    from collections.abc import Callable


def body_step(operation: Operation, keyed: bool, fresh: bool = False) -> Step | None:
    """The step for the fields of the body; `None` without any.

    :param keyed: whether they are values of an object's keys
    :param fresh: whether nobody has touched the request before, and it came over WSGI
    """
    if not operation.body:
        return None
    if keyed:
        return _keyed_step(operation.body)
    (field,) = operation.body
    if field.read is not None:
        return _own_step(field.name, field.read)
    return _whole_step(field, "_fresh_json" if fresh else "_plain_json")


def _own_step(name: str, read: Callable[[t.Any], t.Any]) -> Step:
    def step(request: t.Any, values: Values) -> None:
        if name not in values:
            values[name] = read(request)

    return step


def _whole_step(field: Field, short_way: str) -> Step:
    """The step for a field that is the whole body, which a method of the request may read."""
    name, is_required = field.name, field.is_required
    validate = _reader_of(field)
    validate_python = field.adapter.validator.validate_python
    make_default = defaults_of(field)

    def step(request: t.Any, values: Values) -> Faults:
        if name in values:
            return None
        packed = False
        data = getattr(request, short_way, _nothing)()
        if data is None:
            packed, data = _content_of(request)
        if not data:
            if is_required:
                return [missing("json")]
            values[name] = make_default()
            return None
        try:
            values[name] = validate_python(_unpack(data)) if packed else validate(data)
        except (ValueError, RecursionError) as error:
            return _faults(error)
        return None

    return step


def _reader_of(field: Field) -> Callable[[bytes], t.Any]:
    """What makes the value of a JSON body. Raises ValidationError, or an error of msgspec's."""
    return structs.decoder_of(field.type) or field.adapter.validator.validate_json


def _keyed_step(body: tuple[Field, ...]) -> Step:
    """Several fields: each the value of a key of one object."""
    members: dict[str, t.Any] = {}
    for index, field in enumerate(body):
        info: t.Any = make_info(alias=field.alias)
        if not field.is_required:
            info = make_info(alias=field.alias, default_factory=defaults_of(field))
        members[f"part_{index}"] = (for_validation(field.type), info)
    model = create_model("Body", **members)
    validator = TypeAdapter(model).validator
    names = {f"part_{index}": field.name for index, field in enumerate(body)}
    wanted = [missing("json", field.alias) for field in body if field.is_required]

    def step(request: t.Any, values: Values) -> Faults:
        packed, data = _content_of(request)
        if not data and wanted:
            return wanted
        try:
            if packed:
                made = validator.validate_python(_unpack(data))
            else:
                made = validator.validate_json(data or b"{}")
        except ValidationError as error:
            return _faults(error)
        for part, name in names.items():
            values.setdefault(name, getattr(made, part))
        return None

    return step


def _nothing() -> None:
    """In place of what a request class of somebody else's lacks."""


def _content_of(request: t.Any) -> tuple[bool, bytes]:
    """Whether the body is MessagePack, and the body. Raises WrongMediaType."""
    packed = content_type_of(request) != JSON and is_packed(request)
    return packed, request.get_data()


def is_packed(request: t.Any) -> bool:
    """Whether the body is MessagePack; False for JSON and for no body. Raises WrongMediaType."""
    if request.is_json:
        return False
    if has_msgpack() and request.mimetype in MSGPACK_TYPES:
        return True
    if is_bodyless(request):
        return False
    raise WrongMediaType(request.mimetype, JSON)


def _unpack(data: bytes) -> t.Any:
    try:
        return unpacker()(data)
    except (ValueError, RecursionError) as error:
        raise MalformedBody(400, f"The body is not valid MessagePack: {error}") from None


def _faults(error: Exception) -> list[Fault]:
    """What is wrong with a body. Raises MalformedJson."""
    if not isinstance(error, ValidationError):
        found = structs.faults_of_struct(error)
        if isinstance(found, str):
            raise MalformedJson(found) from None
        return found
    faults = faults_of(error, "json")
    if faults[0]["type"] == "json_invalid":
        raise MalformedJson(faults[0]["message"].removeprefix("Invalid JSON: ")) from None
    return faults

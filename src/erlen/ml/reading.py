"""Reads what a predictor gets from a request: validated, files decoded, before it joins a batch.

A body is JSON, MessagePack or a form with the same members. In JSON a text is no number; in a
form, where all is text, it is read as one.
"""

from __future__ import annotations

import json
import math
import typing as t
from collections.abc import Mapping
from itertools import islice

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError, from_json
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import RequestEntityTooLarge

from ..api.body import is_packed
from ..api.formats import JSON, content_type_of, unpacker
from ..api.kinds import is_class, is_model, members_of, plain
from ..api.places import FORM_TYPES, is_bodyless
from ..api.problems import (
    MOST_FAULTS,
    MalformedBody,
    MalformedJson,
    ValidationProblem,
    WrongMediaType,
    faults_of,
    missing,
)
from .files import File
from .limits import MEGABYTE
from .problems import too_large, too_many

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from pydantic.fields import FieldInfo

    from ..api.problems import Fault
    from .fields import Input
    from .predictor import Definition

#: Bytes of a body beside its files and arrays.
PLAIN_BYTES = MEGABYTE
#: Bytes of an array whose shape is not said, and of one number.
ARRAY_BYTES = 4 * MEGABYTE
NUMBER_BYTES = 24
_MULTIPART = FORM_TYPES[1]
_MOST_ERRORS = 1_000
_MOST_FIELDS = 1_000
_ROOM = 1.4  # base64, and the heads of parts


def most_bytes(inputs: Collection[Input]) -> int:
    """Bytes that a body may have, by what its inputs may be: 1 MB beside files and arrays."""
    total = float(PLAIN_BYTES)
    for each in inputs:
        total += each.limits.get("max_size", 0) * _ROOM
        if each.kind == "array":
            shape = each.limits.get("shape") or (None,)
            total += ARRAY_BYTES if None in shape else math.prod(shape) * NUMBER_BYTES
    return int(total)


class Reading:
    """Reads the body of requests to one predictor.

    :param most: bytes that it may have, where the application has no `MAX_CONTENT_LENGTH`
    """

    def __init__(self, definition: Definition, most: int | None = None) -> None:
        self.definition = definition
        self.most = most_bytes(definition.inputs) if most is None else most
        validator = definition.adapter.validator
        self._validate_json = validator.validate_json
        self._validate = validator.validate_python
        inputs = definition.inputs
        self._with_files = _names_with_files(definition.body)
        self.has_files = bool(self._with_files)
        # Elsewhere the types see to it.
        self._may_be_nonfinite = definition.is_whole or any(each.kind == "json" for each in inputs)

    def read(self, request: t.Any) -> tuple[t.Any, str]:
        """The value of a request's body, and where it was: `json` or `form`. Raises problems."""
        self.limit(request)
        try:
            return self._read(request)
        except RequestEntityTooLarge as error:
            most, length = request.max_content_length, request.content_length
            if length is not None and length <= most:
                raise too_many(request.max_form_fields) from error
            raise too_large(most) from error

    def limit(self, request: t.Any) -> None:
        """Set how much of a request is read, where the application does not say."""
        if request.max_content_length is None:
            request.max_content_length = self.most
        # Fields of a form may be as large as the members of JSON, but not as many as one likes.
        request.max_form_memory_size = request.max_content_length
        if request.max_form_fields is None:
            request.max_form_fields = _MOST_FIELDS

    def validated(self, values: Mapping[str, t.Any]) -> t.Any:
        """The value of a form's fields: texts, files, lists of them. Raises ValidationProblem."""
        known = {each.name: each for each in self.definition.inputs}
        found: dict[str, t.Any] = {}
        for name, value in values.items():
            given = [*value] if isinstance(value, (list, tuple)) else [value]
            # The model refuses fields that it does not know, and names them.
            sent = _of_form(known[name], given) if name in known else given[:1]
            if sent is not None:
                found[name] = sent
        try:
            made = self._validate(found)
        except ValidationError as error:
            raise _refused(error, "form") from None
        return self._finite(made, "form")

    def _finite(self, value: t.Any, location: str) -> t.Any:
        if self._may_be_nonfinite:
            faults = [*islice(_nonfinite(value, (location,)), MOST_FAULTS)]
            if faults:
                raise ValidationProblem(faults)
        return value

    def _read(self, request: t.Any) -> tuple[t.Any, str]:
        # PERF: what most say is not taken apart.
        is_json = content_type_of(request) == JSON
        if not is_json and request.mimetype in FORM_TYPES:
            form, files = request.form, request.files
            names = dict.fromkeys((*form, *files))
            sent = {name: [*files.getlist(name), *form.getlist(name)] for name in names}
            return self.validated(sent), "form"
        try:
            if is_json or request.is_json:
                data = request.get_data()
                if not data:
                    raise ValidationProblem([missing("json")])
                value = self._validate_json(data, strict=True)
            elif is_bodyless(request):
                raise ValidationProblem([missing("json")])
            else:
                value = self._validate(self._packed(request), strict=True)
        except ValidationError as error:
            raise _refused(error, "json") from None
        return self._finite(value, "json"), "json"

    def _packed(self, request: t.Any) -> t.Any:
        try:
            packed = is_packed(request)
        except WrongMediaType:
            raise WrongMediaType(request.mimetype, JSON, _MULTIPART) from None
        try:
            return unpacker()(request.get_data()) if packed else None
        except (ValueError, RecursionError) as error:
            raise MalformedBody(400, f"The body is not valid MessagePack: {error}") from None

    # Files, decoded

    def load(self, value: t.Any, location: str) -> None:
        """Decode the files. Raises ValidationProblem."""
        faults: list[Fault] = []
        for place, file in self._files(value):
            try:
                file.load()
            except PydanticCustomError as error:
                faults.append(
                    {
                        "location": [location, *place],
                        "message": error.message(),
                        "type": error.type,
                    }
                )
        if faults:
            raise ValidationProblem(faults)

    def _files(self, value: t.Any) -> Iterator[tuple[tuple[str | int, ...], File]]:
        for name, member in _parts(value):
            if name in self._with_files:
                yield from _files_in(member, (name,))


def _names_with_files(body: t.Any) -> set[str]:
    """The members of a body, by their names in JSON, that are files or have some within them."""
    model = plain(body)
    if is_class(model, BaseModel):
        fields: t.Any = model.model_fields.items()
        members = {_name_in_json(name, info): info for name, info in fields}
    else:
        members = members_of(model, "json")
    return {name for name, info in members.items() if _holds_files(info.annotation, set())}


def _holds_files(annotation: t.Any, seen: set[t.Any]) -> bool:
    kind = plain(annotation)
    if is_class(kind, File):
        return True
    if is_model(kind):
        if kind in seen:
            return False
        seen.add(kind)
        parts = [info.annotation for info in members_of(kind, "json").values()]
        return any(_holds_files(each, seen) for each in (*parts, *t.get_args(kind)))
    if t.get_origin(kind) is t.Literal:
        return False
    return any(_holds_files(each, seen) for each in t.get_args(kind))


def _files_in(
    value: t.Any, place: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], File]]:
    if isinstance(value, File):
        yield place, value
        return
    for name, inner in _parts(value):
        yield from _files_in(inner, (*place, name))


def _parts(value: t.Any) -> Iterable[tuple[str | int, t.Any]]:
    """What a value is made of, by names in JSON and by numbers."""
    if isinstance(value, Mapping):
        return value.items()
    if isinstance(value, (list, tuple, set, frozenset)):
        return enumerate(value)
    if isinstance(value, BaseModel):
        fields = type(value).model_fields.items()
        return [(_name_in_json(name, info), getattr(value, name)) for name, info in fields]
    names = getattr(value, "__dataclass_fields__", ())
    return [(name, getattr(value, name)) for name in names]


def _name_in_json(name: str, info: FieldInfo) -> str:
    alias = info.validation_alias
    return alias if isinstance(alias, str) else info.alias or name


def _refused(error: ValidationError, location: str) -> Exception:
    count = error.error_count()
    if count > _MOST_ERRORS:  # which would take a thousand times their memory to be listed
        message = f"{count} values are not as they have to be"
        return ValidationProblem([{"location": [location], "message": message, "type": "many"}])
    faults = faults_of(error, location)
    if faults[0]["type"] == "json_invalid":
        return MalformedJson(faults[0]["message"].removeprefix("Invalid JSON: "))
    return ValidationProblem(faults)


def _of_form(known: Input, given: list[t.Any]) -> t.Any:
    """The value of a field; `None` for one that is empty."""
    sent = [each for each in given if not _is_empty(each)]
    if known.kind == "choice":
        sent = [_chosen(known, each) for each in sent]
    if known.limits.get("multiple"):
        return sent or None
    if not sent:
        return None
    value = sent[0]
    if known.kind == "json" and isinstance(value, str):
        try:
            return from_json(value)
        except ValueError:
            return value  # which may be a text, and is refused otherwise
    return value


def _chosen(known: Input, sent: t.Any) -> t.Any:
    """The choice that a text stands for: in a form 1 and true are texts as well."""
    if sent in known.choices:
        return sent
    others = (each for each in known.choices if not isinstance(each, str))
    return next((each for each in others if json.dumps(each) == sent), sent)


def _is_empty(value: t.Any) -> bool:
    """Whether a field holds nothing: browsers send an empty part where no file was chosen."""
    if not isinstance(value, FileStorage):
        return value is None or value == ""
    if value.filename or value.stream.read(1):
        value.stream.seek(0)
        return False
    return True


def _nonfinite(value: t.Any, place: tuple[str | int, ...]) -> Iterator[Fault]:
    """Faults of numbers that are none, but for those that a model allows."""
    if isinstance(value, float):
        if value - value != 0:
            message = "Input should be a finite number"
            yield {"location": [*place], "message": message, "type": "finite_number"}
    elif isinstance(value, BaseModel):
        if value.model_config.get("allow_inf_nan"):
            return
        for name, info in type(value).model_fields.items():
            if not any(getattr(each, "allow_inf_nan", None) for each in info.metadata):
                yield from _nonfinite(getattr(value, name), (*place, _name_in_json(name, info)))
    else:
        for key, inner in _parts(value):
            yield from _nonfinite(inner, (*place, key))

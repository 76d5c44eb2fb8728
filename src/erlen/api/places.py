"""Steps that bind parameters from the URL, the headers and forms.

A step is called with the request and the values so far, adds its own, and returns the faults that
it finds, or `None`. A value that is there already stays: a function of the application
(`url_value_preprocessor`) has filled it.
"""

from __future__ import annotations

import typing as t
from collections.abc import Callable
from functools import partial

from pydantic import ValidationError
from werkzeug.datastructures import FileStorage

from .fields import MISSING, Field, Operation
from .kinds import is_list, plain
from .params import UploadFile
from .problems import Fault, FileTooLarge, WrongMediaType, faults_of, missing

Values = dict[str, t.Any]
Faults: t.TypeAlias = "list[Fault] | None"
Step = Callable[[t.Any, Values], "list[Fault] | None"]
Read = Callable[[t.Any], t.Any]

FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")


def place_steps(operation: Operation, most: int | None) -> list[Step]:
    """The steps for all fields of an operation but those of the JSON body.

    :param most: bytes that a file of the request's form may have
    """
    read_form = form_reader(most)
    steps = []
    for field in operation.fields:
        if field.location == "path":
            steps.append(_path_step(field))
        elif field.location == "file":
            steps.append(_file_step(field, read_form))
        elif field.location != "json":
            read = read_form if field.location == "form" else _READERS[field.location]
            make = _scalar_step if field.members is None else _model_step
            steps.append(make(field, read))
    return steps


def most_of(operation: Operation) -> int | None:
    """Bytes that the largest file of a request may have; `None` where one of them is free."""
    sizes = [
        None if field.upload is None else field.upload.max_size
        for field in operation.everything()
        if field.location == "file"
    ]
    known = [size for size in sizes if size is not None]
    return max(known) if known and len(known) == len(sizes) else None


_READERS: dict[str, Read] = {
    "query": lambda request: request.args,
    "header": lambda request: request.headers,
    "cookie": lambda request: request.cookies,
}


def defaults_of(field: Field) -> Callable[[], t.Any]:
    """What gives the default of one request."""
    default = field.default
    return field.default_maker() or (lambda: default)


def _scalar_step(field: Field, read: Read) -> Step:
    name, alias, location = field.name, field.alias, field.location
    validate = field.adapter.validator.validate_python
    is_required, is_form = field.is_required, location == "form"
    make_default = defaults_of(field)
    get = _getter(field)

    def step(request: t.Any, values: Values) -> Faults:
        if name in values:
            return None
        raw = get(read(request), alias)
        if raw is None or (is_form and raw == ""):
            if is_required:
                return [missing(location, alias)]
            values[name] = make_default()
            return None
        try:
            values[name] = validate(raw)
        except ValidationError as error:
            return faults_of(error, location, alias)
        return None

    return step


def _getter(field: Field) -> Callable[[t.Any, str], t.Any]:
    if not field.is_list:
        return lambda place, alias: place.get(alias)
    if field.location == "header":
        return lambda place, alias: _parts_of(place.getlist(alias)) or None
    return lambda place, alias: place.getlist(alias) or None


def _parts_of(lines: list[str]) -> list[str]:
    """The elements of a header that is a list (RFC 9110, 5.6.1); how servers fold lines."""
    return [part.strip() for line in lines for part in line.split(",") if part.strip()]


def _path_step(field: Field) -> Step:
    name, alias = field.name, field.alias
    validate = field.adapter.validator.validate_python
    is_required = field.is_required
    make_default = defaults_of(field)

    def step(request: t.Any, values: Values) -> Faults:
        raw = values.get(name, MISSING)
        if raw is MISSING:
            raw = values.pop(alias, MISSING)
        if raw is MISSING:
            view_args = request.view_args or {}
            raw = view_args.get(name, view_args.get(alias, MISSING))
        if raw is MISSING:
            if is_required:
                return [missing("path", alias)]
            values[name] = make_default()
            return None
        try:
            values[name] = validate(raw)
        except ValidationError as error:
            return faults_of(error, "path", alias)
        return None

    return step


def _model_step(field: Field, read: Read) -> Step:
    """A model takes all values of a place; of the headers, those that it has members for."""
    name, location = field.name, field.location
    members = field.members or {}
    validate = field.adapter.validator.validate_python
    is_required, is_form, is_header = field.is_required, location == "form", location == "header"
    make_default = defaults_of(field)
    lists = {key for key, info in members.items() if is_list(plain(info.annotation))}
    names = {key: key.replace("-", "_") if is_header else key for key in members}

    def step(request: t.Any, values: Values) -> Faults:
        if name in values:
            return None
        place = read(request)
        found: dict[str, t.Any] = {}
        for key in [key for key in members if key in place] if is_header else [*place]:
            if key not in lists:
                value = place[key]
                if is_form and value == "" and key in members:
                    continue
            else:
                value = place.getlist(key)
                if is_header:
                    value = _parts_of(value)
            found[names.get(key, key)] = value
        if not found and not is_required:
            values[name] = make_default()
            return None
        try:
            values[name] = validate(found)
        except ValidationError as error:
            return faults_of(error, location)
        return None

    return step


# Forms and files


def form_reader(most: int | None) -> Read:
    """What parses a request's form, and refuses another body."""

    def read(request: t.Any) -> t.Any:
        if "form" not in request.__dict__:
            kind = request.mimetype
            if kind not in FORM_TYPES and not is_bodyless(request):
                raise WrongMediaType(kind, *FORM_TYPES)
            if most is not None:
                request._get_file_stream = partial(_open_limited, request._get_file_stream, most)
        return request.form

    return read


def is_bodyless(request: t.Any) -> bool:
    """Whether a request has no body, found without reading where its head tells."""
    length = request.content_length
    if length is not None:
        return not length
    if request.headers.get("Transfer-Encoding"):
        return False
    return not request.get_data()


def _open_limited(open_file: t.Any, most: int, *args: t.Any, **about: t.Any) -> _LimitedFile:
    return _LimitedFile(open_file(*args, **about), most)


class _LimitedFile:
    """An upload that is being received, and refuses to become too large."""

    def __init__(self, file: t.IO[bytes], most: int) -> None:
        self.file = file
        self.most = self.left = most

    def write(self, data: bytes) -> int:
        self.left -= len(data)
        if self.left < 0:
            self.file.close()
            raise FileTooLarge(self.most)
        return self.file.write(data)

    def __iter__(self) -> t.Iterator[bytes]:
        return iter(self.file)

    def __getattr__(self, name: str) -> t.Any:
        return getattr(self.file, name)


def _uploaded(file: FileStorage) -> UploadFile:
    stream: t.Any = file.stream
    if isinstance(stream, _LimitedFile):
        file.stream = stream.file
    return UploadFile.of(file)


def _is_chosen(file: FileStorage) -> bool:
    """Whether somebody chose a file: browsers send an empty part where nobody did."""
    if file.filename:
        return True
    is_there = bool(file.stream.read(1))
    file.stream.seek(0)
    return is_there


def _file_step(field: Field, read_form: Read) -> Step:
    name, alias, many, upload = field.name, field.alias, field.is_list, field.upload
    kind = plain(field.type)
    inner = plain((t.get_args(kind) or (kind,))[0]) if many else kind
    wants_bytes = inner is bytes
    validate = field.adapter.validator.validate_python
    is_required = field.is_required
    make_default = defaults_of(field)

    def accept(file: UploadFile) -> t.Any:
        if upload is not None:
            if not upload.takes(file.mimetype):
                raise WrongMediaType(file.mimetype, *upload.content_types)
            if upload.max_size is not None and file.size > upload.max_size:
                raise FileTooLarge(upload.max_size)
        return file.read() if wants_bytes else file

    def step(request: t.Any, values: Values) -> Faults:
        if name in values:
            return None
        read_form(request)
        files = [_uploaded(each) for each in request.files.getlist(alias)]
        files = [each for each in files if _is_chosen(each)]
        if not files:
            if is_required:
                return [missing("file", alias)]
            values[name] = make_default()
            return None
        accepted = [accept(each) for each in files]
        try:
            values[name] = validate(accepted if many else accepted[0])
        except ValidationError as error:
            return faults_of(error, "file", alias)
        return None

    return step

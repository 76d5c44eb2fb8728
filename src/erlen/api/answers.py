"""From what a typed view returns to a response, by the types that it declares."""

from __future__ import annotations

import typing as t

from pydantic import TypeAdapter
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as BaseResponse

from .fields import Answer, Operation, _is_model, _plain

if t.TYPE_CHECKING:
    from collections.abc import Callable

#: Options of a route that are passed to pydantic's serialiser.
DUMP_OPTIONS = (
    "exclude_unset",
    "exclude_defaults",
    "exclude_none",
    "by_alias",
    "include",
    "exclude",
)
# What Flask takes as it is, whatever a view declares.
_FLASKS = (str, bytes, bytearray, BaseResponse, HTTPException)

Make = t.Callable[[t.Any], t.Any]


def compile_answer(operation: Operation, app: t.Any) -> Make | None:
    """What makes a response of what the view returns; `None` where Flask's rules are all."""
    options = operation.options
    status = options.get("status")
    if not operation.is_answer_typed:
        if status is None and not any(each.status == 204 for each in operation.answers):
            return None
        default = status or 204
        return lambda rv: _with_status(rv, default)
    dump = {"by_alias": True, **{key: options[key] for key in DUMP_OPTIONS if key in options}}
    writers = {
        each.status: _Writer(each, dump) for each in operation.answers if each.adapter is not None
    }
    first = next(iter(writers.values()))
    empty = next((each.status for each in operation.answers if each.type is None), 204)
    takes_tuples = _plain(first.type) is not tuple and t.get_origin(_plain(first.type)) is not tuple

    def answer(rv: t.Any) -> t.Any:
        code: t.Any = None
        headers: t.Any = None
        value = rv
        if rv.__class__ is tuple and takes_tuples:
            if len(rv) == 3:
                value, code, headers = rv
            elif len(rv) == 2:
                value, second = rv
                if isinstance(second, (dict, list, tuple, Headers)):
                    headers = second
                else:
                    code = second
        if isinstance(value, _FLASKS) or (callable(value) and not first.fits(value)):
            return _with_status(rv, status) if status else rv
        if code is not None:
            writer = writers.get(code if isinstance(code, int) else 0, first)
        elif value is None and not first.fits(None):
            return _with_status(("", empty) if headers is None else ("", empty, headers), empty)
        else:
            writer = first if first.fits(value) else _choose(writers.values(), value) or first
            code = writer.status
        response = app.response_class._from_bytes(writer.write(value), "application/json")
        if code != 200:
            if isinstance(code, int):
                response.status_code = code
            else:
                response.status = code
        if headers:
            response.headers.update(headers)
        return response

    return answer


def _choose(writers: t.Iterable[_Writer], value: t.Any) -> _Writer | None:
    return next((writer for writer in writers if writer.fits(value)), None)


def _with_status(rv: t.Any, status: int) -> t.Any:
    """What a view returned, with the status of its route unless it has one."""
    if isinstance(rv, (BaseResponse, HTTPException)):
        return rv
    if rv is None:
        return "", status
    if rv.__class__ is not tuple:
        return rv, status
    if len(rv) == 2 and isinstance(rv[1], (dict, list, tuple, Headers)):
        return rv[0], status, rv[1]
    return rv


class _Writer:
    """Writes values of one answer's type as JSON."""

    def __init__(self, answer: Answer, dump: dict[str, t.Any]) -> None:
        adapter = t.cast("TypeAdapter[t.Any]", answer.adapter)
        self.type = answer.type
        self.status = answer.status
        self.dump = dump
        self.validate = adapter.validate_python
        self.to_json = adapter.serializer.to_json
        self.fits = _test_of(answer.type)

    def write(self, value: t.Any) -> bytes:
        """The JSON of a value; one that is not of the type is made it, or raises."""
        if not self.fits(value):
            value = self.validate(value, from_attributes=True)
        return self.to_json(value, **self.dump)


def _test_of(kind: t.Any) -> Callable[[t.Any], bool]:
    """Whether a value is of a type so surely that it need not be validated.

    Of a subclass only what the type declares is written.
    """
    plain = _plain(kind)
    if _is_model(plain) and not t.is_typeddict(plain):
        return lambda value: isinstance(value, plain)
    if t.get_origin(plain) is list:
        inner = _test_of(t.get_args(plain)[0])
        return lambda value: value.__class__ is list and all(map(inner, value))
    classes = [_plain(each) for each in t.get_args(plain)]
    if classes and all(_is_model(each) and not t.is_typeddict(each) for each in classes):
        return lambda value: isinstance(value, tuple(classes))
    return lambda value: False

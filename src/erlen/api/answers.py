"""From what a typed view returns to a response, by the types that it declares."""

from __future__ import annotations

import typing as t
from collections.abc import Callable
from functools import partial

from pydantic import TypeAdapter
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as BaseResponse

from ..engine.respond import Ready
from ..state import current
from . import structs
from .fields import Answer, Operation
from .formats import JSON, has_msgpack, packer, wished
from .kinds import UNIONS, is_model, is_struct, is_typed_dict, plain

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
        default = int(status or 204)
        return lambda rv: _with_status(rv, default)
    dump = {key: options[key] for key in DUMP_OPTIONS if options.get(key) is not None}
    writers = [_Writer(each, dump) for each in operation.answers if each.adapter is not None]
    empty = next(
        (each.status for each in operation.answers if each.type is None and each.is_returned), 204
    )
    return _Answering(app, writers, empty, status, operation.is_answer_lenient).compile()


#: Attribute of what makes responses: the same for the edge of WSGI, which takes them unmade. It is
#: called with the request, too.
FOR_WSGI = "_erlen_for_wsgi"


class _Answering:
    """Makes the responses of one view.

    :param empty: the status of `None`
    :param status: that of the route, if it has one
    :param lenient: whether values that Flask takes are left to it
    """

    def __init__(
        self, app: t.Any, writers: list[_Writer], empty: int, status: t.Any, lenient: bool
    ) -> None:
        self.app = app
        self.writers = writers
        self.by_status = {writer.status: writer for writer in writers}
        #: Of values that the view returns without a status; `None` leaves them to Flask.
        self.first = next(
            (each for each in writers if each.is_returned or each.status == int(status or 200)),
            None,
        )
        self.empty = empty
        self.status = None if status is None else int(status)
        self.lenient = lenient

    def compile(self) -> Make:
        """What is called with what the view returned."""
        first, other = self.first, self._other
        if first is None:
            return other
        exact, write, status = first.exact, first.write_exact, first.status
        cls = self.app.response_class
        if not hasattr(cls, "_sends_plainly"):  # a class of somebody else's
            return other
        line = _line_of(cls, status)
        packs = has_msgpack()

        def answer(rv: t.Any) -> t.Any:
            # PERF: the common case, an instance of the type that is answered.
            if rv.__class__ is not exact or not cls._sends_plainly:
                return other(rv)
            if packs:
                kind = wished(current.get()[1].request)  # type: ignore[union-attr]
                if kind is not None:
                    return other(rv)
            made = cls.__new__(cls)
            made._ready = (write(rv), JSON)
            if status != 200:
                made._status, made._status_code = line, status
            return made

        def unmade(rv: t.Any, request: t.Any) -> t.Any:
            if rv.__class__ is not exact or not cls._sends_plainly:
                return other(rv)
            if packs and "msgpack" in request.environ.get("HTTP_ACCEPT", ""):
                return answer(rv)
            return Ready((write(rv), JSON))

        if status == 200:
            setattr(answer, FOR_WSGI, unmade)
        return answer

    def _other(self, rv: t.Any) -> t.Any:
        """The response of any value, or the value where Flask makes it."""
        code: t.Any = None
        headers: t.Any = None
        value = rv
        if rv.__class__ is tuple:
            if len(rv) == 3:
                value, code, headers = rv
            elif len(rv) == 2:
                value, second = rv
                if isinstance(second, (dict, list, tuple, Headers)):
                    headers = second
                else:
                    code = second
        writer = None
        if not isinstance(value, _FLASKS):
            if value is None and not (self.first and self.first.fits(None)):
                return _filled(("", code, headers), self.empty if code is None else code)
            writer = self._writer(value, code)
        if writer is None:
            return rv if self.status is None else _with_status(rv, self.status)
        return self._made(writer, value, writer.status if code is None else code, headers)

    def _writer(self, value: t.Any, code: t.Any) -> _Writer | None:
        """What writes a value; `None` for one that is Flask's."""
        number = code if isinstance(code, int) else _number_of(code)
        declared = None if number is None else self.by_status.get(number)
        if declared is not None and (declared.fits(value) or not self.lenient):
            return declared
        fitting = next((writer for writer in self.writers if writer.fits(value)), None)
        if fitting is not None or self.lenient or callable(value):
            return fitting
        # The error that a view answers as in Flask is not of the type that it declares.
        if number is not None and number >= 400 and isinstance(value, (dict, list)):
            return None
        return self.first

    def _made(self, writer: _Writer, value: t.Any, code: t.Any, headers: t.Any) -> t.Any:
        cls = self.app.response_class
        ctx = current.get()[1]
        kind = wished(ctx.request) if ctx is not None and has_msgpack() else None
        if kind is None:
            response = cls(writer.write(value), mimetype=JSON)
        else:
            response = cls(writer.pack(value), content_type=kind)
            response.vary.add("Accept")
        if isinstance(code, int):
            if code != 200:
                response.status_code = code
        else:
            response.status = code
        if headers:
            response.headers.update(headers)
        return response


def _line_of(cls: t.Any, status: int) -> str:
    made = cls()
    made.status_code = status
    return t.cast("str", made.status)


def _number_of(code: t.Any) -> int | None:
    """The number in a status line."""
    text = str(code)[:3]
    return int(text) if text.isdigit() else None


def _filled(rv: tuple[t.Any, t.Any, t.Any], status: t.Any) -> t.Any:
    """An answer without a value."""
    body, _, headers = rv
    return (body, status) if headers is None else (body, status, headers)


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
    """Writes values of one answer's type."""

    def __init__(self, answer: Answer, dump: dict[str, t.Any]) -> None:
        adapter = t.cast("TypeAdapter[t.Any]", answer.adapter)
        kind = plain(answer.type)
        self.status = answer.status
        self.is_returned = answer.is_returned
        self.dump = {"by_alias": True, **dump}
        self.validate = adapter.validator.validate_python
        self.serializer = adapter.serializer
        self.fits = _test_of(answer.type)
        #: The class of values that are written without being looked at; `_NoClass` where none is.
        self.exact = kind if is_model(kind) and not is_typed_dict(kind) else _NoClass
        encode = structs.encoder_of(answer.type) if not dump else None
        self.encode = encode
        self.write_exact = encode or _json_writer(adapter, self.dump)

    def made(self, value: t.Any) -> t.Any:
        """A value of the type. Raises ValidationError for what cannot be made one."""
        return value if self.fits(value) else self.validate(value, from_attributes=True)

    def write(self, value: t.Any) -> bytes:
        """The JSON of a value; of a subclass only what the type declares."""
        return self.write_exact(self.made(value))

    def pack(self, value: t.Any) -> bytes:
        """The same as MessagePack."""
        made = self.serializer.to_python(self.made(value), mode="json", **self.dump)
        return packer()(made)


class _NoClass:
    """Of no value."""


def _json_writer(adapter: TypeAdapter[t.Any], dump: dict[str, t.Any]) -> Callable[[t.Any], bytes]:
    to_json = adapter.serializer.to_json
    if dump == {"by_alias": True} and not _may_have_aliases(adapter.core_schema):
        return to_json  # PERF: the option alone is a tenth of the work
    return partial(to_json, **dump)


# Schemas that are written by what they say, whatever the value; others may lead anywhere.
_CLOSED = frozenset(
    {
        *("none", "bool", "int", "float", "decimal", "str", "bytes", "date", "time", "datetime"),
        *("timedelta", "uuid", "url", "literal", "enum", "nullable", "default", "list", "tuple"),
        *("set", "frozenset", "dict", "union", "tagged-union", "model", "model-fields"),
        *("model-field", "definitions", "definition-ref"),
    }
)


def _may_have_aliases(schema: t.Any) -> bool:
    """Whether any name in the JSON of a type's values could be an alias."""
    if isinstance(schema, (list, tuple)):
        return any(map(_may_have_aliases, schema))
    if not isinstance(schema, dict):
        return False
    kind = schema.get("type")
    if isinstance(kind, str) and kind not in _CLOSED:
        return True
    if "serialization_alias" in schema or schema.get("computed_fields"):
        return True
    if "serialization" in schema or "extras_schema" in schema:
        return True
    if schema.get("config", {}).get("extra_fields_behavior") == "allow":
        return True
    inner = (each for key, each in schema.items() if key not in {"metadata", "config", "default"})
    return any(map(_may_have_aliases, inner))


def _test_of(kind: t.Any) -> Callable[[t.Any], bool]:
    """Whether a value is of a type so surely that it need not be validated."""
    kind = plain(kind)
    if is_struct(kind):
        return lambda value: value.__class__ is kind
    if isinstance(kind, type) and is_model(kind) and not is_typed_dict(kind):
        return lambda value: isinstance(value, kind)
    if t.get_origin(kind) is list:
        inner = _test_of(t.get_args(kind)[0])
        return lambda value: value.__class__ is list and all(map(inner, value))
    if t.get_origin(kind) in UNIONS:
        tests = [_test_of(each) for each in t.get_args(kind)]
        return lambda value: any(test(value) for test in tests)
    return lambda value: kind is type(None) and value is None

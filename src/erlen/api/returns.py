"""What a view answers: read from its return annotation and the options of its route."""

from __future__ import annotations

import dataclasses
import typing as t
from collections.abc import Collection, Mapping
from http import HTTPStatus

from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as BaseResponse

from . import structs
from .fields import MISSING, Answer
from .kinds import UNIONS, annotated, is_class, is_simple, is_typed_dict, plain
from .params import Status
from .problems import Problem

if t.TYPE_CHECKING:
    from pydantic import TypeAdapter

    from .signatures import Reader

#: Statuses whose answers have no body (RFC 9110, 15.2, 15.3.5, 15.4.5).
BODYLESS = frozenset({*range(100, 200), 204, 205, 304})


def read_answers(reader: Reader, options: t.Any) -> tuple[tuple[Answer, ...], bool]:
    """What a view answers, and whether by type. Raises SetupError."""
    default = _status(reader, options.get("status") or 200, "status")
    returned = options["returns"] if "returns" in options else reader.returned
    found: dict[int, Answer] = {}
    is_typed = False
    for part in _alternatives(returned):
        status, description, kind = default, None, part
        if t.get_origin(part) is t.Annotated:
            base, *metadata = t.get_args(part)
            kind = annotated(base, [each for each in metadata if not isinstance(each, Status)])
            for each in metadata:
                if isinstance(each, Status):
                    status = _status(reader, each.code, "Status")
                    description = each.description
        if kind is None or kind is type(None):
            if status == default and "status" not in options:
                status = 204
            found.setdefault(status, Answer(status, None, None, description))
            continue
        if is_class(kind, Problem):  # described; what raises or returns it writes it
            status = status if status != default else kind.code
            found.setdefault(status, Answer(status, kind, None, description))
            continue
        if not _is_described(kind):
            continue
        if status in BODYLESS:
            reader.fail(f"answers with status {status} have no body, but {kind!r} is to be one.")
        is_typed = True
        if status in found and found[status].type is not None:
            kind = t.Union[found[status].type, kind]  # noqa: UP007
        typed = reader.adapter("return", structs.adapted(kind))
        found[status] = Answer(status, kind, typed, description)
    for key, said in (options.get("responses") or {}).items():
        status = _status(reader, key, "responses")
        kind, description = said if isinstance(said, tuple) else (said, None)
        if isinstance(kind, str):
            kind, description = None, kind
        elif isinstance(kind, Mapping):  # a response object of OpenAPI
            description = kind.get("description")
            kind = None
        adapter: TypeAdapter[t.Any] | None = None
        if kind is not None and not is_class(kind, Problem):
            adapter = reader.adapter(f"responses[{status}]", structs.adapted(kind))
            is_typed = True
        is_returned = status in found and found[status].is_returned and kind is None
        if is_returned:
            found[status] = dataclasses.replace(found[status], description=description)
        else:
            found[status] = Answer(status, kind, adapter, description, False)
    return tuple(found.values()), is_typed


def _status(reader: Reader, value: t.Any, what: str) -> int:
    try:
        code = int(value)
    except (TypeError, ValueError):
        code = 0
    if not 100 <= code <= 599:
        reader.fail(f"{what} is {value!r}, which is no HTTP status such as {HTTPStatus.CREATED}.")
    return code


def _alternatives(returned: t.Any) -> tuple[t.Any, ...]:
    """The types that a view may return, each by itself."""
    if returned is MISSING:
        return ()
    if t.get_origin(returned) in UNIONS:
        return tuple(each for part in t.get_args(returned) for each in _alternatives(part))
    if t.get_origin(returned) is tuple:  # (value, status, headers)
        first = t.get_args(returned)[:1]
        return _alternatives(first[0]) if first else ()
    return (returned,)


def _is_described(kind: t.Any) -> bool:
    """Whether a type says what an answer looks like; Flask's own return types do not."""
    kind = plain(kind)
    if kind in (t.Any, str, bytes, bytearray, dict, list, tuple, object):
        return False
    if isinstance(kind, (str, t.TypeVar, t.ForwardRef)):
        return False
    if is_class(kind, BaseResponse) or is_class(kind, HTTPException) or is_typed_dict(kind):
        return is_typed_dict(kind)
    if is_class(kind, Mapping):
        return False
    origin = t.get_origin(kind)
    if isinstance(origin, type) and issubclass(origin, (Collection, Mapping)):
        return any(
            each is not Ellipsis and (_is_described(each) or is_simple(plain(each)))
            for each in t.get_args(kind)
        )
    if isinstance(origin, type):  # a generic class, an iterator, a callable
        return hasattr(origin, "__dataclass_fields__") or hasattr(origin, "__struct_fields__")
    return True

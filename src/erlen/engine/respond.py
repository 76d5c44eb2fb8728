"""From what a view returns to a response.

The texts of the errors are Flask's, since people search for them. Source: Flask, "About
Responses".
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterator

from werkzeug.datastructures import Headers
from werkzeug.wrappers import Response as BaseResponse

from ..state import current

if t.TYPE_CHECKING:
    from ..wrappers import Response
    from .plan import Program

_ACCEPTED = (
    " The return type must be a string,"
    " dict, list, tuple with headers or status, Response instance,"
    " or WSGI callable, but it was a"
)
_TUPLE_FORMS = (
    "The view function did not return a valid response tuple."
    " The tuple must have the form (body, status, headers),"
    " (body, status), or (body, headers)."
)


def quick_response(program: Program, rv: t.Any) -> Response:
    """`make_response` for the common types, told apart by their exact class."""
    kind = rv.__class__
    if program.plain_response:
        cls = program.app.response_class
        if kind is str:
            return cls._from_bytes(rv.encode())  # type: ignore[no-any-return]
        if kind is dict or kind is list:
            if program.plain_json:
                provider = program.app.json
                return cls._from_bytes(  # type: ignore[no-any-return]
                    provider._response_body(rv), provider.mimetype
                )
        elif kind is cls:
            return rv  # type: ignore[no-any-return]
        elif kind is tuple and len(rv) == 2 and rv[1].__class__ is int:
            response = quick_response(program, rv[0])
            response.status_code = rv[1]
            return response
    return program.app.make_response(rv)  # type: ignore[no-any-return]


def _unpack(rv: t.Any) -> tuple[t.Any, t.Any, t.Any]:
    """Body, status and headers of what a view returned; `None` for what it did not give."""
    if not isinstance(rv, tuple):
        return rv, None, None
    if len(rv) == 3:
        return rv
    if len(rv) != 2:
        raise TypeError(_TUPLE_FORMS)
    body, second = rv
    if isinstance(second, (Headers, dict, tuple, list)):
        return body, None, second
    return body, second, None


def _endpoint() -> str | None:
    ctx = current.get()[1]
    return None if ctx is None else ctx.request.endpoint


def _environ() -> t.Any:
    ctx = current.get()[1]
    return None if ctx is None else ctx.request.environ


def make_response(app: t.Any, rv: t.Any) -> Response:
    """An instance of `app.response_class` from any of Flask's return types.

    Raises TypeError for everything else, `None` included.
    """
    body, status, headers = _unpack(rv)
    cls = app.response_class
    if body is None:
        raise TypeError(
            f"The view function for {_endpoint()!r} did not"
            " return a valid response. The function either returned"
            " None or ended without a return statement."
        )
    if isinstance(body, cls):
        response = body
    elif isinstance(body, (str, bytes, bytearray, Iterator)):
        # The constructor gets status and headers, so that they decide the content type.
        return cls(body, status=status, headers=headers)  # type: ignore[no-any-return]
    elif isinstance(body, (dict, list)):
        response = app.json.response(body)
    elif isinstance(body, BaseResponse) or callable(body):
        try:
            response = cls.force_type(body, _environ())
        except TypeError as error:
            raise TypeError(f"{error}\n{_refusal(body)}").with_traceback(
                error.__traceback__
            ) from None
    else:
        raise TypeError(_refusal(body))
    if status is not None:
        if isinstance(status, (str, bytes, bytearray)):
            response.status = status
        else:
            response.status_code = status
    if headers:
        response.headers.update(headers)
    return response  # type: ignore[no-any-return]


def _refusal(body: t.Any) -> str:
    return (
        f"The view function did not return a valid response.{_ACCEPTED} {type(body).__name__}."
    )

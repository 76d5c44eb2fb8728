"""From what a view returns to a response.

The texts of the errors are Flask's, since people search for them. Source: Flask, "About
Responses".
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterator

from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.wrappers import Response as BaseResponse

from ..globals import request
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
    cls = program.app.response_class
    if kind is cls:
        return rv  # type: ignore[no-any-return]
    if program.plain_types:
        if kind is tuple and len(rv) == 2 and rv[1].__class__ is int:
            ready = ready_body(program, rv[0])
            if ready is not None:
                made = cls.__new__(cls)
                made._ready = ready
                made.status_code = rv[1]
                return made  # type: ignore[no-any-return]
        elif isinstance(rv, HTTPException):
            # In this order: a class with its own `get_response` may lack the attribute.
            if _is_plain_error(kind) and rv.response is None:
                return _error_page(cls, rv)
        else:
            ready = ready_body(program, rv)
            if ready is not None:
                made = cls.__new__(cls)
                made._ready = ready
                return made  # type: ignore[no-any-return]
    return program.app.make_response(rv)  # type: ignore[no-any-return]


class Ready(tuple[bytes, str]):
    """Body and content type of an answer that is given to the edge itself.

    PERF: half the price of a response without anything else.
    """

    __slots__ = ()

    def response(self, cls: type[Response]) -> Response:
        """The same as a response."""
        made = cls.__new__(cls)
        made._ready = (self[0], self[1])
        return made


def ready_body(program: Program, rv: t.Any) -> tuple[bytes, str] | None:
    """Body and content type of text, dicts and lists; `None` where the long way must be gone."""
    if not program.plain_types:
        return None
    kind = rv.__class__
    if kind is str:
        return None if program.text_type is None else (rv.encode(), program.text_type)
    if (kind is dict or kind is list) and program.json_body is not None:
        if program.app.json.mimetype == "application/json":
            return program.json_body(rv), "application/json"
    if kind is program.app.response_class and len(rv.__dict__) == 1:
        return rv.__dict__.get("_ready")  # type: ignore[no-any-return]
    return None


_CONTENT_TYPES: dict[str | None, str] = {
    "text/html": "text/html; charset=utf-8",
    "text/plain": "text/plain; charset=utf-8",
}


def text_type(response_class: type[Response]) -> str | None:
    """The content type that a class gives to text; `None` where only its constructor knows."""
    return _CONTENT_TYPES.get(response_class.default_mimetype)


# As they are defined: somebody may replace them on the class itself.
_CALL: t.Any = HTTPException.__call__
_GET_RESPONSE: t.Any = HTTPException.get_response


def _is_plain_error(kind: t.Any) -> bool:
    """Whether errors of a class are answered by their body, headers and code, and nothing else."""
    return kind.get_response is _GET_RESPONSE and kind.__call__ is _CALL


class Page(t.NamedTuple):
    """What is sent for an error, without a response around it; the same for many requests."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes


#: Of the errors whose answers have a body.
_STATUS_LINES: dict[t.Any, str] = {
    code: f"{code} {name.upper()}" for code, name in HTTP_STATUS_CODES.items() if code >= 400
}
#: Where pages of errors are made without a look at the request: of text, the content type first.
_ASKS_NOBODY = ("erlen.api.problems", "werkzeug.exceptions")
_MAKERS = ("get_body", "get_description", "get_headers")
#: Pages by what they depend on, of errors that are the same again and again; so many at most.
_pages: dict[t.Any, Page] = {}
_MOST_PAGES = 256
#: Headers that a response makes anew, or that the page has of itself.
_OWN_HEADERS = frozenset({"content-type", "content-length", "location", "content-location"})


def ready_page(program: Program, error: HTTPException) -> Page | None:
    """An error's page as the edge sends it; `None` where the long way must be gone.

    PERF: a response and its headers would take a third of the time of a request that is refused,
    and over ASGI an environ would be made for it that hardly any error reads.
    """
    kind = error.__class__
    status = _STATUS_LINES.get(error.code)
    if not program.plain_types or status is None:
        return None
    if not _is_plain_error(kind) or error.response is not None:
        return None
    for maker in _MAKERS:
        if getattr(kind, maker).__module__ not in _ASKS_NOBODY:
            return None
    key = _key_of(error)
    page = None if key is None else _pages.get(key)
    if page is None:
        page = _make_page(status, error)
        if page is not None and key is not None:
            if len(_pages) >= _MOST_PAGES:
                _pages.clear()
            _pages[key] = page
    return page


def _key_of(error: t.Any) -> t.Any:
    """What the page of an error depends on; `None` where that is not known.

    PERF: who refuses most of what is asked has no time to write the same document again.
    """
    own = error.__dict__
    if error.__class__.__module__ == "werkzeug.exceptions":
        is_default = len(own) == 1 and "response" in own
        return (error.__class__, error.code, error.description) if is_default else None
    key_of = getattr(error, "_page_key", None)
    return None if key_of is None else key_of()


def _make_page(status: str, error: HTTPException) -> Page | None:
    headers = error.get_headers()
    for pair in headers:
        for text in pair:
            if text.__class__ is not str or not (text.isascii() and text.isprintable()):
                return None
    names = {name.lower() for name, _ in headers[1:]}
    if len(names) < len(headers) - 1 or not names.isdisjoint(_OWN_HEADERS):
        return None
    body = error.get_body().encode()
    return Page(status, [*headers, ("Content-Length", str(len(body)))], body)


def _error_page(cls: type[Response], error: HTTPException) -> Response:
    """What `force_type` makes of an error by calling it as an application, without the call."""
    environ = _environ()
    body, headers = error.get_body(environ), Headers(error.get_headers(environ))
    kind = None if "Content-Type" in headers else BaseResponse.default_mimetype
    return cls(body, status=error.code, headers=headers, mimetype=kind)


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


def _environ() -> t.Any:
    ctx = current.get()[1]
    return None if ctx is None else ctx.request.environ


def make_response(app: t.Any, rv: t.Any) -> Response:
    """An instance of `app.response_class` from any of Flask's return types.

    An async iterable is a body too. Raises TypeError for everything else, `None` included.
    """
    body, status, headers = _unpack(rv)
    cls = app.response_class
    if body is None:
        raise TypeError(
            f"The view function for {request.endpoint!r} did not"
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
    elif hasattr(type(body), "__aiter__"):
        return cls(body, status=status, headers=headers)  # type: ignore[no-any-return]
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
    return f"The view function did not return a valid response.{_ACCEPTED} {type(body).__name__}."

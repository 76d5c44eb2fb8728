"""Answers to faulty requests: problem details (RFC 9457).

Each is an `HTTPException`, so that `app.errorhandler(ValidationProblem)`, or one for its status,
replaces the answer of all views.
"""

from __future__ import annotations

import json
import typing as t
from functools import cache
from http import HTTPStatus

from werkzeug.exceptions import (
    BadRequest,
    HTTPException,
    RequestEntityTooLarge,
    UnprocessableEntity,
    UnsupportedMediaType,
    default_exceptions,
)

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import typing_extensions as te
    from pydantic import ValidationError

MEDIA_TYPE = "application/problem+json"
_MOST_TEXT = 200
_encode = json.JSONEncoder(default=str).encode


class Fault(t.TypedDict):
    """One thing that is wrong in a request."""

    #: Where: the part of the request, then names and indexes, as `["json", "items", 0, "price"]`.
    location: list[str | int]
    message: str
    #: Pydantic's name for the kind of fault, such as `int_parsing` or `missing`.
    type: str


class Problem(HTTPException):
    """An error that is answered with problem details.

    It counts as an error of its status too: `app.errorhandler(404)` gets `Problem(404)`.

    :param code: the status
    :param detail: what went wrong this time
    :param title: what went wrong, for all problems of its type; by default the status's name
    :param type: a URI that names the type
    :param headers: of the answer
    :param members: further members of the document
    """

    code = 400

    # With any arguments: subclasses have their own, and type checkers read both methods.
    def __new__(cls, *args: t.Any, **members: t.Any) -> te.Self:
        made: t.Any = cls
        if cls is Problem:
            code = args[0] if args else members.get("code")
            made = _class_of(400 if code is None else int(code))
        return t.cast("te.Self", super().__new__(made))

    def __init__(
        self,
        code: int | None = None,
        detail: str | None = None,
        *,
        title: str | None = None,
        type: str = "about:blank",
        headers: Mapping[str, str] | None = None,
        **members: t.Any,
    ) -> None:
        super().__init__(description=detail)
        if code is not None:
            self.code = int(code)
        self.title = title or phrase_of(self.code or 400)
        self.type = type
        self.members = members
        self.more_headers = dict(headers or {})

    def __reduce__(self) -> tuple[t.Any, ...]:
        cls = self.__class__
        named = Problem if cls.__dict__.get(_BY_CODE) else cls
        return _again, (named, self.code, {**self.__dict__})

    def document(self) -> dict[str, t.Any]:
        """The members of the problem."""
        known = {"type": self.type, "title": self.title, "status": self.code}
        if self.detail:
            known["detail"] = self.detail
        return {**known, **self.members}

    def _page_key(self) -> t.Any:
        """What two problems' pages have in common when they are alike; `None` for most."""
        texts = (self.title, self.type, self.detail, *self.more_headers.values())
        if _BY_CODE not in self.__class__.__dict__ or self.members:
            return None
        if not _MAKERS.isdisjoint(self.__dict__):
            return None
        if any(text.__class__ is not str or len(text) > _MOST_TEXT for text in texts):
            return None
        return (self.code, *texts, *self.more_headers)

    @property
    def detail(self) -> str | None:
        """What went wrong this time."""
        return self.__dict__.get("description")

    def get_body(self, environ: t.Any = None, scope: t.Any = None) -> str:
        return _encode(self.document())

    def get_headers(self, environ: t.Any = None, scope: t.Any = None) -> list[tuple[str, str]]:
        return [("Content-Type", MEDIA_TYPE), *self.more_headers.items()]


#: What makes a problem's page, if nobody has given that problem another.
_MAKERS = frozenset({"document", "get_body", "get_headers"})
#: Attribute of the classes that stand for a status.
_BY_CODE = "__erlen_by_code__"


@cache
def _class_of(code: int) -> type[Problem]:
    """Problems of a status, which error handlers for the status find."""
    base = default_exceptions.get(code)
    if base is None:
        return type("Problem", (Problem,), {"code": code, _BY_CODE: True})
    return type("Problem", (Problem, base), {"code": code, _BY_CODE: True})


def _again(cls: type[Problem], code: int, state: dict[str, t.Any]) -> Problem:
    made: Problem = (
        Problem.__new__(Problem, code) if cls.__name__ == "Problem" else cls.__new__(cls)
    )
    made.__dict__.update(state)
    return made


@cache
def phrase_of(code: int) -> str:
    """The name of a status."""
    # RFC 9110, 15.5.21; before Python 3.13 the standard library has the older name.
    if code == 422:
        return "Unprocessable Content"
    try:
        return HTTPStatus(code).phrase
    except ValueError:
        return "Unknown Error"


#: More faults are counted, but not told: a list of a million wrong numbers has a million.
MOST_FAULTS = 100


class ValidationProblem(Problem, UnprocessableEntity):
    """A request whose parts do not validate (422); `errors` has the faults."""

    code = 422

    def __init__(self, errors: Sequence[Fault]) -> None:
        count = len(errors)
        self.errors = list(errors[:MOST_FAULTS])
        detail = f"{count} fault{'' if count == 1 else 's'} in the request."
        if count > MOST_FAULTS:
            detail += f" These are the first {MOST_FAULTS}."
        super().__init__(422, detail, errors=self.errors)


class MalformedBody(Problem, BadRequest):
    """A body that is not what its content type says (400)."""

    code = 400


class MalformedJson(MalformedBody):
    """A body that is not JSON (400), with the position of the fault."""

    def __init__(self, message: str) -> None:
        super().__init__(400, f"The body is not valid JSON: {message}")


class WrongMediaType(Problem, UnsupportedMediaType):
    """A body, or file, of a type that the view does not take (415)."""

    code = 415

    def __init__(self, found: str | None, *wanted: str) -> None:
        said = f"not {found}" if found else "and the request does not say what it is"
        super().__init__(415, f"The body has to be {' or '.join(wanted)}, {said}.")


class FileTooLarge(Problem, RequestEntityTooLarge):
    """A file of more bytes than the view takes (413); no more of it was read."""

    code = 413

    def __init__(self, most: int) -> None:
        super().__init__(413, f"A file may have {most} bytes, and this one has more.")


def as_problem(error: HTTPException) -> Problem:
    """An error as problem details, its headers kept.

    `app.register_error_handler(HTTPException, as_problem)` has an application answer so to what
    its typed views do not see too, such as a URL that is not there.
    """
    if isinstance(error, Problem) or error.response is not None:
        return t.cast("Problem", error)
    headers = {name: value for name, value in error.get_headers() if name != "Content-Type"}
    return Problem(error.code, error.description, headers=headers)


def faults_of(error: ValidationError, *location: str | int) -> list[Fault]:
    """The faults that pydantic found in what is at a location."""
    return [
        {
            "location": [*location, *map(_short, fault["loc"])],
            "message": _short(fault["msg"]),
            "type": fault["type"],
        }
        for fault in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def _short(text: t.Any) -> t.Any:
    """A text that a client may have made long, such as a name that it sent."""
    if isinstance(text, str) and len(text) > _MOST_TEXT:
        return f"{text[:_MOST_TEXT]}..."
    return text


def missing(*location: str | int) -> Fault:
    """The fault of a required value that is not there."""
    return {"location": [*location], "message": "Field required", "type": "missing"}


#: The schema of these answers, for the document.
SCHEMA: dict[str, t.Any] = {
    "type": "object",
    "title": "Problem",
    "description": "Problem details (RFC 9457).",
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "default": "about:blank"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "location": {
                        "type": "array",
                        "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
                    },
                    "message": {"type": "string"},
                    "type": {"type": "string"},
                },
                "required": ["location", "message", "type"],
            },
        },
    },
    "required": ["type", "title", "status"],
}

"""Answers to faulty requests: problem details (RFC 9457).

Each is an `HTTPException`, so that `app.errorhandler(ValidationProblem)`, or one for its status,
replaces the answer of all views.
"""

from __future__ import annotations

import json
import typing as t
from http import HTTPStatus

from werkzeug.exceptions import HTTPException

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import ValidationError

MEDIA_TYPE = "application/problem+json"
_MOST_INPUT = 200


class Fault(t.TypedDict):
    """One thing that is wrong in a request."""

    #: Where: the part of the request, then names and indexes, as `["json", "items", 0, "price"]`.
    location: list[str | int]
    message: str
    #: Pydantic's name for the kind of fault, such as `int_parsing` or `missing`.
    type: str


class Problem(HTTPException):
    """An error that is answered with problem details.

    :param code: the status
    :param detail: what went wrong this time
    :param title: what went wrong, for all problems of its type; by default the status's name
    :param type: a URI that names the type
    :param members: further members of the document
    """

    code = 400

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
        super().__init__(detail)
        if code is not None:
            self.code = code
        self.title = title or HTTPStatus(self.code).phrase
        self.type = type
        self.members = members
        self.more_headers = dict(headers or {})

    def document(self) -> dict[str, t.Any]:
        """The members of the problem."""
        known = {"type": self.type, "title": self.title, "status": self.code}
        if self.description:
            known["detail"] = self.description
        return {**known, **self.members}

    def get_body(self, environ: t.Any = None, scope: t.Any = None) -> str:
        return json.dumps(self.document(), default=str)

    def get_headers(self, environ: t.Any = None, scope: t.Any = None) -> list[tuple[str, str]]:
        return [("Content-Type", MEDIA_TYPE), *self.more_headers.items()]


class ValidationProblem(Problem):
    """A request whose parts do not validate (422); `errors` has every fault."""

    code = 422

    def __init__(self, errors: Sequence[Fault]) -> None:
        self.errors = list(errors)
        count = len(self.errors)
        detail = f"{count} fault{'' if count == 1 else 's'} in the request."
        super().__init__(422, detail, title="Unprocessable Content", errors=self.errors)


class MalformedJson(Problem):
    """A body that is not JSON (400), with the position of the fault."""

    code = 400

    def __init__(self, message: str) -> None:
        super().__init__(400, f"The body is not valid JSON: {message}")


class WrongMediaType(Problem):
    """A body of a type that the view does not take (415)."""

    code = 415

    def __init__(self, found: str | None, *wanted: str) -> None:
        said = f"not {found}" if found else "and the request does not say what it is"
        super().__init__(415, f"The body has to be {' or '.join(wanted)}, {said}.")


def faults_of(error: ValidationError, *location: str | int) -> list[Fault]:
    """The faults that pydantic found in what is at a location."""
    return [
        {
            "location": [*location, *fault["loc"]],
            "message": fault["msg"],
            "type": fault["type"],
        }
        for fault in error.errors(include_url=False, include_context=False, include_input=False)
    ]


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

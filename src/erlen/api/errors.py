"""The errors that an operation can answer without its view: which, and in what form.

The form is that of the application's error handlers: one that is annotated to return a `Problem`
(or a dict, or a text) is described so; what others answer is not known.
"""

from __future__ import annotations

import contextlib
import typing as t

from werkzeug.exceptions import (
    HTTPException,
    MethodNotAllowed,
    NotFound,
    RequestEntityTooLarge,
)
from werkzeug.routing.converters import NumberConverter

from ..engine.names import annotations_of
from .annotations import resolve
from .kinds import is_class
from .problems import (
    MEDIA_TYPE,
    FileTooLarge,
    MalformedBody,
    Problem,
    ValidationProblem,
    WrongMediaType,
    phrase_of,
)
from .schemas import template_of

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from .operations import Described
    from .schemas import Schema, Schemas

#: Headers of errors, by their statuses.
_HEADERS = {
    401: ("WWW-Authenticate", "How to say who one is (RFC 9110, 11.6.1)."),
    405: ("Allow", "The methods of the URL (RFC 9110, 10.2.1)."),
}
_HTML: Schema = {"text/html": {"schema": {"type": "string"}}}


def errors_of(app: t.Any, each: Described, schemas: Schemas) -> Schema:
    """Responses by statuses."""
    made: Schema = {}
    for error, blueprints in _possible(app, each):
        said: Schema = {"description": phrase_of(error.code or 500)}
        content = _form_of(app, error, blueprints, schemas)
        if content:
            said["content"] = content
        if error.code in _HEADERS:
            name, about = _HEADERS[error.code]
            said["headers"] = {name: {"description": about, "schema": {"type": "string"}}}
        known = made.setdefault(str(error.code), said)
        if "content" in known and "content" in said:
            known["content"] = {**said["content"], **known["content"]}
    return dict(sorted(made.items()))


def _possible(app: t.Any, each: Described) -> Iterator[tuple[HTTPException, list[str]]]:
    """The errors, each with the blueprints whose handlers count."""
    around = _blueprints(each.endpoint)
    if each.variables:
        yield NotFound(), []  # a value that the URL's converter does not take
        if any(map(_refuses_late, each.variables.values())):
            siblings = [*_other_methods(app, each)]
            if siblings:
                yield MethodNotAllowed(siblings), []
    operation = each.operation
    if not operation.binds:
        return
    fields = operation.everything()
    places = {field.location for field in fields}
    if places & {"json", "form", "file"}:
        yield MalformedBody(400), around
        yield WrongMediaType("text/plain", "application/json"), around
        if any(field.upload is not None and field.upload.max_size for field in fields):
            yield FileTooLarge(0), around
        if places & {"form", "file"} or app.config["MAX_CONTENT_LENGTH"] is not None:
            yield RequestEntityTooLarge(), around
    for code in _statuses_of_schemes(operation):
        yield Problem(code), around
    if fields:
        yield ValidationProblem([]), around


def _refuses_late(converter: t.Any) -> bool:
    """Whether a converter looks at a value again that its expression has let through.

    Then Werkzeug answers 405 instead of 404 where other rules have the URL for other methods.
    """
    if isinstance(converter, NumberConverter):
        return bool(converter.fixed_digits) or {converter.min, converter.max} != {None}
    return not type(converter).__module__.startswith("werkzeug.")


def _other_methods(app: t.Any, each: Described) -> Iterator[str]:
    for rule in app.url_map.iter_rules():
        if template_of(rule.rule) == each.path and each.verb not in (rule.methods or ()):
            yield from rule.methods or ()


def _blueprints(endpoint: str) -> list[str]:
    names = []
    while "." in endpoint:
        endpoint = endpoint.rpartition(".")[0]
        names.append(endpoint)
    return names


def _statuses_of_schemes(operation: t.Any) -> set[int]:
    """The statuses with which dependencies refuse who the client is."""
    found: set[int] = set()
    for provided in (*operation.effects, *operation.provided):
        if isinstance(getattr(provided.operation.function, "scheme", None), dict):
            found.add(401)
        if provided.scopes:
            found.add(403)
        found |= _statuses_of_schemes(provided.operation)
    return found


def _form_of(
    app: t.Any, error: HTTPException, blueprints: list[str], schemas: Schemas
) -> Schema | None:
    handler = app._find_error_handler(error, blueprints)
    if handler is None:
        if isinstance(error, Problem):
            return {MEDIA_TYPE: {"schema": schemas.problem()}}
        # Views answer 404 themselves as well, in a form of their own.
        return None if isinstance(error, NotFound) else _HTML
    from .operations import content_of

    returned = annotations_of(handler).get("return")
    with contextlib.suppress(NameError, SyntaxError, TypeError):  # it may be for type checkers
        returned = resolve(returned, handler, {})
    if is_class(returned, Problem):
        return {MEDIA_TYPE: {"schema": schemas.problem()}}
    return content_of(handler)

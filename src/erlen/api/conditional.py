"""Conditional requests: ETags, and changes made only to the version that the client has seen.

Source: RFC 9110, 8.8.3 and 13; RFC 6585, 3.
"""

from __future__ import annotations

import typing as t
from hashlib import sha256

from pydantic_core import to_json
from werkzeug.exceptions import HTTPException, PreconditionFailed, PreconditionRequired
from werkzeug.http import quote_etag

from ..ctx import after_this_request
from ..globals import request
from ..wrappers import Response
from .problems import Problem

_SAFE = frozenset({"GET", "HEAD"})


class PreconditionNotMet(Problem, PreconditionFailed):
    """The client has seen another version than there is (412)."""

    code = 412

    def __init__(self, detail: str = "The resource has changed, or is not there.") -> None:
        super().__init__(412, detail)


class PreconditionMissing(Problem, PreconditionRequired):
    """The client has to say which version it has seen (428)."""

    code = 428

    def __init__(self, detail: str = "Send 'If-Match' with the ETag that you have seen.") -> None:
        super().__init__(428, detail)


def etag(*values: t.Any) -> str:
    """An ETag, without quotes, of what makes up a version: a model, its number, its time.

    Equal values give equal tags, in every process.
    """
    digest = sha256()
    for value in values:
        data = value if isinstance(value, bytes) else to_json(value, fallback=repr)
        digest.update(b"%d:" % len(data))
        digest.update(data)
    return digest.hexdigest()[:32]


def precondition(tag: str | None, *, required: bool = False) -> None:
    """Go on only if the request's conditions hold for the resource as it is; set `ETag`.

    Raises 304 for a GET of what the client has already, :class:`PreconditionNotMet` (412) for a
    change of another version than it has seen, and with `required` :class:`PreconditionMissing`
    (428) for a change without `If-Match`. Call it before anything is changed, in the transaction
    that changes it.

    :param tag: as of :func:`etag`; `None` where there is no such resource yet
    """
    headers = request.headers
    is_safe = request.method in _SAFE
    if "If-Match" in headers:
        wanted = request.if_match
        if tag is None or not (wanted.star_tag or wanted.is_strong(tag)):
            raise PreconditionNotMet()
    if "If-None-Match" in headers and tag is not None:
        known = request.if_none_match
        if known.star_tag or known.contains_weak(tag):
            if not is_safe:
                raise PreconditionNotMet()
            raise HTTPException(response=Response(status=304, headers={"ETag": quote_etag(tag)}))
    if required and not is_safe and "If-Match" not in headers:
        if tag is not None or "If-None-Match" not in headers:
            raise PreconditionMissing()
    if tag is not None and is_safe:

        @after_this_request
        def add(response: Response) -> Response:
            if response.status_code < 300 and "ETag" not in response.headers:
                response.headers["ETag"] = quote_etag(tag)
            return response


def send_etag(tag: str) -> None:
    """Have the answer of a change carry the ETag of the new version."""

    @after_this_request
    def add(response: Response) -> Response:
        if response.status_code < 300:
            response.headers["ETag"] = quote_etag(tag)
        return response


__all__ = ["PreconditionMissing", "PreconditionNotMet", "etag", "precondition", "send_etag"]

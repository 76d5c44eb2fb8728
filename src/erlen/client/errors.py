"""What a call raises instead of returning a value of the view's type."""

from __future__ import annotations

import json
import typing as t

from ..api.problems import MEDIA_TYPE
from ..errors import ErlenError

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ..api.problems import Fault
    from ..wrappers import Response

_MOST_SHOWN = 200


class ClientError(ErlenError):
    """An answer that the view's return type does not have.

    :param call: the method and URL
    :param response: the answer
    :param reason: what is wrong with it, where its status does not say so
    :param value: the value of the type that `responses` of the route has for the status
    """

    def __init__(
        self, call: str, response: Response, reason: str | None = None, value: t.Any = None
    ) -> None:
        self.call = call
        self.response = response
        self.reason = reason
        self.value = value
        super().__init__(call, response, reason, value)

    @property
    def status(self) -> int:
        """The status of the answer."""
        return self.response.status_code

    def _told(self) -> str:
        return self.response.get_data(as_text=True)[:_MOST_SHOWN]

    def __str__(self) -> str:
        parts = [f"{self.call} answered {self.response.status}", self.reason, self._told()]
        return ": ".join(part for part in parts if part)


class ProblemError(ClientError):
    """An answer with problem details (RFC 9457)."""

    @property
    def document(self) -> Mapping[str, t.Any]:
        """All members of the problem."""
        try:
            found = json.loads(self.response.get_data())
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def type(self) -> str:
        """The URI that names the type of problem."""
        return str(self.document.get("type", "about:blank"))

    @property
    def title(self) -> str | None:
        """What went wrong, for all problems of the type."""
        return self.document.get("title")

    @property
    def detail(self) -> str | None:
        """What went wrong this time."""
        return self.document.get("detail")

    @property
    def errors(self) -> list[Fault]:
        """The faults of a request that did not validate, each with its location."""
        return t.cast("list[Fault]", self.document.get("errors") or [])

    def _told(self) -> str:
        faults = [
            f"{'.'.join(map(str, fault['location']))}: {fault['message']}" for fault in self.errors
        ]
        return "; ".join(faults) or self.detail or self.title or ""


def error_of(
    call: str, response: Response, reason: str | None = None, value: t.Any = None
) -> ClientError:
    """The error that an answer stands for."""
    cls = ProblemError if response.mimetype == MEDIA_TYPE else ClientError
    return cls(call, response, reason, value)

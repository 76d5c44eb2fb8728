"""How a WebSocket ends before its view does."""

from __future__ import annotations

import typing as t

from ..errors import ErlenError


class _Ended(ErlenError):
    def __init__(self, code: int, reason: str = "") -> None:
        self.code = code
        self.reason = reason
        super().__init__(code, reason)

    def __str__(self) -> str:
        return f"{self.code} {self.reason}".rstrip()


class WebsocketDisconnected(_Ended):
    """The connection is closed: nothing can be received or sent any more.

    A view that lets it pass ends without an error.

    :param code: the status of the close (RFC 6455, 7.4): 1000 and 1001 where the client left in
        good order, 1005 where it gave no code, 1006 where the connection broke
    :param reason: what the other side said, often nothing
    """


class BadMessage(_Ended, ValueError):
    """The client sent what the view did not ask for: text for bytes, something that is no JSON.

    Where no error handler takes it, the connection is closed with its code and reason.

    :param code: 1003 for the wrong kind of message, 1007 for contents that cannot be read
    :param reason: what was expected
    """


def is_disconnection(error: BaseException) -> bool:
    """Whether an error says nothing but that the client left, also in a group of a `TaskGroup`."""
    if isinstance(error, WebsocketDisconnected):
        return True
    members: t.Sequence[BaseException] = getattr(error, "exceptions", ())
    return bool(members) and all(is_disconnection(member) for member in members)

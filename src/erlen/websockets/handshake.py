"""What a client sends to open a WebSocket, and what is answered."""

from __future__ import annotations

import re
import typing as t

from werkzeug.datastructures import Headers

from ..wrappers import lazy

if t.TYPE_CHECKING:
    from werkzeug.routing import Rule

    from ..wrappers import Request
    from ..wrappers.scope import Scope

# RFC 9110, 5.6.2: what a subprotocol's name is made of.
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
#: What the server itself says in its answer.
_OF_SERVER = frozenset(
    {"connection", "content-length", "content-type", "upgrade", "sec-websocket-protocol"}
)


class Handshake:
    """The request that opened the socket: any attribute that a request has, this has too."""

    request: Request
    scope: Scope

    if t.TYPE_CHECKING:
        # What `__getattr__` finds, for type checkers.
        args: t.Any
        base_url: str
        blueprint: str | None
        blueprints: list[str]
        cookies: t.Any
        endpoint: str | None
        full_path: str
        headers: t.Any
        host: str
        path: str
        query_string: bytes
        remote_addr: str | None
        root_path: str
        scheme: str
        url: str
        url_root: str
        url_rule: Rule | None
        view_args: dict[str, t.Any] | None

    def __getattr__(self, name: str) -> t.Any:
        if name.startswith("_") or name == "request":
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.request, name)

    if t.TYPE_CHECKING:
        requested_subprotocols: list[str]
    else:

        @lazy
        def requested_subprotocols(self):
            """The subprotocols that the client offers, the one that it likes best first.

            Names that no subprotocol can have are left out.
            """
            named = self.scope.get("subprotocols")
            if named is None:
                header = self.request.headers.get("Sec-WebSocket-Protocol", "")
                named = [name.strip() for name in header.split(",")]
            return [name for name in named if _TOKEN.fullmatch(name)]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.request.url!r}>"


def check_subprotocol(name: str, offered: t.Sequence[str]) -> None:
    """Raise ValueError for a subprotocol that no client would accept."""
    if name not in offered:
        raise ValueError(
            f"The subprotocol {name!r} is not one that the client offers ({list(offered)}): it"
            " would close the connection. Take one of 'requested_subprotocols', or none."
        )


def encoded(headers: t.Any) -> list[tuple[bytes, bytes]]:
    """Headers for the answer, as ASGI wants them, without those that are the server's own.

    Raises ValueError for a value with a line break, or one that is not latin-1.
    """
    return [
        (name.lower().encode("latin1"), value.encode("latin1"))
        for name, value in Headers(headers)
        if name.lower() not in _OF_SERVER
    ]

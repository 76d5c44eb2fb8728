"""Which web pages may open a WebSocket.

A browser lets every page connect to every host and sends the cookies along; only the header
`Origin`, which scripts cannot change, tells where the page came from (RFC 6455, 10.2). Clients
that are no browsers send none and have no cookies of others: they are not refused.
"""

from __future__ import annotations

import typing as t
from urllib.parse import urlsplit

from ..errors import SetupError

if t.TYPE_CHECKING:
    from ..wrappers import Request

_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}


def is_allowed(request: Request, allowed: t.Any) -> bool:
    """Whether the page that asks may connect.

    :param allowed: origins besides the host's own (`WEBSOCKET_ALLOWED_ORIGINS`); "*" is any
    """
    values = request.headers.getlist("Origin")
    if not values:
        return True
    origins = _listed(allowed)
    if "*" in origins:
        return True
    origin = values[0].strip().lower()
    if len(values) > 1 or "," in origin:
        return False
    if origin in origins:
        return True
    host = _host_and_port(origin)
    return host is not None and host == _host_and_port(f"{request.scheme}://{request.host}".lower())


def _listed(allowed: t.Any) -> t.Collection[str]:
    if allowed is None:
        return ()
    if isinstance(allowed, str):
        allowed = (allowed,)
    if not isinstance(allowed, (list, tuple, set, frozenset)) or not all(
        isinstance(origin, str) for origin in allowed
    ):
        raise SetupError(
            "WEBSOCKET_ALLOWED_ORIGINS has to be a list of origins such as"
            f" 'https://example.com', not {allowed!r}."
        )
    return {origin.lower().rstrip("/") for origin in allowed}


def _host_and_port(origin: str) -> tuple[str, int | None] | None:
    """Host and port, `None` for the scheme's own, so that a proxy may end TLS.

    `None` for what is no origin of a web page, such as `null` or a URL with a path.
    """
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not parts.hostname or "@" in parts.netloc:
        return None
    if parts.path or parts.query or parts.fragment or origin[-1] in "?#":
        return None
    # A server behind a proxy cannot tell which of the two was asked for.
    return parts.hostname, None if port in (None, 80, 443) else port

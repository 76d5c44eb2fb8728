"""MessagePack beside JSON, where msgspec or msgpack is installed.

A request says what its body is by `Content-Type`, and what it wants by `Accept`; without a wish,
or with one for neither, the answer is JSON (RFC 9110, 12.5.1).
"""

from __future__ import annotations

import typing as t
from functools import cache
from importlib.util import find_spec

if t.TYPE_CHECKING:
    from collections.abc import Callable

JSON = "application/json"
#: The registered type, and what was used before.
MSGPACK = "application/vnd.msgpack"
MSGPACK_TYPES = (MSGPACK, "application/msgpack", "application/x-msgpack")


@cache
def has_msgpack() -> bool:
    """Whether a package is installed that reads and writes MessagePack."""
    return find_spec("msgspec") is not None or find_spec("msgpack") is not None


@cache
def packer() -> Callable[[t.Any], bytes]:
    """What writes MessagePack, from what JSON could hold."""
    if find_spec("msgspec") is not None:
        import msgspec

        return msgspec.msgpack.encode
    import msgpack  # type: ignore[import-untyped,unused-ignore]

    return t.cast("Callable[[t.Any], bytes]", msgpack.packb)


@cache
def unpacker() -> Callable[[bytes], t.Any]:
    """What reads MessagePack. Raises ValueError."""
    if find_spec("msgspec") is not None:
        import msgspec

        return msgspec.msgpack.decode
    import msgpack

    return t.cast("Callable[[bytes], t.Any]", msgpack.unpackb)


def content_type_of(request: t.Any) -> str:
    """The content type of a request's body as it was sent."""
    read = getattr(request, "_content_type", None)  # a class of somebody else's has none
    return (request.headers.get("Content-Type") if read is None else read()) or ""


def wished(request: t.Any) -> str | None:
    """The type of MessagePack that a client would rather have than JSON; `None` for JSON."""
    mine = request.__dict__
    if "environ" in mine:  # PERF: most clients say nothing of MessagePack
        if "msgpack" not in mine["environ"].get("HTTP_ACCEPT", ""):
            return None
    elif not _names_msgpack(mine.get("scope"), request):
        return None
    best: str | None = request.accept_mimetypes.best_match([JSON, *MSGPACK_TYPES])
    return None if best == JSON else best


def _names_msgpack(scope: t.Any, request: t.Any) -> bool:
    """Whether the client says anything of MessagePack; of an ASGI request without its environ."""
    if scope is None:
        return "msgpack" in request.headers.get("Accept", "")
    for name, value in scope["headers"]:
        if name == b"accept" and b"msgpack" in value:
            return True
    return False

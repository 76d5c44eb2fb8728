"""Clients that leave while their item waits: on ASGI servers it is given up, uncomputed."""

from __future__ import annotations

import typing as t

from ..api.problems import Problem
from ..engine.bridge import await_
from ..globals import request
from ..transports.presence import Presence
from ..wrappers.scope import BodyStream, Inbox

if t.TYPE_CHECKING:
    from .batching import Batcher

#: For the numbers: nobody gets it. Source: nginx, "client closed request".
GONE = 499


def submit_while_there(batcher: Batcher[t.Any, t.Any], item: t.Any) -> t.Any:
    """Give an item on the event loop; `batcher.submit` as long as the client is there.

    Raises Problem(499) when it has left.
    """
    inbox = _inbox()
    if inbox is None:
        return batcher.submit(item)
    from asyncio import CancelledError

    presence = Presence(inbox)
    presence.watch()
    try:
        return await_(batcher.ask(item))
    except CancelledError as error:
        if not presence.explains(error):
            raise
        raise Problem(GONE, "The client has left.") from error
    finally:
        if presence.is_watching:
            await_(presence.end())
        else:
            presence.rest()


def _inbox() -> Inbox | None:
    """Where the request comes from; `None` where nobody tells of the client's leaving."""
    made: t.Any = request._get_current_object()  # type: ignore[attr-defined]
    mine = made.__dict__
    if "environ" not in mine:
        return t.cast("Inbox", made._inbox)
    stream = mine["environ"].get("wsgi.input")
    return stream._inbox if isinstance(stream, BodyStream) else None

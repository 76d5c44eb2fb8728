"""The ASGI edge of the lifespan: a server says when serving starts and ends.

Source: ASGI, "Lifespan Protocol" 2.0.
"""

from __future__ import annotations

import traceback
import typing as t

from ..garbage import begin_serving
from ..lifespan import Life, life_of

if t.TYPE_CHECKING:
    from ..wrappers.scope import Receive, Scope, Send


async def lifespan_app(app: t.Any, scope: Scope, receive: Receive, send: Send) -> None:
    """Start the application, wait for the server's word, and end it, all in this task."""
    await receive()
    life = life_of(app)
    try:
        is_mine = await life.enter()
    except Exception as error:
        await send({"type": "lifespan.startup.failed", "message": _text(error)})
        return
    begin_serving(app)
    ended = False
    try:
        await send({"type": "lifespan.startup.complete"})
        await receive()
        ended = True
    finally:
        if not ended:  # the server has dropped the task instead
            await _leave(life, is_mine)
    try:
        await _leave(life, is_mine)
    except Exception as error:
        await send({"type": "lifespan.shutdown.failed", "message": _text(error)})
    else:
        await send({"type": "lifespan.shutdown.complete"})


async def _leave(life: Life, is_mine: bool) -> None:
    if is_mine:
        await life.leave()


def _text(error: Exception) -> str:
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))

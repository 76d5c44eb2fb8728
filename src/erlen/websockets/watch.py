"""Stepping a view so that its socket knows what it waits for."""

from __future__ import annotations

import asyncio
import typing as t
from types import coroutine

from .socket import _ELSEWHERE, _RUNS

if t.TYPE_CHECKING:
    from collections.abc import Coroutine, Generator

    from .socket import Websocket

T = t.TypeVar("T")


async def watch(socket: Websocket, work: Coroutine[t.Any, t.Any, T], cancels: bool) -> T | None:
    """Await `work`, the view, in the current task; `None` where it was cancelled for its client.

    With `cancels` it is cancelled when the client leaves while it waits for something else than
    the socket; otherwise it hears of that from its next use of the socket only.
    """
    task: t.Any = asyncio.current_task()
    socket._task, socket._cancels = task, cancels
    try:
        return await _stepped(socket, work)
    except asyncio.CancelledError:
        # Somebody else may want the task to end too. Python 3.10 cannot tell.
        if not socket._has_cancelled or getattr(task, "cancelling", int)() > 1:
            raise
        return None
    finally:
        socket._cancels = False
        if socket._has_cancelled and hasattr(task, "uncancel"):
            task.uncancel()


@coroutine
def _stepped(socket: Websocket, work: Coroutine[t.Any, t.Any, T]) -> Generator[t.Any, t.Any, T]:
    answer: t.Any = None
    error: BaseException | None = None
    while True:
        # A step that goes on with a use of the socket is none of the view's own yet.
        if socket._main == _ELSEWHERE:
            socket._main = _RUNS
        try:
            if error is None:
                waited_for = work.send(answer)
            else:
                thrown, error = error, None
                waited_for = work.throw(thrown)
        except StopIteration as stop:
            return t.cast("T", stop.value)
        if socket._main == _RUNS:
            socket._main = _ELSEWHERE
            if waited_for is not None:  # else it only gives others their turn
                socket._read_ahead()
        try:
            answer = yield waited_for
        except BaseException as raised:
            error = raised

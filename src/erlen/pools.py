"""A connection pool for SQLAlchemy that an event loop does not stand still for.

    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"poolclass": QueuePool}

A view that has to wait for a connection, because others have all of them, blocks its thread with
SQLAlchemy's own pool. For a coroutine view on ASGI that is the event loop's, on which the others
would have to go on to give theirs back. With this one such a view waits as for a coroutine.
"""

from __future__ import annotations

import asyncio
import time
import typing as t
from collections import deque

from sqlalchemy.pool import QueuePool as _QueuePool
from sqlalchemy.util.queue import Empty, Queue

from .engine.bridge import await_, is_in_greenlet


class _Queue(Queue[t.Any]):
    """A queue whose `get` waits in the current task, where a coroutine view has called it."""

    def __init__(self, maxsize: int = 0, use_lifo: bool = False) -> None:
        super().__init__(maxsize, use_lifo)
        self._turns: deque[asyncio.Future[None]] = deque()

    def get(self, block: bool = True, timeout: float | None = None) -> t.Any:
        """The next item. Raises `Empty` where there is none after `timeout` seconds."""
        if not (block and is_in_greenlet()):
            return super().get(block, timeout)
        until = None if timeout is None else time.monotonic() + timeout
        left = timeout
        was_called = False
        while True:
            is_over = left is not None and left <= 0
            # Who comes later than others does not take what they wait for.
            if was_called or is_over or not self._turns:
                try:
                    return super().get(False)
                except Empty:
                    if is_over:
                        raise
            was_called = await_(self._turn(left, was_called))
            left = None if until is None else until - time.monotonic()

    async def _turn(self, timeout: float | None, is_first: bool) -> bool:
        """Wait until something was put in for this one, or the time is over."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        (self._turns.appendleft if is_first else self._turns.append)(turn)
        was_called = False
        try:
            await asyncio.wait([turn], timeout=timeout)
            was_called = turn.done()
        finally:
            if not was_called:
                turn.cancel()
                if self.qsize():  # it may have been meant for this one
                    self._wake()
        return was_called

    def put(self, item: t.Any, block: bool = True, timeout: float | None = None) -> None:
        """Put an item in, from any thread."""
        super().put(item, block, timeout)
        self._wake()

    def _wake(self) -> None:
        while self._turns:
            try:
                turn = self._turns.popleft()
            except IndexError:  # another thread was faster
                return
            if not turn.done() and not turn.get_loop().is_closed():
                turn.get_loop().call_soon_threadsafe(_give, turn)
                return


def _give(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)


class QueuePool(_QueuePool):
    """SQLAlchemy's `QueuePool`, with the same arguments, fit for coroutine views."""

    _queue_class = _Queue

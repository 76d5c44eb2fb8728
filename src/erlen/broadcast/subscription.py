"""One who listens to a group: a queue that never grows beyond its limit."""

from __future__ import annotations

import asyncio
import threading
import typing as t
from collections import deque

from ..errors import ErlenError

if t.TYPE_CHECKING:
    from .groups import Group

Overflow: t.TypeAlias = t.Literal["end", "drop"]


#: Bytes (of text: characters) that may wait, whatever their number; one message always may.
MOST_BYTES = 16 * 1024 * 1024


class SlowSubscriber(ErlenError):
    """More waits for a subscriber than may (`BROADCAST_QUEUE_SIZE`): it is ended."""


class Subscription:
    """The messages of a group, from entering `async with` on; iterate with `async for`.

    :param size: messages that may wait
    :param overflow: what happens to one more: "end" raises SlowSubscriber at the next step, since
        a gap in the messages is not to go unnoticed; "drop" drops the oldest
    """

    def __init__(self, group: Group, size: int, overflow: Overflow) -> None:
        if overflow not in ("end", "drop"):
            raise ValueError(f"'overflow' is 'end' or 'drop', not {overflow!r}.")
        if size < 1:
            raise ValueError(f"At least one message has to be able to wait, not {size}.")
        self.group = group
        self.size = size
        self.overflow = overflow
        #: Messages that were dropped.
        self.dropped = 0
        self.has_overflown = False
        self._messages: deque[str | bytes] = deque()
        self._bytes = 0
        # Those who publish may be in other threads than who listens.
        self._lock = threading.Lock()
        self._waiter: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Subscription:
        await self.group._hub().join(self)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.group._hub().leave(self)

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> str | bytes:
        while True:
            with self._lock:
                if self.has_overflown:
                    raise SlowSubscriber(
                        f"A subscriber of the group {self.group.name!r} let more than {self.size}"
                        f" messages or {MOST_BYTES} bytes wait."
                    )
                if self._messages:
                    return self._fetch()
                waiter = self._waiter = asyncio.get_running_loop().create_future()
            try:
                await waiter
            finally:
                self._waiter = None

    @property
    def is_crowded(self) -> bool:
        """Whether the queue is more than half full: who sends should pause."""
        return 2 * len(self._messages) > self.size

    def take(self, message: str | bytes) -> None:
        """Put a message in the queue; from any thread."""
        with self._lock:
            if self.has_overflown:
                return
            while self._is_full(len(message)) and not self.has_overflown:
                if self.overflow == "end":
                    self.has_overflown = True
                    self._messages.clear()
                else:
                    self.dropped += 1
                    self._fetch()
            if not self.has_overflown:
                self._messages.append(message)
                self._bytes += len(message)
            waiter = self._waiter
        if waiter is not None:
            _wake(waiter)
        if self.has_overflown:
            self._end()

    def _is_full(self, more: int) -> bool:
        waiting = len(self._messages)
        return waiting >= self.size or (waiting > 0 and self._bytes + more > MOST_BYTES)

    def _fetch(self) -> str | bytes:
        message = self._messages.popleft()
        self._bytes -= len(message)
        return message

    def _end(self) -> None:
        """Called once, when too many messages wait; from any thread."""


def _wake(waiter: asyncio.Future[None]) -> None:
    loop = waiter.get_loop()
    if loop is asyncio._get_running_loop():
        _settle(waiter)
    elif not loop.is_closed():
        loop.call_soon_threadsafe(_settle, waiter)


def _settle(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)

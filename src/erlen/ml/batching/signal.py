"""An event for one waiter: one that costs one lock, and one for coroutines."""

from __future__ import annotations

import threading
import typing as t

from .items import call_on

if t.TYPE_CHECKING:
    import asyncio


class Signal:
    """Something to wait for once; setting it twice is as good as once.

    PERF: a `threading.Event` is a Python-level condition with a lock for each wait. Under gevent
    the lock is gevent's, so that only the greenlet waits.
    """

    __slots__ = ("_lock", "wait")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()
        #: `wait(timeout=-1)` tells whether it was set, and unsets it.
        self.wait = self._lock.acquire

    def set(self) -> None:
        try:
            self._lock.release()
        except RuntimeError:  # it is set already
            pass


class LoopSignal(Signal):
    """A signal that a coroutine waits for, for so many seconds at most."""

    __slots__ = ("_loop", "future")

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._loop = loop
        self.future = loop.create_future()
        loop.call_later(seconds, resolve, self.future)

    def set(self) -> None:
        call_on(self._loop, resolve, self.future)


def resolve(future: asyncio.Future[None]) -> None:
    """Have whoever waits for a future go on."""
    if not future.done():
        future.set_result(None)

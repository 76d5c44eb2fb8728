"""An event for one waiter that costs one lock."""

from __future__ import annotations

import threading


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

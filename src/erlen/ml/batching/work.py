"""Whether this process has something to do."""

from __future__ import annotations

import time

#: A process that computes for this share of the time is at work.
SHARE = 0.5


class Work:
    """Looks how much the process computes, on whatever threads, from one look to the next."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self.begin()

    @staticmethod
    def now() -> tuple[float, float]:
        """Seconds that have passed, and that this process has computed."""
        return time.perf_counter(), time.process_time()

    def begin(self) -> None:
        """Look from now on."""
        self._last = self.now()

    def goes_on(self) -> bool:
        """Whether it has mostly computed since the last look."""
        since, worked = self._last
        self.begin()
        now, computed = self._last
        return computed - worked > (now - since) * SHARE

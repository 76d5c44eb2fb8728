"""How much this process has to do."""

from __future__ import annotations

import time


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

    def share(self) -> float:
        """Of the time since the last look, what the process has computed for; above 1 on several
        processors, 0 where no time has passed."""
        since, worked = self._last
        self.begin()
        now, computed = self._last
        return (computed - worked) / (now - since) if now > since else 0.0

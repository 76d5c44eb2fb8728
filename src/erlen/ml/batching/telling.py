"""The part of a batcher that tells: those who wait for items, for the end, and an observer."""

from __future__ import annotations

import threading
import typing as t

from .items import Item, deliver
from .line import Line
from .stats import Observer, Tally

if t.TYPE_CHECKING:
    from collections.abc import Callable


class Telling:
    """Outcomes that are told; the lock must not be held."""

    name: str
    observer: Observer | None
    _lock: threading.Lock
    _line: Line
    _tally: Tally
    _when_idle: list[Callable[[], object]]

    def _drop(self, items: list[Item], cause: str) -> None:
        """Tell those who wait for items that these will not be computed."""
        with self._lock:
            self._tally.dropped[cause] += len(items)
        deliver(items)
        for _ in items:
            self._tell_dropped(cause)

    def _tell(self, latencies: list[float], error: BaseException | None, seconds: float) -> None:
        observer = self.observer
        if observer is None:
            return
        try:
            observer.batch(len(latencies), seconds)
            tell = observer.answered if error is None else observer.failed
            for latency in latencies:
                tell(latency)
        except Exception:
            self._log_observer()

    def _log_observer(self) -> None:
        """The items are none the worse for an observer's mistake."""
        from logging import getLogger

        getLogger("erlen.ml").exception("The observer of %s has failed", self.name)

    def _tell_idle(self) -> None:
        if not self._when_idle:
            return
        with self._lock:
            if not self._line.is_idle:
                return
            listeners, self._when_idle = self._when_idle, []
        for listener in listeners:
            listener()

    def _tell_dropped(self, cause: str) -> None:
        if self.observer is None:
            return
        try:
            self.observer.dropped(cause)
        except Exception:
            self._log_observer()

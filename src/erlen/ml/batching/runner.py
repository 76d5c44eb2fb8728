"""Threads that compute for waiters which cannot: the tasks of event loops."""

from __future__ import annotations

import threading
import typing as t

from .signal import Signal

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from .items import Item

#: Seconds for which a thread waits for work before it ends.
IDLE_SECONDS = 30.0


class Runners:
    """Threads that lead batches on behalf of items; started when they are needed.

    :param lead: collects and computes a batch for an item, and returns the next leader's item if
        it is a runner that has to lead it
    :param name: of the threads
    """

    def __init__(self, lead: Callable[[Item, Signal], Item | None], name: str) -> None:
        self.lead = lead
        self.name = name
        self._lock = threading.Lock()
        self._idle: list[_Runner] = []

    def start(self, item: Item) -> None:
        """Have a thread lead the batch of an item."""
        with self._lock:
            runner = self._idle.pop() if self._idle else None
        if runner is not None:
            runner.item = item
            runner.signal.set()
        else:
            _Runner(self, item).start()

    def _rest(self, runner: _Runner) -> None:
        with self._lock:
            self._idle.append(runner)

    def _retire(self, runner: _Runner) -> bool:
        """Let an idle thread end, unless it was just given something."""
        with self._lock:
            if runner not in self._idle:
                return False
            self._idle.remove(runner)
        return True


class _Runner:
    def __init__(self, runners: Runners, item: Item) -> None:
        self.runners = runners
        self.item: Item | None = item
        self.signal = Signal()

    def start(self) -> None:
        threading.Thread(target=self._work, name=self.runners.name, daemon=True).start()

    def _work(self) -> None:
        runners, signal = self.runners, self.signal
        while True:
            item, self.item = self.item, None
            while item is not None:
                item.wake = signal
                item = runners.lead(item, signal)
            runners._rest(self)
            while not signal.wait(timeout=IDLE_SECONDS):
                if runners._retire(self):
                    return

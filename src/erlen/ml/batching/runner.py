"""Threads that compute for waiters which cannot: the tasks of event loops."""

from __future__ import annotations

import threading
import typing as t

from .signal import Signal

if t.TYPE_CHECKING:
    from collections.abc import Callable

    Work = Callable[[Signal], t.Any]

#: Seconds for which a thread waits for work before it ends.
IDLE_SECONDS = 30.0


class Runners:
    """Threads that are started when they are needed, and end when they have not been for a while.

    :param name: of the threads
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._lock = threading.Lock()
        self._idle: list[_Runner] = []

    def start(self, work: Work) -> None:
        """Have a thread do some work; it is given a signal that it may wait for.

        What the work returns, unless it is `None`, is further work for the same thread.
        """
        with self._lock:
            runner = self._idle.pop() if self._idle else None
        if runner is not None:
            runner.work = work
            runner.signal.set()
            return
        runner = _Runner(self, work)
        try:
            runner.start()
        except RuntimeError:  # there is no further thread to be had: better late than never
            runner.do()

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
    def __init__(self, runners: Runners, work: Work) -> None:
        self.runners = runners
        self.work: Work | None = work
        self.signal = Signal()

    def start(self) -> None:
        threading.Thread(target=self._run, name=self.runners.name, daemon=True).start()

    def do(self) -> None:
        """Do the work, and all that follows from it."""
        work, self.work = self.work, None
        while work is not None:
            work = work(self.signal)

    def _run(self) -> None:
        runners, signal = self.runners, self.signal
        while True:
            self.do()
            runners._rest(self)
            # Work that was done may have left the signal set.
            while self.work is None:
                if not signal.wait(timeout=IDLE_SECONDS) and runners._retire(self):
                    return

"""Worker threads for what would block an event loop: sync views, sync iterators as bodies.

A pool belongs to one application and one purpose, so that nothing else can fill it up: not the
loop's default executor, nor another kind of work that its own calls wait for.
"""

from __future__ import annotations

import os
import threading
import typing as t
from collections import deque
from functools import cache
from time import perf_counter

from .bridge import calling_back

if t.TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

T = t.TypeVar("T")

#: Seconds for which a thread waits for work before it ends.
IDLE_SECONDS = 30.0
#: Threads of a pool at most, unless `ASGI_THREADS` says otherwise.
DEFAULT_THREADS = 40


class Threads:
    """A bounded pool of threads, started when there is work, that event loops hand calls to.

    :param limit: threads at most; further calls wait for their turn
    :param name: prefix of the threads' names
    """

    def __init__(self, limit: int, name: str = "erlen-worker") -> None:
        if limit < 1:
            raise ValueError(f"A pool has at least one thread, not {limit}.")
        self.limit = limit
        self.name = name
        #: Seconds for which the call that waited longest had to wait for a thread.
        self.longest_wait = 0.0
        self._start()

    def _start(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._calls: deque[_Call] = deque()
        self._idle: list[_Worker] = []
        self._threads = 0

    @property
    def threads(self) -> int:
        """Threads that exist now."""
        return self._threads

    @property
    def busy(self) -> int:
        """Threads that run a call now."""
        return self._threads - len(self._idle)

    @property
    def waiting(self) -> int:
        """Calls that wait for a thread now."""
        return len(self._calls)

    def submit(self, func: Callable[..., T], *args: t.Any) -> asyncio.Future[T]:
        """Have `func(*args)` called on a thread; the future belongs to the running loop.

        :func:`erlen.await_` in the call waits for coroutines on that loop. A call that is
        cancelled before its turn is never made; one that has begun goes on to its end, and so
        does its future.
        """
        from asyncio import get_running_loop

        if self._process != os.getpid():  # threads do not survive a fork
            self._start()
        loop = get_running_loop()
        call = _Call(loop, func, args)
        call.future = _future_class()(call, loop=loop)
        with self._lock:
            if self._idle:
                worker = self._idle.pop()
            elif self._threads < self.limit:
                self._threads += 1
                worker = _Worker(self)
            else:
                self._calls.append(call)
                return call.future  # type: ignore[no-any-return]
        try:
            worker.give(call)
        except RuntimeError as error:  # the system has no further thread
            self._leave_to_others(call, error)
        return call.future  # type: ignore[no-any-return]

    def _leave_to_others(self, call: _Call, error: RuntimeError) -> None:
        """Have a call wait for the threads that there are; raise the error where there are none."""
        with self._lock:
            self._threads -= 1
            if not self._threads:
                raise error
            if not self._idle:
                self._calls.append(call)
                return
            worker = self._idle.pop()
        worker.give(call)

    def _next(self, worker: _Worker) -> _Call | None:
        """What a worker does after its call: the one that waits longest, or `None` to rest."""
        with self._lock:
            if self._calls:
                return self._calls.popleft()
            self._idle.append(worker)
        return None

    def _retire(self, worker: _Worker) -> bool:
        """Let an idle worker end, unless it was just given something."""
        with self._lock:
            if worker not in self._idle:
                return False
            self._idle.remove(worker)
            self._threads -= 1
        return True


class _Call:
    """A call with the future that waits for it."""

    __slots__ = ("args", "func", "future", "loop", "since", "_turn")

    future: t.Any

    def __init__(self, loop: t.Any, func: Callable[..., t.Any], args: t.Any) -> None:
        self.loop = loop
        self.func = func
        self.args = args
        self.since = perf_counter()
        self._turn = [None]

    def claim(self) -> bool:
        """Whether the caller is the first to take the call: to make it, or to drop it."""
        try:
            self._turn.pop()
        except IndexError:
            return False
        return True

    def perform(self, pool: Threads) -> None:
        if not self.claim():
            return
        waited = perf_counter() - self.since
        pool.longest_wait = max(pool.longest_wait, waited)
        waiting.seconds = waited
        outcome: list[t.Any] = [None, None]
        try:
            with calling_back(self.loop):
                outcome[0] = self.func(*self.args)
        except BaseException as raised:  # raised again where the future is awaited
            outcome[1] = raised
        # Nothing of the call may live on in this thread, which now rests or takes another.
        del self.func, self.args
        try:
            self.loop.call_soon_threadsafe(_settle, self.future, outcome)
        except RuntimeError:  # the loop was closed meanwhile: nobody waits any more
            if not self.loop.is_closed():
                raise


@cache
def _future_class() -> type[t.Any]:
    """The class of the futures: one whose call has begun is done only when the call is.

    A task that is cancelled meanwhile learns it then, so that it can take care of the result.
    """
    from asyncio import Future

    class ThreadFuture(Future):  # type: ignore[type-arg]
        def __init__(self, call: _Call, *, loop: t.Any) -> None:
            super().__init__(loop=loop)
            self._call: _Call | None = call

        def cancel(self, msg: t.Any = None) -> bool:
            call = self._call
            if call is None or not call.claim():
                return False
            # The call may stand in the queue for a while.
            del call.func, call.args
            return super().cancel(msg)

    return ThreadFuture


def _settle(future: t.Any, outcome: list[t.Any]) -> None:
    result, error = outcome
    outcome.clear()
    if future.cancelled():
        return
    # No cycle for the collector, nor one through an error's traceback.
    future._call.future = None
    future._call = None
    if error is None:
        future.set_result(result)
    elif isinstance(error, StopIteration):  # a future cannot raise it
        future.set_exception(RuntimeError("A call on a worker thread raised StopIteration."))
    else:
        future.set_exception(error)
    error = None


class _Waiting(threading.local):
    """Of the call that a thread runs."""

    seconds = 0.0


waiting = _Waiting()


class _Worker:
    """One thread of a pool, which takes one call after the other."""

    def __init__(self, pool: Threads) -> None:
        self.pool = pool
        self.given: _Call | None = None
        self.wake = threading.Lock()
        self.wake.acquire()
        self.started = False

    def give(self, call: _Call) -> None:
        self.given = call
        if self.started:
            self.wake.release()
            return
        self.started = True
        name = f"{self.pool.name}-{self.pool.threads}"
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def _work(self) -> None:
        pool = self.pool
        call, self.given = self.given, None
        while True:
            while call is not None:
                call.perform(pool)
                call = pool._next(self)
            while not self.wake.acquire(timeout=IDLE_SECONDS):
                if pool._retire(self):
                    return
            call, self.given = self.given, None

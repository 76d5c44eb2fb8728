"""The greenlets in which sync code runs on an event loop, so that it can wait there.

:func:`begin` returns the result of a call that does not wait; one that waits is
:class:`Suspended`, to be awaited in the task that began it. A call that waits in the midst of sync
code keeps its greenlet. A coroutine that waits by itself (:func:`stepping`) gives it back until it
goes on, where many do. The rest of the package comes here through `bridge`, but for the edges.
"""

from __future__ import annotations

import sys
import typing as t
from math import inf

if t.TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from threading import local

    P = t.ParamSpec("P")

T = t.TypeVar("T")

#: How many idle greenlets a thread keeps for the next call, at some 4 KB each. PERF: to make one
#: and end it adds some 10 microseconds to a request, where more of them wait than are kept.
IDLE_LIMIT = 1024
#: So many calls of a thread may keep their greenlets while a coroutine waits by itself. PERF: to
#: give one back and take another costs a microsecond; to keep it costs some 6 KB.
MOST_WAITING = 64

_getcurrent: Callable[[], t.Any] | None = None
#: What refers to a greenlet that nobody but this module knows, counted by `_come_of`.
_references_at_rest = 0


def _unpatched_local() -> type[local]:
    """The interpreter's own ``threading.local``, also where gevent has replaced it."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None:
        from threading import local

        return local
    return t.cast("type[local]", monkey.get_original("_thread", "_local"))


of_thread = _unpatched_local()()


def is_in_greenlet() -> bool:
    """Whether :func:`begin` has called this code: what it waits for is handed to its task."""
    return _getcurrent is not None and getattr(_getcurrent(), "_erlen_bridge", False)


def begin(func: Callable[..., T], /, *args: t.Any) -> T | Suspended[T]:
    """Call sync `func` up to where it first waits: its result, or what to await for it.

    PERF: a call that never waits needs no coroutine.
    """
    here = (_getcurrent or _load_getcurrent())()
    if here.parent is not None and hasattr(here, "_erlen_bridge"):
        # Waiting works here already. A greenlet made here would count this one's depth of the
        # stack as its own, and hand it on to those that are made in it, until there is none left.
        return func(*args)
    pool: Pool | None = getattr(of_thread, "greenlets", None)
    worker = pool.pop() if pool else _new_greenlet()
    if worker.parent is not here:
        worker.parent = here
    # The task's own context, not a copy: tokens stay valid on both sides.
    worker.gr_context = here.gr_context
    told = worker.switch(func, args)
    if (
        told.__class__ is _Outcome
        and told.error is None
        and told.result.__class__ is not Suspended
        and pool is not None
        and len(pool) < IDLE_LIMIT
    ):
        # PERF: `_give_back` and `take` without the calls.
        worker.gr_context = None
        pool.append(worker)
        result, told.result = told.result, None
        return result  # type: ignore[no-any-return]
    return _come_of(worker, told)  # type: ignore[no-any-return]


class Pool(list[t.Any]):
    """The idle greenlets of a thread."""

    #: How many there are, with those at work.
    made = 0


class _Outcome:
    """What came of the last call of a greenlet."""

    __slots__ = ("error", "result")

    def __init__(self) -> None:
        self.result: t.Any = None
        self.error: BaseException | None = None

    def take(self) -> t.Any:
        error = self.error
        if error is None:
            result, self.result = self.result, None
            return result
        self.error = None
        try:
            raise error
        finally:
            del error


class Watcher(t.Protocol):
    """Who is told what a call in a greenlet does."""

    def waits(self, waited_for: t.Any) -> None:
        """The call waits for a future, or with `None` for its turn."""

    def goes_on(self) -> None:
        """The waiting is over."""


class Suspended(t.Generic[T]):
    """A call that waits for something; awaiting this runs it to its end.

    Either its greenlet waits, in the midst of sync code. Or a coroutine waits, which `stepping`
    has begun: then the sync code around it has returned this object, and is called again as
    `again` with :meth:`step`, which it has to call in the place of the coroutine function.
    """

    __slots__ = ("_coro", "_sent", "_waited_for", "_worker", "again", "watcher")

    def __init__(self, worker: t.Any, waited_for: t.Any, coro: t.Any = None) -> None:
        self._worker = worker
        self._waited_for = waited_for
        self._coro = coro
        self._sent: tuple[t.Any, BaseException | None] = (None, None)
        #: Calls the sync code around a coroutine that waits.
        self.again: Callable[[Callable[..., t.Any]], t.Any] | None = None
        #: Told of each thing that the call waits for, and when it goes on.
        self.watcher: Watcher | None = None

    def __await__(self) -> Generator[t.Any, t.Any, T]:
        state: t.Any = self
        watcher = self.watcher
        closed = False
        while state.__class__ is Suspended:
            answer: t.Any = None
            error: BaseException | None = None
            if closed:
                error = RuntimeError("The task is closed: nothing can be awaited in it.")
            else:
                if watcher is not None:
                    watcher.waits(state._waited_for)
                try:
                    answer = yield state._waited_for
                except BaseException as thrown:
                    closed = isinstance(thrown, GeneratorExit)
                    error = thrown
                if watcher is not None:
                    watcher.goes_on()
            state = state._go_on(answer, error)
            del answer, error
        return state  # type: ignore[no-any-return]

    def _go_on(self, answer: t.Any, error: BaseException | None) -> t.Any:
        """Tell the call what came: its result, or where it waits next."""
        worker, self._worker = self._worker, None
        self._waited_for = None
        if self._coro is None:
            return _come_of(worker, worker.switch(answer, error), self)
        again, self.again = t.cast("t.Any", self.again), None
        self._sent = (answer, error)
        del answer, error
        if worker is None:
            return begin(again, self.step)
        worker.parent = here = t.cast("t.Any", _getcurrent)()
        worker.gr_context = here.gr_context
        return _come_of(worker, worker.switch(again, (self.step,)))

    def step(self, *_: t.Any) -> t.Any:
        """The coroutine's result, or this object where it waits again."""
        coro = self._coro
        (answer, error), self._sent = self._sent, (None, None)
        try:
            self._waited_for = coro.send(answer) if error is None else coro.throw(error)
        except StopIteration as stop:
            return stop.value
        finally:
            del answer, error  # an error keeps this frame
        return self


def _come_of(worker: t.Any, told: t.Any, suspended: Suspended[t.Any] | None = None) -> t.Any:
    """What came of a call's step: its result or error, or where it waits now.

    To be called with a worker that only one variable of the caller refers to. A greenlet to which
    somebody else refers stays with its call: one made in it leads back to it, as those do in which
    SQLAlchemy waits.
    """
    if told.__class__ is not _Outcome:
        if suspended is None:
            return Suspended(worker, told)
        suspended._worker = worker
        suspended._waited_for = told
        return suspended
    if told.result.__class__ is Suspended and sys.getrefcount(worker) > _references_at_rest:
        told.result._worker = worker
    else:
        _give_back(worker)
    return told.take()


def _give_back(worker: t.Any) -> None:
    # An idle greenlet must not keep a request's context alive.
    worker.gr_context = None
    pool: Pool = of_thread.greenlets
    if len(pool) < IDLE_LIMIT and not worker.dead:
        pool.append(worker)
        return
    pool.made -= 1
    if not worker.dead:
        worker.switch(None, None)


def _load_getcurrent() -> t.Any:
    global _getcurrent, _references_at_rest
    from greenlet import getcurrent  # type: ignore[import-untyped,unused-ignore]

    _getcurrent = getcurrent
    known_to_nobody: t.Any = object()
    _references_at_rest = _count_references(known_to_nobody)
    return getcurrent


def _count_references(worker: t.Any) -> int:
    """As `_come_of` does, called as that is."""
    return sys.getrefcount(worker)


def _new_greenlet() -> t.Any:
    """A greenlet that rests until it is handed a call."""
    from greenlet import greenlet

    if not hasattr(of_thread, "greenlets"):
        of_thread.greenlets = Pool()
    of_thread.greenlets.made += 1
    worker = greenlet(_perform_calls)
    worker._erlen_bridge = True
    # The first switch hands nothing over: a greenlet keeps its first arguments for its life.
    worker.switch()
    return worker


def _perform_calls() -> None:
    """The body of a pooled greenlet: performs the calls that it is handed, and ends at `None`.

    It holds no reference to its greenlet, which ends with its pool: with its thread.
    """
    current = t.cast("Callable[[], t.Any]", _getcurrent)
    outcome = _Outcome()
    func, args = current().parent.switch()
    while func is not None:
        try:
            outcome.result = func(*args)
        except BaseException as error:  # raised again in the task that waits for the call
            outcome.error = error.with_traceback(_without_first(error))
        func = args = None
        func, args = current().parent.switch(outcome)


def _without_first(error: BaseException) -> t.Any:
    trace = error.__traceback__
    return trace and trace.tb_next


def await_in_greenlet(coro: Coroutine[t.Any, t.Any, T]) -> T:
    """Step ``coro`` here; only what it waits for crosses over to the task."""
    try:
        waited_for = coro.send(None)
    except StopIteration as stop:  # PERF: many have nothing to wait for
        return stop.value  # type: ignore[no-any-return]
    try:
        return _go_on(coro, waited_for)
    finally:
        del waited_for  # an error keeps this frame, and with it what servers cannot collect


def _go_on(coro: Coroutine[t.Any, t.Any, T], waited_for: t.Any) -> T:
    home = t.cast("t.Any", _getcurrent)().parent
    error: BaseException | None = None
    thrown: BaseException | None = None
    try:
        while True:
            value, error = home.switch(waited_for)
            if error is None:
                waited_for = coro.send(value)
            else:
                thrown, error = error, None
                waited_for = coro.throw(thrown)
                thrown = None
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    finally:
        waited_for = error = thrown = None
        coro.close()


def stepping(
    func: Callable[P, Coroutine[t.Any, t.Any, T]], most_waiting: float = inf
) -> Callable[P, T | Suspended[T]]:
    """A coroutine function for sync code that :func:`begin` has called.

    Where the coroutine waits and more than `most_waiting` calls of this thread do, it does not wait
    here: the sync code gets a `Suspended`, which it completes with `again` and returns.
    """

    def on_loop(*args: P.args, **kwargs: P.kwargs) -> T | Suspended[T]:
        coro = func(*args, **kwargs)
        try:  # PERF: `await_in_greenlet` without the call
            waited_for = coro.send(None)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        pool: Pool = of_thread.greenlets
        if pool.made - len(pool) > most_waiting:
            return Suspended(None, waited_for, coro)
        try:
            return _go_on(coro, waited_for)
        finally:
            del waited_for

    return on_loop

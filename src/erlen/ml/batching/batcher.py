"""The batcher: many callers give one item each, the function gets lists.

There is no thread of its own where none is needed. The caller who finds nothing running leads: it
collects the items that wait, its own first, computes them and hands the lead to whoever waits
longest then. A caller on an event loop cannot compute without stopping the loop; where the
function has been measured to be quick it is run on the loop nevertheless, since going to a thread
and back would cost more, and else on a runner's thread.
"""

from __future__ import annotations

import os
import threading
import time
import typing as t
import weakref
from math import inf, isnan

from ...engine import bridge
from ...errors import SetupError
from ...paths import caller_place, find_source
from .alone import TAKEN, Alone, NeedsThread
from .collate import Collate, CollateLike, collate_for
from .errors import BatcherClosed, DeadlineExceeded, QueueFull
from .inline import INLINE_SECONDS
from .items import DONE, GONE, Item, call_on
from .line import LEAD
from .signal import Signal, resolve
from .stats import Observer, Stats
from .turns import turns

if t.TYPE_CHECKING:
    from collections.abc import Callable

T = t.TypeVar("T")
R = t.TypeVar("R")


class Batcher(Alone, t.Generic[T, R]):
    """Calls a function of a list for callers that have one item each.

    :param function: gets a list of items (or what `collate` makes of it) and returns a list or
        array of as many results in the same order; plain or `async`, which then runs on the
        callers' event loop
    :param max_size: items in a batch at most
    :param max_queue: items that wait at most, beyond which they are refused; 16 batches by default
    :param pure: whether the function may be called again with part of the items when it raises,
        to find those that are to blame; otherwise all of a batch get the error
    :param deadline: seconds that an item has from being given, unless it is given otherwise
    :param name: for statistics and threads; the function's by default
    :param collate: "list", "stack", "pad", or an object of this package's `collate`
    :param workers: batches that are computed at the same time
    :param observer: is told what happens, see :class:`Observer`
    """

    def __init__(
        self,
        function: Callable[..., t.Any],
        *,
        max_size: int = 32,
        max_queue: int | None = None,
        pure: bool = True,
        deadline: float | None = None,
        name: str | None = None,
        collate: CollateLike = None,
        workers: int = 1,
        observer: Observer | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        place = find_source(function) or caller_place()
        max_queue = 16 * max_size if max_queue is None else max_queue
        for what, count in (("max_size", max_size), ("max_queue", max_queue), ("workers", workers)):
            if not isinstance(count, int) or count < 1:
                raise SetupError(f"{what!r} is a number from 1, not {count!r}.", place)
        if deadline is not None and not _is_positive(deadline):
            raise SetupError(f"'deadline' is a number of seconds above 0, not {deadline!r}.", place)
        self.function = function
        self.max_size = max_size
        self.max_queue = max_queue
        self.workers = workers
        self.pure = pure
        self.deadline = inf if deadline is None else deadline
        self.name = name or _name_of(function)
        self.place = place
        self.collate = collate_for(collate, place)
        self.observer = observer
        self.is_async = bridge.is_coroutine_function(function)
        # What fails for want of a thread has to be repeatable.
        self._may_run_on_loop = pure and not self.is_async
        self._prepares = type(self.collate) is not Collate
        self._clock = clock
        self._reset()
        _batchers.add(self)

    # The two ways in

    def submit(self, item: T, deadline: float | None = None) -> R:
        """Give an item and wait for its result, wherever the caller runs.

        A thread sleeps (a greenlet of gevent lets others run), an async view waits on its event
        loop. In a plain coroutine it is :meth:`ask` that waits.

        :param deadline: seconds from now
        :raises QueueFull: at once, if the queue is full or the deadline cannot be kept
        :raises DeadlineExceeded: when the deadline has passed without a result
        :raises BatcherClosed: after :meth:`close`
        :raises Exception: what the function raises for this item
        """
        on_loop = bridge.is_in_coroutine()
        if self.is_async or (on_loop and bridge.is_in_greenlet()):
            return bridge.await_(self.ask(item, deadline))
        if on_loop:
            raise RuntimeError(
                f"{self.name!r} is called in a coroutine, whose event loop would stand still until"
                " there is a result. Write 'await' and call its method 'ask' instead."
            )
        key: t.Any = None
        value: t.Any = item
        seconds = self.deadline
        if self._prepares or deadline is not None:
            key, value, seconds = self._prepared(item, deadline)
        since = self._clock()
        if seconds > 0:
            result = self._compute_alone(value, since)
            if result is not TAKEN:
                return t.cast(R, result)
        given = Item(value, key, since, seconds)
        given.wake = signal = Signal()
        if self._join(given) is LEAD or self._wait(given, signal):
            self._start(self._lead(given, signal))
        return t.cast(R, given.take())

    async def ask(self, item: T, deadline: float | None = None) -> R:
        """:meth:`submit` for coroutines. Cancelling it gives the item up."""
        key: t.Any = None
        value: t.Any = item
        seconds = self.deadline
        if self._prepares or deadline is not None:
            key, value, seconds = self._prepared(item, deadline)
        since = self._clock()
        has_begun = False
        if (
            seconds > 0
            and self._estimate.fastest_of_one <= INLINE_SECONDS
            and self._may_run_on_loop
            and since >= self._banned_until
        ):
            try:
                result = self._compute_alone(value, since, on_loop=True)
            except NeedsThread:
                has_begun = True
                self._mind(self._clock() - since)
            else:
                if result is not TAKEN:
                    return t.cast(R, result)
        from asyncio import get_running_loop, sleep

        given = Item(value, key, since, seconds)
        given.loop = loop = get_running_loop()
        given.future = future = loop.create_future()
        timer = None
        if has_begun:
            self._try_alone_beside(given)
        else:
            try:
                role = self._join(given)
            except QueueFull as refused:
                if refused.delay:
                    await sleep(refused.delay)
                raise
            if role is LEAD:
                self._lead_here(given)
        if given.until != inf:
            timer = loop.call_later(given.deadline, self._expire, given)
        try:
            return t.cast(R, await future)
        finally:
            if timer is not None:
                timer.cancel()
            if given.state is not DONE and given.state is not GONE:
                self._start(self._withdraw(given, "left"))

    def _prepared(self, value: t.Any, deadline: float | None) -> tuple[t.Any, t.Any, float]:
        """Key, value and seconds of an item. Raises what makes it impossible."""
        key = None
        if self._prepares:
            key, value = self.collate.prepare(value)
        return key, value, self.deadline if deadline is None else _checked_deadline(deadline)

    def _wait(self, item: Item, signal: Signal) -> bool:
        """Sleep until the item has an outcome or leads; whether it leads."""
        try:
            if item.until == inf:
                signal.wait()
            elif not signal.wait(timeout=_waitable(item.until - self._clock())):
                self._start(self._withdraw(item, "deadline"))
                if item.state is not DONE:
                    raise item.too_late()
        except DeadlineExceeded:
            raise
        except BaseException:
            self._start(self._withdraw(item, "left"))
            raise
        return item.state is not DONE

    # Ends

    def close(self, drain: bool = True, timeout: float | None = None) -> bool:
        """Take no more items; whether all that were given have been answered.

        :param drain: let those that wait be computed, and wait for that; otherwise they get
            :exc:`BatcherClosed` and only what is being computed goes on
        :param timeout: seconds to wait at most; those left then get :exc:`BatcherClosed`
        """
        if bridge.is_in_greenlet():
            return bridge.await_(self.aclose(drain, timeout))
        if drain and bridge.is_in_coroutine():
            raise RuntimeError("Draining in a coroutine stops its event loop: await 'aclose'.")
        signal = Signal()
        if not self._shut(drain, signal.set) and drain:
            if not signal.wait(timeout=-1 if timeout is None else _waitable(timeout)):
                self._shut(False, signal.set)
                return False
        return drain or self._line.is_idle

    async def aclose(self, drain: bool = True, timeout: float | None = None) -> bool:
        """:meth:`close` for coroutines."""
        from asyncio import get_running_loop, wait

        loop = get_running_loop()
        done = loop.create_future()
        if not self._shut(drain, lambda: call_on(loop, resolve, done)) and drain:
            await wait([done], timeout=timeout)
            if not done.done():
                self._shut(False, bool)
                return False
        return drain or self._line.is_idle

    def _shut(self, drain: bool, when_idle: Callable[[], object]) -> bool:
        """Close; whether nothing is left to be computed, and else have it told when that is so."""
        with self._lock:
            self._line.closed = True
            left = [] if drain else self._line.clear()
            for item in left:
                item.state, item.error = DONE, BatcherClosed()
            idle = self._line.is_idle
            if not idle:
                self._when_idle.append(when_idle)
        if left:
            self._drop(left, "closed")
            self._tell_idle()
        return idle

    # Numbers

    def stats(self) -> Stats:
        """What it has done so far, and what waits now."""
        with self._lock:
            return self._tally.snapshot(
                self.name,
                queued=len(self._line.waiting),
                computing=self._line.computing,
                best_size=self._estimate.best_size(self.deadline),
            )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"


def _name_of(function: t.Any) -> str:
    return str(getattr(function, "__qualname__", None) or type(function).__name__)


def _waitable(seconds: float) -> float:
    """As many seconds as a lock can wait for."""
    return min(max(seconds, 0.0), threading.TIMEOUT_MAX)


def _is_positive(number: t.Any) -> bool:
    return isinstance(number, (int, float)) and not isinstance(number, bool) and number > 0


def _checked_deadline(seconds: float) -> float:
    if isnan(seconds):
        raise ValueError("A deadline is a number of seconds.")
    return seconds


_batchers: weakref.WeakSet[Batcher[t.Any, t.Any]] = weakref.WeakSet()


def all_batchers() -> list[Batcher[t.Any, t.Any]]:
    """The batchers of this process that are in use."""
    return list(_batchers)


def _begin_anew() -> None:
    turns.begin_anew()
    for batcher in list(_batchers):
        was_closed = batcher._line.closed
        batcher._reset()
        batcher._line.closed = was_closed


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)

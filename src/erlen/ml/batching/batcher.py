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
from contextvars import Context
from math import inf, isnan

from ...engine import bridge
from ...errors import SetupError
from ...paths import caller_place, find_source
from .collate import Collate, CollateLike, collate_for
from .computing import interrupted, is_out_of_memory, steps
from .errors import BatcherClosed, DeadlineExceeded, QueueFull
from .estimate import Estimate
from .items import DONE, GONE, RUNNING, Item, call_on, deliver
from .line import CALL, LEAD, Line
from .runner import Runners
from .signal import Signal
from .stats import Observer, Stats, Tally

if t.TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Generator

T = t.TypeVar("T")
R = t.TypeVar("R")

#: Seconds that a thread sleeps to let others go first: the system makes some 50 microseconds of it.
GIVING_WAY = 1e-6
#: Seconds that a batch may take at most to be run on the event loop itself.
INLINE_SECONDS = 0.002
#: Seconds that one must not take there; after such a run, none is tried for a while.
BLOCKING_SECONDS = 0.02
#: Seconds for which none is tried, after the first such run.
FIRST_BAN = 10.0


class Batcher(t.Generic[T, R]):
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
        self.function = function
        self.max_size = max_size
        self.max_queue = max_queue
        self.workers = workers
        self.pure = pure
        self.deadline = inf if deadline is None else _checked_deadline(deadline)
        self.name = name or _name_of(function)
        self.place = place
        self.collate = collate_for(collate)
        self.observer = observer
        self.is_async = bridge.is_coroutine_function(function)
        self._prepares = type(self.collate) is not Collate
        self._clock = clock
        self._reset()
        _batchers.add(self)

    def _reset(self) -> None:
        """Begin anew; what a forked process has inherited belongs to the threads of its parent."""
        self._lock = threading.Lock()
        self._estimate = Estimate(self.max_size)
        self._line = Line(self._estimate, self.max_queue, self.workers)
        self._tally = Tally()
        self._runners = Runners(self._run_elsewhere, f"erlen-batch-{self.name}")
        self._when_idle: list[Callable[[], object]] = []
        self._banned_until = -inf
        self._ban = FIRST_BAN

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
        if self.is_async or bridge.is_in_greenlet():
            return bridge.await_(self.ask(item, deadline))
        if bridge.is_in_coroutine():
            raise RuntimeError(
                f"{self.name!r} is called in a coroutine, whose event loop would stand still until"
                " there is a result. Write 'await' and call its method 'ask' instead."
            )
        given = self._item(item, deadline)
        given.wake = signal = Signal()
        if self._join(given) is LEAD or self._wait(given, signal):
            self._start(self._lead(given, signal))
        return t.cast(R, given.take())

    async def ask(self, item: T, deadline: float | None = None) -> R:
        """:meth:`submit` for coroutines. Cancelling it gives the item up."""
        from asyncio import get_running_loop

        given = self._item(item, deadline)
        given.loop = loop = get_running_loop()
        given.future = future = loop.create_future()
        timer = None
        if self._join(given) is LEAD:
            self._start(given)
        if given.until != inf:
            timer = loop.call_later(given.deadline, self._expire, given)
        try:
            return t.cast(R, await future)
        finally:
            if timer is not None:
                timer.cancel()
            if given.state is not DONE and given.state is not GONE:
                self._start(self._withdraw(given, "left"))

    def _item(self, value: t.Any, deadline: float | None) -> Item:
        key = None
        if self._prepares:
            key, value = self.collate.prepare(value)
        seconds = self.deadline if deadline is None else _checked_deadline(deadline)
        return Item(value, key, self._clock(), seconds)

    def _join(self, item: Item) -> str:
        """Let an item wait; what its waiter has to do then. Raises what keeps it out."""
        try:
            with self._lock:
                self._tally.requests += 1
                try:
                    role = self._line.join(item, item.since)
                except QueueFull as refused:
                    self._tally.dropped[refused.cause] += 1
                    raise
                if role is LEAD:
                    self._place(item)
                elif role is CALL:
                    self._call_leader()
        except QueueFull as refused:
            self._tell_dropped(refused.cause)
            raise
        return role

    def _wait(self, item: Item, signal: Signal) -> bool:
        """Sleep until the item has an outcome or leads; whether it leads."""
        try:
            if item.until == inf:
                signal.wait()
            elif not signal.wait(timeout=max(item.until - self._clock(), 0.0)):
                self._start(self._withdraw(item, "deadline"))
                if item.state is not DONE:
                    raise item.too_late()
        except DeadlineExceeded:
            raise
        except BaseException:
            self._start(self._withdraw(item, "left"))
            raise
        return item.state is not DONE

    # Who leads, and where

    def _place(self, leader: Item) -> None:
        """Decide where the leader's batch is computed; the lock is held."""
        leader.leads_on_loop = leader.loop is not None and (self.is_async or self._is_quick())

    def _is_quick(self) -> bool:
        """Whether a batch is better computed on the loop than taken to a thread and back."""
        estimate, line = self._estimate, self._line
        if not estimate.is_known or self._clock() < self._banned_until:
            return False
        size = min(max(len(line.waiting), 1), estimate.best_size())
        return estimate.fastest(size) <= INLINE_SECONDS

    def _call_leader(self) -> None:
        leader = self._line.leader
        if leader is None:
            return
        if leader.wake is not None:
            leader.wake.set()

    def _next(self) -> Item | None:
        """Make the item that waits longest the leader, where one is missing; the lock is held."""
        item = self._line.appoint()
        if item is not None:
            self._place(item)
        return item

    def _start(self, leader: Item | None) -> None:
        """Have whoever is to lead begin."""
        while leader is not None:
            if leader.loop is None:
                t.cast(Signal, leader.wake).set()
            elif not leader.leads_on_loop:
                self._runners.start(leader)
            elif not call_on(leader.loop, self._begin_on_loop, leader):
                # Its loop is closed: nobody waits for it.
                leader = self._withdraw(leader, "left")
                continue
            return

    def _withdraw(self, item: Item, cause: str) -> Item | None:
        """Give an item up that nobody waits for any more; the next leader if it was to lead."""
        with self._lock:
            if item.state is DONE:
                return None
            self._tally.dropped[cause] += 1
            leader = self._next() if self._line.leave(item) else None
        self._tell_dropped(cause)
        self._tell_idle()
        return leader

    def _expire(self, item: Item) -> None:
        """The deadline of an item that a coroutine waits for has passed."""
        if item.state is DONE:
            return
        self._start(self._withdraw(item, "deadline"))
        if item.future is not None and not item.future.done():
            item.future.set_exception(item.too_late())

    # Leading

    def _lead(self, leader: Item, signal: Signal) -> Item | None:
        """Collect and compute the leader's batch on this thread; the next leader."""
        try:
            line = self._line
            with self._lock:
                left = 0.0 if (yields := line.gives_way()) else line.window(self._clock())
            while yields:
                time.sleep(GIVING_WAY)
                with self._lock:
                    yields = line.gave_way(self._clock())
                    left = 0.0 if yields else line.window(self._clock())
            if left:
                signal.wait(timeout=left)
            batch = self._take(leader)
            if left:
                signal.wait(False)
        except BaseException:
            self._start(self._withdraw(leader, "left"))
            raise
        return self._compute(batch, leader) if batch else self._pass_on()

    def _run_elsewhere(self, leader: Item, signal: Signal) -> Item | None:
        """:meth:`_lead` on a runner's thread; the next leader if it is to be led there as well."""
        following = self._lead(leader, signal)
        if following is None or following.loop is None or following.leads_on_loop:
            self._start(following)
            return None
        return following

    def _begin_on_loop(self, leader: Item) -> None:
        """Compute the leader's batch on its event loop, on which this is called."""
        if self._line.leader is not leader:
            return
        if self.is_async:
            loop = t.cast("asyncio.AbstractEventLoop", leader.loop)
            task = loop.create_task(self._lead_async(leader))
            _tasks.add(task)
            task.add_done_callback(_tasks.discard)
            return
        with self._lock:
            left = self._line.window(self._clock())
        if left > 0:
            # Shorter than the grain of the loop's timers: whatever has come in goes first.
            t.cast("t.Any", leader.loop).call_soon(self._begin_on_loop, leader)
            return
        batch = self._take(leader)
        if not batch:
            self._start(self._pass_on())
            return
        begun = time.perf_counter()
        self._start(self._compute(batch, leader, leader.loop))
        if time.perf_counter() - begun > BLOCKING_SECONDS:
            self._banned_until = self._clock() + self._ban
            self._ban *= 2

    async def _lead_async(self, leader: Item) -> None:
        """Collect and await one batch of an async function."""
        from asyncio import get_running_loop

        loop = get_running_loop()
        try:
            with self._lock:
                if self._line.leader is not leader:
                    return
                left = self._line.window(self._clock())
            if left:
                leader.wake = signal = _LoopSignal(loop, left)
                await signal.future
            batch = self._take(leader)
        except BaseException:
            self._start(self._withdraw(leader, "left"))
            raise
        if not batch:
            self._start(self._pass_on())
            return
        following: list[Item] = []
        computing = steps(self, batch, following, None, loop)
        try:
            args = next(computing)
            while True:
                try:
                    results = await self.function(*args)
                except BaseException as error:
                    args = computing.throw(error)
                else:
                    args = computing.send(results)
        except StopIteration:
            pass
        finally:
            for item in following:
                self._start(item)

    def _take(self, leader: Item) -> list[Item]:
        with self._lock:
            if self._line.leader is not leader:
                return []
            batch, late = self._line.take(leader, self._clock())
            for item in late:
                item.state, item.error = DONE, item.too_late()
        if late:
            self._drop(late, "deadline")
        return batch

    def _drop(self, items: list[Item], cause: str) -> None:
        """Tell those who wait for items that these will not be computed."""
        with self._lock:
            self._tally.dropped[cause] += len(items)
        deliver(items)
        for _ in items:
            self._tell_dropped(cause)

    def _pass_on(self) -> Item | None:
        """The next leader, where the one that was had nothing left to compute."""
        with self._lock:
            leader = self._next()
        self._tell_idle()
        return leader

    def _compute(
        self, batch: list[Item], leader: Item, here: asyncio.AbstractEventLoop | None = None
    ) -> Item | None:
        """Run the function for a batch, and deliver; the next leader."""
        following: list[Item] = []
        computing = steps(self, batch, following, leader if leader.loop is None else None, here)
        try:
            _drive(computing, self.function, Context().run)
        except BaseException:
            self._start(following[0] if following else None)
            raise
        return following[0] if following else None

    # What `steps` tells

    def _note(
        self, group: list[Item], error: Exception | None, seconds: float, now: float, ended: int
    ) -> Item | None:
        """Count a run, and at the end of a batch of so many items say who leads the next."""
        with self._lock:
            tally = self._tally
            if group:
                tally.note_batch(len(group), seconds)
            if group and error is None:
                self._estimate.note(len(group), seconds)
                tally.note_answers([now - item.since for item in group if item.state is RUNNING])
            elif error is not None:
                if group[0].error is not None:
                    tally.failed += len(group)
                if is_out_of_memory(error):
                    self._estimate.note_too_large(len(group))
            if not ended:
                return None
            self._line.ended(ended, now)
            leader = self._next()
        self._tell_idle()
        return leader

    def _tell(self, group: list[Item], error: Exception | None, seconds: float, now: float) -> None:
        observer = self.observer
        if observer is None:
            return
        observer.batch(len(group), seconds)
        for item in group:
            (observer.answered if error is None else observer.failed)(now - item.since)

    def _break_off(self, items: list[Item], by: BaseException, own: Item | None) -> None:
        """What computed a batch was stopped: others try again, once, where that does no harm."""
        lost: list[Item] = []
        again: list[Item] = []
        for item in items:
            if item is own:
                item.state = GONE
            elif self.pure and not item.retried:
                item.retried = True
                again.append(item)
            else:
                item.error = interrupted(by)
                lost.append(item)
        with self._lock:
            self._line.put_back(again)
            self._tally.failed += len(items) - len(again)
        deliver(lost)

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
            if not signal.wait(timeout=-1 if timeout is None else timeout):
                self._shut(False, signal.set)
                return False
        return drain or self._line.is_idle

    async def aclose(self, drain: bool = True, timeout: float | None = None) -> bool:
        """:meth:`close` for coroutines."""
        from asyncio import get_running_loop, wait

        loop = get_running_loop()
        done = loop.create_future()
        if not self._shut(drain, lambda: call_on(loop, _resolve, done)) and drain:
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

    def _tell_idle(self) -> None:
        if not self._when_idle:
            return
        with self._lock:
            if not self._line.is_idle:
                return
            listeners, self._when_idle = self._when_idle, []
        for listener in listeners:
            listener()

    # Numbers

    def stats(self) -> Stats:
        """What it has done so far, and what waits now."""
        with self._lock:
            return self._tally.snapshot(
                self.name,
                queued=len(self._line.waiting),
                computing=self._line.computing,
                best_size=self._estimate.best_size(),
            )

    def _tell_dropped(self, cause: str) -> None:
        if self.observer is not None:
            self.observer.dropped(cause)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"


def _drive(
    computing: Generator[tuple[t.Any, ...], t.Any, None],
    function: Callable[..., t.Any],
    run: Callable[..., t.Any],
) -> None:
    """Call a function with all that `steps` wishes."""
    try:
        args = next(computing)
        while True:
            try:
                # In a context of nobody's: the leader's holds its own request.
                results = run(function, *args)
            except BaseException as error:
                args = computing.throw(error)
            else:
                args = computing.send(results)
    except StopIteration:
        pass


class _LoopSignal(Signal):
    """A signal that a coroutine waits for, for so many seconds at most."""

    __slots__ = ("_loop", "future")

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._loop = loop
        self.future = loop.create_future()
        loop.call_later(seconds, _resolve, self.future)

    def set(self) -> None:
        call_on(self._loop, _resolve, self.future)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _name_of(function: t.Any) -> str:
    return str(getattr(function, "__qualname__", None) or type(function).__name__)


def _checked_deadline(seconds: float) -> float:
    if isnan(seconds):
        raise ValueError("A deadline is a number of seconds.")
    return seconds


_batchers: weakref.WeakSet[Batcher[t.Any, t.Any]] = weakref.WeakSet()


def all_batchers() -> list[Batcher[t.Any, t.Any]]:
    """The batchers of this process that are in use."""
    return list(_batchers)
# A loop holds its tasks weakly.
_tasks: set[t.Any] = set()


def _begin_anew() -> None:
    _tasks.clear()
    for batcher in list(_batchers):
        was_closed = batcher._line.closed
        batcher._reset()
        batcher._line.closed = was_closed


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)

"""Who computes the next batch, and where: on the caller's thread, its event loop, or a runner's.

What decides is in `line`; here threads and loops are brought to do it.
"""

from __future__ import annotations

import functools
import os
import threading
import time
import typing as t
from contextvars import Context, ContextVar

from ...engine import bridge
from .computing import interrupted, is_out_of_memory, steps
from .errors import QueueFull
from .estimate import Estimate
from .inline import Inline
from .items import DONE, GONE, RUNNING, Item, call_on, deliver
from .line import CALL, LEAD, Line
from .runner import Runners
from .signal import LoopSignal, Signal
from .stats import Tally
from .turns import LONG, turns
from .work import Work

if t.TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Generator

    Computing = Generator[tuple[t.Any, ...], t.Any, None]

    from ...errors import Place
    from .collate import Collate

#: Seconds that a thread sleeps to let others go first: the system makes some 50 microseconds of it.
GIVING_WAY = 1e-6
#: Lets the server's own threads go first, where they share the loop's processor; not on Windows.
yield_processor: Callable[[], object] = getattr(os, "sched_yield", int)
#: The token of the batcher whose function runs.
running_batcher: ContextVar[object] = ContextVar("erlen_running_batcher")


class Leading(Inline):
    """The part of a batcher that has its batches computed."""

    function: Callable[..., t.Any]
    place: Place | None
    max_size: int
    max_queue: int
    workers: int
    pure: bool
    is_async: bool
    collate: Collate

    def _reset(self) -> None:
        """Begin, or begin anew: what a forked process has inherited belongs to its parent."""
        self._lock = threading.Lock()
        self._reset_bans()
        self._token = object()
        self._estimate = Estimate(self.max_size)
        self._line = Line(self._estimate, self.max_queue, self.workers)
        self._tally = Tally()
        self._work = Work()
        self._runners = Runners(f"erlen-batch-{self.name}")
        self._when_idle: list[Callable[[], object]] = []
        #: Batches of an async function that are being computed, and the tasks that do so.
        self._awaited: dict[asyncio.Task[None], list[Item]] = {}

    def _join(self, item: Item) -> str:
        """Let an item wait; what its waiter has to do then. Raises what keeps it out, on a thread
        when it is time."""
        if running_batcher.get(None) is self._token:
            raise RuntimeError(
                f"{self.name!r} calls itself: the item would wait for the batch that gives it."
            )
        if item.since >= turns.due and (item.loop is not None or not self._line.is_idle):
            turns.review(item.since)
        try:
            with self._lock:
                self._tally.requests += 1
                try:
                    role = self._line.join(item, item.since)
                except QueueFull as refused:
                    self._tally.dropped[refused.cause] += 1
                    refused.delay = self._line.delay_of_refusal(item)
                    raise
                if role is LEAD:
                    self._place(item)
                elif role is CALL:
                    self._call_leader()
        except QueueFull as refused:
            self._tell_dropped(refused.cause)
            if self._estimate.is_busy and self._estimate.last >= LONG:
                turns.lengthen(item.since)
            if refused.delay and item.loop is None:
                time.sleep(refused.delay)
            raise
        return role

    # Who leads, and where

    def _place(self, leader: Item) -> None:
        """Decide where the leader's batch is computed; the lock is held."""
        leader.leads_on_loop = leader.loop is not None and (self.is_async or self._is_quick())

    def _call_leader(self) -> None:
        leader = self._line.leader
        if leader is not None and leader.wake is not None:
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
                self._runners.start(functools.partial(self._lead_elsewhere, leader))
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
            if item.state is RUNNING and self._awaited:
                self._forsake(item)
            leader = self._next() if self._line.leave(item) else None
        self._tell_dropped(cause)
        self._tell_idle()
        return leader

    def _forsake(self, leaving: Item) -> None:
        """Cancel what computes a batch if nobody else waits for any of it; the lock is held."""
        for task, batch in self._awaited.items():
            if leaving in batch:
                if all(item is leaving or item.state is not RUNNING for item in batch):
                    call_on(task.get_loop(), task.cancel)
                return

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
                now = self._clock()
                left = 0.0 if (yields := line.gives_way(now)) else self._window()
            while yields:
                time.sleep(GIVING_WAY)
                with self._lock:
                    yields = line.gave_way(self._clock())
                    left = 0.0 if yields else self._window()
            has_waited = left > 0
            while left and not signal.wait(timeout=left):
                left = self._window_of(leader)
            batch = self._take(leader)
            if has_waited:
                signal.wait(False)
        except BaseException:
            self._start(self._withdraw(leader, "left"))
            raise
        return self._compute(batch, leader) if batch else self._pass_on()

    def _lead_elsewhere(self, leader: Item, signal: Signal) -> functools.partial[t.Any] | None:
        """:meth:`_lead` on a runner's thread; what it has to do after that."""
        leader.wake = signal
        return self._further(self._lead(leader, signal))

    def _further(self, leader: Item | None) -> functools.partial[t.Any] | None:
        """What a runner's thread has to do next, if the next leader is one for it."""
        if leader is None or leader.loop is None or leader.leads_on_loop:
            self._start(leader)
            return None
        return functools.partial(self._lead_elsewhere, leader)

    def _lead_here(self, leader: Item) -> None:
        """Have the leader's batch computed, where the leader has just come on this event loop."""
        if leader.leads_on_loop and not self.is_async:
            with self._lock:
                yields = self._line.gives_way(self._clock(), on_loop=True)
            if yields:
                # PERF: one turn of the loop costs as much as a quick model.
                yield_processor()
                call_on(t.cast("t.Any", leader.loop), self._begin_on_loop, leader, True)
            else:
                self._begin_on_loop(leader)
        else:
            self._start(leader)

    def _begin_on_loop(self, leader: Item, has_given_way: bool = False) -> None:
        """Compute the leader's batch on its event loop, on which this is called."""
        if self._line.leader is not leader:
            return
        if self.is_async:
            loop = t.cast("asyncio.AbstractEventLoop", leader.loop)
            task = loop.create_task(self._lead_async(leader))
            bridge.let_finish(task)
            _tasks.add(task)
            task.add_done_callback(_tasks.discard)
            return
        with self._lock:
            now = self._clock()
            again = has_given_way and self._line.gave_way(now, on_loop=True)
            waits = again or self._line.window(now) > 0
            is_quick = self._is_quick()
        if waits:
            # Shorter than the grain of the loop's timers: whatever has come in goes first.
            yield_processor()
            t.cast("t.Any", leader.loop).call_soon(self._begin_on_loop, leader, again)
            return
        if not is_quick:  # others have come meanwhile
            leader.leads_on_loop = False
            self._start(leader)
            return
        batch = self._take(leader)
        if not batch:
            self._start(self._pass_on())
            return
        begun = self._clock()
        self._compute_on_loop(batch)
        self._mind(self._clock() - begun)

    def _compute_on_loop(self, batch: list[Item]) -> None:
        """Run the function once; where that fails, others try again, beside the loop."""
        following: list[Item] = []
        computing = steps(self, batch, following)
        try:
            args = next(computing)
            is_suspect = False
            try:
                results = Context().run(self._call, *args)
            except RuntimeError:
                # It may be that asyncio refuses what would stop the loop, or another batcher does.
                is_suspect = True
            except BaseException as error:
                args = computing.throw(error)
            else:
                args = computing.send(results)
        except StopIteration:
            pass
        else:
            finish = self._try_beside if is_suspect else self._finish
            self._runners.start(functools.partial(finish, computing, args, following))
            return
        finally:
            for item in following:
                self._start(item)

    def _finish(
        self, computing: Computing, args: t.Any, following: list[Item], _: Signal
    ) -> functools.partial[t.Any] | None:
        """Go on with what was begun on a loop."""
        return self._further(self._drive(computing, following, args))

    def _try_beside(
        self, computing: Computing, args: t.Any, following: list[Item], _: Signal
    ) -> functools.partial[t.Any] | None:
        """Call the function again that has failed on a loop: whether that was why."""
        return self._further(self._drive(computing, following, args, self._keep_off_loops))

    async def _lead_async(self, leader: Item) -> None:
        """Collect and await one batch of an async function."""
        from asyncio import current_task, get_running_loop

        loop = get_running_loop()
        task = t.cast("asyncio.Task[None]", current_task())
        try:
            with self._lock:
                if self._line.leader is not leader:
                    return
                left = self._window()
            while left:
                leader.wake = signal = LoopSignal(loop, left)
                await signal.future
                left = self._window_of(leader)
            batch = self._take(leader)
        except BaseException:
            self._start(self._withdraw(leader, "left"))
            raise
        if not batch:
            self._start(self._pass_on())
            return
        following: list[Item] = []
        computing = steps(self, batch, following)
        running_batcher.set(self._token)  # of this task's own context
        with self._lock:
            self._awaited[task] = batch
        try:
            args = next(computing)
            while True:
                try:
                    results = await self.function(*args), 0.0
                except BaseException as error:
                    args = computing.throw(error)
                else:
                    args = computing.send(results)
        except StopIteration:
            pass
        finally:
            with self._lock:
                self._awaited.pop(task, None)
            for item in following:
                self._start(item)

    def _window(self) -> float:
        """Seconds for which the leader should wait; the lock is held."""
        return self._line.window(self._clock(), self._work.share)

    def _window_of(self, leader: Item) -> float:
        """Seconds for which a leader that has waited should wait on."""
        with self._lock:
            return self._window() if self._line.leader is leader else 0.0

    def _take(self, leader: Item) -> list[Item]:
        with self._lock:
            if self._line.leader is not leader:
                return []
            batch, late = self._line.take(leader, self._clock())
            for item in late:
                item.state, item.error = DONE, item.too_late()
            beside = self._next()
        self._start(beside)
        if late:
            self._drop(late, "deadline")
        return batch

    def _pass_on(self) -> Item | None:
        """The next leader, where the one that was had nothing left to compute."""
        with self._lock:
            leader = self._next()
        self._tell_idle()
        return leader

    def _compute(self, batch: list[Item], leader: Item) -> Item | None:
        """Run the function for a batch, and deliver; the next leader."""
        following: list[Item] = []
        computing = steps(self, batch, following, leader if leader.loop is None else None)
        return self._drive(computing, following)

    def _call(self, *args: t.Any) -> tuple[t.Any, float]:
        """Results of the function, and for how many seconds it kept this thread busy.

        To be called in a context of nobody's: the leader's holds its own request.
        """
        running_batcher.set(self._token)
        begun = time.thread_time()
        return self.function(*args), time.thread_time() - begun

    def _drive(
        self,
        computing: Computing,
        following: list[Item],
        args: t.Any = None,
        if_it_works: Callable[[], None] | None = None,
    ) -> Item | None:
        """Call the function with these arguments, and with all that `steps` wishes after that.

        :param if_it_works: called where the first call raises nothing
        """
        try:
            args = next(computing) if args is None else args
            while True:
                then, if_it_works = if_it_works, None
                try:
                    results = Context().run(self._call, *args)
                except BaseException as error:
                    args = computing.throw(error)
                else:
                    if then is not None:
                        then()
                    args = computing.send(results)
        except StopIteration:
            return following[0] if following else None
        except BaseException:
            for item in following:
                self._start(item)
            raise

    # What `steps` tells

    def _note(
        self,
        group: list[Item],
        error: BaseException | None,
        seconds: float,
        busy: float,
        now: float,
        ended: int,
    ) -> Item | None:
        """Count a run, and at the end of a batch of so many items say who leads the next."""
        latencies = None
        if error is None:
            latencies = [now - item.since for item in group if item.state is RUNNING]
        is_settled = error is None or group[0].error is not None
        return self._count(len(group), latencies, error, is_settled, seconds, busy, now, ended)

    def _count(
        self,
        size: int,
        latencies: list[float] | None,
        error: BaseException | None,
        is_settled: bool,
        seconds: float,
        busy: float,
        now: float,
        ended: int,
    ) -> Item | None:
        with self._lock:
            tally = self._tally
            if size:
                tally.note_batch(size, seconds)
                if latencies is not None:
                    self._estimate.note(size, seconds, busy)
                    tally.note_answers(latencies)
                elif is_settled:
                    tally.failed += size
            if error is not None and is_out_of_memory(error):
                self._estimate.note_too_large(size)
            if not ended:
                return None
            self._line.ended(ended, now)
            self._work.begin()
            leader = self._next()
        self._tell_idle()
        return leader

    def _break_off(self, items: list[Item], by: BaseException, own: Item | None) -> None:
        """What computed a batch was stopped: others try again, once, where that does no harm."""
        lost: list[Item] = []
        again: list[Item] = []
        with self._lock:
            for item in items:
                if item is own:
                    item.state = GONE
                elif item.state is GONE:
                    continue  # meanwhile: nobody is there to lead with it
                elif self.pure and not item.retried:
                    item.retried = True
                    again.append(item)
                else:
                    item.error = interrupted(by)
                    lost.append(item)
            self._line.put_back(again)
            self._tally.failed += len(lost) + (own in items)
        deliver(lost)


# A loop holds its tasks weakly.
_tasks: set[t.Any] = set()

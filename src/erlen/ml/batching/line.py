"""The queue of a batcher: who joins, who leads the next batch, who is in it.

Pure state, without threads, loops or a clock: times are handed in. The batcher calls it with its
lock held; tests call it with a virtual clock.

At any time at most one waiting item is the *leader*: whoever waits for it collects the next batch
and computes it, and at its end the item that waits longest becomes the next one.
"""

from __future__ import annotations

import typing as t
from collections import OrderedDict
from math import inf, isfinite

from .errors import BatcherClosed, Hopeless, QueueFull
from .items import GONE, RUNNING, WAITING, Item
from .refusals import ON_LOOPS, ON_THREADS, Refusals

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .estimate import Estimate

#: What becomes of an item that joins: its waiter leads, wakes the leader, or just waits.
LEAD, CALL, WAIT = "lead", "call", "wait"

#: Of the deadline, what the estimated wait may take up; the rest is for what estimates miss.
HEADROOM = 0.75
#: An item that has less of its deadline left, and less time than its batch takes, is not computed.
SPARE = 0.25
#: Waiting items that are looked through for those that go together with the leader, per item.
LOOK_AHEAD = 4
#: A leader that waits for longer looks again after that part of the time that a batch takes, and
#: not before so many seconds.
STEP = 0.125
STEP_SECONDS = 100e-6
#: A process that computes for the first share of the time is at work, and one that does for the
#: second has time for nothing else.
AT_WORK, SATURATED = 0.5, 0.9
#: Seconds after the last batch for which a leader waits on at most where there is time for nothing
#: else, and for which a crowd is expected again at most.
CROWD_SECONDS = 0.02
#: Seconds until that leader looks again, at least; each look has to find more items.
CROWD_STEP_SECONDS = 800e-6
#: So many batches say nothing of the pace: they are cold.
COLD = 8
#: Turns of a loop that may bring nothing before the leader lets it turn no more.
TURNS_IN_VAIN = 1


class Courtesy:
    """Whether it pays to let other threads go first before a batch is collected.

    Threads share the interpreter's lock: while one computes, others that are about to give an item
    may wait for that lock instead of standing in the queue, and each would find nothing running
    and compute alone. To give way costs some 50 microseconds, so it is done where it has brought
    items lately, and tried now and then where it has not.
    """

    #: Of that many occasions, one is used to try. On a loop where nobody came lately, which for a
    #: single client are all its requests, one of `TRY_IDLE_EVERY`, but for the first.
    TRY_EVERY = 16
    TRY_IDLE_EVERY = 128
    #: Share of the occasions that have to bring something.
    WORTH = 0.2

    def __init__(self) -> None:
        self.gain = 0.0
        self._has_tried = False
        self._skipped = self.TRY_EVERY // 2

    def is_due(self, every: int = TRY_EVERY) -> bool:
        """Whether to give way now, after which `note` is to be told what it has brought."""
        self._skipped += 1
        if not self._has_tried:
            every = self.TRY_EVERY
        return self.gain > self.WORTH or self._skipped >= every

    def note(self, gained: int) -> None:
        """Giving way has brought so many items."""
        self._has_tried = True
        self._skipped = 0
        self.gain += ((gained > 0) - self.gain) * 0.25


class Line:
    """Items that wait, and how many are being computed.

    :param max_queue: items that wait at most
    :param workers: batches that are computed at the same time at most
    """

    def __init__(self, estimate: Estimate, max_queue: int, workers: int = 1) -> None:
        self.estimate = estimate
        self.max_queue = max_queue
        self.workers = workers
        self.waiting: OrderedDict[Item, None] = OrderedDict()
        self.leader: Item | None = None
        #: Items to wake the leader at, while it waits for more.
        self.wanted = 0
        self.closed = False
        #: Batches and items that are being computed.
        self.running = 0
        self.computing = 0
        #: When the last batch began and ended.
        self.last_start = -inf
        self.last_end = -inf
        #: How many were in flight at the end of a batch, and until when they are expected again.
        self.last_in_flight = 1
        self.crowd_until = -inf
        self.was_busy = False
        self.courtesy = Courtesy()
        self._seen = 0
        #: Turns of the loop that have brought nothing, and how many waited when the leader looked.
        self._in_vain = 0
        self._looked = 0
        #: Seconds an item takes while there is enough to do; 0 while unknown.
        self.pace = 0.0
        self._cold = COLD
        self.refusals = Refusals()

    # Joining and leaving

    def claim(self, now: float, on_loop: bool = False) -> bool:
        """Begin a batch of one, if nothing else is there, and nothing to be waited for.

        PERF: the common case of an idle batcher, without an item, a leader and a window.
        """
        if self.leader is not None or self.running or self.waiting or self.closed:
            return False
        if now < self.last_end + self.estimate.of_one / 2:  # as `_is_busy`
            if self.last_in_flight > 1 or self._is_courteous(True, on_loop):
                return False
        elif now < self.crowd_until:
            return False
        elif on_loop and self.courtesy.is_due(Courtesy.TRY_IDLE_EVERY):
            return False
        self.running = self.computing = 1
        self.last_start = now
        return True

    def join(self, item: Item, now: float) -> str:
        """Let an item wait. Raises QueueFull and BatcherClosed."""
        if self.closed:
            raise BatcherClosed
        ahead = len(self.waiting)
        if ahead >= self.max_queue:
            raise QueueFull(self.wait_behind(ahead, now, item.deadline))
        if (ahead or self.running) and isfinite(item.until):
            beside = ahead % self.estimate.best_size(item.deadline)
            expected = self.wait_behind(ahead, now, item.deadline)
            expected += self.estimate.proven(beside + 1)
            if expected > item.deadline * HEADROOM:
                raise Hopeless(expected)
        self.waiting[item] = None
        leader = self.leader
        if leader is None:
            if self.running >= self.workers:
                return WAIT
        elif not leader.leads_on_loop or leader.loop is item.loop:
            return CALL if ahead + 1 == self.wanted else WAIT
        # Who leads on another loop may never do so: that loop may have been stopped for good.
        self.leader = item
        return LEAD

    def delay_of_refusal(self, item: Item) -> float:
        """Seconds for which the refusal of an item waits, half of its deadline at most."""
        places = ON_THREADS if item.loop is None else ON_LOOPS
        return self.refusals.delay(item.since, self.pace, item.deadline / 2, places)

    def leave(self, item: Item) -> bool:
        """Nobody waits for an item any more; whether it led, so that the next one has to."""
        state, item.state = item.state, GONE
        if state == WAITING:
            self.waiting.pop(item, None)
        if self.leader is not item:
            return False
        self.leader = None
        return True

    def appoint(self) -> Item | None:
        """Make the item that waits longest the leader, if one is needed and there is one."""
        if self.leader is not None or self.running >= self.workers:
            return None
        item = next(iter(self.waiting), None)
        self.leader = item
        self.wanted = 0
        return item

    def clear(self) -> list[Item]:
        """Take all that wait out of the line."""
        items = list(self.waiting)
        self.waiting.clear()
        self.leader = None
        return items

    # Batches

    def gives_way(self, now: float, on_loop: bool = False) -> bool:
        """Whether the leader lets others go first, before it looks at the window.

        Other threads only where they may have come meanwhile; a turn of the loop costs little.
        """
        self._seen = count = len(self.waiting)
        self._in_vain = 0
        if 1 < count >= self._wanted():
            return False
        return self._is_courteous(self._is_busy(now, count), on_loop)

    def _is_courteous(self, busy: bool, on_loop: bool) -> bool:
        """Whether others go first: on a busy loop always, where batches bring anything."""
        if on_loop:
            return (busy and self.estimate.best_size() > 1) or self.courtesy.is_due()
        return busy and self.courtesy.is_due()

    def gave_way(self, now: float, on_loop: bool = False) -> bool:
        """The leader has let others go first; whether it does so again.

        It does as long as that brings items and more are expected, but no longer than a batch
        takes, counted from the end of the last one. A loop that has callbacks to run has nothing
        better to do than to run them: there it may last longer, and one turn may bring nothing,
        since it is the server's threads that bring what the next one finds.
        """
        count, before = len(self.waiting), self._seen
        self._seen = count
        self.courtesy.note(count - before)
        self._in_vain = 0 if count > before else self._in_vain + 1
        if count >= self._wanted() or self._in_vain > (TURNS_IN_VAIN if on_loop else 0):
            return False
        lasts = self.estimate.seconds(count)
        if on_loop:
            lasts = max(lasts, CROWD_SECONDS)
        return now < self.last_end + lasts and self._time_left(now) > 0

    def _is_busy(self, now: float, count: int) -> bool:
        """Whether the last batch ended less than half of the time ago that so many items take."""
        return now < self.last_end + self.estimate.seconds(count) / 2

    def _wanted(self) -> int:
        """Items that a batch is worth waiting for."""
        deadline = inf if self.leader is None else self.leader.deadline
        size = self.estimate.best_size(deadline)
        return min(-(-self.last_in_flight // self.workers), size)

    def window(self, now: float, share: Callable[[], float] | None = None) -> float:
        """Seconds for which the leader should wait for more items, at most; 0 for none.

        It waits for as many as were in flight when the last batch ended, up to half of the time
        that is saved when they are computed together, counted from that end: whoever got an answer
        then and asks again does so soon. Nothing when nobody has asked for a while, and nothing
        that the leader's deadline forbids.

        :param share: of the time since it was last called, what the process has computed for
        """
        count = len(self.waiting)
        wanted = self._wanted()
        if count >= wanted:
            return 0.0
        passed = now - self.last_end
        left = self.estimate.saved(count, wanted - count) / 2 - passed
        if left <= 0 and share is not None:
            left = self._at_work(count, self.estimate.seconds(wanted), passed, share)
        left = min(left, self._time_left(now))
        if left <= 0:
            return 0.0
        self.wanted = wanted
        return left

    def _at_work(self, count: int, run: float, passed: float, share: Callable[[], float]) -> float:
        """Seconds for which the leader waits on while the process answers and reads others.

        Its batch would only compete with them: so it does up to the time that the batch of all
        will take, and beyond that where there is time for nothing else, and each look finds more.
        Small batches would then take their time from all, those who wait in the line among them.
        """
        if passed < run:
            step = min(max(run * STEP, STEP_SECONDS), run - passed)
            return step if share() > AT_WORK else 0.0
        brought, self._looked = count > self._looked, count
        if brought and passed < CROWD_SECONDS and share() > SATURATED:
            return max(run * STEP, CROWD_STEP_SECONDS)
        return 0.0

    def _time_left(self, now: float) -> float:
        """Seconds after which the leader's batch has to begin, for its deadline's sake."""
        leader = self.leader
        if leader is None or leader.until == inf:
            return inf
        return leader.until - now - self.estimate.seconds(self._wanted())

    def take(self, leader: Item, now: float) -> tuple[list[Item], list[Item]]:
        """The next batch, the leader's item first, and items whose deadline cannot be kept.

        Those stay uncomputed: their time is over, or will be before a result is there. The leader's
        is given a try, and whatever has not waited for long, so that there is a measurement.
        """
        waiting = self.waiting
        self.leader = None
        self.wanted = self._looked = 0
        size = self.estimate.best_size(leader.deadline)
        batch: list[Item] = []
        late: list[Item] = []
        end = now + self.estimate.seconds(min(len(waiting), size))
        waiting.pop(leader, None)
        (batch if leader.until > now else late).append(leader)
        if leader.key is None:
            while waiting and len(batch) < size:
                item, _ = waiting.popitem(last=False)
                is_in_time = item.until >= end or self._is_worth_a_try(item, now)
                (batch if is_in_time else late).append(item)
        else:
            self._take_alike(leader.key, size, now, end, batch, late)
        for item in batch:
            item.state = RUNNING
        if batch:
            self.running += 1
            self.computing += len(batch)
            self.last_start = now
        return batch, late

    def _is_worth_a_try(self, item: Item, now: float) -> bool:
        """Whether an item is computed that will be late if its batch takes as long as usual."""
        left = item.until - now
        return left > self.estimate.fastest(1) and left > item.deadline * SPARE

    def _take_alike(
        self,
        key: t.Any,
        size: int,
        now: float,
        end: float,
        batch: list[Item],
        late: list[Item],
    ) -> None:
        found: list[Item] = []
        for looked, item in enumerate(self.waiting):
            if len(batch) == size or looked == LOOK_AHEAD * size:
                break
            if item.until < end and not self._is_worth_a_try(item, now):
                late.append(item)
            elif item.key == key:
                batch.append(item)
            else:
                continue
            found.append(item)
        for item in found:
            del self.waiting[item]

    def put_back(self, items: Iterable[Item]) -> None:
        """Have items of a batch that was broken off wait again, before all others."""
        for item in reversed(list(items)):
            item.state = WAITING
            self.waiting[item] = None
            self.waiting.move_to_end(item, last=False)

    def ended(self, size: int, now: float) -> None:
        """A batch that was taken with so many items has ended."""
        begun = self.last_end if self.was_busy else self.last_start
        if now > begun:
            pace = (now - begun) / size
            if self._cold:
                self._cold -= 1
            else:
                self.pace += (pace - self.pace) * (0.125 if self.pace else 1.0)
        self.last_end = now
        self.note_crowd(self.computing + len(self.waiting), now)
        self.running -= 1
        self.computing -= size
        self.was_busy = bool(self.waiting or self.running)

    def note_crowd(self, in_flight: int, now: float) -> None:
        """So many were in flight at the end of a batch.

        Those of a larger batch are expected again until the next one could have ended, and until
        as many could have been served: when a small one ends in between, most of them are not here
        yet.
        """
        if in_flight >= self.last_in_flight or now >= self.crowd_until:
            self.last_in_flight = in_flight
            if in_flight > 1:
                served = min(self.pace * in_flight, CROWD_SECONDS)
                self.crowd_until = now + max(self.estimate.seconds(self._wanted()), served)

    # Estimates

    def wait_behind(self, ahead: int, now: float, deadline: float = inf) -> float:
        """Seconds until a batch begins that an item behind so many others is in.

        No more than has been measured: who is refused for nothing asks again, and what that takes
        makes the next measurement worse.
        """
        rest = 0.0
        if self.running >= self.workers:
            run = self.estimate.proven(-(-self.computing // self.running))
            rest = max(self.last_start + run - now, 0.0)
        size = self.estimate.best_size(deadline)
        pace = self.pace or self.estimate.proven(size) / size / self.workers
        return rest + ahead // size * size * pace

    @property
    def is_idle(self) -> bool:
        return not self.running and not self.waiting

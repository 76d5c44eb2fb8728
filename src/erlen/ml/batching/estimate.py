"""How long a function takes for so many items, as measured while it is used.

Sizes are kept in classes that double: 1, 2, 3-4, 5-8, ... The class of a size and the time that
it typically takes is all that is known; nothing is assumed of the form of the function in between,
for padding makes large batches dearer than a fixed and a proportional part would.

How long somebody waits is told by the clock on the wall. Which size is cheapest is not, on a core
that others use as well: long runs are interrupted more often than short ones. Of a function that
keeps its thread busy it is the processor's time that counts, of one that waits (for a GPU, for
another host) the wall's. Where items have a deadline, a size costs the more the more of it a batch
takes: whoever waits for a long batch and then for the next one has little time left.
"""

from __future__ import annotations

from collections import deque
from math import inf

#: Of so many last batches of a class the median counts: one that was held up says nothing.
KEPT = 11
#: PERF: after so many batches of a class its median is looked for anew.
EVERY = 4
#: A size is good enough if an item costs at most so much more than at the best size.
TOLERANCE = 1.05
#: Seconds that a batch costs around the function: locks, and waking those who wait.
OVERHEAD = 30e-6
#: A run in which the thread computed for this share of the time shows that the function does not
#: wait for anything, also in the next runs: where threads share a core, most are interrupted.
BUSY = 0.7
BUSY_FOR = 1024
#: Now and then another size is tried for some batches, since the first of a size is dearer than the
#: next ones: of the best these times the size, in turns. That is done after so many batches, after
#: twice and four times as many, and from then on after every so many: at the beginning all is dear,
#: in each thread anew, and small sizes may look as cheap as large ones.
EXPLORE_FIRST = 16
EXPLORE_EVERY = 128
EXPLORED_AT_ONCE = 3
EXPLORED = (4.0, 2.0, 16.0, 0.5)
#: Beyond the neighbour only where a batch would not take longer than that, for those who wait.
FAR_SECONDS = 0.02
#: Batches of a class that tell that it is no better than smaller ones.
TRIED = 3
#: A larger size is tried where a batch would take no more than this share of the deadline, or
#: hardly longer than one of the best size: those who wait were let in for that one.
FURTHER = 0.25
HARDLY_LONGER = 1.25
#: Seconds of a deadline at least, for what is divided by it.
SHORTEST = 1e-6
#: After so many batches, it is tried whether twice the size fits into memory again.
FORGET_LIMIT_AFTER = 1024


class SizeClass:
    """Measurements of alike sizes."""

    __slots__ = ("_last", "busy", "count", "fastest", "seconds", "size")

    def __init__(self) -> None:
        #: Mean size of these batches, 0 without any.
        self.size = 0.0
        #: Seconds that one takes, as a rule and at least, and those of the processor.
        self.seconds = 0.0
        self.fastest = 0.0
        self.busy = 0.0
        self._last: deque[tuple[float, float]] = deque(maxlen=KEPT)
        self.count = 0

    def note(self, size: int, seconds: float, busy: float) -> bool:
        """A batch has taken so long; whether that changes what is said of the class."""
        last = self._last
        last.append((seconds, busy))
        self.size += (size - self.size) / len(last)
        self.count += 1
        if self.count > KEPT and self.count % EVERY:
            return False
        in_order = sorted(last)
        middle = (len(in_order) - 1) // 2
        self.seconds = in_order[middle][0]
        self.fastest = in_order[0][0]
        self.busy = sorted(run[1] for run in last)[middle]
        return True


class Estimate:
    """Run times by size of the batch, and the size that is worth waiting for.

    :param max_size: items in a batch at most
    """

    def __init__(self, max_size: int) -> None:
        self.max_size = max_size
        self.classes = [SizeClass() for _ in range((max_size - 1).bit_length() + 1)]
        self.batches = 0
        #: Items that fit into memory, after a batch did not.
        self.limit = max_size
        #: Whether the function keeps its thread busy.
        self.is_busy = False
        #: Seconds that the last batch took, apart from interruptions.
        self.last = 0.0
        #: `seconds(1)` and `fastest(1)`, the latter endless while nothing is known.
        self.of_one = 0.0
        self.fastest_of_one = inf
        self._best = 1
        #: A deadline that was asked for lately, and the best size for it.
        self._best_within = (inf, 1)
        #: Size and seconds of each class with measurements; by class, the least seconds of it and
        #: of larger ones, and those that are proven. `_compare` finds them.
        self._typical: list[tuple[float, float]] = []
        self._least = [inf] * len(self.classes)
        self._proven = [0.0] * len(self.classes)
        self._times = 1.0
        self._seen_busy = -BUSY_FOR

    def note(self, size: int, seconds: float, busy: float = 0.0) -> None:
        """A batch of `size` took so many `seconds`, of which its thread was `busy` for so many."""
        self.batches += 1
        if 0 < seconds * BUSY <= busy:
            self._seen_busy = self.batches
        self.is_busy = self.batches - self._seen_busy < BUSY_FOR
        if self._class_of(size).note(size, seconds, busy):
            self._best = self._find_best(inf)
            self._best_within = (inf, self._best)
            self._compare()
            self.of_one, self.fastest_of_one = self.seconds(1), self.fastest(1)
        self._times = self._explored()
        self.last = busy if self.is_busy else seconds
        if self.limit < self.max_size and self.batches % FORGET_LIMIT_AFTER == 0:
            self.limit = min(self.limit * 2, self.max_size)

    def note_too_large(self, size: int) -> None:
        """A batch of this size did not fit into memory."""
        self.limit = max(1, min(self.limit, size // 2))

    @property
    def is_known(self) -> bool:
        return self.batches > 0

    def seconds(self, size: int) -> float:
        """Seconds that a batch of this size will take; 0 while nothing is known."""
        below = seconds_below = 0.0
        for known, seconds in self._typical:
            if known >= size:
                share = (size - below) / (known - below) if below else 1.0
                return seconds_below + (seconds - seconds_below) * share
            below, seconds_below = known, seconds
        return seconds_below * size / below if below else 0.0

    def fastest(self, size: int) -> float:
        """Seconds that a batch of this size takes where nothing disturbs it."""
        least = self._least[self._index(size)]
        return least if least < inf else self.seconds(size)

    def proven(self, size: int) -> float:
        """Seconds that a batch of this size has not fallen below; 0 before some were measured."""
        return self._proven[self._index(size)]

    def saved(self, some: int, others: int) -> float:
        """Seconds that so many items take less when they are computed together with others.

        All of those of the smaller part, as long as it has not been tried.
        """
        apart = self.seconds(some), self.seconds(others)
        is_known = self._class_of(some + others).size > 0
        return sum(apart) - (self.seconds(some + others) if is_known else max(apart))

    def _class_of(self, size: int) -> SizeClass:
        return self.classes[self._index(size)]

    def _index(self, size: int) -> int:
        return min((size - 1).bit_length(), len(self.classes) - 1)

    def _compare(self) -> None:
        """Let no size take longer than a larger one: what was measured of it is old, or its first.

        Where many ask, nobody is alone for long, and what one item took remains the time of the
        very first, when all was cold.
        """
        typical: list[tuple[float, float]] = []
        seconds = fastest = proven = inf
        for index in reversed(range(len(self.classes))):
            known = self.classes[index]
            if known.size:
                seconds, fastest = min(seconds, known.seconds), min(fastest, known.fastest)
                typical.append((known.size, seconds))
                if known.count >= TRIED:
                    proven = fastest
            self._least[index] = fastest
            self._proven[index] = proven if proven < inf else 0.0
        typical.reverse()
        self._typical = typical

    def best_size(self, deadline: float = inf) -> int:
        """Items that a batch should have at most, if there are as many.

        The least size at which an item costs about as little as at the best; the double of what
        was measured where larger batches have not been tried yet.

        :param deadline: seconds that an item has from being given
        """
        best = self._best
        if deadline != inf and self.batches:
            deadline = max(deadline, SHORTEST)
            asked, best = self._best_within
            if asked != deadline:
                best = self._find_best(deadline)
                self._best_within = (deadline, best)
        best = min(best, self.limit)
        times = self._times
        if times == 1:
            return best
        if times > 2:
            times = max(2.0, min(times, FAR_SECONDS / max(self.seconds(best), 1e-9)))
        size = max(1, min(int(best * times), self.limit))
        return size if self._is_promising(size, best, deadline) else best

    def _explored(self) -> float:
        """What the best size is multiplied with for the next batch."""
        turn, since = divmod(self.batches, EXPLORE_EVERY)
        if not turn:
            turn = (self.batches // EXPLORE_FIRST).bit_length() - 1
            if turn < 0:
                return 1.0
            since = self.batches - (EXPLORE_FIRST << turn)
        return EXPLORED[turn % len(EXPLORED)] if since < EXPLORED_AT_ONCE else 1.0

    def _find_best(self, deadline: float) -> int:
        costs = [
            self._cost(known) * (1 + known.seconds / deadline) if known.size else None
            for known in self.classes
        ]
        least = min(cost for cost in costs if cost is not None)
        index = next(i for i, c in enumerate(costs) if c is not None and c <= least * TOLERANCE)
        if not any(known.count >= TRIED for known in self.classes[index + 1 :]):
            if self._is_promising(2 << index, 1 << index, deadline):
                index += 1
        return min(1 << index, self.max_size)

    def _is_promising(self, size: int, best: int, deadline: float) -> bool:
        """Whether a larger size is worth a try: not if it would last too long for the deadline.

        That is if each further item takes as long as those of the last step, from half to best.
        """
        if deadline == inf or size <= best or best == 1:
            return True
        seconds, half = self.seconds(best), best // 2
        each = max(seconds - self.seconds(half), 0.0) / (best - half)
        larger = seconds + each * (size - best)
        if larger > max(deadline * FURTHER, seconds * HARDLY_LONGER):
            return False
        return larger / size * (1 + larger / deadline) <= seconds / best * (1 + seconds / deadline)

    def _cost(self, known: SizeClass) -> float:
        """Seconds that an item costs in batches of this class."""
        return ((known.busy if self.is_busy else known.seconds) + OVERHEAD) / known.size

"""A batcher's line under a virtual clock: arrivals, a model that takes so long, and no threads."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from math import inf

from erlen.ml.batching.errors import QueueFull
from erlen.ml.batching.estimate import Estimate
from erlen.ml.batching.items import DONE, GONE, RUNNING, WAITING, Item
from erlen.ml.batching.line import CALL, LEAD, Line

NANOSECOND = 1e-9


class Simulation:
    """Events in the order of their time; `run_time` tells how long a batch of a size takes."""

    def __init__(
        self,
        run_time: Callable[[int], float],
        *,
        max_size: int = 32,
        max_queue: int = 512,
        workers: int = 1,
    ) -> None:
        self.run_time = run_time
        self.estimate = Estimate(max_size)
        self.line = Line(self.estimate, max_queue, workers)
        self.now = 0.0
        self.sizes: list[int] = []
        self.refused = 0
        self.late: list[Item] = []
        #: (item, when it was answered)
        self.answered: list[tuple[Item, float]] = []
        self.when_answered: Callable[[Item], object] = lambda item: None
        #: What the process computes for, batches apart; `None` where nobody can tell.
        self.share: Callable[[], float] | None = None
        self._events: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = itertools.count()
        self._collecting = 0

    def measured(self) -> Simulation:
        """The simulation, of a model that has been measured at all sizes."""
        size = 1
        while size <= self.estimate.max_size:
            self.estimate.note(size, self.run_time(size))
            size *= 2
        return self

    def at(self, when: float, event: Callable[[], object]) -> None:
        heapq.heappush(self._events, (when, next(self._numbers), event))

    def run(self, until: float = inf) -> None:
        while self._events and self._events[0][0] <= until:
            self.now, _, event = heapq.heappop(self._events)
            event()

    def arrive(self, deadline: float = inf, patience: float = inf, value: object = None) -> Item:
        item = Item(value, None, self.now, deadline)
        try:
            role = self.line.join(item, self.now)
        except QueueFull:
            self.refused += 1
            item.state = GONE
            return item
        if role is LEAD:
            self._collect(item)
        elif role is CALL:
            self._take(self._collecting)
        if patience != inf:
            self.at(self.now + patience, lambda: self._leave(item))
        return item

    def _leave(self, item: Item) -> None:
        if item.state in (WAITING, RUNNING) and self.line.leave(item):
            self._appoint()

    def _collect(self, leader: Item) -> None:
        self._collecting = turn = self._collecting + 1
        self._wait(turn)

    def _wait(self, turn: int) -> None:
        if turn == self._collecting and self.line.leader is not None:
            left = self.line.window(self.now, self.share)
            if left:  # as threads do, which look again however short that was
                self.at(self.now + max(left, NANOSECOND), lambda: self._wait(turn))
            else:
                self._take(turn)

    def _take(self, turn: int) -> None:
        leader = self.line.leader
        if turn != self._collecting or leader is None:
            return
        batch, late = self.line.take(leader, self.now)
        for item in late:
            item.state = DONE
        self.late += late
        if not batch:
            self._appoint()
            return
        self.sizes.append(len(batch))
        seconds = self.run_time(len(batch))
        self.at(self.now + seconds, lambda: self._end(batch, seconds))

    def _end(self, batch: list[Item], seconds: float) -> None:
        self.estimate.note(len(batch), seconds)
        self.line.ended(len(batch), self.now)
        stayed = [item for item in batch if item.state is RUNNING]
        self.answered += [(item, self.now) for item in stayed]
        for item in stayed:
            item.state = DONE
        self._appoint()
        for item in stayed:
            self.when_answered(item)

    def _appoint(self) -> None:
        leader = self.line.appoint()
        if leader is not None:
            self._collect(leader)

    def latencies(self) -> list[float]:
        return sorted(when - item.since for item, when in self.answered)

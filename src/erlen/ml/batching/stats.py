"""What a batcher has done so far, in numbers."""

from __future__ import annotations

import typing as t
from bisect import bisect_left
from dataclasses import dataclass, field

#: Upper bounds of the latency histogram, in seconds; a last class has what is above.
BOUNDS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1),
    *(0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)

#: Batches of one that are kept until they are counted.
COUNTED_AT_ONCE = 64

#: Why an item was not answered: refused when it came, out of time, nobody waited any more, closed.
CAUSES: tuple[str, ...] = ("full", "hopeless", "deadline", "left", "closed")


class Observer(t.Protocol):
    """Who is told what a batcher does; called by whoever computes, so it should be quick."""

    def batch(self, size: int, seconds: float) -> None:
        """A batch was computed in so many seconds."""

    def dropped(self, cause: str) -> None:
        """An item was dropped; one of `CAUSES`."""

    def answered(self, seconds: float) -> None:
        """An item has a result, so many seconds after it was given."""

    def failed(self, seconds: float) -> None:
        """The function raised for an item."""


@dataclass(frozen=True)
class Stats:
    """A snapshot of a batcher; counts are those since it was made (in this process)."""

    name: str
    #: Items given, also those that were refused; with a result; for which the function raised.
    requests: int = 0
    answered: int = 0
    failed: int = 0
    #: Items that were not answered, by cause.
    dropped: dict[str, int] = field(default_factory=dict)
    #: Items that wait now, and items that are being computed.
    queued: int = 0
    computing: int = 0
    #: Calls of the function: how many, how many by size, how long altogether.
    batches: int = 0
    sizes: dict[int, int] = field(default_factory=dict)
    run_seconds: float = 0.0
    #: Answers by latency: how many within each of `latency_bounds` seconds, and the rest last.
    latency_bounds: tuple[float, ...] = BOUNDS
    latency_counts: tuple[int, ...] = (0,) * (len(BOUNDS) + 1)
    latency_seconds: float = 0.0
    #: The size that batches are filled up to, as measured.
    best_size: int = 1

    @property
    def mean_size(self) -> float:
        """Items in a batch on average; 0 without any."""
        items = sum(size * count for size, count in self.sizes.items())
        return items / self.batches if self.batches else 0.0

    def latency(self, share: float) -> float:
        """Seconds within which this share of the answers came, as the histogram knows it.

        `latency(0.99)` is the 99th percentile, interpolated within its class; 0 without answers.
        """
        rank = share * sum(self.latency_counts)
        below, lower = 0, 0.0
        for bound, count in zip(
            (*self.latency_bounds, BOUNDS[-1]), self.latency_counts, strict=True
        ):
            if count and below + count >= rank:
                return lower + (bound - lower) * (rank - below) / count
            below, lower = below + count, bound
        return 0.0


class Tally:
    """The counts behind :class:`Stats`; the batcher's lock is held where they change."""

    def __init__(self) -> None:
        self.requests = 0
        self.answered = 0
        self.failed = 0
        self.dropped: dict[str, int] = dict.fromkeys(CAUSES, 0)
        self.batches = 0
        self.sizes: dict[int, int] = {}
        self.run_seconds = 0.0
        self.latency_counts = [0] * (len(BOUNDS) + 1)
        self.latency_seconds = 0.0
        #: Seconds of batches of one, each with a result, that are not counted yet. PERF: many are
        #: counted in half of the time of each.
        self.alone: list[float] = []

    def note_batch(self, size: int, seconds: float) -> None:
        self.batches += 1
        self.sizes[size] = self.sizes.get(size, 0) + 1
        self.run_seconds += seconds

    def count_alone(self) -> None:
        """Count the batches of one that were kept."""
        alone, self.alone = self.alone, []
        if alone:
            self.batches += len(alone)
            self.sizes[1] = self.sizes.get(1, 0) + len(alone)
            self.run_seconds += sum(alone)
            self.note_answers(alone)

    def note_answers(self, latencies: list[float]) -> None:
        counts = self.latency_counts
        for seconds in latencies:
            counts[bisect_left(BOUNDS, seconds)] += 1
        self.answered += len(latencies)
        self.latency_seconds += sum(latencies)

    def snapshot(self, name: str, queued: int, computing: int, best_size: int) -> Stats:
        self.count_alone()
        return Stats(
            name,
            queued=queued,
            computing=computing,
            best_size=best_size,
            requests=self.requests,
            answered=self.answered,
            failed=self.failed,
            dropped=dict(self.dropped),
            batches=self.batches,
            sizes=dict(sorted(self.sizes.items())),
            run_seconds=self.run_seconds,
            latency_counts=tuple(self.latency_counts),
            latency_seconds=self.latency_seconds,
        )

"""When refusals are answered: at once, where they are not so many that they would be the work."""

from __future__ import annotations

import asyncio
import heapq
import time
from math import inf
from typing import Any

import pytest

from erlen.ml import Batcher, QueueFull
from erlen.ml.batching.items import Item
from erlen.ml.batching.refusals import (
    BURST,
    EACH,
    FASTER,
    MORE,
    ON_LOOPS,
    ON_THREADS,
    SPACING,
    Refusals,
)


def ask_again_at_once(clients: int, pace: float, seconds: float, places: int = 1000) -> int:
    """How often so many clients are refused in that time, each of which takes 0.1 ms to ask."""
    refusals = Refusals()
    asking = [0.0] * clients
    refused = 0
    while asking[0] < seconds:
        now = heapq.heappop(asking)
        heapq.heappush(asking, now + refusals.delay(now, pace, inf, places) + 0.0001)
        refused += 1
    return refused


@pytest.mark.parametrize("pace", [1.0, EACH * SPACING, 0.002, 0.0])
@pytest.mark.parametrize("clients", [1, 8, 100])
def test_clients_that_ask_again_at_once_are_refused_some_times_an_item(
    clients: int, pace: float
) -> None:
    spacing = min(pace / EACH, SPACING) if pace else SPACING
    assert ask_again_at_once(clients, pace, 2.0) <= 2.0 / spacing + BURST + clients


@pytest.mark.parametrize("pace", [0.01, 0.001])
def test_twice_as_many_refusals_as_items_do_not_wait(pace: float) -> None:
    refusals = Refusals()
    assert not any(refusals.delay(n * pace / 2, pace, inf, ON_THREADS) for n in range(1000))


def test_some_refusals_at_the_same_time_do_not_wait() -> None:
    refusals = Refusals()
    delays = [refusals.delay(5.0, 1.0, inf, ON_THREADS) for _ in range(BURST + 3)]
    assert delays == pytest.approx([0.0] * BURST + [SPACING, 2 * SPACING, 3 * SPACING])


@pytest.mark.parametrize(
    ("most", "places", "others"),
    [(inf, 4.5, int(MORE * 4.5)), (4.5 * SPACING, 1000, int(FASTER * 4.5))],
)
def test_what_finds_no_place_waits_less_and_is_refused_at_once_in_the_end(
    most: float, places: float, others: int
) -> None:
    refusals = Refusals()
    expected = [0.0] * BURST + [SPACING * n for n in (1, 2, 3, 4)]
    expected += [0.0] * BURST + [SPACING / FASTER * n for n in range(1, others + 1)] + [0.0] * 50
    delays = [refusals.delay(0.0, 1.0, most, places) for _ in expected]
    assert delays == pytest.approx(expected)
    # Those that do not wait take no place from who comes later.
    assert refusals.delay(SPACING, 1.0, most, places) == pytest.approx(4 * SPACING)


class Full(Batcher[int, int]):
    """A batcher with one place, which is taken, a second for an item, and a clock that stands."""

    def __init__(self) -> None:
        super().__init__(lambda items: items, max_queue=1, name="full", clock=lambda: 0.0)
        self._line.running = self._line.workers
        self._line.pace = 1.0
        self._line.join(Item(0, None, 0.0), 0.0)


def test_threads_are_held_back() -> None:
    batcher = Full()
    delays = []
    for _ in range(BURST + 4):
        begun = time.monotonic()
        with pytest.raises(QueueFull) as refused:
            batcher.submit(1)
        assert time.monotonic() - begun >= refused.value.delay
        delays.append(refused.value.delay)
    assert delays == pytest.approx([0.0] * BURST + [SPACING * n for n in (1, 2, 3, 4)])
    assert batcher.stats().dropped["full"] == BURST + 4


def test_coroutines_are_held_back_without_their_loop() -> None:
    async def main() -> Any:
        batcher = Full()
        tasks = [asyncio.ensure_future(batcher.ask(1)) for _ in range(1000)]
        await asyncio.sleep(0)
        waiting = sum(not task.done() for task in tasks)
        return waiting, await asyncio.gather(*tasks, return_exceptions=True)

    waiting, errors = asyncio.run(main())
    assert waiting == pytest.approx(ON_LOOPS * (1 + MORE), abs=2)
    assert {type(error) for error in errors} == {QueueFull}
    assert sum(error.delay > 0 for error in errors) == waiting


def test_nobody_is_held_back_for_more_than_half_of_the_deadline() -> None:
    batcher = Full()
    delays = []
    for _ in range(100):
        with pytest.raises(QueueFull) as refused:
            batcher.submit(1, deadline=0.01)
        delays.append(refused.value.delay)
    assert 0.0 < max(delays) <= 0.005

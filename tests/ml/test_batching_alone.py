"""Items that are alone, and when a function is kept off an event loop."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from math import inf

import pytest

from erlen.ml import Batcher
from erlen.ml.batching.alone import MEASURED_ALWAYS, MEASURED_EACH
from erlen.ml.batching.estimate import TRIED, Estimate
from erlen.ml.batching.inline import FIRST_BAN, LONGEST_BAN, RARE
from erlen.ml.batching.items import Item
from erlen.ml.batching.line import Line

STALL = 0.05
var: ContextVar[str] = ContextVar("var", default="unset")


class Clock:
    """The time that a test says."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def quick_batcher(clock: Clock, *, computes: bool = True) -> Batcher[int, int]:
    """A batcher whose function has been measured to take a millisecond."""
    batcher = Batcher[int, int](lambda items: items, clock=clock)
    note(batcher, 0.001, computes=computes)
    return batcher


def note(batcher: Batcher[int, int], seconds: float, *, computes: bool = True) -> None:
    batcher._estimate.note(1, seconds, seconds if computes else 0.0)


def stall(batcher: Batcher[int, int], *, computes: bool = True) -> None:
    """The function has run on a loop, and stopped it."""
    note(batcher, STALL, computes=computes)
    batcher._mind(STALL)


# Counting and measuring


def test_every_item_is_counted_and_few_are_measured() -> None:
    batcher = Batcher[int, int](lambda items: items, clock=Clock())
    others = 100
    assert [batcher.submit(n) for n in range(MEASURED_ALWAYS + 1 + others)] == [
        *range(MEASURED_ALWAYS + 1 + others)
    ]
    stats = batcher.stats()
    assert stats.requests == stats.answered == stats.batches == MEASURED_ALWAYS + 1 + others
    assert stats.sizes == {1: stats.batches}
    assert sum(stats.latency_counts) == stats.batches
    assert batcher._estimate.batches == MEASURED_ALWAYS + 1 - (-others // MEASURED_EACH)


def test_who_ends_alone_leaves_what_others_compute() -> None:
    begun, goes_on = threading.Event(), threading.Event()

    def function(items: list[int]) -> list[int]:
        if items == [1]:
            other.start()
        else:
            begun.set()
            assert goes_on.wait(20)
        assert begun.wait(20)
        return items

    batcher = Batcher[int, int](function, workers=2)
    other = threading.Thread(target=batcher.submit, args=(2,))
    line = batcher._line
    assert batcher.submit(1) == 1
    assert (line.running, line.computing, line.is_idle) == (1, 1, False)
    goes_on.set()
    other.join()
    assert (line.running, line.computing, line.is_idle) == (0, 0, True)


def test_what_a_function_sets_is_gone_in_the_next_call() -> None:
    seen: list[str] = []

    def function(items: list[int]) -> list[int]:
        seen.append(var.get())
        var.set("by a batch")
        return items

    batcher = Batcher[int, int](function, clock=Clock())
    token = var.set("the caller's")
    for number in range(MEASURED_ALWAYS + 2 * MEASURED_EACH):
        batcher.submit(number)
    assert {*seen} == {"unset"}
    assert var.get() == "the caller's"
    var.reset(token)


# Kept off the loop


def test_a_rare_stall_of_a_function_that_computes_is_let_pass() -> None:
    batcher = quick_batcher(Clock())
    for _ in range(3):
        stall(batcher)
        assert batcher._is_quick()
        for _ in range(RARE):
            note(batcher, 0.001)


def test_a_second_stall_soon_after_is_not() -> None:
    clock = Clock()
    batcher = quick_batcher(clock)
    stall(batcher)
    for _ in range(RARE - 2):
        note(batcher, 0.001)
    stall(batcher)
    assert not batcher._is_quick()
    clock.now = FIRST_BAN
    assert batcher._is_quick()


def test_a_stall_of_a_function_that_waits_never_is() -> None:
    batcher = quick_batcher(Clock(), computes=False)
    stall(batcher, computes=False)
    assert not batcher._is_quick()


def test_a_function_that_stalls_again_and_again_is_kept_off_for_longer_each_time() -> None:
    clock = Clock()
    batcher = quick_batcher(clock, computes=False)
    bans = []
    for _ in range(8):
        stall(batcher, computes=False)
        bans.append(batcher._banned_until - clock.now)
        clock.now = batcher._banned_until
    assert bans == [FIRST_BAN * 2**n for n in range(7)] + [LONGEST_BAN]
    clock.now += LONGEST_BAN + 1  # nothing for as long as it was kept off
    stall(batcher, computes=False)
    assert batcher._banned_until - clock.now == FIRST_BAN


def test_a_function_that_needs_a_thread_is_tried_ever_more_seldom_on_a_loop() -> None:
    clock = Clock()
    tried = 0

    def function(items: list[int]) -> list[int]:
        nonlocal tried
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return items
        tried += 1
        raise RuntimeError("not on a loop")

    batcher = Batcher[int, int](function, clock=clock)

    async def main() -> None:
        for number in range(200):
            assert await batcher.ask(number) == number
            clock.now += 60.0  # longer than the first times are

    asyncio.run(main())
    # 200 minutes: after 10, 20, 40 ... 640 seconds, then each 640.
    assert tried <= 7 + 200 * 60 / LONGEST_BAN


# Others on the same loop


def line_of(seconds_each: float, fixed: float) -> Line:
    """A line that has just ended a batch of one, whose function takes so long."""
    estimate = Estimate(4)
    for size in (1, 2, 4) * TRIED:
        estimate.note(size, fixed + seconds_each * size)
    line = Line(estimate, max_queue=4)
    line.last_end = 0.0
    return line


@pytest.mark.parametrize(
    ("fixed", "each", "begins"), [(1.0, 0.0, False), (0.0, 1.0, True)], ids=["pays", "does not"]
)
def test_on_a_busy_loop_others_go_first_where_batches_pay(
    fixed: float, each: float, begins: bool
) -> None:
    assert line_of(each, fixed).claim(0.1, on_loop=True) is begins


def test_on_an_idle_loop_an_item_begins_at_once() -> None:
    assert line_of(0.0, 1.0).claim(0.6, on_loop=True)


def test_who_leads_on_a_busy_loop_lets_others_go_first() -> None:
    line = line_of(0.0, 1.0)
    line.join(Item(None, None, 0.1, inf), 0.1)
    assert line.gives_way(0.1, on_loop=True)
    assert not line.gives_way(0.6, on_loop=True)

"""Batchers and `@batched` from threads, coroutines and views."""

from __future__ import annotations

import asyncio
import copy
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from importlib.util import find_spec
from typing import Any

import pytest

from erlen import Erlen
from erlen.engine import bridge
from erlen.errors import SetupError
from erlen.ml import (
    BadResults,
    Batcher,
    BatcherClosed,
    BatchInterrupted,
    DeadlineExceeded,
    QueueFull,
    batched,
)
from erlen.ml.batching.errors import Hopeless
from erlen.ml.batching.items import Item
from erlen.ml.batching.runner import Runners
from erlen.ml.batching.signal import Signal


class Model:
    """Doubles numbers, and waits for a permission where one is needed."""

    def __init__(self, *, held: bool = False) -> None:
        self.batches: list[list[int]] = []
        self.begun = threading.Semaphore(0)
        self.permits = threading.Semaphore(0)
        self.held = held

    def __call__(self, items: list[int]) -> list[int]:
        self.batches.append(list(items))
        self.begun.release()
        if self.held:
            assert self.permits.acquire(timeout=30)
        return [2 * item for item in items]

    def release(self, count: int = 1000) -> None:
        for _ in range(count):
            self.permits.release()


class Call:
    """`submit` on a thread of its own."""

    def __init__(self, function: Callable[..., Any], *args: Any) -> None:
        self.outcome: Any = None
        self._thread = threading.Thread(target=self._run, args=(function, args))
        self._thread.start()

    def _run(self, function: Callable[..., Any], args: Any) -> None:
        try:
            self.outcome = function(*args)
        except BaseException as error:
            self.outcome = error

    def result(self) -> Any:
        self._thread.join(30)
        assert not self._thread.is_alive()
        return self.outcome


def wait_until_queued(batcher: Batcher[Any, Any], count: int) -> None:
    """Return when so many items stand in the queue."""
    while batcher.stats().queued != count:
        threading.Event().wait(0.001)


@pytest.fixture
def held() -> Iterator[Model]:
    model = Model(held=True)
    yield model
    model.release()


def busy(batcher: Batcher[Any, Any], model: Model, item: int = 0) -> Call:
    """A call whose batch is being computed until the model is released."""
    call = Call(batcher.submit, item)
    assert model.begun.acquire(timeout=30)
    return call


# Threads


def test_a_single_call_is_computed_on_the_callers_thread() -> None:
    threads: list[object] = []

    def function(items: list[int]) -> list[int]:
        threads.append(threading.current_thread())
        return items

    assert Batcher(function).submit(1) == 1
    assert threads == [threading.current_thread()]


def test_calls_that_come_meanwhile_make_one_batch(held: Model) -> None:
    batcher = Batcher(held)
    warm(batcher)
    first = busy(batcher, held)
    others = [Call(batcher.submit, number) for number in (1, 2)]
    wait_until_queued(batcher, 2)
    held.release()
    assert [call.result() for call in (first, *others)] == [0, 2, 4]
    assert [sorted(batch) for batch in held.batches] == [[0], [1, 2]]


def test_several_threads_get_their_own_results() -> None:
    batcher = Batcher(Model())

    def many(start: int) -> bool:
        return all(batcher.submit(start + n) == 2 * (start + n) for n in range(200))

    calls = [Call(many, 1000 * number) for number in range(16)]
    assert [call.result() for call in calls] == [True] * 16
    stats = batcher.stats()
    assert (stats.requests, stats.answered, stats.failed) == (3200, 3200, 0)
    assert sum(size * count for size, count in stats.sizes.items()) == 3200
    assert (stats.queued, stats.computing) == (0, 0)


def test_the_function_sees_no_callers_context() -> None:
    variable: ContextVar[str] = ContextVar("variable", default="nobody's")
    variable.set("the caller's")
    assert Batcher(lambda items: [variable.get() for _ in items]).submit(1) == "nobody's"


def test_two_workers_compute_at_the_same_time(held: Model) -> None:
    batcher = Batcher(held, workers=2)
    calls = [busy(batcher, held, 1), busy(batcher, held, 2)]
    third = Call(batcher.submit, 3)
    wait_until_queued(batcher, 1)
    assert batcher.stats().computing == 2
    held.release()
    assert [call.result() for call in (*calls, third)] == [2, 4, 6]


# Event loops


def test_coroutines_ask() -> None:
    batcher = Batcher(Model())

    async def main() -> list[int]:
        return await asyncio.gather(*(batcher.ask(number) for number in range(100)))

    assert asyncio.run(main()) == [2 * number for number in range(100)]
    assert batcher.stats().batches < 100


def test_a_function_that_takes_its_time_leaves_the_loop_alone(held: Model) -> None:
    batcher = Batcher(held)

    async def main() -> int:
        task = asyncio.create_task(batcher.ask(1))
        while not held.begun.acquire(blocking=False):
            await asyncio.sleep(0)
        held.release()
        return await task

    assert asyncio.run(main()) == 2


def test_a_quick_function_is_run_on_the_loop() -> None:
    threads: list[str] = []

    def function(items: list[int]) -> list[int]:
        threads.append(threading.current_thread().name)
        return items

    batcher = Batcher(function, name="quick", clock=lambda: 0.0)

    async def main() -> None:
        for number in range(4):
            await batcher.ask(number)

    asyncio.run(main())
    assert threads == ["erlen-batch-quick"] + ["MainThread"] * 3


@pytest.mark.parametrize(
    ("computes", "where"),
    [(True, "MainThread"), (False, "erlen-batch-quick")],
    ids=["it was interrupted", "it waited"],
)
def test_a_function_that_once_took_long_leaves_the_loop_if_that_was_its_own_doing(
    computes: bool, where: str
) -> None:
    now = 0.0
    threads: list[str] = []

    def function(items: list[int]) -> list[int]:
        nonlocal now
        threads.append(threading.current_thread().name)
        until = time.thread_time() + 0.001
        while computes and time.thread_time() < until:
            pass
        now += 1.0 if items == [4] else 0.001
        return items

    batcher = Batcher(function, name="quick", clock=lambda: now)

    async def main() -> None:
        for number in range(6):
            await batcher.ask(number)

    asyncio.run(main())
    assert threads[4:] == ["MainThread", where]


def test_several_loops_and_threads_share_a_batcher() -> None:
    batcher = Batcher(Model())

    async def ask(start: int) -> bool:
        numbers = range(start, start + 100)
        return await asyncio.gather(*map(batcher.ask, numbers)) == [2 * n for n in numbers]

    def many(start: int) -> bool:
        return all(batcher.submit(n) == 2 * n for n in range(start, start + 100))

    calls = [Call(asyncio.run, ask(1000 * number)) for number in range(3)]
    calls += [Call(many, 1000 * number) for number in range(3, 6)]
    assert [call.result() for call in calls] == [True] * 6


def test_a_loop_that_was_stopped_leads_no_batch_for_others() -> None:
    batcher = Batcher(Model(), clock=lambda: 0.0)
    warm(batcher)
    # So that the first waits for a second, in a window that never ends.
    batcher._line.last_end, batcher._line.last_in_flight = 0.0, 2
    loop = asyncio.new_event_loop()
    left: list[asyncio.Task[int]] = []

    async def leave() -> None:
        left.append(asyncio.create_task(batcher.ask(1)))
        await asyncio.sleep(0)

    loop.run_until_complete(leave())
    assert not left[0].done()
    assert Call(batcher.submit, 2).result() == 4
    assert loop.run_until_complete(left[0]) == 2
    loop.close()


def test_waiting_in_a_coroutine_is_refused() -> None:
    batcher = Batcher(Model(), name="double")

    async def main() -> None:
        batcher.submit(1)

    with pytest.raises(RuntimeError, match="'double'.* 'ask'"):
        asyncio.run(main())


def asking_another() -> Callable[[int], int]:
    return Batcher(lambda items: [2 * item for item in items]).submit


def running_a_loop() -> Callable[[int], int]:
    async def double(item: int) -> int:
        return 2 * item

    def run(item: int) -> int:
        loop = asyncio.new_event_loop()
        doubled = double(item)
        try:
            return loop.run_until_complete(doubled)
        finally:
            doubled.close()
            loop.close()

    return run


@pytest.mark.parametrize("make", [asking_another, running_a_loop])
@pytest.mark.parametrize("count", [1, 4])
def test_a_quick_function_that_needs_a_thread_gets_one(
    make: Callable[[], Callable[[int], int]], count: int
) -> None:
    double = make()
    threads: list[str] = []

    def function(items: list[int]) -> list[int]:
        threads.append(threading.current_thread().name)
        return [double(item) for item in items]

    batcher = Batcher(function, name="needy", clock=lambda: 0.0)

    async def main() -> list[list[int]]:
        return [await asyncio.gather(*map(batcher.ask, range(count))) for _ in range(6)]

    assert asyncio.run(main()) == [[2 * n for n in range(count)]] * 6
    assert threads.count("MainThread") <= 1


def test_a_function_that_must_not_be_repeated_is_not_tried_on_the_loop() -> None:
    inner = Batcher(Model())
    batcher = Batcher(lambda items: [*map(inner.submit, items)], pure=False, clock=lambda: 0.0)

    async def main() -> list[int]:
        return [await batcher.ask(number) for number in range(4)]

    assert asyncio.run(main()) == [0, 2, 4, 6]


def test_a_function_that_calls_its_own_batcher_is_told_so() -> None:
    def function(items: list[int]) -> list[int]:
        return [batcher.submit(item) for item in items]

    batcher: Batcher[int, int] = Batcher(function, name="itself")
    with pytest.raises(RuntimeError, match="'itself' calls itself"):
        batcher.submit(1, deadline=30)


def test_a_function_that_calls_its_own_batcher_is_told_so_also_with_workers_to_spare() -> None:
    def function(items: list[int]) -> list[int]:
        return [batcher.submit(item - 1) if item else 0 for item in items]

    batcher: Batcher[int, int] = Batcher(function, name="itself", workers=2)
    with pytest.raises(RuntimeError, match="'itself' calls itself"):
        batcher.submit(3, deadline=30)


def test_an_async_function_that_calls_its_own_batcher_is_told_so() -> None:
    async def function(items: list[int]) -> list[int]:
        return [await batcher.ask(item) for item in items]

    batcher: Batcher[int, int] = Batcher(function, name="itself")

    async def main() -> None:
        await asyncio.wait_for(batcher.ask(1), 30)

    with pytest.raises(RuntimeError, match="'itself' calls itself"):
        asyncio.run(main())


def test_where_no_thread_is_to_be_had_the_loop_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    batcher = Batcher(Model(), max_size=2)

    async def main() -> list[int]:
        asked = asyncio.gather(*map(batcher.ask, range(5)))
        return await asyncio.wait_for(asked, 30)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        assert asyncio.run(main()) == [0, 2, 4, 6, 8]


def test_plain_code_under_the_bridge_waits_in_its_task() -> None:
    batcher = Batcher(Model())

    async def main() -> list[int]:
        return await asyncio.gather(*(bridge.run(batcher.submit, n) for n in range(10)))

    assert asyncio.run(main()) == [2 * n for n in range(10)]


def test_async_functions_run_on_the_callers_loop() -> None:
    loops: list[object] = []

    async def function(items: list[int]) -> list[int]:
        loops.append(asyncio.get_running_loop())
        await asyncio.sleep(0)
        return [2 * item for item in items]

    batcher = Batcher(function)

    async def main() -> tuple[object, list[int]]:
        answers = await asyncio.gather(*map(batcher.ask, range(20)))
        return asyncio.get_running_loop(), answers

    loop, answers = asyncio.run(main())
    assert answers == [2 * n for n in range(20)]
    assert set(loops) == {loop}
    assert batcher.submit(3) == 6


def test_a_task_that_ends_does_not_take_an_async_batch_of_others_along() -> None:
    begun = threading.Event()
    go_on = threading.Event()
    calls: list[list[int]] = []

    async def function(items: list[int]) -> list[int]:
        calls.append(items)
        begun.set()
        while not go_on.is_set():
            await asyncio.sleep(0)
        return items

    batcher = Batcher(function)

    async def lead_and_leave() -> None:
        task = asyncio.create_task(batcher.ask(1))
        while not begun.is_set():
            await asyncio.sleep(0)
        task.cancel()

    waiting = Call(lambda: asyncio.run(lead_and_leave()))
    waiting.result()
    go_on.set()
    assert Call(batcher.submit, 2).result() == 2
    assert batcher.close(timeout=10)


def test_a_thread_whose_item_is_done_goes_on_with_an_async_batch_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    async def function(items: list[int]) -> list[int]:
        begun.set()
        while not go_on.is_set():
            await asyncio.sleep(0)
        await asyncio.sleep(0.001)
        if -1 in items:
            raise ValueError("bad")
        return [2 * item for item in items]

    batcher = Batcher(function)
    monkeypatch.setattr(batcher._estimate, "best_size", lambda deadline: 8)
    calls = [Call(batcher.submit, 0)]
    assert begun.wait(30)
    for count, item in enumerate((1, -1, 2, 3, 4), 1):
        calls.append(Call(batcher.submit, item))
        wait_until_queued(batcher, count)
    go_on.set()
    assert [str(call.result()) for call in calls] == ["0", "2", "bad", "4", "6", "8"]
    assert batcher.close(timeout=10)


def test_an_async_batch_for_which_nobody_waits_is_cancelled() -> None:
    calls: list[list[int]] = []
    ended: list[int] = []

    async def function(items: list[int]) -> list[int]:
        calls.append(items)
        if items == [1]:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(1)
        return items

    batcher = Batcher(function)
    waiting = Call(lambda: batcher.submit(1, deadline=0.05))
    assert isinstance(waiting.result(), DeadlineExceeded)
    assert ended == [1]
    assert Call(batcher.submit, 2).result() == 2
    assert batcher.close(timeout=10)


# Views


@pytest.mark.parametrize("transport", ["wsgi", "asgi"])
@pytest.mark.parametrize("kind", ["plain", "async", "async function", "awaited"])
def test_views_of_all_kinds_call_a_batched_function(app: Erlen, transport: str, kind: str) -> None:
    @batched
    def double(items: list[int]) -> list[int]:
        return [2 * item for item in items]

    @batched
    async def double_async(items: list[int]) -> list[int]:
        await asyncio.sleep(0)
        return [2 * item for item in items]

    def plain() -> str:
        return str(double(21))

    async def asynchronous() -> str:
        return str(double(21))

    async def awaiting() -> str:
        return str(await double.ask(21))

    async def of_async() -> str:
        return str(await double_async(21))

    views = {
        "plain": plain,
        "async": asynchronous,
        "async function": of_async,
        "awaited": awaiting,
    }
    app.add_url_rule("/", view_func=views[kind])
    client = app.test_client(transport=transport)  # type: ignore[call-arg]
    assert [client.get("/").text for _ in range(3)] == ["42"] * 3


# Deadlines and those who leave


def test_an_item_is_not_computed_after_its_deadline(held: Model) -> None:
    batcher = Batcher(held)
    first = busy(batcher, held)
    with pytest.raises(DeadlineExceeded):
        batcher.submit(1, deadline=0.01)
    held.release()
    assert first.result() == 0
    assert batcher.submit(2) == 4
    assert held.batches == [[0], [2]]
    assert batcher.stats().dropped["deadline"] == 1


def test_a_deadline_counts_from_when_the_item_is_given() -> None:
    model = Model()
    batcher = Batcher(model, deadline=60)
    with pytest.raises(DeadlineExceeded):
        batcher.submit(1, deadline=-1.0)
    assert batcher.submit(2) == 4
    assert model.batches == [[2]]


def test_a_coroutine_waits_no_longer_than_its_deadline(held: Model) -> None:
    batcher = Batcher(held)
    first = busy(batcher, held)

    async def main() -> None:
        with pytest.raises(DeadlineExceeded):
            await batcher.ask(1, deadline=0.01)

    asyncio.run(main())
    held.release()
    assert first.result() == 0
    assert batcher.close()
    assert held.batches == [[0]]


def test_a_cancelled_task_has_its_item_dropped(held: Model) -> None:
    batcher = Batcher(held)
    first = busy(batcher, held)

    async def main() -> None:
        task = asyncio.create_task(batcher.ask(1))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    held.release()
    assert first.result() == 0
    assert batcher.close()
    assert held.batches == [[0]]
    assert batcher.stats().dropped["left"] == 1


def test_a_leader_that_is_cancelled_leaves_the_lead_to_the_next(held: Model) -> None:
    batcher = Batcher(held)
    first = busy(batcher, held)

    async def main() -> int:
        tasks = [asyncio.create_task(batcher.ask(number)) for number in (1, 2)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        await asyncio.wait(tasks[:1])
        held.release()
        return await tasks[1]

    assert asyncio.run(main()) == 4
    assert first.result() == 0
    assert held.batches == [[0], [2]]


def roots(numbers: list[float]) -> list[float]:
    return [number**0.5 for number in numbers]


@pytest.mark.parametrize("deadline", [float("nan")], ids=["nan"])
def test_a_deadline_is_a_number(deadline: float) -> None:
    with pytest.raises(ValueError, match="number of seconds"):
        Batcher(Model()).submit(1, deadline=deadline)


@pytest.mark.parametrize("deadline", [0, -1.0, float("nan"), "2", True])
def test_a_deadline_for_all_items_is_a_number_above_zero(deadline: Any) -> None:
    with pytest.raises(SetupError, match="'deadline'") as refused:
        Batcher(roots, deadline=deadline)
    assert refused.value.places == ((__file__, roots.__code__.co_firstlineno),)


def test_a_wrong_way_to_collate_is_told_with_the_place_of_the_function() -> None:
    with pytest.raises(SetupError, match="'collate'") as refused:
        Batcher(roots, collate="heap")
    assert refused.value.places == ((__file__, roots.__code__.co_firstlineno),)


@pytest.mark.parametrize("deadline", [1e300, float("inf")])
def test_deadlines_may_be_far_away(deadline: float) -> None:
    assert Batcher(Model()).submit(1, deadline=deadline) == 2


# Overload


def test_a_full_queue_refuses_at_once(held: Model) -> None:
    batcher = Batcher(held, max_queue=2)
    calls = [busy(batcher, held)]
    calls += [Call(batcher.submit, number) for number in (1, 2)]
    wait_until_queued(batcher, 2)
    with pytest.raises(QueueFull) as refused:
        batcher.submit(3)
    assert refused.value.retry_after >= 0
    held.release()
    assert [call.result() for call in calls] == [0, 2, 4]
    assert batcher.stats().dropped["full"] == 1


# Errors


def picky(items: list[int]) -> list[int]:
    if bad := [item for item in items if item < 0]:
        raise ValueError(f"negative: {bad}")
    return [2 * item for item in items]


def together(batcher: Batcher[Any, Any], gate: Model, items: list[int]) -> list[Any]:
    """The outcomes of items that are computed in one batch."""
    first = busy(batcher, gate, 0)
    calls = [Call(batcher.submit, item) for item in items]
    wait_until_queued(batcher, len(items))
    gate.release()
    first.result()
    return [call.result() for call in calls]


def gated(gate: Model, function: Callable[[list[int]], Any]) -> Callable[[list[int]], Any]:
    def both(items: list[int]) -> Any:
        gate(items)
        return function(items)

    return both


def warm(batcher: Batcher[Any, Any]) -> None:
    """Have it know that batches pay."""
    for size in (1, 2, 4, 8, 16, 32):
        for _ in range(11):
            batcher._estimate.note(size, 1e-5)


def test_only_the_culprits_of_a_batch_fail(held: Model) -> None:
    batcher = Batcher(gated(held, picky))
    warm(batcher)
    outcomes = together(batcher, held, [1, 2, -3, 4, 5, -6, 7])
    assert [o for o in outcomes if not isinstance(o, ValueError)] == [2, 4, 8, 10, 14]
    assert [str(o) for o in outcomes if isinstance(o, ValueError)] == [
        "negative: [-3]",
        "negative: [-6]",
    ]
    assert (batcher.stats().failed, batcher.stats().answered) == (2, 6)


def test_all_of_a_batch_get_the_error_where_the_function_is_not_to_be_repeated(
    held: Model,
) -> None:
    batcher = Batcher(gated(held, picky), pure=False)
    warm(batcher)
    outcomes = together(batcher, held, [1, -2, 3])
    assert [type(outcome) for outcome in outcomes] == [ValueError] * 3
    assert len({id(outcome) for outcome in outcomes}) == 3
    assert len(held.batches) == 2


def test_culprits_are_looked_for_beside_the_loop() -> None:
    threads: list[str] = []

    def function(items: list[int]) -> list[int]:
        threads.append(threading.current_thread().name)
        return picky(items)

    batcher = Batcher(function, name="picky", clock=lambda: 0.0)
    warm(batcher)
    batcher._line.courtesy.gain = 1.0

    async def main() -> list[Any]:
        asked = map(batcher.ask, [1, 2, -3, 4])
        return await asyncio.gather(*asked, return_exceptions=True)

    outcomes = asyncio.run(main())
    assert [o for o in outcomes if isinstance(o, int)] == [2, 4, 8]
    assert str(outcomes[2]) == "negative: [-3]"
    assert threads[0] == "MainThread"
    assert set(threads[1:]) == {"erlen-batch-picky"}


class Frame:
    """As data frames of pandas and polars are: as long as its rows, an iterable of its columns."""

    def __init__(self, rows: list[int]) -> None:
        self.rows = rows
        self.columns = ["a", "b", "c"]
        self.shape = len(rows), 3

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)


@pytest.mark.parametrize(
    ("results", "said"),
    [
        (lambda items: items[:-1], "given 3 items and returned 2 results"),
        (lambda items: [], "returned 0 results"),
        (lambda items: None, "returned NoneType"),
        (lambda items: (items, items), "zip"),
        (lambda items: {item: item for item in items}, "returned dict"),
        (lambda items: "abc", "returned str"),
        (lambda items: (item for item in items), "returned generator"),
        (lambda items: Frame(items), "returned Frame, which gives columns"),
    ],
    ids=["fewer", "none", "nothing", "outputs", "dict", "text", "generator", "frame"],
)
def test_wrong_results_are_an_error_for_all(
    held: Model, results: Callable[[list[int]], Any], said: str
) -> None:
    def wrong(items: list[int]) -> Any:
        return results(items) if len(items) == 3 else items

    batcher = Batcher(gated(held, wrong))
    warm(batcher)
    outcomes = together(batcher, held, [1, 2, 3])
    assert [type(outcome) for outcome in outcomes] == [BadResults] * 3
    assert said in str(outcomes[0])
    assert f"{__file__}:" in str(outcomes[0])


def test_an_array_without_dimensions_is_no_result() -> None:
    numpy = pytest.importorskip("numpy")
    with pytest.raises(BadResults, match="0 results"):
        Batcher(lambda items: numpy.array(3.0)).submit(1)


def test_arrays_are_results() -> None:
    numpy = pytest.importorskip("numpy")
    batcher: Batcher[Any, Any] = Batcher(lambda batch: batch * 2, collate="stack")
    assert batcher.submit([1.0, 2.0]).tolist() == [2.0, 4.0]
    assert isinstance(batcher.submit([1.0, 2.0]), numpy.ndarray)


def test_an_item_that_is_no_array_fails_before_it_joins() -> None:
    pytest.importorskip("numpy")
    calls: list[Any] = []
    batcher: Batcher[Any, Any] = Batcher(calls.append, collate="stack")
    with pytest.raises(ValueError):
        batcher.submit([[1], [1, 2]])
    assert calls == []


def test_a_batch_that_does_not_fit_into_memory_is_computed_in_parts(held: Model) -> None:
    def small(items: list[int]) -> list[int]:
        if len(items) > 2:
            raise MemoryError
        return [2 * item for item in items]

    batcher = Batcher(gated(held, small))
    warm(batcher)
    assert sorted(together(batcher, held, [1, 2, 3, 4, 5])) == [2, 4, 6, 8, 10]
    assert batcher.stats().best_size == 1 or batcher._estimate.limit <= 2


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_others_go_on_when_the_leader_is_stopped(held: Model, error: type[BaseException]) -> None:
    stopped: list[int] = []

    def function(items: list[int]) -> list[int]:
        if len(items) == 3 and not stopped:
            stopped.append(1)
            raise error
        return [2 * item for item in items]

    batcher = Batcher(gated(held, function))
    warm(batcher)
    outcomes = together(batcher, held, [1, 2, 3])
    assert [type(o) for o in outcomes if not isinstance(o, int)] == [error]
    assert len([o for o in outcomes if isinstance(o, int)]) == 2


def test_a_batch_that_is_broken_off_brings_nobody_back_who_has_left() -> None:
    batcher = Batcher(Model())
    left, other = (Item(number, None, batcher._clock()) for number in (1, 2))
    for item in (left, other):
        item.wake = Signal()
        batcher._join(item)
    batch = batcher._take(left)
    # One leaves when it is known already who of the batch has no outcome.
    batcher._withdraw(left, "left")
    batcher._break_off(batch, SystemExit(), None)
    assert [*batcher._line.waiting] == [other]


def test_a_function_that_always_stops_its_thread_is_not_tried_for_ever(held: Model) -> None:
    def function(items: list[int]) -> list[int]:
        if 0 not in items:
            raise SystemExit
        return items

    batcher = Batcher(gated(held, function))
    warm(batcher)
    outcomes = together(batcher, held, [1, 2, 3, 4])
    assert {type(outcome) for outcome in outcomes} == {SystemExit, BatchInterrupted}
    assert isinstance(
        next(o for o in outcomes if isinstance(o, BatchInterrupted)).__cause__, SystemExit
    )


def test_an_observers_mistake_is_logged_and_does_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    class Observer:
        def batch(self, size: int, seconds: float) -> None:
            raise ZeroDivisionError

        answered = failed = dropped = lambda self, what: None

    assert Batcher(Model(), observer=Observer(), name="seen").submit(1) == 2
    assert "The observer of seen has failed" in caplog.text


def test_an_observer_is_told() -> None:
    told: list[tuple[str, object]] = []

    class Observer:
        def batch(self, size: int, seconds: float) -> None:
            told.append(("batch", size))

        def answered(self, seconds: float) -> None:
            told.append(("answered", seconds >= 0))

        def failed(self, seconds: float) -> None:
            told.append(("failed", seconds >= 0))

        def dropped(self, cause: str) -> None:
            told.append(("dropped", cause))

    batcher = Batcher(picky, observer=Observer())
    batcher.submit(1)
    with pytest.raises(ValueError):
        batcher.submit(-1)
    with pytest.raises(DeadlineExceeded):
        batcher.submit(1, deadline=-1)
    assert told == [
        ("batch", 1),
        ("answered", True),
        ("batch", 1),
        ("failed", True),
        ("dropped", "deadline"),
    ]


@pytest.mark.parametrize(
    "error",
    [
        QueueFull(1.5),
        Hopeless(2.5),
        DeadlineExceeded(0.5),
        BatcherClosed(),
        BadResults("wrong", ("file.py", 3)),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_can_be_copied_and_sent(error: Exception) -> None:
    for other in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (type(other), str(other)) == (type(error), str(error))
        assert vars(other) == vars(error)


# Closing


def test_closing_lets_those_who_wait_be_answered(held: Model) -> None:
    batcher = Batcher(held)
    calls = [busy(batcher, held, 1), Call(batcher.submit, 2)]
    wait_until_queued(batcher, 1)
    closing = Call(batcher.close)
    held.release()
    assert closing.result() is True
    assert [call.result() for call in calls] == [2, 4]
    with pytest.raises(BatcherClosed):
        batcher.submit(3)


def test_closing_without_draining_sends_those_who_wait_away(held: Model) -> None:
    batcher = Batcher(held)
    first = busy(batcher, held, 1)
    second = Call(batcher.submit, 2)
    wait_until_queued(batcher, 1)
    assert batcher.close(drain=False) is False
    assert isinstance(second.result(), BatcherClosed)
    held.release()
    assert first.result() == 2


def test_draining_ends_at_its_time_limit(held: Model) -> None:
    batcher = Batcher(held)
    first = busy(batcher, held, 1)
    second = Call(batcher.submit, 2)
    wait_until_queued(batcher, 1)
    assert batcher.close(timeout=0.01) is False
    assert isinstance(second.result(), BatcherClosed)
    held.release()
    assert first.result() == 2


def test_coroutines_await_the_closing(held: Model) -> None:
    batcher = Batcher(held)
    first = busy(batcher, held, 1)

    async def main() -> bool:
        closing = asyncio.create_task(batcher.aclose())
        await asyncio.sleep(0)
        held.release()
        return await closing

    assert asyncio.run(main()) is True
    assert first.result() == 2


def test_draining_in_a_coroutine_is_refused() -> None:
    batcher = Batcher(Model())

    async def main() -> None:
        batcher.close()

    with pytest.raises(RuntimeError, match="aclose"):
        asyncio.run(main())


@pytest.mark.skipif(not hasattr(sys.modules["os"], "fork"), reason="there is no fork")
def test_a_forked_process_begins_anew(held: Model) -> None:
    import multiprocessing

    batcher = Batcher(held)
    first = busy(batcher, held, 1)  # which the child knows nothing of
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def child() -> None:
        held.held = False
        sender.send((batcher.submit(2), batcher.stats().requests))

    process = context.Process(target=child)
    process.start()
    assert receiver.poll(30)
    assert receiver.recv() == (4, 1)
    process.join()
    held.release()
    assert first.result() == 2


# The decorator


def test_a_batched_function_keeps_its_name_and_text() -> None:
    @batched(max_size=4)
    def predict(items: list[int]) -> list[int]:
        """Predict."""
        return items

    assert (predict.__name__, predict.__doc__) == ("predict", "Predict.")
    assert predict(3) == 3
    assert predict.stats().answered == 1
    assert predict.max_size == 4
    assert "predict" in repr(predict)


def test_a_batched_method_has_a_batcher_for_each_object() -> None:
    class Scaler:
        def __init__(self, factor: int) -> None:
            self.factor = factor

        @batched
        def scale(self, items: list[int]) -> list[int]:
            return [self.factor * item for item in items]

    two, three = Scaler(2), Scaler(3)
    assert (two.scale(5), three.scale(5)) == (10, 15)
    assert two.scale is two.scale
    assert two.scale is not three.scale


class Adder:
    def __init__(self, number: int) -> None:
        self.number = number

    @batched
    def add(self, items: list[int]) -> list[int]:
        return [self.number + item for item in items]


@pytest.mark.parametrize(
    "duplicate",
    [copy.copy, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_a_copy_of_an_object_computes_with_its_own_batched_method(
    duplicate: Callable[[Adder], Adder],
) -> None:
    original = Adder(1)
    assert original.add(1) == 2
    other = duplicate(original)
    other.number = 10
    assert (original.add(1), other.add(1), other.add(2)) == (2, 11, 12)
    assert other.add is other.add


def test_a_derived_class_reaches_the_batched_method_behind_its_own() -> None:
    class Plain(Adder):
        def add(self, item: int) -> int:  # type: ignore[override]
            return 100 * super().add(item)

    class Twice(Adder):
        @batched
        def add(self, items: list[int]) -> list[int]:
            return [100 * super(Twice, self).add(item) for item in items]

    plain, twice = Plain(1), Twice(1)
    assert [plain.add(1), plain.add(1)] == [200, 200]
    assert [twice.add(1), twice.add(1)] == [200, 200]


def test_a_batched_method_of_an_object_with_slots_is_refused() -> None:
    class Slotted:
        __slots__ = ()

        @batched
        def predict(self, items: list[int]) -> list[int]:
            return items

    with pytest.raises(SetupError, match="__slots__"):
        Slotted().predict(1)


def generator(items: list[int]) -> Any:
    yield from items


async def async_generator(items: list[int]) -> Any:
    for item in items:
        yield item


@pytest.mark.parametrize("function", [generator, async_generator])
def test_functions_that_yield_are_refused_where_they_are_defined(function: Any) -> None:
    with pytest.raises(SetupError, match="yields") as refused:
        batched(function)
    assert refused.value.places == ((__file__, function.__code__.co_firstlineno),)


@pytest.mark.parametrize("function", [3, int, staticmethod(len)], ids=["number", "class", "static"])
def test_what_is_no_function_cannot_be_batched(function: Any) -> None:
    with pytest.raises(SetupError, match="function of a list"):
        batched(function)


@pytest.mark.parametrize("name", ["max_size", "max_queue", "workers"])
@pytest.mark.parametrize("count", [0, -1, 1.5, "8"])
def test_limits_are_numbers_from_one(name: str, count: Any) -> None:
    with pytest.raises(SetupError, match=name):
        Batcher(Model(), **{name: count})


def test_the_package_imports_neither_numpy_nor_torch() -> None:
    code = (
        "import sys, erlen.ml.batching\n"
        "print([n for n in ('numpy', 'torch', 'asyncio', 'pydantic') if n in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


# Gevent

GREENLETS = """
from gevent import monkey; monkey.patch_all()
import gevent, time
from erlen.ml import Batcher, DeadlineExceeded

def double(items):
    gevent.sleep(0)
    return [2 * item for item in items]

batcher = Batcher(double)

def client(start):
    for number in range(start, start + 50):
        assert batcher.submit(number) == 2 * number

gevent.joinall([gevent.spawn(client, 100 * n) for n in range(16)], raise_error=True)
assert batcher.stats().mean_size > 2, batcher.stats()

go_on = gevent.event.Event()
batcher = Batcher(lambda items: (go_on.wait(), items)[1])
first = gevent.spawn(batcher.submit, 1)
while not batcher.stats().computing:
    gevent.sleep(0)
try:
    batcher.submit(2, deadline=0.01)
except DeadlineExceeded:
    print("late", end=" ")
left, other = gevent.spawn(batcher.submit, 3), gevent.spawn(batcher.submit, 4)
while batcher.stats().queued < 2:
    gevent.sleep(0)
left.kill()
go_on.set()
print(first.get(), other.get(), batcher.stats().dropped["left"])
"""


@pytest.mark.skipif(find_spec("gevent") is None, reason="gevent is not installed")
def test_greenlets_of_gevent_share_batches() -> None:
    # Not imported here, where it would change how all tests after this one wait.
    command = [sys.executable, "-c", GREENLETS]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["late", "1", "4", "1"]


def test_a_runner_that_is_called_for_nothing_loses_no_work() -> None:
    runners = Runners("idle")
    done = threading.Semaphore(0)

    def work(signal: Signal) -> None:
        signal.set()
        done.release()

    for _ in range(50):
        both = threading.Barrier(3)

        def wait(signal: Signal, both: threading.Barrier = both) -> None:
            both.wait(timeout=10)

        runners.start(work)
        assert done.acquire(timeout=10)
        runners.start(wait)
        runners.start(wait)
        both.wait(timeout=10)

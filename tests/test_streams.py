"""Async iterators stepped by others: over to sync code, left waiting, inside of contexts."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from erlen.engine import bridge
from erlen.engine.bridge import await_, calling_back, run
from erlen.engine.streams import END, SILENCE, InContexts, Pump, iterate
from erlen.state import NOTHING, current

var: contextvars.ContextVar[str] = contextvars.ContextVar("var", default="unset")

Call = Callable[[Callable[[], Any]], Any]


@pytest.fixture(autouse=True)
def no_stream_is_left_to_the_collector() -> Iterator[None]:
    """End what a test has left suspended here, rather than while something else is compiled."""
    yield
    gc.collect()


def on_kept_loop(func: Callable[[], Any]) -> Any:
    return func()


def in_greenlet(func: Callable[[], Any]) -> Any:
    return asyncio.run(run(func))


def on_worker_thread(func: Callable[[], Any]) -> Any:
    async def main() -> Any:
        loop = asyncio.get_running_loop()

        def call() -> Any:
            with calling_back(loop):
                return func()

        return await asyncio.to_thread(call)

    return asyncio.run(main())


@pytest.fixture(
    params=[on_kept_loop, in_greenlet, on_worker_thread], ids=["kept-loop", "greenlet", "worker"]
)
def place(request: pytest.FixtureRequest) -> Call:
    """Run sync code where the bridge has its ways of waiting."""
    return request.param  # type: ignore[no-any-return]


class Log(list[Any]):
    """Items for streams to yield, and what happened around them."""

    async def three(self) -> AsyncIterator[int]:
        try:
            for number in range(3):
                self.append(f"step {number}")
                await asyncio.sleep(0)
                yield number
        finally:
            await asyncio.sleep(0)
            self.append("closed")


def test_sync_code_gets_the_items_and_the_iterator_is_closed_at_its_end(place: Call) -> None:
    log = Log()
    assert place(lambda: list(iterate(log.three()))) == [0, 1, 2]
    assert log == ["step 0", "step 1", "step 2", "closed"]


def test_a_step_begins_when_its_item_is_asked_for(place: Call) -> None:
    log = Log()

    def take_two() -> None:
        steps = iterate(log.three())
        assert log == []
        assert (next(steps), log[:]) == (0, ["step 0"])
        assert (next(steps), log[:]) == (1, ["step 0", "step 1"])
        steps.close()

    place(take_two)
    assert log == ["step 0", "step 1", "closed"]


def test_an_iterator_that_is_closed_has_no_more_items(place: Call) -> None:
    def close_early() -> list[int]:
        steps = iterate(Log().three())
        next(steps)
        steps.close()
        steps.close()
        return list(steps)

    assert place(close_early) == []


def test_one_that_is_closed_before_its_first_step_never_runs(place: Call) -> None:
    log = Log()
    place(lambda: iterate(log.three()).close())
    assert log == []


def test_one_that_is_dropped_is_closed(place: Call) -> None:
    log = Log()

    def drop() -> None:
        steps = iterate(log.three())
        next(steps)
        del steps
        await_(asyncio.sleep(0.01))  # what was dropped on a running loop is closed by that loop

    place(drop)
    assert log == ["step 0", "closed"]


def test_an_error_of_a_step_is_raised_and_ends_the_iteration(place: Call) -> None:
    async def failing() -> AsyncIterator[int]:
        yield 1
        raise LookupError("no second item")

    def consume() -> list[int]:
        steps = iterate(failing())
        found = [next(steps)]
        with pytest.raises(LookupError, match="no second item"):
            next(steps)
        return found + list(steps)

    assert place(consume) == [1]


def test_an_error_of_the_clean_up_is_raised_by_close(place: Call) -> None:
    async def clumsy() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            raise LookupError("in the clean-up")

    def consume() -> None:
        steps = iterate(clumsy())
        next(steps)
        with pytest.raises(LookupError, match="in the clean-up"):
            steps.close()

    place(consume)


def test_all_steps_run_in_one_task_so_that_a_time_out_may_span_them(place: Call) -> None:
    tasks = []

    async def timed() -> AsyncIterator[int]:
        tasks.append(asyncio.current_task())
        yield 1
        tasks.append(asyncio.current_task())
        yield 2

    assert place(lambda: list(iterate(timed()))) == [1, 2]
    assert tasks[0] is tasks[1]


def test_steps_share_a_context_which_is_not_the_consumers(place: Call) -> None:
    async def setting() -> AsyncIterator[str]:
        for value in ("first", "second"):
            yield var.get()
            var.set(value)

    def consume() -> list[str]:
        var.set("outer")
        return [*iterate(setting()), var.get()]

    assert contextvars.copy_context().run(place, consume) == ["outer", "first", "outer"]


def test_streams_and_other_calls_take_turns(place: Call) -> None:
    def take_turns() -> list[int]:
        first, second = iterate(Log().three()), iterate(Log().three())
        found = [next(first), next(second), await_(asyncio.sleep(0, 7)), next(first), next(second)]
        first.close()
        return found + list(second)

    assert place(take_turns) == [0, 0, 7, 1, 1, 2]


def test_an_object_with_async_iteration_needs_no_aclose(place: Call) -> None:
    class Countdown:
        left = 2

        def __aiter__(self) -> Countdown:
            return self

        async def __anext__(self) -> int:
            if not self.left:
                raise StopAsyncIteration
            self.left -= 1
            return self.left

    assert place(lambda: list(iterate(Countdown()))) == [1, 0]

    def close_early() -> None:
        steps = iterate(Countdown())
        next(steps)
        steps.close()
        iterate(Countdown()).close()

    place(close_early)


def test_iterator_and_iterable_are_both_closed(place: Call) -> None:
    log = Log()

    class Cursor:
        def __aiter__(self) -> AsyncIterator[int]:
            return log.three()

        async def aclose(self) -> None:
            log.append("cursor closed")

    assert place(lambda: list(iterate(Cursor()))) == [0, 1, 2]
    assert log[-2:] == ["closed", "cursor closed"]
    place(lambda: iterate(Cursor()).close())
    assert log[-2:] == ["cursor closed", "cursor closed"]


def test_one_task_can_step_it_in_another_thread_and_a_third_one_close_it() -> None:
    log, found = Log(), []
    steps = iterate(log.three())
    for act in (lambda: found.append(next(steps)), lambda: found.append(next(steps)), steps.close):
        thread = threading.Thread(target=act)
        thread.start()
        thread.join()
    assert (found, log[-1]) == ([0, 1], "closed")


def test_its_loop_serves_others_when_it_has_ended() -> None:
    async def loop() -> Any:
        return asyncio.get_running_loop()

    async def its_loop() -> AsyncIterator[Any]:
        yield await loop()

    def both() -> tuple[Any, ...]:
        (used,) = iterate(its_loop())
        return used, await_(loop())

    used, next_one = in_thread(both)
    assert used is next_one


def in_thread(func: Callable[[], Any]) -> Any:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(func()))
    thread.start()
    thread.join()
    return found[0]


def test_what_a_stream_leaves_behind_ends_with_it() -> None:
    log: list[str] = []

    async def nested() -> AsyncIterator[int]:
        try:
            while True:
                yield 1
        finally:
            log.append("inner generator closed")

    async def linger() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            log.append("task cancelled")

    async def careless() -> AsyncIterator[int]:
        yield 0
        keep.append(asyncio.create_task(linger()))
        inner = nested()
        keep.append(inner)
        yield await inner.__anext__()

    keep: list[Any] = []
    assert list(iterate(careless())) == [0, 1]
    assert sorted(log) == ["inner generator closed", "task cancelled"]


def test_an_interrupt_between_the_steps_of_a_coroutine_closes_the_stream() -> None:
    log = Log()

    async def interrupted() -> AsyncIterator[int]:
        try:
            yield 1
            # Breaks off the loop itself, as a signal does while it waits.
            asyncio.get_running_loop().call_soon(raise_interrupt)
            await asyncio.Event().wait()
        finally:
            log.append("closed")

    def raise_interrupt() -> None:
        raise KeyboardInterrupt

    def consume() -> Any:
        steps = iterate(interrupted())
        found = [next(steps)]
        try:
            next(steps)
        except KeyboardInterrupt:
            found.append(await_(asyncio.sleep(0, 2)))
        return found

    assert in_thread(consume) == [1, 2]
    assert log == ["closed"]


def test_a_coroutine_is_told_to_iterate_natively() -> None:
    async def view() -> None:
        next(iterate(Log().three()))

    with pytest.raises(RuntimeError, match="Use 'async for'"):
        asyncio.run(view())


def test_async_code_goes_over_the_source_itself() -> None:
    async def main() -> list[int]:
        return [item async for item in iterate(Log().three())]

    assert asyncio.run(main()) == [0, 1, 2]


def test_a_stream_that_ends_with_its_loop_says_so() -> None:
    kept = []

    def begin() -> None:
        kept.append(iterate(Log().three()))
        next(kept[0])

    in_greenlet(begin)
    with pytest.raises(RuntimeError, match="event loop"):
        in_greenlet(lambda: next(kept[0]))


# Pump


def test_a_consumer_may_stop_waiting_and_come_back_to_the_step() -> None:
    async def main() -> list[Any]:
        gate = asyncio.Event()

        async def gated() -> AsyncIterator[str]:
            await gate.wait()
            yield "behind the gate"

        pump = Pump(gated(), asyncio.get_running_loop())
        assert await pump.ask(patience=0.001) is SILENCE
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(pump.ask(), 0.001)
        gate.set()
        await asyncio.sleep(0)
        found = [await pump.ask(), await pump.ask() is END]
        await pump.aclose()
        return found

    assert asyncio.run(main()) == ["behind the gate", True]


def test_silence_is_counted_from_the_last_question() -> None:
    patience = 0.5

    async def main() -> tuple[Any, float]:
        loop = asyncio.get_running_loop()

        async def slower_and_slower() -> AsyncIterator[int]:
            yield 0
            await asyncio.sleep(patience / 2)
            yield 1
            await asyncio.Event().wait()

        pump = Pump(slower_and_slower(), loop)
        assert [await pump.ask(patience), await pump.ask(patience)] == [0, 1]
        asked = loop.time()
        found = await pump.ask(patience)
        waited = loop.time() - asked
        await pump.aclose()
        return found, waited

    found, waited = asyncio.run(main())
    assert found is SILENCE
    assert waited > patience * 0.9


def test_an_error_that_nobody_waited_for_is_raised_by_the_close() -> None:
    async def main() -> None:
        failed = asyncio.Event()

        async def failing() -> AsyncIterator[int]:
            await asyncio.sleep(0.001)
            failed.set()
            raise LookupError("while nobody waited")
            yield 1

        pump = Pump(failing(), asyncio.get_running_loop())
        assert await pump.ask(patience=0.0001) is SILENCE
        await failed.wait()
        with pytest.raises(LookupError, match="while nobody waited"):
            await pump.aclose()
        await pump.aclose()

    asyncio.run(main())


def test_an_item_for_which_nobody_waited_is_the_answer_to_the_next_question() -> None:
    async def main() -> Any:
        gate = asyncio.Event()

        async def gated() -> AsyncIterator[str]:
            await gate.wait()
            yield "kept"
            gate.set()

        pump = Pump(gated(), asyncio.get_running_loop())
        assert await pump.ask(patience=0.0001) is SILENCE
        gate.set()
        for _ in range(5):
            await asyncio.sleep(0)
        found = pump.ask()
        assert found.done()
        await pump.aclose()
        return found.result()

    assert asyncio.run(main()) == "kept"


def test_a_step_that_waits_is_cancelled_by_the_close() -> None:
    log: list[str] = []

    async def silent() -> AsyncIterator[int]:
        try:
            await asyncio.Event().wait()
            yield 1
        except asyncio.CancelledError:
            log.append("cancelled")
            raise

    async def main() -> int:
        pump = Pump(silent(), asyncio.get_running_loop())
        pump.ask()
        await asyncio.sleep(0)
        await pump.aclose()
        return len(asyncio.all_tasks())

    assert asyncio.run(main()) == 1
    assert log == ["cancelled"]


def test_a_step_that_catches_its_cancellation_is_the_last_one() -> None:
    log: list[str] = []

    async def stubborn() -> AsyncIterator[int]:
        try:
            while True:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    log.append("goes on")
                yield 1
        finally:
            log.append("closed")

    async def main() -> None:
        pump = Pump(stubborn(), asyncio.get_running_loop())
        pump.ask()
        await asyncio.sleep(0)
        await pump.aclose()

    asyncio.run(main())
    assert log == ["goes on", "closed"]


def test_a_second_question_before_the_answer_is_refused() -> None:
    async def main() -> None:
        pump = Pump(Log().three(), asyncio.get_running_loop())
        pump.ask()
        with pytest.raises(RuntimeError, match="already waiting"):
            pump.ask()
        await pump.aclose()

    asyncio.run(main())


def test_a_pump_that_is_closed_before_its_first_step_closes_its_source() -> None:
    log: list[str] = []

    class Source:
        def __aiter__(self) -> AsyncIterator[int]:
            raise AssertionError("nobody asked")

        async def aclose(self) -> None:
            log.append("closed")

    async def main() -> None:
        await Pump(Source(), asyncio.get_running_loop()).aclose()

    asyncio.run(main())
    assert log == ["closed"]


# Contexts


def context(name: str, log: list[Any]) -> Any:
    """Makes `name` current and notes what happens to it."""

    @contextmanager
    def pushed() -> Iterator[None]:
        below = current.get()
        current.set((*below, name))  # type: ignore[arg-type]
        log.append(f"push {name}")
        try:
            yield
        except BaseException as error:
            log.append(f"pop {name}: {type(error).__name__}")
            raise
        else:
            log.append(f"pop {name}")
        finally:
            assert current.get() == (*below, name)
            current.set(below)

    return pushed()


async def seen(times: int = 2) -> AsyncIterator[str]:
    for _ in range(times):
        await asyncio.sleep(0)
        yield current.get()[-1]  # type: ignore[misc]


def test_steps_see_their_contexts_and_nobody_else_does() -> None:
    log: list[Any] = []

    async def main() -> list[Any]:
        a = InContexts((context("a", log), context("inner a", log)), seen())
        b = InContexts((context("b", log),), seen())
        found = []
        for stream in (a, b, b, a):
            found.append(await stream.__anext__())
            assert current.get() is NOTHING
        for stream in (a, b):
            with pytest.raises(StopAsyncIteration):
                await stream.__anext__()
        assert current.get() is NOTHING
        return found

    assert asyncio.run(main()) == ["inner a", "b", "b", "inner a"]
    assert log == ["push a", "push inner a", "push b", "pop inner a", "pop a", "pop b"]


@pytest.mark.parametrize("steps", [0, 1], ids=["not-started", "started"])
def test_contexts_are_popped_by_the_close_where_they_were_pushed(steps: int) -> None:
    log: list[Any] = []

    async def main() -> None:
        stream = InContexts((context("a", log),), seen())
        for _ in range(steps):
            await stream.__anext__()
        await stream.aclose()
        await stream.aclose()
        with pytest.raises(StopAsyncIteration):
            await stream.__anext__()

    asyncio.run(main())
    assert log == (["push a", "pop a: GeneratorExit"] if steps else [])


def test_contexts_hear_of_the_error_of_a_step() -> None:
    log: list[Any] = []

    async def failing() -> AsyncIterator[str]:
        yield "one"
        raise LookupError

    async def main() -> None:
        stream = InContexts((context("a", log),), failing())
        await stream.__anext__()
        with pytest.raises(LookupError):
            await stream.__anext__()
        with pytest.raises(StopAsyncIteration):
            await stream.__anext__()

    asyncio.run(main())
    assert log == ["push a", "pop a: LookupError"]


def test_a_generator_is_closed_inside_of_its_contexts() -> None:
    log: list[Any] = []

    async def closing() -> AsyncIterator[str]:
        try:
            yield "one"
        finally:
            await asyncio.sleep(0)
            log.append(f"closed in {current.get()[-1]}")

    async def main() -> None:
        stream = InContexts((context("a", log),), closing())
        await stream.__anext__()
        await stream.aclose()

    asyncio.run(main())
    assert log == ["push a", "closed in a", "pop a: GeneratorExit"]


def test_sync_code_in_a_step_may_wait() -> None:
    async def later() -> str:
        await asyncio.sleep(0)
        return "waited for"

    async def using_sync_code() -> AsyncIterator[str]:
        yield await_(later())

    async def main() -> list[str]:
        return [item async for item in InContexts((), using_sync_code())]

    assert asyncio.run(main()) == ["waited for"]


def test_nothing_is_left_of_many_streams() -> None:
    def stream_once() -> None:
        steps = iterate(Log().three())
        next(steps)
        steps.close()

    def many() -> tuple[int, set[threading.Thread]]:
        for _ in range(50):
            stream_once()
        # Threads of earlier tests may end meanwhile.
        new = {*threading.enumerate()} - before - {threading.current_thread()}
        return len(bridge.loops_of_thread().idle), new

    before = {*threading.enumerate()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert in_thread(many) == (1, set())
        gc.collect()

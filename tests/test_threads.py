"""The bounded pool of threads, and waiting for the loop from one of them."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import threading
import weakref
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from erlen import await_
from erlen.engine.threads import Threads, waiting


def run(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return asyncio.run(main())


def test_a_call_runs_on_a_thread_of_the_pools_name() -> None:
    async def main() -> str:
        return await Threads(1, "walnut").submit(lambda: threading.current_thread().name)

    assert run(main) == "walnut-1"


def test_an_error_is_raised_where_the_call_is_awaited() -> None:
    async def main() -> None:
        await Threads(1).submit(lambda: 1 // 0)

    with pytest.raises(ZeroDivisionError):
        run(main)


def test_stop_iteration_becomes_an_error_that_a_future_can_hold() -> None:
    async def main() -> None:
        await Threads(1).submit(next, iter(()))

    with pytest.raises(RuntimeError, match="StopIteration"):
        run(main)


@pytest.mark.parametrize("limit", [1, 3])
def test_there_are_never_more_threads_than_the_limit(limit: int) -> None:
    threads = Threads(limit)
    names: set[str] = set()

    async def main() -> None:
        barrier = threading.Barrier(limit)

        def meet() -> None:
            names.add(threading.current_thread().name)
            barrier.wait(10)

        await asyncio.gather(*(threads.submit(meet) for _ in range(limit * 4)))

    run(main)
    assert len(names) == threads.threads == limit


def test_an_idle_thread_is_used_again() -> None:
    threads = Threads(5)

    async def main() -> None:
        for _ in range(10):
            await threads.submit(os.getpid)
            while threads.busy:
                await asyncio.sleep(0)

    run(main)
    assert threads.threads == 1


def test_time_in_the_queue_is_seen() -> None:
    threads = Threads(1)

    async def main() -> tuple[int, float]:
        go = threading.Event()
        first = threads.submit(go.wait, 10)
        second = threads.submit(lambda: waiting.seconds)
        length = threads.waiting
        go.set()
        await first
        return length, await second

    length, seconds = run(main)
    assert length == 1
    assert 0 < seconds <= threads.longest_wait


def test_a_call_that_is_cancelled_before_its_turn_is_not_made() -> None:
    threads = Threads(1)
    made: list[int] = []

    async def main() -> None:
        go = threading.Event()
        first = threads.submit(go.wait, 10)
        second = threads.submit(made.append, 1)
        assert second.cancel()
        go.set()
        await first
        await threads.submit(made.append, 2)

    run(main)
    assert made == [2]


def test_a_task_that_is_cancelled_while_its_call_runs_learns_it_at_the_end() -> None:
    threads = Threads(1)
    events: list[str] = []

    async def main() -> None:
        begun, go = threading.Event(), threading.Event()

        def work() -> None:
            begun.set()
            go.wait(10)
            events.append("worked")

        async def wait() -> None:
            try:
                await threads.submit(work)
            except asyncio.CancelledError:
                events.append("cancelled")
                raise

        task = asyncio.create_task(wait())
        await asyncio.to_thread(begun.wait, 10)
        task.cancel()
        go.set()
        await asyncio.wait([task])
        assert task.cancelled()

    run(main)
    assert events == ["worked", "cancelled"]


def test_a_coroutine_that_a_thread_waits_for_runs_on_the_loop() -> None:
    async def where() -> tuple[asyncio.AbstractEventLoop, int]:
        await asyncio.sleep(0)
        return asyncio.get_running_loop(), threading.get_ident()

    async def main() -> None:
        loop, thread = await Threads(1).submit(lambda: await_(where()))
        assert loop is asyncio.get_running_loop()
        assert thread == threading.get_ident()

    run(main)


def test_a_coroutines_error_is_raised_in_the_thread() -> None:
    async def fail() -> None:
        raise LookupError("x")

    def call() -> str:
        with pytest.raises(LookupError) as caught:
            await_(fail())
        return str(caught.value)

    async def main() -> str:
        return await Threads(1).submit(call)

    assert run(main) == "x"


def test_context_variables_flow_to_the_loop_and_back() -> None:
    var: contextvars.ContextVar[str] = contextvars.ContextVar("var", default="none")

    async def change() -> str:
        seen = var.get()
        var.set("of the coroutine")
        return seen

    def call() -> tuple[str, str]:
        var.set("of the thread")
        return await_(change()), var.get()

    async def main() -> Any:
        return await Threads(1).submit(contextvars.copy_context().run, call)

    assert run(main) == ("of the thread", "of the coroutine")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own() -> None:
    threads = Threads(1)

    async def main() -> int:
        return await threads.submit(os.getpid)

    run(main)
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if run(main) == os.getpid() else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0


def test_a_pool_without_threads_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Threads(0)


def test_where_no_thread_can_be_started_calls_wait_for_those_that_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads = Threads(3)
    made: list[int] = []

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def main() -> None:
        go = threading.Event()
        first = threads.submit(go.wait, 10)
        with monkeypatch.context() as without_more:
            without_more.setattr(threading.Thread, "start", refuse)
            second = threads.submit(made.append, 1)
        assert (threads.threads, threads.waiting) == (1, 1)
        go.set()
        await asyncio.gather(first, second)

    run(main)
    assert made == [1]


def test_where_there_is_no_thread_at_all_the_caller_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads = Threads(1)

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def main() -> None:
        with monkeypatch.context() as without_any:
            without_any.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RuntimeError, match="can't start"):
                threads.submit(os.getpid)
        assert await threads.submit(os.getpid) == os.getpid()

    run(main)


@pytest.mark.parametrize("ends", ["returns", "raises", "is cancelled"])
def test_a_call_is_freed_without_the_collector(ends: str) -> None:
    class Result:
        pass

    threads = Threads(1)
    results: list[weakref.ref[Result]] = []

    def work(argument: Result) -> Result:
        if ends == "raises":
            raise ValueError
        return argument

    async def main() -> None:
        go = threading.Event()
        blocking = threads.submit(go.wait, 10)
        argument = Result()
        results.append(weakref.ref(argument))
        future = threads.submit(work, argument)
        del argument
        if ends == "is cancelled":
            future.cancel()
            assert results[0]() is None  # though it stands in the queue yet
        go.set()
        await blocking
        await asyncio.wait([future])
        if ends == "raises":
            assert isinstance(future.exception(), ValueError)
        del future
        await threads.submit(os.getpid)  # by then the only thread has left the call before

    gc.disable()
    try:
        run(main)
        assert results[0]() is None
    finally:
        gc.enable()

"""The bridge: sync code waits for coroutines, on a kept loop and in a greenlet of a running one."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import importlib.util
import inspect
import os
import subprocess
import sys
import threading
import traceback
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any

import pytest

from erlen.engine import bridge, greenlets
from erlen.engine.bridge import async_to_sync, await_, is_bridged, is_coroutine_function, run

var: contextvars.ContextVar[str] = contextvars.ContextVar("var", default="unset")

RunPython = Callable[..., "subprocess.CompletedProcess[str]"]


async def reply(value: Any = "done") -> Any:
    return value


async def slow_reply(value: Any = "done") -> Any:
    await asyncio.sleep(0)
    return value


def on_kept_loop(func: Callable[..., Any], *args: Any) -> Any:
    return func(*args)


def in_greenlet(func: Callable[..., Any], *args: Any) -> Any:
    return asyncio.run(run(func, *args))


@pytest.fixture(params=[on_kept_loop, in_greenlet], ids=["kept-loop", "greenlet"])
def calling(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Call sync code where the bridge has its two ways of waiting."""
    return request.param  # type: ignore[no-any-return]


def in_new_thread(func: Callable[[], Any]) -> Any:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(func()))
    thread.start()
    thread.join()
    return found[0]


def idle_loops() -> list[Any]:
    return [kept.loop for kept in greenlets.of_thread.loops.idle]


# The same on a kept loop and in a greenlet


@pytest.mark.parametrize("coro", [reply, slow_reply])
def test_result_of_a_coroutine_is_returned(calling: Any, coro: Any) -> None:
    assert calling(lambda: await_(coro(3))) == 3


def test_awaitables_other_than_coroutines_are_awaited(calling: Any) -> None:
    class Later:
        def __await__(self) -> Iterator[Any]:
            yield from asyncio.sleep(0).__await__()
            return "later"

    async def with_future() -> Any:
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, "future")
        return await asyncio.gather(future, Later())

    assert calling(lambda: await_(Later())) == "later"
    assert calling(lambda: await_(with_future())) == ["future", "later"]


def test_something_that_cannot_be_awaited_is_a_type_error(calling: Any) -> None:
    with pytest.raises(TypeError, match="int.*await"):
        calling(lambda: await_(3))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "kind", [ValueError, KeyboardInterrupt, SystemExit, asyncio.CancelledError]
)
def test_exception_passes_with_its_traceback(calling: Any, kind: type[BaseException]) -> None:
    async def failing() -> None:
        await asyncio.sleep(0)
        raise kind("boom")

    def view() -> str:
        try:
            await_(failing())
        except kind as error:
            return "".join(traceback.format_exception(error))
        return "nothing raised"

    trace = calling(view)
    assert "in failing" in trace
    assert "in view" in trace


def test_exception_of_the_sync_code_passes(calling: Any) -> None:
    def view() -> None:
        await_(slow_reply())
        raise LookupError("from the view")

    with pytest.raises(LookupError, match="from the view") as caught:
        calling(view)
    assert caught.traceback[-1].name == "view"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups came with Python 3.11")
def test_exception_group_of_a_task_group_passes(calling: Any) -> None:
    async def failing() -> None:
        async with asyncio.TaskGroup() as group:  # type: ignore[attr-defined,unused-ignore]
            group.create_task(slow_reply())
            group.create_task(asyncio.wait_for(asyncio.Event().wait(), 0.001))

    def view() -> Any:
        with pytest.raises(BaseException, match="TaskGroup") as caught:
            await_(failing())
        return [type(error) for error in caught.value.exceptions]  # type: ignore[attr-defined]

    assert calling(view) == [asyncio.TimeoutError]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.timeout came with Python 3.11")
def test_timeout_block_interrupts_the_wait(calling: Any) -> None:
    async def waiting() -> None:
        async with asyncio.timeout(0.001):  # type: ignore[attr-defined,unused-ignore]
            await asyncio.Event().wait()

    def view() -> None:
        await_(waiting())

    with pytest.raises(TimeoutError):
        calling(view)


def test_anyio_cancel_scope_interrupts_the_wait(calling: Any) -> None:
    anyio = pytest.importorskip("anyio", reason="anyio is not installed")

    async def waiting() -> bool:
        with anyio.move_on_after(0.001) as scope:
            await anyio.sleep_forever()
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep_forever)
            group.cancel_scope.cancel()
        return bool(scope.cancelled_caught)

    assert calling(lambda: await_(waiting())) is True


def test_coroutine_sees_a_current_task(calling: Any) -> None:
    async def tasks() -> list[Any]:
        first = asyncio.current_task()
        await asyncio.sleep(0)
        return [first, asyncio.current_task()]

    first, second = calling(lambda: await_(tasks()))
    assert first is second
    assert isinstance(first, asyncio.Task)


def test_context_variables_flow_in_and_changes_flow_back(calling: Any) -> None:
    async def changing() -> str:
        before = var.get()
        await asyncio.sleep(0)
        var.set("by the coroutine")
        return before

    def view() -> tuple[str, str]:
        var.set("by the view")
        return await_(changing()), var.get()

    assert contextvars.copy_context().run(calling, view) == ("by the view", "by the coroutine")


def test_changes_flow_back_also_when_the_coroutine_raises(calling: Any) -> None:
    async def changing() -> None:
        var.set("before the error")
        await asyncio.sleep(0)
        raise ValueError

    def view() -> str:
        with pytest.raises(ValueError):
            await_(changing())
        return var.get()

    assert contextvars.copy_context().run(calling, view) == "before the error"


def test_code_in_a_context_of_its_own_waits_in_that_context(calling: Any) -> None:
    async def changing() -> str:
        before = var.get()
        await asyncio.sleep(0)
        var.set("inner, changed")
        return before

    def inner() -> tuple[str, str]:
        var.set("inner")
        return await_(changing()), var.get()

    def view() -> tuple[Any, str]:
        var.set("outer")
        return contextvars.copy_context().run(inner), var.get()

    assert contextvars.copy_context().run(calling, view) == (("inner", "inner, changed"), "outer")


def test_coroutine_is_closed_when_the_wait_is_broken_off(calling: Any) -> None:
    steps: list[str] = []

    async def interrupted() -> None:
        try:
            raise KeyboardInterrupt
        finally:
            steps.append("cleaned up")

    with pytest.raises(KeyboardInterrupt):
        calling(lambda: await_(interrupted()))
    assert steps == ["cleaned up"]


# The kept loop


def test_loop_is_kept_for_the_next_call_of_the_thread() -> None:
    async def loop() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    def calls() -> tuple[Any, Any]:
        return await_(loop()), await_(loop())

    first, second = calls()
    elsewhere, again = in_new_thread(calls)
    assert first is second
    assert elsewhere is again
    assert first is not elsewhere


def test_loop_is_closed_with_its_thread() -> None:
    async def loop() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    assert in_new_thread(lambda: await_(loop())).is_closed()


def test_no_running_loop_is_left_noted() -> None:
    await_(slow_reply())
    with pytest.raises(RuntimeError, match="no running event loop"):
        asyncio.get_running_loop()


def test_tasks_left_behind_are_cancelled_when_the_call_ends() -> None:
    ended: list[str] = []

    async def background(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(name)

    async def view() -> str:
        for name in "ab":
            asyncio.create_task(background(name))
        await asyncio.sleep(0)
        return "answer"

    assert await_(view()) == "answer"
    assert sorted(ended) == ["a", "b"]
    assert all(not asyncio.all_tasks(loop) for loop in idle_loops())


def test_tasks_made_by_a_factory_of_the_view_are_cancelled_too() -> None:
    tasks: list[asyncio.Task[Any]] = []

    def factory(loop: Any, coro: Any, **options: Any) -> asyncio.Task[Any]:
        tasks.append(asyncio.Task(coro, loop=loop, **options))
        return tasks[-1]

    async def view() -> None:
        asyncio.get_running_loop().set_task_factory(factory)
        asyncio.create_task(asyncio.Event().wait())
        await asyncio.sleep(0)

    await_(view())
    assert [task.cancelled() for task in tasks] == [True]
    await_(slow_reply())
    assert len(tasks) == 1


def test_task_started_by_a_task_that_is_being_cancelled_ends_with_the_call() -> None:
    late: list[asyncio.Task[Any]] = []

    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            late.append(asyncio.create_task(asyncio.sleep(3600)))

    async def view() -> None:
        asyncio.create_task(stubborn())
        await asyncio.sleep(0)

    await_(view())
    assert late[0].cancelled()


def test_async_generators_left_open_are_closed_when_the_call_ends() -> None:
    closed: list[str] = []

    async def rows() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            closed.append("rows")

    kept_alive: list[Any] = []

    async def view() -> int:
        iterator = rows()
        kept_alive.append(iterator)
        return await iterator.__anext__()  # type: ignore[no-any-return]

    assert await_(view()) == 1
    assert closed == ["rows"]


@pytest.mark.parametrize("kind", ["task", "async generator"])
def test_error_of_what_was_left_behind_reaches_the_loop_s_handler(kind: str) -> None:
    reports: list[dict[str, Any]] = []

    async def failing() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise LookupError(kind)

    async def generator() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            raise LookupError(kind)

    iterator = generator()

    async def view() -> str:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: reports.append(context))
        if kind == "task":
            asyncio.create_task(failing())
            await asyncio.sleep(0)
        else:
            await iterator.__anext__()  # type: ignore[attr-defined]
        return "answer"

    def call() -> Any:
        return await_(view())

    assert in_new_thread(call) == "answer"
    assert [str(report["exception"]) for report in reports] == [kind]
    assert kind in reports[0]["message"]


def test_interrupt_of_the_loop_itself_ends_the_waiting_task() -> None:
    steps: list[str] = []

    def interrupt() -> None:
        raise KeyboardInterrupt

    async def waiting() -> None:
        asyncio.get_running_loop().call_soon(interrupt)
        try:
            await asyncio.Event().wait()
        finally:
            var.set("after the interrupt")
            steps.append("cleaned up")

    def call() -> list[str]:
        with pytest.raises(KeyboardInterrupt):
            await_(waiting())
        return [*steps, var.get(), await_(reply("next"))]

    assert in_new_thread(call) == ["cleaned up", "after the interrupt", "next"]


def test_sync_code_in_a_coroutine_waits_in_the_task_of_that_coroutine() -> None:
    async def where() -> Any:
        await asyncio.sleep(0)
        return asyncio.current_task()

    async def view() -> bool:
        return asyncio.current_task() is await_(where())

    assert await_(view())


def test_sync_code_in_a_coroutine_that_somebody_else_runs_is_refused() -> None:
    async def view() -> None:
        await_(slow_reply())

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeError, match="Use 'await' in the coroutine"):
            asyncio.run(view())
        gc.collect()


def test_child_process_does_not_use_the_loop_of_its_parent(run_python: RunPython) -> None:
    if not hasattr(os, "fork"):
        pytest.skip("this platform cannot fork")
    done = run_python(
        """
import asyncio, os, threading
from erlen.engine.bridge import await_

async def where():
    await asyncio.sleep(0)
    return id(asyncio.get_running_loop())

async def thread_reply():
    return await asyncio.to_thread(lambda: "woken")

held = threading.Event()
threading.Thread(target=lambda: (await_(where()), held.wait())).start()
parent = await_(where())
child = os.fork()
if not child:
    held.set()
    assert await_(where()) != parent
    assert await_(thread_reply()) == "woken"
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert await_(where()) == parent
assert await_(thread_reply()) == "woken"
held.set()
print("fine")
""",
        PYTHONWARNINGS="error,ignore:This process:DeprecationWarning",
    )
    assert (done.stdout, done.stderr) == ("fine\n", "")


def test_interpreter_ends_without_a_warning_about_open_loops(run_python: RunPython) -> None:
    done = run_python(
        "-X",
        "dev",
        "-W",
        "error",
        "-c",
        """
import asyncio, threading
from erlen.engine.bridge import await_, run
await_(asyncio.sleep(0))
asyncio.run(run(lambda: await_(asyncio.sleep(0))))
thread = threading.Thread(target=lambda: (
    await_(asyncio.sleep(0)), asyncio.run(run(lambda: await_(asyncio.sleep(0))))))
thread.start(); thread.join()
""",
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_importing_the_bridge_loads_neither_asyncio_nor_greenlet(run_python: RunPython) -> None:
    path = os.path.dirname(bridge.__file__)
    done = run_python(
        "import sys, types\n"
        "engine = sys.modules['engine'] = types.ModuleType('engine')\n"
        f"engine.__path__ = [{path!r}]\n"
        "import engine.bridge\n"
        "print(sorted({'asyncio', 'greenlet', 'inspect'} & set(sys.modules)))"
    )
    assert done.stdout == "[]\n", done.stderr


# gevent

GEVENT = """
from gevent import monkey
monkey.patch_all()
import asyncio, contextvars, sys, time
import gevent
from gevent.server import StreamServer
from erlen.engine.bridge import await_

var = contextvars.ContextVar("var")

def echo(sock, address):
    gevent.sleep(0.02)
    sock.sendall(sock.recv(100))
    sock.close()

server = StreamServer(("127.0.0.1", 0), echo)
server.start()

async def counted():
    yield 1
    await asyncio.sleep(0.01)
    yield 2

async def view(number):
    var.set(number)
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    await asyncio.wait_for(asyncio.sleep(0.2), 5)
    if number % 3 == 0:
        time.sleep(0.02)
    assert [item async for item in counted()] == [1, 2]
    assert await asyncio.to_thread(lambda: (time.sleep(0.02), number)[1]) == number
    reader, writer = await asyncio.open_connection("127.0.0.1", server.server_port)
    writer.write(b"%d\\n" % number)
    assert int(await reader.readline()) == number
    writer.close()
    await writer.wait_closed()
    assert (asyncio.get_running_loop(), asyncio.current_task()) == (loop, task)
    return loop

def call(number):
    loop = await_(view(number))
    assert var.get() == number
    return loop
"""


@pytest.fixture
def run_gevent(run_python: RunPython) -> RunPython:
    if importlib.util.find_spec("gevent") is None:
        pytest.skip("gevent is not installed")
    return lambda code: run_python("-W", "error", "-c", GEVENT + code)


def test_greenlets_of_gevent_wait_side_by_side(run_gevent: RunPython) -> None:
    done = run_gevent(
        """
for attempt in range(2):
    started = time.perf_counter()
    jobs = [gevent.spawn(call, number) for number in range(50)]
    gevent.joinall(jobs, raise_error=True)
    assert len({id(job.value) for job in jobs}) == 50
    print(time.perf_counter() - started)
"""
    )
    assert done.stderr == ""
    assert all(float(line) < 2 for line in done.stdout.split()), done.stdout


def test_nothing_of_asyncio_is_left_noted_between_greenlets(run_gevent: RunPython) -> None:
    done = run_gevent(
        """
seen = []
def onlooker():
    for _ in range(20):
        seen.append((asyncio._get_running_loop(), tuple(sys.get_asyncgen_hooks())))
        gevent.sleep(0.01)

jobs = [gevent.spawn(onlooker), *(gevent.spawn(call, number) for number in range(6))]
gevent.joinall(jobs, raise_error=True)
onlooker()
print(set(seen))
"""
    )
    assert (done.stdout, done.stderr) == ("{(None, (None, None))}\n", "")


def test_greenlet_that_is_killed_ends_its_coroutine(run_gevent: RunPython) -> None:
    done = run_gevent(
        """
async def waiting():
    loop = asyncio.get_running_loop()
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0)
        assert asyncio.get_running_loop() is loop
        print("cleaned up")

job = gevent.spawn(await_, waiting())
gevent.sleep(0.01)
job.kill()
gevent.joinall([gevent.spawn(call, 1)], raise_error=True)
print(asyncio._get_running_loop())
"""
    )
    assert (done.stdout, done.stderr) == ("cleaned up\nNone\n", "")


def test_greenlets_of_a_running_loop_work_beside_those_of_gevent(run_gevent: RunPython) -> None:
    done = run_gevent(
        """
from erlen.engine.bridge import run

def request(number):
    for _ in range(3):
        time.sleep(0.001)
        assert await_(asyncio.sleep(0.001, number)) == number
        assert asyncio.get_running_loop() is await_(where())

async def where():
    return asyncio.get_running_loop()

async def main():
    await asyncio.gather(*(run(request, number) for number in range(5)))

call(0)
jobs = [gevent.spawn(asyncio.run, main()), gevent.spawn(asyncio.run, main())]
gevent.joinall([*jobs, *(gevent.spawn(call, number) for number in range(5))], raise_error=True)
print(asyncio._get_running_loop())
"""
    )
    assert (done.stdout, done.stderr) == ("None\n", "")


# In a greenlet of a running loop


def test_awaited_coroutine_runs_in_the_task_of_the_request() -> None:
    async def current() -> Any:
        await asyncio.sleep(0)
        return asyncio.current_task()

    async def main() -> bool:
        return await run(lambda: await_(current())) is asyncio.current_task()

    assert asyncio.run(main())


def test_other_tasks_go_on_while_sync_code_waits() -> None:
    order: list[str] = []

    def view(name: str, mine: asyncio.Event, other: asyncio.Event) -> None:
        order.append(f"{name} starts")
        mine.set()
        await_(other.wait())
        order.append(f"{name} ends")

    async def main() -> None:
        a, b = asyncio.Event(), asyncio.Event()
        await asyncio.gather(run(view, "a", a, b), run(view, "b", b, a))

    asyncio.run(main())
    assert order == ["a starts", "b starts", "b ends", "a ends"]


def test_cancelled_task_raises_where_the_sync_code_waits() -> None:
    steps: list[str] = []

    def view(started: asyncio.Event) -> None:
        started.set()
        try:
            await_(asyncio.Event().wait())
        except asyncio.CancelledError:
            steps.append("cancelled")
            await_(slow_reply())
            steps.append("waited once more")
            raise

    async def main() -> None:
        started = asyncio.Event()
        task = asyncio.create_task(run(view, started))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert steps == ["cancelled", "waited once more"]


def test_sync_code_may_answer_in_spite_of_a_cancellation() -> None:
    def view() -> str:
        try:
            await_(asyncio.Event().wait())
        except asyncio.CancelledError:
            return "answer"
        return "not cancelled"

    async def main() -> str:
        task = asyncio.create_task(run(view))
        await asyncio.sleep(0)
        task.cancel()
        return await task

    assert asyncio.run(main()) == "answer"


def test_tokens_of_context_variables_stay_valid_on_both_sides() -> None:
    async def set_var() -> contextvars.Token[str]:
        await asyncio.sleep(0)
        return var.set("by the coroutine")

    def view(outer: contextvars.Token[str]) -> str:
        token = await_(set_var())
        found = var.get()
        var.reset(token)
        found += ", then " + var.get()
        var.reset(outer)
        return found

    async def main() -> tuple[str, str]:
        return await run(view, var.set("by the task")), var.get()

    assert asyncio.run(main()) == ("by the coroutine, then by the task", "unset")


def test_concurrent_calls_keep_their_context_apart() -> None:
    def view(name: str) -> list[str]:
        found = []
        for step in range(3):
            var.set(f"{name}{step}")
            await_(slow_reply())
            found.append(var.get())
        return found

    async def main() -> list[list[str]]:
        return await asyncio.gather(*(run(view, name) for name in "abc"))

    assert asyncio.run(main()) == [[f"{name}{step}" for step in range(3)] for name in "abc"]


def test_sync_code_under_an_awaited_coroutine_can_wait_again() -> None:
    def body() -> str:
        return await_(slow_reply("read"))

    async def view() -> str:
        await asyncio.sleep(0)
        return body()

    assert asyncio.run(run(lambda: await_(view()))) == "read"


def test_calls_can_be_nested() -> None:
    def inner(depth: int) -> int:
        await_(slow_reply())
        return 1 + await_(run(inner, depth - 1)) if depth else 0

    assert asyncio.run(run(inner, 20)) == 20


def test_arguments_and_keywords_are_passed_on() -> None:
    def view(*args: Any, **kwargs: Any) -> Any:
        return args, kwargs

    assert asyncio.run(run(view, 1, func=2, call=3)) == ((1,), {"func": 2, "call": 3})


def test_task_started_by_a_view_cannot_wait_from_sync_code() -> None:
    async def background() -> None:
        await_(slow_reply())

    def view() -> None:
        with pytest.raises(RuntimeError, match="asyncio.to_thread"):
            await_(start(background()))

    async def start(coro: Any) -> Any:
        return await asyncio.create_task(coro)

    asyncio.run(run(view))


def test_worker_thread_of_a_view_waits_on_a_loop_of_its_own() -> None:
    def view() -> tuple[int, int]:
        async def thread_id() -> int:
            return threading.get_ident()

        return await_(asyncio.to_thread(lambda: await_(thread_id()))), await_(thread_id())

    elsewhere, here = asyncio.run(run(view))
    assert elsewhere != here == threading.get_ident()


def test_closing_a_call_that_waits_runs_its_clean_up() -> None:
    steps: list[str] = []

    def view() -> None:
        try:
            await_(slow_reply())
        finally:
            steps.append("closing")
            with pytest.raises(RuntimeError, match="nothing can be awaited"):
                await_(slow_reply())
            assert await_(reply("ready at once")) == "ready at once"
            steps.append("closed")

    call = run(view)
    call.send(None)
    call.close()
    assert steps == ["closing", "closed"]


def living_greenlets() -> int:
    from greenlet import greenlet

    gc.collect()
    # Not isinstance: that would ask proxies and lazy modules for their class.
    found = [thing for thing in gc.get_objects() if issubclass(type(thing), greenlet)]
    # The greenlet without a parent is the thread itself.
    return sum(1 for thing in found if thing.parent is not None and not thing.dead)


@pytest.mark.parametrize("outcome", ["returns", "raises", "is cancelled"])
def test_greenlets_are_pooled_and_bounded(outcome: str) -> None:
    def view(gate: asyncio.Event) -> None:
        await_(gate.wait())
        if outcome == "raises":
            raise LookupError

    async def main() -> None:
        gate = asyncio.Event()
        tasks = [asyncio.create_task(run(view, gate)) for _ in range(2 * greenlets.IDLE_LIMIT)]
        await asyncio.sleep(0)
        if outcome == "is cancelled":
            for task in tasks:
                task.cancel()
        else:
            gate.set()
        await asyncio.gather(*tasks, return_exceptions=True)

    before = living_greenlets() - len(getattr(greenlets.of_thread, "greenlets", []))
    for _ in range(3):
        asyncio.run(main())
        assert len(greenlets.of_thread.greenlets) == greenlets.IDLE_LIMIT
        assert living_greenlets() - before == greenlets.IDLE_LIMIT


def test_idle_greenlets_end_with_their_thread() -> None:
    import weakref

    def use() -> list[weakref.ref[Any]]:
        asyncio.run(run(lambda: await_(slow_reply())))
        return [weakref.ref(idle) for idle in greenlets.of_thread.greenlets]

    before = living_greenlets()
    idle = in_new_thread(use)
    assert living_greenlets() == before
    # One of an ended thread counts as dead; what it holds is given back only with it.
    assert [ref() for ref in idle] == [None]


def test_idle_greenlet_keeps_nothing_of_the_call_alive() -> None:
    import weakref

    class Thing:
        pass

    seen: list[weakref.ref[Thing]] = []

    def note(thing: Thing) -> Thing:
        seen.append(weakref.ref(thing))
        return thing

    thing_var: contextvars.ContextVar[Thing] = contextvars.ContextVar("thing_var")

    def view(argument: Thing, *, keyword: Thing) -> Thing:
        thing_var.set(note(Thing()))
        with pytest.raises(LookupError):
            raise LookupError(note(Thing()))
        return await_(slow_reply(note(Thing())))

    async def main() -> None:
        await run(view, note(Thing()), keyword=note(Thing()))

    asyncio.run(main())
    gc.collect()
    assert [ref() for ref in seen] == [None] * 5


# Coroutine functions


class AsyncCallable:
    async def __call__(self) -> None: ...

    async def method(self) -> None: ...

    def plain(self) -> None: ...


async def generator_function() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        pytest.param(reply, True, id="function"),
        pytest.param(partial(reply, 1), True, id="partial"),
        pytest.param(partial(partial(reply, 1)), True, id="nested partial"),
        pytest.param(AsyncCallable().method, True, id="bound method"),
        pytest.param(AsyncCallable(), True, id="object"),
        pytest.param(partial(AsyncCallable()), True, id="partial of an object"),
        pytest.param(AsyncCallable, False, id="class"),
        pytest.param(AsyncCallable().plain, False, id="plain method"),
        pytest.param(lambda: reply(), False, id="lambda"),
        pytest.param(async_to_sync(reply), False, id="wrapper"),
        pytest.param(generator_function, False, id="async generator"),
        pytest.param(len, False, id="builtin"),
        pytest.param(None, False, id="not callable"),
    ],
)
def test_coroutine_functions_are_recognised(obj: object, expected: bool) -> None:
    assert is_coroutine_function(obj) is expected


def test_sync_wrapper_waits_and_looks_like_its_function() -> None:
    async def view(a: int, *, b: int = 2) -> int:
        """Add."""
        return await slow_reply(a + b)  # type: ignore[no-any-return]

    view.mark = "kept"  # type: ignore[attr-defined]
    waiting = async_to_sync(view)
    assert waiting(1, b=4) == 5
    assert (waiting.__name__, waiting.__doc__) == ("view", "Add.")
    assert waiting.mark == "kept"  # type: ignore[attr-defined]
    assert inspect.signature(waiting) == inspect.signature(view)
    assert inspect.unwrap(waiting) is view


def test_sync_wrapper_takes_objects_without_a_name() -> None:
    assert async_to_sync(AsyncCallable())() is None
    assert async_to_sync(partial(reply, 3))() == 3


def test_sync_wrapper_is_recognised() -> None:
    assert is_bridged(async_to_sync(reply))
    assert not is_bridged(reply)
    assert not is_bridged(partial(async_to_sync(reply)))

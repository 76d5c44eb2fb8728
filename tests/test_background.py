"""Background tasks: where they run, what they see, and that none is lost."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import pytest

from erlen import Erlen, current_app, g, has_request_context
from erlen.testing import FlaskClient

variable: ContextVar[str] = ContextVar("variable", default="unset")


@pytest.fixture
def app(app: Erlen) -> Iterator[Erlen]:
    yield app
    app.stop_serving()


class Seen:
    """What a task tells, and a test waits for."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self.news = threading.Event()

    def tell(self, *value: Any) -> None:
        self.values.append(value)
        self.news.set()

    def wait(self) -> Any:
        assert self.news.wait(20)
        return self.values[-1]


@pytest.fixture
def seen() -> Seen:
    return Seen()


def where() -> tuple[str, bool, str]:
    return current_app.name, has_request_context(), variable.get()


@pytest.mark.parametrize("view", ["plain", "async"])
@pytest.mark.parametrize("task", ["plain", "async"])
def test_task_has_an_application_context_but_no_request(
    app: Erlen, client: FlaskClient, seen: Seen, view: str, task: str
) -> None:
    async def work_async(number: int, *, name: str) -> None:
        await asyncio.sleep(0)
        g.own = True
        seen.tell(where(), number, name)

    def work(number: int, *, name: str) -> None:
        g.own = True
        seen.tell(where(), number, name)

    function: Any = work_async if task == "async" else work

    def start() -> str:
        g.own = False
        variable.set("of the request")
        app.add_background_task(function, 1, name="one")
        return str(g.own)

    async def start_async() -> str:
        return start()

    app.add_url_rule("/", view_func=start_async if view == "async" else start)
    assert client.get("/").text == "False"
    assert seen.wait() == (("test_app", False, "of the request"), 1, "one")


def test_plain_function_runs_on_a_thread_and_can_wait_for_coroutines(
    app: Erlen, client: FlaskClient, seen: Seen
) -> None:
    from erlen import await_

    async def of_loop() -> Any:
        return asyncio.get_running_loop()

    def work() -> None:
        seen.tell(threading.current_thread().name, await_(of_loop()) is await_(of_loop()))

    app.add_url_rule("/", view_func=lambda: app.add_background_task(work) or "")
    client.get("/")
    assert seen.wait() == ("erlen-background-1", True)


def test_task_of_an_async_view_goes_on_after_the_response(
    app: Erlen, client: FlaskClient, seen: Seen
) -> None:
    gates: list[Any] = []

    async def work() -> None:
        gate = asyncio.Event()
        gates.append((asyncio.get_running_loop(), gate))
        seen.tell("waits")
        await gate.wait()
        seen.tell("went on")

    @app.get("/")
    async def index() -> str:
        app.add_background_task(work)
        return "sent"

    assert client.get("/").text == "sent"
    assert seen.wait() == ("waits",)
    seen.news.clear()
    loop, gate = gates[0]
    loop.call_soon_threadsafe(gate.set)
    assert seen.wait() == ("went on",)


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_error_is_logged_with_its_traceback(
    app: Erlen, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    async def fail_async() -> None:
        raise LookupError("lost?")

    def fail() -> None:
        raise LookupError("lost?")

    app.add_background_task(fail_async if kind == "async" else fail)
    app.stop_serving()
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "Exception in background task" in record.getMessage()
    assert "fail" in record.getMessage()
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], LookupError)


def test_teardown_functions_run_after_a_task(app: Erlen, seen: Seen) -> None:
    @app.teardown_appcontext
    async def teardown(error: BaseException | None) -> None:
        seen.tell("teardown", repr(error))

    async def fail() -> None:
        raise LookupError("lost?")

    app.add_background_task(fail)
    app.stop_serving()
    assert seen.values == [("teardown", "LookupError('lost?')")]


def test_tasks_finish_before_what_they_use_is_ended(app: Erlen, seen: Seen) -> None:
    begun = threading.Event()

    @app.while_serving
    def around() -> Iterator[None]:
        yield
        seen.tell("ended")

    async def second() -> None:
        seen.tell("second")

    async def first() -> None:
        begun.set()
        await asyncio.sleep(0.01)
        app.add_background_task(second)
        seen.tell("first")

    def on_thread() -> None:
        assert begun.wait(20)
        seen.tell("thread")

    app.start_serving()
    app.add_background_task(on_thread)
    app.add_background_task(first)
    app.stop_serving()
    assert sorted(seen.values[:-1]) == [("first",), ("second",), ("thread",)]
    assert seen.values[-1] == ("ended",)


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_task_that_takes_too_long_is_cancelled(
    app: Erlen, seen: Seen, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    app.config["BACKGROUND_TASK_SHUTDOWN_TIMEOUT"] = 0.02
    may_end = threading.Event()

    async def forever_async() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            seen.tell("cleaned up")

    def forever() -> None:
        assert may_end.wait(20)

    app.add_background_task(forever_async if kind == "async" else forever)
    with caplog.at_level(logging.WARNING):
        app.stop_serving()
    may_end.set()
    assert "was cancelled" in caplog.text
    assert kind == "plain" or seen.values == [("cleaned up",)]


def test_task_that_cannot_be_cancelled_does_not_hold_up_the_end(
    app: Erlen, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("erlen.background.CLEANUP_SECONDS", 0.02)
    app.config["BACKGROUND_TASK_SHUTDOWN_TIMEOUT"] = 0.02

    async def stubborn() -> None:
        for _ in range(2):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                continue

    app.add_background_task(stubborn)
    app.stop_serving()
    assert "1 background task(s) could not be stopped" in caplog.text


def test_tasks_under_an_asgi_server_run_on_its_loop_and_end_with_it(seen: Seen) -> None:
    app = Erlen(__name__)
    loops: list[Any] = []

    async def work() -> None:
        loops.append(asyncio.get_running_loop())
        await asyncio.sleep(0.01)
        seen.tell("done")

    @app.get("/")
    def index() -> str:
        app.add_background_task(work)
        return ""

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        client = app.async_test_client()
        async with client.lifespan():
            await client.get("/")
        assert seen.values == [("done",)]

    asyncio.run(serve())
    assert loops[0] is loops[1]


def test_nothing_stays_running_after_a_task(app: Erlen, client: FlaskClient, seen: Seen) -> None:
    app.add_url_rule("/", view_func=lambda: app.add_background_task(seen.tell, 1) or "")
    client.get("/")
    seen.wait()
    app.stop_serving()
    assert app._life is not None
    assert len(app._life.tasks) == 0


def test_task_of_a_script_finishes_before_the_process(
    run_python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = run_python(
        """
import asyncio
from erlen import Erlen
app = Erlen(__name__)
async def work():
    await asyncio.sleep(0.01)
    print("worked", flush=True)
app.add_background_task(work)
"""
    )
    assert (done.stdout, done.stderr) == ("worked\n", "")

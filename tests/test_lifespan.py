"""Functions around serving: where they run, in which order, what happens when they fail."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from queue import Queue
from typing import Any

import pytest
from scopes import http

from erlen import Erlen, current_app, g
from erlen.errors import SetupError
from erlen.lifespan import life_of

Scope = dict[str, Any]


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def app(app: Erlen, log: list[str]) -> Iterator[Erlen]:
    """An application with one function of each kind, and views that log."""

    @app.before_serving
    async def before_async() -> None:
        log.append(f"before async {current_app.name}")

    @app.while_serving
    async def around_async() -> AsyncIterator[None]:
        log.append("enter async")
        yield
        log.append("leave async")

    @app.before_serving
    def before_plain() -> None:
        log.append("before plain")

    @app.while_serving
    def around_plain() -> Iterator[None]:
        log.append("enter plain")
        yield
        log.append("leave plain")

    @app.after_serving
    async def after_async() -> None:
        log.append(f"after async {current_app.name}")

    @app.after_serving
    def after_plain() -> None:
        log.append("after plain")

    @app.get("/")
    def index() -> str:
        log.append("view")
        return "plain"

    @app.get("/async")
    async def index_async() -> str:
        log.append("async view")
        return "async"

    yield app
    app.stop_serving()


STARTED = ["before async test_app", "enter async", "before plain", "enter plain"]
ENDED = ["after async test_app", "after plain", "leave plain", "leave async"]


class AsgiServer:
    """The server's side of a lifespan, on a loop of its own thread."""

    def __init__(self, app: Any) -> None:
        from erlen.engine.loops import LoopThread

        self.beside = LoopThread()
        self.app = app
        self.scope: Scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
        self.sent: list[dict[str, Any]] = []
        self.beside.wait(self._open())

    async def _open(self) -> None:
        self.inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.news = asyncio.Event()
        self.task = asyncio.get_running_loop().create_task(
            self.app(self.scope, self.inbox.get, self._send)
        )

    async def _send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)
        self.news.set()

    async def _ask(self, what: str) -> dict[str, Any]:
        self.news.clear()
        self.inbox.put_nowait({"type": f"lifespan.{what}"})
        await self.news.wait()
        return self.sent[-1]

    def ask(self, what: str) -> dict[str, Any]:
        return self.beside.wait(self._ask(what))

    def request(self, path: str, **scope: Any) -> tuple[int, bytes]:
        return self.beside.wait(request(self.app, path, **scope))

    def close(self) -> None:
        self.beside.close()


async def request(app: Any, path: str, **more: Any) -> tuple[int, bytes]:
    messages: list[Any] = []
    scope = http(path, **more)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        messages.append(message)

    await app(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in messages[1:])
    return messages[0]["status"], body


@pytest.fixture
def serve() -> Iterator[Callable[[Any], AsgiServer]]:
    servers: list[AsgiServer] = []

    def serve(app: Any) -> AsgiServer:
        servers.append(AsgiServer(app))
        return servers[-1]

    yield serve
    for server in servers:
        server.close()


# Order


def test_asgi_server_starts_and_ends_the_application(
    app: Erlen, log: list[str], serve: Callable[[Any], AsgiServer]
) -> None:
    server = serve(app)
    assert server.ask("startup") == {"type": "lifespan.startup.complete"}
    assert log == STARTED
    assert server.request("/async") == (200, b"async")
    assert server.request("/") == (200, b"plain")
    log.clear()
    assert server.ask("shutdown") == {"type": "lifespan.shutdown.complete"}
    assert log == ENDED


def test_first_request_of_a_wsgi_server_starts_the_application(app: Erlen, log: list[str]) -> None:
    client = app.test_client()
    client.get("/")
    client.get("/")
    assert log == [*STARTED, "view", "view"]
    log.clear()
    app.stop_serving()
    assert log == ENDED


def test_first_request_of_an_asgi_server_without_lifespan_starts_the_application(
    app: Erlen, log: list[str]
) -> None:
    async def serve() -> None:
        await asyncio.gather(*(request(app, "/async") for _ in range(5)))

    asyncio.run(serve())
    # The end of the loop ends the application too.
    assert log == [*STARTED, *["async view"] * 5, *ENDED]


def test_test_client_does_not_start_what_a_server_has_started(
    app: Erlen, log: list[str], serve: Callable[[Any], AsgiServer]
) -> None:
    server = serve(app)
    server.ask("startup")
    app.test_client().get("/")
    assert log == [*STARTED, "view"]
    with pytest.raises(RuntimeError, match="The server has started the application"):
        app.stop_serving()
    server.ask("shutdown")
    assert log[len(STARTED) + 1 :] == ENDED


def test_second_server_does_not_start_the_application_again(
    app: Erlen, log: list[str], serve: Callable[[Any], AsgiServer]
) -> None:
    first, second = serve(app), serve(app)
    first.ask("startup")
    second.ask("startup")
    second.ask("shutdown")
    assert log == STARTED
    first.ask("shutdown")
    assert log == [*STARTED, *ENDED]


def test_application_is_started_again_after_its_end(app: Erlen, log: list[str]) -> None:
    for _ in range(2):
        app.start_serving()
        app.start_serving()
        app.stop_serving()
    assert log == [*STARTED, *ENDED] * 2


def test_context_of_a_test_does_not_start_the_application(app: Erlen, log: list[str]) -> None:
    with app.test_request_context("/"):
        app.preprocess_request()
    app.prepare()
    assert log == []
    app.test_client().get("/")
    assert log == [*STARTED, "view"]


def test_concurrent_first_requests_wait_for_the_start(app: Erlen, log: list[str]) -> None:
    entered, may_go = threading.Event(), threading.Event()

    @app.before_serving
    def slow() -> None:
        entered.set()
        assert may_go.wait(20)
        log.append("slow")

    with ThreadPoolExecutor(4) as pool:
        requests = [pool.submit(app.test_client().get, "/") for _ in range(4)]
        assert entered.wait(20)
        may_go.set()
        assert {one.result().text for one in requests} == {"plain"}
    assert log == [*STARTED, "slow", *["view"] * 4]


def test_functions_at_the_start_can_make_requests(app: Erlen, log: list[str]) -> None:
    @app.before_serving
    def warm_up() -> None:
        log.append(app.test_client().get("/").text)

    @app.before_serving
    async def warm_up_async() -> None:
        log.append(str(await request(app, "/async")))

    app.test_client().get("/")
    assert log == [*STARTED, "view", "plain", "async view", "(200, b'async')", "view"]


def test_requests_pay_nothing_once_the_application_is_started(app: Erlen) -> None:
    app.test_client().get("/")
    assert app._current_program().asks is False


def test_application_without_such_functions_has_no_life(transport: str) -> None:
    app = Erlen(__name__)
    app.add_url_rule("/", view_func=lambda: "")
    app.test_client().get("/")
    assert app._life is None


# Loop, task and context


def test_all_runs_in_one_task_and_views_share_the_loop(app: Erlen) -> None:
    seen: dict[str, Any] = {}
    variable: ContextVar[str] = ContextVar("variable", default="unset")

    @app.while_serving
    async def around() -> AsyncIterator[None]:
        seen["task"], seen["loop"] = asyncio.current_task(), asyncio.get_running_loop()
        variable.set("set at the start")
        yield
        seen["same task"] = asyncio.current_task() is seen["task"]
        seen["variable"] = variable.get()

    @app.get("/loop")
    async def loop() -> str:
        return str(asyncio.get_running_loop() is seen["loop"])

    @app.get("/stream")
    async def stream() -> Any:
        async def pieces() -> AsyncIterator[str]:
            yield str(asyncio.get_running_loop() is seen["loop"])

        return pieces()

    client = app.test_client()
    assert client.get("/loop").text == "True"
    assert client.get("/stream").text == "True"
    app.stop_serving()
    assert seen["same task"] is True
    assert seen["variable"] == "set at the start"


def test_first_request_does_not_live_on(app: Erlen) -> None:
    variable: ContextVar[str] = ContextVar("of the request", default="unset")
    seen: list[str] = []

    @app.before_serving
    def look() -> None:
        seen.append(variable.get())

    token = variable.set("of the first request")
    app.test_client().get("/")
    variable.reset(token)
    assert seen == ["unset"]


def test_each_end_has_an_application_context_of_its_own(app: Erlen, log: list[str]) -> None:
    @app.while_serving
    def around() -> Iterator[None]:
        g.value = 1
        yield
        log.append(f"value {g.get('value')}")

    @app.teardown_appcontext
    async def teardown(error: BaseException | None) -> None:
        log.append(f"teardown {error}")

    app.start_serving()
    assert log == [*STARTED, "teardown None"]
    log.clear()
    app.stop_serving()
    ended = ENDED.copy()
    ended.insert(2, "value None")
    assert log == [*ended, "teardown None"]


@pytest.mark.parametrize("kind", ["async", "plain"])
def test_function_may_return_a_context_manager(app: Erlen, log: list[str], kind: str) -> None:
    @contextlib.asynccontextmanager
    async def around_async() -> AsyncIterator[None]:
        log.append("in")
        yield
        log.append("out")

    @contextlib.contextmanager
    def around_plain() -> Iterator[None]:
        log.append("in")
        yield
        log.append("out")

    app.while_serving({"async": around_async, "plain": around_plain}[kind])
    app.start_serving()
    assert log == [*STARTED, "in"]
    app.stop_serving()
    assert log[-5:] == ["after async test_app", "after plain", "out", "leave plain", "leave async"]


# Failures


def test_failing_start_is_told_to_the_server_and_undone(
    app: Erlen, log: list[str], serve: Callable[[Any], AsgiServer]
) -> None:
    @app.before_serving
    async def fail() -> None:
        raise LookupError("no database")

    answer = serve(app).ask("startup")
    assert answer["type"] == "lifespan.startup.failed"
    assert "LookupError: no database" in answer["message"]
    assert log == [*STARTED, "leave plain", "leave async"]


def test_failing_start_fails_the_request_and_is_tried_again(app: Erlen, log: list[str]) -> None:
    attempts = iter([LookupError("no database"), None])

    @app.before_serving
    async def fail() -> None:
        error = next(attempts)
        if error is not None:
            raise error

    client = app.test_client()
    with pytest.raises(LookupError, match="no database"):
        client.get("/")
    assert log == [*STARTED, "leave plain", "leave async"]
    log.clear()
    assert client.get("/").text == "plain"
    assert log == [*STARTED, "view"]


def test_failing_end_is_told_to_the_server_after_the_others(
    app: Erlen,
    log: list[str],
    serve: Callable[[Any], AsgiServer],
    caplog: pytest.LogCaptureFixture,
) -> None:
    @app.while_serving
    def around() -> Iterator[None]:
        yield
        raise LookupError("second")

    @app.after_serving
    def fail() -> None:
        raise LookupError("first")

    server = serve(app)
    server.ask("startup")
    log.clear()
    with caplog.at_level(logging.ERROR):
        answer = server.ask("shutdown")
    assert answer["type"] == "lifespan.shutdown.failed"
    assert "LookupError: first" in answer["message"]
    assert "LookupError: second" in caplog.text
    assert log == ENDED


def test_failing_end_is_raised_where_it_is_asked_for(app: Erlen, log: list[str]) -> None:
    @app.after_serving
    def fail() -> None:
        raise LookupError("at the end")

    app.start_serving()
    with pytest.raises(LookupError, match="at the end"):
        app.stop_serving()
    assert log == [*STARTED, *ENDED]


def test_server_that_drops_its_lifespan_ends_the_application(app: Erlen, log: list[str]) -> None:
    async def serve() -> None:
        inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        started = asyncio.Event()

        async def send(message: dict[str, Any]) -> None:
            started.set()

        task = asyncio.ensure_future(app({"type": "lifespan"}, inbox.get, send))
        inbox.put_nowait({"type": "lifespan.startup"})
        await started.wait()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(serve())
    assert log == [*STARTED, *ENDED]


def test_generator_that_yields_twice_is_an_error(app: Erlen) -> None:
    @app.while_serving
    def around() -> Iterator[None]:
        yield
        yield

    app.start_serving()
    with pytest.raises(RuntimeError, match=r"yielded more than once: .*test_lifespan\.py:\d+"):
        app.stop_serving()


# Registering


async def coroutine_function() -> None: ...


async def async_generator() -> AsyncIterator[None]:
    yield


@pytest.mark.parametrize(
    ("kind", "function", "message"),
    [
        pytest.param("before_serving", async_generator, "use 'while_serving'", id="before"),
        pytest.param("after_serving", async_generator, "use 'while_serving'", id="after"),
        pytest.param("while_serving", coroutine_function, "'before_serving'", id="while"),
    ],
)
def test_wrong_kind_of_function_is_refused(
    app: Erlen, kind: str, function: Any, message: str
) -> None:
    with pytest.raises(SetupError, match=message) as caught:
        getattr(app, kind)(function)
    assert "test_lifespan.py" in str(caught.value)


def test_function_that_gives_nothing_to_enter_is_refused_at_the_start(app: Erlen) -> None:
    app.while_serving(lambda: 42)
    with pytest.raises(SetupError, match="returned 42"):
        app.start_serving()


def test_nothing_is_registered_after_the_first_request(app: Erlen) -> None:
    app.test_client().get("/")
    with pytest.raises(AssertionError, match="before_serving"):
        app.before_serving(coroutine_function)


# Processes

SCRIPT = """
import os, sys
from erlen import Erlen
app = Erlen(__name__)
say = lambda *words: (print(*words), sys.stdout.flush())
@app.while_serving
async def around():
    import asyncio
    say("in")
    yield
    await asyncio.to_thread(say, "out")
@app.get("/")
def index():
    return "view"
"""


# gh-113964: there no thread could be started any more when the last others were joined.
needs_threads_at_exit = pytest.mark.skipif(
    (3, 12) <= sys.version_info < (3, 12, 2),
    reason="Python 3.12.0 and 3.12.1 end threads too early",
)


@needs_threads_at_exit
def test_application_ends_with_the_process(
    run_python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = run_python(SCRIPT + "say(app.test_client().get('/').text)")
    assert (done.stdout.split(), done.stderr) == (["in", "view", "out"], "")


@needs_threads_at_exit
def test_error_at_the_end_of_the_process_is_logged(
    run_python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    code = SCRIPT + "app.after_serving(lambda: 1 / 0)\napp.start_serving()"
    done = run_python(code)
    assert done.stdout.split() == ["in", "out"]
    assert "ZeroDivisionError" in done.stderr


@needs_threads_at_exit
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform does not fork")
def test_forked_process_starts_the_application_for_itself(
    run_python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    code = """
say(app.test_client().get("/").text)
worker = os.fork()
if worker:
    os.waitpid(worker, 0)
    say("parent")
else:
    say("child", app.test_client().get("/").text)
"""
    # Python warns of the threads that a forked process leaves behind: that is what is tested.
    done = run_python("-W", "ignore::DeprecationWarning", "-c", SCRIPT + code)
    lines = "in, view, in, child view, out, parent, out"
    assert (done.stdout.splitlines(), done.stderr) == (lines.split(", "), "")


# What must not wait for ever


def test_start_that_exits_is_told_and_tried_again(app: Erlen, log: list[str]) -> None:
    tries = iter([SystemExit("no database"), None])

    @app.before_serving
    def connect() -> None:
        failure = next(tries)
        if failure is not None:
            raise failure

    with pytest.raises(SystemExit, match="no database"):
        app.start_serving()
    app.start_serving()
    assert log == [*STARTED, "leave plain", "leave async", *STARTED]


def test_start_without_a_thread_is_told_and_tried_again(
    app: Erlen, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        with pytest.raises(RuntimeError, match="new thread"):
            app.start_serving()
    app.start_serving()
    assert log == STARTED


def test_start_whose_loop_ends_before_it_is_told(app: Erlen, log: list[str]) -> None:
    async def first_request() -> None:
        starting = asyncio.ensure_future(life_of(app).start_here())
        await asyncio.sleep(0)  # to its waiting for the keeper, which has not begun
        for task in asyncio.all_tasks() - {asyncio.current_task(), starting}:
            task.cancel()
        with pytest.raises(RuntimeError, match="was cancelled"):
            await starting

    asyncio.run(first_request())
    app.start_serving()
    assert log == STARTED


def test_background_task_makes_the_first_request(app: Erlen, log: list[str]) -> None:
    texts: Queue[str] = Queue()

    async def task() -> None:
        texts.put(app.test_client().get("/").text)

    app.add_background_task(task)
    assert texts.get(timeout=20) == "plain"
    assert log == [*STARTED, "view"]


def test_coroutine_of_its_own_loop_cannot_start_the_application(app: Erlen, log: list[str]) -> None:
    async def start() -> None:
        app.start_serving()

    life = life_of(app)
    life.home_beside()
    assert life._beside is not None
    with pytest.raises(RuntimeError, match="not started yet"):
        life._beside.wait(start())
    app.start_serving()
    assert log == STARTED


def test_application_is_not_ended_on_its_own_loop(app: Erlen, log: list[str]) -> None:
    errors: Queue[Exception] = Queue()

    async def task() -> None:
        try:
            app.stop_serving()
        except RuntimeError as error:
            errors.put(error)

    app.start_serving()
    app.add_background_task(task)
    assert "own event loop" in str(errors.get(timeout=20))
    app.stop_serving()
    assert log == [*STARTED, *ENDED]


def test_function_at_the_start_cannot_end_the_application(app: Erlen) -> None:
    app.before_serving(app.stop_serving)
    with pytest.raises(RuntimeError, match="own event loop"):
        app.start_serving()


def test_threads_start_and_end_the_application_in_turn(app: Erlen, log: list[str]) -> None:
    def use() -> list[str]:
        client = app.test_client()
        return [client.get("/").text for _ in range(60)]

    def end() -> None:
        for _ in range(60):
            app.stop_serving()

    with ThreadPoolExecutor(4) as pool:
        users, ends = [pool.submit(use) for _ in range(2)], [pool.submit(end) for _ in range(2)]
        assert [one.result() for one in users] == [["plain"] * 60] * 2
        assert [one.result() for one in ends] == [None, None]
    app.stop_serving()
    around = [line for line in log if line != "view"]
    assert around == [*STARTED, *ENDED] * (len(around) // len([*STARTED, *ENDED]))


def test_start_that_goes_on_is_given_up_when_the_application_is_to_end(
    app: Erlen, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("erlen.lifespan.FAREWELL_SECONDS", 0.05)
    monkeypatch.setattr("erlen.engine.loops.FAREWELL_SECONDS", 0.05)
    entered, may_go = threading.Event(), threading.Event()

    @app.before_serving
    def stuck() -> None:
        entered.set()
        assert may_go.wait(20)

    with ThreadPoolExecutor(1) as pool:
        start = pool.submit(app.start_serving)
        assert entered.wait(20)
        with pytest.raises(RuntimeError, match="given up"):
            app.stop_serving()
        with pytest.raises(RuntimeError, match="given up"):
            start.result(20)
        with pytest.raises(RuntimeError, match="given up"):
            app.start_serving()
        beside = threading.enumerate()
        may_go.set()
        for thread in beside:
            if thread.name == "erlen-serving":
                thread.join(20)
    assert log == [*STARTED, "leave plain", "leave async"]


@needs_threads_at_exit
def test_process_ends_though_a_start_does_not(
    run_python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    code = """
import threading
from erlen import engine, lifespan
lifespan.FAREWELL_SECONDS = engine.loops.FAREWELL_SECONDS = 0.05
entered = threading.Event()
@app.before_serving
def stuck():
    entered.set()
    threading.Event().wait()
threading.Thread(target=app.start_serving, daemon=True).start()
entered.wait()
"""
    done = run_python(SCRIPT + code)
    assert (done.returncode, done.stdout.split()) == (0, ["in"])
    assert "given up" in done.stderr


@needs_threads_at_exit
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform does not fork")
def test_process_forked_at_the_start_starts_the_application_for_itself(
    run_python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    code = """
parent = os.getpid()
@app.before_serving
def fork():
    if os.getpid() != parent:
        return
    worker = os.fork()
    if worker:
        os.waitpid(worker, 0)
    else:
        say("child", app.test_client().get("/").text)
        os._exit(0)
app.start_serving()
"""
    done = run_python("-W", "ignore::DeprecationWarning", "-c", SCRIPT + code)
    assert done.stdout.splitlines() == ["in", "in", "child view", "out"]

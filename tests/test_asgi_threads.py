"""Plain views on worker threads under ASGI: bounded, visible, and clean however they end."""

from __future__ import annotations

import asyncio
import threading
import typing as t
from contextvars import ContextVar

import pytest

from erlen import Erlen, Response, await_, request

Message = dict[str, t.Any]


async def call(app: t.Any, path: str) -> bytes:
    """The body of the answer to a request, or "500" and the like."""
    sent: list[Message] = []

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
    }
    await app(scope, receive, send)
    if sent[0]["status"] != 200:
        return str(sent[0]["status"]).encode()
    return b"".join(message.get("body", b"") for message in sent[1:])


def test_views_on_all_threads_may_wait_for_bodies_of_the_same_application(app: Erlen) -> None:
    app.config["ASGI_THREADS"] = 2
    together = threading.Barrier(2, timeout=10)

    @app.route("/outer")
    def outer() -> bytes:
        together.wait()  # now there is no thread for a view left
        return b"outer " + await_(call(app, "/inner"))

    @app.route("/inner")
    async def inner() -> Response:
        return Response(letter for letter in "inner")  # which needs threads, of another kind

    async def main() -> list[bytes]:
        return await asyncio.wait_for(
            asyncio.gather(call(app, "/outer"), call(app, "/outer")), timeout=10
        )

    assert asyncio.run(main()) == [b"outer inner"] * 2


def test_a_request_tells_how_long_it_has_waited_for_a_thread(app: Erlen) -> None:
    app.config["ASGI_THREADS"] = 1
    begun, go = threading.Event(), threading.Event()

    @app.route("/first")
    def first() -> str:
        begun.set()
        go.wait(10)
        return str(request.queue_time)

    @app.route("/second")
    def second() -> str:
        return str(request.queue_time)

    async def main() -> list[bytes]:
        holding = asyncio.create_task(call(app, "/first"))
        while not begun.is_set():
            await asyncio.sleep(0)
        waiting = asyncio.create_task(call(app, "/second"))
        while not app.worker_threads.waiting:
            await asyncio.sleep(0)
        go.set()
        return await asyncio.gather(holding, waiting)

    first_wait, second_wait = map(float, asyncio.run(main()))
    assert 0 <= first_wait
    assert 0 < second_wait <= app.worker_threads.longest_wait


def test_variables_of_asgi_middleware_are_seen_on_the_thread(app: Erlen) -> None:
    tenant: ContextVar[str] = ContextVar("tenant", default="none")
    inner = app.asgi_app

    async def middleware(scope: t.Any, receive: t.Any, send: t.Any) -> None:
        tenant.set(scope["path"])
        await inner(scope, receive, send)

    app.asgi_app = middleware  # type: ignore[method-assign]
    seen: list[str] = []

    @app.before_request
    def before() -> None:
        seen.append(tenant.get())

    @app.route("/a")
    def view() -> Response:
        seen.append(tenant.get())
        tenant.set("of the view")

        def generate() -> t.Iterator[str]:
            seen.append(tenant.get())
            yield "x"

        return Response(generate())

    asyncio.run(call(app, "/a"))
    assert seen == ["/a", "/a", "of the view"]
    assert tenant.get() == "none"


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, BaseException, ValueError])
@pytest.mark.parametrize("where", ["view", "teardown", "body"])
def test_whatever_is_raised_on_a_thread_reaches_the_server_and_no_other_request(
    app: Erlen, kind: type[BaseException], where: str
) -> None:
    torn_down: list[str | None] = []

    def fail(here: str) -> None:
        if here == where and request.path == "/":
            raise kind(here)

    @app.route("/")
    def view() -> Response:
        fail("view")

        def generate() -> t.Iterator[str]:
            yield "begun"
            if where == "body":
                raise kind("body")

        return Response(generate())

    @app.route("/other")
    def other() -> str:
        return "well"

    @app.teardown_request
    def teardown(error: BaseException | None) -> None:
        torn_down.append(error and type(error).__name__)
        fail("teardown")

    async def server() -> tuple[BaseException | None, bytes]:
        # As servers do it, an application's task ends with it, and the loop goes on.
        raised: BaseException | None = None
        try:
            await call(app, "/")
        except BaseException as error:
            raised = error
        body = await call(app, "/other")
        while app.worker_threads.busy or app.body_threads.busy:
            await asyncio.sleep(0)
        return raised, body

    error, body = asyncio.run(server())
    assert isinstance(error, kind)
    assert str(error) == where
    assert body == b"well"
    assert torn_down == [kind.__name__ if where == "view" else None, None]


def test_a_view_whose_request_is_cancelled_in_the_queue_is_never_called(app: Erlen) -> None:
    app.config["ASGI_THREADS"] = 1
    begun, go = threading.Event(), threading.Event()
    called: list[str] = []

    @app.route("/<name>")
    def view(name: str) -> str:
        called.append(name)
        begun.set()
        go.wait(10)
        return name

    async def main() -> bytes:
        first = asyncio.create_task(call(app, "/first"))
        while not begun.is_set():
            await asyncio.sleep(0)
        second = asyncio.create_task(call(app, "/second"))
        while not app.worker_threads.waiting:
            await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        go.set()
        return await first

    assert asyncio.run(main()) == b"first"
    assert called == ["first"]


def test_a_view_whose_request_is_cancelled_meanwhile_ends_and_is_cleaned_up_after(
    app: Erlen,
) -> None:
    begun, go = threading.Event(), threading.Event()
    events: list[str] = []

    @app.route("/")
    def view() -> Response:
        begun.set()
        go.wait(10)
        events.append("view ended")
        response = Response(letter for letter in "text")
        response.call_on_close(lambda: events.append("closed"))
        return response

    @app.teardown_request
    def teardown(error: BaseException | None) -> None:
        events.append("torn down")

    async def main() -> None:
        task = asyncio.create_task(call(app, "/"))
        while not begun.is_set():
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert events == ["view ended", "torn down", "closed"]

"""How WebSockets end when their clients leave: whom it reaches, and what is left behind."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import sys
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from greenlet import greenlet
from sockets import Client, connected, run_async

from erlen import BlockingWebsocket, Erlen, Websocket, WebsocketDisconnected, g, request, websocket
from erlen.engine import greenlets

pytestmark = pytest.mark.timeout(30)


class Note:
    """What happened in a view, in order, to be waited for."""

    def __init__(self) -> None:
        self.steps: list[Any] = []
        self._news = asyncio.Condition()

    async def add(self, step: Any) -> None:
        async with self._news:
            self.steps.append(step)
            self._news.notify_all()

    async def until(self, step: Any) -> None:
        async with self._news:
            await asyncio.wait_for(self._news.wait_for(lambda: step in self.steps), 10)


@asynccontextmanager
async def catching(note: Note) -> AsyncIterator[None]:
    """Note how the block ends."""
    try:
        yield
    except BaseException as error:
        note.steps.append(type(error).__name__)
        raise


async def forever() -> None:
    await asyncio.get_running_loop().create_future()


# The view waits for something else


@run_async
async def test_a_view_that_waits_for_something_else_is_cancelled(app: Erlen) -> None:
    note, torn = Note(), []
    app.after_websocket(lambda response: torn.append(response) or response)
    app.teardown_websocket(lambda error: torn.append(type(error)))

    @app.websocket("/")
    async def view(socket: Websocket) -> None:
        await socket.accept()
        async with catching(note):
            await note.add("waits")
            await forever()

    async with connected(app) as client:
        await note.until("waits")
        client.leave()
        await client.end()
        assert not client.task.cancelled()
    assert note.steps == ["waits", "CancelledError"]
    assert torn == [None, asyncio.CancelledError]
    assert client.kinds == ["accept"]


@run_async
async def test_its_clean_up_may_still_wait(app: Erlen) -> None:
    note = Note()

    @app.websocket("/")
    async def view(socket: Websocket) -> None:
        await socket.accept()
        try:
            await note.add("waits")
            await forever()
        finally:
            await asyncio.sleep(0.001)
            assert request.path == "/"
            with pytest.raises(WebsocketDisconnected, match="1001 away"):
                await socket.send("x")
            await note.add("cleaned up")

    async with connected(app) as client:
        await note.until("waits")
        client.leave(1001, "away")
    assert note.steps == ["waits", "cleaned up"]


@run_async
async def test_a_view_may_go_on_after_it_was_cancelled(app: Erlen) -> None:
    note = Note()

    @app.websocket("/")
    async def view(socket: Websocket) -> None:
        await socket.accept()
        try:
            await note.add("waits")
            await forever()
        except asyncio.CancelledError:
            await asyncio.sleep(0.001)
        await note.add("went on")

    async with connected(app) as client:
        await note.until("waits")
        client.leave()
        await client.end()
        if sys.version_info >= (3, 11):
            assert client.task.cancelling() == 0
    assert note.steps == ["waits", "went on"]


@run_async
async def test_a_view_is_left_alone_where_its_route_says_so(app: Erlen) -> None:
    note = Note()
    go_on = asyncio.Event()

    @app.websocket("/", cancel_on_disconnect=False)
    async def view(socket: Websocket) -> None:
        await socket.send(await socket.receive())
        await note.add("waits")
        await go_on.wait()
        await note.add(await socket.receive())
        with pytest.raises(WebsocketDisconnected):
            await socket.receive()
        await note.add("end")

    async with connected(app) as client:
        client.send("one", "two")
        await note.until("waits")
        client.leave()
        await asyncio.sleep(0.01)
        assert client.taken == 2, "nothing is read ahead"
        go_on.set()
    assert note.steps == ["waits", "two", "end"]


@run_async
async def test_somebody_elses_cancelling_is_not_swallowed(app: Erlen) -> None:
    note = Note()

    @app.websocket("/")
    async def view(socket: Websocket) -> None:
        await socket.accept()
        async with catching(note):
            await note.add("waits")
            await forever()

    client = Client(app)
    client.start()
    await note.until("waits")
    client.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await client.task
    assert note.steps == ["waits", "CancelledError"]


@run_async
async def test_before_it_is_accepted_a_connection_is_not_read(app: Erlen) -> None:
    note = Note()

    @app.websocket("/")
    async def view() -> None:
        await asyncio.sleep(0.001)
        await note.add("slow")
        await websocket.accept()
        await forever()

    async with connected(app) as client:
        client.leave()
        await client.end()
    assert note.steps == ["slow"]
    assert client.kinds == ["accept"]


# The view waits for its socket


@run_async
async def test_who_waits_for_a_message_hears_of_the_end(app: Erlen) -> None:
    note, torn = Note(), []
    app.after_websocket(lambda response: torn.append(response) or response)
    app.teardown_websocket(lambda error: torn.append(type(error)))

    @app.websocket("/")
    async def view(socket: Websocket) -> None:
        await socket.accept()
        try:
            await socket.receive()
        except WebsocketDisconnected as error:
            await note.add((error.code, error.reason, socket.close_code))
            raise

    async with connected(app) as client:
        client.leave(4000, "why not")
        await client.end()
    assert note.steps == [(4000, "why not", 4000)]
    assert torn == [None, WebsocketDisconnected]
    assert client.kinds == ["accept"]


@run_async
async def test_an_end_is_no_error(app: Erlen, caplog: pytest.LogCaptureFixture) -> None:
    app.testing = False

    @app.errorhandler(Exception)
    def handle(error: Exception) -> str:
        raise AssertionError("the client's leaving is nobody's error")

    @app.websocket("/")
    async def view(socket: Websocket) -> None:
        await socket.receive()

    with caplog.at_level(logging.INFO):
        async with connected(app) as client:
            client.leave()
            await client.end()
    assert not caplog.records


@pytest.mark.parametrize("cancels", [True, False])
@run_async
async def test_who_sends_hears_of_it_from_the_server(app: Erlen, cancels: bool) -> None:
    note = Note()

    @app.websocket("/", cancel_on_disconnect=cancels)
    async def view(socket: Websocket) -> None:
        async with catching(note):
            while True:
                await socket.send("x")

    async with connected(app) as client:
        await client.receive()
        client.has_left = True
        await client.end()
    assert note.steps == ["WebsocketDisconnected"]


@run_async
async def test_sending_without_a_pause_lets_others_run(app: Erlen) -> None:
    @app.websocket("/")
    async def view(socket: Websocket) -> None:
        while not stop.is_set():
            await socket.send("x")

    stop = asyncio.Event()
    async with connected(app) as client:
        await client.receive()
        stop.set()
        await client.end()


@run_async
async def test_a_connection_that_ends_before_it_begins_calls_nobody(app: Erlen) -> None:
    @app.websocket("/")
    async def view() -> None:
        raise AssertionError

    client = Client(app)
    client._to_app.get_nowait()
    client.leave()
    client.start()
    assert await client.end() == []


# Reading ahead


@run_async
async def test_what_was_read_ahead_comes_in_order(app: Erlen) -> None:
    note = Note()
    go_on = asyncio.Event()

    @app.websocket("/")
    async def view(socket: Websocket) -> None:
        await socket.accept()
        await note.add("waits")
        await go_on.wait()
        async for message in socket:
            await asyncio.sleep(0)
            await note.add(message)

    async with connected(app) as client:
        await note.until("waits")
        client.send(*map(str, range(5)))
        while client.taken < 6:
            await asyncio.sleep(0)
        client.send(*map(str, range(5, 50)))
        go_on.set()
        await note.until("49")
    assert note.steps[1:] == [str(number) for number in range(50)]


@pytest.mark.parametrize(("size", "most"), [(1, 16), (40_000, 2), (1_000_000, 1)])
@run_async
async def test_little_is_read_ahead(app: Erlen, size: int, most: int) -> None:
    note = Note()

    @app.websocket("/")
    async def view(socket: Websocket) -> None:
        await socket.accept()
        await note.add("waits")
        await forever()

    client = Client(app)
    client.start()
    await note.until("waits")
    client.send(*["x" * size] * 40)
    for _ in range(200):
        await asyncio.sleep(0)
    assert client.taken == 1 + most
    client.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await client.task


@run_async
async def test_reading_ahead_goes_on_when_there_is_room(app: Erlen) -> None:
    """Another task reads while the view waits: it sees all messages, then the view is ended."""
    note = Note()

    @app.websocket("/")
    async def view(socket: Websocket) -> None:
        async def read() -> None:
            async with catching(note):
                while True:
                    await note.add(await socket.receive())

        await socket.accept()
        reader = asyncio.create_task(read())
        try:
            await forever()
        finally:
            reader.cancel()
            await asyncio.wait([reader])

    async with connected(app) as client:
        client.send(*map(str, range(100)))
        await note.until("99")
        client.leave()
    assert note.steps == [*map(str, range(100)), "CancelledError"]


@run_async
async def test_a_message_beyond_the_limit_ends_a_view_that_waits(app: Erlen) -> None:
    app.config["WEBSOCKET_MAX_MESSAGE_SIZE"] = 10
    note = Note()

    @app.websocket("/")
    async def view(socket: Websocket) -> None:
        await socket.accept()
        async with catching(note):
            await note.add("waits")
            await forever()

    async with connected(app) as client:
        await note.until("waits")
        client.send("x" * 11)
        await client.end()
    assert client.close == (1009, "more than 10 bytes")
    assert note.steps == ["waits", "CancelledError"]


@run_async
async def test_waiting_for_a_message_may_be_given_up_without_losing_one(app: Erlen) -> None:
    note = Note()

    @app.websocket("/")
    async def view(socket: Websocket) -> None:
        await socket.accept()
        for _ in range(5):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(socket.receive(), 0.001)
        await note.add("gave up")
        async for message in socket:
            await note.add(message)

    async with connected(app) as client:
        await note.until("gave up")
        client.send("a", "b", "c")
        await note.until("c")
    assert note.steps == ["gave up", "a", "b", "c"]


@run_async
async def test_several_tasks_may_receive_and_each_message_comes_once(app: Erlen) -> None:
    note = Note()

    @app.websocket("/")
    async def view(socket: Websocket) -> None:
        async def read() -> None:
            async for message in socket:
                await note.add(message)

        await asyncio.gather(*(read() for _ in range(4)))

    async with connected(app) as client:
        client.send(*map(str, range(50)))
        while len(note.steps) < 50:
            await asyncio.sleep(0)
    assert sorted(note.steps, key=int) == [str(number) for number in range(50)]


@run_async
async def test_tasks_of_a_view_that_is_not_watched_all_hear_of_the_end(app: Erlen) -> None:
    note = Note()

    @app.websocket("/", cancel_on_disconnect=False)
    async def view(socket: Websocket) -> None:
        async def read() -> None:
            async with catching(note):
                await socket.receive()

        await asyncio.gather(*(read() for _ in range(3)), return_exceptions=True)

    async with connected(app) as client:
        await client.next()
    assert note.steps == ["WebsocketDisconnected"] * 3


@pytest.mark.skipif(sys.version_info < (3, 11), reason="has no TaskGroup")
@pytest.mark.parametrize("reads_first", [True, False])
@run_async
async def test_a_task_group_of_reader_and_writer_ends_quietly(
    app: Erlen, reads_first: bool
) -> None:
    note = Note()

    @app.websocket("/")
    async def view(socket: Websocket) -> None:
        async def read() -> None:
            while True:
                await note.add(await socket.receive())

        async def write() -> None:
            while True:
                await socket.send("tick")
                await asyncio.sleep(0.001)

        await socket.accept()
        async with asyncio.TaskGroup() as group:
            for work in (read, write) if reads_first else (write, read):
                group.create_task(work())

    async with connected(app) as client:
        client.send("hello")
        await note.until("hello")
        await client.receive()
        client.vanish()
        await client.end()
    assert client.close is None


@run_async
async def test_a_task_that_a_view_leaves_behind_ends_with_it(app: Erlen) -> None:
    tasks = []

    @app.websocket("/")
    async def view(socket: Websocket) -> None:
        await socket.accept()
        tasks.append(asyncio.create_task(socket.receive()))
        tasks.append(asyncio.create_task(socket.receive()))
        await forever()

    async with connected(app) as client:
        await client.next()
        client.leave()
        await client.end()
    await asyncio.wait(tasks)
    assert all(task.cancelled() for task in tasks)


@pytest.mark.parametrize("cancels", [True, False])
@run_async
async def test_closing_in_another_task_ends_who_waits_for_a_message(
    app: Erlen, cancels: bool
) -> None:
    note = Note()

    @app.websocket("/", cancel_on_disconnect=cancels)
    async def view(socket: Websocket) -> None:
        async def close() -> None:
            await note.until("reads")
            await asyncio.sleep(0)
            await socket.close(4000, "enough")

        await socket.accept()
        closing = asyncio.create_task(close())
        await note.add("reads")
        with pytest.raises(WebsocketDisconnected, match="4000 enough"):
            await socket.receive()
        await closing
        await asyncio.sleep(0)
        await note.add("went on")

    async with connected(app) as client:
        await client.end()
        if sys.version_info >= (3, 11):
            assert client.task.cancelling() == 0
    assert note.steps == ["reads", "went on"]
    assert client.close == (4000, "enough")


@run_async
async def test_closing_ends_the_readers_in_other_tasks_too(app: Erlen) -> None:
    note = Note()

    @app.websocket("/")
    async def view(socket: Websocket) -> None:
        async def read() -> None:
            async with catching(note):
                await socket.receive()

        await socket.accept()
        readers = [asyncio.create_task(read()) for _ in range(3)]
        await asyncio.sleep(0.001)
        await socket.close()
        await asyncio.gather(*readers, return_exceptions=True)

    async with connected(app) as client:
        await client.end()
    assert note.steps == ["WebsocketDisconnected"] * 3


@pytest.mark.skipif(sys.version_info < (3, 11), reason="cannot tell who cancelled")
@run_async
async def test_who_is_cancelled_by_others_too_is_cancelled(app: Erlen) -> None:
    note = Note()

    @app.websocket("/")
    async def view(socket: Websocket) -> None:
        async def read() -> None:
            async with catching(note):
                await socket.receive()

        await socket.accept()
        reader = asyncio.create_task(read())
        await asyncio.sleep(0)
        closing = asyncio.create_task(socket.close())
        asyncio.get_running_loop().call_soon(reader.cancel)
        await asyncio.wait([reader, closing])

    async with connected(app) as client:
        await client.end()
    assert note.steps in (["CancelledError"], ["WebsocketDisconnected"])
    assert client.close == (1000, "")


@run_async
async def test_a_plain_view_ends_when_its_connection_is_cancelled(app: Erlen) -> None:
    ended: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    @app.websocket("/")
    def view(socket: BlockingWebsocket) -> None:
        try:
            socket.send("here")
            socket.receive()
        except BaseException as error:
            loop.call_soon_threadsafe(ended.put_nowait, type(error).__name__)
            raise

    client = Client(app)
    client.start()
    assert await client.receive() == "here"
    client.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await client.task
    how = await asyncio.wait_for(ended.get(), 10)
    assert how in ("CancelledError", "WebsocketDisconnected")
    while asyncio.all_tasks() != {asyncio.current_task()}:
        await asyncio.sleep(0)


# Nothing is left behind


@run_async
async def test_clients_that_leave_at_any_moment_leave_nothing_behind(app: Erlen) -> None:
    alive: weakref.WeakSet[Any] = weakref.WeakSet()
    dice = random.Random(7)

    @app.before_websocket
    async def before() -> None:
        g.kept = Holder()
        alive.add(g.kept)
        alive.add(request._get_current_object())  # type: ignore[attr-defined]
        await asyncio.sleep(dice.choice([0, 0, 0.001]))

    class Holder:
        pass

    @app.websocket("/<int:kind>")
    async def view(socket: Websocket, kind: int) -> None:
        alive.add(socket)
        async for message in socket:
            await socket.send(message)
            if kind == 1:
                await forever()
            if kind == 2:
                child = asyncio.create_task(socket.receive())
                try:
                    await asyncio.wait([child], timeout=0.001)
                finally:
                    child.cancel()
                    await asyncio.wait([child])

    async def one() -> None:
        client = Client(app, f"/{dice.randrange(3)}")
        client.start()
        for _ in range(dice.randrange(4)):
            client.send("x" * dice.randrange(100))
            await asyncio.sleep(dice.choice([0, 0, 0.001]))
        dice.choice([client.leave, client.vanish])()
        await client.end()

    async def many(number: int) -> None:
        await asyncio.gather(*(one() for _ in range(number)))

    await many(100)
    greenlets = count_greenlets_at_work()
    for _ in range(5):
        await many(100)
    assert count_greenlets_at_work() <= greenlets
    assert len(alive) == 0


def count_greenlets_at_work() -> int:
    """Without those that wait in this thread's pool: it is emptied."""
    greenlets.of_thread.greenlets = greenlets.Pool()
    gc.collect()
    # By type: some objects answer `isinstance` with a warning.
    return sum(issubclass(type(thing), greenlet) for thing in gc.get_objects())

"""Connections of a pool in coroutine views: who waits for one does not stop those who have them."""

from __future__ import annotations

import asyncio
import threading
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor

import pytest

from erlen import Erlen
from erlen.engine import bridge

sqlalchemy = pytest.importorskip("sqlalchemy")

from sqlalchemy.exc import TimeoutError as PoolTimeout  # noqa: E402

from erlen.pools import QueuePool  # noqa: E402


@pytest.fixture
def engine(tmp_path: t.Any) -> t.Iterator[t.Any]:
    engine = sqlalchemy.create_engine(
        f"sqlite:///{tmp_path}/test.db",
        poolclass=QueuePool,
        pool_size=2,
        max_overflow=0,
        pool_timeout=5,
        connect_args={"check_same_thread": False},
    )
    yield engine
    engine.dispose()


async def call(app: t.Any) -> int:
    statuses: list[int] = []

    async def receive() -> dict[str, t.Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: dict[str, t.Any]) -> None:
        if "status" in message:
            statuses.append(message["status"])

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", b"localhost")]}
    await app({**scope, "query_string": b"", "http_version": "1.1"}, receive, send)
    return statuses[0]


def test_views_that_keep_connections_while_they_wait_take_turns(app: Erlen, engine: t.Any) -> None:
    most = 0

    @app.route("/")
    async def view() -> str:
        nonlocal most
        with engine.connect() as connection:
            most = max(most, engine.pool.checkedout())
            await asyncio.sleep(0.005)
            return str(connection.execute(sqlalchemy.text("select 1")).scalar())

    async def main() -> list[int]:
        return await asyncio.gather(*(call(app) for _ in range(40)))

    assert asyncio.run(main()) == [200] * 40
    assert (most, engine.pool.checkedout()) == (2, 0)


def test_who_waits_for_too_long_is_told_so_and_the_loop_has_gone_on(engine: t.Any) -> None:
    engine.pool._timeout = 0.1
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.01)

    async def main() -> None:
        with engine.connect(), engine.connect():
            counting = asyncio.create_task(count())
            with pytest.raises(PoolTimeout):
                await bridge.run(engine.connect)
            counting.cancel()
        (await bridge.run(engine.connect)).close()

    asyncio.run(main())
    assert turns >= 3


def test_who_is_cancelled_while_waiting_leaves_the_connection_to_the_next(engine: t.Any) -> None:
    got: list[int] = []

    async def take(number: int) -> None:
        connection = await bridge.run(engine.connect)
        got.append(number)
        connection.close()

    async def main() -> None:
        first, second = engine.connect(), engine.connect()
        tasks = [asyncio.create_task(take(number)) for number in range(3)]
        await asyncio.sleep(0)
        first.close()
        tasks[0].cancel()  # whose turn it would be
        await asyncio.wait(tasks, timeout=5)
        second.close()

    asyncio.run(main())
    assert got == [1, 2]
    assert engine.pool.checkedout() == 0


def test_connections_are_given_in_the_order_of_the_questions(engine: t.Any) -> None:
    got: list[int] = []

    async def take(number: int) -> None:
        connection = await bridge.run(engine.connect)
        got.append(number)
        await asyncio.sleep(0)
        connection.close()

    async def main() -> None:
        held = [engine.connect(), engine.connect()]
        tasks = [asyncio.create_task(take(number)) for number in range(10)]
        await asyncio.sleep(0)
        for connection in held:
            connection.close()
        await asyncio.gather(*tasks)

    asyncio.run(main())
    assert got == list(range(10))


def test_threads_and_coroutines_share_a_pool(engine: t.Any) -> None:
    def on_thread(_: int) -> int:
        with engine.connect() as connection:
            time.sleep(0.001)
            return int(connection.execute(sqlalchemy.text("select 1")).scalar())

    async def main(threads: ThreadPoolExecutor) -> int:
        loop = asyncio.get_running_loop()

        async def on_loop() -> int:
            connection = await bridge.run(engine.connect)
            await asyncio.sleep(0.001)
            connection.close()
            return 1

        blocking = [loop.run_in_executor(threads, on_thread, number) for number in range(30)]
        return sum(await asyncio.gather(*blocking, *(on_loop() for _ in range(30))))

    with ThreadPoolExecutor(4) as threads:
        assert asyncio.run(main(threads)) == 60
    assert engine.pool.checkedout() == 0


def test_outside_of_event_loops_it_is_the_usual_pool(engine: t.Any) -> None:
    first, second = engine.connect(), engine.connect()
    timer = threading.Timer(0.05, first.close)
    timer.start()
    engine.connect().close()
    timer.join()
    second.close()
    assert engine.pool.checkedout() == 0

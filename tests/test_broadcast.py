"""Groups: everybody who listens hears, in one process and through Redis."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from databases import Redis
from serving import ASGI_SERVERS, free_port, running
from sockets import connected, run_async

from erlen import Erlen, await_, websocket
from erlen.broadcast import BroadcastError, Group, SlowSubscriber
from erlen.errors import MissingExtra, SetupError
from erlen.lifespan import life_of

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    pytest.importorskip("redis", reason="redis is not installed")
    server = Redis(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture(params=["memory", "redis", "redis over a unix socket"])
def group_app(app: Erlen, request: pytest.FixtureRequest) -> Erlen:
    """An application on each of the ways in turn."""
    if request.param != "memory":
        redis = request.getfixturevalue("redis")
        app.config["BROADCAST_URL"] = redis.unix if "unix" in request.param else redis.url
    return app


@contextlib.asynccontextmanager
async def closing(app: Erlen) -> Any:
    try:
        yield app.groups
    finally:
        await app.groups.aclose()


async def take(subscription: Any, number: int) -> list[str | bytes]:
    return [await asyncio.wait_for(subscription.__anext__(), 10) for _ in range(number)]


# Subscribers


@run_async
async def test_everybody_in_a_group_gets_each_message_once_and_in_order(group_app: Erlen) -> None:
    async with closing(group_app) as groups:
        async with groups["a"].subscribe() as one, groups["a"].subscribe() as two:
            async with groups["b"].subscribe() as other:
                for number in range(20):
                    await groups["a"].send(str(number))
                await groups["b"].send(b"\x00\xff")
                await groups["a"].send_json(last=[True, "\N{SNOWMAN}"])
                numbers = [str(number) for number in range(20)]
                last = '{"last": [true, "\\u2603"]}'
                assert await take(one, 21) == [*numbers, last]
                assert await take(two, 21) == [*numbers, last]
                assert await take(other, 1) == [b"\x00\xff"]


@run_async
async def test_who_has_left_or_comes_later_hears_nothing(group_app: Erlen) -> None:
    async with closing(group_app) as groups:
        group = groups["a"]
        await group.send("before")
        async with group.subscribe() as early:
            await group.send("one")
            assert await take(early, 1) == ["one"]
        await group.send("between")
        async with group.subscribe() as late:
            await group.send("two")
            assert await take(late, 1) == ["two"]


@run_async
async def test_members_of_a_group_come_and_go(group_app: Erlen) -> None:
    async with closing(group_app) as groups:

        async def come_and_go(number: int) -> None:
            for turn in range(5):
                group = groups[f"group {(number + turn) % 3}"]
                async with group.subscribe() as messages:
                    await group.send(f"{number} {turn}")
                    while await messages.__anext__() != f"{number} {turn}":
                        pass

        await asyncio.wait_for(asyncio.gather(*(come_and_go(n) for n in range(20))), 30)


@run_async
async def test_waiting_for_a_message_may_be_given_up(group_app: Erlen) -> None:
    async with closing(group_app) as groups, groups["a"].subscribe() as messages:
        for _ in range(3):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(messages.__anext__(), 0.001)
        await groups["a"].send("x")
        assert await take(messages, 1) == ["x"]


@run_async
async def test_many_messages_at_once_overrun_nobody_who_listens(group_app: Erlen) -> None:
    async with closing(group_app) as groups, groups["a"].subscribe(size=16) as messages:
        heard = asyncio.ensure_future(take(messages, 1000))
        await asyncio.sleep(0)
        for number in range(500):
            await groups["a"].send(str(number))
        await asyncio.to_thread(lambda: [groups["a"].publish(str(n)) for n in range(500, 1000)])
        assert await heard == [str(number) for number in range(1000)]


@run_async
async def test_a_slow_subscriber_is_ended(app: Erlen) -> None:
    async with app.groups["a"].subscribe(size=3) as messages:
        for number in range(5):
            await app.groups["a"].send(str(number))
        for _ in range(2):
            with pytest.raises(SlowSubscriber, match="'a' let more than 3 messages"):
                await messages.__anext__()


@run_async
async def test_a_slow_subscriber_may_have_the_oldest_dropped(app: Erlen) -> None:
    app.config["BROADCAST_QUEUE_SIZE"] = 3
    async with app.groups["a"].subscribe(overflow="drop") as messages:
        for number in range(5):
            await app.groups["a"].send(str(number))
        assert messages.dropped == 2
        assert await take(messages, 3) == ["2", "3", "4"]


@run_async
async def test_few_messages_may_be_too_many_bytes(app: Erlen) -> None:
    large = "x" * 6_000_000
    async with app.groups["a"].subscribe(overflow="drop") as messages:
        for number in range(4):
            await app.groups["a"].send(f"{number}{large}")
        assert messages.dropped == 2
        assert [text[0] for text in await take(messages, 2)] == ["2", "3"]
        await app.groups["a"].send(large * 4)
        assert await take(messages, 1) == [large * 4]
    async with app.groups["a"].subscribe() as messages:
        for _ in range(3):
            await app.groups["a"].send(large)
        with pytest.raises(SlowSubscriber):
            await messages.__anext__()


# Sockets


@run_async
async def test_a_socket_that_has_joined_is_sent_what_the_group_is(group_app: Erlen) -> None:
    async with closing(group_app) as groups:

        @group_app.websocket("/<room>")
        async def chat(room: str) -> None:
            async with groups[room].join(websocket):
                await websocket.send("joined")
                async for message in websocket:
                    await groups[room].send(message)

        async with connected(group_app, "/a") as one, connected(group_app, "/a") as two:
            async with connected(group_app, "/b") as other:
                for client in (one, two, other):
                    assert await client.receive() == "joined"
                one.send("hello", b"bytes")
                other.send("elsewhere")
                for client in (one, two):
                    assert [await client.receive() for _ in range(2)] == ["hello", b"bytes"]
                assert await other.receive() == "elsewhere"
                two.vanish()
                await two.end()
                one.send("left")
                assert await one.receive() == "left"


@run_async
async def test_a_plain_view_joins_and_publishes(group_app: Erlen) -> None:
    async with closing(group_app) as groups:

        @group_app.websocket("/plain")
        def chat(socket: Any) -> None:
            with groups["a"].join(socket):
                socket.send("joined")
                for message in socket:
                    groups["a"].publish(message)

        async with connected(group_app, "/plain") as one, connected(group_app, "/plain") as two:
            for client in (one, two):
                assert await client.receive() == "joined"
            one.send("hello")
            for client in (one, two):
                assert await client.receive() == "hello"


def test_a_wsgi_view_publishes_to_sockets_of_another_thread(group_app: Erlen) -> None:
    @group_app.post("/say")
    def say() -> str:
        group_app.groups["a"].publish("plain")
        group_app.groups["a"].publish_json(kind="json")
        return "said"

    @group_app.post("/say-async")
    async def say_async() -> str:
        await group_app.groups["a"].send("coroutine")
        return "said"

    ready = threading.Event()
    heard: list[Any] = []

    async def listen() -> None:
        async with closing(group_app) as groups, groups["a"].subscribe() as messages:
            ready.set()
            heard.extend(await take(messages, 3))

    listener = threading.Thread(target=lambda: asyncio.run(listen()))
    listener.start()
    assert ready.wait(10)
    client = group_app.test_client()
    assert client.post("/say").text == client.post("/say-async").text == "said"
    listener.join(10)
    assert heard == ["plain", '{"kind": "json"}', "coroutine"]
    # Connections of this thread's own loop.
    await_(group_app.groups.aclose())


@run_async
async def test_a_client_that_does_not_keep_up_is_told_to_come_again(app: Erlen) -> None:
    @app.websocket("/")
    async def view(socket: Any) -> None:
        async with app.groups["a"].join(socket, size=3):
            async for _ in socket:
                raise AssertionError

    async with connected(app) as client:
        await client.next()
        stuck = asyncio.Event()

        async def get_stuck(message: Any) -> None:
            if message["type"] == "websocket.send":
                stuck.set()
                await asyncio.get_running_loop().create_future()

        client.hold = get_stuck
        while not app.groups["a"].listeners:
            await asyncio.sleep(0)
        for number in range(5):
            await app.groups["a"].send(str(number))
            await asyncio.sleep(0)
        assert stuck.is_set()
        await client.next()
    assert client.close == (1013, "too slow")


@run_async
async def test_a_socket_whose_oldest_messages_are_dropped_stays_open(app: Erlen) -> None:
    @app.websocket("/")
    async def view(socket: Any) -> None:
        async with app.groups["a"].join(socket, size=2, overflow="drop"):
            await socket.receive()

    async with connected(app) as client:
        await client.next()
        while not app.groups["a"].listeners:
            await asyncio.sleep(0)
        for number in range(10):
            app.groups["a"].publish(str(number))
        assert [await client.receive() for _ in range(2)] == ["8", "9"]


@run_async
async def test_an_error_of_sending_reaches_the_view(app: Erlen) -> None:
    @app.websocket("/")
    async def view(socket: Any) -> None:
        with pytest.raises(RuntimeError, match="the server's fault"):
            async with app.groups["a"].join(socket) as member:
                await app.groups["a"].send("x")
                await asyncio.wait([member._pump])

    async with connected(app) as client:

        async def fail(message: Any) -> None:
            if message["type"] == "websocket.send":
                raise RuntimeError("the server's fault")

        client.hold = fail
        await client.end()


# What is refused


@pytest.mark.parametrize("name", ["", None, 3, b"bytes"])
def test_a_group_has_a_name(app: Erlen, name: Any) -> None:
    with pytest.raises(TypeError, match="name of a group"):
        app.groups[name]


def test_a_message_is_text_or_bytes(app: Erlen) -> None:
    with pytest.raises(TypeError, match="'send_json' and 'publish_json'"):
        app.groups["a"].publish({"a": 1})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "text"), [({"size": 0}, "At least one"), ({"overflow": "x"}, "'end' or 'drop'")]
)
def test_a_subscription_that_cannot_work_is_refused(app: Erlen, options: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        app.groups["a"].subscribe(**options)


def test_a_url_of_something_else_is_refused(app: Erlen) -> None:
    app.config["BROADCAST_URL"] = "amqp://localhost"
    with pytest.raises(SetupError, match="has to be a URL of Redis"):
        app.groups["a"].publish("x")


def test_without_the_package_the_error_names_the_extra(
    app: Erlen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    monkeypatch.delitem(sys.modules, "erlen.broadcast.redis", raising=False)
    app.config["BROADCAST_URL"] = "redis://127.0.0.1:1"
    with pytest.raises(MissingExtra, match=r"pip install 'erlen\[redis\]'"):
        app.groups["a"].publish("x")


def test_a_group_prints_its_name(app: Erlen) -> None:
    assert repr(app.groups["a"]) == "<Group 'a'>"
    assert isinstance(app.groups["a"], Group)


# Redis alone


@run_async
async def test_a_server_that_is_not_there_is_an_error(app: Erlen) -> None:
    pytest.importorskip("redis", reason="redis is not installed")
    app.config["BROADCAST_URL"] = f"redis://127.0.0.1:{free_port()}/0"
    async with closing(app) as groups:
        with pytest.raises(BroadcastError, match="cannot be reached, or refuses"):
            await groups["a"].send("x")
        with pytest.raises(BroadcastError, match="cannot be reached, or refuses"):
            await asyncio.to_thread(groups["a"].publish, "x")


@run_async
async def test_listening_goes_on_when_redis_is_back(
    app: Erlen, tmp_path: Path, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    own = Redis(tmp_path)
    app.config["BROADCAST_URL"] = own.url
    try:
        async with closing(app) as groups, groups["a"].subscribe() as messages:
            await groups["a"].send("one")
            assert await take(messages, 1) == ["one"]
            with caplog.at_level(logging.WARNING):
                own.stop()
                with pytest.raises(BroadcastError):
                    await groups["a"].send("lost")
                own.start()
                heard = asyncio.ensure_future(take(messages, 1))
                while not heard.done():
                    await groups["a"].send("two")
                    await asyncio.sleep(0.02)
                assert await heard == ["two"]
            assert "Messages are not received until Redis is back" in caplog.text
            async with groups["b"].subscribe() as others:
                await groups["b"].send("three")
                assert await take(others, 1) == ["three"]
    finally:
        own.stop()


@run_async
async def test_connections_are_closed_when_serving_ends(app: Erlen, redis: Redis) -> None:
    app.config["BROADCAST_URL"] = redis.url

    @app.after_serving
    async def say_goodbye() -> None:
        await app.groups["a"].send("goodbye")

    life = life_of(app)
    assert await life.enter()
    await app.groups["a"].send("x")
    await life.leave()
    hub: Any = app.groups._current_hub()
    assert not hub._ends


@run_async
async def test_a_message_of_another_kind_is_logged_and_skipped(
    app: Erlen, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    from redis import Redis as Client

    app.config.update(BROADCAST_URL=redis.url, BROADCAST_PREFIX="own:")
    async with closing(app) as groups, groups["a"].subscribe() as messages:
        with contextlib.closing(Client.from_url(redis.url)) as client:
            client.publish("own:a", b"no kind")
            client.publish("own:a", b"t\xff")
        await groups["a"].send("x")
        assert await take(messages, 1) == ["x"]
    assert caplog.text.count("is not understood") == 2


@pytest.mark.live
@pytest.mark.parametrize("kind", ASGI_SERVERS)
def test_two_workers_share_their_groups(kind: str, redis: Redis) -> None:
    connect = pytest.importorskip("websockets.sync.client").connect
    with (
        running(kind, app="websocket_app:app", BROADCAST_URL=redis.url) as one,
        running(kind, app="websocket_app:app", BROADCAST_URL=redis.url) as two,
        connect(f"ws://127.0.0.1:{one.port}/chat/{kind}") as here,
        connect(f"ws://127.0.0.1:{two.port}/chat/{kind}") as there,
    ):
        for member in (here, there):
            assert member.recv(timeout=10) == "joined"
        here.send("hello")
        assert here.recv(timeout=10) == there.recv(timeout=10) == "hello"
        two.fetch("POST", f"/chat/{kind}", b"from a request")
        assert here.recv(timeout=10) == there.recv(timeout=10) == "from a request"

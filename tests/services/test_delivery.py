"""Fifty clients of Socket.IO over two workers: each message arrives once and in order, although a
worker is killed meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, nullcontext
from itertools import cycle, repeat
from pathlib import Path
from typing import Any

import pytest
from databases import Redis
from serving import Server, running, wait_until
from workers import connect_to_both, stopped

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]

pytest.importorskip("flask_socketio", reason="Flask-SocketIO is not installed")
socketio = pytest.importorskip("socketio", reason="python-socketio is not installed")
pytest.importorskip("aiohttp", reason="aiohttp is not installed")

CLIENTS, ROOMS, EACH = 50, 25, 100
#: Messages of a sender that are on their way at a time.
WINDOW = 8
#: Seconds of silence after which a listener that lacks something asks for it.
SILENCE = 1.0


class Member:
    """A client that says its messages in a room, and hears those of all its members."""

    def __init__(self, number: int) -> None:
        self.name = f"member-{number}"
        self.room = f"room-{number % ROOMS}"
        #: What was taken, in the order of the room.
        self.heard: list[str] = []
        self._early: dict[int, str] = {}
        self.acknowledged = 0
        self.workers: list[int] = []
        self.connected = asyncio.Event()
        self._changed = asyncio.Event()
        self.client = socketio.AsyncClient(reconnection_delay=0.1, reconnection_delay_max=0.5)
        self.client.on("connect", self._connect)
        self.client.on("disconnect", self._disconnect)
        self.client.on("welcome", self.workers.append)
        self.client.on("said", self._hear)

    async def _connect(self) -> None:
        await self.client.emit("join", self.room)
        await self._ask()
        self.connected.set()
        self._changed.set()

    async def _disconnect(self, *reason: Any) -> None:
        self.connected.clear()
        self._changed.set()

    async def _ask(self) -> None:
        """Ask for what the room has said since the last message that was taken."""
        await self.client.emit("since", (self.room, len(self.heard)))

    async def _hear(self, said: list[Any]) -> None:
        place, entry = said
        if place <= len(self.heard) or place in self._early:
            return
        self._early[place] = entry
        while len(self.heard) + 1 in self._early:
            self.heard.append(self._early.pop(len(self.heard) + 1))
        self._changed.set()

    def _acknowledge(self, number: int) -> None:
        self.acknowledged = max(self.acknowledged, number)
        self._changed.set()

    async def say(self, last: int) -> None:
        """Say the messages up to a number; after a loss of the connection again from what is
        acknowledged."""
        while self.acknowledged < last:
            await self.connected.wait()
            said = self.acknowledged
            while self.connected.is_set() and self.acknowledged < last:
                said = max(said, self.acknowledged)
                if said >= min(last, self.acknowledged + WINDOW):
                    self._changed.clear()
                    await self._changed.wait()
                    continue
                said += 1
                try:
                    await self.client.emit(
                        "say", (self.room, self.name, said), callback=self._acknowledge
                    )
                except socketio.exceptions.BadNamespaceError:  # the connection is being lost
                    self.connected.clear()

    async def hear(self, number: int) -> None:
        """Listen until so many messages were heard; ask for the last ones where these got lost."""
        while len(self.heard) < number:
            before = len(self.heard)
            try:
                await asyncio.wait_for(self._until_change(before), SILENCE)
            except asyncio.TimeoutError:
                if self.connected.is_set():
                    await self._ask()

    async def _until_change(self, before: int) -> None:
        while len(self.heard) == before:
            self._changed.clear()
            await self._changed.wait()


async def connect_all(kind: str, server: Server, clients: list[Any]) -> None:
    """Connect clients to both workers."""

    def connect() -> tuple[int, int]:
        return (worker := worker_of(server)), worker

    (one, *_), (other, *_) = await asyncio.to_thread(connect_to_both, kind, connect)
    # Gunicorn's workers wait at one socket, which one of them may have to itself.
    held = cycle([one, other]) if kind.startswith("gunicorn") else repeat(None)
    for client, worker in zip(clients, held, strict=False):
        with stopped(worker) if worker else nullcontext():
            await client.connect(f"http://127.0.0.1:{server.port}", transports=["websocket"])


def worker_of(server: Server) -> int:
    """The worker that a request comes to."""
    return int(json.loads(server.fetch("GET", "/")[1])["pid"])


async def converse(kind: str, server: Server) -> tuple[list[Member], list[int]]:
    """The members say everything, and both workers are killed on the way, one after the other.

    Gives the members and the workers that were killed.
    """
    members = [Member(number) for number in range(CLIENTS)]
    async with AsyncExitStack() as at_end:
        for member in members:
            at_end.push_async_callback(member.client.disconnect)
        await connect_all(kind, server, [member.client for member in members])
        for member in members:
            await member.connected.wait()
        workers = {member.workers[0] for member in members}
        assert len(workers) == 2
        killed = []
        for last in (EACH // 2, EACH):
            saying = [asyncio.ensure_future(member.say(last)) for member in members]
            hearing = [
                asyncio.ensure_future(member.hear(last * len(members) // ROOMS))
                for member in members
            ]
            await members[0].hear(len(members[0].heard) + EACH // 4)
            assert not all(task.done() for task in saying)
            killed.append((workers - {*killed}).pop())
            os.kill(killed[-1], signal.SIGKILL)
            await asyncio.gather(*saying, *hearing)
            await asyncio.to_thread(wait_for_another, server, {*workers})
    return members, killed


def wait_for_another(server: Server, workers: set[int]) -> None:
    """Wait until a request is served by a worker that is none of these."""

    wait_until(lambda: worker_of(server) not in workers, server.process)


OPTIONS = {
    "granian-auto": ("--grace", "1"),
    "gunicorn-gthread": ("--threads", "120", "--graceful-timeout", "1"),
}


@pytest.fixture(params=OPTIONS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@contextmanager
def two_workers(kind: str, app: str, redis: Redis) -> Iterator[Server]:
    with running(
        kind,
        app=f"{app}:app",
        workers=2,
        cwd=Path(__file__).parent,
        options=OPTIONS[kind],
        ERLEN_AS_FLASK="1",
        REDIS=redis.url,
    ) as server:
        yield server


def test_each_message_arrives_once_and_in_order_though_workers_die(kind: str, redis: Redis) -> None:
    clear(redis)
    with two_workers(kind, "delivery_app", redis) as server:
        members, killed = asyncio.run(converse(kind, server))

    for member in members:
        own = [other.name for other in members if other.room == member.room]
        said = {f"{name}:{number}": 1 for name in own for number in range(1, EACH + 1)}
        assert Counter(member.heard) == said
        for name in own:
            numbers = [int(e.partition(":")[2]) for e in member.heard if e.startswith(f"{name}:")]
            assert numbers == list(range(1, EACH + 1))
        # All members of a room agree on what was said when.
        assert member.heard == members[int(member.room[5:])].heard
    # Whoever was with a worker that was killed has moved, in the end to one that came later.
    assert all(member.workers[-1] not in killed for member in members)
    assert sum(len(member.workers) - 1 for member in members) >= CLIENTS


def clear(redis: Redis) -> None:
    from redis import Redis as Client

    with Client.from_url(redis.url) as client:
        client.flushall()


@pytest.mark.parametrize("kind", ["granian-auto"])
def test_without_a_loss_socket_io_alone_does_so(kind: str, redis: Redis) -> None:
    """As it promises, as long as no connection ends."""
    clients = [socketio.AsyncClient(reconnection=False) for _ in range(CLIENTS)]
    heard: list[list[Any]] = [[] for _ in clients]
    rooms = [f"room-{number % ROOMS}" for number in range(CLIENTS)]

    async def converse() -> None:
        async with AsyncExitStack() as at_end:
            for client, mine in zip(clients, heard, strict=True):
                client.on("said", mine.append)
                at_end.push_async_callback(client.disconnect)
            await connect_all(kind, server, clients)
            for client, room in zip(clients, rooms, strict=True):
                await client.call("join", room)
            for number in range(EACH):
                for sender, (client, room) in enumerate(zip(clients, rooms, strict=True)):
                    await client.emit("say", (room, [sender, number]))
            # Behind all that was said before, on each worker's way to each client.
            ends = [asyncio.Event() for _ in clients]
            for client, end in zip(clients, ends, strict=True):
                client.on("told", lambda told, end=end: end.set())
                await client.call("join", "all")
            for client in clients:
                await client.call("echo", "all is said")
            await asyncio.to_thread(server.fetch, "POST", "/tell/all")
            await asyncio.gather(*(end.wait() for end in ends))

    with two_workers(kind, "socketio_app", redis) as server:
        asyncio.run(converse())

    for room, mine in zip(rooms, heard, strict=True):
        own = [sender for sender in range(CLIENTS) if rooms[sender] == room]
        assert len(mine) == EACH * len(own)
        for sender in own:
            numbers = [number for _, (by, number) in mine if by == sender]
            assert numbers == list(range(EACH))

"""Clients that leave: nothing of theirs stays behind, what runs for them ends in time."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
import typing as t
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest
from scopes import http
from serving import Server, read_all, running

from benchmarks.departures import sockets
from erlen import Erlen, Response, await_, request

needs_proc = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def silent(text: str) -> None:
    """Take a report that nobody reads."""


@needs_proc
@pytest.mark.timeout(120)
def test_clients_that_leave_at_any_moment_leave_nothing_behind() -> None:
    # In a process of its own, whose memory is that of these clients alone.
    code = (
        "import tracemalloc; tracemalloc.start();"
        "from benchmarks.departures import inprocess;"
        "print(inprocess.run(600, 400, lambda text: None))"
    )
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=100
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


@needs_proc
@pytest.mark.live
@pytest.mark.timeout(120)
@pytest.mark.parametrize("server", sockets.COMMANDS)
def test_clients_that_leave_a_server_leave_nothing_behind(server: str) -> None:
    pytest.importorskip(server.partition("-")[0], reason=f"{server} is not installed")
    assert sockets.run(server, 500, warm_up=400, report=silent) == []


# In process, with a client that leaves when it is told to


class Client:
    """A client of an ASGI application, and what the application gets to know."""

    def __init__(self, app: t.Any, path: str = "/", body: bytes = b"", **options: t.Any) -> None:
        self.app = app
        self.scope = http(path, "POST" if body else "GET", **options)
        self.messages = [
            {"type": "http.request", "body": body[at : at + 65_536], "more_body": True}
            for at in range(0, len(body), 65_536)
        ]
        self.messages.append({"type": "http.request", "body": b"", "more_body": False})
        self.sent: list[dict[str, t.Any]] = []
        self.has_left = asyncio.Event()
        self.was_sent = asyncio.Event()
        self.was_asked = asyncio.Event()
        self.receives = 0

    async def receive(self) -> dict[str, t.Any]:
        self.receives += 1
        self.was_asked.set()
        if self.messages:
            return self.messages.pop(0)
        await self.has_left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, t.Any]) -> None:
        self.sent.append(message)
        if message.get("body"):
            self.was_sent.set()

    async def leaves_after(self, happened: asyncio.Event) -> float:
        """Leave when something has happened; the seconds until the application has ended."""
        task = asyncio.create_task(self.app(self.scope, self.receive, self.send))
        await asyncio.wait_for(happened.wait(), 10)
        # The watch begins 50 ms after the request.
        left = time.perf_counter()
        self.has_left.set()
        await asyncio.wait_for(task, 10)
        return time.perf_counter() - left


async def while_others_are_cancelled() -> None:
    """Wait for as long as it takes until the views of two other clients are cancelled, which leave.

    Whoever left before the first of them would have been noticed before the second.
    """
    app = Erlen("others")
    begun = asyncio.Event()
    ends: list[str] = []

    @app.route("/", cancel_on_disconnect=True)
    async def other() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ends.append("cancelled")

    for _ in range(2):
        begun.clear()
        await Client(app).leaves_after(begun)
    assert ends == ["cancelled"] * 2


@pytest.mark.parametrize("body", [b"", b"x" * 10, b"x" * 1_000_000], ids=["none", "small", "large"])
def test_an_async_stream_is_closed_within_a_tenth_of_a_second(app: Erlen, body: bytes) -> None:
    ends: list[str] = []

    @app.route("/", methods=["GET", "POST"])
    async def view() -> Response:
        async def generate() -> t.AsyncIterator[bytes]:
            try:
                yield b"begun"
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                ends.append("cancelled")
                raise
            finally:
                await asyncio.sleep(0)
                ends.append("closed")

        return Response(generate())

    async def main() -> float:
        client = Client(app, body=body)
        return await client.leaves_after(client.was_sent)

    # A large body that nobody reads is looked at each 50 ms.
    assert asyncio.run(main()) < (0.2 if len(body) > 65_536 else 0.1)
    assert ends == ["cancelled", "closed"]


def test_a_sync_stream_is_closed_with_its_next_piece(app: Erlen) -> None:
    ends: list[str] = []

    @app.route("/")
    def view() -> Response:
        def generate() -> t.Iterator[bytes]:
            try:
                while True:
                    yield b"piece"
                    time.sleep(0.01)
            finally:
                ends.append("closed")

        return Response(generate())

    async def main() -> float:
        client = Client(app)
        return await client.leaves_after(client.was_sent)

    assert asyncio.run(main()) < 0.1
    assert ends == ["closed"]


def test_a_stream_that_never_waits_leaves_others_their_turns(app: Erlen) -> None:
    ends: list[str] = []

    @app.route("/")
    async def view() -> Response:
        async def generate() -> t.AsyncIterator[bytes]:
            try:
                while True:
                    yield b"more"
            finally:
                ends.append("closed")

        return Response(generate())

    async def main() -> float:
        client = Client(app)
        return await client.leaves_after(client.was_sent)

    assert asyncio.run(main()) < 0.5
    assert ends == ["closed"]


@pytest.mark.parametrize("large", [False, True], ids=["small", "large"])
def test_a_stream_may_read_the_body_late(app: Erlen, large: bool) -> None:
    """What is received in search of the client's end is not lost to who reads it in the end."""
    size = 1_000_000 if large else 1_000
    clients: list[Client] = []

    @app.route("/", methods=["POST"])
    async def view() -> Response:
        stream = request.stream

        async def generate() -> t.AsyncIterator[bytes]:
            yield b"begun "
            await clients[0].was_asked.wait()
            read = 0
            while piece := stream.read(10_000):
                read += len(piece)
                await asyncio.sleep(0)
            yield str(read).encode()

        return Response(generate())

    async def main() -> bytes:
        client = Client(app, body=b"x" * size)
        clients.append(client)
        await asyncio.wait_for(app(client.scope, client.receive, client.send), 10)
        return b"".join(message.get("body", b"") for message in client.sent)

    assert asyncio.run(main()) == b"begun %d" % size


@pytest.mark.parametrize(
    ("route", "config", "is_cancelled"),
    [
        ({}, {}, False),
        ({"cancel_on_disconnect": True}, {}, True),
        ({"cancel_on_disconnect": False}, {}, False),
        ({}, {"CANCEL_ON_DISCONNECT": True}, True),
        ({"cancel_on_disconnect": False}, {"CANCEL_ON_DISCONNECT": True}, False),
    ],
    ids=["by default", "by route", "not by route", "by key", "by key, but not by route"],
)
def test_a_view_is_cancelled_only_where_that_is_asked_for(
    app: Erlen, route: t.Any, config: t.Any, is_cancelled: bool
) -> None:
    app.config.update(config)
    events: list[str] = []
    begun = asyncio.Event()

    @app.teardown_request
    def teardown(error: BaseException | None) -> None:
        events.append(f"torn down after {type(error).__name__}")

    @app.route("/", **route)
    async def view() -> str:
        begun.set()
        try:
            if is_cancelled:
                await asyncio.Event().wait()
            await while_others_are_cancelled()
        except asyncio.CancelledError:
            events.append("cancelled")
            raise
        events.append("ended")
        return ""

    async def main() -> float:
        return await Client(app).leaves_after(begun)

    seconds = asyncio.run(main())
    if is_cancelled:
        assert events == ["cancelled", "torn down after CancelledError"]
        assert seconds < 0.1
    else:
        assert events == ["ended", "torn down after NoneType"]


def test_cleaning_up_is_not_cancelled_by_a_client_that_leaves_meanwhile(app: Erlen) -> None:
    events: list[str] = []
    cleaning = asyncio.Event()

    async def clean_up() -> None:
        cleaning.set()
        await while_others_are_cancelled()
        events.append("cleaned up")

    @app.route("/")
    async def view() -> Response:
        async def generate() -> t.AsyncIterator[bytes]:
            yield b"begun"

        response = Response(generate())
        response.call_on_close(lambda: await_(clean_up()))
        return response

    asyncio.run(leave_after(Client(app), cleaning))
    assert events == ["cleaned up"]


async def leave_after(client: Client, happened: asyncio.Event) -> None:
    await client.leaves_after(happened)


def test_who_cancels_the_task_as_well_is_heard(app: Erlen) -> None:
    """A server that shuts down, while the client leaves."""

    @app.route("/")
    async def view() -> Response:
        async def generate() -> t.AsyncIterator[bytes]:
            yield b"begun"
            await asyncio.Event().wait()

        return Response(generate())

    async def main() -> None:
        client = Client(app)
        task = asyncio.create_task(app(client.scope, client.receive, client.send))
        await client.was_sent.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_a_quick_request_is_watched_by_a_timer_at_most(app: Erlen) -> None:
    made: list[str] = []

    @app.route("/view")
    async def view() -> str:
        return ""

    @app.route("/watched", cancel_on_disconnect=True)
    async def watched() -> str:
        await asyncio.sleep(0)
        return ""

    @app.route("/stream")
    async def stream() -> Response:
        async def generate() -> t.AsyncIterator[bytes]:
            yield b"piece"

        return Response(generate())

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()

        def note(loop: t.Any, coro: t.Any, **options: t.Any) -> t.Any:
            made.append(coro.__qualname__)
            return asyncio.Task(coro, loop=loop, **options)

        loop.set_task_factory(note)
        for path in ("/view", "/watched", "/stream"):
            client = Client(app, path)
            await app(client.scope, client.receive, client.send)
            # Nobody has asked the server whether the client is there.
            assert client.receives == 0
        return made.copy()

    assert asyncio.run(main()) == []


# Over sockets


@pytest.fixture(scope="module", params=["granian-asgi", "uvicorn", "hypercorn", "granian"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with running(request.param, app="departures_app:app") as server:
        yield server


def ask(server: Server, path: str) -> socket.socket:
    connection = server.connect()
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return connection


def until(connection: socket.socket, text: bytes) -> None:
    received = b""
    while text not in received:
        piece = connection.recv(4096)
        assert piece, received
        received += piece


@pytest.mark.live
@pytest.mark.timeout(60)
@pytest.mark.parametrize("path", ["/silent", "/ticking", "/ticking-sync"])
def test_servers_have_streams_closed_within_a_tenth_of_a_second(server: Server, path: str) -> None:
    if server.kind == "granian" and path == "/silent":
        pytest.skip("a WSGI server notices when it sends")
    # Where others compute as well, one may have to wait for its turn: most of them count.
    assert median(seconds_until_closed(server, path) for _ in range(5)) < 0.1


def seconds_until_closed(server: Server, path: str) -> float:
    """How long after its client has left a stream is closed, which it tells by a connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        with ask(server, f"{path}?port={listener.getsockname()[1]}") as connection:
            until(connection, b"begun")
        left = time.time()
        call, _ = listener.accept()
        with call:
            return float(read_all(call)) - left


@pytest.mark.live
@pytest.mark.timeout(60)
def test_a_timeout_is_a_503_and_breaks_a_stream_off(server: Server) -> None:
    assert server.fetch("GET", "/slow")[0].status == 503
    assert server.fetch("GET", "/quick")[0].status == 200
    if server.kind == "granian":
        pytest.skip("its WSGI side ends a body that raises as if it were whole")
    with ask(server, "/slow-stream") as connection:
        received = read_all(connection)
    assert b"begun" in received
    # RFC 9112, 7.1: a chunked body that is whole ends with an empty chunk.
    assert not received.endswith(b"0\r\n\r\n")

"""Flask-SocketIO with real clients, over long polling and WebSocket, on three servers."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from databases import Redis
from serving import Server, free_port, running
from workers import connect_to_both

pytestmark = [pytest.mark.live, pytest.mark.timeout(60)]

pytest.importorskip("flask_socketio", reason="Flask-SocketIO is not installed")
socketio = pytest.importorskip("socketio", reason="python-socketio is not installed")
for needed in ("requests", "websocket"):
    pytest.importorskip(needed, reason="the client's parts of python-socketio are not installed")

HERE = Path(__file__).parent
LONG = "\N{SNOWMAN}" * 60_000
PATIENCE = 15

#: Enough threads, and no grace at the end for polls, which may last long.
OPTIONS = {
    "granian-auto": ("--grace", "1"),
    "gunicorn-gthread": ("--threads", "80", "--graceful-timeout", "1"),
}


class Developing(Server):
    """The development server, over WSGI or whatever the application wants."""

    def __init__(self, *, cwd: Path, **env: str) -> None:
        self.unix = None
        self.port = free_port()
        command = ["-m", "erlen", "--app", "socketio_app", "run", "--port", str(self.port)]
        self.start([sys.executable, *command], cwd, env)


@pytest.fixture(scope="module", params=["granian-auto", "gunicorn-gthread", "development"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    settings = {"cwd": HERE, "ERLEN_AS_FLASK": "1"}
    if request.param == "development":
        server = Developing(**settings)  # type: ignore[arg-type]
        yield server
        server.stop()
        return
    options = OPTIONS[request.param]
    with running(request.param, app="socketio_app:app", options=options, **settings) as server:
        yield server


@pytest.fixture(params=["polling", "websocket", "polling, then websocket"])
def ways(request: pytest.FixtureRequest) -> list[str]:
    return request.param.split(", then ")  # type: ignore[no-any-return]


class Client:
    """A client of python-socketio, with what it hears in queues."""

    def __init__(self, port: int, ways: list[str], **options: Any) -> None:
        self.heard: dict[str, Queue[Any]] = {}
        self.socket = socketio.Client(reconnection=False)
        self.socket.on("*", self.hear)
        self.socket.on("*", lambda event, *args: self.hear(event, *args), namespace="/numbers")
        self.socket.on("connect", lambda: self.hear("connected", True))
        self.socket.on("connect_error", lambda why: self.hear("connected", False))
        self.socket.connect(
            f"http://127.0.0.1:{port}", transports=ways, **{"wait": False} | options
        )
        self.is_welcome = self.next("connected")

    def hear(self, event: str, *values: Any) -> None:
        self.heard.setdefault(event, Queue()).put(values[0] if len(values) == 1 else values)

    def next(self, event: str) -> Any:
        return self.heard.setdefault(event, Queue()).get(timeout=PATIENCE)

    def call(self, event: str, *values: Any) -> Any:
        data = values if len(values) > 1 else values[0]
        return self.socket.call(event, data, timeout=PATIENCE)

    def leave(self) -> None:
        """Disconnect; python-socketio may wait for its last poll, until the server's next ping."""
        threading.Thread(target=self.socket.disconnect, daemon=True).start()


@pytest.fixture
def connect() -> Iterator[Callable[..., Client]]:
    clients: list[Client] = []

    def connect_one(port: int, ways: list[str], **options: Any) -> Client:
        clients.append(Client(port, ways, **options))
        return clients[-1]

    yield connect_one
    for client in clients:
        client.leave()


Connect = Callable[..., Client]


def test_client_is_greeted_by_its_name(server: Server, ways: list[str], connect: Connect) -> None:
    client = connect(server.port, ways, auth={"name": "Ada"})
    assert client.socket.transport() == ways[-1]
    welcome = client.next("welcome")
    assert (welcome["name"], welcome["path"]) == ("Ada", "/socket.io/")


def test_values_come_back_as_they_were(server: Server, ways: list[str], connect: Connect) -> None:
    client = connect(server.port, ways)
    for value in ("text", 7, {"a": [1, 2.5, True]}, b"\x00\xff", LONG, LONG.encode()):
        assert client.call("echo", value)[:2] == [value, "somebody"]


def test_rooms_hear_what_is_said_in_them(server: Server, ways: list[str], connect: Connect) -> None:
    ada, grace, alan = (connect(server.port, ways, auth={"name": n}) for n in ("A", "G", "T"))
    for client in (ada, grace):
        assert client.call("join", "tea") == "tea"
    assert alan.call("join", "coffee") == "coffee"
    for number in range(8):
        ada.socket.emit("say", ("tea", number))
    for client in (ada, grace):
        assert [client.next("said") for _ in range(8)] == [["A", n] for n in range(8)]
    grace.call("leave", "tea")
    ada.socket.emit("say", ("tea", "gone?"))
    ada.socket.emit("say", ("coffee", "here?"))
    assert alan.next("said") == ["A", "here?"]
    assert grace.call("echo", 1)[0] == 1
    assert grace.heard["said"].empty()


def test_views_tell_rooms(server: Server, ways: list[str], connect: Connect) -> None:
    client = connect(server.port, ways)
    client.call("join", "desk")
    assert server.fetch("POST", "/tell/desk")[0].status == 204
    assert client.next("told")["by"] == "a request"


def test_namespaces_are_apart(server: Server, ways: list[str], connect: Connect) -> None:
    client = connect(server.port, ways, namespaces=["/", "/numbers"], wait=True)
    client.socket.emit("count", 8, namespace="/numbers")
    assert [client.next("number") for _ in range(8)] == list(range(8))


def test_errors_of_handlers_reach_the_handler_of_errors(
    server: Server, ways: list[str], connect: Connect
) -> None:
    client = connect(server.port, ways)
    client.socket.emit("fail")
    assert client.next("failed") == "asked for"
    assert client.call("echo", "still here")[0] == "still here"


def test_client_that_is_refused_is_told(server: Server, ways: list[str], connect: Connect) -> None:
    assert not connect(server.port, ways, auth={"name": "Mallory"}).is_welcome
    assert connect(server.port, ways, auth={"name": "Ada"}).is_welcome


def test_client_that_leaves_is_noticed(server: Server, ways: list[str], connect: Connect) -> None:
    stays = connect(server.port, ways)
    stays.call("join", "door")
    leaves = connect(server.port, ways, auth={"name": "Ada"})
    leaves.next("welcome")
    leaves.leave()
    assert stays.next("left") == "Ada"


def test_requests_are_served_beside(server: Server, connect: Connect) -> None:
    connect(server.port, ["websocket"])
    assert server.fetch("GET", "/")[0].status == 200
    assert server.fetch("GET", "/nowhere")[0].status == 404


@pytest.mark.parametrize("kind", ["granian-auto", "gunicorn-gthread"])
def test_rooms_reach_over_two_workers(kind: str, redis: Redis, connect: Connect) -> None:
    """Long polling would need one worker for all requests of a client; a WebSocket has one."""
    settings = {"ERLEN_AS_FLASK": "1", "REDIS": redis.url}
    with running(
        kind, app="socketio_app:app", workers=2, cwd=HERE, options=OPTIONS[kind], **settings
    ) as server:

        def connect_one() -> tuple[Client, int]:
            client = connect(server.port, ["websocket"])
            return client, client.next("welcome")["pid"]

        clients = sum(connect_to_both(kind, connect_one, each=3), [])
        for client in clients:
            client.call("join", "tea")
        for number in range(5):
            clients[0].socket.emit("say", ("tea", number))
        for client in clients:
            assert [client.next("said")[1] for _ in range(5)] == list(range(5))
        assert server.fetch("POST", "/tell/tea")[0].status == 204
        assert len({client.next("told")["pid"] for client in clients}) == 1
        assert all(queue.empty() for client in clients for queue in client.heard.values())

"""WebSockets on the servers that there are, with a client of another make."""

from __future__ import annotations

import importlib.util
import json
import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from serving import ASGI_SERVERS, Server, running

client = pytest.importorskip("websockets.sync.client", reason="websockets is not installed")
exceptions = pytest.importorskip("websockets.exceptions")

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]


@pytest.fixture(scope="module", params=ASGI_SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with running(request.param, app="websocket_app:app") as running_server:
        yield running_server


def connect(server: Server, path: str, **options: Any) -> Any:
    return client.connect(f"ws://127.0.0.1:{server.port}{path}", **options)


def how_it_ended(server: Server, name: str) -> str:
    """Waits for the view's end."""
    return str(json.loads(server.fetch("GET", f"/ended/{name}")[1]))


def test_messages_come_back_as_they_were(server: Server) -> None:
    with connect(server, "/echo") as echo:
        for message in ("text", "", b"", b"\x00\xff", "\N{SNOWMAN}" * 10_000, b"x" * 100_000):
            echo.send(message)
            assert echo.recv(timeout=10) == message


def test_many_connections_are_open_at_once(server: Server) -> None:
    open_ = [connect(server, "/echo") for _ in range(80)]
    entered = [connection.__enter__() for connection in open_]
    for turn in range(3):
        for number, connection in enumerate(entered):
            connection.send(f"{turn} {number}")
        for number, connection in enumerate(entered):
            assert connection.recv(timeout=10) == f"{turn} {number}"
    for connection in open_:
        connection.__exit__(None, None, None)


def test_a_plain_view_has_a_thread_of_its_own(server: Server) -> None:
    with connect(server, "/plain") as first, connect(server, "/plain") as second:
        threads = {first.recv(timeout=10), second.recv(timeout=10)}
        assert len(threads) == 2
        second.send("second")
        assert second.recv(timeout=10) == "second"
        first.send("first")
        assert first.recv(timeout=10) == "first"


@pytest.mark.parametrize(
    ("path", "code", "reason"),
    [
        ("/says-bye/1000", 1000, "bye"),
        ("/says-bye/4001", 4001, "bye"),
        ("/ends", 1000, ""),
        ("/fails", 1011, ""),
    ],
)
def test_a_close_reaches_the_client(server: Server, path: str, code: int, reason: str) -> None:
    with connect(server, path) as closing:
        closing.send("go")
        with pytest.raises(exceptions.ConnectionClosed) as closed:
            closing.recv(timeout=10)
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (code, reason)


@pytest.mark.parametrize(
    ("path", "origin", "status", "body"),
    [
        ("/refused", None, 401, b"could not verify"),
        ("/nowhere", None, 404, b"not found"),
        ("/echo", "https://evil.example", 403, b"origin"),
        ("/never-accepts", None, 403, b""),
    ],
)
def test_a_refusal_is_an_http_response(
    server: Server, path: str, origin: Any, status: int, body: bytes
) -> None:
    with pytest.raises(exceptions.InvalidStatus) as refused, connect(server, path, origin=origin):
        pass
    assert refused.value.response.status_code == status
    assert body in refused.value.response.body


def test_a_page_of_the_own_host_connects(server: Server) -> None:
    with connect(server, "/echo", origin=f"https://127.0.0.1:{server.port}") as echo:
        echo.send("x")
        assert echo.recv(timeout=10) == "x"


def test_headers_subprotocol_and_session_come_with_the_answer(server: Server) -> None:
    with connect(server, "/with-headers?a=1", subprotocols=["a", "b"]) as opened:
        assert opened.subprotocol == "b"
        assert json.loads(opened.recv(timeout=10)) == {
            "args": {"a": "1"},
            "host": f"127.0.0.1:{server.port}",
            "offered": ["a", "b"],
        }
        headers = opened.response.headers
    if server.kind == "granian-asgi":
        assert "x-extra" not in headers, "Granian sends them now: tell so in docs/websockets.md"
    else:
        assert headers["x-extra"] == "yes"
        assert headers["set-cookie"].startswith("session=")


@pytest.mark.parametrize(
    "offered", [b"b\xe4d", b"ok, b\xe4d", b",,", b'"', b"\x01", b"a b"], ids=repr
)
def test_what_is_no_subprotocol_harms_nobody(server: Server, offered: bytes) -> None:
    is_on_h11 = importlib.util.find_spec("httptools") is None
    is_silent = is_on_h11 and server.kind == "uvicorn-sansio" and offered == b"\x01"
    with server.connect() as raw:
        raw.sendall(
            b"GET /with-headers HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Sec-WebSocket-Protocol: " + offered + b"\r\n\r\n"
        )
        if is_silent:
            raw.shutdown(socket.SHUT_WR)  # it would wait for ever, and so would the client
        answer = raw.recv(65536)
    if is_silent:
        assert answer == b"", "uvicorn answers it now: expect that here"
        test_a_page_of_the_own_host_connects(server)
        pytest.xfail("this implementation on h11 never answers a request that it cannot read")
    # Some servers break such a request off themselves; where it reaches the application, it opens.
    assert answer[:12] in (b"HTTP/1.1 101", b"HTTP/1.1 400", b"HTTP/1.1 500", b"")
    if server.kind == "granian-asgi" or offered.isascii():
        assert answer[:12] in (b"HTTP/1.1 101", b"HTTP/1.1 400")
    test_a_page_of_the_own_host_connects(server)


def test_a_large_message_is_taken_and_a_larger_one_closes(server: Server) -> None:
    with connect(server, "/large", max_size=None) as large:
        large.send("x" * 1_000_000)
        assert large.recv(timeout=20) == "1000000"
    with connect(server, "/large", max_size=None) as large:
        with pytest.raises(exceptions.ConnectionClosed) as closed:
            large.send("x" * (16 * 1024 * 1024 + 1))
            large.recv(timeout=20)
    # Granian's own limit for a frame is the same, and its end of the connection a plain one.
    if server.kind != "granian-asgi":
        assert closed.value.rcvd.code == 1009


def leave(connection: Any) -> None:
    connection.close()


def leave_messages(connection: Any) -> None:
    for _ in range(3):
        connection.send("nobody reads this")
    connection.close()


def break_off(connection: Any) -> None:
    """As when a machine is switched off and its peer told: without a word of the protocol."""
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.socket.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("how", [leave, leave_messages, break_off])
@pytest.mark.parametrize(
    ("view", "ends"),
    [
        ("waits", {"CancelledError"}),
        ("receives", {"WebsocketDisconnected"}),
        ("pushes", {"CancelledError", "WebsocketDisconnected"}),
    ],
)
def test_a_client_that_leaves_ends_the_view(
    server: Server, view: str, ends: set[str], how: Any
) -> None:
    if view == "receives" and how is leave_messages:
        pytest.skip("it would receive them")
    name = f"{view}-{how.__name__}"
    with connect(server, f"/{view}/{name}") as connection:
        connection.recv(timeout=10)
        how(connection)
        assert how_it_ended(server, name).split(" ")[0] in ends


def test_a_chat_reaches_everybody_in_the_room(server: Server) -> None:
    with connect(server, "/chat/a") as one, connect(server, "/chat/a") as two:
        with connect(server, "/chat/b") as elsewhere:
            for member in (one, two, elsewhere):
                assert member.recv(timeout=10) == "joined"
            one.send("hello")
            server.fetch("POST", "/chat/a", b"from a request")
            elsewhere.send("other room")
            for member in (one, two):
                assert member.recv(timeout=10) == "hello"
                assert member.recv(timeout=10) == "from a request"
            assert elsewhere.recv(timeout=10) == "other room"


def test_pings_are_answered_by_the_server(server: Server) -> None:
    with connect(server, "/receives/ping") as connection:
        connection.recv(timeout=10)
        assert connection.ping("x").wait(10)


def test_a_client_that_reads_nothing_is_closed_and_holds_nobody_up(server: Server) -> None:
    with server.connect() as silent, connect(server, "/chat/slow", max_size=None) as other:
        silent.sendall(
            b"GET /chat/slow HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert other.recv(timeout=10) == "joined"
        while b"joined" not in silent.recv(65536):
            pass
        message = "x" * 100_000
        for _ in range(400):
            other.send(message)
            assert other.recv(timeout=20) == message
        # What was on its way already comes first.
        received = b""
        while not received.endswith(b"too slow"):
            received = (received + silent.recv(1_000_000))[-100:]
    assert received.endswith(struct.pack("!H", 1013) + b"too slow")

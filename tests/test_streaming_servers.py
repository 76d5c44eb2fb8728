"""Streams under real servers: pieces arrive as they come, and streams end with their clients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from serving import ASGI_SERVERS, SERVERS, Meeting, Server, running

pytestmark = [pytest.mark.live, pytest.mark.timeout(90)]


@pytest.fixture(scope="module", params=[*SERVERS, *ASGI_SERVERS])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with running(request.param, app="streaming_app:app") as server:
        yield server


@pytest.fixture
def meeting() -> Iterator[Meeting]:
    with closing(Meeting()) as meeting:
        yield meeting


def leave_after(server: Server, path: str, text: bytes) -> None:
    """Ask for a path, read until a text has come, and close the connection."""
    with server.connect() as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        received = b""
        while text not in received:
            chunk = connection.recv(4096)
            assert chunk, received
            received += chunk


def test_events_and_lines_arrive_whole(server: Server) -> None:
    response, body = server.fetch("GET", "/counted?last=2")
    assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert body == b"".join(
        b'data: {"number": %d, "path": "/counted"}\n\n' % number for number in range(2)
    )
    assert server.fetch("GET", "/lines")[1] == b"0\n1\n2\n"
    assert server.fetch("HEAD", "/counted")[1] == b""


def test_a_heartbeat_notices_that_the_client_has_left(server: Server, meeting: Meeting) -> None:
    path = f"/silent/events?heartbeat=0.05&port={meeting.port}"
    leave_after(server, path, b"data: begun")
    assert meeting.wait_for_call().recv(16) == b"closed"


# A WSGI server notices when it sends.
@pytest.mark.parametrize("server", ASGI_SERVERS, indirect=True)
@pytest.mark.parametrize("kind", ["generator", "events", "context"])
def test_a_silent_generator_is_closed_at_once_over_asgi(
    server: Server, meeting: Meeting, kind: str
) -> None:
    meeting.listener.settimeout(2)
    leave_after(server, f"/silent/{kind}?port={meeting.port}", b"begun")
    assert meeting.wait_for_call().recv(16) == b"closed"

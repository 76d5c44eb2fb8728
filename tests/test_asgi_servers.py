"""What reaches an application from ASGI servers: expectations, trailers, hosts, odd targets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from serving import Server, read_all, running

pytestmark = [pytest.mark.live, pytest.mark.timeout(60)]


SERVERS = ["granian-asgi", "uvicorn", "hypercorn"]


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    kind = request.param.removesuffix("-h11")
    options = () if kind == request.param else ("--http=h11",)
    with running(kind, app="edges_app:app", options=options) as server:
        yield server


def send(server: Server, head: str, body: bytes = b"") -> bytes:
    """Send a request; everything that comes until the server closes."""
    lines = "".join(f"{line}\r\n" for line in head.splitlines())
    with server.connect() as connection:
        connection.sendall(f"{lines}Connection: close\r\n\r\n".encode("latin1") + body)
        return read_all(connection)


@pytest.mark.parametrize("path", ["/length", "/length-sync"])
def test_a_client_is_told_to_go_on_when_its_body_is_wanted(server: Server, path: str) -> None:
    with server.connect() as connection:
        connection.sendall(
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n".encode()
        )
        received = b""
        while b"\r\n\r\n" not in received:
            received += connection.recv(4096)
        assert received.startswith(b"HTTP/1.1 100")
        connection.sendall(b"hello")
        received += read_all(connection)
    assert b" 200 " in received
    assert received.endswith(b"5")


def test_a_client_whose_body_is_not_wanted_is_not_asked_for_it(server: Server) -> None:
    if server.kind == "hypercorn":
        pytest.skip("it asks for every body before the application does")
    received = send(
        server, "POST /refuse HTTP/1.1\nHost: localhost\nContent-Length: 5\nExpect: 100-continue"
    )
    assert received.startswith(b"HTTP/1.1 403")


# With httptools uvicorn appends trailers to the headers, and nobody can tell them apart.
@pytest.mark.parametrize("server", ["granian-asgi", "hypercorn", "uvicorn-h11"], indirect=True)
@pytest.mark.parametrize("path", ["/told", "/told-sync"])
def test_trailers_are_no_headers_and_no_body(server: Server, path: str) -> None:
    received = send(
        server,
        f"POST {path} HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\nTrailer: X-T",
        b"3\r\nabc\r\n0\r\nX-T: 1\r\nX-Real-User: root\r\n\r\n",
    )
    assert b" 200 " in received
    assert received.endswith(b"abc of nobody")


def test_two_hosts_are_refused(server: Server) -> None:
    received = send(server, "GET /host HTTP/1.1\nHost: one\nHost: two")
    assert received.startswith(b"HTTP/1.1 400")


def test_names_with_underscores_pose_as_nobody(server: Server) -> None:
    received = send(server, "GET /who HTTP/1.1\nHost: localhost\nX_Real_User: root")
    assert b"root" not in received
    received = send(server, "GET /who HTTP/1.1\nHost: localhost\nX-Real-User: ada")
    assert b"ada" in received


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/path/a%2Fb", b"a/b"),
        ("/path/%C3%A9", "é".encode()),
        ("/path/a;b=c", b"a;b=c"),
        ("/path/a?x=/path/b", b"a"),
        ("/path//a", b"/path/a"),
    ],
)
def test_targets_are_decoded_once(server: Server, target: str, path: bytes) -> None:
    received = send(server, f"GET {target} HTTP/1.1\nHost: localhost")
    body = received.partition(b"\r\n\r\n")[2]
    if target == "/path//a":
        assert received.startswith(b"HTTP/1.1 308")
    assert path in body


@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize("path", ["/host", "/who", "/stream", "/nothing", "/nowhere"])
def test_a_connection_can_be_used_again_after_any_answer(
    server: Server, method: str, path: str
) -> None:
    request = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    last = b"GET /host HTTP/1.1\r\nHost: last\r\nConnection: close\r\n\r\n"
    with server.connect() as connection:
        connection.sendall(request)
        first = connection.recv(65_536)
        connection.sendall(last)
        received = first + read_all(connection)
    assert received.count(b"HTTP/1.1 ") == 2
    assert received.rstrip(b"\r\n0").endswith(b"last")

"""The same application under each server: what HTTP asks for, and that stopping loses nothing."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from serving import SERVERS, Meeting, Server, read_all, running

pytestmark = [pytest.mark.live, pytest.mark.timeout(60)]

GUNICORNS = [kind for kind in SERVERS if kind.startswith("gunicorn")]
# waitress has no graceful stop: SIGTERM ends it at once.
GRACEFUL = [kind for kind in SERVERS if kind != "waitress"]


@pytest.fixture(scope="module")
def server_of() -> Iterator[Callable[[str], Server]]:
    """One running server of each kind, started when first asked for."""
    with contextlib.ExitStack() as stack:
        started: dict[str, Server] = {}

        def server_of(kind: str) -> Server:
            if kind not in started:
                started[kind] = stack.enter_context(running(kind))
            return started[kind]

        yield server_of


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest, server_of: Callable[[str], Server]) -> Server:
    return server_of(request.param)


@pytest.fixture
def meeting() -> Iterator[Meeting]:
    meeting = Meeting()
    yield meeting
    meeting.close()


def digest(data: bytes) -> dict[str, Any]:
    return {"length": len(data), "sha256": hashlib.sha256(data).hexdigest()}


# Requests and responses


def test_json_is_served_with_debug_mode_off(server: Server) -> None:
    response, body = server.fetch("GET", "/json")
    assert (response.status, response.headers["Content-Type"]) == (200, "application/json")
    assert json.loads(body) == {"answer": 42, "debug": False, "text": "žluť"}


def test_json_body_is_read(server: Server) -> None:
    headers = {"Content_Type": "application/json"}
    response, body = server.fetch("POST", "/json", b'{"a": [1, 2.5, null]}', **headers)
    assert (response.status, json.loads(body)) == (200, {"a": [1, 2.5, None]})
    response, _ = server.fetch("POST", "/json", b'{"a": ', **headers)
    assert response.status == 400


def test_form_and_query_are_read(server: Server) -> None:
    response, body = server.fetch(
        "POST",
        "/form?q=%C5%BE",
        b"a=1&a=2&b=%C5%BElu%C5%A5",
        Content_Type="application/x-www-form-urlencoded",
    )
    assert response.status == 200
    assert json.loads(body) == {"form": {"a": ["1", "2"], "b": ["žluť"]}, "args": {"q": "ž"}}


def test_file_is_uploaded(server: Server) -> None:
    content = os.urandom(1_000_000)
    parts = [
        b'--edge\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n',
        b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n',
        b"Content-Type: application/octet-stream\r\n\r\n" + content + b"\r\n--edge--\r\n",
    ]
    response, body = server.fetch(
        "POST", "/upload", b"".join(parts), Content_Type="multipart/form-data; boundary=edge"
    )
    assert response.status == 200
    assert json.loads(body) == {"name": "a.bin", "note": "hello", **digest(content)}


def test_generator_is_streamed(server: Server) -> None:
    response, body = server.fetch("GET", "/stream")
    assert "Content-Length" not in response.headers
    assert body == b"".join(b"line %d\n" % number for number in range(100))


def test_head_has_the_headers_and_no_body(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(b"HEAD /json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        head, _, body = read_all(connection).partition(b"\r\n\r\n")
    length = len(server.fetch("GET", "/json")[1])
    assert head.startswith(b"HTTP/1.1 200 ")
    assert f"content-length: {length}" in head.decode().lower()
    assert body == b""


def test_chunked_body_is_read(server: Server) -> None:
    pieces = [os.urandom(size) for size in (1, 70_000, 3)]
    chunks = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (*pieces, b"")]
    with server.connect() as connection:
        connection.sendall(
            b"POST /body HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(chunks)
        )
        received = read_all(connection)
    assert json.dumps(digest(b"".join(pieces))["sha256"]).encode() in received


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_body_over_the_limit_is_refused(server: Server, framing: str) -> None:
    size = 20 * 1024 * 1024
    with server.connect() as connection:
        start = "POST /pieces HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        # A server may answer, and close, before it has read everything.
        with contextlib.suppress(ConnectionError):
            if framing == "length":
                connection.sendall(f"{start}Content-Length: {size}\r\n\r\n".encode())
                connection.sendall(bytes(size))
            else:
                connection.sendall(f"{start}Transfer-Encoding: chunked\r\n\r\n".encode())
                for _ in range(20):
                    connection.sendall(b"100000\r\n" + bytes(0x100000) + b"\r\n")
                connection.sendall(b"0\r\n\r\n")
        status = connection.recv(100).split(b"\r\n")[0]
    assert status.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("kind", [kind for kind in SERVERS if kind != "gunicorn-sync"])
def test_connection_is_kept_for_the_next_request(
    kind: str, server_of: Callable[[str], Server]
) -> None:
    with contextlib.closing(server_of(kind).http()) as connection:
        connection.request("GET", "/json")
        first = connection.getresponse()
        first.read()
        sock = connection.sock
        connection.request("POST", "/body", b"second")
        second = connection.getresponse()
        assert json.loads(second.read()) == digest(b"second")
        assert connection.sock is sock is not None


def test_async_view_answers(server: Server) -> None:
    response, body = server.fetch("GET", "/async")
    assert (response.status, json.loads(body)) == (200, {"waited": True})


@pytest.mark.parametrize("kind", ["granian", "gunicorn-gthread", "gunicorn-gevent", "waitress"])
def test_async_views_wait_side_by_side(kind: str, server_of: Callable[[str], Server]) -> None:
    server = server_of(kind)
    at_once = 50 if kind == "gunicorn-gevent" else 4
    server.fetch("GET", "/async")
    with ThreadPoolExecutor(at_once) as pool:
        started = time.perf_counter()
        answers = list(pool.map(lambda _: server.fetch("GET", "/async")[0].status, range(at_once)))
        took = time.perf_counter() - started
    assert answers == [200] * at_once
    # One after the other they would take 0.8 seconds, under gevent 10.
    assert took < (2 if kind == "gunicorn-gevent" else 0.7)


def test_generator_is_closed_when_the_client_leaves(server: Server, meeting: Meeting) -> None:
    connection = server.connect()
    connection.sendall(f"GET /endless?port={meeting.port} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    view = meeting.wait_for_call()
    assert b"x" * 1000 in connection.recv(100_000) + connection.recv(100_000)
    connection.close()
    assert view.recv(100) == b"closed"


# Stopping


@pytest.mark.parametrize("kind", GRACEFUL)
def test_running_requests_finish_when_the_server_stops(kind: str, meeting: Meeting) -> None:
    with running(kind, workers=2) as server, ThreadPoolExecutor(2) as pool:
        requests = [
            pool.submit(server.fetch, "GET", f"/gate?port={meeting.port}") for _ in range(2)
        ]
        views = [meeting.wait_for_call() for _ in requests]
        assert [view.recv(10) for view in views] == [b"in", b"in"]
        server.terminate()
        server.wait_for_line("Shutting down", "Handling signal: term")
        for view in views:
            view.sendall(b"!")
        answers = [request.result() for request in requests]
        assert [response.status for response, _ in answers] == [200, 200]
        assert {body for _, body in answers} == {b'{"gate":"passed"}\n'}
        server.output()
        assert server.process.returncode == 0


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("kind", ["granian", *GUNICORNS])
def test_no_request_is_lost_when_a_worker_is_terminated(kind: str, tmp_path: Path) -> None:
    enough, has_answers = threading.Event(), threading.Event()
    begun = tmp_path / "begun"
    answers: list[tuple[int, int]] = []

    with running(kind, workers=4) as server:

        def work() -> tuple[int, int]:
            while True:
                try:
                    response, body = server.fetch("GET", f"/work?note={begun}", Connection="close")
                except (ConnectionResetError, ConnectionRefusedError):
                    # Granian's worker closes connections that have sent nothing when it ends, and
                    # its own listening socket, which refuses who comes just then.
                    if kind != "granian":
                        raise
                else:
                    return response.status, json.loads(body)["pid"]

        def keep_busy() -> None:
            while not enough.is_set():
                answers.append(work())
                has_answers.set()

        with ThreadPoolExecutor(4) as pool, contextlib.ExitStack() as stack:
            load = [pool.submit(keep_busy) for _ in range(4)]
            stack.callback(enough.set)
            assert has_answers.wait(20)
            _, victim = answers[0]
            os.kill(victim, signal.SIGTERM)
            mine = [work()]
            while is_running(victim):
                mine.append(work())
            # The worker that takes its place is under load as well.
            mine += [work() for _ in range(20)]
            enough.set()
            for thread in load:
                thread.result()
        assert {status for status, _ in answers + mine} == {200}
        # What the application has begun was answered.
        assert begun.stat().st_size == len(answers) + len(mine)
        assert victim not in {pid for _, pid in mine[-20:]}

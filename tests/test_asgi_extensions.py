"""Flask's extensions in coroutine views on ASGI servers: they work, without threads, and give back
what they took."""

from __future__ import annotations

import http.client
import json
import socket
import typing as t
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import pytest
from serving import Server, running, wait_until

pytestmark = [pytest.mark.live, pytest.mark.timeout(90)]

for needed in ("flask_login", "flask_sqlalchemy", "flask_caching"):
    pytest.importorskip(needed, reason=f"{needed} is not installed")


@pytest.fixture(scope="module", params=["granian-asgi", "uvicorn", "hypercorn"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    database = tmp_path_factory.mktemp("database") / "test.db"
    with running(
        request.param, app="extensions_app:app", ERLEN_AS_FLASK="1", DATABASE=str(database)
    ) as server:
        yield server


def ask(server: Server, path: str, **headers: str) -> t.Any:
    response, body = server.fetch("GET", path, **headers)
    assert response.status == 200, body
    return json.loads(body)


def state(server: Server) -> t.Any:
    return ask(server, "/state")


def test_a_coroutine_view_runs_on_the_thread_of_the_loop(server: Server) -> None:
    places = [ask(server, "/place") for _ in range(3)]
    assert len({thread for p in places for thread in (p["here"], p["afterwards"], p["loop"])}) == 1
    assert len({place["threads"] for place in places}) == 1


def test_flask_login_knows_its_user_in_a_coroutine_view(server: Server) -> None:
    assert server.fetch("GET", "/me")[0].status == 401
    response, body = server.fetch("POST", "/login")
    assert json.loads(body) == {"name": "Ada", "id": "1"}
    cookie = response.headers["Set-Cookie"].partition(";")[0]
    me = ask(server, "/me", Cookie=cookie)
    assert me == {"names": ["Ada", "Ada"], "thread": ask(server, "/place")["loop"]}


def test_flask_sqlalchemy_has_one_session_for_a_view_and_its_tasks(server: Server) -> None:
    found = ask(server, "/query")
    assert found == {"name": "Ada", "one session": True, "thread": ask(server, "/place")["loop"]}
    after = state(server)
    assert (after["checked out"], after["sessions"]) == (0, 0)


def test_flask_caching_decorates_a_coroutine_view(server: Server) -> None:
    first, again = (server.fetch("GET", "/cached")[1].decode() for _ in range(2))
    assert first == again == f"computed 1 on {ask(server, '/place')['loop']}"
    assert [ask(server, "/kept/a")["found"] for _ in range(2)] == [None, "a of False"]


def test_a_view_that_fails_gives_its_connection_back(server: Server) -> None:
    torn_down = state(server)["torn down"]
    assert [server.fetch("GET", "/fails")[0].status for _ in range(10)] == [500] * 10
    after = state(server)
    assert (after["checked out"], after["sessions"]) == (0, 0)
    assert after["torn down"] - torn_down == 11


@pytest.mark.parametrize("kind", ["plain", "context"])
def test_fifty_streams_and_two_hundred_requests_share_a_pool_of_five(
    server: Server, kind: str
) -> None:
    before = state(server)
    with ExitStack() as streams:
        for _ in range(50):
            open_stream(server, kind, streams)
        during = state(server)
        assert during["checked out"] == 0
        assert during["threads"] == before["threads"]
        # A context that a stream keeps keeps its session, without a connection.
        assert during["sessions"] == (50 if kind == "context" else 0)
        with ThreadPoolExecutor(20) as clients:
            answers = list(clients.map(lambda _: ask(server, "/query"), range(200)))
        assert [answer["name"] for answer in answers] == ["Ada"] * 200
        assert {answer["thread"] for answer in answers} == {ask(server, "/place")["loop"]}
        assert state(server)["closed"] == before["closed"]
    wait_until(lambda: state(server)["closed"] == before["closed"] + 50, server.process)
    wait_until(lambda: state(server)["sessions"] == 0, server.process)
    after = state(server)
    assert (after["checked out"], after["threads"]) == (0, before["threads"])


def open_stream(server: Server, kind: str, streams: ExitStack) -> None:
    """Ask for events, and read until both have come."""
    connection: socket.socket = streams.enter_context(closing(server.connect()))
    connection.sendall(f"GET /events/{kind} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    received = b""
    while received.count(b"data: Ada") < 2:
        piece = connection.recv(4096)
        if not piece:
            raise http.client.IncompleteRead(received)
        received += piece

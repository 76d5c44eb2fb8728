"""Flask-Session and Flask-Caching over two workers: what one keeps, the other has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from databases import Redis
from serving import Server, running
from workers import connect_to_both

pytestmark = [pytest.mark.live, pytest.mark.timeout(60)]

for needed in ("flask_session", "flask_caching", "flask_login"):
    pytest.importorskip(needed, reason=f"{needed} is not installed")

CACHES = ["redis", "memcached"]


@pytest.fixture(scope="module", params=["gunicorn-gthread", "granian", "granian-serving-asgi"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=CACHES)
def server(request: pytest.FixtureRequest, kind: str, redis: Redis) -> Iterator[Server]:
    settings = {"ERLEN_AS_FLASK": "1", "REDIS": redis.url}
    if request.param == "memcached":
        pytest.importorskip("memcache", reason="python-memcached is not installed")
        memcached = request.getfixturevalue("memcached")
        settings["MEMCACHED"] = f"127.0.0.1:{memcached.port}"
    here = Path(__file__).parent
    options = ("--keep-alive", "60") if kind.startswith("gunicorn") else ()
    with running(
        kind, app="sessions_app:app", workers=2, cwd=here, options=options, **settings
    ) as server:
        yield server


class Visitor:
    """A browser: it keeps one cookie, and a connection to each worker."""

    def __init__(self, connections: list[HTTPConnection]) -> None:
        self.connections = connections
        self.cookie = ""

    def ask(
        self, method: str, path: str, body: bytes | None = None, *, worker: int = 0
    ) -> tuple[int, Any]:
        headers = {"Cookie": self.cookie}
        if body:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        self.connections[worker].request(method, path, body, headers)
        response = self.connections[worker].getresponse()
        content = response.read()
        self.cookie = response.headers.get("Set-Cookie", self.cookie).partition(";")[0]
        is_json = response.headers["Content-Type"] == "application/json"
        return response.status, json.loads(content) if is_json else content


@pytest.fixture(scope="module")
def connections(server: Server, kind: str) -> Iterator[list[HTTPConnection]]:
    """One that stays open to each of the two workers."""
    with ExitStack() as opened:

        def connect() -> tuple[HTTPConnection, int]:
            connection = opened.enter_context(closing(server.http()))
            return connection, Visitor([connection]).ask("GET", "/pid")[1]["pid"]

        one, other = connect_to_both(kind, connect)
        yield [one[0], other[0]]


@pytest.fixture
def visitor(connections: list[HTTPConnection]) -> Visitor:
    return Visitor(connections)


@pytest.mark.parametrize("views", ["/plain", "/async"])
def test_a_login_and_a_counter_hold_over_both_workers(visitor: Visitor, views: str) -> None:
    assert visitor.ask("GET", "/me")[0] == 401
    assert visitor.ask("POST", "/login", b"name=Ada")[0] == 302
    steps = [visitor.ask("POST", f"{views}/step", worker=n % 2)[1] for n in range(6)]
    assert [step["count"] for step in steps] == [1, 2, 3, 4, 5, 6]
    pids = [step["pid"] for step in steps]
    assert len(set(pids)) == 2
    for worker in (0, 1):
        seen = visitor.ask("GET", "/me", worker=worker)[1]
        assert seen == {"name": "Ada", "pid": pids[worker], "steps": pids}
    assert Visitor(visitor.connections).ask("GET", "/me")[0] == 401
    visitor.ask("POST", "/logout")
    assert [visitor.ask("GET", "/me", worker=worker)[0] for worker in (0, 1)] == [401, 401]


@pytest.mark.parametrize("views", ["/plain", "/async"])
def test_what_one_worker_has_computed_the_other_takes(
    server: Server, visitor: Visitor, views: str
) -> None:
    path = f"{views}/kept?of={server.port}"
    first = visitor.ask("GET", path)[1]
    assert visitor.ask("GET", path, worker=1)[1] == first
    assert visitor.ask("GET", f"{path}-more", worker=1)[1]["computed"] != first["computed"]


def test_a_memoized_function_is_forgotten_by_both(server: Server, visitor: Visitor) -> None:
    path = f"/doubled/{server.port}"
    first = visitor.ask("GET", path)[1]
    assert first[0] == 2 * server.port
    assert visitor.ask("GET", path, worker=1)[1] == first
    assert visitor.ask("DELETE", path, worker=1)[0] == 204
    assert visitor.ask("GET", path)[1] != first


def test_sessions_are_in_redis_and_not_in_the_cookie(visitor: Visitor, redis: Redis) -> None:
    from redis import Redis as Client

    visitor.ask("POST", "/login", b"name=Grace")
    key = visitor.cookie.partition("=")[2]
    with Client.from_url(redis.url) as client:
        kept = client.get(f"sessions:{key}")
    assert b"Grace" in kept
    assert "Grace" not in visitor.cookie

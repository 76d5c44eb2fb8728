"""Flask-SQLAlchemy on SQLite and PostgreSQL, in plain and coroutine views, over WSGI and ASGI."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from serving import Server, running

pytestmark = [pytest.mark.live, pytest.mark.timeout(60)]

pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed")

SERVED = {
    "WSGI": ("gunicorn-gthread", {}),
    "ASGI": ("granian-serving-asgi", {}),
    "ASGI, a pool to await": ("granian-serving-asgi", {"POOL": "erlen"}),
}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path_factory.mktemp('sqlite') / 'tea.db'}"
    return str(request.getfixturevalue("postgres").url)


@pytest.fixture(scope="module", params=SERVED)
def server(request: pytest.FixtureRequest, database: str) -> Iterator[Server]:
    kind, env = SERVED[request.param]
    settings = {"ERLEN_AS_FLASK": "1", "DATABASE": database, **env}
    with running(kind, app="database_app:app", cwd=Path(__file__).parent, **settings) as server:
        yield server


@pytest.fixture(params=["plain", "async"])
def views(request: pytest.FixtureRequest) -> str:
    return f"/{request.param}"


def ask(server: Server, method: str, path: str) -> tuple[int, Any]:
    response, body = server.fetch(method, path)
    is_json = response.headers["Content-Type"] == "application/json"
    return response.status, json.loads(body) if is_json else None


def assert_all_is_returned(server: Server) -> None:
    state = ask(server, "GET", "/state")[1]
    assert (state["checked out"], state["sessions"]) == (0, 0)


def test_the_database_is_the_one_that_was_asked_for(server: Server, database: str) -> None:
    state = ask(server, "GET", "/state")[1]
    driver = {"sqlite": "pysqlite", "postgresql": "psycopg"}[state["dialect"]]
    assert database.startswith(state["dialect"])
    assert state["driver"] == driver


def test_what_one_view_commits_another_reads(server: Server, views: str) -> None:
    name = f"read-{views[1:]}"
    status, made = ask(server, "POST", f"{views}/{name}")
    assert (status, made["name"]) == (201, name)
    for others in ("/plain", "/async"):
        assert ask(server, "GET", f"{others}/{name}") == (200, {"id": made["id"]})
    assert ask(server, "GET", f"{views}/none") == (404, None)
    assert_all_is_returned(server)


@pytest.mark.parametrize(("end", "status"), [("failing", 500), ("left", 409)])
def test_an_error_rolls_back(server: Server, views: str, end: str, status: int) -> None:
    name = f"{end}-{views[1:]}"
    # More often than the pool has connections.
    assert [ask(server, "POST", f"{views}/{name}/{end}")[0] for _ in range(20)] == [status] * 20
    assert ask(server, "GET", f"{views}/{name}")[0] == 404
    assert ask(server, "POST", f"{views}/{name}")[0] == 201
    assert_all_is_returned(server)


def test_an_error_of_the_database_leaves_the_next_request_alone(server: Server, views: str) -> None:
    name = f"twice-{views[1:]}"
    assert ask(server, "POST", f"{views}/{name}")[0] == 201
    assert ask(server, "POST", f"{views}/{name}")[0] == 500
    assert ask(server, "GET", f"{views}/{name}")[0] == 200
    assert_all_is_returned(server)


def test_more_views_than_connections_take_turns(server: Server, views: str) -> None:
    """Those that keep one while they await something need the pool that can be awaited."""
    pool = ask(server, "GET", "/state")[1]["pool"]
    # SQLAlchemy's own has fifteen.
    most = 40 if pool == "erlen.pools" or views == "/plain" else 12
    with ThreadPoolExecutor(most) as threads:
        paths = [f"{views}/wait/{number}" for number in range(most)]
        answers = list(threads.map(lambda path: ask(server, "GET", path), paths))
    assert [status for status, _ in answers] == [200] * most
    assert len({answer["count"] for _, answer in answers}) == 1
    assert_all_is_returned(server)

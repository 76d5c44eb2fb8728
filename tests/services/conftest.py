"""The services, one of each for all tests here; a test is skipped where its service is missing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from databases import Memcached, Postgres, Redis


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    pytest.importorskip("redis", reason="redis is not installed")
    server = Redis(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def memcached() -> Iterator[Memcached]:
    server = Memcached()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    server = Postgres()
    yield server
    server.stop()

"""Celery with Flask's documented pattern: tasks run in an application context, in a worker that was
started with the alias."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from databases import Redis
from serving import Server, running, wait_until

pytestmark = [pytest.mark.live, pytest.mark.timeout(60)]

pytest.importorskip("celery", reason="Celery is not installed")

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def worker(redis: Redis) -> Iterator[subprocess.Popen[str]]:
    command = ["celery", "-A", "celery_app", "worker", "-P", "solo", "--loglevel", "ERROR"]
    process = subprocess.Popen(
        [sys.executable, "-m", *command, "--without-gossip", "--without-mingle"],
        cwd=HERE,
        env={**os.environ, "ERLEN_AS_FLASK": "1", "REDIS": f"{redis.url[:-1]}3"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    yield process
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=20)


@pytest.fixture(scope="module", params=["gunicorn-gthread", "granian-serving-asgi"])
def server(request: pytest.FixtureRequest, redis: Redis) -> Iterator[Server]:
    settings = {"ERLEN_AS_FLASK": "1", "REDIS": f"{redis.url[:-1]}3"}
    with running(request.param, app="celery_app:flask_app", cwd=HERE, **settings) as server:
        yield server


def outcome(server: Server, worker: subprocess.Popen[str], path: str) -> Any:
    """What becomes of the task that a request begins."""
    response, body = server.fetch("POST", path)
    assert response.status == 202
    task = json.loads(body)["id"]
    result: Any = {}

    def is_done() -> bool:
        result.update(json.loads(server.fetch("GET", f"/results/{task}")[1]))
        return result["state"] in ("SUCCESS", "FAILURE")

    wait_until(is_done, worker, 40)
    return result


@pytest.mark.parametrize("views", ["", "/later"], ids=["plain", "async"])
def test_a_task_has_the_application(
    server: Server, worker: subprocess.Popen[str], views: str
) -> None:
    result = outcome(server, worker, f"{views}/greetings/Ada")
    assert result["state"] == "SUCCESS"
    assert result["value"]["said"] == "Hello Ada"
    assert result["value"]["framework"] == "erlen.app"
    assert result["value"]["in a request"] is False


def test_each_task_has_a_context_of_its_own(server: Server, worker: subprocess.Popen[str]) -> None:
    first = outcome(server, worker, "/greetings/Ada?times=2")["value"]
    assert first["said"] == "Hello Ada, Hello Ada"
    second = outcome(server, worker, "/greetings/Grace")["value"]
    assert second["torn down"] == [*first["torn down"], "Ada"]


def test_context_of_a_task_that_fails_is_torn_down(
    server: Server, worker: subprocess.Popen[str]
) -> None:
    assert outcome(server, worker, "/failures") == {"state": "FAILURE", "value": None}
    assert outcome(server, worker, "/greetings/Ada")["value"]["torn down"][-1] == "fail"

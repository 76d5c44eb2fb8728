"""A process that serves does not have its collector look at what stays anyway."""

from __future__ import annotations

import gc
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from serving import running

SERVED = """
import asyncio, gc
from erlen import Erlen
from erlen.garbage import spare_loaded

app = Erlen("served")
app.config.update({config})
before = gc.get_freeze_count()
said = []

async def receive():
    if not said:
        return {{"type": "lifespan.startup"}}
    return {{"type": "lifespan.shutdown"}}

async def send(message):
    said.append(message["type"])

async def serve():
    await app({{"type": "lifespan", "asgi": {{"version": "3.0"}}}}, receive, send)

asyncio.run(serve())
first = gc.get_freeze_count()
later = [[] for _ in range(1000)]
spare_loaded()
print(first > before, gc.get_freeze_count() >= first + 1000, gc.get_threshold()[0], said)
"""
DEFAULT = gc.get_threshold()[0]
SAID = ["lifespan.startup.complete", "lifespan.shutdown.complete"]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("", f"True True 10000 {SAID}"),
        ("GC_TUNING=False", f"False False {DEFAULT} {SAID}"),
        ("TESTING=True", f"False False {DEFAULT} {SAID}"),
    ],
)
def test_what_is_there_when_serving_begins_is_spared(
    config: str, expected: str, run_python: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = run_python("-c", SERVED.format(config=config))
    assert (done.stdout.strip(), done.stderr) == (expected, "")


@pytest.fixture
def counting(tmp_path: Path) -> Path:
    """The folder of an application, `counting:app`, that says how much is spared."""
    (tmp_path / "counting.py").write_text("""\
import gc
from erlen import Erlen

app = Erlen("counting")
app.get("/")(lambda: str(gc.get_freeze_count()))
""")
    return tmp_path


def spared(kind: str, folder: Path) -> int:
    with running(kind, app="counting:app", cwd=folder) as server:
        return int(server.fetch("GET", "/")[1])


@pytest.mark.parametrize("kind", ["granian", "granian-auto", "granian-serving-asgi", "uvicorn"])
def test_a_worker_spares_what_is_loaded(kind: str, counting: Path) -> None:
    assert spared(kind, counting) > 10_000


def test_a_worker_of_gunicorn_does_so_where_told(counting: Path) -> None:
    assert spared("gunicorn-sync", counting) < 1_000
    (counting / "gunicorn.conf.py").write_text("""\
import gc

def post_worker_init(worker):
    gc.freeze()
""")
    assert spared("gunicorn-sync", counting) > 10_000

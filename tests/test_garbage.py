"""A process that serves does not have its collector look at what stays anyway."""

from __future__ import annotations

import gc
import subprocess
from collections.abc import Callable

import pytest

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

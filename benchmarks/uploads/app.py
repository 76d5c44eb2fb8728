"""Views that take a large body in every way, and a probe of the loop that they run on."""

from __future__ import annotations

import asyncio
from typing import Any

from erlen import Erlen, request

app = Erlen("uploads")
app.config["MAX_CONTENT_LENGTH"] = 2 << 30
#: Seconds between two looks of the probe.
STEP = 0.005
worst = 0.0
_probing: list[asyncio.Task[None]] = []


async def probe() -> None:
    """Note by how much later than asked for the loop wakes this up."""
    global worst
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + STEP
        await asyncio.sleep(STEP)
        worst = max(worst, loop.time() - due)


def memory() -> dict[str, int]:
    """Bytes: of the process now, and at most since it was last asked to begin."""
    with open("/proc/self/status") as status:
        lines = dict(line.split(":", 1) for line in status)
    return {
        "now": int(lines["VmRSS"].split()[0]) * 1024,
        "most": int(lines["VmHWM"].split()[0]) * 1024,
    }


def begin() -> Any:
    """Measure from now on."""
    global worst
    worst = 0.0
    # proc(5): the most memory that the process has had counts from now on.
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    return memory()


@app.get("/begin")
async def begin_on_loop() -> Any:
    if not _probing and "asgi.scope" in request.environ:
        _probing.append(asyncio.create_task(probe()))
    return begin()


@app.get("/end")
async def end() -> Any:
    return {**memory(), "lag": worst}


def length_of_stream() -> Any:
    return {"length": sum(len(piece) for piece in iter(lambda: request.stream.read(65_536), b""))}


def length_of_file() -> Any:
    file = request.files["file"]
    return {"length": file.seek(0, 2) or file.tell()}


@app.post("/stream-async")
async def stream_async() -> Any:
    return length_of_stream()


@app.post("/stream-sync")
def stream_sync() -> Any:
    return length_of_stream()


@app.post("/form-async")
async def form_async() -> Any:
    return length_of_file()


@app.post("/form-sync")
def form_sync() -> Any:
    return length_of_file()

"""An application that holds something open at every moment at which its client may leave."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import threading
import time
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from io import BytesIO
from typing import Any

from greenlet import greenlet

from erlen import (
    Erlen,
    Response,
    g,
    request,
    send_file,
    stream_with_context,
    websocket,
)
from erlen.ctx import AppContext, RequestContext
from erlen.engine import greenlets
from erlen.state import NOTHING, current

app = Erlen("departures")
app.config.update(SECRET_KEY="key", ASGI_THREADS=20, WEBSOCKET_THREADS=20)
#: Connections that a pool would have given out.
taken = 0
_of_taken = threading.Lock()
seen = {"views": 0, "torn down": 0, "streams": 0, "streams ended": 0, "sockets": 0}


def _note(what: str) -> None:
    with _of_taken:
        seen[what] += 1


@contextlib.contextmanager
def connection() -> Iterator[None]:
    """A pooled connection for the time of the block."""
    global taken
    with _of_taken:
        taken += 1
    try:
        yield
    finally:
        with _of_taken:
            taken -= 1


@app.before_request
@app.before_websocket
def take_connection() -> None:
    if request.path == "/state":
        return
    g.connection = contextlib.ExitStack()
    g.connection.enter_context(connection())
    _note("views")


@app.teardown_appcontext
def give_connection_back(error: BaseException | None) -> None:
    if "connection" in g:
        g.connection.close()
        _note("torn down")


def _read() -> int:
    return sum(len(piece) for piece in iter(lambda: request.stream.read(4096), b""))


@app.post("/read")
async def read() -> Any:
    return {"length": _read()}


@app.post("/read-sync")
def read_sync() -> Any:
    return {"length": _read()}


@app.post("/form")
async def form() -> Any:
    return {name: file.filename for name, file in request.files.items()}


@app.post("/form-sync")
def form_sync() -> Any:
    return {name: file.filename for name, file in request.files.items()}


@app.route("/wait", methods=["GET", "POST"], cancel_on_disconnect=True)
async def wait() -> str:
    await asyncio.sleep(3600)
    return ""


@app.route("/finish", methods=["GET", "POST"])
async def finish() -> str:
    await asyncio.sleep(0.005)
    return "done" * 100


@app.route("/limited", timeout=0.02)
async def limited() -> str:
    await asyncio.sleep(3600)
    return ""


@app.route("/block")
def block() -> str:
    time.sleep(0.002)
    return "done"


def _stream(pieces: AsyncIterator[bytes]) -> Response:
    return Response(pieces, mimetype="text/event-stream")


@app.route("/events", methods=["GET", "POST"])
async def events() -> Response:
    async def generate() -> AsyncIterator[bytes]:
        _note("streams")
        try:
            with connection():
                for _ in range(3):
                    yield b"data: x\n\n"
                    await asyncio.sleep(0)
                await asyncio.sleep(3600)
        finally:
            _note("streams ended")
            await asyncio.sleep(0)

    return _stream(generate())


@app.route("/events-in-context")
async def events_in_context() -> Response:
    @stream_with_context
    async def generate() -> AsyncIterator[bytes]:
        _note("streams")
        try:
            while True:
                yield request.path.encode() * 100
                await asyncio.sleep(0.001)
        finally:
            _note("streams ended")

    return _stream(generate())


@app.route("/flood")
async def flood() -> Response:
    async def generate() -> AsyncIterator[bytes]:
        _note("streams")
        try:
            with connection():
                while True:
                    yield b"x" * 1000
        finally:
            _note("streams ended")

    return _stream(generate())


@app.route("/lines")
def lines() -> Response:
    def generate() -> Iterator[bytes]:
        _note("streams")
        try:
            with connection():
                while True:
                    yield b"line\n" * 100
                    time.sleep(0.001)
        finally:
            _note("streams ended")

    return Response(generate(), mimetype="text/plain")


@app.route("/file")
async def file() -> Response:
    return send_file(__file__)


@app.route("/memory")
def memory() -> Response:
    return send_file(BytesIO(b"x" * 300_000), mimetype="text/plain")


@app.websocket("/echo")
async def echo() -> None:
    _note("sockets")
    async for message in websocket:
        await websocket.send(message)


@app.websocket("/silent")
async def silent() -> None:
    _note("sockets")
    await websocket.accept()
    await asyncio.sleep(3600)


@app.websocket("/ticking")
async def ticking() -> None:
    _note("sockets")
    while True:
        await websocket.send("tick")
        await asyncio.sleep(0.001)


@app.websocket("/echo-sync")
def echo_sync() -> None:
    _note("sockets")
    for message in websocket:
        websocket.send(message)


# What is left


def held() -> dict[str, int]:
    """What the process holds now that a request could have left behind."""
    gc.collect()
    objects = gc.get_objects()
    # Every thread has one more, which is not the bridge's.
    # By type: some objects answer `isinstance` with a warning.
    at_work = [o for o in objects if issubclass(type(o), greenlet)]
    at_work = [o for o in at_work if hasattr(o, "_erlen_bridge")]
    idle = getattr(greenlets.of_thread, "greenlets", ())
    return {
        "tasks": len(asyncio.all_tasks()),
        "greenlets": sum(not found.dead for found in at_work) - len(idle),
        "contexts": sum(issubclass(type(o), (AppContext, RequestContext)) for o in objects),
        "current": current.get() is not NOTHING,
        "files": len(os.listdir("/proc/self/fd")),
        "connections": taken,
        "streams": seen["streams"] - seen["streams ended"],
        "busy threads": sum(
            pool.busy for pool in (app.worker_threads, app.body_threads, app.websocket_threads)
        ),
    }


def memory_held() -> dict[str, int]:
    """Bytes: of the process, and of Python's objects where `tracemalloc` runs."""
    with open("/proc/self/statm") as file:
        resident = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return {"resident": resident, "traced": tracemalloc.get_traced_memory()[0]}


@app.get("/state")
async def state() -> Any:
    # The context of the request that asks is no part of the answer.
    return {"held": {**held(), "current": False}, "memory": memory_held(), "seen": seen}

"""The routes in Quart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from quart import Quart, Response, request, websocket

from .waiting import THREADS, fetch, fetch_sync

app = Quart("bench")
# Or a stream would be closed after a minute.
app.config["RESPONSE_TIMEOUT"] = None


@app.before_serving
async def configure() -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))


@app.get("/json")
async def json() -> Any:
    return {"message": "Hello, world!"}


@app.get("/users/<name>/posts/<int:post>")
async def url(name: str, post: int) -> Any:
    return {"name": name, "post": post, "page": request.args["page"]}


@app.post("/echo")
async def echo() -> Any:
    return await request.get_json()


@app.get("/sync")
def sync() -> Any:
    return {"message": "Hello, world!"}


@app.get("/upstream")
async def upstream() -> Any:
    return {"upstream": await fetch()}


@app.get("/upstream-sync")
def upstream_sync() -> Any:
    return {"upstream": fetch_sync()}


@app.get("/events")
async def events() -> Any:
    async def stream() -> AsyncIterator[bytes]:
        yield b"data: ready\n\n"
        await asyncio.Event().wait()

    return Response(stream(), mimetype="text/event-stream")


@app.websocket("/ws")
async def socket() -> None:
    while True:
        await websocket.send(await websocket.receive())

"""The routes in Erlen: coroutine functions in ``app``, plain ones on the loop in ``inline``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from erlen import Erlen, Response, request

from .flask_app import build
from .waiting import THREADS, fetch, fetch_sync

app = Erlen("bench")
app.config["ASGI_THREADS"] = THREADS


@app.get("/json")
async def json() -> Any:
    return {"message": "Hello, world!"}


@app.get("/users/<name>/posts/<int:post>")
async def url(name: str, post: int) -> Any:
    return {"name": name, "post": post, "page": request.args["page"]}


@app.post("/echo")
async def echo() -> Any:
    return request.get_json()


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
    async def stream() -> AsyncIterator[str]:
        yield "data: ready\n\n"
        await asyncio.Event().wait()

    return Response(stream(), mimetype="text/event-stream")


if hasattr(app, "websocket"):
    from erlen import websocket

    @app.websocket("/ws")
    async def socket() -> None:
        while True:
            await websocket.send(await websocket.receive())


inline = build(__import__("erlen"))
inline.config["ASGI_INLINE"] = True

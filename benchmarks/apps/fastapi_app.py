"""The routes in FastAPI.

`app` has return annotations, by which FastAPI answers faster; `first` is the JSON route as the
first page of its tutorial has it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse

from .waiting import THREADS, fetch, fetch_sync


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[None]:
    current_default_thread_limiter().total_tokens = THREADS
    yield


app = FastAPI(lifespan=lifespan)


first = FastAPI()


@first.get("/json")
async def first_json():  # type: ignore[no-untyped-def]
    return {"message": "Hello, world!"}


@app.get("/json")
async def json() -> Any:
    return {"message": "Hello, world!"}


@app.get("/users/{name}/posts/{post}")
async def url(name: str, post: int, page: str) -> Any:
    return {"name": name, "post": post, "page": page}


@app.post("/echo")
async def echo(request: Request) -> Any:
    return await request.json()


@app.get("/sync")
def sync() -> Any:
    return {"message": "Hello, world!"}


@app.get("/upstream")
async def upstream() -> Any:
    return {"upstream": await fetch()}


@app.get("/upstream-sync")
def upstream_sync() -> Any:
    return {"upstream": fetch_sync()}


async def stream() -> AsyncIterator[str]:
    yield "data: ready\n\n"
    await asyncio.Event().wait()


@app.get("/events")
async def events() -> Any:
    return StreamingResponse(stream(), media_type="text/event-stream")


@app.websocket("/ws")
async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnect:
        pass

"""The routes in Litestar."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from litestar import Litestar, Request, WebSocket, get, post, websocket
from litestar.exceptions import WebSocketDisconnect
from litestar.response import Stream

from .waiting import THREADS, fetch, fetch_sync

# Annotations are read when routes are added: they have to be types, not text.


@get("/json")
async def json() -> Any:
    return {"message": "Hello, world!"}


@get("/users/{name:str}/posts/{number:int}")
async def url(name: str, number: int, page: str) -> Any:
    return {"name": name, "post": number, "page": page}


@post("/echo", status_code=200)
async def echo(request: Request[Any, Any, Any]) -> Any:
    return await request.json()


@get("/sync", sync_to_thread=True)
def sync() -> Any:
    return {"message": "Hello, world!"}


@get("/upstream")
async def upstream() -> Any:
    return {"upstream": await fetch()}


@get("/upstream-sync", sync_to_thread=True)
def upstream_sync() -> Any:
    return {"upstream": fetch_sync()}


async def stream() -> AsyncIterator[bytes]:
    yield b"data: ready\n\n"
    await asyncio.Event().wait()


@get("/events")
async def events() -> Stream:
    return Stream(stream(), media_type="text/event-stream")


@websocket("/ws")
async def socket(socket: WebSocket[Any, Any, Any]) -> None:
    await socket.accept()
    try:
        while True:
            await socket.send_text(await socket.receive_text())
    except WebSocketDisconnect:
        pass


async def configure() -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))


app = Litestar(
    [json, url, echo, sync, upstream, upstream_sync, events, socket],
    on_startup=[configure],
    openapi_config=None,
)

"""The routes in Starlette."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from anyio.to_thread import current_default_thread_limiter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from .waiting import THREADS, fetch, fetch_sync


async def json(request: Request) -> Response:
    return JSONResponse({"message": "Hello, world!"})


async def url(request: Request) -> Response:
    found = request.path_params
    page = request.query_params["page"]
    return JSONResponse({"name": found["name"], "post": found["post"], "page": page})


async def echo(request: Request) -> Response:
    return JSONResponse(await request.json())


def sync(request: Request) -> Response:
    return JSONResponse({"message": "Hello, world!"})


async def upstream(request: Request) -> Response:
    return JSONResponse({"upstream": await fetch()})


def upstream_sync(request: Request) -> Response:
    return JSONResponse({"upstream": fetch_sync()})


async def stream() -> AsyncIterator[str]:
    yield "data: ready\n\n"
    await asyncio.Event().wait()


async def events(request: Request) -> Response:
    return StreamingResponse(stream(), media_type="text/event-stream")


async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnect:
        pass


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[None]:
    current_default_thread_limiter().total_tokens = THREADS
    yield


app = Starlette(
    routes=[
        Route("/json", json),
        Route("/users/{name}/posts/{post:int}", url),
        Route("/echo", echo, methods=["POST"]),
        Route("/sync", sync),
        Route("/upstream", upstream),
        Route("/upstream-sync", upstream_sync),
        Route("/events", events),
        WebSocketRoute("/ws", socket),
    ],
    lifespan=lifespan,
)

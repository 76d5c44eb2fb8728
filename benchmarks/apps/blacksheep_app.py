"""The routes in BlackSheep."""

import asyncio
from collections.abc import AsyncIterator

from blacksheep import Application, Request, Response, WebSocket
from blacksheep import WebSocketDisconnectError as Disconnected
from blacksheep.server.responses import json as answer

from .waiting import fetch

# Annotations are read when routes are added: they have to be types, not text.
app = Application()


@app.router.get("/json")
async def json() -> Response:
    return answer({"message": "Hello, world!"})


@app.router.get("/users/{name}/posts/{int:post}")
async def url(name: str, post: int, page: str) -> Response:
    return answer({"name": name, "post": post, "page": page})


@app.router.post("/echo")
async def echo(request: Request) -> Response:
    return answer(await request.json())


@app.router.get("/sync")
def sync() -> Response:
    return answer({"message": "Hello, world!"})


@app.router.get("/upstream")
async def upstream() -> Response:
    return answer({"upstream": await fetch()})


async def stream() -> AsyncIterator[bytes]:
    yield b"data: ready\n\n"
    await asyncio.Event().wait()


@app.router.get("/events")
async def events() -> Response:
    from blacksheep.contents import StreamedContent

    return Response(200, content=StreamedContent(b"text/event-stream", stream))


@app.router.ws("/ws")
async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except Disconnected:
        pass

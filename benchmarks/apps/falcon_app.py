"""The routes in Falcon's ASGI form."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import falcon
import falcon.asgi

from .waiting import fetch


class Json:
    async def on_get(self, req: Any, resp: Any) -> None:
        resp.media = {"message": "Hello, world!"}


class Url:
    async def on_get(self, req: Any, resp: Any, name: str, post: int) -> None:
        resp.media = {"name": name, "post": post, "page": req.get_param("page")}


class Echo:
    async def on_post(self, req: Any, resp: Any) -> None:
        resp.media = await req.get_media()


class Upstream:
    async def on_get(self, req: Any, resp: Any) -> None:
        resp.media = {"upstream": await fetch()}


async def stream() -> AsyncIterator[bytes]:
    yield b"data: ready\n\n"
    await asyncio.Event().wait()


class Events:
    async def on_get(self, req: Any, resp: Any) -> None:
        resp.content_type = "text/event-stream"
        resp.stream = stream()


class Socket:
    async def on_websocket(self, req: Any, ws: Any) -> None:
        await ws.accept()
        try:
            while True:
                await ws.send_text(await ws.receive_text())
        except falcon.WebSocketDisconnected:
            pass


app = falcon.asgi.App()
app.add_route("/json", Json())
app.add_route("/users/{name}/posts/{post:int}", Url())
app.add_route("/echo", Echo())
app.add_route("/upstream", Upstream())
app.add_route("/events", Events())
app.add_route("/ws", Socket())

"""The routes in Sanic, and Sanic's own server: ``python -m benchmarks.apps.sanic_app PORT``."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from sanic import Sanic
from sanic.response import json as answer

from .waiting import fetch

app = Sanic("bench", configure_logging=False)
# A stream would be closed after a minute.
app.config.RESPONSE_TIMEOUT = 3600


@app.get("/json")
async def json(request: Any) -> Any:
    return answer({"message": "Hello, world!"})


@app.get("/users/<name:str>/posts/<post:int>")
async def url(request: Any, name: str, post: int) -> Any:
    return answer({"name": name, "post": post, "page": request.args.get("page")})


@app.post("/echo")
async def echo(request: Any) -> Any:
    return answer(request.json)


@app.get("/sync")
def sync(request: Any) -> Any:
    return answer({"message": "Hello, world!"})


@app.get("/upstream")
async def upstream(request: Any) -> Any:
    return answer({"upstream": await fetch()})


@app.get("/events")
async def events(request: Any) -> None:
    response = await request.respond(content_type="text/event-stream")
    await response.send("data: ready\n\n")
    await asyncio.Event().wait()


@app.websocket("/ws")
async def socket(request: Any, ws: Any) -> None:
    async for message in ws:
        await ws.send(message)


if __name__ == "__main__":
    app.run("127.0.0.1", int(sys.argv[1]), single_process=True, access_log=False, motd=False)

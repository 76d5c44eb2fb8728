"""The routes as an ASGI callable with nothing around it: the floor.

It writes JSON with Erlen's encoder, so that the ratio of the two is what the framework takes.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qs

import orjson

from .waiting import fetch

JSON = [(b"content-type", b"application/json")]


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await http(scope, receive, send)
    elif scope["type"] == "websocket":
        await websocket(receive, send)
    else:
        await lifespan(receive, send)


async def http(scope: Any, receive: Any, send: Any) -> None:
    path = scope["path"]
    if path == "/json":
        body = orjson.dumps({"message": "Hello, world!"})
    elif path == "/echo":
        body = orjson.dumps(orjson.loads(await read(receive)))
    elif path == "/upstream":
        body = orjson.dumps({"upstream": await fetch()})
    elif path == "/events":
        await events(receive, send)
        return
    else:
        _, _, name, _, post = path.split("/")
        page = parse_qs(scope["query_string"].decode())["page"][0]
        body = orjson.dumps({"name": name, "post": int(post), "page": page})
    length = (b"content-length", str(len(body)).encode())
    headers = [JSON[0], length]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def read(receive: Any) -> bytes:
    body = b""
    more = True
    while more:
        message = await receive()
        body += message["body"]
        more = message.get("more_body", False)
    return body


async def events(receive: Any, send: Any) -> None:
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    first = b"data: ready\n\n"
    await send({"type": "http.response.body", "body": first, "more_body": True})
    while (await receive())["type"] != "http.disconnect":
        await asyncio.sleep(0)


async def websocket(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


async def lifespan(receive: Any, send: Any) -> None:
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return

"""The WebSockets that live tests connect to."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import Any

from erlen import Erlen, abort, jsonify, request, session, websocket

app = Erlen(__name__)
app.config.update(SECRET_KEY="live", BROADCAST_URL=os.environ.get("BROADCAST_URL"))
#: What the views of `/waits` and `/pushes` have come to, by the name in the URL.
ended: dict[str, str] = {}


@app.websocket("/echo")
async def echo() -> None:
    while True:
        await websocket.send(await websocket.receive())


@app.websocket("/plain")
def plain(socket: Any) -> None:
    socket.send(f"plain on {threading.current_thread().name}")
    for message in socket:
        socket.send(message)


@app.websocket("/says-bye/<int:code>")
async def says_bye(code: int) -> None:
    await websocket.receive()
    await websocket.close(code, "bye")


@app.websocket("/ends")
async def ends() -> None:
    await websocket.receive()


@app.websocket("/fails")
async def fails() -> None:
    await websocket.receive()
    raise RuntimeError("on purpose")


@app.websocket("/refused")
async def refused() -> None:
    abort(401)


@app.websocket("/never-accepts")
async def never_accepts() -> None:
    pass


@app.websocket("/with-headers")
async def with_headers() -> None:
    session["user"] = "ada"
    offered = websocket.requested_subprotocols
    await websocket.accept({"X-Extra": "yes"}, offered[-1] if offered else None)
    await websocket.send_json(offered=offered, args=websocket.args, host=websocket.host)


@app.websocket("/large")
async def large() -> None:
    await websocket.send(str(len(await websocket.receive())))


@app.websocket("/waits/<name>")
async def waits(name: str) -> None:
    await websocket.send("here")
    try:
        await asyncio.Event().wait()
    except BaseException as error:
        ended[name] = type(error).__name__
        raise


@app.websocket("/receives/<name>")
async def receives(name: str) -> None:
    await websocket.send("here")
    try:
        await websocket.receive()
    except BaseException as error:
        ended[name] = f"{type(error).__name__} {getattr(error, 'code', '')}".strip()
        raise


@app.websocket("/pushes/<name>")
async def pushes(name: str) -> None:
    try:
        while True:
            await websocket.send("x" * 1000)
            await asyncio.sleep(0.001)
    except BaseException as error:
        ended[name] = type(error).__name__
        raise


@app.websocket("/chat/<room>")
async def chat(socket: Any, room: str) -> None:
    group = app.groups[room]
    async with group.join(socket):
        await socket.send("joined")
        async for message in socket:
            await group.send(message)


@app.post("/chat/<room>")
def say(room: str) -> str:
    app.groups[room].publish(request.get_data(as_text=True))
    return "said"


@app.get("/ended/<name>")
async def how_it_ended(name: str) -> Any:
    """Waits until it has, so that nobody has to ask twice."""
    while name not in ended:
        await asyncio.sleep(0.01)
    return jsonify(ended[name])

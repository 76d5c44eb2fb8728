"""A chat with Flask-SocketIO, as its documentation has it; `flask` is Erlen's alias."""

from __future__ import annotations

import os
import typing as t

from flask import Flask, request, session
from flask_socketio import SocketIO, emit, join_room, leave_room

app = Flask(__name__)
app.secret_key = "key of a test"
# Without handlers on threads of their own, what one client says stays in order.
socketio = SocketIO(
    app,
    async_mode="threading",
    async_handlers=False,
    message_queue=os.environ.get("REDIS"),
)


@app.get("/")
def index() -> t.Any:
    return {"pid": os.getpid(), "sockets": request.environ.get("HTTP_UPGRADE")}


@app.post("/tell/<room>")
def tell(room: str) -> t.Any:
    """From a request to those who are in a room, whichever worker has them."""
    socketio.emit("told", {"by": "a request", "pid": os.getpid()}, to=room)
    return "", 204


@socketio.on("connect")
def connected(auth: t.Any) -> t.Any:
    if auth and auth.get("name") == "Mallory":
        return False
    session["name"] = (auth or {}).get("name", "somebody")
    emit("welcome", {"name": session["name"], "path": request.path, "pid": os.getpid()})
    return None


@socketio.on("disconnect")
def left(*reason: t.Any) -> None:
    socketio.emit("left", session["name"], to="door")


@socketio.on("echo")
def echo(value: t.Any) -> t.Any:
    return [value, session["name"], os.getpid()]


@socketio.on("join")
def join(room: str) -> t.Any:
    join_room(room)
    return room


@socketio.on("leave")
def leave(room: str) -> t.Any:
    leave_room(room)
    return room


@socketio.on("say")
def say(room: str, text: t.Any) -> None:
    emit("said", [session["name"], text], to=room)


@socketio.on("fail")
def fail() -> None:
    raise ValueError("asked for")


@socketio.on_error_default
def failed(error: Exception) -> None:
    emit("failed", str(error))


@socketio.on("count", namespace="/numbers")
def count(most: int) -> None:
    for number in range(most):
        emit("number", number)

"""Rooms in which nothing is lost when a worker dies, with Flask-SocketIO and Redis.

Socket.IO delivers a message at most once. Exactly once takes two more parts, both here:

- Each sender numbers its messages and says one again until it is acknowledged. A message is
  acknowledged once it is in the room's log, which takes each number once, in order.
- The log numbers the messages of a room. Who listens takes them in that order, leaves out what it
  has, and asks for what it lacks.
"""

from __future__ import annotations

import os
import typing as t

from flask import Flask
from flask_socketio import SocketIO, emit, join_room
from redis import Redis

app = Flask(__name__)
redis = Redis.from_url(os.environ["REDIS"])
# Without handlers on threads of their own, what one client says stays in order.
socketio = SocketIO(
    app, async_mode="threading", async_handlers=False, message_queue=os.environ["REDIS"]
)

#: Logs a message if it is the sender's next one. Gives the sender's last number that is in the
#: log, and this message's place there, 0 where it is too early.
LOG = redis.register_script("""
local log, places, last = KEYS[1], KEYS[2], KEYS[3]
local number = tonumber(ARGV[1])
local logged = tonumber(redis.call('GET', last) or 0)
if number == logged + 1 then
    local place = redis.call('RPUSH', log, ARGV[2])
    redis.call('HSET', places, number, place)
    redis.call('SET', last, number)
    return {number, place}
end
return {logged, tonumber(redis.call('HGET', places, number) or 0)}
""")


@app.get("/")
def index() -> t.Any:
    return {"pid": os.getpid()}


@socketio.on("connect")
def connected(auth: t.Any) -> None:
    emit("welcome", os.getpid())


@socketio.on("join")
def join(room: str) -> None:
    join_room(room)


@socketio.on("since")
def since(room: str, place: int) -> None:
    """Give the client what the log has behind a place."""
    for later, entry in enumerate(redis.lrange(f"log:{room}", place, -1), place + 1):
        emit("said", [later, entry.decode()])


@socketio.on("say")
def say(room: str, sender: str, number: int) -> int:
    entry = f"{sender}:{number}"
    keys = [f"log:{room}", f"places:{sender}", f"last:{sender}"]
    logged, place = LOG(keys, [number, entry])
    if place:  # once more where a worker died before it could, or before it could say so
        emit("said", [place, entry], to=room)
    return int(logged)

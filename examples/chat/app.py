"""A chat with rooms: whoever is in a room hears what is said there, whichever process serves them.

python examples/chat                    two processes, and a Redis server between them
erlen --app examples/chat/app serve     BROADCAST_URL and SECRET_KEY from the environment
"""

from __future__ import annotations

import os
import secrets
from collections import deque
from collections.abc import Mapping
from time import monotonic
from typing import Any

from erlen import (
    BadMessage,
    Blueprint,
    Erlen,
    Response,
    Websocket,
    abort,
    current_app,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from erlen.broadcast import BroadcastError

site = Blueprint("site", __name__)

LONGEST_NAME, LONGEST_TEXT = 30, 1000
#: How many messages one may send in how many seconds.
MOST_MESSAGES, SECONDS = 20, 10.0
SETTINGS = ("BROADCAST_URL", "SECRET_KEY")


def create_app(config: Mapping[str, Any] | None = None) -> Erlen:
    """Build the application, with settings from the environment or from `config`."""
    app = Erlen(__name__)
    app.config.update(
        # Sessions that only this process knows: enough for one process, until it ends.
        SECRET_KEY=secrets.token_hex(),
        SESSION_COOKIE_SAMESITE="Lax",
        # As JSON, a text takes up to twelve bytes a character.
        WEBSOCKET_MAX_MESSAGE_SIZE=12 * LONGEST_TEXT + 100,
        MAX_CONTENT_LENGTH=10_000,
    )
    app.config.update({name: os.environ[name] for name in SETTINGS if name in os.environ})
    app.config.update(config or {})
    app.register_blueprint(site)
    return app


def tidied(text: object, longest: int) -> str:
    """Text without blanks around it; empty for what is none, or longer than it may be."""
    if not isinstance(text, str):
        return ""
    text = text.strip()
    return text if len(text) <= longest else ""


@site.route("/", methods=["GET", "POST"])
def index() -> Any:
    """Ask for a name and a room."""
    if request.method == "GET":
        return render_template("index.html", name=session.get("name", ""), longest=LONGEST_NAME)
    name = tidied(request.form.get("name"), LONGEST_NAME)
    room = tidied(request.form.get("room"), LONGEST_NAME)
    if not name or not room or "/" in room:
        problem = f"Give a name and a room, of up to {LONGEST_NAME} characters, without slashes."
        page = render_template("index.html", name=name, longest=LONGEST_NAME, problem=problem)
        return page, 422
    session["name"] = name
    return redirect(url_for(".show_room", room=room))


@site.get("/rooms/<room>")
def show_room(room: str) -> Any:
    """The page of a room."""
    if "name" not in session or not tidied(room, LONGEST_NAME):
        return redirect(url_for(".index"))
    return render_template("room.html", room=room, name=session["name"], longest=LONGEST_TEXT)


@site.websocket("/rooms/<room>/socket")
async def chat(socket: Websocket, room: str) -> None:
    """What is said in a room, both ways, as JSON.

    From the page: `{"text": ...}`. To it: `kind` and `name`, and `text` where something was said.
    """
    if "name" not in session or not tidied(room, LONGEST_NAME):
        abort(401)
    name = session["name"]
    group = current_app.groups[f"room {room}"]
    sent: deque[float] = deque(maxlen=MOST_MESSAGES)
    async with group.join(socket):
        await socket.send_json(kind="welcome", name=name, process=os.getpid())
        await group.send_json(kind="entered", name=name)
        try:
            async for message in socket.iter_json():
                text = tidied(
                    message.get("text") if isinstance(message, dict) else None, LONGEST_TEXT
                )
                if not text:
                    raise BadMessage(1007, f'send {{"text": "up to {LONGEST_TEXT} characters"}}')
                if len(sent) == MOST_MESSAGES and monotonic() - sent[0] < SECONDS:
                    await socket.send_json(kind="problem", text="Not so fast, please.")
                    continue
                sent.append(monotonic())
                try:
                    await group.send_json(kind="said", name=name, text=text)
                except BroadcastError:
                    current_app.logger.exception("a message is lost")
                    await socket.send_json(kind="problem", text="That reached nobody. Try again.")
        finally:
            await group.send_json(kind="left", name=name)


@site.after_app_request
def secure(response: Response) -> Response:
    """Pages load nothing from elsewhere, and run no script that stands in them."""
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
        " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    return response


app = create_app()

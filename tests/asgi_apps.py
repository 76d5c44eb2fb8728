"""ASGI applications written by hand, and requests to them."""

from __future__ import annotations

import typing as t

from werkzeug.test import EnvironBuilder, run_wsgi_app

from erlen import Erlen
from erlen.testing import FlaskClient
from erlen.testing.asgi import Carrier
from erlen.testing.loops import loop_thread

Message = dict[str, t.Any]
Receive = t.Any
Send = t.Any


def environ(*args: t.Any, **kwargs: t.Any) -> dict[str, t.Any]:
    builder = EnvironBuilder(*args, **kwargs)
    try:
        return builder.get_environ()
    finally:
        builder.close()


def ask(
    app: t.Any, *args: t.Any, buffered: bool = True, **kwargs: t.Any
) -> tuple[str, list[tuple[str, str]], t.Any]:
    """Status, headers and body of a request to any ASGI application."""
    given = environ(*args, **kwargs)
    given.update(kwargs.get("environ_overrides", {}))
    body, status, headers = run_wsgi_app(Carrier(app, loop_thread().wait), given, buffered)
    return status, list(headers), b"".join(body) if buffered else body


def answering(*messages: Message) -> t.Any:
    """An application that sends these messages."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    return app


def start(status: t.Any = 200, *headers: t.Any) -> Message:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def piece(body: t.Any = b"", more: bool = False) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}


async def echo(scope: Message, receive: Receive, send: Send) -> None:
    """Accepts and sends back; "close" closes, "fail" fails."""
    assert (await receive())["type"] == "websocket.connect"
    chosen = next(iter(scope["subprotocols"]), None)
    headers = [(b"set-cookie", b"seen=1"), (b"x-own", b"a")]
    await send({"type": "websocket.accept", "subprotocol": chosen, "headers": headers})
    while (message := await receive())["type"] == "websocket.receive":
        text = message.get("text")
        if text == "close":
            await send({"type": "websocket.close", "code": 4000, "reason": "asked"})
        elif text == "fail":
            raise ZeroDivisionError
        else:
            await send({**message, "type": "websocket.send"})
    scope["state"]["ended"] = message


def serving(app: Erlen, asgi: t.Any) -> FlaskClient:
    """A client of an application whose ASGI callable was replaced."""
    app.asgi_app = asgi  # type: ignore[method-assign]
    return app.test_client(transport="asgi")


class Living:
    """An application with a lifespan, whose parts can be told to fail."""

    def __init__(self, start: t.Any = "complete", end: t.Any = "complete") -> None:
        self.answers = {"startup": start, "shutdown": end}
        self.log: list[str] = []

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            self.log.append(f"{scope['type']} {scope['state']}")
            scope["state"]["own"] = 1
            if scope["type"] == "websocket":
                await send({"type": "websocket.close"})
            else:
                await answering(start(), piece())(scope, receive, send)
            return
        for name, answer in self.answers.items():
            assert await receive() == {"type": f"lifespan.{name}"}
            self.log.append(name)
            if isinstance(answer, Exception):
                raise answer
            scope["state"]["pool"] = "open"
            await send({"type": f"lifespan.{name}.{answer}", "message": "no database"})
            if answer == "failed":
                return

"""WebSocket connections and lifespans of an ASGI application, from the server's side.

Source: ASGI 3.0, "WebSocket" 2.4 and "Lifespan" 2.0; RFC 6455.
"""

from __future__ import annotations

import typing as t
from collections import deque

from .asgi import Call, ClientLeft, _status, scope_of, text_headers

if t.TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment
    from werkzeug.test import TestResponse

    from .asgi import Application, Message

#: Messages that wait for a client before the application's `send` waits too.
MOST_UNREAD = 64


class WebSocketClosed(Exception):
    """The application has closed the connection; `code` and `reason` say why (RFC 6455, 7.4)."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"The WebSocket is closed: {code} {reason}".rstrip())
        self.code = code
        self.reason = reason


class WebSocketRefused(Exception):
    """The application did not accept the connection; `response` is its answer (403 by default)."""

    def __init__(self, response: TestResponse) -> None:
        super().__init__(f"The WebSocket was refused: {response.status}")
        self.response = response


def ask_for_websocket(environ: WSGIEnvironment, subprotocols: t.Sequence[str]) -> None:
    """Add to an environ what asks for a WebSocket (RFC 6455, 4.1), unless it is there."""
    wanted = {
        "HTTP_CONNECTION": "Upgrade",
        "HTTP_UPGRADE": "websocket",
        "HTTP_SEC_WEBSOCKET_VERSION": "13",
        # The example of RFC 6455, 1.3.
        "HTTP_SEC_WEBSOCKET_KEY": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    if subprotocols:
        wanted["HTTP_SEC_WEBSOCKET_PROTOCOL"] = ", ".join(subprotocols)
    for key, value in wanted.items():
        environ.setdefault(key, value)
    environ.pop("CONTENT_LENGTH", None)


class Socket(Call):
    """A WebSocket connection."""

    def __init__(self, app: Application, environ: WSGIEnvironment, state: t.Any = None) -> None:
        super().__init__(app, scope_of(environ, "websocket"))
        if state is not None:
            self.scope["state"] = dict(state)
        self.accepted = False
        self.subprotocol: str | None = None
        #: Of the response that accepts or refuses.
        self.headers: list[tuple[str, str]] = []
        #: Status of the response that refuses; 0 without one.
        self.refusal = 0
        self.refusal_body = bytearray()
        self.close_code: int | None = None
        self.close_reason = ""
        self._is_refused = False
        self._to_app: deque[Message] = deque([{"type": "websocket.connect"}])
        self._to_client: deque[str | bytes] = deque()

    async def open(self) -> bool:
        """Call the application; whether it accepts. Raises what the application raises."""
        self.start()
        try:
            await self._until(lambda: self.accepted or self._is_refused)
            if not self.accepted:
                await self._end()
        except BaseException:
            self.abandon()
            raise
        if self.done:
            self.raise_error()
        return self.accepted

    async def send(self, data: str | bytes) -> None:
        """Send a message: text from str, binary from bytes. Raises WebSocketClosed."""
        if self.done or self.close_code is not None:
            self._raise_closed()
        message: Message = {"type": "websocket.receive"}
        message["text" if isinstance(data, str) else "bytes"] = data
        self._to_app.append(message)
        self._news.set()

    async def receive(self) -> str | bytes:
        """The next message. Raises WebSocketClosed, or what the application raises."""
        await self._until(lambda: bool(self._to_client) or self.close_code is not None)
        if not self._to_client:
            self._raise_closed()
        data = self._to_client.popleft()
        self._news.set()
        return data

    def _raise_closed(self) -> t.NoReturn:
        self.raise_error()
        raise WebSocketClosed(
            1000 if self.close_code is None else self.close_code, self.close_reason
        )

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close, unless the application has, and wait for it to end; raises what it raises."""
        if self.close_code is None and not self.done:
            self.close_code, self.close_reason = code, reason
            self.left = True
            self._to_app.append({"type": "websocket.disconnect", "code": code, "reason": reason})
        await self._end()
        self.raise_error()

    async def break_off(self) -> None:
        """Let the connection break and wait for the application to end, whatever it raises."""
        self.abandon()
        await self._end()

    def abandon(self) -> None:
        """Break the connection off without waiting for the application."""
        self._to_app.append({"type": "websocket.disconnect", "code": 1006, "reason": ""})
        super().abandon()

    def _check_end(self) -> None:
        if not (self.accepted or self._is_refused or self.left):
            raise RuntimeError("The application neither accepted nor refused the WebSocket.")

    async def _receive(self) -> Message:
        while not self._to_app:
            self._news.clear()
            await self._news.wait()
        if self._to_app[0]["type"] == "websocket.disconnect":
            return self._to_app[0]  # and so for each call from now on
        return self._to_app.popleft()

    async def _send(self, message: Message) -> None:
        kind: str = message["type"].removeprefix("websocket.")
        if self.left:
            raise ClientLeft()
        if self._is_refused or self.close_code is not None:
            raise RuntimeError(f"The message {kind!r} came after the WebSocket was closed.")
        if kind == "close":
            self._note_close(message)
        elif self.accepted and kind == "send":
            text = message.get("text")
            self._to_client.append(bytes(message["bytes"]) if text is None else text)
            self._news.set()
            await self._until(lambda: self.left or len(self._to_client) < MOST_UNREAD)
        elif kind == "accept" and not (self.accepted or self.refusal):
            self.headers = text_headers(message.get("headers", ()))
            self.subprotocol = message.get("subprotocol")
            self.accepted = True
        elif kind == "http.response.start" and not (self.accepted or self.refusal):
            self.headers = text_headers(message.get("headers", ()))
            self.refusal = _status(message)
        elif kind == "http.response.body" and self.refusal:
            self.refusal_body += message.get("body", b"")
            self._is_refused = not message.get("more_body", False)
        else:
            raise RuntimeError(f"The message {message['type']!r} is out of order here.")
        self._news.set()

    def _note_close(self, message: Message) -> None:
        code = message.get("code", 1000)
        reason = message.get("reason") or ""
        if self.accepted:
            self.close_code, self.close_reason = code, reason
        else:
            self._is_refused = True
            self.refusal = 403
        self._to_app.append({"type": "websocket.disconnect", "code": code, "reason": reason})


class Lifespan(Call):
    """The time in which a server serves an application: start-up, then shut-down."""

    def __init__(self, app: Application) -> None:
        asgi = {"version": "3.0", "spec_version": "2.0"}
        super().__init__(app, {"type": "lifespan", "asgi": asgi, "state": {}})
        self._to_app: deque[Message] = deque()
        self._answer: Message | None = None

    async def startup(self) -> dict[str, t.Any]:
        """Start the application and return its state, which each request gets a copy of.

        Raises RuntimeError where the application says that it failed, else what it raises.
        """
        self.start()
        await self._ask("startup")
        return t.cast("dict[str, t.Any]", self.scope["state"])

    async def shutdown(self) -> None:
        """Let the application end. Raises as `startup` does."""
        if not self.done:
            await self._ask("shutdown")
        await self._end()
        self.raise_error()

    async def _ask(self, what: str) -> None:
        self._answer = None
        self._to_app.append({"type": f"lifespan.{what}"})
        self._news.set()
        await self._until(lambda: self._answer is not None)
        self.raise_error()
        answer = self._answer or {"type": f"lifespan.{what}.failed", "message": "It ended at once."}
        if answer["type"] != f"lifespan.{what}.complete":
            await self._end()
            raise RuntimeError(f"The application's {what} failed: {answer.get('message', '')}")

    async def _receive(self) -> Message:
        while not self._to_app:
            self._news.clear()
            await self._news.wait()
        return self._to_app.popleft()

    async def _send(self, message: Message) -> None:
        self._answer = message
        self._news.set()

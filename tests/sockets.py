"""A WebSocket of a client, as a test drives it: messages of ASGI, one at a time."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

Message = dict[str, Any]


def run_async(test: Callable[..., Awaitable[Any]]) -> Callable[..., None]:
    """Run a test that is a coroutine function, and see that it leaves no task behind."""

    @functools.wraps(test)
    def runner(*args: Any, **kwargs: Any) -> None:
        async def main() -> None:
            await test(*args, **kwargs)
            assert asyncio.all_tasks() == {asyncio.current_task()}

        asyncio.run(main())

    return runner


class ClientLeft(OSError):
    """What a server raises in `send` when nobody is there any more (ASGI 2.4)."""


def scope_of(path: str = "/", **more: Any) -> dict[str, Any]:
    path, _, query = path.partition("?")
    headers = {"host": "localhost", "connection": "Upgrade", "upgrade": "websocket"}
    headers |= more.pop("headers", {})
    return {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(k.encode(), v.encode("latin1")) for k, v in headers.items()],
        "client": ("127.0.0.1", 1234),
        "server": ("127.0.0.1", 80),
        "subprotocols": [],
        "state": {},
        "extensions": {"websocket.http.response": {}},
        **more,
    }


class Client:
    """One connection to an application in this process."""

    def __init__(self, app: Any, path: str = "/", **more: Any) -> None:
        self.scope = scope_of(path, **more)
        self.app = app
        #: What the application has sent, in order.
        self.sent: list[Message] = []
        #: How many messages the application has taken.
        self.taken = 0
        self.has_left = False
        #: Called in place of what a server does with a message, if set.
        self.hold: Callable[[Message], Awaitable[None]] | None = None
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._news = asyncio.Event()
        self._to_app.put_nowait({"type": "websocket.connect"})
        self._read = 0

    def start(self) -> None:
        self.task = asyncio.get_running_loop().create_task(
            self.app(self.scope, self._receive, self._send)
        )
        self.task.add_done_callback(lambda _: self._news.set())

    async def _receive(self) -> Message:
        message = await self._to_app.get()
        self.taken += 1
        return message

    async def _send(self, message: Message) -> None:
        if self.has_left:
            raise ClientLeft
        if self.hold is not None:
            await self.hold(message)
        self.sent.append(message)
        is_end = message["type"] == "websocket.http.response.body" and not message.get("more_body")
        if is_end or message["type"] == "websocket.close":
            self.leave(message.get("code", 1006), message.get("reason") or "")
        self._news.set()

    def send(self, *messages: str | bytes) -> None:
        for message in messages:
            kind = "text" if isinstance(message, str) else "bytes"
            self._to_app.put_nowait({"type": "websocket.receive", kind: message})

    def leave(self, code: int = 1000, reason: str = "") -> None:
        """Close; the application's `send` does not fail, as with servers that swallow it."""
        self._to_app.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})

    def vanish(self) -> None:
        """Close, and have `send` fail."""
        self.has_left = True
        self.leave(1006)

    async def next(self) -> Message:
        """The next message of the application."""
        while self._read >= len(self.sent):
            if self.task.done():
                raise AssertionError(f"no further message: {self.task!r}, sent {self.sent}")
            self._news.clear()
            await asyncio.wait_for(self._news.wait(), 10)
        self._read += 1
        return self.sent[self._read - 1]

    async def receive(self) -> str | bytes:
        """The next message that is none about the connection itself."""
        message = await self.next()
        while message["type"] != "websocket.send":
            message = await self.next()
        text: str | None = message.get("text")
        return message["bytes"] if text is None else text

    async def end(self) -> list[Message]:
        """All that was sent, when the application has ended; raises what it raises."""
        await asyncio.wait_for(self.task, 10)
        return self.sent

    @property
    def kinds(self) -> list[str]:
        return [message["type"].removeprefix("websocket.") for message in self.sent]

    @property
    def close(self) -> tuple[int, str] | None:
        for message in self.sent:
            if message["type"] == "websocket.close":
                return message.get("code", 1000), message.get("reason") or ""
        return None

    @property
    def status(self) -> int | None:
        for message in self.sent:
            if message["type"] == "websocket.http.response.start":
                return int(message["status"])
        return None

    @property
    def body(self) -> bytes:
        pieces = [m for m in self.sent if m["type"] == "websocket.http.response.body"]
        return b"".join(message["body"] for message in pieces)

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the answer, whatever it is."""
        return {k.decode(): v.decode() for k, v in self.sent[0].get("headers", ())}


@asynccontextmanager
async def connected(app: Any, path: str = "/", **more: Any) -> AsyncIterator[Client]:
    """A connection, which is left and waited for at the end of the block."""
    client = Client(app, path, **more)
    client.start()
    try:
        yield client
    finally:
        if not client.task.done():
            client.leave()
        await client.end()

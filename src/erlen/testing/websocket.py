"""A WebSocket connection as a test holds it, with calls that wait or that are awaited."""

from __future__ import annotations

import typing as t

from werkzeug.datastructures import Headers

from .sessions import Socket, WebSocketClosed

if t.TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from ..json.provider import JSONProvider
    from .asgi import Wait


class _Session:
    """What is known of an open connection without waiting."""

    def __init__(self, socket: Socket, json: JSONProvider) -> None:
        self._socket = socket
        self._json = json
        #: Headers of the response that accepted the connection.
        self.headers = Headers(socket.headers)

    @property
    def accepted(self) -> bool:
        """Whether the application has accepted the connection."""
        return self._socket.accepted

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that the application chose."""
        return self._socket.subprotocol

    @property
    def close_code(self) -> int | None:
        """Why the connection was closed, by either side (RFC 6455, 7.4); `None` while open."""
        return self._socket.close_code

    @property
    def close_reason(self) -> str:
        """The words that came with `close_code`."""
        return self._socket.close_reason

    async def _receive(self, timeout: float | None) -> str | bytes:
        import asyncio

        try:
            return await asyncio.wait_for(self._socket.receive(), timeout)
        except asyncio.TimeoutError:
            raise TimeoutError(f"No message came within {timeout} s.") from None


class WebSocketSession(_Session):
    """An open WebSocket; `client.websocket` gives one. Iterating gives its messages."""

    def __init__(self, socket: Socket, wait: Wait, json: JSONProvider) -> None:
        super().__init__(socket, json)
        self._wait = wait

    def send(self, data: str | bytes) -> None:
        """Send a message: text from str, binary from bytes. Raises WebSocketClosed."""
        self._wait(self._socket.send(data))

    def send_json(self, data: t.Any) -> None:
        """Send data as JSON text, made by the application's provider."""
        self.send(self._json.dumps(data))

    def receive(self, timeout: float | None = None) -> str | bytes:
        """Wait for the next message, in seconds at most `timeout`.

        Raises WebSocketClosed where the application has closed, TimeoutError, and what the
        application raises.
        """
        return self._wait(self._receive(timeout))

    def receive_json(self, timeout: float | None = None) -> t.Any:
        """The next message, parsed as JSON."""
        return self._json.loads(self.receive(timeout))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection (1006: as if it broke) and wait until the application has ended."""
        self._wait(self._socket.close(code, reason))

    def __iter__(self) -> Iterator[str | bytes]:
        while True:
            try:
                message = self.receive()
            except WebSocketClosed:
                return
            yield message


class AsyncWebSocketSession(_Session):
    """An open WebSocket; `client.websocket` gives one. `async for` gives its messages."""

    async def send(self, data: str | bytes) -> None:
        """Send a message: text from str, binary from bytes. Raises WebSocketClosed."""
        await self._socket.send(data)

    async def send_json(self, data: t.Any) -> None:
        """Send data as JSON text, made by the application's provider."""
        await self.send(self._json.dumps(data))

    async def receive(self, timeout: float | None = None) -> str | bytes:
        """Wait for the next message, in seconds at most `timeout`.

        Raises WebSocketClosed where the application has closed, TimeoutError, and what the
        application raises.
        """
        return await self._receive(timeout)

    async def receive_json(self, timeout: float | None = None) -> t.Any:
        """The next message, parsed as JSON."""
        return self._json.loads(await self.receive(timeout))

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection (1006: as if it broke) and wait until the application has ended."""
        await self._socket.close(code, reason)

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        while True:
            try:
                message = await self.receive()
            except WebSocketClosed:
                return
            yield message

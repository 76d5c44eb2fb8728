"""The socket of a plain view, which runs on a thread of its own: its methods wait."""

from __future__ import annotations

import typing as t

from ..engine.bridge import await_
from .errors import WebsocketDisconnected
from .handshake import Handshake

if t.TYPE_CHECKING:
    from .socket import Websocket


class BlockingWebsocket(Handshake):
    """A `Websocket` for sync code: the same methods, which return when they are done."""

    def __init__(self, socket: Websocket) -> None:
        self._socket = socket
        self.request = socket.request
        self.scope = socket.scope

    @property
    def close_code(self) -> int | None:
        """The status with which the connection was closed, `None` while it is open."""
        return self._socket.close_code

    @property
    def close_reason(self) -> str:
        """What was said at the close."""
        return self._socket.close_reason

    def accept(self, headers: t.Any = None, subprotocol: str | None = None) -> None:
        """See `Websocket.accept`."""
        await_(self._socket.accept(headers, subprotocol))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """See `Websocket.close`."""
        await_(self._socket.close(code, reason))

    def receive(self) -> str | bytes:
        """See `Websocket.receive`."""
        return await_(self._socket.receive())

    def receive_text(self) -> str:
        """See `Websocket.receive_text`."""
        return await_(self._socket.receive_text())

    def receive_bytes(self) -> bytes:
        """See `Websocket.receive_bytes`."""
        return await_(self._socket.receive_bytes())

    def receive_json(self) -> t.Any:
        """See `Websocket.receive_json`."""
        return await_(self._socket.receive_json())

    def send(self, data: str | bytes) -> None:
        """See `Websocket.send`."""
        await_(self._socket.send(data))

    def send_text(self, data: str) -> None:
        """See `Websocket.send_text`."""
        await_(self._socket.send_text(data))

    def send_bytes(self, data: bytes) -> None:
        """See `Websocket.send_bytes`."""
        await_(self._socket.send_bytes(data))

    def send_json(self, *args: t.Any, **kwargs: t.Any) -> None:
        """See `Websocket.send_json`."""
        await_(self._socket.send_json(*args, **kwargs))

    def __iter__(self) -> t.Iterator[str | bytes]:
        """Messages until the connection is closed."""
        while True:
            try:
                message = self.receive()
            except WebsocketDisconnected:
                return
            yield message

    def iter_json(self) -> t.Iterator[t.Any]:
        """As iterating, but parsed as JSON."""
        while True:
            try:
                value = self.receive_json()
            except WebsocketDisconnected:
                return
            yield value

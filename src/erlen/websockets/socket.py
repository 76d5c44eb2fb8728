"""The socket of a coroutine view, on the server's `receive` and `send`.

What the view does with the socket goes straight to the server. Only while the view waits for
something else than its socket does a task of its own read ahead, a little, because ASGI tells of
a client's leaving to nobody but who receives. Source: ASGI, "WebSocket"; RFC 6455.
"""

from __future__ import annotations

import asyncio
import typing as t
from collections import deque

from ..engine import bridge
from .attended import CLOSED, CONNECTING, ELSEWHERE, OPEN, RUNS, USES_SOCKET, Attended
from .errors import BadMessage, WebsocketDisconnected
from .handshake import Handshake, check_subprotocol, encoded

if t.TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from ..wrappers import Request
    from ..wrappers.scope import Message, Receive, Scope, Send

#: Bytes that a message may have where `WEBSOCKET_MAX_MESSAGE_SIZE` does not say.
MAX_MESSAGE_SIZE = 16 * 1024 * 1024
# After so many messages without a pause the other tasks of the loop get a turn.
_TURN = 32


class Websocket(Attended, Handshake):
    """A WebSocket, from the server's side.

    Receiving and sending accept the connection first where that was not done. Every method raises
    `WebsocketDisconnected` once the connection is closed. `async for message in socket` ends
    then. Any attribute of the request that opened the socket can be read, such as `args`,
    `headers`, `cookies`, `path`, `url`, `endpoint`, `view_args`.
    """

    _has_warned: t.ClassVar[bool] = False

    # Instances are made by the ASGI edge: the constructor is no part of the public interface.
    def __init__(
        self, app: t.Any, request: Request, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self.request = request
        self.scope = scope
        self._app = app
        self._receive_event = receive
        self._send_event = send
        self._state = CONNECTING
        limit = app.config.get("WEBSOCKET_MAX_MESSAGE_SIZE", MAX_MESSAGE_SIZE)
        self._limit: float = float("inf") if limit is None else limit
        # A character is four bytes at most.
        self._surely_small = self._limit // 4
        self._sent = 0
        self._opening: asyncio.Future[None] | None = None
        #: Headers for the answer that accepts, of what happened before; set by the context.
        self._more_headers: Callable[[], t.Any] | None = None
        self._main = ELSEWHERE
        self._receiver = None
        self._reader = None
        self._ahead = deque()
        self._waiters = deque()

    # Opening and closing

    async def accept(self, headers: t.Any = None, subprotocol: str | None = None) -> None:
        """Accept the connection; does nothing where that was done already.

        :param headers: for the answer, a dict or a list of pairs
        :param subprotocol: one of `requested_subprotocols`

        Raises ValueError for a subprotocol that was not offered.
        """
        if self._state == OPEN:
            return
        if self._opening is not None:
            await asyncio.shield(self._opening)
            await self.accept()
            return
        if self._state == CLOSED:
            self._raise_closed()
        if subprotocol is not None:
            check_subprotocol(subprotocol, self.requested_subprotocols)
        self._opening = asyncio.get_running_loop().create_future()
        is_given = False
        try:
            pairs = encoded(headers) if headers else []
            if self._more_headers is not None:
                pairs += encoded(await bridge.run(self._more_headers))
            message: Message = {"type": "websocket.accept", "subprotocol": subprotocol}
            message["headers"] = pairs
            self._warn_of_loss({name.decode() for name, _ in pairs})
            is_given = True
            await self._give(message)
        finally:
            # Also where the waiting was cancelled: the server has the message.
            if is_given and self._state == CONNECTING:
                self._state = OPEN
            opening, self._opening = self._opening, None
            opening.set_result(None)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection, or refuse it where it is not accepted yet.

        Tasks that wait for a message get `WebsocketDisconnected` at once. Does nothing where it is
        closed already. Raises ValueError for a code that may not be sent (RFC 6455, 7.4) and for
        a reason of more than 123 bytes.
        """
        if not (code in _MAY_BE_SENT or 3000 <= code <= 4999):
            raise ValueError(f"{code} is no code with which a WebSocket may be closed.")
        if len(reason.encode()) > 123:
            raise ValueError("The reason of a close may have 123 bytes.")
        if self._state == CLOSED:
            return
        self._state = CLOSED
        self.close_code, self.close_reason = code, reason
        self._ahead.clear()
        # Before the server is told: Granian closes only when nobody receives.
        await self._stop_receiving()
        message: Message = {"type": "websocket.close", "code": code}
        if reason and self._speaks("2.3"):
            message["reason"] = reason
        try:
            await self._give(message)
        except WebsocketDisconnected:
            pass  # the client was faster

    def _warn_of_loss(self, headers: set[str]) -> None:
        """Say once that the server sends no headers with the answer, if there are any."""
        # Granian, as of 2.8, leaves them out and does not tell.
        server = type(getattr(self._send_event, "__self__", None)).__name__
        is_lost = server == "ASGIWebsocketProtocol" or not self._speaks("2.1")
        if headers and is_lost and not Websocket._has_warned:
            Websocket._has_warned = True
            self._app.logger.warning(
                "This server sends no headers with the answer that accepts a WebSocket: %s do not"
                " reach the client.",
                ", ".join(sorted(headers)),
            )

    def _speaks(self, version: str) -> bool:
        """Whether the server knows this version of the specification of HTTP and WebSocket."""
        spoken: str = self.scope.get("asgi", {}).get("spec_version", "2.0")
        return [int(n) for n in spoken.split(".")] >= [int(n) for n in version.split(".")]

    # Receiving

    async def receive(self) -> str | bytes:
        """The next message: str for text, bytes for binary."""
        if self._state != OPEN:
            await self._open()
        # PERF: the usual way is here in full: nothing between the view and the server.
        is_own = self._main == RUNS
        if is_own:
            self._main = USES_SOCKET
        try:
            while self._receiver is not None or self._reader is not None or self._ahead:
                if self._ahead:
                    return self._fetch()
                await self._wait_for_turn()
            self._receiver = self._task if is_own else asyncio.current_task()
            try:
                event = await self._receive_event()
            except asyncio.CancelledError:
                self._raise_if_interrupted()
                raise
            finally:
                self._receiver = None
                if self._waiters:
                    self._wake_one()
        finally:
            if is_own:
                self._main = RUNS
            elif self._main == ELSEWHERE:
                self._read_ahead()
        if event["type"] != "websocket.receive":
            self._note_end(event)
            self._raise_closed()
        text: str | None = event.get("text")
        data: str | bytes = event["bytes"] if text is None else text
        if len(data) > self._surely_small:
            await self._refuse_if_large(data)
        return data

    async def receive_text(self) -> str:
        """The next message, which has to be text. Raises BadMessage (1003)."""
        data = await self.receive()
        if isinstance(data, str):
            return data
        raise BadMessage(1003, "text expected")

    async def receive_bytes(self) -> bytes:
        """The next message, which has to be binary. Raises BadMessage (1003)."""
        data = await self.receive()
        if isinstance(data, str):
            raise BadMessage(1003, "bytes expected")
        return data

    async def receive_json(self) -> t.Any:
        """The next message, parsed by the application's JSON provider.

        Raises BadMessage (1007), a ValueError, for what is no JSON.
        """
        data = await self.receive()
        try:
            return self._app.json.loads(data)
        except (ValueError, RecursionError) as error:
            raise BadMessage(1007, "JSON expected") from error

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        return self

    async def __anext__(self) -> str | bytes:
        try:
            return await self.receive()
        except WebsocketDisconnected:
            raise StopAsyncIteration from None

    async def iter_json(self) -> AsyncIterator[t.Any]:
        """As iterating over the socket, but parsed as JSON."""
        while True:
            try:
                value = await self.receive_json()
            except WebsocketDisconnected:
                return
            yield value

    async def _open(self) -> None:
        """Accept, unless there are messages left that came before the end."""
        if self._state == CONNECTING:
            await self.accept()
        if self._state == CLOSED and not self._ahead:
            self._raise_closed()

    async def _refuse_if_large(self, data: str | bytes) -> None:
        size = len(data) if isinstance(data, bytes) else len(data.encode(errors="surrogatepass"))
        if size > self._limit:
            await self.close(1009, f"more than {int(self._limit)} bytes")
            self._raise_closed()

    # Sending

    async def send(self, data: str | bytes) -> None:
        """Send a message: text from str, binary from bytes."""
        if self._state != OPEN:
            await self._open_to_send()
        if isinstance(data, str):
            message: Message = {"type": "websocket.send", "text": data}
        elif isinstance(data, (bytes, bytearray, memoryview)):
            message = {"type": "websocket.send", "bytes": bytes(data)}
        else:
            raise TypeError(
                f"A message is str or bytes, not {type(data).__name__};"
                " 'send_json' sends other data."
            )
        # PERF: as `_give`, without a further coroutine.
        is_own = self._main == RUNS
        if is_own:
            self._main = USES_SOCKET
        try:
            self._sent += 1
            if not self._sent % _TURN:
                await asyncio.sleep(0)
            await self._send_event(message)
        except OSError as error:
            self._raise_lost(error)
        finally:
            if is_own:
                self._main = RUNS

    async def send_text(self, data: str) -> None:
        """Send text. Raises TypeError for anything but str."""
        if not isinstance(data, str):
            raise TypeError(f"'send_text' sends str, not {type(data).__name__}.")
        await self.send(data)

    async def send_bytes(self, data: bytes) -> None:
        """Send a binary message. Raises TypeError for str."""
        if isinstance(data, str):
            raise TypeError("'send_bytes' sends bytes, not str.")
        await self.send(data)

    async def send_json(self, *args: t.Any, **kwargs: t.Any) -> None:
        """Send data as JSON text: one value, several as a list, or named ones as an object."""
        provider = self._app.json
        await self.send(provider.dumps(provider._prepare_response_obj(args, kwargs)))

    async def _open_to_send(self) -> None:
        await self._open()
        if self._state == CLOSED:
            self._raise_closed()

    async def _give(self, message: Message) -> None:
        """Hand a message to the server. Raises WebsocketDisconnected where the client is gone."""
        is_own = self._main == RUNS
        if is_own:
            self._main = USES_SOCKET
        try:
            await self._send_event(message)
        except OSError as error:
            self._raise_lost(error)
        finally:
            if is_own:
                self._main = RUNS


# RFC 6455, 7.4.1 and the registry of RFC 6455, 11.7.
_MAY_BE_SENT = frozenset({*range(1000, 1004), *range(1007, 1015)})

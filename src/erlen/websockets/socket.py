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
from .errors import BadMessage, WebsocketDisconnected
from .handshake import Handshake, check_subprotocol, encoded

if t.TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from ..wrappers import Request
    from ..wrappers.scope import Message, Receive, Scope, Send

#: Bytes that a message may have where `WEBSOCKET_MAX_MESSAGE_SIZE` does not say.
MAX_MESSAGE_SIZE = 16 * 1024 * 1024
# What is read ahead at most: enough that the end of the connection is seen behind a few messages
# that nobody fetches; little, so that a client who sends faster than it is read has to wait.
_MOST_AHEAD = 16
_MOST_BYTES_AHEAD = 65536
# After so many messages without a pause the other tasks of the loop get a turn.
_TURN = 32
# Turns of the loop in which a task that was cancelled has left the server's `receive`.
_TURNS_TO_END = 5

# States of the connection.
_CONNECTING, _OPEN, _CLOSED = range(3)
# What the view's own task is doing.
_RUNS, _USES_SOCKET, _ELSEWHERE = range(3)


class Websocket(Handshake):
    """A WebSocket, from the server's side.

    Receiving and sending accept the connection first where that was not done. Every method raises
    `WebsocketDisconnected` once the connection is closed. `async for message in socket` ends
    then. Any attribute of the request that opened the socket can be read, such as `args`,
    `headers`, `cookies`, `path`, `url`, `endpoint`, `view_args`.
    """

    #: The status with which the connection was closed, `None` while it is not.
    close_code: int | None = None
    #: What was said at the close.
    close_reason = ""
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
        self._state = _CONNECTING
        limit = app.config.get("WEBSOCKET_MAX_MESSAGE_SIZE", MAX_MESSAGE_SIZE)
        self._limit: float = float("inf") if limit is None else limit
        # A character is four bytes at most.
        self._surely_small = self._limit // 4
        self._sent = 0
        self._opening: asyncio.Future[None] | None = None
        #: Headers for the answer that accepts, of what happened before; set by the context.
        self._more_headers: Callable[[], t.Any] | None = None
        # Set by `_serve`: the view's task, and whether it ends when the client leaves.
        self._task: asyncio.Task[t.Any] | None = None
        self._cancels = False
        self._main = _ELSEWHERE
        #: Whether the view was cancelled because the client left.
        self._has_cancelled = False
        #: The task that waits in the server's `receive`, for itself.
        self._receiver: asyncio.Task[t.Any] | None = None
        self._is_interrupted = False
        self._reader: asyncio.Task[None] | None = None
        self._ahead: deque[str | bytes] = deque()
        self._bytes_ahead = 0
        self._waiters: deque[asyncio.Future[None]] = deque()

    # Opening and closing

    async def accept(self, headers: t.Any = None, subprotocol: str | None = None) -> None:
        """Accept the connection; does nothing where that was done already.

        :param headers: for the answer, a dict or a list of pairs
        :param subprotocol: one of `requested_subprotocols`

        Raises ValueError for a subprotocol that was not offered.
        """
        if self._state == _OPEN:
            return
        if self._opening is not None:
            await asyncio.shield(self._opening)
            await self.accept()
            return
        if self._state == _CLOSED:
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
            if is_given and self._state == _CONNECTING:
                self._state = _OPEN
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
        if self._state == _CLOSED:
            return
        self._state = _CLOSED
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
        if self._state != _OPEN:
            await self._open()
        # PERF: the usual way is here in full: nothing between the view and the server.
        is_own = self._main == _RUNS
        if is_own:
            self._main = _USES_SOCKET
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
                self._main = _RUNS
            elif self._main == _ELSEWHERE:
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
        if self._state == _CONNECTING:
            await self.accept()
        if self._state == _CLOSED and not self._ahead:
            self._raise_closed()

    async def _refuse_if_large(self, data: str | bytes) -> None:
        size = len(data) if isinstance(data, bytes) else len(data.encode(errors="surrogatepass"))
        if size > self._limit:
            await self.close(1009, f"more than {int(self._limit)} bytes")
            self._raise_closed()

    # Sending

    async def send(self, data: str | bytes) -> None:
        """Send a message: text from str, binary from bytes."""
        if self._state != _OPEN:
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
        is_own = self._main == _RUNS
        if is_own:
            self._main = _USES_SOCKET
        try:
            self._sent += 1
            if not self._sent % _TURN:
                await asyncio.sleep(0)
            await self._send_event(message)
        except OSError as error:
            self._raise_lost(error)
        finally:
            if is_own:
                self._main = _RUNS

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
        if self._state == _CLOSED:
            self._raise_closed()

    async def _give(self, message: Message) -> None:
        """Hand a message to the server. Raises WebsocketDisconnected where the client is gone."""
        is_own = self._main == _RUNS
        if is_own:
            self._main = _USES_SOCKET
        try:
            await self._send_event(message)
        except OSError as error:
            self._raise_lost(error)
        finally:
            if is_own:
                self._main = _RUNS

    # The end of the connection

    def _note_end(self, event: t.Any) -> None:
        """The client has left, or the server says so."""
        if self._state == _CLOSED:
            self._wake_all()
            return
        self._state = _CLOSED
        self.close_code = event.get("code", 1005)
        self.close_reason = event.get("reason") or ""
        if self._cancels and self._main == _ELSEWHERE and self._task is not None:
            # Who waits for messages in other tasks is ended by the view, or after it.
            self._has_cancelled = True
            self._task.cancel()
        else:
            self._wake_all()

    def _raise_lost(self, error: OSError) -> t.NoReturn:
        """ASGI 2.4: so a server says that there is nobody to send to."""
        self._note_end({"code": 1006})
        raise WebsocketDisconnected(self.close_code or 1006, self.close_reason) from error

    def _raise_closed(self) -> t.NoReturn:
        code = 1006 if self.close_code is None else self.close_code
        raise WebsocketDisconnected(code, self.close_reason)

    async def _stop_receiving(self) -> None:
        """Have nobody wait for messages that will not come."""
        self._wake_all()
        me = asyncio.current_task()
        if self._reader is not None and self._reader is not me:
            self._reader.cancel()
            await asyncio.wait([self._reader])
        receiver = self._receiver
        if receiver is not None and receiver is not me:
            self._is_interrupted = True
            receiver.cancel()
            await self._until_let_go(receiver)

    async def _until_let_go(self, receiver: asyncio.Task[t.Any]) -> None:
        """Give a task that was cancelled in `receive` the time to leave it."""
        for _ in range(_TURNS_TO_END):
            if self._receiver is not receiver:
                return
            await asyncio.sleep(0)

    def _raise_if_interrupted(self) -> None:
        """Who was cancelled by `close`, and by nobody else, hears that the connection is closed."""
        if self._is_interrupted:
            self._is_interrupted = False
            uncancel = getattr(asyncio.current_task(), "uncancel", int)
            if not uncancel():
                self._raise_closed()

    # Reading ahead

    def _read_ahead(self) -> None:
        """Have a task receive, where nobody does and the view is to be told of the end."""
        if (
            self._cancels
            and self._state == _OPEN
            and self._reader is None
            and self._receiver is None
            and not self._has_enough()
        ):
            self._reader = asyncio.get_running_loop().create_task(self._read())

    def _has_enough(self) -> bool:
        return len(self._ahead) >= _MOST_AHEAD or self._bytes_ahead >= _MOST_BYTES_AHEAD

    async def _read(self) -> None:
        try:
            while self._state == _OPEN and not self._has_enough():
                event = await self._receive_event()
                if event["type"] != "websocket.receive":
                    self._note_end(event)
                    return
                text = event.get("text")
                data = event["bytes"] if text is None else text
                if len(data) > self._surely_small:
                    try:
                        await self._refuse_if_large(data)
                    except WebsocketDisconnected:
                        self._note_refusal()
                        return
                self._ahead.append(data)
                self._bytes_ahead += len(data)
                self._wake_one()
        finally:
            self._reader = None
            if self._state == _OPEN:
                self._wake_one()

    def _note_refusal(self) -> None:
        """The connection was closed for the client's fault: as if it had left."""
        if self._main == _ELSEWHERE and self._task is not None:
            self._has_cancelled = True
            self._task.cancel()

    def _fetch(self) -> str | bytes:
        data = self._ahead.popleft()
        self._bytes_ahead -= len(data)
        return data

    async def _wait_for_turn(self) -> None:
        """Wait until there may be a message, or nobody receives any more."""
        if self._state == _CLOSED:
            self._raise_closed()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._wake_one()  # it was this one's turn
            raise
        if self._state == _CLOSED and not self._ahead:
            self._raise_closed()

    def _wake_one(self) -> None:
        while self._waiters:
            turn = self._waiters.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def _wake_all(self) -> None:
        while self._waiters:
            self._wake_one()

    # For the edge

    def waits(self, waited_for: t.Any) -> None:
        """The view waits, perhaps for something else than its socket."""
        if self._main == _RUNS:
            self._main = _ELSEWHERE
            if waited_for is not None:  # else it only gives others their turn
                self._read_ahead()

    def goes_on(self) -> None:
        """The view goes on; inside of the socket's methods where it waits for those."""
        if self._main == _ELSEWHERE:
            self._main = _RUNS

    def _watch(self, cancels: bool) -> None:
        """Know what the current task, which is the view's, waits for: see `waits`.

        With `cancels` it is cancelled when the client leaves while it waits for something else
        than the socket; otherwise it hears of that from its next use of the socket only.
        """
        self._task, self._cancels, self._main = asyncio.current_task(), cancels, _RUNS

    def _stop_watching(self) -> bool:
        """Whether the task was cancelled, for its client and for nobody else."""
        self._cancels = False
        self._main = _ELSEWHERE
        if not self._has_cancelled:
            return False
        # Somebody else may want the task to end too. Python 3.10 cannot tell.
        uncancel = getattr(self._task, "uncancel", int)
        return not uncancel()

    def _abandon(self) -> None:
        """The server drops the connection: for a plain view that still runs it is closed."""
        if self._state != _CLOSED:
            self._state = _CLOSED
            self.close_code = 1006

    async def _end(self) -> None:
        """Leave no task behind: the view has ended, and with it everything that it waited for."""
        for turn in self._waiters:
            turn.cancel()
        self._waiters.clear()
        if self._receiver is not None:
            self._receiver.cancel()
            await self._until_let_go(self._receiver)
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait([self._reader])


# RFC 6455, 7.4.1 and the registry of RFC 6455, 11.7.
_MAY_BE_SENT = frozenset({*range(1000, 1004), *range(1007, 1015)})

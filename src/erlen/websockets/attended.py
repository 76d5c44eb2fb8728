"""What becomes of a socket beside its view: who waits for messages, who reads ahead, its end."""

from __future__ import annotations

import asyncio
import typing as t

from .errors import WebsocketDisconnected

if t.TYPE_CHECKING:
    from collections import deque

    from ..wrappers.scope import Receive

# What is read ahead at most: enough that the end of the connection is seen behind a few messages
# that nobody fetches; little, so that a client who sends faster than it is read has to wait.
_MOST_AHEAD = 16
_MOST_BYTES_AHEAD = 65536
# Turns of the loop in which a task that was cancelled has left the server's `receive`.
_TURNS_TO_END = 5


# States of the connection.
CONNECTING, OPEN, CLOSED = range(3)
# What the view's own task is doing.
RUNS, USES_SOCKET, ELSEWHERE = range(3)


class Attended:
    """The state of a connection, and the tasks that wait at it: the view's, others, a reader.

    What the subclass sets for each connection is only declared here.
    """

    #: The status with which the connection was closed, `None` while it is not.
    close_code: int | None = None
    #: What was said at the close.
    close_reason = ""
    _state: int
    _receive_event: Receive
    # A message of this length is surely no more than `_refuse_if_large` lets through.
    _surely_small: float
    # Set by `_watch`: the view's task, and whether it ends when the client leaves.
    _task: asyncio.Task[t.Any] | None = None
    _cancels = False
    _main: int
    #: Whether the view was cancelled because the client left.
    _has_cancelled = False
    #: The task that waits in the server's `receive`, for itself.
    _receiver: asyncio.Task[t.Any] | None
    _is_interrupted = False
    _reader: asyncio.Task[None] | None
    _ahead: deque[str | bytes]
    _bytes_ahead = 0
    _waiters: deque[asyncio.Future[None]]

    if t.TYPE_CHECKING:

        async def _refuse_if_large(self, data: str | bytes) -> None: ...

    # The end of the connection

    def _note_end(self, event: t.Any) -> None:
        """The client has left, or the server says so."""
        if self._state == CLOSED:
            self._wake_all()
            return
        self._state = CLOSED
        self.close_code = event.get("code", 1005)
        self.close_reason = event.get("reason") or ""
        if self._cancels and self._main == ELSEWHERE and self._task is not None:
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
            and self._state == OPEN
            and self._reader is None
            and self._receiver is None
            and not self._has_enough()
        ):
            self._reader = asyncio.get_running_loop().create_task(self._read())

    def _has_enough(self) -> bool:
        return len(self._ahead) >= _MOST_AHEAD or self._bytes_ahead >= _MOST_BYTES_AHEAD

    async def _read(self) -> None:
        try:
            while self._state == OPEN and not self._has_enough():
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
            if self._state == OPEN:
                self._wake_one()

    def _note_refusal(self) -> None:
        """The connection was closed for the client's fault: as if it had left."""
        if self._main == ELSEWHERE and self._task is not None:
            self._has_cancelled = True
            self._task.cancel()

    def _fetch(self) -> str | bytes:
        data = self._ahead.popleft()
        self._bytes_ahead -= len(data)
        return data

    async def _wait_for_turn(self) -> None:
        """Wait until there may be a message, or nobody receives any more."""
        if self._state == CLOSED:
            self._raise_closed()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._wake_one()  # it was this one's turn
            raise
        if self._state == CLOSED and not self._ahead:
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
        if self._main == RUNS:
            self._main = ELSEWHERE
            if waited_for is not None:  # else it only gives others their turn
                self._read_ahead()

    def goes_on(self) -> None:
        """The view goes on; inside of the socket's methods where it waits for those."""
        if self._main == ELSEWHERE:
            self._main = RUNS

    def _watch(self, cancels: bool) -> None:
        """Know what the current task, which is the view's, waits for: see `waits`.

        With `cancels` it is cancelled when the client leaves while it waits for something else
        than the socket; otherwise it hears of that from its next use of the socket only.
        """
        self._task, self._cancels, self._main = asyncio.current_task(), cancels, RUNS

    def _stop_watching(self) -> bool:
        """Whether the task was cancelled, for its client and for nobody else."""
        self._cancels = False
        self._main = ELSEWHERE
        if not self._has_cancelled:
            return False
        # Somebody else may want the task to end too. Python 3.10 cannot tell.
        uncancel = getattr(self._task, "uncancel", int)
        return not uncancel()

    def _abandon(self) -> None:
        """The server drops the connection: for a plain view that still runs it is closed."""
        if self._state != CLOSED:
            self._state = CLOSED
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

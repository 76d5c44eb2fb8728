"""A socket in a group: what the group is sent is sent to the socket."""

from __future__ import annotations

import asyncio
import contextlib
import typing as t

from werkzeug.local import LocalProxy

from ..engine.bridge import await_
from ..websockets.errors import WebsocketDisconnected
from .subscription import Overflow, Subscription

if t.TYPE_CHECKING:
    from ..websockets import BlockingWebsocket, Websocket
    from .groups import Group


#: Seconds for the last words to a client that does not listen.
_PATIENCE = 10.0


class Membership(Subscription):
    """Sends a group's messages to a socket while `async with` (or, in plain code, `with`) lasts.

    A socket whose client does not keep up is closed with the code 1013 ("try again later"), so
    that the client knows that it has missed something; with `overflow="drop"` it misses the oldest.
    """

    def __init__(
        self, group: Group, socket: Websocket | BlockingWebsocket, size: int, overflow: Overflow
    ) -> None:
        super().__init__(group, size, overflow)
        given: t.Any = socket
        if isinstance(given, LocalProxy):
            given = given._get_current_object()
        self.socket: Websocket = getattr(given, "_socket", given)
        self._is_leaving = False
        self._is_closing = False

    async def __aenter__(self) -> Membership:
        await self.socket.accept()
        self._loop = asyncio.get_running_loop()
        self._pump = self._loop.create_task(self._send_all())
        try:
            await super().__aenter__()
        except BaseException:
            self._pump.cancel()
            await asyncio.wait([self._pump])
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        self._is_leaving = True
        pump = self._pump
        try:
            await super().__aexit__(*error)
            if self._is_closing:
                await asyncio.wait([pump])
        finally:
            pump.cancel()
            await asyncio.wait([pump])
        _check(pump)

    def __enter__(self) -> Membership:
        return await_(self.__aenter__())

    def __exit__(self, *error: object) -> None:
        await_(self.__aexit__(*error))

    async def _send_all(self) -> None:
        send = self.socket.send
        try:
            async for message in self:
                await send(message)
        except WebsocketDisconnected:
            pass  # the view hears of that itself
        except asyncio.CancelledError:
            if not self._is_closing:
                raise
            # Nor is the close waited for without end; the server drops the connection then.
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.socket.close(1013, "too slow"), _PATIENCE)

    def _end(self) -> None:
        # The sending is what takes so long: it is not waited for.
        if self._loop is asyncio._get_running_loop():
            self._break_off()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._break_off)

    def _break_off(self) -> None:
        if not self._is_leaving:
            self._is_closing = True
            self._pump.cancel()


def _check(task: asyncio.Task[None]) -> None:
    """Raise the error of a task that has ended, if there was one."""
    if not task.cancelled():
        error = task.exception()
        if error is not None:
            raise error

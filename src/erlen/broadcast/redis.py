"""Groups over processes: channels of a Redis server (Redis, "Pub/Sub").

Each event loop of a process has one connection for all that it listens to, as long as it listens
to anything, and a few for sending. What was sent while a connection was lost is lost too.
"""

from __future__ import annotations

import asyncio
import logging
import typing as t
import weakref

from ..engine import bridge
from ..errors import MissingExtra
from .groups import BroadcastError, Members
from .subscription import Subscription

try:
    import redis
    import redis.asyncio
    import redis.asyncio.retry
    import redis.backoff
    import redis.retry
except ImportError as _missing:
    raise MissingExtra("BROADCAST_URL", "redis", "redis") from _missing

if t.TYPE_CHECKING:
    from collections.abc import Awaitable

log = logging.getLogger(__name__)

#: Seconds after which a server that does not answer counts as gone.
_PATIENCE = 5.0
# Seconds between two attempts to connect again: at first, and at most.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
# Seconds without a message after which the connection is tried out.
_QUIET = 15.0
_TEXT, _BINARY = b"t", b"b"
_LOST = (redis.RedisError, OSError)


def _packed(message: str | bytes) -> bytes:
    return _TEXT + message.encode() if isinstance(message, str) else _BINARY + message


def _unpacked(data: bytes) -> str | bytes:
    """Raises ValueError for what no application of this kind has sent."""
    kind, message = data[:1], data[1:]
    if kind == _TEXT:
        return message.decode()
    if kind == _BINARY:
        return message
    raise ValueError("it begins with neither 't' nor 'b'")


class RedisHub:
    """Carries messages through a Redis server.

    :param prefix: comes before the names of the groups, for servers that others use too
    """

    def __init__(self, url: str, prefix: str) -> None:
        self._url = url
        self._prefix = prefix
        self._ends: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _End] = (
            weakref.WeakKeyDictionary()
        )
        self._sync: t.Any = None

    def _end(self) -> _End:
        """What belongs to the running loop."""
        loop = asyncio.get_running_loop()
        end = self._ends.get(loop)
        if end is None:
            end = self._ends[loop] = _End(self._url, self._prefix)
        return end

    async def join(self, subscription: Subscription) -> None:
        await self._end().join(subscription)

    async def leave(self, subscription: Subscription) -> None:
        await self._end().leave(subscription)

    async def send(self, name: str, message: str | bytes) -> None:
        await self._end().send(name, _packed(message))

    def publish(self, name: str, message: str | bytes) -> None:
        if _has_loop():
            bridge.await_(self.send(name, message))
            return
        # A thread of a WSGI server has no loop that would keep a connection.
        if self._sync is None:
            self._sync = redis.Redis.from_url(
                self._url,
                socket_timeout=_PATIENCE,
                socket_connect_timeout=_PATIENCE,
                retry=redis.retry.Retry(redis.backoff.ExponentialBackoff(0.5, 0.05), 3),
            )
        try:
            self._sync.publish(self._prefix + name, _packed(message))
        except _LOST as error:
            raise _unreachable(error) from error

    def count(self, name: str) -> int:
        return sum(len(end.members.of(name)) for end in list(self._ends.values()))

    async def aclose(self) -> None:
        """Close the connections of the running loop, and those of plain code."""
        end = self._ends.pop(asyncio.get_running_loop(), None)
        if end is not None:
            await end.aclose()
        if self._sync is not None:
            self._sync.close()
            self._sync = None


def _has_loop() -> bool:
    """Whether plain code here can wait for a loop that goes on when it is done."""
    return asyncio._get_running_loop() is not None or bridge.has_home()


def _unreachable(error: BaseException) -> BroadcastError:
    return BroadcastError(f"The server of BROADCAST_URL cannot be reached, or refuses: {error}")


class _End:
    """One loop's end of the line."""

    def __init__(self, url: str, prefix: str) -> None:
        self._prefix = prefix
        self.members = Members()
        self._listening: asyncio.Task[None] | None = None
        #: Channels that the server has confirmed since the connection was made.
        self._confirmed: set[str] = set()
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._line: t.Any = None
        retry = redis.asyncio.retry.Retry
        make: t.Any = redis.asyncio.Redis.from_url
        self._writer = make(
            url,
            socket_timeout=_PATIENCE,
            socket_connect_timeout=_PATIENCE,
            retry=retry(redis.backoff.ExponentialBackoff(0.5, 0.05), 3),
        )
        # How to go on after an error is decided here, for all channels at once.
        self._reader = make(
            url,
            socket_connect_timeout=_PATIENCE,
            health_check_interval=_QUIET,
            retry=retry(redis.backoff.NoBackoff(), 0),
        )

    async def send(self, name: str, data: bytes) -> None:
        try:
            await self._writer.publish(self._prefix + name, data)
        except _LOST as error:
            raise _unreachable(error) from error

    async def join(self, subscription: Subscription) -> None:
        """Return when the server will send what comes from now on. Raises BroadcastError."""
        name = subscription.group.name
        self.members.add(subscription)
        try:
            if self._listening is None:
                self._listening = asyncio.get_running_loop().create_task(self._listen())
            elif name not in self._confirmed and name not in self._waiting and self._line:
                await self._try(self._line.subscribe(self._prefix + name))
            if name not in self._confirmed:
                await self._confirmation(name)
        except BaseException:
            await self.leave(subscription)
            raise

    async def _confirmation(self, name: str) -> None:
        confirmed = self._waiting.get(name)
        if confirmed is None:
            confirmed = self._waiting[name] = asyncio.get_running_loop().create_future()
        listening = t.cast("asyncio.Task[None]", self._listening)
        done, _ = await asyncio.wait(
            [confirmed, listening], timeout=_PATIENCE, return_when=asyncio.FIRST_COMPLETED
        )
        if listening in done:  # the server was reached, and refuses
            listening.result()
        if not done:
            raise _unreachable(TimeoutError(f"no answer for {_PATIENCE:g} seconds"))

    async def leave(self, subscription: Subscription) -> None:
        name = subscription.group.name
        if not self.members.discard(subscription):
            return
        self._confirmed.discard(name)
        self._waiting.pop(name, None)
        if not self.members.names():
            await self._stop_listening()
        elif self._line is not None:
            await self._try(self._line.unsubscribe(self._prefix + name))
            if self.members.of(name):  # somebody has joined meanwhile
                await self._try(self._line.subscribe(self._prefix + name))

    async def _try(self, command: Awaitable[t.Any]) -> None:
        """Send a command on the line; where it is broken, its reader sees to everything."""
        try:
            await command
        except _LOST as error:
            log.debug("The line to the server of BROADCAST_URL is broken: %s", error)

    async def _stop_listening(self) -> None:
        task, self._listening = self._listening, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def aclose(self) -> None:
        await self._stop_listening()
        await self._writer.aclose()
        await self._reader.aclose()

    # The task that receives

    async def _listen(self) -> None:
        pause = _FIRST_PAUSE
        try:
            while True:
                try:
                    await self._receive()
                except _LOST as error:
                    if self._confirmed or pause == _FIRST_PAUSE:
                        pause = _FIRST_PAUSE
                        log.warning("Messages are not received until Redis is back: %s", error)
                    self._confirmed.clear()
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, _LONGEST_PAUSE)
        finally:
            self._confirmed.clear()
            await self._reader.aclose()

    async def _receive(self) -> None:
        """Receive until the connection is lost."""
        line = self._reader.pubsub()
        try:
            names = set(self.members.names())
            await line.subscribe(*(self._prefix + name for name in names))
            self._line = line
            # Who has joined meanwhile saw no line yet.
            late = set(self.members.names()) - names
            if late:
                await line.subscribe(*(self._prefix + name for name in late))
            while True:
                message = await line.get_message(timeout=_QUIET)
                if message is not None:
                    await self._take(message)
        finally:
            self._line = None
            await line.aclose()

    async def _take(self, message: dict[str, t.Any]) -> None:
        kind, channel = message["type"], message["channel"]
        name = channel.decode()[len(self._prefix) :] if channel else ""
        if kind == "message":
            try:
                await self.members.deliver_kindly(name, _unpacked(message["data"]))
            except ValueError as error:
                log.warning("A message to the group %r is not understood: %s", name, error)
        elif kind == "subscribe" and self.members.of(name):
            self._confirmed.add(name)
            waiting = self._waiting.pop(name, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(None)

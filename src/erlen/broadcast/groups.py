"""The groups of an application, as views and other code see them."""

from __future__ import annotations

import asyncio
import threading
import time
import typing as t
import weakref

from ..engine import bridge
from ..errors import ErlenError, SetupError
from .membership import Membership
from .subscription import Overflow, SlowSubscriber, Subscription

if t.TYPE_CHECKING:
    from ..websockets import BlockingWebsocket, Websocket

__all__ = ["BroadcastError", "Group", "Groups", "Hub", "SlowSubscriber", "Subscription"]

#: Messages that may wait for a subscriber where `BROADCAST_QUEUE_SIZE` does not say.
QUEUE_SIZE = 256
#: Before the names of groups where they are channels of a server that others use too.
PREFIX = "erlen:"

# Turns of the loop, and seconds for a thread, that who sends leaves to those who listen slower.
_TURNS = 10
_PAUSE = 0.001

Message: t.TypeAlias = "str | bytes"


class BroadcastError(ErlenError, ConnectionError):
    """The server that carries messages between processes cannot be reached."""


class Hub(t.Protocol):
    """Carries messages from those who send to those who listen."""

    async def join(self, subscription: Subscription) -> None:
        """Let a subscription have what is sent from now on."""

    async def leave(self, subscription: Subscription) -> None:
        """Let it have no more."""

    async def send(self, name: str, message: Message) -> None:
        """Carry a message to everybody in a group."""

    def publish(self, name: str, message: Message) -> None:
        """As `send`, from plain code."""

    def count(self, name: str) -> int:
        """How many listen to a group in this process."""

    async def aclose(self) -> None:
        """Close connections."""


class Members:
    """Who listens in this process, by the names of the groups."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups: dict[str, dict[Subscription, None]] = {}

    def add(self, subscription: Subscription) -> bool:
        """Whether it is the first of its group."""
        with self._lock:
            group = self._groups.setdefault(subscription.group.name, {})
            group[subscription] = None
            return len(group) == 1

    def discard(self, subscription: Subscription) -> bool:
        """Whether it was the last of its group."""
        name = subscription.group.name
        with self._lock:
            group = self._groups.get(name, {})
            if group.pop(subscription, self) is self or group:
                return False
            del self._groups[name]
            return True

    def names(self) -> list[str]:
        """The groups that somebody listens to."""
        with self._lock:
            return list(self._groups)

    def of(self, name: str) -> tuple[Subscription, ...]:
        """Those who listen to a group now."""
        with self._lock:
            return tuple(self._groups.get(name, ()))

    def deliver(self, name: str, message: Message) -> bool:
        """Put a message in the queues of a group; whether one of them is crowded now."""
        members = self.of(name)
        for subscription in members:
            subscription.take(message)
        return any(subscription.is_crowded for subscription in members)

    async def deliver_kindly(self, name: str, message: Message) -> None:
        """The same, with a pause where it is crowded.

        Who sends and sends without ever waiting would leave nobody else a turn to listen.
        """
        if self.deliver(name, message):
            for _ in range(_TURNS):
                await asyncio.sleep(0)
                if not any(subscription.is_crowded for subscription in self.of(name)):
                    return


class MemoryHub:
    """One process: messages go from sender to queue. Threads and loops may differ."""

    def __init__(self) -> None:
        self.members = Members()

    async def join(self, subscription: Subscription) -> None:
        self.members.add(subscription)

    async def leave(self, subscription: Subscription) -> None:
        self.members.discard(subscription)

    async def send(self, name: str, message: Message) -> None:
        await self.members.deliver_kindly(name, message)

    def publish(self, name: str, message: Message) -> None:
        if bridge.is_in_greenlet():
            bridge.await_(self.send(name, message))
        elif self.members.deliver(name, message) and asyncio._get_running_loop() is None:
            time.sleep(_PAUSE)

    def count(self, name: str) -> int:
        return len(self.members.of(name))

    async def aclose(self) -> None:
        pass


class Groups:
    """All groups of an application, made when they are asked for: `app.groups["chat"]`."""

    def __init__(self, app: t.Any) -> None:
        self._app = weakref.ref(app)
        self._hub: Hub | None = None

    @property
    def app(self) -> t.Any:
        """The application, whose JSON provider and configuration count."""
        app = self._app()
        if app is None:
            raise RuntimeError("The application of these groups is gone.")
        return app

    def __getitem__(self, name: str) -> Group:
        if not isinstance(name, str) or not name:
            raise TypeError(f"The name of a group is a str that is not empty, not {name!r}.")
        return Group(self, name)

    def _current_hub(self) -> Hub:
        """The hub, made at its first use: the configuration may come after the application."""
        if self._hub is None:
            self._hub = self._make_hub(self.app.config.get("BROADCAST_URL"))
        return self._hub

    def _make_hub(self, url: str | None) -> Hub:
        if url is None or url == "memory://":
            return MemoryHub()
        if url.partition("://")[0] not in ("redis", "rediss", "unix"):
            raise SetupError(
                f"BROADCAST_URL is {url!r}: it has to be a URL of Redis, such as"
                " 'redis://localhost:6379/0', or 'memory://'."
            )
        from .redis import RedisHub

        return RedisHub(url, self.app.config.get("BROADCAST_PREFIX", PREFIX))

    async def aclose(self) -> None:
        """Close the connections of this process; they are opened again when needed."""
        if self._hub is not None:
            await self._hub.aclose()


class Group:
    """Everybody who listens under one name."""

    def __init__(self, groups: Groups, name: str) -> None:
        self._groups = groups
        self.name = name

    def __repr__(self) -> str:
        return f"<Group {self.name!r}>"

    def _hub(self) -> Hub:
        return self._groups._current_hub()

    def _size(self, given: int | None) -> int:
        if given is not None:
            return given
        return int(self._groups.app.config.get("BROADCAST_QUEUE_SIZE", QUEUE_SIZE))

    @property
    def listeners(self) -> int:
        """How many listen in this process."""
        return self._hub().count(self.name)

    def join(
        self,
        socket: Websocket | BlockingWebsocket,
        *,
        size: int | None = None,
        overflow: Overflow = "end",
    ) -> Membership:
        """Send the group's messages to a socket while the `async with` block lasts.

        Accepts the connection first where that was not done. In a plain view: `with`.
        """
        return Membership(self, socket, self._size(size), overflow)

    def subscribe(self, *, size: int | None = None, overflow: Overflow = "end") -> Subscription:
        """The group's messages, to be iterated over inside of `async with`."""
        return Subscription(self, self._size(size), overflow)

    async def send(self, message: Message) -> None:
        """Send text or bytes to everybody in the group. Raises BroadcastError."""
        await self._hub().send(self.name, _checked(message))

    async def send_json(self, *args: t.Any, **kwargs: t.Any) -> None:
        """Send data as JSON text: one value, several as a list, or named ones as an object."""
        await self.send(self._json_text(args, kwargs))

    def publish(self, message: Message) -> None:
        """`send` for plain code, such as a plain view, also on a WSGI server."""
        self._hub().publish(self.name, _checked(message))

    def publish_json(self, *args: t.Any, **kwargs: t.Any) -> None:
        """`send_json` for plain code."""
        self.publish(self._json_text(args, kwargs))

    def _json_text(self, args: tuple[t.Any, ...], kwargs: dict[str, t.Any]) -> str:
        provider = self._groups.app.json
        return t.cast("str", provider.dumps(provider._prepare_response_obj(args, kwargs)))


def _checked(message: t.Any) -> Message:
    if isinstance(message, (str, bytes)):
        return message
    if isinstance(message, (bytearray, memoryview)):
        return bytes(message)
    raise TypeError(
        f"A message is str or bytes, not {type(message).__name__}; other data can be sent with"
        " 'send_json' and 'publish_json'."
    )

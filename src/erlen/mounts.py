"""Other applications under a path: which of them a request is for, and their lifespans."""

from __future__ import annotations

import typing as t

from .engine.bridge import is_coroutine_function
from .errors import SetupError

if t.TYPE_CHECKING:
    import asyncio
    from collections.abc import MutableMapping

    from .errors import Place

    Message: t.TypeAlias = "MutableMapping[str, t.Any]"

ASGI, WSGI, BOTH = "asgi", "wsgi", "both"
#: Arguments that a server calls an application with, besides `self`.
_ARGUMENTS = {2: WSGI, 3: ASGI}


class Mount:
    """An application under a path.

    :param path: with a slash at its start and none at its end
    :param interface: `asgi`, `wsgi`, or `both` for one that answers either kind of server
    """

    def __init__(self, path: str, app: t.Any, interface: str, place: Place | None) -> None:
        self.path = path
        self.app = app
        self.interface = interface
        self.place = place
        #: What the application's own lifespan has put there, for its requests.
        self.state: dict[str, t.Any] | None = None
        self._below = f"{path}/"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path!r} {self.interface} {self.app!r}>"

    def has(self, path: str) -> bool:
        """Whether a request for the path is the application's."""
        return path == self.path or path.startswith(self._below)

    @property
    def has_lifespan(self) -> bool:
        """Whether the application wants to be started, as far as can be told."""
        if self.interface == BOTH:
            return bool(self.app._needs_start())
        return self.interface == ASGI

    def guest(self) -> Guest | None:
        """What runs the application's lifespan; `None` where it has none."""
        return None if self.interface == WSGI else Guest(self)


def find_mount(mounts: tuple[Mount, ...], path: str) -> Mount | None:
    """The mount that a path is for; `path` is that in the application, without `root_path`."""
    for mount in mounts:  # the longest first
        if mount.has(path):
            return mount
    return None


def add_mount(
    mounts: tuple[Mount, ...], path: str, app: t.Any, interface: str | None, place: Place | None
) -> tuple[Mount, ...]:
    """The mounts with one more. Raises SetupError for what cannot be mounted."""
    clean = path.rstrip("/")
    if not clean.startswith("/") or "//" in clean or set("<>?#") & set(clean):
        raise SetupError(
            f"{path!r} is no path to mount an application at: write one like '/sub', without"
            " variables. The application's own routes are at '/'.",
            place,
        )
    for mount in mounts:
        if mount.path == clean:
            raise SetupError(f"Two applications are mounted at {clean!r}.", mount.place, place)
    found = Mount(clean, app, _interface_of(app, interface, place), place)
    return tuple(sorted((*mounts, found), key=lambda mount: -len(mount.path)))


def _interface_of(app: t.Any, wanted: str | None, place: Place | None) -> str:
    if wanted not in (None, ASGI, WSGI):
        raise SetupError(f"An interface is 'asgi' or 'wsgi', not {wanted!r}.", place)
    if wanted is not None:
        return wanted
    if hasattr(type(app), "_needs_start"):
        return BOTH
    if is_coroutine_function(app):
        return ASGI
    interface = _ARGUMENTS.get(_count_arguments(app))
    if interface is None:
        raise SetupError(
            f"{app!r} does not show whether it is an ASGI or a WSGI application: say so with"
            " 'interface=\"asgi\"' or 'interface=\"wsgi\"'.",
            place,
        )
    return interface


def _count_arguments(app: t.Any) -> int:
    """Arguments that a callable needs by position; -1 where it cannot be told."""
    from inspect import Parameter, signature

    try:
        parameters = signature(app).parameters.values()
    except (TypeError, ValueError):
        return -1
    if any(parameter.kind is Parameter.VAR_POSITIONAL for parameter in parameters):
        return -1
    by_position = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    return sum(one.kind in by_position and one.default is one.empty for one in parameters)


class Guest:
    """The lifespan of a mounted ASGI application, which lives in ours (ASGI, "Lifespan")."""

    def __init__(self, mount: Mount) -> None:
        self.mount = mount
        self._state: dict[str, t.Any] = {}
        self._task: asyncio.Task[None] | None = None
        self._to_app: asyncio.Queue[Message] | None = None
        self._answer: asyncio.Future[Message | None] | None = None

    async def start(self) -> None:
        """Start the application, which may know nothing of lifespans.

        Raises RuntimeError where it says that it failed.
        """
        from asyncio import Queue, get_running_loop

        loop = get_running_loop()
        self._to_app = Queue()
        answering = self._answer = loop.create_future()
        self._task = loop.create_task(self._run())
        self._to_app.put_nowait({"type": "lifespan.startup"})
        answer = await answering
        if answer is None:  # it has raised or returned: it knows no lifespan (ASGI, "Lifespan")
            await self._ended()
            self._task = None
            return
        if answer["type"] == "lifespan.startup.failed":
            await self._ended()
            raise RuntimeError(
                f"The application mounted at {self.mount.path!r} could not start:"
                f" {answer.get('message', '')}"
            )
        self.mount.state = self._state

    async def stop(self) -> None:
        """Let the application end. Raises RuntimeError where it says that it failed to, or what
        it raises."""
        if self._task is None or self._to_app is None:
            return
        self.mount.state = None
        answer: Message | None = None
        if not self._task.done():
            from asyncio import get_running_loop

            answering = self._answer = get_running_loop().create_future()
            self._to_app.put_nowait({"type": "lifespan.shutdown"})
            answer = await answering
        error = await self._ended()
        if answer is None and error is not None:
            raise error
        if answer is not None and answer["type"] == "lifespan.shutdown.failed":
            raise RuntimeError(
                f"The application mounted at {self.mount.path!r} did not end well:"
                f" {answer.get('message', '')}"
            )

    async def _run(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self._state,
        }
        assert self._to_app is not None
        try:
            await self.mount.app(scope, self._to_app.get, self._send)
        finally:
            self._tell(None)

    async def _send(self, message: Message) -> None:
        if message["type"].partition(".")[0] != "lifespan":
            raise RuntimeError(f"The message {message['type']!r} is out of order here.")
        self._tell(message)

    def _tell(self, message: Message | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(message)

    async def _ended(self) -> BaseException | None:
        """Wait for the end of the application's call; the error that it ended with."""
        from asyncio import wait

        assert self._task is not None
        await wait([self._task])
        return None if self._task.cancelled() else self._task.exception()

"""Whether the client of an ASGI request is still there.

To be told of its leaving, somebody has to receive: a task. Most requests have ended before one
would be worth it, so all of a loop's share a timer, and a task is made for those that last.
"""

from __future__ import annotations

import asyncio
import threading
import typing as t
from contextvars import Context, copy_context

if t.TYPE_CHECKING:
    from ..wrappers.scope import Inbox

#: Seconds after which a request is watched: once to twice as many.
TICK = 0.03


class Presence:
    """Cancels a request's task when its client leaves, while it is told to."""

    __slots__ = ("_context", "_is_watched", "_sentry", "_task", "_watcher", "inbox")

    def __init__(self, inbox: Inbox) -> None:
        self.inbox = inbox
        self._task: t.Any = None
        self._is_watched = False
        self._watcher: asyncio.Task[None] | None = None

    def watch(self) -> None:
        """From a moment on cancel the current task when the client leaves."""
        if self._task is None:
            # Not asked of the task: on Granian's own implementation of tasks it does not know.
            loop = asyncio.get_running_loop()
            self._task = asyncio.current_task(loop)
            self._is_watched = True
            self._context = copy_context()
            sentry: _Sentry | None = getattr(_of_thread, "sentry", None)
            if sentry is None or sentry.loop is not loop:
                sentry = _of_thread.sentry = _Sentry(loop)
            self._sentry = sentry
            sentry.young.add(self)
            if not sentry.is_ticking:
                sentry.set_timer()

    def watch_now(self) -> None:
        """Watch already: a stream goes on, and some servers log each piece sent in vain."""
        if self._is_watched and self._watcher is None:
            self._sentry.young.discard(self)
            self._sentry.old.discard(self)
            self.begin()

    @property
    def is_watching(self) -> bool:
        """Whether a task receives, which `end` has to wait for."""
        return self._watcher is not None

    def begin(self) -> None:
        """Watch from now on."""
        watching = self._cancel_when_gone()
        self._watcher = self._context.run(self._sentry.loop.create_task, watching)

    async def _cancel_when_gone(self) -> None:
        await self.inbox.until_gone()
        if self._is_watched:
            self._task.cancel()

    def explains(self, error: BaseException) -> bool:
        """Whether an error only says that the client has left."""
        if not self.inbox.gone:
            return False
        if not isinstance(error, asyncio.CancelledError):
            return isinstance(error, OSError)
        if self._task is None:
            return False
        # Somebody else may want the task to end too, which Python 3.10 cannot tell.
        return not (hasattr(self._task, "uncancel") and self._task.uncancel())

    def rest(self) -> None:
        """Cancel no longer: what is left to do is done whether the client is there or not."""
        if self._is_watched:
            self._is_watched = False
            sentry = self._sentry
            sentry.young.discard(self)
            sentry.old.discard(self)

    async def end(self) -> None:
        """Leave nothing behind that watches for the client."""
        self.rest()
        self._task = None
        watcher, self._watcher = self._watcher, None
        if watcher is not None and not watcher.done():
            watcher.cancel()
            await asyncio.wait([watcher])


class _Sentry:
    """The timer of a loop, which runs while there is somebody to be watched soon."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        #: Who came since the last tick, and who came before it.
        self.young: set[Presence] = set()
        self.old: set[Presence] = set()
        self.is_ticking = False

    def set_timer(self) -> None:
        self.is_ticking = True
        # In an empty context: a timer must not keep that of a request.
        self.loop.call_later(TICK, self._tick, context=Context())

    def _tick(self) -> None:
        due, self.old, self.young = self.old, self.young, set()
        for presence in due:
            presence.begin()
        if self.old:
            self.set_timer()
        else:
            self.is_ticking = False


_of_thread = threading.local()

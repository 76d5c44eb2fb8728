"""Background tasks: what goes on after the response, and ends before the application does."""

from __future__ import annotations

import sys
import typing as t
from contextvars import copy_context
from time import monotonic

from .engine import bridge
from .engine.threads import DEFAULT_THREADS, Threads
from .state import NOTHING, current

if t.TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

#: Seconds that tasks get to finish at a stop, unless `BACKGROUND_TASK_SHUTDOWN_TIMEOUT` says so.
DEFAULT_TIMEOUT = 5.0
#: Seconds that a cancelled task gets to clean up.
CLEANUP_SECONDS = 1.0


class BackgroundTasks:
    """The tasks of one application in this process."""

    def __init__(self, app: t.Any) -> None:
        self.app = app
        self._running: set[asyncio.Task[None]] = set()
        self._threads: Threads | None = None

    def __len__(self) -> int:
        return len(self._running)

    def start(
        self,
        loop: asyncio.AbstractEventLoop,
        func: Callable[..., t.Any],
        args: tuple[t.Any, ...],
        kwargs: dict[str, t.Any],
    ) -> None:
        """Start a task on the loop: a plain function on a thread that the loop waits for.

        It keeps the caller's context variables, but not the request.
        """
        context = copy_context()
        context.run(current.set, NOTHING)
        run = self._run

        def create() -> None:
            task = loop.create_task(run(func, args, kwargs))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

        if runs_here(loop):
            context.run(create)
        else:
            loop.call_soon_threadsafe(create, context=context)

    async def _run(self, func: Callable[..., t.Any], args: t.Any, kwargs: t.Any) -> None:
        app = self.app
        try:
            if bridge.is_coroutine_function(func):
                await bridge.run(self._call, func, args, kwargs)
            else:
                from asyncio import shield

                # A thread goes on when its task is cancelled: then nobody waits for it any more.
                context = copy_context()
                await shield(self._pool().submit(context.run, self._call, func, args, kwargs))
        except Exception:
            app.logger.exception("Exception in background task %s", _name_of(func))
        except BaseException as error:
            if _is_cancellation(error):
                app.logger.warning("Background task %s was cancelled", _name_of(func))
            raise

    def _call(self, func: Callable[..., t.Any], args: t.Any, kwargs: t.Any) -> None:
        with self.app.app_context():
            self.app.ensure_sync(func)(*args, **kwargs)

    def _pool(self) -> Threads:
        if self._threads is None:
            limit = self.app.config.get("BACKGROUND_TASK_THREADS", DEFAULT_THREADS)
            self._threads = Threads(limit, "erlen-background")
        return self._threads

    async def finish(self) -> None:
        """Wait until all tasks of this loop have ended, also those that they start; cancel what
        takes longer than `BACKGROUND_TASK_SHUTDOWN_TIMEOUT` seconds.
        """
        from asyncio import get_running_loop, sleep, wait

        loop = get_running_loop()
        await sleep(0)  # for those that other threads have just handed over
        end = monotonic() + float(
            self.app.config.get("BACKGROUND_TASK_SHUTDOWN_TIMEOUT", DEFAULT_TIMEOUT)
        )
        while (running := self._running_on(loop)) and (left := end - monotonic()) > 0:
            await wait(running, timeout=left)
            await sleep(0)
        late = self._running_on(loop)
        for task in late:
            task.cancel()
        if late:
            _, stuck = await wait(late, timeout=CLEANUP_SECONDS)
            if stuck:
                self.app.logger.error(
                    "%d background task(s) could not be stopped and are left behind", len(stuck)
                )

    def _running_on(self, loop: asyncio.AbstractEventLoop) -> set[asyncio.Task[None]]:
        return {task for task in self._running.copy() if task.get_loop() is loop}


def runs_here(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether the current thread runs the loop."""
    running = getattr(sys.modules.get("asyncio"), "_get_running_loop", None)
    return running is not None and running() is loop


def _name_of(func: Callable[..., t.Any]) -> str:
    return getattr(func, "__qualname__", None) or repr(func)


def _is_cancellation(error: BaseException) -> bool:
    from asyncio import CancelledError

    return isinstance(error, CancelledError)

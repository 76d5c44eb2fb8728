"""An event loop on a thread of its own, for sync code to have coroutines run on."""

from __future__ import annotations

import os
import threading
import typing as t
import weakref

if t.TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine

T = t.TypeVar("T")

#: Seconds that the tasks left on a loop get to end when its thread is given up.
FAREWELL_SECONDS = 5.0


class LoopThread:
    """An event loop, running on a daemon thread until the object is given up."""

    def __init__(self, name: str = "erlen-loop") -> None:
        import asyncio

        self.process = os.getpid()
        self.loop = asyncio.new_event_loop()
        ended = threading.Event()
        thread = threading.Thread(target=_serve, args=(self.loop, ended), name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system has no further thread
            self.loop.close()
            raise
        self._finalizer = weakref.finalize(
            self, _give_up, self.loop, thread.ident, ended, self.process
        )

    def wait(self, coro: Coroutine[t.Any, t.Any, T]) -> T:
        """Run a coroutine on the loop, in a copy of the caller's context, and return its result.

        Waiting can be interrupted (Ctrl-C, a test's time-out): the coroutine is cancelled then.
        """
        import asyncio

        future = asyncio.run_coroutine_threadsafe(_guarded(coro), self.loop)
        try:
            result, error = future.result()
        except BaseException:
            future.cancel()
            raise
        if error is None:
            return t.cast("T", result)
        try:
            raise error
        finally:
            error = None  # its traceback holds this frame: no cycle for the collector

    def close(self) -> None:
        """End the loop: what still runs on it is cancelled. Not to be called on the loop."""
        self._finalizer()


def call_later_on(loop: asyncio.AbstractEventLoop, callback: Callable[[], t.Any]) -> None:
    """Have a function called on a loop from any thread; nothing once the loop is closed."""
    try:
        loop.call_soon_threadsafe(callback)
    except RuntimeError:
        if not loop.is_closed():
            raise


async def _guarded(coro: Coroutine[t.Any, t.Any, T]) -> tuple[T | None, BaseException | None]:
    """What comes of a coroutine as a value: KeyboardInterrupt and the like would end the loop."""
    from asyncio import CancelledError

    try:
        return await coro, None
    except CancelledError:
        raise
    except BaseException as error:
        return None, error


def _serve(loop: asyncio.AbstractEventLoop, ended: threading.Event) -> None:
    import asyncio

    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        loop.run_until_complete(_clear(loop))
    finally:
        loop.close()
        ended.set()


async def _clear(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel what still runs on a loop and close its async generators."""
    import asyncio

    left = asyncio.all_tasks(loop) - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=FAREWELL_SECONDS)
    await loop.shutdown_asyncgens()
    await loop.shutdown_default_executor()


def _give_up(
    loop: asyncio.AbstractEventLoop, thread: int | None, ended: threading.Event, process: int
) -> None:
    if process != os.getpid():  # a forked child has the loop, but not its thread
        return
    call_later_on(loop, loop.stop)
    # Not `join`: a thread whose end gives the loop up would get a new object for itself there.
    if thread != threading.get_ident():
        ended.wait(FAREWELL_SECONDS)

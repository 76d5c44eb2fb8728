"""Event loops that are kept for threads which have none of their own.

A call that waits on one leaves nothing of itself behind: its tasks are cancelled (those that other
threads rely on are waited for) and its async generators closed when it ends. The loop stays for
the thread's next call.
"""

from __future__ import annotations

import os
import sys
import typing as t
import weakref
from contextlib import suppress
from contextvars import Context, copy_context

if t.TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Mapping

T = t.TypeVar("T")

#: Tasks that a call waits for at its end, instead of cancelling them: other threads rely on them.
shared: weakref.WeakSet[asyncio.Task[t.Any]] = weakref.WeakSet()

#: How many idle event loops a thread keeps for the next call; several only under gevent.
IDLE_LIMIT = 64


class ThreadLoops:
    """The idle event loops of one thread: one, or several where greenlets share it."""

    def __init__(self) -> None:
        self.idle: list[KeptLoop] = []
        self.watches_greenlets = False
        # At the end of the thread, which drops its locals and this object with them, or at exit.
        weakref.finalize(self, _close_loops, self.idle)

    def watch_greenlets(self) -> None:
        """Keep the loops of gevent's greenlets on this thread apart, before any of them runs."""
        if not self.watches_greenlets and "gevent" in sys.modules:
            _keep_running_loop_per_greenlet()
            self.watches_greenlets = True

    def take(self) -> KeptLoop:
        self.watch_greenlets()
        while self.idle:
            kept = self.idle.pop()
            if kept.is_usable():
                return kept
            kept.close()
        return KeptLoop()

    def give_back(self, kept: KeptLoop) -> None:
        if kept.is_usable() and len(self.idle) < IDLE_LIMIT:
            self.idle.append(kept)
        else:
            kept.close()


def _close_loops(idle: list[KeptLoop]) -> None:
    while idle:
        idle.pop().close()


class KeptLoop:
    """An event loop that runs one awaitable at a time and leaves nothing of it behind."""

    def __init__(self) -> None:
        import asyncio

        self.process = os.getpid()
        self.retired = False
        self.selector: _DetachableSelector | None = None
        self.loop: asyncio.AbstractEventLoop
        # In an empty context: the loop's own callbacks keep the one in which they are added, and
        # with it the request that happens to be the first.
        if sys.platform == "win32":
            self.loop = Context().run(asyncio.ProactorEventLoop)
        else:
            self.selector = _DetachableSelector()
            self.loop = Context().run(asyncio.SelectorEventLoop, t.cast("t.Any", self.selector))
        self.new_task: t.Any = asyncio.Task
        self.factory = self._spawn
        self.has_spawned = False
        self.generators: list[weakref.ref[t.Any]] = []
        self.after: Context | None = None

    def is_usable(self) -> bool:
        return not self.retired and self.process == os.getpid()

    def close(self) -> None:
        if self.process != os.getpid() and self.selector is not None:
            self.selector.detach()
        self.loop.close()

    def start(self, awaitable: Awaitable[T]) -> asyncio.Task[T]:
        """A task for the awaitable, at whose end the loop is cleared."""
        self.has_spawned = False
        self.loop.set_task_factory(self.factory)
        return t.cast("asyncio.Task[T]", self.new_task(self._supervise(awaitable), loop=self.loop))

    def run(self, awaitable: Awaitable[T]) -> T:
        task = self.start(awaitable)
        try:
            return self.loop.run_until_complete(task)
        except BaseException:
            # An interrupt can break off the loop itself, with the task still waiting.
            if not task.done():
                self.abort(task)
            elif not task.cancelled():
                task.exception()  # it is being raised, so nobody else need be told of it
            raise
        finally:
            after, self.after = self.after, None
            if after is not None:
                adopt(after)

    def note_generators(self) -> None:
        """See to it that async generators which start now are closed at the task's end."""
        sys.set_asyncgen_hooks(firstiter=self._note_generator)

    async def _supervise(self, awaitable: Awaitable[T]) -> T:
        self.note_generators()
        try:
            return await awaitable
        finally:
            self.after = copy_context()
            if (
                self.has_spawned
                or self.generators
                or self.loop.get_task_factory() is not self.factory
            ):
                await self._sweep()

    def _spawn(self, loop: t.Any, coro: t.Any, **options: t.Any) -> asyncio.Task[t.Any]:
        self.has_spawned = True
        return t.cast("asyncio.Task[t.Any]", self.new_task(coro, loop=loop, **options))

    def _note_generator(self, generator: t.Any) -> None:
        self.generators.append(weakref.ref(generator))

    async def _sweep(self) -> None:
        """Cancel the tasks that the awaitable left behind, then close its async generators."""
        import asyncio

        me = asyncio.current_task()
        relied_on = [task for task in asyncio.all_tasks(self.loop) if task in shared]
        if relied_on:
            # An interrupt ends this, and what is left is cancelled then.
            with suppress(asyncio.CancelledError):
                await asyncio.wait(relied_on)
        while left := [task for task in asyncio.all_tasks(self.loop) if task is not me]:
            for task in left:
                task.cancel()
            self._report("task", left, await asyncio.gather(*left, return_exceptions=True))
        found, self.generators = [ref() for ref in self.generators], []
        open_ = [generator for generator in found if generator is not None]
        closing = (generator.aclose() for generator in open_)
        self._report(
            "async generator", open_, await asyncio.gather(*closing, return_exceptions=True)
        )

    def _report(self, kind: str, sources: list[t.Any], results: list[t.Any]) -> None:
        for source, result in zip(sources, results, strict=True):
            if isinstance(result, Exception):
                self.loop.call_exception_handler(
                    {
                        "message": f"error in {kind} {source!r}, left behind by a call that ended",
                        "exception": result,
                    }
                )

    def abort(self, task: asyncio.Task[t.Any]) -> None:
        """Cancel the task and let it clean up, after which the loop is not used again."""
        import asyncio

        self.retired = True
        if self.process != os.getpid():
            return
        task.cancel()
        try:
            self.loop.run_until_complete(task)
        except asyncio.CancelledError:
            pass
        except Exception as error:
            self._report("task", [task], [error])


def adopt(after: Context) -> None:
    """Set in the current context what a copy of it has come to hold."""
    for var, value in after.items():
        if var.get(_UNSET) is not value:
            var.set(value)


_UNSET: t.Any = object()


class _DetachableSelector:
    """The platform's selector, replaceable by an empty one in a forked process.

    A child shares its parent's epoll object: closing the loop there as usual would take the
    parent's files out of it.
    """

    def __init__(self) -> None:
        import selectors

        self._adopt(selectors.DefaultSelector())

    def detach(self) -> None:
        import selectors

        self.close()
        self._adopt(selectors.SelectSelector())

    def _adopt(self, inner: t.Any) -> None:
        self.register = inner.register
        self.unregister = inner.unregister
        self.modify = inner.modify
        self.select = inner.select
        self.close = inner.close
        self.get_key = inner.get_key
        self.get_map: Callable[[], Mapping[t.Any, t.Any]] = inner.get_map


# Greenlets of gevent, which share a thread


def _keep_running_loop_per_greenlet() -> None:
    """Let each greenlet of this thread have a running loop of its own.

    asyncio notes the running loop per thread. Greenlets that wait inside a coroutine, in the loop's
    selector or in any other call that gevent makes cooperative, leave the note for the next one;
    so it is put away when a greenlet is left and put back when it goes on.
    """
    import asyncio

    import greenlet  # type: ignore[import-untyped,unused-ignore]

    earlier_trace = greenlet.gettrace()
    get_loop, set_loop = asyncio._get_running_loop, asyncio._set_running_loop
    swap_task = (
        asyncio.tasks._swap_current_task  # type: ignore[attr-defined,unused-ignore]
        if sys.version_info >= (3, 14)
        else lambda loop, task: None
    )

    def on_switch(event: str, switch: tuple[t.Any, t.Any]) -> None:
        if earlier_trace is not None:
            earlier_trace(event, switch)
        left, entered = switch
        loop = get_loop()
        if loop is not None and not _is_hand_over(left, entered):
            left._erlen_running = (loop, sys.get_asyncgen_hooks(), swap_task(loop, None))
            sys.set_asyncgen_hooks(None, None)
            set_loop(None)
        saved = entered.__dict__.pop("_erlen_running", None)
        if saved is not None:
            loop, hooks, task = saved
            set_loop(loop)
            sys.set_asyncgen_hooks(*hooks)
            swap_task(loop, task)

    greenlet.settrace(on_switch)


def _is_hand_over(left: t.Any, entered: t.Any) -> bool:
    """Whether :func:`run` switches between a task and its own greenlet: the loop is the same."""
    return (left.parent is entered and hasattr(left, "_erlen_bridge")) or (
        entered.parent is left and hasattr(entered, "_erlen_bridge")
    )

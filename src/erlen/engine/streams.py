"""Async iterators that somebody else than their own task steps.

- :func:`iterate` gives sync code an iterator over them: for WSGI, and for ``response.get_data()``;
- :class:`Pump` lets a consumer leave a step waiting, and come back to it;
- :class:`InContexts` steps one with contexts pushed that nobody else sees.

Nothing here runs ahead: a step begins when its item is asked for.
"""

from __future__ import annotations

import typing as t
from contextlib import ExitStack, nullcontext

from ..state import current
from . import bridge
from .bridge import await_, run

if t.TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
    from contextlib import AbstractContextManager

T = t.TypeVar("T")

#: What a pump answers after the last item.
END: t.Any = object()
#: What it answers when it was asked to wait no longer.
SILENCE: t.Any = object()


def is_async_iterable(obj: object) -> bool:
    """Whether ``async for`` goes over ``obj``."""
    return hasattr(type(obj), "__aiter__")


async def close_async(source: object) -> None:
    """Await ``source.aclose()`` where there is one."""
    close = getattr(source, "aclose", None)
    if close is not None:
        await close()


async def _close_both(items: object, source: object) -> None:
    if items is not None:
        await close_async(items)
    if items is not source:
        await close_async(source)


def iterate(source: AsyncIterable[T]) -> Steps[T]:
    """An iterator over an async iterable, for sync code; close it if you leave it before its end.

    All steps run in one task on one event loop: one that runs already where there is one (under
    ASGI), else one that is kept for this iterator until it ends or is closed.
    """
    return Steps(source)


class Steps(t.Generic[T]):
    """What :func:`iterate` returns; ``async for`` over it goes over its source directly."""

    def __init__(self, source: AsyncIterable[T]) -> None:
        self._source = source
        self._stepper: _OnKeptLoop | _OnRunningLoop | None = None
        self._is_done = False
        # Found now: a server goes over a body when the application's context is popped.
        self._home = bridge.find_home() if bridge.find_home is not None else None

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        if self._is_done:
            raise StopIteration
        with self._at_home():
            if self._stepper is None:
                kind = _OnRunningLoop if _waits_on_running_loop() else _OnKeptLoop
                self._stepper = kind(self._source)
            return self._next(self._stepper)

    def _at_home(self) -> AbstractContextManager[None]:
        if self._home is None or bridge.is_in_greenlet() or bridge.has_home():
            return nullcontext()
        return bridge.calling_back(self._home)

    def _next(self, stepper: _OnKeptLoop | _OnRunningLoop) -> T:
        try:
            item = stepper.next()
        except BaseException:
            self.close()
            raise
        if item is END:
            self.close()
            raise StopIteration
        return t.cast("T", item)

    def close(self) -> None:
        """Close the source, after which there is no further item."""
        if self._is_done:
            return
        self._is_done = True
        with self._at_home():
            if self._stepper is not None:
                self._stepper.close()
            elif hasattr(self._source, "aclose"):
                await_(close_async(self._source))

    def __aiter__(self) -> AsyncIterator[T]:
        self._is_done = True  # it is handed over: closing is the async consumer's part
        return self._source.__aiter__()

    def __del__(self) -> None:
        # Left before its end and not closed, as a test client may do.
        if not self._is_done and self._stepper is not None:
            self._is_done = True
            self._stepper.abandon()


def _waits_on_running_loop() -> bool:
    """Whether `await_` waits on a loop that somebody else runs."""
    if bridge.is_in_greenlet():
        return True
    if bridge.is_in_coroutine():
        raise RuntimeError(
            "Sync code called from a coroutine cannot iterate over an async iterable: the event"
            " loop of this thread is running and would stand still. Use 'async for' instead."
        )
    return bridge.has_home()


class Pump:
    """Steps an async iterator in a task of its own, each time when it is asked to.

    As all steps run in one task, the iterator may hold a time-out or a task group open from one
    item to the next; and a consumer can stop waiting for an item without cancelling the step.
    Sync code in a step may use :func:`await_`.
    """

    def __init__(
        self,
        source: AsyncIterable[t.Any],
        loop: asyncio.AbstractEventLoop,
        start: Callable[[t.Any], asyncio.Task[None]] | None = None,
        before_step: Callable[[], None] | None = None,
    ) -> None:
        self._loop = loop
        #: Done when the next step is to be made (True), or when there is to be none (False).
        self._wanted: asyncio.Future[bool] = loop.create_future()
        #: Who waits for the step.
        self._reply: asyncio.Future[t.Any] | None = None
        #: Item and error of a step for which nobody waited any more.
        self._left: tuple[t.Any, BaseException | None] | None = None
        self._silent_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._has_begun = self._is_stepping = self._is_closing = False
        self._before_step = before_step
        work = self._work(source)
        self.task: asyncio.Task[None] = start(work) if start else loop.create_task(work)

    def ask(self, patience: float | None = None) -> asyncio.Future[t.Any]:
        """Have the next step made, or wait on for the one that is being made.

        The future gets the item, the error, or `END`; `SILENCE` where `patience` seconds have
        passed, and then the step goes on. Raises RuntimeError where somebody waits already, and if
        the loop has meanwhile ended the task.
        """
        if self._reply is not None and not self._reply.done():
            raise RuntimeError("The stream is already waiting for its next item.")
        reply = self._loop.create_future()
        left, self._left = self._left, None
        if left is not None:
            _settle(reply, *left)
            return reply
        if self.task.done():
            raise RuntimeError("The stream ended together with the event loop that it ran on.")
        self._reply = reply
        if not self._is_stepping:
            self._is_stepping = True
            self._wanted.set_result(True)
        if patience is not None:
            self._silent_at = self._loop.time() + patience
            # PERF: one timer for many steps, since most items come before it.
            if self._timer is None or self._timer.when() > self._silent_at:
                self._set_timer()
        return reply

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._silent_at, self._on_time, self._silent_at)

    def _on_time(self, when: float) -> None:
        self._timer = None
        if self._reply is None or self._reply.done():
            return
        if when < self._silent_at:
            self._set_timer()
        else:
            self._reply.set_result(SILENCE)

    def _answer(self, item: t.Any, error: BaseException | None = None) -> None:
        self._is_stepping = False
        if self._reply is None or self._reply.done():
            self._left = (item, error)
        else:
            _settle(self._reply, item, error)

    async def _work(self, source: AsyncIterable[t.Any]) -> None:
        items: AsyncIterator[t.Any] | None = None
        self._has_begun = True
        try:
            while not self._is_closing and await self._wanted:
                self._wanted = self._loop.create_future()
                if self._before_step is not None:
                    self._before_step()
                try:
                    if items is None:
                        items = source.__aiter__()
                    item = await bridge.stepping_aside(items.__anext__())
                except StopAsyncIteration:
                    item = END
                except BaseException as error:
                    if self._is_closing:
                        raise
                    self._answer(None, error)  # raised again by whoever asked
                    return
                self._answer(item)
                if item is END or self._is_closing:
                    return
        finally:
            await bridge.stepping_aside(_close_both(items, source))

    def stop(self) -> None:
        """Have the iterator closed, and a step that waits cancelled; wait for `task` then."""
        if self._timer is not None:
            self._timer.cancel()
        if self._is_closing or self.task.done():
            return
        self._is_closing = True
        if self._reply is not None:
            self._reply.cancel()
        if not self._is_stepping:
            self._wanted.set_result(False)
        elif self._has_begun:  # what is cancelled before it begins closes nothing
            self.task.cancel()

    async def aclose(self) -> None:
        """Close the iterator and wait until that is done; raises the errors of `check`."""
        from asyncio import wait

        self.stop()
        if not self.task.done():
            await wait([self.task])
        self.check()

    def check(self) -> None:
        """Raise the error of the iterator's clean-up, or of a last step that nobody waited for."""
        left, self._left = self._left, None
        if self.task.done() and not self.task.cancelled():
            error = self.task.exception() or (left and left[1])
            if error is not None:
                raise error


def _settle(reply: asyncio.Future[t.Any], item: t.Any, error: BaseException | None) -> None:
    if error is None:
        reply.set_result(item)
    else:
        reply.set_exception(error)


class _OnKeptLoop:
    """A pump on a loop that no other call gets meanwhile."""

    def __init__(self, source: AsyncIterable[t.Any]) -> None:
        self.kept = bridge.loops_of_thread().take()
        # The loop sets its own hooks for generators each time when it goes on.
        self.pump = Pump(source, self.kept.loop, self.kept.start, self.kept.note_generators)

    def next(self) -> t.Any:
        return self._run(self.pump.ask())

    def close(self) -> None:
        try:
            if not self.pump.task.done():
                self.pump.stop()
                self._run_task()
            self.pump.check()
        finally:
            bridge.loops_of_thread().give_back(self.kept)

    def _run(self, reply: asyncio.Future[t.Any]) -> t.Any:
        try:
            return self.kept.loop.run_until_complete(reply)
        except BaseException:
            # An interrupt can break off the loop itself, with the task still waiting.
            if not reply.done():
                self.kept.abort(self.pump.task)
            raise

    def _run_task(self) -> None:
        from asyncio import CancelledError

        try:
            self.kept.loop.run_until_complete(self.pump.task)
        except CancelledError:
            pass
        except BaseException:
            if not self.pump.task.done():
                self.kept.abort(self.pump.task)
            raise

    def abandon(self) -> None:
        if not bridge.is_in_coroutine():
            self.close()
            return
        # A loop cannot run inside another one, but on any thread.
        from threading import Thread

        Thread(target=self.close, name="erlen-stream-end", daemon=True).start()


class _OnRunningLoop:
    """A pump on the loop that `await_` waits on here."""

    def __init__(self, source: AsyncIterable[t.Any]) -> None:
        self.source = source
        self.pump: Pump | None = None

    def next(self) -> t.Any:
        return await_(self._step())

    async def _step(self) -> t.Any:
        if self.pump is None:
            from asyncio import get_running_loop

            self.pump = Pump(self.source, get_running_loop())
        return await self.pump.ask()

    def close(self) -> None:
        if self.pump is not None:
            await_(self.pump.aclose())

    def abandon(self) -> None:
        if self.pump is not None and not self.pump._loop.is_closed():
            self.pump._loop.call_soon_threadsafe(self.pump.stop)


class InContexts(t.Generic[T]):
    """An async iterator each step of which sees contexts that are pushed for it alone.

    The contexts are pushed with the first step and popped with the last one or by `aclose`; between
    steps whatever was current before is current again, so that streams can take turns. Sync code in
    a step may use :func:`await_`.

    :param contexts: context managers, the outermost first
    """

    def __init__(
        self, contexts: tuple[t.ContextManager[t.Any], ...], items: AsyncIterator[T]
    ) -> None:
        self._contexts = contexts
        self._items = items
        self._pushed = ExitStack()
        self._inside: t.Any = None
        self._is_done = False

    def __aiter__(self) -> InContexts[T]:
        return self

    async def __anext__(self) -> T:
        if self._is_done:
            raise StopAsyncIteration
        outside = current.get()
        try:
            if self._inside is None:
                await run(self._enter)
            else:
                current.set(self._inside)
            try:
                return await bridge.stepping_aside(self._items.__anext__())
            except BaseException as error:
                self._is_done = True
                await run(self._exit, None if isinstance(error, StopAsyncIteration) else error)
                raise
        finally:
            self._inside = current.get()
            current.set(outside)

    async def aclose(self) -> None:
        """Close the iterator inside of the contexts, then pop them."""
        if self._is_done:
            return
        self._is_done = True
        if self._inside is None:
            await close_async(self._items)
            return
        outside = current.get()
        current.set(self._inside)
        try:
            await run(self._exit, GeneratorExit())
        finally:
            current.set(outside)

    def _enter(self) -> None:
        try:
            for context in self._contexts:
                self._pushed.enter_context(context)
        except BaseException as error:
            self._is_done = True
            self._exit(error)
            raise
        self._pushed.callback(lambda: await_(close_async(self._items)))

    def _exit(self, error: BaseException | None) -> None:
        self._pushed.__exit__(type(error) if error else None, error, None)

"""What runs around the time in which an application is served, and the loop that it shares.

A :class:`Life` starts and ends what is registered with `before_serving`, `while_serving` and
`after_serving`, and the lifespans of mounted applications, all in one task of one event loop: the
server's under ASGI, else one on a thread beside the server's own. Source: ASGI, "Lifespan".
"""

from __future__ import annotations

import os
import threading
import typing as t
import weakref
from contextvars import Context, ContextVar

from .background import BackgroundTasks, runs_here
from .engine import bridge
from .engine.loops import FAREWELL_SECONDS, LoopThread
from .serving_functions import AFTER, BEFORE, WHILE, close_serving, open_serving
from .state import current, current_application

if t.TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from concurrent.futures import Future

    from .mounts import Guest
    from .serving_functions import ServingFunction


class Life:
    """An application's time of serving in this process: started once, then ended."""

    def __init__(self, app: t.Any) -> None:
        self.app = app
        self._reset()
        _lives.add(self)
        _watch_process()

    def _reset(self) -> None:
        self.process = os.getpid()
        self.is_started = False
        #: Whether it is a server that has started it, and ends it.
        self._is_server = False
        #: The loop that coroutines share which outlive a request; `None` before there is one.
        self.loop: asyncio.AbstractEventLoop | None = None
        self.tasks = BackgroundTasks(self.app)
        self._lock = threading.RLock()
        self._stopping = threading.Lock()
        self._starting: Future[None] | None = None
        self._entered: list[tuple[ServingFunction, t.Any]] = []
        self._guests: list[Guest] = []
        self._beside: LoopThread | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._end: asyncio.Future[None] | None = None

    # Starting and ending, in the task that serves for both

    async def enter(self) -> bool:
        """Start. False where that is done already, or being done: then do not leave either.

        Raises what a function raises, after the end of what had been started.
        """
        starting, is_mine = self._claim()
        if not is_mine:
            await _wait_for(starting)
            return False
        self._is_server = True
        await self._enter(starting)
        return True

    def _claim(self) -> tuple[Future[None], bool]:
        from concurrent.futures import Future

        with self._lock:
            if self._starting is None:
                self._starting = Future()
                self._starting.set_running_or_notify_cancel()
                return self._starting, True
            return self._starting, False

    async def _enter(self, starting: Future[None]) -> None:
        from asyncio import get_running_loop

        token = _starting_here.set(self)
        try:
            self.loop = get_running_loop()
            await self._start_all()
            self.is_started = True
            self.app._serving_changed()
            if not self._settle(starting):
                await self._end_all(())
                raise RuntimeError("The start was given up before it had ended.")
        except BaseException as error:
            self._fail(starting, error)
            raise
        finally:
            _starting_here.reset(token)

    def _fail(self, starting: Future[None], error: BaseException) -> None:
        """Note that a start has failed, and tell those who wait for it: the next may try again."""
        with self._lock:
            if self._starting is starting:
                self._starting = None
                self.is_started = self._is_server = False
                self.loop = None if self._beside is None else self._beside.loop
        self._settle(starting, error)

    def _settle(self, starting: Future[None], error: BaseException | None = None) -> bool:
        """Tell what became of a start. False where that was told already."""
        from asyncio import CancelledError

        if isinstance(error, CancelledError):  # it is not who waits that was cancelled
            cancelled, error = error, RuntimeError("The start of the application was cancelled.")
            error.__cause__ = cancelled
        with self._lock:
            if starting.done():
                return False
            if error is None:
                starting.set_result(None)
            else:
                starting.set_exception(error)
                starting.exception()  # whoever waits gets it; nobody has to
        return True

    async def _start_all(self) -> None:
        try:
            await bridge.run(self._run_start_functions)
            for mount in self.app.mounts:
                guest = mount.guest()
                if guest is not None:
                    await guest.start()
                    self._guests.append(guest)
        except BaseException:
            await self._end_all(())
            raise

    def _run_start_functions(self) -> None:
        with self.app.app_context():
            for registered in self.app.serving_functions:
                if registered.kind == BEFORE:
                    self._call(registered.function)
                elif registered.kind == WHILE:
                    self._entered.append((registered, open_serving(self.app, registered)))

    def _call(self, function: Callable[..., t.Any]) -> t.Any:
        return self.app.ensure_sync(function)()

    async def leave(self) -> None:
        """End: background tasks, then what was started, the latest first.

        Everything is ended; raises the first error, and logs further ones.
        """
        after = [entry for entry in self.app.serving_functions if entry.kind == AFTER]
        try:
            await self._end_all(after)
        finally:
            with self._lock:
                self.is_started = self._is_server = False
                self._starting = None
                self.loop = None if self._beside is None else self._beside.loop
            self.app._serving_changed()

    async def _end_all(self, after: t.Sequence[ServingFunction]) -> None:
        errors: list[BaseException] = []
        await _collect(errors, self.tasks.finish())
        while self._guests:
            await _collect(errors, self._guests.pop().stop())
        if after or self._entered:
            await _collect(errors, bridge.run(self._run_end_functions, after, errors))
        groups = vars(self.app).get("groups")
        if groups is not None:  # connections of this loop to other processes
            await _collect(errors, groups.aclose())
        for error in errors[1:]:
            self.app.logger.error("Exception while serving ends", exc_info=error)
        if errors:
            raise errors[0]

    def _run_end_functions(
        self, after: t.Sequence[ServingFunction], errors: list[BaseException]
    ) -> None:
        with self.app.app_context():
            for registered in after:
                try:
                    self._call(registered.function)
                except Exception as error:
                    errors.append(error)
            while self._entered:
                registered, opened = self._entered.pop()
                try:
                    close_serving(registered, opened)
                except Exception as error:
                    errors.append(error)

    # Without a server that calls: on the running loop, or on a loop beside

    async def start_here(self) -> None:
        """Start in a task of the running loop, and wait for that; at once where it is started.

        The task ends it when `stop` says so, or when it is cancelled because the loop ends.
        """
        if _starting_here.get() is self:
            return
        starting, is_mine = self._claim()
        if is_mine:
            from asyncio import get_running_loop

            self.loop = loop = get_running_loop()
            # In an empty context: that of the first request is not to live on.
            Context().run(self._create_keeper, loop, starting)
        await _wait_for(starting)

    def start(self) -> None:
        """Start on a loop beside this thread, and wait for that; at once where it is started.

        Raises RuntimeError in a coroutine of the loop on which it starts, which would stand still.
        """
        if self.is_started or _starting_here.get() is self:
            return
        steps_aside = bridge.is_in_coroutine() and bridge.is_in_greenlet()
        if self._runs_here() and not steps_aside:
            raise RuntimeError(
                "The application is not started yet, and cannot be by sync code called from a"
                " coroutine of its own event loop. Start it before, with 'start_serving'."
            )
        starting, is_mine = self._claim()
        if is_mine:
            bridge.find_home = _loop_beside
            self._begin(starting)
        if steps_aside:
            bridge.await_(_wait_for(starting))
        else:
            starting.result()

    def _begin(self, starting: Future[None], loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Have a task of the loop start it: by default of the one beside."""
        try:
            loop = loop or self.home_beside()
            loop.call_soon_threadsafe(self._create_keeper, loop, starting, context=Context())
        except BaseException as error:
            self._fail(starting, error)
            raise

    def _runs_here(self) -> bool:
        """Whether this thread runs the loop on which it is started and ended."""
        beside = self._beside
        loops = (self.loop, None if beside is None else beside.loop)
        return any(loop is not None and runs_here(loop) for loop in loops)

    async def _keep(self, starting: Future[None]) -> None:
        from asyncio import CancelledError, get_running_loop

        self._end = get_running_loop().create_future()
        try:
            await self._enter(starting)
        except CancelledError:
            raise
        except BaseException:  # told through `starting`; SystemExit would end the loop
            return
        try:
            await self._end
        finally:
            await self.leave()

    def stop(self) -> None:
        """End what `start` or a background task has begun. Raises what the end raises.

        Raises RuntimeError where a server has started it: its shut-down ends it; where it is
        called on the event loop that would end with it; and where a start goes on for longer than
        `FAREWELL_SECONDS`, which is given up then.
        """
        if self.is_started and self._is_server:
            raise RuntimeError("The server has started the application, and will end it.")
        beside = self._beside
        if _starting_here.get() is self or (beside is not None and runs_here(beside.loop)):
            raise RuntimeError(
                "The application cannot be ended on its own event loop, by what ends with it: call"
                " 'stop_serving' on another thread."
            )
        if beside is None:
            self._stop_on(self._keeper)
            return
        with self._stopping:
            self._stop_beside()

    def _stop_beside(self) -> None:
        with self._lock:
            beside, starting = self._beside, self._starting
        if beside is None:  # another thread was faster
            return
        try:
            if starting is not None:
                self._await_start(starting)
            keeper = self._keeper
            if keeper is None or keeper.get_loop() is beside.loop:
                beside.wait(self._finish(keeper))
            else:  # a request on another loop has started it
                beside.wait(self.tasks.finish())
                self._stop_on(keeper)
        finally:
            with self._lock:
                # Somebody may have begun to start it again, on the same loop.
                is_over = self._starting is None or self._starting is starting
                if is_over:
                    self._beside = self.loop = None
            if is_over:
                beside.close()

    def _await_start(self, starting: Future[None]) -> None:
        """Wait for a start that goes on, but not for ever: it may wait for who waits here."""
        from concurrent.futures import wait

        if not wait([starting], FAREWELL_SECONDS).done:
            error = RuntimeError(
                f"The start of the application is given up: it goes on {FAREWELL_SECONDS:g} seconds"
                " after the application was to end."
            )
            self._settle(starting, error)
            raise error

    def _may_end_at_exit(self) -> bool:
        """Whether nobody else can end it: another thread's loop is that thread's to end."""
        keeper = self._keeper
        if self._beside is not None:
            return True
        return keeper is not None and not keeper.done() and not keeper.get_loop().is_running()

    def _stop_on(self, keeper: asyncio.Task[None] | None) -> None:
        loop = None if keeper is None else keeper.get_loop()
        if loop is None or loop.is_closed():
            return
        if not loop.is_running():
            loop.run_until_complete(self._finish(keeper))
        elif bridge.is_in_greenlet() or bridge.is_in_coroutine():
            bridge.await_(self._finish(keeper))
        else:
            from asyncio import run_coroutine_threadsafe

            run_coroutine_threadsafe(self._finish(keeper), loop).result()

    async def _finish(self, keeper: asyncio.Task[None] | None) -> None:
        if keeper is None:
            await self.tasks.finish()
            return
        if self._end is not None and not self._end.done():
            self._end.set_result(None)
        await keeper

    def home_beside(self) -> asyncio.AbstractEventLoop:
        """The loop on a thread of its own."""
        with self._lock:
            if self._beside is None or self._beside.loop.is_closed():
                bridge.loops_of_thread().watch_greenlets()  # with gevent, threads are such
                self._beside = Context().run(LoopThread, "erlen-serving")
                self.loop = self._beside.loop
            return self._beside.loop

    def home(self) -> asyncio.AbstractEventLoop:
        """The loop for what outlives a request: the server's, or the one beside."""
        if self.loop is not None and not self.loop.is_closed():
            return self.loop
        loop = bridge.home_loop() if _is_asgi_request() else None
        if loop is None:
            return self.home_beside()
        starting, is_mine = self._claim()
        if is_mine:  # there is nothing to start, or the request would not be there
            self.loop = loop
            self._begin(starting, loop)
        return loop

    def _create_keeper(self, loop: asyncio.AbstractEventLoop, starting: Future[None]) -> None:
        keeper = self._keeper = loop.create_task(self._keep(starting))

        def note_end(task: asyncio.Task[None]) -> None:
            if self._keeper is keeper:
                self._keeper = None
            if not starting.done():  # it was cancelled before its first step
                self._fail(starting, RuntimeError("The start of the application was cancelled."))

        keeper.add_done_callback(note_end)


def _is_asgi_request() -> bool:
    ctx = current.get()[1]
    return ctx is not None and getattr(ctx.request, "scope", None) is not None


def _loop_beside() -> asyncio.AbstractEventLoop | None:
    """The loop that an application under a WSGI server was started on: all its coroutines run
    there, so that what was opened at the start can be used in views."""
    app = current_application()
    life: Life | None = None if app is None else vars(app).get("_life")
    if life is None or not life.is_started or life._beside is None:
        return None
    return life._beside.loop


def life_of(app: t.Any) -> Life:
    """The life of an application, made when it is first asked for."""
    own = vars(app)
    life: Life | None = own.get("_life")
    if life is None:
        life = own.setdefault("_life", Life(app))
    return life


# Set where an application is being started, for requests that its own functions make.
_starting_here: ContextVar[Life | None] = ContextVar("erlen.starting", default=None)


async def _wait_for(starting: Future[None]) -> None:
    if not starting.done():
        from asyncio import shield, wrap_future

        await shield(wrap_future(starting))
    starting.result()


async def _collect(errors: list[BaseException], ending: t.Awaitable[None]) -> None:
    try:
        await ending
    except Exception as error:
        errors.append(error)


# The process: its end, and forks of it

_lives: weakref.WeakSet[Life] = weakref.WeakSet()
# Loops whose threads a fork has not taken along: they can neither run nor be closed here.
_left_behind: list[t.Any] = []
_is_watching = False


def _watch_process() -> None:
    global _is_watching
    if _is_watching:
        return
    _is_watching = True
    import atexit

    # Executors end in the same way, the latest of them first: they must be there before.
    import concurrent.futures.thread  # noqa: F401

    # Earlier than `atexit`, and also in children of `multiprocessing`: threads can still be
    # started, which much of asyncio needs.
    getattr(threading, "_register_atexit", atexit.register)(_end_lives)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_forget_lives)


def _end_lives() -> None:
    for life in list(_lives):
        if life.process != os.getpid():
            continue
        try:
            if life._may_end_at_exit():
                life.stop()
        except Exception as error:
            life.app.logger.error("Exception while serving ends", exc_info=error)


def _forget_lives() -> None:
    """In a forked process nothing is started: neither threads nor tasks came along."""
    _starting_here.set(None)
    for life in list(_lives):
        _left_behind.append((life._beside, life._keeper, life._end, life._entered, life.tasks))
        life._reset()
        life.app._serving_changed()

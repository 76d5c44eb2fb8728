"""Waiting for a coroutine from sync code, with one primitive: :func:`await_`.

The pipeline is plain sync code; what it has to wait for goes through here. The place decides how:

- on a thread without a running loop (WSGI, scripts, tests), on an event loop kept for the thread;
- under :func:`run` (ASGI), in a pooled greenlet: the coroutine is stepped where it is called, and
  each future it waits for is handed to the request's own task;
- on a worker thread that an event loop waits for (:func:`calling_back`), on that loop.

Context variables flow in and changes flow back. This is the only module that knows greenlets.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import typing as t
import weakref
from contextvars import Context, copy_context
from types import CoroutineType, FunctionType, MethodType

if t.TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator, Mapping
    from threading import local

    P = t.ParamSpec("P")

# `inspect.CO_COROUTINE`: set in the code of what `async def` defines.
_CO_COROUTINE = 0x80

T = t.TypeVar("T")

#: How many idle greenlets (and, under gevent, idle event loops) a thread keeps for the next call.
IDLE_LIMIT = 64


def await_(awaitable: Awaitable[T]) -> T:
    """Wait for ``awaitable`` and return its result, or raise what it raises.

    On a thread without a running loop the call behaves like :func:`asyncio.run`, but for the loop,
    which stays open for the thread's next call: tasks that are left behind are cancelled and async
    generators closed when the call ends. Raises :exc:`RuntimeError` in code that a running loop
    has called directly, since waiting there would stop the loop itself.
    """
    if is_in_greenlet():
        return _await_in_greenlet(_as_coroutine(awaitable))
    if is_in_coroutine():
        if isinstance(awaitable, CoroutineType):
            awaitable.close()
        raise RuntimeError(
            "Sync code called from a coroutine cannot wait for another one: the event loop of this"
            " thread is running and would stand still. Use 'await' in the coroutine instead, or"
            " call the sync code through 'asyncio.to_thread'."
        )
    home = _home()
    if home is not None:
        return _await_at_home(home, awaitable)
    return _await_on_kept_loop(awaitable)


def is_in_greenlet() -> bool:
    """Whether :func:`run` has called this code: :func:`await_` waits in the current task then."""
    return _getcurrent is not None and getattr(_getcurrent(), "_erlen_bridge", False)


def is_in_coroutine() -> bool:
    """Whether a loop runs on this thread, which must not be made to wait."""
    # Where another thread is just importing asyncio, no loop can be running here.
    running = getattr(sys.modules.get("asyncio"), "_get_running_loop", None)
    return running is not None and running() is not None


def has_home() -> bool:
    """Whether :func:`await_` on this thread waits for coroutines on a loop of another one."""
    return _home() is not None


def home_loop() -> asyncio.AbstractEventLoop | None:
    """The loop that :func:`await_` waits on here, if somebody else runs it."""
    if is_in_greenlet() or is_in_coroutine():
        from asyncio import get_running_loop

        return get_running_loop()
    return _home()


#: Tells a loop for all coroutines of the current application; set where there is such a one.
find_home: Callable[[], asyncio.AbstractEventLoop | None] | None = None


def _home() -> asyncio.AbstractEventLoop | None:
    home: asyncio.AbstractEventLoop | None = getattr(_of_thread, "home", None)
    return find_home() if home is None and find_home is not None else home


def async_to_sync(func: Callable[P, Awaitable[T]]) -> Callable[P, T]:
    """Wrap a coroutine function so that calling it waits for its result.

    :func:`is_bridged` recognises the wrapper, ``__wrapped__`` is the coroutine function.
    """

    @functools.wraps(func, updated=())
    def waiting(*args: P.args, **kwargs: P.kwargs) -> T:
        return await_(func(*args, **kwargs))

    waiting.__dict__.update(getattr(func, "__dict__", {}), __wrapped__=func, _erlen_bridge=True)
    return waiting


def is_bridged(func: object) -> bool:
    """Whether ``func`` is a wrapper that :func:`async_to_sync` made."""
    return getattr(func, "_erlen_bridge", False) is True and hasattr(func, "__wrapped__")


def is_coroutine_function(obj: object) -> bool:
    """Whether calling ``obj`` gives a coroutine.

    Sees through :class:`functools.partial` and bound methods as :mod:`inspect` does, and besides
    knows objects whose class has an ``async def __call__``.
    """
    while isinstance(obj, functools.partial):
        obj = obj.func
    function = obj.__func__ if isinstance(obj, MethodType) else obj
    # PERF: the common case, plain functions that nothing can have marked as coroutine functions.
    if isinstance(function, FunctionType) and not function.__dict__:
        return bool(function.__code__.co_flags & _CO_COROUTINE)

    from inspect import iscoroutinefunction

    method = getattr(type(obj), "__call__", None)  # noqa: B004
    return iscoroutinefunction(obj) or iscoroutinefunction(method)


async def _awaiting(awaitable: Awaitable[T]) -> T:
    return await awaitable


def _as_coroutine(awaitable: Awaitable[T]) -> Coroutine[t.Any, t.Any, T]:
    return awaitable if isinstance(awaitable, CoroutineType) else _awaiting(awaitable)


# The loop that waits for a worker thread


@contextlib.contextmanager
def calling_back(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Let :func:`await_` on this thread, which is not the loop's, wait for coroutines on `loop`.

    So all coroutines of an application share one loop, with its connections and locks.
    """
    before = getattr(_of_thread, "home", None)
    _of_thread.home = loop
    try:
        yield
    finally:
        _of_thread.home = before


def _await_at_home(loop: asyncio.AbstractEventLoop, awaitable: Awaitable[T]) -> T:
    from concurrent.futures import Future

    done: Future[T] = Future()
    after: list[Context] = []

    async def wait() -> T:
        try:
            return await stepping_aside(awaitable)
        finally:
            after.append(copy_context())

    def start() -> None:
        task = loop.create_task(wait())
        task.add_done_callback(functools.partial(_hand_over, done))

    loop.call_soon_threadsafe(start, context=copy_context())
    try:
        return done.result()
    finally:
        for context in after:
            _adopt(context)


def _hand_over(done: t.Any, task: asyncio.Task[t.Any]) -> None:
    if task.cancelled():
        from asyncio import CancelledError

        done.set_exception(CancelledError())
    elif (error := task.exception()) is not None:
        done.set_exception(error)
    else:
        done.set_result(task.result())


# The loop kept for a thread


def _unpatched_local() -> type[local]:
    """The interpreter's own ``threading.local``, also where gevent has replaced it."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None:
        from threading import local

        return local
    return t.cast("type[local]", monkey.get_original("_thread", "_local"))


_of_thread = _unpatched_local()()


def _await_on_kept_loop(awaitable: Awaitable[T]) -> T:
    loops = loops_of_thread()
    kept = loops.take()
    try:
        return kept.run(awaitable)
    finally:
        loops.give_back(kept)


def loops_of_thread() -> _ThreadLoops:
    """The event loops that are kept for this thread."""
    loops: _ThreadLoops | None = getattr(_of_thread, "loops", None)
    if loops is None:
        loops = _of_thread.loops = _ThreadLoops()
    return loops


class _ThreadLoops:
    """The idle event loops of one thread: one, or several where greenlets share it."""

    def __init__(self) -> None:
        self.idle: list[_KeptLoop] = []
        self.watches_greenlets = False
        # At the end of the thread, which drops its locals and this object with them, or at exit.
        weakref.finalize(self, _close_loops, self.idle)

    def watch_greenlets(self) -> None:
        """Keep the loops of gevent's greenlets on this thread apart, before any of them runs."""
        if not self.watches_greenlets and "gevent" in sys.modules:
            _keep_running_loop_per_greenlet()
            self.watches_greenlets = True

    def take(self) -> _KeptLoop:
        self.watch_greenlets()
        while self.idle:
            kept = self.idle.pop()
            if kept.is_usable():
                return kept
            kept.close()
        return _KeptLoop()

    def give_back(self, kept: _KeptLoop) -> None:
        if kept.is_usable() and len(self.idle) < IDLE_LIMIT:
            self.idle.append(kept)
        else:
            kept.close()


def _close_loops(idle: list[_KeptLoop]) -> None:
    while idle:
        idle.pop().close()


class _KeptLoop:
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
        task = self.start(stepping_aside(awaitable))
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
                _adopt(after)

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


def _adopt(after: Context) -> None:
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


# The greenlets that run sync code on a loop

_getcurrent: Callable[[], t.Any] | None = None


async def run(func: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call sync `func` so that :func:`await_` in it waits in the current task.

    The call has the task's own context and stays on its thread; while it waits, the loop goes on.
    """
    begun: t.Any = begin(functools.partial(func, **kwargs) if kwargs else func, *args)
    return t.cast("T", await begun if begun.__class__ is Suspended else begun)


async def stepping_aside(awaitable: Awaitable[T]) -> T:
    """Await something so that sync code which it calls can wait for other coroutines.

    Not under gevent, where another greenlet would have other thread locals.
    """
    if "gevent" in sys.modules:
        return await awaitable
    return await run(await_, awaitable)


def begin(func: Callable[..., T], /, *args: t.Any) -> T | Suspended[T]:
    """:func:`run` up to where the call first waits: its result, or what to await for it.

    PERF: a call that never waits needs no coroutine.
    """
    here = (_getcurrent or _load_getcurrent())()
    if here.parent is not None and hasattr(here, "_erlen_bridge"):
        # Waiting works here already. A greenlet made here would count this one's depth of the
        # stack as its own, and hand it on to those that are made in it, until there is none left.
        return func(*args)
    pool: list[t.Any] | None = getattr(_of_thread, "greenlets", None)
    worker = pool.pop() if pool else _new_greenlet()
    if worker.parent is not here:
        worker.parent = here
    # The task's own context, not a copy: tokens stay valid on both sides.
    worker.gr_context = here.gr_context
    told = worker.switch(func, args)
    if told.__class__ is not _Outcome:
        return Suspended(worker, told)
    if told.error is None and pool is not None and len(pool) < IDLE_LIMIT:
        # PERF: `_give_back` and `take` without the calls.
        worker.gr_context = None
        pool.append(worker)
        result, told.result = told.result, None
        return result  # type: ignore[no-any-return]
    _give_back(worker)
    return told.take()  # type: ignore[no-any-return]


class _Outcome:
    """What came of the last call of a greenlet."""

    __slots__ = ("error", "result")

    def __init__(self) -> None:
        self.result: t.Any = None
        self.error: BaseException | None = None

    def take(self) -> t.Any:
        error = self.error
        if error is None:
            result, self.result = self.result, None
            return result
        self.error = None
        try:
            raise error
        finally:
            del error


class Watcher(t.Protocol):
    """Who is told what a call in a greenlet does."""

    def waits(self, waited_for: t.Any) -> None:
        """The call waits for a future, or with `None` for its turn."""

    def goes_on(self) -> None:
        """The waiting is over."""


class Suspended(t.Generic[T]):
    """A call in a greenlet that waits for something; awaiting this runs it to its end."""

    __slots__ = ("_waited_for", "_worker", "watcher")

    def __init__(self, worker: t.Any, waited_for: t.Any) -> None:
        self._worker = worker
        self._waited_for = waited_for
        #: Told of each thing that the call waits for, and when it goes on.
        self.watcher: Watcher | None = None

    def __await__(self) -> Generator[t.Any, t.Any, T]:
        worker, told, watcher = self._worker, self._waited_for, self.watcher
        self._waited_for = None
        closed = False
        while told.__class__ is not _Outcome:
            answer: t.Any = None
            error: BaseException | None = None
            if closed:
                error = RuntimeError("The task is closed: nothing can be awaited in it.")
            else:
                if watcher is not None:
                    watcher.waits(told)
                try:
                    answer = yield told
                except BaseException as thrown:
                    closed = isinstance(thrown, GeneratorExit)
                    error = thrown
                if watcher is not None:
                    watcher.goes_on()
            told = worker.switch(answer, error)
            del answer, error
        _give_back(worker)
        return told.take()  # type: ignore[no-any-return]


def _give_back(worker: t.Any) -> None:
    # An idle greenlet must not keep a request's context alive.
    worker.gr_context = None
    pool = _of_thread.greenlets
    if len(pool) < IDLE_LIMIT and not worker.dead:
        pool.append(worker)
    elif not worker.dead:
        worker.switch(None, None)


def _load_getcurrent() -> t.Any:
    global _getcurrent
    from greenlet import getcurrent  # type: ignore[import-untyped,unused-ignore]

    _getcurrent = getcurrent
    return getcurrent


def _new_greenlet() -> t.Any:
    """A greenlet that rests until it is handed a call."""
    from greenlet import greenlet

    if not hasattr(_of_thread, "greenlets"):
        _of_thread.greenlets = []
    worker = greenlet(_perform_calls)
    worker._erlen_bridge = True
    # The first switch hands nothing over: a greenlet keeps its first arguments for its life.
    worker.switch()
    return worker


def _perform_calls() -> None:
    """The body of a pooled greenlet: performs the calls that it is handed, and ends at `None`."""
    me = t.cast("t.Any", _getcurrent)()
    outcome = _Outcome()
    func, args = me.parent.switch()
    while func is not None:
        try:
            outcome.result = func(*args)
        except BaseException as error:  # raised again in the task that waits for the call
            outcome.error = error.with_traceback(_without_first(error))
        func = args = None
        func, args = me.parent.switch(outcome)


def _without_first(error: BaseException) -> t.Any:
    trace = error.__traceback__
    return trace and trace.tb_next


def _await_in_greenlet(coro: Coroutine[t.Any, t.Any, T]) -> T:
    """Step ``coro`` here; only what it waits for crosses over to the task."""
    try:
        waited_for = coro.send(None)
    except StopIteration as stop:  # PERF: many have nothing to wait for
        return t.cast("T", stop.value)
    try:
        return _go_on(coro, waited_for)
    finally:
        del waited_for  # an error keeps this frame, and with it what servers cannot collect


def _go_on(coro: Coroutine[t.Any, t.Any, T], waited_for: t.Any) -> T:
    home = t.cast("t.Any", _getcurrent)().parent
    error: BaseException | None = None
    thrown: BaseException | None = None
    try:
        while True:
            value, error = home.switch(waited_for)
            if error is None:
                waited_for = coro.send(value)
            else:
                thrown, error = error, None
                waited_for = coro.throw(thrown)
                thrown = None
    except StopIteration as stop:
        return t.cast("T", stop.value)
    finally:
        waited_for = error = thrown = None
        coro.close()


def stepping(func: Callable[P, Coroutine[t.Any, t.Any, T]]) -> Callable[P, T]:
    """:func:`async_to_sync` for code that :func:`run` is known to have called."""

    def on_loop(*args: P.args, **kwargs: P.kwargs) -> T:
        coro = func(*args, **kwargs)
        try:  # PERF: `_await_in_greenlet` without the call
            waited_for = coro.send(None)
        except StopIteration as stop:
            return t.cast("T", stop.value)
        try:
            return _go_on(coro, waited_for)
        finally:
            del waited_for

    return on_loop

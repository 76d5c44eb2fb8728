"""Waiting for a coroutine from sync code, with one primitive: :func:`await_`.

The pipeline is plain sync code; what it has to wait for goes through here. The place decides how:

- on a thread without a running loop (WSGI, scripts, tests), on an event loop kept for the thread;
- under :func:`run` (ASGI), in a pooled greenlet: the coroutine is stepped where it is called, and
  each future it waits for is handed to the request's own task;
- on a worker thread that an event loop waits for (:func:`calling_back`), on that loop.

Context variables flow in and changes flow back. Only this module and `kept` know greenlets.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import typing as t
from contextvars import Context, copy_context
from types import CoroutineType, FunctionType, MethodType

if t.TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
    from threading import local

    from .kept import ThreadLoops

    P = t.ParamSpec("P")

# `inspect.CO_COROUTINE`: set in the code of what `async def` defines.
_CO_COROUTINE = 0x80

T = t.TypeVar("T")

#: How many idle greenlets a thread keeps for the next call, at some 4 KB each. PERF: to make one
#: and end it adds some 10 microseconds to a request, where more of them wait than are kept.
IDLE_LIMIT = 1024


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

    from .kept import adopt

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
            adopt(context)


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
        return kept.run(stepping_aside(awaitable))
    finally:
        loops.give_back(kept)


def let_finish(task: asyncio.Task[t.Any]) -> None:
    """Have the call on whose loop a task runs wait for it at its end: other threads rely on it."""
    from .kept import shared

    shared.add(task)


def loops_of_thread() -> ThreadLoops:
    """The event loops that are kept for this thread."""
    loops: ThreadLoops | None = getattr(_of_thread, "loops", None)
    if loops is None:
        from .kept import ThreadLoops

        loops = _of_thread.loops = ThreadLoops()
    return loops


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
    """The body of a pooled greenlet: performs the calls that it is handed, and ends at `None`.

    It holds no reference to its greenlet, which ends with its pool: with its thread.
    """
    current = t.cast("Callable[[], t.Any]", _getcurrent)
    outcome = _Outcome()
    func, args = current().parent.switch()
    while func is not None:
        try:
            outcome.result = func(*args)
        except BaseException as error:  # raised again in the task that waits for the call
            outcome.error = error.with_traceback(_without_first(error))
        func = args = None
        func, args = current().parent.switch(outcome)


def _without_first(error: BaseException) -> t.Any:
    trace = error.__traceback__
    return trace and trace.tb_next


def _await_in_greenlet(coro: Coroutine[t.Any, t.Any, T]) -> T:
    """Step ``coro`` here; only what it waits for crosses over to the task."""
    try:
        waited_for = coro.send(None)
    except StopIteration as stop:  # PERF: many have nothing to wait for
        return stop.value  # type: ignore[no-any-return]
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
        return stop.value  # type: ignore[no-any-return]
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
            return stop.value  # type: ignore[no-any-return]
        try:
            return _go_on(coro, waited_for)
        finally:
            del waited_for

    return on_loop

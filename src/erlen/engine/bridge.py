"""Waiting for a coroutine from sync code, with one primitive: :func:`await_`.

The pipeline is plain sync code; what it has to wait for goes through here. The place decides how:

- on a thread without a running loop (WSGI, scripts, tests), on an event loop kept for the thread;
- under :func:`run` (ASGI), in a pooled greenlet: the coroutine is stepped where it is called, and
  each future it waits for is handed to the request's own task;
- on a worker thread that an event loop waits for (:func:`calling_back`), on that loop.

Context variables flow in and changes flow back.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import typing as t
from contextvars import Context, copy_context
from types import CoroutineType, FunctionType, MethodType

from .greenlets import Suspended, await_in_greenlet, begin, of_thread
from .greenlets import is_in_greenlet as is_in_greenlet

if t.TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Coroutine, Iterator

    from .kept import ThreadLoops

    P = t.ParamSpec("P")

# `inspect.CO_COROUTINE`: set in the code of what `async def` defines.
_CO_COROUTINE = 0x80

T = t.TypeVar("T")


def await_(awaitable: Awaitable[T]) -> T:
    """Wait for ``awaitable`` and return its result, or raise what it raises.

    On a thread without a running loop the call behaves like :func:`asyncio.run`, but for the loop,
    which stays open for the thread's next call: tasks that are left behind are cancelled and async
    generators closed when the call ends. Raises :exc:`RuntimeError` in code that a running loop
    has called directly, since waiting there would stop the loop itself.
    """
    if is_in_greenlet():
        return await_in_greenlet(_as_coroutine(awaitable))
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
    home: asyncio.AbstractEventLoop | None = getattr(of_thread, "home", None)
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
    before = getattr(of_thread, "home", None)
    of_thread.home = loop
    try:
        yield
    finally:
        of_thread.home = before


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
    loops: ThreadLoops | None = getattr(of_thread, "loops", None)
    if loops is None:
        from .kept import ThreadLoops

        loops = of_thread.loops = ThreadLoops()
    return loops


# Sync code on a loop


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

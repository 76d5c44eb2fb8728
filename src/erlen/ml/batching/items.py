"""An item on its way: what was given, who waits for it, and what has come of it."""

from __future__ import annotations

import typing as t
from contextvars import Context
from math import inf

from .errors import DeadlineExceeded

if t.TYPE_CHECKING:
    import asyncio

    from .signal import Signal

#: In the queue; being computed; with an outcome; nobody waits for it any more.
WAITING, RUNNING, DONE, GONE = range(4)


class Item:
    """One item and its waiter: a thread that sleeps on `wake`, or a future of an event loop.

    Times are those of the batcher's clock, in seconds. An outcome is kept in the item alone, so
    that a late one can reach nobody else.
    """

    __slots__ = (
        "deadline",
        "error",
        "future",
        "key",
        "leads_on_loop",
        "loop",
        "result",
        "retried",
        "since",
        "state",
        "until",
        "value",
        "wake",
    )

    def __init__(self, value: t.Any, key: t.Any, since: float, deadline: float = inf) -> None:
        self.value = value
        #: Items with different keys do not meet in a batch.
        self.key = key
        self.since = since
        #: Seconds that it was given, and when they are over.
        self.deadline = deadline
        self.until = since + deadline
        self.state = WAITING
        self.result: t.Any = None
        self.error: BaseException | None = None
        self.wake: Signal | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.future: asyncio.Future[t.Any] | None = None
        #: Whether it was made leader and its own loop is to run the batch.
        self.leads_on_loop = False
        #: Whether a batch with it was broken off before.
        self.retried = False

    def take(self) -> t.Any:
        """The result, or the error raised."""
        error = self.error
        if error is None:
            return self.result
        self.error = None  # no cycle through its traceback
        try:
            raise error
        finally:
            del error

    def too_late(self) -> DeadlineExceeded:
        return DeadlineExceeded(self.deadline)


def settle(items: list[Item]) -> None:
    """Resolve the futures of items that are done; called on their loop."""
    for item in items:
        future = item.future
        if future is None or future.done():
            continue
        error = item.error
        if error is None:
            future.set_result(item.result)
        else:
            item.error = None
            future.set_exception(as_settable(error))
            del error


def as_settable(error: BaseException) -> BaseException:
    """The error itself, or another one where a future cannot carry it."""
    if not isinstance(error, StopIteration):
        return error
    other = RuntimeError("The batched function raised StopIteration.")
    other.__cause__ = error
    return other


def deliver(items: list[Item]) -> None:
    """Wake those who wait for items that have an outcome: each thread, and each loop once."""
    of_loops: dict[asyncio.AbstractEventLoop, list[Item]] | None = None
    for item in items:
        item.state = DONE
        if item.loop is None:
            t.cast("Signal", item.wake).set()
        elif of_loops is None:
            of_loops = {item.loop: [item]}
        else:
            of_loops.setdefault(item.loop, []).append(item)
    if of_loops is not None:
        from asyncio import _get_running_loop

        here = _get_running_loop()
        for loop, its in of_loops.items():
            if loop is here:
                settle(its)
            else:
                call_on(loop, settle, its)


def call_on(loop: asyncio.AbstractEventLoop, func: t.Any, *args: t.Any) -> bool:
    """Have a loop call something soon, from any thread or itself; False if it is closed."""
    from asyncio import _get_running_loop

    # Not in the caller's context, which may be that of another request.
    context = Context()
    try:
        if _get_running_loop() is loop:
            loop.call_soon(func, *args, context=context)
        else:
            loop.call_soon_threadsafe(func, *args, context=context)
    except RuntimeError:
        if not loop.is_closed():
            raise
        return False
    return True

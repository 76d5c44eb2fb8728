"""The event loop beside a test's thread: sync tests drive ASGI applications on it.

It runs on a thread of its own, so that an application goes on between the calls of a test
(background tasks, timers), and so that a test can itself run in an event loop.
"""

from __future__ import annotations

import os
import threading
import weakref
from functools import cache

from ..engine.loops import LoopThread


class _OfThread(threading.local):
    beside: LoopThread | None = None


_of_thread = _OfThread()
_all: weakref.WeakSet[LoopThread] = weakref.WeakSet()


def loop_thread() -> LoopThread:
    """The loop beside the calling thread: its own, so that it never waits for itself."""
    beside = _of_thread.beside
    if beside is None or beside.process != os.getpid():
        beside = _of_thread.beside = LoopThread("erlen-test-loop")
        _all.add(beside)
        _watch_process()
    return beside


@cache
def _watch_process() -> None:
    import atexit

    # Executors end in the same way, the latest of them first: they must be there before.
    import concurrent.futures.thread  # noqa: F401

    # Earlier than `atexit`: what applications do at their end may still need threads.
    getattr(threading, "_register_atexit", atexit.register)(_end)


def _end() -> None:
    for beside in list(_all):
        beside.close()

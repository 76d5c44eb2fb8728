"""An event loop beside a thread: sync tests drive ASGI applications on it.

The loop runs on a thread of its own, so that an application goes on between the calls of a test
(background tasks, timers), and so that a test can itself run in an event loop.
"""

from __future__ import annotations

import os
import threading

from ..engine.loops import LoopThread as LoopThread
from ..engine.loops import call_later_on as call_later_on


class _OfThread(threading.local):
    loop_thread: LoopThread | None = None


_of_thread = _OfThread()


def loop_thread() -> LoopThread:
    """The loop beside the calling thread: its own, so that it never waits for itself."""
    beside = _of_thread.loop_thread
    if beside is None or beside.process != os.getpid():
        beside = _of_thread.loop_thread = LoopThread("erlen-test-loop")
    return beside

"""How the threads of this process share a core, as asked of the kernel's scheduler.

A thread that wakes up interrupts the one that runs. Where one thread wakes sixty that wait for
their results, or requests come in while a model computes, that costs more than it brings: those
that wake want the interpreter's lock and sleep again, and each finds the processor's caches full of
what the model needs, and the model then of what they needed. With Linux's policy for batch work a
thread that wakes waits instead until the one that runs sleeps or has had its turn, which is some
milliseconds long. Where another core is free, nothing waits.

Under overload the turns are longer: a refusal costs the model's core less than half of what it does
otherwise, since several are read, refused and answered in one turn. See sched(7) and
sched_setattr(2); turns of a length of one's own exist since Linux 6.12, and what a system does not
have is done without.
"""

from __future__ import annotations

import os
import struct
import sys
import threading
import typing as t
from contextlib import suppress
from math import inf

if t.TYPE_CHECKING:
    from collections.abc import Callable

#: "off" leaves the scheduler alone.
VARIABLE = "ERLEN_TURNS"
#: Seconds of a turn while more is asked than can be computed, where a batch takes longer than that;
#: Linux allows 0.1 s at most.
LONG = 0.015
#: Of the kernel's own choice, some milliseconds.
USUAL = 0.0
#: Seconds for which turns stay long after a refusal.
KEPT_LONG = 2.0

#: The number of sched_setattr in the table of system calls; Python has no function for it.
_SETATTR = {"x86_64": 314, "aarch64": 274}
#: size, policy, flags, nice, priority, runtime, deadline, period
_ATTRIBUTES = struct.Struct("=IIQiIQQQ")


class Turns:
    """The turns of this process's threads; one object, for all batchers."""

    def __init__(self) -> None:
        self._is_on = hasattr(os, "SCHED_BATCH") and os.environ.get(VARIABLE) != "off"
        self._are_long = False
        self.begin_anew()

    def begin_anew(self) -> None:
        """Also in a forked process, whose thread is like the one that forked it."""
        self._lock = threading.Lock()
        #: When to call :meth:`review` next, by the monotonic clock.
        self.due = 0.0 if self._is_on else inf

    def review(self) -> None:
        """Have threads take turns; or not so long ones any more."""
        if self._lock.acquire(blocking=False):
            try:
                self.due = inf
                _for_each_thread(_turns_of(USUAL) if self._are_long else _take_turns)
                self._are_long = False
            finally:
                self._lock.release()

    def lengthen(self, now: float) -> None:
        """Have turns be long for some seconds from now."""
        if not self._is_on:
            return
        if not self._are_long and self._lock.acquire(blocking=False):
            try:
                self._are_long = True
                _for_each_thread(_turns_of(LONG))
            finally:
                self._lock.release()
        # Last: a review of the same moment must not leave long turns without an end.
        self.due = now + KEPT_LONG


def _for_each_thread(apply: Callable[[int], object]) -> None:
    """Call a function with the number of each thread of this process that has one of the policies
    for ordinary work; others are as the user wants them. Threads begun later are like the one that
    begins them."""
    try:
        threads = [int(name) for name in os.listdir("/proc/self/task")]
        if threading.get_native_id() not in threads:
            # A /proc that was mounted for other processes numbers threads otherwise.
            return
        for thread in threads:
            with suppress(ProcessLookupError):  # it has ended
                if os.sched_getscheduler(thread) in (os.SCHED_OTHER, os.SCHED_BATCH):
                    apply(thread)
    except OSError:
        # Without /proc, or where a sandbox forbids it, threads go on as they are.
        pass


def _take_turns(thread: int) -> None:
    os.sched_setscheduler(thread, os.SCHED_BATCH, os.sched_param(0))


def _turns_of(seconds: float) -> Callable[[int], object]:
    """A function that has a thread take turns of so many seconds."""
    number = _SETATTR.get(os.uname().machine)
    if number is None or sys.maxsize <= 2**32:
        return _take_turns
    from ctypes import CDLL, c_long

    call = CDLL(None).syscall

    def apply(thread: int) -> None:
        nice = os.getpriority(os.PRIO_PROCESS, thread)
        attributes = (os.SCHED_BATCH, 0, nice, 0, int(seconds * 1e9), 0, 0)
        # A kernel that knows no such turns ignores their length.
        call(c_long(number), c_long(thread), _ATTRIBUTES.pack(_ATTRIBUTES.size, *attributes), 0)

    return apply


turns = Turns()

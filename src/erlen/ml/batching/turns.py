"""How the threads of this process share a core, as asked of the kernel's scheduler.

A thread that wakes up interrupts the one that runs. Where one thread wakes sixty that wait for
their results, or requests come in while a model computes, that costs more than it brings: those
that wake want the interpreter's lock and sleep again, and each finds the processor's caches full of
what the model needs, and the model then of what they needed. With Linux's policy for batch work a
thread that wakes waits instead until the one that runs sleeps or has had its turn, which is some
milliseconds long. Where another core is free, nothing waits. It is asked for while calls wait
together, or on an event loop, and taken back when a thread's call has been alone for a while.

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
#: Seconds for which turns stay long after a refusal, and are taken at all after calls have waited
#: together.
KEPT = 2.0
#: How often that they do is noted.
EACH = 0.5

#: The number of sched_setattr in the table of system calls; Python has no function for it.
_SETATTR = {"x86_64": 314, "aarch64": 274}
#: size, policy, flags, nice, priority, runtime, deadline, period
_ATTRIBUTES = struct.Struct("=IIQiIQQQ")


class Turns:
    """The turns of this process's threads; one object, for all batchers."""

    def __init__(self) -> None:
        self._is_on = hasattr(os, "SCHED_BATCH") and os.environ.get(VARIABLE) != "off"
        #: Seconds of a turn; `None` where threads have the policy that they began with.
        self._length: float | None = None
        self._begins_with_turns = self._is_on and _takes_turns()
        self.begin_anew()

    def begin_anew(self) -> None:
        """Also in a forked process, whose thread is like the one that forked it."""
        self._lock = threading.Lock()
        self._long_until = 0.0
        #: When to call :meth:`review` next if calls wait together, by the monotonic clock, and
        #: :meth:`leave` if one is alone.
        self.due = 0.0 if self._is_on else inf
        self.over = inf if self._length is None else 0.0

    def review(self, now: float) -> None:
        """Calls wait together: have threads take turns; or not so long ones any more."""
        if self._lock.acquire(blocking=False):
            try:
                if now >= self._long_until:
                    self._set(USUAL)
                self.due, self.over = now + EACH, now + KEPT
            finally:
                self._lock.release()

    def lengthen(self, now: float) -> None:
        """Have turns be long for some seconds from now."""
        self._long_until = now + KEPT
        if self._is_on and self._length != LONG and self._lock.acquire(blocking=False):
            try:
                self._set(LONG)
                self.due = self.over = now + KEPT
            finally:
                self._lock.release()

    def leave(self) -> None:
        """A call is alone: have threads interrupt each other again.

        Its answer is sent by a thread of the server's, which is woken some 10 microseconds before
        the one that computed sleeps.
        """
        if self._lock.acquire(blocking=False):
            try:
                self._set(None)
                self.due, self.over = 0.0, inf
            finally:
                self._lock.release()

    def _set(self, length: float | None) -> None:
        if length != self._length:
            self._length, before = length, self._length
            is_usual = length is None and not self._begins_with_turns
            policy = os.SCHED_OTHER if is_usual else os.SCHED_BATCH
            _for_each_thread(_giving(policy, length or USUAL, has_lengths=LONG in (length, before)))


def _takes_turns() -> bool:
    """Whether this thread has the policy."""
    try:
        return os.sched_getscheduler(0) == os.SCHED_BATCH
    except OSError:
        # A sandbox forbids to ask, or the C library (musl) has the function but no answer.
        return False


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
        # Without /proc, and where nobody may ask, threads go on as they are.
        pass


def _giving(policy: int, seconds: float, has_lengths: bool) -> Callable[[int], object]:
    """A function that gives a thread a policy, and turns of so many seconds."""
    number = _SETATTR.get(os.uname().machine)
    if not has_lengths or number is None or sys.maxsize <= 2**32:
        return lambda thread: os.sched_setscheduler(thread, policy, os.sched_param(0))
    from ctypes import CDLL, c_long

    call = CDLL(None).syscall

    def give(thread: int) -> None:
        nice = os.getpriority(os.PRIO_PROCESS, thread)
        attributes = (policy, 0, nice, 0, int(seconds * 1e9), 0, 0)
        # A kernel that knows no such turns ignores their length.
        call(c_long(number), c_long(thread), _ATTRIBUTES.pack(_ATTRIBUTES.size, *attributes), 0)

    return give


turns = Turns()

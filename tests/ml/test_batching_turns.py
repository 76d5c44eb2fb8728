"""Threads that take turns on a core instead of interrupting each other, longer under overload."""

from __future__ import annotations

import hashlib
import os
import platform
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ctypes import CDLL, create_string_buffer

import pytest

from erlen.ml import Batcher, QueueFull
from erlen.ml.batching import batcher, leading
from erlen.ml.batching.turns import KEPT_LONG, LONG, VARIABLE, Turns

if sys.platform != "linux":
    pytest.skip("only Linux has this policy", allow_module_level=True)

#: the number of sched_getattr in the table of system calls
GETATTR = {"x86_64": 315, "aarch64": 275}
ATTRIBUTES = struct.Struct("=IIQiIQQQ")


def length_of_turns(thread: int) -> float:
    """Seconds of a thread's turns, as the kernel tells it; 0 from one without."""
    buffer = create_string_buffer(ATTRIBUTES.size)
    number = GETATTR.get(platform.machine())
    if number is None or CDLL(None).syscall(number, thread, buffer, ATTRIBUTES.size, 0):
        return 0.0
    nanoseconds: int = ATTRIBUTES.unpack(buffer.raw)[5]
    return nanoseconds / 1e9


needs_lengths = pytest.mark.skipif(
    not length_of_turns(0), reason="this kernel knows no turns of one's own length (Linux 6.12)"
)


@contextmanager
def sleeper(prepare: Callable[[], object] = bool) -> Iterator[int]:
    """A thread that sleeps; its number."""
    begun, done = threading.Event(), threading.Event()

    def sleep() -> None:
        prepare()
        begun.set()
        done.wait()

    thread = threading.Thread(target=sleep)
    thread.start()
    begun.wait()
    try:
        yield thread.native_id or 0
    finally:
        done.set()
        thread.join()


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> Iterator[Turns]:
    """Those of a process whose threads are all ordinary, as they are again afterwards."""
    monkeypatch.delenv(VARIABLE, raising=False)
    turns = Turns()
    # What other tests have left, as long as their threads live.
    turns._are_long = True
    turns.review()
    for name in os.listdir("/proc/self/task"):
        with suppress(ProcessLookupError):
            if os.sched_getscheduler(int(name)) == os.SCHED_BATCH:
                os.sched_setscheduler(int(name), os.SCHED_OTHER, os.sched_param(0))
    turns.begin_anew()
    monkeypatch.setattr(leading, "turns", turns)
    monkeypatch.setattr(batcher, "turns", turns)
    yield turns
    turns._are_long = True
    turns.review()


def test_all_threads_take_turns_those_begun_later_too(turns: Turns) -> None:
    with sleeper() as before:
        assert os.sched_getscheduler(before) == os.SCHED_OTHER
        turns.review()
        assert os.sched_getscheduler(before) == os.SCHED_BATCH
        with sleeper() as after:
            assert os.sched_getscheduler(after) == os.SCHED_BATCH


def test_a_thread_of_another_policy_stays_as_it_is(turns: Turns) -> None:
    def be_idle() -> None:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))

    with sleeper(be_idle) as idle:
        turns.review()
        turns.lengthen(time.monotonic())
        assert os.sched_getscheduler(idle) == os.SCHED_IDLE


@needs_lengths
def test_turns_are_long_until_they_are_reviewed(turns: Turns) -> None:
    def be_nice() -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 5)

    with sleeper(be_nice) as thread:
        turns.review()
        usual = length_of_turns(thread)
        assert 0 < usual < LONG
        turns.lengthen(100.0)
        assert length_of_turns(thread) == pytest.approx(LONG)
        assert os.getpriority(os.PRIO_PROCESS, thread) == 5
        turns.lengthen(101.0)
        assert turns.due == 101.0 + KEPT_LONG
        turns.review()
        assert length_of_turns(thread) == pytest.approx(usual)


@needs_lengths
def test_a_forked_process_has_usual_turns_again(turns: Turns) -> None:
    usual = length_of_turns(0)
    turns.lengthen(time.monotonic())
    turns.begin_anew()  # what a fork does to it; the thread is as it was
    assert length_of_turns(0) == pytest.approx(LONG)
    assert time.monotonic() >= turns.due
    turns.review()
    assert length_of_turns(0) == pytest.approx(usual)


def test_the_scheduler_can_be_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "off")
    turns = Turns()
    with sleeper() as thread:
        before = os.sched_getscheduler(thread), length_of_turns(thread)
        assert not time.monotonic() >= turns.due
        turns.lengthen(time.monotonic())
        assert not time.monotonic() >= turns.due
        assert before == (os.sched_getscheduler(thread), length_of_turns(thread))


def absent(path: str) -> list[str]:
    raise FileNotFoundError(path)


def of_others(path: str) -> list[str]:
    return [str(threading.main_thread().native_id)]


@pytest.mark.parametrize("listing", [absent, of_others])
def test_without_proc_of_its_own_threads_go_on_as_they_are(
    turns: Turns, monkeypatch: pytest.MonkeyPatch, listing: Callable[[str], list[str]]
) -> None:
    monkeypatch.setattr(os, "listdir", listing)
    monkeypatch.setattr(threading, "get_native_id", lambda: -1)
    turns.review()
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


def compute(seconds: float) -> None:
    """Keep a core busy, but not the interpreter's lock, as models do."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        hashlib.pbkdf2_hmac("sha256", b"secret", b"salt", 500)


class Model:
    """A batcher of a function that works for some seconds, and can be kept from returning."""

    def __init__(self, work: Callable[[float], None], seconds: float) -> None:
        self.may_return = threading.Event()
        self.may_return.set()

        def function(items: list[int]) -> list[int]:
            work(seconds)
            self.may_return.wait()
            return items

        self.batcher = Batcher(function, max_size=2, max_queue=4)
        self.ask_later()
        # Where other processes compute as well, one call does not tell that the function does.
        while work is compute and not self.batcher._estimate.is_busy:
            self.ask_later()

    def ask_later(self) -> None:
        """One asks for whom no batch waits, as it does for who asks as soon as it is answered."""
        self.batcher.submit(1)
        time.sleep(self.batcher._estimate.of_one)

    def ask(self, clients: int) -> int:
        """So many ask at the same time; how many of them are refused."""
        refused = []

        def one() -> None:
            try:
                self.batcher.submit(1)
            except QueueFull as error:
                refused.append(error)

        threads = [threading.Thread(target=one) for _ in range(clients)]
        asked = self.batcher.stats().requests + clients
        self.may_return.clear()
        for thread in threads:
            thread.start()
        while self.batcher.stats().requests < asked:
            time.sleep(0.001)
        self.may_return.set()
        for thread in threads:
            thread.join()
        return len(refused)


def test_one_caller_now_and_then_changes_nothing(turns: Turns) -> None:
    model = Model(compute, 2 * LONG)
    for _ in range(3):
        model.ask_later()
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


@needs_lengths
def test_turns_are_long_while_callers_are_refused(
    turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Model(compute, 2 * LONG)
    assert model.ask(3) == 0
    assert os.sched_getscheduler(0) == os.SCHED_BATCH
    assert length_of_turns(0) < LONG
    assert model.ask(20) > 0
    assert length_of_turns(0) == pytest.approx(LONG)
    monkeypatch.setattr(turns, "due", time.monotonic())
    assert model.ask(3) == 0
    assert length_of_turns(0) < LONG


@needs_lengths
@pytest.mark.parametrize(("work", "seconds"), [(compute, LONG / 10), (time.sleep, 2 * LONG)])
def test_turns_stay_short_where_batches_are_or_only_wait(
    turns: Turns, work: Callable[[float], None], seconds: float
) -> None:
    model = Model(work, seconds)
    assert model.ask(3) == 0
    assert model.ask(20) > 0
    assert os.sched_getscheduler(0) == os.SCHED_BATCH
    assert length_of_turns(0) < LONG

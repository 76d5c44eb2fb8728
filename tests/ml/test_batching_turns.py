"""Threads that take turns on a core instead of interrupting each other, longer under overload."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import platform
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import CDLL, create_string_buffer
from math import inf

import pytest

from erlen.ml import Batcher, QueueFull
from erlen.ml.batching import alone, batcher, leading
from erlen.ml.batching.turns import KEPT, LONG, VARIABLE, Turns

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
    restore(turns)
    for module in (alone, batcher, leading):
        monkeypatch.setattr(module, "turns", turns)
    yield turns
    restore(turns)


def restore(turns: Turns) -> None:
    """What other tests have left goes on as long as their threads live."""
    turns._length, turns._begins_with_turns = LONG, False
    turns.leave()


def test_all_threads_take_turns_those_begun_later_too(turns: Turns) -> None:
    with sleeper() as before:
        assert os.sched_getscheduler(before) == os.SCHED_OTHER
        turns.review(100.0)
        assert os.sched_getscheduler(before) == os.SCHED_BATCH
        with sleeper() as after:
            assert os.sched_getscheduler(after) == os.SCHED_BATCH
            turns.leave()
            assert os.sched_getscheduler(after) == os.SCHED_OTHER


def test_a_thread_of_another_policy_stays_as_it_is(turns: Turns) -> None:
    def be_idle() -> None:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))

    with sleeper(be_idle) as idle:
        for change in (turns.review, turns.lengthen, lambda now: turns.leave()):
            change(100.0)
            assert os.sched_getscheduler(idle) == os.SCHED_IDLE


@needs_lengths
@pytest.mark.parametrize("takes_before", [True, False])
@pytest.mark.parametrize("leaves_after", [True, False])
def test_turns_are_long_for_some_seconds(
    turns: Turns, takes_before: bool, leaves_after: bool
) -> None:
    def be_nice() -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 5)

    with sleeper(be_nice) as thread:
        usual = length_of_turns(thread)
        assert 0 < usual < LONG
        if takes_before:
            turns.review(99.0)
            assert length_of_turns(thread) == pytest.approx(usual)
        turns.lengthen(100.0)
        assert length_of_turns(thread) == pytest.approx(LONG)
        assert os.getpriority(os.PRIO_PROCESS, thread) == 5
        turns.lengthen(101.0)
        turns.review(100.9 + KEPT)
        assert length_of_turns(thread) == pytest.approx(LONG)
        if leaves_after:
            turns.leave()
        else:
            turns.review(101.0 + KEPT)
        assert length_of_turns(thread) == pytest.approx(usual)
        assert os.getpriority(os.PRIO_PROCESS, thread) == 5


def test_the_policy_stays_where_the_process_was_started_with_it(turns: Turns) -> None:
    turns.review(100.0)
    others = Turns()
    others.review(100.0)
    others.leave()
    assert os.sched_getscheduler(0) == os.SCHED_BATCH


def test_a_forked_process_leaves_what_it_has_inherited(turns: Turns) -> None:
    turns.review(100.0)
    turns.begin_anew()
    Model(compute, LONG / 10).ask_later()
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


@needs_lengths
def test_a_forked_process_has_usual_turns_again(turns: Turns) -> None:
    usual = length_of_turns(0)
    turns.lengthen(100.0)
    turns.begin_anew()  # what a fork does to it; the thread is as it was
    assert length_of_turns(0) == pytest.approx(LONG)
    assert turns.due <= 100.0
    turns.review(100.0)
    assert length_of_turns(0) == pytest.approx(usual)


def test_the_scheduler_can_be_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "off")
    turns = Turns()
    with sleeper() as thread:
        before = os.sched_getscheduler(thread), length_of_turns(thread)
        turns.lengthen(100.0)
        assert before == (os.sched_getscheduler(thread), length_of_turns(thread))
        assert turns.due == turns.over == inf


def absent(path: str) -> list[str]:
    raise FileNotFoundError(path)


def of_others(path: str) -> list[str]:
    return [str(threading.main_thread().native_id)]


@pytest.mark.parametrize("listing", [absent, of_others])
def test_without_proc_of_its_own_threads_go_on_as_they_are(
    turns: Turns, monkeypatch: pytest.MonkeyPatch, listing: Callable[[str], list[str]]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "listdir", listing)
        patch.setattr(threading, "get_native_id", lambda: -1)
        turns.review(100.0)
        assert os.sched_getscheduler(0) == os.SCHED_OTHER


def test_where_the_system_does_not_answer_threads_go_on_as_they_are(
    turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object) -> int:
        raise OSError(errno.ENOSYS, "as musl has it")

    with monkeypatch.context() as patch:
        patch.setattr(os, "sched_getscheduler", refuse)
        patch.setattr(os, "sched_setscheduler", refuse)
        others = Turns()
        others.review(100.0)
        others.lengthen(100.0)
        others.leave()
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
        if work is compute:
            # As it is measured where no other process computes on the same core.
            self.batcher._estimate.note(1, seconds, seconds)

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


def test_turns_are_left_when_a_thread_calls_alone(turns: Turns) -> None:
    model = Model(compute, LONG)
    assert model.ask(3) == 0
    assert os.sched_getscheduler(0) == os.SCHED_BATCH
    assert turns.over <= time.monotonic() + KEPT
    turns.over = inf
    model.ask_later()
    assert os.sched_getscheduler(0) == os.SCHED_BATCH
    turns.over = 0.0
    for _ in range(100):
        model.ask_later()  # the first ones may wait for those who have just been there
        if os.sched_getscheduler(0) == os.SCHED_OTHER:
            break
    else:
        pytest.fail("the threads still take turns")
    assert model.ask(3) == 0
    assert os.sched_getscheduler(0) == os.SCHED_BATCH


def test_on_an_event_loop_a_call_need_not_meet_others(turns: Turns) -> None:
    model = Model(compute, 2 * LONG)
    asyncio.run(model.batcher.ask(1))
    assert os.sched_getscheduler(0) == os.SCHED_BATCH
    assert turns.over < inf


def test_turns_are_not_left_for_a_call_that_is_alone_on_an_event_loop(turns: Turns) -> None:
    model = Model(compute, LONG / 10)  # so quick that it is computed on the loop
    turns.review(time.monotonic())
    turns.over = 0.0
    asyncio.run(model.batcher.ask(1))
    assert model.batcher.stats().answered == 1
    assert os.sched_getscheduler(0) == os.SCHED_BATCH


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
    monkeypatch.setattr(turns, "due", 0.0)
    monkeypatch.setattr(turns, "_long_until", 0.0)
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

"""Threads that take turns on a core instead of interrupting each other, longer under overload."""

from __future__ import annotations

import os
import platform
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import CDLL, create_string_buffer
from typing import Any

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


def test_without_proc_threads_go_on_as_they_are(
    turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(path: str) -> Any:
        raise FileNotFoundError(path)

    monkeypatch.setattr(os, "listdir", absent)
    turns.review()
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


def ask(batcher: Batcher[int, int], clients: int) -> int:
    """So many ask at the same time; how many of them are refused."""
    refused = []

    def one() -> None:
        try:
            batcher.submit(1)
        except QueueFull as error:
            refused.append(error)

    threads = [threading.Thread(target=one) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(refused)


def slow(items: list[int]) -> list[int]:
    time.sleep(2 * LONG)
    return items


def test_one_caller_after_the_other_changes_nothing(turns: Turns) -> None:
    batcher = Batcher(slow, max_size=2, max_queue=2)
    for _ in range(3):
        batcher.submit(1)
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


@needs_lengths
def test_turns_are_long_while_callers_are_refused(
    turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    batcher = Batcher(slow, max_size=2, max_queue=4)
    assert ask(batcher, 3) == 0
    assert os.sched_getscheduler(0) == os.SCHED_BATCH
    assert length_of_turns(0) < LONG
    assert ask(batcher, 20) > 0
    assert length_of_turns(0) == pytest.approx(LONG)
    monkeypatch.setattr(turns, "due", time.monotonic())
    assert ask(batcher, 3) == 0
    assert length_of_turns(0) < LONG


@needs_lengths
def test_turns_stay_short_where_batches_are(turns: Turns) -> None:
    def quick(items: list[int]) -> list[int]:
        time.sleep(LONG / 10)
        return items

    batcher = Batcher(quick, max_size=2, max_queue=2)
    assert ask(batcher, 20) > 0
    assert os.sched_getscheduler(0) == os.SCHED_BATCH
    assert length_of_turns(0) < LONG

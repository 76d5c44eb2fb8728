"""Connections to each of two workers of a server."""

from __future__ import annotations

import os
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

#: Seconds that the second worker has to come up.
PATIENCE = 30.0


@contextmanager
def stopped(worker: int) -> Iterator[None]:
    """While one of Gunicorn's workers is stopped, the other takes all connections."""
    os.kill(worker, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(worker, signal.SIGCONT)


def connect_to_both(
    kind: str, connect: Callable[[], tuple[T, int]], each: int = 1
) -> tuple[list[T], list[T]]:
    """As many connections as are wanted to each of two workers of a server of this kind.

    :param connect: makes a connection, and says which worker it is to
    """
    made: dict[int, list[T]] = defaultdict(list)

    def add() -> int:
        connection, worker = connect()
        made[worker].append(connection)
        return worker

    if kind.startswith("gunicorn"):  # both wait at one socket
        first = add()
        while len(made[first]) < each:
            add()
        with stopped(first):
            other = add()
            while len(made[other]) < each:
                add()
    else:  # each has one of its own, once it is up; the system chooses by chance
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            add()
            if len(made) == 2 and min(map(len, made.values())) >= each:
                break
    one, other_one = made.values()
    return one, other_one

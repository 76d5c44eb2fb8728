"""Send given requests, one after the other, and measure those that may be repeated."""

from __future__ import annotations

import random
import time
import typing as t

from .facts import facts_of
from .load import load
from .visit import Visitor

REPEATS = 5
SAFE = ("GET", "HEAD", "OPTIONS")


def perform(task: dict[str, t.Any]) -> dict[str, t.Any]:
    """Answers to `requests`, in order; with `timed`, the seconds of each that is safe."""
    wait = task.get("not_before", 0) - time.time()
    if wait > 0:
        time.sleep(wait)  # another second on the clock shows what depends on it
    app = load(task)
    facts = facts_of(app)
    visitor = Visitor(app)
    answers = []
    for request in task["requests"]:
        random.seed(0)
        answers.append(visitor.send(request))
    seconds: list[float | None] = []
    for request in task["requests"] if task.get("timed") else ():
        safe = request.get("method", "GET") in SAFE
        seconds.append(visitor.time(request, REPEATS) if safe else None)
    return {"answers": answers, "seconds": seconds, "facts": facts}

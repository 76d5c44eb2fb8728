"""Send given requests, one after the other."""

from __future__ import annotations

import random
import time
import typing as t

from .facts import facts_of
from .load import load
from .visit import Visitor


def perform(task: dict[str, t.Any]) -> dict[str, t.Any]:
    """Answers to `requests`, in order, and the application's facts."""
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
    return {"answers": answers, "facts": facts}

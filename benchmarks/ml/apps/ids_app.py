"""Erlen with a batched function that gives each item back, or raises, or is slow, by chance."""

from __future__ import annotations

import random
import time
from typing import Any

from erlen import Erlen, request
from erlen.ml import DeadlineExceeded, QueueFull, batched

#: of the items, the share that makes a batch raise; seconds that a batch may take at most
FAULTY, SLOWEST = 0.02, 0.004
#: seconds that an item may have
DEADLINES = (0.002, 0.1)

plain_view, async_view = Erlen("ids"), Erlen("ids_async")


class Unlucky(ValueError):
    """Raised for some items."""


def is_faulty(number: str) -> bool:
    return random.Random(number).random() < FAULTY


@batched(max_size=32)
def echo(numbers: list[str]) -> list[str]:
    time.sleep(random.random() * SLOWEST)
    if any(map(is_faulty, numbers)):
        raise Unlucky
    return list(numbers)


@plain_view.post("/predict")
def answer() -> Any:
    return {"output": echo(request.get_json()["input"], random.uniform(*DEADLINES))}


@async_view.post("/predict")
async def answer_async() -> Any:
    return {"output": await echo.ask(request.get_json()["input"], random.uniform(*DEADLINES))}


def fail(error: Exception) -> Any:
    return {"error": type(error).__name__}, STATUSES[type(error).__name__]


STATUSES = {"Unlucky": 500, "DeadlineExceeded": 504, "QueueFull": 503, "Hopeless": 503}
for app in (plain_view, async_view):
    for kind in (Unlucky, DeadlineExceeded, QueueFull):
        app.register_error_handler(kind, fail)

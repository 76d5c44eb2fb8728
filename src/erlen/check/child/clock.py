"""Measure how long an application takes for requests, with nobody watching it."""

from __future__ import annotations

import time
import typing as t

from .load import load
from .visit import builder_of

REPEATS = 7


def perform(task: dict[str, t.Any]) -> list[float]:
    """The least number of seconds for each of `requests`, of several calls."""
    app = load(task)
    return [_least(app, request) for request in task["requests"]]


def _least(app: t.Any, request: dict[str, t.Any]) -> float:
    seconds = []
    for _ in range(REPEATS):
        environ = builder_of(request).get_environ()
        began = time.perf_counter()
        _call(app, environ)
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def _call(app: t.Any, environ: dict[str, t.Any]) -> None:
    """Have a body made and thrown away, as a server does that sends it."""
    body = app(environ, lambda status, headers, error=None: lambda chunk: None)
    try:
        for _ in body:
            pass
    finally:
        if hasattr(body, "close"):
            body.close()

"""A pytest plugin for a suite written for nose and for Flask before 2.3.

It runs tests that yield functions and their arguments, which pytest gave up, and brings back
``signals_available``, which Flask gave up.
"""

from __future__ import annotations

import inspect
from types import FunctionType
from typing import Any

import flask.signals
import pytest

vars(flask.signals)["signals_available"] = True


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: Any, name: str, obj: Any) -> pytest.Function | None:
    """Make one test of a module's generator function: it runs all that is yielded."""
    in_class = inspect.isclass(collector.obj) or not isinstance(obj, FunctionType)
    if in_class or not name.startswith("test") or not inspect.isgeneratorfunction(obj):
        return None

    def run_what_is_yielded() -> None:
        for function, *arguments in obj():
            function(*arguments)

    return pytest.Function.from_parent(collector, name=name, callobj=run_what_is_yielded)

"""What the tests of the examples share: their folder, fresh modules, a browser."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from browsing import browser as browser
from browsing import keep_picture as keep_picture
from browsing import plain_browser as plain_browser

EXAMPLES = Path(__file__).parents[2] / "examples"
_numbers = itertools.count()


@pytest.fixture
def examples(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the examples, from which those that are packages can be imported."""
    monkeypatch.syspath_prepend(EXAMPLES)
    return EXAMPLES


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Run an example's file as a module of its own, with nothing left of an earlier run."""

    def run(path: str) -> ModuleType:
        name = f"example_{next(_numbers)}"
        spec = importlib.util.spec_from_file_location(name, EXAMPLES / path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return run

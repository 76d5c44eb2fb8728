"""What the tests of the examples share: their folder, fresh modules, a browser.

ERLEN_SCREENSHOTS names a folder to keep pictures of the pages in.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run")
FLAGS += ("--disable-background-networking", "--disable-component-update", "--disable-sync")
FLAGS += ("--disable-dev-shm-usage", "--window-size=1100,900")
SCREENSHOTS = os.environ.get("ERLEN_SCREENSHOTS")  # now: tests see no such variables
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


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    """Chromium without a window; the test fails if a page complains on its console."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (*FLAGS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    started.set_page_load_timeout(60)
    yield started
    complaints = [entry["message"] for entry in started.get_log("browser")]
    started.quit()
    assert [text for text in complaints if " 4" not in text] == []


@pytest.fixture
def keep_picture(browser: Any) -> Callable[[str], None]:
    """Save what the browser shows, where somebody wants to see it."""

    def keep(name: str) -> None:
        if SCREENSHOTS:
            browser.save_screenshot(str(Path(SCREENSHOTS) / f"{name}.png"))

    return keep

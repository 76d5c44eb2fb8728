"""A browser for tests, and pictures of what it shows.

ERLEN_SCREENSHOTS names a folder to keep pictures of the pages in.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run")
FLAGS += ("--disable-background-networking", "--disable-component-update", "--disable-sync")
FLAGS += ("--disable-dev-shm-usage",)
LONGEST_WAIT = 30  # for a page to show something, in seconds
SCREENSHOTS = os.environ.get("ERLEN_SCREENSHOTS")  # now: tests see no such variables


def start_browser(
    profile: Path,
    *,
    scripts: bool = True,
    window: str = "1100,900",
    logs: tuple[str, ...] = ("browser",),
) -> Any:
    """Chromium without a window, with scripts or without. Skips where it is not installed."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (*FLAGS, f"--window-size={window}", f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", dict.fromkeys(logs, "ALL"))
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    started.set_page_load_timeout(60)
    if not scripts:
        started.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    return started


def wait_for(browser: Any, condition: Callable[[], object]) -> None:
    """Look until it is so; what an answer replaces meanwhile is looked for again."""
    from selenium.common.exceptions import StaleElementReferenceException
    from selenium.webdriver.support.ui import WebDriverWait

    replaced = [StaleElementReferenceException]
    wait = WebDriverWait(browser, LONGEST_WAIT, ignored_exceptions=replaced)
    wait.until(lambda _: condition())


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    """Chromium without a window; the test fails if a page complains on its console."""
    started = start_browser(tmp_path / "profile")
    yield started
    complaints = [entry["message"] for entry in started.get_log("browser")]
    started.quit()
    # What a test has refused, the browser tells of by its status.
    assert [text for text in complaints if " 4" not in text and " 503" not in text] == []


@pytest.fixture
def plain_browser(tmp_path: Path) -> Iterator[Any]:
    """The same without JavaScript."""
    started = start_browser(tmp_path / "plain", scripts=False)
    yield started
    started.quit()


@pytest.fixture
def keep_picture(browser: Any) -> Callable[[str], None]:
    """Save what the browser shows, where somebody wants to see it."""

    def keep(name: str) -> None:
        if SCREENSHOTS:
            browser.save_screenshot(str(Path(SCREENSHOTS) / f"{name}.png"))

    return keep

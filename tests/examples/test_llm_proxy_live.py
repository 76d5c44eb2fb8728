"""The proxy of a language model as it is started, with its stand-in, and its page in a browser."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from browsing import wait_for
from serving import free_port

pytest.importorskip("aiohttp", reason="aiohttp is not installed")
pytest.importorskip("granian", reason="granian is not installed")

pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]

EXAMPLES = Path(__file__).parents[2] / "examples"
LONGEST_WAIT = 20
JSON, FORM = "application/json", "application/x-www-form-urlencoded"
ESCAPE = "\ue00c"  # as WebDriver spells the key


class Site:
    """What `python examples/llm_proxy` serves."""

    def __init__(self, folder: Path, **env: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(EXAMPLES / "llm_proxy"), "--bind", f"127.0.0.1:{self.port}"],
                cwd=folder,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **env},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_until_open(self) -> None:
        """Wait until both can be connected to."""
        self.wait_until(lambda: "/counts" in self.log.read_text())
        found = re.search(r"http://[\d.]+:(\d+)/counts", self.log.read_text())
        assert found is not None
        self.upstream_port = int(found[1])
        self.wait_until(lambda: is_open(self.port) and is_open(self.upstream_port))

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Ask until it is so; between two questions wait for the process, which must go on."""
        for _ in range(LONGEST_WAIT * 50):
            if condition():
                return
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(1 / 50)
                break
        pytest.fail(f"it did not come that far: {self.log.read_text()}")

    def counts(self) -> dict[str, int]:
        """How the calls stand by now, as the stand-in tells."""
        with contextlib.closing(
            HTTPConnection("127.0.0.1", self.upstream_port, timeout=LONGEST_WAIT)
        ) as connection:
            connection.request("GET", "/counts")
            told: dict[str, int] = json.loads(connection.getresponse().read())
            return told

    def wait_for(self, **wanted: int) -> None:
        """Wait until the stand-in has counted so."""
        self.wait_until(lambda: wanted.items() <= self.counts().items())

    @contextlib.contextmanager
    def post(self, path: str, body: str, kind: str) -> Iterator[HTTPConnection]:
        """A connection, open in the `with` block, on which this has been sent."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=LONGEST_WAIT)
        with contextlib.closing(connection):
            connection.request("POST", path, body, {"Content-Type": kind})
            yield connection

    def stop(self) -> None:
        """Stop it as a service manager does, and make sure that nothing of it is left."""
        self.process.terminate()
        try:
            self.process.wait(LONGEST_WAIT)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    with contextlib.ExitStack() as sites:

        def start(**env: str) -> Site:
            site = Site(tmp_path, **env)
            sites.callback(site.stop)
            site.wait_until_open()
            return site

        yield start


def test_one_command_starts_and_stops_both(start: Callable[..., Site]) -> None:
    site = start(FAKE_TOKENS_PER_SECOND="1000")
    with site.post("/stream", json.dumps({"prompt": "Count to 4"}), JSON) as connection:
        answer = connection.getresponse().read().decode()
    pieces = re.findall(r'^data: {"text": "(.*)"}$', answer, re.M)
    assert "".join(pieces) == "1 2 3 4 "
    assert answer.endswith('event: done\ndata: {"pieces": 4}\n\n')

    site.process.terminate()
    assert site.process.wait(LONGEST_WAIT) == 0
    assert not is_open(site.port)
    assert not is_open(site.upstream_port)


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [("/stream", '{"prompt": "Say nothing"}', JSON), ("/", "prompt=Say+nothing", FORM)],
    ids=["events", "form"],
)
def test_a_call_ends_with_its_client(
    start: Callable[..., Site], path: str, body: str, kind: str
) -> None:
    site = start()
    with site.post(path, body, kind):
        site.wait_for(running=1)
    site.wait_for(running=0, abandoned=1)


class Page:
    """The page in a browser."""

    def __init__(self, browser: Any, site: Site) -> None:
        self.browser = browser
        browser.get(site.url)

    def find(self, selector: str) -> Any:
        return self.browser.find_element("css selector", selector)

    def ask(self, prompt: str) -> None:
        self.find("#prompt").clear()
        self.find("#prompt").send_keys(prompt)
        self.find(".ask button").click()

    def wait_until(self, condition: Callable[[], object]) -> None:
        wait_for(self.browser, condition)

    @property
    def state(self) -> str:
        state: str = self.find(".answer").get_attribute("data-state")
        return state

    @property
    def text(self) -> str:
        text: str = self.find(".answer .text").text
        return text

    @property
    def status(self) -> str:
        status: str = self.find(".answer .status").text
        return status

    def set_width(self, width: int, height: int) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": True}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def test_words_are_shown_as_they_come_until_somebody_stops(
    start: Callable[..., Site], browser: Any, keep_picture: Callable[[str], None]
) -> None:
    site = start()  # twenty words a second: this answer would take five minutes
    page = Page(browser, site)
    page.ask("Count to 6000")
    page.wait_until(lambda: page.text.startswith("1 2 3"))
    assert page.state == "streaming"
    earlier = page.text
    page.wait_until(lambda: len(page.text) > len(earlier))
    words = page.text.split()  # once: meanwhile there are more
    assert words == [str(number) for number in range(1, len(words) + 1)]
    keep_picture("llm-streaming")
    assert site.counts()["running"] == 1

    page.find(".stop").click()
    page.wait_until(lambda: page.status == "Stopped.")
    site.wait_for(running=0, abandoned=1)
    assert not page.find(".stop").is_displayed()
    assert page.text.startswith(earlier)

    # While the model keeps silent there is nothing to send that would fail.
    page.ask("Say nothing")
    site.wait_for(running=1)
    assert page.state == "waiting"
    page.find("#prompt").send_keys(ESCAPE)
    page.wait_until(lambda: page.status == "Stopped.")
    site.wait_for(running=0, abandoned=2)

    page.ask("Count to 6000")
    site.wait_for(running=1)
    browser.get("about:blank")
    site.wait_for(running=0, abandoned=3)
    assert site.counts()["finished"] == 0


def test_answers_and_errors_fit_on_a_phone(
    start: Callable[..., Site], browser: Any, keep_picture: Callable[[str], None]
) -> None:
    page = Page(browser, start(FAKE_TOKENS_PER_SECOND="500"))
    page.set_width(360, 640)
    page.ask('<img src="x" onerror="document.title = 1"><b>' + "long" * 40)
    page.wait_until(lambda: page.state == "done")
    assert page.status.startswith("Done: ")
    assert '“<img src="x" onerror="document.title = 1"><b>longlong' in page.text
    assert page.text.endswith("in the middle of a")
    assert browser.find_elements("css selector", ".answer img, .answer b") == []
    across = "return document.documentElement.scrollWidth - window.innerWidth"
    assert browser.execute_script(across) == 0
    keep_picture("llm-phone")

    page.find(".suggestions button[value='Fail halfway']").click()
    page.wait_until(lambda: page.state == "failed")
    assert page.status == "The model has failed."
    assert "Fail halfway" in page.text
    keep_picture("llm-failed")

    page.find("#prompt").clear()
    browser.execute_script("document.querySelector('#prompt').maxLength = 9000")
    browser.execute_script("document.querySelector('#prompt').value = 'x'.repeat(4001)")
    page.find(".ask button").click()
    page.wait_until(lambda: page.status.startswith("A question has at most 4000"))


def test_a_page_without_scripts_shows_the_whole_answer(
    start: Callable[..., Site], browser: Any, keep_picture: Callable[[str], None]
) -> None:
    site = start(FAKE_TOKENS_PER_SECOND="100")
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    page = Page(browser, site)
    assert not page.find(".stop").is_displayed()
    page.ask("Count to 30")
    page.wait_until(lambda: page.state == "done")
    assert page.text.split() == [str(n) for n in range(1, 31)]
    assert page.find("#prompt").get_attribute("value") == "Count to 30"
    keep_picture("llm-without-scripts")

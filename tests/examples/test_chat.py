"""The chat: its rooms in process, and as it is started, with two windows on two processes."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from browsing import wait_for
from serving import free_port, wait_until

from erlen.testing import WebSocketClosed, WebSocketRefused

if TYPE_CHECKING:
    from erlen import Erlen
    from erlen.testing import FlaskClient, WebSocketSession

EXAMPLES = Path(__file__).parents[2] / "examples"
LONGEST_WAIT = 30


@pytest.fixture
def app(examples: Path) -> Erlen:
    from chat.app import create_app

    made: Erlen = create_app({"TESTING": True, "SECRET_KEY": "key"})
    return made


@pytest.fixture
def visit(app: Erlen) -> Callable[[str], FlaskClient]:
    """A browser of its own for each name."""

    def visit(name: str) -> FlaskClient:
        client = app.test_client(transport="asgi")
        client.post("/", data={"name": name, "room": "tea"})
        return client

    return visit


@contextlib.contextmanager
def entered(client: FlaskClient, room: str = "tea") -> Iterator[WebSocketSession]:
    """A socket behind its welcome, and behind the news that it is there."""
    with client.websocket(f"/rooms/{room}/socket") as socket:
        assert socket.receive_json()["kind"] == "welcome"
        assert socket.receive_json()["kind"] == "entered"
        yield socket


def test_a_name_leads_to_a_room(app: Erlen) -> None:
    client = app.test_client()
    assert client.get("/rooms/tea").location == "/"
    form = {"name": " Ada <b> ", "room": "tea & cake?"}
    answer = client.post("/", data=form, follow_redirects=True)
    assert answer.request.path == "/rooms/tea & cake?"
    assert 'data-name="Ada &lt;b&gt;"' in answer.text and "<h1>tea &amp; cake?</h1>" in answer.text


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"name": "Ada"},
        {"name": " ", "room": "x"},
        {"name": "x", "room": "a/b"},
        {"name": "x" * 31, "room": "x"},
    ],
)
def test_a_form_that_lacks_something_is_shown_again(app: Erlen, form: dict[str, str]) -> None:
    answer = app.test_client().post("/", data=form)
    assert answer.status_code == 422 and "up to 30 characters" in answer.text


def test_everybody_in_a_room_hears_who_comes_what_is_said_and_who_leaves(
    visit: Callable[[str], FlaskClient],
) -> None:
    with entered(visit("Ada")) as ada, entered(visit("Eve"), "elsewhere") as eve:
        with entered(visit("Bob")) as bob:
            assert ada.receive_json() == {"kind": "entered", "name": "Bob"}
            bob.send_json({"text": " <i>hello</i> "})
            said = {"kind": "said", "name": "Bob", "text": "<i>hello</i>"}
            assert ada.receive_json() == bob.receive_json() == said
        assert ada.receive_json() == {"kind": "left", "name": "Bob"}
        eve.send_json({"text": "alone"})
        assert eve.receive_json()["text"] == "alone"


def test_nobody_enters_without_a_name(app: Erlen) -> None:
    client = app.test_client(transport="asgi")
    with pytest.raises(WebSocketRefused) as refused, client.websocket("/rooms/tea/socket"):
        pass
    assert refused.value.response.status_code == 401


def test_no_other_page_opens_a_socket(visit: Callable[[str], FlaskClient]) -> None:
    client, headers = visit("Ada"), {"Origin": "https://evil.example"}
    with (
        pytest.raises(WebSocketRefused) as refused,
        client.websocket("/rooms/tea/socket", headers=headers),
    ):
        pass
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("no JSON", 1007),
        ("[]", 1007),
        ('{"text": 3}', 1007),
        ('{"text": " "}', 1007),
        ('{"text": "' + "x" * 1001 + '"}', 1007),
        ('{"text": "' + "x" * 13_000 + '"}', 1009),
    ],
    ids=["no JSON", "a list", "a number", "blanks", "long", "very long"],
)
def test_what_is_no_message_closes_the_connection(
    visit: Callable[[str], FlaskClient], message: str, code: int
) -> None:
    with entered(visit("Ada")) as ada:
        ada.send(message)
        with pytest.raises(WebSocketClosed) as closed:
            while True:
                assert ada.receive_json()["kind"] == "left"
    assert closed.value.code == code


def test_who_is_too_fast_is_told(visit: Callable[[str], FlaskClient]) -> None:
    with entered(visit("Ada")) as ada:
        for number in range(21):
            ada.send_json({"text": str(number)})
        kinds = [ada.receive_json()["kind"] for _ in range(21)]
    assert sorted(kinds) == ["problem"] + ["said"] * 20


# As it is started


class Site:
    """What `python examples/chat` serves."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen(
            [sys.executable, str(EXAMPLES / "chat"), "--bind", f"127.0.0.1:{self.port}"],
            cwd=folder,
            env={k: v for k, v in os.environ.items() if k != "BROADCAST_URL"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def wait_until_open(self) -> None:
        wait_until(lambda: is_open(self.port), self.process, patience=LONGEST_WAIT)

    def stop(self) -> None:
        """Stop it as a service manager does, and make sure that nothing of it is left."""
        self.process.terminate()
        try:
            self.process.communicate(timeout=LONGEST_WAIT)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    pytest.importorskip("granian", reason="granian is not installed")
    pytest.importorskip("redis", reason="redis is not installed")
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    started = Site(tmp_path)
    try:
        started.wait_until_open()
        yield started
    finally:
        started.stop()


class Window:
    """One tab of the browser, in a room."""

    def __init__(self, browser: Any, site: Site, name: str, room: str = "tea") -> None:
        if browser.current_url.startswith("http"):
            browser.switch_to.new_window("tab")
        self.browser = browser
        self.handle = browser.current_window_handle
        browser.get(site.url)
        self.find("#name").clear()
        self.find("#name").send_keys(name)
        self.find("#room").clear()
        self.find("#room").send_keys(room)
        self.find("button").click()
        self.wait_until(lambda: "Connected" in self.state)

    def find(self, selector: str) -> Any:
        self.browser.switch_to.window(self.handle)
        return self.browser.find_element("css selector", selector)

    def wait_until(self, condition: Callable[[], object]) -> None:
        wait_for(self.browser, condition)

    @property
    def state(self) -> str:
        text: str = self.find(".state").text
        return text

    @property
    def lines(self) -> list[str]:
        self.browser.switch_to.window(self.handle)
        found = self.browser.find_elements("css selector", ".messages li")
        return [line.text for line in found]

    def say(self, text: str) -> None:
        self.find("#text").send_keys(text)
        self.find(".say button").click()

    def close(self) -> None:
        self.browser.switch_to.window(self.handle)
        self.browser.close()


@pytest.mark.live
@pytest.mark.timeout(180)
def test_windows_on_two_processes_see_each_other(
    site: Site, browser: Any, keep_picture: Callable[[str], None]
) -> None:
    ada = Window(browser, site, "Ada")
    others: list[Window] = []
    # The kernel deals the connections out to the processes: ask until one is at the other.
    while not others or others[-1].state == ada.state:
        assert len(others) < 30
        others.append(Window(browser, site, "Bob"))
    bob = others.pop()
    for other in others:
        other.close()
    assert bob.state != ada.state

    ada.say("Hello, <b>Bob</b>")
    bob.wait_until(lambda: "Ada\nHello, <b>Bob</b>" in bob.lines)
    bob.say("Hello, Ada")
    ada.wait_until(lambda: ada.lines[-1] == "Bob\nHello, Ada")
    assert "Bob is here" in ada.lines
    keep_picture("chat")

    left = ada.lines.count("Bob has left")
    bob.close()
    ada.wait_until(lambda: ada.lines.count("Bob has left") == left + 1)


@pytest.mark.live
@pytest.mark.timeout(180)
def test_one_command_starts_and_stops_everything(site: Site) -> None:
    redis_servers = subprocess.run(
        ["pgrep", "-P", str(site.process.pid), "redis-server"], capture_output=True, check=False
    )
    assert redis_servers.stdout.split()
    site.process.terminate()
    output = site.process.communicate(timeout=LONGEST_WAIT)[0]
    assert site.process.returncode == 0, output
    assert not is_open(site.port)
    for process in redis_servers.stdout.split():
        assert not Path(f"/proc/{process.decode()}/status").exists()

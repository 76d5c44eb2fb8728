"""The development server: `app.run`, the reloader, and the debugger with its guards."""

from __future__ import annotations

import http.client
import json
import os
import queue
import re
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import werkzeug.debug
from browsing import start_browser
from werkzeug import serving
from werkzeug.test import EnvironBuilder, run_wsgi_app

import erlen
from erlen import Erlen
from erlen.server.debugger import PIN_VARIABLE, Debugger, new_pin
from erlen.server.dev import with_debugger
from erlen.server.dev_asgi import _Running, is_for_asgi

SITE = """
from erlen import Erlen, request
app = Erlen(__name__)

@app.get("/")
def index():
    return "one"

@app.get("/boom/<int:number>")
def boom(number):
    secret_value = number * 2
    raise RuntimeError("broken on purpose")
"""

# The same with coroutine functions, which the development server serves over ASGI.
ASYNC_SITE = (
    SITE.replace("\ndef ", "\nasync def ")
    + """
@app.while_serving
async def around():
    print("started", flush=True)
    yield
    print("ended", flush=True)

@app.get("/plain/<int:number>")
def plain(number):
    secret_value = number * 2
    raise RuntimeError("broken on purpose")

@app.websocket("/echo")
async def echo(socket):
    async for message in socket:
        await socket.send(message)
"""
)

LONGEST_WAIT = 30.0


class Server:
    """A server started from a command line, with what it prints as events to wait for."""

    def __init__(self, folder: Path, argv: list[str], env: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-u", *argv],
            cwd=folder,
            env={**os.environ, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.seen: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()
        address = self.wait_for(r"Running on https?://\S+:(\d+)")
        self.port = int(address[1])

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def wait_for(self, pattern: str) -> re.Match[str]:
        """The next line printed that matches."""
        deadline = time.monotonic() + LONGEST_WAIT
        while True:
            try:
                line = self.lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None:
                pytest.fail(f"no line like {pattern!r} in:\n{''.join(self.seen)}")
            self.seen.append(line)
            if found := re.search(pattern, line):
                return found

    def get(self, path: str, **headers: str) -> tuple[int, Message, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LONGEST_WAIT)
        try:
            connection.putrequest("GET", path, skip_host=True)
            for name, value in {"Host": f"127.0.0.1:{self.port}", **headers}.items():
                connection.putheader(name, value)
            connection.endheaders()
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()
        finally:
            connection.close()

    def wait_for_watching(self) -> None:
        """Until the reloader knows what the files are like: it serves only then."""
        assert self.get("/")[2] == "one"

    def stop(self) -> None:
        # The group, since the reloader serves in a child of the process that was started.
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(LONGEST_WAIT)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture(params=["wsgi", "asgi"])
def site(request: pytest.FixtureRequest) -> str:
    """The source of a site, which decides what it is served on."""
    if request.param == "wsgi":
        return SITE
    pytest.importorskip("granian", reason="granian is not installed")
    return ASYNC_SITE


@pytest.fixture
def start(tmp_path: Path, site: str) -> Iterator[Callable[..., Server]]:
    """Start `erlen` (or another command line) on the site in a folder of its own."""
    started: list[Server] = []
    (tmp_path / "site_app.py").write_text(site)

    def start(*args: str, argv: list[str] | None = None, **env: str) -> Server:
        command = ["-m", "erlen", "--app", "site_app", "run", "--port", "0", *args]
        # Whoever works on the package meanwhile is not to be reloaded for.
        command += ["--exclude-patterns", str(Path(erlen.__file__).parent / "*")]
        started.append(Server(tmp_path, argv or command, env))
        return started[-1]

    yield start
    for server in started:
        server.stop()


# Live


@pytest.mark.live
def test_a_source_change_reloads_the_server(
    start: Callable[..., Server], tmp_path: Path, site: str
) -> None:
    server = start("--reload")
    server.wait_for_watching()
    (tmp_path / "site_app.py").write_text(site.replace('"one"', '"two, and longer"'))
    server.wait_for("Detected change in .*site_app.py")
    server.wait_for("Restarting with")
    # The socket stays open meanwhile: the request waits for the new process.
    assert server.get("/")[2] == "two, and longer"


@pytest.mark.live
def test_a_mistake_saved_while_the_server_runs_is_shown_and_mended(
    start: Callable[..., Server], tmp_path: Path, site: str
) -> None:
    server = start("--debug")
    server.wait_for_watching()
    (tmp_path / "site_app.py").write_text("this is no Python\n")
    server.wait_for("Detected change in .*site_app.py")
    server.wait_for("SyntaxError")
    status, _, page = server.get("/")
    assert (status, "SyntaxError" in page) == (500, True)
    (tmp_path / "site_app.py").write_text(site.replace('"one"', '"mended"'))
    server.wait_for("Detected change in .*site_app.py")
    server.wait_for("Debugger is active")
    assert server.get("/")[2] == "mended"


@pytest.mark.live
def test_the_pin_outlives_a_reload(start: Callable[..., Server], tmp_path: Path, site: str) -> None:
    server = start("--debug")
    first = server.wait_for(r"Debugger PIN: (\S+)")[1]
    server.wait_for_watching()
    (tmp_path / "site_app.py").write_text(site + "\n# changed\n")
    server.wait_for("Detected change in .*site_app.py")
    assert server.wait_for(r"Debugger PIN: (\S+)")[1] == first


@pytest.mark.live
def test_app_run_serves_from_a_script(
    start: Callable[..., Server], tmp_path: Path, site: str
) -> None:
    script = tmp_path / "script.py"
    script.write_text(site + "\nif __name__ == '__main__':\n    app.run(port=0)\n")
    server = start(argv=[str(script)])
    assert server.get("/")[2] == "one"
    assert " * Serving Flask app 'script'\n" in server.seen
    assert " * Debug mode: off\n" in server.seen


@pytest.mark.live
def test_a_certificate_makes_it_https(start: Callable[..., Server], tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
        + ["-keyout", str(key), "-out", str(cert)],
        check=True,
        capture_output=True,
    )
    server = start("--cert", str(cert), "--key", str(key))
    trusting = ssl.create_default_context(cafile=str(cert))
    trusting.check_hostname = False
    connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=trusting)
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"one"
    connection.close()


class DebuggerPage:
    """The page of an exception, and the requests that its script makes."""

    def __init__(self, server: Server, path: str) -> None:
        self.server = server
        self.status, _, self.html = server.get(path)
        self.secret = re.findall(r'SECRET = "(\w+)"', self.html)[0]
        self.frame = re.findall(r'id="frame-(\d+)"', self.html)[-1]

    def ask(self, headers: dict[str, str] | None = None, **query: str) -> Any:
        query = {"__debugger__": "yes", "s": self.secret, **query}
        text = "&".join(f"{name}={quote(value)}" for name, value in query.items())
        return self.server.get(f"/?{text}", **(headers or {}))

    def evaluate(self, code: str, **headers: str) -> tuple[int, str]:
        status, _, body = self.ask(headers, cmd=code, frm=self.frame)
        return status, body

    def pin(self) -> str:
        self.ask(cmd="printpin")
        return self.server.wait_for(r"Debugger pin code: (\S+)")[1]

    def log_in(self, pin: str) -> str:
        status, headers, body = self.ask(cmd="pinauth", pin=pin)
        assert (status, json.loads(body)) == (200, {"auth": True, "exhausted": False})
        return headers["Set-Cookie"].partition(";")[0]


@pytest.mark.live
def test_the_debugger_evaluates_in_a_frame_after_the_pin_for_known_hosts_only(
    start: Callable[..., Server],
) -> None:
    server = start("--debug", "--no-reload")
    page = DebuggerPage(server, "/boom/21")
    assert (page.status, "broken on purpose" in page.html) == (500, True)
    assert "secret_value = number * 2" in page.html
    assert "EVALEX = true" in page.html

    # Without the PIN the question goes to the application, whose index answers.
    assert page.evaluate("secret_value + 100") == (200, "one")

    pin = page.pin()
    assert re.fullmatch(r"\d{5}-\d{5}-\d{5}-\d{5}", pin)
    cookie = page.log_in(pin)
    status, result = page.evaluate("secret_value + 100", Cookie=cookie)
    assert status == 200
    assert re.search(r'<span class="number">142</span>', result)
    _, result = page.evaluate("request.path", Cookie=cookie)
    assert "/boom/21" in result

    host = f"127.0.0.1:{server.port}"
    for refused, code in (
        ({"Host": "evil.example"}, 400),
        ({"Host": f"evil.example:{server.port}"}, 400),
        ({"Host": f"127.0.0.1.evil.example:{server.port}"}, 400),
        ({"Host": ""}, 400),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": f"http://localhost:{server.port}"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ):
        status, body = page.evaluate("secret_value + 100", Cookie=cookie, **refused)
        assert (status, "142" in body) == (code, False), refused
        assert server.get("/console", Cookie=cookie, **refused)[0] == code, refused
        assert page.ask(refused, cmd="pinauth", pin=pin)[0] == code, refused
    for accepted in (
        {"Host": f"localhost:{server.port}"},
        {"Host": f"site.localhost:{server.port}"},
        {"Host": f"[::1]:{server.port}"},
        {"Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"},
    ):
        status, body = page.evaluate("secret_value + 100", Cookie=cookie, **accepted)
        assert (status, "142" in body) == (200, True), accepted

    # The page itself is shown, but cannot evaluate anything.
    _, _, elsewhere = server.get("/boom/1", Host="evil.example")
    assert "EVALEX = false" in elsewhere


@pytest.mark.live
def test_the_name_given_to_the_server_may_use_the_debugger(start: Callable[..., Server]) -> None:
    server = start("--debug", "--no-reload", "--host", "0.0.0.0")
    assert server.get("/console", Host="0.0.0.0")[0] == 400
    assert server.get("/console", Host="192.0.2.1")[0] == 400
    assert server.get("/console")[0] == 200


@pytest.mark.live
def test_without_debug_mode_there_is_no_debugger(start: Callable[..., Server]) -> None:
    server = start()
    status, _, body = server.get("/boom/1")
    assert status == 500
    assert "Internal Server Error" in body
    assert "broken on purpose" not in body
    assert server.get("/console")[0] == 404
    assert server.get("/?__debugger__=yes&cmd=resource&f=debugger.js")[2] == "one"


# Over ASGI only


@pytest.mark.live
@pytest.mark.parametrize("site", ["asgi"], indirect=True)
def test_websockets_are_served(start: Callable[..., Server]) -> None:
    client = pytest.importorskip("websockets.sync.client", reason="websockets is not installed")
    server = start("--no-reload")
    server.wait_for("started")
    address = f"ws://127.0.0.1:{server.port}/echo"
    with client.connect(address, proxy=None) as socket:
        socket.send("hello")
        assert socket.recv(timeout=LONGEST_WAIT) == "hello"


@pytest.mark.live
@pytest.mark.parametrize("site", ["asgi"], indirect=True)
def test_application_is_told_of_each_end(
    start: Callable[..., Server], tmp_path: Path, site: str
) -> None:
    server = start("--debug")
    server.wait_for(r"over ASGI, .* async views \(index, boom\) and WebSockets \(/echo\)\.")
    server.wait_for("started")
    server.wait_for_watching()
    (tmp_path / "site_app.py").write_text(site + "\n# changed\n")
    server.wait_for("ended")
    server.wait_for("started")
    os.killpg(server.process.pid, signal.SIGINT)
    server.wait_for("ended")
    assert server.process.wait(LONGEST_WAIT) == 0


@pytest.mark.live
@pytest.mark.parametrize("site", ["asgi"], indirect=True)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_the_server(start: Callable[..., Server], number: signal.Signals) -> None:
    server = start("--no-reload")
    server.wait_for("started")
    server.process.send_signal(number)
    server.wait_for("ended")
    assert server.process.wait(LONGEST_WAIT) == 0


@pytest.mark.live
@pytest.mark.parametrize("site", ["asgi"], indirect=True)
@pytest.mark.parametrize("option", ["--reload", "--no-reload"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("to_all", [True, False], ids=["as-a-terminal-does", "to-one-process"])
def test_signal_while_the_application_starts_lets_it_start_and_end(
    start: Callable[..., Server],
    tmp_path: Path,
    site: str,
    option: str,
    number: signal.Signals,
    to_all: bool,
) -> None:
    # It takes longer to end than Werkzeug's reloader would wait for it.
    slow = site.replace("yield\n", "await asyncio.sleep(0.1); yield; await asyncio.sleep(0.4)\n")
    (tmp_path / "site_app.py").write_text(f"import asyncio\n{slow}")
    server = start(option)
    server.wait_for("started")
    send = os.killpg if to_all else os.kill
    send(server.process.pid, number)
    server.wait_for("ended")
    assert server.process.wait(LONGEST_WAIT) == 0


def test_what_is_stopped_before_it_runs_never_serves() -> None:
    running = _Running(None, -1, None)
    running.stop()
    running.run()
    assert running.server is None


@pytest.mark.live
@pytest.mark.parametrize("site", ["asgi"], indirect=True)
def test_second_signal_kills_what_does_not_end(
    start: Callable[..., Server], tmp_path: Path, site: str
) -> None:
    stuck = site.replace("yield\n", "yield\n    print('ending', flush=True); time.sleep(60)\n")
    (tmp_path / "site_app.py").write_text(f"import time\n{stuck}")
    server = start("--reload")
    server.wait_for("started")
    server.wait_for_watching()
    server.process.send_signal(signal.SIGINT)
    server.wait_for("ending")
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(LONGEST_WAIT) == 0


@pytest.mark.live
@pytest.mark.parametrize("site", ["asgi"], indirect=True)
def test_plain_views_are_debugged_over_asgi(start: Callable[..., Server]) -> None:
    server = start("--debug", "--no-reload")
    page = DebuggerPage(server, "/plain/21")
    cookie = page.log_in(page.pin())
    assert (
        '<span class="number">142</span>' in page.evaluate("secret_value + 100", Cookie=cookie)[1]
    )


def test_without_granian_it_is_wsgi_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "granian", None)
    app = Erlen("x")

    @app.websocket("/echo")
    async def echo() -> None: ...

    assert is_for_asgi(app, reloading=False) is False
    said = capsys.readouterr().err
    assert "Serving over WSGI, although the application has WebSockets (/echo)" in said
    assert "pip install 'erlen[server]'" in said


# In a browser


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    started = start_browser(tmp_path / "profile", window="1200,900")
    yield started
    started.quit()


@pytest.mark.live
@pytest.mark.timeout(120)
def test_the_debugger_page_works_in_a_browser(
    start: Callable[..., Server], browser: Any, tmp_path: Path
) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    def see(*where: str) -> Any:
        def visible(driver: Any) -> Any:
            return next((e for e in driver.find_elements(*where) if e.is_displayed()), None)

        return WebDriverWait(browser, LONGEST_WAIT).until(visible)

    server = start("--debug", "--no-reload")
    browser.get(f"http://127.0.0.1:{server.port}/boom/21")
    assert "RuntimeError" in see(By.CSS_SELECTOR, "h1").text

    frame = browser.find_elements(By.CSS_SELECTOR, "div.frame")[-1]
    icon = frame.find_element(By.CSS_SELECTOR, "pre.current img")
    browser.execute_script("arguments[0].click()", icon)
    pin = see(By.NAME, "pin")
    pin.send_keys(server.wait_for(r"Debugger pin code: (\S+)")[1] + "\n")
    WebDriverWait(browser, LONGEST_WAIT).until(
        lambda driver: driver.execute_script("return EVALEX_TRUSTED")
    )

    line = browser.find_element(By.CSS_SELECTOR, "pre.console input")
    line.send_keys("secret_value + 100\n")
    output = browser.find_element(By.CSS_SELECTOR, "pre.console .output")
    WebDriverWait(browser, LONGEST_WAIT).until(lambda _: "142" in output.text)
    assert output.text.endswith("142")
    if screenshots := os.environ.get("ERLEN_SCREENSHOTS"):
        browser.save_screenshot(str(Path(screenshots) / "debugger.png"))


# The debugger by itself


@pytest.fixture
def broken() -> Any:
    """A debugger around an application that always fails, and a way to call it."""

    def application(environ: Any, start_response: Any) -> Any:
        raise LookupError("always")

    def call(debugger: Any, path: str = "/", **headers: str) -> tuple[int, str]:
        builder = EnvironBuilder(path, headers={"Host": "localhost", **headers})
        environ = {**builder.get_environ(), "werkzeug.socket": object()}
        body, status, _ = run_wsgi_app(debugger, environ)
        return int(status.split()[0]), b"".join(body).decode()

    debugger = Debugger(application, "127.0.0.1")
    return debugger, call


def test_ten_wrong_pins_lock_the_debugger(broken: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(werkzeug.debug.time, "sleep", lambda seconds: None)
    debugger, call = broken
    query = f"/?__debugger__=yes&s={debugger.secret}&cmd=pinauth&pin="
    for _ in range(10):
        assert call(debugger, query + "wrong") == (200, '{"auth": false, "exhausted": false}')
    answer = call(debugger, query + debugger.pin)
    assert answer == (200, '{"auth": false, "exhausted": true}')


def test_outside_the_development_server_the_debugger_does_nothing(broken: Any) -> None:
    debugger, _ = broken
    for path in ("/", "/console", "/?__debugger__=yes&cmd=resource&f=style.css"):
        environ = {**EnvironBuilder(path).get_environ(), "SERVER_SOFTWARE": "gunicorn/23"}
        with pytest.raises(LookupError, match="always"):
            run_wsgi_app(debugger, environ)


def test_an_escaped_parameter_does_not_slip_past_the_guards(broken: Any) -> None:
    debugger, call = broken
    status, _ = call(debugger, "/?%5F_debugger__=yes&cmd=resource&f=style.css", Host="evil.example")
    assert status == 400


@pytest.mark.parametrize(
    "host", ["", ":5000", "[", "[]", "[::2]", "localhost.evil", "::1:x", "x@y"]
)
def test_an_odd_host_is_not_trusted(broken: Any, host: str) -> None:
    debugger, _ = broken
    assert debugger.check_host_trust({"HTTP_HOST": host}) is False
    assert debugger.check_host_trust({}) is False


@pytest.mark.parametrize(
    ("given", "asked", "trusted"),
    [
        ("dev.example", "dev.example:5000", True),
        ("dev.example", "DEV.example", True),
        ("dev.example", "sub.dev.example", False),
        ("::1", "[::1]:5000", True),
        ("[fe80::1]", "[fe80::1]:5000", True),
        ("0.0.0.0", "0.0.0.0:5000", False),
        ("::", "[::]:5000", False),
        ("unix:///run/x", "run", False),
    ],
)
def test_the_host_given_is_trusted_literally(given: str, asked: str, trusted: bool) -> None:
    assert Debugger(Erlen("x"), given).check_host_trust({"HTTP_HOST": asked}) is trusted


def test_each_server_has_a_pin_of_its_own() -> None:
    assert len({new_pin() for _ in range(50)}) == 50
    assert Debugger(Erlen("x"), "").pin != Debugger(Erlen("x"), "").pin


@pytest.mark.parametrize(("chosen", "pin"), [("123-456", "123-456"), ("off", None)])
def test_the_pin_of_the_environment_is_kept(
    chosen: str, pin: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PIN_VARIABLE, chosen)
    assert Debugger(Erlen("x"), "").pin == pin


def test_the_process_that_only_watches_has_no_debugger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PIN_VARIABLE, raising=False)
    app = Erlen("x")
    assert with_debugger(app, "localhost", reloading=True) is app
    pin = os.environ[PIN_VARIABLE]
    monkeypatch.setenv("WERKZEUG_RUN_MAIN", "true")
    served = with_debugger(app, "localhost", reloading=True)
    assert isinstance(served, Debugger)
    assert served.pin == pin
    monkeypatch.delenv(PIN_VARIABLE)


# app.run


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """What Werkzeug's server was started with."""
    monkeypatch.chdir(tmp_path)
    # Registered for removal, since app.run() may set these.
    for name in (PIN_VARIABLE, "FLASK_DEBUG"):
        monkeypatch.setenv(name, "x")
        monkeypatch.delenv(name)
    seen: dict[str, Any] = {}

    def run_simple(host: str, port: int, app: Any, **options: Any) -> None:
        seen.update(host=host, port=port, app=app, **options)

    monkeypatch.setattr(serving, "run_simple", run_simple)
    return seen


@pytest.mark.parametrize(
    ("server_name", "host", "port", "address"),
    [
        (None, None, None, ("127.0.0.1", 5000)),
        (None, "0.0.0.0", 80, ("0.0.0.0", 80)),
        ("example.org:8080", None, None, ("example.org", 8080)),
        ("example.org", None, None, ("example.org", 5000)),
        ("example.org:8080", "localhost", None, ("localhost", 8080)),
        ("example.org:8080", None, 0, ("example.org", 0)),
        (None, None, "81", ("127.0.0.1", 81)),
    ],
)
def test_run_finds_its_address(
    served: dict[str, Any], server_name: str | None, host: Any, port: Any, address: Any
) -> None:
    app = Erlen("x")
    app.config["SERVER_NAME"] = server_name
    app.run(host, port)
    assert (served["host"], served["port"]) == address


def test_run_without_debug_mode_has_neither_reloader_nor_debugger(served: dict[str, Any]) -> None:
    app = Erlen("x")
    app.run(extra_files=["a"])
    assert served["app"] is app
    assert (served["use_reloader"], served["use_debugger"]) == (False, False)
    assert (served["threaded"], served["extra_files"]) == (True, ["a"])


@pytest.mark.parametrize("how", ["argument", "attribute", "environment"])
def test_run_in_debug_mode_reloads_and_debugs(
    served: dict[str, Any], how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = Erlen("x")
    if how == "environment":
        monkeypatch.setenv("FLASK_DEBUG", "1")
    elif how == "attribute":
        app.debug = True
    app.run(debug=True if how == "argument" else None)
    assert app.debug is True
    assert served["use_reloader"] is True
    app.run(use_reloader=False)
    assert isinstance(served["app"], Debugger)
    assert served["use_debugger"] is False


def test_run_reads_environment_files_unless_told_not_to(
    served: dict[str, Any], tmp_path: Path
) -> None:
    pytest.importorskip("dotenv", reason="python-dotenv is not installed")
    (tmp_path / ".env").write_text("FLASK_DEBUG=1\n")
    app = Erlen("x")
    app.run(load_dotenv=False)
    assert app.debug is False
    app.run()
    assert app.debug is True


def test_run_lets_the_application_be_set_up_further_afterwards(served: dict[str, Any]) -> None:
    app = Erlen("x")
    app.test_client().get("/")
    app.run()
    app.add_url_rule("/later", view_func=lambda: "later")
    assert app.test_client().get("/later").text == "later"


def test_run_stands_back_while_a_command_imports_the_application(
    served: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLASK_RUN_FROM_CLI", "true")
    Erlen("x").run()
    assert served == {}
    assert "Ignoring a call to 'app.run()'" in capsys.readouterr().out
    monkeypatch.setenv("WERKZEUG_RUN_MAIN", "true")
    Erlen("x").run()
    assert (served, capsys.readouterr().out) == ({}, "")

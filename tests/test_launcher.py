"""``erlen serve``: which application, at which address, and what it refuses."""

from __future__ import annotations

import json
import multiprocessing
import shutil
import signal
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from serving import HERE, running

from erlen import Erlen
from erlen.errors import MissingExtra
from erlen.server import launcher
from erlen.server.choice import reasons_for_asgi
from erlen.server.launcher import Address, BindError, load_target, make_command, serve
from erlen.server.stopping import STOPPING
from erlen.views import MethodView

live = pytest.mark.live


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What Granian would have been started with."""
    granian = pytest.importorskip("granian", reason="granian is not installed")
    found: dict[str, Any] = {}

    class Recorder:
        interrupt_signal = False

        def __init__(self, **options: Any) -> None:
            found.update(options)

        def serve(self, **options: Any) -> None:
            found.update(options)

        def signal_handler_interrupt(self) -> None: ...

        def signal_handler_reload(self) -> None: ...

    monkeypatch.setattr(granian, "Granian", Recorder)
    return found


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, empty; what is imported from it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    return tmp_path


def invoke(*args: str, **env: str) -> tuple[int, str]:
    """Run the command; over WSGI unless `args` say something else, so that nothing is loaded."""
    result = CliRunner().invoke(make_command(), ("--interface", "wsgi", *args), env=env)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


# Addresses


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:8000", Address("127.0.0.1", 8000)),
        ("localhost:80", Address("localhost", 80)),
        ("example.org", Address("example.org", 8000)),
        (":5000", Address("0.0.0.0", 5000)),
        ("[::1]:8000", Address("::1", 8000)),
        ("[::]", Address("::", 8000)),
        ("unix:/run/app.sock", Address(socket=Path("/run/app.sock"))),
        ("unix:app.sock", Address(socket=Path("app.sock"))),
    ],
)
def test_address_is_read(text: str, expected: Address) -> None:
    assert Address.parse(text) == expected


@pytest.mark.parametrize(
    "text", ["", "unix:", "a:b", "::1", "host:", "host:70000", "[::1", "a:1:2"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(BindError):
        Address.parse(text)


# Options


def test_options_reach_granian(started: dict[str, Any], tmp_path: Path) -> None:
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).touch()
    code, output = invoke(
        *("json", "--bind", "[::1]:9000", "--workers", "3", "--threads", "7", "--backlog", "200"),
        *("--grace", "5", "--access-log"),
        *("--cert", str(tmp_path / "cert.pem"), "--key", str(tmp_path / "key.pem")),
    )
    assert (code, output) == (0, "")
    expected = {
        "address": "::1",
        "port": 9000,
        "uds": None,
        "workers": 3,
        "blocking_threads": 7,
        "backlog": 200,
        "workers_kill_timeout": 5,
        "log_access": True,
        "ssl_cert": tmp_path / "cert.pem",
        "ssl_key": tmp_path / "key.pem",
        "interface": "wsgi",
        "websockets": False,
    }
    assert {name: started[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ([], ("127.0.0.1", 8000)),
        (["--host", "::1"], ("::1", 8000)),
        (["-h", "0.0.0.0", "-p", "81"], ("0.0.0.0", 81)),
        (["--port", "9000"], ("127.0.0.1", 9000)),
        (["-b", ":9000"], ("0.0.0.0", 9000)),
    ],
)
def test_host_and_port_are_another_way_to_bind(
    started: dict[str, Any], args: list[str], expected: tuple[str, int]
) -> None:
    assert invoke("json", *args)[0] == 0
    assert (started["address"], started["port"]) == expected


def test_number_of_workers_is_read_from_the_environment(started: dict[str, Any]) -> None:
    assert invoke("json", WEB_CONCURRENCY="5")[0] == 0
    assert started["workers"] == 5


def test_further_options_of_granian_can_be_given(started: dict[str, Any]) -> None:
    serve("app", interface="wsgi", backpressure=9)
    assert started["backpressure"] == 9


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--bind", ":80", "--port", "81"], "Give either '--bind' or '--host' and '--port'"),
        (["--bind", "a:b"], "'a:b' is not an address"),
        (["--cert", __file__], "'--cert' and '--key' belong together"),
        (["--workers", "0"], "Invalid value for '--workers'"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    started: dict[str, Any], args: list[str], message: str
) -> None:
    code, output = invoke("json", *args)
    assert code != 0
    assert message in output
    assert not started


def test_unknown_interface_is_refused(started: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="interface is one of auto, wsgi, asgi, not 'cgi'"):
        serve("app", interface="cgi")


def test_certificate_without_a_key_is_refused(started: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="belong together"):
        serve("app", cert="cert.pem")


def test_missing_server_names_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "granian", None)
    with pytest.raises(MissingExtra):
        serve("app")
    code, output = invoke("json")
    assert code == 1
    assert "pip install 'erlen[server]'" in output


def test_module_that_does_not_exist_is_refused_before_a_worker_starts(
    started: dict[str, Any], in_folder: Path
) -> None:
    code, output = invoke("no_such_module:app")
    assert code == 2
    assert "Could not import 'no_such_module'" in output
    assert not started


def test_application_object_needs_workers_that_are_forked(
    started: dict[str, Any], monkeypatch: pytest.MonkeyPatch, app: Erlen
) -> None:
    monkeypatch.setattr(multiprocessing, "get_start_method", lambda: "spawn")
    with pytest.raises(ValueError, match="give its import string"):
        serve(app)


@pytest.mark.parametrize(("signalled", "expected"), [(True, None), (False, 1)])
def test_a_server_that_a_signal_has_ended_has_not_failed(
    started: dict[str, Any], monkeypatch: pytest.MonkeyPatch, signalled: bool, expected: int | None
) -> None:
    def serving(server: Any, **options: Any) -> None:
        server.interrupt_signal = signalled
        sys.exit(1)

    monkeypatch.setattr(sys.modules["granian"].Granian, "serve", serving)
    handlers = {number: signal.getsignal(number) for number in (*STOPPING, signal.SIGHUP)}
    code = None
    try:
        serve("app", interface="wsgi")
    except SystemExit as ended:
        code = ended.code
    finally:
        is_deaf = {signal.signal(*pair) for pair in handlers.items()} == {signal.SIG_IGN}
    assert code == expected
    # For a signal in the last moments of the process would be its exit code.
    assert is_deaf is signalled


# What a worker loads


@pytest.mark.parametrize(
    "source",
    [
        "from erlen import Erlen\napp = Erlen(__name__)\napp.debug = True\napp.run()",
        "from erlen import Erlen\ndef create_app():\n    return Erlen(__name__)",
    ],
    ids=["instance", "factory"],
)
def test_worker_never_has_debug_mode(
    in_folder: Path, monkeypatch: pytest.MonkeyPatch, source: str, capsys: Any
) -> None:
    monkeypatch.setenv("FLASK_DEBUG", "1")
    monkeypatch.setenv("FLASK_RUN_FROM_CLI", "")
    (in_folder / "my_app.py").write_text(source)
    app: Any = load_target("my_app", as_flask=False)
    assert isinstance(app, Erlen)
    assert app.debug is False


def test_worker_says_why_there_is_no_application(
    in_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLASK_DEBUG", "")
    monkeypatch.setenv("FLASK_RUN_FROM_CLI", "")
    (in_folder / "my_app.py").touch()
    with pytest.raises(SystemExit) as ended:
        load_target("my_app:nothing", as_flask=False)
    assert ended.value.code == 2
    assert "Failed to find attribute 'nothing' in 'my_app'" in capsys.readouterr().err


def test_control_characters_do_not_reach_the_log() -> None:
    import logging

    parts = {"path": "/a\nfake\r\x1b[31m\x85\u2028é", "status": 200}
    record = logging.LogRecord("access", logging.INFO, "", 0, "%(path)s %(status)d", (parts,), None)
    assert launcher.EscapeControls().filter(record)
    assert record.getMessage() == r"/a\nfake\r\x1b[31m\x85\u2028é 200"


# Served


def fetch_json(url: str, context: ssl.SSLContext | None = None) -> Any:
    with urllib.request.urlopen(url, timeout=20, context=context) as response:
        return json.load(response)


@live
@pytest.mark.parametrize(
    ("app", "expected"),
    [
        ("serving_app:create_app()", b"default"),
        ("serving_app:create_app", b"default"),
        ("serving_app.py:create_app('x')", b"x"),
    ],
)
def test_factory_is_called(app: str, expected: bytes) -> None:
    with running("granian", app=app) as server:
        assert server.fetch("GET", "/name")[1] == expected


@live
def test_application_is_found_as_other_commands_find_it(tmp_path: Path) -> None:
    with running("granian", app="", FLASK_APP="serving_app:app") as server:
        assert server.fetch("GET", "/json")[0].status == 200
    (tmp_path / "wsgi.py").write_text((HERE / "serving_app.py").read_text())
    with running("granian", app="", cwd=tmp_path) as server:
        assert server.fetch("GET", "/json")[0].status == 200


@live
def test_debug_mode_is_off_and_said_to_be(tmp_path: Path) -> None:
    with running("granian", FLASK_DEBUG="1") as server:
        assert json.loads(server.fetch("GET", "/json")[1])["debug"] is False
        server.terminate()
        assert "Debug mode is off" in server.output()


@live
def test_workers_import_flask_as_erlen(tmp_path: Path) -> None:
    (tmp_path / "classic.py").write_text(
        "from flask import Flask, jsonify\n"
        "app = Flask(__name__)\n"
        "app.add_url_rule('/', view_func=lambda: jsonify([c.__module__ for c in Flask.mro()]))\n"
    )
    with running("granian", app="classic", cwd=tmp_path, workers=2) as server:
        assert json.loads(server.fetch("GET", "/")[1])[0].startswith("erlen.")


@live
def test_access_log_has_one_line_a_request() -> None:
    with running("granian", options=("--access-log",)) as server:
        assert server.fetch("GET", "/no%0Aline%1B")[0].status == 404
        # The log is written behind the answer; the helper fails when no such line comes.
        server.wait_for_line(r'"GET /no\nline\x1b HTTP')


@live
def test_https_is_served(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
            *("-keyout", str(key), "-out", str(cert), "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost"),
        ],
        check=True,
        capture_output=True,
    )
    with running("granian", options=("--cert", str(cert), "--key", str(key))) as server:
        context = ssl.create_default_context(cafile=str(cert))
        answer = fetch_json(f"https://localhost:{server.port}/where", context)
    assert answer["secure"] is True
    assert answer["url"] == f"https://localhost:{server.port}/where"


# The interface


def with_nothing(app: Erlen) -> None:
    app.add_url_rule("/plain", view_func=lambda: "", methods=["GET"])
    app.mount("/wsgi", lambda environ, start_response: [])
    app.mount("/other", Erlen("other"))

    @app.before_request
    async def hook() -> None: ...

    @app.before_serving
    async def before() -> None: ...


def with_views(app: Erlen) -> None:
    async def view() -> str:
        return ""

    for number in range(4):
        app.add_url_rule(f"/{number}", f"view{number}", view)


def with_class(app: Erlen) -> None:
    class Item(MethodView):
        async def get(self) -> str:
            return ""

        def post(self) -> str:
            return ""

    app.add_url_rule("/item", view_func=Item.as_view("item"))


def with_socket(app: Erlen) -> None:
    @app.websocket("/chat")
    async def chat() -> None: ...


def with_mounts(app: Erlen) -> None:
    async def other(scope: Any, receive: Any, send: Any) -> None: ...

    inner = Erlen("inner")
    with_views(inner)
    app.mount("/asgi", other)
    app.mount("/inner", inner)


def with_middleware(app: Erlen) -> None:
    inner = app.asgi_app
    app.asgi_app = lambda scope, receive, send: inner(scope, receive, send)  # type: ignore


@pytest.mark.parametrize(
    ("set_up", "expected"),
    [
        (with_nothing, []),
        (with_views, ["async views (view0, view1, view2, ...)"]),
        (with_class, ["async views (item)"]),
        (with_socket, ["WebSockets (/chat)"]),
        (with_mounts, ["mounted ASGI applications (/inner, /asgi)"]),
        (with_middleware, ["ASGI middleware"]),
    ],
)
def test_interface_goes_by_what_the_application_has(
    app: Erlen, set_up: Callable[[Erlen], None], expected: list[str]
) -> None:
    set_up(app)
    assert reasons_for_asgi(app) == expected


@pytest.mark.parametrize(
    ("set_up", "interface", "line"),
    [
        (with_nothing, "wsgi", "Serving over WSGI: the application has no async views"),
        (with_socket, "asgi", "Serving over ASGI, for the application has WebSockets (/chat)."),
    ],
)
def test_choice_of_the_interface_is_said(
    started: dict[str, Any],
    app: Erlen,
    capsys: pytest.CaptureFixture[str],
    set_up: Callable[[Erlen], None],
    interface: str,
    line: str,
) -> None:
    set_up(app)
    serve(app)
    assert started["interface"] == interface
    assert started["websockets"] is (interface == "asgi")
    assert line in capsys.readouterr().err


ASGI_APP = """
import threading
from erlen import Erlen, request, websocket
print("loaded", flush=True)
app = Erlen(__name__)
@app.while_serving
async def around():
    print("started", flush=True)
    yield
    print("ended", flush=True)
@app.get("/")
async def index():
    return ["wsgi" if request.scope is None else "asgi", threading.current_thread().name]
"""


@live
@pytest.mark.parametrize("interface", ["auto", "asgi", "wsgi"])
def test_application_is_served_on_the_interface_and_lives_as_long(
    tmp_path: Path, interface: str
) -> None:
    (tmp_path / "either.py").write_text(ASGI_APP)
    options = ("--interface", interface)
    with running("granian", app="either", cwd=tmp_path, options=options) as server:
        kind, thread = json.loads(server.fetch("GET", "/")[1])
        assert kind == ("wsgi" if interface == "wsgi" else "asgi")
        assert (thread == "MainThread") is (interface != "wsgi")
        server.terminate()
        lines = server.output().splitlines()
        assert server.process.returncode == 0
    said = [line for line in lines if line in ("loaded", "started", "ended")]
    assert said == ["loaded"] * (2 if interface == "auto" else 1) + ["started", "ended"]
    assert any("Serving over ASGI" in line for line in lines) is (interface == "auto")


@live
@pytest.mark.parametrize("interface", ["asgi", "wsgi"])
def test_worker_whose_start_fails_ends_the_server(
    run_python: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, interface: str
) -> None:
    (tmp_path / "failing.py").write_text(
        "from erlen import Erlen\n"
        "app = Erlen(__name__)\n"
        "@app.before_serving\n"
        "async def fail():\n"
        "    raise LookupError('no database')\n"
    )
    done = run_python(*("-m", "erlen", "serve", "failing", "--port", "0", "--interface", interface))
    assert done.returncode == 1
    assert "LookupError: no database" in done.stderr


@live
def test_threads_are_those_of_plain_views_over_asgi(tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text(
        "from erlen import Erlen\n"
        "app = Erlen(__name__)\n"
        "app.add_url_rule('/', view_func=lambda: [app.worker_threads.limit])\n"
    )
    options = ("--interface", "asgi", "--threads", "3")
    with running("granian", app="plain", cwd=tmp_path, options=options) as server:
        assert json.loads(server.fetch("GET", "/")[1]) == [3]


@live
def test_application_object_is_served(tmp_path: Path) -> None:
    if multiprocessing.get_start_method() != "fork":
        pytest.skip("workers are not forked on this platform")
    (tmp_path / "erlen_main.py").write_text(
        "import sys\n"
        "from erlen import Erlen\n"
        "from erlen.server.launcher import serve\n"
        "app = Erlen(__name__)\n"
        "app.add_url_rule('/json', view_func=lambda: {'object': True})\n"
        "serve(app, sys.argv[-1], workers=2)\n"
    )
    with running("script", app="erlen_main", cwd=tmp_path) as server:
        assert json.loads(server.fetch("GET", "/json")[1]) == {"object": True}


@live
def test_worker_that_cannot_load_the_application_ends_the_server(
    run_python: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "broken.py").write_text("")
    done = run_python("-m", "erlen", "serve", "broken", "--port", "0")
    assert done.returncode == 1
    assert "Failed to find Flask application or factory in module 'broken'" in done.stderr

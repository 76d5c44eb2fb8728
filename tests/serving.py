"""Start servers for tests, wait for them by connecting, talk to them over bare sockets."""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent

#: Seconds that a server may take to end: more than the 30 after which it kills its own workers.
PATIENCE = 35

_SERVE = ["erlen", "serve", "{app}", "--bind", "{bind}", "--workers", "{workers}"]

#: The package that each server needs, and its command line after ``python -m``.
COMMANDS: dict[str, tuple[str, list[str]]] = {
    "granian": ("granian", [*_SERVE, "--interface", "wsgi"]),
    "granian-auto": ("granian", _SERVE),
    "granian-serving-asgi": ("granian", [*_SERVE, "--interface", "asgi"]),
    "gunicorn-sync": ("gunicorn", ["gunicorn", "{app}", "-b", "{bind}", "-w", "{workers}"]),
    "gunicorn-gthread": (
        "gunicorn",
        ["gunicorn", "{app}", "-b", "{bind}", "-w", "{workers}", "-k", "gthread", "--threads", "4"],
    ),
    # A worker with gevent at times goes on waiting when its last request has ended.
    "gunicorn-gevent": (
        "gevent",
        [
            *("gunicorn", "{app}", "-b", "{bind}", "-w", "{workers}", "-k", "gevent"),
            *("--graceful-timeout", "3"),
        ],
    ),
    "script": ("granian", ["{app}", "{bind}"]),
    "waitress": ("waitress", ["waitress", "--listen={bind}", "{app}"]),
}

SERVERS = [kind for kind in COMMANDS if kind not in ("script", "granian-auto")]

_UVICORN = ["uvicorn", "{app}", "--interface=asgi3", "--host=127.0.0.1", "--port={port}"]

#: The same for servers that speak ASGI; uvicorn has three implementations of WebSockets.
ASGI_COMMANDS: dict[str, tuple[str, list[str]]] = {
    "granian-asgi": (
        "granian",
        ["granian", "{app}", "--interface=asgi", "--host=127.0.0.1", "--port={port}"],
    ),
    "hypercorn": ("hypercorn", ["hypercorn", "asgi:{app}", "--bind={bind}"]),
    "uvicorn": ("websockets", [*_UVICORN, "--ws=websockets"]),
    "uvicorn-sansio": ("websockets", [*_UVICORN, "--ws=websockets-sansio"]),
    "uvicorn-wsproto": ("wsproto", [*_UVICORN, "--ws=wsproto"]),
}

ASGI_SERVERS = list(ASGI_COMMANDS)


class Server:
    """A running server: its process, and where it listens."""

    def __init__(
        self,
        kind: str,
        *,
        app: str = "serving_app:app",
        workers: int = 1,
        unix: Path | None = None,
        options: tuple[str, ...] = (),
        cwd: Path = HERE,
        wait: bool = True,
        **env: str,
    ) -> None:
        package, command = {**COMMANDS, **ASGI_COMMANDS}[kind]
        for needed in (package, "uvicorn" if kind.startswith("uvicorn") else package):
            if importlib.util.find_spec(needed) is None:
                pytest.skip(f"{needed} is not installed")
        self.kind = kind
        self.unix = unix
        self.port = 0 if unix else free_port()
        bind = f"unix:{unix}" if unix else f"127.0.0.1:{self.port}"
        filled = (
            part.format(app=app, bind=bind, workers=workers, port=self.port) for part in command
        )
        module, *args = filter(None, filled)
        self.start([sys.executable, "-m", module, *args, *options], cwd, env, wait=wait)

    def start(
        self, command: list[str], cwd: Path, env: dict[str, str], *, wait: bool = True
    ) -> None:
        """Start the process and, unless told otherwise, wait until it can be connected to."""
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        with contextlib.ExitStack() as unless_reachable:
            unless_reachable.callback(self.stop)
            if wait:
                wait_until(lambda: can_connect(self), self.process)
            unless_reachable.pop_all()

    def connect(self, timeout: float = 20) -> socket.socket:
        if self.unix is None:
            return socket.create_connection(("127.0.0.1", self.port), timeout)
        with contextlib.ExitStack() as unless_connected:
            connection = unless_connected.enter_context(socket.socket(socket.AF_UNIX))
            connection.settimeout(timeout)
            connection.connect(str(self.unix))
            unless_connected.pop_all()
        return connection

    def http(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def fetch(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[http.client.HTTPResponse, bytes]:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        with contextlib.closing(self.http()) as connection:
            connection.request(method, path, body, names)
            response = connection.getresponse()
            return response, response.read()

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def wait_for_line(self, *texts: str) -> None:
        """Wait until the server has printed a line with one of these texts."""
        assert self.process.stdout is not None
        lines = []
        for line in self.process.stdout:
            if any(text in line for text in texts):
                return
            lines.append(line)
        pytest.fail(f"the server ended without having said {texts}: {''.join(lines)}")

    def output(self) -> str:
        """What the server has printed since, once it has ended."""
        try:
            return self.process.communicate(timeout=20)[0]
        except subprocess.TimeoutExpired:
            self.kill_group()
            pytest.fail(f"the server did not end: {self.process.communicate(timeout=10)[0]}")

    def stop(self) -> None:
        """End the server and whatever it started, by force where it takes longer than its grace."""
        if self.process.poll() is None:
            self.terminate()
        try:
            self.process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill_group()
            self.process.communicate(timeout=10)
        else:
            self.kill_group()

    def kill_group(self) -> None:
        """Kill the processes that still belong to the session of the server."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)


@contextlib.contextmanager
def running(kind: str, **options: object) -> Iterator[Server]:
    server = Server(kind, **options)  # type: ignore[arg-type]
    try:
        yield server
    finally:
        server.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def can_connect(server: Server) -> bool:
    try:
        server.connect(1).close()
    except (ConnectionRefusedError, FileNotFoundError):
        return False
    return True


def wait_until(condition: object, process: subprocess.Popen[str], patience: float = 20) -> None:
    """Ask until it is so; between two questions wait for the process, which must go on."""
    step = 0.02
    for _ in range(int(patience / step)):
        if condition():  # type: ignore[operator]
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(step)
            pytest.fail(f"the server ended: {process.communicate()[0]}")
    pytest.fail("the server did not come that far")


class Meeting:
    """Where requests call the test back: they tell how far they are, and wait for its word."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(20)
        self.port = self.listener.getsockname()[1]
        self.calls: list[socket.socket] = []

    def wait_for_call(self) -> socket.socket:
        call, _ = self.listener.accept()
        call.settimeout(20)
        self.calls.append(call)
        return call

    def close(self) -> None:
        for thing in (*self.calls, self.listener):
            thing.close()


def read_all(connection: socket.socket) -> bytes:
    """All bytes until the other side closes."""
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    return received

"""A Flask user's PyTorch endpoint, unmodified under Gunicorn with four workers, served by Erlen."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("gunicorn", reason="Gunicorn is not installed")

pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]

# Each worker notes what it runs, in a file that bears its process id.
GUNICORN_CONFIG = """
import sys
from pathlib import Path

def post_worker_init(worker):
    flask, erlen = sys.modules["flask"], sys.modules.get("erlen")
    is_erlen = erlen is not None and flask.Flask is erlen.Erlen
    Path("workers", str(worker.pid)).write_text("Erlen" if is_erlen else "Flask")
"""


@dataclass
class Server:
    port: int
    folder: Path

    def send(self, method: str, path: str, body: bytes = b"", kind: str = "") -> tuple[int, Any]:
        """The status, and the body as JSON where it is JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, {"Content-Type": kind} if kind else {})
            answer = connection.getresponse()
            text = answer.read()
            is_json = answer.headers.get_content_type() == "application/json"
            return answer.status, json.loads(text) if is_json else text
        finally:
            connection.close()

    def predict(self, body: object) -> tuple[int, Any]:
        return self.send("POST", "/predict", json.dumps(body).encode(), "application/json")

    def workers(self) -> dict[int, str]:
        """What each worker that ever started runs, by process id."""
        notes = (self.folder / "workers").iterdir()
        return {int(note.name): note.read_text() for note in notes}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    here = Path(__file__).parents[2] / "examples" / "classic"
    folder = tmp_path_factory.mktemp("classic") / "app"
    shutil.copytree(here, folder, ignore=shutil.ignore_patterns("model.pt", "__pycache__"))
    (folder / "workers").mkdir()
    (folder / "gunicorn_config.py").write_text(GUNICORN_CONFIG)
    subprocess.run([sys.executable, "train.py"], cwd=folder, check=True, timeout=120)
    # The socket listens already: what is sent before the workers are there waits in its queue.
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        command = [sys.executable, "-m", "gunicorn", "--workers", "4", "app:app"]
        command += ["--bind", f"fd://{listening.fileno()}", "--config", "gunicorn_config.py"]
        with open(folder / "log", "wb") as log:
            master = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, "ERLEN_AS_FLASK": "1"},
                pass_fds=[listening.fileno()],
                stdout=log,
                stderr=log,
            )
        try:
            server = Server(listening.getsockname()[1], folder)
            assert server.send("GET", "/health")[0] == 200, (folder / "log").read_text()
            yield server
        finally:
            master.terminate()
            master.wait(30)


def test_the_application_is_written_for_flask(server: Server) -> None:
    source = (server.folder / "app.py").read_text()
    assert "from flask import" in source
    assert "erlen" not in source.lower()


def test_every_worker_runs_it_on_erlen(server: Server) -> None:
    assert set(server.workers().values()) == {"Erlen"}


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("a wonderful story, I loved it", "positive"),
        ("awful, simply boring", "negative"),
    ],
)
def test_predict_answers(server: Server, text: str, label: str) -> None:
    status, body = server.predict({"text": text})
    assert (status, set(body)) == (200, {"label", "probability"})
    assert (body["label"], 0.5 <= body["probability"] <= 1) == (label, True)


@pytest.mark.parametrize("body", [{}, {"txt": "a"}, {"text": 3}, [], None])
def test_a_missing_field_gets_the_400_of_the_view(server: Server, body: object) -> None:
    assert server.predict(body) == (400, {"error": "field 'text' is missing"})


def test_malformed_json_gets_a_400(server: Server) -> None:
    status, _ = server.send("POST", "/predict", b'{"text": ', "application/json")
    assert status == 400


def test_another_content_type_gets_a_415(server: Server) -> None:
    assert server.send("POST", "/predict", b"text=a", "text/plain")[0] == 415


def test_an_unknown_path_gets_a_404_and_a_wrong_method_a_405(server: Server) -> None:
    assert server.send("GET", "/nowhere")[0] == 404
    assert server.send("GET", "/predict")[0] == 405


def test_a_body_of_20_megabytes_gets_a_413(server: Server) -> None:
    head = (
        "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        "Content-Length: 20000000\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(head.encode())
        try:
            for _ in range(200):
                connection.sendall(b" " * 100_000)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the server need not wait for all of it before it refuses
        assert re.match(rb"HTTP/1\.1 413 ", connection.recv(100))


@dataclass
class Load:
    """Clients that ask without pause; what came back is counted."""

    server: Server
    answers: list[int] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)
    progress: threading.Condition = field(default_factory=threading.Condition)
    stopping: threading.Event = field(default_factory=threading.Event)

    def client(self) -> None:
        while not self.stopping.is_set():
            try:
                status, _ = self.server.predict({"text": "a good film"})
            except (OSError, http.client.HTTPException) as error:
                self.errors.append(error)
            else:
                self.answers.append(status)
            with self.progress:
                self.progress.notify_all()

    def until(self, condition: Callable[[], bool]) -> None:
        with self.progress:
            assert self.progress.wait_for(condition, timeout=60)


def test_no_request_is_lost_when_workers_are_terminated_under_load(server: Server) -> None:
    load = Load(server)
    clients = [threading.Thread(target=load.client) for _ in range(8)]
    for client in clients:
        client.start()
    try:
        for _ in range(3):
            known, count = server.workers(), len(load.answers)
            load.until(lambda count=count: len(load.answers) > count + 100)
            victim = next(pid for pid in sorted(known, reverse=True) if is_alive(pid))
            os.kill(victim, signal.SIGTERM)
            load.until(lambda pid=victim: not is_alive(pid))
            load.until(lambda known=known: len(server.workers()) > len(known))
    finally:
        load.stopping.set()
        for client in clients:
            client.join(60)
    assert load.errors == []
    assert set(load.answers) == {200}
    assert set(server.workers().values()) == {"Erlen"}


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True

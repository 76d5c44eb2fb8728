"""Upload to a server, and ask it what that took."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
APP = "benchmarks.uploads.app:app"
COMMANDS = {
    "granian": ["granian", "--interface=asgi", "--host=127.0.0.1", "--port={port}", APP],
    "granian-wsgi": ["granian", "--interface=wsgi", "--host=127.0.0.1", "--port={port}", APP],
    "uvicorn": ["uvicorn", "--interface=asgi3", "--port={port}", "--no-access-log", APP],
}
PATHS = ("/stream-async", "/stream-sync", "/form-async", "/form-sync")
#: Bytes that an upload may add to a process, and seconds for which the loop may be kept waiting.
MOST_MEMORY = 64 << 20
MOST_LAG = 0.020
_PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
_BLOCK = os.urandom(1 << 20)


@dataclass(frozen=True)
class Taken:
    """What an upload took."""

    server: str
    path: str
    seconds: float
    #: bytes
    memory: int
    #: seconds
    lag: float

    def __str__(self) -> str:
        return (
            f"{self.server:12} {self.path:14} {self.seconds:6.2f} s"
            f"  {self.memory / 2**20:5.1f} MiB added  loop {self.lag * 1000:5.1f} ms late at most"
        )

    @property
    def is_kept(self) -> bool:
        return self.memory <= MOST_MEMORY and self.lag <= MOST_LAG


def exchange(port: int, head: str, body: Iterator[bytes]) -> Any:
    """Send a request piece by piece; the answer's JSON."""
    with socket.create_connection(("127.0.0.1", port), 60) as connection:
        connection.sendall(f"{head}\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        for piece in body:
            connection.sendall(piece)
        received = b""
        while piece := connection.recv(65_536):
            received += piece
    answer = received.partition(b"\r\n\r\n")[2]
    return json.loads(answer[answer.index(b"{") : answer.rindex(b"}") + 1])


def get(port: int, path: str) -> Any:
    return exchange(port, f"GET {path} HTTP/1.1", iter(()))


def upload(port: int, path: str, size: int) -> None:
    """Upload so many bytes, raw or as the file of a form."""
    before, after, kind = b"", b"", "application/octet-stream"
    if path.startswith("/form"):
        before, after, kind = _PART, b"\r\n--b--\r\n", "multipart/form-data; boundary=b"

    def body() -> Iterator[bytes]:
        yield before
        for at in range(0, size, len(_BLOCK)):
            yield _BLOCK[: size - at]
        yield after

    length = len(before) + size + len(after)
    head = f"POST {path} HTTP/1.1\r\nContent-Type: {kind}\r\nContent-Length: {length}"
    answer = exchange(port, head, body())
    if answer != {"length": size}:
        raise ValueError(f"{size} bytes were sent to {path}, and {answer} is what came")


@contextlib.contextmanager
def served(server: str) -> Iterator[int]:
    """The port of a running server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    command = [sys.executable, "-m", *(part.format(port=port) for part in COMMANDS[server])]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)
        try:
            for _ in range(200):
                with contextlib.suppress(OSError):
                    get(port, "/end")
                    break
                time.sleep(0.05)
            yield port
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def measure(server: str, port: int, path: str, size: int, attempts: int = 3) -> Taken:
    """The best of a few uploads: others may use the machine's processors meanwhile."""
    best = None
    for _ in range(attempts):
        before = get(port, "/begin")
        begun = time.perf_counter()
        upload(port, path, size)
        seconds = time.perf_counter() - begun
        after = get(port, "/end")
        taken = Taken(server, path, seconds, after["most"] - before["now"], after["lag"])
        if best is None or taken.lag < best.lag:
            best = taken
        if best.is_kept:
            break
    assert best is not None
    return best


def run(server: str, size: int, attempts: int = 3) -> Iterator[Taken]:
    """Upload in every way."""
    with served(server) as port:
        for path in PATHS:
            upload(port, path, 1 << 20)  # what is made once: threads, plans, buffers
        for path in PATHS:
            yield measure(server, port, path, size, attempts)

"""Processes on a core of their own, and what they cost."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from ..apps import PEERS, Peer
from ..report import ROOT

#: one core for the server, another for what asks it
SERVER_CORE, LOAD_CORE = 0, 1
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


class SetUpError(SystemExit):
    """Something is missing on this machine, or a server does not start."""


def pinned(core: int | str, argv: list[str]) -> list[str]:
    """The command, bound to one core, or to those of a list such as "0,1"."""
    return ["taskset", "-c", str(core), *argv]


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def command_of(peer: Peer, port: int, server: str, threads: int) -> list[str]:
    """The command that serves a peer with one worker, without an access log."""
    python = [sys.executable, "-m"]
    if peer.kind == "own":
        return [*python, peer.module, str(port)]
    if peer.kind == "gunicorn":
        gunicorn = [*python, "gunicorn", "--workers", "1", "--worker-class", "gthread"]
        return [*gunicorn, f"--threads={threads}", f"--bind=127.0.0.1:{port}", peer.reference]
    if server == "uvicorn" and peer.kind == "asgi":
        # Before Python 3.12 it cannot see of an application for both protocols that it is one.
        uvicorn = [*python, "uvicorn", "--interface=asgi3", "--loop=uvloop", "--ws=wsproto"]
        quiet = ["--no-access-log", "--log-level=warning"]
        return [*uvicorn, *quiet, f"--port={port}", peer.reference]
    granian = [*python, "granian", f"--interface={peer.kind}", "--workers=1", f"--port={port}"]
    if peer.kind == "wsgi":
        granian.append(f"--blocking-threads={threads}")
    elif peer.name != "emmett":
        granian.append("--loop=uvloop")
    return [*granian, "--host=127.0.0.1", "--log-level=warning", peer.reference]


class Server:
    """A peer's server, running while the block runs."""

    #: what it is started on
    core: int | str = SERVER_CORE

    def __init__(
        self, peer: str | Peer, server: str = "granian", threads: int = 1, **environ: str
    ) -> None:
        peer = PEERS[peer] if isinstance(peer, str) else peer
        self.name = peer.name
        self.port = free_port()
        self.command = command_of(peer, self.port, server, threads)
        self.environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environ}

    def __enter__(self) -> Server:
        self.output: IO[bytes] = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            pinned(self.core, self.command),
            cwd=ROOT,
            env=self.environ,
            stdout=self.output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            self._wait()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def _wait(self, seconds: float = 30.0) -> None:
        """Return when the server takes connections."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1.0).close()
                return
            except OSError:
                time.sleep(0.02)
        raise SetUpError(f"{self.name} does not start: {' '.join(self.command)}\n{self.said()}")

    def said(self) -> str:
        self.output.seek(0)
        return self.output.read()[-4000:].decode(errors="replace")

    def _stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(5.0)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)  # what it left of its own session
        except ProcessLookupError:
            pass
        self.process.wait()
        self.output.close()

    def family(self) -> list[int]:
        """The server's processes: the one started, and those of the same session."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and _session_of(entry) == self.process.pid:
                found.append(int(entry.name))
        return found

    def cpu_seconds(self) -> float:
        return sum(_cpu_seconds(pid) for pid in self.family())

    def private_bytes(self) -> int:
        """Memory that only the server's processes hold."""
        return sum(_private_bytes(pid) for pid in self.family())


def _fields_of(entry: Path) -> list[str]:
    """The fields of ``/proc/PID/stat`` from the third on (see :manpage:`proc(5)`)."""
    try:
        return (entry / "stat").read_text().rpartition(")")[2].split()
    except OSError:  # it has ended
        return []


def _session_of(entry: Path) -> int:
    fields = _fields_of(entry)
    return int(fields[3]) if fields else -1


def _cpu_seconds(pid: int) -> float:
    fields = _fields_of(Path(f"/proc/{pid}"))
    return (int(fields[11]) + int(fields[12])) / _TICKS if fields else 0.0


def _private_bytes(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return 1024 * sum(int(size) for size in re.findall(r"^Private_\w+: +(\d+)", text, re.M))


def run_load(argv: list[str], server: Server) -> tuple[str, dict[str, float]]:
    """Run what asks the server; return its output, and how busy both sides were (shares of a core).

    A server far from busy means that the load, not the server, was measured.
    """
    import resource

    before, served = resource.getrusage(resource.RUSAGE_CHILDREN), server.cpu_seconds()
    started = time.monotonic()
    done = subprocess.run(pinned(LOAD_CORE, argv), capture_output=True, text=True, check=False)
    seconds = time.monotonic() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SetUpError(f"{argv[0]}: {done.stderr or done.stdout}")
    own = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    busy: dict[str, Any] = {
        "load_busy": own / seconds,
        "server_busy": (server.cpu_seconds() - served) / seconds,
    }
    return done.stdout, busy

"""Redis and memcached for the suites that want them, on free ports of the loopback."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .environments import StepFailed

PATIENCE = 20.0


def redis_command(port: int) -> list[str]:
    return ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", ""]


def memcached_command(port: int) -> list[str]:
    user = ["-u", "root"] if os.name == "posix" and os.geteuid() == 0 else []
    return ["memcached", "-l", "127.0.0.1", "-p", str(port), "-U", "0", *user]


COMMANDS: dict[str, Callable[[int], list[str]]] = {
    "redis": redis_command,
    "memcached": memcached_command,
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_it_answers(name: str, port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise StepFailed(f"{name} ended with {process.returncode}")
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise StepFailed(f"{name} did not answer within {PATIENCE:.0f} s")


@contextmanager
def service(name: str) -> Iterator[int]:
    """Start a service for the time of the block; give its port.

    Raises StepFailed where its program is not installed or does not start.
    """
    port = free_port()
    command = COMMANDS[name](port)
    if shutil.which(command[0]) is None:
        raise StepFailed(f"{command[0]} is not installed")
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            wait_until_it_answers(name, port, process)
            yield port
        finally:
            process.terminate()
            process.wait()

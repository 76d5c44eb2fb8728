"""Redis, PostgreSQL and memcached for tests: on free ports of the loopback, ended by their ids."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from serving import free_port, wait_until


class Service:
    """A program that is connected to at a port."""

    #: What ends it.
    signal = signal.SIGTERM

    def __init__(self) -> None:
        self.port = free_port()

    def launch(self, command: list[str], **options: Any) -> None:
        """Start the program and wait until it can be connected to."""
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
        )
        wait_until(self.answers, self.process)

    def answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except ConnectionRefusedError:
            return False
        return True

    def stop(self) -> None:
        self.process.send_signal(self.signal)
        self.process.communicate(timeout=10)


class Redis(Service):
    """A server of one's own, which can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.program = _find("redis-server")
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.folder = folder
        self.unix = f"unix://{folder}/redis.sock"
        self.start()

    def start(self) -> None:
        options = ["--port", str(self.port), "--save", "", "--dir", str(self.folder)]
        options += ["--unixsocket", self.unix.removeprefix("unix://")]
        self.launch([self.program, *options, "--bind", "127.0.0.1"])


class Memcached(Service):
    """A cache of 16 MB."""

    def __init__(self) -> None:
        super().__init__()
        options = ["-p", str(self.port), "-l", "127.0.0.1", "-U", "0", "-m", "16"]
        if os.getuid() == 0:  # it refuses root
            options += ["-u", "nobody"]
        self.launch([_find("memcached"), *options])


class Postgres(Service):
    """A cluster of one's own in a temporary folder, which needs no password and no disk."""

    signal = signal.SIGINT  # without waiting for its clients

    def __init__(self) -> None:
        super().__init__()
        programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        initdb, postgres = (_find(name, *programs[-1:]) for name in ("initdb", "postgres"))
        self.url = f"postgresql+psycopg://erlen@127.0.0.1:{self.port}/postgres"
        # pytest's folders are closed to other users, and PostgreSQL refuses root.
        self.folder = tempfile.mkdtemp(prefix="erlen-postgres-")
        owner: dict[str, Any] = {"cwd": self.folder}
        if os.getuid() == 0:
            owner |= {"user": "postgres", "group": "postgres", "extra_groups": []}
            shutil.chown(self.folder, "postgres", "postgres")
        data = f"{self.folder}/data"
        make = [initdb, "--no-sync", "-A", "trust", "-U", "erlen", "-E", "UTF8", "--locale=C", data]
        done = subprocess.run(make, **owner, capture_output=True, text=True, timeout=50)
        assert done.returncode == 0, done.stderr
        settings = {"port": self.port, "listen_addresses": "127.0.0.1", "fsync": "off"}
        settings |= {"unix_socket_directories": "", "max_connections": 100}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self.launch([postgres, "-D", data, *options], **owner)

    def answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.url.replace("+psycopg", "")).close()
        except psycopg.OperationalError:  # not there, or not yet ready
            return False
        return True

    def stop(self) -> None:
        super().stop()
        shutil.rmtree(self.folder)


def _find(program: str, *folders: Path) -> str:
    """The path of a program; skips the test without it."""
    path = os.pathsep.join([*map(str, folders), os.environ.get("PATH", os.defpath)])
    found = shutil.which(program, path=path)
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found

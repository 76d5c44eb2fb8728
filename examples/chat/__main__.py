"""Serve the chat by two processes, with a Redis server between them: `python examples/chat`."""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from erlen.server.launcher import serve

HERE = Path(__file__).parent.resolve()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python examples/chat", description=__doc__)
    parser.add_argument("--bind", default="127.0.0.1:8000", help="where the page is served")
    parser.add_argument("--workers", type=int, default=2, help="processes that serve it")
    bind, workers = vars(parser.parse_args()).values()
    # Until the server hears the signal itself: leave by the way that stops Redis too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # Each process has to know the sessions that the others have signed.
    os.environ.setdefault("SECRET_KEY", secrets.token_hex())
    with contextlib.ExitStack() as until_the_end:
        if "BROADCAST_URL" not in os.environ:
            os.environ["BROADCAST_URL"] = until_the_end.enter_context(redis_server())
        print(f"Open http://{bind} in two windows.", flush=True)
        serve(str(HERE / "app"), bind, workers=workers, grace=3)


@contextlib.contextmanager
def redis_server() -> Iterator[str]:
    """Run a Redis server that only this machine's user can reach, and forgets everything."""
    if shutil.which("redis-server") is None:
        sys.exit("Install redis-server (Debian: apt install redis-server), or set BROADCAST_URL.")
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/redis.sock"
        process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--dir", folder],
            stdout=subprocess.DEVNULL,
        )
        try:
            wait_until_open(path, process)
            yield f"unix://{path}"
        finally:
            process.terminate()
            process.wait()


def wait_until_open(path: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(500):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.connect(path)
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.02)
            break
    sys.exit("The Redis server does not start.")


main()

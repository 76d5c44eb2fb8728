"""Serve the page, and beside it the model that is only a stand-in: `python examples/llm_proxy`."""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from erlen.server.launcher import serve

HERE = Path(__file__).parent.resolve()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python examples/llm_proxy", description=__doc__)
    parser.add_argument("--bind", default="127.0.0.1:8000", help="where the page is served")
    parser.add_argument("--workers", type=int, default=1, help="processes that serve it")
    bind, workers = vars(parser.parse_args()).values()
    # Until the server hears the signal itself: leave by the way that stops the stand-in too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with stand_in() as (url, key):
        os.environ.update(UPSTREAM_URL=url, UPSTREAM_API_KEY=key, UPSTREAM_MODEL="stand-in")
        print(f"Open http://{bind}. The stand-in counts its calls at {url[:-3]}/counts", flush=True)
        # Whoever is being answered gets some seconds when the server stops, not half a minute.
        serve(str(HERE / "app"), bind, workers=workers, grace=3)


@contextlib.contextmanager
def stand_in() -> Iterator[tuple[str, str]]:
    """Run the stand-in in a process of its own; its address and key."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    key = secrets.token_urlsafe(24)
    command = [sys.executable, "-m", "erlen", "--app", str(HERE / "fake_upstream")]
    process = subprocess.Popen(
        [*command, "serve", "--bind", f"127.0.0.1:{port}"],
        env={**os.environ, "FAKE_API_KEY": key, "WEB_CONCURRENCY": "1"},  # it counts in one process
    )
    try:
        yield f"http://127.0.0.1:{port}/v1", key
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()

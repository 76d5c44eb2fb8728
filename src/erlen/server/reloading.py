"""A development server that reloads: one process watches over another, which serves.

Werkzeug's own pair ends the one that serves a quarter of a second after a signal. Here it has the
time that the application takes to end.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import typing as t

from ..engine.internals import make_reloader
from .stopping import STOPPING

if t.TYPE_CHECKING:
    from collections.abc import Callable

#: What a process that has seen a file change exits with, as Werkzeug has it.
_CHANGED = 3


def supervise(reloader_type: str) -> int | None:
    """Run this command again as the process that serves, and again whenever a file has changed.

    Returns its exit code, or `None` if a signal came: the first one has it end, another kills it.
    """
    signals = _PassedOn()
    before = {number: signal.signal(number, signals.hear) for number in STOPPING}
    try:
        while True:
            _log(f" * Restarting with {make_reloader(reloader_type).name}")
            code = signals.wait_for([sys.executable, *sys.orig_argv[1:]])
            if signals.came:
                return None
            if code != _CHANGED:
                return code
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _PassedOn:
    """Signals that are for the process started last."""

    def __init__(self) -> None:
        self.came = 0
        self.child: subprocess.Popen[bytes] | None = None

    def hear(self, number: int, frame: object) -> None:
        self.came += 1
        self.tell()

    def tell(self) -> None:
        if self.child is None:
            return
        if self.came > 1:
            self.child.kill()
        elif os.name != "nt":  # where it hears of Ctrl-C itself, and nothing else is gentle
            self.child.terminate()

    def wait_for(self, command: list[str]) -> int:
        """The exit code of a command, which is not begun once a signal has come."""
        if self.came:
            return 0
        env = {**os.environ, "WERKZEUG_RUN_MAIN": "true"}
        self.child = subprocess.Popen(command, env=env, close_fds=False)
        if self.came:  # before there was somebody to be told
            self.tell()
        code = self.child.wait()
        self.child = None
        return code


def serve_and_watch(serve: Callable[[], None], reloader_type: str, **options: t.Any) -> None:
    """Run `serve` on a thread, while this one ends the process when a file has changed."""
    thread = threading.Thread(target=serve, daemon=True)
    with make_reloader(reloader_type, **options) as reloader:
        thread.start()
        reloader.run()


def _log(text: str) -> None:
    logging.getLogger("werkzeug").info(text)

"""Start the processes in which an application runs on the real Flask or on Erlen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import typing as t
from dataclasses import dataclass
from pathlib import Path

from ..errors import ErlenError
from .child import START

Engine = t.Literal["flask", "erlen"]

#: Bytes of a process's output that are told.
_LAST_BYTES = 4000

_CHILD = Path(__file__).with_name("child")


class ChildFailed(ErlenError):
    """A process ended without an answer, or with an error of the application's.

    :param engine: what it ran
    :param reason: the error, or what the process wrote last
    """

    def __init__(self, engine: Engine, reason: str, trace: str = "") -> None:
        self.engine = engine
        self.reason = reason
        self.trace = trace
        super().__init__(f"on {engine.capitalize()}: {reason}")


@dataclass(frozen=True)
class Children:
    """How to start them.

    :param target: what `--app` takes; None to look for an application as Flask does
    :param folder: the working directory
    :param allowed: hosts that may be reached besides the loopback
    :param limit: seconds that one process may take
    """

    target: str | None
    folder: Path
    allowed: tuple[str, ...] = ()
    limit: float = 600.0

    def run(self, engine: Engine, name: str, *, hash_seed: int = 0, **task: t.Any) -> t.Any:
        """Have a task done; raises ChildFailed if the process cannot."""
        task |= {"name": name, "engine": engine, "target": self.target, "allowed": self.allowed}
        made = tempfile.TemporaryDirectory(prefix="erlen-check-", ignore_cleanup_errors=True)
        with made as kept, open(Path(kept, "output"), "w+b") as output:
            task_file, answer_file = Path(kept, "task.json"), Path(kept, "answer.json")
            task_file.write_text(json.dumps(task), encoding="utf-8")
            command = [sys.executable, "-c", START, str(_CHILD), str(task_file), str(answer_file)]
            try:
                ended = subprocess.run(
                    command,
                    cwd=self.folder,
                    env=self._environment(engine, hash_seed),
                    stdin=subprocess.DEVNULL,
                    # No pipe: processes that the application starts would hold it open.
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    timeout=self.limit,
                    check=False,
                )
            except subprocess.TimeoutExpired as error:
                reason = f"'{name}' took more than {self.limit:.0f} seconds ('--limit')"
                raise ChildFailed(engine, reason, _end_of(output)) from error
            if not answer_file.exists():
                reason = f"the process ended with status {ended.returncode}"
                raise ChildFailed(engine, reason, _end_of(output))
            answer = json.loads(answer_file.read_text(encoding="utf-8"))
        if "error" in answer:
            raise ChildFailed(engine, answer["error"], answer["traceback"])
        result = answer["result"]
        if answer["refused"] and isinstance(result, dict):
            result["refused"] = answer["refused"]
        return result

    def _environment(self, engine: Engine, hash_seed: int) -> dict[str, str]:
        environment = {
            **os.environ,
            "ERLEN_AS_FLASK": "1" if engine == "erlen" else "0",
            "PYTHONHASHSEED": str(hash_seed),
            # Nothing of the application's folder is to change.
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": os.pathsep.join(
                [str(self.folder), *filter(None, [os.environ.get("PYTHONPATH")])]
            ),
        }
        for name in ("FLASK_DEBUG", "FLASK_RUN_FROM_CLI", "WERKZEUG_RUN_MAIN", "FLASK_APP"):
            environment.pop(name, None)
        return environment


def _end_of(output: t.BinaryIO) -> str:
    """What a process wrote last."""
    output.seek(max(output.seek(0, os.SEEK_END) - _LAST_BYTES, 0))
    return output.read().decode("utf-8", "replace")

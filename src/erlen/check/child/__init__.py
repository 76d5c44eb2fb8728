"""What `erlen check` runs in processes of its own: one with the real Flask, one with Erlen.

Nothing here imports Erlen, so that the process with the real Flask is the one its users have; the
package is loaded from its folder, by `START`. A task comes as JSON in a file, the answer goes to
another one: the standard streams belong to the application.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
import typing as t
from importlib import import_module

#: Program text for `python -c`: loads this package by the path in the first argument.
START = """\
import importlib.util, sys
path = sys.argv[1]
spec = importlib.util.spec_from_file_location(
    "_erlen_check", path + "/__init__.py", submodule_search_locations=[path]
)
package = sys.modules["_erlen_check"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(package)
package.main(*sys.argv[2:])
"""

#: Seconds that threads of the application have to end, when the answer is there.
PATIENCE = 2.0

TASKS = ("clock", "explore", "names", "replay", "tests")


def main(task_file: str, answer_file: str) -> None:
    """Do the task in the first file, write the answer into the second."""
    with open(task_file, encoding="utf-8") as file:
        task: dict[str, t.Any] = json.load(file)
    name = task["name"]
    if name not in TASKS:
        raise ValueError(f"there is no task {name!r}")
    sys.argv = [sys.argv[0]]
    if task["engine"] == "flask":
        import_module(".swap", __package__).install()
    import_module(".network", __package__).keep_to_loopback(task.get("allowed", ()))
    try:
        answer = {"result": import_module(f".{name}", __package__).perform(task)}
    except (Exception, SystemExit) as error:
        # Whatever the application does when it is loaded belongs into the report.
        answer = {"error": _told(error), "traceback": traceback.format_exc()}
    answer["refused"] = import_module(".network", __package__).refused
    with open(answer_file, "w", encoding="utf-8") as file:
        json.dump(answer, file)
    threading.Thread(target=_end, daemon=True).start()


def _end() -> None:
    """End a process that threads of the application keep alive."""
    time.sleep(PATIENCE)
    os._exit(0)


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"

"""A pytest plugin that writes what became of each test to a file, a line of JSON at a time.

It is loaded by name in the environment of a suite, so it must not import any framework.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import pytest

STATUS = {"passed": 0, "skipped": 1, "failed": 2}


class Recorder:
    """Writes ``{"collected": n}``, a line a test, and at the end what it all ran on."""

    def __init__(self, path: str) -> None:
        self.file = open(path, "w", encoding="utf-8")
        self.running: dict[str, tuple[str, str]] = {}

    def write(self, **line: Any) -> None:
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.write(collected=len(session.items))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.write(test=report.nodeid, status="failed", message=summary(report))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the worst of set-up, call and teardown; the teardown's is the last."""
        message = "" if report.passed else summary(report)
        worst = self.running.get(report.nodeid, ("passed", ""))
        if STATUS[report.outcome] > STATUS[worst[0]]:
            worst = (report.outcome, message)
        self.running[report.nodeid] = worst
        if report.when == "teardown":
            status, message = self.running.pop(report.nodeid)
            self.write(test=report.nodeid, status=status, message=message)

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        flask = sys.modules.get("flask")
        framework = getattr(flask, "Flask", Recorder).__module__.partition(".")[0]
        over_asgi = "erlen.testing.asgi" in sys.modules
        self.write(
            framework=framework if flask else None, over_asgi=over_asgi, exit=int(exitstatus)
        )
        self.file.close()


def summary(report: pytest.CollectReport | pytest.TestReport) -> str:
    """The message of the exception, or the whole text where there is none."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        return f"{os.path.basename(crash.path)}:{crash.lineno}: {crash.message}"[:2000]
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2])
    return report.longreprtext[-2000:]


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Recorder(os.environ["ERLEN_CONFORMANCE_RECORD"]))

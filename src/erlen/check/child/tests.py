"""Run an application's own tests and write down what became of each."""

from __future__ import annotations

import typing as t


def perform(task: dict[str, t.Any]) -> dict[str, t.Any]:
    """Outcome and reason of each test, and pytest's exit status."""
    import pytest

    recorder = _Recorder()
    quiet = ["-p", "no:cacheprovider", "-p", "no:randomly", "-q"]
    status = pytest.main([*quiet, *task["arguments"]], plugins=[recorder])
    return {"tests": recorder.outcomes, "collection": recorder.collection, "status": int(status)}


class _Recorder:
    """A plug-in of pytest: the worst of a test's three phases is its outcome."""

    def __init__(self) -> None:
        self.outcomes: dict[str, dict[str, t.Any]] = {}
        self.collection: dict[str, str] = {}

    def pytest_collectreport(self, report: t.Any) -> None:
        if report.failed:
            self.collection[report.nodeid] = _last_lines(report.longreprtext)

    def pytest_runtest_logreport(self, report: t.Any) -> None:
        known = self.outcomes.setdefault(
            report.nodeid, {"outcome": "passed", "reason": "", "seconds": 0.0}
        )
        known["seconds"] += report.duration
        expected = hasattr(report, "wasxfail")
        if report.failed:
            known["outcome"] = "failed" if report.when == "call" else "error"
            known["reason"] = _last_lines(report.longreprtext)
        elif report.skipped and known["outcome"] == "passed":
            known["outcome"] = "xfailed" if expected else "skipped"
        elif expected and report.when == "call":
            known["outcome"] = "xpassed"


def _last_lines(text: str, count: int = 12) -> str:
    return "\n".join(text.strip().splitlines()[-count:])

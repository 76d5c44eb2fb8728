"""The application's own tests, run on the real Flask and on Erlen, compared test by test."""

from __future__ import annotations

import typing as t
from importlib.util import find_spec
from pathlib import Path

from .children import Children
from .findings import Part

Tell = t.Callable[[str], None]

_GOOD = ("passed", "xfailed", "skipped")


def has_tests(folder: Path) -> bool:
    """Whether pytest would find something in a folder."""
    return any(
        (folder / name).exists() for name in ("tests", "test", "conftest.py", "pytest.ini")
    ) or any(folder.glob("test_*.py"))


def check(children: Children, tell: Tell, arguments: list[str]) -> Part:
    """Run all tests on both; those that fail on Erlen only have a second run on both."""
    part = Part("tests")
    if find_spec("pytest") is None:
        part.skipped = "pytest is not installed"
        return part
    tell("tests on Flask")
    flask = children.run("flask", "tests", arguments=arguments)
    tell("tests on Erlen")
    erlen = children.run("erlen", "tests", arguments=arguments)
    for place, reason in erlen["collection"].items():
        if place not in flask["collection"]:
            part.add("difference", "not-collected", "cannot be collected on Erlen", place, reason)
    for place, reason in flask["collection"].items():
        part.add("note", "fails-on-flask", "cannot be collected on Flask itself", place, reason)
    worse = {
        name: (before, erlen["tests"].get(name))
        for name, before in flask["tests"].items()
        if _is_worse(before, erlen["tests"].get(name))
    }
    steady = _again(children, tell, worse) if worse else set()
    for name, (before, after) in worse.items():
        outcome = after["outcome"] if after else "not run"
        title = f"{before['outcome']} on Flask, {outcome} on Erlen"
        reason = after["reason"] if after else ""
        if name in steady:
            part.add("note", "unsteady", f"{title}; passed when run again", name, reason)
        else:
            part.add("difference", "test", title, name, reason)
    failing = [name for name, said in flask["tests"].items() if said["outcome"] not in _GOOD]
    if failing:
        title = f"{len(failing)} tests fail on Flask itself, so that they say nothing"
        part.add("note", "fails-on-flask", title, failing[0])
    part.figures = {
        "tests": len(flask["tests"]),
        "passed on Flask": _passed(flask),
        "passed on Erlen": _passed(erlen),
        "seconds on Flask": _seconds(flask),
        "seconds on Erlen": _seconds(erlen),
    }
    if not flask["tests"] and not flask["collection"]:
        part.skipped = "there are no tests"
    return part


def _is_worse(before: dict[str, t.Any], after: dict[str, t.Any] | None) -> bool:
    if before["outcome"] not in _GOOD:
        return False
    return after is None or (after["outcome"] != before["outcome"])


def _again(children: Children, tell: Tell, names: t.Iterable[str]) -> set[str]:
    """Those that end alike on both when only they are run."""
    tell("once more what differs")
    chosen = [*names]
    flask = children.run("flask", "tests", arguments=chosen)["tests"]
    erlen = children.run("erlen", "tests", arguments=chosen)["tests"]
    return {
        name
        for name in chosen
        if name in flask
        and name in erlen
        and flask[name]["outcome"] == erlen[name]["outcome"]
        and flask[name]["outcome"] in _GOOD
    }


def _passed(run: dict[str, t.Any]) -> int:
    return sum(said["outcome"] == "passed" for said in run["tests"].values())


def _seconds(run: dict[str, t.Any]) -> float:
    return round(sum(float(said["seconds"]) for said in run["tests"].values()), 1)

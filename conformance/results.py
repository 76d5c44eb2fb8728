"""What pytest said about each test, and how two runs and the list of deviations compare."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    from pip._vendor import tomli as tomllib

PASSED, SKIPPED, FAILED, MISSING = "passed", "skipped", "failed", "missing"
DEVIATIONS = Path(__file__).with_name("deviations.toml")
DEVIATIONS_OVER_ASGI = Path(__file__).with_name("deviations-asgi.toml")


@dataclass(frozen=True)
class Outcome:
    """One test: ``passed``, ``skipped`` or ``failed``, and the reason where there is one."""

    status: str
    message: str = ""


@dataclass(frozen=True)
class Deviation:
    """A test that is known to fail, and why."""

    test: str
    reason: str
    #: what it is true of: ``wsgi`` or ``asgi``; empty: both
    transport: str = ""


@dataclass
class Comparison:
    """The tests that count, by what became of them."""

    passed: list[str] = field(default_factory=list)
    deviating: list[Deviation] = field(default_factory=list)
    #: test → what is wrong: a failure that is not listed, or an entry of the list that is not true
    wrong: dict[str, str] = field(default_factory=dict)
    #: tests that the real Flask does not pass here either
    uncounted: list[str] = field(default_factory=list)


def read_junit(report: Path) -> dict[str, Outcome]:
    """Read pytest's XML report into ``{"test_file::test_name[param]": Outcome}``."""
    outcomes: dict[str, Outcome] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        place = case.get("classname", "").removeprefix("tests.")
        test = f"{place}::{case.get('name')}" if place else str(case.get("name"))
        outcome = Outcome(PASSED)
        for child in case:
            if child.tag in ("failure", "error"):
                text = child.text or ""
                outcome = Outcome(FAILED, f"{child.get('message') or ''}\n{text}".strip())
                break
            if child.tag == "skipped":
                outcome = Outcome(SKIPPED, child.get("message") or "")
        if test not in outcomes or outcomes[test].status == PASSED:
            outcomes[test] = outcome
    return outcomes


def read_toml(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def read_deviations(path: Path = DEVIATIONS) -> list[Deviation]:
    """Read the list of known failures; each entry needs its test, or tests, and the reason."""
    entries = read_toml(path).get("deviation", [])
    deviations = [
        Deviation(test, entry["reason"].strip(), entry.get("transport", ""))
        for entry in entries
        for test in entry.get("tests") or [entry["test"]]
    ]
    unexplained = [deviation.test for deviation in deviations if not deviation.reason]
    if unexplained:
        raise ValueError(f"{path.name}: no reason given for {', '.join(unexplained)}")
    return deviations


def compare(
    oracle: Mapping[str, Outcome],
    ours: Mapping[str, Outcome],
    deviations: Iterable[Deviation],
    *,
    whole: bool,
) -> Comparison:
    """Hold our run against the real Flask's.

    With ``whole`` false a part of the tests was selected, and a test that did not run is no fault.
    """
    result = Comparison()
    known = {deviation.test: deviation for deviation in deviations}
    missing = Outcome(MISSING, "the test did not run")
    for test, expected in oracle.items():
        if test not in ours and not whole:
            continue
        got = ours.get(test, missing)
        if expected.status != PASSED:
            result.uncounted.append(test)
        elif got.status == PASSED and test in known:
            result.wrong[test] = "passes, but is listed as a deviation: take it off the list"
        elif got.status == PASSED:
            result.passed.append(test)
        elif test in known:
            result.deviating.append(known[test])
        else:
            result.wrong[test] = f"{got.status}: {got.message}"
    for test in ours.keys() - oracle.keys():
        result.wrong[test] = f"{ours[test].status}, but the real Flask did not run it"
    for test in known.keys() - oracle.keys():
        result.wrong[test] = "is listed as a deviation, but there is no such test"
    return result

"""Before anything is timed, every framework gives the same answers."""

from __future__ import annotations

import pytest

from benchmarks.inprocess import __main__ as command
from benchmarks.inprocess.apps import FRAMEWORKS
from benchmarks.inprocess.cases import CASES, Answer, faults_of
from benchmarks.report import Gate


@pytest.mark.parametrize("peer", [name for name in FRAMEWORKS if name != "erlen"])
def test_every_route_is_answered_as_by_its_peers(peer: str) -> None:
    distribution = FRAMEWORKS[peer][1]
    if distribution is not None:
        pytest.importorskip(distribution, reason=f"{distribution} is not installed")
    command.check_contract(["erlen", peer], list(CASES))


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        pytest.param(Answer("500 X", [], b"Hello, world!"), "status", id="status"),
        pytest.param(Answer("200 OK", [("Content-Type", "a/b")], b""), "content type", id="type"),
        pytest.param(Answer("200 OK", [("Content-Type", "text/html")], b"?"), "body", id="body"),
        pytest.param(Answer("200 OK", [("Content-Length", "3")], b"?"), "Length", id="length"),
    ],
)
def test_a_wrong_answer_is_a_fault(answer: Answer, fault: str) -> None:
    assert any(fault in text for text in faults_of(answer, CASES["plain"]))


def test_gates_are_ratios_of_what_was_measured() -> None:
    gates = command.gates_of({"json": {"erlen": 2.0, "flask": 40.0}, "form": {"flask": 80.0}})
    assert gates == [Gate("json, erlen / flask", 0.05, 0.08)]
    assert gates[0].holds
    assert not Gate("slow", 0.09, 0.08).holds

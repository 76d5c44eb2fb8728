"""Before anything is timed, every framework gives the same answers."""

from __future__ import annotations

import os
import shutil

import pytest

from benchmarks import asgi_inprocess, typed
from benchmarks.apps import PEERS
from benchmarks.http import __main__ as http_command
from benchmarks.http import loads
from benchmarks.http.processes import Server, SetUpError
from benchmarks.inprocess import __main__ as command
from benchmarks.inprocess.apps import FRAMEWORKS
from benchmarks.inprocess.cases import CASES, Answer, faults_of
from benchmarks.report import Gate
from benchmarks.routes import ROUTES

# Servers are bound to the first core, what asks them to the second.
needs_two_cores = pytest.mark.skipif(
    shutil.which("taskset") is None or not {0, 1} <= os.sched_getaffinity(0),
    reason="needs taskset and the first two processors",
)


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


@pytest.mark.parametrize("peer", asgi_inprocess.CALLABLE)
def test_every_route_is_answered_over_asgi_as_it_has_to_be(peer: str) -> None:
    package = PEERS[peer].package
    if package is not None:
        pytest.importorskip(package, reason=f"{package} is not installed")
    asgi_inprocess.check_contract([peer], list(ROUTES))


def test_a_gate_may_have_a_least_ratio() -> None:
    assert Gate("fast", 0.85, least=0.8).holds
    assert not Gate("slow", 0.75, least=0.8).holds


def test_ratios_over_http_are_taken_within_a_round() -> None:
    rounds = {
        "erlen": [{"per_second": 80.0}, {"per_second": 9.0}, {"per_second": 85.0}],
        "asgi": [{"per_second": 100.0}, {"per_second": 10.0}, {"per_second": 100.0}],
    }
    result = {"requests": {"json": rounds}, "upstream": {"erlen": {"cold": 0.4, "warm": [0.25]}}}
    assert http_command.gates_of(result) == [
        Gate("json, erlen / asgi", 0.85, least=0.80),
        Gate("200 awaits, seconds", 0.25, most=0.30),
    ]


WRK = """\
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.53ms  118.58us   3.86ms   92.36%
  Latency Distribution
     50%    1.51ms
     99%  980.00us
  41720 requests in 1.00s, 5.97MB read
Requests/sec:  41675.68
"""


def test_figures_of_wrk_are_read() -> None:
    assert loads.read_wrk(WRK) == {"per_second": 41675.68, "slowest_hundredth_ms": 0.98}


@pytest.mark.parametrize(
    "line", ["Non-2xx or 3xx responses: 3", "Socket errors: connect 0, read 3, write 0, timeout 0"]
)
def test_requests_that_failed_are_no_figures(line: str) -> None:
    with pytest.raises(SetUpError, match="responses|errors"):
        loads.read_wrk(WRK + line)


@pytest.mark.live
@needs_two_cores
@pytest.mark.parametrize("peer", ["erlen", "erlen-inline", "erlen-wsgi", "asgi", "wsgi", "flask"])
def test_every_route_is_answered_over_http_as_it_has_to_be(peer: str) -> None:
    server = "gunicorn" if PEERS[peer].kind == "gunicorn" else "granian"
    pytest.importorskip(server, reason=f"{server} is not installed")
    http_command.check_contract([peer], list(ROUTES), "granian")


@pytest.mark.live
@needs_two_cores
@pytest.mark.parametrize("peer", ["erlen", "asgi"])
def test_streams_of_events_open_and_rest(peer: str) -> None:
    pytest.importorskip("granian", reason="granian is not installed")
    with Server(peer) as server:
        assert loads.idle_events(server, 5)["seconds_to_open"] < 60.0


@pytest.mark.live
@needs_two_cores
@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
@pytest.mark.parametrize("peer", ["erlen", "asgi"])
def test_websockets_echo_what_the_load_sends(peer: str) -> None:
    pytest.importorskip("granian", reason="granian is not installed")
    with Server(peer) as server:
        assert loads.echoes(server, 0.1)["per_second"] > 0


@pytest.mark.live
@needs_two_cores
@pytest.mark.parametrize("path", ["/upstream", "/upstream-sync"])
def test_views_of_a_crowd_answer_with_what_the_upstream_said(path: str) -> None:
    for package in ("granian", "aiohttp", "requests"):
        pytest.importorskip(package, reason=f"{package} is not installed")
    assert len(loads.crowd("erlen", "granian", path, size=3, rounds=2, threads=3)) == 2


@pytest.mark.parametrize("peer", typed.PEERS)
def test_the_typed_route_is_answered_as_it_has_to_be(
    peer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pydantic", reason="pydantic is not installed")
    package = typed.PEERS[peer].package
    if package is not None:
        pytest.importorskip(package, reason=f"{package} is not installed")
    assert typed.check_one(peer) == 0, capsys.readouterr().out

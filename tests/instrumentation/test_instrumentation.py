"""Instrumentation made for Flask, which patches it by name, sees requests through the alias.

Each program runs in an interpreter of its own: on the real Flask, on Erlen, and there over ASGI.
What it has seen is the same.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent

MODES: dict[str, dict[str, str]] = {
    "flask": {"ERLEN_AS_FLASK": "0"},
    "erlen": {"ERLEN_AS_FLASK": "1"},
    "erlen over ASGI": {"ERLEN_AS_FLASK": "1", "ERLEN_TEST_TRANSPORT": "asgi"},
}


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> dict[str, str]:
    if request.param == "flask":
        for needed in ("flask", "asgiref"):
            pytest.importorskip(needed, reason=f"{needed} is not installed")
    return MODES[request.param]


def is_installed(name: str) -> bool:
    """Asked without an import: the real Flask belongs to the program."""
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # not even its parent
        return False


def seen_by(program: str, mode: dict[str, str], *needed: str) -> Any:
    """What the instrumentation of a program has seen."""
    for name in needed:
        if not is_installed(name):
            pytest.skip(f"{name} is not installed")
    done = subprocess.run(
        [sys.executable, f"{program}_program.py"],
        cwd=HERE,
        env={**os.environ, **mode},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_sentry_hears_of_errors_and_transactions(mode: dict[str, str]) -> None:
    seen = seen_by("sentry", mode, "sentry_sdk", "flask_login")
    assert seen["statuses"] == [500, 500, 404]
    assert seen["meta"] == 1  # by `before_render_template`
    tea = {"method": "POST", "url": "http://localhost/orders/tea", "query": "size=2"}
    tea |= {"name": "order", "data": {"sugar": True}, "user": "ada"}
    later = {"method": "POST", "url": "http://localhost/later/tea", "query": ""}
    later |= {"name": "later", "data": {"milk": "no"}, "user": "ada"}
    got = {"method": "GET", "query": "", "data": None, "user": "ada", "type": "transaction"}
    assert seen["kept"] == [
        got
        | {"method": "POST", "name": "log_in", "url": "http://localhost/login"}
        | {"user": None, "status": 200},
        got | {"name": "page", "url": "http://localhost/page/7", "status": 200},
        tea | {"type": "event", "error": ["ValueError", "no tea", "flask"], "place": "order"},
        tea | {"type": "transaction", "status": 500},
        later | {"type": "event", "error": ["LookupError", "tea", "flask"], "place": "later"},
        later | {"type": "transaction", "status": 500},
        got | {"name": "generic WSGI request", "url": "http://localhost/nowhere", "status": 404},
    ]


def test_opentelemetry_has_a_span_for_each_request(mode: dict[str, str]) -> None:
    seen = seen_by("telemetry", mode, "opentelemetry.instrumentation.flask", "opentelemetry.sdk")
    assert seen["statuses"] == [200, 200, 500, 200, 200, 404]
    assert seen["subclass"] == "_InstrumentedFlask"

    def served(route: str | None, status: int, inside: str | None = None) -> dict[str, Any]:
        return {
            "name": f"GET {route or '/nowhere'}",
            "kind": "SERVER",
            "route": route,
            "status": status,
            "result": "ERROR" if status == 500 else "UNSET",
            "events": [["exception", "no tea"]] if status == 500 else [],
            "inside": inside,
        }

    def own(name: str, inside: str) -> dict[str, Any]:
        facts = {"route": None, "status": None, "result": "UNSET", "events": []}
        return {"name": name, "kind": "INTERNAL", "inside": inside, **facts}

    order, later = "/orders/<int:number>", "/later/<int:number>"
    assert seen["spans"] == [
        own("looked up", f"GET {order}"),
        served(order, 200),
        own("looked up later", f"GET {later}"),
        served(later, 200),
        served("/fails", 500),
        served("/stream", 200),
        served(None, 404),
        own("looked up", f"GET {order}"),
        served(order, 200, inside="cd" * 8),
    ]
    assert seen["hooked"][:4] == ["/orders/7", "200 OK", "/later/8", "200 OK"]
    assert len(seen["hooked"]) == 12  # the excluded request is not among them
    assert seen["counted"] == 6


def test_prometheus_counts_by_endpoint(mode: dict[str, str]) -> None:
    seen = seen_by("prometheus", mode, "prometheus_flask_exporter")
    assert seen["type"] == "text/plain"
    samples = {(name, *(value for _, value in labels)): n for name, labels, n in seen["samples"]}
    timed, asked = "flask_http_request_duration_seconds_count", "flask_http_request_total"
    assert samples == {
        ("app_info", "1"): 1,
        (timed, "None", "GET", "404"): 1,
        (timed, "fails", "GET", "500"): 1,
        (timed, "later", "GET", "200"): 1,
        (timed, "order", "GET", "200"): 3,
        ("flask_http_request_exceptions_total", "GET", "500"): 1,
        (asked, "GET", "200"): 4,
        (asked, "GET", "404"): 1,
        (asked, "GET", "500"): 1,
        ("orders_total", "1"): 2,
        ("orders_total", "2"): 1,
    }


def test_elastic_apm_has_transactions_spans_and_errors(mode: dict[str, str]) -> None:
    seen = seen_by("elastic", mode, "elasticapm")
    assert seen["sampled"] == "True"
    assert seen["statuses"] == [200, 500, 404]
    site = "http://localhost"
    assert seen["kept"] == [
        ["span", "<template>"],
        ["span", "looked up"],
        ["transaction", "GET /orders/<int:number>", "HTTP 2xx", "success", f"{site}/orders/7"],
        ["span", "looked up later"],
        ["transaction", "GET /later/<int:number>", "HTTP 2xx", "success", f"{site}/later/8"],
        ["error", "ValueError", "ValueError: no tea", False, {"sugar": "no"}],
        ["transaction", "POST /fails", "HTTP 5xx", "failure", f"{site}/fails?size=2"],
        ["transaction", "", "HTTP 4xx", "success", f"{site}/nowhere"],
    ]

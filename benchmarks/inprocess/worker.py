"""One framework and one route set in a fresh process: answer the contract, or be timed.

Run by the package's command; prints one JSON object.
"""

from __future__ import annotations

import argparse
import base64
import gc
import io
import json
import time
from collections.abc import Callable
from typing import Any

from .apps import build
from .cases import CASES, Case, ask, environ_of

CLOCKS = {"wall": time.perf_counter, "cpu": time.thread_time}
WARM_UP = 300


def cookie_for(app: Any, case: Case) -> str:
    """The cookie that the framework itself gives out, where the case needs one."""
    if not case.keeps_cookie:
        return ""
    return ask(app, case).header("set-cookie").partition(";")[0]


def answers(app: Any, cases: list[Case]) -> dict[str, Any]:
    """The answer to each case, ready for JSON."""
    found = {}
    for case in cases:
        answer = ask(app, case, cookie_for(app, case))
        body = base64.b64encode(answer.body).decode()
        found[case.name] = {"status": answer.status, "headers": answer.headers, "body": body}
    return found


def caller(app: Any, case: Case) -> Callable[[int], None]:
    """Return ``call(n)``, which makes n requests as a server would, each with its own environ."""
    template, body, stream = environ_of(case, cookie_for(app, case)), case.body, io.BytesIO
    status: str = ""
    headers: list[tuple[str, str]] = []

    def start_response(line: str, fields: list[tuple[str, str]], exc_info: Any = None) -> Any:
        nonlocal status, headers
        status, headers = line, fields
        return None

    def call(times: int) -> None:
        for _ in range(times):
            environ = template.copy()
            environ["wsgi.input"] = stream(body)
            result = app(environ, start_response)
            for _chunk in result:
                pass
            if hasattr(result, "close"):
                result.close()

    call(1)
    if not status.startswith(str(case.status)):
        raise SystemExit(f"{case.name}: {status}")
    return call


def time_case(app: Any, case: Case, seconds: float, repeats: int, clock: str) -> float:
    """The microseconds of one request: the best of some repeats of about ``seconds`` each."""
    call, now = caller(app, case), CLOCKS[clock]
    call(WARM_UP)
    started = now()
    call(WARM_UP)
    times = max(WARM_UP, int(seconds * WARM_UP / (now() - started)))
    best = float("inf")
    for _ in range(repeats):
        gc.collect()
        started = now()
        call(times)
        best = min(best, (now() - started) / times)
    return best * 1e6


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("framework")
    parser.add_argument("route_set")
    parser.add_argument("cases")
    parser.add_argument("--contract", action="store_true")
    parser.add_argument("--seconds", type=float, default=0.1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    options = parser.parse_args()
    app = build(options.framework, options.route_set)
    cases = [CASES[name] for name in options.cases.split(",")]
    if options.contract:
        print(json.dumps(answers(app, cases)))
        return
    figures = (options.seconds, options.repeats, options.clock)
    print(json.dumps({case.name: time_case(app, case, *figures) for case in cases}))


if __name__ == "__main__":
    main()

"""``python -m benchmarks.typed``: a typed POST, and what typed views cost the untyped ones.

An order of 20 nested fields is validated, a receipt answered by its type. In process the
applications are called with a scope or an environ; with ``--http`` they are served by Granian, one
worker each. ``--worker`` is the fresh process of one framework and round, as in
``benchmarks.asgi_inprocess``.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import io
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

from . import asgi_inprocess as inprocess
from .apps import PEERS as UNTYPED
from .inprocess.__main__ import names
from .inprocess.cases import ask, environ_of, faults_of
from .report import RESULTS, ROOT, Gate, circumstances, print_gates, write_result
from .typed_apps import CASES, PEERS

CASE = CASES["typed"]
#: (ours, peer) → the least that our requests a second over HTTP may be of the peer's
BESIDE = {
    ("erlen", "fastapi"): 2.5,
    ("erlen-wsgi", "fastapi"): 2.5,
    ("erlen-wsgi", "flask-openapi3"): 5.0,
    ("erlen", "litestar"): 1.0,
    ("erlen-structs", "litestar"): 1.0,
}
#: the most that an untyped view of an application with typed ones may take, of one without
UNTYPED_COST = 1.01


def app_of(name: str) -> Any:
    peer = PEERS[name]
    return getattr(import_module(peer.module), peer.reference.partition(":")[2])


def time_wsgi(app: Any, seconds: float, repeats: int, clock: str) -> float:
    """The microseconds of one request, as ``asgi_inprocess.time_case`` has them."""
    now = inprocess.CLOCKS[clock]
    template = environ_of(CASE)

    def call(times: int) -> None:
        for _ in range(times):
            environ = {**template, "wsgi.input": io.BytesIO(CASE.body)}
            result = app(environ, lambda status, headers, exc_info=None: None)
            b"".join(result)
            getattr(result, "close", lambda: None)()

    call(inprocess.WARM_UP)
    started = now()
    call(inprocess.WARM_UP)
    times = max(inprocess.WARM_UP, int(seconds * inprocess.WARM_UP / (now() - started)))
    best = float("inf")
    for _ in range(repeats):
        gc.collect()
        started = now()
        call(times)
        best = min(best, (now() - started) / times)
    return best * 1e6


async def work_asgi(options: argparse.Namespace) -> dict[str, float]:
    app = app_of(options.worker)
    found = {}
    async with inprocess.Lifespan(app):
        found["typed"] = await inprocess.time_case(
            app, CASE, options.seconds, options.repeats, options.clock
        )
    return found


async def work_untyped(options: argparse.Namespace) -> dict[str, float]:
    """The untyped route of an application without typed views, and of one with them, in turns."""
    without = import_module(UNTYPED["erlen"].module).app
    beside = app_of("erlen")
    pairs = ((without, inprocess.ROUTES["json"]), (beside, CASES["untyped"]))
    samples: list[list[float]] = [[], []]
    for number in range(options.repeats * 10):
        for which in (0, 1) if number % 2 else (1, 0):
            app, case = pairs[which]
            taken = await inprocess.time_case(app, case, options.seconds / 4, 1, options.clock)
            samples[which].append(taken)
    return {"without": min(samples[0]), "beside": min(samples[1])}


def check() -> None:
    """Stop unless every application answers as it has to."""
    faults = []
    for name in [name for name in PEERS if PEERS[name].is_installed]:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.typed", "--contract", name],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            faults.append(f"{name}: {done.stdout or done.stderr[-2000:]}")
    if faults:
        raise SystemExit("the answers differ:\n  " + "\n  ".join(faults))


def check_one(name: str) -> int:
    app = app_of(name)
    if PEERS[name].kind == "wsgi":
        answer = ask(app, CASE)
    else:

        async def ask_asgi() -> Any:
            async with inprocess.Lifespan(app):
                return await inprocess.ask(app, CASE)

        answer = asyncio.run(ask_asgi())
    faults = faults_of(answer, CASE)
    print(*faults, answer.body[:300] if faults else "")
    return int(bool(faults))


def run_worker(name: str, options: argparse.Namespace) -> dict[str, float]:
    argv = [sys.executable, "-m", "benchmarks.typed", "--worker", name, "--clock", options.clock]
    argv += ["--seconds", str(options.seconds)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name}: {done.stderr[-4000:]}")
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def be_worker(options: argparse.Namespace) -> int:
    if options.worker == "untyped" or PEERS[options.worker].kind == "asgi":
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
        work = work_untyped if options.worker == "untyped" else work_asgi
        print(json.dumps(asyncio.run(work(options))))
    else:
        figures = (options.seconds, options.repeats, options.clock)
        print(json.dumps({"typed": time_wsgi(app_of(options.worker), *figures)}))
    return 0


def measure_http(peers: list[str], options: argparse.Namespace) -> dict[str, Any]:
    from .http import loads
    from .http.processes import Server

    found: dict[str, Any] = {}
    for number in range(options.rounds):
        for name in peers if number % 2 == 0 else peers[::-1]:
            with Server(PEERS[name]) as running:
                faults = faults_of(loads.ask(running.port, CASE), CASE)
                if faults:
                    raise SystemExit(f"{name}: {faults}")
                loads.requests(running, CASE, 1.0)
                once = loads.requests(running, CASE, options.http_seconds)
                found.setdefault(name, []).append(once)
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
    return found


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.typed", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--only", type=names(list(PEERS)), default=list(PEERS))
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--rounds", type=int, help="how many rounds (7, or 3 when quick)")
    parser.add_argument("--http", action="store_true", help="over HTTP, with wrk")
    parser.add_argument("--clock", choices=inprocess.CLOCKS, default="wall")
    parser.add_argument("--output", type=Path, help="results/typed.json, or typed_http.json")
    parser.add_argument("--worker", choices=[*PEERS, "untyped"], help=argparse.SUPPRESS)
    parser.add_argument("--contract", choices=list(PEERS), help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=0.2, help=argparse.SUPPRESS)
    parser.add_argument("--repeats", type=int, default=3, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (3 if options.quick else 7)
    options.http_seconds = 1.0 if options.quick else 5.0
    return options


def gates_of(result: dict[str, Any], clock: str) -> list[Gate]:
    """The gates whose two sides were measured."""
    gates = []
    rounds = result.get("http", {})
    for (ours, peer), least in BESIDE.items():
        if ours in rounds and peer in rounds:
            from .http.__main__ import ratio

            found = ratio(rounds, ours, peer, clock)
            gates.append(Gate(f"typed POST, {ours} / {peer}", found, least=least))
    untyped = result.get("untyped")
    if untyped:
        cost = untyped["beside"] / untyped["without"]
        gates.append(Gate("untyped, beside typed / without", cost, most=UNTYPED_COST))
    return gates


def main() -> int:
    options = parse()
    if options.contract:
        return check_one(options.contract)
    if options.worker:
        return be_worker(options)
    peers = [name for name in options.only if PEERS[name].is_installed]
    check()
    result: dict[str, Any] = {}
    if options.http:
        from .http.__main__ import print_rates

        result["http"] = measure_http(peers, options)
        print_rates("typed POST", result["http"])
    else:
        samples: dict[str, list[float]] = {name: [] for name in peers}
        for number in range(options.rounds):
            for name in peers if number % 2 == 0 else peers[::-1]:
                samples[name].append(run_worker(name, options)["typed"])
        result["microseconds"] = {name: median(found) for name, found in samples.items()}
        for name, taken in sorted(result["microseconds"].items(), key=lambda pair: pair[1]):
            print(f"{name:18}{taken:>10.2f} µs")
        result["untyped"] = run_worker("untyped", options)
        print("untyped view", result["untyped"])
    gates = gates_of(result, options.clock)
    known = circumstances(
        ["erlen", "pydantic", "msgspec", "fastapi", "litestar", "blacksheep", "flask-openapi3"]
        + ["APIFlask", "granian", "uvloop"]
    )
    output = options.output or RESULTS / ("typed_http.json" if options.http else "typed.json")
    write_result(
        output, {**known, "clock": options.clock, "rounds": options.rounds, **result}, gates
    )
    return 0 if print_gates(gates) else 1


if __name__ == "__main__":
    raise SystemExit(main())

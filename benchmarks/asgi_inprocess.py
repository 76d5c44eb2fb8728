"""``python -m benchmarks.asgi_inprocess``: an ASGI application called with a scope, no sockets.

A fresh process for each framework and round, the order turned each round, the median of the rounds.
With ``--worker`` it is the fresh process: it answers the contract or is timed, and prints JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import gc
import json
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

from .apps import PEERS, Peer
from .inprocess.__main__ import names
from .inprocess.cases import Answer, Case, faults_of
from .report import RESULTS, ROOT, Gate, circumstances, print_gates, write_result
from .routes import ROUTES

#: Sanic has a server of its own, but answers ASGI as well.
CALLABLE = [name for name, peer in PEERS.items() if peer.kind == "asgi" or name == "sanic"]
#: asyncio stands on uvloop where servers put it there
LOOPS = ("uvloop", "asyncio")
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
WARM_UP = 300
#: peer → the most that Erlen's time for the JSON route may be of the peer's
BESIDE = {"starlette": 1.0, "litestar": 1.0, "fastapi": 1.0, "falcon": 1.0, "quart": 1.0}


def scope_of(case: Case) -> dict[str, Any]:
    """The scope as a server would make it for the case."""
    headers = [
        (b"host", b"localhost:8000"),
        (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
        (b"accept", b"text/html,application/xhtml+xml,application/json;q=0.9,*/*;q=0.8"),
        (b"accept-language", b"en-GB,en;q=0.5"),
        (b"accept-encoding", b"gzip, deflate, br"),
        (b"connection", b"keep-alive"),
    ]
    if case.body:
        headers.append((b"content-type", case.content_type.encode()))
        headers.append((b"content-length", str(len(case.body)).encode()))
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 51234),
        "scheme": "http",
        "method": case.method,
        "root_path": "",
        "path": case.path,
        "raw_path": case.path.encode(),
        "query_string": case.query.encode(),
        "headers": headers,
        "extensions": {},
        "state": {},
    }


class Exchange:
    """One request from the server's side: gives out the body once, keeps what is sent."""

    __slots__ = ("body", "headers", "sent", "status")

    def __init__(self, body: bytes) -> None:
        self.body: bytes | None = body
        self.sent = b""
        self.status = 0

    async def receive(self) -> dict[str, Any]:
        body, self.body = self.body, None
        if body is None:
            # The client stays: who asks again waits, as on a server, until it is cancelled.
            await asyncio.get_running_loop().create_future()
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = message["headers"]
        else:
            self.sent += message.get("body", b"")


class Lifespan:
    """The application's start-up, and its shutdown when left."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.incoming: asyncio.Queue[str] = asyncio.Queue()
        self.outgoing: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def receive(self) -> dict[str, Any]:
        return {"type": await self.incoming.get()}

    async def send(self, message: dict[str, Any]) -> None:
        await self.outgoing.put(message)

    async def step(self, kind: str) -> None:
        await self.incoming.put(kind)
        answered = asyncio.ensure_future(self.outgoing.get())
        await asyncio.wait([answered, self.task], return_when=asyncio.FIRST_COMPLETED)
        if not answered.done():
            # An application that ends here does not take part, says the specification.
            answered.cancel()
        elif answered.result()["type"] != f"{kind}.complete":
            raise SystemExit(str(answered.result()))

    async def __aenter__(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
        self.task = asyncio.ensure_future(self.app(scope, self.receive, self.send))
        await self.step("lifespan.startup")

    async def __aexit__(self, *error: object) -> None:
        if not self.task.done():
            await self.step("lifespan.shutdown")
        self.task.exception()


async def ask(app: Any, case: Case) -> Answer:
    """Call the application once and collect its whole answer."""
    exchange = Exchange(case.body)
    await app(scope_of(case), exchange.receive, exchange.send)
    headers = [(key.decode(), value.decode()) for key, value in exchange.headers]
    return Answer(str(exchange.status), headers, exchange.sent)


async def call(app: Any, case: Case, times: int) -> None:
    """Make some requests, one after the other."""
    template, body = scope_of(case), case.body
    copy = template.copy
    for _ in range(times):
        exchange = Exchange(body)
        await app(copy(), exchange.receive, exchange.send)


async def time_case(app: Any, case: Case, seconds: float, repeats: int, clock: str) -> float:
    """The microseconds of one request: the best of some repeats of about ``seconds`` each."""
    now = CLOCKS[clock]
    await call(app, case, WARM_UP)
    started = now()
    await call(app, case, WARM_UP)
    times = max(WARM_UP, int(seconds * WARM_UP / (now() - started)))
    best = float("inf")
    for _ in range(repeats):
        gc.collect()
        started = now()
        await call(app, case, times)
        best = min(best, (now() - started) / times)
    return best * 1e6


async def work(options: argparse.Namespace) -> dict[str, Any]:
    peer = PEERS[options.worker]
    app = getattr(import_module(peer.module), peer.reference.partition(":")[2])
    found: dict[str, Any] = {}
    figures = (options.seconds, options.repeats, options.clock)
    async with Lifespan(app):
        for name in options.routes:
            if options.contract:
                answer = await ask(app, ROUTES[name])
                body = base64.b64encode(answer.body).decode()
                found[name] = {"status": answer.status, "headers": answer.headers, "body": body}
            else:
                found[name] = await time_case(app, ROUTES[name], *figures)
    return found


def run_on(loop: str, options: argparse.Namespace) -> dict[str, Any]:
    if loop == "uvloop":
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    return asyncio.run(work(options))


def run_worker(peer: Peer, routes: list[str], *more: str) -> Any:
    """Run this module as a fresh process and return what it prints last."""
    chosen = [name for name in routes if name not in peer.lacks]
    if not chosen:
        return {}
    worker = [sys.executable, "-m", "benchmarks.asgi_inprocess", "--worker", peer.name]
    argv = [*worker, "--routes", ",".join(chosen), *more]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{peer.name}: {done.stderr[-4000:] or done.stdout}")
    return json.loads(done.stdout.splitlines()[-1])


def check_contract(peers: list[str], routes: list[str], loop: str = "asyncio") -> None:
    """Stop unless all answer as they have to."""
    faults = []
    for name in peers:
        found = run_worker(PEERS[name], routes, "--contract", "--loop", loop)
        for route, raw in found.items():
            headers = [(key, value) for key, value in raw["headers"]]
            answer = Answer(raw["status"], headers, base64.b64decode(raw["body"]))
            faults += [f"{route}, {name}: {text}" for text in faults_of(answer, ROUTES[route])]
    if faults:
        raise SystemExit("the answers differ:\n  " + "\n  ".join(faults))


def measure(
    peers: list[str], routes: list[str], rounds: int, options: list[str]
) -> dict[str, dict[str, list[float]]]:
    """Time each route with each peer, every round in fresh processes and in the other order."""
    times: dict[str, dict[str, list[float]]] = {route: {} for route in routes}
    for number in range(rounds):
        for name in peers if number % 2 == 0 else peers[::-1]:
            for route, microseconds in run_worker(PEERS[name], routes, *options).items():
                times[route].setdefault(name, []).append(microseconds)
        print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
    return times


def gates_of(medians: dict[str, dict[str, float]]) -> list[Gate]:
    """The gates whose two sides were measured."""
    row = medians.get("json", {})
    return [
        Gate(f"json, erlen / {peer}", row["erlen"] / row[peer], most)
        for peer, most in BESIDE.items()
        if "erlen" in row and peer in row
    ]


def print_table(medians: dict[str, dict[str, float]], peers: list[str]) -> None:
    print(f"{'µs a request':14}" + "".join(f"{route:>10}" for route in medians))
    for name in peers:
        cells = (f"{row[name]:>10.2f}" if name in row else f"{'':>10}" for row in medians.values())
        print(f"{name:14}" + "".join(cells))


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.asgi_inprocess", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--routes", type=names(list(ROUTES)), default=list(ROUTES))
    parser.add_argument("--only", type=names(CALLABLE), default=CALLABLE)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--rounds", type=int, help="how many rounds (7, or 3 when quick)")
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--loop", choices=LOOPS, default=LOOPS[0])
    parser.add_argument("--output", type=Path, default=RESULTS / "asgi_inprocess.json")
    parser.add_argument("--worker", choices=CALLABLE, help=argparse.SUPPRESS)
    parser.add_argument("--contract", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=0.2, help=argparse.SUPPRESS)
    parser.add_argument("--repeats", type=int, default=3, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main() -> int:
    options = parse()
    if options.worker:
        print(json.dumps(run_on(options.loop, options)))
        return 0
    peers = [name for name in options.only if PEERS[name].is_installed]
    for name in options.only:
        if name not in peers:
            print(f"{name}: not installed", file=sys.stderr)
    rounds = options.rounds or (3 if options.quick else 7)
    seconds = "0.05" if options.quick else "0.2"
    check_contract(peers, options.routes, options.loop)
    worker = ["--seconds", seconds, "--clock", options.clock, "--loop", options.loop]
    times = measure(peers, options.routes, rounds, worker)
    medians = {
        route: {p: median(found) for p, found in row.items()} for route, row in times.items()
    }
    print_table(medians, peers)
    gates = gates_of(medians)
    packages = [package for name in peers if (package := PEERS[name].package)]
    result = circumstances([*dict.fromkeys(packages), "uvloop", "greenlet", "orjson"])
    result.update(clock=options.clock, loop=options.loop, rounds=rounds)
    result.update(microseconds=medians, samples=times)
    write_result(options.output, result, gates)
    return 0 if print_gates(gates) else 1


if __name__ == "__main__":
    raise SystemExit(main())

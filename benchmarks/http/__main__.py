"""``python -m benchmarks.http``: servers with one worker under load, beside the bare callable.

Needs Linux with two processors, wrk and, for WebSockets, a C compiler.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from statistics import median
from typing import Any

from ..apps import PEERS
from ..inprocess.__main__ import names
from ..inprocess.cases import faults_of
from ..report import RESULTS, Gate, circumstances, print_gates, write_result
from ..routes import ROUTES
from . import loads
from .processes import Server, SetUpError

SUBJECTS = ("requests", "websocket", "events", "upstream", "upstream-sync")
SERVERS = ("granian", "uvicorn")
CLOCKS = ("wall", "cpu")
#: idle connections, and requests at once
STREAMS, CROWD = 1000, 200
#: threads of a synchronous server under requests that are quick
GUNICORN_THREADS = 8
#: peer → the least that Erlen's requests a second on the JSON route may be of the peer's
BESIDE = {
    "asgi": 0.80,
    "starlette": 1.0,
    "litestar": 1.0,
    "fastapi": 2.8,
    "falcon": 1.0,
    "quart": 4.5,
    "emmett": 1.0,
    "sanic": 1.0,
    "robyn": 1.0,
}
#: the least of the bare callable's messages a second, and the most seconds for a crowd
ECHOES_BESIDE_BARE = 0.80
CROWD_SECONDS = 0.30


def lacking(name: str, subject: str) -> bool:
    return subject in PEERS[name].lacks


def check_contract(peers: list[str], routes: list[str], server: str) -> None:
    """Stop unless all answer as they have to."""
    faults = []
    for name in peers:
        with Server(name, server) as running:
            for route in routes:
                if not lacking(name, route):
                    answer = loads.ask(running.port, ROUTES[route])
                    found = faults_of(answer, ROUTES[route])
                    faults += [f"{route}, {name}: {text}" for text in found]
    if faults:
        raise SystemExit("the answers differ:\n  " + "\n  ".join(faults))


def ordered(peers: list[str], number: int) -> list[str]:
    """Every other round starts at the other end."""
    return peers if number % 2 == 0 else peers[::-1]


def threads_of(name: str) -> int:
    return GUNICORN_THREADS if PEERS[name].kind == "gunicorn" else 1


def measure_requests(
    peers: list[str], routes: list[str], options: argparse.Namespace
) -> dict[str, Any]:
    """route → peer → what each round gave."""
    found: dict[str, Any] = {route: {} for route in routes}
    for number in range(options.rounds):
        for name in ordered(peers, number):
            with Server(name, options.server, threads_of(name)) as running:
                for route in routes:
                    if not lacking(name, route):
                        loads.requests(running, ROUTES[route], 1.0)
                        once = loads.requests(running, ROUTES[route], options.seconds)
                        found[route].setdefault(name, []).append(once)
        tell(number, options)
    return found


def measure_echoes(peers: list[str], options: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for number in range(options.rounds):
        for name in ordered(peers, number):
            if not lacking(name, "websocket"):
                with Server(name, options.server) as running:
                    once = loads.echoes(running, options.seconds)
                    found.setdefault(name, []).append(once)
        tell(number, options)
    return found


def measure_events(peers: list[str], options: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for number in range(min(3, options.rounds)):
        for name in ordered(peers, number):
            if not lacking(name, "events"):
                with Server(name, options.server) as running:
                    once = loads.idle_events(running, STREAMS)
                    found.setdefault(name, []).append(once)
    return found


def measure_crowd(peers: list[str], subject: str, options: argparse.Namespace) -> dict[str, Any]:
    """peer → the seconds of a crowd: the first, then the others."""
    found = {}
    for name in peers:
        if not lacking(name, subject):
            times = loads.crowd(
                name, options.server, f"/{subject}", CROWD, 1 + options.rounds, threads=CROWD
            )
            found[name] = {"cold": times[0], "warm": times[1:]}
    return found


def measure(subject: str, peers: list[str], options: argparse.Namespace) -> dict[str, Any]:
    if subject == "requests":
        check_contract(peers, options.routes, options.server)
        return measure_requests(peers, options.routes, options)
    if subject == "websocket":
        return measure_echoes(peers, options)
    if subject == "events":
        return measure_events(peers, options)
    return measure_crowd(peers, subject, options)


def tell(number: int, options: argparse.Namespace) -> None:
    print(f"round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)


def middle(rounds: list[dict[str, float]], key: str) -> float:
    return median(once[key] for once in rounds)


def rate(once: dict[str, float], clock: str) -> float:
    """What was served a second: of the clock on the wall, or of the server's processors."""
    return once["per_second"] if clock == "wall" else once["per_second"] / once["server_busy"]


def ratio(rounds: dict[str, list[dict[str, float]]], ours: str, theirs: str, clock: str) -> float:
    """The median of the ratios of each round, so that a slow minute counts for both sides."""
    pairs = zip(rounds[ours], rounds[theirs], strict=True)
    return median(rate(one, clock) / rate(other, clock) for one, other in pairs)


def gates_of(result: dict[str, Any], clock: str = "wall") -> list[Gate]:
    """The gates whose two sides were measured."""
    gates = []
    rounds = result.get("requests", {}).get("json", {})
    for peer, least in BESIDE.items():
        if "erlen" in rounds and peer in rounds:
            found = ratio(rounds, "erlen", peer, clock)
            gates.append(Gate(f"json, erlen / {peer}", found, least=least))
    echoes = result.get("websocket", {})
    if "erlen" in echoes and "asgi" in echoes:
        found = ratio(echoes, "erlen", "asgi", clock)
        gates.append(Gate("echoes, erlen / asgi", found, least=ECHOES_BESIDE_BARE))
    crowd = result.get("upstream", {})
    if "erlen" in crowd:
        seconds = median(crowd["erlen"]["warm"])
        gates.append(Gate(f"{CROWD} awaits, seconds", seconds, most=CROWD_SECONDS))
    return gates


def print_rates(title: str, rounds: dict[str, list[dict[str, float]]]) -> None:
    """Requests or messages a second and what of them the bare callable's are, by both clocks; how
    busy the server's core and that of the load were."""
    base = next((name for name in ("asgi", "wsgi") if name in rounds), next(iter(rounds), None))
    if base is None:
        return
    heads = ("a second", f"÷ {base}", "CPU s", f"÷ {base}", "server", "load")
    print(f"\n{title:22}" + "".join(f"{head:>10}" for head in heads))
    for name in sorted(rounds, key=lambda name: -middle(rounds[name], "per_second")):
        line = f"{name:22}"
        for clock in CLOCKS:
            found = median(rate(once, clock) for once in rounds[name])
            line += f"{found:>10.0f}{ratio(rounds, name, base, clock):>10.3f}"
        busy = (middle(rounds[name], f"{side}_busy") for side in ("server", "load"))
        print(line + "".join(f"{share:>10.0%}" for share in busy))


def print_result(result: dict[str, Any]) -> None:
    for route, rounds in result.get("requests", {}).items():
        print_rates(f"requests, {route}", rounds)
    print_rates("echoes", result.get("websocket", {}))
    if events := result.get("events"):
        print(f"\n{f'{STREAMS} idle streams':22}{'KiB each':>10}{'open, s':>10}")
        for name, rounds in events.items():
            size, opening = middle(rounds, "bytes_each"), middle(rounds, "seconds_to_open")
            print(f"{name:22}{size / 1024:>10.1f}{opening:>10.2f}")
    for subject in ("upstream", "upstream-sync"):
        if crowd := result.get(subject):
            print(f"\n{f'{CROWD} at once, {subject}':28}{'cold, s':>10}{'warm, s':>10}")
            for name, found in crowd.items():
                print(f"{name:28}{found['cold']:>10.3f}{median(found['warm']):>10.3f}")
    sys.stdout.flush()


def allow_many_files() -> None:
    """For this process and those it starts."""
    import resource

    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.http", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--what", type=names(list(SUBJECTS)), default=list(SUBJECTS))
    parser.add_argument("--routes", type=names(list(ROUTES)), default=["json"])
    parser.add_argument("--only", type=names(list(PEERS)), default=list(PEERS))
    parser.add_argument("--server", choices=SERVERS, default=SERVERS[0], help="of ASGI peers")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--rounds", type=int, help="how many rounds (5, or 2 when quick)")
    parser.add_argument("--seconds", type=float, help="of load in a round (5, or 1 when quick)")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="for the gates")
    parser.add_argument("--output", type=Path, default=RESULTS / "http.json")
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.quick else 5)
    options.seconds = options.seconds or (1.0 if options.quick else 5.0)
    return options


def main() -> int:
    options = parse()
    if (os.cpu_count() or 1) < 2 or not hasattr(os, "sched_setaffinity"):
        raise SetUpError("needs Linux with two processors: one for the server, one for the load")
    allow_many_files()
    peers = [name for name in options.only if PEERS[name].is_installed]
    for name in options.only:
        if name not in peers:
            print(f"{name}: not installed", file=sys.stderr)
    result: dict[str, Any] = {}
    for subject in options.what:
        result[subject] = measure(subject, peers, options)
        print_result({subject: result[subject]})
    print()
    gates = gates_of(result, options.clock)
    packages = [package for name in peers if (package := PEERS[name].package)]
    servers = ["granian", "gunicorn", "uvicorn", "uvloop", "greenlet", "orjson", "aiohttp"]
    known = circumstances([*dict.fromkeys(packages), *servers])
    known.update(server=options.server, clock=options.clock, rounds=options.rounds)
    known.update(seconds=options.seconds, **result)
    write_result(options.output, known, gates)
    return 0 if print_gates(gates) else 1


if __name__ == "__main__":
    raise SystemExit(main())

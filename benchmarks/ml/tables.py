"""What each table measures."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from . import loads, models
from .systems import ECHOES, SYSTEMS, ModelServer, System

Found = dict[str, Any]

#: clients of the closed loop
CLIENTS = 64
#: shares of the capacity for requests that arrive as a Poisson process, and how often each is
#: measured: near the capacity it matters what that is
SHARES = {0.3: 1, 0.6: 1, 0.9: 5}
#: by so much of it at most the capacity differs before and after; otherwise it is tried again, up
#: to so many times for each
UNSTEADY, TRIES = 0.1, 2
#: connections that arrivals have at most where many may be with the server at once; otherwise they
#: have as many as there are clients, like those of wrk2 or of a proxy that keeps a pool
CROWDED = 512
#: what a system with batching is compared with for one client, and for the encoder
PLAIN = {"erlen-wsgi": "erlen-wsgi-plain", "erlen-asgi": "erlen-asgi-plain"}
#: seconds of a run of the pairs with one client, and how many pairs: many short ones, since a
#: machine that others use changes its pace within a second
PAIR_SECONDS, PAIRS = 0.2, 15

#: model whose batches take long → how many times as long it is measured
SLOW = {"encoder": 4}

#: share of the requests with an item that makes the model raise, and the items of a batch there
BAD, BAD_BATCH = 0.01, 32
#: clients that ask at once, of which a half leaves after so many milliseconds; batches are short
#: there, since what is computed for leavers when they leave is nobody's fault
CROWD, LEAVE_AFTER, CROWD_BATCH = 512, 300, 8
#: what is offered, in capacities; seconds that an item has; items that wait at most, fewer than
#: there are threads for views under WSGI
EXCESS, DEADLINE, QUEUE = 3.0, 1.0, 48
#: times that the excess is measured, in turns with the capacity
OVERLOADS = 5
#: clients that ask again at once when they are refused, and how often that is measured
INSISTENT, INSISTENT_TURNS = 96, 3
#: requests with numbers; of them leave, within so many milliseconds
NUMBERED, LEAVING, LEAVE_WITHIN = 100_000, 0.05, 20


class Bench:
    """Where models and environments are, and how long things are measured."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.models: Path = options.environments / "models"

    def server(self, system: str | System, model: str, **environ: str) -> ModelServer:
        chosen = SYSTEMS[system] if isinstance(system, str) else system
        return ModelServer(chosen, model, self.models, self.options.environments, **environ)

    @contextmanager
    def serving(self, system: str, model: str, **environ: str) -> Iterator[ModelServer]:
        """A system that answers."""
        with self.server(system, model, **environ) as server:
            loads.wait_until_ready(server, models.items_of(model, self.models)[0])
            yield server


def check(servers: dict[str, ModelServer], items: list[Any], model: str) -> None:
    """Stop unless all systems answer some items alike."""
    for item in items[:4]:
        answers = {name: loads.ask(server, item) for name, server in servers.items()}
        first, expected = next(iter(answers.items()))
        for name, answer in answers.items():
            if not loads.alike(answer, expected):
                raise SystemExit(f"{model}: {name} answers {answer!r}, {first} {expected!r}")


@contextmanager
def awake(server: ModelServer) -> Iterator[ModelServer]:
    """A server that rests but for this block."""
    server.go_on()
    try:
        yield server
    finally:
        server.rest()


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# Throughput and latency


def throughput(bench: Bench) -> Found:
    """model → what 64 clients got, one client, and arrivals; the systems run at the same time, and
    are asked in turns."""
    return {model: _throughput(bench, model) for model in bench.options.models}


def _throughput(bench: Bench, model: str) -> Found:
    options = bench.options
    longer = SLOW.get(model, 1)
    seconds = options.seconds * longer
    rounds = options.rounds if longer == 1 else -(-options.rounds // 2)
    arriving = options.seconds * max(longer, 2)
    items = models.items_of(model, bench.models)
    with ExitStack() as stack:
        tell(f"{model}: starting {', '.join(options.systems)}")
        servers = {}
        for name in options.systems:
            environ = {"BENCHMARK_BATCH": str(options.batch)}
            servers[name] = stack.enter_context(bench.server(name, model, **environ))
        for server in servers.values():
            loads.wait_until_ready(server, items[0])
        check(servers, items, model)
        for server in servers.values():
            server.rest()
        closed: Found = {}
        for number in range(rounds):
            for name in list(servers)[:: -1 if number % 2 else 1]:
                first = options.warm if number == 0 else 0.3
                with awake(servers[name]) as server:
                    once = loads.run(
                        server, items, connections=CLIENTS, warm=first, seconds=seconds
                    )
                closed.setdefault(name, []).append(once)
                tell(f"{model}: {name}, {once['per_second']:.0f}/s")
        asked = {name: servers[name] for name in servers if name in options.arrivals}
        batches = _batches(servers)  # before there are other loads
        return {
            "clients": closed,
            "batches": batches,
            "pairs": _pairs(servers, items, PAIR_SECONDS * longer),
            "arrivals": _arrivals(asked, items, arriving),
            "crowded": _crowded(asked, items, arriving),
        }


def _pairs(servers: dict[str, ModelServer], items: list[Any], seconds: float) -> Found:
    """With batching and without, in turns: one client."""
    found: Found = {}
    for name, plain in PLAIN.items():
        if name not in servers or plain not in servers:
            continue
        for number in range(PAIRS):
            for which in (name, plain) if number % 2 else (plain, name):
                with awake(servers[which]) as server:
                    once = loads.run(server, items, connections=1, warm=0.1, seconds=seconds)
                found.setdefault(name, {}).setdefault(which, []).append(once)
    return found


def _arrivals(servers: dict[str, ModelServer], items: list[Any], seconds: float) -> Found:
    """Requests that come as a Poisson process, at shares of what clients in a loop get just before.

    In turns with that capacity, since a machine that others use is not as fast as it was a second
    ago. A turn between two capacities that differ is no measurement of its share.
    """
    found: Found = {}
    for name, server in servers.items():
        with awake(server):
            found[name] = {
                str(share): _turns(server, items, seconds, share, count)
                for share, count in SHARES.items()
            }
    return found


def _turns(
    server: ModelServer, items: list[Any], seconds: float, share: float, count: int
) -> list[Found]:
    """Arrivals at a share of the capacity, until so many are of a steady one."""

    def arriving(capacity: Found) -> Found:
        return _arriving(server, items, share * capacity["per_second"], seconds, CLIENTS)

    return _between(lambda: _of_clients(server, items, seconds), arriving, count)


def _between(
    capacity: Callable[[], Found], measure: Callable[[Found], Found], count: int
) -> list[Found]:
    """What is measured between two capacities, by the first of them, until so many turns are of a
    steady one."""
    turns: list[Found] = []
    after = capacity()
    while sum(turn["steady"] for turn in turns) < count and len(turns) < TRIES * count:
        before = after
        once = measure(before)
        after = capacity()
        change = abs(after["per_second"] - before["per_second"]) / before["per_second"]
        steady = change <= UNSTEADY
        turns.append({"capacity": before, "once": once, "after": after, "steady": steady})
    return turns


def _crowded(servers: dict[str, ModelServer], items: list[Any], seconds: float) -> Found:
    """Arrivals near the capacity that may all be with the server at once."""
    found: Found = {}
    for name, server in servers.items():
        with awake(server):
            rate = max(SHARES) * _of_clients(server, items, seconds)["per_second"]
            found[name] = _arriving(server, items, rate, seconds, CROWDED)
    return found


def _arriving(
    server: ModelServer, items: list[Any], rate: float, seconds: float, most: int
) -> Found:
    return loads.run(server, items, rate=rate, most=most, warm=0.5, seconds=seconds)


def _of_clients(server: ModelServer, items: list[Any], seconds: float) -> Found:
    return loads.run(server, items, connections=CLIENTS, warm=0.3, seconds=seconds)


def _batches(servers: dict[str, ModelServer]) -> Found:
    """What the batchers say of themselves: mean size, and the model's seconds for an item."""
    found = {}
    for name in set(PLAIN) & set(servers):
        with awake(servers[name]) as server:
            stats = loads.get(server, "/stats")
        items = sum(int(size) * count for size, count in stats["sizes"].items())
        batches = sum(stats["sizes"].values())
        found[name] = {
            "mean_size": items / batches,
            "seconds_an_item": stats["run_seconds"] / items,
            "sizes": stats["sizes"],
        }
    return found


# Bad items


def bad(bench: Bench) -> Found:
    """system → what became of requests of which some make the model raise."""
    found = {}
    items = models.items_of("poisonable", bench.models)
    poisoned = [[models.POISON, *item[1:]] for item in items]
    for name in bench.options.systems:
        if not SYSTEMS[name].batches:
            continue
        with bench.serving(name, "poisonable", BENCHMARK_BATCH=str(BAD_BATCH)) as server:
            found[name] = loads.run(
                server, items, poisoned, bad=BAD, warm=1.0, seconds=bench.options.seconds * 4
            )
            tell(f"bad items: {name}")
    return found


# Those who leave


def leavers(bench: Bench) -> Found:
    """system → crowds that ask at once: all of it stays, a half leaves."""
    found: Found = {}
    items = models.items_of("encoder", bench.models)
    environ = {
        "BENCHMARK_BATCH": str(CROWD_BATCH),
        "BENCHMARK_QUEUE": str(2 * CROWD),
        "BENCHMARK_CANCELS": "yes",
    }
    for name in PLAIN:
        if name not in bench.options.systems:
            continue
        with bench.serving(name, "encoder", **environ) as server:
            loads.run(server, items, connections=CLIENTS, warm=0.5, seconds=1)
            runs = []
            for _ in range(2):
                stay, leave = (
                    loads.run(server, items, connections=CROWD, burst=after)
                    for after in (-1, LEAVE_AFTER)
                )
                runs.append({"stay": stay, "leave": leave})
            found[name] = runs
            tell(f"leavers: {name}")
    return found


# Too much


def overload(bench: Bench) -> Found:
    """system → in turns its capacity, and what became of requests that came three times as fast."""
    return _beyond(bench, "overload", OVERLOADS, lambda rate: {"rate": EXCESS * rate})


def insistent(bench: Bench) -> Found:
    """system → in turns its capacity, and what more clients get than there are places for, who ask
    again at once when they are refused."""
    return _beyond(bench, "insistent", INSISTENT_TURNS, lambda rate: {"connections": INSISTENT})


def _beyond(
    bench: Bench, label: str, count: int, offer: Callable[[float], dict[str, Any]]
) -> Found:
    """system → in turns its capacity, and what became of more than that.

    A batch of the encoder takes a tenth of a second, and only whole ones are counted: hence longer
    than elsewhere.
    """
    found: Found = {}
    items = models.items_of("encoder", bench.models)
    environ = {"BENCHMARK_DEADLINE": str(DEADLINE), "BENCHMARK_QUEUE": str(QUEUE)}
    long: dict[str, float] = {"warm": 1.5, "seconds": bench.options.seconds * 8}
    for name in PLAIN:
        if name not in bench.options.systems:
            continue
        with bench.serving(name, "encoder", **environ) as server:
            found[name] = _between(
                partial(loads.run, server, items, connections=CLIENTS // 4, **long),
                lambda before: loads.run(server, items, **long, **offer(before["per_second"])),
                count,
            )
            tell(f"{label}: {name}")
    return found


# Whose answer


def ids(bench: Bench) -> Found:
    """interface → what became of numbered requests, each answered with a number or an error."""
    found = {}
    total = NUMBERED // (10 if bench.options.quick else 1)
    for interface, system in ECHOES.items():
        with bench.server(system, "none") as server:
            loads.wait_until_ready(server, "0" * 12)
            found[interface] = loads.run(
                server,
                ["@" * 12],
                connections=CLIENTS,
                warm=0,
                total=total,
                leave=LEAVING,
                leave_to=LEAVE_WITHIN,
            )
            tell(f"ids: {interface}")
    return found


TABLES = {
    "throughput": throughput,
    "bad": bad,
    "leavers": leavers,
    "overload": overload,
    "insistent": insistent,
    "ids": ids,
}

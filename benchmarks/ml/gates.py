"""What the tables say, and whether it is enough."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from statistics import median
from typing import Any

from ..report import Gate
from . import tables
from .tables import PLAIN, Found

OURS = tuple(PLAIN)
BATCHING_PEERS = ("litserve", "bentoml", "mlserver")
#: model → (whom, the least that our answers a second may be of theirs, or of the best of them)
BESIDE: dict[str, tuple[tuple[tuple[str, ...], float], ...]] = {
    "forest": ((("flask",), 20.0), (BATCHING_PEERS, 4.0)),
    "logistic": ((("flask",), 6.0), (("litserve",), 8.0)),
    "mlp": ((("flask",), 3.5), (("litserve",), 6.0)),
}
#: with batching, of what there is without: answers a second where it cannot help, and the median
#: latency of one client
ENCODER_BESIDE_PLAIN, ONE_CLIENT = 0.95, 1.1
#: of the requests that arrive while it is measured, as many as are answered meanwhile
ARRIVALS = 0.9
#: of the share of bad items, the share of requests that fails
BAD_LEAST, BAD_MOST = 0.9, 1.1
#: of the ideal goodput, where a half leaves; of the capacity, where too much is offered
LEAVERS, OVERLOAD = 0.95, 0.9
#: of the capacity, what insistent clients leave of it
INSISTENT = 0.5
#: in deadlines: the slowest hundredth of the accepted, and of the refused
ACCEPTED, REFUSED = 2.0, 0.1
#: the least that is refused, where two thirds are too much
REFUSED_SHARE = 0.5
#: of what is offered in excess, the share that gets another answer than a result or a 503
NEITHER = 0.01


def rate(once: Found, clock: str) -> float:
    """Answers a second: of the clock on the wall, or of the server's processor time."""
    found: float = once["per_second"]
    return found if clock == "wall" else found / once["server_busy"]


def rate_of(rounds: Iterable[Found], clock: str) -> float:
    return median(rate(once, clock) for once in rounds)


def beside(clients: Found, ours: str, theirs: str, clock: str) -> float:
    """Our answers a second by theirs, of the same round: a machine that others use is another one
    minutes later. Infinite where they have not answered."""
    both = zip(clients[ours], clients[theirs], strict=True)
    rates = ((rate(one, clock), rate(other, clock)) for one, other in both)
    return median(one / other if other else math.inf for one, other in rates)


def gates_of(result: Found, clock: str) -> list[Gate]:
    """The gates whose sides were measured."""
    gates: list[Gate] = []
    for model, found in result.get("throughput", {}).items():
        gates += _of_clients(model, found["clients"], clock)
        gates += _of_pairs(model, found["pairs"])
        gates += _of_arrivals(model, found["arrivals"])
    for name, once in result.get("bad", {}).items():
        if name in OURS:
            share = failed_share(once) / bad_share(once)
            gates.append(Gate(f"bad items, failed / bad, {name}", share, least=BAD_LEAST))
            gates.append(Gate(f"bad items, failed / bad, {name}", share, most=BAD_MOST))
    for name, runs in result.get("leavers", {}).items():
        if name == "erlen-asgi":  # WSGI has no way to tell that a client has left
            share = median(goodput_of_stayers(run, clock) for run in runs)
            gates.append(Gate(f"leavers, goodput / ideal, {name}", share, least=LEAVERS))
    for name, runs in result.get("overload", {}).items():
        gates += _of_overload(name, runs, clock)
    for name, runs in result.get("insistent", {}).items():
        share = median(overload_goodput(run, clock) for run in runs)
        gates.append(Gate(f"insistent clients, goodput, {name}", share, least=INSISTENT))
    for interface, once in result.get("ids", {}).items():
        gates.append(Gate(f"ids, {interface}: wrong answers", once["wrong"], most=0.0))
    return gates


def _of_clients(model: str, clients: Found, clock: str) -> Iterator[Gate]:
    for ours in OURS:
        if ours not in clients:
            continue
        for theirs, least in BESIDE.get(model, ()):
            shares = [beside(clients, ours, name, clock) for name in theirs if name in clients]
            if shares:
                label = theirs[0] if len(theirs) == 1 else "best of batching"
                yield Gate(f"{model}, {ours} / {label}", min(shares), least=least)
        if model == "encoder" and PLAIN[ours] in clients:
            share = beside(clients, ours, PLAIN[ours], clock)
            yield Gate(f"{model}, {ours} / {PLAIN[ours]}", share, least=ENCODER_BESIDE_PLAIN)


def middle_of(once: Found) -> float:
    """The median latency in seconds; infinite without an answer."""
    found: float = once["answered"].get("p50", math.inf)
    return found


def pair_ratios(pairs: Found, ours: str) -> list[float]:
    """The median latency of one client with batching by that without, for each pair."""
    both = zip(pairs[ours][ours], pairs[ours][PLAIN[ours]], strict=True)
    return [middle_of(one) / middle_of(other) for one, other in both]


def _of_pairs(model: str, pairs: Found) -> Iterator[Gate]:
    for ours in pairs:
        share = median(pair_ratios(pairs, ours))
        yield Gate(f"{model}, one client's p50, {ours}", share, most=ONE_CLIENT)


def goodput_share(once: Found) -> float:
    """Results by arrivals, both while it was measured; what waits at the end is missing."""
    return float(once["per_second"] * once["seconds"] / max(once["offered"], 1))


def counted(turns: list[Found]) -> list[Found]:
    """The turns between capacities that hardly differ; all of them where there is none."""
    return [turn for turn in turns if turn["steady"]] or turns


def _of_arrivals(model: str, arrivals: Found) -> Iterator[Gate]:
    for ours in set(OURS) & set(arrivals):
        for share, turns in arrivals[ours].items():
            label = f"{model}, answered at {float(share):.0%}, {ours}"
            answered = median(goodput_share(turn["once"]) for turn in counted(turns))
            yield Gate(label, answered, least=ARRIVALS)


def failed_share(once: Found) -> float:
    """Of all answers, those without a result."""
    counts = [*once["good"].items(), *once["bad"].items()]
    failed = sum(count for status, count in counts if status != "200")
    return float(failed / sum(count for _, count in counts))


def bad_share(once: Found) -> float:
    bad = sum(once["bad"].values())
    return float(bad / (bad + sum(once["good"].values())))


def goodput_of_stayers(run: dict[str, Found], clock: str) -> float:
    """The seconds that those who stay would need if leavers cost nothing from when they leave, by
    the seconds that they needed."""
    stay, leave = run["stay"], run["leave"]
    # The share of the core that the server got counts for the processor's clock.
    got = 1.0 if clock == "wall" else stay["server_busy"] / leave["server_busy"]
    pace = stay["seconds"] / stay["answered"]["count"]
    remaining = tables.CROWD / 2 - leave["stayers_before"]
    ideal: float = leave["until_leaving"] + remaining * pace * got
    return ideal / leave["seconds"]


def overload_goodput(run: Found, clock: str) -> float:
    """Results a second where too much is asked, by those where as much is as can be done, before
    it and after."""
    capacity = (rate(run["capacity"], clock) + rate(run["after"], clock)) / 2
    return rate(run["once"], clock) / capacity


def _of_overload(name: str, runs: list[Found], clock: str) -> Iterator[Gate]:
    """The goodput as a rule, and all else at the worst."""
    goodput = median(overload_goodput(run, clock) for run in counted(runs))
    yield Gate(f"overload, goodput, {name}", goodput, least=OVERLOAD)
    offered = [run["once"] for run in runs]
    for label, kind, most in (("accepted", "answered", ACCEPTED), ("refused", "refused", REFUSED)):
        slowest = max(once[kind].get("p99", 0.0) for once in offered) / tables.DEADLINE
        yield Gate(f"overload, p99 of {label} / deadline, {name}", slowest, most=most)
    refused = min(once["refused"]["count"] / max(once["offered"], 1) for once in offered)
    yield Gate(f"overload, refused, {name}", refused, least=REFUSED_SHARE)
    neither = max(neither_share(once) for once in offered)
    yield Gate(f"overload, neither 200 nor 503, {name}", neither, most=NEITHER)


def neither_share(once: Found) -> float:
    neither: int = once["others"]["count"] + once["unanswered"] + once["closed"]
    return float(neither / max(once["offered"], 1))


def limits_of(found: Found) -> list[str]:
    """For each of ours what a request costs, and what its batches were like since it started."""
    lines = []
    for name, batches in sorted(found["batches"].items()):
        once = found["clients"][name][-1]
        total = 1e6 * once["server_busy"] / once["per_second"]
        lines.append(
            f"  {name}: {total:.0f} µs of processor time a request; batches of"
            f" {batches['mean_size']:.0f} on average, in which an item took"
            f" {1e6 * batches['seconds_an_item']:.0f} µs on the clock"
        )
    return lines


def milliseconds(once: Found, kind: str, key: str) -> str:
    value: Any = once[kind].get(key)
    return "-" if value is None else f"{1e3 * value:.2f}"

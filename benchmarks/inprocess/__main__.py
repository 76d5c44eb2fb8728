"""``python -m benchmarks.inprocess``: the time of a request in Erlen beside Flask and others."""

from __future__ import annotations

import argparse
import base64
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from ..report import RESULTS, ROOT, Gate, circumstances, print_gates, write_result
from .apps import FRAMEWORKS
from .cases import CASES, ROUTE_SETS, Answer, faults_of

#: case → the most that Erlen's time may be of the real Flask's
BESIDE_FLASK = {
    "json": 0.08,
    "plain": 0.08,
    "url": 0.12,
    "hooks": 0.12,
    "rules": 0.12,
    "echo": 0.15,
    "form": 0.40,
    "abort": 0.25,
    "404": 0.40,
    "404-handler": 0.40,
    "session": 0.40,
}
#: the same for Falcon, in its compiled form
BESIDE_FALCON = {"json": 1.0, "plain": 1.0, "url": 1.0, "echo": 1.0}


def run_worker(framework: str, route_set: str, cases: list[str], *more: str) -> Any:
    """Run the worker in a fresh process and return what it prints."""
    worker = [sys.executable, "-m", "benchmarks.inprocess.worker"]
    argv = [*worker, framework, route_set, ",".join(cases), *more]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{framework}, {route_set}: {done.stderr[-4000:] or done.stdout}")
    return json.loads(done.stdout)


def grouped(cases: list[str]) -> dict[str, list[str]]:
    """The chosen cases by route set."""
    groups = {s: [c for c in cases if CASES[c].route_set == s] for s in ROUTE_SETS}
    return {route_set: chosen for route_set, chosen in groups.items() if chosen}


def check_contract(frameworks: list[str], cases: list[str]) -> None:
    """Stop unless all answer alike; Erlen has to answer as Flask does to the byte."""
    faults = []
    seen: dict[str, dict[str, Answer]] = {case: {} for case in cases}
    for framework in frameworks:
        for route_set, chosen in grouped(cases).items():
            raw = run_worker(framework, route_set, chosen, "--contract")
            for name, found in raw.items():
                headers = [(key, value) for key, value in found["headers"]]
                answer = Answer(found["status"], headers, base64.b64decode(found["body"]))
                seen[name][framework] = answer
                faults += [
                    f"{name}, {framework}: {text}" for text in faults_of(answer, CASES[name])
                ]
    for name, by_framework in seen.items():
        if CASES[name].expected is None and CASES[name].content != "any":
            bodies = {answer.body for answer in by_framework.values()}
            if len(bodies) > 1:
                faults.append(f"{name}: {len(bodies)} different bodies")
        if "flask" in by_framework and "erlen" in by_framework:
            ours, theirs = exact(by_framework["erlen"]), exact(by_framework["flask"])
            if ours != theirs:
                faults.append(f"{name}: Erlen answers {ours}, Flask {theirs}")
    if faults:
        raise SystemExit("the answers differ:\n  " + "\n  ".join(faults))


def exact(answer: Answer) -> tuple[Any, ...]:
    """An answer without what changes from one to the next: the date and a signature's time."""
    changing = {"date", "expires", "set-cookie"}
    headers = sorted(item for item in answer.headers if item[0].lower() not in changing)
    return answer.status, headers, bool(answer.header("set-cookie")), answer.body


def measure(
    frameworks: list[str], cases: list[str], rounds: int, options: list[str]
) -> dict[str, dict[str, list[float]]]:
    """Time each case in each framework, every round in fresh processes and in the other order."""
    times: dict[str, dict[str, list[float]]] = {c: {f: [] for f in frameworks} for c in cases}
    for number in range(rounds):
        order = frameworks if number % 2 == 0 else frameworks[::-1]
        for route_set, chosen in grouped(cases).items():
            for framework in order:
                found = run_worker(framework, route_set, chosen, *options)
                for case, microseconds in found.items():
                    times[case][framework].append(microseconds)
        print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
    return times


def falcon_is_compiled() -> bool:
    """Whether Falcon's wheel brought its compiled parts."""
    spec = find_spec("falcon.cyutil.uri") if find_spec("falcon") else None
    return bool(spec and spec.origin and not spec.origin.endswith(".py"))


def gates_of(medians: dict[str, dict[str, float]]) -> list[Gate]:
    """The gates whose two sides were measured."""
    gates = []
    peers = [("flask", BESIDE_FLASK)]
    if falcon_is_compiled():
        peers.append(("falcon", BESIDE_FALCON))
    for peer, limits in peers:
        for case, most in limits.items():
            row = medians.get(case, {})
            if "erlen" in row and peer in row:
                gates.append(Gate(f"{case}, erlen / {peer}", row["erlen"] / row[peer], most))
    return gates


def print_table(medians: dict[str, dict[str, float]], frameworks: list[str]) -> None:
    ratios = [name for name in frameworks if name != "erlen" and "erlen" in frameworks]
    head = "".join(f"{name:>10}" for name in frameworks)
    print(f"{'µs a request':14}{head}" + "".join(f"{'÷ ' + name:>10}" for name in ratios))
    for case, row in medians.items():
        line = "".join(f"{row[name]:>10.2f}" for name in frameworks)
        print(f"{case:14}{line}" + "".join(f"{row['erlen'] / row[n]:>10.3f}" for n in ratios))


def names(known: list[str]) -> Any:
    """A comma-separated option whose parts have to be among the known ones."""

    def parse(text: str) -> list[str]:
        chosen = text.split(",")
        if unknown := [name for name in chosen if name not in known]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not among {', '.join(known)}")
        return [name for name in known if name in chosen]

    return parse


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inprocess", description=__doc__)
    parser.add_argument("--routes", type=names(list(CASES)), default=list(CASES))
    parser.add_argument("--only", type=names(list(FRAMEWORKS)), default=list(FRAMEWORKS))
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--rounds", type=int, help="how many rounds (7, or 3 when quick)")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--output", type=Path, default=RESULTS / "inprocess.json")
    options = parser.parse_args()
    rounds = options.rounds or (3 if options.quick else 7)
    figures = ("0.03", "3") if options.quick else ("0.1", "3")
    check_contract(options.only, options.routes)
    worker = ["--seconds", figures[0], "--repeats", figures[1], "--clock", options.clock]
    times = measure(options.only, options.routes, rounds, worker)
    medians = {case: {f: median(found) for f, found in row.items()} for case, row in times.items()}
    print_table(medians, options.only)
    gates = gates_of(medians)
    distributions = [name for _, name in FRAMEWORKS.values() if name]
    result = circumstances([*distributions, "werkzeug", "orjson", "jinja2", "itsdangerous"])
    result["falcon_compiled"] = falcon_is_compiled()
    result.update(clock=options.clock, rounds=rounds, microseconds=medians, samples=times)
    write_result(options.output, result, gates)
    return 0 if print_gates(gates) else 1


if __name__ == "__main__":
    raise SystemExit(main())

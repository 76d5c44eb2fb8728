"""``python -m benchmarks.importtime``: a process that imports Erlen beside Flask's."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from .report import RESULTS, Gate, circumstances, print_gates, write_result

#: the most that ``import erlen`` may take of the time of ``import flask``
BESIDE_FLASK = 0.6
STATEMENTS = {"erlen": "import erlen", "flask": "import flask", "nothing": ""}


def environment(bytecode: str) -> dict[str, str]:
    """One that keeps all bytecode in its own place: what one side has compiled, the other has."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": bytecode}


def seconds_of(statement: str, environ: dict[str, str]) -> float:
    """Start a Python that runs the statement; return how long the whole process took."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], env=environ, check=True)
    return time.perf_counter() - started


def measure(rounds: int) -> dict[str, list[float]]:
    """Time the statements in pairs, the order turned each round; the first fills caches."""
    times: dict[str, list[float]] = {name: [] for name in STATEMENTS}
    with tempfile.TemporaryDirectory() as bytecode:
        environ = environment(bytecode)
        for number in range(-1, rounds):
            order = list(STATEMENTS) if number % 2 else list(STATEMENTS)[::-1]
            for name in order:
                seconds = seconds_of(STATEMENTS[name], environ)
                if number >= 0:
                    times[name].append(seconds * 1e3)
    return times


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.importtime", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--rounds", type=int, help="how many pairs (40, or 10 when quick)")
    parser.add_argument("--output", type=Path, default=RESULTS / "importtime.json")
    options = parser.parse_args()
    times = measure(options.rounds or (10 if options.quick else 40))
    medians = {name: median(found) for name, found in times.items()}
    for name, milliseconds in medians.items():
        print(f"{STATEMENTS[name] or 'nothing':14}{milliseconds:8.1f} ms")
    pairs = zip(times["erlen"], times["flask"], strict=True)
    ratio = median(ours / theirs for ours, theirs in pairs)
    gates = [Gate("import erlen / import flask", ratio, BESIDE_FLASK)]
    result: dict[str, Any] = circumstances(["erlen", "flask", "werkzeug"])
    result.update(milliseconds=medians, samples=times)
    write_result(options.output, result, gates)
    return 0 if print_gates(gates) else 1


if __name__ == "__main__":
    raise SystemExit(main())

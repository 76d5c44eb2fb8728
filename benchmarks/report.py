"""Where and on what a benchmark ran, its gates, and its result file."""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"


@dataclass(frozen=True)
class Gate:
    """A ratio within one run, and the most or the least that it may be."""

    name: str
    ratio: float
    most: float = math.inf
    least: float = 0.0

    @property
    def holds(self) -> bool:
        return self.least <= self.ratio <= self.most

    def __str__(self) -> str:
        word = "pass" if self.holds else "FAIL"
        bound = f"at least {self.least:.2f}" if self.least else f"at most {self.most:.2f}"
        return f"{word}  {self.name:28} {self.ratio:7.3f}   ({bound})"


def processor() -> str:
    """The processor's name, where the system tells it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def commit() -> str:
    """The commit that is checked out, marked when the tree differs from it."""
    git = ["git", "-C", str(ROOT)]
    try:
        head = _output([*git, "rev-parse", "--short=12", "HEAD"])
        changed = _output([*git, "status", "--porcelain", "-uno"])
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.strip() + ("+changes" if changed.strip() else "")


def _output(argv: list[str]) -> str:
    return subprocess.check_output(argv, text=True, stderr=subprocess.DEVNULL)


def versions(distributions: Iterable[str]) -> dict[str, str]:
    found = {}
    for name in distributions:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def circumstances(distributions: Iterable[str]) -> dict[str, Any]:
    """The machine, the versions and the commit, for a result file."""
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": {
            "processor": processor(),
            "processors": os.cpu_count(),
            "system": f"{platform.system()} {platform.release()}",
            "python": f"{platform.python_implementation()} {platform.python_version()}",
        },
        "versions": versions(distributions),
    }


def as_json(gate: Gate) -> dict[str, Any]:
    """The gate with the one bound that it has."""
    fields = {"name": gate.name, "ratio": gate.ratio, "holds": gate.holds}
    return {**fields, "least": gate.least} if gate.least else {**fields, "most": gate.most}


def write_result(path: Path, result: dict[str, Any], gates: Iterable[Gate]) -> None:
    """Write the result as JSON, with its gates."""
    result["gates"] = [as_json(gate) for gate in gates]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def print_gates(gates: Iterable[Gate]) -> bool:
    """Print each gate and the sum; return whether all hold."""
    gates = list(gates)
    for gate in gates:
        print(gate)
    failed = sum(not gate.holds for gate in gates)
    print(f"{len(gates) - failed} passed, {failed} failed")
    return not failed

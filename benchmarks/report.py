"""Where and on what a benchmark ran, its gates, and its result file."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"


@dataclass(frozen=True)
class Gate:
    """A ratio within one run, and the most that it may be."""

    name: str
    ratio: float
    most: float

    @property
    def holds(self) -> bool:
        return self.ratio <= self.most

    def __str__(self) -> str:
        word = "pass" if self.holds else "FAIL"
        return f"{word}  {self.name:28} {self.ratio:7.3f}   (at most {self.most:.2f})"


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
        head = subprocess.check_output([*git, "rev-parse", "--short=12", "HEAD"], text=True)
        changed = subprocess.check_output([*git, "status", "--porcelain", "-uno"], text=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.strip() + ("+changes" if changed.strip() else "")


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


def write_result(path: Path, result: dict[str, Any], gates: Iterable[Gate]) -> None:
    """Write the result as JSON, with its gates."""
    result["gates"] = [{**asdict(gate), "holds": gate.holds} for gate in gates]
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

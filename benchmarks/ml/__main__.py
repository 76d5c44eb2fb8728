"""``python -m benchmarks.ml [TABLE ...]``: models behind HTTP, with batching and without.

The tables are throughput, bad (items), leavers, overload, insistent (clients) and ids; without a
name, all of them.
Needs Linux with two processors and a C compiler. The systems are installed by the command.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from ..http.__main__ import CLOCKS, allow_many_files
from ..http.processes import SetUpError
from ..inprocess.__main__ import names
from ..report import RESULTS, ROOT, circumstances, print_gates, write_result
from . import gates
from .environments import PINS, provide, python_of, tell_versions
from .gates import gates_of, milliseconds, rate_of
from .models import MODELS, SINGLE
from .systems import SYSTEMS
from .tables import CROWDED, INSISTENT, PLAIN, SHARES, TABLES, Bench, Found

PACKAGES = (
    *("Flask", "gunicorn", "fastapi", "uvicorn", "litserve", "bentoml", "mlserver", "granian"),
    *("numpy", "scikit-learn", "torch", "onnxruntime", "sentence-transformers", "transformers"),
)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ml", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=", ".join(TABLES))
    parser.add_argument("--models", type=names(list(MODELS)), default=list(MODELS))
    parser.add_argument("--systems", type=names(list(SYSTEMS)), default=list(SYSTEMS))
    parser.add_argument(
        "--arrivals", type=names(list(SYSTEMS)), default=list(PLAIN), help="asked at random times"
    )
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--rounds", type=int, help="how many rounds (7, or 1 when quick)")
    parser.add_argument(
        "--seconds", type=float, help="of load in a round (0.75, or 0.5 when quick)"
    )
    parser.add_argument("--warm", type=float, default=1.0, help="seconds before the first round")
    parser.add_argument("--batch", type=int, default=64, help="items of a batch at most (64)")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="for the gates")
    parser.add_argument(
        "--environments", type=Path, default=ROOT / "build" / "ml", help="where systems are kept"
    )
    parser.add_argument("--output", type=Path, default=RESULTS / "ml.json")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 7)
    options.seconds = options.seconds or (0.5 if options.quick else 0.75)
    options.environments = options.environments.absolute()
    for table in options.tables:
        if table not in TABLES:
            parser.error(f"no table {table!r}; there are {', '.join(TABLES)}")
    return options


def prepare(options: argparse.Namespace) -> None:
    """Environments and models, made once and kept."""
    needed = {SYSTEMS[name].environment for name in options.systems}
    for name in [name for name in PINS if name in needed | {"main"}]:
        provide(options.environments, name)
    directory = options.environments / "models"
    if not (directory / "items.json").is_file():
        python = str(python_of(options.environments, "main"))
        argv = [python, "-m", f"{__package__}.models", str(directory)]
        subprocess.run(argv, cwd=ROOT, env={**os.environ, **SINGLE}, check=True)


def print_throughput(model: str, found: Found, clock: str) -> None:
    clients = found["clients"]
    heads = ("a second", "CPU s", "p50, ms", "p99, ms", "server", "load")
    print(f"\n{model + ', 64 clients':24}" + "".join(f"{head:>10}" for head in heads))
    base = "flask" if "flask" in clients else next(iter(clients))
    for name in sorted(clients, key=lambda name: -rate_of(clients[name], clock)):
        rounds = clients[name]
        last = rounds[-1]
        line = f"{name:24}" + "".join(f"{rate_of(rounds, one):>10.0f}" for one in CLOCKS)
        line += "".join(f"{milliseconds(last, 'answered', key):>10}" for key in ("p50", "p99"))
        line += f"{last['server_busy']:>10.0%}{last['load_busy']:>10.0%}"
        print(line + f"{gates.beside(clients, name, base, clock):>10.2f} × {base}")
    for line in gates.limits_of(found):
        print(line)
    for ours, both in found["pairs"].items():
        middle = (
            1e3 * median(gates.middle_of(once) for once in both[name])
            for name in (ours, PLAIN[ours])
        )
        print("  one client, {}: p50 {:.3f} ms, {:.3f} without batching".format(ours, *middle))
    for name, shares in found["arrivals"].items():
        for share, turns in shares.items():
            print(f"  arrivals at {float(share):.0%} of {name}: " + _told_of(turns))
    for name, once in found["crowded"].items():
        figures = [milliseconds(once, "answered", key) for key in ("p50", "p99")]
        print(
            f"  arrivals at {max(SHARES):.0%} of {name} with up to {CROWDED} connections:"
            f" {gates.goodput_share(once):.0%} answered, p50 {figures[0]} ms, p99 {figures[1]} ms"
        )


def _told_of(turns: list[Found]) -> str:
    """What was answered meanwhile in each turn; in brackets where the capacity changed."""
    shares = [
        ("{:.0%}" if turn["steady"] else "({:.0%})").format(gates.goodput_share(turn["once"]))
        for turn in turns
    ]
    counted = sorted((turn["once"] for turn in gates.counted(turns)), key=gates.goodput_share)
    middle = counted[len(counted) // 2]
    figures = [milliseconds(middle, "answered", key) for key in ("p50", "p99")]
    return f"{', '.join(shares)} answered, p50 {figures[0]} ms, p99 {figures[1]} ms"


def print_bad(found: Found, clock: str) -> None:
    print(f"\n{'bad items, in batches':24}{'bad':>10}{'failed':>10}{'a second':>10}{'p99, ms':>10}")
    for name, once in found.items():
        line = f"{name:24}{gates.bad_share(once):>10.2%}{gates.failed_share(once):>10.2%}"
        print(line + f"{once['per_second']:>10.0f}{milliseconds(once, 'answered', 'p99'):>10}")


def print_leavers(found: Found, clock: str) -> None:
    print(f"\n{'a half leaves':24}{'all stay, s':>12}{'leave, s':>10}{'ideal':>10}")
    for name, runs in found.items():
        share = median(gates.goodput_of_stayers(run, clock) for run in runs)
        stay, leave = (median(run[which]["seconds"] for run in runs) for which in ("stay", "leave"))
        print(f"{name:24}{stay:>12.2f}{leave:>10.2f}{share:>10.1%}")


def print_overload(title: str, found: Found, clock: str) -> None:
    heads = (
        "capacity",
        "after",
        "offered",
        "goodput",
        "ratio",
        "p99, ms",
        "503",
        "p99, ms",
        "else",
    )
    print(f"\n{title:24}" + "".join(f"{head:>10}" for head in heads))
    for name, runs in found.items():
        for run in runs:
            once = run["once"]
            line = f"{name:24}"
            line += "".join(f"{run[at]['per_second']:>10.0f}" for at in ("capacity", "after"))
            line += f"{once['offered'] / once['seconds']:>10.0f}{once['per_second']:>10.0f}"
            ratio = "{:.2f}" if run["steady"] else "({:.2f})"
            line += f"{ratio.format(gates.overload_goodput(run, clock)):>10}"
            line += f"{milliseconds(once, 'answered', 'p99'):>10}{once['refused']['count']:>10}"
            line += f"{milliseconds(once, 'refused', 'p99'):>10}{gates.neither_share(once):>10.1%}"
            print(line)


def print_ids(found: Found, clock: str) -> None:
    print(f"\n{'numbered requests':24}{'asked':>10}{'wrong':>10}{'left':>10}  answers by status")
    for name, once in found.items():
        statuses = ", ".join(f"{status}: {count}" for status, count in once["good"].items())
        print(f"{name:24}{once['asked']:>10}{once['wrong']:>10}{once['left']:>10}  {statuses}")


PRINTERS = {
    "bad": print_bad,
    "leavers": print_leavers,
    "overload": partial(print_overload, "three times too much"),
    "insistent": partial(print_overload, f"{INSISTENT} who ask at once"),
    "ids": print_ids,
}


def print_table(table: str, found: Found, clock: str) -> None:
    if table == "throughput":
        for model, its in found.items():
            print_throughput(model, its, clock)
    else:
        PRINTERS[table](found, clock)
    sys.stdout.flush()


def circumstances_of(options: argparse.Namespace) -> dict[str, Any]:
    known = circumstances([])
    for name in PINS:
        if python_of(options.environments, name).is_file():
            installed = tell_versions(options.environments, name)
            known["versions"].update({p: installed[p] for p in PACKAGES if p in installed})
    settings = ("clock", "rounds", "seconds", "batch", "models", "systems")
    return {**known, **{name: getattr(options, name) for name in settings}}


def main() -> int:
    options = parse()
    if (os.cpu_count() or 1) < 2 or not hasattr(os, "sched_setaffinity"):
        raise SetUpError("needs Linux with two processors: one for the server, one for the load")
    allow_many_files()
    prepare(options)
    result: dict[str, Any] = {}
    for table in options.tables or TABLES:
        result[table] = TABLES[table](Bench(options))
        print_table(table, result[table], options.clock)
    print()
    found = gates_of(result, options.clock)
    write_result(options.output, {**circumstances_of(options), **result}, found)
    return 0 if print_gates(found) else 1


if __name__ == "__main__":
    raise SystemExit(main())

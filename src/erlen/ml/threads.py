"""How many threads a model may compute with: the cores, divided among the worker processes.

Numeric libraries start a thread for each core in each process. Four workers on two cores then
have eight threads that wait for each other in turn, which is many times slower than one each.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
import typing as t
from math import ceil
from pathlib import Path

if t.TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence

#: Read by OpenMP, and by most other libraries where their own variable is not set.
OPENMP = "OMP_NUM_THREADS"
#: Of libraries that go by `OMP_NUM_THREADS` as well.
FOLLOWERS = (
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
#: Of libraries that do not: Apple's, the tokenizers of Hugging Face, polars, the workers of joblib.
OTHERS = (
    "VECLIB_MAXIMUM_THREADS",
    "RAYON_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "LOKY_MAX_CPU_COUNT",
)

# The servers whose option `--workers` (gunicorn and uvicorn: also in the environment) is read.
_SERVERS = re.compile(r"^(gunicorn|uvicorn|hypercorn|granian)(\.exe)?$")


def limit_threads(workers: int | None = None) -> int:
    """Have numeric libraries use the cores divided by `workers`; returns that number.

    Sets the environment for those that are not imported yet, apart from variables which the user
    has set, and tells torch, and through threadpoolctl (which scikit-learn brings) BLAS and
    OpenMP, where these are imported already. To be called in each worker process, before the
    model is loaded.

    :param workers: processes that share the cores. Without it, what was decided in this process
        or its parent counts, else the workers that the server was started with, as far as that
        can be found out
    """
    decided = os.environ.get(_MARK, "")
    if workers is None and decided.isdigit():
        count = int(decided)
    else:
        count = max(1, count_cores() // (workers or find_workers()))
    theirs = os.environ.get(OPENMP)
    is_ours = set_variables(os.environ, count)
    if is_ours:
        _tell_imported(count)
        return count
    number = (theirs or "").partition(",")[0].strip()
    return int(number) if number.isdigit() and int(number) else count


def set_variables(environ: MutableMapping[str, str], count: int) -> bool:
    """Set the variables that are not set; False if the user has set `OMP_NUM_THREADS`."""
    is_ours = environ.get(OPENMP, "").strip() in ("", environ.get(_MARK))
    names = (OPENMP, *FOLLOWERS, *OTHERS) if is_ours else OTHERS
    before = environ.get(_MARK)
    for name in names:
        if environ.get(name, "").strip() in ("", before):
            environ[name] = str(count)
    environ[_MARK] = str(count)
    return is_ours


# Remembers what was set here, for processes that inherit it and divide anew.
_MARK = "_ERLEN_MODEL_THREADS"


def _tell_imported(count: int) -> None:
    torch = sys.modules.get("torch")
    if hasattr(torch, "set_num_threads"):
        t.cast("t.Any", torch).set_num_threads(count)
    if "numpy" in sys.modules or "scipy" in sys.modules:
        try:
            from threadpoolctl import (  # type: ignore[import-untyped,unused-ignore]
                threadpool_limits,
            )
        except ImportError:
            return
        threadpool_limits(count)


# Cores


def count_cores(root: str | os.PathLike[str] = "/") -> int:
    """The cores that this process may use: by affinity, and by the quota of its cgroup.

    A quota of one and a half cores counts as two.
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    quota = cgroup_quota(Path(root))
    return cores if quota is None else max(1, min(cores, ceil(quota)))


def cgroup_quota(root: Path) -> float | None:
    """Cores that the cgroup of this process is granted, the least of it and those around it.

    `cpu.max` of version 2, `cpu.cfs_quota_us` and `cpu.cfs_period_us` of version 1; see cgroups(7)
    of Linux. None without a limit.
    """
    quotas = []
    for folder in _cgroup_folders(root):
        limit = _read(folder / "cpu.max").split()
        if not limit:
            limit = [_read(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period")]
        if len(limit) == 2 and limit[0].isdigit() and limit[1].isdigit() and int(limit[1]):
            quotas.append(int(limit[0]) / int(limit[1]))
    return min(quotas, default=None)


def _cgroup_folders(root: Path) -> list[Path]:
    """The folders of the cgroups that this process is in, each with those around it."""
    mount = root / "sys/fs/cgroup"
    folders: dict[Path, None] = {mount: None, mount / "cpu": None}
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = mount / "cpu" if controllers else mount
        here = top / path.lstrip("/")
        while here != top and top in here.parents:
            folders[here] = None
            here = here.parent
    return list(folders)


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


# Workers


def find_workers() -> int:
    """The processes that the server was started with, by what is known of it; 1 else.

    The variable `WEB_CONCURRENCY`, which `erlen serve`, Gunicorn and uvicorn read, and the option
    `--workers` of Gunicorn (also in `GUNICORN_CMD_ARGS`), uvicorn, Hypercorn and Granian. A number
    in a configuration file is not seen.
    """
    arguments = _arguments_of_server(sys.argv)
    told = _option(arguments)
    if told is None and _server_of(sys.argv) == "gunicorn":
        told = _option(shlex.split(os.environ.get("GUNICORN_CMD_ARGS", "")))
    if told is None:
        told = os.environ.get("WEB_CONCURRENCY", "")
    return int(told) if told.isdigit() and int(told) else 1


def _server_of(argv: Sequence[str]) -> str | None:
    if not argv:
        return None
    program = Path(argv[0])
    # `python -m gunicorn` has the path of a module there.
    name = program.parent.name if program.name == "__main__.py" else program.name
    found = _SERVERS.match(name)
    return found and found[1]


def _arguments_of_server(argv: Sequence[str]) -> Sequence[str]:
    return argv[1:] if _server_of(argv) else ()


def _option(arguments: Sequence[str]) -> str | None:
    """The value of the last `-w N`, `-wN`, `--workers N` or `--workers=N`."""
    told = None
    for index, argument in enumerate(arguments):
        if argument in ("-w", "--workers"):
            told = next(iter(arguments[index + 1 :]), None)
        elif found := re.fullmatch(r"(?:--workers=|-w)(\d+)", argument):
            told = found[1]
    return told

"""Cores are divided among workers, as environment, libraries and cgroups say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from erlen.ml.threads import (
    FOLLOWERS,
    OPENMP,
    OTHERS,
    cgroup_quota,
    count_cores,
    find_workers,
    limit_threads,
    set_variables,
)


@pytest.fixture(autouse=True)
def untold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this is set, and nothing that a test sets stays."""
    names = (OPENMP, *FOLLOWERS, *OTHERS, "_ERLEN_MODEL_THREADS")
    for name in (*names, "WEB_CONCURRENCY", "GUNICORN_CMD_ARGS"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def cgroup(root: Path, listing: str, files: dict[str, str]) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(listing)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


# Variables


def test_all_libraries_are_told() -> None:
    environ: dict[str, str] = {}
    assert set_variables(environ, 3)
    assert {environ[name] for name in (OPENMP, *FOLLOWERS, *OTHERS)} == {"3"}


def test_what_the_user_has_set_stays() -> None:
    environ = {"MKL_NUM_THREADS": "7"}
    assert set_variables(environ, 3)
    assert (environ["MKL_NUM_THREADS"], environ[OPENMP]) == ("7", "3")


def test_who_sets_openmp_means_all_that_follow_it() -> None:
    environ = {OPENMP: "5"}
    assert not set_variables(environ, 3)
    assert environ[OPENMP] == "5"
    assert not set(FOLLOWERS) & set(environ)


def test_what_was_set_for_the_parent_is_set_anew() -> None:
    environ: dict[str, str] = {}
    set_variables(environ, 4)
    assert set_variables(environ, 2)
    assert {environ[name] for name in (OPENMP, *FOLLOWERS, *OTHERS)} == {"2"}


# Libraries


def run_python(code: str, **environ: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.parametrize("order", ["before", "after"])
def test_torch_computes_with_the_workers_share(order: str) -> None:
    pytest.importorskip("torch")
    steps = ["import torch", "from erlen.ml.threads import limit_threads; limit_threads(10_000)"]
    code = "\n".join(steps if order == "after" else steps[::-1])
    assert run_python(f"{code}\nprint(torch.get_num_threads())") == "1"


@pytest.mark.parametrize("order", ["before", "after"])
def test_blas_computes_with_the_workers_share(order: str) -> None:
    pytest.importorskip("threadpoolctl")
    pytest.importorskip("sklearn")
    steps = [
        "import sklearn.linear_model",
        "from erlen.ml.threads import limit_threads; limit_threads(10_000)",
    ]
    code = "\n".join(steps if order == "after" else steps[::-1])
    told = "print({p['num_threads'] for p in __import__('threadpoolctl').threadpool_info()})"
    assert run_python(f"{code}\n{told}") == "{1}"


def test_the_users_number_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OPENMP, "6,2")
    assert limit_threads(10_000) == 6


def test_what_was_decided_before_counts_unless_workers_are_given() -> None:
    assert limit_threads(10_000) == 1
    assert limit_threads() == 1
    assert limit_threads(1) == count_cores()


# Cores


def test_this_process_has_a_core() -> None:
    assert 1 <= count_cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(
    ("listing", "files", "quota"),
    [
        ("0::/\n", {"cpu.max": "150000 100000"}, 1.5),
        ("0::/\n", {"cpu.max": "max 100000"}, None),
        ("0::/a/b\n", {"a/cpu.max": "50000 100000", "a/b/cpu.max": "max 100000"}, 0.5),
        ("0::/a\n", {"cpu.max": "100000 100000", "a/cpu.max": "300000 100000"}, 1.0),
        (
            "4:cpu,cpuacct:/job\n2:memory:/other\n",
            {"cpu/job/cpu.cfs_quota_us": "200000", "cpu/job/cpu.cfs_period_us": "100000"},
            2.0,
        ),
        (
            "4:cpu:/\n",
            {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
            None,
        ),
        ("", {}, None),
        ("0::/../..\n", {"cpu.max": "nonsense"}, None),
    ],
    ids=["v2", "v2 max", "around", "least", "v1", "v1 none", "no cgroups", "nonsense"],
)
def test_quotas_of_cgroups_are_read(
    tmp_path: Path, listing: str, files: dict[str, str], quota: float | None
) -> None:
    assert cgroup_quota(cgroup(tmp_path, listing, files)) == quota


def test_a_part_of_a_core_counts_as_one(tmp_path: Path) -> None:
    assert count_cores(cgroup(tmp_path, "0::/\n", {"cpu.max": "20000 100000"})) == 1


# Workers


@pytest.mark.parametrize(
    ("argv", "environ", "workers"),
    [
        (["/bin/gunicorn", "-w", "4", "app:app"], {}, 4),
        (["/bin/gunicorn", "--workers=3", "app:app"], {}, 3),
        (["/bin/gunicorn", "-w2", "app:app"], {"WEB_CONCURRENCY": "9"}, 2),
        (["/bin/gunicorn", "app:app"], {"GUNICORN_CMD_ARGS": "--workers 5 --threads 2"}, 5),
        (["/bin/gunicorn", "-w", "2"], {"GUNICORN_CMD_ARGS": "-w 5"}, 2),
        (["/lib/gunicorn/__main__.py", "-w", "4"], {}, 4),
        (["uvicorn", "app:app", "--workers", "6"], {}, 6),
        (["uvicorn", "app:app"], {"WEB_CONCURRENCY": "7"}, 7),
        (["my_tool.py", "-w", "4"], {}, 1),
        (["gunicorn", "-w"], {}, 1),
        (["gunicorn", "-w", "many"], {}, 1),
        ([], {"WEB_CONCURRENCY": "0"}, 1),
    ],
)
def test_workers_are_found(
    monkeypatch: pytest.MonkeyPatch, argv: list[str], environ: dict[str, str], workers: int
) -> None:
    monkeypatch.setattr(sys, "argv", argv)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert find_workers() == workers

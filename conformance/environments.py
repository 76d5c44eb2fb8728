"""Source distributions and virtual environments, made once and kept under ``.conformance``."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import venv
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
CACHE = Path(os.environ.get("ERLEN_CONFORMANCE_CACHE") or ROOT / ".conformance")


class StepFailed(Exception):
    """A command that prepares the run did not succeed; the message holds its output."""


def say(text: str) -> None:
    print(text, flush=True)


def run_step(argv: Sequence[str | Path], cwd: Path | None = None) -> None:
    """Run a preparing command quietly; its output is shown only when it fails."""
    done = subprocess.run(
        [str(part) for part in argv],
        cwd=cwd,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise StepFailed(f"{' '.join(map(str, argv))}\n{done.stdout}")


def clean_environment() -> dict[str, str]:
    """The caller's environment without what would steer the frameworks, pytest or Python's path."""
    steering = ("FLASK_", "ERLEN_", "WERKZEUG_", "PYTEST_", "PYTHONPATH", "PYTHONWARNINGS")
    return {name: value for name, value in os.environ.items() if not name.startswith(steering)}


def source_of(project: str, version: str) -> Path:
    """Return the unpacked source distribution of a project, downloading it the first time."""
    target = CACHE / "sources" / f"{project}-{version}"
    if target.is_dir():
        return target
    say(f"downloading the source distribution of {project} {version}")
    downloads = CACHE / "downloads"
    pip: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
    ]
    only_source: list[str | Path] = ["--no-deps", "--no-binary", ":all:", "--dest", downloads]
    run_step([*pip, *only_source, f"{project}=={version}"])
    (archive,) = downloads.glob(f"{project}-{version}.tar.gz")
    unpacked = CACHE / "sources" / f".{project}-{version}.{os.getpid()}"
    with tarfile.open(archive) as tar:
        if hasattr(tarfile, "data_filter"):
            tar.extractall(unpacked, filter="data")
        else:
            tar.extractall(unpacked)
    (content,) = unpacked.iterdir()
    content.rename(target)
    unpacked.rmdir()
    return target


def fingerprint(*parts: bytes) -> str:
    digest = hashlib.sha256(sys.version.encode())
    for part in parts:
        digest.update(part)
    return digest.hexdigest()[:12]


def environment(name: str, install: Sequence[str | Path], depends_on: Sequence[bytes] = ()) -> Path:
    """Return the Python of a virtual environment that has the pinned tools and ``install``.

    It is made anew when the pins, this Python or one of ``depends_on`` change.
    """
    home = CACHE / f"{name}-py{sys.version_info[0]}{sys.version_info[1]}"
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = home / "made-from"
    wanted = fingerprint(REQUIREMENTS.read_bytes(), str(list(install)).encode(), *depends_on)
    if stamp.is_file() and stamp.read_text() == wanted:
        return python
    say(f"making the environment {home.name}")
    shutil.rmtree(home, ignore_errors=True)
    venv.create(home, with_pip=True)
    pip: list[str | Path] = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    run_step([*pip, "-r", REQUIREMENTS])
    run_step([*pip, "-c", REQUIREMENTS, *install])
    stamp.write_text(wanted)
    return python

"""Source distributions and virtual environments, made once and kept under ``.conformance``."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
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


def source_of(project: str, version: str, cache: Path = CACHE) -> Path:
    """Return the unpacked source distribution of a project, downloading it the first time."""
    target = cache / "sources" / f"{project}-{version}"
    if target.is_dir():
        return target
    say(f"downloading the source distribution of {project} {version}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        only_source = ["--no-deps", "--no-binary", project, "--dest", folder]
        run_step([*pip, *only_source, f"{project}=={version}"])
        (archive,) = Path(folder).glob("*.tar.gz")
        unpacked = Path(folder) / "unpacked"
        with tarfile.open(archive) as tar:
            if hasattr(tarfile, "data_filter"):
                tar.extractall(unpacked, filter="data")
            else:
                tar.extractall(unpacked)
        (content,) = unpacked.iterdir()
        content.rename(target)
    return target


def fingerprint(*parts: bytes) -> str:
    digest = hashlib.sha256(sys.version.encode())
    for part in parts:
        digest.update(part)
    return digest.hexdigest()[:12]


def python_in(home: Path) -> Path:
    """The interpreter of the virtual environment in a folder."""
    return home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def is_made_from(home: Path, what: str, mark: str) -> bool:
    """Whether a part of the environment was made from what the mark stands for."""
    stamp = home / f"made-from-{what}"
    return stamp.is_file() and stamp.read_text() == mark


def note_made_from(home: Path, what: str, mark: str) -> None:
    (home / f"made-from-{what}").write_text(mark)


def bare_environment(home: Path) -> Path:
    """Make a virtual environment with nothing but pip in it; return its Python."""
    shutil.rmtree(home, ignore_errors=True)
    venv.create(home, with_pip=True)
    return python_in(home)


def pip_install(python: Path) -> list[str | Path]:
    return [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]


def environment(name: str, install: Sequence[str | Path], depends_on: Sequence[bytes] = ()) -> Path:
    """Return the Python of a virtual environment that has the pinned tools and ``install``.

    It is made anew when the pins, this Python or one of ``depends_on`` change.
    """
    home = CACHE / f"{name}-py{sys.version_info[0]}{sys.version_info[1]}"
    wanted = fingerprint(REQUIREMENTS.read_bytes(), str(list(install)).encode(), *depends_on)
    if is_made_from(home, "all", wanted):
        return python_in(home)
    say(f"making the environment {home.name}")
    pip = pip_install(bare_environment(home))
    run_step([*pip, "-r", REQUIREMENTS])
    run_step([*pip, "-c", REQUIREMENTS, *install])
    note_made_from(home, "all", wanted)
    return python_in(home)

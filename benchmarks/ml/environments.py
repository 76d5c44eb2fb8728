"""Environments for the systems, made from the pins of ``benchmarks/requirements-ml*.txt``."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import venv
from pathlib import Path

from ..report import ROOT

#: environment → its pins; MLServer wants older versions than the others
PINS = {"main": "requirements-ml.txt", "mlserver": "requirements-ml-mlserver.txt"}


def python_of(root: Path, name: str) -> Path:
    return root / name / "bin" / "python"


def provide(root: Path, name: str) -> None:
    """Make an environment unless it is there with what is pinned now."""
    pins = ROOT / "benchmarks" / PINS[name]
    digest = hashlib.sha256(pins.read_bytes()).hexdigest()
    mark = root / name / "installed"
    if mark.is_file() and mark.read_text() == digest:
        return
    print(f"installing {pins.name} into {root / name}", file=sys.stderr, flush=True)
    venv.create(root / name, with_pip=True)
    pip = [str(python_of(root, name)), "-m", "pip", "install", "--quiet", "-r", str(pins)]
    if name == "main":
        pip += ["-e", f"{ROOT}[server,api,ml]"]
    subprocess.run(pip, cwd=ROOT, check=True)
    mark.write_text(digest)


def tell_versions(root: Path, name: str) -> dict[str, str]:
    """What is installed in an environment."""
    argv = [str(python_of(root, name)), "-m", "pip", "list", "--format=freeze"]
    listed = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    pairs = (line.partition("==") for line in listed.splitlines())
    return {package: version for package, _, version in pairs}

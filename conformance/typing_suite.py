"""``python -m conformance types``: Flask's ``tests/type_check``, read for Erlen by type checkers.

Uses the type checkers of the environment that it runs in, where Erlen has to be installed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from .environments import clean_environment, say, source_of
from .flask_suite import FLASK_VERSION

FROM_FLASK = re.compile(r"^(from|import) flask\b", re.MULTILINE)
CHECKERS = {
    "mypy": ("--strict", "--config-file", os.devnull, "--cache-dir", os.devnull),
    "pyright": ("--pythonpath", sys.executable),
}


def copy_for_erlen(source: Path, target: Path) -> list[Path]:
    """Copy the files so that they import Erlen; refuse one that names Flask in no import."""
    copies = []
    for file in sorted(source.glob("*.py")):
        text, found = FROM_FLASK.subn(r"\1 erlen", file.read_text(encoding="utf-8"))
        if not found:
            raise ValueError(f"{file.name} does not import Flask")
        copies.append(target / file.name)
        copies[-1].write_text(text, encoding="utf-8")
    return copies


def check(checker: str, files: list[Path]) -> str:
    """Run a type checker on the files; return what it complains of."""
    argv = [sys.executable, "-m", checker, *CHECKERS[checker], *(file.name for file in files)]
    done = subprocess.run(
        argv,
        cwd=files[0].parent,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout if done.returncode else ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--checker", choices=CHECKERS, help="use only this one")


def run(options: argparse.Namespace) -> int:
    """Check the files with each checker; return 0 when none complains."""
    source = source_of("flask", FLASK_VERSION) / "tests" / "type_check"
    checkers = [options.checker] if options.checker else list(CHECKERS)
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder)
        files = copy_for_erlen(source, target)
        settings = {"typeCheckingMode": "basic", "pythonVersion": "3.10"}
        (target / "pyrightconfig.json").write_text(json.dumps(settings))
        for checker in checkers:
            complaints = check(checker, files)
            failed += bool(complaints)
            say(f"{checker}: {complaints or f'{len(files)} files are fine'}")
    say(f"{len(checkers) - failed} passed, {failed} failed")
    return 1 if failed else 0

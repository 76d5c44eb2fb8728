"""``python -m conformance applications``: `erlen check` on applications of other people.

Each is installed from the package index into an environment of its own, with the versions in
``pins/application-NAME.txt``, and must behave on Erlen as on Flask: its own tests, and the answers
to requests that are made from its routes.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import environments
from .environments import CACHE, ROOT, clean_environment, run_step, say, source_of

RESULTS = Path(__file__).with_name("results") / "applications.json"


@dataclass(frozen=True)
class Application:
    """An application, where its source is, and how it is checked.

    :param folders: what of the source distribution is copied into the working directory
    :param target: what `erlen check` takes
    :param before: a command of `flask` that prepares it
    :param options: for `erlen check`
    """

    name: str
    project: str
    version: str
    target: str
    folders: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    @property
    def pins(self) -> Path:
        return Path(__file__).with_name("pins") / f"application-{self.name}.txt"


APPLICATIONS = (
    Application(
        "flaskr",
        "flask",
        "3.1.3",
        "flaskr:create_app()",
        folders=("examples/tutorial/flaskr", "examples/tutorial/tests"),
        before=("--app", "flaskr:create_app()", "init-db"),
        options=("--unsafe",),
    ),
    Application("httpbin", "httpbin", "0.10.4", "httpbin:app", folders=("tests",)),
    Application("ihatemoney", "ihatemoney", "7.2.1", "ihatemoney.run:create_app()"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    names = ", ".join(application.name for application in APPLICATIONS)
    parser.add_argument("names", nargs="*", help=f"of {names}; all by default")


def run(options: argparse.Namespace) -> int:
    unknown = {*options.names} - {application.name for application in APPLICATIONS}
    if unknown:
        raise environments.StepFailed(f"there is no application {', '.join(sorted(unknown))}")
    chosen = [a for a in APPLICATIONS if not options.names or a.name in options.names]
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    failed = 0
    for application in chosen:
        report = check(application)
        known[application.name] = summary = summarise(application, report)
        failed += bool(summary["differences"])
        say(
            f"{application.name} {application.version}: {summary['requests']} requests,"
            f" {summary['tests']} tests, {len(summary['differences'])} differences"
        )
        for difference in summary["differences"]:
            say(f"  {difference}")
    RESULTS.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    print(f"{len(chosen) - failed} passed, {failed} failed")
    return 1 if failed else 0


def check(application: Application) -> dict[str, Any]:
    """The report of `erlen check`, in a fresh working directory."""
    python = _environment(application)
    source = source_of(application.project, application.version)
    with tempfile.TemporaryDirectory() as kept:
        folder = Path(kept)
        for part in application.folders:
            shutil.copytree(source / part, folder / Path(part).name)
        if application.before:
            run_step([python, "-m", "flask", *application.before], cwd=folder)
        report = folder / "report.json"
        command = [python, "-m", "erlen", "check", application.target, *application.options]
        done = subprocess.run(
            [*map(str, command), "--json", str(report)],
            cwd=folder,
            env=clean_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if not report.exists():
            raise environments.StepFailed(done.stdout)
        return dict(json.loads(report.read_text()))


def summarise(application: Application, report: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a report: no figures that depend on the machine."""
    figures = {part["section"]: part["figures"] for part in report["parts"]}
    return {
        "version": application.version,
        "versions": report["versions"],
        "names": figures["names"].get("names", 0),
        "tests": figures["tests"].get("tests", 0),
        "requests": figures["routes"].get("requests", 0),
        "rules": figures["routes"].get("rules", 0),
        "differences": [
            f"{finding['kind']}: {finding['title']}, {finding['where']}"
            for part in report["parts"]
            for finding in part["findings"]
            if finding["level"] == "difference"
        ],
    }


def _environment(application: Application) -> Path:
    """The Python of an environment with the pins, and Erlen from this repository."""
    home = CACHE / f"application-{application.name}"
    python = environments.python_in(home)
    pins = application.pins.read_bytes()
    made_from = environments.fingerprint(pins, bytes(ROOT))
    if not environments.is_made_from(home, "pins", made_from):
        say(f"{application.name}: making the environment")
        environments.bare_environment(home)
        pip = environments.pip_install(python)
        # The versions are those that work together; one asks for an older greenlet.
        run_step([*pip, "--no-deps", "-r", application.pins])
        run_step([*pip, "--no-deps", "--editable", ROOT])
        environments.note_made_from(home, "pins", made_from)
    return python

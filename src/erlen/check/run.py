"""All parts of a check, one after the other."""

from __future__ import annotations

import platform
import typing as t
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from ..errors import MissingExtra
from . import har, names, routes, setup, suites
from .children import ChildFailed, Children
from .findings import SECTIONS, NothingToCompare, Part, Report, Section

Tell = t.Callable[[Section, str], None]


@dataclass(frozen=True)
class Options:
    """What to check, and how.

    :param target: `module:app`, a file, or None to look as Flask does
    :param folder: where the project is, and the working directory
    :param sections: which parts
    :param tests: arguments for pytest
    :param unsafe: also send POST, PUT, PATCH and DELETE
    :param recording: an HTTP Archive whose requests are sent, too
    :param most: requests that are made at most
    :param allowed: hosts that may be reached besides the loopback
    :param limit: seconds that each process may take
    """

    target: str | None = None
    folder: Path = field(default_factory=Path.cwd)
    sections: tuple[Section, ...] = tuple(SECTIONS)
    tests: tuple[str, ...] = ()
    unsafe: bool = False
    recording: Path | None = None
    most: int = routes.MOST
    allowed: tuple[str, ...] = ()
    limit: float = 600.0


def run(options: Options, tell: Tell = lambda section, text: None) -> Report:
    """Check, and tell of the progress.

    Raises MissingExtra where the real Flask is not installed, NothingToCompare where the
    application does not even start on it or a recording is none.
    """
    try:
        flask_version = _version_of_flask()
    except metadata.PackageNotFoundError:
        raise MissingExtra("erlen check", "flask", "check") from None
    versions = {
        "Erlen": metadata.version("erlen"),
        "Flask": flask_version,
        "Werkzeug": metadata.version("werkzeug"),
        "Python": platform.python_version(),
    }
    report = Report(options.target or "the application here", versions)
    children = Children(options.target, options.folder, options.allowed, options.limit)
    for section in SECTIONS:
        if section in options.sections:
            report.parts.append(_part(section, options, children, tell))
    return report


def _version_of_flask() -> str:
    """Of the real one, also where the alias answers for it."""
    for distribution in metadata.distributions(name="flask"):
        if distribution.read_text("RECORD") is not None:
            return distribution.version
    raise metadata.PackageNotFoundError("flask")


def _part(section: Section, options: Options, children: Children, tell: Tell) -> Part:
    def say(text: str) -> None:
        tell(section, text)

    try:
        if section == "names":
            return names.check(children, say)
        if section == "tests":
            arguments = [*options.tests]
            if not arguments and not suites.has_tests(options.folder):
                return Part("tests", skipped="no tests were found here; '--tests' names them")
            return suites.check(children, say, arguments)
        if section == "routes":
            recorded = har.read(options.recording) if options.recording else []
            return routes.check(
                children, say, unsafe=options.unsafe, recorded=recorded, most=options.most
            )
        say("loading the application")
        facts = children.run("erlen", "replay", requests=[])["facts"]
        return setup.check(facts, options.folder)
    except ChildFailed as error:
        if error.engine == "flask":
            raise NothingToCompare(f"{error}\n{error.trace}") from error
        part = Part(section)
        title = f"the process on Erlen failed: {error.reason}"
        part.add("difference", "process-failed", title, detail=error.trace)
        return part

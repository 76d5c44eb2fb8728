"""What `erlen check` has to tell: findings, and the report that holds them."""

from __future__ import annotations

import typing as t
from collections import Counter
from dataclasses import asdict, dataclass, field

from ..errors import ErlenError

Level = t.Literal["difference", "warning", "note"]
Section = t.Literal["names", "tests", "routes", "setup"]

#: What each section is about, in the order of a report.
SECTIONS: dict[Section, str] = {
    "names": "Names of Flask and Werkzeug in use",
    "tests": "The application's own tests, on Flask and on Erlen",
    "routes": "The application's routes, on Flask and on Erlen",
    "setup": "Set-up for production",
}


class NothingToCompare(ErlenError):
    """The application cannot be loaded on Flask itself, or what is to be sent to it be read."""


@dataclass(frozen=True)
class Finding:
    """One thing found.

    :param kind: a short name that stays the same, such as `header-missing`
    :param where: a request, a test, a file and line, or a configuration key
    :param detail: what each side said, in a few lines
    """

    section: Section
    level: Level
    kind: str
    title: str
    where: str = ""
    detail: str = ""


@dataclass
class Part:
    """A section of a report: what was looked at, and what was found."""

    section: Section
    findings: list[Finding] = field(default_factory=list)
    #: Facts to show: the number of requests, of tests, the time per request, ...
    figures: dict[str, t.Any] = field(default_factory=dict)
    #: Why nothing was looked at.
    skipped: str = ""

    def add(self, level: Level, kind: str, title: str, where: str = "", detail: str = "") -> None:
        """Take down a finding of this section."""
        self.findings.append(Finding(self.section, level, kind, title, where, detail))


@dataclass
class Report:
    """All parts, with the versions that were compared."""

    target: str
    versions: dict[str, str]
    parts: list[Part] = field(default_factory=list)

    @property
    def findings(self) -> list[Finding]:
        """The findings of all parts."""
        return [finding for part in self.parts for finding in part.findings]

    def count(self, level: Level) -> int:
        """How many findings are of a level."""
        return Counter(finding.level for finding in self.findings)[level]

    def as_dict(self) -> dict[str, t.Any]:
        """Plain data, for JSON."""
        return {
            "target": self.target,
            "versions": self.versions,
            "differences": self.count("difference"),
            "warnings": self.count("warning"),
            "parts": [asdict(part) for part in self.parts],
        }

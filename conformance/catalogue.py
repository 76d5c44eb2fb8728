"""The extensions whose own tests are run, as ``suites.toml`` describes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .results import read_toml

HERE = Path(__file__).parent
SUITES = HERE / "suites.toml"
#: What every environment has; of pytest and Werkzeug, what requirements.txt has, for its reasons.
COMMON = (
    "flask==3.1.3",
    "werkzeug==3.1.5",
    "pytest==8.4.2",
    "pytest-timeout",
    "orjson",
    "greenlet",
    "asgiref",
)


@dataclass(frozen=True)
class Suite:
    """An extension's tests, where they are in its source distribution, and what they need."""

    name: str
    project: str
    version: str
    #: what its environment holds beside the project itself
    requires: tuple[str, ...] = ()
    #: what is copied out of the source distribution, where it is there
    files: tuple[str, ...] = ("tests", "pyproject.toml", "setup.cfg", "pytest.ini", "tox.ini")
    #: what pytest is told to run
    tests: tuple[str, ...] = ("tests",)
    arguments: tuple[str, ...] = ()
    #: service → the port that the suite has written down, which is replaced by a free one
    services: Mapping[str, int] = field(default_factory=dict)
    #: pytest's node id, or the beginning of one → why it cannot run here, on Flask either
    left_out: Mapping[str, str] = field(default_factory=dict)
    #: node id → why its outcome changes from run to run on the real Flask too
    unstable: Mapping[str, str] = field(default_factory=dict)
    #: whether its requests come from Flask's test client, which can carry them over ASGI
    client: bool = True
    note: str = ""

    @property
    def pins(self) -> Path:
        return HERE / "pins" / f"{self.name}.txt"

    @property
    def deviations(self) -> Path:
        return HERE / "deviations" / f"{self.name}.toml"

    @property
    def results(self) -> Path:
        return HERE / "results" / f"{self.name}.json"

    @property
    def transports(self) -> tuple[str, ...]:
        return ("wsgi", "asgi") if self.client else ("wsgi",)

    @property
    def wanted(self) -> list[str]:
        """What its pins are resolved from."""
        return [*COMMON, f"{self.project}=={self.version}", *self.requires]


def read_catalogue(path: Path = SUITES) -> dict[str, Suite]:
    """Read the suites, in the order of the file.

    Raises TypeError for a key that :class:`Suite` does not have, ValueError for a missing reason.
    """
    suites = {}
    for name, entry in read_toml(path).items():
        lists = {key: tuple(value) for key, value in entry.items() if isinstance(value, list)}
        suite = Suite(name=name, **{**entry, **lists})
        for test, reason in {**suite.left_out, **suite.unstable}.items():
            if not reason.strip():
                raise ValueError(f"{path.name}: no reason given for {test} of {name}")
        suites[name] = suite
    return suites

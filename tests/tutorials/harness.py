"""Sends the same requests to a program on Erlen and to its twin on FastAPI.

A program is a function that returns both applications; its requests stand in its decorator. Equal
have to be the status, of answers that are no errors the JSON value (or text), and the headers in
`COMPARED_HEADERS`. Error bodies differ by design: problem details here, lists of details there.
"""

import typing as t
from dataclasses import dataclass, field

import pytest
from werkzeug.test import Client

from erlen import Erlen
from erlen.testing.asgi import Carrier
from erlen.testing.loops import loop_thread

fastapi = pytest.importorskip("fastapi", reason="FastAPI is not installed")
pytest.importorskip("multipart", reason="python-multipart is not installed")

#: Why a status may be another one here: (theirs, ours). Each stands in docs/typed.md.
DIFFERENCES = {
    "converter": (422, 404),
    "malformed JSON": (422, 400),
    "wrong media type": (422, 415),
    "no form": (422, 415),
    "file too large": (None, 413),
}
COMPARED_HEADERS = ("Location", "WWW-Authenticate", "X-Header", "X-Process")


@dataclass
class Asked:
    """A request: arguments of Werkzeug's client, and why its status differs, if it does."""

    method: str
    path: str
    options: dict[str, t.Any] = field(default_factory=dict)
    differs: str | None = None


def ask(method: str, path: str, /, *, differs: str | None = None, **options: t.Any) -> Asked:
    return Asked(method, path, options, differs)


def get(path: str, /, **options: t.Any) -> Asked:
    return ask("GET", path, **options)


def post(path: str, /, **options: t.Any) -> Asked:
    return ask("POST", path, **options)


def put(path: str, /, **options: t.Any) -> Asked:
    return ask("PUT", path, **options)


@dataclass
class Tutorial:
    name: str
    chapter: str
    build: t.Callable[[], tuple[t.Any, t.Any]]
    requests: tuple[Asked, ...]


TUTORIALS: list[Tutorial] = []


def tutorial(chapter: str, *requests: Asked) -> t.Callable[[t.Any], t.Any]:
    """Register a program of a chapter of FastAPI's tutorial."""

    def add(build: t.Any) -> t.Any:
        assert build.__name__ not in [each.name for each in TUTORIALS], build.__name__
        TUTORIALS.append(Tutorial(build.__name__, chapter, build, requests))
        return build

    return add


def apps(**options: t.Any) -> tuple[t.Any, t.Any]:
    """An application of each."""
    ours = Erlen("tutorial", root_path="/nonexistent", static_folder=None)
    ours.config["PROPAGATE_EXCEPTIONS"] = False
    ours.logger.disabled = True
    return ours, fastapi.FastAPI(**options)


def clients(tutorial: Tutorial, transport: str) -> tuple[Client, Client]:
    ours, theirs = tutorial.build()
    wait = loop_thread().wait
    return (
        Client(ours if transport == "wsgi" else Carrier(ours, wait), use_cookies=False),
        Client(Carrier(theirs, wait), use_cookies=False),
    )


def send(client: Client, asked: Asked) -> t.Any:
    options = dict(asked.options)
    data = options.get("data")
    if isinstance(data, dict):  # open files are read once only
        options["data"] = {
            key: [each() if callable(each) else each for each in value]
            if isinstance(value, list)
            else value()
            if callable(value)
            else value
            for key, value in data.items()
        }
    return client.open(asked.path, method=asked.method, **options)


def value_of(response: t.Any) -> t.Any:
    if response.mimetype == "application/json" and response.get_data():
        return response.get_json()
    return response.get_data(as_text=True)


def compare(tutorial: Tutorial, transport: str) -> list[str]:
    """What differs, request by request."""
    ours, theirs = clients(tutorial, transport)
    found = []
    for number, asked in enumerate(tutorial.requests):
        mine, other = send(ours, asked), send(theirs, asked)
        expected = other.status_code
        if asked.differs is not None:
            expected = DIFFERENCES[asked.differs][1]
            if other.status_code == expected:
                found.append(f"{number} {asked.path}: does not differ any more")
        if mine.status_code != expected:
            found.append(
                f"{number} {asked.method} {asked.path}: {mine.status_code}, not {expected}:"
                f" {mine.get_data(as_text=True)[:300]} | {other.get_data(as_text=True)[:300]}"
            )
            continue
        if mine.status_code < 400 and value_of(mine) != value_of(other):
            found.append(f"{number} {asked.path}: {value_of(mine)!r}, not {value_of(other)!r}")
        for name in COMPARED_HEADERS:
            if mine.headers.get(name) != other.headers.get(name):
                found.append(
                    f"{number} {asked.path}: {name} is {mine.headers.get(name)!r},"
                    f" not {other.headers.get(name)!r}"
                )
    return found

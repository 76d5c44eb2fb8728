"""A problem is sent alike whether a response is made of it or not."""

from __future__ import annotations

import typing as t
from itertools import count

import pytest

pytest.importorskip("pydantic", reason="pydantic is not installed")

from werkzeug.exceptions import BadRequest, MethodNotAllowed, NotFound
from werkzeug.test import Client

from erlen import Erlen
from erlen.api import Problem
from erlen.engine import respond
from erlen.transports import wsgi

#: headers → whether the page goes the short way
HEADERS: dict[str, tuple[dict[str, t.Any], bool]] = {
    "none": ({}, True),
    "one": ({"Retry-After": "5"}, True),
    "two": ({"X-One": "1", "X-Two": "2"}, True),
    "empty": ({"X-Empty": ""}, True),
    "another type": ({"content-type": "text/plain"}, False),
    "length": ({"Content-Length": "2"}, False),
    "location": ({"Location": "/ä b"}, False),
    "content location": ({"content-location": "/ä b"}, False),
    "twice": ({"X-Twice": "1", "x-twice": "2"}, False),
    "latin": ({"X-Latin": "ä"}, False),
    "number": ({"X-Number": 5}, False),
    "tab": ({"X-Tab": "a\tb"}, False),
    "line end": ({"X-Split": "a\r\nX-Other: b"}, False),
}


def ask(headers: dict[str, t.Any], hooked: bool) -> list[t.Any]:
    """What three requests get: what is learnt from one counts for the next."""
    app = Erlen("problems")
    app.logger.disabled = True

    @app.get("/plain")
    def plain() -> None:
        raise Problem(409, "Ä conflict", headers=headers, seen=[1])

    @app.get("/async")
    async def asynchronous() -> None:
        raise Problem(409, "Ä conflict", headers=headers, seen=[1])

    if hooked:
        app.after_request(lambda response: response)
    client = app.test_client()
    answers = [client.get(path) for path in ("/plain", "/async") * 3]
    return [(answer.status, answer.headers.to_wsgi_list(), answer.data) for answer in answers]


@pytest.mark.parametrize("name", HEADERS)
def test_both_ways_send_the_same(
    name: str, transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers, is_short = HEADERS[name]
    pages = []

    def ready_page(*args: t.Any) -> t.Any:
        pages.append(respond.ready_page(*args))
        return pages[-1]

    monkeypatch.setattr(wsgi, "ready_page", ready_page)
    short = ask(headers, hooked=False)
    assert pages
    assert {page is not None for page in pages} == {is_short}
    assert short == ask(headers, hooked=True)


# Pages that are kept

#: The first requests go the long way.
WARM_UP = [BadRequest("warm-up")] * 4


def pages_of(*errors: t.Any) -> list[tuple[str, list[tuple[str, str]], bytes]]:
    """What the edge sends for errors that are raised one after the other."""
    app = Erlen("kept")
    left = [*WARM_UP, *errors]

    @app.get("/")
    def fail() -> None:
        raise left.pop(0)

    client = app.test_client()
    answers = [client.get("/") for _ in range(len(left))][len(WARM_UP) :]
    return [(answer.status, answer.headers.to_wsgi_list(), answer.data) for answer in answers]


def without_a_body(cls: type[Problem]) -> Problem:
    made = cls(409, "taken")
    made.get_body = lambda *_: "own"  # type: ignore[method-assign]
    return made


class Described(Problem):
    def document(self) -> dict[str, t.Any]:
        return {"own": self.detail}


class Gone(NotFound):
    description = "gone"


DIFFERENT: dict[str, t.Callable[[], t.Any]] = {
    "problem": lambda: Problem(409, "taken"),
    "detail": lambda: Problem(409, "busy"),
    "no detail": lambda: Problem(409),
    "status": lambda: Problem(410, "taken"),
    "title": lambda: Problem(409, "taken", title="Conflicting"),
    "type": lambda: Problem(409, "taken", type="/taken"),
    "header": lambda: Problem(409, "taken", headers={"Retry-After": "1"}),
    "other header": lambda: Problem(409, "taken", headers={"Retry-After": "2"}),
    "two headers": lambda: Problem(409, "taken", headers={"X-One": "1", "X-Two": "2"}),
    "headers' names": lambda: Problem(409, "taken", headers={"X-Two": "1", "X-One": "2"}),
    "member": lambda: Problem(409, "taken", seen=1),
    "other member": lambda: Problem(409, "taken", seen=2),
    "own class": lambda: Described(409, "taken"),
    "own body": lambda: without_a_body(Problem),
    "error": NotFound,
    "error's subclass": Gone,
    "described error": lambda: NotFound("not here"),
    "error with methods": lambda: MethodNotAllowed(["GET"]),
    "error with other methods": lambda: MethodNotAllowed(["PUT"]),
}


def test_kept_pages_are_those_of_the_long_way(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = [make() for make in DIFFERENT.values()]
    kept = pages_of(*errors)
    assert kept == pages_of(*errors)
    monkeypatch.setattr(wsgi, "ready_page", lambda *_: None)
    assert kept == pages_of(*errors)


def test_errors_that_differ_have_different_pages() -> None:
    respond._pages.clear()
    names = [*DIFFERENT] * 2
    pages = pages_of(*(DIFFERENT[name]() for name in names))
    first, again = pages[: len(DIFFERENT)], pages[len(DIFFERENT) :]
    assert first == again
    assert len({str(page) for page in first}) == len(DIFFERENT)
    assert 0 < len(respond._pages) < len(DIFFERENT)


def test_headers_that_are_no_text_are_answered_as_by_the_long_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    errors = [Problem(409, "taken", headers={"X-Many": ["1", "2"]}) for _ in range(2)]
    found = pages_of(*errors)
    monkeypatch.setattr(wsgi, "ready_page", lambda *_: None)
    assert found == pages_of(*errors)


def test_pages_follow_what_is_changed_on_the_class(monkeypatch: pytest.MonkeyPatch) -> None:
    before = pages_of(Gone())
    monkeypatch.setattr(Gone, "description", "gone for good")
    assert b"gone for good" in pages_of(Gone())[0][2]
    monkeypatch.undo()
    assert pages_of(Gone()) == before
    monkeypatch.setattr(NotFound, "description", "nothing")
    assert b"nothing" in pages_of(NotFound())[0][2]
    monkeypatch.setattr(NotFound, "code", 410)
    assert pages_of(NotFound())[0][0] == "410 GONE"


def test_headers_that_a_middleware_adds_are_those_of_one_answer() -> None:
    app = Erlen("middleware")
    added = count()

    @app.get("/")
    def fail() -> None:
        raise Problem(503, "busy", headers={"Retry-After": "1"})

    def middleware(environ: t.Any, start_response: t.Any) -> t.Any:
        def start(status: str, headers: list[tuple[str, str]], *rest: t.Any) -> t.Any:
            headers.append(("X-Added", str(next(added))))
            return start_response(status, headers, *rest)

        return app(environ, start)

    client = Client(middleware)
    found = [client.get("/").headers.getlist("X-Added") for _ in range(6)]
    assert found == [[str(number)] for number in range(6)]


def test_so_many_pages_are_kept_and_no_long_ones() -> None:
    respond._pages.clear()
    pages_of(*(Problem(409, f"item {number}") for number in range(300)))
    assert 0 < len(respond._pages) <= respond._MOST_PAGES
    respond._pages.clear()
    pages_of(Problem(409, "x" * 1000))
    assert not respond._pages

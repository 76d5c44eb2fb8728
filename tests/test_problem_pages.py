"""A problem is sent alike whether a response is made of it or not."""

from __future__ import annotations

import typing as t

import pytest

pytest.importorskip("pydantic", reason="pydantic is not installed")

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

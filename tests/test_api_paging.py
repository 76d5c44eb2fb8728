"""Pages link to each other, and conditional requests hold for the version that was seen."""

from __future__ import annotations

import typing as t

import pytest

pytest.importorskip("pydantic", reason="pydantic is not installed")

from pydantic import BaseModel
from werkzeug.http import parse_options_header

from erlen import Erlen
from erlen.api import (
    Page,
    PageParams,
    PreconditionNotMet,
    Query,
    etag,
    precondition,
    send_etag,
)

Ask = t.Callable[..., t.Any]


@pytest.fixture
def ask(app: Erlen, transport: str) -> Ask:
    return lambda path="/", method="GET", **options: app.test_client().open(
        path, method=method, **options
    )


class Item(BaseModel):
    name: str


class Row:
    def __init__(self, name: str) -> None:
        self.name = name
        self.secret = "hidden"


ROWS = [Row(str(number)) for number in range(45)]


@pytest.fixture
def items(app: Erlen) -> None:
    @app.get("/items")
    def items(page: Query[PageParams], tag: Query[list[str]] = []) -> Page[Item]:  # noqa: B006
        return Page[Item].cut(ROWS, page)

    @app.get("/uncounted")
    def uncounted(page: Query[PageParams]) -> Page[Item]:
        return Page[Item].of(ROWS[page.offset : page.offset + page.limit], page)


def links_of(answer: t.Any) -> dict[str, str]:
    found = {}
    for link in answer.headers.getlist("Link"):
        for part in link.split(", "):
            url, options = parse_options_header(part)
            found[options["rel"]] = url.strip("<>")
    return found


@pytest.mark.usefixtures("items")
def test_a_page_has_its_items_and_links_to_the_others(ask: Ask) -> None:
    answer = ask("/items?page=2&size=20&tag=a&tag=b%20c")
    document = answer.get_json()
    assert [item["name"] for item in document.pop("items")] == [str(n) for n in range(20, 40)]
    assert document == {"page": 2, "size": 20, "total": 45}
    base = "http://localhost/items?"
    assert links_of(answer) == {
        "first": f"{base}page=1&size=20&tag=a&tag=b+c",
        "prev": f"{base}page=1&size=20&tag=a&tag=b+c",
        "next": f"{base}page=3&size=20&tag=a&tag=b+c",
        "last": f"{base}page=3&size=20&tag=a&tag=b+c",
    }


@pytest.mark.usefixtures("items")
@pytest.mark.parametrize(
    ("path", "relations"),
    [
        ("/items", {"next", "last"}),
        ("/items?page=3", {"first", "prev"}),
        ("/items?size=50", set()),
        ("/items?page=9", {"first", "prev", "last"}),
        ("/uncounted", {"next"}),
        ("/uncounted?page=2", {"first", "prev", "next"}),
        ("/uncounted?page=3", {"first", "prev"}),
    ],
)
def test_there_are_links_to_pages_that_exist(ask: Ask, path: str, relations: set[str]) -> None:
    answer = ask(path)
    found = links_of(answer)
    assert set(found) == relations
    for url in found.values():
        assert ask(url).get_json()["items"]


@pytest.mark.usefixtures("items")
@pytest.mark.parametrize("query", ["page=0", "size=0", "size=101", "page=x", f"page={10**30}"])
def test_pages_that_cannot_be_are_refused(ask: Ask, query: str) -> None:
    assert ask(f"/items?{query}").status_code == 422


def test_the_host_of_the_links_is_that_of_the_request_and_cannot_break_out(app: Erlen) -> None:
    @app.get("/items")
    def items(page: Query[PageParams]) -> Page[Item]:
        return Page[Item].cut(ROWS, page)

    answer = app.test_client().get('/items?size=5&x="><b>')
    for link in answer.headers.getlist("Link"):
        assert link.count("<") == link.count(">") == 1


def test_etags_tell_values_apart_and_do_not_change() -> None:
    assert etag(Item(name="a")) == etag(Item(name="a"))
    assert etag(1, 23) != etag(12, 3)
    assert etag("a") != etag("b")
    assert len(etag()) == 32


@pytest.fixture
def stored(app: Erlen) -> dict[str, str]:
    stored = {"name": "first"}

    def tag() -> str | None:
        return etag(stored["name"]) if "name" in stored else None

    @app.get("/item")
    def show() -> Item:
        precondition(tag())
        return Item(name=stored["name"])

    @app.put("/item")
    def change(item: Item) -> Item:
        precondition(tag(), required=True)
        stored["name"] = item.name
        send_etag(etag(item.name))
        return item

    @app.delete("/item")
    def delete() -> tuple[str, int]:
        precondition(tag())
        del stored["name"]
        return "", 204

    return stored


def test_a_client_that_has_the_version_gets_304(ask: Ask, stored: dict[str, str]) -> None:
    first = ask("/item")
    tag = first.headers["ETag"]
    assert first.get_json() == {"name": "first"}
    for sent in (tag, f"W/{tag}", "*", f'"x", {tag}'):
        again = ask("/item", headers={"If-None-Match": sent})
        assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", tag)
    assert ask("/item", headers={"If-None-Match": '"other"'}).status_code == 200
    assert ask("/item", "HEAD", headers={"If-None-Match": tag}).status_code == 304
    assert ask("/item", headers={"If-Match": '"other"'}).status_code == 412


def test_only_the_version_that_was_seen_is_changed(ask: Ask, stored: dict[str, str]) -> None:
    tag = ask("/item").headers["ETag"]
    new = {"json": {"name": "second"}}
    assert ask("/item", "PUT", **new).status_code == 428
    for wrong in ('"other"', f"W/{tag}"):  # RFC 9110, 13.1.1: compared strongly
        assert ask("/item", "PUT", headers={"If-Match": wrong}, **new).status_code == 412
    assert stored == {"name": "first"}
    changed = ask("/item", "PUT", headers={"If-Match": tag}, **new)
    assert changed.status_code == 200
    assert changed.headers["ETag"] == ask("/item").headers["ETag"] != tag
    assert ask("/item", "PUT", headers={"If-Match": tag}, **new).status_code == 412
    assert ask("/item", "DELETE", headers={"If-Match": tag}).status_code == 412
    assert ask("/item", "DELETE", headers={"If-Match": "*"}).status_code == 204


def test_a_resource_is_made_only_where_there_is_none(ask: Ask, stored: dict[str, str]) -> None:
    new = {"json": {"name": "made"}, "headers": {"If-None-Match": "*"}}
    assert ask("/item", "PUT", **new).status_code == 412
    stored.clear()
    assert ask("/item", "PUT", json={"name": "x"}, headers={"If-Match": "*"}).status_code == 412
    assert ask("/item", "PUT", **new).status_code == 200
    assert stored == {"name": "made"}


def test_refusals_are_problems(ask: Ask, stored: dict[str, str]) -> None:
    for code, headers in ((428, {}), (412, {"If-Match": '"x"'})):
        answer = ask("/item", "PUT", json={"name": "x"}, headers=headers)
        assert answer.content_type == "application/problem+json"
        assert answer.get_json(force=True)["status"] == code
    assert PreconditionNotMet.code == 412

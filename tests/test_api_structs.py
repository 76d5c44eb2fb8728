"""msgspec's Structs are validated and written by msgspec."""

from __future__ import annotations

import typing as t
from typing import Annotated

import pytest

pytest.importorskip("pydantic", reason="pydantic is not installed")
pytest.importorskip("msgspec", reason="msgspec is not installed")

import msgspec
from pydantic import TypeAdapter

from erlen import Erlen
from erlen.api import Form, Json, Query

Ask = t.Callable[..., t.Any]


class Point(msgspec.Struct):
    x: Annotated[int, msgspec.Meta(ge=0)]
    y: int = 0


class SubPoint(Point):
    secret: str = "hidden"


class Line(msgspec.Struct):
    points: list[Point]
    name: str = msgspec.field(name="theName", default="")


@pytest.fixture
def ask(app: Erlen, transport: str) -> Ask:
    return lambda path="/", method="POST", **options: app.test_client().open(
        path, method=method, **options
    )


def test_a_body_is_a_struct(app: Erlen, ask: Ask) -> None:
    @app.post("/")
    def view(line: Line) -> Line:
        assert isinstance(line, Line)
        return line

    sent = {"points": [{"x": 1}], "theName": "n"}
    assert ask(json=sent).get_json() == {"points": [{"x": 1, "y": 0}], "theName": "n"}
    answer = ask(json={"points": [{"x": 1}, {"x": "a"}]})
    assert answer.status_code == 422
    assert answer.get_json(force=True)["errors"] == [
        {
            "location": ["json", "points", 1, "x"],
            "message": "Expected 'int', got 'str'",
            "type": "struct",
        }
    ]
    assert ask(data="{", content_type="application/json").status_code == 400
    assert ask(data="[" * 100_000, content_type="application/json").status_code in (400, 422)


def test_structs_in_lists_keys_unions_and_queries(app: Erlen, ask: Ask) -> None:
    @app.post("/list")
    def many(points: list[Point]) -> list[Point]:
        return points

    @app.post("/keys")
    def keys(point: Json[Point], number: Json[int]) -> dict[str, Point]:
        return {"a": point}

    @app.post("/maybe")
    def maybe(point: Json[Point | None] = None) -> str:
        return repr(point)

    @app.get("/query")
    def query(point: Query[Point]) -> Point:
        return point

    @app.post("/form")
    def form(point: Form[Point]) -> Point:
        return point

    assert ask("/list", json=[{"x": 1}]).get_json() == [{"x": 1, "y": 0}]
    asked = ask("/keys", json={"point": {"x": 2}, "number": 1})
    assert asked.get_json() == {"a": {"x": 2, "y": 0}}
    assert ask("/keys", json={"point": {"x": -2}, "number": "a"}).status_code == 422
    assert ask("/maybe").data == b"None"
    assert ask("/maybe", json={"x": 1}).data == b"Point(x=1, y=0)"
    assert ask("/query?x=3&y=4", "GET").get_json() == {"x": 3, "y": 4}
    assert ask("/query?x=a", "GET").status_code == 422
    assert ask("/form", data={"x": "3"}).get_json() == {"x": 3, "y": 0}


def test_answers_hold_what_the_struct_declares(app: Erlen, ask: Ask) -> None:
    @app.post("/sub")
    def sub() -> Point:
        return SubPoint(1)

    @app.post("/dict")
    def of_dict() -> Point:
        return {"x": 1, "secret": "hidden"}  # type: ignore[return-value]

    @app.post("/list", status=201)
    def many() -> list[Point]:
        return [SubPoint(1), Point(2)]

    assert ask("/sub").get_json() == {"x": 1, "y": 0}
    assert ask("/dict").get_json() == {"x": 1, "y": 0}
    assert ask("/list").get_json() == [{"x": 1, "y": 0}, {"x": 2, "y": 0}]


def test_structs_have_a_schema(app: Erlen) -> None:
    from erlen.api.structs import adapted

    schema = TypeAdapter(adapted(list[Line])).json_schema()
    (point,) = [schema["items"]["properties"]["points"]["items"]]
    assert point["properties"]["x"] == {"type": "integer", "minimum": 0}
    assert schema["items"]["required"] == ["points"]

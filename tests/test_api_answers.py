"""Answers are made by the declared types, and everything that Flask takes stays as it is."""

from __future__ import annotations

import dataclasses
import json
import typing as t
from datetime import datetime, timezone
from http import HTTPStatus
from typing import Annotated

import pytest

pytest.importorskip("pydantic", reason="pydantic is not installed")

import typing_extensions as te
from pydantic import BaseModel, Field, ValidationError
from werkzeug.exceptions import NotFound

import erlen
from erlen import Erlen
from erlen.api import Json, MalformedJson, Problem, Query, Status, ValidationProblem

Ask = t.Callable[..., t.Any]


@pytest.fixture
def ask(app: Erlen, transport: str) -> Ask:
    return lambda path="/", method="GET", **options: app.test_client().open(
        path, method=method, **options
    )


class Item(BaseModel):
    name: str
    price: float = 1.5
    secret: str | None = None


class Public(BaseModel):
    name: str


class SubItem(Public):
    password: str = "hidden"


@dataclasses.dataclass
class Place:
    name: str
    at: datetime | None = None


@dataclasses.dataclass
class SecretPlace(Place):
    password: str = "hidden"


class Record(te.TypedDict):
    name: str


class Holder(BaseModel):
    items: list[Public]


class Error(BaseModel):
    message: str


class Row:
    """As a database gives it."""

    def __init__(self, **values: t.Any) -> None:
        self.__dict__.update(values)


NOON = datetime(2026, 1, 2, 12, tzinfo=timezone.utc)
RETURNED: dict[str, tuple[t.Any, t.Any, t.Any]] = {
    "model": (Item, Item(name="a"), {"name": "a", "price": 1.5, "secret": None}),
    "dict as model": (Public, {"name": "a", "password": "x"}, {"name": "a"}),
    "object as model": (Public, Row(name="a", password="x"), {"name": "a"}),
    "subclass": (Public, SubItem(name="a"), {"name": "a"}),
    "subclass within": (Holder, Holder(items=[SubItem(name="a")]), {"items": [{"name": "a"}]}),
    "list": (list[Public], [SubItem(name="a"), Public(name="b")], [{"name": "a"}, {"name": "b"}]),
    "list of dicts": (list[Public], [{"name": "a", "x": 1}], [{"name": "a"}]),
    "list of objects": (list[Public], [Row(name="a", x=1)], [{"name": "a"}]),
    "tuple as list": (list[Public], [Public(name="a")], [{"name": "a"}]),
    "dataclass": (Place, Place("a", NOON), {"name": "a", "at": "2026-01-02T12:00:00Z"}),
    "dataclass's subclass": (Place, SecretPlace("a"), {"name": "a", "at": None}),
    "typed dict": (Record, {"name": "a", "password": "x"}, {"name": "a"}),
    "dict": (dict[str, Public], {"k": {"name": "a", "x": 1}}, {"k": {"name": "a"}}),
    "union": (Public | Place, Place("b"), {"name": "b", "at": None}),
    "optional": (Public | None, Public(name="a"), {"name": "a"}),
    "tuple form": (tuple[Public, int], Public(name="a"), {"name": "a"}),
    "number": (int, 5, 5),
}


@pytest.mark.parametrize("name", RETURNED)
@pytest.mark.parametrize("how", ["annotation", "option"])
def test_values_are_written_by_the_declared_type(app: Erlen, ask: Ask, name: str, how: str) -> None:
    kind, value, expected = RETURNED[name]

    def view(q=0):  # type: ignore[no-untyped-def]
        return value

    view.__annotations__["q"] = Query[int]  # so that it counts for types that Flask answers too
    options = {"returns": kind} if how == "option" else {}
    if how == "annotation":
        view.__annotations__["return"] = kind
    app.add_url_rule("/", view_func=view, **options)
    answer = ask()
    assert answer.status_code == 200
    assert answer.content_type == "application/json"
    assert answer.get_json() == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"name": "a", "price": 1.5, "theSecret": None}),
        ({"exclude_unset": True}, {"name": "a"}),
        ({"exclude_none": True}, {"name": "a", "price": 1.5}),
        ({"exclude_defaults": True}, {"name": "a"}),
        ({"include": {"price"}}, {"price": 1.5}),
        ({"exclude": {"price"}}, {"name": "a", "theSecret": None}),
        ({"by_alias": False}, {"name": "a", "price": 1.5, "secret": None}),
    ],
    ids=lambda value: "-".join(map(str, value)) or "none",
)
@pytest.mark.parametrize("kind", ["model", "dict"])
def test_options_of_the_route_choose_what_is_written(
    app: Erlen, ask: Ask, kind: str, options: dict[str, t.Any], expected: t.Any
) -> None:
    class Aliased(BaseModel):
        name: str
        price: float = 1.5
        secret: str | None = Field(None, alias="theSecret")

    @app.get("/", **options)
    def view() -> Aliased:
        return Aliased(name="a") if kind == "model" else {"name": "a"}  # type: ignore[return-value]

    assert ask().get_json() == expected


Statuses = Item | Annotated[Error, Status(404, "None.")] | Annotated[Public, Status(201)]
VALUES: dict[str, tuple[t.Any, int, t.Any]] = {
    "the first": (Item(name="a"), 200, {"name": "a", "price": 1.5, "secret": None}),
    "by its type": (Error(message="m"), 404, {"message": "m"}),
    "another by its type": (Public(name="a"), 201, {"name": "a"}),
    "by the status": (({"message": "m", "x": 1}, 404), 404, {"message": "m"}),
    "by the status line": (({"message": "m", "x": 1}, "404 Gone"), 404, {"message": "m"}),
    "by an enum": (({"message": "m"}, HTTPStatus.NOT_FOUND), 404, {"message": "m"}),
    "of another status": ((Item(name="a"), 202), 202, {"name": "a", "price": 1.5, "secret": None}),
    "an error of Flask's": (({"own": 1}, 409), 409, {"own": 1}),
    "a dict is the first": ({"name": "a"}, 200, {"name": "a", "price": 1.5, "secret": None}),
}


@pytest.mark.parametrize("name", VALUES)
def test_unions_are_answered_by_status(app: Erlen, ask: Ask, name: str) -> None:
    value, status, expected = VALUES[name]

    @app.get("/")
    def view() -> Statuses:
        return value  # type: ignore[no-any-return]

    answer = ask()
    assert (answer.status_code, answer.get_json()) == (status, expected)


def test_status_and_headers_as_in_flask(app: Erlen, ask: Ask) -> None:
    @app.get("/all", status=202)
    def everything() -> Item:
        return Item(name="a"), 201, {"X-A": "b"}  # type: ignore[return-value]

    @app.get("/headers", status=202)
    def headers() -> Item:
        return Item(name="a"), [("X-A", "b"), ("X-A", "c")]  # type: ignore[return-value]

    @app.get("/line")
    def line() -> Item:
        return Item(name="a"), "299 Well"  # type: ignore[return-value]

    answer = ask("/all")
    assert (answer.status_code, answer.headers["X-A"]) == (201, "b")
    answer = ask("/headers")
    assert (answer.status_code, answer.headers.getlist("X-A")) == (202, ["c"])
    assert ask("/line").status_code == 299


def test_responses_of_the_route(app: Erlen, ask: Ask) -> None:
    @app.get("/<name>", responses={404: (Error, "There is none."), 409: "Taken."})
    def view(name: str) -> t.Any:
        return ({"message": "m", "x": 1}, 404) if name == "none" else {"free": name}

    assert ask("/none").get_json() == {"message": "m"}
    assert ask("/a").get_json() == {"free": "a"}


def test_nothing_is_no_content(app: Erlen, ask: Ask) -> None:
    @app.get("/")
    def view(found: Query[bool] = False) -> Item | None:
        return Item(name="a") if found else None

    @app.get("/none")
    def none(q: Query[int] = 0) -> None:
        return None

    assert (ask().status_code, ask().data) == (204, b"")
    assert ask("/?found=1").status_code == 200
    assert ask("/none").status_code == 204


FLASKS: dict[str, t.Any] = {
    "str": lambda: "text",
    "bytes": lambda: b"bytes",
    "tuple": lambda: ("text", 202, {"X-A": "b"}),
    "response": lambda: erlen.Response("r", 203),
    "response and status": lambda: (erlen.Response("r"), 203),
    "error": lambda: NotFound(),
    "jsonify": lambda: erlen.jsonify(x=1),
    "wsgi": lambda: erlen.Response("wsgi"),
    "generator": lambda: (each for each in ("a", "b")),
}


@pytest.mark.parametrize("name", FLASKS)
def test_a_typed_view_may_return_what_flask_takes(app: Erlen, ask: Ask, name: str) -> None:
    @app.get("/typed")
    def typed(q: Query[int] = 0) -> Item:
        return FLASKS[name]()  # type: ignore[no-any-return]

    @app.get("/plain")
    def plain():  # type: ignore[no-untyped-def]
        return FLASKS[name]()

    if name == "generator":
        typed.__annotations__["return"] = t.Iterator[str]
    one, other = ask("/typed"), ask("/plain")
    assert (one.status, one.headers, one.data) == (other.status, other.headers, other.data)


def test_a_value_that_is_not_of_the_type_is_an_error_of_the_server(app: Erlen, ask: Ask) -> None:
    @app.get("/")
    def view() -> Item:
        return {"price": 1}  # type: ignore[return-value]

    with pytest.raises(ValidationError):
        ask()
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.logger.disabled = True
    assert ask().status_code == 500


def test_hooks_and_sessions_see_typed_answers(app: Erlen, ask: Ask) -> None:
    @app.after_request
    def after(response: erlen.Response) -> erlen.Response:
        response.headers["X-Body"] = response.get_data(as_text=True)
        return response

    @app.get("/")
    def view() -> Item:
        erlen.session["x"] = 1
        return Item(name="a")

    answer = ask()
    assert json.loads(answer.headers["X-Body"])["name"] == "a"
    assert "session=" in answer.headers["Set-Cookie"]


def test_a_response_class_of_ones_own_is_used(app: Erlen, ask: Ask) -> None:
    class Own(erlen.Response):
        def __init__(self, *args: t.Any, **options: t.Any) -> None:
            super().__init__(*args, **options)
            self.headers["X-Own"] = "1"

    app.response_class = Own

    @app.get("/", status=201)
    def view() -> Item:
        return Item(name="a")

    answer = ask()
    assert (answer.status_code, answer.headers["X-Own"]) == (201, "1")
    assert answer.get_json()["name"] == "a"


# Problems


def test_handlers_replace_the_answers_of_all_views(app: Erlen, ask: Ask) -> None:
    @app.post("/")
    def view(item: Item) -> str:
        return ""

    @app.errorhandler(ValidationProblem)
    def invalid(error: ValidationProblem) -> t.Any:
        return {"faults": [fault["type"] for fault in error.errors]}, 400

    @app.errorhandler(MalformedJson)
    def malformed(error: MalformedJson) -> t.Any:
        return {"own": error.detail}, 400

    @app.errorhandler(415)
    def wrong(error: Problem) -> t.Any:
        return {"own": error.code}, 415

    answer = ask("/", "POST", json={})
    assert (answer.status_code, answer.get_json()) == (400, {"faults": ["missing"]})
    answer = ask("/", "POST", data="{", content_type="application/json")
    assert "own" in answer.get_json()
    assert ask("/", "POST", data="{").get_json() == {"own": 415}


@pytest.mark.parametrize("code", [400, 401, 402, 403, 404, 405, 409, 416, 418, 422, 500, 503])
def test_problems_are_found_by_their_status(app: Erlen, ask: Ask, code: int) -> None:
    @app.get("/")
    def view() -> str:
        raise Problem(code, "detail", more=[1], headers={"X-A": "b"})

    answer = ask()
    document = answer.get_json(force=True)
    assert answer.status_code == document["status"] == code
    assert answer.headers["X-A"] == "b"
    assert (document["detail"], document["more"]) == ("detail", [1])
    assert document["type"] == "about:blank"


@pytest.mark.parametrize("code", [400, 401, 404, 405, 409, 416, 418, 422, 503])
def test_handlers_of_a_status_get_problems(app: Erlen, ask: Ask, code: int) -> None:
    @app.get("/")
    def view() -> str:
        raise Problem(code)

    @app.errorhandler(code)
    def handle(error: Problem) -> str:
        return f"handled {error.code}"

    @app.errorhandler(400 if code != 400 else 404)
    def other(error: Problem) -> str:
        raise AssertionError

    assert ask().data == f"handled {code}".encode()


def test_problems_can_be_copied_and_pickled() -> None:
    import copy
    import pickle

    for problem in (Problem(404, "x", a=1), ValidationProblem([]), MalformedJson("m")):
        for made in (copy.copy(problem), pickle.loads(pickle.dumps(problem))):
            assert made.document() == problem.document()
            assert type(made) is type(problem)


# MessagePack


def test_messagepack_goes_both_ways(app: Erlen, ask: Ask) -> None:
    msgpack = pytest.importorskip("msgpack", reason="msgpack is not installed")

    @app.post("/", status=201)
    def view(place: Place) -> Place:
        return place

    sent = {"name": "a", "at": "2026-01-02T12:00:00Z"}
    packed = msgpack.packb(sent)
    answer = ask("/", "POST", data=packed, content_type="application/vnd.msgpack")
    assert (answer.status_code, answer.get_json()) == (201, sent)
    headers = {"Accept": "application/msgpack, application/json;q=0.5"}
    answer = ask("/", "POST", json=sent, headers=headers)
    assert answer.content_type == "application/msgpack"
    assert answer.headers["Vary"] == "Accept"
    assert answer.status_code == 201
    assert msgpack.unpackb(answer.data) == sent
    headers = {"Accept": "application/json, application/msgpack;q=0.5"}
    assert ask("/", "POST", json=sent, headers=headers).is_json
    wrong = ask("/", "POST", data=b"\xc1", content_type="application/msgpack")
    assert (wrong.status_code, wrong.content_type) == (400, "application/problem+json")
    faulty = ask("/", "POST", data=msgpack.packb({}), content_type="application/msgpack")
    assert faulty.status_code == 422


def test_many_faults_are_counted_and_long_names_cut(app: Erlen, ask: Ask) -> None:
    class Strict(BaseModel):
        model_config = {"extra": "forbid"}

    @app.post("/")
    def view(numbers: Json[list[int]]) -> str:
        return ""

    @app.get("/")
    def names(strict: Query[Strict]) -> str:
        return ""

    document = ask("/", "POST", json=["x"] * 5_000).get_json(force=True)
    assert len(document["errors"]) == 100
    assert document["detail"] == "5000 faults in the request. These are the first 100."
    assert len(ask("/?" + "n" * 5_000).data) < 1_000


def test_werkzeugs_response_class_is_used(app: Erlen) -> None:
    from werkzeug.wrappers import Response

    app.response_class = Response  # type: ignore[assignment]

    @app.get("/")
    def view() -> Item:
        return Item(name="a")

    answer = app.test_client(transport="wsgi").get("/")
    assert answer.get_json()["name"] == "a"

"""Parameters are bound by their types, from every part of a request."""

from __future__ import annotations

import dataclasses
import enum
import functools
import json
import typing as t
from datetime import date, datetime, timezone
from decimal import Decimal
from io import BytesIO
from typing import Annotated
from uuid import UUID

import pytest

pytest.importorskip("pydantic", reason="pydantic is not installed")

import typing_extensions as te
from pydantic import AfterValidator, BaseModel, Field

import erlen
from erlen import Blueprint, Erlen
from erlen.api import (
    Cookie,
    Depends,
    File,
    Form,
    Header,
    In,
    Json,
    Path,
    Query,
    Upload,
    UploadFile,
)
from erlen.views import MethodView, View

T = t.TypeVar("T")
Ask = t.Callable[..., t.Any]


@pytest.fixture
def ask(app: Erlen, transport: str) -> Ask:
    """Sends a request to the application, on both protocols."""

    def ask(path: str, method: str = "GET", **options: t.Any) -> t.Any:
        return app.test_client(use_cookies=False).open(path, method=method, **options)

    return ask


def faults(response: t.Any) -> list[tuple[t.Any, ...]]:
    """Location and kind of each fault."""
    assert response.status_code == 422, response.get_data(as_text=True)
    assert response.content_type == "application/problem+json"
    document = response.get_json(force=True)
    assert document["status"] == 422
    assert document["title"] == "Unprocessable Content"
    return [(*fault["location"], fault["type"]) for fault in document["errors"]]


class Colour(enum.Enum):
    red = "red"
    blue = "blue"


class Point(BaseModel):
    x: int
    y: int = 0


@dataclasses.dataclass
class Place:
    name: str
    point: Point
    tags: list[str] = dataclasses.field(default_factory=list)


class Options(te.TypedDict, total=False):
    name: te.Required[str]
    size: int


class Cat(BaseModel):
    kind: t.Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: t.Literal["dog"]
    loud: bool


class Box(BaseModel, t.Generic[T]):
    content: T


VALUES: list[tuple[t.Any, str, t.Any]] = [
    (int, "5", 5),
    (float, "1.5", 1.5),
    (bool, "on", True),
    (str, "a b", "a b"),
    (Decimal, "1.10", "1.10"),
    (UUID, "cf57432e-809e-4353-adbd-9d5c0d733868", "cf57432e-809e-4353-adbd-9d5c0d733868"),
    (date, "2026-01-02", "2026-01-02"),
    (datetime, "2026-01-02T03:04:05Z", "2026-01-02 03:04:05+00:00"),
    (Colour, "blue", "Colour.blue"),
    (t.Literal["a", "b"], "b", "b"),
    (t.Optional[int], "5", 5),  # noqa: UP045
    (t.Union[int, str], "x", "x"),  # noqa: UP007
    (int | None, "7", 7),
]


@pytest.mark.parametrize(("kind", "text", "value"), VALUES, ids=lambda value: str(value)[:20])
@pytest.mark.parametrize("place", ["query", "header", "cookie", "form", "path"])
def test_texts_become_values_of_the_type(
    app: Erlen, ask: Ask, place: str, kind: t.Any, text: str, value: t.Any
) -> None:
    def view(value):  # type: ignore[no-untyped-def]
        return {"value": value if isinstance(value, (int, float)) else str(value)}

    view.__annotations__["value"] = Annotated[kind, In(place)]
    rule = "/<value>" if place == "path" else "/"
    app.add_url_rule(rule, view_func=view, methods=["GET", "POST"])
    asked = {
        "query": lambda: ask("/", query_string={"value": text}),
        "header": lambda: ask("/", headers={"Value": text}),
        "cookie": lambda: ask("/", headers={"Cookie": f'value="{text}"'}),
        "form": lambda: ask("/", "POST", data={"value": text}),
        "path": lambda: ask(f"/{text}"),
    }
    assert asked[place]().get_json() == {"value": value}


def test_all_faults_of_a_request_are_told_at_once(app: Erlen, ask: Ask) -> None:
    def paged(size: Annotated[int, Field(le=100)] = 10) -> int:
        return size

    @app.post("/items/<number>")
    def view(
        number: Path[Annotated[int, Field(ge=1)]],
        place: Place,
        q: str,
        x_token: Header[str],
        ads: Cookie[int],
        size: Annotated[int, Depends(paged)],
    ) -> str:
        raise AssertionError("must not be called")

    answer = ask(
        "/items/0?size=200",
        "POST",
        json={"name": 1, "point": {"x": "a"}, "tags": ["a", 2]},
        headers={"Cookie": "ads=x"},
    )
    assert faults(answer) == [
        ("query", "size", "less_than_equal"),
        ("path", "number", "greater_than_equal"),
        ("query", "q", "missing"),
        ("header", "x-token", "missing"),
        ("cookie", "ads", "int_parsing"),
        ("json", "name", "string_type"),
        ("json", "point", "x", "int_parsing"),
        ("json", "tags", 1, "string_type"),
    ]


def test_faults_do_not_repeat_what_was_sent(app: Erlen, ask: Ask) -> None:
    @app.post("/")
    def view(point: Point) -> str:
        return ""

    assert b"s3cret" not in ask("/", "POST", json={"x": "s3cret"}).data


BODIES: dict[str, tuple[t.Any, t.Any, t.Any]] = {
    "model": (Point, {"x": 1}, "Point(x=1, y=0)"),
    "dataclass": (
        Place,
        {"name": "a", "point": {"x": 1}},
        "Place(name='a', point=Point(x=1, y=0), tags=[])",
    ),
    "typed dict": (Options, {"name": "a", "size": "3"}, "{'name': 'a', 'size': 3}"),
    "list": (list[Point], [{"x": 1}], "[Point(x=1, y=0)]"),
    "dict": (dict[str, int], {"a": "1"}, "{'a': 1}"),
    "union": (
        Annotated[Cat | Dog, Field(discriminator="kind")],
        {"kind": "dog", "loud": True},
        "Dog(kind='dog', loud=True)",
    ),
    "generic": (Box[Point], {"content": {"x": 2}}, "Box[Point](content=Point(x=2, y=0))"),
    "scalar": (Json[int], 5, "5"),
    "marked list": (Json[list[int]], [1, 2], "[1, 2]"),
    "null": (Json[Point | None], None, "None"),
}


@pytest.mark.parametrize("name", BODIES)
def test_json_bodies_of_all_kinds(app: Erlen, ask: Ask, name: str) -> None:
    kind, sent, expected = BODIES[name]

    def view(body):  # type: ignore[no-untyped-def]
        return repr(body)

    view.__annotations__["body"] = kind
    app.add_url_rule("/", view_func=view, methods=["POST"])
    asked = ask("/", "POST", data=json.dumps(sent), content_type="application/json")
    assert asked.get_data(as_text=True) == expected


def test_a_discriminated_union_tells_which_kinds_there_are(app: Erlen, ask: Ask) -> None:
    @app.post("/")
    def view(pet: Annotated[Cat | Dog, Field(discriminator="kind")]) -> str:
        return ""

    assert faults(ask("/", "POST", json={"kind": "cow"})) == [("json", "union_tag_invalid")]


def test_malformed_json_is_a_400_with_the_position(app: Erlen, ask: Ask) -> None:
    @app.post("/")
    def view(point: Point, q: int) -> str:
        return ""

    answer = ask("/?q=x", "POST", data='{"x": 1,}', content_type="application/json")
    document = answer.get_json(force=True)
    assert answer.status_code == document["status"] == 400
    assert answer.content_type == "application/problem+json"
    assert "line 1 column 9" in document["detail"]
    # what else is wrong is told with it
    assert [fault["location"] for fault in document["errors"]] == [["query", "q"]]


@pytest.mark.parametrize("depth", [100_000])
def test_json_nested_too_deeply_is_refused(app: Erlen, ask: Ask, depth: int) -> None:
    @app.post("/")
    def view(body: Json[t.Any]) -> str:
        return ""

    answer = ask("/", "POST", data="[" * depth, content_type="application/json")
    assert answer.status_code == 400


class CountingBody(BytesIO):
    """A body that knows how much of it was read."""

    taken = 0

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(size)
        self.taken += len(piece)
        return piece

    def readinto(self, buffer: t.Any) -> int:
        count = super().readinto(buffer)
        self.taken += count
        return count


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_another_media_type_is_a_415_and_not_read(app: Erlen, kind: str) -> None:
    @app.post("/")
    def view(point: Point) -> str:
        return ""

    body = CountingBody(b"x" * 1000)
    client = app.test_client(transport="wsgi")
    answer = client.post("/", input_stream=body, content_length=1000, content_type=kind)
    assert answer.status_code == 415
    assert "application/json" in answer.get_json(force=True)["detail"]
    assert body.taken == 0


def test_a_body_beyond_the_limit_is_refused_without_reading_it(app: Erlen, ask: Ask) -> None:
    app.config["MAX_CONTENT_LENGTH"] = 100

    @app.post("/")
    def view(point: Point) -> str:
        return ""

    body = CountingBody(b"x" * 100_000)
    client = app.test_client(transport="wsgi")
    kind = "application/json"
    assert (
        client.post("/", input_stream=body, content_length=100_000, content_type=kind).status_code
        == 413
    )
    assert body.taken == 0
    assert ask("/", "POST", data=b"x" * 101, content_type=kind).status_code == 413


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "application/vnd.x+json"])
def test_json_by_other_names_is_json(app: Erlen, ask: Ask, kind: str) -> None:
    @app.post("/")
    def view(point: Point) -> str:
        return str(point.x)

    assert ask("/", "POST", data='{"x": 3}', content_type=kind).data == b"3"


def test_no_body_is_a_missing_one(app: Erlen, ask: Ask) -> None:
    @app.post("/")
    def view(point: Point) -> str:
        return ""

    @app.post("/optional")
    def optional(point: Json[Point | None] = None) -> str:
        return repr(point)

    assert faults(ask("/", "POST")) == [("json", "missing")]
    assert faults(ask("/", "POST", content_type="application/json")) == [("json", "missing")]
    assert ask("/optional", "POST").data == b"None"


def test_a_body_may_be_read_before_and_after_it_is_bound(app: Erlen, ask: Ask) -> None:
    def plus_length(value: int) -> int:
        return value + len(erlen.request.get_data())

    @app.post("/before/<int:count>")
    def before(count: Annotated[int, AfterValidator(plus_length)], point: Point) -> list[int]:
        return [count, point.x]

    @app.post("/after")
    def after(point: Point) -> list[t.Any]:
        request = erlen.request
        return [
            point.x,
            request.get_json(),
            request.get_data(as_text=True),
            request.stream.read().decode(),
        ]

    body = '{"x": 1}'
    for _ in range(2):  # what is known of the first request shortens the second's way
        response = ask("/before/5", "POST", data=body, content_type="application/json")
        assert response.get_json() == [5 + len(body), 1]
        response = ask("/after", "POST", data=body, content_type="application/json")
        assert response.get_json() == [1, {"x": 1}, body, ""]


def test_several_keys_of_a_body(app: Erlen, ask: Ask) -> None:
    @app.post("/")
    def view(
        one: Json[Point],
        number: Json[Annotated[int, Field(alias="no", ge=1)]],
        tags: Json[list[str]] = [],  # noqa: B006
    ) -> dict[str, t.Any]:
        tags.append("x")
        return {"x": one.x, "number": number, "tags": tags}

    sent = {"one": {"x": 1}, "no": 5}
    for _ in range(2):  # a default is not shared between requests
        assert ask("/", "POST", json=sent).get_json() == {"x": 1, "number": 5, "tags": ["x"]}
    assert faults(ask("/", "POST", json={"one": {}, "no": 0, "tags": 5})) == [
        ("json", "one", "x", "missing"),
        ("json", "no", "greater_than_equal"),
        ("json", "tags", "list_type"),
    ]
    assert faults(ask("/", "POST", json=[1])) == [("json", "model_type")]
    assert faults(ask("/", "POST")) == [("json", "one", "missing"), ("json", "no", "missing")]


def test_a_body_shared_by_a_view_and_a_dependency(app: Erlen, ask: Ask) -> None:
    def x_of(point: Json[Point]) -> int:
        return point.x

    @app.post("/one")
    def one(point: Point, x: Annotated[int, Depends(x_of)]) -> dict[str, int]:
        return {"x": x, "y": point.y}

    @app.post("/keys")
    def keys(other: Json[int], x: Annotated[int, Depends(x_of)]) -> dict[str, int]:
        return {"x": x, "other": other}

    assert ask("/one", "POST", json={"x": 1, "y": 2}).get_json() == {"x": 1, "y": 2}
    sent = {"point": {"x": 4}, "other": 3}
    assert ask("/keys", "POST", json=sent).get_json() == {"x": 4, "other": 3}


class Filter(BaseModel):
    model_config = {"extra": "forbid"}
    limit: int = Field(10, le=100)
    order_by: str = Field("name", alias="orderBy")
    tags: list[int] = []


def test_a_model_takes_the_whole_query(app: Erlen, ask: Ask) -> None:
    @app.get("/")
    def view(filter: Query[Filter]) -> dict[str, t.Any]:
        return filter.model_dump()

    assert ask("/").get_json() == {"limit": 10, "order_by": "name", "tags": []}
    asked = ask("/?limit=5&orderBy=date&tags=1&tags=2").get_json()
    assert asked == {"limit": 5, "order_by": "date", "tags": [1, 2]}
    assert faults(ask("/?limit=500&tags=x&other=1&order_by=2")) == [
        ("query", "limit", "less_than_equal"),
        ("query", "tags", 0, "int_parsing"),
        ("query", "other", "extra_forbidden"),
        ("query", "order_by", "extra_forbidden"),
    ]


@pytest.mark.parametrize("model", [Place, Options])
def test_other_classes_take_the_whole_of_a_form(app: Erlen, ask: Ask, model: t.Any) -> None:
    @dataclasses.dataclass
    class Login:
        name: str
        tags: list[str] = dataclasses.field(default_factory=list)

    kinds = {Place: Login, Options: Options}

    def view(form):  # type: ignore[no-untyped-def]
        return {"form": dict(form) if isinstance(form, dict) else dataclasses.asdict(form)}

    view.__annotations__["form"] = Form[kinds[model]]  # type: ignore[valid-type]
    app.add_url_rule("/", view_func=view, methods=["POST"])
    sent = {"name": "a", "tags": ["x", "y"]} if model is Place else {"name": "a", "size": "3"}
    expected = {**sent, "size": 3} if model is Options else sent
    assert ask("/", "POST", data=sent).get_json() == {"form": expected}
    assert faults(ask("/", "POST", data={}))[0] == ("form", "name", "missing")


def test_lists_in_headers_are_one_line_or_several(app: Erlen, ask: Ask) -> None:
    @app.get("/")
    def view(x_tag: Header[list[int]], accept: Header[str]) -> dict[str, t.Any]:
        return {"tags": x_tag, "accept": accept}

    headers = [("X-Tag", "1, 2"), ("Accept", "a, b")]
    assert ask("/", headers=headers).get_json() == {"tags": [1, 2], "accept": "a, b"}
    headers = [("X-Tag", "1"), ("X-Tag", "2"), ("Accept", "a")]
    assert ask("/", headers=headers).get_json() == {"tags": [1, 2], "accept": "a"}


@pytest.mark.parametrize(
    ("kind", "default"),
    [(list[int], [1]), (dict[str, int], {"a": 1}), (Point, Point(x=1)), (set[int], {1})],
    ids=["list", "dict", "model", "set"],
)
def test_mutable_defaults_are_not_shared_between_requests(
    app: Erlen, ask: Ask, kind: t.Any, default: t.Any
) -> None:
    seen: list[t.Any] = []

    def view(value=default):  # type: ignore[no-untyped-def]
        seen.append(value)
        return ""

    view.__annotations__["value"] = Json[kind]
    app.add_url_rule("/", view_func=view, methods=["POST"])
    ask("/", "POST")
    ask("/", "POST")
    assert seen[0] == seen[1] == default
    assert seen[0] is not seen[1]
    assert default is not seen[0]


def test_a_default_factory_makes_each_default(app: Erlen, ask: Ask) -> None:
    numbers = iter(range(100))

    @app.get("/")
    def view(n: Query[Annotated[int, Field(default_factory=lambda: next(numbers))]]) -> str:
        return str(n)

    first = int(ask("/").data)
    assert int(ask("/").data) == first + 1


# Files


def upload(data: bytes = b"hello", name: str = "a.txt", kind: str = "text/plain") -> t.Any:
    return BytesIO(data), name, kind


def test_files_of_all_kinds(app: Erlen, ask: Ask) -> None:
    @app.post("/")
    def view(
        one: UploadFile,
        many: list[UploadFile],
        raw: File[bytes],
        raws: File[list[bytes]],
        text: Form[str],
        none: File[UploadFile | None] = None,
    ) -> dict[str, t.Any]:
        return {
            "one": [one.filename, one.content_type, one.size, one.read().decode()],
            "many": [each.filename for each in many],
            "raw": raw.decode(),
            "raws": [each.decode() for each in raws],
            "rest": [text, none],
        }

    sent = {
        "one": upload(kind="text/x-own"),
        "many": [upload(), upload(name="b")],
        "raw": upload(b"raw"),
        "raws": [upload(b"r1"), upload(b"r2")],
        "text": "t",
    }
    assert ask("/", "POST", data=sent).get_json() == {
        "one": ["a.txt", "text/x-own", 5, "hello"],
        "many": ["a.txt", "b"],
        "raw": "raw",
        "raws": ["r1", "r2"],
        "rest": ["t", None],
    }
    assert faults(ask("/", "POST", data={"text": "t"})) == [
        ("file", "one", "missing"),
        ("file", "many", "missing"),
        ("file", "raw", "missing"),
        ("file", "raws", "missing"),
    ]


def test_a_file_input_that_was_left_empty_is_missing(app: Erlen, ask: Ask) -> None:
    @app.post("/")
    def view(file: File[UploadFile | None] = None) -> str:
        return repr(file)

    assert ask("/", "POST", data={"file": upload(b"", "")}).data == b"None"


def test_the_number_of_files_can_be_limited(app: Erlen, ask: Ask) -> None:
    @app.post("/")
    def view(files: File[Annotated[list[UploadFile], Field(max_length=1)]]) -> str:
        return str(len(files))

    assert ask("/", "POST", data={"files": [upload()]}).data == b"1"
    found = ask("/", "POST", data={"files": [upload(), upload()]})
    assert faults(found) == [("file", "files", "too_long")]


def test_the_content_type_of_a_file_can_be_limited(app: Erlen, ask: Ask) -> None:
    @app.post("/")
    def view(file: Annotated[UploadFile, Upload(["image/*", "text/csv"])]) -> str:
        return ""

    for kind in ("image/png", "text/csv"):
        assert ask("/", "POST", data={"file": upload(kind=kind)}).status_code == 200
    assert ask("/", "POST", data={"file": upload(kind="text/html")}).status_code == 415


def multipart(size: int) -> tuple[CountingBody, dict[str, t.Any]]:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    data = head + b"x" * size + b"\r\n--b--\r\n"
    about = {"content_length": len(data), "content_type": "multipart/form-data; boundary=b"}
    return CountingBody(data), about


@pytest.mark.parametrize("kind", [UploadFile, bytes])
def test_of_a_file_that_is_too_large_no_more_is_read_than_the_limit(
    app: Erlen, ask: Ask, kind: t.Any
) -> None:
    def view(file):  # type: ignore[no-untyped-def]
        return str(len(file if kind is bytes else file.read()))

    view.__annotations__["file"] = File[Annotated[kind, Upload(max_size=100_000)]]
    app.add_url_rule("/", view_func=view, methods=["POST"])
    body, about = multipart(10_000_000)
    client = app.test_client(transport="wsgi")
    answer = client.post("/", input_stream=body, **about)
    assert answer.status_code == 413
    assert answer.content_type == "application/problem+json"
    assert 100_000 <= body.taken < 300_000
    assert ask("/", "POST", data={"file": upload(b"x" * 100_000)}).data == b"100000"
    assert ask("/", "POST", data={"file": upload(b"x" * 100_001)}).status_code == 413


def test_each_file_has_its_own_limit(app: Erlen, ask: Ask) -> None:
    @app.post("/")
    def view(
        small: Annotated[UploadFile, Upload(max_size=5)],
        large: Annotated[UploadFile, Upload(max_size=10)],
    ) -> str:
        return ""

    assert ask("/", "POST", data={"small": upload(), "large": upload(b"x" * 10)}).status_code == 200
    assert ask("/", "POST", data={"small": upload(b"x" * 6), "large": upload()}).status_code == 413


def test_an_upload_can_be_saved_and_is_closed_with_the_request(
    app: Erlen, ask: Ask, tmp_path: t.Any
) -> None:
    kept: list[UploadFile] = []

    @app.post("/")
    def view(file: Annotated[UploadFile, Upload(max_size=10)]) -> str:
        kept.append(file)
        file.save(tmp_path / "saved")
        return str([*file])

    assert ask("/", "POST", data={"file": upload()}).status_code == 200
    assert (tmp_path / "saved").read_bytes() == b"hello"
    assert kept[0].stream.closed


# What signatures look like


def test_a_view_may_have_the_request(app: Erlen, ask: Ask) -> None:
    @app.get("/")
    def view(q: int, request: erlen.Request) -> dict[str, t.Any]:
        return {"q": q, "method": request.method}

    assert ask("/?q=1").get_json() == {"q": 1, "method": "GET"}


def test_unmarked_parameters_with_a_default_stay_at_it(app: Erlen, ask: Ask) -> None:
    @app.get("/")
    def view(q: int, admin: bool = False) -> dict[str, t.Any]:
        return {"q": q, "admin": admin}

    assert ask("/?q=1&admin=true").get_json() == {"q": 1, "admin": False}


def test_local_types_are_known_where_annotations_are_texts(app: Erlen, ask: Ask) -> None:
    class Local(BaseModel):
        name: str

    def prefix(p: str = "-") -> str:
        return p

    Prefix = Annotated[str, Depends(prefix)]

    @app.post("/")
    def view(local: Local, prefix: Prefix) -> Local:
        return Local(name=prefix + local.name)

    blueprint = Blueprint("b", __name__)

    @blueprint.post("/b")
    def inner(local: Local) -> Local:
        return local

    app.register_blueprint(blueprint)
    assert ask("/?p=x", "POST", json={"name": "a"}).get_json() == {"name": "xa"}
    assert ask("/b", "POST", json={"name": "a"}).get_json() == {"name": "a"}


def test_types_that_are_defined_later(app: Erlen, ask: Ask) -> None:
    @app.post("/")
    def view(later: list[Later]) -> str:
        return str(later[0].value)

    assert ask("/", "POST", json=[{"value": 3}]).data == b"3"


class Later(BaseModel):
    value: int
    more: list[Later] = []


def test_names_of_modules_in_annotations(app: Erlen, ask: Ask) -> None:
    from erlen import api

    assert api is erlen.api

    @app.get("/")
    def view(number: erlen.api.Query[int] = 3) -> str:
        return str(number)

    assert ask("/?number=5").data == b"5"


def test_types_for_checkers_only_do_not_matter(app: Erlen, ask: Ask) -> None:
    @app.get("/<thing>")
    def view(thing: OnlyForCheckers, q: Query[int] = 1) -> OnlyForCheckers:  # type: ignore[name-defined]  # noqa: F821
        return f"{thing} {q}"

    assert ask("/a?q=2").data == b"a 2"


def test_an_alias_by_itself_is_a_mark(app: Erlen, ask: Ask) -> None:
    @app.get("/")
    def view(number: Annotated[int, Query] = 1, other: Query[int] | None = None) -> str:
        return f"{number} {other}"

    assert ask("/?number=3&other=4").data == b"3 4"


def passing(view: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
    @functools.wraps(view)
    def wrapper(**values: t.Any) -> t.Any:
        return view(**values)

    return wrapper


def test_behind_a_decorator_marked_parameters_are_bound(app: Erlen, ask: Ask) -> None:
    @app.get("/")
    @passing
    def view(q: Query[int], user: Annotated[str, Depends(lambda: "ada")]) -> str:
        return f"{q} {user}"

    assert ask("/?q=2").data == b"2 ada"
    assert faults(ask("/")) == [("query", "q", "missing")]


def test_a_decorator_may_fill_unmarked_parameters(app: Erlen, ask: Ask) -> None:
    def inject(view: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
        @functools.wraps(view)
        def wrapper(**values: t.Any) -> t.Any:
            return view(user="injected", **values)

        return wrapper

    @app.get("/")
    @inject
    def view(user: str, q: Query[int] = 0) -> str:
        return f"{user} {q}"

    assert ask("/?user=hacker&q=2").data == b"injected 2"


def test_partials_are_bound(app: Erlen, ask: Ask) -> None:
    def view(kind: str, number: int, q: Query[int] = 1) -> str:
        return f"{kind} {number} {q}"

    app.add_url_rule("/", "view", functools.partial(view, "fixed"))
    assert ask("/?number=3&q=2&kind=other").data == b"fixed 3 2"


def test_callable_objects_are_bound(app: Erlen, ask: Ask) -> None:
    class Answer:
        def __call__(self, q: Query[int]) -> str:
            return str(q)

    app.add_url_rule("/", "view", Answer())
    assert ask("/?q=5").data == b"5"


def test_methods_of_a_class_are_bound(app: Erlen, ask: Ask) -> None:
    class Things(MethodView):
        init_every_request = False

        def __init__(self, kind: str) -> None:
            self.kind = kind

        def get(self, number: int, q: Query[str] = "") -> Point:
            return Point(x=number)

        async def post(this, point: Point) -> dict[str, t.Any]:
            return {"kind": this.kind, "x": point.x}

        @staticmethod
        def put(point: Point) -> str:
            return str(point.x)

    app.add_url_rule("/<int:number>", view_func=Things.as_view("one", "kind"), methods=["GET"])
    app.add_url_rule("/", view_func=Things.as_view("all", "kind"), methods=["POST", "PUT"])
    assert ask("/3").get_json() == {"x": 3, "y": 0}
    assert ask("/3", "HEAD").headers["Content-Type"] == "application/json"
    assert ask("/", "POST", json={"x": 1}).get_json() == {"kind": "kind", "x": 1}
    assert ask("/", "PUT", json={"x": 4}).data == b"4"
    assert faults(ask("/", "POST", json={})) == [("json", "x", "missing")]


def test_classes_with_decorators_are_bound_where_marked(app: Erlen, ask: Ask) -> None:
    class Things(MethodView):
        decorators: t.ClassVar[list[t.Any]] = [passing]

        def get(self, q: Query[int]) -> str:
            return str(q)

    app.add_url_rule("/", view_func=Things.as_view("things"))
    assert ask("/?q=3").data == b"3"


def test_a_view_class_with_one_method_is_bound(app: Erlen, ask: Ask) -> None:
    class Show(View):
        def dispatch_request(self, number: int, q: Query[int] = 1) -> dict[str, int]:
            return {"number": number, "q": q}

    app.add_url_rule("/", view_func=Show.as_view("show"))
    assert ask("/?number=3").get_json() == {"number": 3, "q": 1}


def test_coroutine_functions_are_bound_and_stay_coroutine_functions(app: Erlen, ask: Ask) -> None:
    import asyncio

    @app.post("/")
    async def view(point: Point, q: int) -> Point:
        await asyncio.sleep(0)
        return Point(x=point.x + q)

    assert ask("/?q=2", "POST", json={"x": 1}).get_json() == {"x": 3, "y": 0}
    assert app._current_program().plans_by_rule
    plan = next(p for p in app._current_program().plans_by_rule.values() if p.endpoint == "view")
    assert plan.native


def test_a_function_of_the_application_may_fill_a_parameter(app: Erlen, ask: Ask) -> None:
    class User:  # of no type that could be validated
        name = "ada"

    @app.url_value_preprocessor
    def load(endpoint: str | None, values: dict[str, t.Any] | None) -> None:
        if values is not None and "user_id" in values:
            values.pop("user_id")
            values["user"] = User()
            values["point"] = Point(x=9)

    @app.get("/<user_id>")
    def view(user: User, point: Point, q: int) -> str:
        return f"{user.name} {point.x} {q}"

    assert ask("/5?q=1&user=x").data == b"ada 9 1"


def test_nested_blueprints(app: Erlen, ask: Ask) -> None:
    outer, inner = Blueprint("outer", __name__), Blueprint("inner", __name__)

    @inner.get("/<int:number>")
    def view(number: Path[Annotated[int, Field(le=5)]], q: int = 0) -> dict[str, int]:
        return {"number": number}

    outer.register_blueprint(inner, url_prefix="/inner")
    app.register_blueprint(outer, url_prefix="/outer")
    assert ask("/outer/inner/3").get_json() == {"number": 3}
    assert faults(ask("/outer/inner/7")) == [("path", "number", "less_than_equal")]


def test_two_rules_of_an_endpoint(app: Erlen, ask: Ask) -> None:
    @app.get("/all")
    @app.get("/one/<int:number>")
    def view(number: Path[int] = 0, q: Query[int] = 1) -> dict[str, int]:
        return {"number": number, "q": q}

    assert ask("/all?q=3&number=7").get_json() == {"number": 0, "q": 3}
    assert ask("/one/4").get_json() == {"number": 4, "q": 1}


def test_a_rule_added_later_counts(app: Erlen, ask: Ask) -> None:
    def view(number: int) -> dict[str, int]:
        return {"number": number}

    app.add_url_rule("/", "view", view)
    app.prepare()
    app.add_url_rule("/<int:number>", "view", view)
    assert ask("/4").get_json() == {"number": 4}


def test_websocket_views_are_left_alone(app: Erlen) -> None:
    @app.websocket("/ws")
    async def echo(socket: erlen.Websocket) -> None:
        await socket.accept()

    app.prepare()


def test_dates_of_requests_keep_their_zone(app: Erlen, ask: Ask) -> None:
    @app.get("/")
    def view(at: datetime) -> str:
        return str(at == datetime(2026, 1, 2, tzinfo=timezone.utc))

    assert ask("/?at=2026-01-02T00:00:00Z").data == b"True"


def test_bound_methods_are_bound(app: Erlen, ask: Ask) -> None:
    class Service:
        factor = 2

        def double(self, number: int, q: Query[int] = 1) -> str:
            return str(self.factor * number + q)

    app.add_url_rule("/", view_func=Service().double)
    assert ask("/?number=3&q=4").data == b"10"
    assert faults(ask("/")) == [("query", "number", "missing")]


def test_objects_that_have_every_attribute_may_be_views(app: Erlen, ask: Ask) -> None:
    from unittest.mock import Mock

    view = Mock(return_value="mocked", methods=None, view_class=None, required_methods=())
    view.provide_automatic_options = None
    app.add_url_rule("/", "mock", view)
    assert ask("/").data == b"mocked"

"""The application whose views test_client.py calls, here and in another process."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import wraps
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field, SecretStr, computed_field

from erlen import Blueprint, Erlen, Response, g, jsonify, make_response, session
from erlen.api import (
    Cookie,
    Depends,
    File,
    Form,
    Header,
    Json,
    Path,
    Problem,
    Query,
    Status,
    UploadFile,
)
from erlen.views import MethodView, View

app = Erlen(__name__)
app.secret_key = "key of a test"


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Item(BaseModel):
    name: str
    price: float = 1.0
    tags: list[str] = []


class NotFound(BaseModel):
    missing: str


class Login(BaseModel):
    """What serialisation does not give as validation takes it."""

    model_config = {"extra": "forbid"}

    user: str = Field(validation_alias="u", serialization_alias="U")
    password: SecretStr
    hint: str = Field(default="", exclude=True)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def length(self) -> int:
        return len(self.password.get_secret_value())


@dataclass
class Window:
    first: int = 1
    words: tuple[str, ...] = ()


# Places


@app.get("/items/<int:key>")
def get_item(
    key: Path[int],
    color: Query[Color] = Color.RED,
    tags: Query[list[str]] = [],  # noqa: B006
    day: Query[date | None] = None,
    x_trace: Header[str] = "",
    theme: Cookie[str] = "light",
) -> Item | Annotated[NotFound, Status(404)]:
    if key == 0:
        return NotFound(missing="zero")
    return Item(name=f"{key} {color.name} {day} {x_trace} {theme}", tags=tags)


@app.get("/of/<day>/<uuid:key>/<path:rest>")
def of_day(day: Path[date], key: UUID, rest: str) -> list[str]:
    return [day.isoformat(), str(key), rest]


@app.get("/window")
def window(window: Query[Window]) -> Window:
    return window


@app.get("/nullable")
def nullable(number: Query[int | None] = 5) -> dict[str, int | None]:
    return {"number": number}


@app.post("/items")
async def make_item(item: Item) -> tuple[Item, int, dict[str, str]]:
    await asyncio.sleep(0)
    return item, 201, {"Location": "/items/1"}


@app.patch("/set")
def names_set(item: Json[Item]) -> list[str]:
    return sorted(item.model_fields_set)


@app.post("/both")
def both(first: Json[Item], second: Json[list[int]], limit: Query[int] = 9) -> dict[str, Any]:
    return {"first": first.model_dump(), "second": second, "limit": limit}


@app.post("/upload")
def upload(file: File[UploadFile], title: Form[str], more: File[list[bytes]] = []) -> str:  # noqa: B006
    data = file.read().decode()
    return f"{file.filename} {file.content_type} {data} {title} {len(more)}"


@app.post("/login")
def login(form: Login) -> Login:
    session["user"] = form.user
    session["password"] = form.password.get_secret_value() + form.hint
    return form


@app.get("/logged-in")
def logged_in() -> dict[str, str]:
    return dict(session)


# Dependencies


def get_user(authorization: Header[str] = "nobody") -> str:
    return authorization


def get_page(page: Query[int] = 1) -> int:
    return page


@app.get("/me")
def me(user: Annotated[str, Depends(get_user)], page: int = Depends(get_page)) -> str:
    return f"{user} {page}"


def find_product(product_id: int, day: Query[date]) -> str:
    return f"{product_id} {day}"


def in_stock(product: Annotated[str, Depends(find_product)]) -> str:
    return product


@app.get("/products/<int:product_id>")
def of_product(product: Annotated[str, Depends(in_stock)]) -> str:
    return product


class Keyless:
    def __init__(self, key: Query[int]) -> None:
        self.double = key * 2


@app.get("/keyless")
def keyless(it: Annotated[Keyless, Depends()]) -> str:
    return str(it.double)


@app.get("/paged")
def paged(window: Annotated[Window, Depends()]) -> Window:
    return window


# Answers


@app.get("/either/<int:status>")
async def either(status: int) -> Item | tuple[NotFound, int]:
    return Item(name="one") if status == 200 else (NotFound(missing="all"), status)


@app.get("/varied/<int:status>")
def varied(status: int) -> tuple[Item | NotFound, int]:
    return (Item(name="one") if status < 300 else NotFound(missing="one")), status


@app.get("/said", responses={409: NotFound})
def said(code: Query[int]) -> Item:
    if code == 409:
        return NotFound(missing="said"), 409  # type: ignore[return-value]
    raise Problem(code, "It is said.", hint="be quiet")


@app.delete("/items/<int:key>", status=204)
def remove(key: int) -> None:
    g.removed = key


@app.get("/text")
def text() -> str:
    return "ü"


@app.get("/octets")
def octets() -> bytes:
    return b"\x00\xff"


@app.get("/made/<int:status>")
def made(status: int) -> Response:
    return make_response("made", status)


@app.get("/any")
def anything(kind: Query[Literal["json", "text", "none", "octets"]]) -> Any:
    if kind == "json":
        return jsonify([1])
    return {"text": "t", "none": ("", 204), "octets": Response(b"o", mimetype="image/png")}[kind]


@app.get("/faulty")
def faulty() -> Item:
    return Response('{"name": 1}', mimetype="application/json")  # type: ignore[return-value]


@app.get("/html")
def html() -> Item:
    return "<p>"  # type: ignore[return-value]


# Routes


@app.route("/several", methods=["GET", "POST"])
@app.route("/several/<int:key>", methods=["GET", "POST"])
def several(key: int = 0, body: Json[Item | None] = None) -> dict[str, Any]:
    from erlen import request

    return {"method": request.method, "path": request.path, "body": body is not None}


def shouting(view: Callable[[str], str]) -> Callable[[str], str]:
    @wraps(view)
    def shout(name: str) -> str:
        return view(name).upper()

    return shout


@app.get("/greet/<name>")
@shouting
def greet(name: str) -> str:
    return f"hello {name}"


@shouting
@app.get("/bye/<name>")
def bye(name: str) -> str:
    return f"bye {name}"


class Items(MethodView):
    def get(self, key: int, page: Query[int] = 1) -> Item:
        return Item(name=str(key), price=page)

    async def put(self, key: int, item: Json[Item]) -> tuple[Item, int]:
        return item, 200 + key


class Page(View):
    def dispatch_request(self, number: int) -> str:
        return f"page {number}"


parts = Blueprint("parts", __name__)


@parts.get("/part/<int:key>")
def part(key: int) -> dict[str, str]:
    from erlen import request

    return {"endpoint": str(request.endpoint), "path": request.path}


@parts.url_value_preprocessor
def take_language(endpoint: str | None, values: dict[str, Any] | None) -> None:
    if values is not None:
        values.pop("language", None)


parts.add_url_rule("/items/<int:key>", view_func=Items.as_view("items"))
app.register_blueprint(parts, url_prefix="/v1/<language>", name="v1")
app.add_url_rule("/pages/<int:number>", view_func=Page.as_view("page"))
twice = Blueprint("twice", __name__)


@twice.get("/where")
def where() -> str:
    from erlen import request

    return request.path


app.register_blueprint(twice, url_prefix="/a", name="a")
app.register_blueprint(twice, url_prefix="/b", name="b")


def unknown() -> str:
    return "not a view"


# Time


@app.get("/slow")
async def slow() -> str:
    await asyncio.Event().wait()
    return "never"

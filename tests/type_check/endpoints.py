"""Typed views: what may be marked, provided and answered; checked, never run."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal, TypedDict
from uuid import UUID

from pydantic import BaseModel, Field

from erlen import Blueprint, Erlen, Request, Response, jsonify
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
    Security,
    Status,
    Upload,
    UploadFile,
)
from erlen.views import MethodView

app = Erlen(__name__)
shop = Blueprint("shop", __name__)


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Item(BaseModel):
    name: str
    price: float = 0.0


class NotFound(BaseModel):
    missing: str


@dataclass
class Page:
    number: int = 1
    size: int = 20


class Filter(TypedDict):
    color: str


# Places


@app.get("/items/<int:key>")
def places(
    key: Path[int],
    since: Query[date],
    session: Cookie[str],
    tags: Query[list[str]] = [],  # noqa: B006
    limit: Query[Annotated[int, Field(ge=1, le=100)]] = 10,
    user_agent: Header[str | None] = None,
    color: Query[Color] = Color.RED,
    order: Query[Literal["up", "down"]] = "up",
    page: Query[Page] = Page(),  # noqa: B008
) -> Item:
    same: int = key + limit
    words: list[str] = [*tags, session, order, color.value, user_agent or "", since.isoformat()]
    return Item(name=",".join(words), price=same + page.size)


@app.post("/form")
async def form(
    name: Form[str],
    picture: File[Annotated[UploadFile, Upload(content_types=["image/*"], max_size=1_000)]],
    more: File[list[UploadFile]] = [],  # noqa: B006
) -> dict[str, int]:
    return {name: picture.size + len(more)}


@app.put("/json/<uuid:key>")
def bodies(key: UUID, first: Json[Item], second: Json[list[int]]) -> list[Item]:
    return [first] * sum(second)


@app.patch("/unmarked")
def unmarked(item: Item, filter: Filter, request: Request) -> Item:
    return Item(name=request.path + item.name + filter["color"])


# Dependencies


class User(BaseModel):
    name: str


def get_user(authorization: Header[str] = "") -> User:
    return User(name=authorization)


async def get_token() -> str:
    return "token"


def open_file() -> Iterator[bytes]:
    yield b""


def open_other() -> Generator[bytes, None, None]:
    yield b""


async def open_later() -> AsyncIterator[bytes]:
    yield b""


class Scheme:
    def __call__(self, authorization: Header[str]) -> str:
        return authorization


class Paging:
    def __init__(self, page: Query[int] = 1) -> None:
        self.page = page


NamedUser = Annotated[User, Depends(get_user)]


@app.get("/provided", dependencies=[Depends(get_token), Security(get_user, scopes=["read"])])
def given(
    named: NamedUser,
    paging: Annotated[Paging, Depends()],
    user: User = Depends(get_user),
    either: User | None = Depends(get_user),
    token: str = Depends(get_token, cached=False),
    data: bytes = Depends(open_file),
    other: bytes = Depends(open_other),
    later: bytes = Depends(open_later),
    key: str = Security(Scheme(), scopes=["write"]),
    also: Paging = Depends(Paging),
    again: Paging = Depends(),
    anything: Any = Depends(lambda: 1),
) -> User:
    return user


# Answers


@app.get("/one")
@shop.get("/one")
def one() -> Item:
    return Item(name="one")


@app.get("/maybe/<int:key>")
def maybe(key: int) -> Item | Annotated[NotFound, Status(404, "There is none.")]:
    return Item(name="one") if key else NotFound(missing="one")


@app.post("/made", status=201)
async def made(item: Item) -> tuple[Item, int, dict[str, str]]:
    return item, 201, {"Location": "/"}


@app.post("/made-or-not")
async def made_or_not(item: Item) -> tuple[Item | NotFound, int]:
    return item, 201


@app.delete("/items/<int:key>", status=204)
def remove(key: int) -> None:
    if not key:
        raise Problem(404, "There is none.")


@app.get("/optional")
async def optional() -> Item | None:
    return None


@app.get("/dataclass")
def pages() -> Page:
    return Page()


@app.get("/rows")
def rows() -> list[Page]:
    return [Page()]


@app.get("/keyed")
def keyed(n: Query[int]) -> dict[int, Item]:
    return {n: Item(name="n")}


@app.get("/sum")
def total(a: Query[int], b: Query[int]) -> int:
    return a + b


@app.get("/mixed")
def mixed() -> Item | Response:
    return jsonify(name="x")


class Items(MethodView):
    def get(self, key: Path[int], page: Query[int] = 1) -> Item | Annotated[NotFound, Status(404)]:
        return Item(name=str(key), price=page)

    async def put(self, key: int, item: Json[Item]) -> tuple[Item, int]:
        return item, 200


shop.add_url_rule("/items/<int:key>", view_func=Items.as_view("items"))


# What is none


class Plain:
    pass


@app.get("/plain")  # type: ignore[type-var]
def plain() -> Plain:
    return Plain()


@app.get("/mistaken")
def mistaken(
    user: Item = Depends(get_user),  # type: ignore[assignment]
    token: int = Depends(get_token),  # type: ignore[assignment]
    data: str = Depends(open_file),  # type: ignore[assignment]
) -> Item:
    return Item(name=token)  # type: ignore[arg-type]


kept: Callable[[int], Item | NotFound] = maybe

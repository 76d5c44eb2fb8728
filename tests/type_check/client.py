"""Calls of views as a client makes them, with the types of what they return; checked, never run."""

from __future__ import annotations

import enum
from typing import Annotated, Any

from pydantic import BaseModel
from typing_extensions import assert_type

import erlen
from erlen import Erlen, Response
from erlen.api import Depends, File, Header, Json, Path, Query, Status, UploadFile
from erlen.client import AsyncClient, Client, ClientError, ProblemError, provided
from erlen.views import MethodView

app = Erlen(__name__)


class Color(enum.Enum):
    RED = "red"


class Item(BaseModel):
    name: str
    price: float = 0.0


class NotFound(BaseModel):
    missing: str


def get_user(authorization: Header[str] = "") -> str:
    return authorization


@app.get("/items/<int:key>")
def get_item(
    key: Path[int], color: Query[Color] = Color.RED, note: Query[str | None] = None
) -> Item:
    return Item(name=f"{key}{color.value}{note}")


@app.get("/maybe/<int:key>")
def maybe(key: int) -> Item | Annotated[NotFound, Status(404)]:
    return Item(name="one") if key else NotFound(missing="one")


@app.post("/items")
async def make_item(item: Json[Item]) -> tuple[Item, int, dict[str, str]]:
    return item, 201, {"Location": "/"}


@app.get("/items")
async def list_items(tags: Query[list[str]] = []) -> list[Item]:  # noqa: B006
    return [Item(name=tag) for tag in tags]


@app.get("/either")
def either() -> Item | tuple[NotFound, int]:
    return NotFound(missing="all"), 404


@app.delete("/items/<int:key>", status=204)
def remove_item(key: int) -> None:
    print(key)


@app.get("/me")
def me(user: str = Depends(get_user)) -> str:
    return user


@app.get("/also-me")
def also_me(user: Annotated[str, Depends(get_user)], loud: Query[bool] = False) -> str:
    return user.upper() if loud else user


@app.post("/picture")
def picture(file: File[UploadFile]) -> Response:
    return erlen.make_response(file.read())


@app.get("/untyped/<name>")
def untyped(name: str) -> dict[str, Any]:
    return {"name": name}


class Items(MethodView):
    def get(self, key: int, page: Query[int] = 1) -> Item:
        return Item(name=str(key), price=page)

    async def put(self, key: int, item: Json[Item]) -> tuple[Item, int]:
        return item, key


def use(client: Client) -> None:
    assert_type(client.call(get_item, 3), Item)
    assert_type(client.call(get_item, key=3, color=Color.RED, note=None), Item)
    assert_type(client.call(maybe, 3), "Item | NotFound")
    assert_type(client.call(make_item, Item(name="a")), Item)
    assert_type(client.call(list_items, tags=["a"]), "list[Item]")
    assert_type(client.call(either), "Item | tuple[NotFound, int]")
    client.call(remove_item, 3)
    assert_type(client.call(me), str)
    assert_type(client.call(also_me, provided, loud=True), str)
    assert_type(client.call(picture, UploadFile(filename="a.png")), Response)
    assert_type(client.call(untyped, name="a"), "dict[str, Any]")
    assert_type(client.call(Items.get, 3, page=2), Item)
    assert_type(client.call(Items.put, key=3, item=Item(name="a")), Item)
    assert_type(client.at("items").call(get_item, 3), Item)
    assert_type(client.sending(query={"page": "2"}), Client)


async def use_later(client: AsyncClient) -> None:
    assert_type(await client.call(get_item, 3), Item)
    assert_type(await client.call(maybe, 3), "Item | NotFound")
    assert_type(await client.call(make_item, Item(name="a")), Item)
    assert_type(await client.call(list_items, tags=["a"]), "list[Item]")
    assert_type(await client.call(either), "Item | tuple[NotFound, int]")
    assert_type(await client.call(me), str)
    assert_type(await client.call(Items.get, 3, page=2), Item)
    assert_type(await client.call(Items.put, key=3, item=Item(name="a")), Item)


def use_all() -> None:
    with erlen.Client(app, transport="asgi", headers={"X-A": "1"}) as client:
        use(client)
    with Client("http://127.0.0.1:8000", app=app, token="secret", timeout=2.5) as client:
        found = client.call(maybe, 3)
        if isinstance(found, NotFound):
            print(found.missing)
        else:
            print(found.price)
    try:
        Client(app, auth=("user", "password")).call(me)
    except ProblemError as error:
        print(error.title, error.errors[0]["location"])
    except ClientError as error:
        print(error.status, error.response.headers)


async def use_all_later() -> None:
    async with erlen.AsyncClient(app) as client, AsyncClient("http://a", app=app) as other:
        await use_later(client)
        await use_later(other)

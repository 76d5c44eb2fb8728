"""Calls with a mistake in each line marked `# E`, which type checkers have to find; never run."""

from __future__ import annotations

import enum
from datetime import date
from typing import Annotated, Literal, TypedDict

from pydantic import BaseModel

from erlen import Erlen, Response, jsonify
from erlen.api import Depends, File, Form, Header, Json, Path, Query, Status, UploadFile
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


class Counted(TypedDict):
    count: int


def get_user(authorization: Header[str] = "") -> str:
    return authorization


@app.get("/items/<int:key>")
def get_item(
    key: Path[int], color: Query[Color] = Color.RED, day: Query[date | None] = None
) -> Item:
    return Item(name=f"{key}{color.value}{day}")


@app.get("/find")
def find(word: Query[str], order: Query[Literal["up", "down"]] = "up") -> Item | None:
    return Item(name=word + order)


@app.get("/maybe/<int:key>")
def maybe(key: int) -> Item | Annotated[NotFound, Status(404)]:
    return Item(name="one") if key else NotFound(missing="one")


@app.post("/items")
async def make_item(item: Json[Item]) -> tuple[Item, int]:
    return item, 201


@app.get("/items")
async def list_items(tags: Query[list[str]] = []) -> list[Item]:  # noqa: B006
    return [Item(name=tag) for tag in tags]


@app.delete("/items/<int:key>", status=204)
def remove_item(key: int) -> None:
    print(key)


@app.get("/count")
def count(user: str = Depends(get_user), since: Query[int] = 0) -> Counted:
    return {"count": len(user) + since}


@app.get("/me")
async def me(user: Annotated[str, Depends(get_user)]) -> str:
    return user


@app.post("/picture")
def picture(file: File[UploadFile], title: Form[str]) -> Response:
    return jsonify(file.size, title)


class Items(MethodView):
    def get(self, key: int, page: Query[int] = 1) -> Item:
        return Item(name=str(key), price=page)

    async def put(self, key: int, item: Json[Item]) -> tuple[Item, int]:
        return item, key


def mistaken(client: Client, item: Item) -> None:
    # Arguments
    client.call(get_item, "3")  # E: the type of a variable of the URL
    client.call(get_item)  # E: a missing argument
    client.call(get_item, 3, colour=Color.RED)  # E: an unknown keyword
    client.call(get_item, 3, color="red")  # E: a text for an enumeration
    client.call(get_item, 3, day="2024-01-01")  # E: a text for a date
    client.call(get_item, None)  # E: None for what is not optional
    client.call(get_item, 3, key=3)  # E: an argument twice
    client.call(get_item, 3, Color.RED, None, 4)  # E: an argument too many
    client.call(find, "word", order="sideways")  # E: none of the literals
    client.call(list_items, tags=[1])  # E: the type of the items of a list
    client.call(list_items, tags="one")  # E: an item for a list
    client.call(make_item, NotFound(missing="one"))  # E: another model as the body
    client.call(make_item, {"name": "one"})  # E: a dict for a model
    client.call(picture, "a.png", title="A")  # E: a path for a file
    client.call(picture, UploadFile())  # E: a missing field of a form
    client.call(count, user=1)  # E: the type of what a dependency provides
    client.call(count, since="1")  # E: the type of a parameter after it
    client.call(Items.get, "3")  # E: the type of an argument of a method
    client.call(Items.put, 3)  # E: a missing body of a method
    client.call(Items.get, 3, item)  # E: the argument of another method
    client.call("get_item", 3)  # E: a name for a function
    client.call(list_items())  # E: a coroutine for its function
    client.at("items").call(get_item, "3")  # E: the type, of a client of a blueprint
    # Results
    print(client.call(get_item, 3).title)  # E: an unknown attribute
    print(client.call(find, "word").name)  # E: what may be None
    print(client.call(maybe, 3).name)  # E: a union, not narrowed
    print(client.call(make_item, item)[1])  # E: the status, which is no part of the result
    print(client.call(list_items).name)  # E: a list for an item
    print(client.call(count)["counts"])  # E: an unknown key
    print(client.call(picture, UploadFile(), title="A").sizes)  # E: no attribute of a response
    number: int = client.call(get_item, 3)  # E: the type of the result
    names: list[str] = client.call(list_items)  # E: the type of the items of the result
    price: str = client.call(make_item, item).price  # E: the type of an attribute
    text: str = client.call(remove_item, 3)  # E: the result of what returns nothing
    print(number, names, price, text)


async def mistaken_later(client: AsyncClient, blocking: Client, item: Item) -> None:
    print((await client.call(get_item, 3)).title)  # E: an unknown attribute
    print(client.call(get_item, 3).name)  # E: a result that was not awaited
    print((await client.call(maybe, 3)).missing)  # E: a union, not narrowed
    await client.call(make_item, "one")  # E: a text for a model
    await client.call(me, provided, 2)  # E: an argument too many
    await blocking.call(make_item, item)  # E: a result that is there already
    for each in client.call(list_items):  # E: a list that was not awaited
        print(each)


def mistaken_clients() -> None:
    Client("http://127.0.0.1:8000")  # E: no application
    Client(app, transport="http")  # E: an unknown transport
    Client(app, timeout=1)  # E: a timeout without a network
    with AsyncClient(app):  # E: a client to enter by `async with`
        pass
    try:
        Client(app, token="secret").call(count)
    except ProblemError as error:
        print(error.status.phrase)  # E: the type of a status
    except ClientError as error:
        print(error.errors)  # E: what only problems have

"""Answers: their types, what is left out of them, their status; errors."""

from typing import Annotated

from pydantic import BaseModel

import erlen
from erlen.api import Path, Problem, Query, Status, ValidationProblem

from .harness import apps, fastapi, get, post, tutorial


class Item(BaseModel):
    name: str
    description: str | None = None
    price: float = 10.5
    tags: list[str] = []


@tutorial("Response Model - Return Type", get("/items"), post("/items", json={"name": "a"}))
def return_types():
    ours, theirs = apps()

    @ours.get("/items")
    def show() -> list[Item]:
        return [Item(name="a", price=1), Item(name="b")]

    @ours.post("/items")
    def create(item: Item) -> Item:
        return item

    @theirs.get("/items")
    async def read() -> list[Item]:
        return [Item(name="a", price=1), Item(name="b")]

    @theirs.post("/items")
    async def make(item: Item) -> Item:
        return item

    return ours, theirs


class UserIn(BaseModel):
    username: str
    password: str


class UserOut(BaseModel):
    username: str


@tutorial("Response Model - Return Type", post("/users", json={"username": "a", "password": "b"}))
def answer_without_the_password():
    ours, theirs = apps()

    @ours.post("/users", returns=UserOut)
    def create(user: UserIn):
        return user

    @theirs.post("/users", response_model=UserOut)
    async def make(user: UserIn):
        return user

    return ours, theirs


class Account(UserOut):
    password: str


@tutorial("Response Model - Return Type", post("/users", json={"username": "a", "password": "b"}))
def answer_of_a_base_class():
    ours, theirs = apps()

    @ours.post("/users")
    def create(user: Account) -> UserOut:
        return user

    @theirs.post("/users")
    async def make(user: Account) -> UserOut:
        return user

    return ours, theirs


@tutorial("Response Model - Return Type", get("/portal"), get("/portal?teleport=true"))
def answer_of_responses():
    ours, theirs = apps()

    @ours.get("/portal")
    def go(teleport: Query[bool] = False) -> erlen.Response:
        if teleport:
            return erlen.redirect("https://example.com/there", 307)
        return erlen.jsonify(message="here")

    @theirs.get("/portal")
    async def walk(teleport: bool = False) -> fastapi.Response:
        from fastapi.responses import JSONResponse, RedirectResponse

        if teleport:
            return RedirectResponse("https://example.com/there")
        return JSONResponse({"message": "here"})

    # The page of a redirect is nobody's contract.
    @ours.after_request
    def empty(response):
        if response.status_code == 307:
            response.set_data("")
        return response

    return ours, theirs


ITEMS = {
    "foo": {"name": "Foo", "price": 50.2},
    "bar": {"name": "Bar", "description": "The bar", "price": 62, "tags": ["a"]},
    "baz": {"name": "Baz", "description": None, "price": 10.5, "tags": []},
}


@tutorial("Response Model - Return Type", *(get(f"/items/{name}") for name in ITEMS))
def answer_without_defaults():
    ours, theirs = apps()

    @ours.get("/items/<name>", exclude_unset=True)
    def show(name: str) -> Item:
        return ITEMS[name]

    @theirs.get("/items/{name}", response_model=Item, response_model_exclude_unset=True)
    async def read(name: str):
        return ITEMS[name]

    return ours, theirs


@tutorial("Response Model - Return Type", get("/items/bar/name"), get("/items/bar/public"))
def answer_of_some_members():
    ours, theirs = apps()

    @ours.get("/items/<name>/name", include={"name", "description"})
    def some(name: str) -> Item:
        return ITEMS[name]

    @ours.get("/items/<name>/public", exclude={"tags"})
    def others(name: str) -> Item:
        return ITEMS[name]

    @theirs.get(
        "/items/{name}/name", response_model=Item, response_model_include={"name", "description"}
    )
    async def a(name: str):
        return ITEMS[name]

    @theirs.get("/items/{name}/public", response_model=Item, response_model_exclude={"tags"})
    async def b(name: str):
        return ITEMS[name]

    return ours, theirs


class Car(BaseModel):
    kind: str = "car"
    seats: int


class Plane(BaseModel):
    kind: str = "plane"
    wings: int


@tutorial("Extra Models", get("/things/car"), get("/things/plane"))
def answer_of_a_union():
    ours, theirs = apps()
    things = {"car": Car(seats=4), "plane": Plane(wings=2)}

    @ours.get("/things/<name>")
    def show(name: str) -> Car | Plane:
        return things[name]

    @theirs.get("/things/{name}", response_model=Plane | Car)
    async def read(name: str):
        return things[name]

    return ours, theirs


@tutorial("Extra Models", get("/weights"), get("/cars"))
def answer_of_dicts_and_lists():
    ours, theirs = apps()

    @ours.get("/weights", returns=dict[str, float])
    def weights():
        return {"foo": 2, "bar": 3.5}

    @ours.get("/cars")
    def cars() -> list[Car]:
        return [{"seats": 4}, {"seats": 2, "colour": "red"}]

    @theirs.get("/weights", response_model=dict[str, float])
    async def a():
        return {"foo": 2, "bar": 3.5}

    @theirs.get("/cars", response_model=list[Car])
    async def b():
        return [{"seats": 4}, {"seats": 2, "colour": "red"}]

    return ours, theirs


@tutorial("Response Status Code", post("/items?name=a"), post("/items"), get("/none"))
def status():
    ours, theirs = apps()

    @ours.post("/items", status=201)
    def create(name: str):
        return {"name": name}

    @ours.get("/none", status=204)
    def nothing():
        return None

    @theirs.post("/items", status_code=201)
    async def make(name: str):
        return {"name": name}

    @theirs.get("/none", status_code=204)
    async def none():
        return None

    return ours, theirs


class Missing(BaseModel):
    message: str


@tutorial("Additional Responses", get("/items/foo"), get("/items/none"))
def answers_by_status():
    ours, theirs = apps()

    @ours.get("/items/<name>")
    def show(name: str) -> Item | Annotated[Missing, Status(404, "There is none.")]:
        if name not in ITEMS:
            return Missing(message="none")
        return Item(**ITEMS[name])

    @theirs.get("/items/{name}", responses={404: {"model": Missing}})
    async def read(name: str) -> Item:
        from fastapi.responses import JSONResponse

        if name not in ITEMS:
            return JSONResponse({"message": "none"}, 404)
        return ITEMS[name]

    return ours, theirs


@tutorial("Handling Errors", get("/items/foo"), get("/items/none"))
def errors_with_headers():
    ours, theirs = apps()

    @ours.get("/items/<name>")
    def show(name: str):
        if name not in ITEMS:
            raise Problem(404, "There is no such item.", headers={"X-Header": "there is none"})
        return ITEMS[name]

    @theirs.get("/items/{name}")
    async def read(name: str):
        if name not in ITEMS:
            raise fastapi.HTTPException(404, "none", headers={"X-Header": "there is none"})
        return ITEMS[name]

    return ours, theirs


@tutorial("Handling Errors", get("/unicorns/a"), get("/unicorns/yolo"), get("/items/x"))
def own_error_handlers():
    class Unicorn(Exception):
        pass

    ours, theirs = apps()

    @ours.errorhandler(Unicorn)
    def rainbow(error):
        return {"message": "a rainbow"}, 418

    @ours.errorhandler(ValidationProblem)
    def invalid(error):
        return "; ".join(fault["message"] for fault in error.errors), 400

    @ours.get("/unicorns/<name>")
    def show(name: str):
        if name == "yolo":
            raise Unicorn
        return {"name": name}

    @ours.get("/items/<number>")
    def item(number: Path[int]):
        return {"number": number}

    @theirs.exception_handler(Unicorn)
    async def a(request, error):
        from fastapi.responses import JSONResponse

        return JSONResponse({"message": "a rainbow"}, 418)

    @theirs.exception_handler(fastapi.exceptions.RequestValidationError)
    async def b(request, error):
        from fastapi.responses import PlainTextResponse

        return PlainTextResponse(str(error), 400)

    @theirs.get("/unicorns/{name}")
    async def c(name: str):
        if name == "yolo":
            raise Unicorn
        return {"name": name}

    @theirs.get("/items/{number}")
    async def d(number: int):
        return {"number": number}

    return ours, theirs

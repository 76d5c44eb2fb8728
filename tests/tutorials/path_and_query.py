"""Path parameters, query parameters, and what may be said of both."""

from enum import Enum
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field

from erlen.api import Path, Query

from .harness import apps, fastapi, get, tutorial


@tutorial("Path Parameters", get("/items/foo"), get("/items/3"), get("/items/a%20b"))
def path_parameter():
    ours, theirs = apps()

    @ours.get("/items/<item_id>")
    def show(item_id):
        return {"item_id": item_id}

    @theirs.get("/items/{item_id}")
    async def read(item_id):
        return {"item_id": item_id}

    return ours, theirs


@tutorial("Path Parameters", get("/items/3"), get("/items/-3"), get("/items/4.2"), get("/items/x"))
def path_parameter_with_type():
    ours, theirs = apps()

    @ours.get("/items/<item_id>")
    def show(item_id: Path[int]):
        return {"item_id": item_id}

    @theirs.get("/items/{item_id}")
    async def read(item_id: int):
        return {"item_id": item_id}

    return ours, theirs


@tutorial("Path Parameters", get("/items/3"), get("/items/foo", differs="converter"))
def path_parameter_with_converter():
    ours, theirs = apps()

    @ours.get("/items/<int:item_id>")
    def show(item_id: int):
        return {"item_id": item_id}

    @theirs.get("/items/{item_id}")
    async def read(item_id: int):
        return {"item_id": item_id}

    return ours, theirs


@tutorial("Path Parameters", get("/users/me"), get("/users/ada"))
def fixed_path_beside_variable():
    ours, theirs = apps()

    @ours.get("/users/<name>")  # Werkzeug orders rules by their weight, so the order is free
    def somebody(name: str):
        return {"user": name}

    @ours.get("/users/me")
    def myself():
        return {"user": "the current user"}

    @theirs.get("/users/me")
    async def me():
        return {"user": "the current user"}

    @theirs.get("/users/{name}")
    async def other(name: str):
        return {"user": name}

    return ours, theirs


@tutorial("Path Parameters", get("/models/alexnet"), get("/models/lenet"), get("/models/vgg"))
def path_parameter_of_an_enum():
    class Model(str, Enum):
        alexnet = "alexnet"
        lenet = "lenet"

    ours, theirs = apps()

    @ours.get("/models/<name>")
    def show(name: Path[Model]):
        return {"model": name.value, "is_first": name is Model.alexnet}

    @theirs.get("/models/{name}")
    async def read(name: Model):
        return {"model": name.value, "is_first": name is Model.alexnet}

    return ours, theirs


@tutorial("Path Parameters", get("/files/home/ada/a.txt"), get("/files/x"))
def path_parameter_with_slashes():
    ours, theirs = apps()

    @ours.get("/files/<path:file>")
    def show(file: str):
        return {"file": file}

    @theirs.get("/files/{file:path}")
    async def read(file: str):
        return {"file": file}

    return ours, theirs


@tutorial(
    "Query Parameters",
    *(get("/items"), get("/items?skip=1"), get("/items?skip=1&limit=1"), get("/items?skip=x")),
    get("/items?limit="),
)
def query_defaults():
    items = [{"name": name} for name in ("Foo", "Bar", "Baz")]
    ours, theirs = apps()

    @ours.get("/items")
    def show(skip: Query[int] = 0, limit: Query[int] = 10):
        return items[skip : skip + limit]

    @theirs.get("/items")
    async def read(skip: int = 0, limit: int = 10):
        return items[skip : skip + limit]

    return ours, theirs


@tutorial("Query Parameters", get("/items/a"), get("/items/a?q=b"), get("/items/a?q="))
def optional_query():
    ours, theirs = apps()

    @ours.get("/items/<item>")
    def show(item: str, q: Query[str | None] = None):
        return {"item": item, "q": q}

    @theirs.get("/items/{item}")
    async def read(item: str, q: str | None = None):
        return {"item": item, "q": q}

    return ours, theirs


@tutorial(
    "Query Parameters",
    *(get(f"/items?short={value}") for value in ("1", "True", "on", "yes", "no", "0", "x")),
    get("/items"),
)
def boolean_query():
    ours, theirs = apps()

    @ours.get("/items")
    def show(short: Query[bool] = False):
        return {"short": short}

    @theirs.get("/items")
    async def read(short: bool = False):
        return {"short": short}

    return ours, theirs


@tutorial(
    "Query Parameters",
    *(get("/users/3/items/a"), get("/users/3/items/a?q=x&short=true"), get("/users/x/items/a")),
)
def several_path_and_query_parameters():
    ours, theirs = apps()

    @ours.get("/users/<user>/items/<item>")
    def show(user: Path[int], item: str, q: Query[str | None] = None, short: Query[bool] = False):
        return {"user": user, "item": item, "q": q, "short": short}

    @theirs.get("/users/{user}/items/{item}")
    async def read(user: int, item: str, q: str | None = None, short: bool = False):
        return {"user": user, "item": item, "q": q, "short": short}

    return ours, theirs


@tutorial(
    "Query Parameters",
    *(get("/items/a"), get("/items/a?needy=b"), get("/items/a?needy=b&skip=2&limit=x")),
    get("/items/a?needy=b&skip=2&limit=5"),
)
def required_query():
    ours, theirs = apps()

    @ours.get("/items/<item>")
    def show(item: str, needy: str, skip: Query[int] = 0, limit: Query[int | None] = None):
        return {"item": item, "needy": needy, "skip": skip, "limit": limit}

    @theirs.get("/items/{item}")
    async def read(item: str, needy: str, skip: int = 0, limit: int | None = None):
        return {"item": item, "needy": needy, "skip": skip, "limit": limit}

    return ours, theirs


@tutorial(
    "Query Parameters and String Validations",
    *(get("/items"), get("/items?q=ab"), get("/items?q=abcd"), get("/items?q=" + "a" * 11)),
)
def query_lengths():
    Text = Annotated[str | None, Field(min_length=3, max_length=10)]
    ours, theirs = apps()

    @ours.get("/items")
    def show(q: Query[Text] = None):
        return {"q": q}

    @theirs.get("/items")
    async def read(q: Annotated[str | None, fastapi.Query(min_length=3, max_length=10)] = None):
        return {"q": q}

    return ours, theirs


@tutorial(
    "Query Parameters and String Validations",
    *(get("/items"), get("/items?q=fixedquery"), get("/items?q=no")),
)
def query_pattern():
    ours, theirs = apps()

    @ours.get("/items")
    def show(q: Query[Annotated[str, Field(pattern="^fixedquery$")]] = "fixedquery"):
        return {"q": q}

    @theirs.get("/items")
    async def read(q: Annotated[str, fastapi.Query(pattern="^fixedquery$")] = "fixedquery"):
        return {"q": q}

    return ours, theirs


@tutorial(
    "Query Parameters and String Validations",
    *(get("/items"), get("/items?q=a"), get("/items?q=a&q=b"), get("/items?q=")),
)
def query_list():
    ours, theirs = apps()

    @ours.get("/items")
    def show(q: Query[list[str] | None] = None):
        return {"q": q}

    @theirs.get("/items")
    async def read(q: Annotated[list[str] | None, fastapi.Query()] = None):
        return {"q": q}

    return ours, theirs


@tutorial(
    "Query Parameters and String Validations",
    *(get("/items"), get("/items?q=1"), get("/items?q=1&q=2&q=2"), get("/items?q=x")),
)
def query_list_with_defaults():
    ours, theirs = apps()

    @ours.get("/items")
    def show(q: Query[list[int]] = [1, 2]):  # noqa: B006
        q.append(0)  # the next request must not see it
        return {"q": q}

    @theirs.get("/items")
    async def read(q: Annotated[list[int], fastapi.Query()] = [1, 2]):  # noqa: B006
        return {"q": [*q, 0]}

    return ours, theirs


@tutorial(
    "Query Parameters and String Validations",
    *(get("/items"), get("/items?item-query=a"), get("/items?q=a")),
)
def query_alias():
    ours, theirs = apps()

    @ours.get("/items")
    def show(q: Query[Annotated[str | None, Field(alias="item-query", deprecated=True)]] = None):
        return {"q": q}

    @theirs.get("/items")
    async def read(
        q: Annotated[str | None, fastapi.Query(alias="item-query", deprecated=True)] = None,
    ):
        return {"q": q}

    return ours, theirs


@tutorial(
    "Query Parameters and String Validations",
    *(get("/items"), get("/items?id=isbn-1"), get("/items?id=x")),
)
def query_with_own_validator():
    def check(value: str) -> str:
        if not value.startswith(("isbn-", "imdb-")):
            raise ValueError("no known kind of id")
        return value

    ours, theirs = apps()

    @ours.get("/items")
    def show(id: Query[Annotated[str, AfterValidator(check)]] = "isbn-0"):
        return {"id": id}

    @theirs.get("/items")
    async def read(id: Annotated[str, AfterValidator(check)] = "isbn-0"):
        return {"id": id}

    return ours, theirs


@tutorial(
    "Path Parameters and Numeric Validations",
    *(get("/items/5?q=a&size=1.5"), get("/items/-1?q=a&size=1"), get("/items/1001?q=a&size=1")),
    *(get("/items/5?size=10.5&q=a"), get("/items/5?size=0&q=a"), get("/items/5")),
)
def numeric_limits():
    ours, theirs = apps()

    @ours.get("/items/<item>")
    def show(
        item: Path[Annotated[int, Field(ge=0, le=1000, title="The id")]],
        q: str,
        size: Annotated[float, Field(gt=0, lt=10.5)],
    ):
        return {"item": item, "q": q, "size": size}

    @theirs.get("/items/{item}")
    async def read(
        *,
        item: Annotated[int, fastapi.Path(title="The id", ge=0, le=1000)],
        q: str,
        size: Annotated[float, fastapi.Query(gt=0, lt=10.5)],
    ):
        return {"item": item, "q": q, "size": size}

    return ours, theirs


def filters(extra: str | None = None) -> type[BaseModel]:
    class Filters(BaseModel):
        model_config = {"extra": extra} if extra else {}
        limit: int = Field(100, gt=0, le=100)
        offset: int = Field(0, ge=0)
        order: Literal["created", "updated"] = "created"
        tags: list[str] = []

    return Filters


@tutorial(
    "Query Parameter Models",
    *(get("/items"), get("/items?limit=10&offset=2&order=updated&tags=a&tags=b")),
    *(get("/items?limit=0"), get("/items?order=x"), get("/items?other=1"), get("/items?tags=a")),
)
def query_model():
    Filters = filters()
    ours, theirs = apps()

    @ours.get("/items")
    def show(filters: Query[Filters]):
        return filters.model_dump()

    @theirs.get("/items")
    async def read(filters: Annotated[Filters, fastapi.Query()]):
        return filters

    return ours, theirs


@tutorial("Query Parameter Models", get("/items?limit=1"), get("/items?limit=1&tool=x"))
def query_model_without_others():
    Filters = filters("forbid")
    ours, theirs = apps()

    @ours.get("/items")
    def show(filters: Query[Filters]):
        return filters.model_dump()

    @theirs.get("/items")
    async def read(filters: Annotated[Filters, fastapi.Query()]):
        return filters

    return ours, theirs

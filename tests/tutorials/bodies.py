"""Bodies, cookies, headers and the types of what they hold."""

from datetime import datetime, time, timedelta
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field, HttpUrl

from erlen.api import Cookie, Header, In, Json, Path, Query

from .harness import apps, ask, fastapi, get, post, put, tutorial


class Item(BaseModel):
    name: str
    description: str | None = None
    price: float
    tax: float | None = None


FOO = {"name": "Foo", "price": 45.2}


@tutorial(
    "Request Body",
    *(post("/items", json=FOO), post("/items", json={**FOO, "tax": 3.5, "description": "x"})),
    *(post("/items", json={"name": "Foo"}), post("/items", json={"name": 1, "price": "x"})),
    *(post("/items", json=None), post("/items", json=[FOO]), post("/items")),
    post("/items", data="{", content_type="application/json", differs="malformed JSON"),
    post("/items", data="name=Foo", content_type="text/plain", differs="wrong media type"),
    post("/items", data='{"name": "a", "price": 1}', content_type="application/vnd.x+json"),
)
def body():
    ours, theirs = apps()

    @ours.post("/items")
    def create(item: Item) -> Item:
        return item

    @theirs.post("/items")
    async def make(item: Item):
        return item

    return ours, theirs


@tutorial(
    "Request Body",
    *(put("/items/3", json=FOO), put("/items/3?q=a", json=FOO), put("/items/x", json={})),
)
def body_with_path_and_query():
    ours, theirs = apps()

    @ours.put("/items/<item_id>")
    def update(item_id: Path[int], item: Item, q: Query[str | None] = None):
        return {"item_id": item_id, **item.model_dump(), "q": q}

    @theirs.put("/items/{item_id}")
    async def change(item_id: int, item: Item, q: str | None = None):
        return {"item_id": item_id, **item.model_dump(), "q": q}

    return ours, theirs


@tutorial(
    "Body - Multiple Parameters",
    *(put("/items/3", json=FOO), put("/items/3"), put("/items/3?q=a", json=None)),
    put("/items/2000", json=FOO),
)
def optional_body():
    ours, theirs = apps()

    @ours.put("/items/<item_id>")
    def update(
        item_id: Path[Annotated[int, Field(ge=0, le=1000)]],
        q: Query[str | None] = None,
        item: Json[Item | None] = None,
    ):
        return {"item_id": item_id, "q": q, "item": item and item.model_dump()}

    @theirs.put("/items/{item_id}")
    async def change(
        item_id: Annotated[int, fastapi.Path(ge=0, le=1000)],
        q: str | None = None,
        item: Item | None = None,
    ):
        return {"item_id": item_id, "q": q, "item": item}

    return ours, theirs


class User(BaseModel):
    username: str
    full_name: str | None = None


@tutorial(
    "Body - Multiple Parameters",
    put("/items/3", json={"item": FOO, "user": {"username": "ada"}, "importance": 5}),
    put("/items/3?q=a", json={"item": FOO, "user": {"username": "ada"}, "importance": 5}),
    put("/items/3", json={"item": FOO, "user": {"username": "ada"}, "importance": 0}),
    *(put("/items/3", json={"item": FOO}), put("/items/3", json=FOO), put("/items/3")),
)
def several_bodies():
    ours, theirs = apps()

    @ours.put("/items/<item_id>")
    def update(
        item_id: Path[int],
        item: Json[Item],
        user: Json[User],
        importance: Json[Annotated[int, Field(gt=0)]],
        q: Query[str | None] = None,
    ):
        found = {"item": item.model_dump(), "user": user.model_dump()}
        return {"item_id": item_id, **found, "importance": importance, "q": q}

    @theirs.put("/items/{item_id}")
    async def change(
        item_id: int,
        item: Item,
        user: User,
        importance: Annotated[int, fastapi.Body(gt=0)],
        q: str | None = None,
    ):
        found = {"item": item, "user": user}
        return {"item_id": item_id, **found, "importance": importance, "q": q}

    return ours, theirs


@tutorial(
    "Body - Multiple Parameters",
    *(put("/items", json={"item": FOO}), put("/items", json=FOO), put("/items", json={"item": 1})),
)
def embedded_body():
    ours, theirs = apps()

    @ours.put("/items")
    def update(item: Annotated[Item, In("json", embed=True)]) -> Item:
        return item

    @theirs.put("/items")
    async def change(item: Annotated[Item, fastapi.Body(embed=True)]):
        return item

    return ours, theirs


@tutorial("Body - Multiple Parameters", post("/n", json=5), post("/n", json="x"), post("/n"))
def scalar_body():
    ours, theirs = apps()

    @ours.post("/n")
    def take(number: Json[int]):
        return {"number": number}

    @theirs.post("/n")
    async def give(number: Annotated[int, fastapi.Body()]):
        return {"number": number}

    return ours, theirs


@tutorial(
    "Body - Fields",
    *(post("/items", json={"name": "a", "price": 1}), post("/items", json={"name": "a"})),
    post("/items", json={"name": "a", "price": 0, "description": "x" * 301}),
)
def body_fields():
    class Limited(BaseModel):
        name: str
        description: str | None = Field(None, title="What it is", max_length=300)
        price: float = Field(gt=0, description="More than nothing")

    ours, theirs = apps()

    @ours.post("/items")
    def create(item: Limited) -> Limited:
        return item

    @theirs.post("/items")
    async def make(item: Limited):
        return item

    return ours, theirs


class Image(BaseModel):
    url: HttpUrl
    name: str


class Nested(Item):
    tags: set[str] = set()
    images: list[Image] | None = None


class Offer(BaseModel):
    name: str
    items: list[Nested]


IMAGE = {"url": "https://example.com/a.jpg", "name": "a"}


@tutorial(
    "Body - Nested Models",
    post("/offers", json={"name": "o", "items": [{**FOO, "tags": ["a", "a"], "images": [IMAGE]}]}),
    post("/offers", json={"name": "o", "items": []}),
    post("/offers", json={"name": "o", "items": [{**FOO, "images": [{"url": "x", "name": 1}]}]}),
    post("/offers", json={"name": "o", "items": [{"price": "a"}, {"name": "b"}]}),
)
def nested_models():
    ours, theirs = apps()

    @ours.post("/offers")
    def create(offer: Offer) -> Offer:
        return offer

    @theirs.post("/offers")
    async def make(offer: Offer):
        return offer

    return ours, theirs


@tutorial(
    "Body - Nested Models",
    *(post("/images", json=[IMAGE, IMAGE]), post("/images", json=[]), post("/images", json=IMAGE)),
    post("/images", json=[{"url": 5}]),
)
def list_body():
    ours, theirs = apps()

    @ours.post("/images")
    def create(images: list[Image]) -> list[Image]:
        return images

    @theirs.post("/images")
    async def make(images: list[Image]):
        return images

    return ours, theirs


@tutorial(
    "Body - Nested Models",
    *(post("/weights", json={"1": 2.5, "3": 4}), post("/weights", json={"x": 1})),
)
def dict_body():
    ours, theirs = apps()

    @ours.post("/weights")
    def create(weights: dict[int, float]) -> dict[int, float]:
        return weights

    @theirs.post("/weights")
    async def make(weights: dict[int, float]):
        return weights

    return ours, theirs


TIMES = {
    "start": "2026-01-02T03:04:05Z",
    "end": "2026-01-02T04:04:05+00:00",
    "after": 90,
    "at": "14:23:55.003",
}
IDENTITY = "cf57432e-809e-4353-adbd-9d5c0d733868"


@tutorial(
    "Extra Data Types",
    *(put(f"/items/{IDENTITY}", json=TIMES), put("/items/x", json=TIMES)),
    put(f"/items/{IDENTITY}", json={**TIMES, "start": "x", "after": "P1D"}),
    put(f"/items/{IDENTITY}", json={**TIMES, "after": "PT1H", "at": None}),
)
def extra_types():
    ours, theirs = apps()

    def answer(item_id, start, end, after, at):
        lasts = end - (start + after)
        return {"id": str(item_id), "lasts": lasts.total_seconds(), "at": at and at.isoformat()}

    @ours.put("/items/<item_id>")
    def update(
        item_id: Path[UUID],
        start: Json[datetime],
        end: Json[datetime],
        after: Json[timedelta],
        at: Json[time | None] = None,
    ):
        return answer(item_id, start, end, after, at)

    @theirs.put("/items/{item_id}")
    async def change(
        item_id: UUID,
        start: Annotated[datetime, fastapi.Body()],
        end: Annotated[datetime, fastapi.Body()],
        after: Annotated[timedelta, fastapi.Body()],
        at: Annotated[time | None, fastapi.Body()] = None,
    ):
        return answer(item_id, start, end, after, at)

    return ours, theirs


@tutorial(
    "Cookie Parameters",
    *(get("/items"), get("/items", headers={"Cookie": "ads=abc; other=1"})),
    get("/items", headers={"Cookie": "visits=3"}),
    get("/items", headers={"Cookie": "visits=x"}),
)
def cookies():
    ours, theirs = apps()

    @ours.get("/items")
    def show(ads: Cookie[str | None] = None, visits: Cookie[int] = 0):
        return {"ads": ads, "visits": visits}

    @theirs.get("/items")
    async def read(
        ads: Annotated[str | None, fastapi.Cookie()] = None,
        visits: Annotated[int, fastapi.Cookie()] = 0,
    ):
        return {"ads": ads, "visits": visits}

    return ours, theirs


@tutorial(
    "Cookie Parameter Models",
    *(get("/items", headers={"Cookie": "session=a; tracker=b"}), get("/items")),
    get("/items", headers={"Cookie": "session=a; santa=b"}),
)
def cookie_model():
    class Cookies(BaseModel):
        model_config = {"extra": "forbid"}
        session: str
        tracker: str | None = None

    ours, theirs = apps()

    @ours.get("/items")
    def show(cookies: Cookie[Cookies]) -> Cookies:
        return cookies

    @theirs.get("/items")
    async def read(cookies: Annotated[Cookies, fastapi.Cookie()]):
        return cookies

    return ours, theirs


@tutorial(
    "Header Parameters",
    *(get("/items"), get("/items", headers={"User-Agent": "x", "X-Count": "3"})),
    get("/items", headers={"x-count": "x"}),
)
def headers():
    ours, theirs = apps()

    @ours.get("/items")
    def show(user_agent: Header[str | None] = None, x_count: Header[int] = 1):
        return {"agent": (user_agent or "").partition("/")[0], "count": x_count}

    @theirs.get("/items")
    async def read(
        user_agent: Annotated[str | None, fastapi.Header()] = None,
        x_count: Annotated[int, fastapi.Header()] = 1,
    ):
        return {"agent": (user_agent or "").partition("/")[0], "count": x_count}

    return ours, theirs


@tutorial("Header Parameters", get("/items"), get("/items", headers={"X-Token": "one"}))
def header_list():
    ours, theirs = apps()

    @ours.get("/items")
    def show(x_token: Header[list[str] | None] = None):
        return {"tokens": x_token}

    @theirs.get("/items")
    async def read(x_token: Annotated[list[str] | None, fastapi.Header()] = None):
        return {"tokens": x_token}

    return ours, theirs


@tutorial(
    "Header Parameter Models",
    *(get("/items", headers={"Save-Data": "true", "If-Modified-Since": "x"}), get("/items")),
    get("/items", headers={"Save-Data": "x"}),
)
def header_model():
    class Headers(BaseModel):
        save_data: bool
        if_modified_since: str | None = None
        x_tag: list[str] = []

    ours, theirs = apps()

    @ours.get("/items")
    def show(headers: Header[Headers]) -> Headers:
        return headers

    @theirs.get("/items")
    async def read(headers: Annotated[Headers, fastapi.Header()]):
        return headers

    return ours, theirs


@tutorial(
    "Body - Updates",
    *(get("/items/bar"), put("/items/bar", json={"name": "B", "price": 3}), get("/items/bar")),
    *(ask("PATCH", "/items/bar", json={"tax": 20.2}), get("/items/bar")),
    *(ask("PATCH", "/items/none", json={"tax": 20.2}), put("/items/bar", json={"price": 3})),
)
def updates():
    class Part(BaseModel):
        name: str | None = None
        price: float | None = None
        tax: float = 10.5

    start = {"bar": {"name": "Bar", "price": 62, "tax": 20.0}}
    ours, theirs = apps()
    kept, held = dict(start), dict(start)

    @ours.get("/items/<name>")
    def show(name: str) -> Part:
        return kept[name]

    @ours.put("/items/<name>")
    def replace(name: str, item: Item) -> Part:
        kept[name] = item.model_dump(exclude_none=True)
        return kept[name]

    @ours.patch("/items/<name>")
    def patch(name: str, part: Part) -> Part:
        if name not in kept:
            return {"error": "no such item"}, 404
        kept[name] = {**kept[name], **part.model_dump(exclude_unset=True)}
        return kept[name]

    @theirs.get("/items/{name}", response_model=Part)
    async def read(name: str):
        return held[name]

    @theirs.put("/items/{name}", response_model=Part)
    async def change(name: str, item: Item):
        held[name] = item.model_dump(exclude_none=True)
        return held[name]

    @theirs.patch("/items/{name}", response_model=Part)
    async def mend(name: str, part: Part):
        if name not in held:
            raise fastapi.HTTPException(404, "no such item")
        held[name] = {**held[name], **part.model_dump(exclude_unset=True)}
        return held[name]

    return ours, theirs

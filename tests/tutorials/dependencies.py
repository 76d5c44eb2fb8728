"""Dependencies."""

from typing import Annotated

from pydantic import BaseModel

import erlen
from erlen.api import Depends, Header, Json, Problem, Query

from .harness import apps, fastapi, get, post, tutorial


@tutorial(
    "Dependencies",
    *(get("/items"), get("/items?q=a&limit=3"), get("/users?skip=2"), get("/users?skip=x")),
)
def common_parameters():
    ours, theirs = apps()

    async def common(q: str | None = None, skip: int = 0, limit: int = 100):
        return {"q": q, "skip": skip, "limit": limit}

    Common = Annotated[dict, Depends(common)]
    Theirs = Annotated[dict, fastapi.Depends(common)]

    @ours.get("/items")
    def items(commons: Common):
        return commons

    @ours.get("/users")
    async def users(commons: Common):
        return commons

    @theirs.get("/items")
    async def a(commons: Theirs):
        return commons

    @theirs.get("/users")
    async def b(commons: Theirs):
        return commons

    return ours, theirs


@tutorial("Classes as Dependencies", get("/items?q=a&skip=1"), get("/items"), get("/items?skip=x"))
def class_as_dependency():
    class Common:
        def __init__(self, q: str | None = None, skip: int = 0, limit: int = 2):
            self.q = q
            self.span = skip, limit

    ours, theirs = apps()

    @ours.get("/items")
    def items(commons: Annotated[Common, Depends()]):
        return {"q": commons.q, "span": list(commons.span)}

    @theirs.get("/items")
    async def a(commons: Annotated[Common, fastapi.Depends()]):
        return {"q": commons.q, "span": list(commons.span)}

    return ours, theirs


@tutorial(
    "Sub-dependencies",
    *(get("/items"), get("/items?q=a"), get("/items", headers={"Cookie": "last=b"})),
)
def nested_dependencies():
    from erlen.api import Cookie

    ours, theirs = apps()

    def query(q: str | None = None):
        return q

    def ours_either(q: Annotated[str, Depends(query)], last: Cookie[str | None] = None):
        return q or last

    def theirs_either(
        q: Annotated[str, fastapi.Depends(query)],
        last: Annotated[str | None, fastapi.Cookie()] = None,
    ):
        return q or last

    @ours.get("/items")
    def items(either: Annotated[str, Depends(ours_either)]):
        return {"either": either}

    @theirs.get("/items")
    async def a(either: Annotated[str, fastapi.Depends(theirs_either)]):
        return {"either": either}

    return ours, theirs


@tutorial("Sub-dependencies", get("/n"), get("/n"))
def dependencies_once_a_request():
    ours, theirs = apps()
    counts = {"ours": 0, "theirs": 0}

    def number():
        counts["ours"] += 1
        return counts["ours"]

    def their_number():
        counts["theirs"] += 1
        return counts["theirs"]

    @ours.get("/n")
    def show(
        a: Annotated[int, Depends(number)],
        b: Annotated[int, Depends(number)],
        c: Annotated[int, Depends(number, cached=False)],
    ):
        return [a, b, c]

    @theirs.get("/n")
    async def read(
        a: Annotated[int, fastapi.Depends(their_number)],
        b: Annotated[int, fastapi.Depends(their_number)],
        c: Annotated[int, fastapi.Depends(their_number, use_cache=False)],
    ):
        return [a, b, c]

    return ours, theirs


def checks():
    """A dependency for the sake of its errors, for either framework."""

    def ours_token(x_token: Header[str]):
        if x_token != "secret":
            raise Problem(400, "The token is wrong.")

    async def ours_key(x_key: Header[str]):
        if x_key != "key":
            raise Problem(400, "The key is wrong.")
        return x_key

    def theirs_token(x_token: Annotated[str, fastapi.Header()]):
        if x_token != "secret":
            raise fastapi.HTTPException(400, "wrong")

    async def theirs_key(x_key: Annotated[str, fastapi.Header()]):
        if x_key != "key":
            raise fastapi.HTTPException(400, "wrong")
        return x_key

    return (
        [Depends(ours_token), Depends(ours_key)],
        [fastapi.Depends(theirs_token), fastapi.Depends(theirs_key)],
    )


BOTH = {"X-Token": "secret", "X-Key": "key"}
CHECKED = (
    get("/items", headers=BOTH),
    get("/items"),
    get("/items", headers={"X-Token": "wrong"}),
    get("/items", headers={**BOTH, "X-Key": "wrong"}),
)


@tutorial("Dependencies in path operation decorators", *CHECKED)
def dependencies_of_a_route():
    ours, theirs = apps()
    mine, other = checks()

    @ours.get("/items", dependencies=mine)
    def items():
        return [{"item": "Foo"}]

    @theirs.get("/items", dependencies=other)
    async def a():
        return [{"item": "Foo"}]

    return ours, theirs


@tutorial("Global Dependencies", *CHECKED)
def dependencies_of_the_application():
    mine, other = checks()
    ours, theirs = apps(dependencies=other)
    ours.dependencies += mine

    @ours.get("/items")
    def items():
        return [{"item": "Foo"}]

    @theirs.get("/items")
    async def a():
        return [{"item": "Foo"}]

    return ours, theirs


@tutorial("Bigger Applications", *CHECKED, get("/free"))
def dependencies_of_a_blueprint():
    mine, other = checks()
    ours, theirs = apps()
    blueprint = erlen.Blueprint("items", __name__)
    blueprint.dependencies += mine
    router = fastapi.APIRouter(dependencies=other)

    @blueprint.get("/items")
    def items():
        return [{"item": "Foo"}]

    @ours.get("/free")
    def free():
        return {}

    @router.get("/items")
    async def a():
        return [{"item": "Foo"}]

    @theirs.get("/free")
    async def b():
        return {}

    ours.register_blueprint(blueprint)
    theirs.include_router(router)
    return ours, theirs


@tutorial("Dependencies with yield", get("/a"), get("/log"), get("/b"), get("/log"))
def dependencies_with_yield():
    ours, theirs = apps()
    mine, other = [], []

    def nested(log, depends):
        async def outer():
            log.append("open outer")
            try:
                yield "outer"
            finally:
                log.append("close outer")

        def inner(outer: Annotated[str, depends(outer)]):
            log.append("open inner")
            try:
                yield f"inner of {outer}"
            finally:
                log.append("close inner")

        return inner

    ours_inner, theirs_inner = nested(mine, Depends), nested(other, fastapi.Depends)

    @ours.get("/a")
    def a(value: Annotated[str, Depends(ours_inner)]):
        return {"value": value}

    @ours.get("/b")
    async def b(value: Annotated[str, Depends(ours_inner)]):
        return {"value": value}

    @ours.get("/log")
    def log():
        return mine

    @theirs.get("/a")
    def c(value: Annotated[str, fastapi.Depends(theirs_inner)]):
        return {"value": value}

    @theirs.get("/b")
    async def d(value: Annotated[str, fastapi.Depends(theirs_inner)]):
        return {"value": value}

    @theirs.get("/log")
    async def e():
        return other

    return ours, theirs


@tutorial(
    "Dependencies with yield",
    *(get("/items/foo"), get("/items/none"), get("/items/owned"), get("/items/broken")),
    get("/log"),
)
def errors_reach_dependencies():
    class OwnerError(Exception):
        pass

    ours, theirs = apps()
    mine, other = [], []

    def owner():
        try:
            yield "Rick"
        except OwnerError as error:
            mine.append("owner")
            raise Problem(400, f"Owner: {error}") from error
        except Exception as error:
            mine.append(type(error).__name__ != "")
            raise

    def their_owner():
        try:
            yield "Rick"
        except OwnerError as error:
            other.append("owner")
            raise fastapi.HTTPException(400, f"Owner: {error}") from error
        except Exception as error:
            other.append(type(error).__name__ != "")
            raise

    @ours.get("/items/<name>")
    def show(name: str, owner: Annotated[str, Depends(owner)]):
        if name == "none":
            raise Problem(404)
        if name == "owned":
            raise OwnerError(owner)
        if name == "broken":
            raise RuntimeError("broken")
        return {"name": name}

    @ours.get("/log")
    def log():
        return mine

    @theirs.get("/items/{name}")
    def read(name: str, owner: Annotated[str, fastapi.Depends(their_owner)]):
        if name == "none":
            raise fastapi.HTTPException(404)
        if name == "owned":
            raise OwnerError(owner)
        if name == "broken":
            raise RuntimeError("broken")
        return {"name": name}

    @theirs.get("/log")
    async def a():
        return other

    @theirs.exception_handler(RuntimeError)
    async def b(request, error):
        from fastapi.responses import PlainTextResponse

        return PlainTextResponse("error", 500)

    return ours, theirs


@tutorial("Advanced Dependencies", get("/check?q=bar"), get("/check?q=foobar"), get("/check"))
def callable_object_as_dependency():
    class Contains:
        def __init__(self, fixed: str):
            self.fixed = fixed

        def __call__(self, q: str = ""):
            return self.fixed in q

    check = Contains("bar")
    ours, theirs = apps()

    @ours.get("/check")
    def show(found: Annotated[bool, Depends(check)]):
        return {"found": found}

    @theirs.get("/check")
    async def read(found: Annotated[bool, fastapi.Depends(check)]):
        return {"found": found}

    return ours, theirs


@tutorial("Testing Dependencies with Overrides", get("/items"), get("/items?q=a"))
def overrides():
    ours, theirs = apps()

    async def common(q: str | None = None, skip: int = 0):
        return {"q": q, "skip": skip}

    def replacement(q: str | None = None):
        return {"q": q, "skip": 5}

    @ours.get("/items")
    def show(common: Annotated[dict, Depends(common)]):
        return common

    @theirs.get("/items")
    async def read(common: Annotated[dict, fastapi.Depends(common)]):
        return common

    ours.dependency_overrides[common] = replacement
    theirs.dependency_overrides[common] = replacement
    return ours, theirs


class Filter(BaseModel):
    name: str


@tutorial(
    "Dependencies",
    post("/items/3?debug=1", json={"name": "a"}),
    *(post("/items/x", json={"name": "a"}), post("/items/3", json={})),
)
def dependency_with_path_and_body():
    ours, theirs = apps()

    def mine(item_id: int, filter: Json[Filter], debug: Query[bool] = False):
        return [item_id, filter.name, debug]

    def other(item_id: int, filter: Filter, debug: bool = False):
        return [item_id, filter.name, debug]

    @ours.post("/items/<item_id>")
    def show(item_id: str, found: Annotated[list, Depends(mine)]):
        return {"id": item_id, "found": found}

    @theirs.post("/items/{item_id}")
    async def read(item_id: str, found: Annotated[list, fastapi.Depends(other)]):
        return {"id": item_id, "found": found}

    return ours, theirs

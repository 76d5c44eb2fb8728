"""Dependencies are called once a request, nested and overridden, and their generators end."""

from __future__ import annotations

import asyncio
import functools
import typing as t
from contextvars import ContextVar
from typing import Annotated

import pytest

pytest.importorskip("pydantic", reason="pydantic is not installed")

from pydantic import BaseModel

import erlen
from erlen import Blueprint, Erlen
from erlen.api import Depends, Header, Json, Path, Problem, Query

Ask = t.Callable[..., t.Any]


@pytest.fixture
def ask(app: Erlen, transport: str) -> Ask:
    return lambda path, method="GET", **options: app.test_client().open(
        path, method=method, **options
    )


@pytest.fixture
def log() -> list[str]:
    return []


class Item(BaseModel):
    name: str


def plain(q: int = 1) -> int:
    return q


async def coroutine(q: int = 1) -> int:
    await asyncio.sleep(0)
    return q


def generator(q: int = 1) -> t.Iterator[int]:
    yield q


async def async_generator(q: int = 1) -> t.AsyncIterator[int]:
    await asyncio.sleep(0)
    yield q
    await asyncio.sleep(0)


class Class:
    def __init__(self, q: int = 1) -> None:
        self.q = q

    def __int__(self) -> int:
        return self.q


class Callable:
    def __call__(self, q: int = 1) -> int:
        return q

    def method(self, q: int = 1) -> int:
        return q

    async def later(self, q: int = 1) -> int:
        return q


class CallableGenerator:
    async def __call__(self, q: int = 1) -> t.AsyncIterator[int]:
        yield q


class Params(BaseModel):
    q: int = 1

    def __int__(self) -> int:
        return self.q


KINDS: dict[str, t.Any] = {
    "function": plain,
    "coroutine function": coroutine,
    "generator": generator,
    "async generator": async_generator,
    "class": Class,
    "model": Params,
    "object": Callable(),
    "object with a generator": CallableGenerator(),
    "method": Callable().method,
    "coroutine method": Callable().later,
    "partial": functools.partial(plain),
    "partial of a coroutine": functools.partial(coroutine),
    "lambda": lambda: 5,
}


@pytest.mark.parametrize("native", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("kind", KINDS)
def test_dependencies_of_all_kinds(app: Erlen, ask: Ask, kind: str, native: bool) -> None:
    Value = Annotated[t.Any, Depends(KINDS[kind])]

    def view(value: Value) -> str:
        return str(int(value))

    async def native_view(value: Value) -> str:
        await asyncio.sleep(0)
        return str(int(value))

    app.add_url_rule("/", view_func=native_view if native else view)
    app.prepare()
    assert ask("/?q=5").data == b"5"
    if kind != "lambda":
        assert ask("/?q=x").status_code == 422


def tracing(log: list[str], name: str) -> t.Callable[[], t.Iterator[str]]:
    def provide() -> t.Iterator[str]:
        log.append(f"open {name}")
        try:
            yield name
        except BaseException as error:
            log.append(f"{name} got {type(error).__name__}")
            raise
        finally:
            log.append(f"close {name}")

    return provide


def async_tracing(log: list[str], name: str) -> t.Callable[[], t.AsyncIterator[str]]:
    async def provide() -> t.AsyncIterator[str]:
        log.append(f"open {name}")
        try:
            yield name
        except BaseException as error:
            log.append(f"{name} got {type(error).__name__}")
            raise
        finally:
            await asyncio.sleep(0)
            log.append(f"close {name}")

    return provide


@pytest.mark.parametrize("native", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("make", [tracing, async_tracing])
def test_generators_end_in_the_reverse_order(
    app: Erlen, ask: Ask, log: list[str], make: t.Any, native: bool
) -> None:
    one, two = make(log, "one"), make(log, "two")

    def view(one: Annotated[str, Depends(one)], two: Annotated[str, Depends(two)]) -> str:
        log.append("view")
        return ""

    async def native_view(
        one: Annotated[str, Depends(one)], two: Annotated[str, Depends(two)]
    ) -> str:
        log.append("view")
        return ""

    app.add_url_rule("/", view_func=native_view if native else view)

    @app.after_request
    def after(response: erlen.Response) -> erlen.Response:
        log.append("after")
        return response

    ask("/")
    opened = ["open one", "open two", "view"]
    assert log == [*opened, "close two", "close one", "after"]


@pytest.mark.parametrize("native", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("make", [tracing, async_tracing])
def test_errors_of_the_view_are_thrown_into_generators(
    app: Erlen, ask: Ask, log: list[str], make: t.Any, native: bool
) -> None:
    Value = Annotated[str, Depends(make(log, "it"))]

    def view(value: Value) -> str:
        raise Problem(404)

    async def native_view(value: Value) -> str:
        await asyncio.sleep(0)
        raise Problem(404)

    app.add_url_rule("/", view_func=native_view if native else view)
    assert ask("/").status_code == 404
    assert log == ["open it", "it got Problem", "close it"]


def test_an_error_of_a_generator_replaces_the_views(app: Erlen, ask: Ask, log: list[str]) -> None:
    def translating() -> t.Iterator[None]:
        try:
            yield
        except KeyError as error:
            raise Problem(409, "translated") from error

    @app.get("/")
    def view(
        outer: Annotated[str, Depends(tracing(log, "outer"))],
        value: Annotated[None, Depends(translating)],
    ) -> str:
        raise KeyError("x")

    assert ask("/").status_code == 409
    assert log == ["open outer", "outer got Problem", "close outer"]


def test_an_error_that_a_generator_swallows_is_raised_all_the_same(app: Erlen, ask: Ask) -> None:
    def swallowing() -> t.Iterator[None]:
        try:
            yield
        except Problem:
            pass

    @app.get("/")
    def view(value: Annotated[None, Depends(swallowing)]) -> str:
        raise Problem(418)

    assert ask("/").status_code == 418


def test_generators_get_the_faults_of_other_parameters(
    app: Erlen, ask: Ask, log: list[str]
) -> None:
    @app.get("/")
    def view(value: Annotated[str, Depends(tracing(log, "it"))], q: int) -> str:
        raise AssertionError

    assert ask("/").status_code == 422
    assert log == ["open it", "it got ValidationProblem", "close it"]


def test_generators_get_the_faults_of_the_answer(app: Erlen, ask: Ask, log: list[str]) -> None:
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.logger.disabled = True

    @app.get("/")
    def view(value: Annotated[str, Depends(tracing(log, "it"))]) -> Item:
        return {"name": 5}  # type: ignore[return-value]

    assert ask("/").status_code == 500
    assert log == ["open it", "it got ValidationError", "close it"]


@pytest.mark.parametrize("make", [tracing, async_tracing])
@pytest.mark.parametrize("native", [False, True], ids=["sync", "async"])
def test_generators_of_a_streamed_answer_end_when_it_was_sent(
    app: Erlen, ask: Ask, log: list[str], make: t.Any, native: bool
) -> None:
    Value = Annotated[str, Depends(make(log, "it"))]

    def pieces() -> t.Iterator[str]:
        log.append("piece")
        yield "a"

    async def async_pieces() -> t.AsyncIterator[str]:
        log.append("piece")
        yield "a"

    def view(value: Value) -> t.Any:
        return pieces()

    async def native_view(value: Value) -> t.Any:
        return async_pieces()

    app.add_url_rule("/", view_func=native_view if native else view)
    with ask("/") as answer:
        assert answer.data == b"a"
    assert log == ["open it", "piece", "close it"]


def test_a_dependency_is_called_once_a_request(app: Erlen, ask: Ask, log: list[str]) -> None:
    def number() -> int:
        log.append("number")
        return len(log)

    def twice(number: Annotated[int, Depends(number)]) -> int:
        return number * 2

    @app.get("/")
    def view(
        one: Annotated[int, Depends(number)],
        two: Annotated[int, Depends(twice)],
        new: Annotated[int, Depends(number, cached=False)],
    ) -> list[int]:
        return [one, two, new]

    assert ask("/").get_json() == [1, 2, 2]
    assert ask("/").get_json() == [3, 6, 4]


def test_a_dependency_with_faults_is_not_called_nor_who_needs_it(
    app: Erlen, ask: Ask, log: list[str]
) -> None:
    def first(q: int) -> int:
        log.append("first")
        return q

    def second(first: Annotated[int, Depends(first)]) -> int:
        log.append("second")
        return first

    def third(
        first: Annotated[int, Depends(first)], second: Annotated[int, Depends(second)]
    ) -> int:
        log.append("third")
        return first

    @app.get("/")
    def view(
        third: Annotated[int, Depends(third)],
        second: Annotated[int, Depends(second)],
        again: Annotated[int, Depends(first, cached=False)],
    ) -> str:
        return str(third)

    answer = ask("/?q=x")
    assert answer.status_code == 422
    assert [each["location"] for each in answer.get_json(force=True)["errors"]] == [
        ["query", "q"],
        ["query", "q"],
    ]
    assert log == []
    assert ask("/?q=4").data == b"4"


def test_who_may_not_ask_is_told_so_before_the_body_is_looked_at(app: Erlen, ask: Ask) -> None:
    def check(token: Header[str] = "") -> None:
        if token != "secret":
            raise Problem(401)

    @app.post("/", dependencies=[Depends(check)])
    def view(item: Item, q: int) -> str:
        return ""

    assert ask("/", "POST", data="{", content_type="application/json").status_code == 401
    answer = ask(
        "/", "POST", data="{", content_type="application/json", headers={"Token": "secret"}
    )
    assert answer.status_code == 400


def test_dependencies_of_application_blueprints_and_route_come_in_this_order(
    app: Erlen, ask: Ask, log: list[str]
) -> None:
    outer, inner = Blueprint("outer", __name__), Blueprint("inner", __name__)
    app.dependencies = [Depends(lambda: log.append("app"))]
    outer.dependencies.append(Depends(lambda: log.append("outer")))
    inner.dependencies.append(Depends(lambda: log.append("inner")))

    @inner.get("/", dependencies=[Depends(lambda: log.append("route"))])
    def view() -> str:
        log.append("view")
        return ""

    @app.get("/app")
    async def other() -> str:
        return ""

    outer.register_blueprint(inner, url_prefix="/inner")
    app.register_blueprint(outer, url_prefix="/outer")
    ask("/outer/inner/")
    assert log == ["app", "outer", "inner", "route", "view"]
    del log[:]
    ask("/app")
    assert log == ["app"]


@pytest.mark.parametrize("verb", ["GET", "HEAD", "POST"])
def test_class_based_views_are_guarded_too(app: Erlen, ask: Ask, verb: str) -> None:
    from erlen.views import MethodView, View

    def refuse() -> None:
        raise Problem(403)

    class Things(MethodView):
        def get(self) -> str:
            return ""

        def post(self) -> str:
            return ""

    class Show(View):
        methods = ("GET", "POST")

        def dispatch_request(self) -> str:
            return ""

    app.dependencies.append(Depends(refuse))
    app.add_url_rule("/things", view_func=Things.as_view("things"))
    app.add_url_rule("/show", view_func=Show.as_view("show"))
    assert ask("/things", verb).status_code == 403
    assert ask("/show", verb).status_code == 403


def test_overrides_hold_at_once_and_end_at_once(app: Erlen, ask: Ask) -> None:
    def user(token: Header[str]) -> str:
        return token

    def nested(user: Annotated[str, Depends(user)]) -> str:
        return f"nested {user}"

    @app.get("/<name>")
    def view(name: str, found: Annotated[str, Depends(nested)]) -> str:
        return f"{name} {found}"

    def replacement(name: str, q: int = 0) -> t.Iterator[str]:
        yield f"test {name} {q}"

    assert ask("/a").status_code == 422
    app.dependency_overrides[user] = replacement
    assert ask("/a?q=1").data == b"a nested test a 1"
    app.dependency_overrides = {nested: lambda: "none"}
    assert ask("/a").data == b"a none"
    app.dependency_overrides.clear()
    assert ask("/a", headers={"Token": "t"}).data == b"a nested t"


def test_overrides_reach_dependencies_of_the_route(app: Erlen, ask: Ask) -> None:
    def check() -> None:
        raise Problem(403)

    @app.get("/", dependencies=[Depends(check)])
    def view() -> str:
        return "in"

    assert ask("/").status_code == 403
    app.dependency_overrides[check] = lambda: None
    assert ask("/").data == b"in"


def test_dependencies_bind_from_everywhere(app: Erlen, ask: Ask) -> None:
    def everything(
        request: erlen.Request,
        number: Path[int],
        item: Json[Item],
        token: Header[str],
        q: Query[list[int]],
    ) -> list[t.Any]:
        return [request.method, number, item.name, token, q]

    @app.post("/<number>")
    def view(number: str, found: Annotated[list[t.Any], Depends(everything)]) -> list[t.Any]:
        return [number, *found]

    answer = ask("/5?q=1&q=2", "POST", json={"name": "a"}, headers={"Token": "t"})
    assert answer.get_json() == ["5", "POST", 5, "a", "t", [1, 2]]


def test_context_variables_of_a_generator_are_seen_by_the_view(app: Erlen, ask: Ask) -> None:
    tenant: ContextVar[str] = ContextVar("tenant", default="none")

    async def choose(name: str) -> t.AsyncIterator[None]:
        token = tenant.set(name)
        yield
        tenant.reset(token)

    @app.get("/", dependencies=[Depends(choose)])
    async def view() -> str:
        await asyncio.sleep(0)
        return tenant.get()

    assert ask("/?name=a").data == b"a"
    assert tenant.get() == "none"


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_generators_that_yield_not_once_are_told(app: Erlen, ask: Ask, kind: str) -> None:
    def twice() -> t.Iterator[int]:
        yield 1
        yield 2

    async def async_twice() -> t.AsyncIterator[int]:
        yield 1
        yield 2

    def never() -> t.Iterator[int]:
        if kind == "other":
            yield 1

    async def async_never() -> t.AsyncIterator[int]:
        if kind == "other":
            yield 1

    many, none = (twice, never) if kind == "sync" else (async_twice, async_never)

    @app.get("/many")
    def view(value: Annotated[int, Depends(many)]) -> str:
        return ""

    @app.get("/none")
    def other(value: Annotated[int, Depends(none)]) -> str:
        return ""

    with pytest.raises(RuntimeError, match="twice yields more than once"):
        ask("/many")
    with pytest.raises(RuntimeError, match="never yields nothing"):
        ask("/none")


def test_dependencies_of_requests_at_the_same_time_do_not_mix(app: Erlen) -> None:
    async def name(name: str) -> t.AsyncIterator[str]:
        await asyncio.sleep(0)
        yield name
        await asyncio.sleep(0)

    @app.get("/")
    async def view(name: Annotated[str, Depends(name)]) -> str:
        await asyncio.sleep(0)
        return name

    async def many() -> list[bytes]:
        client = app.async_test_client()
        answers = await asyncio.gather(*(client.get(f"/?name={n}") for n in range(20)))
        return [answer.data for answer in answers]

    assert asyncio.run(many()) == [str(n).encode() for n in range(20)]


def test_methods_without_a_function_are_guarded_too(app: Erlen, ask: Ask) -> None:
    from erlen.views import MethodView

    class Own(MethodView):
        methods: t.ClassVar[t.Any] = ["GET", "POST"]

        def dispatch_request(self, **values: t.Any) -> str:
            return "answered"

    def refuse() -> None:
        raise Problem(403)

    app.add_url_rule("/", view_func=Own.as_view("own"))
    assert ask("/").data == b"answered"
    app.dependencies = [Depends(refuse)]
    for verb in ("GET", "HEAD", "POST"):
        assert ask("/", verb).status_code == 403


def test_a_dependency_may_use_a_name_that_is_a_variable_elsewhere(app: Erlen, ask: Ask) -> None:
    def paged(page: Query[int] = 1) -> int:
        return page

    @app.get("/books/<page>")
    def view(page: str, number: Annotated[int, Depends(paged)]) -> str:
        return f"{page} {number}"

    assert ask("/books/cover?page=3").data == b"cover 3"

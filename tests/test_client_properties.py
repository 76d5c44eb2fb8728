"""For any models and values: what a call through the client returns is what the view returned."""

from __future__ import annotations

import asyncio
import enum
import keyword
from collections.abc import Callable
from dataclasses import make_dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("pydantic", reason="pydantic is not installed")

from pydantic import BaseModel, Field, create_model

from erlen import Erlen
from erlen.api import Cookie, Form, Header, Json, Path, Query, Status
from erlen.client import AsyncClient, Client


class Color(enum.Enum):
    RED = "red"
    GREEN = "green; &"


class Size(enum.IntEnum):
    SMALL = 1
    LARGE = 2


class Fault(BaseModel):
    code: int


def _texts(**options: Any) -> st.SearchStrategy[str]:
    return st.text(st.characters(exclude_categories=["Cs"], **options), max_size=12)


_zones = st.sampled_from([None, timezone.utc, timezone(timedelta(hours=-3, minutes=30))])

#: Types that a text can have, each with its values.
SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(-(2**70), 2**70),
    float: st.floats(allow_nan=False, allow_infinity=False),  # as in JSON
    bool: st.booleans(),
    str: _texts(),
    date: st.dates(date(1, 1, 1)),
    time: st.times(),
    datetime: st.datetimes(timezones=_zones),
    UUID: st.uuids(),
    Decimal: st.decimals(allow_nan=False, allow_infinity=False, places=3),
    Color: st.sampled_from(Color),
    Size: st.sampled_from(Size),
    Literal["up", "down"]: st.sampled_from(["up", "down"]),
}

Typed = tuple[Any, st.SearchStrategy[Any]]
scalars = st.sampled_from([*SCALARS]).map(lambda kind: (kind, SCALARS[kind]))


def _listed(inner: Typed) -> Typed:
    return list[inner[0]], st.lists(inner[1], max_size=3)  # type: ignore[name-defined]


def _keyed(inner: Typed) -> Typed:
    return dict[str, inner[0]], st.dictionaries(_texts(), inner[1], max_size=3)  # type: ignore[name-defined]


def _optional(inner: Typed) -> Typed:
    return inner[0] | None, st.none() | inner[1]


_names = st.from_regex(r"[a-z][a-z0-9_]{0,6}", fullmatch=True).filter(
    # Names that a model has for itself, or that Python keeps.
    lambda name: not (keyword.iskeyword(name) or hasattr(BaseModel, name) or "model_" in name)
)


@st.composite
def models(draw: Any, inner: st.SearchStrategy[Typed]) -> Typed:
    """A model or dataclass of a few fields, at times with names that differ both ways."""
    fields = draw(st.dictionaries(_names, inner, min_size=1, max_size=4))
    values = {name: values for name, (_, values) in fields.items()}
    if draw(st.booleans()):
        made = make_dataclass("Data", [(name, kind) for name, (kind, _) in fields.items()])
        return made, st.builds(made, **values)
    described: dict[str, Any] = {}
    for name, (kind, _) in fields.items():
        options = {}
        if draw(st.booleans()):
            options["alias"] = f"{name}-x"
        if draw(st.booleans()):
            options["serialization_alias"] = f"{name}.out"
        described[name] = (kind, Field(**options))
    config = {"populate_by_name": True}
    model = create_model("Model", __config__=config, **described)  # type: ignore[call-overload]
    return model, st.builds(lambda **given: model(**given), **values)


types = st.recursive(
    scalars,
    lambda inner: inner.map(_listed) | inner.map(_keyed) | inner.map(_optional) | models(inner),
    max_leaves=6,
)
bodies = models(types) | models(types).map(_listed)

CALLS: dict[str, Callable[[Erlen, Any, dict[str, Any]], Any]] = {
    "wsgi": lambda app, view, given: Client(app, transport="wsgi").call(view, **given),
    "asgi": lambda app, view, given: Client(app, transport="asgi").call(view, **given),
    "coroutine": lambda app, view, given: asyncio.run(AsyncClient(app).call(view, **given)),
}


over_both = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


def make_app() -> Erlen:
    app = Erlen("property")
    app.config["TESTING"] = True
    return app


@over_both
@settings(max_examples=30)
@given(st.data())
def test_what_a_view_returns_comes_back(call: Any, data: st.DataObject) -> None:
    kind, values = data.draw(bodies)
    value = data.draw(values)
    app = make_app()

    def answer():  # type: ignore[no-untyped-def]
        return value

    answer.__annotations__["return"] = kind
    app.get("/", returns=kind)(answer)
    assert call(app, answer, {}) == value


@over_both
@settings(max_examples=30)
@given(st.data())
def test_a_body_arrives_and_comes_back(call: Any, data: st.DataObject) -> None:
    kind, values = data.draw(bodies)
    value = data.draw(values)
    app = make_app()
    seen = []

    async def echo(body):  # type: ignore[no-untyped-def]
        seen.append(body)
        return body, 201

    echo.__annotations__.update({"body": Json[kind], "return": tuple[kind, int]})
    app.post("/")(echo)
    assert call(app, echo, {"body": value}) == value
    assert seen == [value]


@over_both
@settings(max_examples=30)
@given(st.data())
def test_an_answer_of_a_union_has_the_type_of_its_status(call: Any, data: st.DataObject) -> None:
    kind, values = data.draw(models(types))
    value = data.draw(values | st.builds(Fault, code=st.integers()))
    app = make_app()

    def answer():  # type: ignore[no-untyped-def]
        return value

    answer.__annotations__["return"] = kind | Annotated[Fault, Status(409)]
    app.get("/")(answer)
    found = call(app, answer, {})
    assert (type(found), found) == (type(value), value)


#: What each place cannot hold: see RFC 9110, 5.5 and RFC 3986, 3.3 (an empty segment is none);
#: an empty field of a form is one that was not filled in.
PLACES: dict[str, tuple[Any, Callable[[Any], bool]]] = {
    "query": (Query, lambda text: True),
    "form": (Form, bool),
    "path": (Path, lambda text: text not in ("", ".", "..") and "/" not in text),
    "cookie": (Cookie, lambda text: True),
    "header": (
        Header,
        lambda text: text == text.strip() and text.isprintable() and text.isascii(),
    ),
}


@over_both
@settings(max_examples=30)
@given(st.data())
@pytest.mark.parametrize("place", PLACES)
def test_a_text_arrives_from_each_place(call: Any, place: str, data: st.DataObject) -> None:
    mark, holds = PLACES[place]
    kind, values = data.draw(scalars)
    value = data.draw(values.filter(lambda each: not isinstance(each, str) or holds(each)))
    app = make_app()
    seen = []

    def look(value):  # type: ignore[no-untyped-def]
        seen.append(value)
        return "seen"

    look.__annotations__.update({"value": mark[kind], "return": str})
    app.route("/<value>" if place == "path" else "/", methods=["POST"])(look)
    assert call(app, look, {"value": value}) == "seen"
    assert seen == [value]


@over_both
@settings(max_examples=30)
@given(st.data())
@pytest.mark.parametrize("place", ["query", "form"])
def test_several_texts_arrive_in_their_order(call: Any, place: str, data: st.DataObject) -> None:
    mark, _ = PLACES[place]
    kind, values = data.draw(scalars)
    value = data.draw(st.lists(values, max_size=4))
    app = make_app()
    seen = []

    def look(value=()):  # type: ignore[no-untyped-def]
        seen.append([*value])
        return "seen"

    look.__annotations__.update({"value": mark[list[kind]], "return": str})
    app.post("/")(look)
    assert call(app, look, {"value": value}) == "seen"
    assert seen == [value]

"""Tagged JSON: what it keeps, Flask's text for it, and tags of one's own."""

from __future__ import annotations

import collections
import datetime
import typing as t
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from erlen.json import tag

flask_tag = pytest.importorskip("flask.json.tag", reason="the real Flask is the oracle")


class Names(dict[t.Any, t.Any]):
    pass


class Word(str):
    pass


Point = collections.namedtuple("Point", "x y")
UTC = datetime.timezone.utc

CARRIED = {
    "tuple": (1, (2, "x")),
    "tuple in a list": [(1, 2, 3)],
    "bytes": b"\xff",
    "Markup": Markup("<b>"),
    "UUID": uuid.UUID(int=77),
    "datetime": datetime.datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC),
    "plain dict": {"a": 1, "b": [1, None, 2.5], "c": {"d": True}},
    "one item": {"n": 1},
    "empty": {},
    "empty containers": {"a": {}, "b": [], "c": ()},
    "looks like a tuple": {" t": [1, 2]},
    "looks like a tagged dict": {" di": " di"},
    "looks escaped": {" t__": b"a"},
    "holds what looks like a tag": {"x": {" b": "YQ=="}, "y": [{" d": 1}]},
    "tag among others": {" t": 1, "x": 2},
    "deeply": {"a": [({"b": (b"x", {" u": ({" m": "x"},)})},)]},
}

CHANGED = {
    "namedtuple": Point(1, 2),
    "dict subclass": Names(a=1, b=(2,)),
    "str subclass": [Word("x")],
    "naive datetime": datetime.datetime(2020, 1, 2, 3, 4, 5, 678),
    "date": datetime.date(2020, 1, 2),
    "int keys": {1: (2,), 3: 4},
    "set": {1},
    "object": [object],
}


def both() -> tuple[t.Any, t.Any]:
    return tag.TaggedJSONSerializer(), flask_tag.TaggedJSONSerializer()


def text(serializer: t.Any, value: t.Any) -> t.Any:
    try:
        return serializer.dumps(value)
    except TypeError as error:
        return str(error)


def same_text_and_value(value: t.Any) -> None:
    ours, theirs = both()
    expected = text(theirs, value)
    assert text(ours, value) == expected
    assert repr(ours.tag(value)) == repr(theirs.tag(value))
    if expected.startswith(("{", "[", '"')):
        assert repr(ours.loads(expected)) == repr(theirs.loads(expected))


@pytest.mark.parametrize("value", CARRIED.values(), ids=CARRIED.keys())
def test_values_come_back_unchanged(value: t.Any) -> None:
    serializer = tag.TaggedJSONSerializer()
    back = serializer.loads(serializer.dumps(value))
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize(
    "value", [*CARRIED.values(), *CHANGED.values()], ids=[*CARRIED.keys(), *CHANGED.keys()]
)
def test_text_is_flask_s(value: t.Any) -> None:
    same_text_and_value(value)


keys = st.text(max_size=3) | st.sampled_from([" t", " di", " d", " b", " m", " u", " t__", "x"])
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.uuids()
    | st.datetimes(timezones=st.just(UTC))
    | st.text().map(Markup)
)
trees = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(keys, inner, max_size=3)
    ),
    max_leaves=10,
)


@given(trees)
def test_any_tree_has_flask_s_text_and_comes_back_as_there(tree: t.Any) -> None:
    same_text_and_value(tree)


json_trees = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner) | st.dictionaries(keys, inner, max_size=2),
    max_leaves=8,
)


@given(json_trees)
def test_any_json_is_read_as_by_flask(tree: t.Any) -> None:
    def read(serializer: t.Any) -> t.Any:
        try:
            return repr(serializer._untag_scan(tree))
        except (TypeError, ValueError, AttributeError, StopIteration):
            return "broken"  # which of them says so is an accident

    ours, theirs = both()
    assert read(ours) == read(theirs)


def test_a_result_is_never_the_argument() -> None:
    value = {"a": 1, "b": 2}
    tagged = tag.TaggedJSONSerializer().tag(value)
    assert tagged == value
    assert tagged is not value


def test_the_text_is_that_of_the_application_s_provider(app: t.Any) -> None:
    app.json.ensure_ascii = False
    with app.app_context():
        assert tag.TaggedJSONSerializer().dumps({"b": 1, "a": "é"}) == '{"a":"é","b":1}'


# -- tags of one's own --------------------------------------------------------------------------


class Foo:
    def __init__(self, data: t.Any) -> None:
        self.data = data


class TagFoo(tag.JSONTag):
    __slots__ = ()
    key = " f"

    def check(self, value: t.Any) -> bool:
        return isinstance(value, Foo)

    def to_json(self, value: t.Any) -> t.Any:
        return self.serializer.tag(value.data)

    def to_python(self, value: t.Any) -> t.Any:
        return Foo(value)


class TagTrue(TagFoo):
    """Takes a value that no built-in tag takes."""

    key = " yes"

    def check(self, value: t.Any) -> bool:
        return value is True

    def to_json(self, value: t.Any) -> t.Any:
        return 1

    def to_python(self, value: t.Any) -> t.Any:
        return "yes"


def test_a_registered_tag_carries_a_type() -> None:
    serializer = tag.TaggedJSONSerializer()
    serializer.register(TagFoo)
    assert serializer.dumps({"x": Foo((1,))}) == '{"x":{" f":{" t":[1]}}}'
    assert serializer.loads(serializer.dumps({"x": Foo("bar")}))["x"].data == "bar"


def test_a_registered_tag_can_take_what_json_carries() -> None:
    serializer = tag.TaggedJSONSerializer()
    serializer.register(TagTrue, index=0)
    assert serializer.dumps({"x": True, "y": 1}) == '{"x":{" yes":1},"y":1}'
    assert serializer.loads('{"x":{" yes":1}}') == {"x": "yes"}


def test_a_tag_put_into_the_order_by_hand_is_asked() -> None:
    serializer = tag.TaggedJSONSerializer()
    serializer.order.insert(0, TagTrue(serializer))
    assert serializer.tag({"x": True, "y": 1}) == {"x": {" yes": 1}, "y": 1}


def test_a_serializer_s_default_tags_can_be_its_own() -> None:
    class Mine(tag.TaggedJSONSerializer):
        default_tags = [TagTrue]

    class Bare(tag.TaggedJSONSerializer):
        default_tags = []

    assert Mine().tag(True) == {" yes": 1}
    assert Mine().tag({"x": True}) == {"x": True}
    assert Bare().dumps((1, {" t": 2})) == '[1,{" t":2}]'


def test_a_tag_is_registered_once_unless_forced() -> None:
    class TagDict(tag.JSONTag):
        key = " d"

    serializer = tag.TaggedJSONSerializer()
    with pytest.raises(KeyError, match="Tag ' d' is already registered."):
        serializer.register(TagDict)
    serializer.register(TagDict, force=True, index=0)
    assert isinstance(serializer.tags[" d"], TagDict)
    assert isinstance(serializer.order[0], TagDict)


@pytest.mark.parametrize(
    ("index", "place"), [(None, -1), (0, 0), (-1, -2), (3, 3)], ids=["last", "first", "-1", "3"]
)
def test_a_tag_s_place_can_be_chosen(index: int | None, place: int) -> None:
    serializer = tag.TaggedJSONSerializer()
    serializer.register(TagFoo, index=index)
    assert isinstance(serializer.order[place], TagFoo)
    assert len(serializer.order) == 9


def test_the_base_of_tags_leaves_all_open() -> None:
    base = tag.JSONTag(tag.TaggedJSONSerializer())
    for method in (base.check, base.to_json, base.to_python, base.tag):
        with pytest.raises(NotImplementedError):
            method(None)

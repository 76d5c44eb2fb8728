"""JSON: the same text, values and errors as Flask's provider, and what may be overridden."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import io
import json as standard
import math
import random
import struct
import types
import typing as t
import uuid

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markupsafe import Markup
from werkzeug.wrappers import Response

import erlen.json
from erlen.json import fast
from erlen.json.provider import DefaultJSONProvider, JSONProvider, _default, plain_provider

flask = pytest.importorskip("flask", reason="the real Flask is the oracle")


class Colour(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    LOW = 1


class Word(str, enum.Enum):
    HELLO = "hello"


class Text(str):
    pass


class Whole(int):
    def __repr__(self) -> str:
        return "a whole number"


class Real(float):
    pass


class Moment(datetime.datetime):
    pass


class Names(dict[t.Any, t.Any]):
    pass


class Row(list[t.Any]):
    pass


Point = collections.namedtuple("Point", "x y")


@dataclasses.dataclass
class Item:
    name: str
    price: decimal.Decimal


class Html:
    def __html__(self) -> str:
        return "<b>é</b>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Html)

    __hash__ = None  # type: ignore[assignment]


class FakeApp:
    """What a provider needs of an application."""

    debug = False

    def response_class(self, body: str, mimetype: str) -> Response:
        assert isinstance(body, str)
        return Response(body, mimetype=mimetype)


APP = FakeApp()


def providers(**settings: t.Any) -> tuple[DefaultJSONProvider, t.Any]:
    """Erlen's provider and Flask's, with the same settings."""
    pair = DefaultJSONProvider(APP), flask.json.provider.DefaultJSONProvider(APP)
    for provider in pair:
        vars(provider).update(settings)
    return pair


def outcome(function: t.Callable[..., t.Any], *args: t.Any, **kwargs: t.Any) -> t.Any:
    """What a call gives: the value as text, which tells -0.0, NaN and types apart, or the error."""
    try:
        return repr(function(*args, **kwargs))
    except Exception as error:
        return type(error), str(error)


def same_text(obj: t.Any, **settings: t.Any) -> None:
    ours, theirs = providers(**settings)
    expected = outcome(lambda: theirs.response(obj).data)
    assert outcome(lambda: ours.response(obj).data) == expected
    assert outcome(ours._response_body, obj) == expected
    for options in ({}, {"separators": (",", ":")}, {"indent": 2}):
        expected = outcome(theirs.dumps, obj, **options)
        assert outcome(ours.dumps, obj, **options) == expected


@pytest.fixture
def provider() -> DefaultJSONProvider:
    return DefaultJSONProvider(APP)


# -- writing ------------------------------------------------------------------------------------

circular: list[t.Any] = [1.5]
circular.append({"again": [circular, circular]})

VALUES = {
    "flat": {"message": "hello", "n": 1, "yes": True, "no": None},
    "empty": {"a": {}, "b": [], "c": (), "d": ""},
    "nested": {"b": [1, {"z": (1, [2.5])}], "a": "x"},
    "Enum": {"a": [Colour.RED]},
    "Enum at the top": Colour.RED,
    "IntEnum": [Level.LOW],
    "str Enum": [Word.HELLO],
    "Enum as key": {Level.LOW: 1},
    "str subclass": [Text("x")],
    "str subclass as key": {Text("x"): 1},
    "int subclass": [Whole(3)],
    "float subclass": [Real(1e-7)],
    "dict subclass": Names(a=1),
    "OrderedDict": collections.OrderedDict(z=1, a=2),
    "list subclass": Row([1]),
    "namedtuple": Point(1, 2),
    "dataclass": Item("x", decimal.Decimal("1.50")),
    "dataclass class": Item,
    "Decimal": {"price": decimal.Decimal("1.50")},
    "UUID": [uuid.UUID(int=10**30)],
    "date": datetime.date(1975, 1, 5),
    "datetime": {"x": [datetime.datetime(1973, 3, 11, 6, 30, 45, 99)]},
    "aware datetime": datetime.datetime(
        2017, 1, 1, 12, tzinfo=datetime.timezone(datetime.timedelta(hours=-8))
    ),
    "datetime subclass": Moment(1973, 3, 11),
    "time": datetime.time(1, 2),
    "timedelta": datetime.timedelta(1),
    "early date": datetime.date(1, 1, 1),
    "Markup": Markup("<b>"),
    "__html__": {"x": Html()},
    "bytes": b"x",
    "set": {1},
    "complex": 1j,
    "object": object(),
    "raw fragment": [fast.orjson.Fragment(b"1")],
    "NaN": math.nan,
    "NaN with null": {"a": None, "b": [[math.nan]]},
    "null and floats": {"a": None, "b": [0.5, "null"]},
    "infinities": [math.inf, -math.inf],
    "big int": [2**64, -(2**63) - 1, 10**40],
    "64 bits": [2**64 - 1, -(2**63)],
    "floats": [1e16, 1e-5, 1.5e-05, -2.5e-7, 1e-10, 1e22, 5e-324, 1e300, -0.0, 10.00001, 0.1, 0.0],
    "traces of floats in text": {
        'e-5,"': 'e-7,1e-7]"\\',
        "a": "0.00001",
        "b": [1e-7, 'x\\"1e-7', "\\", 2e-8, "1e-7"],
        "c": "1e16",
        "d": 0.00002,
    },
    "DEL": {"\x7f": "a\x7f"},
    "controls": "".join(map(chr, range(32))) + '"\\/',
    "Latin": {"é": ["à", "ÿ", "\x80"]},
    "Greek": ["Ω", "ω"] * 20,
    "astral": {"😀": ["𝄞", {"x": 'a"\\\n'}]},
    "each stand-in": ["é", "~^`|@#$%&*;!?<>=+"],
    "non-ASCII with escapes": {"a": 'é\\n\n"\\u00e9\\', "b": ["\u2028", 0.000012]},
    "lone surrogate": ["\ud800"],
    "int keys": {2: "a", 10: "b"},
    "other keys": {1.5: 1, None: 2, True: 3},
    "mixed keys": {1: 1, "a": 2},
    "tuple as key": {(1,): 2},
    "circular": circular,
    "long text": {"text": "日本語" * 500},
    "deep": standard.loads("[" * 300 + "]" * 300),
}


@pytest.mark.parametrize("debug", [False, True], ids=["compact", "indented"])
@pytest.mark.parametrize("sort_keys", [True, False], ids=["sorted", "unsorted"])
@pytest.mark.parametrize("ensure_ascii", [True, False], ids=["ascii", "unicode"])
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
def test_text_and_errors_are_flask_s(
    value: t.Any, ensure_ascii: bool, sort_keys: bool, debug: bool
) -> None:
    same_text(value, ensure_ascii=ensure_ascii, sort_keys=sort_keys, compact=not debug)


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
def test_a_default_of_one_s_own_is_asked_as_in_flask(value: t.Any) -> None:
    same_text(value, default=lambda o: [type(o).__name__, "é"])


keys = st.text(max_size=5) | st.sampled_from(["a", "é", "\x7f", '"', "\\", Text("x"), Word.HELLO])
odd_keys = keys | st.integers() | st.floats() | st.none() | st.booleans()
# Floats as models give them: probabilities over many magnitudes.
floats = st.floats() | st.builds(lambda m, e: m * 10.0**e, st.floats(-10, 10), st.integers(-12, 24))
plain_leaves = st.none() | st.booleans() | st.integers() | floats | st.text()
odd_leaves = (
    plain_leaves
    | st.characters(categories=["Cs"])
    | st.decimals()
    | st.uuids()
    | st.dates()
    | st.datetimes()
    | st.sampled_from([v for k, v in VALUES.items() if k not in ("deep", "long text")])
)


def trees(
    leaves: st.SearchStrategy[t.Any], keys: st.SearchStrategy[t.Any]
) -> st.SearchStrategy[t.Any]:
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(keys, inner)
            | st.lists(inner).map(tuple)
            | st.dictionaries(keys, inner).map(Names)
        ),
        max_leaves=12,
    )


settings_of_providers = st.fixed_dictionaries(
    {"ensure_ascii": st.booleans(), "sort_keys": st.booleans(), "compact": st.booleans()}
)


@given(trees(plain_leaves, keys), settings_of_providers)
def test_any_plain_tree_is_written_as_by_flask(tree: t.Any, settings: dict[str, bool]) -> None:
    same_text(tree, **settings)


@given(trees(odd_leaves, odd_keys), settings_of_providers)
def test_any_odd_tree_is_written_as_by_flask(tree: t.Any, settings: dict[str, bool]) -> None:
    same_text(tree, **settings)


@given(st.lists(floats), st.lists(st.text()), st.booleans())
def test_any_floats_beside_text_are_written_as_by_flask(
    numbers: list[float], texts: list[str], compact: bool
) -> None:
    same_text({"numbers": numbers, "texts": texts, "more": [numbers, None]}, compact=compact)


def test_floats_of_all_bit_patterns_are_written_as_by_flask(
    provider: DefaultJSONProvider,
) -> None:
    rnd = random.Random(7)
    patterns = (struct.unpack("d", rnd.randbytes(8))[0] for _ in range(20_000))
    magnitudes = (rnd.random() * 10.0 ** rnd.randint(-9, 24) for _ in range(20_000))
    numbers = [f for f in (*patterns, *magnitudes) if math.isfinite(f)]
    expected = "[" + ",".join(map(repr, numbers)) + "]\n"
    assert provider._response_body(numbers) == expected.encode()


@pytest.mark.parametrize(
    "value",
    [
        {"message": "hello"},
        {"a": None, "b": [0.5, 2.5e-7, 0.00001]},
        {"é": ["à"] * 10},
        {"price": decimal.Decimal("1.50"), "at": datetime.datetime(2020, 1, 1)},
        [{"id": 1, "x": [0.1, 0.2]}, {"id": 2, "x": []}],
    ],
    ids=["flat", "floats", "non-ASCII", "converted", "rows"],
)
def test_common_answers_need_no_standard_library(
    value: t.Any, provider: DefaultJSONProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = provider._response_body(value)
    monkeypatch.delattr(DefaultJSONProvider, "_standard")
    assert provider._response_body(value) == expected


def test_a_tree_nested_without_end_is_a_recursion_error() -> None:
    deep: list[t.Any] = []
    for _ in range(100_000):
        deep = [deep]
    for provider in providers():
        with pytest.raises(RecursionError):
            provider.dumps(deep)
        with pytest.raises(RecursionError):
            provider.response(deep)
    while deep:  # taken apart by hand: freeing it at once would recurse in C
        deep = deep.pop()


def test_default_is_asked_once_for_a_value_it_converts(provider: DefaultJSONProvider) -> None:
    asked: list[t.Any] = []

    def default(o: t.Any) -> t.Any:
        asked.append(o)
        return "converted"

    provider.default = default  # type: ignore[method-assign]
    assert provider._response_body([1j, "x"]) == b'["converted","x"]\n'
    assert asked == [1j]


def test_the_first_use_with_another_default_does_not_change_the_built_in_one(
    run_python: t.Callable[..., t.Any],
) -> None:
    done = run_python(
        "from erlen.json.provider import DefaultJSONProvider\n"
        "class App: debug = False\n"
        "class Html:\n"
        "    def __html__(self): print('asked'); return 'x'\n"
        "app = App(); mine = DefaultJSONProvider(app); mine.default = repr\n"
        "print(mine._response_body(1j))\n"
        "print(DefaultJSONProvider(app)._response_body(Html()))"
    )
    assert done.stdout.splitlines() == [r"""b'"1j"\n'""", "asked", r"""b'"x"\n'"""], done.stderr


def test_a_method_as_default_gets_the_provider() -> None:
    class Mine(DefaultJSONProvider):
        def default(self, o: t.Any) -> t.Any:  # type: ignore[override]
            return [self.mimetype, DefaultJSONProvider.default(o)]

    mine = Mine(APP)
    assert mine.dumps(decimal.Decimal(1)) == '["application/json", "1"]'
    assert mine._response_body({"x": uuid.UUID(int=0)}).startswith(b'{"x":["application/json"')


@pytest.mark.parametrize("value", list(VALUES.values()), ids=list(VALUES))
def test_default_converts_and_refuses_as_flask_s(value: t.Any) -> None:
    expected = outcome(flask.json.provider._default, value)
    assert outcome(_default, value) == expected
    assert outcome(DefaultJSONProvider.default, value) == expected


# -- responses ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((), {}),
        ((1,), {}),
        ((None,), {}),
        (({"b": 1, "a": [1, 2]},), {}),
        ((1, "x"), {}),
        ((), {"b": 1, "a": 2}),
        ((1,), {"a": 2}),
    ],
    ids=["nothing", "one", "None", "dict", "several", "named", "both"],
)
@pytest.mark.parametrize("compact", [None, True, False, 0])
@pytest.mark.parametrize("debug", [True, False], ids=["debug", "production"])
def test_a_response_is_flask_s(
    args: tuple[t.Any, ...], kwargs: dict[str, t.Any], compact: t.Any, debug: bool
) -> None:
    app = FakeApp()
    app.debug = debug
    results = []
    for cls in (DefaultJSONProvider, flask.json.provider.DefaultJSONProvider):
        provider = cls(app)
        provider.compact = compact
        provider.mimetype = "application/vnd.api+json"
        try:
            response = provider.response(*args, **kwargs)
        except TypeError as error:
            results.append(str(error))
        else:
            results.append((response.data, list(response.headers)))
    assert results[0] == results[1]


def test_the_base_provider_answers_with_its_own_dumps() -> None:
    class Mine(JSONProvider):
        def dumps(self, obj: t.Any, **kwargs: t.Any) -> str:
            return f"<{obj}>"

        def loads(self, s: str | bytes, **kwargs: t.Any) -> t.Any:
            return len(s), kwargs

    mine, out = Mine(APP), io.StringIO()
    mine.dump(5, out)
    assert out.getvalue() == "<5>"
    assert mine.load(io.BytesIO(b"abc"), x=1) == (3, {"x": 1})
    assert mine.response(a=1).data == b"<{'a': 1}>"
    assert mine.response(1).mimetype == "application/json"


def test_the_base_provider_leaves_reading_and_writing_open() -> None:
    base = JSONProvider(APP)
    for call in (base.dumps, base.loads, base.response):
        with pytest.raises(NotImplementedError):
            call("x")


def test_dumps_of_a_subclass_or_an_instance_makes_the_response() -> None:
    class Mine(DefaultJSONProvider):
        def dumps(self, obj: t.Any, **kwargs: t.Any) -> str:
            return f"mine {sorted(kwargs)}"

    mine, patched = Mine(APP), DefaultJSONProvider(APP)
    patched.dumps = lambda obj, **kwargs: "patched"  # type: ignore[method-assign]
    assert mine.response({"a": 1}).data == b"mine ['separators']\n"
    assert patched.response({"a": 1}).data == patched._response_body({}) == b"patched\n"
    assert not plain_provider(mine)
    assert not plain_provider(patched)


def test_a_provider_is_plain_while_only_settings_differ() -> None:
    class Mine(DefaultJSONProvider):
        sort_keys = False
        mimetype = "text/json"
        default = staticmethod(repr)

    mine = Mine(APP)
    mine.ensure_ascii = False
    assert plain_provider(mine)
    assert mine._response_body({"b": "é", "a": 1j}) == '{"b":"é","a":"1j"}\n'.encode()


@pytest.mark.parametrize("name", ["response", "_prepare_response_obj", "__getattribute__"])
def test_a_provider_with_its_own_way_of_answering_is_not_plain(name: str) -> None:
    kind = type("Mine", (DefaultJSONProvider,), {name: lambda self, *a, **k: None})
    assert not plain_provider(object.__new__(kind))
    assert not plain_provider(JSONProvider(APP))


# -- reading ------------------------------------------------------------------------------------

TEXTS = [
    *("-0", "-0.0", "1e5", "1E400", "-1e400", "1e-400", "1.", ".5", "01", "-", "+1", "1_000"),
    *("NaN", "[Infinity, -Infinity]", "nan", "", " ", "null", "[1,]", '{"a":1,}', "[1 2]"),
    *("9223372036854775808", "-9223372036854775809", "18446744073709551616", "1" * 40),
    *("[0.12345678901234567890123]", "[1, -9999999999999999999]", "1" * 5000, "5" * 19 + ".5"),
    *('{"a":1,"b":2,"a":3}', '{"a" : { } }', "{1:2}", "'x'", "[]x", "/**/1", "\v1", "\u00a01"),
    *(r'"\ud800"', r'"\udc00\ud800"', r'"\ud83d\ude00"', r'"\u00"', r'"\x"', '"\t"', '"\x7f"'),
    *('"\0"', '"é😀"', "\ufeff1", '"\ud800"', '"' + "x" * 5000, "[" * 100 + "]" * 100),
]


@pytest.mark.parametrize("text", TEXTS, ids=[ascii(text)[:30] for text in TEXTS])
@pytest.mark.parametrize(
    "encoding", ["str", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1"]
)
def test_reading_gives_what_flask_gives(
    text: str, encoding: str, provider: DefaultJSONProvider
) -> None:
    source: t.Any = text if encoding == "str" else text.encode(encoding, "replace")
    assert outcome(provider.loads, source) == outcome(standard.loads, source)


@pytest.mark.parametrize(
    "source",
    [
        b"\xff",
        b'"\xed\xa0\x80"',
        b'"\xc3"',
        bytearray(b"[1]"),
        memoryview(b"1"),
        None,
        5,
        Text("1"),
    ],
    ids=lambda source: repr(source).partition(" at 0x")[0],  # the same in each process
)
def test_reading_takes_and_refuses_what_flask_does(
    source: t.Any, provider: DefaultJSONProvider
) -> None:
    assert outcome(provider.loads, source) == outcome(standard.loads, source)


@given(trees(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.text()))
def test_any_json_is_read_as_by_flask(tree: t.Any) -> None:
    for ascii_only in (True, False):
        text = standard.dumps(tree, ensure_ascii=ascii_only)
        ours, theirs = providers()
        assert outcome(ours.loads, text) == outcome(theirs.loads, text)
        raw = text.encode("utf-8", "surrogatepass")
        assert outcome(ours.loads, raw) == outcome(theirs.loads, raw)


pieces = st.sampled_from(
    [*'[]{},:"\\ -+.eE0123456789\n', "null", "true", "NaN", "\\u", "d8", "1" * 19, "0.", '"a"', "é"]
)


@given(st.lists(pieces, max_size=25).map("".join))
@example("[-0]")
def test_anything_like_json_is_read_or_refused_as_by_flask(text: str) -> None:
    ours, theirs = providers()
    assert outcome(ours.loads, text) == outcome(theirs.loads, text)
    assert outcome(ours.loads, text.encode()) == outcome(theirs.loads, text.encode())


@given(st.binary(max_size=40))
@example(b"\xef\xbb\xbf1")
@example(b"1\x00\x00\x00")
def test_any_bytes_are_read_or_refused_as_by_flask(raw: bytes) -> None:
    ours, theirs = providers()
    assert outcome(ours.loads, raw) == outcome(theirs.loads, raw)


@given(st.integers(-(10**25), 10**25), st.integers(0, 30), st.sampled_from(["", "[1.", "-", " "]))
def test_integers_around_64_bits_are_read_exactly(number: int, zeros: int, before: str) -> None:
    text = f"{before}{number}{'0' * zeros}"
    ours, theirs = providers()
    assert outcome(ours.loads, text) == outcome(theirs.loads, text)


def test_arguments_of_loads_reach_the_standard_library(provider: DefaultJSONProvider) -> None:
    assert provider.loads("[1.5]", parse_float=str) == ["1.5"]
    assert provider.loads('{"a":1}', object_pairs_hook=list) == [("a", 1)]


def test_hostile_nesting_is_a_recursion_error(provider: DefaultJSONProvider) -> None:
    with pytest.raises(RecursionError):
        provider.loads("[" * 100_000)
    with pytest.raises(RecursionError):
        provider.loads(b'{"a":' * 100_000)


# -- the functions of the package ---------------------------------------------------------------


def test_without_an_application_the_standard_library_is_used() -> None:
    assert erlen.json.dumps({"b": 1, "a": decimal.Decimal("1.5")}) == '{"b": 1, "a": "1.5"}'
    assert erlen.json.dumps(1j, default=repr) == '"1j"'
    assert erlen.json.loads('{"a": 1.5}', parse_float=str) == {"a": "1.5"}
    out = io.StringIO()
    erlen.json.dump([uuid.UUID(int=0)], out, indent=1)
    assert erlen.json.load(io.StringIO(out.getvalue())) == [str(uuid.UUID(int=0))]
    with pytest.raises(RuntimeError, match="outside of application context"):
        erlen.json.jsonify(1)


def test_with_an_application_its_provider_is_used(app: t.Any) -> None:
    class Mine(DefaultJSONProvider):
        def dumps(self, obj: t.Any, **kwargs: t.Any) -> str:
            return "mine"

        def loads(self, s: str | bytes, **kwargs: t.Any) -> t.Any:
            return "mine", kwargs

    app.json = Mine(app)
    with app.app_context():
        out = io.StringIO()
        erlen.json.dump(1, out)
        assert (erlen.json.dumps(1), out.getvalue()) == ("mine", "mine")
        assert erlen.json.loads("1", a=2) == erlen.json.load(out, a=2) == ("mine", {"a": 2})
        assert erlen.json.jsonify(1).data == b"mine\n"


def test_views_answer_json_with_flask_s_bytes(framework: types.ModuleType) -> None:
    app = framework.Flask("test_json")
    app.json.sort_keys = False
    data = {"b": [1e-7, None], "a": "é", "at": datetime.datetime(2020, 1, 1)}
    app.add_url_rule("/", view_func=lambda: data, endpoint="dict")
    app.add_url_rule("/list", view_func=lambda: [data], endpoint="list")
    app.add_url_rule("/jsonify", view_func=lambda: framework.jsonify(data), endpoint="jsonify")
    text = '{"b":[1e-07,null],"a":"\\u00e9","at":"Wed, 01 Jan 2020 00:00:00 GMT"}'
    client = app.test_client()
    for path, expected in (("/", text), ("/list", f"[{text}]"), ("/jsonify", text)):
        response = client.get(path)
        assert response.text == expected + "\n"
        assert response.headers["Content-Type"] == "application/json"
    app.json.ensure_ascii = False
    assert "é" in client.get("/").text


def test_orjson_is_imported_with_the_first_use(run_python: t.Callable[..., t.Any]) -> None:
    done = run_python(
        "import sys, erlen.json.provider as p; print('orjson' in sys.modules)\n"
        "class App: debug = False\n"
        "app = App(); body = p.DefaultJSONProvider(app)._response_body([1])\n"
        "print(body, 'orjson' in sys.modules)"
    )
    assert done.stdout.splitlines() == ["False", "b'[1]\\n' True"], done.stderr

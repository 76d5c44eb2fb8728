"""Request and response are Werkzeug's, computed when somebody looks."""

from __future__ import annotations

import contextlib
import copy
import json
import pickle
import typing as t
from io import BytesIO
from urllib.parse import parse_qsl, quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import Headers, ImmutableMultiDict, MultiDict
from werkzeug.exceptions import BadRequest, BadRequestKeyError, HTTPException, RequestEntityTooLarge
from werkzeug.test import EnvironBuilder, create_environ
from werkzeug.wrappers import Request as WerkzeugRequest
from werkzeug.wrappers import Response as WerkzeugResponse

import erlen
from erlen import Erlen, Request, Response
from erlen.wrappers import parse_pairs

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=b"
PIECES = st.sampled_from(
    (
        *("a", "b", "1", "=", "&", "+", "%", "%2", "%20", "%zz", "%ff", "%C3%A9", "%c3", "%00"),
        *("%26", "%3D", "%2B", ";", "é", "☃", " ", "\x00", "\n", "&&", "==", "%E4", "%F0%9F%98%80"),
    )
)
PAIRS = st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=20)


def werkzeug_pairs(text: str) -> list[tuple[str, str]]:
    return parse_qsl(text, keep_blank_values=True, errors="werkzeug.url_quote")


@settings(max_examples=500)
@given(PAIRS)
@example("a=1&a=2&&b&=c&d=+")
@example("%")
@example("a=%C3%A9&b=%ff")
@example("é=%C3")
def test_pairs_are_parsed_as_werkzeug_parses_them(text: str) -> None:
    assert parse_pairs(text) == werkzeug_pairs(text)


@settings(max_examples=200)
@given(PAIRS)
def test_queries_are_read_as_werkzeug_reads_them(text: str) -> None:
    query = text.encode().decode("latin1")
    environ = {**create_environ(), "QUERY_STRING": query}
    ours, theirs = Request(dict(environ)), WerkzeugRequest(dict(environ))
    assert list(ours.args.items(multi=True)) == list(theirs.args.items(multi=True))
    assert str(type(ours.args)) == str(type(theirs.args))
    assert ours.query_string == theirs.query_string
    assert ours.full_path == theirs.full_path
    assert ours.url == theirs.url


def body_environ(data: bytes, content_type: str, **more: t.Any) -> dict[str, t.Any]:
    environ = create_environ("/", method="POST")
    environ.update({"CONTENT_TYPE": content_type, "CONTENT_LENGTH": str(len(data)), **more})
    environ["wsgi.input"] = BytesIO(data)
    return environ


def outcome(read: t.Callable[[t.Any], t.Any], request: t.Any) -> t.Any:
    try:
        return read(request)
    except HTTPException as error:
        return type(error).__name__, error.code
    except (UnicodeDecodeError, RuntimeError) as error:
        return type(error).__name__


READERS: dict[str, t.Callable[[t.Any], t.Any]] = {
    "data": lambda request: request.get_data(),
    "text": lambda request: request.get_data(as_text=True),
    "uncached": lambda request: request.get_data(cache=False),
    "parsed": lambda request: request.get_data(parse_form_data=True),
    "form": lambda request: list(request.form.items(multi=True)),
    "files": lambda request: [(n, f.filename, f.read()) for n, f in request.files.items(True)],
    "values": lambda request: sorted(request.values.items(multi=True)),
    "stream": lambda request: request.stream.read(),
    "some": lambda request: request.stream.read(2),
    "line": lambda request: request.stream.readline(),
    "length": lambda request: request.content_length,
}
BODIES = st.one_of(
    st.binary(max_size=60),
    PAIRS.map(str.encode),
    st.lists(st.sampled_from((b"--b", b"\r\n", b"--", b"x", b"name=a", b'; filename="f"')))
    .map(b"".join)
    .map(lambda noise: b'--b\r\nContent-Disposition: form-data; name="a"' + noise + b"\r\n--b--"),
)
TYPES = st.sampled_from((URLENCODED, f"{URLENCODED}; charset=utf-8", MULTIPART, "text/plain", ""))
LENGTHS = st.sampled_from((0, 0, 0, 0, -1, 1, 5, -5))


class _Oracle(WerkzeugRequest):
    """Whose files need not be closed: Werkzeug leaves those of a broken form open."""

    def _get_file_stream(self, *args: t.Any, **kwargs: t.Any) -> BytesIO:
        return BytesIO()


@settings(max_examples=300)
@given(BODIES, TYPES, LENGTHS, st.lists(st.sampled_from(list(READERS)), max_size=4), st.booleans())
def test_bodies_are_read_as_werkzeug_reads_them(
    data: bytes, content_type: str, off: int, ways: list[str], terminated: bool
) -> None:
    more: dict[str, t.Any] = {"CONTENT_LENGTH": str(max(len(data) + off, 0))}
    if terminated:
        more["wsgi.input_terminated"] = True
    ours = Request(body_environ(data, content_type, **more))
    theirs = _Oracle(body_environ(data, content_type, **more))
    with contextlib.closing(ours):
        for way in ways:
            read = READERS[way]
            assert outcome(read, ours) == outcome(read, theirs), way


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=200)
@given(JSON_VALUES, st.sampled_from((None, 2)), st.booleans())
def test_json_bodies_are_read_as_the_standard_library_reads_them(
    value: t.Any, indent: int | None, escaped: bool
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=escaped)
    try:
        data = text.encode()
    except UnicodeEncodeError:
        data = json.dumps(value).encode()
    request = Request(body_environ(data, "application/json"))
    assert repr(request.get_json()) == repr(json.loads(data))


@settings(max_examples=200)
@given(
    st.binary(max_size=20) | st.text('[]{},:"0123456789.eE+-tnf \\u', max_size=12).map(str.encode)
)
def test_noise_is_json_exactly_where_it_is_for_the_standard_library(data: bytes) -> None:
    request = Request(body_environ(data, "application/json"))
    try:
        expected = json.loads(data)
    except ValueError:
        with pytest.raises(BadRequest):
            request.get_json()
        assert request.get_json(silent=True) is None
    else:
        assert repr(request.get_json()) == repr(expected)


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":'])
def test_json_nested_beyond_the_parser_is_a_bad_request(opening: str) -> None:
    """Where Flask's answer is a RecursionError, so a 500."""
    for depth in (100_000, 1_000_000):
        request = Request(body_environ(opening.encode() * depth, "application/json"))
        with pytest.raises(BadRequest):
            request.get_json()
        assert request.get_json(silent=True) is None


def test_closed_json_nested_too_deeply_is_a_bad_request_too(app: Erlen) -> None:
    app.add_url_rule("/", "read", lambda: {"got": bool(erlen.request.json)}, methods=["POST"])
    for depth, status in ((50, 200), (100_000, 400)):
        body = b"[" * depth + b"]" * depth
        answer = app.test_client().post("/", data=body, content_type="application/json")
        assert answer.status_code == status


def test_a_request_is_a_werkzeug_request() -> None:
    request = Request(create_environ("/a?b=c"))
    assert isinstance(request, WerkzeugRequest)
    assert request.environ["werkzeug.request"] is request


def test_nothing_is_computed_before_somebody_looks() -> None:
    request = Request(create_environ("/a?b=c", headers={"Cookie": "a=b"}))
    computed = {"method", "path", "headers", "args", "host", "cookies", "query_string", "url"}
    assert not computed & vars(request).keys()
    assert (request.method, request.path, request.args["b"]) == ("GET", "/a", "c")
    assert {"method", "path", "args"} <= vars(request).keys()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("method", "PUT"),
        ("path", "/other"),
        ("root_path", "/base"),
        ("scheme", "https"),
        ("query_string", b"x=y"),
        ("headers", Headers({"X-A": "1"})),
        ("remote_addr", "1.2.3.4"),
        ("server", ("s", 80)),
        ("args", MultiDict({"x": "y"})),
        ("form", MultiDict({"x": "y"})),
        ("stream", BytesIO(b"x")),
        ("view_args", {"x": 1}),
        ("url_rule", None),
        ("own", object()),
    ],
)
def test_attributes_may_be_assigned(name: str, value: t.Any) -> None:
    request = Request(create_environ("/a"))
    setattr(request, name, value)
    assert getattr(request, name) is value


def test_assigned_parts_count_for_what_is_made_of_them() -> None:
    request = Request(create_environ("/a?b=c"))
    request.path = "/x"
    request.query_string = b"y=z"
    request.scheme = "https"
    request.root_path = "/base"
    assert request.args.to_dict() == {"y": "z"}
    assert request.full_path == "/x?y=z"
    assert request.url == "https://localhost/base/x?y=z"


@pytest.mark.parametrize(
    "query", ["", "a=1", "a=1&b=2&a=3&c", "a=%41+b&a=+&=x", "a=\xe9"], ids=repr
)
def test_args_are_as_werkzeugs_multidict(query: str) -> None:
    environ = {**create_environ(), "QUERY_STRING": query.encode().decode("latin1")}
    args = Request(environ).args
    like: t.Any = ImmutableMultiDict(parse_qsl(query, keep_blank_values=True))
    assert args == like and like == args
    assert repr(args) == repr(like)
    assert hash(args) == hash(like)
    assert str(type(args)) == str(type(like))
    assert list(args.items(multi=True)) == list(like.items(multi=True))
    assert args.to_dict(flat=False) == like.to_dict(flat=False)
    for key in (*like, "missing"):
        assert args.get(key, "none") == like.get(key, "none")
        assert args.get(key, type=int) == like.get(key, type=int)
        assert args.getlist(key) == like.getlist(key)
    for make in (copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))):
        assert make(args) == like
        assert str(type(make(args))) == str(type(like))
    assert type(pickle.loads(pickle.dumps(args))) is ImmutableMultiDict
    assert type(args.copy()) is MultiDict
    assert args | {"z": "1"} == like | {"z": "1"}


def test_a_missing_name_of_args_is_a_bad_request() -> None:
    args: t.Any = Request(create_environ(query_string="a=1")).args
    with pytest.raises(BadRequestKeyError) as caught:
        args["b"]
    assert caught.value.args == ("b",)
    assert caught.value.__context__ is None
    with pytest.raises(TypeError):
        args["a"] = "2"
    with pytest.raises(TypeError):
        args[[]]


@pytest.mark.parametrize("owner", [MultiDict, ImmutableMultiDict])
def test_look_ups_that_somebody_traces_are_traced(
    owner: type[t.Any], app: Erlen, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    look_up = MultiDict.__getitem__

    def traced(self: t.Any, key: str) -> t.Any:
        seen.append(key)
        return look_up(self, key)

    monkeypatch.setattr(owner, "__getitem__", traced)
    app.add_url_rule("/", "view", lambda: erlen.request.args["a"])
    client = app.test_client()
    assert client.get("/?a=1").text == "1"
    assert seen == ["a"]
    monkeypatch.undo()
    app.config["ANY"] = "change"
    assert client.get("/?a=2").text == "2"
    assert seen == ["a"]


def test_a_shallow_request_reads_no_body() -> None:
    request = Request(body_environ(b"a=1", URLENCODED), shallow=True)
    assert "werkzeug.request" not in request.environ
    for read in (lambda: request.stream, lambda: request.data, lambda: request.form):
        with pytest.raises(RuntimeError, match="shallow=True"):
            read()


def test_a_request_class_with_its_own_storage_class_is_heeded() -> None:
    class Mutable(Request):
        parameter_storage_class = MultiDict

    request = Mutable(body_environ(b"a=1&a=2", URLENCODED, QUERY_STRING="b=3"))
    assert type(request.args) is MultiDict
    assert type(request.form) is MultiDict
    request.form.add("a", "4")
    assert request.form.getlist("a") == ["1", "2", "4"]
    assert isinstance(Request(create_environ()).args, ImmutableMultiDict)


@pytest.mark.parametrize("overridden", ["stream", "get_data", "want_form_data_parsed", "mimetype"])
def test_a_request_class_that_overrides_the_reading_is_heeded(overridden: str) -> None:
    seen: list[str] = []
    inherited: t.Any = getattr(Request, overridden)

    if overridden == "get_data":

        def get_data(self: t.Any, *args: t.Any, **kwargs: t.Any) -> t.Any:
            seen.append(overridden)
            return inherited(self, *args, **kwargs)

        made: t.Any = get_data
    else:

        def look(self: t.Any) -> t.Any:
            seen.append(overridden)
            return inherited.__get__(self, type(self))

        made = property(look)
    cls = type("Own", (Request,), {overridden: made})
    request = cls(body_environ(b'{"a": 1}', "application/json"))
    assert request.get_json() == {"a": 1}
    form = cls(body_environ(b"a=1", URLENCODED))
    if overridden == "get_data":
        form.get_data()
    assert form.form.to_dict() in ({"a": "1"}, {})
    assert seen


LIMITS: tuple[tuple[str, str, int, str], ...] = (
    ("max_content_length", "MAX_CONTENT_LENGTH", 10, URLENCODED),
    ("max_form_memory_size", "MAX_FORM_MEMORY_SIZE", 10, URLENCODED),
    ("max_form_parts", "MAX_FORM_PARTS", 1, MULTIPART),
)


@pytest.mark.parametrize(
    ("attribute", "key", "limit", "kind"), LIMITS, ids=[row[0] for row in LIMITS]
)
def test_limits_come_from_the_configuration_and_from_the_request(
    app: Erlen, attribute: str, key: str, limit: int, kind: str
) -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    body = b"a=" + b"x" * 50 if kind == URLENCODED else part * 3 + b"--b--"
    request = Request(body_environ(body, kind))
    outside = getattr(request, attribute)
    assert request.form
    with app.app_context():
        app.config[key] = limit
        limited = Request(body_environ(body, kind))
        assert getattr(limited, attribute) == limit
        with pytest.raises(RequestEntityTooLarge):
            _ = limited.form
        free = Request(body_environ(body, kind))
        setattr(free, attribute, 10_000)
        assert getattr(free, attribute) == 10_000
        assert free.form
    assert outside == {"max_content_length": None, "max_form_memory_size": 500_000}.get(
        attribute, 1_000
    )


def test_endpoint_and_blueprints_are_read_off_the_rule(app: Erlen) -> None:
    outer, inner = erlen.Blueprint("outer", "x"), erlen.Blueprint("inner", "x")
    inner.add_url_rule("/y/<x>", "view", lambda x: "")
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    with app.test_request_context("/y/1"):
        request = erlen.request
        assert request.endpoint == "outer.inner.view"
        assert request.blueprint == "outer.inner"
        assert request.blueprints == ["outer.inner", "outer"]
        assert request.view_args == {"x": "1"}
    with app.test_request_context("/no/such/thing"):
        assert erlen.request.endpoint is None
        assert erlen.request.blueprint is None
        assert erlen.request.blueprints == []
        assert erlen.request.view_args is None


def test_json_errors_tell_more_in_debug_mode(app: Erlen) -> None:
    app.add_url_rule("/", "read", lambda: erlen.request.get_json(), methods=["POST"])
    for debug in (False, True):
        app.config["DEBUG"] = debug
        app.config["PROPAGATE_EXCEPTIONS"] = False
        answer = app.test_client().post("/", data="{", content_type="application/json")
        assert answer.status_code == 400
        assert (b"Failed to decode JSON object" in answer.data) is debug


# Responses


def test_a_response_is_a_werkzeug_response_of_type_html() -> None:
    response = Response("x")
    assert isinstance(response, WerkzeugResponse)
    assert response.mimetype == "text/html"
    assert response.autocorrect_location_header is False


def direct(app: Erlen, rv: t.Any) -> Response:
    """What the engine makes of a view's value."""
    with app.test_request_context():
        return app.make_response(rv)


VALUES: tuple[t.Any, ...] = ("text", "snö", "", {"a": 1}, [1, 2], b"bytes", ("x", 201))


@pytest.mark.parametrize("rv", VALUES, ids=repr)
def test_a_response_of_the_engine_shows_what_a_constructed_one_shows(app: Erlen, rv: t.Any) -> None:
    made = direct(app, rv)
    body, status = rv if isinstance(rv, tuple) else (rv, 200)
    if isinstance(body, (dict, list)):
        text = json.dumps(body, separators=(",", ":"), sort_keys=True) + "\n"
        expected = Response(text, status, mimetype="application/json")
    else:
        expected = Response(body, status)
    for name in (
        *("status", "status_code", "mimetype", "content_type", "content_length", "is_json"),
        *(
            "is_streamed",
            "is_sequence",
            "data",
            "response",
            "direct_passthrough",
            "mimetype_params",
        ),
    ):
        assert getattr(made, name) == getattr(expected, name), name
    assert list(made.headers) == list(expected.headers)
    assert repr(made) == repr(expected)
    environ = create_environ()
    assert made.get_wsgi_response(environ)[1:] == expected.get_wsgi_response(environ)[1:]
    assert list(made.iter_encoded()) == list(expected.iter_encoded())


def test_a_response_of_the_engine_can_be_changed_in_every_part(app: Erlen) -> None:
    app.add_url_rule("/", "view", lambda: "text")

    @app.after_request
    def change(response: Response) -> Response:
        response.status_code = 202
        response.headers["X-A"] = "1"
        response.set_data(response.get_data() + b" and more")
        response.set_cookie("c", "d")
        response.mimetype = "text/plain"
        return response

    answer = app.test_client().get("/")
    assert answer.status == "202 ACCEPTED"
    assert answer.headers.to_wsgi_list() == [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", "13"),
        ("X-A", "1"),
        ("Set-Cookie", "c=d; Path=/"),
    ]
    assert answer.data == b"text and more"


def test_two_responses_share_nothing(app: Erlen) -> None:
    first, second = direct(app, "x"), direct(app, "x")
    first.headers["X-A"] = "1"
    first.status_code = 404
    first.call_on_close(lambda: None)
    assert list(second.headers) == [
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Length", "1"),
    ]
    assert second.status_code == 200
    assert second._on_close == []


def test_callbacks_run_when_the_server_closes_the_response(app: Erlen) -> None:
    closed: list[str] = []
    app.add_url_rule("/", "view", lambda: "text")

    @app.after_request
    def register(response: Response) -> Response:
        response.call_on_close(lambda: closed.append("closed"))
        return response

    for _ in range(3):
        environ = EnvironBuilder("/").get_environ()
        answer: t.Any = app(environ, lambda *args: lambda data: None)
        assert list(answer) == [b"text"]
        assert not closed
        answer.close()
        assert closed.pop() == "closed"


def test_the_cookie_size_limit_comes_from_the_configuration(app: Erlen) -> None:
    assert Response().max_cookie_size == 4093
    app.config["MAX_COOKIE_SIZE"] = 10
    with app.app_context(), pytest.warns(UserWarning, match="too large"):
        Response().set_cookie("a", "b" * 20)
    app.config["MAX_COOKIE_SIZE"] = 0
    with app.app_context():
        Response().set_cookie("a", "b" * 5000)


@settings(max_examples=100)
@given(st.text(max_size=12))
def test_paths_are_decoded_as_werkzeug_decodes_them(text: str) -> None:
    environ = create_environ("/" + quote(text, errors="replace"))
    theirs = WerkzeugRequest(dict(environ))
    ours = Request(dict(environ))
    assert (ours.path, ours.root_path, ours.url) == (theirs.path, theirs.root_path, theirs.url)


@settings(max_examples=100)
@given(st.binary(max_size=10), st.binary(max_size=6))
def test_any_bytes_may_be_in_a_path(path: bytes, root: bytes) -> None:
    environ = create_environ("/")
    environ["PATH_INFO"], environ["SCRIPT_NAME"] = (
        path.decode("latin1"),
        "/" + root.decode("latin1"),
    )
    theirs, ours = WerkzeugRequest(dict(environ)), Request(dict(environ))
    assert (ours.path, ours.root_path, ours.url) == (theirs.path, theirs.root_path, theirs.url)

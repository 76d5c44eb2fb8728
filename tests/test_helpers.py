"""What views call: responses, URLs, flashed messages, files, streams."""

from __future__ import annotations

import importlib
import io
import types
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from werkzeug.exceptions import HTTPException, NotFound, Unauthorized
from werkzeug.wrappers import Response as PlainResponse

NO_APP = "Working outside of application context"
NO_REQUEST = "Working outside of request context"


@pytest.fixture
def app(framework: ModuleType, tmp_path: Path) -> Any:
    app = framework.Flask("helpers_app", root_path=str(tmp_path))
    app.secret_key = "key"
    return app


@pytest.fixture
def helpers(framework: ModuleType) -> Any:
    return importlib.import_module(f"{framework.__name__}.helpers")


# -- settings of the process ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [("", False), ("0", False), ("False", False), ("NO", False), ("1", True), ("x", True)],
)
def test_debug_mode_is_asked_for_by_a_variable(
    helpers: Any, monkeypatch: pytest.MonkeyPatch, value: str, expected: bool
) -> None:
    assert helpers.get_debug_flag() is False
    monkeypatch.setenv("FLASK_DEBUG", value)
    assert helpers.get_debug_flag() is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("0", True), ("false", True), ("No", True), ("1", False), ("yes", False), ("", None)],
)
@pytest.mark.parametrize("default", [True, False])
def test_dotenv_files_can_be_skipped_by_a_variable(
    helpers: Any,
    monkeypatch: pytest.MonkeyPatch,
    value: str,
    expected: bool | None,
    default: bool,
) -> None:
    assert helpers.get_load_dotenv(default) is default
    monkeypatch.setenv("FLASK_SKIP_DOTENV", value)
    assert helpers.get_load_dotenv(default) is (default if expected is None else expected)


# -- outside of contexts ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        pytest.param(lambda f: f.url_for("x"), NO_APP, id="url_for"),
        pytest.param(lambda f: f.make_response(), NO_APP, id="make_response"),
        pytest.param(lambda f: f.make_response("x"), NO_APP, id="make_response of text"),
        pytest.param(lambda f: f.flash("x"), NO_REQUEST, id="flash"),
        pytest.param(lambda f: f.get_flashed_messages(), NO_REQUEST, id="get_flashed_messages"),
        pytest.param(lambda f: f.send_file("x"), NO_REQUEST, id="send_file"),
        pytest.param(lambda f: f.send_from_directory("x", "y"), NO_APP, id="send_from_directory"),
        pytest.param(lambda f: f.get_template_attribute("x", "y"), NO_APP, id="attribute"),
        pytest.param(
            lambda f: f.stream_with_context(iter("x")),
            "'stream_with_context' can only be used when a request context is active,"
            " such as in a view function.",
            id="stream_with_context",
        ),
        pytest.param(
            lambda f: f.stream_with_context(lambda: iter("x"))(),
            "'stream_with_context' can only be used",
            id="stream_with_context as decorator",
        ),
    ],
)
def test_the_error_outside_of_a_context_says_which_is_missing(
    framework: ModuleType, call: Callable[[Any], Any], message: str
) -> None:
    with pytest.raises(RuntimeError) as caught:
        call(framework)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("call", ["flash", "get_flashed_messages", "send_file"])
def test_an_application_context_is_not_enough(app: Any, framework: ModuleType, call: str) -> None:
    arguments = () if call == "get_flashed_messages" else ("x",)
    with app.app_context(), pytest.raises(RuntimeError, match=NO_REQUEST):
        getattr(framework, call)(*arguments)


# -- responses --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "status", "body"),
    [
        pytest.param((), 200, b"", id="nothing"),
        pytest.param(("text",), 200, b"text", id="text"),
        pytest.param(("text", 404), 404, b"text", id="status"),
        pytest.param(("text", 201, {"X-A": "b"}), 201, b"text", id="headers"),
        pytest.param((("text", 202),), 202, b"text", id="tuple"),
        pytest.param(({"a": 1},), 200, b'{"a":1}\n', id="dict"),
    ],
)
def test_a_response_is_made_from_what_a_view_returns(
    app: Any, framework: ModuleType, arguments: Any, status: int, body: bytes
) -> None:
    with app.test_request_context():
        response = framework.make_response(*arguments)
    assert (type(response), response.status_code) == (framework.Response, status)
    assert response.data == body
    assert response.headers.get("X-A") == ("b" if "X-A" in str(arguments) else None)


def test_a_redirect_needs_no_application(framework: ModuleType) -> None:
    class Special(PlainResponse):
        pass

    response = framework.redirect("/other", 307, Special)
    assert (type(response), response.status_code) == (Special, 307)
    assert response.location == "/other"
    assert type(framework.redirect("/other")) is PlainResponse


def test_the_application_decides_how_to_redirect(app: Any, framework: ModuleType) -> None:
    calls = []
    app.redirect = lambda *args, **kwargs: calls.append((args, kwargs))
    with app.app_context():
        framework.redirect("/other", 303, PlainResponse)
    assert calls == [(("/other",), {"code": 303})]


def test_a_redirect_of_an_application_is_its_response(app: Any, framework: ModuleType) -> None:
    with app.app_context():
        response = framework.redirect("/other")
    assert (type(response), response.status_code) == (framework.Response, 302)


@pytest.mark.parametrize("inside", [False, True], ids=["no application", "application"])
def test_abort_raises_the_error_of_the_code(app: Any, framework: ModuleType, inside: bool) -> None:
    def check() -> None:
        with pytest.raises(Unauthorized, match="401 Unauthorized: not you"):
            framework.abort(401, "not you")
        with pytest.raises(HTTPException) as caught:
            framework.abort(PlainResponse("mine", 418))
        assert caught.value.get_response().status_code == 418
        with pytest.raises(LookupError, match="no exception for 900"):
            framework.abort(900)

    if inside:
        with app.app_context():
            check()
    else:
        check()


def test_the_application_can_know_more_codes(app: Any, framework: ModuleType) -> None:
    class Custom(HTTPException):
        code = 900

    app.aborter.mapping[900] = Custom
    with app.app_context(), pytest.raises(Custom):
        framework.abort(900)


# -- URLs -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("endpoint", "values", "expected"),
    [
        pytest.param("item", {"n": 1}, "/items/1", id="variable"),
        pytest.param("item", {"n": 1, "q": "a b", "r": None}, "/items/1?q=a+b", id="query"),
        pytest.param("item", {"n": 1, "_anchor": "x y"}, "/items/1#x%20y", id="anchor"),
        pytest.param("item", {"n": 1, "_external": True}, "http://localhost/items/1", id="extern"),
        pytest.param("item", {"n": 1, "_scheme": "https"}, "https://localhost/items/1", id="https"),
        pytest.param("item", {"n": 1, "_method": "POST"}, "/new/1", id="method"),
        pytest.param("bp.page", {}, "/bp/page", id="blueprint"),
        pytest.param(".page", {}, "/bp/page", id="same blueprint"),
        pytest.param("own", {"self": "2", "anchor": "a"}, "/own/2?anchor=a", id="names"),
    ],
)
def test_the_url_of_an_endpoint(
    app: Any, framework: ModuleType, endpoint: str, values: dict[str, Any], expected: str
) -> None:
    app.add_url_rule("/items/<int:n>", "item")
    app.add_url_rule("/new/<int:n>", "item", methods=["POST"])
    app.add_url_rule("/own/<self>", "own")
    blueprint = framework.Blueprint("bp", __name__, url_prefix="/bp")
    blueprint.add_url_rule("/page", "page", lambda: "")
    app.register_blueprint(blueprint)
    with app.test_request_context("/bp/page"):
        assert framework.url_for(endpoint, **values) == expected


def test_a_scheme_needs_an_external_url(app: Any, framework: ModuleType) -> None:
    app.add_url_rule("/", "index")
    with app.test_request_context():
        with pytest.raises(ValueError, match="specifying '_scheme', '_external' must be True"):
            framework.url_for("index", _scheme="https", _external=False)


def test_urls_outside_of_requests_need_a_server_name(app: Any, framework: ModuleType) -> None:
    app.add_url_rule("/", "index")
    with app.app_context(), pytest.raises(RuntimeError, match="without 'SERVER_NAME' configured"):
        framework.url_for("index")
    app.config["SERVER_NAME"] = "example.com"
    with app.app_context():
        assert framework.url_for("index") == "http://example.com/"
        assert framework.url_for("index", _external=False) == "/"


def test_the_application_decides_about_urls(app: Any, framework: ModuleType) -> None:
    app.url_for = lambda endpoint, **values: (endpoint, values)
    with app.app_context():
        got = framework.url_for("x", n=1, _anchor="a")
    nothing: dict[str, Any] = {"_method": None, "_scheme": None, "_external": None}
    assert got == ("x", {"n": 1, "_anchor": "a", **nothing})


# -- flashed messages -------------------------------------------------------------------------


def test_a_message_is_flashed_to_the_next_request(app: Any, framework: ModuleType) -> None:
    @app.get("/put")
    def put() -> str:
        framework.flash("one")
        framework.flash("two", "error")
        return ""

    @app.get("/take")
    def take() -> Any:
        first = framework.get_flashed_messages()
        return [first, framework.get_flashed_messages(with_categories=True)]

    client = app.test_client()
    client.get("/put")
    assert client.get("/take").json == [["one", "two"], [["message", "one"], ["error", "two"]]]
    assert client.get("/take").json == [[], []]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({}, ["a", "b", "c"], id="all"),
        pytest.param({"category_filter": ["error"]}, ["b"], id="filtered"),
        pytest.param({"category_filter": ("error", "message")}, ["a", "b"], id="two categories"),
        pytest.param(
            {"with_categories": True, "category_filter": {"info"}}, [("info", "c")], id="pairs"
        ),
    ],
)
def test_messages_can_be_filtered(
    app: Any, framework: ModuleType, options: dict[str, Any], expected: list[Any]
) -> None:
    with app.test_request_context():
        framework.flash("a")
        framework.flash("b", "error")
        framework.flash("c", "info")
        assert framework.session["_flashes"][-1] == ("info", "c")
        assert framework.get_flashed_messages(**options) == expected
        assert "_flashes" not in framework.session


def test_a_session_that_cannot_be_written_refuses_messages(framework: ModuleType) -> None:
    app = framework.Flask("helpers_app")
    with app.test_request_context(), pytest.raises(RuntimeError, match="no secret key was set"):
        framework.flash("x")


def test_flashing_marks_the_session_as_modified(app: Any, framework: ModuleType) -> None:
    with app.test_request_context():
        framework.session["_flashes"] = [("message", "first")]
        framework.session.modified = False
        framework.flash("second")
        assert framework.session.modified
        assert framework.get_flashed_messages() == ["first", "second"]


# -- files ------------------------------------------------------------------------------------


def test_a_file_is_sent_from_the_root_path(app: Any, framework: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<p>")
    with app.test_request_context():
        response = framework.send_file("page.html")
        assert type(response) is framework.Response
        assert (response.direct_passthrough, response.mimetype) == (True, "text/html")
        assert response.get_etag()[0]
        response.direct_passthrough = False
        assert response.data == b"<p>"
        response.close()


def test_every_option_of_a_file_reaches_its_response(app: Any, framework: ModuleType) -> None:
    stamp = datetime(2020, 1, 1, tzinfo=timezone.utc)
    with app.test_request_context():
        response = framework.send_file(
            io.BytesIO(b"data"),
            mimetype="text/x-special",
            as_attachment=True,
            download_name="näme.txt",
            etag="mark",
            last_modified=stamp,
            max_age=7,
        )
    assert response.mimetype == "text/x-special"
    assert "attachment; filename=name.txt; filename*=UTF-8''n%C3%A4me.txt" in str(response.headers)
    assert (response.get_etag(), response.last_modified) == (("mark", False), stamp)
    assert response.cache_control.max_age == 7


@pytest.mark.parametrize(
    ("configured", "given", "expected"),
    [(None, None, None), (60, None, 60), (60, 5, 5), (60, lambda name: ord(name[-1]), ord("x"))],
    ids=["default", "config", "argument", "function"],
)
def test_the_age_of_files_comes_from_argument_or_config(
    app: Any, framework: ModuleType, tmp_path: Path, configured: Any, given: Any, expected: Any
) -> None:
    (tmp_path / "a.tx").write_text("a")
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = configured
    with app.test_request_context():
        response = framework.send_from_directory(".", "a.tx", max_age=given)
        assert response.cache_control.max_age == expected
        response.close()


def test_the_application_decides_the_age_of_a_file(
    app: Any, framework: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("a")
    app.get_send_file_max_age = lambda name: 11
    with app.test_request_context():
        response = framework.send_file("a.txt")
        assert response.cache_control.max_age == 11
        response.close()


def test_a_server_can_send_the_file_itself(app: Any, framework: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    app.config["USE_X_SENDFILE"] = True
    with app.test_request_context():
        response = framework.send_file("a.txt")
        assert response.headers["X-Sendfile"] == str(tmp_path / "a.txt")
        response.close()


@pytest.mark.parametrize(
    "path", ["../secret", "/etc/passwd", "sub/../../secret", "missing", "sub", "a\0b"]
)
def test_nothing_outside_of_the_folder_is_sent(
    app: Any, framework: ModuleType, tmp_path: Path, path: str
) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "public" / "sub").mkdir(parents=True)
    with app.test_request_context(), pytest.raises((NotFound, ValueError)) as caught:
        framework.send_from_directory("public", path)
    assert isinstance(caught.value, NotFound) or "\0" in path


def test_a_range_of_a_file_is_sent(app: Any, framework: ModuleType) -> None:
    app.add_url_rule("/", "index", lambda: framework.send_file(io.BytesIO(b"0123"), "text/plain"))
    answer = app.test_client().get("/", headers={"Range": "bytes=1-2"})
    assert (answer.status_code, answer.data) == (206, b"12")


# -- templates --------------------------------------------------------------------------------


def test_a_macro_of_a_template_can_be_called(
    app: Any, framework: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "m.html").write_text(
        "{% macro hello(name) %}Hello {{ name }}!{% endmacro %}{% set word = 'x' %}"
    )
    with app.test_request_context():
        assert framework.get_template_attribute("m.html", "hello")("<b>") == "Hello &lt;b&gt;!"
        assert framework.get_template_attribute("m.html", "word") == "x"
        with pytest.raises(AttributeError):
            framework.get_template_attribute("m.html", "nothing")


# -- streams ----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["iterator", "decorator"])
def test_a_stream_keeps_request_session_and_g(app: Any, framework: ModuleType, form: str) -> None:
    @app.get("/")
    def index() -> Any:
        framework.session["word"] = "kept"
        framework.g.mark = "!"

        def pieces(greeting: str) -> Iterator[str]:
            """Pieces."""
            yield greeting
            yield framework.request.args["name"]
            yield framework.g.mark
            yield framework.session["word"]

        if form == "iterator":
            return framework.stream_with_context(pieces("Hello "))
        stream = framework.stream_with_context(pieces)
        assert (stream.__name__, stream.__doc__) == ("pieces", "Pieces.")
        return stream("Hello ")

    assert app.test_client().get("/?name=World").text == "Hello World!kept"


class Closing:
    def __init__(self, events: list[str], items: Iterator[str]) -> None:
        self.events, self.items = events, items

    def __iter__(self) -> Closing:
        return self

    def __next__(self) -> str:
        return next(self.items)

    def close(self) -> None:
        self.events.append("closed")


def run(app: Any, read: int | None) -> None:
    """Call the application as a server does; read so many pieces, all if None, then close."""
    environ = importlib.import_module("werkzeug.test").create_environ("/")
    body = app(environ, lambda *args: lambda data: None)
    pieces = iter(body)
    if read is None:
        list(pieces)
    for _ in range(read or 0):
        next(pieces)
    body.close()


@pytest.mark.parametrize("read", [None, 0, 1], ids=["read", "not read", "read in part"])
def test_teardown_runs_after_the_view_and_again_after_the_stream(read: int | None) -> None:
    def events_of(framework: ModuleType) -> list[str]:
        events: list[str] = []
        app = framework.Flask("helpers_app")
        app.teardown_request(lambda e: events.append(f"teardown request {e!r}"))
        app.teardown_appcontext(lambda e: events.append(f"teardown app {e!r}"))
        app.after_request(lambda response: events.append("after") or response)

        @app.get("/")
        def index() -> Any:
            def pieces() -> Iterator[str]:
                events.append("first")
                yield framework.request.path
                events.append("second")
                yield framework.current_app.name

            response = framework.Response(framework.stream_with_context(Closing(events, pieces())))
            response.call_on_close(lambda: events.append("response closed"))
            return response

        run(app, read)
        assert not framework.has_app_context()
        return events

    erlen, flask = (pytest.importorskip(name) for name in ("erlen", "flask"))
    assert events_of(erlen) == events_of(flask)


def test_an_error_in_a_stream_reaches_its_teardown() -> None:
    def events_of(framework: ModuleType) -> list[str]:
        events: list[str] = []
        app = framework.Flask("helpers_app")
        app.teardown_request(lambda e: events.append(f"teardown request {e!r}"))
        app.teardown_appcontext(lambda e: events.append(f"teardown app {e!r}"))

        @app.get("/")
        @framework.stream_with_context
        def index() -> Iterator[str]:
            yield "a"
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            run(app, None)
        return events

    erlen, flask = (pytest.importorskip(name) for name in ("erlen", "flask"))
    assert events_of(erlen) == events_of(flask)


def test_a_stream_can_be_read_within_its_view(app: Any, framework: ModuleType) -> None:
    ended: list[Any] = []
    app.teardown_appcontext(ended.append)

    @app.get("/")
    def index() -> str:
        text = "".join(framework.stream_with_context(p for p in [framework.request.path, "x"]))
        assert not ended
        assert framework.request.path == "/"
        return text

    assert app.test_client().get("/").text == "/x"
    assert ended == [None]


def test_a_stream_is_a_generator(app: Any, framework: ModuleType) -> None:
    with app.test_request_context():
        stream = framework.stream_with_context(["a", "b"])
        assert isinstance(stream, types.GeneratorType)
        assert list(stream) == ["a", "b"]


def test_a_stream_works_from_an_async_view(app: Any, framework: ModuleType) -> None:
    @app.get("/")
    async def index() -> Any:
        framework.session["word"] = "kept"

        @framework.stream_with_context
        def pieces() -> Iterator[str]:
            yield framework.session["word"]

        return framework.Response(pieces())

    client = app.test_client()
    client.get("/").close()
    assert client.get("/").text == "kept"
    with client:
        client.get("/").close()
    with client:
        assert client.get("/").text == "kept"


# -- names ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"), [("a", ["a"]), ("a.b", ["a.b", "a"]), ("a.b.c", ["a.b.c", "a.b", "a"])]
)
def test_the_parents_of_a_blueprint_follow_from_its_name(
    helpers: Any, name: str, expected: list[str]
) -> None:
    assert helpers._split_blueprint_path(name) == expected


def test_the_endpoint_of_a_view_is_its_name(framework: ModuleType) -> None:
    scaffold = importlib.import_module(
        "flask.sansio.scaffold" if framework.__name__ == "flask" else "erlen.scaffold"
    )
    assert scaffold._endpoint_from_view_func(run) == "run"
    with pytest.raises(AssertionError, match="expected view func if endpoint is not provided"):
        scaffold._endpoint_from_view_func(None)

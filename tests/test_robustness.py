"""What requests, threads and patches that nobody foresaw must not break."""

from __future__ import annotations

import copy
import gc
import sys
import textwrap
import threading
import typing as t
import weakref
from collections import defaultdict
from pathlib import Path
from types import ModuleType

import pytest
from carrying import carried, over_asgi
from werkzeug.test import EnvironBuilder

import erlen
from erlen.engine import routing
from erlen.imports import defer
from erlen.json.provider import DefaultJSONProvider
from erlen.sessions import SecureCookieSessionInterface


def call(app: erlen.Erlen, path: str = "/", **environ: t.Any) -> tuple[str, bytes]:
    """Status and body of a request whose environ is given as a server would."""
    builder = EnvironBuilder(method=environ.get("REQUEST_METHOD", "GET"))
    given = {**builder.get_environ(), "PATH_INFO": path, **environ}
    builder.close()
    answered: list[str] = []

    def start_response(status: str, headers: t.Any, exc_info: t.Any = None) -> t.Any:
        answered.append(status)

    body = b"".join(carried(app)(given, start_response))
    return answered[-1], body


@pytest.fixture
def app() -> erlen.Erlen:
    app = erlen.Erlen("robust", root_path="/nonexistent")
    app.secret_key = "key"
    app.add_url_rule("/warm", "warm", lambda: "warm")
    return app


# Paths and queries


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("/\xc3\xa4", b"umlaut", id="UTF-8"),
        pytest.param("/\xe4", b"any:\xef\xbf\xbd", id="latin-1 bytes"),
        pytest.param("/\xc3\x83\xc2\xa4", b"twice", id="encoded twice"),
    ],
)
def test_bytes_of_a_path_match_the_rule_of_the_same_text_only(
    app: erlen.Erlen, path: str, expected: bytes
) -> None:
    app.add_url_rule("/ä", "umlaut", lambda: "umlaut")
    app.add_url_rule("/Ã¤", "twice", lambda: "twice")
    app.add_url_rule("/<name>", "any", lambda name: f"any:{name}")
    for _ in range(3):
        assert call(app, path)[1] == expected


@pytest.mark.parametrize("query", ["=a&", "=a&&", "&=a&", "&=a"])
def test_an_empty_field_is_no_value_of_the_empty_name(app: erlen.Erlen, query: str) -> None:
    app.add_url_rule("/args", "args", lambda: repr(dict(erlen.request.args.lists())))
    assert call(app, "/args", QUERY_STRING=query)[1] == b"{'': ['a']}"


def test_a_rule_added_while_the_matcher_is_compiled_is_found(
    app: erlen.Erlen, monkeypatch: pytest.MonkeyPatch
) -> None:
    compile_matcher = routing.compile_matcher

    def interrupted(url_map: routing.Map) -> routing.Matcher:
        monkeypatch.undo()
        made = compile_matcher(url_map)
        # As another thread may do just then; its own request updates the map.
        url_map.add(routing.Rule("/late", endpoint="warm"))
        url_map.update()
        return made

    monkeypatch.setattr(routing, "compile_matcher", interrupted)
    call(app, "/warm")
    assert [call(app, "/late")[1] for _ in range(3)] == [b"warm"] * 3


# Replaced methods


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("full_dispatch_request", "/warm"),
        ("preprocess_request", "/warm"),
        ("dispatch_request", "/warm"),
        ("finalize_request", "/warm"),
        ("make_response", "/warm"),
        ("process_response", "/warm"),
        ("do_teardown_request", "/warm"),
        ("do_teardown_appcontext", "/warm"),
        ("request_context", "/warm"),
        ("app_context", "/warm"),
        ("create_url_adapter", "/warm"),
        ("handle_http_exception", "/missing"),
        ("handle_user_exception", "/broken"),
        ("handle_exception", "/broken"),
    ],
)
def test_a_stage_that_was_replaced_on_the_class_itself_is_called(
    app: erlen.Erlen, monkeypatch: pytest.MonkeyPatch, method: str, path: str
) -> None:
    @app.route("/broken")
    def broken() -> str:
        raise ValueError

    app.logger.disabled = True
    called = []
    original = getattr(erlen.Erlen, method)

    def traced(self: erlen.Erlen, *args: t.Any, **kwargs: t.Any) -> t.Any:
        called.append(method)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(erlen.Erlen, method, traced)
    for times in (1, 2, 3):
        call(app, path)
        assert len(called) >= times


@pytest.mark.parametrize("method", ["open_session", "save_session", "is_null_session"])
@pytest.mark.parametrize("on_class", [True, False], ids=["class", "instance"])
def test_a_replaced_method_of_the_cookie_sessions_is_called_for_unused_sessions_too(
    app: erlen.Erlen, monkeypatch: pytest.MonkeyPatch, method: str, on_class: bool
) -> None:
    called = []
    interface = app.session_interface = SecureCookieSessionInterface()
    original = getattr(interface, method)

    def traced(*args: t.Any) -> t.Any:
        called.append(method)
        return original(*args[-original.__code__.co_argcount + 1 :])

    monkeypatch.setattr(SecureCookieSessionInterface if on_class else interface, method, traced)
    call(app, "/warm")
    call(app, "/warm")
    assert called == [method, method]


@pytest.mark.parametrize(
    ("owner", "name", "path"),
    [
        pytest.param(cls, name, path, id=f"{cls.__name__}.{name}")
        for cls, name, path in [
            (erlen.Request, "__init__", "/warm"),
            (erlen.Request, "close", "/warm"),
            (erlen.Request, "get_data", "/json"),
            (erlen.Response, "__init__", "/warm"),
            (erlen.Response, "__call__", "/warm"),
            (erlen.Response, "get_wsgi_headers", "/warm"),
            (DefaultJSONProvider, "dumps", "/json"),
            (DefaultJSONProvider, "response", "/json"),
        ]
    ],
)
def test_a_method_that_was_replaced_on_a_class_of_the_package_is_called(
    app: erlen.Erlen, monkeypatch: pytest.MonkeyPatch, owner: type, name: str, path: str
) -> None:
    @app.route("/json")
    def json() -> t.Any:
        return {"given": erlen.request.get_json(force=True, silent=True)}

    called = []
    original = getattr(owner, name)

    def traced(self: t.Any, *args: t.Any, **kwargs: t.Any) -> t.Any:
        called.append(name)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(owner, name, traced)
    for times in range(1, 6):
        call(app, path)
        assert len(called) >= times


def test_a_class_counts_as_built_in_again_when_a_patch_is_taken_back(
    app: erlen.Erlen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erlen.Response, "default_status", 299)
    assert call(app, "/warm")[0] == "299 UNKNOWN"
    monkeypatch.undo()
    app.config["ANY"] = "change"
    assert call(app, "/warm")[0] == "200 OK"


def test_headers_may_be_replaced_by_a_dict(app: erlen.Erlen) -> None:
    @app.route("/dict")
    def with_dict() -> t.Any:
        response = erlen.make_response({})
        response.headers = {"Content-Length": "3", "X-From": "dict"}  # type: ignore[assignment]
        return response

    call(app, "/warm")
    assert call(app, "/dict") == ("200 OK", b"{}\n")


def test_a_session_that_could_not_be_opened_is_not_opened_again_for_the_answer(
    app: erlen.Erlen,
) -> None:
    asked = []

    class Broken(SecureCookieSessionInterface):
        def open_session(self, app: t.Any, request: t.Any) -> t.NoReturn:
            asked.append(request.path)
            raise ConnectionError

    app.session_interface = Broken()
    app.logger.disabled = True
    assert call(app, "/warm")[0] == "500 INTERNAL SERVER ERROR"
    assert asked == ["/warm"]


# Registries


@pytest.mark.parametrize(
    "duplicate",
    [
        pytest.param(lambda registry: registry.copy(), id="copy method"),
        pytest.param(copy.copy, id="copy"),
        pytest.param(copy.deepcopy, id="deepcopy"),
    ],
)
def test_a_copied_registry_is_a_plain_one_that_can_be_put_in_place(
    app: erlen.Erlen, duplicate: t.Callable[[t.Any], t.Any]
) -> None:
    app.before_request(lambda: None)
    saved = duplicate(app.before_request_funcs)
    assert type(saved) is defaultdict
    assert saved == app.before_request_funcs
    app.before_request_funcs = saved
    assert call(app, "/warm")[1] == b"warm"
    saved[None].append(lambda: "hook")
    assert call(app, "/warm")[1] == b"hook"


def test_an_application_sees_changes_of_a_registry_that_it_shares_with_another(
    app: erlen.Erlen,
) -> None:
    other = erlen.Erlen("other", root_path="/nonexistent")
    app.before_request_funcs = other.before_request_funcs
    assert call(app, "/warm")[1] == b"warm"
    other.before_request(lambda: "of the other")
    assert call(app, "/warm")[1] == b"of the other"


# What is kept


@pytest.mark.parametrize("path", ["/warm", "/async", "/streamed", "/session", "/url"])
def test_nothing_keeps_a_request_that_was_answered(app: erlen.Erlen, path: str) -> None:
    @app.route("/async")
    async def asynchronous() -> str:
        return "async"

    @app.route("/streamed")
    def streamed() -> t.Any:
        return app.response_class(erlen.stream_with_context(iter("streamed")))

    @app.route("/session")
    def session() -> str:
        return str(erlen.session.setdefault("seen", 1))

    @app.route("/url")
    def url() -> str:
        return erlen.url_for("warm", _external=True)

    made: list[weakref.ref[t.Any]] = []

    @app.before_request
    def note() -> None:
        request = erlen.request._get_current_object()  # type: ignore[attr-defined]
        made.extend((weakref.ref(request), weakref.ref(erlen.g._get_current_object())))

    def serve() -> None:
        call(app, path)
        call(app, path)
        gc.collect()
        left.extend(reference() for reference in made)

    left: list[t.Any] = []
    thread = threading.Thread(target=serve)  # a thread of its own has nothing from before
    thread.start()
    thread.join()
    assert left == [None] * 4


# Threads that import


def test_a_thread_waits_for_a_deferred_module_that_another_one_executes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = """
        import sys
        from test_robustness import begun, go_on
        begun.set()
        assert go_on.wait(30)
        assert not hasattr(sys.modules[__name__], "value")
        value = "defined"
    """
    (tmp_path / "slow_module.py").write_text(textwrap.dedent(code))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "test_robustness", sys.modules[__name__])
    defer("slow_module")
    module = sys.modules["slow_module"]
    found: list[str] = []

    def read() -> None:
        found.append(getattr(module, "value", "missing"))

    first, second = threading.Thread(target=read), threading.Thread(target=read)
    try:
        first.start()
        assert begun.wait(30)
        second.start()
        second.join(0.1)  # it would have come back by now
        go_on.set()
        first.join(30)
        second.join(30)
    finally:
        del sys.modules["slow_module"]
    assert found == ["defined", "defined"]


begun, go_on = threading.Event(), threading.Event()


def test_an_async_view_runs_while_another_thread_imports_asyncio(
    app: erlen.Erlen, monkeypatch: pytest.MonkeyPatch
) -> None:
    @app.route("/async")
    async def asynchronous() -> str:
        return "async"

    if over_asgi():
        pytest.skip("an event loop runs, so asyncio is imported")
    call(app, "/async")
    monkeypatch.setitem(sys.modules, "asyncio", ModuleType("asyncio"))
    assert call(app, "/async") == ("200 OK", b"async")


# Contexts and hooks


def test_streams_read_by_turns_leave_no_context_behind(app: erlen.Erlen) -> None:
    @app.route("/streamed")
    def streamed() -> t.Any:
        return app.response_class(erlen.stream_with_context(iter("ab")))

    environ = EnvironBuilder("/streamed").get_environ()
    first, second = (iter(app(dict(environ), lambda *args: bytes)) for _ in range(2))
    assert (next(first), next(second)) == (b"a", b"a")
    with pytest.raises(AssertionError, match="Popped wrong"):
        list(first)
    with pytest.raises(LookupError):
        list(second)
    assert not erlen.has_request_context()
    assert not erlen.has_app_context()


@pytest.mark.parametrize("kind", ["app_context", "test_request_context"])
def test_a_context_that_is_not_pushed_cannot_be_popped(app: erlen.Erlen, kind: str) -> None:
    with pytest.raises(LookupError, match="There is no"):
        getattr(app, kind)().pop()


@pytest.mark.parametrize("warm", [0, 2], ids=["first request", "later request"])
def test_what_a_view_appends_to_the_after_request_functions_sees_its_response(
    app: erlen.Erlen, warm: int
) -> None:
    seen = []

    @app.route("/append")
    def append() -> str:
        def see(response: t.Any) -> t.Any:
            seen.append(response.status_code)
            return response

        app.after_request_funcs.setdefault(None, []).append(see)
        return "appended"

    for _ in range(warm):
        call(app, "/warm")
    call(app, "/append")
    assert seen == [200]


@pytest.mark.parametrize(
    ("rule", "path"),
    [
        pytest.param("/<a>-<b>-<c>", "/" + "-" * 5_000 + "/", id="last segment"),
        pytest.param("/<a>-<b>-<c>/edit", "/" + "-" * 5_000 + "/other", id="before a literal"),
        pytest.param("/<a>-<b>/<c>.<int:d>", "/" + "-" * 5_000 + "/" + "." * 5_000, id="two"),
    ],
)
def test_ways_to_split_a_segment_are_not_tried_for_the_rest_of_the_path(
    app: erlen.Erlen, rule: str, path: str
) -> None:
    app.add_url_rule(rule, "split", lambda **values: values)
    call(app, "/warm")
    assert call(app, path)[0] == "404 NOT FOUND"


def test_several_variables_of_a_segment_have_their_values(app: erlen.Erlen) -> None:
    app.add_url_rule("/<int:year>-<int:month>/<name>", "split", lambda **values: values)
    for _ in range(3):
        assert call(app, "/2026-07/x")[1] == b'{"month":7,"name":"x","year":2026}\n'


@pytest.mark.parametrize(
    "name",
    [
        "after_request_funcs",
        "before_request_funcs",
        "config",
        "create_url_adapter",
        "dispatch_request",
        "ensure_sync",
        "json",
        "request_class",
        "response_class",
        "session_interface",
        "subdomain_matching",
        "teardown_request_funcs",
        "url_map",
        "url_value_preprocessors",
        "view_functions",
    ],
)
def test_assigning_what_was_compiled_has_it_compiled_again(app: erlen.Erlen, name: str) -> None:
    call(app, "/warm")
    setattr(app, name, getattr(app, name))
    assert app._program is None


def test_an_attribute_of_the_users_own_leaves_what_was_compiled(app: erlen.Erlen) -> None:
    call(app, "/warm")
    compiled = app._program
    app.counter = 1
    del app.counter  # type: ignore[attr-defined]
    assert app._program is compiled is not None


# Copies


def test_a_copy_of_an_application_that_has_served_serves_as_itself(app: erlen.Erlen) -> None:
    app.add_url_rule("/me", "me", lambda: str(id(erlen.current_app._get_current_object())))  # type: ignore[attr-defined]
    for _ in range(2):
        assert call(app, "/me") == ("200 OK", str(id(app)).encode())
    twin = copy.copy(app)
    assert call(twin, "/me") == ("200 OK", str(id(twin)).encode())
    assert call(app, "/me") == ("200 OK", str(id(app)).encode())


def test_a_view_that_returns_nothing_is_named_only_within_a_request(app: erlen.Erlen) -> None:
    with pytest.raises(RuntimeError, match="outside of request context"):
        app.make_response(None)  # type: ignore[arg-type]

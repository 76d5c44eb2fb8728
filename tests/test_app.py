"""The application object: what it is made of, and what may be done to it."""

from __future__ import annotations

import gc
import threading
import typing as t
import weakref
from pathlib import Path

import pytest
from werkzeug.routing import Map, Rule
from werkzeug.test import Client, create_environ

import erlen
from erlen import Erlen, Flask
from erlen.errors import SetupError
from erlen.sessions import SecureCookieSessionInterface


def test_flask_is_another_name_of_the_class() -> None:
    assert Flask is Erlen
    assert erlen.app.Flask is Erlen


def test_the_url_map_is_werkzeugs(app: Erlen) -> None:
    assert isinstance(app.url_map, Map)
    app.add_url_rule("/x", "x", lambda: "")
    assert all(isinstance(rule, Rule) for rule in app.url_map.iter_rules())
    assert str(next(app.url_map.iter_rules("x"))) == "/x"


def test_an_application_is_freed_when_nobody_holds_it() -> None:
    app = Erlen("freed")
    app.add_url_rule("/", "view", lambda: "view")
    app.test_client().get("/")
    reference = weakref.ref(app)
    del app
    gc.collect()
    assert reference() is None


def test_a_second_view_for_an_endpoint_is_refused_with_both_places(app: Erlen) -> None:
    def first() -> str:
        return "first"

    def second() -> str:
        return "second"

    app.add_url_rule("/a", "same", first)
    with pytest.raises(
        AssertionError, match="overwriting an existing endpoint function: same"
    ) as e:
        app.add_url_rule("/b", "same", second)
    assert isinstance(e.value, SetupError)
    for function in (first, second):
        assert f"{__file__}:{function.__code__.co_firstlineno}" in str(e.value)


def test_the_same_view_may_be_registered_again(app: Erlen) -> None:
    def view() -> str:
        return "view"

    app.add_url_rule("/a", view_func=view)
    app.add_url_rule("/b", view_func=view)
    client = app.test_client()
    assert client.get("/a").data == client.get("/b").data == b"view"


def test_prepare_compiles_before_the_first_request_and_leaves_setup_open(app: Erlen) -> None:
    app.add_url_rule("/a", "a", lambda: "a")
    app.prepare()
    assert app._program is not None
    app.add_url_rule("/b", "b", lambda: "b")
    assert app._program is None
    assert app.test_client().get("/b").data == b"b"
    with pytest.raises(AssertionError, match="can no longer be called"):
        app.add_url_rule("/c", "c", lambda: "c")


def test_prepare_tells_of_faults_at_start(app: Erlen) -> None:
    app.add_url_rule("/a", "a", lambda: "a")
    app.before_request_funcs[None] = t.cast("t.Any", 5)
    with pytest.raises(TypeError):
        app.prepare()


def test_wsgi_app_may_be_wrapped_at_any_time(app: Erlen) -> None:
    app.add_url_rule("/", "view", lambda: "view")
    client = app.test_client()
    assert client.get("/").data == b"view"

    def wrap(inner: t.Any) -> t.Any:
        def middleware(environ: t.Any, start_response: t.Any) -> t.Any:
            return [b"<", *inner(environ, start_response), b">"]

        return middleware

    app.wsgi_app = wrap(app.wsgi_app)  # type: ignore[method-assign]
    app.wsgi_app = wrap(app.wsgi_app)  # type: ignore[method-assign]
    assert client.get("/").get_data().startswith(b"<<")


def test_the_call_may_be_patched_on_the_class(app: Erlen, monkeypatch: pytest.MonkeyPatch) -> None:
    app.add_url_rule("/", "view", lambda: "view")
    original, calls = Erlen.__call__, []

    def patched(self: t.Any, environ: t.Any, start_response: t.Any) -> t.Any:
        calls.append(environ["PATH_INFO"])
        return original(self, environ, start_response)

    monkeypatch.setattr(Erlen, "__call__", patched)
    for _ in range(3):
        assert Client(app).get("/").data == b"view"
    assert calls == ["/"] * 3


def test_a_subclass_can_stand_in_for_the_class(app: Erlen) -> None:
    class Instrumented(Erlen):
        def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
            super().__init__(*args, **kwargs)
            self.before_request(self.note)
            self.noted = 0

        def note(self) -> None:
            self.noted += 1

    made = Instrumented("instrumented")
    made.add_url_rule("/", "view", lambda: "view")
    for _ in range(3):
        made.test_client().get("/")
    assert made.noted == 3


def test_slots_for_extensions_are_free(app: Erlen) -> None:
    app.extensions["x"] = {"state": 1}
    app.own_attribute = 5  # type: ignore[attr-defined]
    assert app.own_attribute == 5  # type: ignore[attr-defined]
    del app.own_attribute  # type: ignore[attr-defined]
    assert not hasattr(app, "own_attribute")


def test_an_application_may_be_a_key_and_be_referenced_weakly(app: Erlen) -> None:
    assert {app: 1}[app] == 1
    assert weakref.ref(app)() is app


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("SECRET_KEY", "other", "signed"),
        ("SESSION_COOKIE_NAME", "own", "own="),
        ("SESSION_COOKIE_SAMESITE", "Lax", "SameSite=Lax"),
        ("SESSION_COOKIE_SECURE", True, "Secure"),
        ("SESSION_COOKIE_PATH", "/p", "Path=/p"),
    ],
)
def test_the_configuration_counts_from_the_next_request_on(
    app: Erlen, key: str, value: t.Any, expected: str
) -> None:
    @app.route("/")
    def view() -> str:
        erlen.session["x"] = 1
        return "view"

    client = app.test_client(use_cookies=False)
    before = [client.get("/").headers["Set-Cookie"] for _ in range(3)][-1]
    app.config[key] = value
    after = client.get("/").headers["Set-Cookie"]
    assert after != before
    assert expected in after or expected == "signed"


def test_each_application_has_its_own_registries() -> None:
    one, two = Erlen("one"), Erlen("two")
    one.before_request(lambda: None)
    one.add_url_rule("/", "view", lambda: "one")
    assert not two.before_request_funcs
    assert two.view_functions.keys() <= {"static"}
    assert two.test_client().get("/").status_code == 404


def test_an_application_given_as_wsgi_callable_within_another(app: Erlen) -> None:
    inner = Erlen("inner")
    inner.add_url_rule("/", "view", lambda: erlen.url_for("view"))
    app.add_url_rule("/", "outer", lambda: inner)
    app.add_url_rule("/nested", "nested", lambda: inner.test_client().get("/").data)
    client = app.test_client()
    for _ in range(3):
        assert client.get("/").data == b"/"
        assert client.get("/nested").data == b"/"


def test_requests_of_many_threads_keep_to_themselves(app: Erlen) -> None:
    barrier = threading.Barrier(8)
    answers: dict[int, list[str]] = {}

    @app.before_request
    def remember() -> None:
        erlen.g.number = erlen.request.args["n"]

    @app.route("/<int:n>")
    def view(n: int) -> str:
        return f"{n} {erlen.g.number} {erlen.request.path}"

    def ask(number: int) -> None:
        barrier.wait(10)
        client = app.test_client()
        answers[number] = [client.get(f"/{number}?n={number}").text for _ in range(20)]

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert answers == {n: [f"{n} {n} /{n}"] * 20 for n in range(8)}


def test_hooks_registered_while_others_serve_reach_the_next_request(app: Erlen) -> None:
    app.add_url_rule("/", "view", lambda: "view")
    client, ran = app.test_client(), []
    client.get("/")
    threads = [
        threading.Thread(
            target=lambda n=n: app.before_request_funcs[None].append(lambda: ran.append(n))
        )
        for n in range(20)
    ]
    for thread in threads:
        thread.start()
        client.get("/")
    for thread in threads:
        thread.join(10)
    del ran[:]
    client.get("/")
    assert sorted(ran) == list(range(20))


def test_static_files_follow_the_folder_that_is_set_later(app: Erlen, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    assert app.test_client().get("/static/a.txt").status_code == 404
    app.static_folder = str(tmp_path)
    with app.test_client().get("/static/a.txt") as answer:
        assert answer.data == b"a"


@pytest.mark.parametrize("lazily", [True, False], ids=["the default interface", "a subclass"])
def test_the_session_is_opened_lazily_by_the_default_interface_only(
    app: Erlen, lazily: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    class Interface(SecureCookieSessionInterface):
        def open_session(self, app: t.Any, request: t.Any) -> t.Any:
            opened.append(request.path)
            return super().open_session(app, request)

    if not lazily:
        app.session_interface = Interface()
    app.add_url_rule("/", "view", lambda: "view")
    for _ in range(3):
        app.test_client().get("/")
    assert opened == ([] if lazily else ["/"] * 3)


def test_the_debug_setter_reaches_the_template_environment(app: Erlen) -> None:
    assert app.jinja_env.auto_reload is False
    app.debug = True
    assert app.jinja_env.auto_reload is True
    assert app.config["DEBUG"] is True


def test_a_mounted_application_builds_urls_below_its_mount(app: Erlen) -> None:
    app.add_url_rule("/x", "view", lambda: erlen.url_for("view", a=1))
    environ = create_environ("/x", "http://h.test/mount")
    for _ in range(3):
        assert b"".join(app(dict(environ), lambda *args: None)) == b"/mount/x?a=1"


HEAVY = (
    *("asyncio", "click", "greenlet", "itsdangerous", "jinja2", "orjson", "pydantic"),
    *("email._parseaddr", "http.client", "socket", "ssl", "werkzeug.routing", "werkzeug.serving"),
)


def test_importing_the_package_leaves_out_what_it_can_do_without(
    run_python: t.Callable[..., t.Any],
) -> None:
    done = run_python(f"import erlen, sys; print(sorted({{*{HEAVY!r}}} & {{*sys.modules}}))")
    assert done.stdout == "[]\n", done.stderr


def test_modules_that_the_import_left_out_are_those_that_a_plain_import_gives(
    run_python: t.Callable[..., t.Any],
) -> None:
    listing = "print([sorted(set(vars(m)) - {'__warningregistry__'}) for m in (a, b, c)])"
    names = "email.utils as a, urllib.request as b, werkzeug as c, werkzeug.local"
    used = "a.formatdate(0), b.parse_http_list(''), c.Request; b.urlopen"
    plain = run_python(f"import {names}; {used}; {listing}")
    late = run_python(f"import erlen, {names}; {used}; {listing}")
    assert late.stdout == plain.stdout, late.stderr

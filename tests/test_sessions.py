"""Sessions: Flask's cookies and headers for every use in a view, and what may be overridden."""

from __future__ import annotations

import datetime
import hashlib
import inspect
import json
import time
import types
import typing as t
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request, Response

import erlen
from erlen import sessions
from erlen.sessions import NullSession, SecureCookieSession, SecureCookieSessionInterface

flask = pytest.importorskip("flask", reason="the real Flask is the oracle")

NOW = 1_700_000_000.25
FRAMEWORKS = (erlen, flask)


class FrozenDateTime(datetime.datetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
        return datetime.datetime.fromtimestamp(NOW, tz)


@pytest.fixture
def frozen_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: NOW)
    for module in (sessions, flask.sessions):
        monkeypatch.setattr(module, "datetime", FrozenDateTime)


# -- every form of access, beside Flask ---------------------------------------------------------

Use = t.Callable[[t.Any], t.Any]


def use_in_two_ways(session: t.Any) -> str:
    session["a"] = session.get("a", 0)
    return str("a" in session)


USES: dict[str, Use] = {
    "nothing": lambda s: None,
    "get": lambda s: s.get("n"),
    "getitem": lambda s: s["n"],
    "in": lambda s: "n" in s,
    "len": len,
    "bool": bool,
    "iterate": list,
    "items": lambda s: list(s.items()),
    "equal": lambda s: s == {"n": 1},
    "repr": repr,
    "dict": dict,
    "setitem": lambda s: s.__setitem__("x", (1, b"\xff", Markup("<b>"))),
    "delitem": lambda s: s.__delitem__("n"),
    "setdefault": lambda s: s.setdefault("n", 2),
    "pop": lambda s: s.pop("n", None),
    "popitem": lambda s: s.popitem(),
    "clear": lambda s: s.clear(),
    "update": lambda s: s.update(z=1, a="é"),
    "read permanent": lambda s: s.permanent,
    "make permanent": lambda s: setattr(s, "permanent", True),
    "make temporary": lambda s: setattr(s, "permanent", False),
    "mark modified": lambda s: setattr(s, "modified", True),
    "unmark modified": lambda s: (s.clear(), setattr(s, "modified", False)),
    "read flags": lambda s: (s.new, s.modified, s.accessed),
    "two ways": use_in_two_ways,
    "long": lambda s: s.update(text="abc" * 100),
}

CONFIGS: dict[str, dict[str, t.Any]] = {
    "default": {},
    "all settings": {
        "SESSION_COOKIE_NAME": "sid",
        "SESSION_COOKIE_DOMAIN": ".example.com",
        "SESSION_COOKIE_PATH": "/app",
        "SESSION_COOKIE_HTTPONLY": False,
        "SESSION_COOKIE_SECURE": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_PARTITIONED": True,
        "PERMANENT_SESSION_LIFETIME": 60,
    },
    "under a root": {"APPLICATION_ROOT": "/base", "SESSION_COOKIE_SAMESITE": "Strict"},
    "no refresh": {"SESSION_REFRESH_EACH_REQUEST": False},
    "fallback keys": {"SECRET_KEY_FALLBACKS": ["older", "old"]},
    "no secret key": {"SECRET_KEY": None},
    "non-ASCII name": {"SESSION_COOKIE_NAME": "sésame"},
    "bytes key": {"SECRET_KEY": b"\xff"},
}


def signed(contents: t.Any, secret: t.Any, age: float = 0) -> str:
    """A cookie as Flask writes it."""
    app = flask.Flask("signer")
    app.secret_key = secret
    with app.app_context(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: NOW - age)
        serializer = app.session_interface.get_signing_serializer(app)
        return t.cast("str", serializer.dumps(contents))


def cookie_values(secret: t.Any) -> dict[str, str | None]:
    plain, permanent = {"n": 1}, {"n": (1,), "_permanent": True}
    return {
        "no cookie": None,
        "plain": signed(plain, secret),
        "permanent": signed(permanent, secret),
        "emptied": signed({}, secret),
        "compressed": signed({"n": "x" * 300, "_permanent": True}, secret),
        "expired": signed(permanent, secret, age=32 * 86400),
        "from the future": signed(permanent, secret, age=-100),
        "of an older key": signed(permanent, "older"),
        "of another key": signed(permanent, "stranger"),
        "cut": signed(permanent, secret)[:-1],
        "without a stamp": signed(permanent, secret).partition(".")[0],
        "changed": "X" + signed(permanent, secret),
        "garbage": "....",
        "empty": "",
    }


def answers(
    use: Use, config: dict[str, t.Any], cookies: dict[str, str | None]
) -> t.Iterator[t.Any]:
    """Status, headers and body of the same view on each framework, for each cookie."""

    def build(framework: types.ModuleType) -> t.Any:
        app = framework.Flask("test_sessions", root_path="/")
        app.config.update({"SECRET_KEY": "key", **config})

        @app.get("/")
        def view() -> str:
            if use is USES["nothing"]:
                return "nothing"
            try:
                return repr(use(framework.session))
            except (KeyError, RuntimeError) as error:
                return repr(error)

        return app

    name = config.get("SESSION_COOKIE_NAME", "session").encode().decode("latin-1")
    apps = [build(framework) for framework in FRAMEWORKS]
    for kind, value in cookies.items():
        environ = EnvironBuilder().get_environ()
        if value is not None:
            environ["HTTP_COOKIE"] = f"first=1; {name}={value}; last=2"
        yield kind, [Response.from_app(app, dict(environ)) for app in apps]


@pytest.mark.parametrize("use", USES.values(), ids=USES.keys())
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_cookies_and_headers_are_flask_s(
    use: Use, config: dict[str, t.Any], frozen_time: None
) -> None:
    cookies = cookie_values(config.get("SECRET_KEY") or "key")
    for kind, (ours, theirs) in answers(use, config, cookies):
        assert ours.data == theirs.data, kind
        assert list(ours.headers) == list(theirs.headers), kind
        assert ours.status == theirs.status, kind


@pytest.mark.parametrize("name", [name for name in USES if name != "nothing"])
def test_each_access_makes_the_response_vary_by_cookie(name: str) -> None:
    cookies = {kind: value for kind, value in cookie_values("key").items() if kind != "garbage"}
    for kind, (ours, _) in answers(USES[name], {}, cookies):
        assert ours.headers.getlist("Vary") == ["Cookie"], kind


def test_a_refresh_without_access_makes_the_response_vary_by_cookie(frozen_time: None) -> None:
    cookie = {"permanent": cookie_values("key")["permanent"]}
    ((_, (ours, _)),) = answers(USES["nothing"], {}, cookie)
    assert ours.headers["Vary"] == "Cookie"
    assert "Expires=" in ours.headers["Set-Cookie"]


@pytest.mark.parametrize(
    "present",
    [None, "Cookie", "cookie", "Accept, Accept-Encoding", "*", "Accept, Cookie"],
)
def test_cookie_is_added_to_the_header_that_the_view_set(present: str | None) -> None:
    found = []
    for framework in FRAMEWORKS:
        app = framework.Flask("test_sessions")
        app.secret_key = "key"

        def view(framework: types.ModuleType = framework) -> t.Any:
            framework.session["a"] = 1
            return "", {"Vary": present} if present else {}

        app.add_url_rule("/", view_func=view)
        found.append(app.test_client().get("/").headers.getlist("Vary"))
    assert found[0] == found[1]


def test_an_invalid_samesite_is_an_error(framework: types.ModuleType) -> None:
    app = framework.Flask("test_sessions")
    app.config.update(SECRET_KEY="key", SESSION_COOKIE_SAMESITE="wrong", TESTING=True)
    app.add_url_rule("/", view_func=lambda: str(framework.session.update(a=1)))
    with pytest.raises(ValueError, match="SameSite must be"):
        app.test_client().get("/")


def test_a_cookie_too_large_is_warned_of(framework: types.ModuleType) -> None:
    app = framework.Flask("test_sessions")
    app.config.update(SECRET_KEY="key", MAX_COOKIE_SIZE=50)
    app.add_url_rule("/", view_func=lambda: str(framework.session.update(a=1)))
    with pytest.warns(UserWarning, match="The 'session' cookie is too large"):
        app.test_client().get("/")


def test_keys_rotate_without_losing_sessions(app: t.Any, client: t.Any) -> None:
    app.add_url_rule("/set", "set", view_func=lambda: str(erlen.session.update(a=1)))
    app.add_url_rule("/get", "get", view_func=lambda: dict(erlen.session))
    app.secret_key, app.config["SECRET_KEY_FALLBACKS"] = "0 key", ["-1 key", "-2 key"]
    client.get("/set")
    assert client.get("/get").json == {"a": 1}
    app.secret_key = "? key"
    assert client.get("/get").json == {}
    app.secret_key, app.config["SECRET_KEY_FALLBACKS"] = "+1 key", ["0 key"]
    assert client.get("/get").json == {"a": 1}
    app.config["SECRET_KEY_FALLBACKS"] = None
    assert client.get("/get").json == {}


def test_a_session_changed_after_the_view_is_saved(app: t.Any, client: t.Any) -> None:
    @app.after_request
    def change(response: t.Any) -> t.Any:
        erlen.session["late"] = 42
        return response

    app.add_url_rule("/", view_func=lambda: repr(erlen.session.get("late")))
    assert client.get("/").text == "None"
    assert client.get("/").text == "42"


def test_a_session_without_a_secret_key_reads_as_empty_and_refuses_changes(app: t.Any) -> None:
    app.secret_key = None
    with app.test_request_context():
        assert erlen.session.get("missing") is None
        for change in (
            lambda: erlen.session.__setitem__("a", 1),
            lambda: erlen.session.pop("a"),
            lambda: erlen.session.clear(),
            lambda: erlen.session.update(a=1),
        ):
            with pytest.raises(RuntimeError, match="session is unavailable"):
                change()


# -- the text of cookies ------------------------------------------------------------------------

keys = st.text(max_size=5) | st.sampled_from([" t", "_permanent", "user_id", "csrf_token"])
leaves = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.uuids()
)
values = st.recursive(
    leaves | st.text().map(lambda text: text * 9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=6,
)


class Unchanged:
    pass


class Changed:
    """Overrides of the built-in interface; mixed with each framework's."""

    salt = "another salt"
    key_derivation = "django-concat"
    digest_method = staticmethod(hashlib.sha256)


class OwnDigest:
    def digest_method(self, text: bytes = b"") -> t.Any:
        return hashlib.sha512(text)


class PlainJSON:
    serializer = json


@pytest.mark.parametrize("changes", [Unchanged, Changed, OwnDigest, PlainJSON])
@given(contents=st.dictionaries(keys, values, max_size=4))
def test_cookies_are_byte_for_byte_flask_s_and_read_by_both(
    changes: type, contents: dict[str, t.Any]
) -> None:
    texts, serializers, contexts = [], [], []
    if changes is PlainJSON:
        contents = {key: repr(value) for key, value in contents.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: NOW)
        for framework in FRAMEWORKS:
            app = framework.Flask("test_sessions")
            app.secret_key = "key"
            kind = framework.sessions.SecureCookieSessionInterface
            interface = type("Mine", (changes, kind), {})()
            public = interface.get_signing_serializer(app)
            used = interface._signing(app) if framework is erlen else public
            with app.app_context():
                texts += [used.dumps(contents), public.dumps(contents)]
            serializers.append(used)
            contexts.append(app.app_context)
        assert len(set(texts)) == 1
        for serializer, context in zip(serializers, contexts, strict=True):
            with context():
                assert repr(serializer.loads(texts[0], max_age=5)) == repr(
                    serializers[1].loads(texts[0])
                )


@given(st.binary(max_size=140) | st.text('ab{}:,"1', max_size=200).map(str.encode))
def test_text_that_is_not_compressed_could_not_have_become_shorter(text: bytes) -> None:
    from erlen.signing import _can_shrink

    if not _can_shrink(text):
        assert len(zlib.compress(text)) >= len(text) - 1


def test_usual_contents_are_not_tried_to_compress() -> None:
    from erlen.signing import _can_shrink

    assert not _can_shrink(b'{"_permanent":true,"user_id":17}')
    assert _can_shrink(b'{"text":"' + b"ab" * 40 + b'"}')


def test_the_long_ways_of_signing_stay_open() -> None:
    from itsdangerous import BadPayload, BadSignature, SignatureExpired

    from erlen.signing import cookie_serializer

    signing = cookie_serializer(("key",), "salt", json, "hmac", hashlib.sha1)
    assert isinstance(signing, sessions.URLSafeTimedSerializer)
    assert signing.loads(signing.dumps([1], salt="x"), salt="x") == [1]
    value, made = signing.loads(signing.dumps([1]).encode(), return_timestamp=True)
    assert (value, made.tzinfo) == ([1], datetime.timezone.utc)
    with pytest.raises(BadSignature):
        signing.loads(signing.dumps([1], salt="x"))
    with pytest.raises(SignatureExpired):
        signing.loads(signing.dumps([1]), max_age=-1)
    bad = signing.make_signer().sign("YWJj").decode()
    with pytest.raises(BadPayload):
        signing.loads(bad, max_age=5)
    undated = super(type(signing.make_signer()), signing.make_signer()).sign("YWJj.A").decode()
    with pytest.raises(BadSignature, match="Malformed timestamp"):
        signing.loads(undated, max_age=5)


def test_a_signed_cookie_that_is_not_json_is_an_error_as_in_flask() -> None:
    found = []
    for framework in FRAMEWORKS:
        app = framework.Flask("test_sessions")
        app.secret_key = "key"
        app.add_url_rule("/", view_func=lambda f=framework: str(f.session))
        signer = app.session_interface.get_signing_serializer(app).make_signer()
        text = signer.sign("YWJj").decode()
        client = app.test_client()
        client.set_cookie("session", text)
        found.append(client.get("/").status_code)
    assert found == [500, 500]


# -- the interface ------------------------------------------------------------------------------


def test_overrides_of_a_subclass_win(app: t.Any, client: t.Any) -> None:
    class Session(SecureCookieSession):
        pass

    class Mine(SecureCookieSessionInterface):
        session_class = Session

        def get_cookie_name(self, app: t.Any) -> str:
            return str(erlen.request.args["name"])

        def get_cookie_path(self, app: t.Any) -> str:
            return "/path"

        def get_expiration_time(self, app: t.Any, session: t.Any) -> t.Any:
            return datetime.datetime(2040, 1, 1)

        def should_set_cookie(self, app: t.Any, session: t.Any) -> bool:
            return True

        def get_signing_serializer(self, app: t.Any) -> t.Any:
            return types.SimpleNamespace(
                dumps=lambda contents: "own", loads=lambda text, max_age: {"read": text}
            )

    app.session_interface = Mine()
    app.add_url_rule("/", view_func=lambda: repr(erlen.session))
    client.set_cookie("abc", "x")
    response = client.get("/?name=abc")
    assert response.text == "<Session {'read': 'x'}>"
    cookie = response.headers["Set-Cookie"]
    assert cookie.startswith("abc=own; Expires=Sun, 01 Jan 2040")
    assert cookie.endswith("Path=/path")


def test_a_signing_serializer_replaced_on_the_instance_is_used(app: t.Any) -> None:
    interface = app.session_interface = SecureCookieSessionInterface()
    interface.get_signing_serializer = lambda app: None
    with app.test_request_context():
        assert isinstance(erlen.session._get_current_object(), NullSession)


def test_the_signing_serializer_given_out_can_be_changed_without_effect_on_others(
    app: t.Any,
) -> None:
    interface = app.session_interface
    first = interface.get_signing_serializer(app)
    first.secret_keys.clear()
    assert interface.get_signing_serializer(app).secret_keys == [b"test key"]
    assert interface._signing(app) is interface._signing(app)


def test_settings_that_cannot_be_hashed_work(app: t.Any, client: t.Any) -> None:
    class Unhashable(sessions.TaggedJSONSerializer):
        __hash__ = None  # type: ignore[assignment]

        def __eq__(self, other: object) -> bool:
            return self is other

    app.session_interface = SecureCookieSessionInterface()
    app.session_interface.serializer = Unhashable()
    app.add_url_rule("/set", "set", view_func=lambda: str(erlen.session.update(a=(1,))))
    app.add_url_rule("/get", "get", view_func=lambda: repr(erlen.session["a"]))
    client.get("/set")
    assert client.get("/get").text == "(1,)"


def test_an_interface_of_one_s_own_is_asked_at_once_and_its_result_saved(
    framework: types.ModuleType,
) -> None:
    log: list[str] = []

    class Store(dict[str, t.Any], framework.sessions.SessionMixin):  # type: ignore[name-defined]
        pass

    class Mine(framework.sessions.SessionInterface):  # type: ignore[name-defined]
        def open_session(self, app: t.Any, request: t.Any) -> t.Any:
            log.append("open")
            return None if request.args else Store()

        def save_session(self, app: t.Any, session: t.Any, response: t.Any) -> None:
            log.append(f"save {session.accessed}")

    app = framework.Flask("test_sessions")
    app.session_interface = Mine()
    app.add_url_rule("/", view_func=lambda: log.append("view") or "")
    app.test_client().get("/")
    app.test_client().get("/?null=1")
    assert log == ["open", "view", "save False", "open", "view"]


def test_the_base_interface_leaves_opening_and_saving_open(app: t.Any) -> None:
    base = sessions.SessionInterface()
    for call in (lambda: base.open_session(app, None), lambda: base.save_session(app, {}, None)):
        with pytest.raises(NotImplementedError):
            call()
    assert base.is_null_session(base.make_null_session(app))
    assert not base.is_null_session({})
    assert not base.pickle_based


OPERATIONS: dict[str, Use] = {
    **USES,
    "pop nothing": lambda s: s.pop("zz", None),
    "copy": lambda s: type(s.copy()).__name__,
    "or": lambda s: s | {"a": 1},
    "update in place": lambda s: s.__ior__({"a": 1}),
    "reversed": lambda s: list(reversed(s)),
}


@pytest.mark.parametrize("kind", ["SecureCookieSession", "NullSession"])
@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_a_session_object_notes_changes_as_flask_s(kind: str, operation: Use) -> None:
    def run(session: t.Any) -> t.Any:
        try:
            result = repr(operation(session))
        except (KeyError, RuntimeError) as error:
            result = repr(error)
        return result, dict(session), session.accessed, session.modified, session.new

    assert run(getattr(sessions, kind)({"n": 1})) == run(getattr(flask.sessions, kind)({"n": 1}))


# -- what is saved when nobody looked -----------------------------------------------------------

headers = st.none() | st.lists(
    st.sampled_from(["session", "a", "ses", "=", "; ", ";", " ", '"', "é", "x1.y", "sessions"]),
    max_size=8,
).map("".join)


@given(headers)
def test_the_cookie_is_found_where_werkzeug_finds_it(header: str | None) -> None:
    environ = EnvironBuilder().get_environ()
    if header is not None:
        environ["HTTP_COOKIE"] = header.encode().decode("latin-1")
    for kind in (Request, erlen.Request):
        for name in ("session", "a", "", "é"):
            assert sessions._cookie(kind(environ), name) == kind(environ).cookies.get(name)


def test_cookies_that_a_request_class_makes_are_used() -> None:
    class Mine(erlen.Request):
        cookies = {"session": "own"}  # type: ignore[assignment]

    assert sessions._cookie(Mine(EnvironBuilder().get_environ()), "session") == "own"


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_a_session_that_may_be_skipped_leaves_no_trace(
    config: dict[str, t.Any], frozen_time: None
) -> None:
    app = erlen.Erlen("test_sessions")
    app.config.update({"SECRET_KEY": "key", **config})
    interface = SecureCookieSessionInterface()
    name = app.config["SESSION_COOKIE_NAME"].encode().decode("latin-1")
    skipped = 0
    for value in (None, *cookie_values(config.get("SECRET_KEY") or "key").values()):
        environ = EnvironBuilder().get_environ()
        if value is not None:
            environ["HTTP_COOKIE"] = f"{name}={value}"
        response = app.response_class()
        before = list(response.headers)
        with app.request_context(environ):
            session = interface.open_session(app, erlen.request)
            if session is not None:
                interface.save_session(app, session, response)
        if interface._may_skip(app, environ):
            skipped += 1
            assert list(response.headers) == before
    assert skipped


@pytest.mark.parametrize(
    ("cookies", "expected"),
    [(None, True), ("", True), ("other=1", True), ("session=x", False), ("a=session", False)],
)
def test_a_session_without_its_cookie_may_be_skipped(
    app: t.Any, cookies: str | None, expected: bool
) -> None:
    environ = {} if cookies is None else {"HTTP_COOKIE": cookies}
    assert SecureCookieSessionInterface()._may_skip(app, environ) is expected


def test_a_session_of_an_interface_of_one_s_own_is_never_skipped(app: t.Any) -> None:
    class Mine(SecureCookieSessionInterface):
        pass

    changed = SecureCookieSessionInterface()
    changed.salt = "x"
    assert not Mine()._may_skip(app, {})
    assert not changed._may_skip(app, {})


# -- names --------------------------------------------------------------------------------------


def public(module: types.ModuleType) -> dict[str, t.Any]:
    return {
        name: value
        for name, value in vars(module).items()
        if getattr(value, "__module__", None) == module.__name__
    }


@pytest.mark.parametrize("path", ["sessions", "json", "json.provider", "json.tag"])
def test_names_and_signatures_are_flask_s(path: str) -> None:
    import importlib

    def parameters(value: t.Any) -> t.Any:
        return [
            (p.name, p.kind, p.default)
            for p in inspect.signature(value).parameters.values()
            if p.default is inspect.Parameter.empty or not callable(p.default)
        ]

    ours = importlib.import_module(f"erlen.{path}")
    for name, theirs in public(importlib.import_module(f"flask.{path}")).items():
        own = getattr(ours, name)
        if inspect.isfunction(theirs):
            assert parameters(own) == parameters(theirs), name
        if not inspect.isclass(theirs):
            continue
        for member, value in vars(theirs).items():
            if inspect.isfunction(value):
                assert parameters(getattr(own, member)) == parameters(value), (name, member)
            elif not member.startswith("_"):
                assert hasattr(own, member), (name, member)
        assert [c.__name__ for c in own.__mro__] == [c.__name__ for c in theirs.__mro__]


def test_itsdangerous_is_imported_when_a_session_is_used(
    run_python: t.Callable[..., t.Any],
) -> None:
    done = run_python(
        "import sys, erlen.sessions as s; print('itsdangerous' in sys.modules)\n"
        "from erlen.sessions import BadSignature, URLSafeTimedSerializer\n"
        "print('itsdangerous' in sys.modules, hasattr(s, 'nothing'))"
    )
    assert done.stdout.splitlines() == ["False", "True False"], done.stderr

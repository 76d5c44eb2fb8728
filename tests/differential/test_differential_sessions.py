"""Sessions of every kind, and flashed messages, are kept and marked as in Flask."""

from __future__ import annotations

import typing as t
from datetime import timedelta

from werkzeug.datastructures import CallbackDict

from .harness import Case, Cases, Framework, get

cases = Cases()
Log = list[t.Any]


SESSION_ACTIONS: dict[str, t.Callable[[t.Any], t.Any]] = {
    "nothing": lambda s: None,
    "get": lambda s: s.get("k"),
    "item": lambda s: s["k"] if "k" in s else None,
    "in": lambda s: "k" in s,
    "len": lambda s: len(s),
    "iter": lambda s: list(s),
    "bool": lambda s: bool(s),
    "repr": lambda s: repr(s),
    "keys": lambda s: list(s.keys()),
    "eq": lambda s: s == {},
    "set": lambda s: s.__setitem__("k", "v"),
    "set same": lambda s: s.__setitem__("k", "v"),
    "update": lambda s: s.update(a=(1, 2), b=b"\x00\xff", c="ü"),
    "setdefault": lambda s: s.setdefault("k", 1),
    "nested": lambda s: s.get("list", []).append(1),
    "pop": lambda s: s.pop("k", None),
    "delete": lambda s: s.__delitem__("missing"),
    "clear": lambda s: s.clear(),
    "new": lambda s: s.new,
    "modified": lambda s: s.modified,
    "accessed": lambda s: s.accessed,
    "permanent": lambda s: setattr(s, "permanent", True),
    "not permanent": lambda s: setattr(s, "permanent", False),
    "is permanent": lambda s: s.permanent,
    "set modified": lambda s: setattr(s, "modified", True),
    "big": lambda s: s.__setitem__("big", "x" * 5000),
    "type": lambda s: type(s._get_current_object()).__name__,
}
SESSION_CONFIGS: dict[str, dict[str, t.Any]] = {
    "plain": {},
    "without key": {"SECRET_KEY": None},
    "all options": {
        "SESSION_COOKIE_NAME": "own",
        "SESSION_COOKIE_DOMAIN": "localhost.test",
        "SESSION_COOKIE_PATH": "/sess",
        "SESSION_COOKIE_SECURE": True,
        "SESSION_COOKIE_HTTPONLY": False,
        "SESSION_COOKIE_SAMESITE": "Strict",
        "SESSION_COOKIE_PARTITIONED": True,
        "PERMANENT_SESSION_LIFETIME": 3600,
    },
    "without refresh": {"SESSION_REFRESH_EACH_REQUEST": False},
    "below a root": {"APPLICATION_ROOT": "/app", "SERVER_NAME": "main.test"},
    "bytes key": {"SECRET_KEY": b"bytes"},
    "empty key": {"SECRET_KEY": ""},
    "bad samesite": {"SESSION_COOKIE_SAMESITE": "wrong"},
}


def session_app(config: dict[str, t.Any]) -> t.Any:
    def build(fw: Framework, log: Log) -> t.Any:
        app = fw.app(config=config)
        app.log = log

        @app.route("/<path:actions>")
        def act(actions: str) -> t.Any:
            for action in actions.split("/"):
                log.append((action, SESSION_ACTIONS[action.replace("-", " ")](fw.session)))
            return "acted"

        @app.route("/")
        def untouched() -> str:
            return "untouched"

        return app

    return build


def slug(action: str) -> str:
    return "/" + action.replace(" ", "-")


for label, config in SESSION_CONFIGS.items():
    cases.append(
        Case(
            f"session {label}",
            session_app(config),
            (
                *(get(slug(action)) for action in SESSION_ACTIONS),
                get("/"),
                get("/set", cookies=True),
                *(get(slug(action), cookies=True) for action in SESSION_ACTIONS),
                get("/set", cookies=True),
                get("/", cookies=True),
                get("/permanent/set", cookies=True),
                get("/", cookies=True),
                get("/no/such", cookies=True),
                get("/clear", cookies=True),
                get("/", cookies=True),
                get("/get", environ={"HTTP_COOKIE": "session=garbage"}),
                get("/", environ={"HTTP_COOKIE": "session=garbage.x.y; other=1"}),
                get("/", environ={"HTTP_COOKIE": "other=1"}),
                get("/", environ={"HTTP_COOKIE": ""}),
                get("/len", environ={"HTTP_COOKIE": "own=1;session="}),
            ),
            True,
            True,
        )
    )


@cases.case(
    get("/set", cookies=True),
    get("/in", cookies=True),
    lambda app: app.config.update(SECRET_KEY="new"),
    get("/get", cookies=True),
    lambda app: app.config.update(SECRET_KEY_FALLBACKS=["older", "key"]),
    get("/get", cookies=True),
    lambda app: setattr(app, "secret_key", "newer"),
    get("/get", cookies=True),
    get("/", cookies=True),
    get("/permanent", cookies=True),
    lambda app: setattr(app, "permanent_session_lifetime", timedelta(seconds=-1)),
    get("/get", cookies=True),
    lambda app: app.config.update(SESSION_COOKIE_NAME="other"),
    get("/set", cookies=True),
    get("/get", cookies=True),
    lambda app: setattr(app, "secret_key", None),
    get("/get", cookies=True),
    get("/set", cookies=True),
    fails=True,
)
def session_settings_changed_between_requests(fw: Framework, log: Log) -> t.Any:
    return session_app({"SECRET_KEY": "key"})(fw, log)


@cases.case(
    get("/set", cookies=True),
    get("/get", cookies=True),
    get("/", cookies=True),
    get("/in"),
    lambda app: app.config.update(NULL=True),
    get("/get"),
    get("/set"),
    signals=True,
    fails=True,
)
def custom_session_interfaces(fw: Framework, log: Log) -> t.Any:
    sessions = fw.sub("sessions")
    stored: dict[str, t.Any] = {}

    class Stored(CallbackDict, sessions.SessionMixin):  # type: ignore[misc, name-defined, type-arg]
        pass

    class Interface(sessions.SessionInterface):  # type: ignore[misc, name-defined]
        def open_session(self, app: t.Any, request: t.Any) -> t.Any:
            log.append(("open", request.path, request.endpoint, fw.has_request_context()))
            log.append(fw.has_request_context() and fw.request.path)
            if app.config.get("NULL"):
                return None
            made = Stored(stored)
            made.modified = made.accessed = False
            return made

        def save_session(self, app: t.Any, session: t.Any, response: t.Any) -> None:
            log.append(("save", dict(session), response.status))
            stored.update(session)
            response.set_cookie("custom", "1")

    app = session_app({})(fw, log)
    app.session_interface = Interface()
    return app


@cases.case(
    get("/set", cookies=True),
    get("/get", cookies=True),
    get("/", cookies=True),
    get("/no/such"),
    signals=True,
    fails=True,
)
def subclasses_of_the_cookie_interface(fw: Framework, log: Log) -> t.Any:
    sessions = fw.sub("sessions")

    class Session(sessions.SecureCookieSession):  # type: ignore[misc, name-defined]
        def on_look(self) -> None:
            log.append("look")

    class Interface(sessions.SecureCookieSessionInterface):  # type: ignore[misc, name-defined]
        session_class = Session
        salt = "own salt"

        def get_cookie_name(self, app: t.Any) -> str:
            return "named"

        def open_session(self, app: t.Any, request: t.Any) -> t.Any:
            log.append("open")
            return super().open_session(app, request)

        def should_set_cookie(self, app: t.Any, session: t.Any) -> bool:
            log.append("should")
            return super().should_set_cookie(app, session)

    app = session_app({})(fw, log)
    app.session_interface = Interface()
    return app


@cases.case(
    get("/flash", cookies=True),
    get("/show", cookies=True),
    get("/show", cookies=True),
    get("/flash", cookies=True),
    get("/filtered", cookies=True),
    get("/both"),
    signals=True,
)
def flashed_messages(fw: Framework, log: Log) -> t.Any:
    app = fw.app()

    @app.route("/flash")
    def flash() -> str:
        fw.flash("one")
        fw.flash("two", "error")
        fw.flash("<b>three</b>", "info")
        return "flashed"

    @app.route("/show")
    def show() -> t.Any:
        first = fw.get_flashed_messages(with_categories=True)
        return {"first": first, "again": fw.get_flashed_messages()}

    @app.route("/filtered")
    def filtered() -> t.Any:
        return [
            fw.get_flashed_messages(category_filter=["error", "info"]),
            fw.get_flashed_messages(with_categories=True, category_filter=["message"]),
        ]

    @app.route("/both")
    def both() -> t.Any:
        fw.flash("x")
        return [fw.get_flashed_messages(), list(fw.session)]

    return app


@cases.parametrize()
def test_sessions_are_as_in_flask(case: Case) -> None:
    case.check()

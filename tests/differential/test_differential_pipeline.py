"""Hooks, errors and replaced stages do what they do in Flask, in the same order."""

from __future__ import annotations

import typing as t

from werkzeug.exceptions import BadRequest, Forbidden, HTTPException, InternalServerError, NotFound
from werkzeug.routing import RequestRedirect
from werkzeug.utils import redirect

from .harness import Case, Cases, Framework, call, get, post

cases = Cases()
Log = list[t.Any]


def hooked(fw: Framework, log: Log, owner: t.Any, name: str, on_app: bool = False) -> None:
    """Give a scaffold one hook of each kind that logs itself."""
    prefix = "app_" if on_app else ""
    before = owner.before_app_request if on_app else owner.before_request
    after = owner.after_app_request if on_app else owner.after_request
    teardown = owner.teardown_app_request if on_app else owner.teardown_request
    for number in (1, 2):
        tag = f"{prefix}{name}{number}"

        def run_before(tag: str = tag) -> t.Any:
            log.append(("before", tag, fw.request.endpoint))
            stop = fw.request.args.get("stop")
            if stop == tag:
                return f"stopped by {tag}"
            if fw.request.args.get("fail") == tag:
                raise KeyError(tag)
            return None

        def run_after(response: t.Any, tag: str = tag) -> t.Any:
            log.append(("after", tag, response.status_code))
            response.headers.add("X-After", tag)
            if fw.request.args.get("fail_after") == tag:
                raise LookupError(tag)
            return response

        def run_teardown(error: t.Any, tag: str = tag) -> None:
            log.append(("teardown", tag, repr(error), fw.request.path, fw.g.get("x")))
            if fw.request.args.get("fail_teardown") == tag:
                raise ArithmeticError(tag)

        before(run_before)
        after(run_after)
        teardown(run_teardown)


HOOK_PATHS = ("/", "/bp/", "/bp/in/", "/nothing", "/bp/nothing", "/boom", "/bp/in/boom", "/late")
QUERIES = (
    "",
    "?stop=app1",
    "?stop=app2",
    "?stop=bp1",
    "?stop=inner2",
    "?stop=app_bp1",
    "?fail=app2",
    "?fail=inner1",
    "?fail_after=app1",
    "?fail_after=inner2",
    "?fail_teardown=bp2",
    "?fail_teardown=app1",
)


def application_with_nested_blueprints(fw: Framework, log: Log) -> t.Any:
    app = fw.app()
    bp = fw.Blueprint("bp", __name__, url_prefix="/bp")
    inner = fw.Blueprint("inner", __name__, url_prefix="/in")
    hooked(fw, log, app, "app")
    hooked(fw, log, bp, "bp")
    hooked(fw, log, bp, "bp", on_app=True)
    hooked(fw, log, inner, "inner")

    def view() -> str:
        fw.g.x = 1
        log.append("view")
        return "view"

    def late() -> str:
        @fw.after_this_request
        def first(response: t.Any) -> t.Any:
            log.append("after this 1")
            response.headers["X-This"] = "1"
            return response

        @fw.after_this_request
        def second(response: t.Any) -> t.Any:
            log.append("after this 2")
            return fw.Response("another", 201)

        return "late"

    def boom() -> t.NoReturn:
        raise ZeroDivisionError("boom")

    for owner in (app, bp, inner):
        owner.add_url_rule("/", endpoint="view", view_func=view)
        owner.add_url_rule("/boom", endpoint="boom", view_func=boom)
    app.add_url_rule("/late", view_func=late)

    @app.teardown_appcontext
    def gone(error: t.Any) -> None:
        log.append(("teardown_appcontext", repr(error), fw.has_request_context(), fw.g.get("x")))

    @app.teardown_appcontext
    def gone_too(error: t.Any) -> None:
        log.append(("teardown_appcontext 2", fw.current_app.name))

    bp.register_blueprint(inner)
    app.register_blueprint(bp)
    return app


for with_signals in (True, False):
    cases.append(
        Case(
            f"order of hooks{' and signals' * with_signals}",
            application_with_nested_blueprints,
            tuple(get(path + query) for path in HOOK_PATHS for query in QUERIES),
            with_signals,
            True,
        )
    )


class Teapot(HTTPException):
    code = 418
    description = "short and stout"


class Odd(HTTPException):
    code = 499
    description = "odd"


class Codeless(HTTPException):
    pass


class SeeOther(HTTPException):
    """Answers by itself, and never calls the constructor that sets `response`."""

    code = 303

    def __init__(self) -> None:
        Exception.__init__(self, "elsewhere")

    def get_response(self, *args: t.Any, **options: t.Any) -> t.Any:
        return redirect("/elsewhere", 303)


class Custom(Exception):
    pass


class SubCustom(Custom):
    pass


RAISED: dict[str, t.Callable[[Framework], t.Any]] = {
    "custom": lambda fw: Custom("c"),
    "sub": lambda fw: SubCustom("s"),
    "value": lambda fw: ValueError("v"),
    "key": lambda fw: KeyError("k"),
    "teapot": lambda fw: Teapot(),
    "odd": lambda fw: Odd(),
    "codeless": lambda fw: Codeless("none"),
    "notfound": lambda fw: NotFound(),
    "forbidden": lambda fw: Forbidden("no"),
    "bad": lambda fw: BadRequest("bad"),
    "internal": lambda fw: InternalServerError(),
    "redirect": lambda fw: RequestRedirect("http://localhost/target"),
    "with_response": lambda fw: NotFound(response=fw.Response("own", 404)),
    "os": lambda fw: OSError("os"),
    "see_other": lambda fw: SeeOther(),
}


def views_that_raise(fw: Framework, app: t.Any, log: Log) -> None:
    def view(kind: str) -> t.Any:
        raise RAISED[kind](fw)

    def returned(kind: str) -> t.Any:
        return RAISED[kind](fw)

    app.add_url_rule("/raise/<kind>", endpoint="raise", view_func=view)
    app.add_url_rule("/return/<kind>", endpoint="return", view_func=returned)
    app.add_url_rule("/missing-arg", endpoint="arg", view_func=lambda: fw.request.args["nope"])
    app.add_url_rule(
        "/missing-form", endpoint="form", view_func=lambda: fw.request.form["f"], methods=["POST"]
    )
    for code in (400, 404, 418, 429, 500, 503):
        app.add_url_rule(
            f"/abort/{code}", endpoint=f"a{code}", view_func=lambda code=code: fw.abort(code)
        )
    app.add_url_rule("/abort/text", view_func=lambda: fw.abort(404, "my text"), endpoint="at")
    app.add_url_rule(
        "/abort/response", view_func=lambda: fw.abort(fw.Response("r", 402)), endpoint="ar"
    )
    app.add_url_rule("/abort/999", view_func=lambda: fw.abort(999), endpoint="a999")
    app.add_url_rule("/slash/", endpoint="slash", view_func=lambda: "s")


ERROR_PATHS = (
    *(get(f"/raise/{kind}") for kind in RAISED),
    *(get(f"/return/{kind}") for kind in RAISED),
    get("/missing-arg"),
    post("/missing-form", {"x": "1"}),
    post("/missing-form", "{}", content_type="application/json"),
    *(get(f"/abort/{what}") for what in (400, 404, 418, 429, 500, 503, "text", "response", 999)),
    get("/no/such/page"),
    post("/raise/value"),
    get("/slash"),
    post("/slash"),
)


def errors(name: str, *register: t.Any, config: dict[str, t.Any] | None = None) -> None:
    """A case: error handlers of each of the given classes and codes, on the application."""

    def build(fw: Framework, log: Log) -> t.Any:
        app = fw.app(config=config or {})
        app.config["PROPAGATE_EXCEPTIONS"] = (config or {}).get("PROPAGATE_EXCEPTIONS")
        hooked(fw, log, app, "app")
        views_that_raise(fw, app, log)
        for what in register:

            def handler(error: Exception, what: t.Any = what) -> t.Any:
                log.append(("handler", str(what), type(error).__name__, str(error)))
                original = getattr(error, "original_exception", None)
                return f"{what}: {error!r} {original!r}", 299

            app.register_error_handler(what, handler)
        return app

    cases.append(Case(f"errors {name}", build, ERROR_PATHS, True, True))


errors("without handlers")
errors("by codes", 404, 400, 418, 405, 500)
errors("by classes", Custom, ValueError, LookupError, Teapot, Odd)
errors("by class and code", NotFound, 404, BadRequest, 400, SubCustom)
errors("for all", Exception)
errors("for all of HTTP", HTTPException)
errors("for all of HTTP and others", HTTPException, Exception, 404)
errors("internal", InternalServerError)
errors("internal by code and all of HTTP", 500, HTTPException)
errors("without code", Codeless, Odd)
errors("propagated", Custom, config={"PROPAGATE_EXCEPTIONS": True})
errors("not propagated in tests", Custom, config={"PROPAGATE_EXCEPTIONS": False, "TESTING": True})
errors("in tests", Custom, 500, config={"TESTING": True})
errors("in debug mode", Custom, 404, config={"DEBUG": True})
errors("in debug mode with all", Exception, config={"DEBUG": True})
errors("HTTP trapped", NotFound, 400, Exception, config={"TRAP_HTTP_EXCEPTIONS": True})
errors("HTTP trapped, no handlers", config={"TRAP_HTTP_EXCEPTIONS": True})
errors("bad requests trapped", KeyError, 404, config={"TRAP_BAD_REQUEST_ERRORS": True})
errors("bad requests trapped, 400", 400, config={"TRAP_BAD_REQUEST_ERRORS": True})
errors("debug but not trapped", config={"DEBUG": True, "TRAP_BAD_REQUEST_ERRORS": False})


@cases.case(
    *(
        get(f"{prefix}/{kind}")
        for prefix in ("", "/bp", "/bp/in")
        for kind in ("value", "key", "notfound", "forbidden", "teapot", "odd", "custom", "os")
    ),
    get("/bp/nothing"),
    get("/bp/in/nothing/here"),
    fails=True,
    signals=True,
)
def error_handlers_of_nested_blueprints(fw: Framework, log: Log) -> t.Any:
    app = fw.app()
    bp = fw.Blueprint("bp", __name__, url_prefix="/bp")
    inner = fw.Blueprint("inner", __name__, url_prefix="/in")

    def view(kind: str) -> t.Any:
        raise RAISED[kind](fw)

    def handle(tag: str) -> t.Any:
        return lambda error: (f"{tag} {error!r}", 299)

    for owner in (app, bp, inner):
        owner.add_url_rule("/<kind>", endpoint="v", view_func=view)
    for owner, name, kinds in (
        (app, "app", (ValueError, LookupError, 404, 403, HTTPException)),
        (bp, "bp", (ValueError, NotFound, Teapot)),
        (inner, "inner", (KeyError, HTTPException, 418)),
    ):
        for kind in kinds:
            owner.register_error_handler(kind, handle(f"{name} {kind}"))
    bp.app_errorhandler(OSError)(handle("bp on app"))
    bp.register_blueprint(inner)
    app.register_blueprint(bp)
    return app


@cases.case(get("/a"), get("/b"), get("/c"), get("/d"), get("/e"), fails=True, signals=True)
def error_handlers_that_fail(fw: Framework, log: Log) -> t.Any:
    app = fw.app()

    @app.route("/<name>")
    def view(name: str) -> t.Any:
        raise {"a": KeyError, "b": ValueError, "c": OSError, "d": NotFound, "e": TypeError}[name]

    @app.errorhandler(KeyError)
    def fails(error: Exception) -> t.NoReturn:
        raise RuntimeError("handler failed")

    @app.errorhandler(ValueError)
    def aborts(error: Exception) -> t.NoReturn:
        fw.abort(404)

    @app.errorhandler(OSError)
    def reraises(error: Exception) -> t.NoReturn:
        raise error

    @app.errorhandler(404)
    def nothing(error: Exception) -> None:
        return None

    @app.errorhandler(500)
    def last(error: t.Any) -> t.Any:
        log.append(repr(error.original_exception))
        if isinstance(error.original_exception, TypeError) and "valid" not in str(error):
            raise error
        return "last", 500

    @app.after_request
    def after(response: t.Any) -> t.Any:
        log.append(("after", response.status))
        return response

    return app


STAGES = (
    "full_dispatch_request",
    "preprocess_request",
    "dispatch_request",
    "finalize_request",
    "make_response",
    "process_response",
    "handle_user_exception",
    "handle_http_exception",
    "handle_exception",
    "do_teardown_request",
    "do_teardown_appcontext",
    "create_url_adapter",
    "request_context",
    "app_context",
    "ensure_sync",
    "async_to_sync",
    "wsgi_app",
    "raise_routing_exception",
    "make_default_options_response",
    "trap_http_exception",
    "should_ignore_error",
    "log_exception",
    "inject_url_defaults",
    "handle_url_build_error",
    "_find_error_handler",
)
STAGE_STEPS = (
    get("/"),
    get("/url"),
    get("/boom"),
    get("/handled"),
    get("/abort"),
    get("/nothing"),
    get("/slash"),
    call("/", method="OPTIONS"),
    call("/", method="HEAD"),
    post("/"),
    get("/session", cookies=True),
    get("/session", cookies=True),
    get("/none"),
)


def stage_app(fw: Framework, log: Log, cls: t.Any) -> t.Any:
    app = fw.app(cls=cls)
    hooked(fw, log, app, "app")

    @app.route("/")
    def index() -> str:
        return "index"

    @app.route("/url")
    def url() -> t.Any:
        try:
            fw.url_for("missing")
        except Exception as error:
            log.append(type(error).__name__)
        return fw.url_for("index")

    @app.route("/boom")
    def boom() -> t.NoReturn:
        raise ZeroDivisionError("boom")

    @app.route("/handled")
    def handled() -> t.NoReturn:
        raise KeyError("handled")

    @app.route("/abort")
    def aborting() -> t.NoReturn:
        fw.abort(409)

    @app.route("/slash/")
    def slash() -> str:
        return "slash"

    @app.route("/none")
    def none() -> None:
        return None

    @app.route("/session")
    def session() -> t.Any:
        fw.session["n"] = fw.session.get("n", 0) + 1
        return {"n": fw.session["n"]}

    @app.errorhandler(KeyError)
    def on_key(error: Exception) -> t.Any:
        return "key", 420

    @app.errorhandler(409)
    def on_conflict(error: Exception) -> t.Any:
        return "conflict", 409

    return app


# Called by Erlen's inner parts in other numbers than by Flask's, which nobody can rely on.
# (`create_url_adapter(None)`, an app context's, waits in Erlen until somebody builds a URL.)
_UNCOUNTED = ("ensure_sync", "_find_error_handler", "trap_http_exception")


def watched(name: str, call_it: t.Callable[..., t.Any], log: Log) -> t.Any:
    def stage(*args: t.Any, **kwargs: t.Any) -> t.Any:
        counted = name not in _UNCOUNTED and args != (None,)
        if counted:
            log.append((name, "in", len(args), sorted(kwargs)))
        try:
            result = call_it(*args, **kwargs)
        except Exception as error:
            log.append((name, "raised", type(error).__name__))
            raise
        if counted:
            log.append((name, "out", type(result).__name__ if name != "wsgi_app" else None))
        return result

    return stage


def by_subclass(names: tuple[str, ...]) -> t.Any:
    def build(fw: Framework, log: Log) -> t.Any:
        def overriding(name: str) -> t.Any:
            def method(self: t.Any, *args: t.Any, **kwargs: t.Any) -> t.Any:
                inherited = getattr(super(cls, self), name)
                return watched(name, inherited, log)(*args, **kwargs)

            return method

        cls = type("Own", (fw.Flask,), {name: overriding(name) for name in names})
        return stage_app(fw, log, cls)

    return build


def by_assignment(names: tuple[str, ...]) -> t.Any:
    def assign(app: t.Any) -> None:
        for name in names:
            setattr(app, name, watched(name, getattr(app, name), app.log))

    def undo(app: t.Any) -> None:
        for name in names:
            delattr(app, name)

    def build(fw: Framework, log: Log) -> t.Any:
        app = stage_app(fw, log, fw.Flask)
        app.log = log
        return app

    return build, assign, undo


for stages in (*((name,) for name in STAGES), STAGES):
    label = stages[0] if len(stages) == 1 else "every stage"
    cases.append(Case(f"{label} by subclass", by_subclass(stages), STAGE_STEPS, True, True))
    build_plain, assign, undo = by_assignment(stages)
    cases.append(
        Case(
            f"{label} by assignment",
            build_plain,
            (
                assign,
                *STAGE_STEPS,
                undo,
                *STAGE_STEPS,
                assign,
                *STAGE_STEPS,
            ),
            False,
            True,
        )
    )


@cases.parametrize()
def test_the_life_of_a_request_is_as_in_flask(case: Case) -> None:
    case.check()

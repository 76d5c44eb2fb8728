"""Contexts, `g`, proxies and streams come and go as they do in Flask."""

from __future__ import annotations

import threading
import typing as t
from contextvars import copy_context

from werkzeug.test import create_environ

from .harness import Case, Cases, Framework, call, get, post

cases = Cases()
Log = list[t.Any]


def context_app(fw: Framework, log: Log, name: str = "app", **options: t.Any) -> t.Any:
    """An application whose hooks log what they see of the contexts."""
    app = fw.app(**options)
    app.log = log
    app.fw = fw

    def state() -> t.Any:
        if not fw.has_app_context():
            return None
        request = fw.request.path if fw.has_request_context() else None
        return sorted(vars(fw.g._get_current_object())), request

    app.state = state

    @app.before_request
    def before() -> None:
        log.append((name, "before", state()))

    @app.teardown_request
    def teardown(error: t.Any) -> None:
        log.append((name, "teardown_request", repr(error), state()))

    @app.teardown_appcontext
    def teardown_app(error: t.Any) -> None:
        log.append((name, "teardown_appcontext", repr(error), state()))

    @app.route("/")
    @app.route("/<x>")
    def index(x: str = "") -> str:
        log.append(("view", state()))
        return x

    return app


def in_context(script: t.Callable[[t.Any, Framework, Log], t.Any]) -> None:
    """A case that drives contexts by hand; twice, the second time after a request."""

    def step(app: t.Any, fw: Framework) -> t.Any:
        result = script(app, fw, app.log)
        app.log.append(("left", fw.has_app_context(), fw.has_request_context()))
        return result

    for signals in (True, False):
        name = script.__name__.replace("_", " ") + ", with signals" * signals
        cases.append(Case(name, context_app, (step, get("/x"), step), signals, True))


@in_context
def app_context_alone(app: t.Any, fw: Framework, log: Log) -> None:
    with app.app_context() as ctx:
        fw.g.a = 1
        log.append((fw.current_app.name, ctx.g is fw.g._get_current_object(), app.state()))
        log.append(ctx is fw.sub("globals").app_ctx._get_current_object())


@in_context
def app_context_pushed_twice(app: t.Any, fw: Framework, log: Log) -> None:
    ctx = app.app_context()
    ctx.push()
    ctx.push()
    fw.g.a = 1
    ctx.pop()
    log.append(app.state())
    ctx.pop()
    log.append(app.state())
    ctx.push()
    log.append(app.state())
    ctx.pop()


@in_context
def app_context_popped_too_often(app: t.Any, fw: Framework, log: Log) -> None:
    ctx = app.app_context()
    ctx.push()
    ctx.pop()
    try:
        ctx.pop()
    except LookupError:
        log.append("nothing to pop")


@in_context
def request_context_popped_too_often(app: t.Any, fw: Framework, log: Log) -> None:
    ctx = app.test_request_context("/t")
    ctx.push()
    ctx.pop()
    try:
        ctx.pop()
    except LookupError:
        log.append("nothing to pop")


@in_context
def request_in_app_context(app: t.Any, fw: Framework, log: Log) -> None:
    with app.app_context() as outer:
        fw.g.outer = 1
        with app.test_request_context("/t"):
            log.append((fw.sub("globals").app_ctx._get_current_object() is outer, app.state()))
            fw.g.inner = 1
        log.append(app.state())


@in_context
def app_context_in_request(app: t.Any, fw: Framework, log: Log) -> None:
    with app.test_request_context("/t"):
        fw.g.outer = 1
        first = fw.sub("globals").app_ctx._get_current_object()
        with app.app_context() as own:
            log.append((own is first, app.state(), fw.request.path))
            fw.g.inner = 2
        log.append(app.state())
        log.append(fw.sub("globals").app_ctx._get_current_object() is first)


@in_context
def request_in_request(app: t.Any, fw: Framework, log: Log) -> None:
    with app.test_request_context("/outer"):
        fw.g.outer = 1
        with app.test_request_context("/inner"):
            log.append(app.state())
            with app.app_context():
                log.append(app.state())
                with app.test_request_context("/innermost"):
                    log.append(app.state())
        log.append(app.state())


@in_context
def request_pushed_twice(app: t.Any, fw: Framework, log: Log) -> None:
    ctx = app.test_request_context("/t")
    with ctx:
        fw.g.a = 1
        with ctx:
            log.append(app.state())
            fw.g.b = 1
        log.append(app.state())


@in_context
def request_context_used_again(app: t.Any, fw: Framework, log: Log) -> None:
    ctx = app.test_request_context("/t")
    with ctx:
        fw.g.a = 1
        fw.session["s"] = 1
    with ctx:
        log.append((app.state(), dict(fw.session), fw.request.endpoint))


@in_context
def two_applications(app: t.Any, fw: Framework, log: Log) -> None:
    other = context_app(fw, log, "other")
    with app.test_request_context("/one"):
        fw.g.one = 1
        with other.test_request_context("/two"):
            log.append((fw.current_app._get_current_object() is other, app.state()))
            with app.app_context():
                log.append((fw.current_app._get_current_object() is app, fw.request.path))
        log.append(app.state())
        with other.app_context():
            log.append((fw.current_app._get_current_object() is other, app.state()))
            with app.test_request_context("/three"):
                log.append((fw.current_app._get_current_object() is app, app.state()))


@in_context
def request_contexts_popped_in_wrong_order(app: t.Any, fw: Framework, log: Log) -> None:
    one, two = app.test_request_context("/one"), app.test_request_context("/two")
    one.push()
    two.push()
    try:
        one.pop()
    except AssertionError as error:
        log.append("wrong " + str(error).split("(")[0])
    while fw.has_request_context():
        fw.sub("globals").request_ctx.pop()
    while fw.has_app_context():
        fw.sub("globals").app_ctx.pop()


@in_context
def app_contexts_popped_in_wrong_order(app: t.Any, fw: Framework, log: Log) -> None:
    one, two = app.app_context(), app.app_context()
    one.push()
    two.push()
    try:
        one.pop()
    except AssertionError as error:
        log.append("wrong " + str(error).split("(")[0])
    while fw.has_app_context():
        fw.sub("globals").app_ctx.pop()


@in_context
def app_context_left_in_request(app: t.Any, fw: Framework, log: Log) -> None:
    try:
        with app.test_request_context("/t"):
            app.app_context().push()
    except AssertionError as error:
        log.append("wrong " + str(error).split("(")[0])
    log.append((fw.has_app_context(), fw.has_request_context()))


@in_context
def request_popped_before_app_context(app: t.Any, fw: Framework, log: Log) -> None:
    app_ctx, ctx = app.app_context(), app.test_request_context("/t")
    app_ctx.push()
    ctx.push()
    try:
        app_ctx.pop()
    except AssertionError as error:
        log.append("wrong " + str(error).split("(")[0])
    log.append((fw.has_app_context(), fw.has_request_context()))
    while fw.has_request_context():
        fw.sub("globals").request_ctx.pop()
    while fw.has_app_context():
        fw.sub("globals").app_ctx.pop()


@in_context
def errors_reach_the_teardown_functions(app: t.Any, fw: Framework, log: Log) -> None:
    for make in (app.app_context, lambda: app.test_request_context("/t")):
        try:
            with make():
                raise KeyError("inside")
        except KeyError:
            pass
        ctx = make()
        ctx.push()
        try:
            raise ValueError("handled")
        except ValueError:
            ctx.pop()
        ctx = make()
        ctx.push()
        ctx.pop(None)
        ctx = make()
        ctx.push()
        ctx.pop(LookupError("given"))


@in_context
def proxies_outside_of_contexts(app: t.Any, fw: Framework, log: Log) -> None:
    tries: list[t.Callable[[], t.Any]] = [
        lambda: fw.g.x,
        lambda: fw.request.path,
        lambda: fw.session["x"],
        lambda: "x" in fw.session,
        lambda: fw.current_app.name,
        lambda: setattr(fw.g, "x", 1),
        lambda: fw.session.__setitem__("x", 1),
        lambda: fw.sub("globals").request_ctx.request,
        lambda: fw.sub("globals").app_ctx.app,
        lambda: fw.sub("globals")._cv_request.get(None),
        lambda: fw.after_this_request(lambda response: response),
        lambda: fw.copy_current_request_context(lambda: None),
        lambda: fw.url_for("index"),
        lambda: fw.stream_with_context(iter("a")),
        lambda: fw.flash("x"),
        lambda: fw.jsonify(1),
        lambda: bool(fw.g),
        lambda: bool(fw.request),
        lambda: repr(fw.g),
        lambda: repr(fw.current_app),
        lambda: repr(fw.request),
        lambda: dir(fw.request),
        lambda: fw.g == 5,
        lambda: fw.make_response("x").status,
        lambda: fw.redirect("/x").location,
        lambda: str(fw.request),
        lambda: hash(fw.request),
        lambda: fw.json.dumps({"a": [1, (2,)]}),
        lambda: app.url_for("index"),
        lambda: app.preprocess_request(),
        lambda: app.do_teardown_request(),
        lambda: app.do_teardown_appcontext(),
        lambda: fw.get_flashed_messages(),
    ]
    for number, attempt in enumerate(tries):
        try:
            result = attempt()
            log.append((number, result if isinstance(result, (str, bool, list)) else "fine"))
        except Exception as error:
            log.append((number, type(error).__name__, str(error).replace(fw.name, "it")))


@in_context
def the_namespace_g(app: t.Any, fw: Framework, log: Log) -> None:
    with app.app_context():
        g = fw.g
        log.append(g.get("x", 5))
        g.x = 1
        log.append((g.x, "x" in g, "y" in g, list(g), g.setdefault("y", 2), g.pop("y")))
        for attempt in (lambda: g.pop("y"), lambda: g.nope, lambda: delattr(g, "nope")):
            try:
                attempt()
            except Exception as error:
                log.append((type(error).__name__, str(error)))
        log.append((g.pop("y", None), repr(g), sorted(vars(g._get_current_object()))))
        del g.x
        log.append((list(g), g.get("x")))
        log.append(type(g._get_current_object()).__name__)


@in_context
def the_request_in_a_context(app: t.Any, fw: Framework, log: Log) -> None:
    with app.test_request_context("/t?a=1", method="PUT", json={"b": 2}) as ctx:
        log.append((fw.request.method, fw.request.args["a"], fw.request.json, fw.request.endpoint))
        log.append((ctx.request.view_args, ctx.session is fw.session._get_current_object()))
        log.append((ctx.flashes, ctx.url_adapter is not None, repr(ctx)))
        log.append((isinstance(fw.request, fw.Request), isinstance(fw.current_app, fw.Flask)))
        fw.request.path = "/assigned"
        log.append((fw.request.path, fw.request.full_path, fw.url_for("index", x="z")))
        log.append(app.preprocess_request())
        log.append(app.dispatch_request())
        log.append(app.full_dispatch_request().data)
        copy = ctx.copy()
        log.append((copy.request is ctx.request, copy.session is ctx.session))
        with copy:
            log.append(app.state())
    with app.test_request_context("/no/such") as ctx:
        log.append((repr(ctx.request.routing_exception), fw.request.url_rule, fw.request.view_args))


@in_context
def contexts_cross_to_threads(app: t.Any, fw: Framework, log: Log) -> None:
    with app.test_request_context("/t?a=1"):
        fw.g.a = 1
        fw.session["s"] = 1

        @fw.copy_current_request_context
        def work(more: str) -> str:
            log.append((fw.request.path, more, sorted(vars(fw.g._get_current_object()))))
            log.append(dict(fw.session))
            return fw.url_for("index", x=more)

        def bare() -> None:
            log.append(("bare", fw.has_request_context(), fw.has_app_context()))

        for target, args in ((lambda: log.append(work("x")), ()), (bare, ())):
            thread = threading.Thread(target=target, args=args)
            thread.start()
            thread.join()
        log.append(work("same thread"))
        log.append(work.__name__)
        copy_context().run(lambda: log.append(app.state()))
        copy_context().run(lambda: setattr(fw.g, "from_copy", 1))
        log.append(app.state())


@in_context
def context_variables_by_their_old_names(app: t.Any, fw: Framework, log: Log) -> None:
    names = fw.sub("globals")
    with app.test_request_context("/t") as ctx:
        log.append(names._cv_request.get() is ctx)
        log.append(names._cv_app.get().app is app)
        token = names._cv_request.set(None)
        names._cv_request.reset(token)
        log.append(fw.request.path)
        app_ctx = app.app_context()
        token = names._cv_app.set(app_ctx)
        fw.g.x = 1
        log.append((app_ctx.g.get("x"), fw.request.path))
        names._cv_app.reset(token)
        log.append(fw.g.get("x"))


@in_context
def contexts_of_a_kept_environ(app: t.Any, fw: Framework, log: Log) -> None:
    environ = create_environ("/kept", "http://h.test/m")
    for _ in range(2):
        with app.request_context(environ):
            log.append((fw.request.url, fw.request.endpoint, "werkzeug.request" in environ))
        log.append(environ["werkzeug.request"] is None)


def streaming(fw: Framework, log: Log) -> t.Any:
    app = context_app(fw, log)

    def pieces(fail: bool = False) -> t.Iterator[str]:
        try:
            log.append(("piece", app.state(), fw.session.get("n")))
            yield fw.request.path
            fw.g.y = 1
            yield fw.url_for("index")
            if fail:
                raise KeyError("in stream")
        finally:
            log.append(("end of stream", app.state()))

    @app.route("/s/plain")
    def plain() -> t.Any:
        return fw.Response(pieces())

    @app.route("/s/with")
    def with_context() -> t.Any:
        fw.g.x = 1
        fw.session["n"] = 1
        return fw.Response(fw.stream_with_context(pieces()))

    @app.route("/s/fails")
    def fails() -> t.Any:
        return fw.stream_with_context(pieces(fail=True)), {"X-A": "1"}

    @app.route("/s/decorated")
    def decorated() -> t.Any:
        @fw.stream_with_context
        def generate(text: str) -> t.Iterator[str]:
            log.append(("generate", text, app.state()))
            yield text
            yield fw.request.path

        return generate("x")

    @app.route("/s/never")
    def never() -> t.Any:
        fw.stream_with_context(pieces())
        return "not used"

    @app.route("/s/closing")
    def closing() -> t.Any:
        class Body:
            def __iter__(self) -> t.Iterator[str]:
                return iter(["a", fw.request.path])

            def close(self) -> None:
                log.append(("closed", app.state()))

        response = fw.Response(fw.stream_with_context(Body()))
        response.call_on_close(lambda: log.append(("on close", app.state())))
        return response

    return app


PATHS = ("plain", "with", "fails", "decorated", "never", "closing")
for signals in (True, False):
    cases.append(
        Case(
            f"streams{', with signals' * signals}",
            streaming,
            (
                *(call(f"/s/{path}") for path in PATHS),
                *(call(f"/s/{path}", method="HEAD") for path in PATHS),
                *(call(f"/s/{path}", method="HEAD", close=False) for path in ("plain", "never")),
            ),
            signals,
            True,
        )
    )


@cases.case(get("/"), get("/x"), post("/"), signals=True)
def context_and_globals_classes(fw: Framework, log: Log) -> t.Any:
    class Globals(fw.sub("ctx")._AppCtxGlobals):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            log.append("g made")
            self.made = 1

    class Own(fw.Flask):  # type: ignore[misc, name-defined]
        app_ctx_globals_class = Globals

    app = context_app(fw, log, cls=Own)
    return app


@cases.parametrize()
def test_contexts_and_sessions_are_as_in_flask(case: Case) -> None:
    case.check()

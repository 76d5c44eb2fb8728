"""What is changed while a request runs counts for this very request, as in Flask."""

from __future__ import annotations

import typing as t

from werkzeug.exceptions import NotFound
from werkzeug.test import create_environ

from .harness import Case, Cases, Framework, call, get, post

cases = Cases()
Log = list[t.Any]
Change = t.Callable[[t.Any, Framework, Log], t.Any]


def _noting(log: Log, tag: str) -> t.Callable[..., t.Any]:
    def note(*args: t.Any) -> t.Any:
        log.append((tag, len(args)))
        return args[0] if args and hasattr(args[0], "headers") else None

    return note


def _append(attribute: str, name: str | None = None) -> Change:
    def change(app: t.Any, fw: Framework, log: Log) -> None:
        getattr(app, attribute).setdefault(name, []).append(_noting(log, f"new {attribute}"))

    return change


def _clear(attribute: str) -> Change:
    return lambda app, fw, log: getattr(app, attribute).clear()


def _assign(name: str, make: t.Callable[[t.Any, Framework, Log], t.Any]) -> Change:
    return lambda app, fw, log: setattr(app, name, make(app, fw, log))


def _wrapped(name: str) -> Change:
    def change(app: t.Any, fw: Framework, log: Log) -> None:
        original = getattr(app, name)

        def stage(*args: t.Any, **kwargs: t.Any) -> t.Any:
            log.append(f"own {name}")
            return original(*args, **kwargs)

        setattr(app, name, stage)

    return change


def _rule(app: t.Any, fw: Framework, log: Log) -> None:
    rule = next(rule for rule in app.url_map.iter_rules() if rule.endpoint == "other")
    fw.request.url_rule, fw.request.view_args = rule, {"x": "set"}


def _view_args(app: t.Any, fw: Framework, log: Log) -> None:
    fw.request.view_args = {"x": "replaced"}


def _view_args_changed(app: t.Any, fw: Framework, log: Log) -> None:
    if fw.request.view_args is not None:
        fw.request.view_args["x"] = "changed"


def _refused(app: t.Any, fw: Framework, log: Log) -> None:
    fw.request.routing_exception = NotFound()


def _method(app: t.Any, fw: Framework, log: Log) -> None:
    fw.request.method = "OPTIONS"


def _nested(app: t.Any, fw: Framework, log: Log) -> None:
    environ = create_environ("/nested")
    answer = app(environ, lambda *args: None)
    log.append((b"".join(answer), fw.request.path, sorted(vars(fw.g._get_current_object()))))


def _nested_context(app: t.Any, fw: Framework, log: Log) -> None:
    with app.test_request_context("/in/context"):
        log.append((fw.request.path, fw.g.get("x")))
    with app.app_context():
        log.append(fw.g.get("x"))
    log.append((fw.request.path, fw.g.get("x")))


def _context_again(app: t.Any, fw: Framework, log: Log) -> None:
    with fw.sub("globals").request_ctx._get_current_object():
        log.append((fw.request.path, fw.g.get("x")))


def _session(app: t.Any, fw: Framework, log: Log) -> None:
    fw.session["x"] = 1


def _session_replaced(app: t.Any, fw: Framework, log: Log) -> None:
    ctx = fw.sub("globals").request_ctx
    ctx._session = fw.sub("sessions").SecureCookieSession({"y": 2})
    ctx.session.modified = True


def _session_interface(app: t.Any, fw: Framework, log: Log) -> None:
    class Interface(fw.sub("sessions").SecureCookieSessionInterface):  # type: ignore[misc, name-defined]
        def save_session(self, *args: t.Any) -> None:
            log.append("saved by another")

    app.session_interface = Interface()


def _handler(app: t.Any, fw: Framework, log: Log) -> None:
    app.error_handler_spec[None][404][NotFound] = lambda error: ("handled 404", 404)
    app.error_handler_spec[None][None][ZeroDivisionError] = lambda error: ("handled zero", 299)


def _after_this(app: t.Any, fw: Framework, log: Log) -> None:
    fw.after_this_request(_noting(log, "after this"))


def _g(app: t.Any, fw: Framework, log: Log) -> None:
    fw.g.x = "set"


def _views(app: t.Any, fw: Framework, log: Log) -> None:
    app.view_functions["view"] = lambda **values: "another view"


def _signal(app: t.Any, fw: Framework, log: Log) -> None:
    app.listener = lambda sender, **values: log.append(("signal", sorted(values)))
    for name in ("request_finished", "request_tearing_down", "appcontext_tearing_down"):
        getattr(fw, name).connect(app.listener, app)


def _config(app: t.Any, fw: Framework, log: Log) -> None:
    app.config.update(PROPAGATE_EXCEPTIONS=True, DEBUG=True)


def _response_class(app: t.Any, fw: Framework, log: Log) -> None:
    app.response_class = type("Own", (fw.Response,), {"default_mimetype": "text/x-own"})


def _teardown_appcontext(app: t.Any, fw: Framework, log: Log) -> None:
    app.teardown_appcontext_funcs.append(_noting(log, "new teardown_appcontext"))


CHANGES: dict[str, Change] = {
    "nothing": lambda app, fw, log: None,
    "after_request appended": _append("after_request_funcs"),
    "teardown_request appended": _append("teardown_request_funcs"),
    "after_request of the blueprint appended": _append("after_request_funcs", "bp"),
    "teardown_request of the blueprint appended": _append("teardown_request_funcs", "bp"),
    "after_request cleared": _clear("after_request_funcs"),
    "teardown_request cleared": _clear("teardown_request_funcs"),
    "before_request cleared": _clear("before_request_funcs"),
    "teardown_appcontext appended": _teardown_appcontext,
    "views": _views,
    "view_functions replaced": _assign(
        "view_functions", lambda app, fw, log: {"view": lambda **v: "new", "bp.view": lambda: "bp"}
    ),
    "rule": _rule,
    "view_args": _view_args,
    "view_args changed": _view_args_changed,
    "refused": _refused,
    "method": _method,
    "nested request": _nested,
    "nested context": _nested_context,
    "context again": _context_again,
    "session": _session,
    "session replaced": _session_replaced,
    "session interface": _session_interface,
    "error handlers": _handler,
    "after this request": _after_this,
    "g": _g,
    "signals": _signal,
    "config": _config,
    "response class": _response_class,
    **{
        f"{name} wrapped": _wrapped(name)
        for name in (
            *("dispatch_request", "make_response", "process_response", "handle_exception"),
            *("handle_user_exception", "handle_http_exception", "do_teardown_request"),
            *("do_teardown_appcontext", "finalize_request", "make_default_options_response"),
        )
    },
}
MOMENTS = ("preprocessor", "before", "bp before", "view", "handler", "after", "teardown")


def changing(change: Change, moment: str, warm: bool = False) -> t.Any:
    """An application in which something is changed at one moment of the first request, or, warm,
    of the first that asks for it; that one has no functions around its views but for the change.
    """

    def build(fw: Framework, log: Log) -> t.Any:
        app = fw.app()
        bp = fw.Blueprint("bp", __name__, url_prefix="/bp")
        done = []

        def at(now: str) -> None:
            log.append(now)
            is_asked = fw.request.path != "/nested" and (not warm or "change" in fw.request.args)
            if now == moment and not done and is_asked:
                done.append(now)
                change(app, fw, log)

        def preprocess(endpoint: t.Any, values: t.Any) -> None:
            at("preprocessor")

        def after(response: t.Any) -> t.Any:
            at("after")
            return response

        around = {
            "preprocessor": (app.url_value_preprocessor, preprocess),
            "before": (app.before_request, lambda: at("before")),
            "bp before": (bp.before_request, lambda: at("bp before")),
            "after": (app.after_request, after),
            "teardown": (app.teardown_request, lambda error: at("teardown")),
        }
        for name, (register, function) in around.items():
            if not warm or name == moment:
                register(function)

        @app.errorhandler(KeyError)
        def handle(error: Exception) -> t.Any:
            at("handler")
            return "handled", 298

        def view(x: str = "") -> str:
            at("view")
            if x == "key":
                raise KeyError(x)
            if x == "zero":
                raise ZeroDivisionError(x)
            return f"view {x}"

        app.add_url_rule("/view/<x>", endpoint="view", view_func=view)
        app.add_url_rule("/nested", endpoint="nested", view_func=lambda: "nested")
        app.add_url_rule("/other/<x>", endpoint="other", view_func=lambda x: f"other {x}")
        bp.add_url_rule("/", endpoint="view", view_func=view)
        app.register_blueprint(bp)
        return app

    return build


# Here Flask runs a list that changes under its hands, or what ends a context changes while it ends.
_ODD = {
    ("before_request cleared", "before"),
    ("before_request cleared", "bp before"),
    ("teardown_appcontext appended", "teardown"),
    ("signals", "teardown"),
    ("do_teardown_appcontext wrapped", "teardown"),
}
PATHS = {
    "before": ("/view/1", "/view/key", "/view/zero", "/bp/", "/missing"),
    "bp before": ("/bp/",),
    "view": ("/view/1", "/view/key", "/view/zero"),
    "handler": ("/view/key",),
}
for change_name, change in CHANGES.items():
    for moment in MOMENTS:
        if (change_name, moment) in _ODD:
            continue
        for path in PATHS.get(moment, ("/view/1", "/bp/")):
            cases.append(
                Case(
                    f"{change_name} in {moment} of {path}",
                    changing(change, moment),
                    (get(path), post(path), call(path, method="OPTIONS")),
                    False,
                    True,
                )
            )
            asked = (*[get(path)] * 3, get(f"{path}?change"), post(path), get(path))
            warm = changing(change, moment, warm=True)
            cases.append(
                Case(f"{change_name}, warm, in {moment} of {path}", warm, asked, False, True)
            )


@cases.parametrize()
def test_changes_in_the_middle_of_a_request_count_as_in_flask(case: Case) -> None:
    case.check()

"""What is written to the application directly, before or after its first request, counts."""

from __future__ import annotations

import re
import typing as t
from collections import defaultdict, deque

from .harness import Case, Cases, Framework, call, get, post

cases = Cases()
Log = list[t.Any]
Function = t.Callable[..., t.Any]


def hook(app: t.Any, tag: str) -> Function:
    """A function that fits every registry: before, after, teardown, preprocessor, processor."""

    def run(*args: t.Any) -> t.Any:
        app.log.append(tag)
        return args[0] if len(args) == 1 and hasattr(args[0], "headers") else None

    t.cast("t.Any", run).tag = tag
    return run


def plain_app(fw: Framework, log: Log) -> t.Any:
    app = fw.app()
    app.log = log
    bp = fw.Blueprint("bp", __name__, url_prefix="/bp")
    for owner in (app, bp):
        owner.add_url_rule("/", endpoint="index", view_func=lambda: "index")
        owner.add_url_rule("/boom", endpoint="boom", view_func=lambda: 1 / 0)
    app.register_blueprint(bp)
    return app


ASK = (get("/"), get("/bp/"), get("/boom"), get("/nothing"))
REGISTRIES = ("before_request_funcs", "after_request_funcs", "teardown_request_funcs")
Write = t.Callable[[t.Any, str], t.Any]


def _in_place(registry: t.Any, app: t.Any) -> None:
    registry[None] = [hook(app, "1"), hook(app, "2"), hook(app, "3")]
    registry[None].sort(key=lambda function: function.tag, reverse=True)
    registry[None].reverse()
    registry[None][0:2] = [hook(app, "sliced")]
    registry[None] *= 2
    registry[None] += [hook(app, "added")]
    registry[None].insert(0, hook(app, "inserted"))
    del registry[None][1]


def _kept_list(app: t.Any, name: str) -> None:
    app.kept = getattr(app, name).setdefault(None, [])
    app.kept.append(hook(app, "through a kept list"))


def _foreign_list(app: t.Any, name: str) -> None:
    app.kept = [hook(app, "of a plain list")]
    getattr(app, name)[None] = app.kept


def _foreign_dict(app: t.Any, name: str) -> None:
    app.kept = [hook(app, "of a plain dict")]
    setattr(app, name, {None: app.kept, "bp": [hook(app, "of bp")]})


def _foreign_defaultdict(app: t.Any, name: str) -> None:
    made: t.Any = defaultdict(list)
    app.kept = made[None]
    setattr(app, name, made)
    app.kept.append(hook(app, "of a defaultdict"))


def _tuple(app: t.Any, name: str) -> None:
    getattr(app, name)[None] = (hook(app, "of a tuple"),)


def _deque(app: t.Any, name: str) -> None:
    app.kept = getattr(app, name)[None] = deque([hook(app, "of a deque")])


def _update(app: t.Any, name: str) -> None:
    getattr(app, name).update({None: [hook(app, "updated")], "bp": [hook(app, "of bp")]})


def _ior(app: t.Any, name: str) -> None:
    registry = getattr(app, name)
    registry |= {None: [hook(app, "or")], "bp": [hook(app, "of bp")]}


def _bp(app: t.Any, name: str) -> None:
    getattr(app, name)["bp"].append(hook(app, "bp"))
    getattr(app, name).setdefault("bp", []).insert(0, hook(app, "bp first"))


def _of_the_blueprint(app: t.Any, name: str) -> None:
    getattr(app.blueprints["bp"], name).setdefault(None, []).append(hook(app, "too late"))


def _pop(app: t.Any, name: str) -> None:
    getattr(app, name)[None].append(hook(app, "popped"))
    getattr(app, name)["bp"].append(hook(app, "stays"))
    getattr(app, name).pop(None)


def _clear(app: t.Any, name: str) -> None:
    getattr(app, name)[None].append(hook(app, "cleared"))
    getattr(app, name).clear()


def _empty(app: t.Any, name: str) -> None:
    getattr(app, name)[None].append(hook(app, "gone"))
    del getattr(app, name)[None][:]
    getattr(app, name)["bp"].append(hook(app, "gone"))
    getattr(app, name)["bp"].clear()


def _nested_fill(app: t.Any, name: str) -> None:
    registry = getattr(app, name)
    registry["unknown"].append(hook(app, "never"))
    registry[None].extend(hook(app, f"extended {n}") for n in range(2))


def _same_function_twice(app: t.Any, name: str) -> None:
    twice = hook(app, "twice")
    getattr(app, name)[None] += [twice, twice]


def _copy(app: t.Any, name: str) -> None:
    getattr(app, name)[None].append(hook(app, "copied"))
    copied = {key: list(held) for key, held in getattr(app, name).items()}
    setattr(app, name, copied)
    app.kept = copied[None]


WRITES: dict[str, Write] = {
    "append": lambda app, name: getattr(app, name)[None].append(hook(app, "appended")),
    "setdefault": lambda app, name: (
        getattr(app, name).setdefault(None, []).append(hook(app, "setdefault"))
    ),
    "every list method": lambda app, name: _in_place(getattr(app, name), app),
    "a kept list": _kept_list,
    "a plain list": _foreign_list,
    "a plain dict": _foreign_dict,
    "a defaultdict": _foreign_defaultdict,
    "a tuple": _tuple,
    "a deque": _deque,
    "update": _update,
    "or": _ior,
    "the blueprint's key": _bp,
    "the blueprint's own": _of_the_blueprint,
    "pop": _pop,
    "clear": _clear,
    "emptied lists": _empty,
    "an unknown blueprint": _nested_fill,
    "the same function twice": _same_function_twice,
    "a copy": _copy,
}


def registry_case(name: str, write: Write, registry: str) -> None:
    def step(app: t.Any) -> None:
        write(app, registry)

    def more(app: t.Any) -> None:
        kept = getattr(app, "kept", None)
        if kept is not None:
            kept.append(hook(app, "later"))

    def replace(app: t.Any) -> None:
        kept = getattr(app, "kept", None)
        if isinstance(kept, list):
            kept[0] = hook(app, "replaced")

    def fewer(app: t.Any) -> None:
        kept = getattr(app, "kept", None)
        if kept is not None:
            kept.pop()

    changes = [x for change in (more, replace, fewer) for x in (change, *ASK)]
    for label, steps in (
        ("before", (step, *ASK, *changes)),
        ("after", (*ASK, step, *ASK, *changes)),
    ):
        title = f"{registry}: {name}, {label} the first request"
        cases.append(Case(title, plain_app, steps, False, True))


for write_name, write in WRITES.items():
    for registry in REGISTRIES:
        registry_case(write_name, write, registry)


def _teardown_appcontext(app: t.Any) -> None:
    app.teardown_appcontext_funcs.append(hook(app, "teardown_appcontext"))


def _teardown_appcontext_assigned(app: t.Any) -> None:
    app.kept = app.teardown_appcontext_funcs = [hook(app, "assigned")]


def _later(app: t.Any) -> None:
    app.kept.append(hook(app, "later"))


def _preprocessors(app: t.Any) -> None:
    app.url_value_preprocessors[None].append(lambda endpoint, values: app.log.append(endpoint))
    app.url_value_preprocessors["bp"].append(lambda endpoint, values: app.log.append("bp"))


def _handlers(app: t.Any) -> None:
    app.error_handler_spec[None][404][app.not_found] = lambda error: ("own 404", 404)
    app.error_handler_spec[None][None][ZeroDivisionError] = lambda error: ("zero", 500)
    app.error_handler_spec["bp"][None][ArithmeticError] = lambda error: ("bp zero", 500)


def _handlers_replaced(app: t.Any) -> None:
    app.error_handler_spec = {None: {None: {Exception: lambda error: (repr(error), 299)}}}


@cases.case(
    _teardown_appcontext,
    *ASK,
    _teardown_appcontext,
    *ASK,
    _teardown_appcontext_assigned,
    *ASK,
    _later,
    *ASK,
    fails=True,
)
def teardown_functions_of_the_app_context(fw: Framework, log: Log) -> t.Any:
    return plain_app(fw, log)


@cases.case(*ASK, _preprocessors, *ASK, _handlers, *ASK, _handlers_replaced, *ASK, fails=True)
def preprocessors_and_error_handlers(fw: Framework, log: Log) -> t.Any:
    from werkzeug.exceptions import NotFound

    app = plain_app(fw, log)
    app.not_found = NotFound
    return app


def _views_replaced(app: t.Any) -> None:
    app.view_functions = {}


def _views_kept(app: t.Any) -> None:
    app.kept = app.view_functions = {"index": lambda: "kept", "bp.index": lambda: "bp kept"}


def _views_kept_change(app: t.Any) -> None:
    app.kept["index"] = lambda: "changed"


@cases.case(
    *ASK,
    lambda app: app.view_functions.__setitem__("index", lambda: "other"),
    *ASK,
    lambda app: app.view_functions.update({"bp.index": lambda: "other in bp"}),
    *ASK,
    lambda app: app.view_functions.pop("index"),
    *ASK,
    lambda app: app.view_functions.setdefault("index", lambda: "back"),
    *ASK,
    lambda app: app.view_functions.__delitem__("index"),
    *ASK,
    _views_replaced,
    *ASK,
    _views_kept,
    *ASK,
    _views_kept_change,
    *ASK,
    fails=True,
)
def view_functions(fw: Framework, log: Log) -> t.Any:
    return plain_app(fw, log)


def _wrap_views(app: t.Any) -> None:
    for endpoint, view in app.view_functions.items():
        app.view_functions[endpoint] = lambda view=view: f"wrapped {view()}"


@cases.case(*ASK, _wrap_views, *ASK, fails=True)
def views_wrapped_in_place(fw: Framework, log: Log) -> t.Any:
    return plain_app(fw, log)


def classes(app: t.Any, fw: Framework) -> None:
    class OwnResponse(fw.Response):  # type: ignore[misc, name-defined]
        default_mimetype = "text/plain"

        def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
            app.log.append("response made")
            super().__init__(*args, **kwargs)
            self.headers["X-Own"] = "1"

    app.response_class = OwnResponse


def mimetype_only(app: t.Any, fw: Framework) -> None:
    app.response_class = type("Xml", (fw.Response,), {"default_mimetype": "application/xml"})


def no_mimetype(app: t.Any, fw: Framework) -> None:
    app.response_class = type("Bare", (fw.Response,), {"default_mimetype": None})


def overriding_methods(app: t.Any, fw: Framework) -> None:
    class Shouting(fw.Response):  # type: ignore[misc, name-defined]
        def get_wsgi_headers(self, environ: t.Any) -> t.Any:
            headers = super().get_wsgi_headers(environ)
            headers["X-Env"] = environ["PATH_INFO"]
            return headers

        def iter_encoded(self) -> t.Any:
            return (piece.upper() for piece in super().iter_encoded())

        @property
        def status(self) -> str:
            return "299 Mine"

        @status.setter
        def status(self, value: t.Any) -> None:
            fw.Response.status.fset(self, value)

    app.response_class = Shouting


def called_itself(app: t.Any, fw: Framework) -> None:
    class Called(fw.Response):  # type: ignore[misc, name-defined]
        def __call__(self, environ: t.Any, start_response: t.Any) -> t.Any:
            app.log.append("called")
            return super().__call__(environ, start_response)

        @classmethod
        def force_type(cls, response: t.Any, environ: t.Any = None) -> t.Any:
            app.log.append(("forced", type(response).__name__))
            return super().force_type(response, environ)

    app.response_class = Called


def werkzeug_response(app: t.Any, fw: Framework) -> None:
    from werkzeug.wrappers import Response

    app.response_class = Response


def plain_response(app: t.Any, fw: Framework) -> None:
    del app.response_class


def request_class(app: t.Any, fw: Framework) -> None:
    class OwnRequest(fw.Request):  # type: ignore[misc, name-defined]
        def __init__(self, environ: t.Any, *args: t.Any, **kwargs: t.Any) -> None:
            app.log.append("request made")
            super().__init__(environ, *args, **kwargs)
            self.made = environ["PATH_INFO"]

        @property
        def method(self) -> str:
            return "M"

        @method.setter
        def method(self, value: str) -> None:
            pass

    app.request_class = OwnRequest


def request_path(app: t.Any, fw: Framework) -> None:
    class Elsewhere(fw.Request):  # type: ignore[misc, name-defined]
        @property
        def path(self) -> str:
            return "/elsewhere"

        @path.setter
        def path(self, value: str) -> None:
            pass

        def on_json_loading_failed(self, e: t.Any) -> t.Any:
            return {"failed": type(e).__name__}

    app.request_class = Elsewhere


def request_methods(app: t.Any, fw: Framework) -> None:
    class Reading(fw.Request):  # type: ignore[misc, name-defined]
        max_content_length = 3

        def get_data(self, *args: t.Any, **kwargs: t.Any) -> t.Any:
            app.log.append("get_data")
            return super().get_data(*args, **kwargs)

        def _load_form_data(self) -> None:
            app.log.append("_load_form_data")
            super()._load_form_data()

    app.request_class = Reading


KINDS = (
    *(get(f"/{kind}") for kind in ("str", "dict", "tuple", "response", "raise", "none", "seen")),
    call("/str", method="HEAD"),
    get("/nothing"),
    post("/json", "{", content_type="application/json"),
    post("/json", '{"a":1}', content_type="application/json"),
    post("/form", {"a": "1", "b": "22"}),
)


@cases.case(
    *(
        step
        for change in (
            classes,
            mimetype_only,
            no_mimetype,
            overriding_methods,
            called_itself,
            werkzeug_response,
            plain_response,
            request_class,
            request_path,
            request_methods,
        )
        for step in (*KINDS, change, *KINDS)
    ),
    fails=True,
)
def request_and_response_classes(fw: Framework, log: Log) -> t.Any:
    app = fw.app()
    app.log = log

    @app.after_request
    def after(response: t.Any) -> t.Any:
        log.append((type(response).__name__, response.status_code, response.mimetype))
        return response

    views: dict[str, Function] = {
        "str": lambda: "text",
        "dict": lambda: {"a": 1},
        "tuple": lambda: ("t", 201, {"X": "y"}),
        "response": lambda: fw.Response("made"),
        "raise": lambda: fw.abort(403),
        "none": lambda: fw.jsonify(None),
        "seen": lambda: {"m": fw.request.method, "p": fw.request.path, "u": fw.request.url},
    }
    for name, view in views.items():
        app.add_url_rule(f"/{name}", endpoint=name, view_func=view)
    app.add_url_rule(
        "/json", endpoint="json", methods=["POST"], view_func=lambda: {"j": fw.request.get_json()}
    )
    app.add_url_rule(
        "/form", endpoint="form", methods=["POST"], view_func=lambda: fw.request.form.to_dict()
    )
    return app


def own_provider(app: t.Any, fw: Framework) -> None:
    class Provider(fw.sub("json.provider").DefaultJSONProvider):  # type: ignore[misc, name-defined]
        def dumps(self, obj: t.Any, **kwargs: t.Any) -> str:
            if obj != {}:  # Flask's session serializer tries it with that
                app.log.append("dumps")
            return "own " + super().dumps(obj, **kwargs)

        def loads(self, s: t.Any, **kwargs: t.Any) -> t.Any:
            app.log.append("loads")
            return super().loads(s, **kwargs)

    app.json = Provider(app)


def own_response_of_provider(app: t.Any, fw: Framework) -> None:
    class Provider(fw.sub("json.provider").DefaultJSONProvider):  # type: ignore[misc, name-defined]
        def response(self, *args: t.Any, **kwargs: t.Any) -> t.Any:
            return app.response_class(f"{args}{kwargs}", mimetype="text/x")

    app.json = Provider(app)


def provider_default(app: t.Any, fw: Framework) -> None:
    class Provider(fw.sub("json.provider").DefaultJSONProvider):  # type: ignore[misc, name-defined]
        @staticmethod
        def default(o: t.Any) -> t.Any:
            return f"<{type(o).__name__}>"

    app.json = Provider(app)


def base_provider(app: t.Any, fw: Framework) -> None:
    app.json = fw.sub("json.provider").DefaultJSONProvider(app)


def assigned_dumps(app: t.Any, fw: Framework) -> None:
    app.json.dumps = lambda obj, **kwargs: "assigned"


JSON_STEPS = (
    *(get(f"/{n}") for n in range(12)),
    call("/0", method="HEAD"),
    post("/load", '{"b": [1, 2.5, null]}', content_type="application/json"),
)


@cases.case(
    *JSON_STEPS,
    lambda app: setattr(app.json, "compact", False),
    *JSON_STEPS,
    lambda app: setattr(app.json, "compact", None),
    lambda app: setattr(app.json, "sort_keys", False),
    *JSON_STEPS,
    lambda app: setattr(app.json, "ensure_ascii", False),
    *JSON_STEPS,
    lambda app: setattr(app.json, "mimetype", "application/vnd.own+json"),
    *JSON_STEPS,
    lambda app: setattr(app.json, "default", lambda value: "instance default"),
    *JSON_STEPS,
    lambda app: setattr(app, "debug", True),
    *JSON_STEPS,
    lambda app: setattr(app, "debug", False),
    own_provider,
    *JSON_STEPS,
    own_response_of_provider,
    *JSON_STEPS,
    provider_default,
    *JSON_STEPS,
    base_provider,
    *JSON_STEPS,
    assigned_dumps,
    *JSON_STEPS,
    fails=True,
)
def json_providers(fw: Framework, log: Log) -> t.Any:
    import dataclasses
    import datetime
    import decimal
    import enum
    import uuid

    from markupsafe import Markup

    app = fw.app()
    app.log = log

    @dataclasses.dataclass
    class Data:
        x: int
        y: str = "ü"

    class Colour(enum.Enum):
        RED = 1

    class Number(enum.IntEnum):
        ONE = 1

    values: list[t.Any] = [
        {"b": 1, "a": {"d": 2, "c": [True, None, 1.0, 1e100, -0.0]}, "ü☃": "\u2028</script>"},
        {"f": [float("nan"), float("inf")], "big": 2**70, "neg": -(2**63), "u": 2**64 - 1},
        {1: "int", 2: "keys"},
        {"mixed": 1, None: 2},
        [datetime.datetime(2020, 1, 2, 3, 4, 5), datetime.date(2020, 1, 2), uuid.UUID(int=5)],
        [decimal.Decimal("1.10"), Markup("<b>&</b>"), Data(1), (1, 2)],
        {"set": {1}},
        [Colour.RED],
        [Number.ONE, {True: 1, 1.5: 2}],
        {"surrogate": "\ud800", "control": "\x00\x1f\x7f"},
        [datetime.time(1, 2), b"bytes"],
        {"long": "x" * 1000, "esc": '"\\/\b\f\n\r\t', "emoji": "😀"},
    ]
    for number, value in enumerate(values):
        app.add_url_rule(f"/{number}", endpoint=str(number), view_func=lambda value=value: value)
    app.add_url_rule(
        "/load", endpoint="load", methods=["POST"], view_func=lambda: [fw.request.json, 1]
    )
    return app


def setup_methods(app: t.Any, fw: Framework) -> None:
    bp = app.blueprints["bp"]
    fresh = fw.Blueprint("fresh", "x")
    tries: dict[str, t.Callable[[], t.Any]] = {
        "route": lambda: app.route("/late")(len),
        "get": lambda: app.get("/late")(len),
        "add_url_rule": lambda: app.add_url_rule("/late", view_func=len),
        "before_request": lambda: app.before_request(len),
        "after_request": lambda: app.after_request(len),
        "teardown_request": lambda: app.teardown_request(len),
        "teardown_appcontext": lambda: app.teardown_appcontext(len),
        "errorhandler": lambda: app.errorhandler(404)(len),
        "register_error_handler": lambda: app.register_error_handler(404, len),
        "register_blueprint": lambda: app.register_blueprint(fresh),
        "context_processor": lambda: app.context_processor(dict),
        "template_filter": lambda: app.template_filter("x")(len),
        "shell": lambda: app.shell_context_processor(dict),
        "endpoint": lambda: app.endpoint("x")(len),
        "url_defaults": lambda: app.url_defaults(len),
        "url_value_preprocessor": lambda: app.url_value_preprocessor(len),
        "bp route": lambda: bp.route("/late")(len),
        "bp before": lambda: bp.before_request(len),
        "bp record": lambda: bp.record(len),
        "bp app errorhandler": lambda: bp.app_errorhandler(404)(len),
        "bp register": lambda: bp.register_blueprint(fresh),
        "bp before app": lambda: bp.before_app_request(len),
        "wrong code": lambda: fresh.register_error_handler(999, len),
        "code instance": lambda: fresh.register_error_handler(KeyError("x"), len),
        "no exception": lambda: fresh.register_error_handler(int, len),
        "no class": lambda: fresh.register_error_handler("404", len),
        "base exception": lambda: fresh.register_error_handler(BaseException, len),
        "methods str": lambda: fresh.route("/x", methods="POST")(len),
        "get with methods": lambda: fresh.get("/x", methods=["POST"]),
        "dotted endpoint": lambda: fresh.route("/x", endpoint="a.b")(len),
        "dotted name": lambda: fw.Blueprint("a.b", "x"),
        "empty name": lambda: fw.Blueprint("", "x"),
        "itself": lambda: fresh.register_blueprint(fresh),
        "instance path": lambda: fw.Flask("x", instance_path="relative"),
        "static url path": lambda: fw.Flask("x", static_url_path="static").static_url_path,
        "static host": lambda: fw.Flask("x", static_host="x"),
        "host matching": lambda: fw.Flask("x", host_matching=True),
        "import name": lambda: fw.Flask(None),
        "unknown option": lambda: fw.Flask("x", unknown=1),
        "twice": lambda: [app.register_error_handler(404, len)],
        "bp prefix": lambda: fw.Blueprint("x", "x", static_folder="/abs").static_url_path,
        "no static": lambda: fw.Blueprint("x", "x").static_url_path,
        "no static file": lambda: fw.Blueprint("x", "x").send_static_file("a"),
        "methods str on app": lambda: fw.Flask("x").add_url_rule("/", "e", len, methods="GET"),
        "rule without slash": lambda: fw.Flask("x").add_url_rule("x", "e", len),
        "rule malformed": lambda: fw.Flask("x").add_url_rule("/<x", "e", len),
        "unknown converter": lambda: fw.Flask("x").add_url_rule("/<nope:x>", "e", len),
        "name twice": lambda: fw.Flask("x").add_url_rule("/<x>/<x>", "e", len),
        "open resource mode": lambda: fw.Flask("x").open_resource("a", "w"),
        "register twice": lambda: _register_twice(fw),
        "register another": lambda: _register_twice(fw, other=True),
        "nested twice": lambda: _register_twice(fw, nested=True),
        "another view": lambda: _another_view(fw),
    }
    for name, attempt in tries.items():
        try:
            result = attempt()
            app.log.append((name, result if isinstance(result, str) else type(result).__name__))
        except Exception as error:
            # Erlen adds places and remedies.
            text = re.split(": give both|\n  at ", str(error))[0].replace("Erlen", "Flask")
            app.log.append((name, _flasks_kind(error), text))


def _flasks_kind(error: Exception) -> str:
    kinds = type(error).__mro__
    return next(kind.__name__ for kind in kinds if not kind.__module__.startswith("erlen"))


def _register_twice(fw: Framework, other: bool = False, nested: bool = False) -> None:
    app, bp = fw.Flask("x"), fw.Blueprint("same", "x")
    second = fw.Blueprint("same", "y") if other else bp
    if nested:
        outer = fw.Blueprint("outer", "x")
        outer.register_blueprint(bp)
        outer.register_blueprint(bp)
        app.register_blueprint(outer)
    app.register_blueprint(bp)
    app.register_blueprint(second, name="fine")
    app.register_blueprint(second)


def _another_view(fw: Framework) -> None:
    app = fw.Flask("x")
    app.add_url_rule("/", "e", len)
    app.add_url_rule("/a", "e", len)
    app.add_url_rule("/b", "e", max)


@cases.case(setup_methods, fails=True)
def setup_errors_before_the_first_request(fw: Framework, log: Log) -> t.Any:
    return plain_app(fw, log)


@cases.case(get("/"), setup_methods, fails=True)
def setup_errors_after_the_first_request(fw: Framework, log: Log) -> t.Any:
    return plain_app(fw, log)


@cases.case(
    *(get(f"/{name}") for name in ("view", "boom", "handled", "hooked", "class", "gen")),
    signals=True,
    fails=True,
)
def coroutine_functions(fw: Framework, log: Log) -> t.Any:
    import asyncio

    app = fw.app()
    bp = fw.Blueprint("bp", __name__)

    @app.before_request
    async def before() -> None:
        await asyncio.sleep(0)
        fw.g.seen = fw.request.path
        log.append(("before", fw.request.endpoint))

    @app.after_request
    async def after(response: t.Any) -> t.Any:
        await asyncio.sleep(0)
        log.append(("after", fw.g.seen))
        return response

    @app.teardown_request
    async def teardown(error: t.Any) -> None:
        log.append(("teardown", repr(error), fw.g.seen))

    @app.teardown_appcontext
    async def teardown_app(error: t.Any) -> None:
        log.append(("teardown app", repr(error)))

    @app.route("/view")
    async def view() -> t.Any:
        await asyncio.sleep(0)
        fw.session["x"] = 1
        return {"seen": fw.g.seen}

    @app.route("/boom")
    async def boom() -> t.NoReturn:
        raise ZeroDivisionError

    @app.route("/handled")
    async def handled() -> t.NoReturn:
        raise KeyError("x")

    @app.errorhandler(KeyError)
    async def on_key(error: Exception) -> t.Any:
        await asyncio.sleep(0)
        return repr(error), 299

    @bp.route("/hooked")
    async def hooked() -> str:
        @fw.after_this_request
        async def this(response: t.Any) -> t.Any:
            log.append("after this")
            return response

        return "hooked"

    @bp.before_request
    async def stop() -> t.Any:
        return None

    class View(fw.sub("views").MethodView):  # type: ignore[misc, name-defined]
        async def get(self) -> str:
            return "class"

    @app.route("/gen")
    async def generator() -> t.Any:
        return iter(["a", "b"])

    app.add_url_rule("/class", view_func=View.as_view("class"))
    app.register_blueprint(bp)
    return app


@cases.parametrize()
def test_writes_to_the_application_count_as_in_flask(case: Case) -> None:
    case.check()

"""Classes, JSON providers, late set-up and coroutine functions count as in Flask."""

from __future__ import annotations

import re
import typing as t

from .harness import Case, Cases, Framework, call, get, post
from .test_differential_registries import plain_app

Function = t.Callable[..., t.Any]

cases = Cases()
Log = list[t.Any]


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
def test_replaced_parts_count_as_in_flask(case: Case) -> None:
    case.check()

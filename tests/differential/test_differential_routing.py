"""Rules, methods, redirects, hosts and URL building answer as Flask's do."""

from __future__ import annotations

import typing as t

from werkzeug.routing import BaseConverter, Rule, Submount, ValidationError

from .harness import Case, Cases, Framework, call, get, post

cases = Cases()
Log = list[t.Any]
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO")


def every_method(path: str) -> list[t.Any]:
    return [call(path, method=method) for method in METHODS]


def show(fw: Framework) -> t.Callable[..., t.Any]:
    """A view that tells of the match."""

    def view(**values: t.Any) -> t.Any:
        request = fw.request
        return {
            "endpoint": request.endpoint,
            "values": {name: repr(value) for name, value in values.items()},
            "path": request.path,
            "rule": str(request.url_rule),
            "url": request.url,
            "full": request.full_path,
            "root": request.root_path,
            "blueprints": request.blueprints,
        }

    return view


def with_rules(*rules: tuple[str, dict[str, t.Any]], **app_options: t.Any) -> t.Any:
    def build(fw: Framework, log: Log) -> t.Any:
        app = fw.app(**app_options)
        for number, (rule, options) in enumerate(rules):
            given = {"endpoint": f"e{number}", "view_func": show(fw), **options}
            app.add_url_rule(rule, **given)
        return app

    return build


def rules_case(name: str, rules: list[t.Any], *steps: t.Any, **app_options: t.Any) -> None:
    pairs = [(rule, {}) if isinstance(rule, str) else rule for rule in rules]
    cases.append(Case(name, with_rules(*pairs, **app_options), steps, False, False))


rules_case(
    "strict slashes",
    [
        "/leaf",
        "/branch/",
        ("/loose/", {"strict_slashes": False}),
        ("/l", {"strict_slashes": False}),
    ],
    *(get(p) for p in ("/leaf", "/leaf/", "/branch", "/branch/", "/branch?a=b&c", "/loose")),
    *(get(p) for p in ("/loose/", "/l", "/l/", "/leaf//", "//leaf", "/branch//", "//")),
    post("/branch"),
    call("/branch", method="HEAD"),
    call("/branch", environ={"SCRIPT_NAME": "/mount"}),
)
rules_case(
    "merging of slashes can be turned off",
    [("/a/b", {"merge_slashes": False}), "/c/d", ("/p/<path:p>", {"merge_slashes": False})],
    *(get(p) for p in ("/a//b", "/a/b", "/c//d", "//c/d", "/p//x//y", "/p/x//y", "/p/x")),
)
rules_case(
    "built-in converters",
    [
        "/i/<int:n>",
        "/s/<int(signed=True):n>",
        "/d/<int(fixed_digits=3):n>",
        "/m/<int(min=3, max=7):n>",
        "/f/<float:n>",
        "/fs/<float(signed=True):n>",
        "/u/<uuid:n>",
        "/a/<any(about, help, 'a,b'):n>",
        "/p/<path:n>",
        "/t/<string(length=2):n>",
        "/tm/<string(minlength=2, maxlength=3):n>",
        "/x/<n>-<m>.<any(png, jpg):ext>",
        "/q/<path:n>/edit",
    ],
    *(get(f"/i/{v}") for v in ("0", "007", "-1", "1.5", "x", "9" * 30, "")),
    *(get(f"/s/{v}") for v in ("-5", "5", "--5")),
    *(get(f"/d/{v}") for v in ("005", "5", "1234")),
    *(get(f"/m/{v}") for v in ("2", "3", "7", "8")),
    *(get(f"/f/{v}") for v in ("1.5", "1", ".5", "1.", "-1.5", "1e3")),
    *(get(f"/fs/{v}") for v in ("-1.5", "1.5")),
    *(get(f"/u/{v}") for v in ("12345678-1234-5678-1234-567812345678", "1234", "A" * 36)),
    *(get(f"/a/{v}") for v in ("about", "help", "a,b", "abou", "about/")),
    *(get(f"/p/{v}") for v in ("a", "a/b", "a/b/", "a//b", "é", "%2Fx", "a%0Ab")),
    *(get(f"/t/{v}") for v in ("ab", "a", "abc", "é%20", "ü1")),
    *(get(f"/tm/{v}") for v in ("ab", "a", "abc", "abcd")),
    *(get(f"/x/{v}") for v in ("a-b.png", "a-b-c.jpg", "a-b.gif", "-b.png")),
    *(get(f"/q/{v}") for v in ("a/edit", "a/b/edit", "edit", "edit/edit", "a/edit/edit")),
)
rules_case(
    "the order of rules is their weight's",
    ["/<a>", "/static", "/<int:a>", "/<path:a>", "/<a>/x", "/<int:a>/x", "/static/<a>", "/<x>/<y>"],
    *(get(p) for p in ("/static", "/5", "/word", "/a/b/c", "/5/x", "/b/x", "/static/x", "/1/2")),
)
rules_case(
    "percent-encoded and non-ASCII paths",
    ["/ä/<x>", "/a b", "/plus+", "/<x>/ö", "/per%cent"],
    *(get(p) for p in ("/ä/é", "/%C3%A4/%C3%A9", "/a%20b", "/a+b", "/plus+", "/plus%2B", "/x/ö")),
    call("/", environ={"PATH_INFO": "/\xe4/\xff"}),
    call("/", environ={"PATH_INFO": "/per%cent"}),
)
rules_case(
    "defaults redirect to the shorter URL",
    [
        ("/all/", {"endpoint": "all", "defaults": {"page": 1}}),
        ("/all/page/<int:page>", {"endpoint": "all", "view_func": None}),
        ("/d/", {"defaults": {"a": "x", "b": 2}}),
        ("/same/<int:n>", {"defaults": {"extra": None}}),
    ],
    *(get(p) for p in ("/all/", "/all", "/all/page/1", "/all/page/2", "/d/", "/same/3")),
)
rules_case(
    "redirect_to and aliases",
    [
        "/new/<int:x>",
        ("/old/<int:x>", {"redirect_to": "/new/<x>"}),
        ("/odd/<int:x>", {"redirect_to": lambda adapter, x: f"/new/{x + 1}"}),
        ("/e/<int:x>", {"endpoint": "twice"}),
        ("/f/<int:x>", {"endpoint": "twice", "alias": True, "view_func": None}),
        ("/built", {"build_only": True}),
    ],
    *(get(p) for p in ("/new/1", "/old/1", "/odd/1?q=1", "/e/1", "/f/1", "/built")),
    post("/old/1"),
)
rules_case(
    "methods",
    [
        "/get",
        ("/post", {"methods": ["POST"]}),
        ("/both", {"methods": ["GET", "POST"]}),
        ("/lower", {"methods": ["put"]}),
        ("/opt", {"methods": ["OPTIONS", "GET"]}),
        ("/none", {"provide_automatic_options": False}),
        ("/split", {"methods": ["GET"]}),
        ("/split", {"methods": ["POST"]}),
        ("/v/<int:x>", {"methods": ["GET"]}),
        ("/v/<x>", {"methods": ["POST"]}),
        ("/empty", {"methods": []}),
        ("/foo", {"methods": ["FOO"]}),
        ("/forced", {"provide_automatic_options": True}),
    ],
    *(
        step
        for path in ("/get", "/post", "/both", "/lower", "/opt", "/none", "/split", "/v/1", "/v/x")
        for step in every_method(path)
    ),
    *every_method("/empty"),
    *every_method("/foo"),
    *every_method("/forced"),
    *every_method("/missing"),
    call("/get", environ={"REQUEST_METHOD": "get"}),
    call("/get", environ={"REQUEST_METHOD": "post"}),
    call("/opt", environ={"REQUEST_METHOD": "options"}),
    call("/get", environ={"REQUEST_METHOD": "options"}),
    call("/get", environ={"REQUEST_METHOD": "head"}, only_wsgi=True),
)
rules_case(
    "automatic OPTIONS can be turned off for all",
    ["/get", ("/post", {"methods": ["POST"]}), ("/on", {"provide_automatic_options": True})],
    lambda app: app.config.update(PROVIDE_AUTOMATIC_OPTIONS=False),
    lambda app: app.add_url_rule("/late", view_func=lambda: "late", endpoint="late"),
    *every_method("/get"),
    *every_method("/on"),
    *every_method("/late"),
)
rules_case(
    "rules for WebSockets",
    ["/both", ("/ws", {"websocket": True}), ("/both", {"websocket": True, "endpoint": "sock"})],
    *(
        call(path, environ=upgrade)
        for path in ("/both", "/ws")
        for upgrade in (
            {},
            {"HTTP_UPGRADE": "websocket", "HTTP_CONNECTION": "Upgrade"},
            {"HTTP_UPGRADE": "websocket"},
            {"HTTP_UPGRADE": "h2c", "HTTP_CONNECTION": "keep-alive, Upgrade"},
            {"wsgi.url_scheme": "ws"},
            {"wsgi.url_scheme": "wss"},
        )
    ),
)
rules_case(
    "hosts",
    [
        ("/", {"host": "a.test"}),
        ("/", {"host": "<sub>.b.test"}),
        ("/x", {"host": "a.test:8080"}),
        "/any",
    ],
    *(
        call(path, base_url=f"http://{host}/")
        for path in ("/", "/x", "/any", "/static/nothing")
        for host in ("a.test", "A.TEST", "b.test", "c.b.test", "a.test:8080", "a.test:80")
    ),
    host_matching=True,
    static_host="a.test",
)
rules_case(
    "subdomains",
    [("/", {"subdomain": "s"}), ("/", {"subdomain": "<user>"}), "/", ("/x", {"subdomain": ""})],
    *(
        call(path, base_url=f"http://{host}/")
        for path in ("/", "/x", "/y")
        for host in ("main.test", "s.main.test", "u.main.test", "other.test", "main.test:81")
    ),
    subdomain_matching=True,
    config={"SERVER_NAME": "main.test"},
)
rules_case(
    "subdomains count for nothing unless matched",
    [("/", {"subdomain": "s"}), "/", ("/x", {"subdomain": "s"})],
    *(
        call(path, base_url=f"http://{host}/")
        for path in ("/", "/x")
        for host in ("main.test", "s.main.test", "other.test")
    ),
    config={"SERVER_NAME": "main.test"},
)
rules_case(
    "a default subdomain",
    ["/", ("/", {"subdomain": "s"})],
    lambda app: setattr(app.url_map, "default_subdomain", "s"),
    *(call("/", base_url=f"http://{host}/") for host in ("main.test", "s.main.test")),
    get("/x"),
)
rules_case(
    "subdomain matching without a server name",
    ["/", ("/", {"subdomain": "s"})],
    get("/"),
    call("/", base_url="http://s.localhost/"),
    subdomain_matching=True,
)


@cases.case(
    get("/l/1,2,3"), get("/l/"), get("/even/4"), get("/even/5"), get("/url/7"), get("/two/ab/cd")
)
def custom_converters(fw: Framework, log: Log) -> t.Any:
    class ListConverter(BaseConverter):
        def to_python(self, value: str) -> t.Any:
            log.append(("to_python", value))
            return value.split(",")

        def to_url(self, value: t.Any) -> str:
            return ",".join(value)

    class Even(BaseConverter):
        regex = r"\d+"

        def to_python(self, value: str) -> int:
            if int(value) % 2:
                raise ValidationError
            return int(value)

    class Two(BaseConverter):
        regex = r"\w\w/\w\w"
        part_isolating = False

    app = fw.app()
    app.url_map.converters.update(list=ListConverter, even=Even, two=Two)
    for rule in ("/l/<list:x>", "/even/<even:x>", "/url/<even:x>", "/two/<two:x>"):
        app.add_url_rule(rule, endpoint=rule, view_func=show(fw))
    return app


@cases.case(get("/1?next=1"), get("/2", cookies=True), get("/3", cookies=True), signals=True)
def converters_that_use_the_session(fw: Framework, log: Log) -> t.Any:
    class Remember(BaseConverter):
        def to_python(self, value: str) -> t.Any:
            log.append((dict(fw.session), fw.request.args.get("next"), fw.g.get("x")))
            log.append((fw.request.url_rule, fw.has_app_context(), fw.current_app.name))
            fw.session["seen"] = value
            return fw.session.get("seen")

    app = fw.app()
    app.url_map.converters["remember"] = Remember
    app.add_url_rule("/<remember:x>", view_func=show(fw), endpoint="x")
    return app


@cases.case(get("/a/1"), get("/sub/b/2"), get("/sub/c"), get("/sub"), get("/late"))
def rules_added_to_the_map(fw: Framework, log: Log) -> t.Any:
    app = fw.app()
    app.url_map.add(Rule("/a/<int:x>", endpoint="raw"))
    app.url_map.add(
        Submount("/sub", [Rule("/b/<int:x>", endpoint="raw"), Rule("/c", endpoint="raw")])
    )
    app.view_functions["raw"] = lambda x=None: {"x": x, "rule": repr(fw.request.url_rule)}
    return app


@cases.case(get("/x"), get("/y"), lambda app: app.add_url_rule("/y"), fails=True)
def a_rule_without_a_view(fw: Framework, log: Log) -> t.Any:
    app = fw.app()
    app.add_url_rule("/x", endpoint="nowhere")
    return app


@cases.case(
    get("/a"),
    lambda app: app.url_map.add(Rule("/b", endpoint="v")),
    get("/b"),
    lambda app: setattr(app.url_map, "strict_slashes", False),
    lambda app: app.url_map.add(Rule("/c/", endpoint="v")),
    get("/c"),
    get("/b/"),
    lambda app: setattr(app, "url_map", app.url_map_class()),
    get("/a"),
    lambda app: app.url_map.add(Rule("/d", endpoint="w")),
    lambda app: app.view_functions.update(w=lambda: "w"),
    get("/d"),
    get("/a"),
)
def maps_that_change_between_requests(fw: Framework, log: Log) -> t.Any:
    app = fw.app()
    app.add_url_rule("/a", endpoint="v", view_func=lambda: "v")
    return app


@cases.case(get("/x/1"), get("/y"), get("/x/z"), get("/x"), get("/static/a.txt"))
def rule_and_map_classes(fw: Framework, log: Log) -> t.Any:
    class OwnRule(Rule):
        def match_compare_key(self) -> t.Any:
            return super().match_compare_key()

    class OwnMap(fw.Flask.url_map_class):  # type: ignore[misc, name-defined]
        def bind_to_environ(self, *args: t.Any, **kwargs: t.Any) -> t.Any:
            log.append("bound")
            return super().bind_to_environ(*args, **kwargs)

    class OwnApp(fw.Flask):  # type: ignore[misc, name-defined]
        url_rule_class = OwnRule
        url_map_class = OwnMap

    app = fw.app(cls=OwnApp)
    app.add_url_rule("/x/<int:x>", view_func=show(fw), endpoint="x")
    app.add_url_rule("/y", view_func=show(fw), endpoint="y")
    return app


def build_urls(fw: Framework, log: Log) -> t.Any:
    app = fw.app()
    app.add_url_rule("/", endpoint="index", view_func=lambda: "")
    app.add_url_rule("/x/<int:x>", endpoint="x", view_func=lambda x: "", methods=["GET"])
    app.add_url_rule("/y/<x>", endpoint="x", methods=["POST"])
    app.add_url_rule("/p/<path:x>", endpoint="p", view_func=lambda x: "")
    app.add_url_rule("/ws", endpoint="ws", websocket=True)
    app.add_url_rule("/d/", endpoint="d", defaults={"n": 1})
    app.add_url_rule("/d/<int:n>", endpoint="d")
    outer = fw.Blueprint("outer", __name__, url_prefix="/outer")
    inner = fw.Blueprint("inner", __name__, url_prefix="/inner")
    inner.add_url_rule("/i", endpoint="i", view_func=lambda: try_all())
    outer.add_url_rule("/o", endpoint="o", view_func=lambda: try_all())
    outer.register_blueprint(inner)
    app.register_blueprint(outer)

    tries: list[tuple[str, dict[str, t.Any]]] = [
        ("index", {}),
        ("index", {"_external": True}),
        ("index", {"_external": False, "_scheme": "https"}),
        ("index", {"_scheme": "https"}),
        ("index", {"_scheme": ""}),
        ("index", {"_anchor": "a b/#?&ö+%"}),
        ("index", {"_anchor": ""}),
        ("index", {"q": ["a", "b"], "r": "ä &", "n": None, "z": 1.5}),
        ("x", {"x": 5}),
        ("x", {"x": "five"}),
        ("x", {"x": 5, "_method": "POST"}),
        ("x", {"x": 5, "_method": "PUT"}),
        ("x", {}),
        ("p", {"x": "a/b c"}),
        ("ws", {}),
        ("ws", {"_external": True}),
        ("ws", {"_scheme": "wss"}),
        ("d", {}),
        ("d", {"n": 1}),
        ("d", {"n": 2, "m": "x"}),
        ("missing", {}),
        (".o", {}),
        (".inner.i", {}),
        (".i", {}),
        ("outer.inner.i", {"_external": True}),
        ("static", {"filename": "a/b.css", "_anchor": "x"}),
        (".index", {}),
    ]

    def try_all() -> t.Any:
        results = []
        for endpoint, values in tries:
            try:
                results.append(fw.url_for(endpoint, **values))
            except Exception as error:
                results.append(f"{type(error).__name__}: {error}")
        log.extend(results)
        return {"urls": results}

    app.add_url_rule("/try", endpoint="try", view_func=try_all)

    def outside(app: t.Any) -> t.Any:
        with app.app_context():
            return try_all()

    app.outside = outside
    return app


def without_context(app: t.Any) -> t.Any:
    return app.url_for("index")


URL_STEPS = (
    get("/try"),
    get("/outer/o"),
    get("/outer/inner/i"),
    call("/try", base_url="https://host.test:8443/mount"),
    lambda app: app.outside(app),
    without_context,
    lambda app: app.config.update(SERVER_NAME="main.test:80", APPLICATION_ROOT="/base"),
    lambda app: app.config.update(PREFERRED_URL_SCHEME="https"),
    lambda app: app.outside(app),
    without_context,
    get("/try"),
)
cases.case(*URL_STEPS, fails=True)(build_urls)


@cases.case(get("/"), get("/?x=1"), lambda app: app.outside(), fails=True)
def url_build_error_handlers(fw: Framework, log: Log) -> t.Any:
    app = fw.app(config={"SERVER_NAME": "main.test"})

    def first(error: Exception, endpoint: str, values: dict[str, t.Any]) -> t.Any:
        log.append((type(error).__name__, endpoint, sorted(values.items(), key=str)))
        return None

    def second(error: Exception, endpoint: str, values: dict[str, t.Any]) -> t.Any:
        return "/built-by-hand" if endpoint == "by-hand" else None

    def third(error: Exception, endpoint: str, values: dict[str, t.Any]) -> t.Any:
        if endpoint == "twice":
            return fw.url_for("still-missing")
        raise error

    app.url_build_error_handlers += [first, second]
    if fw.name:
        app.url_build_error_handlers.append(third)

    def tries() -> t.Any:
        made = []
        for endpoint in ("by-hand", "other", "twice"):
            try:
                made.append(fw.url_for(endpoint, a=1, _anchor="x", _external=True))
            except Exception as error:
                made.append(f"{type(error).__name__} {error}")
        return made

    def outside() -> t.Any:
        with app.app_context():
            return tries()

    app.outside = outside
    app.add_url_rule("/", endpoint="/", view_func=tries)
    return app


@cases.case(get("/en/about"), get("/en/bp/x"), get("/en/bp/in/y"), get("/bare"))
def url_defaults_and_value_preprocessors(fw: Framework, log: Log) -> t.Any:
    app = fw.app()
    bp = fw.Blueprint("bp", __name__, url_prefix="/<lang>/bp", url_defaults={"d": 1})
    inner = fw.Blueprint("inner", __name__, url_prefix="/in")

    def pull(owner: str) -> t.Any:
        def preprocess(endpoint: t.Any, values: t.Any) -> None:
            log.append((owner, endpoint, dict(values or {})))
            if values and "lang" in values:
                fw.g.lang = values.pop("lang")

        return preprocess

    def add(owner: str) -> t.Any:
        def defaults(endpoint: str, values: dict[str, t.Any]) -> None:
            log.append(("defaults", owner, endpoint, dict(values)))
            if "lang" in fw.g and fw.current_app.url_map.is_endpoint_expecting(endpoint, "lang"):
                values.setdefault("lang", fw.g.lang)

        return defaults

    for owner, name in ((app, "app"), (bp, "bp"), (inner, "inner")):
        owner.url_value_preprocessor(pull(name))
        owner.url_defaults(add(name))
    bp.app_url_value_preprocessor(pull("bp on app"))
    bp.app_url_defaults(add("bp on app"))

    def urls(**values: t.Any) -> t.Any:
        log.append(values)
        made = []
        for endpoint in ("about", "bp.x", "bp.inner.y", "bare"):
            try:
                made.append(fw.url_for(endpoint))
            except Exception as error:
                made.append(str(error))
        return made

    app.add_url_rule("/<lang>/about", endpoint="about", view_func=urls)
    app.add_url_rule("/bare", endpoint="bare", view_func=urls)
    bp.add_url_rule("/x", endpoint="x", view_func=urls)
    inner.add_url_rule("/y", endpoint="y", view_func=urls)
    bp.register_blueprint(inner)
    app.register_blueprint(bp)
    return app


# Not among them: hosts with characters that change the URL around them, which Erlen refuses.
HOSTS = (
    "main.test",
    "a.main.test",
    "evil.test",
    "main.test:5000",
    "",
    "a_b.test",
    "[::1]:80",
)


@cases.case(
    *(call("/", environ={"HTTP_HOST": host}) for host in HOSTS),
    call("/", leave_out=("HTTP_HOST",)),
    lambda app: app.config.update(TRUSTED_HOSTS=["main.test", ".a.main.test"]),
    *(call(path, environ={"HTTP_HOST": host}) for host in HOSTS for path in ("/", "/no")),
    lambda app: app.config.update(TRUSTED_HOSTS=None),
    *(call("/", environ={"HTTP_HOST": host}) for host in HOSTS),
    lambda app: app.config.update(SERVER_NAME="main.test"),
    *(call("/", environ={"HTTP_HOST": host}) for host in HOSTS),
    lambda app: app.config.update(SERVER_NAME="other.test", TRUSTED_HOSTS=["evil.test"]),
    *(call("/", environ={"HTTP_HOST": host}) for host in HOSTS),
    signals=True,
)
def hosts_that_are_trusted_or_not(fw: Framework, log: Log) -> t.Any:
    app = fw.app()

    @app.before_request
    def note() -> None:
        log.append(("before", fw.request.endpoint))

    @app.route("/")
    def index() -> t.Any:
        request = fw.request
        return {"host": request.host, "url": request.url, "trusted": request.trusted_hosts}

    @app.errorhandler(400)
    def refused(error: Exception) -> t.Any:
        return f"{type(error).__name__} {error} {fw.request.path}", 400

    return app


@cases.parametrize()
def test_routing_is_as_in_flask(case: Case) -> None:
    case.check()

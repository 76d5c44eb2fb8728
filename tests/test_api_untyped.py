"""Typed views change nothing for the others: an application of 30 routes, three of them typed."""

from __future__ import annotations

import functools
import typing as t
from dataclasses import dataclass

import pytest

pytest.importorskip("pydantic", reason="pydantic is not installed")

from carrying import carried
from pydantic import BaseModel

from erlen.api import Json, Query
from tests.differential.harness import Call, Framework, call, get, post, run_call


class Item(BaseModel):
    name: str
    price: float


@dataclass
class Place:
    name: str
    size: int = 1


def typed_item(q: Query[int] = 1) -> Item:
    return Item(name="typed", price=q)


def typed_search(word: str, limit: Query[int] = 5) -> dict[str, t.Any]:
    return {"word": word, "limit": limit}


def typed_create(item: Json[Item]) -> tuple[Item, int]:
    return item, 201


TYPED = (typed_item, typed_search, typed_create)


def build(fw: Framework, typed: bool) -> t.Any:
    """An application as people have it; three of its routes typed, or as they would be untyped."""
    app = fw.app()
    views = fw.sub("views")
    log: list[str] = []

    @app.before_request
    def before() -> None:
        fw.g.user = fw.request.args.get("user", "nobody")

    @app.after_request
    def after(response: t.Any) -> t.Any:
        response.headers["X-User"] = fw.g.user
        return response

    @app.url_value_preprocessor
    def languages(endpoint: str | None, values: dict[str, t.Any] | None) -> None:
        if values is not None and "language" in values:
            fw.g.language = values.pop("language")
            values["place"] = Place(fw.g.language)

    def logged(view: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
        @functools.wraps(view)
        def wrapper(*args: t.Any, **values: t.Any) -> t.Any:
            log.append(view.__name__)
            return view(*args, **values)

        return wrapper

    def injected(view: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
        @functools.wraps(view)
        def wrapper(**values: t.Any) -> t.Any:
            return view(user=fw.g.user, **values)

        return wrapper

    def as_dict(view: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
        @functools.wraps(view)
        def wrapper(**values: t.Any) -> t.Any:
            item = view(**values)
            return {"wrapped": item.name, "own": True}

        return wrapper

    @app.route("/")
    def index() -> str:
        return "Hello, wörld!"

    @app.route("/user/<name>")
    def user(name: str) -> str:
        return f"{name} {type(name).__name__}"

    @app.route("/post/<int:number>")
    def number(number: str) -> str:  # the converter decides, not the annotation
        return f"{number} {type(number).__name__}"

    @app.route("/page/", defaults={"page": 1})
    @app.route("/page/<int:page>")
    def page(page: int) -> str:
        return str(page)

    @app.route("/path/<path:path>")
    def path(path) -> str:  # type: ignore[no-untyped-def]
        return t.cast("str", path)

    @app.route("/default")
    def default(limit: int = 10, item: Item | None = None) -> str:
        return f"{limit} {item}"

    @app.route("/dict")
    def of_dict() -> dict[str, t.Any]:
        return {"b": 1, "a": {"z": None, "y": [1.5, "ü"]}}

    @app.route("/list")
    def of_list() -> list[int]:
        return [3, 1, 2]

    @app.route("/places")
    def places() -> list[Place]:
        return [Place("b", 2), Place("a")]

    @app.route("/places/all")
    def places_by_name() -> dict[str, Place]:
        return {"b": Place("b", 2), "a": Place("a")}

    @app.route("/wrapped")
    @as_dict
    def wrapped() -> Item:
        return Item(name="inner", price=1)

    @app.route("/tuple")
    def of_tuple() -> tuple[str, int, dict[str, str]]:
        return "text", 202, {"X-A": "b"}

    @app.route("/response")
    def response() -> t.Any:
        made = fw.Response("r", 203)
        made.set_cookie("a", "b")
        return made

    @app.route("/redirect")
    def redirect() -> t.Any:
        return fw.redirect("/user/ada")

    @app.route("/abort")
    def abort() -> str:
        fw.abort(403)

    @app.route("/jsonify")
    def jsonify() -> t.Any:
        return fw.jsonify(b=1, a=2)

    @app.route("/stream")
    def stream() -> t.Iterator[str]:
        return iter(["a", "b", "c"])

    @app.route("/echo", methods=["POST"])
    def echo() -> t.Any:
        return fw.request.get_json()

    @app.route("/form", methods=["POST"])
    def form() -> str:
        return f"{sorted(fw.request.form.items())} {sorted(fw.request.files)}"

    @app.route("/session")
    def session() -> str:
        fw.session["n"] = fw.session.get("n", 0) + 1
        return str(fw.session["n"])

    @app.route("/injected")
    @injected
    def with_user(user: str) -> str:
        return f"for {user}"

    @app.route("/logged/<name>")
    @logged
    def seen(name: str) -> str:
        return f"{name} {log}"

    @app.route("/<any(de, en):language>/place")
    def in_language(place: Place) -> str:
        return f"{place} {fw.g.language}"

    @app.route("/template")
    def template() -> str:
        return t.cast("str", fw.render_template_string("{{ g.user }} {{ 1 + 1 }}"))

    app.add_url_rule("/partial", "partial", functools.partial(lambda a, b=2: f"{a}{b}", 1))

    class Things(views.MethodView):  # type: ignore[name-defined,misc]
        def get(self, name: str) -> str:
            return f"get {name}"

        def put(self, name: str) -> tuple[dict[str, str], int]:
            return {"put": name}, 201

    app.add_url_rule("/things/<name>", view_func=Things.as_view("things"))

    class Show(views.View):  # type: ignore[name-defined,misc]
        def dispatch_request(self, name: str) -> str:
            return f"show {name}"

    app.add_url_rule("/show/<name>", view_func=Show.as_view("show"))

    rest = TYPED if typed else [_untyped(fw, view) for view in TYPED]
    app.add_url_rule("/typed/item", "item", rest[0])
    app.add_url_rule("/typed/search", "search", rest[1])
    app.add_url_rule("/typed/create", "create", rest[2], methods=["POST"])
    return app


def _untyped(fw: Framework, view: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
    def plain(**values: t.Any) -> str:
        return view.__name__

    return plain


MULTIPART = (
    b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    b'--b\r\nContent-Disposition: form-data; name="f"; filename="f.txt"\r\n\r\nx\r\n--b--\r\n'
)
REQUESTS: tuple[Call, ...] = (
    get("/"),
    get("/?user=ada"),
    get("/user/ada"),
    get("/user/caf%C3%A9"),
    get("/post/5"),
    get("/post/x"),
    get("/page/"),
    get("/page/3"),
    get("/page/1"),
    get("/path/a/b"),
    get("/default?limit=3&item=x"),
    get("/dict"),
    get("/list"),
    get("/places"),
    get("/places/all"),
    get("/wrapped"),
    get("/tuple"),
    get("/response"),
    get("/redirect"),
    get("/abort"),
    get("/jsonify"),
    get("/stream"),
    post("/echo", data='{"b": 1, "a": [1.0]}', content_type="application/json"),
    post("/echo", data="{", content_type="application/json"),
    post("/echo", data="{}"),
    post("/form", {"a": "1", "b": ["2", "3"]}),
    post("/form", MULTIPART, content_type="multipart/form-data; boundary=b"),
    get("/session", cookies=True),
    get("/session", cookies=True),
    get("/injected?user=ada"),
    get("/logged/a"),
    get("/de/place"),
    get("/fr/place"),
    get("/template?user=ada"),
    get("/partial"),
    get("/things/a"),
    call("/things/a", method="PUT"),
    call("/things/a", method="POST"),
    get("/show/a"),
    call("/", method="HEAD"),
    call("/", method="OPTIONS"),
    call("/things/a", method="OPTIONS"),
    get("/missing"),
)


def answers(framework: str, typed: bool) -> list[t.Any]:
    app = build(Framework(framework), typed)
    jar: dict[str, str] = {}
    found = []
    for request in REQUESTS:
        target = carried(app) if framework == "erlen" else app
        seen = run_call(target, request, [], jar)
        found.append((request.path, seen.status, seen.headers, seen.body, seen.raised))
    return found


def test_the_untyped_routes_answer_as_in_flask_when_three_become_typed(
    real_flask: t.Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ERLEN_TEST_TRANSPORT", raising=False)  # byte for byte, so WSGI
    app = build(Framework("erlen"), True)
    assert len([rule for rule in app.url_map.iter_rules() if rule.endpoint != "static"]) >= 30
    expected = answers("flask", False)
    assert answers("erlen", True) == expected
    assert answers("erlen", False) == expected


def test_the_three_are_typed(transport: str) -> None:
    client = build(Framework("erlen"), True).test_client()
    assert client.get("/typed/item?q=3").get_json() == {"name": "typed", "price": 3.0}
    assert client.get("/typed/search?word=a").get_json() == {"word": "a", "limit": 5}
    assert client.get("/typed/search").status_code == 422
    assert client.post("/typed/create", json={"name": "a", "price": 1}).status_code == 201


def test_views_that_ask_for_nothing_are_left_as_they_are() -> None:
    app = build(Framework("erlen"), True)
    app.prepare()
    plans = {plan.endpoint: plan for plan in app._current_program().plans_by_rule.values()}
    typed = {"item", "search", "create"}
    asked = {"in_language", "wrapped"}  # they look as if, and are found to be Flask's by request
    for endpoint, view in app.view_functions.items():
        is_derived = plans[endpoint].view is not view
        assert is_derived == (endpoint in typed | asked), endpoint


def test_without_typed_views_pydantic_is_not_imported(run_python: t.Any) -> None:
    done = run_python(
        "import sys\n"
        "from erlen import Erlen\n"
        "app = Erlen('x')\n"
        "@app.get('/<int:n>')\n"
        "def view(n: int, q: int = 0) -> dict:\n"
        "    return {'n': n}\n"
        "assert app.test_client().get('/3').json == {'n': 3}\n"
        "assert 'pydantic' not in sys.modules, 'pydantic'\n"
        "assert 'erlen.api' not in sys.modules, 'erlen.api'\n"
    )
    assert done.returncode == 0, done.stderr


def test_an_application_with_answers_of_its_own_makes_them(app: t.Any) -> None:
    class Own(type(app)):  # type: ignore[misc]
        def make_response(self, rv: t.Any) -> t.Any:
            return super().make_response(f"own {rv.name}" if isinstance(rv, Item) else rv)

    app = Own("own", root_path="/nonexistent")

    @app.get("/")
    def view() -> Item:
        return Item(name="a", price=1)

    assert app.test_client().get("/").data == b"own a"

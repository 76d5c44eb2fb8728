"""Class-based views."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from werkzeug.http import parse_set_header


@pytest.fixture
def app(framework: ModuleType) -> Any:
    return framework.Flask("views_app")


@pytest.fixture
def views(framework: ModuleType) -> Any:
    return importlib.import_module(f"{framework.__name__}.views")


def allowed(client: Any, path: str = "/") -> list[str]:
    return sorted(parse_set_header(client.options(path).headers.get("Allow", "")))


def test_the_object_answers_with_the_variables_of_the_url(app: Any, views: Any) -> None:
    class Show(views.View):
        methods = ["POST"]

        def __init__(self, greeting: str, mark: str) -> None:
            self.greeting, self.mark = greeting, mark

        def dispatch_request(self, name: str) -> str:
            return f"{self.greeting}, {name}{self.mark}"

    app.add_url_rule("/<name>", view_func=Show.as_view("show", "Hello", mark="!"))
    client = app.test_client()
    assert client.post("/World").text == "Hello, World!"
    assert client.get("/World").status_code == 405


def test_the_function_of_a_view_describes_its_class(views: Any) -> None:
    class Show(views.View):
        """What it shows."""

        methods = ["PUT"]
        provide_automatic_options = False

    view = Show.as_view("the_name")
    assert (view.__name__, view.__module__, view.__doc__) == ("the_name", __name__, Show.__doc__)
    assert view.__dict__ == {
        "view_class": Show,
        "methods": ["PUT"],
        "provide_automatic_options": False,
    }


def test_a_view_without_dispatch_request_is_an_error(views: Any) -> None:
    with pytest.raises(NotImplementedError):
        views.View().dispatch_request()


@pytest.mark.parametrize("every", [True, False], ids=["each request", "once"])
def test_the_object_is_made_for_each_request_or_once(app: Any, views: Any, every: bool) -> None:
    made: list[None] = []

    class Count(views.View):
        init_every_request = every

        def __init__(self) -> None:
            made.append(None)

        def dispatch_request(self) -> str:
            return str(len(made))

    app.add_url_rule("/", view_func=Count.as_view("count"))
    client = app.test_client()
    assert [client.get("/").text for _ in range(3)] == (
        ["1", "2", "3"] if every else ["1", "1", "1"]
    )


def test_decorators_are_applied_first_to_last(app: Any, views: Any) -> None:
    def mark(letter: str) -> Callable[..., Any]:
        return lambda view: lambda **values: view(**values) + letter

    class Marked(views.View):
        decorators = [mark("a"), mark("b")]

        def dispatch_request(self) -> str:
            return "-"

    view = Marked.as_view("marked")
    app.add_url_rule("/", view_func=view)
    assert app.test_client().get("/").text == "-ab"
    assert (view.view_class, view.__name__, view.__module__) == (Marked, "marked", __name__)


@pytest.mark.parametrize("decorated", [False, True], ids=["plain", "decorated"])
def test_the_class_of_a_view_can_be_replaced(app: Any, views: Any, decorated: bool) -> None:
    class One(views.MethodView):
        decorators = [lambda view: lambda **values: view(**values)] * decorated

        def get(self) -> str:
            return "one"

    class Two(One):
        def get(self) -> str:
            return "two"

    view = One.as_view("view")
    view.view_class = Two
    app.add_url_rule("/", view_func=view)
    assert app.test_client().get("/").text == "two"


@pytest.mark.parametrize(
    ("setting", "status", "methods"),
    [(None, 200, ["GET", "HEAD", "OPTIONS"]), (False, 405, ["GET", "HEAD"])],
    ids=["automatic", "off"],
)
def test_options_can_be_left_to_the_view(
    app: Any, views: Any, setting: bool | None, status: int, methods: list[str]
) -> None:
    class Index(views.View):
        provide_automatic_options = setting

        def dispatch_request(self) -> str:
            return ""

    app.add_url_rule("/", view_func=Index.as_view("index"))
    client = app.test_client()
    assert client.options("/").status_code == status
    assert allowed(client) == methods


# -- a method for each HTTP method ------------------------------------------------------------


def test_each_http_method_has_its_function(app: Any, views: Any) -> None:
    class Item(views.MethodView):
        def get(self, n: int) -> str:
            return f"get {n}"

        def delete(self, n: int) -> str:
            return f"delete {n}"

    app.add_url_rule("/<int:n>", view_func=Item.as_view("item"))
    client = app.test_client()
    assert (client.get("/1").text, client.delete("/2").text) == ("get 1", "delete 2")
    assert client.post("/1").status_code == 405
    assert allowed(client, "/1") == ["DELETE", "GET", "HEAD", "OPTIONS"]


@pytest.mark.parametrize("own", [False, True], ids=["get", "head"])
def test_head_is_answered_by_get_unless_there_is_head(app: Any, views: Any, own: bool) -> None:
    class Item(views.MethodView):
        def get(self) -> tuple[str, dict[str, str]]:
            return "body", {"X-By": "get"}

    if own:
        Item.head = lambda self: ("", {"X-By": "head"})
    app.add_url_rule("/", view_func=Item.as_view("item"))
    answer = app.test_client().head("/")
    assert (answer.data, answer.headers["X-By"]) == (b"", "head" if own else "get")


def test_a_method_that_the_class_lacks_is_named(app: Any, views: Any) -> None:
    class Empty(views.MethodView):
        methods = ["PATCH"]

    with app.test_request_context(method="PATCH"):
        with pytest.raises(AssertionError, match="Unimplemented method 'PATCH'"):
            Empty().dispatch_request()


def has(*names: str) -> dict[str, Any]:
    return {name: lambda self, _name=name: _name for name in names}


@pytest.mark.parametrize(
    ("bases", "body", "methods"),
    [
        pytest.param([], {}, None, id="none"),
        pytest.param([], has("get", "post"), {"GET", "POST"}, id="own"),
        pytest.param([has("get")], {}, {"GET"}, id="inherited"),
        pytest.param([has("get")], has("post"), {"GET", "POST"}, id="both"),
        pytest.param([has("get"), has("delete")], {}, {"GET", "DELETE"}, id="two parents"),
        pytest.param([has("get")], {"methods": ["POST"]}, ["POST"], id="given"),
        pytest.param(
            [{"methods": ["GET", "PROPFIND"]}], has("put"), {"GET", "PROPFIND", "PUT"}, id="more"
        ),
    ],
)
def test_the_http_methods_follow_from_the_class(
    views: Any, bases: list[dict[str, Any]], body: dict[str, Any], methods: Any
) -> None:
    parents = tuple(
        type(f"Parent{n}", (views.MethodView,), dict(parent)) for n, parent in enumerate(bases)
    )
    made: Any = type("Made", parents or (views.MethodView,), dict(body))
    assert made.methods == methods


def test_a_method_may_be_a_coroutine_function(app: Any, views: Any) -> None:
    class Index(views.MethodView):
        async def get(self) -> str:
            return "awaited"

    class Other(views.View):
        async def dispatch_request(self) -> str:
            return "awaited too"

    app.add_url_rule("/", view_func=Index.as_view("index"))
    app.add_url_rule("/other", view_func=Other.as_view("other"))
    client = app.test_client()
    assert (client.get("/").text, client.get("/other").text) == ("awaited", "awaited too")


def test_the_names_of_the_http_methods_are_public(views: Any) -> None:
    assert views.http_method_funcs == {
        "get", "post", "head", "options", "delete", "put", "trace", "patch",
    }  # fmt: skip

"""The OpenAPI document: what operations take, and what the whole says."""

from __future__ import annotations

import sys
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

import pytest

pytest.importorskip("pydantic", reason="pydantic is not installed")

from describing import (
    Colour,
    Item,
    Missing,
    Pet,
    described,
    only,
    parameter,
    schema_of,
    whole,
)
from pydantic import BaseModel, Field
from werkzeug.routing import BaseConverter

from erlen import Blueprint, Erlen, EventStream
from erlen.api import (
    Cookie,
    File,
    Form,
    Header,
    In,
    Json,
    Page,
    PageParams,
    Query,
    Upload,
    UploadFile,
)
from erlen.api.openapi import document, kept_document

T = TypeVar("T")


@dataclass
class Point:
    x: int
    y: int = 0


class Box(BaseModel, Generic[T]):
    inside: T


# Untyped views


def test_an_untyped_view_is_described_by_its_rule_and_docstring(app: Erlen) -> None:
    @app.route("/users/<int(min=1):user_id>/<any(a, b):part>/<path:rest>", methods=["GET", "PUT"])
    def show(user_id, part, rest):  # type: ignore[no-untyped-def]
        """Show a part
        of a user.

        With more
        to say.
        """

    made = described(app)
    (item,) = made["paths"].values()
    assert [*made["paths"]] == ["/users/{user_id}/{part}/{rest}"]
    assert [*item] == ["get", "put"]
    assert item["get"]["summary"] == "Show a part of a user."
    assert item["get"]["description"] == "With more\nto say."
    assert [each["schema"] for each in item["get"]["parameters"]] == [
        {"type": "integer", "minimum": 1},
        {"type": "string", "enum": ["a", "b"]},
        {"type": "string"},
    ]
    assert item["get"]["operationId"] == "show_get"
    assert item["get"]["responses"]["404"] == {"description": "Not Found"}


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        (str, "text/html"),
        (dict, "application/json"),
        (dict[str, int], "application/json"),
        (list, "application/json"),
        (EventStream, "text/event-stream"),
        ("str", "text/html"),
        ("dict[str, Anything]", "application/json"),
    ],
)
def test_what_flask_answers_itself_is_described_by_its_content_type(
    app: Erlen, annotation: Any, kind: str
) -> None:
    def view():  # type: ignore[no-untyped-def]
        return ""

    view.__annotations__["return"] = annotation
    app.get("/")(view)
    assert [*only(described(app))["responses"]["200"]["content"]] == [kind]


def test_what_nobody_says_is_not_made_up(app: Erlen) -> None:
    app.get("/")(lambda: "")
    assert only(described(app))["responses"] == {"200": {"description": "OK"}}


def test_static_files_hidden_rules_sockets_and_automatic_methods_are_left_out(app: Erlen) -> None:
    app.get("/hidden", hidden=True, endpoint="h")(lambda: "")
    app.websocket("/socket", endpoint="s")(lambda: None)  # type: ignore[arg-type, return-value]
    app.add_url_rule("/built", "built", lambda: "", build_only=True)
    app.get("/shown")(lambda: "")
    made = document(app)
    assert {path: [*item] for path, item in made["paths"].items()} == {"/shown": ["get"]}


def test_methods_that_a_rule_names_itself_are_described(app: Erlen) -> None:
    app.route("/", methods=["HEAD"])(lambda: "")
    app.route("/options", methods=["OPTIONS"], endpoint="o")(lambda: "")
    made = described(app)
    assert {path: [*item] for path, item in made["paths"].items()} == {
        "/": ["head"],
        "/options": ["options"],
    }


def test_views_with_annotations_that_nobody_can_read_are_described_all_the_same(app: Erlen) -> None:
    def view(name: Unknown) -> Unheard:  # type: ignore[name-defined]  # noqa: F821
        """Work."""

    app.get("/<name>")(view)
    assert only(described(app))["summary"] == "Work."


@pytest.mark.parametrize(
    ("rule", "schema"),
    [
        ("/<float(max=2.5):x>", {"type": "number", "minimum": 0, "maximum": 2.5}),
        ("/<int(signed=True):x>", {"type": "integer"}),
        ("/<int:x>", {"type": "integer", "minimum": 0}),
        ("/<uuid:x>", {"type": "string", "format": "uuid"}),
        ("/<x>", {"type": "string", "minLength": 1}),
        ("/<string(length=3):x>", {"type": "string", "minLength": 3, "maxLength": 3}),
        (
            "/<string(minlength=2, maxlength=4):x>",
            {"type": "string", "minLength": 2, "maxLength": 4},
        ),
        ("/<own:x>", {"type": "string", "pattern": "^[ab]+$"}),
    ],
)
def test_a_converter_says_what_it_lets_through(
    app: Erlen, rule: str, schema: dict[str, Any]
) -> None:
    class Own(BaseConverter):
        regex = "[ab]+"
        schema = {"type": "string", "pattern": "^[ab]+$"}

    app.url_map.converters["own"] = Own
    app.get(rule)(lambda x: "")
    assert parameter(only(described(app)), "x") == {
        "name": "x",
        "in": "path",
        "required": True,
        "schema": schema,
    }


def test_a_converter_that_refuses_late_makes_405_possible_where_a_url_has_other_methods(
    app: Erlen,
) -> None:
    app.get("/a/<int(max=5):x>", endpoint="get_a")(lambda x: "")
    app.delete("/a/<int(max=5):x>", endpoint="delete_a")(lambda x: "")
    app.get("/b/<int:x>", endpoint="get_b")(lambda x: "")
    app.delete("/b/<int:x>", endpoint="delete_b")(lambda x: "")
    assert app.test_client().delete("/a/6").status_code == 405
    assert app.test_client().delete("/b/x").status_code == 404
    paths = described(app)["paths"]
    assert "Allow" in paths["/a/{x}"]["delete"]["responses"]["405"]["headers"]
    assert "405" not in paths["/b/{x}"]["delete"]["responses"]


# Parameters


def test_parameters_say_where_they_come_from_and_what_they_can_be(app: Erlen) -> None:
    @app.get("/<item_id>")
    def view(
        item_id: Annotated[int, In("path")],
        q: Query[Annotated[str, Field(max_length=5, description="Sought.", examples=["x"])]],
        tags: Query[list[str]] = [],  # noqa: B006
        user_agent: Header[str | None] = None,
        seen: Cookie[bool] = False,
        old: Query[Annotated[int, Field(deprecated=True, alias="former")]] = 3,
        colour: Query[Colour] = Colour.RED,
    ) -> Item:
        raise NotImplementedError

    found = only(described(app))["parameters"]
    assert [(each["in"], each["name"], each.get("required", False)) for each in found] == [
        ("path", "item_id", True),
        ("query", "q", True),
        ("query", "tags", False),
        ("header", "user-agent", False),
        ("cookie", "seen", False),
        ("query", "former", False),
        ("query", "colour", False),
    ]
    by_name = {each["name"]: each for each in found}
    assert by_name["item_id"]["schema"] == {"type": "integer"}
    assert by_name["q"]["description"] == "Sought."
    assert by_name["q"]["schema"] == {"type": "string", "maxLength": 5, "examples": ["x"]}
    assert by_name["tags"]["schema"]["items"] == {"type": "string"}
    assert by_name["user-agent"]["schema"] == {"type": "string"}
    assert by_name["former"]["deprecated"] is True
    assert by_name["former"]["schema"]["default"] == 3
    assert by_name["colour"]["schema"]["default"] == "red"


def test_a_variable_is_described_within_what_its_converter_lets_through(app: Erlen) -> None:
    @app.get("/<int(min=2, max=9):number>")
    def view(number: Annotated[int, Field(ge=1, le=5, description="Which.")]) -> Item:
        raise NotImplementedError

    found = parameter(only(described(app)), "number")
    assert found["description"] == "Which."
    assert found["schema"] == {"type": "integer", "minimum": 2, "maximum": 5}


def test_a_model_of_the_whole_query_is_described_member_by_member(app: Erlen) -> None:
    app.get("/")(lambda page: "")

    @app.get("/items")
    def items(page: Query[PageParams]) -> Page[Item]:
        raise NotImplementedError

    operation = described(app)["paths"]["/items"]["get"]
    assert parameter(operation, "size")["schema"]["maximum"] == 100
    assert parameter(operation, "page")["description"] == "Number of the page, from 1."
    assert "Link" in operation["responses"]["200"]["headers"]


def test_rules_with_defaults_have_their_own_parameters(app: Erlen) -> None:
    @app.get("/", defaults={"page": 1})
    @app.get("/page/<int:page>")
    def index(page: int) -> Item:
        raise NotImplementedError

    paths = described(app)["paths"]
    assert "parameters" not in paths["/"]["get"]
    assert parameter(paths["/page/{page}"]["get"], "page")["schema"]["type"] == "integer"
    names = [item["get"]["operationId"] for item in paths.values()]
    assert sorted(names) == ["index_page_page", "index_root"]


# Bodies


@pytest.mark.parametrize("kind", [Item, Point, list[Item], Pet, dict[str, int], Box[Item]], ids=str)
def test_a_json_body_is_described_by_its_type(app: Erlen, kind: Any) -> None:
    def view(body):  # type: ignore[no-untyped-def]
        return ""

    view.__annotations__["body"] = Json[kind]
    app.post("/")(view)
    made = described(app)
    operation = only(made)
    assert operation["requestBody"]["required"] is True
    assert [*operation["requestBody"]["content"]] == ["application/json"]
    assert {"400", "415", "422"} <= operation["responses"].keys()
    assert schema_of(operation, "422") == {"$ref": "#/components/schemas/Problem"}


def test_messagepack_is_described_where_it_is_asked_for(app: Erlen) -> None:
    @app.post("/")
    def view(item: Item) -> Item:
        return item

    for msgpack, kinds in (
        (False, ["application/json"]),
        (True, ["application/json", "application/vnd.msgpack"]),
    ):
        operation = only(described(app, msgpack=msgpack))
        assert [*operation["requestBody"]["content"]] == kinds
        assert [*operation["responses"]["200"]["content"]] == kinds


def test_a_discriminated_union_names_what_tells_its_types_apart(app: Erlen) -> None:
    @app.post("/")
    def view(pet: Pet) -> Pet:
        return pet

    schema = only(described(app))["requestBody"]["content"]["application/json"]["schema"]
    assert schema["discriminator"] == {
        "propertyName": "kind",
        "mapping": {"cat": "#/components/schemas/Cat", "dog": "#/components/schemas/Dog"},
    }


def test_several_bodies_are_keys_of_one(app: Erlen) -> None:
    @app.post("/")
    def view(item: Json[Item], count: Json[int] = 1) -> Item:
        return item

    schema = only(described(app))["requestBody"]["content"]["application/json"]["schema"]
    assert schema["required"] == ["item"]
    assert schema["properties"]["count"] == {"type": "integer", "default": 1}


def test_a_form_comes_either_way_and_one_with_files_in_parts(app: Erlen) -> None:
    @app.post("/form")
    def form(name: Form[str], note: Form[str | None] = None) -> Item:
        raise NotImplementedError

    @app.post("/upload")
    def upload(
        picture: File[Annotated[UploadFile, Upload(content_types=["image/png"], max_size=5)]],
        more: File[list[UploadFile]],
        title: Form[str] = "",
    ) -> Item:
        raise NotImplementedError

    paths = described(app)["paths"]
    content = paths["/form"]["post"]["requestBody"]["content"]
    assert [*content] == ["application/x-www-form-urlencoded", "multipart/form-data"]
    schema = content["multipart/form-data"]["schema"]
    # A field that is empty counts as not there, and no text stands for null.
    assert schema["properties"] == {
        "name": {"type": "string", "minLength": 1},
        "note": {"type": "string"},
    }
    assert schema["required"] == ["name"]
    content = paths["/upload"]["post"]["requestBody"]["content"]
    assert [*content] == ["multipart/form-data"]
    assert content["multipart/form-data"]["encoding"] == {"picture": {"contentType": "image/png"}}
    properties = content["multipart/form-data"]["schema"]["properties"]
    assert properties["picture"]["contentMediaType"] == "image/png"
    assert properties["more"]["type"] == "array"
    # A file that is too large, and a form that is.
    kinds = paths["/upload"]["post"]["responses"]["413"]["content"].keys()
    assert kinds == {"application/problem+json", "text/html"}


def test_structs_are_described(app: Erlen) -> None:
    msgspec = pytest.importorskip("msgspec", reason="msgspec is not installed")
    struct = msgspec.defstruct("Thing", [("name", str), ("size", int, 1)])

    def view(thing):  # type: ignore[no-untyped-def]
        return thing

    view.__annotations__.update(thing=struct, **{"return": struct})
    app.post("/")(view)
    made = described(app)
    schema = only(made)["requestBody"]["content"]["application/json"]["schema"]
    while "$ref" in schema:
        schema = made["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    assert schema["properties"]["name"] == {"type": "string"}
    assert schema["required"] == ["name"]


# Names, tags, texts


def test_names_stay_when_others_are_added(app: Erlen) -> None:
    part = Blueprint("part", __name__, url_prefix="/part")
    part.get("/one")(whole)
    app.register_blueprint(part)
    app.get("/named", operation_id="named", endpoint="x")(whole)
    before = {path: item["get"]["operationId"] for path, item in described(app)["paths"].items()}
    assert before == {"/part/one": "part_whole", "/named": "named"}
    app.get("/two", endpoint="two")(whole)
    app.get("/clash", endpoint="part_whole")(whole)
    after = {path: item["get"]["operationId"] for path, item in described(app)["paths"].items()}
    assert before.items() <= after.items()
    assert len({*after.values()}) == 4


def test_blueprints_are_tags_described_by_their_modules(app: Erlen) -> None:
    module = types.ModuleType("shop_part", "Things to buy.\n\nMore about them.")
    sys.modules["shop_part"] = module
    try:
        part = Blueprint("shop", "shop_part", root_path="/nowhere")
        part.get("/shop")(whole)
        part.get("/other", tags=["own"], endpoint="o")(whole)
        inner = Blueprint("inner", __name__)
        inner.get("/inner")(whole)
        part.register_blueprint(inner)
        app.register_blueprint(part)
        made = described(app, tags={"own": "What is said."})
    finally:
        del sys.modules["shop_part"]
    assert made["paths"]["/shop"]["get"]["tags"] == ["shop"]
    assert made["paths"]["/other"]["get"]["tags"] == ["own"]
    assert made["paths"]["/inner"]["get"]["tags"] == ["shop.inner"]
    tags = {each["name"]: each["description"] for each in made["tags"]}
    assert tags["own"] == "What is said."
    assert tags["shop"] == "Things to buy."


def test_a_route_says_what_its_docstring_does_not(app: Erlen) -> None:
    @app.get(
        "/",
        summary="Short.",
        description="Long.",
        deprecated=True,
        external_docs={"url": "https://example.com"},
        openapi={"x-own": 1, "responses": {"200": {"description": "Fine."}}},
    )
    def view() -> str:
        """Not this."""
        return ""

    operation = only(described(app))
    assert operation["summary"] == "Short."
    assert operation["description"] == "Long."
    assert operation["deprecated"] is True
    assert operation["externalDocs"] == {"url": "https://example.com"}
    assert operation["x-own"] == 1
    assert operation["responses"]["200"]["description"] == "Fine."
    assert "text/html" in operation["responses"]["200"]["content"]


def test_examples_are_shown_where_they_belong(app: Erlen) -> None:
    pen = {"name": "pen", "price": 2.0}

    @app.post("/", examples={"request": {"a pen": {"name": "pen"}}, 200: {"a pen": pen}})
    def view(item: Item) -> Item:
        return item

    operation = only(described(app))
    media = operation["requestBody"]["content"]["application/json"]
    assert media["examples"] == {"a pen": {"value": {"name": "pen"}}}
    media = operation["responses"]["200"]["content"]["application/json"]
    assert media["examples"] == {"a pen": {"value": pen}}
    schemas = described(app)["components"]["schemas"]
    assert schemas["Item"]["properties"]["name"]["examples"] == ["pen"]


# What an application calls


def test_webhooks_and_callbacks_are_functions_with_types(app: Erlen) -> None:
    def sold(item: Item) -> None:
        """Tell that something is sold."""

    def paid(amount: Json[int]) -> Missing:
        raise NotImplementedError

    @app.post("/", callbacks={"paid": {"{$request.body#/url}": paid}})
    def view(item: Item) -> Item:
        return item

    raw = {"responses": {"200": {"description": "Fine."}}}
    made = described(app, webhooks={"sold": sold, "other": {"PUT": sold, "delete": raw}})
    assert made["webhooks"]["sold"]["post"]["summary"] == "Tell that something is sold."
    assert "204" in made["webhooks"]["sold"]["post"]["responses"]
    assert made["webhooks"]["other"]["put"]["operationId"] == "other_put"
    assert made["webhooks"]["other"]["delete"] == raw
    called = only(made)["callbacks"]["paid"]["{$request.body#/url}"]["post"]
    assert called["requestBody"]["content"]["application/json"]["schema"] == {"type": "integer"}
    assert "Missing" in made["components"]["schemas"]


# The whole


def test_what_an_application_says_of_itself_stands_in_the_document(app: Erlen) -> None:
    app.get("/")(whole)
    made = described(
        app,
        title="Shop",
        version="2",
        description="Sells.",
        terms_of_service="https://example.com/terms",
        license={"name": "MIT"},
        servers=["https://example.com", {"url": "/v2", "description": "Next."}],
        external_docs={"url": "https://example.com/docs"},
        security=[],
        components={"securitySchemes": {"Own": {"type": "http", "scheme": "basic"}}},
    )
    assert made["info"] == {
        "title": "Shop",
        "version": "2",
        "description": "Sells.",
        "termsOfService": "https://example.com/terms",
        "license": {"name": "MIT"},
    }
    assert made["servers"] == [
        {"url": "https://example.com"},
        {"url": "/v2", "description": "Next."},
    ]
    assert made["externalDocs"] == {"url": "https://example.com/docs"}
    assert {"Own"} == made["components"]["securitySchemes"].keys()
    assert {"Item", "Colour"} == made["components"]["schemas"].keys()


def test_an_application_without_routes_has_a_document(app: Erlen) -> None:
    assert described(app) == {
        "openapi": "3.1.0",
        "info": {"title": "test_app", "version": "0.1.0"},
        "paths": {},
    }


@pytest.mark.parametrize(
    ("name", "url"), [(None, "//api.{domain}"), ("example.com", "//api.example.com")]
)
def test_a_subdomain_is_a_server_of_its_operations(name: str | None, url: str) -> None:
    app = Erlen(__name__, subdomain_matching=True)
    app.config["SERVER_NAME"] = name
    app.get("/", subdomain="api")(whole)
    app.get("/plain", endpoint="plain")(whole)
    paths = described(app)["paths"]
    assert [each["url"] for each in paths["/"]["get"]["servers"]] == [url]
    assert "servers" not in paths["/plain"]["get"]


def test_a_host_with_variables_is_a_server_with_variables() -> None:
    app = Erlen(__name__, host_matching=True, static_folder=None)
    app.get("/", host="<user>.example.com")(lambda user: "")
    (server,) = only(described(app))["servers"]
    assert server == {"url": "//{user}.example.com", "variables": {"user": {"default": "user"}}}


def test_the_document_is_made_anew_only_when_the_application_changes(app: Erlen) -> None:
    app.get("/one", endpoint="one")(whole)
    first = kept_document(app, {})
    assert kept_document(app, {}) is first
    assert kept_document(app, {"title": "Other"}) is not first
    again = kept_document(app, {})
    app.get("/two", endpoint="two")(whole)
    assert [*kept_document(app, {})["paths"]] == ["/one", "/two"]
    assert [*again["paths"]] == ["/one"]


# Programs of other tests and examples


@pytest.mark.parametrize("example", ["blog", "hello/json_api.py", "hello/url_variables.py"])
def test_the_documents_of_untyped_examples_are_valid(
    example: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import importlib.util

    folder = Path(__file__).parents[1] / "examples"
    monkeypatch.syspath_prepend(folder)
    if example.endswith(".py"):
        spec = importlib.util.spec_from_file_location("documented_example", folder / example)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        app = module.app
    else:
        from blog import create_app

        app = create_app({"DATABASE": str(tmp_path / "blog.sqlite3"), "SECRET_KEY": "x"})
    assert described(app)["paths"]

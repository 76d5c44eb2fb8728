"""The OpenAPI document: what operations answer, and who may call them."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

pytest.importorskip("pydantic", reason="pydantic is not installed")

from describing import Item, Missing, described, only, schema_of, whole
from pydantic import BaseModel, ConfigDict, Field
from werkzeug.exceptions import HTTPException, NotFound

from erlen import Blueprint, Erlen, Response
from erlen.api import (
    APIKeyHeader,
    Depends,
    HTTPBearer,
    NotAuthenticated,
    OAuth2PasswordBearer,
    OAuth2PasswordRequestForm,
    Problem,
    Query,
    Security,
    SecurityScopes,
    Status,
    as_problem,
)
from erlen.views import MethodView, View

# Answers


def test_a_union_is_described_by_status(app: Erlen) -> None:
    @app.get("/<name>", status=203)
    def view(
        name: str, q: Query[int]
    ) -> Item | Annotated[Missing, Status(404, "Not in the shop.")] | Annotated[None, Status(204)]:
        raise NotImplementedError

    answers = only(described(app))["responses"]
    assert sorted(answers) == ["203", "204", "404", "422"]
    assert answers["404"]["description"] == "Not in the shop."
    assert "content" not in answers["204"]
    assert schema_of({"responses": answers}, "203") == {"$ref": "#/components/schemas/Item"}


def test_problems_that_a_view_raises_are_described_where_it_says_so(app: Erlen) -> None:
    @app.post("/", responses={409: Problem, 410: "It is gone.", 418: (Missing, "A teapot.")})
    def view(item: Item) -> Item | Annotated[Problem, Status(404)] | NotAuthenticated:
        return item

    answers = only(described(app))["responses"]
    for status in ("401", "404", "409"):
        assert [*answers[status]["content"]] == ["application/problem+json"]
    assert answers["410"] == {"description": "It is gone."}
    assert answers["418"]["description"] == "A teapot."


def test_a_response_can_be_written_in_openapis_own_words(app: Erlen) -> None:
    content = {"image/png": {"schema": {}}}

    @app.get("/", responses={200: {"content": content, "headers": {"X": {"schema": {}}}}})
    def view(q: Query[int]) -> Response:
        raise NotImplementedError

    answer = only(described(app))["responses"]["200"]
    assert answer["content"] == content
    assert answer["headers"] == {"X": {"schema": {}}}
    assert answer["description"] == "OK"


class Full(BaseModel):
    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    name: str
    size: int = 0


@pytest.mark.parametrize(
    ("option", "required"),
    [
        ({}, ["name", "size"]),
        ({"exclude_unset": True}, ["name"]),
        ({"exclude_defaults": True}, ["name"]),
        ({"exclude_none": True}, []),
    ],
    ids=str,
)
def test_what_an_answer_may_leave_away_is_not_required_of_it(
    app: Erlen, option: dict[str, bool], required: list[str]
) -> None:
    def view() -> Full:
        raise NotImplementedError

    app.get("/", **option)(view)
    app.get("/whole", endpoint="whole")(view)
    made = described(app)
    name = schema_of(made["paths"]["/"]["get"])["$ref"].rpartition("/")[2]
    assert made["components"]["schemas"][name].get("required", []) == required
    assert schema_of(made["paths"]["/whole"]["get"]) == {"$ref": "#/components/schemas/Full"}
    assert made["components"]["schemas"]["Full"]["required"] == ["name", "size"]


def test_an_answer_without_aliases_has_the_names_of_the_fields(app: Erlen) -> None:
    class Named(BaseModel):
        inner: int = Field(alias="outer")

    def view(body):  # type: ignore[no-untyped-def]
        return body

    view.__annotations__.update(body=Named, **{"return": Named})
    app.post("/", by_alias=False)(view)
    schemas = described(app)["components"]["schemas"]
    assert [*schemas["Named"]["properties"]] == ["outer"]
    assert [*schemas["Named.ByName"]["properties"]] == ["inner"]


def test_models_of_one_name_are_told_apart_and_so_is_an_applications_problem(app: Erlen) -> None:
    def make(kind: Any, name: str) -> Any:
        model = type(name, (BaseModel,), {"__annotations__": {"x": kind}, "__module__": str(kind)})

        def view(body):  # type: ignore[no-untyped-def]
            return body

        view.__annotations__["body"] = model
        return view

    app.post("/a", endpoint="a")(make(int, "Thing"))
    app.post("/b", endpoint="b")(make(str, "Thing"))
    app.post("/c", endpoint="c")(make(str, "Problem"))
    schemas = described(app)["components"]["schemas"]
    assert len([name for name in schemas if "Thing" in name]) == 2
    assert {"Problem", "ProblemDetails"} <= schemas.keys()


# Errors and their handlers


def problem_handler(error: HTTPException) -> Problem:
    return as_problem(error)


def dict_handler(error: HTTPException) -> dict[str, Any]:
    return {}


def mute_handler(error):  # type: ignore[no-untyped-def]
    return ""


@pytest.mark.parametrize(
    ("handler", "kinds"),
    [
        (None, []),
        (problem_handler, ["application/problem+json"]),
        (as_problem, ["application/problem+json"]),
        (dict_handler, ["application/json"]),
        (mute_handler, []),
    ],
)
def test_errors_have_the_form_that_their_handler_says(
    app: Erlen, handler: Any, kinds: list[str]
) -> None:
    if handler is not None:
        app.register_error_handler(NotFound, handler)
    app.get("/<int:x>")(lambda x: "")
    assert [*only(described(app))["responses"]["404"].get("content", ())] == kinds


def test_a_blueprints_handler_counts_for_its_views_only(app: Erlen) -> None:
    def view(item):  # type: ignore[no-untyped-def]
        return item

    view.__annotations__["item"] = Item
    part = Blueprint("part", __name__)
    part.register_error_handler(422, dict_handler)
    part.post("/part")(view)
    app.register_blueprint(part)
    app.post("/", endpoint="whole")(view)
    paths = described(app)["paths"]
    assert [*paths["/part"]["post"]["responses"]["422"]["content"]] == ["application/json"]
    assert [*paths["/"]["post"]["responses"]["422"]["content"]] == ["application/problem+json"]


# Class-based views


def test_each_method_of_a_class_is_an_operation(app: Erlen) -> None:
    class Items(MethodView):
        """All of them."""

        def get(self, q: Query[str] = "") -> list[Item]:
            """List."""
            raise NotImplementedError

        def post(self, item: Item) -> Annotated[Item, Status(201)]:
            """Add."""
            raise NotImplementedError

    app.add_url_rule("/items", view_func=Items.as_view("items"))
    item = described(app)["paths"]["/items"]
    assert {verb: each["summary"] for verb, each in item.items()} == {
        "get": "List.",
        "post": "Add.",
    }
    assert {verb: each["operationId"] for verb, each in item.items()} == {
        "get": "items_get",
        "post": "items_post",
    }
    assert "201" in item["post"]["responses"] and "requestBody" not in item["get"]


def test_a_class_with_its_own_dispatch_is_described(app: Erlen) -> None:
    class Own(View):
        methods = ["GET", "POST"]

        def dispatch_request(self) -> str:
            """Answer."""
            return ""

    app.add_url_rule("/own", view_func=Own.as_view("own"))
    item = described(app)["paths"]["/own"]
    assert {verb: each["summary"] for verb, each in item.items()} == {
        "get": "Answer.",
        "post": "Answer.",
    }


# Security


def test_dependencies_say_who_may_call(app: Erlen) -> None:
    bearer = OAuth2PasswordBearer("token", scopes={"read": "Read.", "write": "Write."})
    key = APIKeyHeader("X-Key", name="Key")
    optional = HTTPBearer(name="Maybe", auto_error=False)

    def user(scopes: SecurityScopes, token: Annotated[str, Depends(bearer)]) -> str:
        return token

    @app.get("/scoped")
    def scoped(user: Annotated[str, Security(user, scopes=["read"])]) -> Item:
        raise NotImplementedError

    @app.get("/both", dependencies=[Depends(bearer), Depends(key)])
    def both() -> Item:
        raise NotImplementedError

    @app.get("/either")
    def either(token: Annotated[Any, Depends(optional)]) -> Item:
        raise NotImplementedError

    @app.get("/said", security=[])
    def said(user: Annotated[str, Depends(user)]) -> Item:
        raise NotImplementedError

    @app.post("/token")
    def token(form: Annotated[OAuth2PasswordRequestForm, Depends()]) -> Item:
        raise NotImplementedError

    made = described(app)
    paths = made["paths"]
    name = bearer.scheme_name
    assert paths["/scoped"]["get"]["security"] == [{name: ["read"]}]
    assert {"401", "403"} <= paths["/scoped"]["get"]["responses"].keys()
    assert "WWW-Authenticate" in paths["/scoped"]["get"]["responses"]["401"]["headers"]
    assert paths["/both"]["get"]["security"] == [{name: [], "Key": []}]
    assert paths["/either"]["get"]["security"] == [{"Maybe": []}, {}]
    assert paths["/said"]["get"]["security"] == []
    assert "security" not in paths["/token"]["post"]
    schemes = made["components"]["securitySchemes"]
    assert schemes["Key"] == {"type": "apiKey", "in": "header", "name": "X-Key"}
    assert schemes[name]["flows"]["password"]["tokenUrl"] == "token"


def test_dependencies_of_blueprints_count(app: Erlen) -> None:
    key = APIKeyHeader("X-Key", name="Key")
    part = Blueprint("part", __name__)
    part.dependencies = [Depends(key)]  # type: ignore[attr-defined]
    part.get("/")(whole)
    app.register_blueprint(part)
    assert only(described(app))["security"] == [{"Key": []}]

"""A mistake in a typed signature is an error at start, with the place of the function."""

from __future__ import annotations

import typing as t
from typing import Annotated
from uuid import UUID

import pytest

pytest.importorskip("pydantic", reason="pydantic is not installed")

from pydantic import AliasChoices, BaseModel, Field

from erlen import Erlen
from erlen.api import (
    Cookie,
    Depends,
    File,
    Form,
    Header,
    In,
    Json,
    Path,
    Query,
    Status,
    Upload,
    UploadFile,
)
from erlen.errors import SetupError


class Item(BaseModel):
    name: str


class Unknown:
    pass


MISTAKES: dict[str, tuple[t.Callable[..., t.Any], str]] = {}
ROUTE: dict[str, t.Any] = {}


def mistake(
    message: str, rule: str = "/x", **options: t.Any
) -> t.Callable[[t.Callable[..., t.Any]], None]:
    def add(view: t.Callable[..., t.Any]) -> None:
        name = view.__name__.replace("_", " ")
        assert name not in MISTAKES
        MISTAKES[name] = (view, message)
        ROUTE[name] = (rule, options)

    return add


@mistake("the type 'Nowhere' of its parameter 'item' is not known")
def a_type_that_nobody_knows(item: Nowhere): ...  # type: ignore[name-defined]  # noqa: F821


@mistake("the type of 'thing' cannot be validated")
def a_type_that_nobody_can_make(thing: Unknown): ...


@mistake("'item' is marked twice: as from query and header")
def two_marks(item: Annotated[str, In("query"), In("header")]): ...


@mistake("'item' is marked twice: as from query and a dependency")
def a_mark_and_a_default_that_marks(item: Query[str] = Depends(lambda: "")): ...


@mistake("'item' is of a type that a query cannot have")
def a_dict_from_the_query(item: Query[dict[str, int]]): ...


@mistake("'item' is of a type that a path cannot have", "/x/<item>")
def a_model_from_the_path(item: Path[Item]): ...


@mistake("'item' comes from the path, which has no variable of that name")
def a_path_without_the_variable(item: Path[int]): ...


@mistake("'item' is marked as from the query, but is a variable of the URL", "/x/<item>")
def a_query_that_is_in_the_path(item: Query[int]): ...


@mistake("'item' has a dependency, but is a variable of the URL", "/x/<item>")
def a_dependency_that_is_in_the_path(item: Annotated[str, Depends(lambda: "")]): ...


@mistake("'one' and 'two' both are the JSON body")
def two_bodies(one: Item, two: Item): ...


@mistake("'one' comes from a JSON body and 'two' from a form")
def a_body_and_a_form(one: Item, two: Form[str]): ...


@mistake("'one' comes from a JSON body and 'two' from a form")
def a_body_and_a_file(one: Item, two: UploadFile): ...


def needs_form(two: Form[str]) -> str:
    return two


@mistake("'one' comes from a JSON body and 'two' from a form")
def a_body_and_a_form_of_a_dependency(one: Item, of: Annotated[str, Depends(needs_form)]): ...


@mistake("the default of 'number' does not validate")
def a_default_that_does_not_validate(number: Query[int] = "x"): ...  # type: ignore[assignment]


@mistake("the default of 'number' does not validate")
def a_default_beyond_its_limits(number: Query[Annotated[int, Field(ge=1)]] = 0): ...


@mistake("the dependency of 'item' is 5, which cannot be called")
def a_dependency_that_is_no_function(item: str = Depends(5)): ...  # type: ignore[arg-type]


@mistake("the dependency of 'item' names no function, and its type no class")
def a_dependency_without_a_function(item: t.Any = Depends()): ...


def depends_on_itself(again: Annotated[str, Depends(lambda: "")]) -> str:
    return again


depends_on_itself.__annotations__["again"] = Annotated[str, Depends(depends_on_itself)]


@mistake("the dependency of 'again' depends on itself")
def a_dependency_in_a_circle(item: Annotated[str, Depends(depends_on_itself)]): ...


def untyped_dependency(value):  # type: ignore[no-untyped-def]
    return value


@mistake("its parameter 'value' has no type")
def a_dependency_without_types(item: Annotated[str, Depends(untyped_dependency)]): ...


@mistake("dependencies[0] is <function", dependencies=[needs_form])
def a_function_among_the_dependencies_of_a_route(): ...


@mistake("'item' comes from 'querry': known are path, query")
def a_place_that_does_not_exist(item: Annotated[str, In("querry")]): ...


@mistake("status is 'created', which is no HTTP status", status="created")
def a_status_that_is_none(item: Item): ...


@mistake("responses is 'default', which is no HTTP status", responses={"default": Item})
def a_response_without_a_status(item: Item): ...


@mistake("Status is 1000, which is no HTTP status")
def a_status_beyond_all() -> Annotated[Item, Status(1000)]: ...


@mistake("answers with status 204 have no body", status=204)
def a_body_where_none_can_be(item: Item) -> Item: ...


@mistake("the default of 'number' describes a value, but nothing says where it comes from")
def a_description_without_a_mark(item: Item, number: int = Field(ge=1)): ...


@mistake("'item' can be given by position only")
def a_positional_parameter(item: Query[int], /): ...


@mistake("'item' is of a type that takes nothing of what IntegerConverter gives", "/x/<int:item>")
def a_converter_that_gives_another_type(item: Path[UUID]): ...


@mistake("'item' is of a type that takes nothing of what AnyConverter gives", "/x/<any(a, b):item>")
def a_converter_whose_values_are_not_taken(item: Path[t.Literal["c"]]): ...


@mistake("'item' is of a type that takes nothing of what IntegerConverter", "/x/<int(max=5):item>")
def a_constraint_beside_the_converter(item: Path[Annotated[int, Field(lt=0)]]): ...


@mistake("'text' has an 'Upload', which is said of files")
def limits_of_a_file_for_a_text(text: Form[Annotated[str, Upload(max_size=1)]]): ...


@mistake("'text' is of a type that a file cannot have")
def a_file_that_is_a_text(text: File[str]): ...


@mistake("'text' has an alias that is no single name")
def several_names(text: Query[Annotated[str, Field(validation_alias=AliasChoices("a", "b"))]]): ...


@mistake("the type 'Nowhere' of a member of 'model' is not known")
def a_model_with_an_unknown_member(model: Cookie[Broken]): ...


class Broken(t.TypedDict):
    name: Nowhere  # type: ignore[name-defined]  # noqa: F821


def unknown_header(token: Header[Nowhere]) -> None: ...  # type: ignore[name-defined]  # noqa: F821


@mistake("unknown_header: the type 'Nowhere'")
def a_type_that_a_dependency_does_not_know(item: Annotated[str, Depends(unknown_header)]): ...


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_at_start_with_its_place(app: Erlen, name: str) -> None:
    view, message = MISTAKES[name]
    rule, options = ROUTE[name]
    app.add_url_rule(rule, view_func=view, methods=["POST"], **options)
    with pytest.raises(SetupError) as raised:
        app.prepare()
    text = str(raised.value)
    assert message in text
    file, _, line = text.rpartition("  at ")[2].rpartition(":")
    assert file == __file__
    assert abs(int(line) - view.__code__.co_firstlineno) < 40


def test_a_mistake_in_a_method_of_a_class_names_the_method(app: Erlen) -> None:
    from erlen.views import MethodView

    class Things(MethodView):
        def get(self, thing: Query[dict[str, int]]) -> str:
            return ""

    app.add_url_rule("/x", view_func=Things.as_view("things"))
    with pytest.raises(SetupError, match=r"Things\.get: 'thing' is of a type"):
        app.prepare()


def test_json_of_scalars_needs_no_mistake(app: Erlen) -> None:
    @app.post("/x")
    def view(a: Json[int], b: Json[str]) -> dict[str, t.Any]:
        return {"a": a, "b": b}

    app.prepare()

"""What a view's signature says, read once: the binder, the document and the client go by it."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import types
import typing as t
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import PurePath
from uuid import UUID

from pydantic import BaseModel, PydanticUserError, TypeAdapter
from pydantic.fields import FieldInfo
from werkzeug.datastructures import FileStorage
from werkzeug.wrappers import Request as BaseRequest
from werkzeug.wrappers import Response as BaseResponse

from ..errors import SetupError
from ..paths import find_source
from .params import Dependency, In, Status, Upload, UploadFile

if t.TYPE_CHECKING:
    from collections.abc import Callable


MISSING: t.Any = inspect.Parameter.empty

_SCALARS = (str, bytes, int, float, bool, Decimal, UUID, date, time, timedelta, enum.Enum, PurePath)
_LISTS = (list, set, frozenset, tuple, Collection)
_UNIONS = (t.Union, types.UnionType)
_BY_KEYWORD = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclass(frozen=True)
class Field:
    """A parameter that is bound from a part of the request."""

    name: str
    #: As in `In`.
    location: str
    alias: str
    #: The type without the marks, constraints included.
    type: t.Any
    adapter: TypeAdapter[t.Any] = field(repr=False)
    default: t.Any = MISSING
    #: Whether it takes all values of its name, not the first one.
    is_list: bool = False
    #: Names in the location to the names of the fields, where a model takes the whole of it.
    members: Mapping[str, FieldInfo] | None = None
    info: FieldInfo | None = None
    upload: Upload | None = None

    @property
    def is_required(self) -> bool:
        return self.default is MISSING


@dataclass(frozen=True)
class Provided:
    """A parameter that a dependency provides."""

    name: str
    operation: Operation
    cached: bool
    scopes: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """What is answered with one status."""

    status: int
    #: `None` for an answer without a body, or one that is not described.
    type: t.Any
    adapter: TypeAdapter[t.Any] | None = field(default=None, repr=False)
    description: str | None = None


@dataclass(frozen=True)
class Operation:
    """A function's signature, as the binder needs it."""

    function: Callable[..., t.Any]
    fields: tuple[Field, ...]
    provided: tuple[Provided, ...]
    #: Parameters that get the request itself.
    requests: tuple[str, ...]
    #: Parameters that get the scopes asked for.
    scopes: tuple[str, ...]
    #: Dependencies for their effect only, of the route, its blueprints and the application.
    effects: tuple[Provided, ...] = ()
    #: What the return annotation and the route say, the default answer first.
    answers: tuple[Answer, ...] = ()
    #: Whether the answer is made by its type.
    is_answer_typed: bool = False
    options: Mapping[str, t.Any] = field(default_factory=dict)

    @property
    def is_trivial(self) -> bool:
        """Whether there is nothing to bind, and nothing to answer by type."""
        return not (
            self.fields or self.provided or self.requests or self.effects or self.is_answer_typed
        )

    @property
    def body(self) -> tuple[Field, ...]:
        """The fields of the JSON body."""
        return tuple(each for each in self.fields if each.location == "json")

    def everything(self) -> tuple[Field, ...]:
        """The fields, those of dependencies included, each place once."""
        found: dict[tuple[str, str], Field] = {}
        for each in self.fields:
            found.setdefault((each.location, each.alias), each)
        for provided in (*self.provided, *self.effects):
            for each in provided.operation.everything():
                found.setdefault((each.location, each.alias), each)
        return tuple(found.values())


class _Reader:
    """Reads one signature."""

    def __init__(
        self,
        function: Callable[..., t.Any],
        variables: Collection[str],
        *,
        whole: bool,
        dependency: bool,
        within: tuple[t.Any, ...] = (),
    ) -> None:
        self.function = function
        self.variables = variables
        self.whole = whole
        self.dependency = dependency
        self.within = (*within, function)

    def fail(self, message: str) -> t.NoReturn:
        name = getattr(self.function, "__qualname__", repr(self.function))
        raise SetupError(f"{name}: {message}", find_source(self.function))

    def parameters(self) -> list[tuple[inspect.Parameter, t.Any]]:
        """Each parameter with its annotation, resolved."""
        function = self.function
        try:
            signature = inspect.signature(function)
            hints = t.get_type_hints(_annotated(function), include_extras=True)
        except NameError as error:
            self.fail(f"the type {error.name!r} of its signature is not known where it is defined.")
        except (TypeError, ValueError) as error:
            self.fail(f"its signature cannot be read: {error}")
        self.returned = hints.get("return", MISSING)
        found = [*signature.parameters.values()]
        if self.is_method(found):
            del found[0]
        return [(each, hints.get(each.name, MISSING)) for each in found]

    def is_method(self, parameters: list[inspect.Parameter]) -> bool:
        name = getattr(self.function, "__qualname__", "")
        return bool(parameters) and parameters[0].name == "self" and "." in name

    def read(self) -> Operation:
        fields: list[Field] = []
        provided: list[Provided] = []
        requests: list[str] = []
        scopes: list[str] = []
        for parameter, annotation in self.parameters():
            if parameter.kind not in _BY_KEYWORD:
                continue
            mark, bare = self.mark_of(parameter, annotation)
            default = parameter.default if mark is not parameter.default else MISSING
            if isinstance(mark, Dependency):
                provided.append(self.provided(parameter.name, mark, bare))
            elif isinstance(mark, In):
                fields.append(self.field(parameter.name, mark, bare, default))
            elif parameter.name in self.variables:
                if t.get_origin(annotation) is t.Annotated:
                    fields.append(self.field(parameter.name, In("path"), annotation, default))
            elif not self.whole or annotation is MISSING:
                continue
            elif _is_class(annotation, BaseRequest):
                if default is MISSING:
                    requests.append(parameter.name)
            elif _is_class(annotation, SecurityScopes):
                scopes.append(parameter.name)
            elif default is MISSING or self.dependency:
                where = In(_natural_location(annotation))
                fields.append(self.field(parameter.name, where, annotation, default))
        self.check_body(fields)
        return Operation(
            self.function, tuple(fields), tuple(provided), tuple(requests), tuple(scopes)
        )

    def mark_of(self, parameter: inspect.Parameter, annotation: t.Any) -> tuple[t.Any, t.Any]:
        """The mark of a parameter, and its type without."""
        mark: t.Any = None
        bare = annotation
        if t.get_origin(annotation) is t.Annotated:
            base, *metadata = t.get_args(annotation)
            marks = [each for each in metadata if isinstance(each, (In, Dependency))]
            if len(marks) > 1:
                self.fail(f"the parameter {parameter.name!r} comes from two places: {marks}.")
            if marks:
                mark = marks[0]
                rest = [each for each in metadata if each is not mark]
                bare = t.Annotated[t.cast("t.Any", (base, *rest))] if rest else base
        if isinstance(parameter.default, (In, Dependency)):
            if mark is not None:
                self.fail(f"the parameter {parameter.name!r} is marked twice.")
            mark = parameter.default
        return mark, bare

    def provided(self, name: str, mark: Dependency, bare: t.Any) -> Provided:
        provide = mark.provide or (bare if isinstance(bare, type) else None)
        if provide is None or not callable(provide):
            self.fail(f"the dependency of {name!r} is {provide!r}, which cannot be called.")
        if provide in self.within:
            self.fail(f"the dependency of {name!r} depends on itself.")
        operation = read_dependency(provide, self.variables, self.within)
        return Provided(name, operation, mark.cached, mark.scopes)

    def field(self, name: str, mark: In, annotation: t.Any, default: t.Any) -> Field:
        if annotation is MISSING:
            annotation = str
        info = FieldInfo.from_annotation(annotation)
        if isinstance(default, FieldInfo):
            info = FieldInfo.merge_field_infos(info, default)
            annotation = t.Annotated[annotation, default]
            default = MISSING
        alias = mark.alias or info.validation_alias or info.alias
        if not isinstance(alias, str):
            alias = name.replace("_", "-") if mark.location == "header" else name
        if default is MISSING and not info.is_required():
            default = info.get_default(call_default_factory=True)
        upload = next((each for each in info.metadata if isinstance(each, Upload)), None)
        plain = _plain(annotation)
        members = None
        if mark.location in ("query", "header", "cookie", "form") and _is_model(plain):
            members = _members(plain, mark.location)
        elif mark.location in ("path", "query", "header", "cookie") and not _is_simple(plain):
            self.fail(
                f"{name!r} is of a type that a {mark.location} value cannot have: {annotation!r}."
            )
        if mark.location == "path" and name not in self.variables and alias not in self.variables:
            self.fail(
                f"{name!r} is marked as part of the path, which has no variable of that name."
            )
        adapter = self.adapter(name, _for_validation(annotation))
        if default is not MISSING and default is not None:
            try:
                adapter.validate_python(default)
            except ValueError as error:
                self.fail(f"the default of {name!r} does not validate: {error}")
        return Field(
            name,
            mark.location,
            alias,
            annotation,
            adapter,
            default,
            members is None and mark.location != "json" and _is_list(plain),
            members,
            info,
            upload,
        )

    def adapter(self, name: str, annotation: t.Any) -> TypeAdapter[t.Any]:
        try:
            return TypeAdapter(annotation)
        except (PydanticUserError, TypeError, NameError) as error:
            first = str(error).partition("\n")[0]
            self.fail(f"the type of {name!r} cannot be validated: {first}")

    def check_body(self, fields: list[Field]) -> None:
        body = [each for each in fields if each.location == "json"]
        forms = [each for each in fields if each.location in ("form", "file")]
        if body and forms:
            self.fail(
                f"{body[0].name!r} comes from a JSON body and {forms[0].name!r} from a form:"
                " a request has one of them."
            )
        if len(body) > 1 and not all(_is_marked(self.function, each.name) for each in body):
            names = " and ".join(repr(each.name) for each in body)
            self.fail(
                f"{names} both are the JSON body. Mark them with 'Json[...]' to take each from a"
                " key of its name."
            )


class SecurityScopes:
    """What a dependency gets that asks for it by this type: the scopes that its users need."""

    def __init__(self, scopes: tuple[str, ...]) -> None:
        self.scopes = list(scopes)

    def __str__(self) -> str:
        return " ".join(self.scopes)


def read_view(
    function: Callable[..., t.Any], variables: Collection[str], whole: bool, options: t.Any
) -> Operation:
    """The operation of a view, or of a method of a class-based one. Raises SetupError.

    :param whole: whether unmarked parameters count
    :param options: those of the route
    """
    reader = _Reader(function, variables, whole=whole, dependency=False)
    operation = reader.read()
    effects = tuple(
        reader.provided(f"dependencies[{index}]", mark, MISSING)
        for index, mark in enumerate(options.get("dependencies") or ())
    )
    answers, typed = _answers(reader, options)
    return dataclasses.replace(
        operation, effects=effects, answers=answers, is_answer_typed=typed, options=options
    )


def read_dependency(
    provide: Callable[..., t.Any], variables: Collection[str], within: tuple[t.Any, ...] = ()
) -> Operation:
    """The operation of a dependency. Raises SetupError."""
    return _Reader(provide, variables, whole=True, dependency=True, within=within).read()


def _annotated(function: t.Any) -> t.Any:
    """Where the annotations of what `inspect.signature` reads are."""
    if isinstance(function, type):
        return function.__init__  # type: ignore[misc]
    if not hasattr(function, "__annotations__") and callable(function):
        return type(function).__call__
    return inspect.unwrap(function)


def _is_marked(function: t.Any, name: str) -> bool:
    annotation = t.get_type_hints(_annotated(function), include_extras=True).get(name)
    parameter = inspect.signature(function).parameters[name]
    marks = [*getattr(annotation, "__metadata__", ()), parameter.default]
    return any(isinstance(each, In) for each in marks)


def _is_class(annotation: t.Any, base: type) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, base)


def _plain(annotation: t.Any) -> t.Any:
    """A type without what is said about it, and without `None`."""
    while True:
        if t.get_origin(annotation) is t.Annotated:
            annotation = t.get_args(annotation)[0]
            continue
        if t.get_origin(annotation) in _UNIONS:
            options = [each for each in t.get_args(annotation) if each is not type(None)]
            if len(options) == 1:
                annotation = options[0]
                continue
        if isinstance(annotation, getattr(t, "TypeAliasType", ())):
            annotation = annotation.__value__  # type: ignore[union-attr]
            continue
        return annotation


def _is_model(plain: t.Any) -> bool:
    if not isinstance(plain, type):
        return False
    return (
        issubclass(plain, BaseModel)
        or dataclasses.is_dataclass(plain)
        or t.is_typeddict(plain)
        or hasattr(plain, "__struct_fields__")
    )


def _members(model: t.Any, location: str) -> Mapping[str, FieldInfo]:
    """The values that a model takes from a place, by their names there."""
    if issubclass(model, BaseModel):
        found = {info.alias or name: info for name, info in model.model_fields.items()}
    else:
        hints = t.get_type_hints(model, include_extras=True)
        found = {name: FieldInfo.from_annotation(hint) for name, hint in hints.items()}
    if location == "header":
        return {name.replace("_", "-"): info for name, info in found.items()}
    return found


def _is_simple(plain: t.Any) -> bool:
    """Whether a type can be made of one text, or of several."""
    if _is_list(plain):
        return all(each is Ellipsis or _is_simple(_plain(each)) for each in t.get_args(plain))
    origin = t.get_origin(plain)
    if origin is t.Literal or plain is t.Any:
        return True
    if origin in _UNIONS:
        return all(each is type(None) or _is_simple(_plain(each)) for each in t.get_args(plain))
    if isinstance(plain, t.NewType):
        return _is_simple(plain.__supertype__)
    if not isinstance(plain, type):
        return False
    if issubclass(plain, _SCALARS):
        return True
    return not _is_model(plain) and not issubclass(plain, (Mapping, Collection))


def _is_list(plain: t.Any) -> bool:
    origin = t.get_origin(plain) or plain
    return (
        isinstance(origin, type)
        and issubclass(origin, _LISTS)
        and not issubclass(origin, (str, bytes, Mapping))
    )


def _natural_location(annotation: t.Any) -> str:
    """Where an unmarked parameter of a type comes from."""
    plain = _plain(annotation)
    if _is_class(plain, FileStorage):
        return "file"
    if _is_list(plain):
        inner = [_plain(each) for each in t.get_args(plain)]
        if inner and _is_class(inner[0], FileStorage):
            return "file"
        return "query" if inner and _is_simple(plain) else "json"
    return "query" if _is_simple(plain) else "json"


def _for_validation(annotation: t.Any) -> t.Any:
    """The type, with files as pydantic can take them."""
    plain = _plain(annotation)
    if _is_class(plain, FileStorage):
        return t.Annotated[t.Any, None]
    if _is_list(plain) and any(_is_class(each, FileStorage) for each in t.get_args(plain)):
        return list[t.Any]
    return annotation


# Answers


def _answers(reader: _Reader, options: t.Any) -> tuple[tuple[Answer, ...], bool]:
    """What a view answers by its annotation and its route, and whether by type."""
    default = options.get("status") or 200
    returned = reader.returned
    if "returns" in options:
        returned = options["returns"]
    found: dict[int, Answer] = {}
    is_typed = False
    for part in _alternatives(returned):
        status, description, kind = default, None, part
        if t.get_origin(part) is t.Annotated:
            base, *metadata = t.get_args(part)
            rest = [each for each in metadata if not isinstance(each, Status)]
            kind = t.Annotated[t.cast("t.Any", (base, *rest))] if rest else base
            for each in metadata:
                if isinstance(each, Status):
                    status, description = each.code, each.description
        if kind is None or kind is type(None):
            if status == default and "status" not in options:
                status = 204
            found.setdefault(status, Answer(status, None, None, description))
            continue
        if not _is_described(kind):
            continue
        is_typed = True
        if status in found and found[status].type is not None:
            kind = found[status].type | kind
        found[status] = Answer(status, kind, reader.adapter("return", kind), description)
    for status, said in (options.get("responses") or {}).items():
        kind, description = said if isinstance(said, tuple) else (said, None)
        if isinstance(kind, str):
            kind, description = None, kind
        adapter = None if kind is None else reader.adapter(f"responses[{status}]", kind)
        is_typed = is_typed or kind is not None
        found[int(status)] = Answer(int(status), kind, adapter, description)
    return tuple(found.values()), is_typed


def _alternatives(returned: t.Any) -> tuple[t.Any, ...]:
    if returned is MISSING:
        return ()
    if t.get_origin(returned) in _UNIONS:
        return t.get_args(returned)
    if t.get_origin(returned) is tuple:  # (value, status, headers)
        first = t.get_args(returned)[:1]
        return _alternatives(first[0]) if first else ()
    return (returned,)


def _is_described(kind: t.Any) -> bool:
    """Whether a type says what an answer looks like; Flask's own return types do not."""
    plain = _plain(kind)
    if plain in (t.Any, str, bytes, dict, list, object) or isinstance(plain, (str, t.TypeVar)):
        return False
    if _is_class(plain, BaseResponse) or _is_class(plain, (Mapping)) and not t.is_typeddict(plain):
        return False
    origin = t.get_origin(plain)
    if isinstance(origin, type) and issubclass(origin, (Collection, Mapping)):
        return any(_is_described(each) or _is_simple(_plain(each)) for each in t.get_args(plain))
    if isinstance(origin, type):  # iterators, callables
        return False
    return True


__all__ = ["Answer", "Field", "Operation", "Provided", "SecurityScopes", "UploadFile"]

"""Reads signatures, once, and refuses the ones that cannot work."""

from __future__ import annotations

import dataclasses
import inspect
import typing as t
from collections.abc import Collection, Mapping

from pydantic import AliasChoices, BaseModel, PydanticUserError, TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_core import SchemaError
from werkzeug.datastructures import FileStorage
from werkzeug.wrappers import Request as BaseRequest

from ..errors import SetupError
from ..paths import find_source
from .annotations import (
    for_validation,
    marks_in,
    names_around,
    resolve,
    samples_of,
    signature_of,
    takes,
    takes_self,
    without_marks,
)
from .fields import MISSING, Field, Operation, Provided
from .kinds import (
    annotated,
    is_class,
    is_file,
    is_list,
    is_model,
    is_simple,
    members_of,
    metadata_of,
    natural_location,
    plain,
)
from .params import LOCATIONS, Dependency, In, SecurityScopes, Upload

if t.TYPE_CHECKING:
    from collections.abc import Callable

_BY_KEYWORD = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_TEXTS = ("path", "query", "header", "cookie")


class Reader:
    """Reads one signature.

    :param function: the function, as a class-based view has it
    :param variables: names of the variables of the URL
    :param whole: whether unmarked parameters count: nothing stands before the function
    :param dependency: whether nobody but the binder fills the parameters
    :param within: the dependencies of which this is one
    :param fillers: whether functions of the application may fill parameters first
    :param owner: the class of which this is a method that is yet to be bound
    """

    def __init__(
        self,
        function: Callable[..., t.Any],
        variables: Collection[str],
        *,
        whole: bool,
        dependency: bool = False,
        within: tuple[t.Any, ...] = (),
        fillers: bool = False,
        owner: type | None = None,
        names: Mapping[str, t.Any] | None = None,
    ) -> None:
        self.function = function
        self.variables = frozenset(variables)
        self.whole = whole
        self.dependency = dependency
        self.within = (*within, function)
        self.fillers = fillers
        self.owner = owner
        self.names = {**(names or {}), **names_around(function, owner)}
        self.fields: list[Field] = []
        self.marked: set[str] = set()

    def fail(self, message: str) -> t.NoReturn:
        name = getattr(self.function, "__qualname__", repr(self.function))
        raise SetupError(f"{name}: {message}", find_source(self.function))

    # Annotations

    def parameters(self) -> list[tuple[inspect.Parameter, t.Any]]:
        """Each parameter with its annotation as it is written."""
        function: t.Any = self.function
        if is_class(function, BaseModel):
            return [
                (
                    inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY),
                    annotated(info.annotation, (*info.metadata, info)),
                )
                for name, info in function.model_fields.items()
            ]
        try:
            signature = signature_of(function)
        except (TypeError, ValueError) as error:
            if self.dependency:
                self.fail(f"its signature cannot be read: {error}")
            return []
        found = [*signature.parameters.values()]
        if self.owner is not None and takes_self(function, self.owner):
            del found[:1]
        return [(each, each.annotation) for each in found]

    @property
    def returned(self) -> t.Any:
        """The annotation of what is returned; `MISSING` where it is not known."""
        try:
            annotation = signature_of(self.function).return_annotation
            return self.resolve(annotation)
        except (NameError, TypeError, ValueError, SyntaxError):
            return MISSING  # nobody needs to know the types that Flask's own views return

    def resolve(self, annotation: t.Any) -> t.Any:
        """An annotation with its texts read. Raises NameError."""
        return resolve(annotation, self.function, self.names)

    def resolved(self, parameter: inspect.Parameter, annotation: t.Any) -> t.Any:
        """The annotation of a parameter that is bound."""
        try:
            return self.resolve(annotation)
        except NameError as error:
            self.fail(
                f"the type {error.name!r} of its parameter {parameter.name!r} is not known where"
                " it is defined."
            )
        except (TypeError, SyntaxError, AttributeError) as error:
            self.fail(f"the type of its parameter {parameter.name!r} cannot be read: {error}")

    # The signature

    def read(self) -> Operation:
        """The operation. Raises SetupError."""
        provided: list[Provided] = []
        requests: list[str] = []
        scopes: list[str] = []
        for parameter, written in self.parameters():
            name, default = parameter.name, parameter.default
            if parameter.kind not in _BY_KEYWORD:
                self.check_position(parameter, written)
                continue
            if not self.concerns(parameter, written):
                continue
            annotation = self.resolved(parameter, written)
            mark, bare = self.mark_of(name, annotation, default)
            if mark is not None and mark is default:
                default = MISSING
            if isinstance(mark, Dependency):
                if name in self.variables and not self.dependency:
                    self.fail(f"{name!r} has a dependency, but is a variable of the URL.")
                provided.append(self.provided(name, mark, bare))
            elif isinstance(mark, In):
                self.marked.add(name)
                self.fields.append(self.field(name, mark, bare, default))
            elif name in self.variables:
                if self.dependency or t.get_origin(annotation) is t.Annotated:
                    if annotation is not MISSING:
                        self.fields.append(self.field(name, In("path"), annotation, default))
            elif annotation is MISSING:
                if self.dependency and default is MISSING:
                    self.fail(f"its parameter {name!r} has no type, so nothing can be bound to it.")
            elif not self.whole:
                continue
            elif is_class(plain(annotation), BaseRequest):
                requests.append(name)
            elif is_class(plain(annotation), SecurityScopes):
                scopes.append(name)
            elif default is MISSING or self.dependency:
                self.bind_unmarked(name, annotation, default)
            elif isinstance(default, FieldInfo):
                self.fail(
                    f"the default of {name!r} describes a value, but nothing says where it comes"
                    " from, such as 'Query[...]'."
                )
        operation = Operation(
            self.function,
            tuple(self.fields),
            tuple(provided),
            tuple(requests),
            tuple(scopes),
            variables=self.taken(provided),
        )
        self.check_body(operation)
        return operation

    def concerns(self, parameter: inspect.Parameter, written: t.Any) -> bool:
        """Whether the annotation of a parameter has to be known.

        Those of the others may be for type checkers only.
        """
        if self.dependency or isinstance(parameter.default, (In, Dependency, FieldInfo)):
            return True
        if self.whole and parameter.default is MISSING and parameter.name not in self.variables:
            return True
        try:
            annotation = self.resolve(written)
        except (NameError, TypeError, SyntaxError, AttributeError):
            return False
        return bool(marks_in(annotation)) or parameter.name in self.variables

    def bind_unmarked(self, name: str, annotation: t.Any, default: t.Any) -> None:
        try:
            where = In(natural_location(annotation))
            self.fields.append(self.field(name, where, annotation, default))
        except SetupError:
            # A function of the application may be what fills it, as in Flask.
            if not self.fillers:
                raise

    def check_position(self, parameter: inspect.Parameter, written: t.Any) -> None:
        if parameter.kind is not inspect.Parameter.POSITIONAL_ONLY:
            return
        try:
            annotation = self.resolve(written)
        except (NameError, TypeError, SyntaxError, AttributeError):
            return
        if self.dependency and parameter.default is MISSING or marks_in(annotation):
            self.fail(
                f"its parameter {parameter.name!r} can be given by position only, but parameters"
                " are bound by their names."
            )

    def mark_of(self, name: str, annotation: t.Any, default: t.Any) -> tuple[t.Any, t.Any]:
        """The mark of a parameter, and its type without."""
        marks, bare = without_marks(annotation)
        if isinstance(default, (In, Dependency)):
            marks = [*marks, default]
        if len(marks) > 1:
            places = " and ".join(
                mark.location if isinstance(mark, In) else "a dependency" for mark in marks
            )
            self.fail(f"its parameter {name!r} is marked twice: as from {places}.")
        return (marks[0] if marks else None), bare

    def provided(self, name: str, mark: t.Any, bare: t.Any = MISSING) -> Provided:
        """What a mark makes of a parameter, or of an entry of `dependencies`."""
        if not isinstance(mark, Dependency):
            self.fail(f"{name} is {mark!r}: dependencies are made by 'Depends(...)'.")
        provide = mark.provide
        if provide is None:
            provide = t.get_origin(plain(bare)) or plain(bare)
            if not isinstance(provide, type) or provide in (MISSING, t.Any, object):
                self.fail(f"the dependency of {name!r} names no function, and its type no class.")
        if not callable(provide):
            self.fail(f"the dependency of {name!r} is {provide!r}, which cannot be called.")
        try:
            hash(provide)
        except TypeError:
            self.fail(f"the dependency of {name!r} is {provide!r}, which cannot be hashed.")
        if provide in self.within:
            self.fail(f"the dependency of {name!r} depends on itself.")
        operation = Reader(
            provide,
            self.variables,
            whole=True,
            dependency=True,
            within=self.within,
            names=self.names,
        ).read()
        return Provided(name, operation, mark.cached, mark.scopes)

    # One field

    def field(self, name: str, mark: In, annotation: t.Any, default: t.Any) -> Field:
        location = mark.location
        if location not in LOCATIONS:
            known = ", ".join(LOCATIONS)
            self.fail(f"its parameter {name!r} comes from {location!r}: known are {known}.")
        if annotation is MISSING:
            annotation = str
        if isinstance(default, FieldInfo):
            annotation, default = annotated(annotation, (default,)), MISSING
        try:
            info = FieldInfo.from_annotation(annotation)
        except (PydanticUserError, TypeError) as error:
            self.fail(f"the type of {name!r} cannot be read: {error}")
        kind = plain(annotation)
        factory = None
        if default is MISSING and not info.is_required():
            factory = t.cast("t.Any", info.default_factory)
            default = info.get_default(call_default_factory=True)
        uploads = [each for each in metadata_of(annotation) if isinstance(each, Upload)]
        members = None
        self.check_kind(name, location, annotation)
        if location in ("query", "header", "cookie", "form") and is_model(kind):
            try:
                members = members_of(kind, location)
            except NameError as error:
                self.fail(f"the type {error.name!r} of a member of {name!r} is not known.")
        if uploads and location != "file":
            self.fail(f"{name!r} has an 'Upload', which is said of files, not of a {location}.")
        adapter = self.adapter(name, for_validation(annotation, lax=location != "json"))
        if default is not MISSING and default is not None and location != "file":
            try:
                adapter.validate_python(default)
            except ValueError as error:
                self.fail(f"the default of {name!r} does not validate: {error}")
        return Field(
            name,
            location,
            self.alias(name, mark, info),
            annotation,
            adapter,
            default,
            members is None and location != "json" and is_list(kind),
            members,
            info,
            uploads[0] if uploads else None,
            mark.embed,
            factory,
            getattr(mark, "read", None),
            getattr(mark, "forms", False),
        )

    def alias(self, name: str, mark: In, info: FieldInfo) -> str:
        alias = mark.alias or info.validation_alias or info.alias
        if isinstance(alias, AliasChoices) and len(alias.choices) == 1:
            alias = alias.choices[0]
        if alias is None:
            alias = name.replace("_", "-") if mark.location == "header" else name
        if not isinstance(alias, str):
            self.fail(f"{name!r} has an alias that is no single name: {alias!r}.")
        if mark.location == "path" and name not in self.variables and alias not in self.variables:
            self.fail(f"{name!r} comes from the path, which has no variable of that name.")
        if mark.location != "path" and name in self.variables and not self.dependency:
            self.fail(
                f"{name!r} is marked as from the {mark.location}, but is a variable of the URL."
            )
        return alias

    def check_kind(self, name: str, location: str, annotation: t.Any) -> None:
        """Whether a place has values of a type."""
        kind = plain(annotation)
        if location in _TEXTS:
            fits = is_simple(kind) or (location != "path" and is_model(kind))
        elif location == "form":
            fits = is_simple(kind) or is_model(kind)
        elif location == "file":
            inner = [plain(each) for each in t.get_args(kind)] if is_list(kind) else [kind]
            fits = any(each is bytes or is_class(each, FileStorage) for each in inner)
        else:
            fits = not is_file(kind)
        if not fits:
            self.fail(f"{name!r} is of a type that a {location} cannot have: {annotation!r}.")

    def adapter(self, name: str, annotation: t.Any) -> TypeAdapter[t.Any]:
        try:
            return TypeAdapter(annotation)
        except (PydanticUserError, SchemaError, TypeError, NameError, ValueError) as error:
            first = str(error).partition("\n")[0]
            self.fail(f"the type of {name!r} cannot be validated: {first}")

    # The whole

    def taken(self, provided: t.Iterable[Provided]) -> frozenset[str]:
        """Parameters that variables of the URL fill as they are."""
        names = {parameter.name for parameter, _ in self.parameters()} & self.variables
        names -= {each.name for each in self.fields}
        return frozenset(names - {each.name for each in provided})

    def check_body(self, operation: Operation) -> None:
        everything = operation.everything()
        body = [each for each in everything if each.location == "json"]
        forms = [each for each in everything if each.location in ("form", "file")]
        if body and forms:
            self.fail(
                f"{body[0].name!r} comes from a JSON body and {forms[0].name!r} from a form:"
                " a request has one of them."
            )
        own = [each for each in self.fields if each.location == "json"]
        if len(own) > 1 and not all(each.name in self.marked for each in own):
            names = " and ".join(repr(each.name) for each in own)
            self.fail(
                f"{names} both are the JSON body. Mark them with 'Json[...]' to take each from a"
                " key of its name."
            )

    def check_converters(self, rules: t.Iterable[t.Any]) -> None:
        """Refuse a parameter whose type takes nothing of what the URL's converter gives."""
        for field in self.fields:
            if field.location != "path":
                continue
            for rule in rules:
                converter = rule._converters.get(field.alias) or rule._converters.get(field.name)
                samples = samples_of(converter)
                if samples and all(takes(field.adapter, each) is False for each in samples):
                    self.fail(
                        f"{field.name!r} is of a type that takes nothing of what"
                        f" {type(converter).__name__} gives in {rule.rule!r}: {field.type!r}."
                    )


def read_view(
    function: Callable[..., t.Any],
    variables: Collection[str],
    whole: bool,
    options: t.Any,
    *,
    rules: t.Iterable[t.Any] = (),
    fillers: bool = False,
    owner: type | None = None,
) -> Operation:
    """The operation of a view, or of a method of a class-based one. Raises SetupError.

    :param whole: whether unmarked parameters count
    :param options: those of the route
    :param rules: the rules of the endpoint
    """
    from .returns import read_answers

    reader = Reader(function, variables, whole=whole, fillers=fillers, owner=owner)
    operation = reader.read()
    reader.check_converters(rules)
    effects = tuple(
        reader.provided(f"dependencies[{index}]", mark)
        for index, mark in enumerate(options.get("dependencies") or ())
    )
    answers, typed = read_answers(reader, options)
    lenient = not whole and not operation.binds and not options.get("returns")
    operation = dataclasses.replace(
        operation,
        effects=effects,
        answers=answers,
        is_answer_typed=typed,
        is_answer_lenient=lenient,
        options=options,
    )
    reader.check_body(operation)
    return operation


def read_dependency(
    provide: Callable[..., t.Any], variables: Collection[str], within: tuple[t.Any, ...] = ()
) -> Operation:
    """The operation of a dependency. Raises SetupError."""
    return Reader(provide, variables, whole=True, dependency=True, within=within).read()

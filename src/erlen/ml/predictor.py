"""What a predictor is: read from its class once, when it is registered.

A predictor is an object with `predict(items)`, which gets several items and returns as many
results. All else is there where it is wanted: `load`, `decode` (from what a request brings to an
item), `encode` (from a result to what is answered), `warm_up` (items to compute before the first
request).
"""

from __future__ import annotations

import inspect
import typing as t
import warnings
from collections.abc import AsyncIterable, Iterator
from dataclasses import dataclass, field

from pydantic import ConfigDict, FailFast, PydanticUserError, TypeAdapter, create_model
from pydantic import Field as make_info
from pydantic.fields import FieldInfo
from pydantic_core import SchemaError

from ..api.annotations import names_around, resolve, signature_of
from ..api.kinds import UNIONS, annotated, is_class, is_list, is_model, plain
from ..engine.bridge import is_coroutine_function
from ..engine.names import keep_names
from ..errors import ErlenError, Place, SetupError
from ..paths import find_source
from .arrays import Array, array_of
from .fields import Input, Output, inputs_of_model, is_pillow, label_of, output_of
from .files import Image

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MISSING: t.Any = inspect.Parameter.empty
VERBS = ("load", "decode", "predict", "encode", "warm_up")


class BadItem(ErlenError, ValueError):
    """What `decode`, `predict` or `encode` raise for an item that cannot be answered: a 422.

    `predict` may also return one in the place of a result, which spares the others of the batch
    being computed again.

    :param message: for the client
    :param field: the input that is wrong, if it is one
    """

    def __init__(self, message: str, field: str | None = None) -> None:
        self.message = message
        self.field = field
        super().__init__(message)

    def __reduce__(self) -> tuple[t.Any, ...]:
        return type(self), (self.message, self.field)


class Predictor:
    """An optional base of predictors."""

    def load(self) -> None:
        """Load the model: once in each process, before the first item."""

    def predict(self, items: list[t.Any]) -> list[t.Any]:
        """The results of some items, in their order."""
        raise NotImplementedError


@dataclass(frozen=True)
class Verb:
    """A method of a predictor, and how it is called."""

    function: Callable[..., t.Any]
    #: Whether calling it gives something to be awaited, or an async iterator.
    is_coroutine: bool = False
    #: Whether calling it gives an iterator.
    yields: bool = False


@dataclass(frozen=True)
class Definition:
    """All that a predictor's class says."""

    name: str
    title: str
    description: str
    predict: Verb
    load: Verb | None
    decode: Verb | None
    encode: Verb | None
    warm_up: Verb | None
    #: The type of the JSON body, and what it is validated by.
    body: t.Any
    adapter: TypeAdapter[t.Any] = field(repr=False)
    #: The parameters that get the inputs, by the names of these.
    parameters: Mapping[str, t.Any]
    #: Whether the body is the value of the one parameter, not an object with the parameters.
    is_whole: bool
    #: Parameters that are given images as Pillow's.
    pictures: frozenset[str]
    #: The type of one answer; `MISSING` where it is not known.
    returned: t.Any
    inputs: tuple[Input, ...]
    output: Output
    #: Whether `predict` takes one array with all items, not a list of them.
    stacks: bool = False
    place: Place | None = None

    @property
    def streams(self) -> bool:
        """Whether answers come item by item."""
        return self.predict.yields

    @property
    def is_async_stream(self) -> bool:
        """Whether they come of an async iterator."""
        return self.streams and self.predict.is_coroutine

    @property
    def is_batched(self) -> bool:
        return not self.streams

    def begin(self, item: t.Any) -> t.Any:
        """The iterator of a stream, plain or async."""
        function = self.predict.function
        return function(item) if self.decode is not None else function(**item)

    @property
    def types(self) -> list[t.Any]:
        """The types of the parameters that get the inputs."""
        return [annotation for annotation, _ in self.parameters.values()]

    def arguments(self, made: t.Any) -> dict[str, t.Any]:
        """What `decode` gets, or `predict` where there is none, from a body that is valid."""
        if self.is_whole:
            return dict.fromkeys(self.parameters, made)
        values = {name: getattr(made, name) for name in self.parameters}
        for name in self.pictures:
            if values[name] is not None:
                values[name] = values[name].pil
        return values


def read_predictor(predictor: t.Any, place: Place | None) -> Definition:
    """The definition of an object with `predict`, or of a function of a list.

    Raises SetupError, with the place of the registration and of the fault.
    """
    return _Reading(predictor, place).definition()


class _Reading:
    """Reads one predictor."""

    def __init__(self, predictor: t.Any, place: Place | None) -> None:
        self.place = place
        self.owner: type | None = None
        is_function = not hasattr(predictor, "predict") and callable(predictor)
        if is_function and not isinstance(predictor, type):
            self.name = getattr(predictor, "__name__", type(predictor).__name__)
            self.documented = predictor
            self.verbs = {"predict": self.verb("predict", predictor)}
            return
        if isinstance(predictor, type):
            self.fail(f"{predictor.__name__} is a class: pass an object, {predictor.__name__}().")
        self.owner = type(predictor)
        self.name = self.owner.__name__
        self.documented = self.owner
        self.verbs = {}
        for name in VERBS:
            function = getattr(predictor, name, None)
            if function is None:
                continue
            if getattr(function, "__func__", None) is Predictor.__dict__.get(name, MISSING):
                continue
            if not callable(function):
                self.fail(f"{self.name}.{name} is {function!r}, which cannot be called.")
            self.verbs[name] = self.verb(name, function)
        if "predict" not in self.verbs:
            self.fail(f"{self.name} has no method 'predict(self, items)'.")

    def fail(self, message: str, function: t.Any = None) -> t.NoReturn:
        own = None if function is None else find_source(function)
        raise SetupError(message, self.place, own)

    def verb(self, name: str, function: t.Any) -> Verb:
        keep_names(function)
        inner = inspect.unwrap(function)
        yields = inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner)
        if yields and name != "predict":
            self.fail(f"'{name}' of {self.name} yields, which only 'predict' may.", function)
        if not yields and not is_coroutine_function(function):
            # One that returns an iterator says so.
            yields = name == "predict" and _is_iterator(self.returned(function))
        if not yields:
            return Verb(function, is_coroutine_function(function))
        is_async = inspect.isasyncgenfunction(inner) or _is_iterator(
            self.returned(function), AsyncIterable
        )
        return Verb(function, is_async, True)

    # Signatures

    def signature(self, function: t.Any) -> inspect.Signature:
        try:
            return signature_of(function)
        except (TypeError, ValueError) as error:
            self.fail(f"The signature of {self.name} cannot be read: {error}", function)

    def resolved(self, function: t.Any, annotation: t.Any) -> t.Any:
        try:
            return resolve(annotation, function, names_around(function, self.owner))
        except NameError as error:
            self.fail(
                f"The type {error.name!r} in {self.name} is not known where it is defined.",
                function,
            )
        except (TypeError, SyntaxError, AttributeError) as error:
            self.fail(f"A type in {self.name} cannot be read: {error}", function)

    def returned(self, function: t.Any) -> t.Any:
        return self.resolved(function, self.signature(function).return_annotation)

    def parameters(self, function: t.Any) -> dict[str, tuple[t.Any, t.Any]]:
        """Types and defaults, by names."""
        found = {}
        for each in self.signature(function).parameters.values():
            if each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD):
                continue
            if each.kind is each.POSITIONAL_ONLY:
                self.fail(f"{each.name!r} of {self.name} can be given by position only.", function)
            found[each.name] = (self.resolved(function, each.annotation), each.default)
        return found

    # What it takes

    def given(self) -> dict[str, tuple[t.Any, t.Any]]:
        """Types and defaults of the inputs, by names."""
        decode = self.verbs.get("decode")
        predict = self.verbs["predict"]
        if decode is not None:
            found = self.parameters(decode.function)
            self.item_parameter(predict.function)
            return self.typed(found, "decode", decode.function)
        if predict.yields:
            return self.typed(self.parameters(predict.function), "predict", predict.function)
        name, annotation = self.item_parameter(predict.function)
        kind = plain(annotation)
        arguments = t.get_args(kind)
        if not (is_list(kind) and len(arguments) in (1, 2)) or array_of(kind):
            self.fail(
                f"What an item of {self.name} is cannot be told: annotate {name!r} of 'predict' as"
                " a list, such as 'list[str]', or add a method 'decode'.",
                predict.function,
            )
        return {singular(name): (arguments[0], MISSING)}

    def stacks(self) -> bool:
        """Whether `predict` takes one array, of NumPy or torch."""
        predict = self.verbs["predict"]
        if predict.yields:
            return False
        kind = plain(self.item_parameter(predict.function)[1])
        is_tensor = getattr(kind, "__name__", "") == "Tensor"
        return array_of(kind) is not None or is_tensor

    def item_parameter(self, function: t.Any) -> tuple[str, t.Any]:
        """The one parameter of `predict`."""
        found = self.parameters(function)
        needed = [name for name, (_, default) in found.items() if default is MISSING]
        if not found or len(needed) > 1:
            self.fail(
                f"'predict' of {self.name} takes one argument, the list of items, not"
                f" {len(needed)}.",
                function,
            )
        name = (needed or [*found])[0]
        return name, found[name][0]

    def typed(
        self, found: dict[str, tuple[t.Any, t.Any]], verb: str, function: t.Any
    ) -> dict[str, tuple[t.Any, t.Any]]:
        if not found:
            self.fail(f"'{verb}' of {self.name} takes nothing.", function)
        for name, (annotation, _) in found.items():
            if annotation is MISSING:
                self.fail(
                    f"{name!r} of '{verb}' of {self.name} has no type, so nothing can be read for"
                    " it.",
                    function,
                )
        return found

    # The whole

    def definition(self) -> Definition:
        given = self.given()
        verbs = self.verbs
        first = (verbs.get("decode") or verbs["predict"]).function
        pictures = frozenset(name for name, (kind, _) in given.items() if is_pillow(plain(kind)))
        types = {name: (_prepared(kind), default) for name, (kind, default) in given.items()}
        [(name, (kind, _)), *others] = types.items()
        is_whole = not others and is_model(plain(kind))
        body = kind if is_whole else self.model(types, first)
        try:
            adapter = TypeAdapter(body)
            inputs = inputs_of_model(plain(body))
        except (PydanticUserError, SchemaError, TypeError, NameError, ValueError) as error:
            self.fail(_unreadable(self.name, error), first)
        returned = self.answer()
        # Not what a base says of itself.
        own = self.owner is not None and "__doc__" not in vars(self.owner)
        text = inspect.cleandoc((not own and self.documented.__doc__) or "")
        return Definition(
            self.name,
            label_of(_words(self.name)),
            text,
            verbs["predict"],
            verbs.get("load"),
            verbs.get("decode"),
            verbs.get("encode"),
            verbs.get("warm_up"),
            body,
            adapter,
            types,
            is_whole,
            pictures,
            returned,
            tuple(inputs),
            output_of(returned, stream=verbs["predict"].yields),
            self.stacks(),
            find_source(verbs["predict"].function),
        )

    def model(self, types: dict[str, tuple[t.Any, t.Any]], function: t.Any) -> t.Any:
        """The model of a body with several members."""
        members: dict[str, t.Any] = {}
        for name, (annotation, default) in types.items():
            if not isinstance(default, FieldInfo):
                default = make_info(default=... if default is MISSING else default)
            members[name] = (annotation, default)
        config = ConfigDict(
            allow_inf_nan=False, extra="forbid", validate_default=False, protected_namespaces=()
        )
        title = _words(self.name).title().replace(" ", "")
        try:
            with warnings.catch_warnings():
                # An input may have the name of a method of pydantic's, such as `copy`.
                warnings.filterwarnings("ignore", message="Field name .* shadows an attribute")
                return create_model(f"{title}Input", __config__=config, **members)
        except (PydanticUserError, SchemaError, TypeError, NameError, ValueError) as error:
            self.fail(_unreadable(self.name, error), function)

    def answer(self) -> t.Any:
        """The type of one answer."""
        encode, predict = self.verbs.get("encode"), self.verbs["predict"]
        if encode is not None:
            return self.returned(encode.function)
        returned = self.returned(predict.function)
        if returned is MISSING:
            return MISSING
        kind = plain(returned)
        arguments = t.get_args(kind)
        if predict.yields:
            return arguments[0] if arguments else MISSING
        if array_of(kind) is not None or not is_list(kind):
            return MISSING
        return arguments[0] if arguments else MISSING


def _is_iterator(annotation: t.Any, *kinds: type) -> bool:
    origin = t.get_origin(plain(annotation)) or plain(annotation)
    return any(is_class(origin, kind) for kind in kinds or (Iterator, AsyncIterable))


def _unreadable(name: str, error: Exception) -> str:
    first = str(error).partition("\n")[0]
    return f"The types of the inputs of {name} cannot be validated: {first}"


def _prepared(annotation: t.Any) -> t.Any:
    """A type as it is validated: arrays and images of libraries by our kinds; a list of which one
    member is wrong has one fault, not as many as members."""
    if t.get_origin(annotation) is t.Annotated:
        base, *metadata = t.get_args(annotation)
        if any(isinstance(each, Array) for each in metadata):
            return annotation
        return annotated(_prepared(base), metadata)
    array = array_of(annotation)
    if array is not None:
        return annotated(annotation, (array,))
    if is_pillow(annotation):
        return Image
    if t.get_origin(annotation) in UNIONS:
        return t.Union[tuple(map(_prepared, t.get_args(annotation)))]  # noqa: UP007
    if t.get_origin(annotation) is list and t.get_args(annotation):
        (inner,) = t.get_args(annotation)
        return annotated(list[_prepared(inner)], (FailFast(),))  # type: ignore[misc]
    return annotation


def singular(name: str) -> str:
    """The name of one item: of `texts` it is `text`, of `entries` `entry`."""
    if name.endswith("ies") and len(name) > 4:
        return f"{name[:-3]}y"
    if name.endswith("s") and not name.endswith("ss") and len(name) > 1:
        return name[:-1]
    return name


def _words(name: str) -> str:
    """The words of a name in either style."""
    spaced = "".join(
        f" {each}" if each.isupper() and not before.isupper() else each
        for before, each in zip(" " + name, name, strict=False)
    )
    return spaced.replace("_", " ").strip()


__all__ = ["BadItem", "Definition", "Predictor", "Verb", "read_predictor", "singular"]

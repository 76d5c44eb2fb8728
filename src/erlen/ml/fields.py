"""What a page needs to know of a predictor's inputs and of its answer: plain data."""

from __future__ import annotations

import dataclasses
import enum
import re
import typing as t
from collections.abc import Collection, Mapping

from pydantic import TypeAdapter
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from pydantic_core import PydanticUndefined

from ..api.kinds import annotated, is_class, is_list, is_model, members_of, metadata_of, plain
from .arrays import Array, array_of
from .files import Audio, File, Image
from .labels import Label
from .limits import Choice, Limits, Shown
from .tables import Table

if t.TYPE_CHECKING:
    from pydantic.fields import FieldInfo

#: What `Input.kind` can be.
INPUT_KINDS = (
    *("text", "number", "boolean", "choice"),
    *("image", "audio", "file", "table", "array", "json"),
)
#: What `Output.kind` can be.
OUTPUT_KINDS = (
    *("text", "number", "boolean", "label", "image", "audio", "file", "table", "array"),
    *("object", "json"),
)
_OF_NUMBERS = {
    "minimum": "minimum",
    "maximum": "maximum",
    "exclusiveMinimum": "exclusive_minimum",
    "exclusiveMaximum": "exclusive_maximum",
    "multipleOf": "step",
}
_OF_TEXTS = {
    "minLength": "min_length",
    "maxLength": "max_length",
    "pattern": "pattern",
    "format": "format",
}


@dataclasses.dataclass(frozen=True)
class Input:
    """An input of a predictor.

    `limits` has, where they are known: of a number `minimum`, `maximum`, `exclusive_minimum`,
    `exclusive_maximum`, `step`, `integer`, `slider`; of a text `min_length`, `max_length`,
    `pattern`, `format`, `lines`; of files `max_size` (bytes), `formats`, `accept` (for HTML), of an
    image also `max_pixels` and `draw` (width, height); of a table `max_rows`, `max_columns`; of an
    array `shape`, `dtype`, `minimum`, `maximum`; of a choice or a file `multiple`.
    """

    #: Of the member of the JSON body, and of the field of a form.
    name: str
    #: One of `INPUT_KINDS`.
    kind: str
    label: str
    required: bool = True
    default: t.Any = None
    #: Values that JSON can hold.
    choices: tuple[t.Any, ...] = ()
    limits: Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    description: str | None = None

    @property
    def is_file(self) -> bool:
        """Whether it is sent as a file by a form."""
        return self.kind in ("image", "audio", "file", "table")


@dataclasses.dataclass(frozen=True)
class Output:
    """The answer of a predictor, or a member of one that is an object.

    In JSON a `label` is `{"label", "score", "scores"}` with the most probable first, an `image`,
    `audio` or `file` a data URL, a `table` a list of objects.
    """

    #: One of `OUTPUT_KINDS`; of a stream that of its items.
    kind: str
    name: str = ""
    label: str = ""
    #: Whether items of this kind come one after the other.
    stream: bool = False
    #: Of an object.
    members: tuple[Output, ...] = ()


def label_of(name: str) -> str:
    """A name as people read it: `max_price` is "Max price"."""
    words = re.sub(r"[_\W]+", " ", name).strip()
    return words[:1].upper() + words[1:]


# Inputs


def input_of(name: str, annotation: t.Any, info: FieldInfo) -> Input:
    """The input that a field is.

    :param annotation: its type with all that is said about it
    """
    said = metadata_of(annotation)
    shown = next((each for each in said if isinstance(each, Shown)), Shown())
    kind, limits, choices = _kind_of(annotation, said)
    schema = _schema_of(annotation)
    if kind == "number":
        limits |= {ours: schema[key] for key, ours in _OF_NUMBERS.items() if key in schema}
        if schema.get("type") == "integer":
            limits |= {"integer": True, "step": limits.get("step", 1)}
        if shown.slider:
            limits["slider"] = True
    elif kind == "text":
        limits |= {ours: schema[key] for key, ours in _OF_TEXTS.items() if key in schema}
        if shown.lines is not None:
            limits["lines"] = shown.lines
    elif kind == "image" and shown.draw is not None:
        limits["draw"] = shown.draw
    default = info.get_default(call_default_factory=True, validated_data={})
    return Input(
        name,
        kind,
        shown.label or info.title or label_of(name),
        info.is_required(),
        None if default is PydanticUndefined else _as_data(default),
        choices,
        limits,
        shown.help or info.description,
    )


def _as_data(value: t.Any) -> t.Any:
    return value.value if isinstance(value, enum.Enum) else value


def _schema_of(annotation: t.Any) -> dict[str, t.Any]:
    """The JSON Schema of a type that has limits, without that of `None`."""
    try:
        schema = TypeAdapter(annotation).json_schema()
    except (PydanticUserError, PydanticSchemaGenerationError):
        return {}
    options = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    return {**options[0], **schema} if len(options) == 1 else schema


def _kind_of(
    annotation: t.Any, said: Collection[t.Any]
) -> tuple[str, dict[str, t.Any], tuple[t.Any, ...]]:
    """The kind of an input, its limits as far as its type has them, and its choices."""
    kind = plain(annotation)
    choice = next((each for each in said if isinstance(each, Choice)), None)
    array = next((each for each in said if isinstance(each, Array)), None) or array_of(kind)
    if choice is not None:
        return "choice", {}, tuple(choice.options)
    if array is not None:
        about: dict[str, t.Any] = {"shape": array.shape, "dtype": array.dtype}
        about |= {"minimum": array.minimum, "maximum": array.maximum}
        return "array", {key: value for key, value in about.items() if value is not None}, ()
    if is_class(kind, File):
        return kind.kind, _limits_of_file(kind, said), ()
    choices = _choices_of(kind)
    if choices:
        return "choice", {}, choices
    if is_list(kind):
        inner = t.get_args(kind)[:1]
        if inner and is_class(plain(inner[0]), File):
            one = plain(inner[0])
            said = (*said, *metadata_of(inner[0]))
            return one.kind, {**_limits_of_file(one, said), "multiple": True}, ()
        choices = _choices_of(plain(inner[0])) if inner else ()
        return ("choice", {"multiple": True}, choices) if choices else ("json", {}, ())
    if kind is bool:
        return "boolean", {}, ()
    if is_class(kind, int) or is_class(kind, float):
        return "number", {}, ()
    schema = _schema_of(annotation)
    if schema.get("type") == "string":
        return "text", {}, ()
    if schema.get("type") in ("number", "integer"):
        return "number", {}, ()
    return "json", {}, ()


def _choices_of(kind: t.Any) -> tuple[t.Any, ...]:
    if t.get_origin(kind) is t.Literal:
        return t.get_args(kind)
    if is_class(kind, enum.Enum):
        return tuple(each.value for each in kind)
    return ()


def _limits_of_file(kind: t.Any, said: Collection[t.Any]) -> dict[str, t.Any]:
    own = next((each for each in said if isinstance(each, Limits)), Limits())
    formats = tuple(own.formats or kind.formats)
    about: dict[str, t.Any] = {"max_size": own.max_size or kind.max_size, "formats": formats}
    about["accept"] = _accept_of(kind, formats)
    if issubclass(kind, Image):
        about["max_pixels"] = own.max_pixels or kind.max_pixels
    if issubclass(kind, Table):
        about["max_rows"] = own.max_rows or kind.max_rows
        about["max_columns"] = own.max_columns or kind.max_columns
    return about


def _accept_of(kind: t.Any, formats: tuple[str, ...]) -> str:
    """The attribute `accept` of an HTML input."""
    if issubclass(kind, Image):
        return ",".join(f"image/{each.lower()}" for each in formats)
    if issubclass(kind, Audio):
        return ",".join(f".{each}" for each in formats) + ",audio/*"
    if issubclass(kind, Table):
        return ".csv,.tsv,text/csv,text/tab-separated-values"
    return ",".join(f".{each.lower().lstrip('.')}" for each in formats)


def inputs_of_model(model: t.Any) -> list[Input]:
    """The inputs that a type with named fields has."""
    return [
        input_of(name, _with_metadata(info), info)
        for name, info in members_of(model, "json").items()
    ]


def _with_metadata(info: FieldInfo) -> t.Any:
    return annotated(info.annotation, info.metadata)


# Answers


def output_of(annotation: t.Any, name: str = "", *, stream: bool = False, depth: int = 0) -> Output:
    """What an answer of a type looks like."""
    kind = plain(annotation)
    members: tuple[Output, ...] = ()
    found = _output_kind(kind)
    if found == "object":
        if depth > 1:
            found = "json"
        else:
            members = tuple(
                output_of(info.annotation, key, depth=depth + 1)
                for key, info in members_of(kind, "json").items()
            )
    return Output(found, name, label_of(name), stream, members)


def _output_kind(kind: t.Any) -> str:
    if is_class(kind, Label):
        return "label"
    if is_class(kind, File):
        return t.cast("str", kind.kind)
    if is_pillow(kind):
        return "image"
    if array_of(kind) is not None:
        return "array"
    if kind is bool:
        return "boolean"
    if (is_class(kind, int) or is_class(kind, float)) and not is_class(kind, enum.Enum):
        return "number"
    if is_class(kind, str) or is_class(kind, enum.Enum) or t.get_origin(kind) is t.Literal:
        return "text"
    if is_model(kind):
        return "object"
    if is_list(kind):
        inner = [plain(each) for each in t.get_args(kind)[:1]]
        is_rows = any(is_model(each) or is_class(t.get_origin(each), dict) for each in inner)
        return "table" if is_rows else "json"
    return "json"


def is_pillow(kind: t.Any) -> bool:
    """Whether a type is Pillow's own, without importing it."""
    return is_class(kind, object) and any(
        (base.__module__, base.__name__) == ("PIL.Image", "Image") for base in kind.__mro__
    )

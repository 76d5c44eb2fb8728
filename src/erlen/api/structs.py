"""msgspec's Structs: validated and written by msgspec, described to pydantic.

Source: msgspec, "Structs", "JSON Schema". msgspec tells the first fault of a value only.
"""

from __future__ import annotations

import re
import typing as t

from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError, core_schema

from .kinds import UNIONS, annotated, is_struct, plain

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from .problems import Fault

_PATH = re.compile(r"(.*) - at `\$(.*)`", re.S)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")


class StructSchema:
    """In `Annotated`: how pydantic validates, writes and describes a Struct.

    :param lax: whether texts become numbers and the like
    """

    def __init__(self, lax: bool) -> None:
        self.lax = lax

    def __get_pydantic_core_schema__(self, source: t.Any, handler: t.Any) -> t.Any:
        import msgspec

        def validate(value: t.Any) -> t.Any:
            if value.__class__ is source:
                return value
            try:
                return msgspec.convert(value, source, strict=not self.lax, from_attributes=True)
            except msgspec.ValidationError as error:
                message, place = _told(error)
                kind = PydanticCustomError("struct", "{message}", {"message": message})
                fault = InitErrorDetails(type=kind, loc=place, input=value)
                raise ValidationError.from_exception_data(source.__name__, [fault]) from None

        return core_schema.no_info_plain_validator_function(
            validate,
            serialization=core_schema.plain_serializer_function_ser_schema(
                msgspec.to_builtins, when_used="always"
            ),
        )

    def __get_pydantic_json_schema__(self, schema: t.Any, handler: t.Any) -> t.Any:
        raise NotImplementedError


def adapted(annotation: t.Any, lax: bool = False) -> t.Any:
    """A type with its Structs in a form that pydantic takes; a type without any is as it was."""
    if is_struct(annotation):
        return t.Annotated[annotation, _schema_of(annotation, lax)]
    arguments = t.get_args(annotation)
    if not arguments or t.get_origin(annotation) is t.Literal:
        return annotation
    if t.get_origin(annotation) is t.Annotated:
        return annotated(adapted(arguments[0], lax), arguments[1:])
    made = [adapted(each, lax) if not isinstance(each, list) else each for each in arguments]
    if all(new is old for new, old in zip(made, arguments, strict=True)):
        return annotation
    if t.get_origin(annotation) in UNIONS:
        return t.Union[tuple(made)]  # noqa: UP007
    return t.get_origin(annotation)[tuple(made)]


def _schema_of(struct: t.Any, lax: bool) -> StructSchema:
    import msgspec

    class Schema(StructSchema):
        def __get_pydantic_json_schema__(self, schema: t.Any, handler: t.Any) -> t.Any:
            (reference,), components = msgspec.json.schema_components([struct])
            return _inlined(reference, components, ())

    return Schema(lax)


def _inlined(schema: t.Any, components: dict[str, t.Any], within: tuple[str, ...]) -> t.Any:
    """A schema with what it refers to in place; where a type contains itself, any object."""
    if isinstance(schema, list):
        return [_inlined(each, components, within) for each in schema]
    if not isinstance(schema, dict):
        return schema
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    if name in within:
        return {"type": "object", "title": name}
    if name:
        return _inlined(components[name], components, (*within, name))
    return {
        key: value if key == "mapping" else _inlined(value, components, within)
        for key, value in schema.items()
        if key != "discriminator"
    }


def is_of_structs(annotation: t.Any) -> bool:
    """Whether msgspec knows a type at least as well as pydantic: it is a Struct, a list of one or
    a union of some, and nothing is said about them."""
    if t.get_origin(annotation) is t.Annotated:
        return False
    kind = plain(annotation)
    if is_struct(kind):
        return True
    origin, arguments = t.get_origin(kind), t.get_args(kind)
    if origin is list or origin in UNIONS:
        return all(each is type(None) or is_of_structs(each) for each in arguments)
    return False


def decoder_of(annotation: t.Any) -> Callable[[bytes], t.Any] | None:
    """What reads the JSON of a type of Structs; `None` for other types."""
    if not is_of_structs(annotation):
        return None
    import msgspec

    return t.cast("Callable[[bytes], t.Any]", msgspec.json.Decoder(annotation).decode)


def encoder_of(annotation: t.Any) -> Callable[[t.Any], bytes] | None:
    """What writes the JSON of a Struct; `None` for other types."""
    if not is_of_structs(annotation):
        return None
    import msgspec

    return msgspec.json.Encoder().encode


def faults_of_struct(error: Exception) -> list[Fault] | str:
    """The fault that msgspec tells; a text where the JSON itself is malformed."""
    import msgspec

    if not isinstance(error, msgspec.ValidationError):
        return str(error)
    message, place = _told(error)
    return [{"location": ["json", *place], "message": message, "type": "struct"}]


def _told(error: Exception) -> tuple[str, tuple[str | int, ...]]:
    """What is wrong, and where."""
    text = str(error)
    place: list[str | int] = []
    found = _PATH.fullmatch(text)
    if found is not None:
        text = found[1]
        for name, index in _STEP.findall(found[2]):
            place.append(int(index) if index.isdigit() else name or index)
    return text.replace("`", "'"), tuple(place)

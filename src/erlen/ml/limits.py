"""What is said about an input beside its type: how large it may be, how a page shows it."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from pydantic_core import PydanticCustomError, core_schema

from ..api.kinds import UNIONS, annotated

if t.TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import GetCoreSchemaHandler

Schema = core_schema.CoreSchema

MEGABYTE = 1_000_000


def _as_tuple(texts: Sequence[str]) -> tuple[str, ...]:
    """What is said about a type in a union has to be hashable."""
    return (texts,) if isinstance(texts, str) else tuple(texts)


@dataclass(frozen=True)
class Limits:
    """How large an input may be: `Annotated[Image, Limits(max_size=2_000_000)]`.

    Said of a list or union, it is said of each part. What is `None` keeps the kind's own default.
    A kind ignores what does not concern it.

    :param max_size: bytes of a file
    :param formats: of a file, such as `("PNG", "JPEG")` or `("wav",)`; others are refused. An image
        or a sound shows what it is, any other file by its name or type as the client says
    :param max_pixels: width times height of an image
    :param max_rows: of a table
    :param max_columns: of a table
    :param max_length: characters of a text
    """

    max_size: int | None = None
    formats: Sequence[str] | None = None
    max_pixels: int | None = None
    max_rows: int | None = None
    max_columns: int | None = None
    max_length: int | None = None

    def __post_init__(self) -> None:
        if self.formats is not None:
            object.__setattr__(self, "formats", _as_tuple(self.formats))

    def __get_pydantic_core_schema__(self, source: t.Any, handler: GetCoreSchemaHandler) -> Schema:
        make = getattr(source, "_limited_schema", None)
        if make is not None:
            return t.cast("Schema", make(self))
        schema = handler(self._within(source))
        if self.max_length is not None and schema["type"] == "str":
            return {**schema, "max_length": self.max_length}
        return schema

    def _within(self, source: t.Any) -> t.Any:
        """A list or union of which each part has these limits; any other type as it is."""
        origin, parts = t.get_origin(source), t.get_args(source)
        if origin in UNIONS:
            return t.Union[tuple(map(self._of_part, parts))]  # noqa: UP007
        return list[self._of_part(parts[0])] if origin is list else source  # type: ignore[misc]

    def _of_part(self, part: t.Any) -> t.Any:
        return part if part is type(None) else annotated(part, (self,))


@dataclass(frozen=True)
class Shown:
    """How a page shows an input: `Annotated[str, Shown("Review", lines=8)]`.

    :param label: by default made from the name
    :param help: a sentence below it
    :param lines: of a text; more than one gives a larger box
    :param draw: width and height of a canvas on which an image can be drawn, in pixels
    :param slider: whether a number with two limits is a slider
    """

    label: str | None = None
    help: str | None = None
    lines: int | None = None
    draw: tuple[int, int] | None = None
    slider: bool = False


#: Text of several lines, at most 100,000 characters.
Text = t.Annotated[str, Limits(max_length=100_000), Shown(lines=6)]


@dataclass(frozen=True)
class Choice:
    """One of some texts that are known only when the program runs: `Annotated[str, Choice(NAMES)]`.

    Where they can be written down, `Literal` and `Enum` do the same.
    """

    options: Sequence[str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", _as_tuple(self.options))

    def __get_pydantic_core_schema__(self, source: t.Any, handler: t.Any) -> Schema:
        return core_schema.literal_schema([*self.options])


def fault(kind: str, message: str) -> PydanticCustomError:
    """A fault of one input, which the answer names."""
    # The message is a template there; what clients sent may have braces.
    text = t.cast("t.Any", message.replace("{", "(").replace("}", ")"))
    return PydanticCustomError(t.cast("t.Any", kind), text)

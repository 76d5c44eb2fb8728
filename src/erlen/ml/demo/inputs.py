"""Inputs as the page's form shows them."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..fields import Input

#: Up to so many choices are all to be seen, more are in a list that opens.
MOST_RADIOS = 4
_CANVAS = 280
_LINES = {"json": 4, "array": 4}
_TEMPLATES = {"array": "json", "audio": "audio", "table": "table"}


@dataclass(frozen=True)
class Example:
    """A file of an example, in the place of one that is chosen."""

    name: str
    url: str


@dataclass(frozen=True)
class Field:
    """A field of the form: what its template needs. Values are texts."""

    name: str
    id: str
    kind: str
    template: str
    label: str
    hint: str
    required: bool
    #: Whether nothing may be given, and nothing stands in for it.
    optional: bool
    values: tuple[str, ...]
    error: str
    example: Example | None
    choices: tuple[str, ...]
    multiple: bool
    accept: str
    max_size: int | None
    canvas: tuple[int, int]
    draws: bool
    min: float | None
    max: float | None
    step: str
    min_length: int | None
    max_length: int | None
    rows: int

    @property
    def value(self) -> str:
        """The first value; empty for none."""
        return self.values[0] if self.values else ""

    @property
    def is_group(self) -> bool:
        """Whether it has its label inside: it is more than one input, or one with words behind."""
        return self.template in ("boolean", "radios", "checks")


def field_of(
    given: Input,
    values: Sequence[str] | None = None,
    error: str = "",
    example: Example | None = None,
) -> Field:
    """A field with what was sent, or else with the input's default."""
    limits: Mapping[str, t.Any] = given.limits
    if values is None:
        values = texts_of(given.default)
    draw = limits.get("draw")
    return Field(
        name=given.name,
        id=f"input-{given.name}",
        kind=given.kind,
        template=_template_of(given),
        label=given.label,
        hint=given.description or _limits_text(given),
        required=given.required,
        optional=not given.required and given.default is None,
        values=tuple(values),
        error=error,
        example=example,
        choices=tuple(text for each in given.choices for text in texts_of(each)),
        multiple=bool(limits.get("multiple")),
        accept=limits.get("accept", ""),
        max_size=limits.get("max_size"),
        canvas=draw or (_CANVAS, _CANVAS),
        draws=draw is not None,
        min=_first(limits, "minimum", "exclusive_minimum"),
        max=_first(limits, "maximum", "exclusive_maximum"),
        step=str(limits.get("step", "any")),
        min_length=limits.get("min_length"),
        max_length=limits.get("max_length"),
        rows=limits.get("lines") or _LINES.get(given.kind, 3),
    )


def texts_of(value: t.Any) -> tuple[str, ...]:
    """A value, or the values of a list of choices, as a form sends them."""
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if isinstance(value, (list, tuple)) and all(isinstance(each, str) for each in value):
        return tuple(value)
    return (json.dumps(value, ensure_ascii=False),)


def _first(limits: Mapping[str, t.Any], *names: str) -> float | None:
    return next((limits[name] for name in names if name in limits), None)


def _template_of(given: Input) -> str:
    limits = given.limits
    if given.kind == "choice":
        if limits.get("multiple"):
            return "checks"
        return "radios" if len(given.choices) <= MOST_RADIOS else "select"
    if given.kind == "number" and limits.get("slider"):
        return "slider"
    if given.kind == "text" and (limits.get("lines") or 1) == 1:
        return "line"
    return _TEMPLATES.get(given.kind, given.kind)


def _limits_text(given: Input) -> str:
    """What a file may be, for those who choose one."""
    if not given.is_file:
        return ""
    formats = ", ".join(str(each).upper() for each in given.limits.get("formats") or ())
    if given.kind == "table":
        formats = "CSV with the names of columns in its first row"
    size = given.limits.get("max_size")
    most = f"up to {size_text(size)}" if size else ""
    return ", ".join(filter(None, (formats, most)))


def size_text(count: int) -> str:
    """A number of bytes for people: 5 MB, 64 kB."""
    size, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size:.3g} {unit}"

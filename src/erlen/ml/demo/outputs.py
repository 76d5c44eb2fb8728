"""Answers as the page shows them: made from the JSON that programs get."""

from __future__ import annotations

import json
import math
import re
import typing as t
from dataclasses import dataclass, field

from .inputs import size_text

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MOST_BARS = 10
MOST_ROWS = 200
MOST_COLUMNS = 50
_LONGEST = 20_000

_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,[A-Za-z0-9+/]*={0,2}")
_SHOWN = {"image": ("png", "jpeg", "webp", "gif", "bmp"), "audio": ()}
_ENDINGS = {"jpeg": "jpg", "mpeg": "mp3", "x-wav": "wav", "plain": "txt", "octet-stream": "bin"}


@dataclass(frozen=True)
class Bar:
    """A label and how probable it is; `width` in percent of the widest possible bar."""

    label: str
    share: str
    width: str


@dataclass(frozen=True)
class Cell:
    text: str
    is_number: bool


@dataclass(frozen=True)
class View:
    """One part of an answer: what its template needs."""

    kind: str
    template: str
    label: str = ""
    text: str = ""
    #: A data URL.
    url: str = ""
    name: str = ""
    size: str = ""
    best: str = ""
    bars: list[Bar] = field(default_factory=list)
    #: A column of numbers has a heading that is aligned as they are.
    columns: list[Cell] = field(default_factory=list)
    rows: list[list[Cell]] = field(default_factory=list)
    #: How many bars or rows are not shown.
    more: int = 0


def view_of(kind: str, value: t.Any, label: str = "") -> View:
    """A part of an answer, by its kind; what does not look like its kind is shown as JSON."""
    make = _MAKERS.get(kind)
    made = make(value, label) if make is not None else None
    if made is not None:
        return made
    if isinstance(value, str):
        return View("text", "text", label, _cut(value))
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return View("number", "number", label, number_text(value))
    return View("json", "json", label, json_text(value))


def json_text(value: t.Any) -> str:
    """JSON for people: indented where it is not short, long texts in it cut."""
    value = _shortened(value)
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) < 80 else _cut(json.dumps(value, ensure_ascii=False, indent=2))


def number_text(number: float) -> str:
    """A number with as many digits as say something."""
    if isinstance(number, int) or not math.isfinite(number):
        return str(number)
    return f"{number:.6g}"


def _shortened(value: t.Any) -> t.Any:
    if isinstance(value, str) and len(value) > 500:
        return f"{value[:60]}… ({len(value)} characters)"
    if isinstance(value, list):
        return [_shortened(each) for each in value]
    if isinstance(value, dict):
        return {key: _shortened(each) for key, each in value.items()}
    return value


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


# By kind; `None` for a value that is none of it.


def _label(value: t.Any, label: str) -> View | None:
    if not isinstance(value, dict) or "label" not in value:
        return None
    scores = value.get("scores")
    if not isinstance(scores, dict):
        score = value.get("score")
        scores = {value["label"]: score} if isinstance(score, (int, float)) else {}
    pairs = [
        (str(name), float(score))
        for name, score in scores.items()
        if isinstance(score, (int, float)) and math.isfinite(score)
    ]
    pairs.sort(key=lambda pair: pair[1], reverse=True)
    bars = [Bar(name, _percent(score), _width(score)) for name, score in pairs[:MOST_BARS]]
    more = max(len(pairs) - MOST_BARS, 0)
    return View("label", "label", label, best=str(value["label"]), bars=bars, more=more)


def _percent(score: float) -> str:
    return f"{100 * score:.1f} %"


def _width(score: float) -> str:
    return f"{100 * min(max(score, 0.0), 1.0):.1f}"


def _file(kind: str, value: t.Any, label: str) -> View | None:
    """A file as a data URL, shown where browsers show nothing but what it is."""
    if not isinstance(value, str):
        return None
    found = _DATA_URL.fullmatch(value)
    if found is None:
        return None
    main, _, sub = found[1].lower().partition("/")
    known = _SHOWN.get(kind)
    is_shown = main == kind and (not known or sub in known)
    ending = _ENDINGS.get(sub, sub if sub.isalnum() else "bin")
    name = label.lower().replace(" ", "-") or "answer"
    size = (len(value) - value.index(",") - 1) * 3 // 4
    template = kind if is_shown and known is not None else "file"
    return View(kind, template, label, url=value, name=f"{name}.{ending}", size=size_text(size))


def _table(value: t.Any, label: str) -> View | None:
    columns: list[str] = []
    lines: Iterable[t.Any]
    if isinstance(value, dict) and isinstance(value.get("rows"), list):
        columns, lines = [*map(str, value.get("columns") or ())], value["rows"]
        count = len(value["rows"])
    elif isinstance(value, list) and all(isinstance(row, dict) for row in value):
        columns = [*dict.fromkeys(str(key) for row in value for key in row)]
        lines, count = ([row.get(key) for key in columns] for row in value), len(value)
    else:
        return None
    rows = []
    for number, line in enumerate(lines):
        if number == MOST_ROWS:
            break
        rows.append([_cell(each) for each in [*line][:MOST_COLUMNS]])
    headings = [
        Cell(name, any(row[place].is_number for row in rows[:1] if place < len(row)))
        for place, name in enumerate(columns[:MOST_COLUMNS])
    ]
    more = max(count - MOST_ROWS, 0)
    return View("table", "table", label, columns=headings, rows=rows, more=more)


def _cell(value: t.Any) -> Cell:
    if isinstance(value, bool) or value is None:
        return Cell("" if value is None else str(value).lower(), False)
    if isinstance(value, (int, float)):
        return Cell(number_text(value), True)
    return Cell(_cut(value) if isinstance(value, str) else json_text(value), False)


def _text(value: t.Any, label: str) -> View | None:
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        value = "".join(value)
    return View("text", "text", label, _cut(value)) if isinstance(value, str) else None


_MAKERS: Mapping[str, t.Callable[[t.Any, str], View | None]] = {
    "label": _label,
    "image": lambda value, label: _file("image", value, label),
    "audio": lambda value, label: _file("audio", value, label),
    "file": lambda value, label: _file("file", value, label),
    "table": _table,
    "text": _text,
}

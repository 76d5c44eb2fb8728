"""In which way two bodies differ, said so that one finds the cause."""

from __future__ import annotations

import json
import typing as t
from difflib import unified_diff
from html import unescape


def describe(one: bytes, two: bytes) -> tuple[str, str, str]:
    """Kind, title and detail of a difference between Flask's body and Erlen's."""
    if not two or not one:
        whose = "Erlen" if one else "Flask"
        return "body-empty", f"{whose}'s body is empty", _both(one[:200], two[:200])
    if one.strip() == two.strip():
        return "body-newline", "blanks or newlines around the body", _both(one[-40:], two[-40:])
    try:
        first, second = one.decode(), two.decode()
    except UnicodeDecodeError:
        return "body-bytes", "the bytes of the body", f"{len(one)} and {len(two)} bytes long"
    return _json(first, second) or _text(first, second)


def _both(one: t.Any, two: t.Any) -> str:
    return f"Flask: {one!r}\nErlen: {two!r}"


def _json(one: str, two: str) -> tuple[str, str, str] | None:
    try:
        first, second = json.loads(one), json.loads(two)
    except ValueError:
        return None
    found = next(_values(first, second, "$"), None)
    if found is not None:
        where, before, after = found
        return "body-json-value", f"the JSON value at {where}", _both(before, after)
    if json.dumps(first) != json.dumps(second):
        return "body-json-order", "the order of keys in the JSON", _both(one[:200], two[:200])
    return (
        "body-json-format",
        "how the JSON is written, not its values",
        _both(one[:200], two[:200]),
    )


_ABSENT = "nothing"


def _values(one: t.Any, two: t.Any, where: str) -> t.Iterator[tuple[str, t.Any, t.Any]]:
    """Places where two values differ, the first one first."""
    if type(one) is not type(two):
        yield where, one, two
    elif isinstance(one, dict):
        for key in [*one, *(key for key in two if key not in one)]:
            if key not in one or key not in two:
                yield f"{where}.{key}", one.get(key, _ABSENT), two.get(key, _ABSENT)
            else:
                yield from _values(one[key], two[key], f"{where}.{key}")
    elif isinstance(one, list):
        for number, (first, second) in enumerate(zip(one, two, strict=False)):
            yield from _values(first, second, f"{where}[{number}]")
        if len(one) != len(two):
            yield f"{where}, its length", len(one), len(two)
    elif one != two:
        yield where, one, two


def _text(one: str, two: str) -> tuple[str, str, str]:
    changes = [
        line
        for line in unified_diff(one.splitlines(), two.splitlines(), lineterm="", n=0)
        if not line.startswith(("---", "+++"))
    ]
    detail = "\n".join(line[:300] for line in changes[:20])
    if "".join(one.split()) == "".join(two.split()):
        return "body-blanks", "blanks and newlines in the body", detail
    if unescape(one) == unescape(two):
        return "body-escaping", "what is escaped in the body", detail
    return "body-text", "the text of the body", detail

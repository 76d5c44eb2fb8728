"""Compare the cookies that two answers set: names, attributes, and what a session holds."""

from __future__ import annotations

import base64
import json
import typing as t
import zlib
from dataclasses import dataclass

from .masks import fits


@dataclass(frozen=True)
class Cookie:
    """A `Set-Cookie` header, taken apart (RFC 6265, 4.1)."""

    name: str
    value: str
    attributes: dict[str, str]


def parse(header: str) -> Cookie:
    """The cookie of a header's value."""
    pair, *rest = header.split(";")
    name, _, value = pair.partition("=")
    attributes = {}
    for part in rest:
        key, _, said = part.strip().partition("=")
        attributes[key.lower()] = said
    return Cookie(name.strip(), value.strip(), attributes)


def session_of(value: str) -> dict[str, t.Any] | None:
    """What a signed session cookie of Flask holds; None if it is none."""
    payload = value.strip('"')
    compressed = payload.startswith(".")
    payload = payload.lstrip(".").partition(".")[0]
    try:
        raw = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
        held = json.loads(zlib.decompress(raw) if compressed else raw)
    except (ValueError, zlib.error):
        return None
    return held if isinstance(held, dict) else None


Found = tuple[str, str, str]


def compare(first: list[str], again: list[str], other: list[str]) -> t.Iterator[Found]:
    """Kind, title and detail of what differs in Erlen's (`other`) cookies.

    `first` and `again` are those of two runs on Flask.
    """
    one, same, two = map(_numbered, (first, again, other))
    for key in sorted({*one, *two}):
        name, _ = key
        if key not in two:
            yield "cookie-missing", f"the cookie {name} is not set on Erlen", one[key].value
        elif key not in one:
            yield "cookie-added", f"the cookie {name} is set on Erlen only", two[key].value
        else:
            yield from _differ(one[key], same.get(key, one[key]), two[key])


def _numbered(headers: list[str]) -> dict[tuple[str, int], Cookie]:
    """Cookies by name and number: one may be set for several paths."""
    found: dict[tuple[str, int], Cookie] = {}
    for cookie in map(parse, headers):
        number = 0
        while (cookie.name, number) in found:
            number += 1
        found[cookie.name, number] = cookie
    return found


def _differ(one: Cookie, again: Cookie, two: Cookie) -> t.Iterator[Found]:
    for key in sorted({*one.attributes, *two.attributes}):
        before, after = one.attributes.get(key), two.attributes.get(key)
        if (
            before is None
            or after is None
            or not fits(before, again.attributes.get(key, ""), after)
        ):
            title = f"the attribute {key} of the cookie {one.name}"
            yield "cookie-attribute", title, f"Flask: {before!r}\nErlen: {after!r}"
    held, held_again, held_there = (
        session_of(one.value),
        session_of(again.value),
        session_of(two.value),
    )
    if held is None or held_again is None or held_there is None:
        if not fits(one.value, again.value, two.value):
            detail = f"Flask: {one.value!r}\nErlen: {two.value!r}"
            yield "cookie-value", f"the value of the cookie {one.name}", detail
        return
    for key in sorted({*held, *held_there}):
        before, after = (json.dumps(side.get(key)) for side in (held, held_there))
        if (key in held) is not (key in held_there) or not fits(
            before, json.dumps(held_again.get(key)), after
        ):
            kind = "flash" if key == "_flashes" else "session"
            what = "flashed messages" if key == "_flashes" else f"{key!r}"
            detail = f"Flask: {before}\nErlen: {after}"
            yield f"{kind}-content", f"{what} in the session of the cookie {one.name}", detail
    if list(held) != list(held_there) and sorted(held) == sorted(held_there):
        yield (
            "session-order",
            f"the order of the session in {one.name}",
            f"{[*held]} {[*held_there]}",
        )

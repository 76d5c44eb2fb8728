"""JSON by orjson, exactly where its result equals the standard library's.

`encode` and `decode` hand everything else back. orjson refuses most of what the two treat
differently (keys that are no text, long integers, lone surrogates, subclasses, NaN in input);
what it takes silently is looked for here:

- members of an `Enum` and raw fragments, by the exact types of all values;
- NaN and infinities, which it writes as `null`;
- floats that Python writes with another exponent;
- non-ASCII text and DEL, which Python escapes on request;
- integers too long for 64 bits, which it reads as floats.

Importing this module imports orjson, so that is left to the first use.
"""

from __future__ import annotations

import datetime
import json
import re
import typing as t
from decimal import Decimal
from itertools import chain
from json.encoder import encode_basestring_ascii
from math import isfinite
from uuid import UUID

import orjson
from orjson import dumps as _dumps
from orjson import loads as _loads

# Bits of a layout; `encode` takes their sum.
SORTED: t.Final = 1
PRETTY: t.Final = 2
NEWLINE: t.Final = 4

_OPTIONS: t.Final = tuple(
    orjson.OPT_PASSTHROUGH_SUBCLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | (orjson.OPT_SORT_KEYS if layout & SORTED else 0)
    | (orjson.OPT_INDENT_2 if layout & PRETTY else 0)
    | (orjson.OPT_APPEND_NEWLINE if layout & NEWLINE else 0)
    for layout in range(8)
)

_SIMPLE: t.Final[frozenset[type]] = frozenset({str, int, bool, type(None)})
_NESTED: t.Final[frozenset[type]] = frozenset({dict, list, tuple})
_NATIVE: t.Final = _SIMPLE | _NESTED | {float}
# Exact types that the built-in `default` turns into text, whatever else is defined.
_CONVERTED: t.Final[frozenset[type]] = frozenset({datetime.date, datetime.datetime, Decimal, UUID})
_KNOWN: t.Final = _NATIVE | _CONVERTED

# Where orjson's text of a float is not Python's: `1e-6` for `1e-06`, `0.00001` for `1e-05`, and
# before 3.13 `1e16` for `1e+16`.
_SHORT_EXPONENT: t.Final = re.compile(rb"e-[1-9](?![0-9])")
_SMALL: t.Final = re.compile(rb"0\.0000[0-9]+")
_UNSIGNED: t.Final = None if _dumps(1e16) == b"1e+16" else re.compile(rb"e(?=[0-9])")

# PERF: as a number, since `in` first tries to read bytes as one.
_DEL: t.Final = 127

# Characters that may stand in for others while the rest of the text is escaped.
_STAND_INS: t.Final = b"~^`|@#$%&*;!?<>=+"

# Digits to `0`, the point to itself, all else to a space: finds long integers at memory speed.
_DIGITS: t.Final = bytes(
    48 if 48 <= code <= 57 else code if code == 46 else 32 for code in range(256)
)
_LONG: t.Final = b"0" * 19
_AFTER_SPACE: t.Final = b" " + _LONG


def _levels(obj: t.Any) -> t.Iterator[tuple[t.Collection[t.Any], set[type]]]:
    """The values of a tree by depth, each level with the set of their types.

    Only for a tree that orjson has written: that one is finite.

    PERF: a level is walked in C (`map`, `chain`), several times faster than value by value.
    """
    values: t.Collection[t.Any] = list(obj.values()) if type(obj) is dict else (obj,)
    while values:
        kinds = set(map(type, values))
        yield values, kinds
        nested = kinds & _NESTED
        if not nested:
            return
        below: list[t.Iterable[t.Any]] = []
        for kind in nested:
            same: t.Any = values if len(kinds) == 1 else [v for v in values if type(v) is kind]
            below += map(dict.values, same) if kind is dict else same
        values = list(chain.from_iterable(below))


def _containers(obj: t.Any) -> t.Iterator[tuple[t.Collection[t.Any], set[type]]]:
    """The values of each container of a tree, with the set of their types."""
    pending: list[t.Any] = [(obj,)]
    for container in pending:
        values = list(container.values() if type(container) is dict else container)
        kinds = set(map(type, values))
        yield values, kinds
        if not kinds.isdisjoint(_NESTED):
            pending += [value for value in values if type(value) in _NESTED]


def _are_finite(values: t.Iterable[t.Any]) -> bool:
    """Whether the floats among the values are finite; it may say no of very large ones."""
    return isfinite(sum([v for v in values if type(v) is float]))


def _python_floats(body: bytes) -> bytes:
    """The body with its floats, all finite, as Python writes them."""
    small = body.find(b"0.0000") >= 0
    if not small and _UNSIGNED is None and _SHORT_EXPONENT.search(body) is None:
        return body
    # Numbers stand outside of strings: escapes that would hide where a string ends are masked by
    # control characters, which JSON text cannot contain, and every other piece is looked at.
    escapes = 92 in body
    if escapes:
        body = body.replace(b"\\\\", b"\0").replace(b'\\"', b"\1")
    pieces = body.split(b'"')
    outside = b'"'.join(pieces[::2])
    if small:
        outside = _SMALL.sub(_as_python, outside)
    if _UNSIGNED is not None:
        outside = _UNSIGNED.sub(b"e+", outside)
    # PERF: a cut at each exponent, where a regular expression would call back.
    head, *tails = outside.split(b"e-")
    padded = [tail if tail[1:2].isdigit() else b"0" + tail for tail in tails]
    outside = b"e-".join([head, *padded])
    pieces[::2] = outside.split(b'"')
    body = b'"'.join(pieces)
    return body.replace(b"\1", b'\\"').replace(b"\0", b"\\\\") if escapes else body


def _as_python(match: re.Match[bytes]) -> bytes:
    before = match.string[max(match.start() - 1, 0) : match.start()]
    # `10.00001` holds this pattern too, and is no small number.
    return match[0] if before.isdigit() else repr(float(match[0])).encode()


def _to_ascii(body: bytes) -> bytes | None:
    """The same JSON with `\\uXXXX` for DEL and everything beyond ASCII; `None` to leave it.

    The encoder for strings is given the whole text, with quotes, backslashes and line ends, which
    it must not touch, replaced by characters that the text does not contain.
    """
    if body.count(b'"') * 12 < len(body):
        return None  # PERF: few long strings, which the standard library writes faster
    free = bytes([char for char in _STAND_INS if char not in body][:3])
    if len(free) < 3:
        return None
    masked = body.translate(bytes.maketrans(b'"\\\n', free)).decode()
    escaped = encode_basestring_ascii(masked)[1:-1].encode()
    # The backslashes of the new escapes are real; only stand-ins are turned back.
    return escaped.translate(bytes.maketrans(free, b'"\\\n'))


def _checked(obj: t.Any, body: bytes, known: frozenset[type]) -> bytes | None:
    """The body as Python writes it but for non-ASCII text; `None` where a type is not known."""
    floats = False
    nulls = body.find(b"null") >= 0
    # PERF: in a small tree each container is looked at by itself.
    for values, kinds in _levels(obj) if len(body) > 1000 else _containers(obj):
        if not kinds <= known:
            return None
        if float in kinds:
            floats = True
            if nulls and not _are_finite(values):
                return None
    return _python_floats(body) if floats else body


def encode(
    obj: t.Any,
    layout: int,
    ensure_ascii: bool,
    default: t.Callable[[t.Any], t.Any] | None,
) -> bytes | None:
    """JSON as `json.dumps` writes it, in UTF-8; `None` where only that can tell.

    `default` is a function that `convert_exact` made, or `None` to leave other types alone.
    """
    try:
        body = _dumps(obj, default, _OPTIONS[layout])
    except TypeError:
        return None
    # PERF: a flat object, the common answer, needs no walk. (Lists are made in one step of the
    # interpreter, so that another thread may go on changing the object.)
    for value in list(obj.values()) if type(obj) is dict else (obj,):
        if type(value) not in _SIMPLE:
            checked = _checked(obj, body, _NATIVE if default is None else _KNOWN)
            if checked is None:
                return None
            body = checked
            break
    if ensure_ascii and (not body.isascii() or _DEL in body):
        return _to_ascii(body)
    return body


def convert_exact(convert: t.Callable[[t.Any], t.Any]) -> t.Callable[[t.Any], t.Any]:
    """`convert` for the types whose conversion is known to be text; TypeError for others."""

    def default(o: t.Any) -> t.Any:
        if type(o) in _CONVERTED:
            return convert(o)
        raise TypeError

    return default


def _has_long_integer(raw: bytes) -> bool:
    text = raw.translate(_DIGITS)
    # PERF: the first search skips 19 bytes at a time, and seldom finds something.
    return _LONG in text and (_AFTER_SPACE in text or text.startswith(_LONG))


def decode(source: t.Any) -> t.Any:
    """What `json.loads` returns or raises for text or bytes."""
    kind = type(source)
    if kind is bytes or kind is str:
        try:
            raw: bytes = source if kind is bytes else source.encode()
            if len(raw) < 19 or not _has_long_integer(raw):
                return _loads(raw)
        except ValueError:
            # Not JSON for orjson, or no valid UTF-8: the standard library decides, and says why.
            pass
    return json.loads(source)

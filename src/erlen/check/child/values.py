"""Values for the variables of a rule, by their converters."""

from __future__ import annotations

import typing as t
from itertools import islice

#: By the name of Werkzeug's converter class, also as a base class: values that fit.
SAMPLES: dict[str, tuple[t.Any, ...]] = {
    "IntegerConverter": (1, 2, 0, 987654321),
    "FloatConverter": (1.5, 2.0),
    "UUIDConverter": ("6ba7b810-9dad-11d1-80b4-00c04fd430c8",),
    "PathConverter": ("a/b", "a b/ü.txt"),
    "UnicodeConverter": ("a", "1", "a b ü&<"),
}
_ILL_FORMED = {"IntegerConverter": "x1", "FloatConverter": "1", "UUIDConverter": "6ba7b810"}


def samples(converter: t.Any) -> tuple[t.Any, ...]:
    """Some values that a converter's `to_url` takes; at least one."""
    items = getattr(converter, "items", None)  # of `any(a, b)`
    if isinstance(items, (set, frozenset, tuple, list)) and items:
        return tuple(islice(sorted(items), 3))
    for cls in type(converter).__mro__:
        if cls.__name__ in SAMPLES:
            values = SAMPLES[cls.__name__]
            if cls.__name__ == "UUIDConverter":
                from uuid import UUID

                return tuple(UUID(value) for value in values)
            fitting = tuple(value for value in values if _fits(converter, value))
            return fitting or _of_length(converter) or values[:1]
    return ("a",)


def ill_formed(converter: t.Any) -> str | None:
    """Text that the converter refuses, where one is known."""
    for cls in type(converter).__mro__:
        if cls.__name__ in _ILL_FORMED:
            return _ILL_FORMED[cls.__name__]
    return None


def _fits(converter: t.Any, value: t.Any) -> bool:
    import re

    if isinstance(value, (int, float)):
        low, high = getattr(converter, "min", None), getattr(converter, "max", None)
        return (low is None or value >= low) and (high is None or value <= high)
    return re.fullmatch(converter.regex, str(value)) is not None


def _of_length(converter: t.Any) -> tuple[t.Any, ...]:
    """A value of the least number, or the least length up to 64, that fits."""
    low = getattr(converter, "min", None)
    if low is not None:
        return (low,)
    found = (letter * n for n in range(1, 65) for letter in "a1" if _fits(converter, letter * n))
    return tuple(islice(found, 1))

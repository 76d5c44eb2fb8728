"""Documents of JSON's types as YAML.

Every scalar is written as JSON has it, which YAML 1.2 takes as it is; so no library is needed.
Source: YAML 1.2.2, chapters 7 and 8.
"""

from __future__ import annotations

import json
import re
import typing as t
from collections.abc import Iterator

# Names that no reader takes for anything but a text.
_PLAIN = re.compile(r"[A-Za-z_$/][\w./$-]*")
# What readers do not take as it is, or take for the end of a line (YAML 1.2.2, 5.1).
_SPECIAL = re.compile(
    "[^\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_NOT_PLAIN = frozenset("y n yes no true false on off null".split())


def as_yaml(value: t.Any) -> str:
    """A value of dicts with texts as keys, lists and scalars, in block style."""
    return "\n".join(_lines(value)) + "\n"


def _lines(value: t.Any) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            name = key if _is_plain(key) else _scalar(key)
            if _is_flat(inner):
                yield f"{name}: {_scalar(inner)}"
            else:
                yield f"{name}:"
                yield from (f"  {line}" for line in _lines(inner))
    elif isinstance(value, (list, tuple)) and value:
        for inner in value:
            for number, line in enumerate(_lines(inner)):
                yield f"{'  ' if number else '- '}{line}"
    else:
        yield _scalar(value)


def _is_flat(value: t.Any) -> bool:
    return not (isinstance(value, (dict, list, tuple)) and value)


def _is_plain(key: str) -> bool:
    return _PLAIN.fullmatch(key) is not None and key.lower() not in _NOT_PLAIN


def _scalar(value: t.Any) -> str:
    written = json.dumps(value, ensure_ascii=False)
    return _SPECIAL.sub(lambda found: f"\\u{ord(found[0]):04x}", written)

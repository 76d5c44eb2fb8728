"""What differs between two runs on Flask itself is no difference between Flask and Erlen.

Dates, nonces, signatures, the order of sets: anything is accepted where two texts differ, and
nothing else where they are equal.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher

# A date is one token: its hour may change as well as its second (RFC 9110, 5.6.7; ISO 8601).
_TOKENS = re.compile(
    r"\w{3}, \d{2} \w{3} \d{4} [\d:]{8} GMT|\d{4}-\d\d-\d\d[T ][\d:.]{8,}|[\w-]+|[^\w-]"
)
#: With more tokens than this, the texts are compared by lines: that takes linear time in practice.
MOST_TOKENS = 4000


def fits(first: str, second: str, other: str) -> bool:
    """Whether a third text differs from the first only where the second does."""
    if other in (first, second):
        return True
    if first == second:
        return False
    return matches(fixed_parts(first, second), other)


def fixed_parts(first: str, second: str) -> list[str]:
    """What two texts have in common, in order; they differ between each two of the parts."""
    parts = [""]
    one, two = _split(first), _split(second)
    for kind, begin, end, _, _ in SequenceMatcher(None, one, two, autojunk=False).get_opcodes():
        if kind == "equal":
            parts[-1] += "".join(one[begin:end])
        else:
            parts.append("")
    return parts


def matches(parts: list[str], text: str) -> bool:
    """Whether a text is made of the parts, in order, with anything between them.

    Each part is taken where it comes first, which leaves most for those behind it: no other choice
    has to be tried, as an expression would, twice as many with each part that comes again.
    """
    first, *others = parts
    if not others:
        return text == first
    *between, last = others
    place, end = len(first), len(text) - len(last)
    if not (text.startswith(first) and text.endswith(last)) or place > end:
        return False
    for part in between:
        place = text.find(part, place, end)
        if place < 0:
            return False
        place += len(part)
    return True


def _split(text: str) -> list[str]:
    tokens: list[str] = _TOKENS.findall(text)
    return tokens if len(tokens) <= MOST_TOKENS else text.splitlines(keepends=True)

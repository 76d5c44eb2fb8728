"""What differs between two runs on Flask itself is no difference between Flask and Erlen.

Dates, nonces, signatures, the order of sets: a mask of two texts accepts anything where they
differ, and nothing else where they are equal.
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
    return mask(first, second).fullmatch(other) is not None


def mask(first: str, second: str) -> re.Pattern[str]:
    """An expression that matches texts which differ from the first at the same places."""
    parts: list[str] = []
    one, two = _split(first), _split(second)
    for kind, begin, end, _, _ in SequenceMatcher(None, one, two, autojunk=False).get_opcodes():
        parts.append(re.escape("".join(one[begin:end])) if kind == "equal" else ".*?")
    return re.compile("".join(parts), re.DOTALL)


def _split(text: str) -> list[str]:
    tokens: list[str] = _TOKENS.findall(text)
    return tokens if len(tokens) <= MOST_TOKENS else text.splitlines(keepends=True)

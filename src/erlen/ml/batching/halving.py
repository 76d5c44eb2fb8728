"""Which items are to blame when a batch fails."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Generator

T = t.TypeVar("T")

#: A group to try; the answer is whether it failed.
Trials = t.Generator["list[T]", bool, None]


def sift(items: list[T]) -> Generator[list[T], bool, None]:
    """Yield groups of items to try until each item was in one that succeeded, or failed alone.

    The caller sends back whether the group failed. One culprit among n items costs about log2(n)
    further tries: it is searched for by halves, and all that the search has not touched is tried
    as one group then. If that fails as well, it is halved to its last item (at most 2n tries).
    """
    if not (yield items) or len(items) == 1:
        return
    low, high = 0, len(items)  # a culprit is among these; those below have succeeded
    alone = False
    while high - low > 1:
        middle = (low + high) // 2
        alone = False
        if (yield items[low:middle]):
            high = middle
            alone = high - low == 1
        else:
            low = middle
    if not alone:
        yield items[low:high]
    if high < len(items):
        yield from _halve(items[high:])


def _halve(items: list[T]) -> Generator[list[T], bool, bool]:
    if not (yield items):
        return False
    if len(items) > 1:
        middle = len(items) // 2
        yield from _halve(items[:middle])
        yield from _halve(items[middle:])
    return True

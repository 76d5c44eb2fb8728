"""When to answer those who are refused."""

from __future__ import annotations

from math import inf

#: Refusals for each item that is computed, and seconds between two of them at most.
EACH = 3
SPACING = 2.5e-3
#: Refusals that may come at the same time.
BURST = 8
#: Refusals that may wait: each on a thread of the server's, or as a coroutine.
ON_THREADS, ON_LOOPS = 32, 64
#: Those for which there is no place are told so many times as fast, and so many times as many of
#: them may wait.
FASTER, MORE = 2, 3


class Refusals:
    """Has refusals wait for each other where they come faster than the batcher bears.

    A client that is refused and asks again at once is refused some thousand times a second: on the
    processor, and with the interpreter's lock, that the function needs, so that few of them would
    keep all others from being served. What comes above three times the capacity or so waits, and
    with it such a client. Where as many wait as may, others are told sooner, but not as fast as
    they can ask.
    """

    __slots__ = ("_crowded", "_due")

    def __init__(self) -> None:
        #: When the last refusal was due, of those with a place and of the others.
        self._due = self._crowded = -inf

    def delay(self, now: float, pace: float, most: float, places: float) -> float:
        """Seconds for which a refusal waits; none where far too many do.

        :param pace: seconds that an item takes; 0 while unknown
        :param most: seconds that it may wait
        :param places: refusals that may wait
        """
        spacing = min(pace / EACH, SPACING) if pace else SPACING
        due = _next(self._due, now, spacing)
        if due - now <= min(most, places * spacing):
            self._due = due
            return max(due - now, 0.0)
        spacing /= FASTER
        due = _next(self._crowded, now, spacing)
        if due - now <= min(most, MORE * places * spacing):
            self._crowded = due
            return max(due - now, 0.0)
        return 0.0


def _next(last: float, now: float, spacing: float) -> float:
    return max(last, now - BURST * spacing) + spacing

"""When to answer those who are refused."""

from __future__ import annotations

from math import inf

#: Refusals for each item that is computed, and seconds between two of them at most.
EACH = 3
SPACING = 2.5e-3
#: Refusals that may come at the same time.
BURST = 8
#: Refusals that may wait: each on a thread of the server's, or as a coroutine.
ON_THREADS, ON_LOOPS = 32, 128


class Refusals:
    """Has refusals wait for each other where they come faster than the batcher bears.

    A client that is refused and asks again at once is refused some thousand times a second: on the
    processor, and with the interpreter's lock, that the function needs, so that few of them would
    keep all others from being served. What comes above three times the capacity or so waits, and
    with it such a client.
    """

    __slots__ = ("_due",)

    def __init__(self) -> None:
        self._due = -inf

    def delay(self, now: float, pace: float, most: float, places: float) -> float:
        """Seconds for which a refusal waits; none where too many wait, and clients are many.

        :param pace: seconds that an item takes; 0 while unknown
        :param most: seconds that it may wait
        :param places: refusals that may wait
        """
        spacing = min(pace / EACH, SPACING) if pace else SPACING
        due = max(self._due, now - BURST * spacing) + spacing
        left = due - now
        if left > min(most, places * spacing):
            return 0.0
        self._due = due
        return max(left, 0.0)

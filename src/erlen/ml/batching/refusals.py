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
FASTER, MORE = 1.5, 3
#: How much faster, and for how many times the places: those with a place, and the others.
LANES = ((1, 1), (FASTER, MORE))


class Refusals:
    """Has refusals wait for each other where they come faster than the batcher bears.

    A client that is refused and asks again at once is refused some thousand times a second: on the
    processor, and with the interpreter's lock, that the function needs, so that few of them would
    keep all others from being served. What comes above three times the capacity or so waits, and
    with it such a client. Where as many wait as may, others are told sooner, but not as fast as
    they can ask.
    """

    __slots__ = ("_due",)

    def __init__(self) -> None:
        #: When the last refusal of each lane was due.
        self._due = [-inf] * len(LANES)

    def delay(self, now: float, pace: float, most: float, places: float) -> float:
        """Seconds for which a refusal waits; none where far too many do.

        :param pace: seconds that an item takes; 0 while unknown
        :param most: seconds that it may wait
        :param places: refusals that may wait
        """
        spacing = min(pace / EACH, SPACING) if pace else SPACING
        for lane, (faster, more) in enumerate(LANES):
            apart = spacing / faster
            due = max(self._due[lane], now - BURST * apart) + apart
            if due - now <= min(most, more * places * apart):
                self._due[lane] = due
                return max(due - now, 0.0)
        return 0.0

"""Whether a function is run on the event loop itself, where a coroutine asks for it."""

from __future__ import annotations

import typing as t
from math import inf

from .telling import Telling

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from .estimate import Estimate

#: Seconds that a batch may take at most to be run on the event loop itself.
INLINE_SECONDS = 0.002
#: Seconds that one must not take there; after such a run, none is tried for a while.
BLOCKING_SECONDS = 0.02
#: Of a function that computes, one such run in so many batches is let pass.
RARE = 100
#: Seconds for which none is tried, after the first such run and at most.
FIRST_BAN = 10.0
LONGEST_BAN = 640.0


class Inline(Telling):
    """The part of a batcher that tells which batches an event loop can bear."""

    _may_run_on_loop: bool
    _clock: Callable[[], float]
    _estimate: Estimate

    def _reset_bans(self) -> None:
        """Begin, or begin anew."""
        self._banned_until = -inf
        self._ban = 0.0
        self._stalled_at = -RARE

    def _is_quick(self) -> bool:
        """Whether a batch is better computed on the loop than taken to a thread and back."""
        estimate, line = self._estimate, self._line
        if not (self._may_run_on_loop and estimate.is_known) or self._clock() < self._banned_until:
            return False
        size = min(max(len(line.waiting), line.last_in_flight), estimate.best_size())
        return estimate.fastest(size) <= INLINE_SECONDS

    def _mind(self, seconds: float) -> None:
        """An event loop was kept from its work for so long."""
        if seconds <= BLOCKING_SECONDS:
            return
        estimate = self._estimate
        if estimate.is_busy:
            # A thread that was interrupted while it computed would have been anywhere else, too.
            if estimate.last <= BLOCKING_SECONDS:
                return
            # So would one that has collected garbage.
            before, self._stalled_at = self._stalled_at, estimate.batches
            if estimate.batches - before >= RARE:
                return
        if self._clock() > self._banned_until + self._ban:
            self._ban = 0.0  # the last time is long ago
        self._keep_off_loops()

    def _keep_off_loops(self) -> None:
        """Compute on no event loop for a while, each time for longer."""
        self._ban = min(self._ban * 2, LONGEST_BAN) or FIRST_BAN
        self._banned_until = self._clock() + self._ban

"""The part of a batcher that computes an item where nothing else is there, without a queue."""

from __future__ import annotations

import functools
import typing as t
from contextvars import Context

from .computing import checked, steps
from .items import RUNNING, Item
from .leading import Leading, running_batcher

#: Batches of one, run where nothing else is there, of which one is measured, once so many were.
MEASURED_EACH = 4
MEASURED_ALWAYS = 64


class Alone(Leading):
    """Batches of one. PERF: all of it is there to cost an idle batcher's clients little."""

    _prepares: bool

    def _compute_alone(self, value: t.Any, since: float, on_loop: bool = False) -> t.Any:
        """Run the function for the one item that there is, which the line has let begin.

        Raises NeedsThread, and leaves the batch open, where it could be the loop that is in the
        function's way.
        """
        estimate, busy = self._estimate, 0.0
        # PERF: what is known well is measured now and then.
        measures = estimate.batches < MEASURED_ALWAYS or self._tally.batches % MEASURED_EACH == 0
        args = self.collate.join([value]) if self._prepares else ([value],)
        begun = self._clock()
        try:
            if measures:
                results, busy = Context().run(self._call, *args)
            else:
                results = Context().run(self._call_unmeasured, *args)
            if results.__class__ is not list or len(results) != 1:
                results = checked(results, 1, self)
            (result,) = results
        except BaseException as error:
            if on_loop and isinstance(error, RuntimeError):
                raise NeedsThread from error
            self._end_alone(error, begun, since)
            raise
        self._end_alone(None, begun, since, busy, measures)
        return result

    def _end_alone(
        self,
        error: BaseException | None,
        begun: float,
        since: float,
        busy: float = 0.0,
        measures: bool = True,
    ) -> None:
        now = self._clock()
        seconds, latency = now - begun, now - since
        if error is not None:
            leader = self._count(1, None, error, True, seconds, busy, now, 1)
        else:
            leader = None
            with self._lock:  # PERF: `_count` without the calls
                self._tally.note_one(seconds, latency)
                if measures:
                    self._estimate.note(1, seconds, busy)
                self._line.ended(1, now)
                if self._line.waiting:
                    leader = self._next()
            if self._when_idle:
                self._tell_idle()
        if leader is not None:
            self._start(leader)
        if self.observer is not None:
            self._tell([latency], error, seconds)

    def _try_alone_beside(self, item: Item) -> None:
        """Have the batch of one that was begun on a loop computed by a thread."""
        item.state = RUNNING
        following: list[Item] = []
        computing = steps(self, [item], following)
        args = next(computing)
        self._runners.start(functools.partial(self._try_beside, computing, args, following))

    def _call_unmeasured(self, *args: t.Any) -> t.Any:
        """:meth:`_call` without its clock."""
        running_batcher.set(self)
        return self.function(*args)


class NeedsThread(Exception):
    """A function has failed on an event loop, and perhaps because of that."""

"""The part of a batcher that computes an item where nothing else is there, without a queue."""

from __future__ import annotations

import functools
import typing as t
from contextvars import Context

from .computing import checked, steps
from .inline import BLOCKING_SECONDS
from .items import RUNNING, Item
from .leading import Leading, running_batcher
from .stats import COUNTED_AT_ONCE
from .turns import turns

#: Batches of one, run where nothing else is there, of which one is measured, once so many were.
MEASURED_EACH = 16
MEASURED_ALWAYS = 64
#: In place of a result, where an item is not alone.
TAKEN: t.Final = object()


class Alone(Leading):
    """Batches of one. PERF: all of it is there to cost an idle batcher's clients little."""

    _prepares: bool

    def _reset(self) -> None:
        super()._reset()
        #: How many of the next are not measured.
        self._unmeasured = 0
        #: What a function runs in, by itself: :meth:`_call` makes the same.
        self._context = Context()
        self._context.run(running_batcher.set, self._token)

    def _compute_alone(self, value: t.Any, since: float, on_loop: bool = False) -> t.Any:
        """Run the function for the one item that there is; `TAKEN` if there are others.

        Raises NeedsThread, and leaves the batch open, where it could be the loop that is in the
        function's way.
        """
        line = self._line
        with self._lock:
            if not line.claim(since, on_loop):
                return TAKEN
            self._tally.requests += 1
        begun = since
        try:
            args = self.collate.join([value]) if self._prepares else ([value],)
            # PERF: what is known well is measured now and then.
            measures = not self._unmeasured
            if measures:
                if self._estimate.batches > MEASURED_ALWAYS:
                    self._unmeasured = MEASURED_EACH - 1
                if since >= turns.over and not on_loop:
                    turns.leave()
                begun = self._clock()
                results, busy = self._context.copy().run(self._call, *args)
            else:
                self._unmeasured -= 1
                results = self._context.copy().run(self.function, *args)
            if results.__class__ is not list or len(results) != 1:
                results = checked(results, 1, self)
            (result,) = results
        except BaseException as error:
            if on_loop and isinstance(error, RuntimeError):
                raise NeedsThread from error
            self._fail_alone(error, begun, since, on_loop)
            raise
        now = self._clock()
        leader = None
        with self._lock:
            self._tally.alone.append(now - since)
            if measures:
                self._estimate.note(1, now - begun, busy)
                if len(self._tally.alone) >= COUNTED_AT_ONCE:
                    self._tally.count_alone()
            if line.waiting or line.running > 1:
                line.ended(1, now)
                leader = self._next()
            else:  # PERF: the same but for the pace, where nobody has come
                line.running = line.computing = 0
                line.last_end = now
                if now >= line.crowd_until:
                    line.last_in_flight = 1
                line.was_busy = False
        if leader is not None:
            self._start(leader)
        if self._when_idle:
            self._tell_idle()
        if self.observer is not None:
            self._tell([now - since], None, now - begun)
        if on_loop and now - since > BLOCKING_SECONDS:
            self._mind(now - since)
        return result

    def _fail_alone(self, error: BaseException, begun: float, since: float, on_loop: bool) -> None:
        now = self._clock()
        leader = self._count(1, None, error, True, now - begun, 0.0, now, 1)
        if leader is not None:
            self._start(leader)
        self._tell([now - since], error, now - begun)
        if on_loop:
            self._mind(now - since)

    def _try_alone_beside(self, item: Item) -> None:
        """Have the batch of one that was begun on a loop computed by a thread."""
        item.state = RUNNING
        following: list[Item] = []
        computing = steps(self, [item], following)
        args = next(computing)
        self._runners.start(functools.partial(self._try_beside, computing, args, following))


class NeedsThread(Exception):
    """A function has failed on an event loop, and perhaps because of that."""

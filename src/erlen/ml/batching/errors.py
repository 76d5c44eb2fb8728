"""What a batcher answers when it has no result."""

from __future__ import annotations

import typing as t

from ...errors import ErlenError, Place, format_place


class BatchingError(ErlenError):
    """Base of the errors of batchers, apart from those that the batched function raises."""


class QueueFull(BatchingError):
    """An item was refused at once: the queue is full, or its deadline cannot be kept.

    :param retry_after: seconds after which the queue will have emptied, at the measured rate
    """

    #: What it is counted as in the statistics: "full" or "hopeless".
    cause = "full"
    #: Seconds that it waited before it was raised, where many were refused.
    delay = 0.0

    def __init__(self, retry_after: float, message: str = "The queue is full.") -> None:
        self.retry_after = retry_after
        self.message = message
        super().__init__(f"{message} Try again in {retry_after:.3g} s.")

    def __reduce__(self) -> tuple[t.Any, ...]:
        return type(self), (self.retry_after, self.message)


class Hopeless(QueueFull):
    """The wait would outlast the item's deadline, as far as can be told."""

    cause = "hopeless"

    def __init__(
        self, retry_after: float, message: str = "The deadline cannot be kept now."
    ) -> None:
        super().__init__(retry_after, message)


class DeadlineExceeded(BatchingError, TimeoutError):
    """There was no result by the deadline; an item that had not begun is not computed any more.

    :param deadline: seconds that the item was given
    """

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        super().__init__(f"There was no result within {deadline:.3g} s.")

    def __reduce__(self) -> tuple[t.Any, ...]:
        return type(self), (self.deadline,)


class BatcherClosed(BatchingError):
    """The batcher takes no items any more."""

    def __init__(self, message: str = "The batcher is closed.") -> None:
        super().__init__(message)


class BatchInterrupted(BatchingError):
    """The thread or task that computed the batch was stopped: by SystemExit, an interrupt, a
    cancellation. Its cause says by what; the item was perhaps computed, and perhaps not."""


class BadResults(BatchingError, TypeError):
    """A batched function has not returned one result for each item.

    :param message: what it returned instead
    :param place: file and line of the function, `None` where unknown
    """

    def __init__(self, message: str, place: Place | None = None) -> None:
        self.message = message
        self.place = place
        super().__init__(f"{message}\n  at {format_place(place)}")

    def __reduce__(self) -> tuple[t.Any, ...]:
        return type(self), (self.message, self.place)

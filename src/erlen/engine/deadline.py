"""`timeout=` of a route: how long a coroutine function and a streamed body may take."""

from __future__ import annotations

import typing as t
from functools import update_wrapper
from time import monotonic

from werkzeug.exceptions import ServiceUnavailable

from .bridge import is_coroutine_function

if t.TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from ..wrappers import Response

    View = Callable[..., t.Any]


def limited(view: View, seconds: float) -> View:
    """A view whose coroutine is cancelled after `seconds`, which raises ServiceUnavailable.

    What does not wait on a running event loop, such as a plain function on a worker thread,
    cannot be cancelled and goes on.
    """

    async def until(**values: t.Any) -> t.Any:
        with _Deadline(monotonic() + seconds, _too_slow):
            return await view(**values)

    def until_sync(**values: t.Any) -> t.Any:
        with _Deadline(monotonic() + seconds, _too_slow):
            return view(**values)

    return update_wrapper(until if is_coroutine_function(view) else until_sync, view)


def limit_body(response: Response, seconds: float) -> Response:
    """Have a streamed body closed `seconds` from now; the connection then breaks off."""
    body = response.response
    if response.is_streamed:
        kind = _LimitedAsyncBody if hasattr(body, "__aiter__") else _LimitedBody
        response.response = kind(body, monotonic() + seconds)  # type: ignore[assignment]
    return response


def _too_slow() -> Exception:
    return ServiceUnavailable("The request took longer than is allowed here.")


def _body_too_slow() -> Exception:
    return TimeoutError("The response took longer to stream than its route's timeout allows.")


class _Deadline:
    """Cancels the current task at a time, and turns the cancellation into an error."""

    def __init__(self, at: float, error: Callable[[], Exception]) -> None:
        self.at = at
        self.error = error
        self.expired = False
        self.timer: t.Any = None
        self.task: t.Any = None

    def __enter__(self) -> None:
        from asyncio import current_task, get_running_loop

        try:
            loop = get_running_loop()
        except RuntimeError:  # nothing here waits on a loop
            return
        self.task = current_task()
        self.timer = loop.call_later(max(self.at - monotonic(), 0), self._expire)

    def _expire(self) -> None:
        self.expired = True
        self.task.cancel()

    def __exit__(self, kind: type | None, error: BaseException | None, trace: t.Any) -> None:
        if self.timer is None:
            return
        self.timer.cancel()
        if not self.expired:
            return
        from asyncio import CancelledError

        if hasattr(self.task, "uncancel"):
            self.task.uncancel()
        if isinstance(error, CancelledError):
            raise self.error() from None


class _LimitedBody:
    """A sync body that is refused its next piece once the time is over."""

    def __init__(self, pieces: t.Any, at: float) -> None:
        self._source = pieces
        self._pieces: Iterator[t.Any] | None = None
        self._at = at

    def __iter__(self) -> Iterator[t.Any]:
        return self

    def __next__(self) -> t.Any:
        if self._pieces is None:
            self._pieces = iter(self._source)
        if monotonic() >= self._at:
            self.close()
            raise _body_too_slow()
        return next(self._pieces)

    def close(self) -> None:
        if hasattr(self._source, "close"):
            self._source.close()


class _LimitedAsyncBody:
    """An asynchronous body, which is interrupted where it waits."""

    def __init__(self, source: t.Any, at: float) -> None:
        self._source = source
        self._at = at

    def __aiter__(self) -> AsyncIterator[t.Any]:
        return self._go()

    async def _go(self) -> AsyncIterator[t.Any]:
        pieces = self._source.__aiter__()
        try:
            while True:
                with _Deadline(self._at, _body_too_slow):
                    try:
                        piece = await pieces.__anext__()
                    except StopAsyncIteration:
                        return
                yield piece
        finally:
            if hasattr(pieces, "aclose"):
                await pieces.aclose()

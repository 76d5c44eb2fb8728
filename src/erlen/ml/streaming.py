"""Predictors that yield: their items as they come, in the form that the client accepts.

Newline-delimited JSON is the default; `Accept: text/event-stream` gets server-sent events, and a
client that accepts JSON only gets a list when the last item is there. An error before the first
item is an ordinary answer; a later one is told in the stream, which then ends.
"""

from __future__ import annotations

import threading
import typing as t

from ..api.formats import JSON
from ..engine.bridge import await_, is_in_greenlet
from ..engine.streams import END, Pump, iterate
from ..globals import current_app, request
from ..streaming import Event, EventStream, ndjson
from .answers import as_data, as_json
from .batching.errors import BatcherClosed, QueueFull
from .life import beside, call

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..api.problems import Problem
    from .predictor import Definition

    Tell = Callable[[Exception], Problem]

NDJSON, EVENTS = "application/x-ndjson", "text/event-stream"
#: Streams at the same time, where the route says nothing.
MOST_STREAMS = 64
#: Seconds after which to ask again when there are as many.
_RETRY_SECONDS = 1.0


class Places:
    """How many streams are under way, and whether there may be more."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.taken = 0
        self.closed = False
        # A stream that the garbage collector finds gives back its place on any thread, also on one
        # that takes a place.
        self._lock = threading.RLock()

    def take(self) -> None:
        """Begin a stream. Raises QueueFull and BatcherClosed."""
        with self._lock:
            if self.closed:
                raise BatcherClosed
            if self.taken >= self.most:
                raise QueueFull(_RETRY_SECONDS, "There are as many streams as there may be.")
            self.taken += 1

    def give_back(self) -> None:
        with self._lock:
            self.taken -= 1


class _Source:
    """The items of one stream, encoded, as JSON has them; its place is given back at its end."""

    def __init__(self, definition: Definition, places: Places, item: t.Any) -> None:
        self.encode = definition.encode
        #: Makes of an error what is yielded in the place of an item; without it errors are raised.
        self.tell: Callable[[Exception], t.Any] | None = None
        self._ahead: list[t.Any] = []
        self._is_over = False
        self._places: Places | None = None
        places.take()
        self._places = places
        try:
            self._items = definition.begin(item)
        except BaseException:
            self._release()
            raise

    def __del__(self) -> None:
        # Left before its end and not closed: the answer was replaced by another one.
        if self._places is not None:
            self._release()

    def _release(self) -> None:
        self._is_over = True
        places, self._places = self._places, None
        if places is not None:
            places.give_back()

    def _told(self, error: Exception) -> t.Any:
        if self.tell is None:
            raise error
        return self.tell(error)


class Items(_Source):
    """Those of an iterator for plain code, which waits for those of an async one."""

    def __init__(self, definition: Definition, places: Places, item: t.Any) -> None:
        super().__init__(definition, places, item)
        if definition.is_async_stream:
            self._items = iterate(self._items)

    def __iter__(self) -> Items:
        return self

    def look(self) -> None:
        """Have the first item made. Raises its error."""
        try:
            self._ahead.append(self._step())
        except StopIteration:
            self.close()

    def _step(self) -> t.Any:
        item = next(self._items)
        return as_data(item if self.encode is None else call(self.encode, item))

    def __next__(self) -> t.Any:
        if self._ahead:
            return self._ahead.pop()
        if self._is_over:
            raise StopIteration
        try:
            return self._step()
        except StopIteration:
            self.close()
            raise
        except Exception as error:
            self.close()
            return self._told(error)

    def close(self) -> None:
        try:
            close = getattr(self._items, "close", None)
            if close is not None:
                close()
        finally:
            self._release()


class AsyncItems(_Source):
    """Those of an async iterator, on the loop of the request, each step in one task."""

    _pump: Pump | None = None

    def __aiter__(self) -> AsyncItems:
        return self

    async def look(self) -> None:
        """Have the first item made. Raises its error."""
        from asyncio import get_running_loop

        self._pump = Pump(self._items, get_running_loop())
        try:
            self._ahead.append(await self._step())
        except StopAsyncIteration:
            await self.aclose()

    async def _step(self) -> t.Any:
        item = await t.cast("Pump", self._pump).ask()
        if item is END:
            raise StopAsyncIteration
        if self.encode is not None:
            item = self.encode.function(item)
            if self.encode.is_coroutine:
                item = await item
        return as_data(item)

    async def __anext__(self) -> t.Any:
        if self._ahead:
            return self._ahead.pop()
        if self._is_over:
            raise StopAsyncIteration
        try:
            return await self._step()
        except StopAsyncIteration:
            await self.aclose()
            raise
        except Exception as error:
            await self.aclose()
            return self._told(error)

    async def aclose(self) -> None:
        try:
            if self._pump is not None:
                await self._pump.aclose()
        finally:
            self._release()


def opened(definition: Definition, places: Places, item: t.Any) -> Items | AsyncItems:
    """A stream whose first item is there. Raises QueueFull, and the error of the first item."""
    if definition.is_async_stream and is_in_greenlet():
        awaited = AsyncItems(definition, places, item)
        try:
            await_(awaited.look())
        except BaseException:
            await_(awaited.aclose())
            raise
        return awaited
    source = Items(definition, places, item)
    try:
        beside(source.look)
    except BaseException:
        source.close()
        raise
    return source


def in_turn(definition: Definition, places: Places, item: t.Any, tell: Tell) -> Iterator[t.Any]:
    """The items for plain code. Raises problems."""

    def fail(error: Exception) -> t.NoReturn:
        raise tell(error) from error

    source = Items(definition, places, item)
    source.tell = fail
    return source


def _all_of(source: Items | AsyncItems) -> list[t.Any]:
    if isinstance(source, Items):
        try:
            return beside(list, source)
        finally:
            source.close()
    return await_(_all_of_async(source))


async def _all_of_async(source: AsyncItems) -> list[t.Any]:
    try:
        return [item async for item in source]
    finally:
        await source.aclose()


def stream(definition: Definition, places: Places, item: t.Any, tell: Tell) -> t.Any:
    """The answer of a predictor that yields."""
    wish = request.accept_mimetypes.best_match([NDJSON, EVENTS, JSON], NDJSON)
    source = opened(definition, places, item)
    if wish == JSON:
        return current_app.response_class(as_json(_all_of(source)), mimetype=JSON)
    if wish == EVENTS:
        source.tell = lambda error: Event(tell(error).document(), event="error")
        return EventStream(source)
    source.tell = lambda error: {"error": tell(error).document()}
    return ndjson(source)

"""Predictors that yield: their items as they come, in the form that the client accepts.

Newline-delimited JSON is the default; `Accept: text/event-stream` gets server-sent events, and a
client that accepts JSON only gets a list when the last item is there. An error before the first
item is an ordinary answer; a later one is told in the stream, which then ends.
"""

from __future__ import annotations

import threading
import typing as t

from ..api.formats import JSON
from ..engine.bridge import await_
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
        self._lock = threading.Lock()

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
    """The items of one stream, encoded, as JSON has them; its place is given back once."""

    def __init__(self, definition: Definition, places: Places, item: t.Any) -> None:
        self.definition = definition
        #: Makes of an error what is yielded in the place of an item; without it errors are raised.
        self.tell: Callable[[Exception], t.Any] | None = None
        self._places: Places | None = None
        places.take()
        self._places = places
        self._ahead: list[t.Any] = []
        self._is_over = False
        try:
            self._items = definition.begin(item)
        except BaseException:
            self._release()
            raise

    def _release(self) -> None:
        places, self._places = self._places, None
        if places is not None:
            places.give_back()

    def _failed(self, error: Exception) -> t.Any:
        self._is_over = True
        if self.tell is None:
            raise error
        return self.tell(error)


class Items(_Source):
    """Those of a plain iterator."""

    def __iter__(self) -> Items:
        return self

    def look(self) -> None:
        """Have the first item made. Raises its error."""
        try:
            self._ahead.append(self._step())
        except StopIteration:
            self._is_over = True

    def _step(self) -> t.Any:
        item = next(self._items)
        encode = self.definition.encode
        return as_data(item if encode is None else call(encode, item))

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
            return self._failed(error)

    def close(self) -> None:
        self._is_over = True
        try:
            close = getattr(self._items, "close", None)
            if close is not None:
                close()
        finally:
            self._release()


class AsyncItems(_Source):
    """Those of an async iterator."""

    def __aiter__(self) -> AsyncItems:
        return self

    async def alook(self) -> None:
        try:
            self._ahead.append(await self._step())
        except StopAsyncIteration:
            self._is_over = True

    async def _step(self) -> t.Any:
        item = await self._items.__anext__()
        encode = self.definition.encode
        if encode is not None:
            item = encode.function(item)
            if encode.is_coroutine:
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
            return self._failed(error)

    async def aclose(self) -> None:
        self._is_over = True
        try:
            close = getattr(self._items, "aclose", None)
            if close is not None:
                await close()
        finally:
            self._release()


def opened(definition: Definition, places: Places, item: t.Any) -> Items | AsyncItems:
    """A stream whose first item is there. Raises QueueFull, and the error of the first item."""
    source: t.Any = None
    if definition.is_async_stream:
        source = AsyncItems(definition, places, item)
        try:
            await_(source.alook())
        except BaseException:
            await_(source.aclose())
            raise
        return t.cast("AsyncItems", source)
    source = Items(definition, places, item)
    try:
        beside(source.look)
    except BaseException:
        source.close()
        raise
    return t.cast("Items", source)


def in_turn(source: Items | AsyncItems, tell: Tell) -> Iterator[t.Any]:
    """The items for plain code, which waits for those of an async iterator. Raises problems."""

    def fail(error: Exception) -> t.NoReturn:
        raise tell(error) from error

    source.tell = fail
    return source if isinstance(source, Items) else _waited_for(source)


def _waited_for(source: AsyncItems) -> Iterator[t.Any]:
    try:
        while True:
            try:
                yield await_(source.__anext__())
            except StopAsyncIteration:
                return
    finally:
        await_(source.aclose())


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

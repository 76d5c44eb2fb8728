"""Responses that are sent item by item: server-sent events, and lines of JSON.

Both take sync and async iterables, ask for an item when the one before was sent, and close what
they iterate over when the client leaves. Source for events: WHATWG, HTML, "Server-sent events".
"""

from __future__ import annotations

import json
import re
import typing as t
from collections.abc import AsyncIterable, Iterable, Mapping
from dataclasses import dataclass

from .engine.streams import END, SILENCE, Pump, close_async, is_async_iterable
from .globals import request
from .helpers import _app
from .state import current_application
from .wrappers import Response

if t.TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from . import typing as ft

    Items = Iterable[t.Any] | AsyncIterable[t.Any]

# What ends a line of an event stream, and nothing else does (`str.splitlines` knows more).
_LINE_END = re.compile("\r\n|\n|\r")
_HEARTBEAT = b":\n\n"
#: Seconds after which a silent stream is opened with a comment: some servers send the headers, and
#: some proxies their client's answer, only with the first piece of the body.
OPENING_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Event:
    """A server-sent event.

    :param data: text, or anything else for JSON; without it the browser dispatches no event, but
        takes notice of `id` and `retry`
    :param event: the type to listen for; "message" if not given
    :param id: what the browser sends as `Last-Event-ID` when it connects again
    :param retry: milliseconds after which it does so
    :param comment: text that browsers ignore
    :raises ValueError: for a line break in `event` or `id`, a null character in `id`, a negative
        `retry`, and where nothing at all is given
    """

    data: t.Any = None
    event: str | None = None
    id: str | int | None = None
    retry: int | None = None
    comment: str | None = None

    def __post_init__(self) -> None:
        for name in ("event", "id"):
            value = getattr(self, name)
            if value is not None and _LINE_END.search(str(value)):
                raise ValueError(f"The {name} of an event cannot have a line break: {value!r}")
        if self.id is not None and "\0" in str(self.id):
            raise ValueError(f"The id of an event cannot have a null character: {self.id!r}")
        _check_retry(self.retry)
        if (self.data, self.event, self.id, self.retry, self.comment) == (None,) * 5:
            raise ValueError("An event has data, or at least one of id, retry and comment.")

    def encode(self, dumps: Callable[[t.Any], str] = json.dumps) -> bytes:
        """The event's lines, with the empty one that ends it.

        :param dumps: turns data that is no text into JSON
        """
        lines = [f": {line}" for line in _lines_of(self.comment)]
        if self.event is not None:
            lines.append(f"event: {self.event}")
        if self.id is not None:
            lines.append(f"id: {self.id}")
        if self.retry is not None:
            lines.append(f"retry: {self.retry:d}")
        if self.data is not None:
            data = self.data if isinstance(self.data, str) else dumps(self.data)
            lines += [f"data: {line}" for line in _lines_of(data)]
        return "\n".join([*lines, "\n"]).encode()


def _lines_of(text: str | None) -> list[str]:
    return [] if text is None else _LINE_END.split(text)


def _check_retry(value: t.Any) -> None:
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"'retry' is a number of milliseconds as an int, not {value!r}")
    if value < 0:
        raise ValueError(f"'retry' cannot be negative: {value!r}")


class EventStream(Response):
    """A response of server-sent events, for `EventSource` in browsers.

    The items are texts, `Event` objects, or anything else that `app.json` can write. Comments keep
    the connection open while an async iterable is silent; over a sync iterable there are none,
    since waiting for it blocks whoever would send them.

    :param items: an iterable or async iterable
    :param retry: milliseconds after which the browser connects again when it lost the connection
    :param heartbeat: seconds of silence after which a comment is sent; `None` for never
    :param status: as for every response
    :param headers: likewise; `Cache-Control` and `X-Accel-Buffering` may be replaced
    """

    default_mimetype = "text/event-stream"

    def __init__(
        self,
        items: Items,
        *,
        retry: int | None = None,
        heartbeat: float | None = 15.0,
        status: int | str | None = None,
        headers: ft.HeadersValue | None = None,
    ) -> None:
        _check_retry(retry)
        if heartbeat is not None and not heartbeat > 0:
            raise ValueError(f"'heartbeat' is a number of seconds above 0, not {heartbeat!r}")
        app = current_application()
        dumps = json.dumps if app is None else app.json.dumps

        def encode(item: t.Any) -> bytes:
            return (item if isinstance(item, Event) else Event(item)).encode(dumps)

        opening = b"" if retry is None else Event(retry=retry).encode()
        super().__init__(
            t.cast("t.Any", _pieces(self, items, encode, heartbeat, opening)),
            status=status,
            headers=t.cast("t.Any", headers),
            mimetype="text/event-stream",
        )
        self.headers.setdefault("Cache-Control", "no-cache")
        self.headers.setdefault("X-Accel-Buffering", "no")

    @staticmethod
    def last_event_id() -> str | None:
        """`request.last_event_id` of the current request."""
        return request.last_event_id


def ndjson(
    items: Items,
    *,
    status: int | str | None = None,
    headers: ft.HeadersValue | None = None,
) -> Response:
    """A response with one line of JSON for each item, sent when the item is there.

    :param items: an iterable or async iterable of what `app.json` can write
    :param status: as for every response
    :param headers: likewise
    """
    app = _app()
    dumps = app.json.dumps

    def encode(item: t.Any) -> bytes:
        # A provider may indent; within JSON's texts line breaks are escaped.
        return f"{' '.join(_LINE_END.split(dumps(item)))}\n".encode()

    made: Response = app.response_class(
        _pieces(ndjson, items, encode),
        status=status,
        headers=headers,
        mimetype="application/x-ndjson",
    )
    made.headers.setdefault("X-Accel-Buffering", "no")
    return made


def _pieces(
    user: t.Any,
    items: t.Any,
    encode: Callable[[t.Any], bytes],
    heartbeat: float | None = None,
    opening: bytes = b"",
) -> _Pieces | _AsyncPieces:
    if is_async_iterable(items):
        return _AsyncPieces(items, encode, heartbeat, opening)
    if isinstance(items, Iterable) and not isinstance(items, (str, bytes, Mapping)):
        return _Pieces(items, encode, opening)
    name = getattr(user, "__name__", type(user).__name__)
    raise TypeError(
        f"'{name}' takes an iterable or async iterable of items, such as the call of a generator"
        f" function, not {type(items).__name__}: {items!r}"
    )


class _Pieces:
    """The items of an iterable, each as bytes."""

    def __init__(
        self, source: Iterable[t.Any], encode: Callable[[t.Any], bytes], opening: bytes
    ) -> None:
        self._source = source
        self._items = iter(source)
        self._encode = encode
        self._opening = opening

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._opening:
            opening, self._opening = self._opening, b""
            return opening
        return self._encode(next(self._items))

    def close(self) -> None:
        for part in {id(part): part for part in (self._items, self._source)}.values():
            close = getattr(part, "close", None)
            if close is not None:
                close()


class _AsyncPieces:
    """The items of an async iterable, each as bytes, and comments while it is silent."""

    def __init__(
        self,
        source: AsyncIterable[t.Any],
        encode: Callable[[t.Any], bytes],
        heartbeat: float | None,
        opening: bytes,
    ) -> None:
        self._source = source
        self._encode = encode
        self._heartbeat = heartbeat
        self._opening = opening
        self._patience = None if heartbeat is None else min(heartbeat, OPENING_SECONDS)
        self._pump: Pump | None = None
        self._items: AsyncIterator[t.Any] | None = None

    def __aiter__(self) -> _AsyncPieces:
        return self

    async def __anext__(self) -> bytes:
        piece, self._opening = self._opening, b""
        if not piece:
            if self._heartbeat is None:
                if self._items is None:
                    self._items = self._source.__aiter__()
                return self._encode(await self._items.__anext__())
            piece = await self._next_or_heartbeat()
        self._patience = self._heartbeat
        return piece

    async def _next_or_heartbeat(self) -> bytes:
        if self._pump is None:
            from asyncio import get_running_loop

            self._pump = Pump(self._source, get_running_loop())
        item = await self._pump.ask(self._patience)
        if item is SILENCE:
            return _HEARTBEAT
        if item is END:
            await self._pump.aclose()
            raise StopAsyncIteration
        return self._encode(item)

    async def aclose(self) -> None:
        """Cancel a step that waits, and close the iterable."""
        if self._pump is not None:
            await self._pump.aclose()
            return
        if self._items is not None:
            await close_async(self._items)
        if self._items is not self._source:
            await close_async(self._source)

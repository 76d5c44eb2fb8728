"""What a view may stream; checked, never run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from erlen import Erlen, Event, EventStream, Response, ndjson, request, stream_with_context

app = Erlen(__name__)


async def texts() -> AsyncIterator[str]:
    yield "a"


@app.get("/async-generator-function")
async def async_generator_function() -> AsyncIterator[str]:
    yield "a"


@app.get("/decorated/<int:last>")
@stream_with_context
async def decorated(last: int) -> AsyncIterator[str]:
    yield request.path * last


@app.get("/decorated-sync")
@stream_with_context
def decorated_sync() -> Iterator[str]:
    yield request.path


@app.get("/async-generator")
async def async_generator() -> tuple[AsyncIterator[bytes], int, dict[str, str]]:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"

    return pieces(), 200, {"X-A": "1"}


@app.get("/with-context")
def with_context() -> AsyncIterator[str]:
    return stream_with_context(texts())


@app.get("/events")
async def events() -> EventStream:
    after = request.last_event_id or EventStream.last_event_id()
    return EventStream([Event({"a": 1}, id=after), "text"], retry=1, heartbeat=None, status=200)


@app.get("/async-events")
async def async_events() -> EventStream:
    return EventStream(stream_with_context(texts()), headers={"X-A": "1"})


@app.get("/lines")
def lines() -> Response:
    return ndjson(({"row": row} for row in range(3)), status="200 OK", headers=[("X-A", "1")])


@app.cli.command()
async def command() -> None:
    """A command."""


@app.shell_context_processor
async def names() -> dict[str, object]:
    return {}


@app.url_value_preprocessor
async def values(endpoint: str | None, values: dict[str, object] | None) -> None:
    """Look at the values."""

"""The application that test_streaming_servers.py starts under each server."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from erlen import Erlen, EventStream, ndjson, request, stream_with_context

app = Erlen(__name__)


def tell_test(port: int, text: str) -> None:
    """Connect to the test, which listens at `port`."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(text.encode())


def silent(port: int) -> AsyncIterator[str]:
    """One item, then nothing; the test hears of the end."""

    async def items() -> AsyncIterator[str]:
        try:
            yield "begun\n"
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            tell_test(port, "closed")

    return items()


@app.get("/silent/<kind>")
def silent_stream(kind: str) -> Any:
    port = request.args.get("port", type=int, default=0)
    heartbeat = request.args.get("heartbeat", type=float)
    forms: dict[str, Callable[[], Any]] = {
        "generator": lambda: silent(port),
        "events": lambda: EventStream(silent(port), heartbeat=heartbeat),
        "context": lambda: stream_with_context(silent(port)),
    }
    return forms[kind]()


@app.get("/counted")
async def counted() -> EventStream:
    @stream_with_context
    async def count() -> AsyncIterator[dict[str, Any]]:
        for number in range(request.args.get("last", 3, type=int)):
            await asyncio.sleep(0)
            yield {"number": number, "path": request.path}

    return EventStream(count())


@app.get("/lines")
def lines() -> Any:
    def numbers() -> Iterator[int]:
        yield from range(3)

    return ndjson(stream_with_context(numbers()))

"""Streams that tell by a call when they are closed, and routes with a time-out."""

from __future__ import annotations

import asyncio
import socket
import time
import typing as t

from erlen import Erlen, Response, request

app = Erlen(__name__)


def tell(port: int) -> None:
    """Call the test, and say what time it is."""
    with socket.create_connection(("127.0.0.1", port)) as call:
        call.sendall(str(time.time()).encode())


@app.route("/silent")
async def silent() -> Response:
    port = int(request.args["port"])

    async def generate() -> t.AsyncIterator[bytes]:
        try:
            yield b"begun"
            await asyncio.Event().wait()
        finally:
            tell(port)

    return Response(generate())


@app.route("/ticking")
async def ticking() -> Response:
    port = int(request.args["port"])

    async def generate() -> t.AsyncIterator[bytes]:
        try:
            yield b"begun"
            while True:
                await asyncio.sleep(0.01)
                yield b"tick"
        finally:
            tell(port)

    return Response(generate())


@app.route("/ticking-sync")
def ticking_sync() -> Response:
    port = int(request.args["port"])

    def generate() -> t.Iterator[bytes]:
        try:
            yield b"begun"
            while True:
                time.sleep(0.01)
                yield b"tick"
        finally:
            tell(port)

    return Response(generate())


@app.route("/slow", timeout=0.1)
async def slow() -> str:
    await asyncio.sleep(60)
    return ""


@app.route("/slow-stream", timeout=0.2)
async def slow_stream() -> Response:
    async def generate() -> t.AsyncIterator[bytes]:
        yield b"begun"
        await asyncio.sleep(60)

    return Response(generate())


@app.route("/quick", timeout=5)
async def quick() -> str:
    return ""

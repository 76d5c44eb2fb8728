"""Clients of real servers, each of which leaves at a moment that a seed decides."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .inprocess import MULTIPART, REQUESTS, SOCKETS

ROOT = Path(__file__).parents[2]
APP = "benchmarks.departures.app:app"
_GRANIAN = ["granian", "--interface=asgi", "--host=127.0.0.1", "--port={port}"]
_UVICORN = ["uvicorn", "--interface=asgi3", "--port={port}", "--no-access-log"]
COMMANDS = {
    "granian": [*_GRANIAN, APP],
    "uvicorn": [*_UVICORN, APP],
    "uvicorn-h11": [*_UVICORN, "--http=h11", "--loop=asyncio", "--ws=wsproto", APP],
    "hypercorn": ["hypercorn", "--bind=127.0.0.1:{port}", f"asgi:{APP}"],
}
#: Hypercorn 0.18 never tells an application that a WebSocket has ended without a closing frame.
HTTP_ONLY = frozenset({"hypercorn"})
#: Clients that are there at a time.
TOGETHER = 50
#: Close with a FIN, or reset the connection.
ENDS = ("close", "reset")
_RESET = struct.pack("ii", 1, 0)


def request_of(chance: random.Random) -> bytes:
    """The bytes of a request, whole."""
    method, path, has_body = chance.choice(REQUESTS)
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n"
    if not has_body:
        return f"{head}\r\n".encode()
    size = chance.choice((0, 10, 5_000, 90_000, 700_000) if path != "/wait" else (0, 10, 5_000))
    body = b"x" * size
    if "form" in path:
        head += "Content-Type: multipart/form-data; boundary=b\r\n"
        body = MULTIPART + body + b"\r\n--b--\r\n"
    if chance.random() < 0.5:
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    chunks = [body[at : at + 20_000] for at in range(0, len(body), 20_000)]
    framed = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in [*chunks, b""])
    return f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + framed


def handshake_of(chance: random.Random) -> bytes:
    """The bytes of a WebSocket's opening, and a few messages."""
    head = (
        f"GET {chance.choice(SOCKETS)} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    # RFC 6455, 5.2: a final text frame of 50 bytes, masked with zeros.
    frame = b"\x81" + bytes([0x80 | 50]) + bytes(4) + b"x" * 50
    return head.encode() + frame * chance.randrange(5)


async def come_and_go(port: int, seed: int, http_only: bool) -> None:
    """One client: says a part or all, reads some or nothing, and leaves."""
    chance = random.Random(seed)
    is_socket = chance.random() < 0.3 and not http_only
    said = handshake_of(chance) if is_socket else request_of(chance)
    if chance.random() < 0.5:
        said = said[: chance.randrange(len(said) + 1)]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        # A server may have refused and closed before all was said.
        with contextlib.suppress(ConnectionError, TimeoutError, asyncio.TimeoutError):
            writer.write(said)
            await asyncio.wait_for(writer.drain(), 5)
            for _ in range(chance.choice((0, 0, 1, 2, 5))):
                await asyncio.wait_for(reader.read(4096), chance.choice((0.001, 0.02, 0.1)))
            await asyncio.sleep(chance.choice((0, 0, 0.002, 0.02, 0.08)))
    finally:
        if chance.choice(ENDS) == "reset":
            connection = writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        writer.transport.abort()


async def visit(port: int, first: int, last: int, http_only: bool = False) -> None:
    """Let clients of these seeds come and go, some at a time."""
    places = asyncio.Semaphore(TOGETHER)

    async def one(seed: int) -> None:
        async with places:
            await come_and_go(port, seed, http_only)

    await asyncio.gather(*(one(seed) for seed in range(first, last)))


def state(port: int) -> Any:
    """What the server holds."""
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        connection.sendall(b"GET /state HTTP/1.0\r\nHost: localhost\r\n\r\n")
        received = b""
        while piece := connection.recv(65_536):
            received += piece
    return json.loads(received.partition(b"\r\n\r\n")[2])


def settled(port: int, wanted: dict[str, int] | None = None, patience: float = 10) -> Any:
    """What the server holds once it holds no more than before, or after some seconds."""
    until = time.monotonic() + patience
    while True:
        found = state(port)
        held = found["held"]
        calm = not (held["busy threads"] or held["connections"] or held["streams"])
        if calm and (wanted is None or all(held[name] <= wanted[name] for name in wanted)):
            return found
        if time.monotonic() > until:
            return found
        time.sleep(0.1)


@contextlib.contextmanager
def served(server: str) -> Iterator[int]:
    """The port of a running server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    command = [sys.executable, "-m", *(part.format(port=port) for part in COMMANDS[server])]
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
        try:
            for _ in range(200):
                with contextlib.suppress(OSError):
                    state(port)
                    break
                time.sleep(0.05)
            yield port
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        output.seek(0)
        if os.environ.get("SHOW_OUTPUT"):
            print(output.read())


def run(
    server: str, clients: int, warm_up: int | None = None, report: Callable[[str], None] = print
) -> list[str]:
    """Compare what a server holds before and after; a sentence for each fault.

    As many clients come before, unless `warm_up` says how many.
    """
    warm_up = clients if warm_up is None else warm_up
    with served(server) as port:
        # What is made once and kept: threads, pooled greenlets, compiled plans, buffers.
        asyncio.run(visit(port, 0, warm_up, server in HTTP_ONLY))
        before = settled(port)
        asyncio.run(visit(port, warm_up, warm_up + clients, server in HTTP_ONLY))
        after = settled(port, before["held"])
    report(f"held before {before['held']}\nheld after  {after['held']}")
    report(f"memory before {before['memory']}, after {after['memory']}; seen {after['seen']}")
    faults = [
        f"{name}: {count} before, {after['held'][name]} after"
        for name, count in before["held"].items()
        if after["held"][name] > count
    ]
    grown = after["memory"]["resident"] - before["memory"]["resident"]
    if grown > 16_000_000:
        faults.append(f"resident memory has grown by {grown} bytes")
    return faults

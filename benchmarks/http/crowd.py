"""Many requests at once to views that wait for a slow upstream; the upstream is here as well.

``python -m benchmarks.http.crowd PORT PATH UPSTREAM_PORT SIZE ROUNDS`` prints the seconds of each
round, from the first request to the last answer, as a JSON list. The first round also opens the
connections, on both sides of the server; later rounds reuse them.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

#: how long the upstream waits, in seconds
DELAY = 0.2
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nready"
EXPECTED = {"upstream": "ready"}


class Upstream(asyncio.Protocol):
    """Answers each request when the delay is over."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.read = b""

    def data_received(self, data: bytes) -> None:
        self.read += data
        while (end := self.read.find(b"\r\n\r\n")) >= 0:
            self.read = self.read[end + 4 :]
            asyncio.get_running_loop().call_later(DELAY, self.answer)

    def answer(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(ANSWER)


class Visitor(asyncio.Protocol):
    """A connection that asks and notes when the whole answer has come."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def ask(self) -> asyncio.Future[bytes]:
        self.read = b""
        self.answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.transport.write(self.request)
        return self.answered

    def data_received(self, data: bytes) -> None:
        self.read += data
        head, found, body = self.read.partition(b"\r\n\r\n")
        if found and len(body) >= _length_in(head) and not self.answered.done():
            self.answered.set_result(self.read)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.answered.done():
            self.answered.set_exception(error or ConnectionError("closed without an answer"))


def _length_in(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise ValueError(f"no Content-Length in {head!r}")


async def visit(port: int, path: str, upstream_port: int, size: int, rounds: int) -> list[float]:
    loop = asyncio.get_running_loop()
    upstream = await loop.create_server(Upstream, "127.0.0.1", upstream_port, backlog=size)
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    visitors = [Visitor(request) for _ in range(size)]
    times = []

    async def connect_and_ask(visitor: Visitor) -> bytes:
        if visitor.transport is None:
            await loop.create_connection(lambda: visitor, "127.0.0.1", port)
        return await visitor.ask()

    for _ in range(rounds):
        started = time.perf_counter()
        answers = await asyncio.gather(*map(connect_and_ask, visitors))
        times.append(time.perf_counter() - started)
        for answer in answers:
            if b" 200 " not in answer.partition(b"\r\n")[0]:
                raise SystemExit(answer.decode(errors="replace"))
            if json.loads(answer.partition(b"\r\n\r\n")[2]) != EXPECTED:
                raise SystemExit(answer.decode(errors="replace"))
    for visitor in visitors:
        visitor.transport.close()
    upstream.close()
    return times


if __name__ == "__main__":
    _, port, path, upstream_port, size, rounds = sys.argv
    arguments = (int(port), path, int(upstream_port), int(size), int(rounds))
    print(json.dumps(asyncio.run(visit(*arguments))))

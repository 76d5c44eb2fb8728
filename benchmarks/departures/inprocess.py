"""Clients of a server without sockets, each of which leaves at a moment that a seed decides."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

from .app import app, held, memory_held

Message = dict[str, Any]

MULTIPART = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
#: (method, path, whether there is a body)
REQUESTS = (
    ("POST", "/read", True),
    ("POST", "/read-sync", True),
    ("POST", "/form", True),
    ("POST", "/form-sync", True),
    ("GET", "/wait", False),
    ("POST", "/wait", True),
    ("GET", "/finish", False),
    ("POST", "/finish", True),
    ("GET", "/limited", False),
    ("GET", "/block", False),
    ("GET", "/events", False),
    ("POST", "/events", True),
    ("GET", "/events-in-context", False),
    ("GET", "/flood", False),
    ("GET", "/lines", False),
    ("GET", "/file", False),
    ("GET", "/memory", False),
    ("GET", "/nowhere", False),
)
SOCKETS = ("/echo", "/silent", "/ticking", "/echo-sync", "/nowhere")
#: What a server does where an application sends to a client that has left: nothing (uvicorn,
#: Granian), raise an OSError (ASGI 2.4), or cancel the application besides.
MANNERS = ("nothing", "raises", "cancels")
#: Clients that are there at a time.
TOGETHER = 100


class ClientLeft(OSError):
    """What a server raises in `send`."""


class Client:
    """One client: sends a number of messages, takes a number of answers, then is gone."""

    def __init__(self, seed: int) -> None:
        chance = random.Random(seed)
        self.manner = chance.choice(MANNERS)
        self.is_socket = chance.random() < 0.3
        self.answers_wanted = chance.choice((0, 0, 1, 2, 3, 7))
        self.patience = chance.choice((0.0, 0.0, 0.001, 0.01, 0.08))
        if self.is_socket:
            self.scope = self._scope("websocket", chance.choice(SOCKETS), "GET")
            self.messages = self._socket_messages(chance)
        else:
            method, path, has_body = chance.choice(REQUESTS)
            self.scope = self._scope("http", path, method)
            self.messages = self._body(chance, path) if has_body else [{"type": "http.request"}]
        if chance.random() < 0.5:
            # It leaves before it has said all.
            self.messages = self.messages[: chance.randrange(len(self.messages) + 1)]
        self.is_gone = asyncio.Event()
        self.was_answered = asyncio.Event()

    def _scope(self, kind: str, path: str, method: str) -> dict[str, Any]:
        scope: dict[str, Any] = {
            "type": kind,
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "http" if kind == "http" else "ws",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"localhost")],
            "client": ("127.0.0.1", 1),
            "server": ("localhost", 80),
            "extensions": {},
        }
        return {**scope, "subprotocols": []} if kind == "websocket" else {**scope, "method": method}

    def _socket_messages(self, chance: random.Random) -> list[Message]:
        texts = [{"type": "websocket.receive", "text": "x" * 50}] * chance.randrange(5)
        return [{"type": "websocket.connect"}, *texts]

    def _body(self, chance: random.Random, path: str) -> list[Message]:
        # A large body that a view does not read hides that its client has left, until it ends.
        size = chance.choice((0, 10, 5_000, 90_000, 700_000) if path != "/wait" else (0, 10, 5_000))
        body = b"x" * size
        if "form" in path:
            self.scope["headers"].append((b"content-type", b"multipart/form-data; boundary=b"))
            body = MULTIPART + body + b"\r\n--b--\r\n"
        if chance.random() < 0.5:
            self.scope["headers"].append((b"content-length", b"%d" % len(body)))
        step = chance.choice((1_000, 65_536)) if size < 100_000 else 65_536
        pieces = [body[at : at + step] for at in range(0, len(body), step)] or [b""]
        return [
            {"type": "http.request", "body": piece, "more_body": number < len(pieces)}
            for number, piece in enumerate(pieces, 1)
        ]

    async def receive(self) -> Message:
        if self.messages:
            await asyncio.sleep(0)
            return self.messages.pop(0)
        await self.is_gone.wait()
        kind = "websocket.disconnect" if self.is_socket else "http.disconnect"
        return {"type": kind, "code": 1006}

    async def send(self, message: Message) -> None:
        if self.is_gone.is_set():
            if self.manner == "raises":
                raise ClientLeft
            return
        self.answers_wanted -= 1
        if self.answers_wanted <= 0:
            self.was_answered.set()
        if self.answers_wanted < -3:
            # It reads no more: the server makes the application wait.
            await self.is_gone.wait()

    async def come_and_go(self) -> BaseException | None:
        """What the application raised, where that is not the server's own doing."""
        task = asyncio.create_task(app(self.scope, self.receive, self.send))
        answered = asyncio.create_task(self.was_answered.wait())
        await asyncio.wait([task, answered], timeout=self.patience, return_when="FIRST_COMPLETED")
        answered.cancel()
        self.is_gone.set()
        if self.manner == "cancels":
            await asyncio.sleep(0)
            task.cancel()
        try:
            await asyncio.wait_for(task, 10)
        except ClientLeft:
            return None
        except asyncio.CancelledError:
            return None if self.manner == "cancels" else RuntimeError("cancelled")
        except Exception as error:
            return error
        return None


async def visit(first: int, last: int) -> list[str]:
    """Let clients of these seeds come and go; what went wrong."""
    faults = []
    for start in range(first, last, TOGETHER):
        seeds = range(start, min(start + TOGETHER, last))
        errors = await asyncio.gather(*(Client(seed).come_and_go() for seed in seeds))
        faults += [f"{seed}: {e!r}" for seed, e in zip(seeds, errors, strict=True) if e]
    return faults


async def settled() -> dict[str, int]:
    """What is held once what clients have left behind has come to its end, or half a second on."""
    found = held()
    for _ in range(50):
        if not (found["busy threads"] or found["connections"] or found["contexts"]):
            break
        await asyncio.sleep(0.01)
        found = held()
    return found


def run(
    clients: int, warm_up: int | None = None, report: Callable[[str], None] = print
) -> list[str]:
    """Compare what is held before and after; a sentence for each fault.

    As many clients come before, unless `warm_up` says how many.
    """
    first = clients if warm_up is None else warm_up

    async def main() -> list[str]:
        # What is made once and kept: threads, pooled greenlets, compiled plans, buffers.
        faults = await visit(0, first)
        before, memory_before = await settled(), memory_held()
        faults += await visit(first, first + clients)
        after, memory_after = await settled(), memory_held()
        report(f"held before {before}\nheld after  {after}")
        report(f"memory before {memory_before}, after {memory_after}")
        faults += [
            f"{name}: {before[name]} before, {after[name]} after"
            for name in before
            if after[name] > before[name]
        ]
        # To trace takes memory itself.
        kind, most = ("traced", 400_000) if memory_after["traced"] else ("resident", 10_000_000)
        grown = memory_after[kind] - memory_before[kind]
        if grown > most:
            faults.append(f"{kind} memory has grown by {grown} bytes")
        return faults

    return asyncio.run(main())

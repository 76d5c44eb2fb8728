"""What is asked of a running server: requests by wrk, WebSocket echoes, idle events, a crowd."""

from __future__ import annotations

import http.client
import json
import re
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from ..inprocess.cases import Answer, Case
from .processes import Server, SetUpError, free_port, run_load

#: connections that ask at the same time
CONNECTIONS = 64
#: bytes of a message that is echoed
MESSAGE = 32


def need(command: str, remedy: str) -> str:
    """The path of a command, or an error that says how to come by it."""
    found = shutil.which(command)
    if found is None:
        raise SetUpError(f"{command} is missing: {remedy}")
    return found


def ask(port: int, case: Case) -> Answer:
    """Ask once and read the whole answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30.0)
    try:
        target = f"{case.path}?{case.query}" if case.query else case.path
        headers = {"Content-Type": case.content_type} if case.body else {}
        connection.request(case.method, target, case.body or None, headers)
        answer = connection.getresponse()
        return Answer(str(answer.status), answer.getheaders(), answer.read())
    finally:
        connection.close()


# Requests


def requests(server: Server, case: Case, seconds: float) -> dict[str, Any]:
    """Load with wrk: requests a second, the latency of the slowest hundredth in milliseconds."""
    wrk = [need("wrk", "apt-get install wrk"), "--threads=1", f"--connections={CONNECTIONS}"]
    with ExitStack() as stack:
        if case.method != "GET":
            wrk.append(f"--script={stack.enter_context(_script_of(case))}")
        target = f"{case.path}?{case.query}" if case.query else case.path
        argv = [*wrk, "--latency", f"--duration={_whole(seconds)}"]
        text, busy = run_load([*argv, f"http://127.0.0.1:{server.port}{target}"], server)
    return {**read_wrk(text), **busy}


def _whole(seconds: float) -> str:
    return f"{max(1, round(seconds))}s"


def read_wrk(text: str) -> dict[str, float]:
    """The figures that wrk prints; any failed request is an error."""
    if "Non-2xx" in text or "Socket errors" in text:
        raise SetUpError(text)
    rate = re.search(r"Requests/sec: +([\d.]+)", text)
    slow = re.search(r"99% +([\d.]+)(us|ms|s)\b", text)
    if rate is None or slow is None:
        raise SetUpError(text)
    milliseconds = float(slow[1]) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[slow[2]]
    return {"per_second": float(rate[1]), "slowest_hundredth_ms": milliseconds}


@contextmanager
def _script_of(case: Case) -> Iterator[str]:
    """wrk's own form of a request with a body: a file in Lua."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua", encoding="utf-8") as file:
        body = case.body.decode()
        if "]==]" in body:
            raise ValueError("a body of a benchmark cannot hold ]==]")
        file.write(
            f'wrk.method = "{case.method}"\n'
            f"wrk.body = [==[{body}]==]\n"
            f'wrk.headers["Content-Type"] = "{case.content_type}"\n'
        )
        file.flush()
        yield file.name


# WebSockets


@cache
def _programs() -> tempfile.TemporaryDirectory[str]:
    """A directory with the load generator for WebSockets, compiled once a run."""
    compiler = need("cc", "the load generator for WebSockets is written in C")
    directory = tempfile.TemporaryDirectory(prefix="erlen-benchmark-")
    source = str(Path(__file__).with_name("wsload.c"))
    subprocess.run([compiler, "-O2", "-o", f"{directory.name}/wsload", source], check=True)
    return directory


def echoes(server: Server, seconds: float) -> dict[str, Any]:
    """64 connections, each with one message under way: messages a second."""
    program = f"{_programs().name}/wsload"
    argv = [program, str(server.port), "/ws", str(CONNECTIONS), str(MESSAGE), "0.5", str(seconds)]
    text, busy = run_load(argv, server)
    found = json.loads(text)
    return {
        "per_second": found["messages"] / found["seconds"],
        "load_busy": found["busy"],
        "server_busy": busy["server_busy"],
    }


# Events


def idle_events(server: Server, connections: int) -> dict[str, float]:
    """Open streams of events, each of which sends one and then rests: bytes for each of them."""
    with _streams(server.port, 20):
        pass  # what the first connections load and allocate is no part of the sum
    before = server.private_bytes()
    started = time.monotonic()
    with _streams(server.port, connections):
        seconds = time.monotonic() - started
        grown = server.private_bytes() - before
    return {"bytes_each": grown / connections, "seconds_to_open": seconds}


@contextmanager
def _streams(port: int, count: int) -> Iterator[None]:
    """Streams from each of which the first event has come."""
    request = f"GET /events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for _ in range(count):
            stream = stack.enter_context(socket.create_connection(("127.0.0.1", port), 30.0))
            stream.sendall(request)
            selector.register(stream, selectors.EVENT_READ, bytearray())
        while selector.get_map():
            ready = selector.select(30.0)
            if not ready:
                raise SetUpError(f"{len(selector.get_map())} streams without a first event")
            for key, _ in ready:
                received = key.fileobj.recv(65536)  # type: ignore[union-attr]
                key.data.extend(received)
                if not received or (b"\r\n" in key.data and b" 200 " not in key.data[:20]):
                    raise SetUpError(f"no stream: {bytes(key.data[:200])!r}")
                if b"data: ready\n\n" in key.data:
                    selector.unregister(key.fileobj)
        yield


# A crowd


def crowd(name: str, server: str, path: str, size: int, rounds: int, threads: int) -> list[float]:
    """Seconds for a crowd of requests that each wait for the upstream; cold first, then warm."""
    upstream = free_port()
    address = f"http://127.0.0.1:{upstream}/"
    with Server(name, server, threads, BENCHMARK_UPSTREAM=address) as running:
        module = [sys.executable, "-m", "benchmarks.http.crowd"]
        argv = [*module, str(running.port), path, str(upstream), str(size), str(rounds)]
        text, _ = run_load(argv, running)
        times: list[float] = json.loads(text)
        return times

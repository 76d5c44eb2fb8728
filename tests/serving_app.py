"""The application that test_serving.py starts under each server."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import time
from collections.abc import Iterator
from typing import Any

from werkzeug.middleware.proxy_fix import ProxyFix

from erlen import Erlen, Response, request

LIMIT = 16 * 1024 * 1024

app = Erlen(__name__)
app.config["MAX_CONTENT_LENGTH"] = LIMIT
if os.environ.get("SERVING_BEHIND_PROXY"):
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1)  # type: ignore[method-assign]


def digest(data: bytes) -> dict[str, Any]:
    return {"length": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def call_test() -> socket.socket:
    """A connection to the test, which listens at the port that the query names."""
    return socket.create_connection(("127.0.0.1", int(request.args["port"])))


@app.get("/json")
def json() -> dict[str, Any]:
    return {"answer": 42, "debug": app.debug, "text": "žluť"}


@app.post("/json")
def json_echo() -> Any:
    return request.get_json()


@app.post("/form")
def form() -> dict[str, Any]:
    return {"form": request.form.to_dict(flat=False), "args": request.args.to_dict()}


@app.post("/upload")
def upload() -> dict[str, Any]:
    file = request.files["file"]
    return {"name": file.filename, "note": request.form["note"], **digest(file.read())}


@app.post("/body")
def body() -> dict[str, Any]:
    return digest(request.get_data())


@app.post("/pieces")
def pieces() -> dict[str, Any]:
    return {"length": sum(map(len, iter(lambda: request.stream.read(65536), b"")))}


@app.get("/stream")
def stream() -> Response:
    return Response((f"line {number}\n" for number in range(100)), mimetype="text/plain")


@app.get("/endless")
def endless() -> Response:
    report = call_test()

    def lines() -> Iterator[bytes]:
        try:
            while True:
                yield b"x" * 65536
        finally:
            report.sendall(b"closed")
            report.close()

    return Response(lines(), mimetype="text/plain")


@app.get("/gate")
def gate() -> dict[str, Any]:
    """Answer when the test says so."""
    with call_test() as test:
        test.sendall(b"in")
        test.recv(1)
    return {"gate": "passed"}


@app.get("/work")
def work() -> dict[str, Any]:
    if note := request.args.get("note"):  # a file that is a byte longer for each request
        with open(note, "ab") as file:
            file.write(b".")
    time.sleep(0.005)
    return {"pid": os.getpid()}


@app.get("/async")
async def wait() -> dict[str, Any]:
    await asyncio.sleep(0.2)
    return {"waited": True}


@app.get("/where")
def where() -> dict[str, Any]:
    return {"url": request.url, "peer": request.remote_addr, "secure": request.is_secure}


def create_app(name: str = "default") -> Erlen:
    made = Erlen(__name__)
    made.add_url_rule("/name", view_func=lambda: name)
    return made

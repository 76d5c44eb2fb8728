"""Functions around serving, background tasks and mounts under each server, from start to end."""

from __future__ import annotations

from pathlib import Path

import pytest
from serving import ASGI_SERVERS, SERVERS, Server, running

pytestmark = [pytest.mark.live, pytest.mark.timeout(90)]

APP = """
import asyncio
from erlen import Erlen, request

app = Erlen(__name__)
seen = {}

@app.while_serving
async def around():
    seen["loop"] = asyncio.get_running_loop()
    seen["lock"] = asyncio.Lock()
    print("started", flush=True)
    yield
    await asyncio.to_thread(print, "ended", flush=True)

async def work():
    async with seen["lock"]:
        print("worked", flush=True)

@app.get("/")
async def index():
    # A lock that is held is bound to its loop.
    async with seen["lock"]:
        await asyncio.sleep(0)
    app.add_background_task(work)
    return [asyncio.get_running_loop() is seen["loop"], request.scope is not None]

async def mounted(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("mounted ended", flush=True)
        await send({"type": "lifespan.shutdown.complete"})
        return
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message["body"])
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for piece in (scope["root_path"], scope["path"], str(size)):
        await send({"type": "http.response.body", "body": piece.encode() + b" ", "more_body": True})
    await send({"type": "http.response.body", "body": b""})

app.mount("/asgi", mounted)

def wsgi(environ, start_response):
    size = len(environ["wsgi.input"].read())
    start_response("200 OK", [])
    yield environ["SCRIPT_NAME"].encode() + b" "
    yield environ["PATH_INFO"].encode() + b" "
    yield str(size).encode()

app.mount("/wsgi", wsgi)
"""

# Waitress has no graceful stop: SIGTERM ends it at once.
GRACEFUL = [kind for kind in SERVERS if kind != "waitress"] + ASGI_SERVERS


def check(server: Server, over_asgi: bool) -> None:
    expected = b"[true,true]\n" if over_asgi else b"[true,false]\n"
    for _ in range(2):
        response, body = server.fetch("GET", "/")
        assert (response.status, body) == (200, expected)
    upload = bytes(300_000)
    assert server.fetch("POST", "/asgi/a", upload)[1] == b"/asgi /asgi/a 300000 "
    assert server.fetch("POST", "/wsgi/b", upload)[1] == b"/wsgi /b 300000"


@pytest.mark.parametrize("kind", GRACEFUL)
def test_application_lives_as_long_as_the_server(kind: str, tmp_path: Path) -> None:
    (tmp_path / "living.py").write_text(APP)
    with running(kind, app="living:app", cwd=tmp_path) as server:
        check(server, over_asgi=kind in (*ASGI_SERVERS, "granian-serving-asgi"))
        server.terminate()
        lines = server.output().splitlines()
    said = [line for line in lines if line in {"started", "worked", "mounted ended", "ended"}]
    assert said == ["started", "worked", "worked", "mounted ended", "ended"]


def test_server_that_does_not_end_gracefully_serves_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "living.py").write_text(APP)
    with running("waitress", app="living:app", cwd=tmp_path) as server:
        check(server, over_asgi=False)

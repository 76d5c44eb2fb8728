"""Views that tell what of a request has reached them."""

from __future__ import annotations

import typing as t

from erlen import Erlen, Response, abort, request

app = Erlen(__name__)


@app.post("/length")
async def length() -> str:
    return str(len(request.get_data()))


@app.post("/length-sync")
def length_sync() -> str:
    return str(len(request.get_data()))


def tell() -> str:
    body = request.get_data(as_text=True)
    return f"{body} of {request.headers.get('X-Real-User', 'nobody')}"


@app.post("/told")
async def told() -> str:
    return tell()


@app.post("/told-sync")
def told_sync() -> str:
    return tell()


@app.post("/refuse")
async def refuse() -> str:
    abort(403)


@app.get("/host")
async def host() -> str:
    return request.host


@app.get("/who")
def who() -> str:
    return request.headers.get("X-Real-User", "nobody")


@app.get("/path/<path:rest>")
async def path(rest: str) -> str:
    return rest


@app.get("/stream")
async def stream() -> Response:
    async def generate() -> t.AsyncIterator[str]:
        yield "a"
        yield "b"

    return Response(generate())


@app.get("/nothing")
async def nothing() -> tuple[str, int]:
    return "", 204

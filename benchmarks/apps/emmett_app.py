"""The routes in Emmett, served over RSGI."""

from __future__ import annotations

from typing import Any

from emmett import App, request
from emmett.tools import service

app = App(__name__)


@app.route("/json", methods="get")
@service.json
async def json() -> Any:
    return {"message": "Hello, world!"}


@app.route("/users/<str:name>/posts/<int:post>", methods="get")
@service.json
async def url(name: str, post: int) -> Any:
    return {"name": name, "post": post, "page": request.query_params.page}


@app.route("/echo", methods="post")
@service.json
async def echo() -> Any:
    return dict(await request.body_params)


@app.route("/sync", methods="get")
@service.json
def sync() -> Any:
    return {"message": "Hello, world!"}

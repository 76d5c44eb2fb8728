"""The routes in Robyn, and Robyn's own server: ``python -m benchmarks.apps.robyn_app PORT``."""

from __future__ import annotations

import sys
from typing import Any

from robyn import Robyn
from robyn.argument_parser import Config

sys.argv, PORT = [*sys.argv[:1], "--log-level", "WARN"], (sys.argv[1:] or ["0"])[0]
app = Robyn(__file__, config=Config())


@app.get("/json")
async def json() -> Any:
    return {"message": "Hello, world!"}


@app.get("/users/:name/posts/:post")
async def url(request: Any) -> Any:
    found = request.path_params
    page = request.query_params.get("page", None)
    return {"name": found["name"], "post": int(found["post"]), "page": page}


@app.post("/echo")
async def echo(request: Any) -> Any:
    return request.json()


@app.get("/sync")
def sync() -> Any:
    return {"message": "Hello, world!"}


if __name__ == "__main__":
    app.start("127.0.0.1", int(PORT), _check_port=False)

"""The routes as a WSGI callable with nothing around it, written like ``bare``."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import orjson


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    path = environ["PATH_INFO"]
    if path in ("/json", "/sync"):
        body = orjson.dumps({"message": "Hello, world!"})
    elif path == "/echo":
        sent = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        body = orjson.dumps(orjson.loads(sent))
    else:
        _, _, name, _, post = path.split("/")
        page = parse_qs(environ["QUERY_STRING"])["page"][0]
        body = orjson.dumps({"name": name, "post": int(post), "page": page})
    length = ("Content-Length", str(len(body)))
    start_response("200 OK", [("Content-Type", "application/json"), length])
    return [body]

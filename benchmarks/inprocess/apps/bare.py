"""The routes as a WSGI callable with nothing around it: the floor."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import parse_qs

from ..cases import RULES
from . import FILES
from .shared import next_count, render_rows

HTML, JSON, CSS = "text/html; charset=utf-8", "application/json", "text/css; charset=utf-8"
OK = "200 OK"
Answer = tuple[str, str, bytes, list[tuple[str, str]]]


def answer_json(environ: dict[str, Any]) -> Answer:
    return OK, JSON, json.dumps({"message": "Hello, world!"}).encode(), []


def plain(environ: dict[str, Any]) -> Answer:
    return OK, HTML, b"Hello, world!", []


def url(environ: dict[str, Any]) -> Answer:
    _, _, name, _, post = environ["PATH_INFO"].split("/")
    page = parse_qs(environ["QUERY_STRING"])["page"][0]
    return OK, HTML, f"{name} {int(post)} page {page}".encode(), []


def body_of(environ: dict[str, Any]) -> bytes:
    body: bytes = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    return body


def echo(environ: dict[str, Any]) -> Answer:
    return OK, JSON, json.dumps(json.loads(body_of(environ))).encode(), []


def form(environ: dict[str, Any]) -> Answer:
    fields = parse_qs(body_of(environ).decode())
    return OK, HTML, f"{len(fields)} {fields['field7'][0]}".encode(), []


def session(environ: dict[str, Any]) -> Answer:
    _, _, cookie = environ.get("HTTP_COOKIE", "").partition("session=")
    count, cookie = next_count(cookie)
    headers = [("Set-Cookie", f"session={cookie}; HttpOnly; Path=/"), ("Vary", "Cookie")]
    return OK, HTML, count.encode(), headers


def template(environ: dict[str, Any]) -> Answer:
    return OK, HTML, render_rows().encode(), []


def static(environ: dict[str, Any]) -> Answer:
    return OK, CSS, (FILES / environ["PATH_INFO"][1:]).read_bytes(), []


def hooks(environ: dict[str, Any]) -> Answer:
    return OK, HTML, b"Hello, ada!", [("X-User", "ada")]


def section(number: int, environ: dict[str, Any]) -> Answer:
    item = int(environ["PATH_INFO"].rpartition("/")[2])
    return OK, HTML, f"{number} {item}".encode(), []


def abort(environ: dict[str, Any]) -> Answer:
    return "409 CONFLICT", JSON, b'{"error": "conflict"}', []


def missing(environ: dict[str, Any]) -> Answer:
    return "404 NOT FOUND", JSON, b'{"error": "not found"}', []


BASIC = {
    "/json": answer_json,
    "/plain": plain,
    "/users": url,
    "/echo": echo,
    "/form": form,
    "/session": session,
    "/template": template,
    "/static": static,
    "/abort": abort,
}


def build(route_set: str) -> Any:
    """Return a callable that finds the view by the first part of the path."""
    views: dict[str, Callable[[dict[str, Any]], Answer]] = {}
    if route_set == "basic":
        views.update(BASIC)
    elif route_set == "hooks":
        views["/hooks"] = hooks
    elif route_set == "rules":
        views.update((f"/section{number}", partial(section, number)) for number in range(RULES))

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        path: str = environ["PATH_INFO"]
        end = path.find("/", 1)
        view = views.get(path if end < 0 else path[:end], missing)
        status, content_type, body, headers = view(environ)
        length = str(len(body))
        fixed = [("Content-Type", content_type), ("Content-Length", length)]
        start_response(status, fixed + headers)
        return [body]

    return app

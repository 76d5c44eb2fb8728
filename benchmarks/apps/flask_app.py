"""The routes in Flask's API, for WSGI: one source for the real Flask and for Erlen."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any


def build(flask: ModuleType) -> Any:
    """Return the application, made with Flask or with Erlen."""
    app, request = flask.Flask("bench"), flask.request

    @app.get("/json")
    def json() -> Any:
        return {"message": "Hello, world!"}

    @app.get("/users/<name>/posts/<int:post>")
    def url(name: str, post: int) -> Any:
        return {"name": name, "post": post, "page": request.args["page"]}

    @app.post("/echo")
    def echo() -> Any:
        return request.get_json()

    app.add_url_rule("/sync", "sync", json)
    return app


def __getattr__(name: str) -> Any:
    """``flask_app`` and ``erlen_app``: only the one that a server asks for is made."""
    library = name.removesuffix("_app")
    if name not in ("flask_app", "erlen_app"):
        raise AttributeError(name)
    return build(import_module(library))

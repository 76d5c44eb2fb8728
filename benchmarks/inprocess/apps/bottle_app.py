"""The routes in Bottle."""

from __future__ import annotations

from typing import Any

from bottle import Bottle, abort, request, response, static_file

from ..cases import RULES
from . import FILES
from .shared import next_count, render_rows


def build(route_set: str) -> Any:
    """Return Bottle's application for a route set."""
    app = Bottle()
    {"basic": add_basic, "handler": add_handler, "hooks": add_hooks, "rules": add_rules}[route_set](
        app
    )
    return app


def add_basic(app: Any) -> None:
    @app.get("/json")
    def json() -> Any:
        return {"message": "Hello, world!"}

    @app.get("/plain")
    def plain() -> Any:
        return "Hello, world!"

    @app.get("/users/<name>/posts/<post:int>")
    def url(name: str, post: int) -> Any:
        return f"{name} {post} page {request.query['page']}"

    @app.post("/echo")
    def echo() -> Any:
        return request.json

    @app.post("/form")
    def form() -> Any:
        return f"{len(request.forms)} {request.forms['field7']}"

    @app.get("/session")
    def count() -> Any:
        text, cookie = next_count(request.get_cookie("session"))
        response.set_cookie("session", cookie, path="/", httponly=True)
        response.add_header("Vary", "Cookie")
        return text

    @app.get("/template")
    def template() -> Any:
        return render_rows()

    @app.get("/abort")
    def conflict() -> Any:
        abort(409, "conflict")

    @app.get("/static/<name:path>")
    def static(name: str) -> Any:
        return static_file(name, root=str(FILES / "static"))


def add_handler(app: Any) -> None:
    @app.error(404)
    def not_found(error: Any) -> Any:
        response.content_type = "application/json"
        return '{"error": "not found"}'


def add_hooks(app: Any) -> None:
    @app.hook("before_request")
    def before() -> None:
        request.user = "ada"

    @app.hook("after_request")
    def after() -> None:
        response.set_header("X-User", request.user)
        del request.user

    @app.get("/hooks")
    def hooks() -> Any:
        return f"Hello, {request.user}!"


def add_rules(app: Any) -> None:
    def add(number: int) -> None:
        def view(item: int) -> Any:
            return f"{number} {item}"

        app.get(f"/section{number}/items/<item:int>", callback=view)

    for number in range(RULES):
        add(number)

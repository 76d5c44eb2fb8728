"""The routes in Falcon."""

from __future__ import annotations

from typing import Any

import falcon

from ..cases import RULES
from . import FILES
from .shared import next_count, render_rows

HTML = falcon.MEDIA_HTML


class Json:
    def on_get(self, req: Any, resp: Any) -> None:
        resp.media = {"message": "Hello, world!"}


class Plain:
    def on_get(self, req: Any, resp: Any) -> None:
        resp.content_type = HTML
        resp.text = "Hello, world!"


class Url:
    def on_get(self, req: Any, resp: Any, name: str, post: int) -> None:
        resp.content_type = HTML
        resp.text = f"{name} {post} page {req.get_param('page')}"


class Echo:
    def on_post(self, req: Any, resp: Any) -> None:
        resp.media = req.get_media()


class Form:
    def on_post(self, req: Any, resp: Any) -> None:
        form = req.get_media()
        resp.content_type = HTML
        resp.text = f"{len(form)} {form['field7']}"


class Session:
    def on_get(self, req: Any, resp: Any) -> None:
        count, cookie = next_count(req.cookies.get("session"))
        resp.content_type = HTML
        resp.text = count
        resp.set_cookie("session", cookie, path="/", http_only=True, secure=False)
        resp.append_header("Vary", "Cookie")


class Template:
    def on_get(self, req: Any, resp: Any) -> None:
        resp.content_type = HTML
        resp.text = render_rows()


class Abort:
    def on_get(self, req: Any, resp: Any) -> None:
        raise falcon.HTTPConflict(description="conflict")


class Hooks:
    def on_get(self, req: Any, resp: Any) -> None:
        resp.content_type = HTML
        resp.text = f"Hello, {req.context.user}!"


class User:
    """The hooks as a middleware; Falcon has no teardown, so that the last step does it."""

    def process_request(self, req: Any, resp: Any) -> None:
        req.context.user = "ada"

    def process_response(self, req: Any, resp: Any, resource: Any, succeeded: bool) -> None:
        resp.set_header("X-User", req.context.user)
        del req.context.user


class Section:
    def __init__(self, number: int) -> None:
        self.number = number

    def on_get(self, req: Any, resp: Any, item: int) -> None:
        resp.content_type = HTML
        resp.text = f"{self.number} {item}"


def not_found(req: Any, resp: Any, error: Exception, params: Any) -> None:
    resp.status = 404
    resp.media = {"error": "not found"}


def build(route_set: str) -> Any:
    """Return Falcon's application for a route set."""
    app = falcon.App(middleware=[User()] if route_set == "hooks" else None)
    if route_set == "basic":
        app.add_route("/json", Json())
        app.add_route("/plain", Plain())
        app.add_route("/users/{name}/posts/{post:int}", Url())
        app.add_route("/echo", Echo())
        app.add_route("/form", Form())
        app.add_route("/session", Session())
        app.add_route("/template", Template())
        app.add_route("/abort", Abort())
        app.add_static_route("/static", str(FILES / "static"))
    elif route_set == "handler":
        app.add_error_handler(falcon.HTTPNotFound, not_found)
    elif route_set == "hooks":
        app.add_route("/hooks", Hooks())
    else:
        for number in range(RULES):
            app.add_route(f"/section{number}/items/{{item:int}}", Section(number))
    return app

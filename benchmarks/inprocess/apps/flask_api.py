"""The routes in Flask's API: one source for the real Flask and for Erlen."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from ..cases import ROWS, RULES, SECRET_KEY
from . import FILES


def build(flask: ModuleType, route_set: str) -> Any:
    """Return the application of a route set, made with Flask or with Erlen."""
    app = flask.Flask(
        "bench", root_path=str(FILES), template_folder="templates", static_folder="static"
    )
    app.secret_key = SECRET_KEY
    {"basic": add_basic, "handler": add_handler, "hooks": add_hooks, "rules": add_rules}[route_set](
        app, flask
    )
    return app


def add_basic(app: Any, flask: Any) -> None:
    request, session = flask.request, flask.session

    @app.get("/json")
    def json() -> Any:
        return {"message": "Hello, world!"}

    @app.get("/plain")
    def plain() -> Any:
        return "Hello, world!"

    @app.get("/users/<name>/posts/<int:post>")
    def url(name: str, post: int) -> Any:
        return f"{name} {post} page {request.args['page']}"

    @app.post("/echo")
    def echo() -> Any:
        return request.get_json()

    @app.post("/form")
    def form() -> Any:
        return f"{len(request.form)} {request.form['field7']}"

    @app.get("/session")
    def count() -> Any:
        session["count"] = session.get("count", 0) + 1
        return str(session["count"])

    @app.get("/template")
    def template() -> Any:
        return flask.render_template("rows.html", heading="Prices", rows=ROWS)

    @app.get("/abort")
    def conflict() -> None:
        flask.abort(409, "conflict")


def add_handler(app: Any, flask: Any) -> None:
    @app.errorhandler(404)
    def not_found(error: Exception) -> Any:
        return {"error": "not found"}, 404


def add_hooks(app: Any, flask: Any) -> None:
    g = flask.g

    @app.before_request
    def before() -> None:
        g.user = "ada"

    @app.after_request
    def after(response: Any) -> Any:
        response.headers["X-User"] = g.user
        return response

    @app.teardown_request
    def teardown(error: BaseException | None) -> None:
        g.pop("user")

    @app.get("/hooks")
    def hooks() -> Any:
        return f"Hello, {g.user}!"


def add_rules(app: Any, flask: Any) -> None:
    def add(number: int) -> None:
        def view(item: int) -> Any:
            return f"{number} {item}"

        app.add_url_rule(f"/section{number}/items/<int:item>", f"section{number}", view)

    for number in range(RULES):
        add(number)

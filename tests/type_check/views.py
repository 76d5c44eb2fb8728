"""What a view may return, and where views are registered; checked, never run."""

from __future__ import annotations

import http
from collections.abc import AsyncIterator, Generator, Iterator, Mapping
from typing import Any, TypedDict

from werkzeug.datastructures import Headers
from werkzeug.wrappers import Response as PlainResponse

from erlen import (
    Blueprint,
    Erlen,
    Flask,
    Response,
    jsonify,
    make_response,
    redirect,
    render_template,
    render_template_string,
    send_file,
    stream_template,
    stream_with_context,
)
from erlen.typing import ResponseReturnValue
from erlen.views import MethodView, View

app = Erlen(__name__)
pages = Blueprint("pages", __name__)
also: Flask = app


class Prediction(TypedDict):
    label: str
    probability: float


# Bodies


@app.get("/text")
@pages.get("/text")
def text() -> str:
    return render_template_string("{{ x }}", x=1)


@app.post("/octets")
def octets() -> bytes:
    return b""


@app.put("/mapping")
def mapping() -> dict[str, Any]:
    return {}


@app.patch("/any-mapping")
def any_mapping() -> Mapping[str, int]:
    return {"a": 1}


@app.delete("/rows")
def rows() -> list[Prediction]:
    return []


@app.route("/prediction")
def prediction() -> Prediction:
    return {"label": "a", "probability": 0.5}


@app.route("/answer")
def answer() -> Response:
    return jsonify(a=1)


@app.route("/made")
def made() -> Response:
    return make_response("x", 201)


@app.route("/plain")
def plain() -> PlainResponse:
    return redirect("/", code=303)


@app.route("/file")
def file() -> Response:
    return send_file("a.txt", as_attachment=True)


# Streams


@app.route("/parts")
def parts() -> Generator[bytes, None, None]:
    yield b"part"


@app.route("/lines")
def lines() -> Iterator[str]:
    return stream_template("a.html")


@app.route("/in-context")
def in_context() -> Iterator[str]:
    return stream_with_context(line for line in "ab")


@app.route("/async-lines")
async def async_lines() -> AsyncIterator[str]:
    async def produce() -> AsyncIterator[str]:
        yield "line"

    return produce()


# Bodies with status and headers


@app.route("/status")
def status() -> tuple[str, int]:
    return "", http.HTTPStatus.CREATED


@app.route("/pairs")
def pairs() -> tuple[dict[str, int], list[tuple[str, str]]]:
    return {}, [("X-A", "1")]


@app.route("/all")
def everything() -> tuple[list[int], int, Headers]:
    return [], 200, Headers()


@app.route("/either", defaults={"name": None})
@app.route("/either/<name>", methods=["GET", "POST"])
def either(name: str | None) -> ResponseReturnValue:
    if name is None:
        return {"error": "no name"}, 400, {"X-A": ["1", "2"]}
    return render_template(["a.html", "b.html"], name=name)


@app.route("/later")
async def later() -> tuple[Prediction, int]:
    return {"label": "a", "probability": 1.0}, 200


# Classes


class Listing(View):
    methods = ["GET"]
    decorators = [stream_with_context]
    init_every_request = False

    def __init__(self, template: str) -> None:
        self.template = template

    def dispatch_request(self, *, page: int = 1) -> str:
        return render_template(self.template, page=page)


class Item(MethodView):
    def get(self, key: int) -> Prediction:
        return {"label": str(key), "probability": 1.0}

    async def delete(self, key: int) -> tuple[str, int]:
        return "", 204


app.add_url_rule("/listing", view_func=Listing.as_view("listing", "listing.html"))
pages.add_url_rule("/item/<int:key>", view_func=Item.as_view("item"))
app.register_blueprint(pages, url_prefix="/pages")


# What is no view


class Plain:
    pass


@app.route("/plain")  # type: ignore[type-var]
def plain_object() -> Plain:
    return Plain()


@app.route("/numbers")  # type: ignore[type-var]
def numbers() -> Iterator[int]:
    yield 1

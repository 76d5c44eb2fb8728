"""URL variables, converters, the query string and `url_for`.

erlen --app examples/hello/url_variables run
"""

from __future__ import annotations

from erlen import Erlen, request, url_for

app = Erlen(__name__)


@app.get("/square/<int(signed=True):number>")
def square(number: int) -> dict[str, object]:
    following = url_for("square", number=number + 1, _external=True)
    return {"number": number, "square": number * number, "next": following}


@app.get("/greet/<name>")
def greet(name: str) -> dict[str, str]:
    times = request.args.get("times", default=1, type=int)
    return {"greeting": f"Hello, {name}!" * max(1, min(times, 10))}


@app.get("/files/<path:where>")
def parts(where: str) -> list[str]:
    return where.split("/")

"""Functions around a request: before it, after it, and once it is over.

erlen --app examples/hello/hooks run
"""

from __future__ import annotations

import time

from erlen import Erlen, Response, g

app = Erlen(__name__)


@app.before_request
def start_the_clock() -> None:
    g.started = time.perf_counter()


@app.after_request
def tell_the_time(response: Response) -> Response:
    milliseconds = (time.perf_counter() - g.started) * 1000
    response.headers["Server-Timing"] = f"app;dur={milliseconds:.3f}"
    return response


@app.teardown_request
def note_the_end(error: BaseException | None) -> None:
    if error is not None:
        app.logger.warning("a request ended with %r", error)


@app.errorhandler(404)
def not_here(error: Exception) -> tuple[dict[str, str], int]:
    return {"error": "There is nothing here."}, 404


@app.get("/")
def index() -> dict[str, str]:
    return {"see": "the Server-Timing header of this answer"}

"""A page to ask a language model: its tokens are passed on as they come, its key is not.

python examples/llm_proxy                    with a model that is only a stand-in
erlen --app examples/llm_proxy/app serve     with a real one: UPSTREAM_URL, UPSTREAM_API_KEY
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from werkzeug.exceptions import HTTPException

from erlen import (
    Blueprint,
    Erlen,
    Event,
    EventStream,
    Response,
    abort,
    current_app,
    render_template,
    request,
    stream_with_context,
)

from .model import Model, ModelError

site = Blueprint("site", __name__)

LONGEST_PROMPT = 4000  # characters
#: Seconds after which a request is broken off, should the limits on the model's side not hold.
TIMEOUT = 120
#: What the stand-in has an answer of its own to.
SUGGESTIONS = ("Show me how this works.", "Count to 500", "Fail halfway", "Say nothing")
SETTINGS = ("UPSTREAM_URL", "UPSTREAM_API_KEY", "UPSTREAM_MODEL")


def create_app(config: Mapping[str, Any] | None = None) -> Erlen:
    """Build the application; the model is told by the environment, or by `config`."""
    app = Erlen(__name__)
    app.config.update(
        # As JSON, a prompt takes up to twelve bytes a character.
        MAX_CONTENT_LENGTH=64_000,
        UPSTREAM_URL="",
        UPSTREAM_API_KEY="",
        UPSTREAM_MODEL="default",
        MOST_CALLS=500,  # answers that may be under way at once, in each process
    )
    app.config.update({name: os.environ[name] for name in SETTINGS if name in os.environ})
    app.config.update(config or {})
    app.register_blueprint(site)
    app.while_serving(connect)
    return app


async def connect() -> AsyncIterator[None]:
    """One pool of connections for the process, as long as it serves."""
    config = current_app.config
    if not config["UPSTREAM_URL"]:
        raise RuntimeError("Set UPSTREAM_URL, or start 'python examples/llm_proxy'.")
    # How many calls there may be is the model's to say: none waits unseen for a connection.
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        current_app.extensions["model"] = Model(
            session,
            config["UPSTREAM_URL"],
            config["UPSTREAM_API_KEY"],
            name=config["UPSTREAM_MODEL"],
            most_calls=config["MOST_CALLS"],
        )
        yield


class Refused(ValueError):
    """The prompt is none that is passed on; the text says why."""


@site.get("/")
def index() -> str:
    return page()


@site.post("/", timeout=TIMEOUT, cancel_on_disconnect=True)
async def ask() -> str | tuple[str, int]:
    """The page's form, for browsers without JavaScript: the whole answer, in the page."""
    prompt = request.form.get("prompt", "").replace("\r\n", "\n")
    try:
        check(prompt)
    except Refused as error:
        return page(prompt, problem=str(error)), 422
    text = ""
    try:
        async with aclosing(model().answer(prompt)) as pieces:
            async for piece in pieces:
                text += piece
    except ModelError as error:
        log(error)
        return page(prompt, text, problem=str(error)), 502
    return page(prompt, text)


@site.post("/stream", timeout=TIMEOUT)
async def stream() -> EventStream:
    """The answer as events: `{"text": ...}` for each piece, then one of type `done` or `error`.

    The body is JSON, `{"prompt": "..."}`.
    """
    body = request.get_json()
    prompt = body.get("prompt") if isinstance(body, dict) else None
    if not isinstance(prompt, str):
        raise Refused('Send {"prompt": "..."}.')
    check(prompt)
    return EventStream(stream_with_context(relay(prompt)))


async def relay(prompt: str) -> AsyncIterator[dict[str, str] | Event]:
    """The model's pieces as events. Closing it, as when the client leaves, ends the call."""
    pieces = 0
    try:
        async with aclosing(model().answer(prompt)) as answer:
            async for piece in answer:
                pieces += 1
                yield {"text": piece}
    except ModelError as error:
        log(error)
        yield Event({"message": str(error)}, event="error")
    else:
        yield Event({"pieces": pieces}, event="done")


@site.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


def check(prompt: str) -> None:
    if not prompt.strip():
        raise Refused("Ask something first.")
    if len(prompt) > LONGEST_PROMPT:
        raise Refused(f"A question has at most {LONGEST_PROMPT} characters.")


def model() -> Model:
    found: Model = current_app.extensions["model"]
    return found


def log(error: ModelError) -> None:
    current_app.logger.warning("No whole answer: %s", error.detail)


def page(prompt: str = "", answer: str = "", problem: str | None = None) -> str:
    return render_template(
        "index.html",
        prompt=prompt,
        answer=answer,
        problem=problem,
        longest=LONGEST_PROMPT,
        suggestions=SUGGESTIONS if current_app.config["UPSTREAM_MODEL"] == "stand-in" else (),
    )


@site.before_app_request
def refuse_other_sites() -> None:
    """What is asked here costs the owner's money: pages elsewhere cannot make visitors ask."""
    origin = request.headers.get("Origin")
    if request.method == "POST" and origin and urlsplit(origin).netloc != request.host:
        abort(403, "Questions from other sites are not taken.")


@site.app_errorhandler(Refused)
@site.app_errorhandler(HTTPException)
def explain(error: Exception) -> Response:
    """JSON for programs, and the page with a message for people."""
    status = 422 if isinstance(error, Refused) else getattr(error, "code", None) or 500
    message = MESSAGES.get(status) or getattr(error, "description", None) or str(error)
    if request.path == "/":
        response = current_app.make_response(page(problem=message))
    else:
        response = current_app.json.response({"error": message})
    response.status_code = status
    if isinstance(error, HTTPException):
        response.headers.extend((n, v) for n, v in error.get_headers() if n == "Allow")
    return response


MESSAGES = {
    400: "The body is not JSON that can be read.",
    413: f"That is too large: a question has at most {LONGEST_PROMPT} characters.",
    415: "Send JSON, with Content-Type: application/json.",
    500: "Something went wrong here; it has been logged.",
    503: "The model took too long.",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@site.after_app_request
def set_policy(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    return response

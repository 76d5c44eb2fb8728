"""Functions around views: plain and async, of applications and blueprints; checked, never run."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import click
from werkzeug.exceptions import HTTPException, NotFound, UnprocessableEntity
from werkzeug.wrappers import Response as PlainResponse

from erlen import Blueprint, Erlen, Response, after_this_request, copy_current_request_context
from erlen.cli import with_appcontext

app = Erlen(__name__)
part = Blueprint("part", __name__, url_prefix="/part")


class Unusable(ValueError):
    pass


class OwnResponse(Response):
    pass


# Before and after


@app.before_request
@part.before_request
@part.before_app_request
def go_on() -> None: ...


@app.before_request
def answer_at_once() -> tuple[str, int] | None:
    return "", 503


@app.before_request
async def ask_first() -> str | None:
    return None


@app.after_request
@part.after_request
@part.after_app_request
def keep(response: Response) -> Response:
    return response


@app.after_request
def keep_any(response: PlainResponse) -> PlainResponse:
    return response


@app.after_request
def keep_own(response: OwnResponse) -> OwnResponse:
    return response


@app.after_request
async def keep_later(response: Response) -> Response:
    return response


@app.teardown_request
@app.teardown_appcontext
@part.teardown_request
@part.teardown_app_request
def end(error: BaseException | None) -> None: ...


@app.teardown_request
@app.teardown_appcontext
async def end_later(error: BaseException | None = None) -> None: ...


@app.get("/")
def view() -> str:
    @after_this_request
    def mark(response: Response) -> Response:
        return response

    @copy_current_request_context
    def work(times: int) -> float:
        return times / 2

    half: float = work(3)
    return str(half)


# Errors


@app.errorhandler(404)
@app.errorhandler(HTTPStatus.GONE)
@app.errorhandler(NotFound)
@part.errorhandler(404)
@part.app_errorhandler(404)
def not_found(error: NotFound) -> tuple[str, int]:
    return "", 404


@app.errorhandler(Unusable)
@app.errorhandler(UnprocessableEntity)
def unusable(error: Unusable | UnprocessableEntity) -> dict[str, str]:
    return {"error": str(error)}


@app.errorhandler(Exception)
def anything(error: Exception) -> HTTPException | Response:
    return error if isinstance(error, HTTPException) else Response(status=500)


@app.errorhandler(Unusable)
async def unusable_later(error: Unusable) -> str:
    return ""


app.register_error_handler(Unusable, unusable_later)


# URLs, templates, commands


@app.url_value_preprocessor
@part.url_value_preprocessor
@part.app_url_value_preprocessor
def pull(endpoint: str | None, values: dict[str, Any] | None) -> None: ...


@app.url_defaults
@part.url_defaults
@part.app_url_defaults
def push(endpoint: str, values: dict[str, Any]) -> None: ...


@app.context_processor
@part.context_processor
@part.app_context_processor
def provide() -> dict[str, Any]:
    return {}


@app.context_processor
async def provide_later() -> dict[str, Any]:
    return {}


@app.template_filter("double")
@part.app_template_filter("double")
def double(text: str) -> str:
    return text * 2


@app.template_test()
@part.app_template_test()
def even(number: int) -> bool:
    return number % 2 == 0


@app.template_global()
@part.app_template_global()
def today() -> str:
    return ""


@app.shell_context_processor
def shell() -> dict[str, Any]:
    return {}


@app.cli.command("fill")
@click.argument("name")
def fill(name: str) -> None: ...


@click.command()
@with_appcontext
def alone() -> None: ...


part.record(lambda state: state.app.logger.info("registered"))


# What is no hook


@app.teardown_request  # type: ignore[type-var]
def without_error() -> None: ...


@app.context_processor  # type: ignore[type-var]
def provide_names() -> list[str]:
    return []


app.errorhandler("404")  # type: ignore[arg-type]

"""`timeout=` of a route."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from werkzeug.exceptions import ServiceUnavailable

from erlen import Erlen
from erlen.testing import FlaskClient
from erlen.views import MethodView


async def never(events: list[str]) -> None:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        events.append("cancelled")
        raise


def test_a_coroutine_function_is_cancelled_and_answered_with_503(
    app: Erlen, client: FlaskClient
) -> None:
    events: list[str] = []

    @app.get("/", timeout=0.01)
    async def index() -> str:
        await never(events)
        return "never"

    @app.teardown_request
    def teardown(error: BaseException | None) -> None:
        events.append(f"torn down with {error}")

    assert client.get("/").status_code == 503
    assert events == ["cancelled", "torn down with None"]


def test_an_error_handler_can_answer_a_timeout(app: Erlen, client: FlaskClient) -> None:
    @app.errorhandler(ServiceUnavailable)
    def handle(error: ServiceUnavailable) -> Any:
        return "later", 504

    @app.get("/", timeout=0.01)
    async def index() -> str:
        await never([])
        return "never"

    response = client.get("/")
    assert (response.status_code, response.text) == (504, "later")


def test_a_view_that_is_fast_enough_answers_as_ever(app: Erlen, client: FlaskClient) -> None:
    @app.get("/", timeout=30)
    async def index() -> str:
        await asyncio.sleep(0)
        return "in time"

    @app.get("/plain", timeout=30)
    def plain() -> str:
        return "plain"

    assert client.get("/").text == "in time"
    assert client.get("/plain").text == "plain"


def test_an_async_method_of_a_class_is_cancelled_on_the_loop(app: Erlen) -> None:
    events: list[str] = []

    class Index(MethodView):
        async def get(self) -> str:
            await never(events)
            return "never"

    app.add_url_rule("/", view_func=Index.as_view("index"), timeout=0.01)
    assert app.test_client(transport="asgi").get("/").status_code == 503
    assert events == ["cancelled"]


def test_a_cancellation_from_outside_is_not_taken_for_a_timeout(app: Erlen) -> None:
    started = asyncio.Event()

    @app.get("/", timeout=30)
    async def index() -> str:
        started.set()
        await asyncio.Event().wait()
        return "never"

    async def main() -> bool:
        with app.test_request_context("/"):
            scope = {
                "type": "http",
                "method": "GET",
                "path": "/",
                "headers": [(b"host", b"localhost")],
                "query_string": b"",
            }

            async def receive() -> Any: ...

            async def send(message: Any) -> None:
                pytest.fail(f"sent {message}")

            task = asyncio.create_task(app(scope, receive, send))
            await started.wait()
            task.cancel()
            await asyncio.wait([task])
            return task.cancelled()

    assert asyncio.run(main())


def test_an_asynchronous_stream_is_closed_when_its_time_is_over(
    app: Erlen, client: FlaskClient
) -> None:
    events: list[str] = []

    async def stream() -> AsyncIterator[str]:
        yield "first"
        await never(events)

    @app.get("/", timeout=0.02)
    async def index() -> Any:
        return stream()

    with pytest.raises(TimeoutError, match="timeout"):
        _ = client.get("/").data
    assert events == ["cancelled"]


def test_a_plain_stream_gets_no_further_piece_when_its_time_is_over(
    app: Erlen, client: FlaskClient
) -> None:
    closed: list[str] = []

    def stream() -> Iterator[str]:
        try:
            while True:
                yield "more"
        finally:
            closed.append("closed")

    @app.get("/", timeout=0.02)
    def index() -> Any:
        return stream()

    with pytest.raises(TimeoutError, match="timeout"):
        _ = client.get("/").data
    assert closed == ["closed"]

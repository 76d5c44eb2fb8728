"""Functions that replace `__call__` and know WSGI alone: every request goes through them."""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import Any

import pytest

from erlen import Erlen, request
from erlen.stages import Stages


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a function in the place of the class's `__call__` has seen, as instrumentation does."""
    paths: list[str] = []
    replaced = Erlen.__call__

    def instrumented(self: Any, environ: Any, start_response: Any) -> Any:
        paths.append(environ["PATH_INFO"])
        return replaced(self, environ, start_response)

    monkeypatch.setattr(Erlen, "__call__", instrumented, raising=False)
    return paths


def make_app(kind: type[Erlen] = Erlen) -> Erlen:
    app = kind("instrumented")

    @app.get("/plain")
    def plain() -> str:
        return request.path

    @app.get("/later")
    async def later() -> str:
        return request.path

    return app


def test_requests_go_through_it(seen: list[str], transport: str) -> None:
    client = make_app().test_client()
    answers = [client.get(path) for path in ("/plain", "/later", "/nowhere")]
    assert [answer.status_code for answer in answers] == [200, 200, 404]
    assert [answer.text for answer in answers[:2]] == ["/plain", "/later"]
    assert seen == ["/plain", "/later", "/nowhere"]


def test_it_may_come_after_the_application_was_made(transport: str) -> None:
    class Own(Erlen):
        pass

    app = make_app(Own)
    paths = []

    def instrumented(self: Any, environ: Any, start_response: Any) -> Any:
        paths.append(environ["PATH_INFO"])
        return Stages.__call__(self, environ, start_response)

    Own.__call__ = instrumented  # type: ignore[assignment]
    app.add_url_rule("/more", view_func=lambda: "more", endpoint="more")
    assert app.test_client().get("/more").text == "more"
    assert paths == ["/more"]


def test_subclass_may_define_it_over_another(
    seen: list[str], transport: str, framework: ModuleType
) -> None:
    """So that a request passes both, in their order, as in Flask over WSGI."""
    if framework.__name__ == "flask" and transport == "asgi":
        pytest.skip("Flask has no ASGI")
    order = []

    class Own(framework.Flask):  # type: ignore[misc,name-defined]
        def __call__(self, environ: Any, start_response: Any) -> Any:
            order.append("own")
            environ["mark"] = "by the subclass"
            return super().__call__(environ, start_response)

    app = Own("own")
    app.add_url_rule("/", view_func=lambda: framework.request.environ["mark"], endpoint="index")
    assert app.test_client().get("/").text == "by the subclass"
    assert order == ["own"]
    assert seen == (["/"] if framework.__name__ == "erlen" else [])


def test_one_that_takes_both_is_left_alone(transport: str) -> None:
    calls = []

    class Own(Erlen):
        def __call__(self, *args: Any) -> Any:
            calls.append(len(args))
            return super().__call__(*args)

    mine = vars(Own)["__call__"]
    assert make_app(Own).test_client().get("/later").text == "/later"
    assert vars(Own)["__call__"] is mine
    assert set(calls) == {3 if transport == "asgi" else 2}


def test_middleware_around_wsgi_app_is_inside_of_it(seen: list[str], transport: str) -> None:
    app = make_app()
    inner = app.wsgi_app

    def middleware(environ: Any, start_response: Any) -> Any:
        seen.append("middleware")
        return inner(environ, start_response)

    app.wsgi_app = middleware  # type: ignore[method-assign]
    assert app.test_client().get("/plain").text == "/plain"
    assert seen == ["/plain", "middleware"]


def test_servers_see_that_the_application_takes_asgi(seen: list[str]) -> None:
    app = make_app()
    assert len(inspect.signature(app).parameters) == 3
    assert vars(type(app).__call__).items() >= vars(Stages.__call__).items()

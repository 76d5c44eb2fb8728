"""The proxies stand for what is current, in every respect."""

from __future__ import annotations

import asyncio
import copy
import threading
import typing as t
from contextvars import copy_context

import pytest
from werkzeug.local import LocalProxy

import erlen
from erlen import Erlen
from erlen import globals as names

PROXIES = ("current_app", "g", "request", "session", "app_ctx", "request_ctx")
OUTSIDE_OF_APPS = ("current_app", "g", "app_ctx")


@pytest.mark.parametrize("name", PROXIES)
def test_every_proxy_is_a_local_proxy_of_the_current_object(app: Erlen, name: str) -> None:
    proxy = getattr(names, name)
    assert isinstance(proxy, LocalProxy)
    with app.test_request_context("/"):
        current = proxy._get_current_object()
        assert proxy == current
        assert isinstance(proxy, type(current))
        assert proxy.__class__ is type(current)
        assert type(proxy) is not type(current)
        assert proxy._get_current_object() is current


@pytest.mark.parametrize("name", PROXIES)
def test_a_proxy_without_an_object_says_what_is_missing(name: str) -> None:
    proxy = getattr(names, name)
    missing = "application" if name in OUTSIDE_OF_APPS else "request"
    for use in (
        lambda: proxy.anything,
        lambda: setattr(proxy, "anything", 1),
        lambda: delattr(proxy, "anything"),
        lambda: proxy["key"],
        lambda: "key" in proxy,
        lambda: len(proxy),
        lambda: proxy._get_current_object(),
    ):
        with pytest.raises(RuntimeError, match=f"^Working outside of {missing} context"):
            use()
    assert repr(proxy) == "<LocalProxy unbound>"
    assert bool(proxy) is False
    assert dir(proxy) == []


OFTEN = ("args", "form", "json", "method", "path", "headers", "values", "endpoint", "view_args")


@pytest.mark.parametrize("name", OFTEN)
def test_what_is_often_read_of_a_request_can_be_assigned_and_deleted(app: Erlen, name: str) -> None:
    with app.test_request_context("/?a=1", method="POST", json={"b": 2}):
        value = object()
        if name in ("json", "endpoint", "values"):
            assert getattr(erlen.request, name) == getattr(names.request_ctx.request, name)
            return
        setattr(erlen.request, name, value)
        assert getattr(erlen.request, name) is value
        assert getattr(names.request_ctx.request, name) is value
        delattr(erlen.request, name)
        assert getattr(erlen.request, name) is not value


def test_an_attribute_that_fails_raises_its_own_error(app: Erlen) -> None:
    class Failing(erlen.Request):
        @property
        def args(self) -> t.Any:
            raise KeyError("own")

        @property
        def missing(self) -> t.Any:
            raise AttributeError("inner")

    app.request_class = Failing
    with app.test_request_context("/"):
        with pytest.raises(KeyError, match="own"):
            _ = erlen.request.args
        with pytest.raises(AttributeError, match="inner"):
            _ = erlen.request.missing  # type: ignore[attr-defined]
        with pytest.raises(AttributeError, match="nope"):
            _ = erlen.request.nope  # type: ignore[attr-defined]


def test_g_is_one_namespace_for_a_context(app: Erlen) -> None:
    with app.test_request_context("/"):
        erlen.g.x = 1
        assert erlen.g._get_current_object() is names.app_ctx.g
        assert (erlen.g.x, "x" in erlen.g, "y" in erlen.g, list(erlen.g)) == (1, True, False, ["x"])
        assert repr(erlen.g) == f"<flask.g of {app.name!r}>"
        with app.app_context():
            assert "x" not in erlen.g
        del erlen.g.x
        assert "x" not in erlen.g
        with pytest.raises(AttributeError, match="x"):
            _ = erlen.g.x


def test_an_app_context_has_one_identity_for_its_life(app: Erlen) -> None:
    seen = []

    @app.before_request
    def before() -> None:
        seen.append(id(names.app_ctx._get_current_object()))

    @app.route("/")
    def view() -> str:
        seen.append(id(names._cv_app.get()))
        return "view"

    @app.teardown_request
    def teardown(error: t.Any) -> None:
        seen.append(id(names.app_ctx._get_current_object()))

    @app.teardown_appcontext
    def teardown_app(error: t.Any) -> None:
        seen.append(id(names.app_ctx._get_current_object()))

    for _ in range(3):
        app.test_client().get("/")
        assert len(set(seen)) == 1
        assert len(seen) == 4
        del seen[:]


def test_identity_holds_without_hooks_that_look(app: Erlen) -> None:
    @app.route("/")
    def view() -> t.Any:
        first = names.app_ctx._get_current_object()
        return [
            first is names._cv_app.get(),
            first.app is app,
            first.g is erlen.g._get_current_object(),
        ]

    for _ in range(3):
        assert app.test_client().get("/").json == [True, True, True]


def test_contexts_follow_the_context_variables(app: Erlen) -> None:
    with app.test_request_context("/outer"):
        erlen.g.x = 1
        snapshot = copy_context()
    assert not erlen.has_request_context()
    assert snapshot.run(lambda: (erlen.request.path, erlen.g.x)) == ("/outer", 1)
    seen: list[bool] = []
    thread = threading.Thread(target=lambda: seen.append(erlen.has_app_context()))
    with app.app_context():
        thread.start()
        thread.join(10)
    assert seen == [False]


def test_tasks_have_contexts_of_their_own(app: Erlen) -> None:
    async def work(path: str) -> str:
        with app.test_request_context(path):
            await asyncio.sleep(0)
            erlen.g.path = path
            await asyncio.sleep(0)
            return f"{erlen.request.path} {erlen.g.path}"

    async def main() -> list[str]:
        return await asyncio.gather(*(work(f"/{n}") for n in range(5)))

    assert asyncio.run(main()) == [f"/{n} /{n}" for n in range(5)]
    assert not erlen.has_app_context()


@pytest.mark.parametrize("name", ["_cv_app", "_cv_request"])
def test_the_old_variables_can_be_set_and_reset(app: Erlen, name: str) -> None:
    variable = getattr(names, name)
    marker = object()
    with pytest.raises(LookupError):
        variable.get()
    assert variable.get(marker) is marker
    with app.test_request_context("/"):
        context = variable.get()
        assert variable.get(marker) is context
    ctx = app.app_context() if name == "_cv_app" else app.test_request_context("/")
    token = variable.set(ctx)
    try:
        assert variable.get() is ctx
        assert erlen.has_app_context() is (name == "_cv_app")
    finally:
        variable.reset(token)
    assert variable.get(None) is None


def test_a_proxied_session_behaves_as_the_session(app: Erlen) -> None:
    with app.test_request_context("/"):
        session = erlen.session
        session["a"] = [1]
        session.setdefault("b", 2)
        assert (session["a"], "a" in session, len(session), sorted(session)) == (
            [1],
            True,
            2,
            ["a", "b"],
        )
        assert session.modified and session.accessed
        assert dict(session) == {"a": [1], "b": 2}
        assert copy.copy(session) == session
        del session["a"]
        assert session == {"b": 2}
        assert session | {"c": 3} == {"b": 2, "c": 3}

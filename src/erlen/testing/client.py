"""The test client: requests that run in this process, with cookies and contexts kept."""

from __future__ import annotations

import typing as t
from contextlib import ExitStack, closing, contextmanager
from copy import copy
from functools import cache

import werkzeug.test
from werkzeug.wrappers import Request as BaseRequest

from .builder import EnvironBuilder

if t.TYPE_CHECKING:
    from types import TracebackType

    from _typeshed.wsgi import WSGIEnvironment
    from werkzeug.test import TestResponse

    from ..app import Erlen
    from ..sessions import SessionMixin

PRESERVE_CONTEXT = "werkzeug.debug.preserve_context"


@cache
def _get_werkzeug_version() -> str:
    from importlib.metadata import version

    return version("werkzeug")


class FlaskClient(werkzeug.test.Client):
    """Werkzeug's test client for an application; `app.test_client()` makes one.

    In a `with` block the contexts of the last request stay pushed, so that `request`, `session`
    and `g` can be looked at. `environ_base` holds what each request's environ begins with.
    """

    application: Erlen
    preserve_context = False

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        agent = f"Werkzeug/{_get_werkzeug_version()}"
        self.environ_base: WSGIEnvironment = {"REMOTE_ADDR": "127.0.0.1", "HTTP_USER_AGENT": agent}
        # What the application handed over during a request, and what is pushed again after it.
        self._new_contexts: list[t.ContextManager[t.Any]] = []
        self._context_stack = ExitStack()

    @contextmanager
    def session_transaction(self, *args: t.Any, **kwargs: t.Any) -> t.Iterator[SessionMixin]:
        """Change the session as a request would: yields it, then saves it in the cookies.

        Arguments are those of `app.test_request_context`. Raises TypeError for a client without
        cookies, RuntimeError where the session interface opens none (no secret key, say).
        """
        if self._cookies is None:
            raise TypeError("Cookies are disabled. Create a client with 'use_cookies=True'.")
        app = self.application
        store = app.session_interface
        ctx = app.test_request_context(*args, **kwargs)
        self._add_cookies_to_wsgi(ctx.request.environ)
        # Pushed only around the interface's work: the block sees the caller's own contexts.
        with ctx:
            opened = store.open_session(app, ctx.request)
        if opened is None:
            raise RuntimeError("Session backend did not open a session.")
        yield opened
        if store.is_null_session(opened):
            return
        carrier = app.response_class()
        with ctx:
            store.save_session(app, opened, carrier)
        host, _, _ = ctx.request.host.partition(":")
        self._update_cookies_from_response(
            host, ctx.request.path, carrier.headers.getlist("Set-Cookie")
        )

    def _copy_environ(self, other: WSGIEnvironment) -> WSGIEnvironment:
        """An environ over `environ_base`, which asks for its contexts where they are kept."""
        wish = {PRESERVE_CONTEXT: self._new_contexts.append} if self.preserve_context else {}
        return {**self.environ_base, **other, **wish}

    def _request_from_builder_args(
        self, args: tuple[t.Any, ...], kwargs: dict[str, t.Any]
    ) -> BaseRequest:
        """The request that arguments of `EnvironBuilder` describe."""
        base = self._copy_environ(kwargs.get("environ_base", {}))
        with_base = {**kwargs, "environ_base": base}
        with closing(EnvironBuilder(self.application, *args, **with_base)) as builder:
            return builder.get_request()

    def _request_from(self, given: t.Any) -> BaseRequest | None:
        """The request that a builder, an environ or a request stands for; None for other things.

        What was given is left as it is, so that it can be used again.
        """
        match given:
            case werkzeug.test.EnvironBuilder():
                builder = copy(given)
                builder.environ_base = self._copy_environ(builder.environ_base or {})  # type: ignore[arg-type]
                return builder.get_request()
            case dict():
                return EnvironBuilder.from_environ(
                    given, app=self.application, environ_base=self._copy_environ({})
                ).get_request()
            case BaseRequest():
                request = copy(given)
                request.environ = self._copy_environ(request.environ)
                return request
        return None

    def open(
        self,
        *args: t.Any,
        buffered: bool = False,
        follow_redirects: bool = False,
        **kwargs: t.Any,
    ) -> TestResponse:
        """Send a request and return the response.

        The arguments are those of `EnvironBuilder`, or one builder, environ or request. `buffered`
        reads the body and closes it at once; `follow_redirects` goes on to where the answer points
        (`response.history` has the way there).
        """
        request = self._request_from(args[0]) if args else None
        if request is None:
            request = self._request_from_builder_args(args, kwargs)
        # The contexts of the request before; after this one there are new ones to keep.
        self._context_stack.close()
        response = super().open(request, buffered=buffered, follow_redirects=follow_redirects)
        response.json_module = self.application.json  # type: ignore[assignment]
        while self._new_contexts:
            self._context_stack.enter_context(self._new_contexts.pop(0))
        return response

    def __enter__(self) -> FlaskClient:
        if self.preserve_context:
            raise RuntimeError("Cannot nest client invocations")
        self.preserve_context = True
        return self

    def __exit__(
        self,
        exc_type: type | None,
        exc_value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.preserve_context = False
        self._context_stack.close()

"""The test client: requests that run in this process, with cookies and contexts kept."""

from __future__ import annotations

import os
import typing as t
from contextlib import ExitStack, closing, contextmanager, nullcontext
from copy import copy
from functools import cache
from urllib.parse import urlsplit

import werkzeug.test
from werkzeug.datastructures import Headers
from werkzeug.wrappers import Request as BaseRequest
from werkzeug.wsgi import get_current_url

from ..engine.bridge import calling_back
from .builder import EnvironBuilder

if t.TYPE_CHECKING:
    from types import TracebackType

    from _typeshed.wsgi import WSGIEnvironment
    from werkzeug.test import TestResponse

    from ..app import Erlen
    from ..sessions import SessionMixin
    from .asgi import Wait
    from .sessions import Socket
    from .websocket import WebSocketSession

PRESERVE_CONTEXT = "werkzeug.debug.preserve_context"
#: Names the transport of clients that are not told one.
TRANSPORT_VARIABLE = "ERLEN_TEST_TRANSPORT"
TRANSPORTS = ("wsgi", "asgi")


@cache
def _get_werkzeug_version() -> str:
    from importlib.metadata import version

    return version("werkzeug")


class FlaskClient(werkzeug.test.Client):
    """Werkzeug's test client for an application; `app.test_client()` makes one.

    In a `with` block the contexts of the last request stay pushed, so that `request`, `session`
    and `g` can be looked at. `environ_base` holds what each request's environ begins with.

    Requests are carried over `transport`: "wsgi", or "asgi" on an event loop beside the test's
    thread. Unless set, the environment variable `ERLEN_TEST_TRANSPORT` decides.
    """

    application: Erlen
    preserve_context = False
    #: Runs a coroutine where the application runs; unset, on the loop beside the calling thread.
    _wait: Wait | None = None
    #: Whether a response is there with its head; else with the first piece of its body.
    _whole_head = False
    #: The state that the application's start-up made, while `lifespan` is entered.
    _state: dict[str, t.Any] | None = None

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        self.transport = os.environ.get(TRANSPORT_VARIABLE) or "wsgi"
        agent = f"Werkzeug/{_get_werkzeug_version()}"
        self.environ_base: WSGIEnvironment = {"REMOTE_ADDR": "127.0.0.1", "HTTP_USER_AGENT": agent}
        # What the application handed over during a request, and what is pushed again after it.
        self._new_contexts: list[t.ContextManager[t.Any]] = []
        self._context_stack = ExitStack()

    @property
    def transport(self) -> str:
        """How requests are carried, "wsgi" or "asgi". Assigning another name is a ValueError."""
        return self._transport

    @transport.setter
    def transport(self, name: str) -> None:
        if name not in TRANSPORTS:
            raise ValueError(f"The transport of a test client is 'wsgi' or 'asgi', not {name!r}.")
        self._transport = name

    def _waiter(self) -> Wait:
        if self._wait is not None:
            return self._wait
        from .loops import loop_thread

        return loop_thread().wait

    def _beside(self) -> t.ContextManager[None]:
        """Around what the client does in the application's stead: coroutines run on its loop."""
        if self._transport == "wsgi" or self._wait is not None:
            return nullcontext()
        from .loops import loop_thread

        return calling_back(loop_thread().loop)

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
        with self._beside(), ctx:
            opened = store.open_session(app, ctx.request)
        if opened is None:
            raise RuntimeError("Session backend did not open a session.")
        yield opened
        if store.is_null_session(opened):
            return
        carrier = app.response_class()
        with self._beside(), ctx:
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
        self._leave_contexts()
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
        self._leave_contexts()

    def _leave_contexts(self) -> None:
        with self._beside():
            self._context_stack.close()

    def run_wsgi_app(
        self, environ: WSGIEnvironment, buffered: bool = False
    ) -> tuple[t.Iterable[bytes], str, Headers]:
        """Carry a request to the application; its body, status and headers."""
        if self._transport == "wsgi":
            return super().run_wsgi_app(environ, buffered)
        from .asgi import Carrier

        carrier = Carrier(
            self.application, self._waiter(), self._state, whole_head=self._whole_head
        )
        self._add_cookies_to_wsgi(environ)
        answer = werkzeug.test.run_wsgi_app(carrier, environ, buffered)
        self._keep_cookies(environ, answer[2])
        return answer

    def _keep_cookies(self, environ: WSGIEnvironment, headers: Headers) -> None:
        url = urlsplit(get_current_url(environ))
        set_by = headers.getlist("Set-Cookie")
        self._update_cookies_from_response(url.hostname or "localhost", url.path, set_by)

    # What only ASGI has

    @contextmanager
    def websocket(
        self, *args: t.Any, subprotocols: t.Sequence[str] = (), **kwargs: t.Any
    ) -> t.Iterator[WebSocketSession]:
        """A WebSocket connection, open in the `with` block; arguments are those of a request.

        Raises `WebSocketRefused` where the application does not accept it, and what the
        application raises. At the end of the block it is closed with code 1000, if it is still
        open, and the application comes to its end.
        """
        from .websocket import WebSocketSession

        wait = self._asgi_waiter()
        socket, request = self._socket(args, kwargs, subprotocols)
        if not wait(socket.open()):
            raise self._refusal(socket, request)
        try:
            self._keep_cookies(request.environ, Headers(socket.headers))
            yield WebSocketSession(socket, wait, self.application.json)
        except GeneratorExit:  # nobody is left who could wait
            socket.loop.call_soon_threadsafe(socket.abandon)
            raise
        except BaseException:
            wait(socket.break_off())
            raise
        wait(socket.close())

    @contextmanager
    def lifespan(self) -> t.Iterator[dict[str, t.Any]]:
        """Start the application, as a server does before it serves, and end it after the block.

        Yields the state that the start-up made; requests in the block get it in their scopes.
        """
        from .sessions import Lifespan

        wait = self._asgi_waiter()
        lifespan = Lifespan(self.application)
        self._state = wait(lifespan.startup())
        try:
            yield self._state
        finally:
            self._state = None
            wait(lifespan.shutdown())

    def _asgi_waiter(self) -> Wait:
        if self._transport == "wsgi":
            raise RuntimeError("This needs ASGI: use app.test_client(transport='asgi').")
        return self._waiter()

    def _socket(
        self, args: t.Any, kwargs: t.Any, subprotocols: t.Sequence[str]
    ) -> tuple[Socket, BaseRequest]:
        from .sessions import Socket, ask_for_websocket

        request = self._request_from_builder_args(args, kwargs)
        environ = request.environ
        environ.pop(PRESERVE_CONTEXT, None)
        ask_for_websocket(environ, subprotocols)
        self._add_cookies_to_wsgi(environ)
        return Socket(self.application, environ, self._state), request

    def _refusal(self, socket: Socket, request: BaseRequest) -> Exception:
        from .sessions import WebSocketRefused

        headers = Headers(socket.headers)
        self._keep_cookies(request.environ, headers)
        response = self.response_wrapper(
            [bytes(socket.refusal_body)], str(socket.refusal), headers, request=request
        )
        response.json_module = self.application.json  # type: ignore[assignment]
        return WebSocketRefused(response)

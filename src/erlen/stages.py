"""The stages of a request as methods, each of which a subclass or an instance may replace.

The methods only call the pipeline; the engine goes around those that nobody replaced. Source:
Flask, "API: Application Object".
"""

from __future__ import annotations

import sys
import typing as t
from contextlib import closing

from .ctx import AppContext, RequestContext
from .engine import pipeline
from .engine.bridge import async_to_sync, is_coroutine_function
from .engine.compile import compile_program, is_current, plan_for_rule, prepare
from .engine.respond import make_response
from .globals import _request_context, request_ctx
from .scaffold import Scaffold, _sentinel
from .signals import appcontext_tearing_down
from .transports import wsgi
from .wrappers import lazy

if t.TYPE_CHECKING:
    import collections.abc as cabc
    from types import TracebackType

    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from werkzeug.exceptions import HTTPException
    from werkzeug.routing import Rule

    from . import typing as ft
    from .config import Config
    from .engine.plan import Plan, Program
    from .engine.threads import Threads
    from .wrappers import Request, Response
    from .wrappers.scope import Receive, Scope, Send


def _threads(app: Stages, name: str) -> Threads:
    from .engine.threads import DEFAULT_THREADS, Threads

    return Threads(app.config.get("ASGI_THREADS", DEFAULT_THREADS), name)


class _AsgiApp:
    """The method `asgi_app`, imported and put in its own place when it is first asked for."""

    def __get__(self, instance: t.Any, owner: t.Any) -> t.Any:
        from .transports.asgi import asgi_app

        Stages.asgi_app = asgi_app  # type: ignore[assignment,method-assign]
        return (owner if instance is None else instance).asgi_app


class Stages(Scaffold):
    """The life of a request, for `Erlen` to inherit."""

    config: Config
    response_class: type[Response]
    teardown_appcontext_funcs: list[ft.TeardownCallable]
    _program: Program | None = None
    _drops = 0

    # The compiled program

    def _drop_program(self) -> None:
        """Have the program compiled again before the next request."""
        mine = self.__dict__
        mine["_drops"] = self._drops + 1
        mine["_program"] = None
        if type(self).__call__ is not Stages.__call__:
            from .transports.called import teach_asgi

            teach_asgi(type(self), Stages)

    def __getstate__(self) -> dict[str, t.Any]:
        # A copy compiles a program of its own.
        return {k: v for k, v in vars(self).items() if k not in ("_life", "_program", "_dropper")}

    def _current_program(self) -> Program:
        program = self._program
        if program is None or (program.foreign and not is_current(program)):
            drops = self._drops
            program = compile_program(self, self._as_defined())
            if drops == self._drops:  # nothing was registered meanwhile
                self.__dict__["_program"] = program
        return program

    def _as_defined(self) -> dict[str, t.Callable[..., t.Any]]:
        raise NotImplementedError

    def _plan_for_rule(self, program: Program, rule: Rule | None, index: int = -1) -> Plan:
        return plan_for_rule(program, rule, index)

    def prepare(self) -> None:
        """Compile everything now, instead of at the first request.

        Useful before a server forks, or to see the faults of a set-up at start.
        """
        prepare(self._current_program())

    # Carrying requests

    wsgi_app = wsgi.wsgi_app

    if t.TYPE_CHECKING:

        async def asgi_app(self, scope: Scope, receive: Receive, send: Send) -> None: ...

    else:
        asgi_app = _AsgiApp()

    @t.overload
    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse, /
    ) -> cabc.Iterable[bytes]: ...

    @t.overload
    def __call__(
        self, scope: Scope, receive: Receive, send: Send, /
    ) -> cabc.Coroutine[t.Any, t.Any, None]: ...

    def __call__(self, environ: t.Any, start_response: t.Any, send: t.Any = None) -> t.Any:
        """Answer a request: as a WSGI application with two arguments, as an ASGI one with three."""
        if send is None:
            return self.wsgi_app(environ, start_response)
        return self.asgi_app(environ, start_response, send)

    if not t.TYPE_CHECKING:

        @lazy
        def worker_threads(self):
            """The threads that sync views run on under an ASGI server (`ASGI_THREADS`)."""
            return _threads(self, "erlen-view")

        @lazy
        def body_threads(self):
            """The threads that bodies which are sync iterators are read on."""
            return _threads(self, "erlen-body")

        @lazy
        def websocket_threads(self):
            """The threads of WebSockets whose views are plain functions, one each
            (`WEBSOCKET_THREADS`)."""
            from .engine.sockets import SocketThreads

            return SocketThreads(self.config.get("WEBSOCKET_THREADS", 100), "erlen-websocket")

    else:
        websocket_threads: Threads
        worker_threads: Threads
        body_threads: Threads

    # Contexts

    def app_context(self) -> AppContext:
        """A context that makes this application current, outside of requests."""
        return AppContext(self)  # type: ignore[arg-type]

    def request_context(self, environ: WSGIEnvironment) -> RequestContext:
        """The context of a request, from its WSGI environ; `wsgi_app` pushes it."""
        return RequestContext(self, environ)  # type: ignore[arg-type]

    def test_request_context(self, *args: t.Any, **kwargs: t.Any) -> RequestContext:
        """The context of a request made up from the arguments of werkzeug's `EnvironBuilder`."""
        from .testing import EnvironBuilder

        with closing(EnvironBuilder(self, *args, **kwargs)) as builder:  # type: ignore[arg-type]
            environ = builder.get_environ()
        return self.request_context(environ)

    # From request to response

    def full_dispatch_request(self) -> Response:
        """Run the whole request, hooks and error handlers included."""
        return pipeline.full_dispatch(self._current_program(), _request_context())

    def preprocess_request(self) -> ft.ResponseReturnValue | None:
        """Run what comes before the view; a value that is not `None` is the answer."""
        return pipeline.preprocess(  # type: ignore[no-any-return]
            self._current_program(), _request_context()
        )

    def dispatch_request(self) -> ft.ResponseReturnValue:
        """Call the view of the matched rule."""
        return pipeline.dispatch(  # type: ignore[no-any-return]
            self._current_program(), _request_context()
        )

    def finalize_request(
        self,
        rv: ft.ResponseReturnValue | HTTPException,
        from_error_handler: bool = False,
    ) -> Response:
        """Turn a view's value into a response and run what comes after the view."""
        return pipeline.finalize(
            self._current_program(), _request_context(), rv, from_error_handler
        )

    def make_response(self, rv: ft.ResponseReturnValue) -> Response:
        """A response from any of the types that a view may return.

        Raises TypeError for others.
        """
        return make_response(self, rv)

    def process_response(self, response: Response) -> Response:
        """Run the `after_request` functions and save the session."""
        return pipeline.process(self._current_program(), _request_context(), response)

    def make_default_options_response(self) -> Response:
        """The answer to OPTIONS: the methods that the URL allows."""
        adapter: t.Any = request_ctx.url_adapter
        answer = self.response_class()
        answer.allow.update(adapter.allowed_methods())
        return answer

    # Errors

    def raise_routing_exception(self, request: Request) -> t.NoReturn:
        """Raise what matching the URL raised."""
        pipeline.raise_routing_exception(self, request)

    def handle_http_exception(self, e: HTTPException) -> HTTPException | ft.ResponseReturnValue:
        """The answer to an HTTP error: its handler's, or the error itself."""
        return pipeline.handle_http_exception(  # type: ignore[no-any-return]
            self._current_program(), _request_context(), e
        )

    def handle_user_exception(self, e: Exception) -> HTTPException | ft.ResponseReturnValue:
        """The answer to an error in a view or hook; raises it again without a handler."""
        return pipeline.handle_user_exception(  # type: ignore[no-any-return]
            self._current_program(), _request_context(), e
        )

    def handle_exception(self, e: Exception) -> Response:
        """The answer to an error that has no handler: logged, a 500, or raised again."""
        return pipeline.handle_exception(self._current_program(), _request_context(), e)

    def log_exception(
        self,
        exc_info: (tuple[type, BaseException, TracebackType] | tuple[None, None, None]),
    ) -> None:
        """Log an error that `handle_exception` got."""
        raise NotImplementedError

    def trap_http_exception(self, e: Exception) -> bool:
        """Whether an HTTP error is to be handled as any other (see `TRAP_HTTP_EXCEPTIONS`)."""
        return pipeline.is_trapped(self, e)

    def should_ignore_error(self, error: BaseException | None) -> bool:
        """Whether teardown functions are not to hear of an error; meant to be overridden."""
        return False

    def _find_error_handler(
        self, e: Exception, blueprints: list[str]
    ) -> ft.ErrorHandlerCallable | None:
        """The handler for an error: by code before by class, blueprint before application."""
        spec = self.error_handler_spec
        if not spec:
            return None
        cls, code = self._get_exc_class_and_code(type(e))
        for wanted in (None,) if code is None else (code, None):
            for name in (*blueprints, None):
                handlers = spec[name][wanted] if name in spec else None
                if handlers:
                    for base in cls.__mro__:
                        if base in handlers:
                            return handlers[base]
        return None

    # Tearing down

    def do_teardown_request(self, exc: BaseException | None = _sentinel) -> None:
        """Run the `teardown_request` functions; called when a request's context is popped."""
        error = sys.exc_info()[1] if exc is _sentinel else exc
        pipeline.teardown(self._current_program(), _request_context(), error)

    def do_teardown_appcontext(self, exc: BaseException | None = _sentinel) -> None:
        """Run the `teardown_appcontext` functions; called when an app context is popped."""
        error = sys.exc_info()[1] if exc is _sentinel else exc
        for function in reversed(self.teardown_appcontext_funcs):
            self.ensure_sync(function)(error)
        appcontext_tearing_down.send(self, _async_wrapper=self.ensure_sync, exc=error)

    # Coroutine functions

    def ensure_sync(self, func: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
        """The function itself, or, for a coroutine function, one that waits for it."""
        return self.async_to_sync(func) if is_coroutine_function(func) else func

    def async_to_sync(
        self, func: t.Callable[..., t.Coroutine[t.Any, t.Any, t.Any]]
    ) -> t.Callable[..., t.Any]:
        """A plain function that runs a coroutine function and waits for its result."""
        return async_to_sync(func)


# How ASGI servers see that an application is for them: uvicorn on any version, Hypercorn on 3.12.
if sys.version_info >= (3, 12):
    from inspect import markcoroutinefunction

    markcoroutinefunction(Stages.__call__)
elif "asyncio" in sys.modules:  # a server has loaded it before it loads an application
    _mark = sys.modules["asyncio.coroutines"]
    t.cast("t.Any", Stages.__call__)._is_coroutine = getattr(_mark, "_is_coroutine", None)

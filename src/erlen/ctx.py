"""Application and request contexts.

Both are ordinary objects that can be pushed, popped, pushed again and weakly referenced. While a
request is served normally only its `RequestContext` exists: it stands for the application
context too, and makes an `AppContext` object when somebody asks for that. Source: Flask, "The
Application Context", "The Request Context".
"""

from __future__ import annotations

import sys
import typing as t
from functools import wraps

from werkzeug.exceptions import HTTPException

from .engine.bridge import is_coroutine_function, run
from .signals import appcontext_popped, appcontext_pushed, appcontext_tearing_down
from .state import NO_APP, NOTHING, current, current_application
from .wrappers import lazy

if t.TYPE_CHECKING:
    from types import TracebackType

    from _typeshed.wsgi import WSGIEnvironment
    from werkzeug.routing import MapAdapter

    from . import typing as ft
    from .app import Erlen
    from .sessions import SessionMixin
    from .wrappers import Request

F = t.TypeVar("F", bound=t.Callable[..., t.Any])

# Stands for "not given" where `None` is a value.
_sentinel: t.Any = object()


class _AppCtxGlobals:
    """The plain namespace behind `g`: attributes, with a few methods of a dict."""

    def __getattr__(self, name: str) -> t.Any:  # for type checkers: any attribute may exist
        raise AttributeError(name)

    def __delattr__(self, name: str) -> None:
        if name not in vars(self):
            raise AttributeError(name)
        object.__delattr__(self, name)

    if t.TYPE_CHECKING:

        def __setattr__(self, name: str, value: t.Any) -> None: ...

    def get(self, name: str, default: t.Any | None = None) -> t.Any:
        """The attribute, or the default where it is not set."""
        return vars(self).get(name, default)

    def pop(self, name: str, default: t.Any = _sentinel) -> t.Any:
        """Remove and return the attribute; KeyError where it is not set and no default given."""
        mine = self.__dict__
        return mine.pop(name) if default is _sentinel else mine.pop(name, default)

    def setdefault(self, name: str, default: t.Any = None) -> t.Any:
        """The attribute, set to the default first where it is not there."""
        return vars(self).setdefault(name, default)

    def __contains__(self, item: str) -> bool:
        return item in vars(self)

    def __iter__(self) -> t.Iterator[str]:
        return iter(vars(self))

    def __repr__(self) -> str:
        app = current_application()
        return object.__repr__(self) if app is None else f"<flask.g of {app.name!r}>"


def after_this_request(f: ft.AfterRequestCallable[t.Any]) -> ft.AfterRequestCallable[t.Any]:
    """Call a function with the response of this very request; it returns the response to send.

    Raises RuntimeError outside of a request.
    """
    _here("after_this_request")._after_request_functions.append(f)
    return f


def _here(user: str) -> RequestContext:
    """The current request's context, for a function of this name that needs one."""
    ctx = current.get()[1]
    if ctx is None:
        raise RuntimeError(
            f"'{user}' can only be used when a"
            " request context is active, such as in a view function."
        )
    return ctx


def copy_current_request_context(f: F) -> F:
    """Let a function run elsewhere (a thread, a greenlet) with a copy of this request's context.

    The copy is made now. Raises RuntimeError outside of a request.
    """
    return t.cast("F", _carrying(_here("copy_current_request_context").copy(), f))


def _carrying(context: RequestContext, f: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
    @wraps(f)
    def call(*args: t.Any, **kwargs: t.Any) -> t.Any:
        with context:
            return context.app.ensure_sync(f)(*args, **kwargs)

    return call


def has_request_context() -> bool:
    """Whether a request is being handled here."""
    return current.get()[1] is not None


def has_websocket_context() -> bool:
    """Whether a WebSocket is being handled here."""
    ctx = current.get()[1]
    return ctx is not None and ctx.websocket is not None


def after_this_websocket(f: ft.AfterWebsocketCallable) -> ft.AfterWebsocketCallable:
    """Call a function when this very WebSocket's view has ended, as `after_websocket` would.

    Raises RuntimeError outside of a WebSocket.
    """
    _websocket_here("after_this_websocket")._after_websocket_functions.append(f)
    return f


def copy_current_websocket_context(f: F) -> F:
    """Let a function run elsewhere (a task, a thread) with a copy of this WebSocket's context.

    The copy is made now. Raises RuntimeError outside of a WebSocket.
    """
    context = _websocket_here("copy_current_websocket_context").copy()
    if is_coroutine_function(f):
        return t.cast("F", _carrying_coroutine(context, f))
    return t.cast("F", _carrying(context, f))


def _websocket_here(user: str) -> RequestContext:
    if not has_websocket_context():
        raise RuntimeError(
            f"'{user}' can only be used when a websocket context is active, such as in the"
            " view of a WebSocket."
        )
    return _here(user)


def _carrying_coroutine(
    context: RequestContext, f: t.Callable[..., t.Awaitable[t.Any]]
) -> t.Callable[..., t.Awaitable[t.Any]]:
    @wraps(f)
    async def call(*args: t.Any, **kwargs: t.Any) -> t.Any:
        await run(context.push)
        try:
            return await f(*args, **kwargs)
        finally:
            await run(context.pop, sys.exc_info()[1])

    return call


def has_app_context() -> bool:
    """Whether an application context is active here."""
    app_ctx, request_ctx = current.get()
    return app_ctx is not NO_APP and (app_ctx is not None or request_ctx is not None)


class AppContext:
    """Makes an application current, with a fresh `g`, while pushed."""

    def __init__(self, app: Erlen) -> None:
        self.app = app
        self.g: _AppCtxGlobals = app.app_ctx_globals_class()
        self._cv_tokens: list[t.Any] = []

    if t.TYPE_CHECKING:
        url_adapter: MapAdapter | None
    else:

        @lazy
        def url_adapter(self):
            """Builds URLs outside of requests; `None` without a `SERVER_NAME`."""
            return self.app.create_url_adapter(None)

    def push(self) -> None:
        """Make the application current."""
        app_ctx, request_ctx = _halves()
        self._cv_tokens.append(app_ctx)
        _set_halves(self, request_ctx)
        if appcontext_pushed.receivers:
            appcontext_pushed.send(self.app, _async_wrapper=self.app.ensure_sync)

    def pop(self, exc: BaseException | None = _sentinel) -> None:
        """Undo the last push; the outermost runs the teardown functions with the error.

        Without `exc`, the error that is being handled counts. Raises AssertionError where another
        context was pushed above this one, LookupError where none is pushed.
        """
        try:
            if len(self._cv_tokens) == 1:
                self.app.do_teardown_appcontext(sys.exc_info()[1] if exc is _sentinel else exc)
        finally:
            found, request_ctx = _halves()
            _require("app", found)
            _set_halves(self._cv_tokens.pop(), request_ctx)
            _expect("app", found, self)
        if appcontext_popped.receivers:
            appcontext_popped.send(self.app, _async_wrapper=self.app.ensure_sync)

    def __enter__(self) -> AppContext:
        self.push()
        return self

    def __exit__(
        self,
        exc_type: type | None,
        exc_value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.pop(exc_value)


def _open_session(ctx: RequestContext) -> SessionMixin:
    interface = ctx.app.session_interface
    opened = interface.open_session(ctx.app, ctx.request)
    return interface.make_null_session(ctx.app) if opened is None else opened


def _halves() -> tuple[AppContext | None, RequestContext | None]:
    """The current contexts as objects, `None` for what is not there."""
    app_ctx, request_ctx = current.get()
    if app_ctx is None:
        return (None if request_ctx is None else request_ctx._own_app_context), request_ctx
    return (None if app_ctx is NO_APP else app_ctx), request_ctx


def _set_halves(app_ctx: AppContext | None, request_ctx: RequestContext | None) -> None:
    """Make contexts current, where `None` means that there is none.

    Each context changes its own half only, so that they can be popped in any order.
    """
    if app_ctx is None:
        current.set(NOTHING if request_ctx is None else (NO_APP, request_ctx))
    else:
        current.set((app_ctx, request_ctx))


def _require(kind: str, found: t.Any) -> None:
    """Refuse to pop where nothing is pushed: what was below is not to come back."""
    if found is None:
        raise LookupError(f"There is no {kind} context to pop.")


def _expect(kind: str, found: t.Any, ctx: t.Any) -> None:
    if found is not ctx:
        raise AssertionError(f"Popped wrong {kind} context. ({found!r} instead of {ctx!r})")


class _Implied:
    """In a request context's push: it stands for its application context."""


_IMPLIED: t.Any = _Implied()


class RequestContext:
    """A request, its session and its match, current while pushed.

    Pushing it also makes its application current, unless that is already so: then `g` and the
    application context around it are shared.
    """

    #: Messages taken from the session in this request; `None` before they are asked for.
    flashes: list[tuple[str, str]] | None = None
    #: What the proxy `websocket` stands for; `None` where the request is no WebSocket.
    websocket: t.Any = None
    # A context that was pushed before does not stand for its application context again.
    _is_new = True
    # Set by the engine on contexts that it makes: the program and plan of the request, whether
    # the match is done, or the match that `match_request` has to take over.
    _program: t.Any = None
    _plan: t.Any = None
    _matched = False
    _found: t.Any = None
    # Set while the context is current without having been pushed by `push`.
    _token: t.Any = None
    # Whether there is a session, anything for after the request, or a push; for the engine.
    _is_used = True

    def __init__(
        self,
        app: Erlen,
        environ: WSGIEnvironment,
        request: Request | None = None,
        session: SessionMixin | None = None,
    ) -> None:
        self.app = app
        self.request: Request = app.request_class(environ) if request is None else request
        self.request.json_module = app.json
        if session is not None:
            self._session = session
        try:
            self.url_adapter = app.create_url_adapter(self.request)
        except HTTPException as refused:
            self.url_adapter = None
            self.request.routing_exception = refused

    if not t.TYPE_CHECKING:

        @lazy
        def g(self):
            """The namespace of the application context that this request brought."""
            return self.app.app_ctx_globals_class()

        @lazy
        def _own_app_context(self):
            """The application context that this one stands for, as an object."""
            self._is_used = True
            ctx = AppContext.__new__(AppContext)
            ctx.app, ctx.g, ctx._cv_tokens = self.app, self.g, [None]
            return ctx

        @lazy
        def _opened_session(self):
            self._is_used = True
            return _open_session(self)

        @lazy
        def _after_request_functions(self):
            self._is_used = True
            return []

        @lazy
        def _after_websocket_functions(self):
            return []

        @lazy
        def _cv_tokens(self):
            """What `pop` needs of each push: the request context below, the application context
            that the push brought (`None`, or implied), and the application context below."""
            self._is_used = True
            return [] if self._token is None else [(None, _IMPLIED, None)]

        @lazy
        def url_adapter(self):
            """Matches the request and builds URLs."""
            return self.app.create_url_adapter(self.request)

    else:
        g: _AppCtxGlobals
        _own_app_context: AppContext
        _cv_tokens: list[t.Any]
        _opened_session: SessionMixin | None
        _after_request_functions: list[ft.AfterRequestCallable[t.Any]]
        _after_websocket_functions: list[ft.AfterWebsocketCallable]
        url_adapter: MapAdapter | None

    @property
    def session(self) -> SessionMixin:
        """The session; looking at it marks it as accessed."""
        session = self._opened_session
        assert session is not None, "The session has not yet been opened."
        session.accessed = True
        return session

    @session.setter
    def session(self, value: SessionMixin) -> None:
        self._session = value

    @property
    def _session(self) -> SessionMixin | None:
        """The session, as Flask names it; looking at it does not count as access."""
        return self._opened_session

    @_session.setter
    def _session(self, value: SessionMixin | None) -> None:
        self._opened_session = value
        self._is_used = True

    def copy(self) -> RequestContext:
        """A context of the same request and session, not pushed; for other threads."""
        return type(self)(
            self.app, self.request.environ, request=self.request, session=self._session
        )

    def match_request(self) -> None:
        """Match the URL; a failure is kept as `request.routing_exception`."""
        request = self.request
        found = self._found
        try:
            if isinstance(found, HTTPException):
                raise found
            if found is None:
                found = self.url_adapter.match(return_rule=True)  # type: ignore[union-attr]
        except HTTPException as failure:
            request.routing_exception = failure
        else:
            request.url_rule, request.view_args = found

    def push(self) -> None:
        """Make the request current: its application first, then session, then the match."""
        app_ctx, request_ctx = _halves()
        app = self.app
        program = app._current_program()
        brought: t.Any = None
        if app_ctx is None or app_ctx.app is not app:
            if appcontext_pushed.receivers or not program.plain_app_context or not self._is_new:
                brought = app.app_context()
                brought.push()
            else:
                brought = _IMPLIED
        self._is_new = False
        self._cv_tokens.append((request_ctx, brought, app_ctx))
        if brought is _IMPLIED:
            current.set((None, self))
        else:
            _set_halves(brought or app_ctx, self)
        if not self._matched:
            if not program.late_session and self.__dict__.get("_opened_session") is None:
                self._session = None  # what stays where opening it raises
                self._session = _open_session(self)
            if self._found is not None or self.url_adapter is not None:
                self.match_request()

    def pop(self, exc: BaseException | None = _sentinel) -> None:
        """Undo the last push; the outermost runs the teardown functions with the error."""
        outermost = len(self._cv_tokens) == 1
        error = exc
        try:
            if outermost:
                if exc is _sentinel:
                    error = sys.exc_info()[1]
                self._tear_down(error)
                close = getattr(self.request, "close", None)
                if close is not None:
                    close()
        finally:
            self._let_go(error, outermost)

    def _tear_down(self, error: BaseException | None) -> None:
        self.app.do_teardown_request(error)

    def _let_go(self, error: BaseException | None, outermost: bool) -> None:
        app_ctx, found = current.get()
        _require("request", found)
        request_below, brought, app_below = self._cv_tokens.pop()
        if outermost:
            self.request.environ["werkzeug.request"] = None
        if brought is _IMPLIED:
            if app_ctx is None and found is self and not self._needs_own_app_context():
                _set_halves(app_below, request_below)
                return
            brought = self._own_app_context
            if brought._cv_tokens:
                brought._cv_tokens[0] = app_below
        _set_halves(_halves()[0], request_below)
        if brought is not None:
            brought.pop(error)
        _expect("request", found, self)

    def _needs_own_app_context(self) -> bool:
        """Whether somebody sees the end of the application context that this one stands for."""
        app = self.app
        return bool(
            app.teardown_appcontext_funcs
            or appcontext_tearing_down.receivers
            or appcontext_popped.receivers
            or "_own_app_context" in self.__dict__
            or "do_teardown_appcontext" in app._current_program().overridden
        )

    def __enter__(self) -> RequestContext:
        self.push()
        return self

    def __exit__(
        self,
        exc_type: type | None,
        exc_value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.pop(exc_value)

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.request.url!r}"
            f" [{self.request.method}] of {self.app.name}>"
        )

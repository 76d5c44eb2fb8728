"""The proxies: `current_app`, `g`, `request`, `session`, and the two contexts.

Each is a `werkzeug.local.LocalProxy`, so that `isinstance` and `_get_current_object` work as
they always did; attribute and item access take a direct way to the current object.
"""

from __future__ import annotations

import typing as t
from operator import attrgetter

from werkzeug.local import LocalProxy

from .state import NO_APP, Current, _no_app_msg, _no_req_msg, _no_websocket_msg, current

if t.TYPE_CHECKING:
    from contextvars import Token

    from .app import Erlen
    from .ctx import AppContext, RequestContext, _AppCtxGlobals
    from .sessions import SessionMixin
    from .websockets import Websocket
    from .wrappers import Request


def _app_context() -> AppContext:
    app_ctx, request_ctx = current.get()
    if app_ctx is None and request_ctx is not None:
        return request_ctx._own_app_context
    if app_ctx is None or app_ctx is NO_APP:
        raise RuntimeError(_no_app_msg)
    return app_ctx


def _request_context() -> RequestContext:
    ctx = current.get()[1]
    if ctx is None:
        raise RuntimeError(_no_req_msg)
    return ctx


def _application() -> t.Any:
    pair = current.get()
    ctx = pair[0] or pair[1]
    if ctx is None:
        raise RuntimeError(_no_app_msg)
    return ctx.app


def _globals() -> t.Any:
    app_ctx, request_ctx = current.get()
    if app_ctx is None:
        if request_ctx is None:
            raise RuntimeError(_no_app_msg)
        return request_ctx.g
    return app_ctx.g


def _request() -> t.Any:
    ctx = current.get()[1]
    if ctx is None:
        raise RuntimeError(_no_req_msg)
    return ctx.request


def _session() -> t.Any:
    ctx = current.get()[1]
    if ctx is None:
        raise RuntimeError(_no_req_msg)
    return ctx.session


def _websocket() -> t.Any:
    ctx = current.get()[1]
    socket = None if ctx is None else ctx.websocket
    if socket is None:
        raise RuntimeError(_no_websocket_msg)
    return socket


def _direct(find: t.Callable[[], t.Any], **more: t.Any) -> t.Any:
    """A proxy for what `find` returns.

    PERF: `LocalProxy` binds a partial for each access; functions on a subclass do not.
    """

    def __getattr__(self: t.Any, name: str) -> t.Any:
        return getattr(find(), name)

    namespace = {"__slots__": (), "__getattr__": __getattr__, "__module__": __name__, **more}
    return type("LocalProxy", (LocalProxy,), namespace)(find)


# PERF: the two busiest proxies look up and read in one function.


def _g_attribute(self: t.Any, name: str) -> t.Any:
    app_ctx, request_ctx = current.get()
    if app_ctx is not None:
        return getattr(app_ctx.g, name)
    if request_ctx is not None:
        return getattr(request_ctx.g, name)
    raise RuntimeError(_no_app_msg)


def _set_g_attribute(self: t.Any, name: str, value: t.Any) -> None:
    app_ctx, request_ctx = current.get()
    if app_ctx is None and request_ctx is not None:
        setattr(request_ctx.g, name, value)
    else:
        setattr(_globals(), name, value)


def _request_attribute(self: t.Any, name: str) -> t.Any:
    ctx = current.get()[1]
    if ctx is None:
        raise RuntimeError(_no_req_msg)
    return getattr(ctx.request, name)


def _request_property(name: str) -> t.Any:
    """PERF: for the attributes that views read most: found on the type, `__getattr__` is not."""
    read = attrgetter(name)

    def get(self: t.Any) -> t.Any:
        ctx = current.get()[1]
        if ctx is None:
            raise RuntimeError(_no_req_msg)
        return read(ctx.request)

    return property(get)


_OFTEN_READ = (
    "args",
    "cookies",
    "data",
    "endpoint",
    "files",
    "form",
    "get_data",
    "get_json",
    "headers",
    "is_json",
    "json",
    "method",
    "path",
    "remote_addr",
    "url",
    "values",
    "view_args",
)


def _websocket_property(name: str) -> t.Any:
    """PERF: the same for the methods of the socket."""
    read = attrgetter(name)
    return property(lambda self: read(_websocket()))


_OFTEN_CALLED = ("accept", "close", "receive", "receive_json", "send", "send_json")


class _ContextVarView:
    """One half of the pair, with the interface of a `ContextVar`."""

    def __init__(self, name: str, index: int) -> None:
        self.name = name
        self._index = index

    def get(self, *default: t.Any) -> t.Any:
        """The innermost context of this kind; the default, or LookupError, where none is."""
        app_ctx, request_ctx = current.get()
        if self._index:
            found: t.Any = request_ctx
        elif app_ctx is None and request_ctx is not None:
            found = request_ctx._own_app_context
        else:
            found = None if app_ctx is NO_APP else app_ctx
        if found is not None:
            return found
        if default:
            return default[0]
        raise LookupError(self)

    def set(self, value: t.Any) -> Token[Current]:
        """Put a context in this half; returns a token for `reset`."""
        app_ctx, request_ctx = current.get()
        if not self._index:
            return current.set((value, request_ctx))
        if app_ctx is None:
            app_ctx = NO_APP if request_ctx is None else request_ctx._own_app_context
        return current.set((app_ctx, value))

    def reset(self, token: Token[Current]) -> None:
        """Undo the `set` that returned the token."""
        current.reset(token)

    def __repr__(self) -> str:
        return f"<ContextVar view {self.name!r}>"


_cv_app: t.Any = _ContextVarView("flask.app_ctx", 0)
_cv_request: t.Any = _ContextVarView("flask.request_ctx", 1)

app_ctx: AppContext = _direct(_app_context)
request_ctx: RequestContext = _direct(_request_context)
current_app: Erlen = _direct(_application)
g: _AppCtxGlobals = _direct(
    _globals,
    __getattr__=_g_attribute,
    get=property(lambda self: _globals().get),
    pop=property(lambda self: _globals().pop),
    setdefault=property(lambda self: _globals().setdefault),
    __setattr__=_set_g_attribute,
    __contains__=lambda self, name: name in _globals(),
)
request: Request = _direct(
    _request,
    __getattr__=_request_attribute,
    **{name: _request_property(name) for name in _OFTEN_READ},
)
session: SessionMixin = _direct(
    _session,
    __getitem__=lambda self, key: _session()[key],
    __setitem__=lambda self, key, value: _session().__setitem__(key, value),
    __contains__=lambda self, key: key in _session(),
)
websocket: Websocket = _direct(
    _websocket, **{name: _websocket_property(name) for name in _OFTEN_CALLED}
)

__all__ = [
    "_no_app_msg",
    "_no_req_msg",
    "_cv_app",
    "_cv_request",
    "app_ctx",
    "current_app",
    "g",
    "request",
    "request_ctx",
    "session",
    "websocket",
]

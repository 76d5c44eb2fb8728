"""The one context variable: what is current in this thread, task or greenlet.

Its value is a pair `(app context, request context)`. The first is `None` while a request
context stands for both (an `AppContext` object is then made only if somebody asks for it), the
second is `None` where no request is handled. `globals` and `ctx` give the pair its public names.
"""

from __future__ import annotations

import typing as t
from contextvars import ContextVar

if t.TYPE_CHECKING:
    from .ctx import AppContext, RequestContext

Current: t.TypeAlias = "tuple[AppContext | None, RequestContext | None]"

_no_app_msg = """\
Working outside of application context.

This typically means that you attempted to use functionality that needed
the current application. To solve this, set up an application context
with app.app_context(). See the documentation for more information.\
"""

_no_req_msg = """\
Working outside of request context.

This typically means that you attempted to use functionality that needed
an active HTTP request. Consult the documentation on testing for
information about how to avoid this problem.\
"""


_no_websocket_msg = """\
Working outside of websocket context.

This typically means that you attempted to use functionality that needed
an open WebSocket, which only the views and hooks of 'app.websocket' have.\
"""


class _NoApp:
    """In the first place of the pair: there is a request, but its application was popped."""

    @property
    def app(self) -> t.NoReturn:
        raise RuntimeError(_no_app_msg)

    g = app


NO_APP: t.Any = _NoApp()
NOTHING: Current = (None, None)

current: ContextVar[Current] = ContextVar("erlen.current", default=NOTHING)


def current_application() -> t.Any:
    """The application of the innermost context, or `None` outside of any."""
    app_ctx, request_ctx = current.get()
    if app_ctx is None:
        return None if request_ctx is None else request_ctx.app
    return None if app_ctx is NO_APP else app_ctx.app

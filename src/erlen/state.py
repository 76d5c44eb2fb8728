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

NOTHING: Current = (None, None)

current: ContextVar[Current] = ContextVar("erlen.current", default=NOTHING)


def current_application() -> t.Any:
    """The application of the innermost context, or `None` outside of any."""
    app_ctx, request_ctx = current.get()
    if app_ctx is not None:
        return app_ctx.app
    return None if request_ctx is None else request_ctx.app

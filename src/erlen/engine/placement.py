"""Where a view belongs on an ASGI server: on the event loop, or on a worker thread."""

from __future__ import annotations

import typing as t
from types import FunctionType

from .bridge import is_coroutine_function

if t.TYPE_CHECKING:
    from werkzeug.routing import Rule

    Placement = bool | frozenset[str]


def place(view: t.Callable[..., t.Any], rule: Rule | None, app: t.Any) -> Placement:
    """Whether a view runs on the loop, or for which HTTP methods it does.

    A route's `inline` decides, then the view's own kind, then the key `ASGI_INLINE`.
    """
    wish = getattr(rule, "inline", None)
    if wish is not None:
        return bool(wish)
    return bool(app.config.get("ASGI_INLINE", False)) or awaits(view)


def awaits(view: t.Callable[..., t.Any]) -> Placement:
    """Whether a view is a coroutine function, or for which HTTP methods.

    One is also found behind decorators that note it as `__wrapped__`, and in the methods of a
    class-based view.
    """
    if waits(view):
        return True
    cls = getattr(view, "view_class", None)
    if cls is None:
        return False
    if waits(cls.dispatch_request):
        return True
    verbs = {
        verb
        for verb in getattr(cls, "methods", None) or ()
        if (method := getattr(cls, verb.lower(), None)) is not None and waits(method)
    }
    if "GET" in verbs and not hasattr(cls, "head"):
        verbs.add("HEAD")
    return frozenset(verbs) if verbs else False


def waits(function: t.Any) -> bool:
    """Whether a function, or one that it wraps, is a coroutine function."""
    while True:
        if is_coroutine_function(function):
            return True
        inner = getattr(function, "__wrapped__", None)
        # Other objects may run what they wrap in a way of their own, such as in a new loop.
        if inner is None or not isinstance(function, FunctionType):
            return False
        function = inner

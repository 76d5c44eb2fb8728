"""Functions in the place of `__call__` that know WSGI alone.

Instrumentation such as sentry-sdk replaces `Flask.__call__` by a function of an environ and
`start_response`; subclasses do so as well. ASGI servers call the same object with three arguments.
"""

from __future__ import annotations

import inspect
import typing as t
from functools import wraps

from ..engine.plan import WRAPS_CALL


def teach_asgi(kind: type, own: type) -> None:
    """Have each `__call__` from a class up to `own`, whose is built in, take ASGI's arguments."""
    built_in = vars(own)["__call__"]
    for cls in kind.__mro__[: kind.__mro__.index(own)]:
        function = vars(cls).get("__call__")
        if function is not None and not _takes_three(function):
            t.cast("t.Any", cls).__call__ = _for_both(function, built_in)


def _takes_three(function: t.Any) -> bool:
    try:
        inspect.signature(function).bind("self", "scope", "receive", "send")
    except TypeError:
        return False
    except ValueError:  # of a function in C that does not tell
        return True
    return True


def _for_both(function: t.Callable[..., t.Any], built_in: t.Any) -> t.Callable[..., t.Any]:
    """The function for WSGI; for ASGI what brings every request to it, on a worker thread."""

    @wraps(function)
    def call(self: t.Any, environ: t.Any, start_response: t.Any, send: t.Any = None) -> t.Any:
        if send is None:
            return function(self, environ, start_response)
        return self.asgi_app(environ, start_response, send)

    # By these marks servers see that the application is for them.
    vars(call).update(vars(built_in), **{WRAPS_CALL: True})
    del t.cast("t.Any", call).__wrapped__  # inspect would show the signature of the other
    return call

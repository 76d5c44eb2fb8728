"""JSON as the current application reads and writes it: `dumps`, `loads`, `jsonify`.

Each function calls the method of that name of `current_app.json`. Outside of an application it
uses the standard library's `json`, with the conversions of `DefaultJSONProvider`.
"""

from __future__ import annotations

import json as _json
import typing as t

from ..globals import current_app
from ..state import current_application
from .provider import _default

if t.TYPE_CHECKING:
    from ..wrappers import Response


def dumps(obj: t.Any, **kwargs: t.Any) -> str:
    """Data as JSON text; keyword arguments go to the provider's `dumps`."""
    app = current_application()
    if app is not None:
        return t.cast("str", app.json.dumps(obj, **kwargs))
    return _json.dumps(obj, **{"default": _default, **kwargs})


def dump(obj: t.Any, fp: t.IO[str], **kwargs: t.Any) -> None:
    """Write data as JSON to a text file; keyword arguments go to the provider's `dump`."""
    app = current_application()
    if app is not None:
        app.json.dump(obj, fp, **kwargs)
    else:
        _json.dump(obj, fp, **{"default": _default, **kwargs})


def loads(s: str | bytes, **kwargs: t.Any) -> t.Any:
    """Data from JSON text or bytes; keyword arguments go to the provider's `loads`."""
    app = current_application()
    return (_json if app is None else app.json).loads(s, **kwargs)


def load(fp: t.IO[t.AnyStr], **kwargs: t.Any) -> t.Any:
    """Data from a JSON file in text or binary mode; keyword arguments go to the provider."""
    app = current_application()
    return (_json if app is None else app.json).load(fp, **kwargs)


def jsonify(*args: t.Any, **kwargs: t.Any) -> Response:
    """A JSON response of one value, of several as a list, or of named ones as an object.

    What a view returns as a dict or list becomes such a response by itself. Raises TypeError
    for positional and named values together, RuntimeError outside of an application.
    """
    return current_app.json.response(*args, **kwargs)

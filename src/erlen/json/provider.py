"""How an application reads and writes JSON: `JSONProvider`, and the default one."""

from __future__ import annotations

import json
import typing as t
import weakref
from datetime import date
from functools import cache

from werkzeug.http import http_date

if t.TYPE_CHECKING:
    from ..wrappers import Response


class JSONProvider:
    """The JSON operations of an application: a base to build a provider of one's own on.

    A subclass has `dumps` and `loads`, and may have the others. It is put in use by assigning
    the class to `json_provider_class` of an application class, or an instance to `app.json`.
    """

    def __init__(self, app: t.Any) -> None:
        self._app: t.Any = weakref.proxy(app)

    def dumps(self, obj: t.Any, **kwargs: t.Any) -> str:
        """Data as JSON text. Raises NotImplementedError here."""
        raise NotImplementedError

    def dump(self, obj: t.Any, fp: t.IO[str], **kwargs: t.Any) -> None:
        """Write data as JSON to a text file, which should be in UTF-8."""
        fp.write(self.dumps(obj, **kwargs))

    def loads(self, s: str | bytes, **kwargs: t.Any) -> t.Any:
        """Data from JSON text or UTF-8 bytes. Raises NotImplementedError here."""
        raise NotImplementedError

    def load(self, fp: t.IO[t.AnyStr], **kwargs: t.Any) -> t.Any:
        """Data from a file in text or binary mode."""
        return self.loads(fp.read(), **kwargs)

    def _prepare_response_obj(self, args: tuple[t.Any, ...], kwargs: dict[str, t.Any]) -> t.Any:
        if not args:
            return kwargs or None
        if kwargs:
            raise TypeError("app.json.response() takes either args or kwargs, not both")
        first, *rest = args
        return args if rest else first

    def response(self, *args: t.Any, **kwargs: t.Any) -> Response:
        """A JSON response of one value, of several as a list, or of named ones as an object.

        Raises TypeError for positional and named values together.
        """
        text = self.dumps(self._prepare_response_obj(args, kwargs))
        return t.cast("Response", self._app.response_class(text, mimetype="application/json"))


@cache
def _conversions() -> tuple[tuple[t.Callable[[t.Any], bool], t.Callable[[t.Any], t.Any]], ...]:
    """Tests and conversions of `_default`, in the order in which they are tried."""
    from dataclasses import asdict, is_dataclass
    from decimal import Decimal
    from uuid import UUID

    return (
        (lambda o: isinstance(o, date), http_date),
        (lambda o: isinstance(o, (Decimal, UUID)), str),
        (is_dataclass, asdict),
        (lambda o: hasattr(o, "__html__"), lambda o: str(o.__html__())),
    )


def _default(o: t.Any) -> t.Any:
    for fits, convert in _conversions():
        if fits(o):
            return convert(o)
    raise TypeError(f"Object of type {type(o).__name__} is not JSON serializable")


# Bits of a layout, as in `fast`.
_SORTED: t.Final = 1
_PRETTY: t.Final = 2
_NEWLINE: t.Final = 4

_COMPACT_OPTIONS: t.Final = {"separators": (",", ":")}
_PRETTY_OPTIONS: t.Final = {"indent": 2}


def _import_encoder(
    obj: t.Any, layout: int, ensure_ascii: bool, default: t.Callable[[t.Any], t.Any] | None
) -> bytes | None:
    """Stand in for `fast.encode` until it is first needed, since importing orjson takes time."""
    global _encode, _exact_default
    from . import fast

    _exact_default = fast.convert_exact(_default)
    _encode = fast.encode
    return _encode(obj, layout, ensure_ascii, default and _exact_default)


def _import_decoder(source: t.Any) -> t.Any:
    """Stand in for `fast.decode` until it is first needed."""
    global _decode
    from .fast import decode as _decode

    return _decode(source)


_encode: t.Callable[..., bytes | None] = _import_encoder
_decode: t.Callable[[t.Any], t.Any] = _import_decoder
_exact_default: t.Callable[[t.Any], t.Any] = _default


class DefaultJSONProvider(JSONProvider):
    """JSON as the standard library writes it, with some more types.

    - `datetime.date` and `datetime.datetime` become HTTP dates (RFC 9110, 5.6.7);
    - `decimal.Decimal` and `uuid.UUID` become text;
    - dataclasses become objects (`dataclasses.asdict`);
    - what has `__html__`, such as Markup, becomes the text that it returns.

    The attributes can be set on an instance or in a subclass, at any time. Text and errors are
    those of the `json` module always; orjson does the work where its text is the same.
    """

    #: Called with a value that JSON does not know; returns one that it does, or raises TypeError.
    default: t.Callable[[t.Any], t.Any] = staticmethod(_default)

    #: Write non-ASCII characters as escapes, which survives every wrong idea of an encoding.
    ensure_ascii = True

    #: Sort the keys of objects, so that equal data gives equal text (for caches). All keys must
    #: then be comparable: TypeError otherwise.
    sort_keys = True

    #: Responses without white space (true) or indented (false); `None`: indented in debug mode.
    compact: bool | None = None

    #: The type of responses.
    mimetype = "application/json"

    def dumps(self, obj: t.Any, **kwargs: t.Any) -> str:
        """Data as JSON text; keyword arguments are those of `json.dumps`."""
        if kwargs == _COMPACT_OPTIONS:
            convert = _exact_default if self.default is _default else None
            body = _encode(obj, _SORTED if self.sort_keys else 0, self.ensure_ascii, convert)
            if body is not None:
                return body.decode()
        return self._standard(obj, kwargs)

    def _standard(self, obj: t.Any, options: dict[str, t.Any]) -> str:
        own = {
            "default": self.default,
            "ensure_ascii": self.ensure_ascii,
            "sort_keys": self.sort_keys,
        }
        return json.dumps(obj, **{**own, **options})

    def loads(self, s: str | bytes, **kwargs: t.Any) -> t.Any:
        """Data from JSON text or bytes; keyword arguments are those of `json.loads`.

        Raises ValueError where it is not JSON, RecursionError where it is nested too deeply.
        """
        return json.loads(s, **kwargs) if kwargs else _decode(s)

    def response(self, *args: t.Any, **kwargs: t.Any) -> Response:
        """A JSON response of one value, of several as a list, or of named ones as an object.

        Raises TypeError for positional and named values together.
        """
        body = self._response_body(self._prepare_response_obj(args, kwargs))
        cls: t.Any = self._app.response_class
        if getattr(cls, "_sends_plainly", False):
            return t.cast("Response", cls._from_bytes(body, self.mimetype))
        # As text: a response class of one's own may look at what it is given.
        return t.cast("Response", cls(body.decode(), mimetype=self.mimetype))

    def _response_body(self, obj: t.Any) -> bytes:
        """The body that `response(obj)` sends: UTF-8, with the line end."""
        compact = self.compact
        pretty = self._app.debug if compact is None else compact is False
        options = _PRETTY_OPTIONS if pretty else _COMPACT_OPTIONS
        if type(self).dumps is not _built_in_dumps or "dumps" in self.__dict__:
            return f"{self.dumps(obj, **options)}\n".encode()
        body = _encode(
            obj,
            (_NEWLINE | _PRETTY if pretty else _NEWLINE) | (_SORTED if self.sort_keys else 0),
            self.ensure_ascii,
            _exact_default if self.default is _default else None,
        )
        return f"{self._standard(obj, options)}\n".encode() if body is None else body


_built_in_dumps: t.Final = DefaultJSONProvider.dumps

# What decides about a response; `default` and the settings are read for each one.
_DECIDING: t.Final = {
    name: getattr(DefaultJSONProvider, name)
    for name in ("dumps", "response", "_response_body", "_prepare_response_obj")
}


def plain_provider(provider: t.Any) -> bool:
    """Whether `provider.response(obj)` is the built-in one for every object.

    If so, its body is `provider._response_body(obj)` and its type `provider.mimetype`; both
    follow later changes of the settings. The engine asks once, when it compiles.
    """
    kind = type(provider)
    return (
        issubclass(kind, DefaultJSONProvider)
        and kind.__getattribute__ is object.__getattribute__
        and not any(name in vars(provider) for name in _DECIDING)
        and all(getattr(kind, name) is method for name, method in _DECIDING.items())
    )

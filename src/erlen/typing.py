"""Types of what applications give to Erlen: view results, hooks and handlers.

Everywhere a hook or view may be `async`, its alias has a second member that returns an awaitable.
"""

from __future__ import annotations

import collections.abc as cabc
import typing as t

if t.TYPE_CHECKING:
    from datetime import date, time, timedelta
    from decimal import Decimal
    from enum import Enum
    from uuid import UUID

    from _typeshed.wsgi import WSGIApplication
    from werkzeug.datastructures import Headers
    from werkzeug.sansio.response import Response

# Names in quotes stay unevaluated at run time, so that this module imports nothing of Werkzeug.

# -- what a view returns ------------------------------------------------------------------------

ResponseValue = t.Union[
    "Response",
    str,
    bytes,
    list[t.Any],
    # A TypedDict is a Mapping for type checkers, and no dict.
    t.Mapping[str, t.Any],
    t.Iterator[str],
    t.Iterator[bytes],
    cabc.AsyncIterable[str],
    cabc.AsyncIterable[bytes],
]

HeaderValue = str | list[str] | tuple[str, ...]

HeadersValue = t.Union[
    "Headers",
    t.Mapping[str, HeaderValue],
    t.Sequence[tuple[str, HeaderValue]],
]

ResponseReturnValue = t.Union[
    ResponseValue,
    tuple[ResponseValue, HeadersValue],
    tuple[ResponseValue, int],
    tuple[ResponseValue, int, HeadersValue],
    "WSGIApplication",
]


class PydanticModel(t.Protocol):
    """An object of a pydantic model's class."""

    __pydantic_fields__: t.ClassVar[dict[str, t.Any]]


class Dataclass(t.Protocol):
    """An object of a dataclass."""

    __dataclass_fields__: t.ClassVar[dict[str, t.Any]]


class Struct(t.Protocol):
    """An object of a class of msgspec's."""

    __struct_fields__: t.ClassVar[tuple[str, ...]]


# What a typed view returns is answered by its annotation, as JSON; `None` is no body.
TypedValue = t.Union[
    PydanticModel,
    Dataclass,
    Struct,
    int,
    float,
    "Decimal",
    "UUID",
    "date",
    "time",
    "timedelta",
    "Enum",
    t.AbstractSet[t.Any],
    t.Mapping[t.Any, t.Any],
    None,
]

TypedReturnValue = (
    TypedValue
    | tuple[TypedValue | ResponseValue, int]
    | tuple[TypedValue | ResponseValue, HeadersValue]
    | tuple[TypedValue | ResponseValue, int, HeadersValue]
)

RouteCallable = (
    t.Callable[..., ResponseReturnValue | TypedReturnValue]
    | t.Callable[..., t.Awaitable[ResponseReturnValue | TypedReturnValue]]
)

# -- hooks around a view ------------------------------------------------------------------------

# Bound to Werkzeug's class without I/O, so that hooks may name any subclass of it.
ResponseClass = t.TypeVar("ResponseClass", bound="Response")

# A blueprint's name; None stands for the application.
AppOrBlueprintKey = str | None

BeforeFirstRequestCallable = t.Callable[[], None] | t.Callable[[], t.Awaitable[None]]

BeforeRequestCallable = (
    t.Callable[[], ResponseReturnValue | None]
    | t.Callable[[], t.Awaitable[ResponseReturnValue | None]]
)

AfterRequestCallable = (
    t.Callable[[ResponseClass], ResponseClass]
    | t.Callable[[ResponseClass], t.Awaitable[ResponseClass]]
)

TeardownCallable = (
    t.Callable[[BaseException | None], None] | t.Callable[[BaseException | None], t.Awaitable[None]]
)

# The argument is Any: a handler takes the exception that it is registered for, and parameters are
# contravariant, so that no common base would accept it.
ErrorHandlerCallable = (
    t.Callable[[t.Any], ResponseReturnValue] | t.Callable[[t.Any], t.Awaitable[ResponseReturnValue]]
)

# -- WebSockets ---------------------------------------------------------------------------------

WebsocketCallable = (
    t.Callable[..., ResponseReturnValue | None]
    | t.Callable[..., t.Awaitable[ResponseReturnValue | None]]
)

BeforeWebsocketCallable = BeforeRequestCallable

AfterWebsocketCallable = (
    t.Callable[[t.Any], ResponseReturnValue | None]
    | t.Callable[[t.Any], t.Awaitable[ResponseReturnValue | None]]
)

# -- URLs, templates, shell ---------------------------------------------------------------------

URLDefaultCallable = (
    t.Callable[[str, dict[str, t.Any]], None]
    | t.Callable[[str, dict[str, t.Any]], t.Awaitable[None]]
)
URLValuePreprocessorCallable = (
    t.Callable[[str | None, dict[str, t.Any] | None], None]
    | t.Callable[[str | None, dict[str, t.Any] | None], t.Awaitable[None]]
)

TemplateContextProcessorCallable = (
    t.Callable[[], dict[str, t.Any]] | t.Callable[[], t.Awaitable[dict[str, t.Any]]]
)
TemplateFilterCallable = t.Callable[..., t.Any]
TemplateGlobalCallable = t.Callable[..., t.Any]
TemplateTestCallable = t.Callable[..., bool]

ShellContextProcessorCallable = (
    t.Callable[[], dict[str, t.Any]] | t.Callable[[], t.Awaitable[dict[str, t.Any]]]
)

"""The request that a call stands for: each argument where the view's signature takes it from."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Collection
from dataclasses import dataclass, field
from io import BytesIO
from urllib.parse import urlencode

from pydantic import BaseModel
from pydantic_core import to_json
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.http import dump_cookie
from werkzeug.routing import BuildError
from werkzeug.test import stream_encode_multipart

from ..api.fields import Field, Provided
from ..api.kinds import is_class
from .inputs import input_of

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic.fields import FieldInfo

    from ..app import Erlen
    from .routes import Route

Pairs = list[tuple[str, str]]

#: Bytes of a multipart body that are kept in memory; more go to a file.
_IN_MEMORY = 500_000


# What servers and browsers agree on in the value of a header (RFC 9110, 5.5).
_IN_HEADERS = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")


class _Provided:
    """The argument for a parameter that the server fills by itself."""

    def __init__(self, values: Mapping[str, t.Any]) -> None:
        self.values = values

    def __call__(self, **values: t.Any) -> t.Any:
        return _Provided({**self.values, **values})

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.values.items())
        return f"provided({given})" if given else "provided"


#: In place of what a dependency provides: nothing is sent for it. `provided(page=2)` sends what
#: the dependency itself takes from the request. For type checkers it is of any type.
provided: t.Any = _Provided({})


@dataclass
class Outgoing:
    """A request, its parts in bytes and text."""

    method: str
    #: With its query; without scheme and host where they are the client's own.
    url: str
    headers: Pairs
    #: A stream comes with the number of its bytes.
    body: bytes | tuple[t.IO[bytes], int]
    cookies: Pairs

    def close(self) -> None:
        """Give back what the body is kept in."""
        if not isinstance(self.body, bytes):
            self.body[0].close()

    def __str__(self) -> str:
        return f"{self.method} {self.url}"


@dataclass
class _Parts:
    path: dict[str, t.Any] = field(default_factory=dict)
    query: Pairs = field(default_factory=list)
    header: Pairs = field(default_factory=list)
    cookie: Pairs = field(default_factory=list)
    form: Pairs = field(default_factory=list)
    file: list[tuple[str, FileStorage]] = field(default_factory=list)
    json: dict[str, t.Any] = field(default_factory=dict)


def prepare(
    app: Erlen,
    route: Route,
    args: tuple[t.Any, ...],
    kwargs: dict[str, t.Any],
    *,
    base: tuple[str, str, str],
    url_values: Mapping[str, t.Any],
    query: Pairs,
) -> Outgoing:
    """The request of a call. Raises TypeError for arguments that the view does not take.

    :param base: scheme, host and path of the application
    :param url_values: variables of URLs that no call gives
    :param query: what goes into the query first
    """
    parts = _Parts(query=[*query])
    _fill(parts, route, args, kwargs)
    headers = parts.header
    body: bytes | tuple[t.IO[bytes], int] = b""
    if parts.json:
        body = to_json(_json_of(route, parts.json), inf_nan_mode="constants")
        headers.append(("Content-Type", "application/json"))
    elif parts.file:
        pairs: MultiDict[str, t.Any] = MultiDict([*parts.form, *parts.file])
        stream, length, boundary = stream_encode_multipart(pairs, threshold=_IN_MEMORY)
        body = (stream, length)
        headers.append(("Content-Type", f'multipart/form-data; boundary="{boundary}"'))
    elif parts.form:
        body = urlencode(parts.form).encode()
        headers.append(("Content-Type", "application/x-www-form-urlencoded"))
    verb = route.verb_for(bool(body))
    url = _url_of(app, route, {**url_values, **parts.path}, verb, base)
    if parts.query:
        url += f"{'&' if '?' in url else '?'}{urlencode(parts.query)}"
    return Outgoing(verb, url, headers, body, parts.cookie)


def _fill(parts: _Parts, route: Route, args: tuple[t.Any, ...], kwargs: dict[str, t.Any]) -> None:
    bound = route.signature.bind_partial(*args, **kwargs)
    given = dict(bound.arguments)
    for parameter in route.signature.parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            given.update(given.pop(parameter.name, {}))
        elif parameter.kind is parameter.VAR_POSITIONAL and given.pop(parameter.name, ()):
            raise TypeError(f"{route.name} takes what the URL has by keyword only.")
    for name, value in given.items():
        if isinstance(value, _Provided):
            _place_for_dependency(parts, route, name, value)
            continue
        known = route.fields.get(name)
        if known is not None:
            _place(parts, route, known, value)
        elif name in route.provided:
            _place_provided(parts, route, route.provided[name], value)
        elif name in route.variables:
            parts.path[name] = value
        else:
            raise TypeError(f"{route.name}: nothing in a request fills {name!r}.")
    for known in route.operation.fields:
        if known.is_required and known.name not in given:
            raise TypeError(f"The call of {route.name} has no value for {known.name!r}.")


def _place_for_dependency(parts: _Parts, route: Route, name: str, value: _Provided) -> None:
    """Send what a dependency, or one that it depends on, takes from the request."""
    each = route.provided.get(name)
    if each is None:
        if name in route.fields or value.values:
            raise TypeError(f"{route.name}: {name!r} is provided by nothing on the server.")
        return
    taken = {known.name: known for known in each.operation.everything()}
    for key, found in value.values.items():
        if key in taken:
            _place(parts, route, taken[key], found)
        elif key in route.variables:
            parts.path[key] = found
        else:
            raise TypeError(f"{route.name}: what provides {name!r} does not take {key!r}.")


def _place_provided(parts: _Parts, route: Route, each: Provided, value: t.Any) -> None:
    """Send what a class gathers from the request, by the attributes of an object of it."""
    function = each.operation.function
    name = getattr(function, "__qualname__", repr(function))
    if not (isinstance(function, type) and isinstance(value, function)):
        raise TypeError(
            f"{route.name}: {each.name!r} is what {name} provides; it cannot be sent, but what"
            f" that takes can: {each.name}=provided(...)."
        )
    for known in each.operation.fields:
        if not hasattr(value, known.name):
            raise TypeError(
                f"{route.name}: a {name} does not keep {known.name!r}: give"
                f" {each.name}=provided({known.name}=...)."
            )
        found = getattr(value, known.name)
        if known.is_required or found != known.default:
            _place(parts, route, known, found)
    for inner in each.operation.provided:
        _place_provided(parts, route, inner, getattr(value, inner.name))


def _place(parts: _Parts, route: Route, known: Field, value: t.Any) -> None:
    location = known.location
    if location == "file":
        _place_files(parts, known, value)
    elif location == "json":
        is_model = is_class(known.type, BaseModel)
        parts.json[known.alias] = input_of(known.adapter, value, lean=is_model)
    elif location == "path":
        made = input_of(known.adapter, value)
        key = known.name if known.name in route.variables else known.alias
        parts.path[key] = made if isinstance(made, (int, float)) else text_of(made)
    elif known.members is not None:
        _place_members(parts, route, known, value)
    else:
        made = input_of(known.adapter, value)
        pairs = _texts(route, known, known.alias, made)
        getattr(parts, location).extend(pairs)
        if not pairs and not _is_nothing(known.default, made):
            _refuse(route, known, value)


def _place_members(parts: _Parts, route: Route, known: Field, value: t.Any) -> None:
    members = known.members or {}
    if value is None and not known.is_required and known.default is None:
        return
    dumped = input_of(known.adapter, value)
    if known.location == "header":
        dumped = {key.replace("_", "-"): each for key, each in dumped.items()}
    for key, each in dumped.items():
        pairs = _texts(route, known, key, each)
        getattr(parts, known.location).extend(pairs)
        info = members.get(key)
        if not pairs and info is not None and not _may_be_absent(info, each):
            _refuse(route, known, each, key)


def _may_be_absent(info: FieldInfo, value: t.Any) -> bool:
    if info.is_required() or info.default_factory_takes_validated_data:
        return False
    return _is_nothing(info.get_default(call_default_factory=True), value)


def _is_nothing(default: t.Any, made: t.Any) -> bool:
    """Whether a default is what texts cannot tell: `None`, or a list of none."""
    if made is None or isinstance(made, str):
        return bool(default == made)
    return isinstance(default, Collection) and not isinstance(default, str) and not default


def _refuse(route: Route, known: Field, value: t.Any, key: str | None = None) -> t.NoReturn:
    name = f"{known.name}.{key}" if key else known.name
    raise ValueError(
        f"{route.name}: {value!r} for {name!r} cannot be told in a {known.location}, and without"
        " it the view gets another value."
    )


def _texts(route: Route, known: Field, key: str, made: t.Any) -> Pairs:
    """The texts of a value; none for what the binder takes for nothing."""
    many = isinstance(made, list)
    texts = [] if made is None else [text_of(each) for each in made] if many else [text_of(made)]
    if known.location == "form" and not many and texts == [""]:
        return []
    if known.location == "header":
        for text in texts:
            if text != text.strip() or not _IN_HEADERS.fullmatch(text):
                _refuse(route, known, text)
            if many and (not text or "," in text):
                _refuse(route, known, text)
    return [(key, text) for text in texts]


def text_of(made: t.Any) -> str:
    """The text of a value that JSON can hold."""
    if isinstance(made, str):
        return made
    if made is None or isinstance(made, (bool, dict, list)):
        return to_json(made).decode()
    return str(made)


def _place_files(parts: _Parts, known: Field, value: t.Any) -> None:
    for each in value if isinstance(value, (list, tuple, set)) else (value,):
        if isinstance(each, (bytes, bytearray)):
            each = FileStorage(BytesIO(each), filename=known.alias)
        if each is None:
            continue
        if not isinstance(each, FileStorage):
            raise TypeError(f"{known.name!r} is a file, not {each!r}.")
        if not each.filename:
            each = FileStorage(each.stream, known.alias, headers=each.headers)
        parts.file.append((known.alias, each))


def _json_of(route: Route, made: dict[str, t.Any]) -> t.Any:
    return made if route.operation.is_body_keyed else next(iter(made.values()))


def _url_of(
    app: Erlen, route: Route, values: dict[str, t.Any], verb: str, base: tuple[str, str, str]
) -> str:
    scheme, host, root = base
    binding = app.url_map.bind(host, script_name=root, url_scheme=scheme)
    if not any(rule.arguments <= {*values, *(rule.defaults or ())} for rule in route.rules):
        app.inject_url_defaults(route.endpoint, values)
    try:
        return binding.build(route.endpoint, values, method=verb, append_unknown=False)
    except BuildError as error:
        raise TypeError(_lacking(route, values)) from error


def _lacking(route: Route, values: Iterable[str]) -> str:
    fewest = min((rule.arguments - {*values} for rule in route.rules), key=len)
    if not fewest:
        return f"No URL of {route.name} is made of the values {values!r}."
    names = ", ".join(map(repr, sorted(fewest)))
    return f"The call of {route.name} has no value for {names} of its URL."


def cookie_header(cookies: Iterable[tuple[str, str]]) -> str:
    """Cookies as a request has them."""
    return "; ".join(dump_cookie(key, value, path=None) for key, value in cookies)

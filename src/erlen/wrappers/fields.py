"""Fields of queries, urlencoded forms and headers."""

from __future__ import annotations

import sys
import typing as t
from urllib.parse import parse_qsl, unquote

from werkzeug.datastructures import ImmutableMultiDict, MultiDict
from werkzeug.exceptions import BadRequestKeyError

if t.TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


def parse_pairs(text: str) -> list[tuple[str, str]]:
    """Name and value pairs of a query or urlencoded form; equals `urllib.parse.parse_qsl` as
    Werkzeug calls it (blank values kept, undecodable bytes left percent-encoded)."""
    if "%" in text:
        if not text.isascii():
            return parse_qsl(text, keep_blank_values=True, errors="werkzeug.url_quote")
        pairs = []
        for field in text.replace("+", " ").split("&"):
            if field:
                name, _, value = field.partition("=")
                if "%" in field:
                    name = unquote(name, errors="werkzeug.url_quote")
                    value = unquote(value, errors="werkzeug.url_quote")
                pairs.append((name, value))
        return pairs
    text = text.replace("+", " ")
    return [(name, value) for name, _, value in [f.partition("=") for f in text.split("&") if f]]


def storage_of(storage: type[t.Any], text: str) -> t.Any:
    """The fields of a query or urlencoded form in a request's kind of multi-dict."""
    if storage is not ImmutableMultiDict or "%" in text or "+" in text:
        return storage(parse_pairs(text))
    # PERF: most queries and forms hold nothing to decode.
    made = _new_multidict(ImmutableMultiDict)
    for field in text.split("&"):
        if field:
            name, _, value = field.partition("=")
            _values_in(made, name, []).append(value)
    return made


class Fields(ImmutableMultiDict[str, str]):
    """The values of a query: Werkzeug's class, looked up in one step.

    PERF: that class asks whether the key is there, and then its base class for the list. An
    instance goes by the name of that class, and is pickled as one.
    """

    def __getitem__(self, key: str) -> str:
        try:
            return _values_of(self, key)[0]  # type: ignore[no-any-return]
        except (KeyError, IndexError):
            pass  # the error is raised outside, to have no context
        raise BadRequestKeyError(key)

    def __reduce_ex__(self, protocol: t.SupportsIndex) -> t.Any:
        return ImmutableMultiDict, (list(self.items(multi=True)),)


for _name in ("__doc__", "__module__", "__name__", "__qualname__"):
    setattr(Fields, _name, getattr(ImmutableMultiDict, _name))


def fields_class() -> type[ImmutableMultiDict[str, str]]:
    """What queries are kept in: Werkzeug's own class where somebody traces its look-ups."""
    look_up = ImmutableMultiDict.__getitem__
    its_module = sys.modules[MultiDict.__module__]
    is_its_own = getattr(look_up, "__globals__", None) is its_module.__dict__
    return Fields if is_its_own else ImmutableMultiDict


_values_of: t.Any = dict.__getitem__
_new_multidict: t.Any = ImmutableMultiDict.__new__
# The list of a name in a multi-dict, which keeps its values in such lists.
_values_in: t.Any = dict.setdefault


class Args:
    """`Request.args`. PERF: `lazy` and `storage_of` in one function, for the many that read it."""

    #: What stands for `ImmutableMultiDict`.
    kind: type[ImmutableMultiDict[str, str]] = Fields

    def __get__(self, request: t.Any, owner: type | None = None) -> t.Any:
        if request is None:
            return self
        mine = request.__dict__
        if "environ" in mine:
            text = mine["environ"].get("QUERY_STRING", "")
        else:
            text = request.scope.get("query_string", b"").decode("latin1")
        if "query_string" in mine or not text.isascii():
            text = request.query_string.decode()
        storage = request.parameter_storage_class
        if storage is ImmutableMultiDict:
            storage = self.kind
        if storage is not Fields or "%" in text or "+" in text:
            made = mine["args"] = storage(parse_pairs(text))
            return made
        made = _new_multidict(Fields)
        for field in text.split("&"):
            if field:
                name, _, value = field.partition("=")
                _values_in(made, name, []).append(value)
        mine["args"] = made
        return made


#: The one instance, for `Request.args`.
args = Args()


def with_short_blanks(environ: WSGIEnvironment) -> WSGIEnvironment:
    """The environ with single blanks in lists of ETags: Werkzeug reads runs in quadratic time."""
    changed = {
        key: " ".join(environ[key].split())
        for key in ("HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH")
        if "  " in environ.get(key, "") or "\t" in environ.get(key, "")
    }
    return {**environ, **changed} if changed else environ

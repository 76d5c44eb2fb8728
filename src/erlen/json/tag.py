"""JSON that keeps types which it lacks, by tagging: for session cookies.

A value that JSON cannot carry is written as an object of one item, its key the tag:
`(1, 2)` as `{" t": [1, 2]}`. An object that would be mistaken for one of these is tagged itself.
To carry a type of one's own, register a subclass of `JSONTag`:

    class TagDecimal(JSONTag):
        __slots__ = ()
        key = " dec"

        def check(self, value):
            return isinstance(value, Decimal)

        def to_json(self, value):
            return str(value)

        def to_python(self, value):
            return Decimal(value)

    app.session_interface.serializer.register(TagDecimal, index=0)
"""

from __future__ import annotations

import sys
import typing as t
from base64 import b64decode, b64encode
from datetime import datetime

from markupsafe import Markup
from werkzeug.http import http_date, parse_date

from . import dumps, loads

# Exact types that JSON carries as they are, and that no built-in tag takes.
_UNTAGGED: t.Final[frozenset[type]] = frozenset({str, int, float, bool, type(None)})


class JSONTag:
    """One kind of value: how it is known, written and read."""

    __slots__ = ("serializer",)

    #: Marks the value in JSON. A tag without a key only takes part in writing.
    key: str = ""

    def __init__(self, serializer: TaggedJSONSerializer) -> None:
        self.serializer = serializer

    def check(self, value: t.Any) -> bool:
        """Whether this tag is for the value. Raises NotImplementedError here."""
        raise NotImplementedError

    def to_json(self, value: t.Any) -> t.Any:
        """The value as something that JSON carries, without the tag."""
        raise NotImplementedError

    def to_python(self, value: t.Any) -> t.Any:
        """The value again, from what JSON carried; the tag is already off."""
        raise NotImplementedError

    def tag(self, value: t.Any) -> dict[str, t.Any]:
        """The value for JSON, with the tag."""
        return {self.key: self.to_json(value)}


class TagDict(JSONTag):
    """A dict of one item whose key is a tag: two underscores are put behind that key."""

    __slots__ = ()
    key = " di"

    def check(self, value: t.Any) -> bool:
        return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in self._tags

    @property
    def _tags(self) -> dict[str, JSONTag]:
        return self.serializer.tags

    def to_json(self, value: t.Any) -> t.Any:
        ((key, inner),) = value.items()
        return {f"{key}__": self.serializer.tag(inner)}

    def to_python(self, value: t.Any) -> t.Any:
        first, *_ = value
        return {first[:-2]: value[first]}


class PassDict(JSONTag):
    """Any other dict, untagged; its values may be tagged."""

    __slots__ = ()

    def check(self, value: t.Any) -> bool:
        return isinstance(value, dict)

    def to_json(self, value: t.Any) -> t.Any:
        tag = self.serializer.tag
        return {key: tag(inner) for key, inner in value.items()}

    tag = to_json


class TagTuple(JSONTag):
    """A tuple, which JSON would turn into a list."""

    __slots__ = ()
    key = " t"

    def check(self, value: t.Any) -> bool:
        return isinstance(value, tuple)

    def to_json(self, value: t.Any) -> t.Any:
        return list(map(self.serializer.tag, value))

    def to_python(self, value: t.Any) -> t.Any:
        return tuple(value)


class PassList(JSONTag):
    """A list, untagged; its items may be tagged."""

    __slots__ = ()

    def check(self, value: t.Any) -> bool:
        return isinstance(value, list)

    def to_json(self, value: t.Any) -> t.Any:
        return list(map(self.serializer.tag, value))

    tag = to_json


class TagBytes(JSONTag):
    """Bytes, as Base64."""

    __slots__ = ()
    key = " b"

    def check(self, value: t.Any) -> bool:
        return isinstance(value, bytes)

    def to_json(self, value: t.Any) -> t.Any:
        return str(b64encode(value), "ascii")

    def to_python(self, value: t.Any) -> t.Any:
        return b64decode(value)


class TagMarkup(JSONTag):
    """Markup, and all that has `__html__`; read as `markupsafe.Markup`."""

    __slots__ = ()
    key = " m"

    def check(self, value: t.Any) -> bool:
        return callable(getattr(value, "__html__", None))

    def to_json(self, value: t.Any) -> t.Any:
        return str(value.__html__())

    def to_python(self, value: t.Any) -> t.Any:
        return Markup(value)


class TagUUID(JSONTag):
    """A UUID, as 32 hexadecimal digits."""

    __slots__ = ()
    key = " u"

    def check(self, value: t.Any) -> bool:
        # PERF: a value can only be one where somebody has imported the module.
        uuid = sys.modules.get("uuid")
        return uuid is not None and isinstance(value, uuid.UUID)

    def to_json(self, value: t.Any) -> t.Any:
        return value.hex

    def to_python(self, value: t.Any) -> t.Any:
        from uuid import UUID

        return UUID(value)


class TagDateTime(JSONTag):
    """A datetime, as HTTP date: whole seconds, read in UTC."""

    __slots__ = ()
    key = " d"

    def check(self, value: t.Any) -> bool:
        return isinstance(value, datetime)

    def to_json(self, value: t.Any) -> t.Any:
        return http_date(value)

    def to_python(self, value: t.Any) -> t.Any:
        return parse_date(value)


class TaggedJSONSerializer:
    """Writes and reads compact JSON in which tags keep tuples, bytes, Markup, UUIDs and datetimes.

    `dict` and `list` are carried as they are. The text is that of the current application's
    provider.
    """

    __slots__ = ("tags", "order", "_built_in")

    #: The tags that a new serializer has, in the order in which they are tried.
    default_tags = [
        TagDict,
        PassDict,
        TagTuple,
        PassList,
        TagBytes,
        TagMarkup,
        TagUUID,
        TagDateTime,
    ]

    def __init__(self) -> None:
        self.tags: dict[str, JSONTag] = {}
        self.order: list[JSONTag] = []
        # The tags for which `_UNTAGGED` was found; empty where there are others.
        self._built_in: list[JSONTag] = []
        for tag_class in self.default_tags:
            self.register(tag_class)
        if all(tag_class.__module__ == __name__ for tag_class in self.default_tags):
            self._built_in = self.order.copy()

    def register(
        self,
        tag_class: type[JSONTag],
        force: bool = False,
        index: int | None = None,
    ) -> None:
        """Add a kind of values. `index` is its place in the order, by default the last.

        `force` replaces the tag of that key. Raises KeyError where it is taken otherwise.
        """
        new = tag_class(self)
        if new.key:
            if new.key in self.tags and not force:
                raise KeyError(f"Tag {new.key!r} is already registered.")
            self.tags[new.key] = new
        self.order.insert(len(self.order) if index is None else index, new)

    def tag(self, value: t.Any) -> t.Any:
        """The value for JSON, tagged where it has to be."""
        # PERF: most sessions hold only what JSON carries; the order shows if a tag was added.
        if self.order == self._built_in:
            if type(value) in _UNTAGGED:
                return value
            if type(value) is dict and _plain(value):
                if len(value) != 1 or next(iter(value)) not in self.tags:
                    return value.copy()
        taken = next((tag for tag in self.order if tag.check(value)), None)
        return value if taken is None else taken.tag(value)

    def untag(self, value: dict[str, t.Any]) -> t.Any:
        """What a tagged object stands for; an object without a tag as it is."""
        if len(value) == 1:
            ((key, inner),) = value.items()
            tag = self.tags.get(key)
            if tag is not None:
                return tag.to_python(inner)
        return value

    def _untag_scan(self, value: t.Any) -> t.Any:
        """The same for a whole tree, from the inside out."""
        if isinstance(value, list):
            return list(map(self._untag_scan, value))
        if isinstance(value, dict):
            # PERF: nothing to look for within plain values.
            if type(value) is not dict or not _plain(value):
                value = {key: self._untag_scan(inner) for key, inner in value.items()}
            return self.untag(value)
        return value

    def dumps(self, value: t.Any) -> str:
        """The value as compact JSON text with tags."""
        return dumps(self.tag(value), separators=(",", ":"))

    def loads(self, value: str) -> t.Any:
        """The value from JSON text with tags."""
        return self._untag_scan(loads(value))


def _plain(value: dict[t.Any, t.Any]) -> bool:
    return _UNTAGGED.issuperset(map(type, value.values()))

"""What a view's signature says, read once: the binder, the document and the client go by it."""

from __future__ import annotations

import copy
import enum
import inspect
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from decimal import Decimal
from uuid import UUID

from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

from .params import SecurityScopes, Upload, UploadFile

if t.TYPE_CHECKING:
    from collections.abc import Callable


MISSING: t.Any = inspect.Parameter.empty

# Of these one object does for all requests.
_IMMUTABLE = (
    *(type(None), str, bytes, bool, int, float, complex, enum.Enum),
    *(date, time, timedelta, Decimal, UUID, type),
)


@dataclass(frozen=True)
class Field:
    """A parameter that is bound from a part of the request."""

    name: str
    #: As in `In`.
    location: str
    alias: str
    #: The type without the marks, constraints included.
    type: t.Any
    adapter: TypeAdapter[t.Any] = field(repr=False)
    default: t.Any = MISSING
    #: Whether it takes all values of its name, not the first one.
    is_list: bool = False
    #: Names in the location to the names of the fields, where a model takes the whole of it.
    members: Mapping[str, FieldInfo] | None = None
    info: FieldInfo | None = None
    upload: Upload | None = None
    #: Whether the JSON body is an object with this field as a key, though it be the only one.
    embed: bool = False
    #: What makes the default of each request, where the annotation has such a function.
    default_factory: Callable[[], t.Any] | None = field(default=None, repr=False)
    #: What reads the body instead, as in `Body`.
    read: Callable[[t.Any], t.Any] | None = field(default=None, repr=False)
    #: Whether the body may be a form, too.
    forms: bool = False

    @property
    def is_required(self) -> bool:
        return self.default is MISSING

    def default_maker(self) -> Callable[[], t.Any] | None:
        """What makes a default that requests must not share; `None` where they may."""
        if self.default_factory is not None:
            return self.default_factory
        default = self.default
        if isinstance(default, _IMMUTABLE) or default == () or self.is_required:
            return None
        return lambda: copy.deepcopy(default)


@dataclass(frozen=True)
class Provided:
    """A parameter that a dependency provides."""

    name: str
    operation: Operation
    cached: bool
    scopes: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """What is answered with one status."""

    status: int
    #: `None` for an answer without a body, or one that is not described.
    type: t.Any
    adapter: TypeAdapter[t.Any] | None = field(default=None, repr=False)
    description: str | None = None
    #: Whether the return annotation says so, not the `responses` of the route.
    is_returned: bool = True


@dataclass(frozen=True)
class Operation:
    """A function's signature, as the binder needs it."""

    function: Callable[..., t.Any]
    fields: tuple[Field, ...]
    provided: tuple[Provided, ...]
    #: Parameters that get the request itself.
    requests: tuple[str, ...]
    #: Parameters that get the scopes asked for.
    scopes: tuple[str, ...]
    #: Dependencies for their effect only, of the route, its blueprints and the application.
    effects: tuple[Provided, ...] = ()
    #: What the return annotation and the route say, the default answer first.
    answers: tuple[Answer, ...] = ()
    #: Whether the answer is made by its type.
    is_answer_typed: bool = False
    options: Mapping[str, t.Any] = field(default_factory=dict)
    #: Variables of the URL that are parameters as they are.
    variables: frozenset[str] = frozenset()
    #: Whether only what Flask could not answer is answered by its type: a decorator that knows
    #: nothing of types stands before the function.
    is_answer_lenient: bool = False

    @property
    def is_trivial(self) -> bool:
        """Whether there is nothing to bind, and nothing to answer by type."""
        return not (self.binds or self.is_answer_typed or self.options.get("status"))

    @property
    def binds(self) -> bool:
        """Whether there is anything to bind."""
        return bool(self.fields or self.provided or self.requests or self.effects or self.scopes)

    @property
    def body(self) -> tuple[Field, ...]:
        """The fields of the JSON body."""
        return tuple(each for each in self.fields if each.location == "json")

    @property
    def is_body_keyed(self) -> bool:
        """Whether the JSON body is an object with a key for each field of it.

        It is where dependencies and function together have several, or one says so.
        """
        body = [each for each in self.everything() if each.location == "json"]
        return len(body) > 1 or any(each.embed for each in body)

    def everything(self) -> tuple[Field, ...]:
        """The fields, those of dependencies included, each place once."""
        found: dict[tuple[str, str], Field] = {}
        for each in self.fields:
            found.setdefault((each.location, each.alias), each)
        for provided in (*self.provided, *self.effects):
            for each in provided.operation.everything():
                found.setdefault((each.location, each.alias), each)
        return tuple(found.values())


__all__ = [
    "MISSING",
    "Answer",
    "Field",
    "Operation",
    "Provided",
    "SecurityScopes",
    "Upload",
    "UploadFile",
]

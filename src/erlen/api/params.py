"""What an application writes in a signature to have a parameter bound.

A mark says where a value comes from. `Query[int]` is `Annotated[int, In("query")]`, so that type
checkers see `int`. Constraints, aliases, descriptions and examples are pydantic's: `Query[
Annotated[int, Field(ge=1, alias="page")]]`.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from werkzeug.datastructures import FileStorage

if t.TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

T = t.TypeVar("T")

#: Where a parameter can come from.
LOCATIONS = ("path", "query", "header", "cookie", "form", "file", "json")


class Mark:
    """Base of what marks a parameter."""

    __erlen_param__ = True


@dataclass(frozen=True)
class In(Mark):
    """Where a parameter comes from.

    :param location: `path`, `query`, `header`, `cookie`, `form`, `file` or `json`
    :param alias: the name there; by default the parameter's, for headers with hyphens
    :param embed: of `json`: whether the body is an object that has the value under its name, also
        where it is the only one (with several it always is)
    """

    location: str
    alias: str | None = None
    embed: bool = False


@dataclass(frozen=True)
class Body(In):
    """The whole body, which a function of its own reads: what products are made with.

    :param read: called with the request; the value, or a `Problem` raised
    :param forms: whether it is also taken as a form with the members of the JSON as its fields
    """

    location: str = "json"
    read: Callable[[t.Any], t.Any] | None = None
    forms: bool = False


Path = t.Annotated[T, In("path")]
Query = t.Annotated[T, In("query")]
Header = t.Annotated[T, In("header")]
Cookie = t.Annotated[T, In("cookie")]
Form = t.Annotated[T, In("form")]
File = t.Annotated[T, In("file")]
Json = t.Annotated[T, In("json")]


@dataclass(frozen=True)
class Upload(Mark):
    """What a file may be: `File[Annotated[UploadFile, Upload(max_size=1_000_000)]]`.

    :param content_types: such as `image/png` or `image/*`; all by default
    :param max_size: bytes; of a file beyond, no more is read
    """

    content_types: Sequence[str] = ()
    max_size: int | None = None

    def takes(self, content_type: str) -> bool:
        """Whether files of a content type are taken."""
        kind = content_type.partition("/")[0]
        return not self.content_types or any(
            wanted in ("*/*", content_type, f"{kind}/*") for wanted in self.content_types
        )


class UploadFile(FileStorage):
    """An uploaded file: Werkzeug's `FileStorage`, with its size."""

    @property
    def size(self) -> int:
        """Bytes of the file."""
        stream = self.stream
        place = stream.tell()
        size = stream.seek(0, 2)
        stream.seek(place)
        return size

    @classmethod
    def of(cls, file: FileStorage) -> UploadFile:
        """The same file, as this class."""
        return cls(file.stream, file.filename, file.name, headers=file.headers)


@dataclass(frozen=True)
class Dependency(Mark):
    """A parameter that a function provides; made by `Depends` and `Security`."""

    provide: Callable[..., t.Any] | None = None
    cached: bool = True
    scopes: tuple[str, ...] = ()


# For type checkers the default of a parameter is what the function provides.
@t.overload
def Depends(provide: None = None, *, cached: bool = True) -> t.Any: ...
@t.overload
def Depends(
    provide: Callable[..., Iterator[T] | AsyncIterator[T] | Awaitable[T]], *, cached: bool = True
) -> T: ...
@t.overload
def Depends(provide: Callable[..., T], *, cached: bool = True) -> T: ...
def Depends(provide: Callable[..., t.Any] | None = None, *, cached: bool = True) -> t.Any:
    """Have a parameter provided by a function, whose own parameters are bound as a view's.

    :param provide: a function, coroutine function, generator (ended when the response was made,
        a streamed one when it was sent), class or callable object; by default the parameter's type
    :param cached: whether the function is called once a request, whoever asks
    """
    return Dependency(provide, cached)


@t.overload
def Security(provide: None = None, *, scopes: Sequence[str] = (), cached: bool = True) -> t.Any: ...
@t.overload
def Security(
    provide: Callable[..., Iterator[T] | AsyncIterator[T] | Awaitable[T]],
    *,
    scopes: Sequence[str] = (),
    cached: bool = True,
) -> T: ...
@t.overload
def Security(
    provide: Callable[..., T], *, scopes: Sequence[str] = (), cached: bool = True
) -> T: ...
def Security(
    provide: Callable[..., t.Any] | None = None, *, scopes: Sequence[str] = (), cached: bool = True
) -> t.Any:
    """`Depends` for who the client is, with the scopes that it needs."""
    return Dependency(provide, cached, tuple(scopes))


# Annotations that are texts name these before anybody calls them.
Depends.__erlen_param__ = Security.__erlen_param__ = True  # type: ignore[attr-defined]


class SecurityScopes:
    """What a dependency gets that asks for it by this type: the scopes that its users need."""

    def __init__(self, scopes: Sequence[str] = ()) -> None:
        self.scopes = list(scopes)

    @property
    def scope_str(self) -> str:
        """The scopes in one text, as OAuth 2 has it (RFC 6749, 3.3)."""
        return " ".join(self.scopes)

    def __str__(self) -> str:
        return self.scope_str


@dataclass(frozen=True)
class Status:
    """In a return annotation: the status of an answer of this type.

    `-> Item | Annotated[Problem, Status(404)]`
    """

    code: int
    description: str | None = None

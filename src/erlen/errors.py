"""Exceptions of Erlen's own: each names the place and the remedy."""

from __future__ import annotations

import typing as t

Place = tuple[str, int]


def format_place(place: Place | None) -> str:
    """`file:line`, as terminals and editors make it clickable."""
    return "unknown place" if place is None else f"{place[0]}:{place[1]}"


class ErlenError(Exception):
    """Base of what Erlen adds to Flask's errors."""


class MissingExtra(ErlenError, ImportError):
    """A feature was used whose optional dependency is not installed.

    :param feature: what was asked for, as the user wrote it (`erlen serve`)
    :param package: the import name that was not found; also the attribute `name` of ImportError
    :param extra: the extra of Erlen's distribution that installs it
    """

    def __init__(self, feature: str, package: str, extra: str) -> None:
        self.feature = feature
        self.extra = extra
        self.command = f"pip install 'erlen[{extra}]'"
        super().__init__(f"{feature} needs {package}, which is not installed: {self.command}")
        self.name = package

    def __reduce__(self) -> tuple[t.Any, ...]:
        return type(self), (self.feature, self.name, self.extra)


#: What a product's errors are for clients: functions that make HTTP errors of them, by class.
http_forms: dict[type[Exception], t.Callable[[t.Any], t.Any]] = {}


def http_form_of(error: Exception) -> t.Any:
    """The HTTP error that an error without a handler is answered as; `None` for most."""
    for cls in type(error).__mro__:
        if cls in http_forms:
            return http_forms[cls](error)
    return None


class SetupError(ErlenError, AssertionError):
    """A registration that cannot work; an AssertionError, as Flask raises for these.

    :param message: what is wrong and what to do
    :param places: file and line of the registrations concerned, None where unknown
    """

    def __init__(self, message: str, *places: Place | None) -> None:
        self.message = message
        self.places = places
        super().__init__(message, *places)

    def __str__(self) -> str:
        known = [f"  at {format_place(place)}" for place in self.places if place is not None]
        return "\n".join([self.message, *known])

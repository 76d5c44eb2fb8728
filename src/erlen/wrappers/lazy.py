"""Attributes that are computed late, and a look at whether they were replaced."""

from __future__ import annotations

import typing as t


class lazy:
    """A value computed at its first access and kept in the instance's `__dict__`.

    PERF: a non-data descriptor, so that later reads never come here; werkzeug's
    `cached_property` is a data descriptor and pays a Python call on each read.
    """

    def __init__(self, compute: t.Callable[[t.Any], t.Any]) -> None:
        self.compute = compute
        self.name = compute.__name__
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: t.Any, owner: type | None = None) -> t.Any:
        if instance is None:
            return self
        value = instance.__dict__[self.name] = self.compute(instance)
        return value


def as_they_are(cls: type, names: t.Iterable[str]) -> dict[str, t.Any]:
    """Attributes of a class by name, to ask later whether they were replaced."""
    return {name: getattr(cls, name) for name in names}


def are_as_defined(cls: type, names: t.Iterable[str], defined: t.Mapping[str, t.Any]) -> bool:
    """Whether attributes of a class, or of one below it, are still those that were defined.

    Whoever traces or patches replaces methods of the classes themselves.
    """
    return all(getattr(cls, name, None) is defined[name] for name in names)

"""Containers that tell when they change.

Extensions write to `app.before_request_funcs`, `app.view_functions` and the like directly. These
are the dicts and lists that the application starts with: ordinary ones, whose every mutation also
calls `changed`, so that the compiled program is dropped. A foreign container put in their place is
left as it is; `fingerprint` then tells from request to request whether it has changed.
"""

from __future__ import annotations

import typing as t
from collections import defaultdict
from collections.abc import Iterable

Changed = t.Callable[[], None]


def _telling(base: type, *names: str) -> dict[str, t.Any]:
    """Methods that do as the base's, then call `changed`."""

    def method(name: str) -> t.Callable[..., t.Any]:
        original = getattr(base, name)

        def mutate(self: t.Any, *args: t.Any, **kwargs: t.Any) -> t.Any:
            try:
                return original(self, *args, **kwargs)
            finally:
                self.changed()

        mutate.__name__ = name
        return mutate

    return {name: method(name) for name in names}


if t.TYPE_CHECKING:

    class HookList(list[t.Any]):
        """A list of functions."""

        def __init__(self, changed: Changed) -> None: ...

    class HookDict(defaultdict[t.Any, t.Any]):
        """Functions by the name of a blueprint, `None` for the application."""

        def __init__(self, changed: Changed) -> None: ...

    class ViewDict(dict[str, t.Any]):
        """View functions by endpoint."""

        def __init__(self, changed: Changed) -> None: ...

else:
    _LIST = ("append", "extend", "insert", "remove", "pop", "clear", "sort", "reverse")
    _DICT = ("__setitem__", "__delitem__", "update", "setdefault", "pop", "popitem", "clear")

    class HookList(list):
        """A list of functions."""

        def __init__(self, changed):
            super().__init__()
            self.changed = changed

        def __reduce_ex__(self, protocol):  # a copy belongs to no application
            return list, (list(self),)

        locals().update(
            _telling(list, *_LIST, "__setitem__", "__delitem__", "__iadd__", "__imul__")
        )

    class HookDict(defaultdict):
        """Functions by the name of a blueprint, `None` for the application."""

        def __init__(self, changed):
            super().__init__(lambda: HookList(changed))
            self.changed = changed

        def __reduce__(self):
            # A copy belongs to no application: what it holds then is no business of one.
            return defaultdict, (list,), None, None, iter(self.items())

        def copy(self):
            return defaultdict(list, self)

        __copy__ = copy

        locals().update(_telling(defaultdict, *_DICT, "__ior__"))

    class ViewDict(dict):
        """View functions by endpoint."""

        def __init__(self, changed):
            super().__init__()
            self.changed = changed

        def __reduce_ex__(self, protocol):
            return dict, (dict(self),)

        locals().update(_telling(dict, *_DICT, "__ior__"))


def _tells(container: t.Any, kinds: tuple[type[t.Any], ...], changed: Changed) -> bool:
    return isinstance(container, kinds) and container.changed is changed


def _is_foreign(registry: t.Any, changed: Changed) -> bool:
    if not _tells(registry, (HookDict, ViewDict), changed):
        return True
    return isinstance(registry, HookDict) and not all(
        _tells(functions, (HookList,), changed) for functions in registry.values()
    )


def foreign(registries: t.Iterable[t.Any], changed: Changed) -> list[t.Any]:
    """Those of the registries that do not tell `changed` of all their changes."""
    return [registry for registry in registries if _is_foreign(registry, changed)]


def fingerprint(registries: t.Iterable[t.Any]) -> list[t.Any]:
    """What foreign registries hold now, for comparison."""
    return [
        [
            (name, tuple(held) if isinstance(held, Iterable) and not callable(held) else held)
            for name, held in registry.items()
        ]
        for registry in registries
    ]

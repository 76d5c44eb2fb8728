"""The functions that run around serving: what they may be, and how one with a `yield` is run."""

from __future__ import annotations

import typing as t

from .engine import bridge
from .errors import SetupError, format_place

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from .errors import Place

BEFORE, WHILE, AFTER = "before_serving", "while_serving", "after_serving"


class ServingFunction(t.NamedTuple):
    """A function that runs around serving, and where it was registered."""

    kind: str
    function: Callable[..., t.Any]
    place: Place | None


def serving_function(
    kind: str, function: Callable[..., t.Any], place: Place | None
) -> ServingFunction:
    """A registration, or a SetupError for a function that cannot be one of this kind."""
    from inspect import isasyncgenfunction, isgeneratorfunction, unwrap

    inner = unwrap(function)
    yields = isasyncgenfunction(inner) or isgeneratorfunction(inner)
    if kind != WHILE and yields and inner is function:
        raise SetupError(f"A function for '{kind}' does not yield: use 'while_serving'.", place)
    if kind == WHILE and not yields and bridge.is_coroutine_function(function):
        raise SetupError(
            "A function for 'while_serving' yields once: what is before runs when serving starts,"
            " what is behind when it ends. Use 'before_serving' for one that does not yield.",
            place,
        )
    return ServingFunction(kind, function, place)


def open_serving(app: t.Any, registered: ServingFunction) -> t.Any:
    """Run a function of `while_serving` to its yield; what has to be resumed at the end."""
    made = registered.function()
    kind = type(made)
    if hasattr(kind, "__aenter__"):
        bridge.await_(made.__aenter__())
    elif hasattr(kind, "__enter__"):
        made.__enter__()
    elif hasattr(kind, "__anext__") or hasattr(kind, "__next__"):
        if not _resume(made):
            raise SetupError("A function for 'while_serving' has not yielded.", registered.place)
    else:
        raise SetupError(
            "A function for 'while_serving' is a generator or returns a context manager, but this"
            f" one returned {made!r}.",
            registered.place,
        )
    return made


def close_serving(registered: ServingFunction, opened: t.Any) -> None:
    """Resume it to its end."""
    kind = type(opened)
    if hasattr(kind, "__aexit__"):
        bridge.await_(opened.__aexit__(None, None, None))
    elif hasattr(kind, "__exit__"):
        opened.__exit__(None, None, None)
    elif _resume(opened):
        raise RuntimeError(
            "A function for 'while_serving' has yielded more than once:"
            f" {format_place(registered.place)}"
        )


def _resume(generator: t.Any) -> bool:
    """Run a generator to its next yield; whether there is one."""
    try:
        if hasattr(generator, "__anext__"):
            bridge.await_(generator.__anext__())
        else:
            next(generator)
    except (StopIteration, StopAsyncIteration):
        return False
    return True

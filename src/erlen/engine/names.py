"""The names that annotations are made of, also where they are texts."""

from __future__ import annotations

import builtins
import re
import sys
import typing as t
from functools import partial
from types import FunctionType, MethodType

if t.TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType

#: Attribute of a function: what its annotations name of the function that defines it.
NAMES = "__erlen_names__"

_NAME = re.compile(r"[^\W\d]\w*")


def annotations_of(function: t.Any) -> Mapping[str, t.Any]:
    """The annotations of a callable as they are written; those not known yet are texts or
    `ForwardRef`."""
    if sys.version_info >= (3, 14):
        from annotationlib import Format, get_annotations

        try:
            return get_annotations(function, format=Format.FORWARDREF)
        except TypeError:
            return {}
    found = getattr(function, "__annotations__", None)
    return found if isinstance(found, dict) else {}


def inside(function: t.Any) -> t.Any:
    """What a decorated function, partial or bound method calls; `None` for all else."""
    if isinstance(function, partial):
        return function.func
    if isinstance(function, MethodType):
        return function.__func__
    return getattr(function, "__wrapped__", None) if isinstance(function, FunctionType) else None


def innermost(function: t.Any) -> t.Any:
    """The plain function that a callable comes down to, or the callable itself."""
    while (inner := inside(function)) is not None:
        function = inner
    if isinstance(function, (FunctionType, type)):
        return function
    call = getattr(type(function), "__call__", None)  # noqa: B004
    return call if isinstance(call, FunctionType) else function


def keep_names(view: t.Any) -> None:
    """Keep the local names of where a view is defined, if its annotations need them.

    Annotations that are texts (`from __future__ import annotations`) are read late, when the
    function that defined their types may have returned.
    """
    cls = getattr(view, "view_class", None)
    if cls is None:
        _keep_names_of(view)
        return
    for verb in (*(getattr(cls, "methods", None) or ()), "dispatch_request"):
        _keep_names_of(getattr(cls, verb.lower(), None))


def _keep_names_of(function: t.Any) -> None:
    function = innermost(function)
    around, is_local, _ = getattr(function, "__qualname__", "").rpartition(".<locals>.")
    if not is_local or not isinstance(function, FunctionType) or hasattr(function, NAMES):
        return
    known = function.__globals__
    texts = [each for each in annotations_of(function).values() if isinstance(each, str)]
    names = {name for text in texts for name in _NAME.findall(text)}
    if all(name in known or hasattr(builtins, name) for name in names):
        return
    definer = around.rpartition(".")[2]
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if code.co_name == definer and code.co_filename == function.__code__.co_filename:
            if not names.isdisjoint(frame.f_locals):
                setattr(function, NAMES, dict(frame.f_locals))
            return
        frame = frame.f_back

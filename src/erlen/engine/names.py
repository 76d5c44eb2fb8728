"""The names that annotations are made of, also where they are texts."""

from __future__ import annotations

import builtins
import re
import sys
import typing as t

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


def keep_names(function: t.Any, frame: FrameType) -> None:
    """Keep the local names of where a function is registered, if its annotations need them.

    Annotations that are texts (`from __future__ import annotations`) are read late, when the
    function that defined their types may have returned.
    """
    if frame.f_code.co_name == "<module>":
        return
    known = getattr(function, "__globals__", {})
    for annotation in (getattr(function, "__annotations__", None) or {}).values():
        if isinstance(annotation, str):
            for name in _NAME.findall(annotation):
                if name not in known and name in frame.f_locals and not hasattr(builtins, name):
                    setattr(function, NAMES, dict(frame.f_locals))
                    return

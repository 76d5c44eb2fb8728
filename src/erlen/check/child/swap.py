"""Let an application that has swapped its one import run on Flask: `erlen` means `flask` there."""

from __future__ import annotations

import sys
import typing as t
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType

_HERE, _THERE = "erlen", "flask"
#: Names of Erlen's for what Flask has under another one.
_RENAMED = {"Erlen": "Flask"}


def install() -> None:
    """Make `erlen` and its modules stand for Flask's in this process."""
    sys.meta_path.insert(0, _Finder())


class _Finder:
    def find_spec(self, name: str, path: t.Any = None, target: t.Any = None) -> ModuleSpec | None:
        if name.partition(".")[0] != _HERE:
            return None
        loader: t.Any = _Loader()
        return ModuleSpec(name, loader, is_package=True)


class _Loader:
    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        try:
            same = import_module(_THERE + name[len(_HERE) :])
        except ModuleNotFoundError as error:
            raise ImportError(f"{name} is Erlen's alone; Flask has nothing like it") from error

        def __getattr__(wanted: str) -> t.Any:
            if wanted.startswith("__"):
                raise AttributeError(f"module {name!r} has no attribute {wanted!r}", name=wanted)
            return getattr(same, _RENAMED.get(wanted, wanted))

        module.__getattr__ = __getattr__  # type: ignore[method-assign]

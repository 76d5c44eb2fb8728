"""Where things lie: the folder of a module, the root of its package, the source of a function."""

from __future__ import annotations

import importlib.util
import os
import sys
import typing as t
from functools import partial

from .errors import Place

if t.TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import FrameType

_NO_ROOT = (
    "No root path can be found for the provided module {name!r}. This can happen because the module"
    " came from an import hook that does not provide file name information or because it's a"
    " namespace package. In this case the root path needs to be explicitly provided."
)


def _spec_of(import_name: str) -> ModuleSpec | None:
    """The module's spec; None for `__main__`, for modules made by hand and for unknown names."""
    try:
        return importlib.util.find_spec(import_name)
    except (ImportError, ValueError):
        return None


# -- the folder of a module -----------------------------------------------------------------------


def get_root_path(import_name: str) -> str:
    """The absolute folder of a module or package; the working directory if there is no such module.

    The module is imported only if its loader cannot tell the file name.

    :raises RuntimeError: for modules without a file
    """
    file_name: str | None = getattr(sys.modules.get(import_name), "__file__", None)

    if file_name is None:
        spec = _spec_of(import_name)
        loader: t.Any = spec and spec.loader
        if loader is None:
            return os.getcwd()
        if hasattr(loader, "get_filename"):
            file_name = loader.get_filename(import_name)
        else:
            file_name = getattr(importlib.import_module(import_name), "__file__", None)
        if file_name is None:
            raise RuntimeError(_NO_ROOT.format(name=import_name))

    return os.path.dirname(os.path.abspath(file_name))


# -- the root of a package, and whether it is installed -------------------------------------------


def _portion_of(namespace: ModuleSpec, import_name: str) -> str:
    """Which of a namespace package's folders has a package below it; the first for modules.

    That a module counts for the first folder, wherever it lies, is how Flask finds it.
    """
    portions = [os.fspath(folder) for folder in namespace.submodule_search_locations or ()]
    inner = _spec_of(import_name)
    for folder in inner and inner.submodule_search_locations or ():
        for portion in portions:
            if _is_below(folder, os.path.abspath(portion)):
                return portion
    return portions[0]


def _find_package_path(import_name: str) -> str:
    """The folder that stands in `sys.path` for the top package (or module) of an import name."""
    top = import_name.partition(".")[0]
    spec = _spec_of(top)
    if spec is None:
        return os.getcwd()
    if spec.submodule_search_locations is None:
        return os.path.dirname(_file_of(spec))
    if spec.origin in (None, "namespace"):
        return os.path.dirname(_portion_of(spec, import_name))
    return os.path.dirname(os.path.dirname(_file_of(spec)))


def _file_of(spec: ModuleSpec) -> str:
    if spec.origin is None:
        raise TypeError(f"module {spec.name!r} has no file: pass 'instance_path' explicitly")
    return spec.origin if spec.has_location else ""


def find_package(import_name: str) -> tuple[str | None, str]:
    """The prefix that the package is installed under, and the folder it is imported from.

    The prefix is None for a package that runs from its source folder. Known are folders below
    `sys.prefix` and `lib/pythonX.Y/site-packages` or `Lib\\site-packages` anywhere.
    """
    folder = _find_package_path(import_name)
    prefix = os.path.abspath(sys.prefix)
    if _is_below(folder, prefix):
        return prefix, folder

    above, last = os.path.split(folder)
    if last.lower() != "site-packages":
        return None, folder
    base, lib = os.path.split(above)
    if lib.lower() == "lib":  # Windows
        return base, folder
    if os.path.basename(base).lower() == "lib":
        return os.path.dirname(base), folder
    return above, folder


def _is_below(folder: str, parent: str) -> bool:
    try:
        return os.path.commonpath([os.path.abspath(folder), parent]) == parent
    except ValueError:  # another drive
        return False


def find_instance_path(import_name: str) -> str:
    """Where an application keeps deployment-specific files (Flask: Instance Folders)."""
    prefix, folder = find_package(import_name)
    if prefix is None:
        return os.path.join(folder, "instance")
    return os.path.join(prefix, "var", f"{import_name}-instance")


# -- the source of a function ----------------------------------------------------------------------


def find_source(func: t.Any) -> Place | None:
    """File and first line of the function behind a callable; None if it has no Python source.

    Looks through partials, bound methods, `functools.wraps`, classes, callable objects and the
    functions of class-based views; from a view of Erlen's own (`_erlen_source`) to what it is for.
    """
    seen: set[int] = set()
    while func is not None and id(func) not in seen:
        seen.add(id(func))
        inner = _inside(func)
        if inner is None and (code := getattr(func, "__code__", None)) is not None:
            return code.co_filename, code.co_firstlineno
        func = inner
    return None


def _inside(func: t.Any) -> t.Any:
    """What runs when this is called, one step further in; None for a plain function."""
    if isinstance(func, partial):
        return func.func
    if isinstance(func, type):
        return _first_function(func)
    inner = (
        getattr(func, "__func__", None)
        or getattr(func, "__wrapped__", None)
        or getattr(func, "_erlen_source", None)
    )
    if inner is None and isinstance(view_class := getattr(func, "view_class", None), type):
        return view_class
    if inner is None and not hasattr(func, "__code__"):
        return type(func).__call__
    return inner


def _first_function(cls: type) -> t.Any:
    """The function that a class is best known by: `dispatch_request`, or else its first one."""
    for base in cls.__mro__[:-1]:
        functions = {n: f for n, f in vars(base).items() if hasattr(f, "__code__")}
        if functions:
            first = min(functions.values(), key=lambda f: f.__code__.co_firstlineno)
            return functions.get("dispatch_request", first)
    return None


def caller_place(package: str = __name__.partition(".")[0]) -> Place | None:
    """File and line of the innermost frame outside a package: where a user's code called it."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] != package:
            return frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back
    return None

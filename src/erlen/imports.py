"""Import Werkzeug's modules without all that its package brings along.

PERF: `werkzeug/__init__.py` imports the development server and the test client; `werkzeug.http`
takes one small function from `urllib.request`, and reads and writes dates with `email.utils`. With
`http.client`, `ssl`, `socket` and `email` they make up more than half of the time that `import
erlen` would take. These modules are therefore put in place unexecuted. They execute when somebody
asks for what they define, with the result that a plain import has. Source:
`importlib.util.LazyLoader` of the standard library, which cannot do this for packages.
"""

from __future__ import annotations

import sys
from _thread import RLock
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# One for each: the code of a module imports others, and waits for threads that are importing them.
_locks: dict[ModuleType, RLock] = {}
# Modules whose code is running, each on the thread that has its lock.
_in_progress: set[ModuleType] = set()
# Names that the import system and `inspect` look for in any module.
_ASKED_BY_IMPORT = frozenset({"__path__", "__wrapped__"})


class _Unexecuted(ModuleType):
    """A module whose code has not run; a package's submodules can be imported all the same."""

    def __getattr__(self, name: str) -> Any:
        if name in _ASKED_BY_IMPORT:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        if "__path__" in vars(self) and find_spec(f"{self.__name__}.{name}") is not None:
            return import_module(f"{self.__name__}.{name}")
        _execute(self)
        if isinstance(self, _Unexecuted):  # its own code asks, for what it has not defined yet
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return getattr(self, name)


class _UnexecutedModule(_Unexecuted):
    """One without submodules: what is assigned to it must not be overwritten later."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("__"):
            _execute(self)
        super().__setattr__(name, value)


def _execute(module: ModuleType) -> None:
    """Run the module's code, or wait for the thread that does; once."""
    with _locks[module]:
        if module in _in_progress or not isinstance(module, _Unexecuted):
            return
        spec = module.__spec__
        assert spec is not None and spec.loader is not None
        _in_progress.add(module)
        try:
            spec.loader.exec_module(module)
        finally:
            _in_progress.discard(module)
        # Not before: threads that find a name missing come here and wait.
        module.__class__ = ModuleType  # type: ignore[assignment]


def defer(name: str, **stand_ins: Any) -> None:
    """Put a module in place unexecuted, unless it has been imported already.

    `stand_ins` are set in it until it executes, for those who import these names at once.
    """
    if name in sys.modules:
        return
    spec = find_spec(name)
    if spec is None:
        return  # the import that follows tells
    module = module_from_spec(spec)
    _locks[module] = RLock()
    vars(module).update(stand_ins)
    module.__class__ = _Unexecuted if spec.submodule_search_locations else _UnexecutedModule
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    if parent:  # `find_spec` has imported it
        setattr(sys.modules[parent], child, module)


def _parse_http_list(s: str) -> list[str]:
    """`urllib.request.parse_http_list`, imported when it is called."""
    module: Any = sys.modules["urllib.request"]
    _execute(module)
    return module.parse_http_list(s)  # type: ignore[no-any-return]


defer("werkzeug")
defer("urllib.request", parse_http_list=_parse_http_list)
defer("email.utils")

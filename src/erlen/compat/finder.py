"""Import and metadata finders that make ``flask`` mean Erlen.

The start-up hook loads this file by itself, and a process that never imports ``flask`` should not
pay for Erlen. So it imports as good as nothing; it costs 1 ms.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec

TYPE_CHECKING = False  # PERF: `typing` would be most of the cost
if TYPE_CHECKING:
    import collections.abc as cabc
    from importlib.metadata import Distribution
    from types import CodeType, ModuleType
    from typing import Any

ROOT = "flask"

#: Modules that Erlen has under the same name: `flask.app` is `erlen.app`, one object.
SHARED = frozenset(
    f"{ROOT}.{name}"
    for name in (
        "app",
        "blueprints",
        "cli",
        "config",
        "ctx",
        "debughelpers",
        "globals",
        "helpers",
        "json",
        "json.provider",
        "json.tag",
        "logging",
        "sessions",
        "signals",
        "templating",
        "testing",
        "typing",
        "views",
        "wrappers",
    )
)

#: Modules that only Flask has, and where Erlen keeps what is in them: the first that has a name.
GATHERED = {
    f"{ROOT}.sansio": (),
    f"{ROOT}.sansio.app": ("app", "scaffold", "helpers", "stages"),
    f"{ROOT}.sansio.blueprints": ("blueprints", "scaffold"),
    f"{ROOT}.sansio.scaffold": ("scaffold", "app", "paths"),
}

#: What `import flask` alone makes available as attributes; here each is imported on first access.
EAGER_IN_FLASK = frozenset(
    (
        *("app", "blueprints", "cli", "config", "ctx", "globals", "helpers", "json", "logging"),
        *("sansio", "sessions", "signals", "templating", "typing", "wrappers"),
    )
)

MAIN = f"{ROOT}.__main__"
MAIN_SOURCE = (
    f'"""``python -m {ROOT}``: the command line."""\n\nfrom {ROOT}.cli import main\n\nmain()\n'
)


def _at_home(name: str) -> str:
    """The name of Erlen's module: `flask.json.tag` → `erlen.json.tag`."""
    return "erlen" + name[len(ROOT) :]


def _metadata() -> Any:
    """The module beside this one, loaded without its packages: those are all of Erlen."""
    name = "erlen.compat.metadata"
    if name not in sys.modules:
        from importlib.util import module_from_spec, spec_from_file_location

        spec = spec_from_file_location(name, __file__.replace("finder.py", "metadata.py"))
        assert spec is not None and spec.loader is not None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[name] = module
    return sys.modules[name]


def _warn_of_version() -> Any:
    import warnings

    warnings.warn(
        "The '__version__' attribute is deprecated and will be removed in Flask 3.2. Use feature"
        " detection or 'importlib.metadata.version(\"flask\")' instead.",
        DeprecationWarning,
        stacklevel=3,
    )
    return _metadata().FLASK_VERSION


class AliasLoader:
    """Loads `flask` and the modules below it, from Erlen's."""

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        name = spec.name
        if name not in SHARED:
            return None  # an empty module, for `exec_module` to fill
        shared = import_module(_at_home(name))
        spec.loader_state = shared.__spec__
        return shared

    def exec_module(self, module: ModuleType) -> None:
        spec = module.__spec__
        assert spec is not None
        name = spec.name
        if name in SHARED:
            # The import system has put its own there, which would break relative imports.
            module.__spec__ = spec.loader_state
            _offer(module, name)
        elif name == ROOT:
            _fill_root(module)
        elif name == MAIN:
            exec(self.get_code(name), module.__dict__)
        else:
            _fill_gathered(module)

    # What `runpy` asks for, so that `python -m flask` works.

    def get_code(self, fullname: str) -> CodeType:
        """The code of `flask.__main__`; the other modules are not made from code."""
        if fullname != MAIN:
            raise ImportError(f"{fullname} is not made from source", name=fullname)
        return compile(MAIN_SOURCE, "<erlen.compat>", "exec")

    def get_source(self, fullname: str) -> str | None:
        return MAIN_SOURCE if fullname == MAIN else None


def _fill_root(module: ModuleType) -> None:
    """Make the package `flask`: Erlen's names, other modules and version when they are asked for.

    It is a module of its own, since its version, path and name differ from Erlen's.
    """
    erlen = import_module("erlen")
    for name, value in vars(erlen).items():
        # Erlen's modules are not all Flask's.
        if not name.startswith("_") and not isinstance(value, type(sys)):
            setattr(module, name, value)
    for name in SHARED:
        loaded = sys.modules.get(_at_home(name))
        if loaded is not None:
            sys.modules[name] = loaded
            _offer(loaded, name)
            if name.count(".") == 1:
                setattr(module, name.partition(".")[2], loaded)
    module.__doc__ = erlen.__doc__
    module.__file__ = erlen.__file__

    def __getattr__(name: str) -> Any:
        if name == "__version__":
            return _warn_of_version()
        if name in EAGER_IN_FLASK:
            return import_module(f"{ROOT}.{name}")
        raise _no_attribute(module, name)

    module.__getattr__ = __getattr__  # type: ignore[method-assign]
    _name_caller_of_werkzeug()


def _name_caller_of_werkzeug() -> None:
    """Let Werkzeug's warnings about the URL map name the module that Flask's would.

    A filter such as `module="flask.app"` compares `__name__` in the globals of the caller of
    `Map.bind_to_environ`; nothing else reads it there. Relative imports go by `__package__`.
    """
    sys.modules["erlen.app"].__dict__["__name__"] = f"{ROOT}.app"


def _offer(module: ModuleType, name: str, find: Any = None) -> None:
    """Let names that the module of Flask has, and this one lacks, be looked up when used.

    `find` maps a name to the object or raises AttributeError; it is asked last.
    """
    from .imported import places

    known = places(name)
    if find is None:
        if not known:
            return
        find = vars(module).get("__getattr__")

    def __getattr__(wanted: str) -> Any:
        if wanted in known:
            home, there = known[wanted]
            return getattr(import_module(home), there)
        if find is not None:
            return find(wanted)
        raise _no_attribute(module, wanted)

    module.__getattr__ = __getattr__  # type: ignore[method-assign]


def _no_attribute(module: ModuleType, name: str) -> AttributeError:
    message = f"module {module.__name__!r} has no attribute {name!r}"
    return AttributeError(message, name=name, obj=module)


def _fill_gathered(module: ModuleType) -> None:
    """Let a module's names be looked up in those modules of Erlen that have them."""

    def find(wanted: str) -> Any:
        for source in () if wanted.startswith("__") else GATHERED[module.__name__]:
            home = import_module(f"erlen.{source}")
            if hasattr(home, wanted):
                return getattr(home, wanted)
        raise _no_attribute(module, wanted)

    _offer(module, module.__name__, find)


class AliasFinder:
    """Finds `flask` and all below it, before any other finder is asked."""

    def __init__(self) -> None:
        self.loader = AliasLoader()

    def find_spec(
        self,
        fullname: str,
        path: cabc.Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        top, _, below = fullname.partition(".")
        if top != ROOT:
            return None
        if below and fullname not in SHARED and fullname not in GATHERED and fullname != MAIN:
            if path:  # below a shared package, where others would find Erlen's files
                raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
            return None
        is_package = fullname == ROOT or f"{fullname}.app" in GATHERED
        loader: Any = self.loader
        spec = ModuleSpec(fullname, loader, is_package=is_package)
        if fullname == MAIN:
            # The reloader tells by the file's name that a package was run.
            spec.origin = __file__.replace("finder.py", "__main__.py")
        return spec

    def find_distributions(self, context: Any = None) -> cabc.Iterable[Distribution]:
        """Flask's metadata, where all of the path is searched for it."""
        return _metadata().find_flask(context)  # type: ignore[no-any-return]


def _foreign_flask() -> ModuleType | None:
    """The real Flask, or a part of it, if this process has imported it already."""
    for name, module in sys.modules.items():
        if name.partition(".")[0] == ROOT and module is not None:
            return module
    return None


def install() -> None:
    """Make `flask` and the modules below it resolve to Erlen in this process; once is enough.

    Raises RuntimeError if the real Flask has been imported already.
    """
    if any(isinstance(finder, AliasFinder) for finder in sys.meta_path):
        return
    foreign = _foreign_flask()
    if foreign is not None:
        raise RuntimeError(
            "Erlen cannot stand in for Flask: the real one is already imported"
            f" (module {foreign.__name__!r} from {getattr(foreign, '__file__', None)!r}), and a"
            " process cannot have both under one name. Call 'erlen.compat.install()' before the"
            " first 'import flask', or start the process with the environment variable"
            " ERLEN_AS_FLASK=1 or with 'python -m erlen.compat'."
        )
    sys.meta_path.insert(0, AliasFinder())

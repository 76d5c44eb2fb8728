"""``python -m erlen.compat script.py [args]`` or ``-m module [args]``: run it on Erlen."""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Callable
from pkgutil import get_importer
from types import ModuleType

from .finder import install

USAGE = "usage: python -m erlen.compat script.py [args ...] | -m module [args ...]"


def run_module(name: str) -> None:
    """Run a module or package as ``python -m`` would."""
    runpy.run_module(name, run_name="__main__", alter_sys=True)


def run_script(path: str) -> None:
    """Run a file as Python would: in a fresh `__main__`, its folder in front of the path."""
    if get_importer(path) is not None:  # a folder or archive with a `__main__`
        runpy.run_path(path, run_name="__main__")
        return
    if not getattr(sys.flags, "safe_path", False):
        sys.path[0] = os.path.dirname(os.path.realpath(path))
    # Neither spec nor package: by this the reloader sees that a file was run.
    main = ModuleType("__main__")
    main.__dict__.update(__file__=path, __builtins__=__builtins__, __package__=None)
    sys.modules["__main__"] = main
    with open(path, "rb") as file:
        code = compile(file.read(), path, "exec")
    exec(code, main.__dict__)


def main() -> None:
    """Install the alias, here and for child processes, and run what the arguments say."""
    run: Callable[[str], None]
    match sys.argv[1:]:
        case ["-m", module, *rest]:
            run, target = run_module, module
        case [path, *rest] if not path.startswith("-"):
            run, target = run_script, path
        case ["-h" | "--help"]:
            print(USAGE)
            return
        case _:
            sys.exit(USAGE)
    install()
    os.environ["ERLEN_AS_FLASK"] = "1"
    sys.argv[:] = [target, *rest]
    run(target)


if __name__ == "__main__":
    main()

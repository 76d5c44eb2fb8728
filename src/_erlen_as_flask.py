"""Installs the alias when Python starts, where ``ERLEN_AS_FLASK`` is set.

Imported by ``erlen_as_flask.pth``. Loads the finder's file by itself: importing `erlen.compat`
would import all of Erlen into processes that may never import ``flask``.
"""

import os
import sys
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader

OFF = ("", "0", "false", "no", "off")


def install() -> None:
    """Put the finder in place, under the name that it has in Erlen."""
    package = PathFinder.find_spec("erlen")
    if package is None or not package.submodule_search_locations:
        raise ImportError("ERLEN_AS_FLASK is set, but Erlen is not installed in this Python.")
    name = "erlen.compat.finder"
    file = os.path.join(package.submodule_search_locations[0], "compat", "finder.py")
    loader = SourceFileLoader(name, file)
    finder = type(sys)(name)
    finder.__spec__ = ModuleSpec(name, loader, origin=file)
    finder.__loader__ = loader
    finder.__package__ = "erlen.compat"
    finder.__file__ = file
    sys.modules[name] = finder
    loader.exec_module(finder)
    finder.install()


if os.environ.get("ERLEN_AS_FLASK", "").lower() not in OFF:
    install()

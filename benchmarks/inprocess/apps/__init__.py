"""The same routes, once per framework: each module has ``build(route_set) -> WSGI application``."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

FILES = Path(__file__).resolve().parent.parent / "files"
#: framework → the module here that builds its application, and the distribution it needs
FRAMEWORKS = {
    "erlen": ("flask_api", "erlen"),
    "flask": ("flask_api", "flask"),
    "falcon": ("falcon_app", "falcon"),
    "bottle": ("bottle_app", "bottle"),
    "wsgi": ("bare", None),
}


def build(framework: str, route_set: str) -> Any:
    """Return the framework's application for a route set."""
    module, distribution = FRAMEWORKS[framework]
    maker = import_module(f"{__name__}.{module}")
    if module == "flask_api":
        return maker.build(import_module(str(distribution)), route_set)
    return maker.build(route_set)

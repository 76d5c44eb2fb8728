"""The sources of a project."""

from __future__ import annotations

import ast
import typing as t
from pathlib import Path

_SKIPPED = {"node_modules", "site-packages", "build", "dist", "__pycache__"}


def sources(folder: Path) -> t.Iterator[Path]:
    """The Python files of a project, without environments and what is made from it."""
    try:
        inside = sorted(folder.iterdir())
    except OSError:
        return  # it may not be read: nothing that could be imported either
    for path in inside:
        if path.is_dir():
            hidden = path.name.startswith(".") or path.name in _SKIPPED
            # A link may lead back, or out of the project.
            if not hidden and not path.is_symlink() and not (path / "pyvenv.cfg").exists():
                yield from sources(path)
        elif path.suffix == ".py":
            yield path


def parsed(path: Path) -> ast.Module | None:
    try:
        return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, OSError):
        return None  # for another Python, or no source at all: nothing to import either

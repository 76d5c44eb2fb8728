"""Which names of Flask and Werkzeug an application and its extensions use, read from sources."""

from __future__ import annotations

import ast
import re
import sys
import typing as t
from collections import defaultdict
from importlib import metadata
from importlib.machinery import PathFinder
from pathlib import Path

from .children import Children
from .findings import Part
from .sources import parsed, sources

Tell = t.Callable[[str], None]
Uses = dict[str, list[str]]

_ROOTS = ("flask", "werkzeug", "erlen")
#: What an object is an instance of, by the name in Flask that it comes from.
_PROXIES = {"current_app", "request", "Flask", "Blueprint"}
#: Whose attributes are the application's.
_USERS_OWN = {"g", "session"}
#: Places that are told of one name.
_MOST_PLACES = 3


def check(children: Children, tell: Tell) -> Part:
    """Look up every name that is used, on both engines."""
    part = Part("names")
    uses: Uses = defaultdict(list)
    own = [*sources(children.folder)]
    for name, places in _uses_in(own, children.folder).items():
        uses[name] += places
    elsewhere = _installed(children)
    if elsewhere is not None:
        inside = [*sources(elsewhere)]
        for name, places in _uses_in(inside, elsewhere.parent).items():
            uses[name] += places
        own += inside
    extensions = _extensions(own)
    for distribution in extensions:
        tell(f"reading {distribution.metadata['Name']}")
        for name, places in _uses_in(*_files_of(distribution)).items():
            uses[name] += places
    names = sorted(uses)
    tell(f"{len(names)} names")
    flask = children.run("flask", "names", names=names)
    erlen = children.run("erlen", "names", names=names)
    for name in names:
        where = ", ".join(uses[name][:_MOST_PLACES])
        if flask[name] and not erlen[name]:
            part.add("difference", "name-missing", f"{name} is not there on Erlen", where)
        elif _is_private(name) and flask[name]:
            part.add("note", "name-private", f"{name} is private, and there on Erlen", where)
    part.figures = {
        "names": len(names),
        "on Flask": sum(flask[name] for name in names),
        "on Erlen": sum(erlen[name] for name in names),
        "private": sum(map(_is_private, names)),
        "extensions": ", ".join(
            f"{found.metadata['Name']} {found.version}" for found in extensions
        ),
    }
    return part


def _is_private(name: str) -> bool:
    return any(word.startswith("_") and not word.endswith("__") for word in name.split("."))


def _installed(children: Children) -> Path | None:
    """The folder of the target's package, where it is not in the project's."""
    top = re.split(r"[.:]", children.target or "")[0]
    found = PathFinder.find_spec(top, [str(children.folder), *sys.path]) if top else None
    if found is None or not found.submodule_search_locations:
        return None
    folder = Path(next(iter(found.submodule_search_locations)))
    return None if folder.is_relative_to(children.folder) else folder


def _files_of(distribution: metadata.Distribution) -> tuple[list[Path], Path]:
    base = Path(str(distribution.locate_file("")))
    files = [base / str(file) for file in distribution.files or () if file.suffix == ".py"]
    return [file for file in files if file.exists()], base


def _extensions(own: list[Path]) -> list[metadata.Distribution]:
    """Installed packages that stand on Flask and that the project, or one of them, imports."""
    on_flask = {}
    for distribution in metadata.distributions():
        wanted = {_normal(re.split(r"[^\w.-]", line)[0]) for line in distribution.requires or ()}
        if "flask" in wanted:
            on_flask[_normal(distribution.metadata["Name"])] = distribution
    imported_by: dict[str, list[str]] = defaultdict(list)
    for module, owners in metadata.packages_distributions().items():
        for owner in owners:
            imported_by[_normal(owner)].append(module)
    modules = _imported(own)
    found: dict[str, metadata.Distribution] = {}
    while True:
        new = {
            name: distribution
            for name, distribution in on_flask.items()
            if name not in found and modules & {*imported_by[name]}
        }
        if not new:
            return [found[name] for name in sorted(found)]
        found |= new
        for distribution in new.values():
            modules |= _imported(_files_of(distribution)[0])


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _imported(paths: t.Iterable[Path]) -> set[str]:
    found = set()
    for path in paths:
        tree = parsed(path)
        for node in ast.walk(tree) if tree is not None else ():
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found - {*sys.stdlib_module_names}


def _uses_in(paths: t.Iterable[Path], base: Path) -> Uses:
    uses: Uses = defaultdict(list)
    for path in paths:
        tree = parsed(path)
        if tree is None:
            continue
        reader = _Reader()
        reader.visit(tree)
        for name, line in reader.found:
            place = f"{path.relative_to(base)}:{line}"
            if len(uses[name]) < _MOST_PLACES:
                uses[name].append(place)
    return uses


def _in_flask(name: str) -> str:
    """The name that Flask has for one of Erlen's: the import may be swapped already."""
    parts = name.split(".")
    if parts[0] != "erlen":
        return name
    return ".".join(["flask", *("Flask" if part == "Erlen" else part for part in parts[1:])])


class _Reader(ast.NodeVisitor):
    """Follows what is imported from Flask and Werkzeug through the attributes that are read."""

    def __init__(self) -> None:
        self.found: list[tuple[str, int]] = []
        #: local name → dotted name that it stands for
        self._bound: dict[str, str] = {}

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            top = alias.name.partition(".")[0]
            if top in _ROOTS:
                self._bound[alias.asname or top] = _in_flask(alias.name if alias.asname else top)
                self.found.append((_in_flask(alias.name), node.lineno))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        if node.level or module.partition(".")[0] not in _ROOTS:
            return
        for alias in node.names:
            name = _in_flask(module if alias.name == "*" else f"{module}.{alias.name}")
            self._bound[alias.asname or alias.name] = name
            self.found.append((name, node.lineno))

    def visit_Assign(self, node: ast.Assign) -> None:
        """`app = Flask(...)`: what is read from `app` is read from an application."""
        self.generic_visit(node)
        if isinstance(node.value, ast.Call):
            made = self._name_of(node.value.func)
            if made in ("flask.Flask", "flask.Blueprint"):
                for target in node.targets:
                    if isinstance(target, ast.Name):
                        self._bound[target.id] = made

    def visit_Attribute(self, node: ast.Attribute) -> None:
        name = self._name_of(node)
        if name is None:
            self.generic_visit(node)
        elif isinstance(node.ctx, ast.Load) and self._says_something(name):
            self.found.append((name, node.lineno))

    def _says_something(self, name: str) -> bool:
        """Attributes of objects count one deep: what lies behind is mostly the user's own."""
        parts = name.split(".")
        for position, part in enumerate(parts):
            if part in _PROXIES:
                return len(parts) == position + 2
            if part in _USERS_OWN:
                return False
        return True

    def _name_of(self, node: ast.expr) -> str | None:
        if isinstance(node, ast.Name):
            return self._bound.get(node.id)
        if isinstance(node, ast.Attribute):
            inner = self._name_of(node.value)
            return f"{inner}.{node.attr}" if inner else None
        return None

"""``python -m conformance originality``: how much of Erlen's code reads like that of its peers.

Measured over the functions with a body of five lines or more, as ``ast.unparse`` prints it without
docstrings and signature. A function reads like another when difflib finds their bodies alike by 0.8
or more, as text or as a sequence of lines. The share is that of the lines, and 4 % is the most.
"""

from __future__ import annotations

import argparse
import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property
from pathlib import Path

from .environments import ROOT, say, source_of

ALIKE = 0.8
SHORTEST = 5
MOST = 0.04
#: name → version, and the package inside its source distribution
PEERS = {
    "flask": ("3.1.3", "src/flask"),
    "quart": ("0.20.0", "src/quart"),
    "starlette": ("0.50.0", "starlette"),
    "fastapi": ("0.121.1", "fastapi"),
}


@dataclass(frozen=True)
class Function:
    """A function and its body, printed anew."""

    place: str
    body: str

    @cached_property
    def lines(self) -> list[str]:
        return self.body.splitlines()

    @cached_property
    def letters(self) -> Counter[str]:
        return Counter(self.body)


@dataclass(frozen=True)
class Likeness:
    ours: Function
    theirs: Function
    ratio: float


class WithoutDocstrings(ast.NodeTransformer):
    """Drops docstrings, also those of functions and classes inside."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:] or [ast.Pass()]
        return node


def functions_of(package: Path) -> Iterator[Function]:
    """All functions below a folder, nested ones and methods too."""
    for file in sorted(package.rglob("*.py")):
        tree = WithoutDocstrings().visit(ast.parse(file.read_text(encoding="utf-8")))
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                body = ast.unparse(ast.Module(body=node.body, type_ignores=[]))
                place = f"{file.relative_to(package.parent).as_posix()}:{node.lineno} {node.name}"
                yield Function(place, body)


def can_be_alike(ours: Function, theirs: Function) -> bool:
    """Whether the two bodies share enough letters, in any order; cheap, and never wrongly false."""
    least = ALIKE * (len(ours.body) + len(theirs.body)) / 2
    if min(len(ours.body), len(theirs.body)) < least:
        return False
    return (ours.letters & theirs.letters).total() >= least


def can_share_lines(ours: Function, theirs: Function) -> bool:
    least = ALIKE * (len(ours.lines) + len(theirs.lines)) / 2
    return len(set(ours.lines) & set(theirs.lines)) > 0 and (
        min(len(ours.lines), len(theirs.lines)) >= least
    )


def most_alike(ours: Function, peers: Iterable[Function]) -> Likeness | None:
    """The peer's function that reads most like ours, if any does."""
    best: Likeness | None = None
    text = SequenceMatcher(None, "", ours.body, autojunk=False)
    lines = SequenceMatcher(None, [], ours.lines, autojunk=False)
    for theirs in peers:
        ratio = 0.0
        if can_be_alike(ours, theirs):
            text.set_seq1(theirs.body)
            ratio = text.ratio()
        if ratio < ALIKE and can_share_lines(ours, theirs):
            lines.set_seq1(theirs.lines)
            ratio = max(ratio, lines.ratio())
        if ratio >= ALIKE and (best is None or ratio > best.ratio):
            best = Likeness(ours, theirs, ratio)
    return best


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--all", action="store_true", help="also Quart, Starlette and FastAPI")
    parser.add_argument("--package", type=Path, default=ROOT / "src/erlen", help="what to measure")


def run(options: argparse.Namespace) -> int:
    """Measure, print what reads alike, and return 0 when the share is small enough."""
    ours = [f for f in functions_of(options.package) if len(f.lines) >= SHORTEST]
    total = sum(len(function.lines) for function in ours)
    failed = 0
    names = list(PEERS) if options.all else ["flask"]
    for name in names:
        version, folder = PEERS[name]
        peers = list(functions_of(source_of(name, version) / folder))
        found = [likeness for f in ours if (likeness := most_alike(f, peers))]
        alike = sum(len(likeness.ours.lines) for likeness in found)
        share = alike / total if total else 0.0
        failed += share > MOST
        for likeness in sorted(found, key=lambda found: -len(found.ours.lines)):
            say(
                f"{likeness.ratio:5.2f}  {len(likeness.ours.lines):3} lines  "
                f"{likeness.ours.place}  ~  {likeness.theirs.place}"
            )
        say(
            f"{name} {version}: {alike} of {total} lines in {len(found)} of {len(ours)} functions "
            f"read alike: {share:.1%} (at most {MOST:.0%})"
        )
    say(f"{len(names) - failed} passed, {failed} failed")
    return 1 if failed or not total else 0

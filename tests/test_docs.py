"""README and docs are true: their code runs, their commands exist, their links lead somewhere.

Each page's ``python`` blocks make up one program; then its ``pycon`` blocks are asked of it, as
doctests. Both run in a fresh interpreter with the alias on. A block that starts with a comment
such as ``# hello.py`` is also put into that file, for the page's commands.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    from pip._vendor import tomli as tomllib

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "examples/README.md"]
PAGES += sorted(ROOT.glob("examples/*/README.md")) + sorted(ROOT.glob("docs/*.md"))
# Pages whose code has tests of its own.
OTHERS = {"cli.md", "deploying.md"}
MINE = [page for page in PAGES if page.name not in OTHERS]

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")

RUN = """
import doctest, pathlib, sys, types
sys.modules["page"] = types.ModuleType("page")
program = vars(sys.modules["page"])
exec(compile(pathlib.Path("page.py").read_text("utf-8"), "page.py", "exec"), program)
questions = doctest.DocTestParser().get_doctest(
    pathlib.Path("page.txt").read_text("utf-8"), program, "page", "page", 0
)
results = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(questions)
print(f"{results.attempted} asked, {results.failed} failed")
sys.exit(results.failed > 0)
"""


class Block(NamedTuple):
    language: str
    text: str


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    return [Block(*found) for found in FENCE.findall(page.read_text("utf-8"))]


def commands() -> list[tuple[str, str]]:
    """Each command that a page shows, with the page's name."""
    shown = []
    for page in MINE:
        for block in blocks(page):
            if block.language == "console":
                lines = re.findall(r"^\$ (.*)$", block.text, re.M)
                shown += [(name_of(page), part) for line in lines for part in line.split(" && ")]
    return shown


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", MINE, ids=name_of)
def test_the_code_of_a_page_runs_and_answers_as_shown(page: Path, tmp_path: Path) -> None:
    code = [block.text for block in blocks(page) if block.language == "python"]
    asked = [block.text for block in blocks(page) if block.language == "pycon"]
    if not code and not asked:
        return
    for text in code:
        if named := re.match(r"# (\w+\.py)\n", text):
            (tmp_path / named[1]).write_text(text, "utf-8")
    (tmp_path / "page.py").write_text("\n".join(code), "utf-8")
    (tmp_path / "page.txt").write_text("\n".join(asked), "utf-8")
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-W", "error", "-c", RUN],
        cwd=tmp_path,
        env={**os.environ, "ERLEN_AS_FLASK": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=50,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert ("0 asked" in done.stdout) == (not asked)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(FENCE.sub("", page.read_text("utf-8"))):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def environment_of(page: str, command: str, folder: Path) -> tuple[list[str], dict[str, str]]:
    """The words of a command without what the shell takes from it, and its variables."""
    words = shlex.split(command)
    variables = {}
    while re.match(r"[A-Z_]+=", words[0]):
        name, _, variables[name] = words.pop(0).partition("=")
    words[0] = words[0].removeprefix(".venv/bin/")
    return words, {**os.environ, **variables}


def check_install(words: list[str]) -> None:
    """What is installed exists: the extras and the files of requirements."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for place, word in enumerate(words):
        if word == "-r":
            assert (ROOT / words[place + 1]).is_file(), words
        if extras := re.fullmatch(r"(?:\.|erlen)\[([\w,]+)\]", word):
            assert set(extras[1].split(",")) <= set(project["optional-dependencies"]), words


def check_erlen(words: list[str], folder: Path, env: dict[str, str]) -> None:
    """Its application loads and it knows the options: asked for help, it says no more."""
    for place, word in enumerate(words):
        if word == "--app" and words[place + 1].startswith("examples/"):
            assert (ROOT / words[place + 1]).exists() or (
                ROOT / (words[place + 1] + ".py")
            ).exists(), words
    command = [sys.executable, "-m", "erlen", *words[1:], "--help"]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    assert "Usage:" in done.stdout


@pytest.mark.parametrize(("page", "command"), commands())
def test_commands_are_right(page: str, command: str, tmp_path: Path) -> None:
    """Every command shown is known here, and what it names exists."""
    for block in blocks(ROOT / page):
        if named := re.match(r"# (\w+\.py)\n", block.text):
            (tmp_path / named[1]).write_text(block.text, "utf-8")
    words, env = environment_of(page, command, tmp_path)
    match words:
        case ["pip" | "uv", "install", *rest]:
            check_install(rest)
        case ["erlen", "--app", app, *rest] if app.startswith("examples/"):
            for needed in ("sklearn", "PIL") if "digits" in app else ():
                pytest.importorskip(needed, reason=f"{needed} is not installed")
            check_erlen(words, ROOT, env)
        case ["erlen", *_]:
            check_erlen(words, tmp_path, env)
        case ["python", "-m", "erlen.compat" | "pytest" | "venv" | "benchmarks.inprocess", *_]:
            pass
        case ["python", folder] if folder.startswith("examples/"):
            assert (ROOT / folder / "__main__.py").is_file()
        case ["python", "train.py"]:
            assert (ROOT / page).with_name("train.py").is_file()
        case ["cd", folder]:
            assert (ROOT / folder).is_dir()
        case ["gunicorn", "shop:app", *_]:
            assert page == "docs/from-flask.md"  # started by test_from_flask.py
        case ["curl", *_] | ["gunicorn", "--workers", "4", "app:app"] | ["celery", *_]:
            pass
        case _:
            pytest.fail(f"{page} shows a command that is not checked: {command}")


def test_the_deviations_told_are_the_deviations_listed() -> None:
    file = ROOT / "conformance" / "deviations.toml"
    listed = tomllib.loads(file.read_text("utf-8")).get("deviation", [])
    page = (ROOT / "docs" / "differences.md").read_text("utf-8")
    told = page.partition("<!-- deviations")[2].partition("<!-- /deviations -->")[0]
    assert ("None." in told) == (not listed)
    for deviation in listed:
        assert deviation["test"] in told
        assert deviation["reason"] in told


def test_every_example_is_in_the_list_of_examples() -> None:
    page = (ROOT / "examples" / "README.md").read_text("utf-8")
    for folder in (ROOT / "examples").iterdir():
        if folder.is_dir() and any(folder.glob("*.py")):
            assert f"[{folder.name}]({folder.name})" in page


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text("utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "index.md" or f"({page.name})" in index

"""The type hints, as mypy (strict) and pyright see them: `type_check`, and Flask's own programs."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent
PROGRAMS = sorted((HERE / "type_check").glob("*.py"))
#: Where `python -m conformance flask` keeps Flask's source distribution.
KEPT = Path(os.environ.get("ERLEN_CONFORMANCE_CACHE") or ROOT / ".conformance")
FLASKS_OWN = KEPT / "sources" / "flask-3.1.3" / "tests" / "type_check"

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def mypy(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed")
    kept = tmp_path_factory.mktemp("mypy")
    return [sys.executable, "-m", "mypy", "--config-file=", "--strict", f"--cache-dir={kept}"]


@pytest.fixture(scope="module")
def pyright() -> list[str]:
    """The wrapper from the package index fetches what it wraps, which may not be possible here."""
    if importlib.util.find_spec("pyright") is None:
        pytest.skip("pyright is not installed")
    command = [sys.executable, "-m", "pyright"]
    started = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=200)
    if started.returncode:
        pytest.skip(f"pyright does not start: {(started.stderr or started.stdout).strip()[-200:]}")
    return [*command, f"--pythonpath={sys.executable}"]


@pytest.fixture(params=["mypy", "pyright"])
def checker(request: pytest.FixtureRequest) -> list[str]:
    command: list[str] = request.getfixturevalue(request.param)
    return command


def complaints(checker: list[str], files: list[Path], folder: Path) -> str:
    """What a checker says of files, if it is not satisfied."""
    done = subprocess.run(
        [*checker, *map(str, files)],
        cwd=folder,
        env={**os.environ, "MYPYPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    return done.stdout + done.stderr if done.returncode else ""


def test_programs_that_use_erlen_pass(checker: list[str], tmp_path: Path) -> None:
    assert len(PROGRAMS) == 6
    assert complaints(checker, PROGRAMS, tmp_path) == ""


def test_flasks_own_programs_pass_on_erlen(checker: list[str], tmp_path: Path) -> None:
    if not FLASKS_OWN.is_dir():
        pytest.skip("Flask's source distribution is not here: run `python -m conformance flask`")
    files = []
    for program in sorted(FLASKS_OWN.glob("*.py")):
        files.append(tmp_path / program.name)
        files[-1].write_text(program.read_text().replace("from flask", "from erlen"))
    assert len(files) == 3
    assert complaints(checker, files, tmp_path) == ""


#: Examples with the packages that they need, where these have types themselves.
EXAMPLES = {
    "blog": (),
    "chat": (),
    "hello": (),
    "llm_proxy": ("aiohttp",),
    "sandbox": (),
    "store": ("pydantic", "sqlalchemy"),
}


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_have_no_mistakes(example: str, checker: list[str], tmp_path: Path) -> None:
    for package in EXAMPLES[example]:
        pytest.importorskip(package, reason=f"{package} is not installed")
    assert complaints(checker, [ROOT / "examples" / example], tmp_path) == ""


SEEDED = HERE / "type_check" / "mistakes" / "calls.py"


def test_each_mistake_between_views_and_calls_of_them_is_found(
    checker: list[str], tmp_path: Path
) -> None:
    lines = enumerate(SEEDED.read_text("utf-8").splitlines(), 1)
    seeded = {number for number, line in lines if "  # E: " in line}
    assert len(seeded) == 47
    found = complaints(checker, [SEEDED], tmp_path)
    assert {int(line) for line in re.findall(r"calls\.py:(\d+)\b.*\berror\b", found)} == seeded


MISTAKES = [
    "erlen.Erlen(1)",
    "erlen.url_for(1)",
    "erlen.request.args['x'] + 1",
    "erlen.Erlen('x').config.from_file('x', load=1)",
    "erlen.render_template(x=1)",
    "erlen.Erlen('x').route(1)",
    "erlen.flash('x', category=1)",
    "erlen.session.permanent = 'x'",
]


def test_mistakes_are_found(checker: list[str], tmp_path: Path) -> None:
    program = tmp_path / "mistaken.py"
    program.write_text("\n".join(["import erlen", *MISTAKES, "erlen.Erlen('x')"]))
    found = complaints(checker, [program], tmp_path)
    lines = {int(line) for line in re.findall(r"mistaken\.py:(\d+)", found)}
    assert lines == {*range(2, len(MISTAKES) + 2)}

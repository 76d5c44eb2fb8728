"""The shop of docs/from-flask.md: it is compared as the page says, and served as the page says."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from test_deploying import Documented

TEXT = (Path(__file__).parent.parent / "docs" / "from-flask.md").read_text("utf-8")

(SHOP,) = re.findall(r"```python\n(# shop\.py\n.*?)```", TEXT, re.DOTALL)
COMMANDS = [shlex.split(line) for line in re.findall(r"^\$ (.*)", TEXT, re.MULTILINE)]
SERVED = [command for command in COMMANDS if "127.0.0.1:8000" in command]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(SHOP, "utf-8")
    return tmp_path


def test_the_page_shows_three_ways_to_serve() -> None:
    programs = [command[1 if "=" in command[0] else 0] for command in SERVED]
    assert programs == ["gunicorn", "gunicorn", "erlen"]


@pytest.mark.live
@pytest.mark.parametrize("command", SERVED, ids=" ".join)
def test_the_shop_is_served(command: list[str], folder: Path) -> None:
    server = Documented(command, folder)
    try:
        assert json.loads(server.fetch("GET", "/teas/sencha")[1]) == {"name": "sencha", "price": 7}
        assert server.fetch("GET", "/")[1] == b"assam, sencha"
        assert server.fetch("GET", "/teas/coffee")[0].status == 404
    finally:
        server.stop()


def test_the_shop_behaves_alike(folder: Path) -> None:
    pytest.importorskip("flask", reason="Flask is not installed")
    pytest.importorskip("rich", reason="rich is not installed")
    (check,) = (command for command in COMMANDS if command[:2] == ["erlen", "check"])
    done = subprocess.run(
        [sys.executable, "-m", *check, "--json", "report.json"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=55,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((folder / "report.json").read_text("utf-8"))
    assert report["differences"] == 0
    routes = next(part for part in report["parts"] if part["section"] == "routes")
    assert routes["figures"]["requests"] > 20

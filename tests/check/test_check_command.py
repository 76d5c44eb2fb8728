"""`erlen check` as it is typed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("flask", reason="Flask is not installed")
pytest.importorskip("rich", reason="rich is not installed")

EXAMPLES = Path(__file__).parents[2] / "examples"


def check(folder, *arguments):
    """Exit status, and what was written."""
    command = [sys.executable, "-m", "erlen", "check", *arguments]
    environment = {**os.environ, "COLUMNS": "200", "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("ERLEN_TEST_TRANSPORT", None)
    ended = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=100
    )
    return ended.returncode, ended.stdout + ended.stderr


@pytest.fixture
def project(tmp_path):
    """Writes a file of a project, and gives its folder."""

    def write(name, text):
        (tmp_path / name).write_text(text)
        return tmp_path

    return write


def test_blog_behaves_alike(tmp_path):
    shutil.copytree(EXAMPLES / "blog", tmp_path / "blog", ignore=shutil.ignore_patterns("instance"))
    status, text = check(tmp_path, "blog:create_app()", "--json", "report.json")
    report = json.loads((tmp_path / "report.json").read_text())
    figures = {part["section"]: part["figures"] for part in report["parts"]}
    assert (status, report["differences"]) == (0, 0), text
    assert figures["routes"]["requests"] > 100
    assert figures["names"]["names"] == figures["names"]["on Erlen"]
    assert "No difference" in text


APP = """
import flask
from flask import Flask

app = Flask(__name__)
app.secret_key = "dev"
ON_ERLEN = Flask.__module__ == "erlen.app"


@app.route("/")
def index():
    return "<b>hello</b>" + "!" * ON_ERLEN


if __name__ == "__main__":
    app.run(debug=True)
"""


def test_difference_is_told_and_fails(project):
    folder = project("app.py", APP)
    status, text = check(folder, "--only", "routes", "--html", "report.html")
    page = (folder / "report.html").read_text()
    assert status == 1
    assert "body-text" in text and "GET /" in text
    assert "body-text" in page
    assert "<b>hello</b>" not in page  # it is escaped
    assert "&lt;b&gt;hello&lt;/b&gt;!" in page


def test_set_up_is_judged(project):
    folder = project("app.py", APP)
    status, text = check(folder, "--only", "setup")
    kinds = ["known-secret", "cookie-secure", "any-host", "no-body-limit", "debug-in-source"]
    assert status == 0
    assert [kind for kind in kinds if kind not in text] == []
    assert check(folder, "--only", "setup", "--strict")[0] == 1


def test_own_tests_are_compared_one_by_one(project):
    project("app.py", APP)
    folder = project(
        "test_app.py",
        """
from app import app


def test_alike():
    assert app.test_client().get("/nowhere").status_code == 404


def test_different():
    assert app.test_client().get("/").text == "<b>hello</b>"


def test_broken_on_both():
    assert app.test_client().get("/").text == ""
""",
    )
    status, text = check(folder, "--only", "tests")
    assert status == 1
    assert "test_app.py::test_different" in text and "passed on Flask, failed on Erlen" in text
    assert "1 tests fail on Flask itself" in text
    assert "test_alike" not in text
    assert not (folder / ".pytest_cache").exists() and not (folder / "__pycache__").exists()


def test_private_name_is_told_with_its_place(project):
    folder = project(
        "app.py",
        "import flask.globals\nfrom flask import Flask\n\n\n"
        "def context():\n    return flask.globals._cv_app\n\n\n"
        "app = Flask(__name__)\napp._private_of_flask = 1\n",
    )
    status, text = check(folder, "--only", "names", "-v")
    assert status == 0
    assert "flask.globals._cv_app is private" in text and "app.py:6" in text


def test_nothing_goes_to_other_machines(project):
    folder = project(
        "app.py",
        """
import socket

from flask import Flask

app = Flask(__name__)


@app.route("/")
def index():
    try:
        socket.create_connection(("192.0.2.1", 80), timeout=1)
    except ConnectionRefusedError as error:
        return str(error)
""",
    )
    status, text = check(folder, "--only", "routes")
    assert status == 0
    assert "a connection to 192.0.2.1:80 was refused ('--allow' lets it)" in text


def test_application_that_does_not_start_on_flask_cannot_be_compared(project):
    folder = project("app.py", "raise ValueError('no settings')\n")
    status, text = check(folder, "--only", "routes")
    assert status == 2
    assert "on Flask" in text and "no settings" in text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--only", "routes", "--har", "none.har"), "none.har is no HTTP Archive"),
        (("--only", "tests", "--tests", "-k 'one"), "No closing quotation: -k 'one"),
    ],
    ids=["recording", "arguments"],
)
def test_what_cannot_be_read_is_no_difference(project, arguments, says):
    project("none.har", "{}")
    status, text = check(project("app.py", APP), *arguments)
    assert status == 2
    assert says in text and "Traceback" not in text


def test_application_that_does_not_start_on_erlen_is_a_difference(project):
    folder = project("app.py", f"{APP}\nif ON_ERLEN:\n    raise ValueError('not here')\n")
    status, text = check(folder, "--only", "routes")
    assert status == 1
    assert "process-failed" in text and "not here" in text


def test_unsafe_methods_are_sent_only_when_asked_for(project):
    folder = project(
        "app.py",
        """
from pathlib import Path

from flask import Flask

app = Flask(__name__)


@app.post("/")
def index():
    Path("posted").touch()
    return "posted"
""",
    )
    assert check(folder, "--only", "routes")[0] == 0
    assert not (folder / "posted").exists()
    assert check(folder, "--only", "routes", "--unsafe")[0] == 0
    assert (folder / "posted").exists()


def test_rules_links_static_files_and_conditions_are_explored(project):
    (project("app.py", "") / "static").mkdir()
    (project("static/style.css", "p {}")).joinpath("app.py").write_text(
        """
from flask import Flask, url_for

app = Flask(__name__)


@app.get("/<int:number>")
def page(number):
    return f'<a href="{url_for("hidden", name="x42")}">next</a>'


@app.get("/h/<name>")
def hidden(name):
    return {"found": True} if name == "x42" else ("", 404)
"""
    )
    folder = project("requirements.txt", "")
    status, _ = check(folder, "--only", "routes", "--json", "report.json")
    (part,) = json.loads((folder / "report.json").read_text())["parts"]
    measured = [row["request"] for row in part["figures"]["times"]]
    assert status == 0
    assert {"GET /1", "GET /h/x42", "GET /static/style.css", "GET /x1"} <= {*measured}

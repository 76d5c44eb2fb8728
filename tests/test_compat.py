"""The alias: `flask` means Erlen in a process, from whichever side it was switched on.

Each test runs in an interpreter of its own, since the alias cannot be taken back.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

Run = Callable[..., CompletedProcess[str]]

INSTALL = "from erlen.compat import install; install()\n"

SHARED = [
    "app",
    "blueprints",
    "cli",
    "config",
    "ctx",
    "debughelpers",
    "globals",
    "helpers",
    "json",
    "json.provider",
    "json.tag",
    "logging",
    "sessions",
    "signals",
    "templating",
    "testing",
    "typing",
    "views",
    "wrappers",
]

needs_hook = pytest.mark.skipif(
    importlib.util.find_spec("_erlen_as_flask") is None,
    reason="Erlen is on the path but not installed, so that there is no start-up hook",
)


@pytest.fixture
def run_aliased(run_python: Run) -> Callable[[str], str]:
    """Run code after `install()`; returns what it prints."""

    def run(code: str) -> str:
        done = run_python(INSTALL + code)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


# Modules


@pytest.mark.parametrize("name", SHARED)
def test_a_module_is_the_same_object_under_both_names(
    run_aliased: Callable[[str], str], name: str
) -> None:
    printed = run_aliased(
        f"import sys, flask.{name}, erlen.{name}\n"
        f"shared = sys.modules['erlen.{name}']\n"
        f"print(sys.modules['flask.{name}'] is shared is flask.{name}, shared.__spec__.name)"
    )
    assert printed == f"True erlen.{name}"


def test_the_real_flask_has_no_module_that_the_alias_lacks(
    run_python: Run, real_flask: object
) -> None:
    listed = run_python(
        "import flask, pkgutil\n"
        "for m in pkgutil.walk_packages(flask.__path__, 'flask.'): print(m.name)"
    ).stdout.split()
    assert "flask.json.tag" in listed
    wanted = [name for name in listed if name != "flask.__main__"]
    wanted += ["flask.sansio.app", "flask.sansio.blueprints", "flask.sansio.scaffold"]
    done = run_python(INSTALL + "".join(f"import {name}\n" for name in wanted))
    assert done.stderr == ""


def test_the_names_are_erlens(run_aliased: Callable[[str], str]) -> None:
    printed = run_aliased(
        "import flask, erlen\n"
        "from flask import *\n"
        "print(flask.Flask is erlen.Erlen is Flask, flask.request is erlen.request,\n"
        "      flask.render_template is erlen.render_template, flask.json is erlen.json)"
    )
    assert printed == "True True True True"


def test_importing_flask_gives_all_that_the_real_one_gives(
    run_python: Run, real_flask: object
) -> None:
    listing = "import flask; print(*sorted(n for n in dir(flask) if not n.startswith('_')))"
    real = set(run_python(listing).stdout.split()) - {"annotations", "t"}
    code = f"import flask\nfor name in {real!r}: getattr(flask, name)\n"
    assert run_python(INSTALL + code).stderr == ""


def test_modules_that_are_loaded_late_are_attributes_at_once(
    run_aliased: Callable[[str], str],
) -> None:
    printed = run_aliased(
        "import flask, sys\n"
        "before = 'click' in sys.modules\n"
        "print(before, flask.cli.with_appcontext.__name__, 'click' in sys.modules)"
    )
    assert printed == "False with_appcontext True"


def test_importing_flask_loads_no_more_than_importing_erlen(
    run_aliased: Callable[[str], str],
) -> None:
    printed = run_aliased(
        "import erlen, sys\n"
        "before = set(sys.modules)\n"
        "import flask\n"
        "new = set(sys.modules) - before\n"
        "print(sorted(n for n in new if not n.startswith(('flask', 'erlen.compat'))))"
    )
    assert printed == "[]"


@pytest.mark.parametrize(
    "name",
    ["scaffold", "engine", "state", "sansio.nothing", "json.fast", "testing.client", "cli.params"],
)
def test_what_flask_does_not_have_is_not_found(
    run_aliased: Callable[[str], str], name: str
) -> None:
    printed = run_aliased(
        "try:\n"
        f"    import flask.{name}\n"
        "except ModuleNotFoundError as error:\n"
        "    print(error.name, error)"
    )
    assert printed == f"flask.{name} No module named 'flask.{name}'"


def test_looking_for_a_module_that_flask_does_not_have_says_none(
    run_aliased: Callable[[str], str],
) -> None:
    printed = run_aliased(
        "from importlib.util import find_spec\nprint(find_spec('flask.scaffold'))"
    )
    assert printed == "None"


def test_the_sansio_modules_gather_the_same_classes(run_aliased: Callable[[str], str]) -> None:
    printed = run_aliased(
        "import flask\n"
        "from flask.sansio.app import App\n"
        "from flask.sansio.blueprints import Blueprint, BlueprintSetupState\n"
        "from flask.sansio.scaffold import Scaffold, setupmethod, find_package\n"
        "from flask.sansio.scaffold import _endpoint_from_view_func\n"
        "from flask.blueprints import BlueprintSetupState as State\n"
        "app = flask.Flask('x')\n"
        "print(isinstance(app, App), issubclass(App, Scaffold), issubclass(Blueprint, Scaffold),\n"
        "      Blueprint is flask.Blueprint, State is BlueprintSetupState,\n"
        "      hasattr(flask.sansio.app, 'nothing'))"
    )
    assert printed == "True True True True True False"


def test_a_patch_of_a_module_reaches_erlen(run_aliased: Callable[[str], str]) -> None:
    printed = run_aliased(
        "import flask, erlen\n"
        "from unittest import mock\n"
        "app = erlen.Erlen('x')\n"
        "app.add_url_rule('/', 'view', lambda: 'view')\n"
        "with mock.patch('flask.Flask.__call__', lambda *a: [b'patched']):\n"
        "    print(app({}, None))\n"
        "with mock.patch('flask.templating._render', return_value='patched'):\n"
        "    with app.app_context(): print(flask.render_template_string('x'))"
    )
    assert printed == "[b'patched']\npatched"


def test_contexts_are_shared_between_the_names(run_aliased: Callable[[str], str]) -> None:
    printed = run_aliased(
        "import erlen, flask\n"
        "app = erlen.Erlen('x')\n"
        "with app.test_request_context('/?a=1'):\n"
        "    print(flask.request.args['a'], flask.current_app == app)"
    )
    assert printed == "1 True"


def test_the_class_is_pickled_by_a_name_that_exists_without_the_alias(
    run_aliased: Callable[[str], str],
) -> None:
    printed = run_aliased("import flask, pickle; print(pickle.dumps(flask.Flask, 0).decode())")
    assert printed.startswith("cerlen.app\nErlen")


def test_werkzeugs_warnings_about_the_host_name_the_module_flask_app(
    run_aliased: Callable[[str], str],
) -> None:
    printed = run_aliased(
        "import warnings\n"
        "from flask import Flask\n"
        "app = Flask('x', subdomain_matching=True)\n"
        "app.config['SERVER_NAME'] = 'a.example'\n"
        "warnings.simplefilter('error')\n"
        "warnings.filterwarnings('ignore', message='Current server', module='^flask.app$')\n"
        "print(app.test_client().get('/', base_url='http://b.example').status_code)"
    )
    assert printed == "404"


# Installing


def test_installing_twice_is_installing_once(run_aliased: Callable[[str], str]) -> None:
    printed = run_aliased(
        "import sys\nbefore = list(sys.meta_path)\ninstall()\n"
        "import flask\ninstall()\nprint(sys.meta_path == before)"
    )
    assert printed == "True"


@pytest.mark.parametrize("first", ["flask", "flask.json.tag"])
def test_the_real_flask_imported_before_is_an_error_that_names_the_remedy(
    run_python: Run, real_flask: object, first: str
) -> None:
    done = run_python(f"import {first}\n" + INSTALL)
    assert done.returncode == 1
    message = done.stderr.splitlines()[-1]
    assert message.startswith("RuntimeError: Erlen cannot stand in for Flask: the real one is")
    assert "ERLEN_AS_FLASK=1" in message and "python -m erlen.compat" in message


def test_importing_erlen_alone_does_not_install_the_alias(
    run_python: Run, real_flask: object
) -> None:
    done = run_python("import erlen, flask; print(flask.Flask is erlen.Erlen, flask.Flask)")
    assert done.stdout == "False <class 'flask.app.Flask'>\n"


# Version and metadata


def test_the_version_is_flasks(run_aliased: Callable[[str], str]) -> None:
    printed = run_aliased(
        "from importlib.metadata import version, distribution, entry_points, distributions\n"
        "found = distribution('Flask')\n"
        "scripts = [e for e in entry_points(group='console_scripts') if e.name == 'flask']\n"
        "first = next(d for d in distributions() if d.name == 'Flask')\n"
        "print(version('flask'), found.name, 'werkzeug>=3.1.0' in found.requires,\n"
        "      [e.value for e in scripts], type(first).__name__)"
    )
    assert printed == "3.1.3 Flask True ['flask.cli:main'] FlaskDistribution"


def test_the_version_attribute_warns_as_flasks_does(
    run_python: Run, run_aliased: Callable[[str], str], real_flask: object
) -> None:
    code = (
        "import warnings, flask\n"
        "with warnings.catch_warnings(record=True) as seen:\n"
        "    warnings.simplefilter('always')\n"
        "    print(flask.__version__)\n"
        "print([(str(w.message), w.category, w.filename) for w in seen])"
    )
    assert run_aliased(code) == run_python(code).stdout.strip()


def test_a_search_of_a_folder_finds_no_flask_that_is_not_there(
    run_aliased: Callable[[str], str],
) -> None:
    printed = run_aliased(
        "from importlib.metadata import distributions\nprint([*distributions(path=['.'])])"
    )
    assert printed == "[]"


def test_reading_metadata_does_not_import_erlen(run_python: Run) -> None:
    if importlib.util.find_spec("_erlen_as_flask") is None:
        pytest.skip("Erlen is on the path but not installed")
    done = run_python(
        "import sys; from importlib.metadata import version; print(version('flask'))\n"
        "print('erlen' in sys.modules)",
        ERLEN_AS_FLASK="1",
    )
    assert done.stdout.split() == ["3.1.3", "False"], done.stderr


# Running


@pytest.fixture
def script(tmp_path: Path) -> Path:
    folder = tmp_path / "scripts"
    folder.mkdir()
    (folder / "neighbour.py").write_text("VALUE = 'imported'\n")
    path = folder / "script.py"
    path.write_text(
        "import subprocess, sys, flask, neighbour\n"
        "app = flask.Flask(__name__)\n"
        "print(type(app).__name__, app.name, __name__, sys.argv[1:], neighbour.VALUE)\n"
        "print(__file__, __package__, sys.modules[__name__].app is app)\n"
        "child = 'import flask; print(flask.Flask.__name__)'\n"
        "if '--child' in sys.argv:\n"
        "    print(subprocess.check_output([sys.executable, '-c', child], text=True))\n"
        "if __name__ == '__main__' and '--exit' in sys.argv: sys.exit(3)\n"
    )
    return path


def test_a_script_runs_as_python_would_run_it(run_python: Run, script: Path) -> None:
    done = run_python("-m", "erlen.compat", "scripts/script.py", "-x", "y", "--exit")
    assert done.returncode == 3, done.stderr
    assert done.stdout.splitlines() == [
        "Erlen script __main__ ['-x', 'y', '--exit'] imported",
        "scripts/script.py None True",
    ]


@needs_hook
def test_child_processes_of_a_script_get_the_alias(run_python: Run, script: Path) -> None:
    done = run_python("-m", "erlen.compat", str(script), "--child")
    assert done.stdout.split()[-1] == "Erlen", done.stderr


def test_a_module_runs_as_python_would_run_it(
    run_python: Run, script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(script.parent))
    done = run_python("-m", "erlen.compat", "-m", "script", "a")
    assert done.stdout.splitlines()[0] == "Erlen script __main__ ['a'] imported", done.stderr


def test_a_folder_with_a_main_module_runs(run_python: Run, script: Path) -> None:
    script.rename(script.with_name("__main__.py"))
    done = run_python("-m", "erlen.compat", "scripts")
    assert done.stdout.startswith("Erlen __main__ __main__ [] imported"), done.stderr


def test_an_archive_with_a_main_module_runs(run_python: Run, script: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "app.pyz", "w") as archive:
        archive.write(script, "__main__.py")
        archive.write(script.with_name("neighbour.py"), "neighbour.py")
    done = run_python("-m", "erlen.compat", "app.pyz")
    assert done.stdout.startswith("Erlen __main__ __main__ [] imported"), done.stderr


def test_the_flask_command_runs_as_a_module(run_python: Run, script: Path) -> None:
    done = run_python("-m", "erlen.compat", "-m", "flask", "--app", "scripts/script", "routes")
    assert done.returncode == 0, done.stderr
    assert "/static/<path:filename>" in done.stdout


@pytest.mark.parametrize("args", [[], ["-x"], ["-m"]], ids=["nothing", "option", "no module"])
def test_wrong_arguments_show_the_usage(run_python: Run, args: list[str]) -> None:
    done = run_python("-m", "erlen.compat", *args)
    assert done.returncode == 1
    assert done.stderr.startswith("usage: python -m erlen.compat script.py")


# The start-up hook

META_PATH = "import sys; print(type(sys.meta_path[0]).__module__, 'erlen' in sys.modules)"
KIND = "import flask; print(flask.Flask.__name__)"


@needs_hook
@pytest.mark.parametrize("value", ["1", "true", "yes"])
def test_the_variable_installs_the_alias_at_start(run_python: Run, value: str) -> None:
    done = run_python(KIND, ERLEN_AS_FLASK=value)
    assert done.stdout == "Erlen\n", done.stderr


@needs_hook
@pytest.mark.parametrize("value", ["", "0", "no", "FALSE", "off"])
def test_the_variable_can_say_no(run_python: Run, real_flask: object, value: str) -> None:
    done = run_python(KIND, ERLEN_AS_FLASK=value)
    assert done.stdout == "Flask\n", done.stderr


@needs_hook
def test_the_hook_imports_next_to_nothing(run_python: Run) -> None:
    listing = "import sys; print(*sorted(sys.modules))"
    without = set(run_python(listing).stdout.split())
    done = run_python(listing, ERLEN_AS_FLASK="1")
    assert set(done.stdout.split()) - without <= {
        "__future__",
        "_erlen_as_flask",
        "erlen.compat.finder",
        "importlib",
        "importlib._bootstrap",
        "importlib._bootstrap_external",
        "importlib.machinery",
        "_warnings",
        "warnings",
        "_frozen_importlib",
    }


@needs_hook
def test_an_unset_variable_imports_nothing(run_python: Run) -> None:
    done = run_python("import sys; print([n for n in sys.modules if 'erlen_as' in n])")
    assert done.stdout == "[]\n"


@needs_hook
def test_installing_after_the_hook_changes_nothing(run_python: Run) -> None:
    done = run_python(
        "import sys\nbefore = list(sys.meta_path)\n" + INSTALL + "import erlen.compat.finder\n"
        "print(sys.meta_path == before)",
        ERLEN_AS_FLASK="1",
    )
    assert done.stdout == "True\n", done.stderr


@needs_hook
def test_the_flask_module_command_works_under_the_variable(run_python: Run, script: Path) -> None:
    done = run_python("-m", "flask", "--app", "scripts/script", "routes", ERLEN_AS_FLASK="1")
    assert done.returncode == 0, done.stderr
    assert "/static/<path:filename>" in done.stdout


@pytest.mark.parametrize("kind", ["standard", "editable"])
def test_an_installation_has_the_hook(tmp_path: Path, kind: str) -> None:
    for builder in ("hatchling", "editables"):
        pytest.importorskip(builder, reason=f"{builder}, which builds wheels, is not installed")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", f"wheel:{kind}", "-d", str(tmp_path)],
        cwd=Path(__file__).parent.parent,
        check=True,
        capture_output=True,
        timeout=50,
    )
    venv.create(tmp_path / "environment", with_pip=False)
    site = next((tmp_path / "environment").glob("[Ll]ib/**/site-packages"))
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        wheel.extractall(site)  # all that installing it does, but for the command's script
    done = subprocess.run(
        [next((tmp_path / "environment").glob("[bS]*/python*")), "-c", META_PATH],
        env={**os.environ, "ERLEN_AS_FLASK": "1"},
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    assert done.stdout == "erlen.compat.finder False\n", done.stderr

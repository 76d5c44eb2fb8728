"""The command line: the same texts and exit codes as `flask`, and what `erlen` adds."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import ssl
import sys
import types
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from erlen import Blueprint, Erlen, cli, current_app
from erlen.compat.metadata import FLASK_VERSION

FILES = {
    "good.py": """
import click
from FRAMEWORK import Blueprint, Flask, current_app
app = Flask(__name__)

@app.cli.command()
def hi():
    "Say hi."
    click.echo(f"hi from {current_app.name}")

@app.cli.command("run")
def own_run():
    click.echo("never reached")

@app.cli.command()
@click.option("--times", type=int)
def show(times):
    click.echo(repr(times))

bp = Blueprint("users", __name__)

@bp.cli.command("create")
@click.argument("name")
def create(name):
    click.echo(f"{name} created")

app.register_blueprint(bp)

@app.route("/b")
def z_view(): return ""

@app.post("/a")
def a_view(): return ""
""",
    "factory.py": """
from FRAMEWORK import Flask
app2, app3 = Flask("app2"), Flask("app3")
def create(name="made"): return Flask(name, static_folder=None)
def two(a, b): return Flask("two")
def none(): return None
""",
    "needs_arguments.py": "def create_app(a): return 1\n",
    "empty.py": "",
    "import_error.py": "import not_there\n",
    "runs.py": "from FRAMEWORK import Flask\napp = Flask('runs')\napp.run()\n",
    "sub/app.py": "from FRAMEWORK import Flask\napplication = Flask('in_sub', subdomain=1)\n",
    "domains.py": """
from FRAMEWORK import Flask
app = Flask(__name__, static_folder=None)
app.add_url_rule("/x", endpoint="b", subdomain="s")
app.add_url_rule("/y", endpoint="a")
hosts = Flask(__name__, static_folder=None, host_matching=True)
hosts.add_url_rule("/x", endpoint="b", host="example.org")
""",
    "shell.py": """
from FRAMEWORK import Flask
app = Flask("shell_app", instance_path="/some/where")
@app.shell_context_processor
def names(): return {"answer": 42}
""",
    "startup.py": "at_startup = 'set at start'\n",
    ".flaskenv": "FROM_FILES=flaskenv\nONLY_FLASKENV=1\n",
    ".env": "FROM_FILES=env\nONLY_ENV=火腿\nSET_ALREADY=file\n",
    "more.env": "FROM_FILES=more\nFLASK_APP=good\n",
    "cert.pem": "",
}

RunCommand = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A current directory; environment, search path and imports are as before afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    environ, modules = {**os.environ}, {**sys.modules}
    yield tmp_path
    os.environ.clear()
    os.environ.update(environ)
    for name in {*sys.modules} - {*modules}:
        file = getattr(sys.modules[name], "__file__", None)
        if file and Path(file).is_relative_to(tmp_path):
            del sys.modules[name]


@pytest.fixture
def run_in(folder: Path) -> RunCommand:
    """Run a command line of one of the frameworks in a folder with `FILES`."""
    before = {**os.environ}, [*sys.path], {*sys.modules}

    def run(package: str, *args: str, env: dict[str, str] | None = None, **more: Any) -> Result:
        root = folder / package
        for name, text in FILES.items():
            file = root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text.replace("FRAMEWORK", package), encoding="utf-8")
        os.environ.clear()
        os.environ.update({**before[0], **(env or {})})
        sys.path[:] = before[1]
        for name in {*sys.modules} - before[2]:
            file_of = getattr(sys.modules[name], "__file__", None) or ""
            if file_of.startswith(str(folder)):
                del sys.modules[name]
        importlib.invalidate_caches()
        os.chdir(root)
        group = more.pop("group", None) or importlib.import_module(f"{package}.cli").cli
        return CliRunner().invoke(group, args, prog_name="flask", **more)

    return run


def app_only(*commands: Callable[..., Any]) -> Erlen:
    app = Erlen("some_app", static_folder=None)
    for command in commands:
        app.cli.command()(command)
    return app


# The same as flask


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["--help"],
        ["run", "--help"],
        ["shell", "--help"],
        ["routes", "--help"],
        ["not-there"],
        ["--app", "good"],
        ["--app", "good", "--help"],
        ["--app", "good", "hi"],
        ["--app", "good.py", "hi"],
        ["-A", "./good.py:app", "hi"],
        ["--app", "good", "--debug", "hi"],
        ["--app", "good", "users", "create", "ann"],
        ["--app", "good", "users"],
        ["--app", "good", "hi", "--help"],
        ["--app", "good", "show", "--times", "x"],
        ["--app", "not_there"],
        ["--app", "not_there", "hi"],
        ["--app", "not_there", "routes"],
        ["--app", "not_there", "run"],
        ["--app", "", "routes"],
        ["--app", "good.txt", "routes"],
        ["--app", "empty", "routes"],
        ["--app", "factory", "routes"],
        ["--app", "factory:create", "routes"],
        ["--app", "factory:create('x')", "routes"],
        ["--app", "factory:two", "routes"],
        ["--app", "factory:two(1)", "routes"],
        ["--app", "factory:two(1, x)", "routes"],
        ["--app", "factory:two(*x)", "routes"],
        ["--app", "factory:two(**x)", "routes"],
        ["--app", "factory:none", "routes"],
        ["--app", "factory:gone", "routes"],
        ["--app", "factory:", "routes"],
        ["--app", "factory:x.create()", "routes"],
        ["--app", "factory:app2()", "routes"],
        ["--app", "needs_arguments", "routes"],
        ["--app", "runs", "routes"],
        ["--app", "good", "routes"],
        ["--app", "good", "routes", "--all-methods"],
        ["--app", "good", "routes", "-s", "methods"],
        ["--app", "good", "routes", "-s", "rule"],
        ["--app", "good", "routes", "-s", "domain"],
        ["--app", "good", "routes", "-s", "match"],
        ["--app", "good", "routes", "-s", "other"],
        ["--app", "domains", "routes"],
        ["--app", "domains:app", "routes"],
        ["--app", "domains:app", "routes", "-s", "domain"],
        ["--app", "domains:hosts", "routes", "-s", "domain"],
        ["--env-file", "not-there", "routes"],
        ["--env-file", "more.env", "hi"],
        ["--app", "good", "run", "--port", "x"],
        ["--app", "good", "run", "--key", "cert.pem"],
        ["--app", "good", "run", "--cert", "cert.pem"],
        ["--app", "good", "run", "--cert", "not-there"],
        ["run", "--version"],
    ],
    ids=" ".join,
)
def test_text_and_exit_code_are_those_of_flask(
    run_in: RunCommand, real_flask: ModuleType, args: list[str]
) -> None:
    ours, theirs = (run_in(package, *args) for package in ("erlen", "flask"))
    assert ours.output == theirs.output
    assert ours.exit_code == theirs.exit_code
    assert repr(ours.exception) == repr(theirs.exception)


@pytest.mark.parametrize(
    ("env", "args"),
    [
        ({"FLASK_APP": "good"}, ["hi"]),
        ({"FLASK_APP": "good"}, ["--help"]),
        ({"FLASK_APP": "good", "FLASK_SHOW_TIMES": "3"}, ["show"]),
        ({"FLASK_APP": "good", "FLASK_ROUTES_SORT": "rule"}, ["routes"]),
        ({"FLASK_ENV_FILE": "more.env"}, ["hi"]),
        ({"FLASK_RUN_PORT": "x", "FLASK_APP": "good"}, ["run"]),
        ({"FLASK_APP": "good", "FLASK_SKIP_DOTENV": "1"}, ["hi"]),
    ],
    ids=["app", "app-help", "command-option", "sort", "env-file", "bad-port", "no-dotenv"],
)
def test_variables_are_read_as_by_flask(
    run_in: RunCommand, real_flask: ModuleType, env: dict[str, str], args: list[str]
) -> None:
    ours, theirs = (run_in(package, *args, env=env) for package in ("erlen", "flask"))
    assert (ours.output, ours.exit_code) == (theirs.output, theirs.exit_code)


def test_an_import_error_is_shown_as_by_flask_but_without_its_own_frame(
    run_in: RunCommand, real_flask: ModuleType
) -> None:
    ours, theirs = (run_in(p, "--app", "import_error", "hi") for p in ("erlen", "flask"))
    # Python 3.11 and later mark the place in the line.
    lines, own_lines = (
        [line for line in output.splitlines() if line.strip(" ~^")]
        for output in (
            theirs.output.replace("/flask/import_error", "/erlen/import_error"),
            ours.output,
        )
    )
    own = next(i for i, line in enumerate(lines) if "in locate_app" in line)
    assert own_lines == lines[:own] + lines[own + 2 :]
    assert ours.exit_code == theirs.exit_code == 2


def test_the_shell_has_the_names_of_the_application_and_runs_the_startup_file(
    run_in: RunCommand, real_flask: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(sys, "__interactivehook__", raising=False)
    typed = "print(answer, at_startup, app.name, g is not None)\n"
    ours, theirs = (
        run_in(
            package,
            "--app",
            "shell",
            "shell",
            env={"PYTHONSTARTUP": "startup.py"},
            input=typed,
        )
        for package in ("erlen", "flask")
    )
    assert ours.output == theirs.output
    assert "App: shell_app\nInstance: /some/where\n" in ours.output
    assert "42 set at start shell_app True" in ours.output


def test_the_shell_completes_its_own_names(
    run_in: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    readline = pytest.importorskip("readline", reason="Python has no readline here")
    completers: list[Any] = []
    monkeypatch.setattr(readline, "set_completer", completers.append)
    monkeypatch.setattr(sys, "__interactivehook__", lambda: completers.append("hook"), False)
    run_in("erlen", "--app", "shell", "shell", input="")
    # Importing rlcompleter sets one as well.
    complete, hook = completers[-2:]
    assert (complete("answe", 0), hook) == ("answer", "hook")


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("flask ro", "routes"),
        ("flask --app good h", "hi"),
        ("flask --app good routes --s", "--sort"),
        ("erlen pl", "plan"),
    ],
)
def test_completion_offers_commands_and_options(
    tmp_path: Path, run_python: Any, words: str, offered: str
) -> None:
    (tmp_path / "good.py").write_text(FILES["good.py"].replace("FRAMEWORK", "erlen"))
    program = words.split()[0]
    group = "cli" if program == "flask" else "erlen_cli"
    result = run_python(
        f"from erlen.cli import {group}; {group}.main(prog_name={program!r})",
        **{
            f"_{program.upper()}_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split()) - 1),
        },
    )
    assert result.stdout == f"plain,{offered}\n", result.stderr


# Names


def test_every_name_of_flask_cli_is_there_with_its_signature(real_flask: ModuleType) -> None:
    theirs = importlib.import_module("flask.cli")
    standard_library = {"annotations", "ast", "cabc", "importlib", "inspect", "itemgetter", "os"}
    standard_library |= {"platform", "re", "sys", "t", "traceback", "update_wrapper", "ModuleType"}
    names = {n for n in dir(theirs) if not n.startswith("__")} - standard_library
    private = {"F", "ParameterSource", "_path_is_ancestor"}
    assert names - private - set(dir(cli)) == set()
    for name in names - private - {"click", "current_app"}:
        value = getattr(theirs, name)
        if inspect.isfunction(value) or inspect.isclass(value):
            assert parameters(getattr(cli, name)) == parameters(value), name
    for cls in ("AppGroup", "FlaskGroup", "ScriptInfo", "CertParamType", "SeparatedPathType"):
        for name, method in vars(getattr(theirs, cls)).items():
            if inspect.isfunction(method):
                assert parameters(getattr(getattr(cli, cls), name)) == parameters(method), name


def parameters(function: Callable[..., Any]) -> list[tuple[str, Any, Any]]:
    return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]


def test_options_are_those_of_flask(real_flask: ModuleType) -> None:
    theirs = importlib.import_module("flask.cli")
    for name in ("cli", "run_command", "shell_command", "routes_command"):
        ours_here, theirs_here = (
            [
                (p.opts, p.secondary_opts, p.default, p.is_eager, p.expose_value, p.help)
                for p in getattr(module, name).params
            ]
            for module in (cli, theirs)
        )
        assert ours_here == theirs_here, name


# Groups


def test_a_group_with_a_factory_needs_no_app_option() -> None:
    def show() -> None:
        click.echo(current_app.name)

    group = cli.FlaskGroup(create_app=lambda: app_only(show))
    assert CliRunner().invoke(group, ["show"]).output == "some_app\n"


def test_a_group_takes_the_parameters_of_click(folder: Path) -> None:
    group = cli.FlaskGroup(
        add_default_commands=False,
        add_version_option=False,
        create_app=app_only,
        params=[click.Option(["--more"])],
        context_settings={"auto_envvar_prefix": "OWN"},
        help="Help of the group.",
    )
    assert [p.name for p in group.params] == ["more", "env_file", "app", "debug"]
    assert (group.commands, group.help) == ({}, "Help of the group.")
    assert group.make_context("x", ["y"]).auto_envvar_prefix == "OWN"


def test_parameters_may_ask_for_the_application() -> None:
    app = app_only()
    seen: list[Any] = []

    @app.cli.command()
    @click.argument("value", callback=lambda ctx, param, value: seen.append(current_app.name))
    def check(value: str) -> None:
        pass

    assert CliRunner().invoke(cli.FlaskGroup(create_app=lambda: app), ["check", "x"]).exit_code == 0
    assert seen == ["some_app"]


def test_a_group_inside_another_has_its_own_application() -> None:
    def show() -> None:
        click.echo(current_app.name)

    outer = click.Group("outer")
    outer.add_command(cli.FlaskGroup(name="site", create_app=lambda: app_only(show)))
    assert CliRunner().invoke(outer, ["site", "show"]).output == "some_app\n"


def test_the_context_of_another_application_is_not_taken_for_the_own() -> None:
    def show() -> None:
        click.echo(current_app.name)

    group = cli.FlaskGroup(create_app=lambda: app_only(show))
    with Erlen("outer").app_context():
        assert CliRunner().invoke(group, ["show"]).output == "some_app\n"
        assert current_app.name == "outer"


def test_help_is_shown_even_if_the_application_fails() -> None:
    def create_app() -> Erlen:
        raise RuntimeError("cannot be made")

    result = CliRunner().invoke(cli.FlaskGroup(create_app=create_app), ["--help"], color=True)
    assert result.exit_code == 0
    assert "RuntimeError: cannot be made" in result.stderr
    assert "Usage:" in result.stdout


def test_errors_are_red_on_a_terminal(folder: Path) -> None:
    result = CliRunner().invoke(cli.cli, ["not-there"], color=True)
    assert "\x1b[31mError: Could not locate a Flask application." in result.output


def test_commands_of_installed_packages_are_found(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @click.command()
    def plugged() -> None:
        click.echo("plugged in")

    asked: list[dict[str, str]] = []

    def entry_points(**wanted: str) -> list[SimpleNamespace]:
        asked.append(wanted)
        return [SimpleNamespace(name="plug", load=lambda: plugged)]

    monkeypatch.setattr(metadata, "entry_points", entry_points)
    group = cli.FlaskGroup(create_app=app_only)
    assert "plug" in CliRunner().invoke(group, ["--help"]).output
    assert CliRunner().invoke(group, ["plug"]).output == "plugged in\n"
    assert asked == [{"group": "flask.commands"}]


@pytest.mark.parametrize(
    ("group", "args"),
    [
        ("users", ["users", "create"]),
        ("people", ["people", "create"]),
        (None, ["create"]),
    ],
)
def test_commands_of_a_blueprint_stand_where_it_says(group: str | None, args: list[str]) -> None:
    app = app_only()
    blueprint = Blueprint("users", __name__, cli_group=group)

    @blueprint.cli.command("create")
    def create() -> None:
        click.echo("created")

    app.register_blueprint(blueprint)
    assert app.test_cli_runner().invoke(args=args).output == "created\n"


def test_a_blueprint_without_commands_makes_no_group() -> None:
    app = app_only()
    app.register_blueprint(Blueprint("users", __name__))
    assert app.test_cli_runner().invoke(args=["users"]).exit_code == 2


# Environment files


@pytest.fixture
def env_folder(folder: Path) -> Path:
    pytest.importorskip("dotenv", reason="python-dotenv is not installed")
    for name in (".env", ".flaskenv", "more.env"):
        (folder / name).write_text(FILES[name], encoding="utf-8")
    return folder


def test_env_wins_over_flaskenv_and_the_environment_over_both(
    env_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SET_ALREADY", "before")
    assert cli.load_dotenv() is True
    wanted = {"FROM_FILES": "env", "ONLY_FLASKENV": "1", "ONLY_ENV": "火腿"}
    assert {name: os.environ.get(name) for name in wanted} == wanted
    assert os.environ["SET_ALREADY"] == "before"
    assert Path.cwd() == env_folder


def test_a_named_file_wins_over_the_usual_ones(env_folder: Path) -> None:
    assert cli.load_dotenv("more.env") is True
    assert (os.environ["FROM_FILES"], os.environ["ONLY_FLASKENV"]) == ("more", "1")


def test_a_named_file_can_stand_alone(env_folder: Path) -> None:
    assert cli.load_dotenv("more.env", load_defaults=False) is True
    assert cli.load_dotenv("not-there", load_defaults=False) is False
    assert "ONLY_FLASKENV" not in os.environ


def test_files_are_searched_upwards(env_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    below = env_folder / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert cli.load_dotenv() is True
    assert os.environ["FROM_FILES"] == "env"


def test_files_that_cannot_be_read_are_pointed_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "dotenv", None)
    assert cli.load_dotenv() is False
    assert capsys.readouterr().err == ""
    (folder / ".env").touch()
    assert cli.load_dotenv() is False
    tip = " * Tip: There are .env files present. Install python-dotenv to use them.\n"
    assert capsys.readouterr().err == tip


def test_asking_for_a_file_without_dotenv_is_an_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "dotenv", None)
    (folder / "some.env").touch()
    result = CliRunner().invoke(cli.cli, ["--env-file", "some.env", "routes"])
    assert result.exit_code == 2
    assert "python-dotenv must be installed to load an env file." in result.output


# Options of run


def run_params(*args: str) -> dict[str, Any]:
    return cli.run_command.make_context("run", [*args]).params


def run_problem(*args: str) -> str:
    with pytest.raises(click.BadParameter) as caught:
        run_params(*args)
    return caught.value.format_message()


def test_certificate_and_key_go_together_in_any_order() -> None:
    pair = (__file__, __file__)
    assert run_params("--cert", __file__, "--key", __file__)["cert"] == pair
    assert run_params("--key", __file__, "--cert", __file__)["cert"] == pair
    assert "key" not in run_params("--cert", __file__, "--key", __file__)


def test_an_adhoc_certificate_needs_the_library_and_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    assert run_problem("--cert", "adhoc") == (
        "Invalid value for '--cert': Using ad-hoc certificates requires the cryptography library."
    )
    monkeypatch.setitem(sys.modules, "cryptography", types.ModuleType("cryptography"))
    assert run_params("--cert", "adhoc")["cert"] == "adhoc"
    assert run_problem("--cert", "adhoc", "--key", __file__) == (
        'Invalid value for \'--key\': When "--cert" is "adhoc", "--key" is not used.'
    )


def test_a_certificate_may_be_an_ssl_context_somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    holder = types.ModuleType("some_tls")
    holder.context = context  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "some_tls", holder)
    assert run_params("--cert", "some_tls:context")["cert"] is context
    assert run_problem("--cert", "some_tls:context", "--key", __file__) == (
        'Invalid value for \'--key\': When "--cert" is an SSLContext object, "--key" is not used.'
    )
    assert "does not exist" in run_problem("--cert", "some_tls")


def test_a_certificate_needs_python_with_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ssl", None)
    assert "compiled with SSL support" in run_problem("--cert", __file__)


def test_paths_are_separated_as_in_path() -> None:
    joined = os.pathsep.join(["a", "b/c"])
    assert run_params("--extra-files", joined)["extra_files"] == ["a", "b/c"]
    assert run_params("--exclude-patterns", joined)["exclude_patterns"] == ["a", "b/c"]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the development server was started with."""
    seen: dict[str, Any] = {}

    def run_simple(host: str, port: int, app: Any, **options: Any) -> None:
        seen.update(host=host, port=port, app=app, **options)

    monkeypatch.setattr(cli, "run_simple", run_simple)
    return seen


@pytest.mark.parametrize(
    ("args", "wanted"),
    [
        ([], {"use_reloader": False, "host": "127.0.0.1", "port": 5000, "threaded": True}),
        (["--debug"], {"use_reloader": True}),
        (["--debug", "--no-reload"], {"use_reloader": False}),
        (["--reload"], {"use_reloader": True}),
        (["-h", "::1", "-p", "0"], {"host": "::1", "port": 0}),
        (["--without-threads"], {"threaded": False}),
        (["--exclude-patterns", "*/a"], {"exclude_patterns": ["*/a"]}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_run_hands_its_options_to_the_server(
    folder: Path, served: dict[str, Any], args: list[str], wanted: dict[str, Any]
) -> None:
    group = cli.FlaskGroup(create_app=app_only)
    result = CliRunner().invoke(group, ["run", *args])
    assert result.exception is None
    assert {name: served[name] for name in wanted} == wanted
    assert result.output == f" * Debug mode: {'on' if '--debug' in args else 'off'}\n"


@pytest.mark.parametrize(
    ("args", "guarded"),
    [
        ([], False),
        (["--debug", "--no-reload"], True),
        (["--debugger"], True),
        (["--debug", "--no-debugger"], False),
    ],
    ids=["plain", "no-reload", "debugger-only", "no-debugger"],
)
def test_the_debugger_is_there_only_when_asked_for(
    folder: Path, served: dict[str, Any], args: list[str], guarded: bool
) -> None:
    CliRunner().invoke(cli.FlaskGroup(create_app=app_only), ["run", *args])
    assert (type(served["app"]).__name__ == "Debugger") is guarded


def test_an_application_that_fails_after_a_reload_is_shown_to_requests(
    folder: Path, served: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def create_app() -> Erlen:
        raise RuntimeError("saved half-way")

    group = cli.FlaskGroup(create_app=create_app)
    first = CliRunner().invoke(group, ["run"])
    assert (str(first.exception), served) == ("saved half-way", {})
    monkeypatch.setattr(cli, "is_running_from_reloader", lambda: True)
    again = CliRunner().invoke(group, ["run"])
    assert again.exception is None
    assert "RuntimeError: saved half-way" in again.stderr
    with pytest.raises(RuntimeError, match="saved half-way"):
        served["app"]({}, None)


@pytest.mark.parametrize(
    ("debug", "path", "text"),
    [
        (True, "site", " * Serving Flask app 'site'\n * Debug mode: on\n"),
        (False, None, " * Debug mode: off\n"),
        (None, "site", " * Serving Flask app 'site'\n"),
    ],
)
def test_the_banner_says_what_is_served(
    debug: Any, path: str | None, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.show_server_banner(debug, path)
    assert capsys.readouterr().out == text


def test_the_banner_is_shown_once_not_by_the_reloader_s_child(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "is_running_from_reloader", lambda: True)
    cli.show_server_banner(True, "site")
    assert capsys.readouterr().out == ""


# erlen


def test_version_names_python_erlen_the_api_and_werkzeug(folder: Path) -> None:
    result = CliRunner().invoke(cli.erlen_cli, ["--version"])
    assert re.fullmatch(
        rf"Python 3\.\d+\.\S+\nErlen {re.escape(metadata.version('erlen'))}\n"
        rf"Flask {re.escape(FLASK_VERSION)} \(API\)\nWerkzeug 3\.1\.\d+\n",
        result.output,
    )


def test_erlen_has_commands_of_its_own_and_flask_does_not(folder: Path) -> None:
    ours = CliRunner().invoke(cli.erlen_cli, ["--help"]).stdout
    flask_s = CliRunner().invoke(cli.cli, ["--help"]).stdout
    for command in ("openapi", "plan", "serve"):
        assert re.search(rf"^  {command} ", ours, re.MULTILINE)
        assert not re.search(rf"^  {command} ", flask_s, re.MULTILINE)


def test_hints_name_the_command_that_was_typed(folder: Path) -> None:
    result = CliRunner().invoke(cli.erlen_cli, ["routes"])
    assert "Use the 'erlen --app' option" in result.output


@pytest.mark.parametrize("package", ["erlen", "flask"])
def test_the_command_runs_applications_that_import_flask(
    run_python: Any, tmp_path: Path, package: str
) -> None:
    (tmp_path / "app.py").write_text(
        "import click, flask\napp = flask.Flask('site')\n"
        "@app.cli.command()\ndef show():\n"
        "    click.echo(f'{type(app).__module__} {flask.current_app.name}')\n"
    )
    before = [] if package == "erlen" else ["-m", "erlen.compat"]
    result = run_python(*before, "-m", package, "show")
    assert result.stdout.split() == ["erlen.app", "site"], result.stderr
    usage = run_python(*before, "-m", package, "--help")
    assert usage.stdout.startswith(f"Usage: python -m {package} ["), usage.stderr
    assert ("plan" in usage.stdout) is (package == "erlen")

"""Finding and loading an application, and commands that run with its context."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import click
import pytest
from click.testing import CliRunner

from erlen import Erlen, current_app
from erlen.commands import (
    AppGroup,
    NoAppException,
    ScriptInfo,
    find_app_by_string,
    find_best_app,
    locate_app,
    pass_script_info,
    prepare_import,
    with_appcontext,
)


@pytest.fixture
def runner() -> CliRunner:
    return CliRunner()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty current directory; what is imported from it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        file = getattr(sys.modules[name], "__file__", None)
        if file and Path(file).is_relative_to(tmp_path):
            del sys.modules[name]


def module(**names: object) -> ModuleType:
    made = ModuleType("some.module")
    vars(made).update(names)
    return made


class TestFindingAnApplication:
    @pytest.mark.parametrize("name", ["app", "application"])
    def test_an_instance_with_the_usual_name_wins_over_others(self, name: str) -> None:
        wanted = Erlen("wanted")
        assert find_best_app(module(other=Erlen("other"), **{name: wanted})) is wanted

    def test_app_wins_over_application(self) -> None:
        wanted = Erlen("wanted")
        assert find_best_app(module(application=Erlen("other"), app=wanted)) is wanted

    def test_the_only_instance_needs_no_usual_name(self) -> None:
        wanted = Erlen("wanted")
        assert find_best_app(module(x=1, site=wanted)) is wanted

    def test_an_instance_of_a_subclass_is_one(self) -> None:
        wanted = type("Site", (Erlen,), {})("wanted")
        assert find_best_app(module(site=wanted)) is wanted

    @pytest.mark.parametrize("name", ["create_app", "make_app"])
    def test_a_factory_is_called(self, name: str) -> None:
        found = find_best_app(module(**{name: lambda debug=False: Erlen("made")}))
        assert found.name == "made"

    def test_several_instances_are_refused_with_the_way_out(self) -> None:
        with pytest.raises(NoAppException) as caught:
            find_best_app(module(one=Erlen("one"), two=Erlen("two")))
        assert caught.value.message == (
            "Detected multiple Flask applications in module 'some.module'."
            " Use 'some.module:name' to specify the correct one."
        )

    def test_a_factory_with_required_arguments_is_refused_with_the_way_out(self) -> None:
        with pytest.raises(NoAppException, match=r"Use 'some\.module:create_app\(args\)'"):
            find_best_app(module(create_app=lambda name: Erlen(name)))

    def test_a_type_error_inside_a_factory_is_not_mistaken_for_wrong_arguments(self) -> None:
        def create_app() -> Erlen:
            raise TypeError("of the factory itself")

        with pytest.raises(TypeError, match="of the factory itself"):
            find_best_app(module(create_app=create_app))

    def test_a_module_without_any_is_refused(self) -> None:
        with pytest.raises(NoAppException, match="Failed to find Flask application or factory"):
            find_best_app(module(create_app=lambda: "no application", app="nor this"))


class TestNamingAnApplication:
    @pytest.mark.parametrize(
        ("text", "name"),
        [
            ("site", "site"),
            (" site ", "site"),
            ("site()", "site"),
            ("make", "made-None-None"),
            ("make()", "made-None-None"),
            ("make(1, 'x')", "made-1-x"),
            ("make(1, b={'k': [2]})", "made-1-{'k': [2]}"),
            ("make(-1, )", "made--1-None"),
        ],
    )
    def test_a_name_or_a_call_with_literals_is_understood(self, text: str, name: str) -> None:
        holder = module(site=Erlen("site"), make=lambda a=None, b=None: Erlen(f"made-{a}-{b}"))
        assert find_app_by_string(holder, text).name == name

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("make(", "Failed to parse 'make(' as an attribute name or function call."),
            ("", "Failed to parse '' as an attribute name or function call."),
            ("make + 1", "Failed to parse 'make + 1' as an attribute name or function call."),
            ("a.make()", "Function reference must be a simple name: 'a.make()'."),
            ("make(x)", "Failed to parse arguments as literal values: 'make(x)'."),
            ("gone", "Failed to find attribute 'gone' in 'some.module'."),
            (
                "make(1, 2, 3)",
                "The factory 'make(1, 2, 3)' in module 'some.module' could not be called with the"
                " specified arguments.",
            ),
            ("none", "A valid Flask application was not obtained from 'some.module:none'."),
        ],
    )
    def test_a_mistake_is_named(self, text: str, message: str) -> None:
        holder = module(make=lambda a=None, b=None: Erlen("made"), none=lambda: None)
        with pytest.raises(NoAppException) as caught:
            find_app_by_string(holder, text)
        assert caught.value.message == message

    def test_code_in_arguments_is_never_run(self) -> None:
        ran: list[int] = []
        with pytest.raises(NoAppException):
            find_app_by_string(module(make=ran.append, ran=ran), "make(ran.append(1))")
        assert ran == []


class TestImporting:
    @pytest.mark.parametrize(
        ("path", "root", "name"),
        [
            ("site.py", ".", "site"),
            ("site", ".", "site"),
            ("a/site.py", "a", "site"),
            ("pack/__init__.py", ".", "pack"),
            ("pack/sub/mod.py", ".", "pack.sub.mod"),
            ("pack.sub.mod", ".", "pack.sub.mod"),
        ],
    )
    def test_a_path_becomes_a_module_name_and_its_root_importable(
        self, folder: Path, path: str, root: str, name: str
    ) -> None:
        (folder / "pack/sub").mkdir(parents=True)
        for init in ("pack/__init__.py", "pack/sub/__init__.py"):
            (folder / init).touch()
        assert prepare_import(path) == name
        assert sys.path[0] == str((folder / root).resolve())

    def test_a_module_that_does_not_exist_is_an_error_or_none(self, folder: Path) -> None:
        with pytest.raises(NoAppException, match="Could not import 'not_there'."):
            locate_app("not_there", None)
        assert locate_app("not_there", None, raise_if_not_found=False) is None

    def test_an_import_error_within_the_module_is_shown_with_its_place(self, folder: Path) -> None:
        (folder / "broken_site.py").write_text("import not_there_either\n")
        name = prepare_import("broken_site.py")
        for raise_if_not_found in (True, False):
            with pytest.raises(NoAppException) as caught:
                locate_app(name, None, raise_if_not_found)  # type: ignore[call-overload]
            assert "While importing 'broken_site', an ImportError was raised" in str(caught.value)
            assert 'broken_site.py", line 1, in <module>' in str(caught.value)
            assert "No module named 'not_there_either'" in str(caught.value)

    def test_a_missing_parent_package_is_an_error_of_the_name(self, folder: Path) -> None:
        with pytest.raises(NoAppException, match="Could not import 'not_there.site'."):
            locate_app("not_there.site", None)


class TestScriptInfo:
    def test_a_factory_is_called_once(self) -> None:
        calls: list[int] = []

        def create_app() -> Erlen:
            calls.append(1)
            return Erlen("made")

        info = ScriptInfo(create_app=create_app)
        assert info.load_app() is info.load_app()
        assert calls == [1]

    @pytest.mark.parametrize("files", [["wsgi.py"], ["app.py"], ["wsgi.py", "app.py"]])
    def test_without_a_name_wsgi_and_then_app_are_tried(
        self, folder: Path, files: list[str]
    ) -> None:
        for file in files:
            (folder / file).write_text(f"from erlen import Erlen\nx = Erlen({file!r})\n")
        assert ScriptInfo().load_app().name == files[0]

    def test_without_any_the_three_ways_are_named(self, folder: Path) -> None:
        with pytest.raises(NoAppException, match=r"--app.*FLASK_APP.*wsgi\.py.*app\.py"):
            ScriptInfo().load_app()

    @pytest.mark.parametrize("flag", ["1", "0"])
    def test_debug_mode_comes_from_the_environment(
        self, flag: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FLASK_DEBUG", flag)
        assert ScriptInfo(create_app=lambda: Erlen("x")).load_app().debug is (flag == "1")

    def test_debug_mode_can_stay_with_the_application(self) -> None:
        def create_app() -> Erlen:
            app = Erlen("x")
            app.debug = True
            return app

        assert ScriptInfo(create_app=create_app, set_debug_flag=False).load_app().debug is True

    def test_dotenv_files_can_be_switched_off_by_the_environment(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert ScriptInfo().load_dotenv_defaults is True
        monkeypatch.setenv("FLASK_SKIP_DOTENV", "1")
        assert ScriptInfo().load_dotenv_defaults is False

    def test_each_command_line_has_its_own_data(self) -> None:
        first = ScriptInfo()
        first.data["key"] = 1
        assert ScriptInfo().data == {}


class TestContext:
    def test_a_decorated_command_runs_in_the_context(self, runner: CliRunner) -> None:
        @click.command()
        @with_appcontext
        def show() -> None:
            """Help of the command."""
            click.echo(current_app.name)

        assert show.help == "Help of the command."
        result = runner.invoke(show, obj=ScriptInfo(create_app=lambda: Erlen("shown")))
        assert (result.exit_code, result.output) == (0, "shown\n")

    def test_an_active_context_is_kept(self, runner: CliRunner) -> None:
        @click.command()
        @with_appcontext
        def show() -> None:
            click.echo(current_app.name)

        with Erlen("outer").app_context():
            result = runner.invoke(show, obj=ScriptInfo(create_app=lambda: Erlen("inner")))
        assert result.output == "outer\n"

    def test_the_context_ends_with_the_command(self, runner: CliRunner) -> None:
        torn: list[str] = []
        app = Erlen("x")
        app.teardown_appcontext(lambda error: torn.append("torn"))

        @click.command()
        @with_appcontext
        def show() -> None:
            torn.append("ran")

        runner.invoke(show, obj=ScriptInfo(create_app=lambda: app))
        assert torn == ["ran", "torn"]
        assert not current_app

    def test_groups_and_their_subgroups_give_it_to_their_commands(self, runner: CliRunner) -> None:
        outer = AppGroup("outer")

        @outer.group()
        def sub() -> None:
            pass

        @sub.command("show")
        def show() -> None:
            click.echo(current_app.name)

        @outer.command("bare", with_appcontext=False)
        def bare() -> None:
            click.echo(bool(current_app))

        assert isinstance(sub, AppGroup)
        info = ScriptInfo(create_app=lambda: Erlen("shown"))
        assert runner.invoke(outer, ["sub", "show"], obj=info).output == "shown\n"
        assert runner.invoke(outer, ["bare"], obj=info).output == "False\n"

    def test_a_command_can_ask_for_the_script_info(self, runner: CliRunner) -> None:
        @click.command()
        @pass_script_info
        def show(info: ScriptInfo) -> None:
            click.echo(type(info).__name__)

        assert runner.invoke(show).output == "ScriptInfo\n"


def test_the_group_of_an_application_bears_its_name() -> None:
    app = Erlen("some.site")
    assert isinstance(app.cli, AppGroup)
    assert (app.cli.name, app.name) == ("some.site", "some.site")


def test_the_group_of_an_application_is_made_when_first_asked_for(run_python) -> None:  # type: ignore[no-untyped-def]
    result = run_python(
        "import sys, erlen\n"
        "app, bp = erlen.Erlen('x'), erlen.Blueprint('b', 'x')\n"
        "app.register_blueprint(bp)\n"
        "print(sorted({'click', 'werkzeug.serving', 'werkzeug.debug'} & set(sys.modules)))\n"
        "app.cli, bp.cli\n"
        "print('click' in sys.modules, 'werkzeug.serving' in sys.modules)\n"
    )
    assert result.stdout.splitlines() == ["[]", "True False"], result.stderr


def test_what_is_no_application_is_not_taken_for_one() -> None:
    with pytest.raises(NoAppException):
        find_best_app(module(app=SimpleNamespace(wsgi_app=1)))

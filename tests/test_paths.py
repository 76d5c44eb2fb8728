"""Where modules, packages and functions lie."""

from __future__ import annotations

import functools
import importlib
import importlib.machinery
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from erlen import paths
from erlen.views import MethodView, View

HERE = __file__


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in `sys.path` and the working directory; what is imported from it is forgotten."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]
    importlib.invalidate_caches()


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def flasks_answer(function: str, name: str) -> Any:
    """What the real Flask's function of this name gives, or the error's class."""
    module = "flask.helpers" if function == "get_root_path" else "flask.sansio.scaffold"
    found = getattr(pytest.importorskip(module), function)
    return answer(found, name)


def answer(function: Callable[[str], Any], name: str) -> Any:
    try:
        return function(name)
    except Exception as e:
        return type(e), str(e)


NAMES = [
    "json",
    "json.decoder",
    "json.nothing",
    "xml.etree",
    "sys",
    "zipimport",
    "werkzeug",
    "werkzeug.utils",
    "__main__",
    "",
    "no_such_module",
    "no_such.module",
    "plain_module",
    "plain_package",
    "plain_package.inner",
    "spread.here",
    "spread.here.module",
    "spread.there",
]


@pytest.mark.parametrize("function", ["get_root_path", "find_package", "_find_package_path"])
@pytest.mark.parametrize("name", NAMES)
def test_modules_are_found_where_flask_finds_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch, function: str, name: str
) -> None:
    write(folder / "plain_module.py")
    write(folder / "plain_package" / "__init__.py")
    write(folder / "plain_package" / "inner.py")
    write(folder / "one" / "spread" / "here" / "module.py")
    write(folder / "two" / "spread" / "there" / "__init__.py")
    monkeypatch.syspath_prepend(str(folder / "one"))
    monkeypatch.syspath_prepend(str(folder / "two"))
    importlib.invalidate_caches()

    expected = flasks_answer(function, name)
    assert answer(getattr(paths, function), name) == expected


def test_a_namespace_package_itself_counts_for_its_first_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder / "one" / "spread" / "here" / "module.py")
    write(folder / "two" / "spread" / "there" / "__init__.py")
    monkeypatch.syspath_prepend(str(folder / "two"))
    monkeypatch.syspath_prepend(str(folder / "one"))
    importlib.invalidate_caches()
    assert paths.find_package("spread") == (None, str(folder / "one"))


class NamelessLoader:
    """A loader that cannot tell file names, as import hooks may be."""

    def create_module(self, spec: Any) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        if module.__name__ == "hooked_with_file":
            module.__file__ = "/hooked/file.py"


class Hook:
    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name.startswith("hooked"):
            return importlib.machinery.ModuleSpec(name, NamelessLoader())  # type: ignore[arg-type]
        return None


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "meta_path", [Hook(), *sys.meta_path])
    yield
    for name in [name for name in sys.modules if name.startswith("hooked")]:
        del sys.modules[name]


@pytest.mark.parametrize("name", ["hooked_with_file", "hooked_without"])
def test_a_module_from_an_import_hook_is_imported_for_its_file(hook: None, name: str) -> None:
    assert answer(paths.get_root_path, name) == flasks_answer("get_root_path", name)


def test_the_root_of_a_module_without_a_file_cannot_be_told(hook: None) -> None:
    with pytest.raises(RuntimeError, match=r"No root path can be found.*'hooked'.*explicitly"):
        paths.get_root_path("hooked")
    with pytest.raises(TypeError, match="'hooked_too' has no file: pass 'instance_path'"):
        paths.find_package("hooked_too")


def test_a_module_with_a_broken_import_is_not_imported(folder: Path) -> None:
    write(folder / "broken.py", "raise NotImplementedError")
    assert paths.get_root_path("broken") == str(folder)
    assert paths.find_package("broken") == (None, str(folder))


# -- instance folders -------------------------------------------------------------------------


def test_an_application_beside_its_source_keeps_its_instance_there(folder: Path) -> None:
    write(folder / "near" / "__init__.py")
    assert paths.find_instance_path("near") == str(folder / "instance")


@pytest.mark.parametrize(
    ("site", "prefix"),
    [
        pytest.param("env/lib/python3.12/site-packages", "env", id="posix"),
        pytest.param("env/Lib/site-packages", "env", id="windows"),
        pytest.param("vendor/site-packages", "vendor", id="other"),
    ],
)
def test_an_installed_application_keeps_its_instance_under_the_prefix(
    folder: Path, monkeypatch: pytest.MonkeyPatch, site: str, prefix: str
) -> None:
    write(folder / site / "far_away" / "__init__.py")
    monkeypatch.syspath_prepend(str(folder / site))
    importlib.invalidate_caches()

    assert paths.find_package("far_away") == flasks_answer("find_package", "far_away")
    expected = folder / prefix / "var" / "far_away-instance"
    assert paths.find_instance_path("far_away") == str(expected)


def test_what_lies_below_the_prefix_is_installed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder / "lib" / "below.py")
    monkeypatch.setattr(sys, "prefix", str(folder))
    monkeypatch.syspath_prepend(str(folder / "lib"))
    importlib.invalidate_caches()
    assert paths.find_package("below") == (str(folder), str(folder / "lib"))


# -- functions --------------------------------------------------------------------------------


def plain() -> None: ...


def wrapping(function: Any) -> Any:
    @functools.wraps(function)
    def inner(*args: Any) -> Any:
        return function(*args)

    return inner


class Callable_:
    def __call__(self) -> None: ...

    def method(self) -> None: ...


class Answer(View):
    def __init__(self) -> None: ...

    def dispatch_request(self) -> str:
        return ""


class Verbs(MethodView):
    def get(self) -> str:
        return ""

    def post(self) -> str:
        return ""


class MoreVerbs(Verbs):
    pass


def line_of(function: Any) -> int:
    line: int = function.__code__.co_firstlineno
    return line


@pytest.mark.parametrize(
    ("thing", "function"),
    [
        pytest.param(plain, plain, id="function"),
        pytest.param(wrapping(plain), plain, id="wrapped"),
        pytest.param(wrapping(wrapping(plain)), plain, id="wrapped twice"),
        pytest.param(functools.partial(plain), plain, id="partial"),
        pytest.param(Callable_().method, Callable_.method, id="method"),
        pytest.param(Callable_(), Callable_.__call__, id="callable object"),
        pytest.param(functools.partial(Callable_()), Callable_.__call__, id="mixture"),
        pytest.param(Answer.as_view("answer"), Answer.dispatch_request, id="view class"),
        pytest.param(Verbs.as_view("verbs"), Verbs.get, id="method view"),
        pytest.param(MoreVerbs.as_view("verbs"), Verbs.get, id="inherited methods"),
    ],
)
def test_the_source_of_a_callable_is_the_function_a_reader_looks_for(
    thing: Any, function: Any
) -> None:
    assert paths.find_source(thing) == (HERE, line_of(function))


@pytest.mark.parametrize(
    "thing",
    [len, print, [].append, 3, None, int],
    ids=lambda thing: repr(thing).partition(" at 0x")[0],
)
def test_what_has_no_python_source_has_none(thing: Any) -> None:
    assert paths.find_source(thing) is None


def test_a_wrapper_that_wraps_itself_ends_the_search() -> None:
    def loop() -> None: ...

    loop.__wrapped__ = loop  # type: ignore[attr-defined]
    assert paths.find_source(loop) is None


def test_the_caller_is_the_nearest_frame_outside_the_package() -> None:
    place = paths.caller_place()
    assert place is not None
    file, line = place
    assert file == HERE
    assert Path(HERE).read_text().splitlines()[line - 1].strip() == "place = paths.caller_place()"


def test_no_caller_is_found_where_all_frames_are_inside() -> None:
    namespace = {"__name__": "some_package.module", "caller_place": paths.caller_place}
    code = compile("place = caller_place('some_package')", os.fspath(HERE), "exec")
    exec(code, namespace)
    assert namespace["place"] is not None  # the test itself is outside of it

"""The configuration fills itself from files, objects and the environment, and tells of changes."""

from __future__ import annotations

import copy
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from erlen.config import Config, ConfigAttribute

OBJECT_KEY = "taken"
other_key = "left"


def make(framework: ModuleType, root: object = "/nowhere", **values: object) -> Any:
    return framework.Config(root, values)


# -- files ------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "iso-8859-15"])
def test_a_python_file_is_read_in_the_encoding_that_it_declares(
    framework: ModuleType, tmp_path: Path, encoding: str
) -> None:
    text = f"# -*- coding: {encoding} -*-\nWORD = 'föö'\nHERE = __file__\nquiet = 1\n"
    (tmp_path / "settings.py").write_text(text, encoding)
    config = make(framework, tmp_path)

    assert config.from_pyfile("settings.py") is True
    assert config == {"WORD": "föö", "HERE": str(tmp_path / "settings.py")}


@pytest.mark.parametrize("loader", ["from_pyfile", "from_file"])
def test_a_missing_file_is_an_error_that_names_it(
    framework: ModuleType, tmp_path: Path, loader: str
) -> None:
    extra = {"load": json.load} if loader == "from_file" else {}
    config = make(framework, tmp_path)

    with pytest.raises(FileNotFoundError) as caught:
        getattr(config, loader)("missing.cfg", **extra)

    assert str(caught.value) == (
        "[Errno 2] Unable to load configuration file (No such file or directory):"
        f" {str(tmp_path / 'missing.cfg')!r}"
    )
    assert getattr(config, loader)("missing.cfg", silent=True, **extra) is False


@pytest.mark.parametrize(
    ("name", "as_source", "as_data"),
    [
        pytest.param("missing", False, False, id="missing"),
        pytest.param("folder", False, False, id="a folder"),
        pytest.param("file/below", False, NotADirectoryError, id="below a file"),
    ],
)
def test_silent_forgives_the_errors_that_mean_missing(
    framework: ModuleType, tmp_path: Path, name: str, as_source: Any, as_data: Any
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    config = make(framework, tmp_path)

    def outcome(call: Callable[..., Any], **kwargs: Any) -> Any:
        try:
            return call(name, silent=True, **kwargs)
        except OSError as e:
            return type(e)

    assert outcome(config.from_pyfile) == as_source
    assert outcome(config.from_file, load=json.load) == as_data


@pytest.mark.parametrize("text", [True, False], ids=["text", "bytes"])
def test_a_file_is_given_to_the_loader_open(
    framework: ModuleType, tmp_path: Path, text: bool
) -> None:
    (tmp_path / "settings.json").write_text('{"KEY": [1], "key": 2}')
    config = make(framework, tmp_path)
    seen: list[type] = []

    def load(file: Any) -> dict[str, Any]:
        content = file.read()
        seen.append(type(content))
        return dict(json.loads(content))

    assert config.from_file("settings.json", load, text=text) is True
    assert config == {"KEY": [1]}
    assert seen == [str if text else bytes]


def test_an_environment_variable_can_name_the_file(
    framework: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "settings.py").write_text("KEY = 1\n")
    config = make(framework, tmp_path)

    with pytest.raises(RuntimeError) as caught:
        config.from_envvar("THE_SETTINGS")
    assert str(caught.value) == (
        "The environment variable 'THE_SETTINGS' is not set and as such configuration could not"
        " be loaded. Set this variable and make it point to a configuration file"
    )
    assert config.from_envvar("THE_SETTINGS", silent=True) is False

    monkeypatch.setenv("THE_SETTINGS", str(tmp_path / "settings.py"))
    assert config.from_envvar("THE_SETTINGS") is True
    assert config == {"KEY": 1}


# -- objects ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(__name__, id="import name"),
        pytest.param(SimpleNamespace(OBJECT_KEY=OBJECT_KEY, lower=1), id="object"),
        pytest.param(type("Sub", (type("Base", (), {"OBJECT_KEY": OBJECT_KEY}),), {}), id="class"),
    ],
)
def test_the_upper_case_names_of_an_object_are_taken(framework: ModuleType, source: Any) -> None:
    config = make(framework)
    config.from_object(source)
    assert config == {"OBJECT_KEY": OBJECT_KEY}


def test_the_upper_case_items_of_a_mapping_are_taken(framework: ModuleType) -> None:
    config = make(framework)
    assert config.from_mapping({"A": 1, "b": 2}, C=3, d=4) is True
    assert config.from_mapping([("E", 5)]) is True
    assert config.from_mapping() is True
    assert config == {"A": 1, "C": 3, "E": 5}
    with pytest.raises(TypeError):
        config.from_mapping({}, {})


def test_prefixed_variables_become_keys_and_nested_dicts(
    framework: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = {
        "APP_STRING": "text",
        "APP_FLAG": "true",
        "APP_WORD": "True",
        "APP_LIST": "[1, 2]",
        "APP_EXIST__ok": "other",
        "APP_EXIST__inner__ik": "2",
        "APP_NEW__K__L": '{"m": null}',
        "APP_": "nameless",
        "NOT_APP_X": "1",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    config = make(framework, EXIST={"ok": "value", "flag": True, "inner": {"ik": 1}})

    assert config.from_prefixed_env("APP") is True
    assert config == {
        "": "nameless",
        "STRING": "text",
        "FLAG": True,
        "WORD": "True",
        "LIST": [1, 2],
        "EXIST": {"ok": "other", "flag": True, "inner": {"ik": 2}},
        "NEW": {"K": {"L": {"m": None}}},
    }


def test_a_parser_of_ones_own_reads_prefixed_variables(
    framework: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLASK_HEX", "ff")
    monkeypatch.setenv("FLASK_WORD", "word")
    config = make(framework)
    config.from_prefixed_env(loads=lambda text: int(text, 16))
    assert config == {"HEX": 255, "WORD": "word"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"one": 1, "two_b": 2}),
        ({"lowercase": False}, {"ONE": 1, "TWO_B": 2}),
        ({"trim_namespace": False}, {"img_one": 1, "img_two_b": 2}),
        ({"lowercase": False, "trim_namespace": False}, {"IMG_ONE": 1, "IMG_TWO_B": 2}),
    ],
    ids=["plain", "case kept", "prefix kept", "both kept"],
)
def test_a_namespace_is_the_keys_with_a_prefix(
    framework: ModuleType, options: dict[str, bool], expected: dict[str, int]
) -> None:
    config = make(framework, IMG_ONE=1, IMG_TWO_B=2, OTHER=3)
    assert config.get_namespace("IMG_", **options) == expected


def test_the_representation_names_the_class(framework: ModuleType) -> None:
    assert repr(make(framework, A=1)) == "<Config {'A': 1}>"


# -- attributes of an application -------------------------------------------------------------


class Owner:
    plain: ConfigAttribute[Any] = ConfigAttribute("PLAIN")
    whole: ConfigAttribute[int] = ConfigAttribute("WHOLE", get_converter=int)

    def __init__(self) -> None:
        self.config = Config("/nowhere", {"WHOLE": "42"})


def test_an_attribute_reads_and_writes_its_key() -> None:
    owner = Owner()
    owner.plain = [1]  # type: ignore[assignment]
    assert owner.config["PLAIN"] == [1]
    assert owner.plain == [1]


def test_an_attribute_converts_what_it_reads() -> None:
    owner = Owner()
    assert owner.whole == 42
    assert owner.config["WHOLE"] == "42"


def test_an_attribute_is_itself_on_the_class_and_a_missing_key_is_an_error() -> None:
    assert isinstance(Owner.plain, ConfigAttribute)
    with pytest.raises(KeyError, match="PLAIN"):
        _ = Owner().plain


# -- changes ----------------------------------------------------------------------------------


def assign(config: Config) -> None:
    config["A"] = 2


def delete(config: Config) -> None:
    del config["A"]


def merge(config: Config) -> None:
    config |= {"A": 2}


changes: dict[str, Callable[[Config], Any]] = {
    "item": assign,
    "del": delete,
    "|=": merge,
    "update": lambda config: config.update(A=2),
    "setdefault": lambda config: config.setdefault("B", 2),
    "pop": lambda config: config.pop("A"),
    "popitem": lambda config: config.popitem(),
    "clear": lambda config: config.clear(),
    "from_mapping": lambda config: config.from_mapping(A=2),
    "from_object": lambda config: config.from_object(SimpleNamespace(A=2)),
}


@pytest.mark.parametrize("change", changes.values(), ids=changes)
def test_each_change_is_told_after_it_was_made(change: Callable[[Config], Any]) -> None:
    config = Config("/nowhere", {"A": 1})
    told: list[dict[str, Any]] = []
    config._on_change = lambda: told.append(dict(config))
    change(config)
    assert told == [dict(config)]
    assert told != [{"A": 1}]


def test_a_nested_value_from_the_environment_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASK_A__B", "2")
    config = Config("/nowhere", {"A": {"B": 1}})
    told: list[int] = []
    config._on_change = lambda: told.append(config["A"]["B"])
    config.from_prefixed_env()
    assert told == [2]


def test_reading_is_not_told_and_costs_what_a_dict_costs() -> None:
    config = Config("/nowhere", {"A": 1})
    told: list[None] = []
    config._on_change = lambda: told.append(None)
    assert (config["A"], config.get("B"), "A" in config, len(config)) == (1, None, True, 1)
    assert told == []
    assert Config.__getitem__ is dict.__getitem__


@pytest.mark.parametrize(
    "duplicate",
    [copy.copy, copy.deepcopy, lambda config: pickle.loads(pickle.dumps(config))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_a_copy_has_the_values_but_not_the_owner(duplicate: Callable[[Config], Config]) -> None:
    config = Config(os.sep, {"A": [1]})
    config._on_change = lambda: pytest.fail("a copy told the owner of the original")
    other = duplicate(config)
    other["B"] = 2
    assert (type(other), other, other.root_path) == (Config, {"A": [1], "B": 2}, os.sep)
    assert config == {"A": [1]}

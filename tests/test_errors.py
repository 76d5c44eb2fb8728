"""Erlen's own exceptions name the place and the remedy."""

from __future__ import annotations

import copy
import pickle

import pytest

from erlen.errors import ErlenError, MissingExtra, SetupError, format_place


def test_a_missing_extra_names_the_command_that_installs_it() -> None:
    error = MissingExtra("erlen serve", "granian", "server")
    assert str(error) == (
        "erlen serve needs granian, which is not installed: pip install 'erlen[server]'"
    )
    assert (error.name, error.extra, error.command) == (
        "granian",
        "server",
        "pip install 'erlen[server]'",
    )


def test_a_missing_extra_is_an_import_error() -> None:
    with pytest.raises(ImportError):
        raise MissingExtra("predictors", "numpy", "ml")
    assert issubclass(MissingExtra, ErlenError)


def test_a_setup_error_shows_the_registrations_that_clash() -> None:
    error = SetupError("Two views are called 'index'.", ("a.py", 3), None, ("b.py", 14))
    assert str(error) == "Two views are called 'index'.\n  at a.py:3\n  at b.py:14"
    assert isinstance(error, AssertionError)


def test_a_setup_error_may_know_no_place() -> None:
    assert str(SetupError("No.")) == str(SetupError("No.", None)) == "No."


@pytest.mark.parametrize(
    ("place", "text"), [(("a.py", 3), "a.py:3"), (None, "unknown place")], ids=["known", "unknown"]
)
def test_a_place_is_written_as_editors_read_it(place: tuple[str, int] | None, text: str) -> None:
    assert format_place(place) == text


@pytest.mark.parametrize(
    "error",
    [MissingExtra("erlen serve", "granian", "server"), SetupError("No.", ("a.py", 3))],
    ids=["extra", "setup"],
)
def test_errors_can_be_sent_between_processes(error: ErlenError) -> None:
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (type(other), str(other), vars(other)) == (type(error), str(error), vars(error))

"""The application's logger and the stream that errors go to."""

from __future__ import annotations

import importlib
import io
import logging
import re
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def root() -> Iterator[logging.Logger]:
    """A root of our own above the application's logger: the real one belongs to pytest."""
    root, logger = logging.RootLogger(logging.WARNING), logging.getLogger("logging_app")
    before, logger.parent = logger.parent, root
    yield root
    logger.parent = before
    for changed in (logger, logger.getChild("child")):
        changed.handlers.clear()
        changed.setLevel(logging.NOTSET)
        changed.propagate = True


@pytest.fixture
def parts(framework: ModuleType) -> Any:
    return importlib.import_module(f"{framework.__name__}.logging")


@pytest.fixture
def app(framework: ModuleType) -> Any:
    return framework.Flask("logging_app")


def test_the_logger_is_named_like_the_application(app: Any, parts: Any) -> None:
    assert app.logger is logging.getLogger("logging_app")
    assert app.logger.handlers == [parts.default_handler]
    assert app.logger.level == logging.NOTSET


@pytest.mark.parametrize(
    ("before", "after"),
    [(logging.NOTSET, logging.DEBUG), (logging.ERROR, logging.ERROR)],
    ids=["unset", "set"],
)
def test_debug_mode_logs_everything_unless_a_level_is_set(
    app: Any, before: int, after: int
) -> None:
    logging.getLogger("logging_app").setLevel(before)
    app.debug = True
    assert app.logger.level == after


def test_configured_logging_is_left_alone(app: Any, root: logging.Logger) -> None:
    root.addHandler(logging.NullHandler())
    assert app.logger.handlers == []


def test_a_second_logger_does_not_add_the_handler_again(app: Any, parts: Any) -> None:
    parts.create_logger(app)
    parts.create_logger(app)
    assert logging.getLogger("logging_app").handlers == [parts.default_handler]


def test_records_go_to_the_servers_error_stream_in_flasks_format(app: Any) -> None:
    stream = io.StringIO()
    with app.test_request_context(errors_stream=stream):
        app.logger.error("went %s", "wrong")
    stamp, _, text = stream.getvalue().partition("] ")
    assert text == "ERROR in test_logging: went wrong\n"
    assert stamp.startswith("[20")


def test_the_error_stream_is_stderr_outside_of_requests(app: Any, parts: Any) -> None:
    proxy, stream = parts.wsgi_errors_stream, io.StringIO()
    assert proxy._get_current_object() is sys.stderr
    with app.test_request_context(errors_stream=stream):
        assert proxy._get_current_object() is stream
    with app.app_context():
        assert proxy._get_current_object() is sys.stderr


@pytest.mark.parametrize(
    ("where", "handler_level", "logger_level", "propagate", "expected"),
    [
        pytest.param(None, 0, 0, True, False, id="no handler"),
        pytest.param("", 0, 0, True, True, id="on the root"),
        pytest.param("", 0, 0, False, False, id="root, not propagated"),
        pytest.param("", logging.ERROR, 0, True, False, id="root, level too high"),
        pytest.param("", logging.WARNING, 0, True, True, id="root, just the level"),
        pytest.param("logging_app", 0, 0, False, True, id="on the parent"),
        pytest.param("logging_app.child", logging.INFO, logging.DEBUG, True, False, id="own, high"),
        pytest.param("logging_app.child", logging.INFO, logging.INFO, True, True, id="own"),
    ],
)
def test_a_handler_counts_if_it_takes_the_effective_level(
    parts: Any,
    root: logging.Logger,
    where: str | None,
    handler_level: int,
    logger_level: int,
    propagate: bool,
    expected: bool,
) -> None:
    logging.getLogger("logging_app").propagate = propagate
    logger = logging.getLogger("logging_app.child")
    logger.setLevel(logger_level)
    if where is not None:
        handler = logging.NullHandler()
        handler.setLevel(handler_level)
        (logging.getLogger(where) if where else root).addHandler(handler)
    assert parts.has_level_handler(logger) is expected


def test_an_exception_of_a_view_is_logged_with_its_traceback(app: Any) -> None:
    @app.get("/fail")
    def fail() -> str:
        raise ZeroDivisionError("by nothing")

    stream = io.StringIO()
    answer = app.test_client().get("/fail", errors_stream=stream)
    assert answer.status_code == 500
    assert re.search(r"ERROR in \w+: Exception on /fail \[GET\]\nTraceback", stream.getvalue())
    assert stream.getvalue().endswith("ZeroDivisionError: by nothing\n")

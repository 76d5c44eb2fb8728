"""The ten signals, and when an application sends them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any

import pytest

NAMES = [
    "appcontext_popped",
    "appcontext_pushed",
    "appcontext_tearing_down",
    "before_render_template",
    "got_request_exception",
    "message_flashed",
    "request_finished",
    "request_started",
    "request_tearing_down",
    "template_rendered",
]


@contextmanager
def recorded(framework: ModuleType, app: Any) -> Iterator[list[tuple[str, list[str]]]]:
    """What the application sends, as names with the names of the arguments."""
    events: list[tuple[str, list[str]]] = []
    with ExitStack() as stack:
        for name in NAMES:

            def record(sender: Any, _name: str = name, **sent: Any) -> None:
                assert sender is app
                events.append((_name, sorted(sent)))

            signal = getattr(framework, name)
            stack.enter_context(signal.connected_to(record, app))
        yield events


def make_app(framework: ModuleType) -> Any:
    app = framework.Flask("signals_app")
    app.secret_key = "key"

    @app.get("/flash")
    def flash() -> str:
        framework.flash("hello", "greeting")
        return str(framework.render_template_string("{{ 1 + 1 }}"))

    @app.get("/fail")
    def fail() -> str:
        raise ZeroDivisionError

    return app


def test_the_names_and_the_texts_of_the_signals_are_flasks(framework: ModuleType) -> None:
    for name in NAMES:
        assert getattr(framework, name).name == name.replace("_", "-")


def test_a_request_sends_its_signals_in_order(framework: ModuleType) -> None:
    app = make_app(framework)
    with recorded(framework, app) as events:
        assert app.test_client().get("/flash").text == "2"
    assert events == [
        ("appcontext_pushed", []),
        ("request_started", []),
        ("message_flashed", ["category", "message"]),
        ("before_render_template", ["context", "template"]),
        ("template_rendered", ["context", "template"]),
        ("request_finished", ["response"]),
        ("request_tearing_down", ["exc"]),
        ("appcontext_tearing_down", ["exc"]),
        ("appcontext_popped", []),
    ]


def test_a_failing_request_sends_the_exception(framework: ModuleType) -> None:
    app = make_app(framework)
    with recorded(framework, app) as events:
        assert app.test_client().get("/fail").status_code == 500
    assert [name for name, _ in events] == [
        "appcontext_pushed",
        "request_started",
        "got_request_exception",
        "request_finished",
        "request_tearing_down",
        "appcontext_tearing_down",
        "appcontext_popped",
    ]


def test_a_receiver_may_be_a_coroutine_function(framework: ModuleType) -> None:
    app = make_app(framework)
    got: list[Any] = []

    async def receive(sender: Any, **sent: Any) -> None:
        got.append(sent["message"])

    with framework.message_flashed.connected_to(receive, app):
        with app.test_request_context():
            framework.flash("hello")
    assert got == ["hello"]


def test_what_a_receiver_adds_to_the_context_is_rendered(framework: ModuleType) -> None:
    app = make_app(framework)

    def add(sender: Any, template: Any, context: dict[str, Any]) -> None:
        context["word"] = f"{context['word']}!"

    with framework.before_render_template.connected_to(add, app), app.app_context():
        assert framework.render_template_string("{{ word }}", word="hello") == "hello!"


def test_a_namespace_of_ones_own_can_be_made(framework: ModuleType) -> None:
    signals = pytest.importorskip(f"{framework.__name__}.signals")
    mine = signals.Namespace().signal("mine")
    got: list[Any] = []

    def receive(sender: Any, **sent: Any) -> None:
        got.append((sender, sent))

    with mine.connected_to(receive):
        mine.send("sender", word=1)
    assert got == [("sender", {"word": 1})]

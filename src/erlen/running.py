"""What runs an application beside production servers: development server, test clients, shell.

Source: Flask, "API: Application Object".
"""

from __future__ import annotations

import typing as t
from importlib import import_module

from .globals import g
from .scaffold import Scaffold, setupmethod

if t.TYPE_CHECKING:
    from . import typing as ft
    from .app import Erlen
    from .testing import AsyncFlaskClient, FlaskClient, FlaskCliRunner
    from .wrappers import Response

    T_shell_context_processor = t.TypeVar(
        "T_shell_context_processor", bound="ft.ShellContextProcessorCallable"
    )
else:
    # PERF: the bound, which is text, would be compiled.
    T_shell_context_processor = t.TypeVar("T_shell_context_processor")


class Running(Scaffold):
    """What starts an application or calls it without a server; for `Erlen` to inherit."""

    test_client_class: type[FlaskClient] | None = None
    test_cli_runner_class: type[FlaskCliRunner] | None = None

    if t.TYPE_CHECKING:
        response_class: type[Response]
        shell_context_processors: list[ft.ShellContextProcessorCallable]

        def ensure_sync(self, func: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]: ...

    def run(
        self,
        host: str | None = None,
        port: int | None = None,
        debug: bool | None = None,
        load_dotenv: bool = True,
        **options: t.Any,
    ) -> None:
        """Run the development server, with reloader and debugger in debug mode.

        Not for production: see `erlen serve`. Options go to `werkzeug.serving.run_simple`.
        """
        # The shell is above the application; it is reached by name, and only from here.
        dev = import_module(".server.dev", __package__)
        dev.run_app(self, host, port, debug, load_dotenv, **options)

    def test_client(self, use_cookies: bool = True, **kwargs: t.Any) -> FlaskClient:
        """A client that calls the application without a server.

        `transport` is "wsgi" or "asgi"; other arguments go to `test_client_class`.
        """
        from .testing import FlaskClient

        cls = self.test_client_class or FlaskClient
        transport = kwargs.pop("transport", None)
        client = cls(self, self.response_class, use_cookies=use_cookies, **kwargs)
        if transport is not None:
            client.transport = transport
        return client

    def async_test_client(self, use_cookies: bool = True, **kwargs: t.Any) -> AsyncFlaskClient:
        """A client for tests that are coroutine functions: over ASGI, on the test's own loop."""
        from .testing import AsyncFlaskClient

        return AsyncFlaskClient(self.test_client(use_cookies, **kwargs, transport="asgi"))

    def test_cli_runner(self, **kwargs: t.Any) -> FlaskCliRunner:
        """A runner that invokes the application's commands."""
        from .testing import FlaskCliRunner

        return (self.test_cli_runner_class or FlaskCliRunner)(t.cast("Erlen", self), **kwargs)

    # The shell

    @setupmethod
    def shell_context_processor(self, f: T_shell_context_processor) -> T_shell_context_processor:
        """Add the values of the dict that a function returns to the interactive shell."""
        self.shell_context_processors.append(f)
        return f

    def make_shell_context(self) -> dict[str, t.Any]:
        """The names that the interactive shell knows."""
        known: dict[str, t.Any] = {"app": self, "g": g}
        for processor in self.shell_context_processors:
            known |= self.ensure_sync(processor)()
        return known


def _make_command_group(scaffold: Scaffold) -> t.Any:
    from .commands import AppGroup

    group = AppGroup()
    if isinstance(scaffold, Running):
        group.name = scaffold.name
    return group


Scaffold._make_command_group = staticmethod(_make_command_group)

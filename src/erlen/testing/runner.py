"""Commands of an application, invoked in a test."""

from __future__ import annotations

import typing as t

from click.testing import CliRunner, Result

from ..commands import ScriptInfo

if t.TYPE_CHECKING:
    from ..app import Erlen


class FlaskCliRunner(CliRunner):
    """Click's runner for an application's commands; `app.test_cli_runner()` makes one."""

    def __init__(self, app: Erlen, **kwargs: t.Any) -> None:
        self.app = app
        super().__init__(**kwargs)

    def invoke(  # type: ignore[override]
        self, cli: t.Any = None, args: t.Any = None, **kwargs: t.Any
    ) -> Result:
        """Run a command (by default `app.cli`) in isolation and return what came of it.

        The command's `obj` is a `ScriptInfo` that has the application already, unless one is given.
        """
        app = self.app
        if "obj" not in kwargs:
            kwargs["obj"] = ScriptInfo(create_app=lambda: app)
        return super().invoke(app.cli if cli is None else cli, args, **kwargs)

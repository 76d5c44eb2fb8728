"""Find the application as the command line of Flask does, in either process."""

from __future__ import annotations

import os
import typing as t


def load(task: dict[str, t.Any]) -> t.Any:
    """The application that `target` names (`module:app`, `file.py:create_app()`, or none)."""
    import flask
    from flask.cli import ScriptInfo

    os.environ.setdefault("FLASK_RUN_FROM_CLI", "true")  # `app.run()` in a module stands back
    made_by_erlen = flask.Flask.__module__.partition(".")[0] == "erlen"
    if made_by_erlen is not (task["engine"] == "erlen"):
        raise RuntimeError(f"this process was to run {task['engine']}, and has the other one")
    app = ScriptInfo(app_import_path=task.get("target")).load_app()
    if app.debug != bool(os.environ.get("FLASK_DEBUG")):
        app.debug = bool(os.environ.get("FLASK_DEBUG"))
    return app


def name_of(function: t.Any) -> str:
    """What a function is called in a report: module and qualified name."""
    inner = getattr(function, "func", function)
    name = getattr(inner, "__qualname__", None) or type(inner).__qualname__
    module = getattr(inner, "__module__", None) or type(inner).__module__
    return f"{module}.{name}"

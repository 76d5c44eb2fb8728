"""Tell of names of `flask` and `werkzeug` whether this process has them."""

from __future__ import annotations

import typing as t
import warnings
from importlib import import_module
from inspect import getattr_static


def perform(task: dict[str, t.Any]) -> dict[str, bool]:
    """For each dotted name, whether it leads to something here."""
    finder = _Finder()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated names are there, too
        return {name: finder.has(name) for name in task["names"]}


class _Finder:
    def __init__(self) -> None:
        import flask

        app = flask.Flask("erlen_check")
        context = app.test_request_context()
        context.push()  # proxies answer for what they stand for; the process ends with it
        #: What proxies and instances stand for: instances have more than their classes.
        self._instances: dict[str, t.Any] = {
            "flask.Flask": app,
            "flask.Blueprint": flask.Blueprint("erlen_check", "erlen_check"),
            "flask.current_app": app,
            "flask.request": context.request,
            "flask.Request": context.request,
            "flask.Response": app.response_class(),
            "flask.globals.request_ctx": context,
            "flask.globals.app_ctx": app.app_context(),
        }

    def has(self, name: str) -> bool:
        """Whether `package.module.attribute...` resolves."""
        parts = name.split(".")
        for known, instance in self._instances.items():
            if name.startswith(f"{known}.") and _has(instance, parts[known.count(".") + 1]):
                return True
        found: t.Any = None
        for number in range(len(parts)):
            try:
                found = import_module(".".join(parts[: number + 1]))
            except ModuleNotFoundError:
                return _leads_on(found, parts[number:])
        return found is not None


def _has(holder: t.Any, name: str) -> bool:
    """Whether there is such an attribute, without having a property of its class computed."""
    if isinstance(getattr_static(type(holder), name, None), property):
        return True
    return hasattr(holder, name)


def _leads_on(found: t.Any, rest: list[str]) -> bool:
    """Whether attributes lead from an object along all of the names."""
    for part in rest:
        if not _has(found, part):
            return False
        found = getattr(found, part)
        if not isinstance(found, type) and not hasattr(found, "__dict__"):
            return True  # a plain value; what it has is none of the framework's
    return found is not None

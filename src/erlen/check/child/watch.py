"""Record which hooks run in which order, which signals are sent, and what is logged."""

from __future__ import annotations

import inspect
import logging
import typing as t
from functools import update_wrapper

from .load import name_of

#: Registries of the application: by blueprint, lists of functions.
BY_BLUEPRINT = (
    ("before_request", "before_request_funcs"),
    ("after_request", "after_request_funcs"),
    ("teardown_request", "teardown_request_funcs"),
    ("url_value_preprocessor", "url_value_preprocessors"),
    ("url_defaults", "url_default_functions"),
    ("context_processor", "template_context_processors"),
)

SIGNALS = (
    *("request_started", "request_finished", "request_tearing_down", "got_request_exception"),
    *("appcontext_pushed", "appcontext_popped", "appcontext_tearing_down"),
    *("template_rendered", "before_render_template", "message_flashed"),
)

_OWN = ("flask", "erlen")


class Watch:
    """Stands around an application's functions; `trace` is what the request at hand did."""

    def __init__(self, app: t.Any) -> None:
        self.app = app
        self.trace: list[list[str]] = []
        self.logs: list[list[str]] = []
        self._receivers: list[t.Any] = []
        self._wrap_functions()
        self._listen()
        logging.getLogger().addHandler(_Recorder(self.logs))

    def begin(self) -> None:
        """Forget what was recorded."""
        self.trace.clear()
        self.logs.clear()

    def _wrap_functions(self) -> None:
        app = self.app
        for kind, registry in BY_BLUEPRINT:
            functions_by_name = getattr(app, registry)
            for name in list(functions_by_name):
                functions_by_name[name] = [
                    self._around(kind, function) for function in functions_by_name[name]
                ]
        app.teardown_appcontext_funcs[:] = [
            self._around("teardown_appcontext", f) for f in app.teardown_appcontext_funcs
        ]
        for by_code in app.error_handler_spec.values():
            for by_class in by_code.values():
                for error, function in list(by_class.items()):
                    by_class[error] = self._around("errorhandler", function)
        for endpoint, view in list(app.view_functions.items()):
            app.view_functions[endpoint] = self._around("view", view, endpoint)

    def _around(self, kind: str, function: t.Any, label: str | None = None) -> t.Any:
        if getattr(function, "__module__", "").partition(".")[0] in _OWN and kind != "view":
            return function  # the framework's own, which have other names in each
        name = label or name_of(function)

        def recorded(*args: t.Any, **kwargs: t.Any) -> t.Any:
            self._record(kind, name, args, kwargs)
            return function(*args, **kwargs)

        async def recorded_later(*args: t.Any, **kwargs: t.Any) -> t.Any:
            self._record(kind, name, args, kwargs)
            return await function(*args, **kwargs)

        is_async = inspect.iscoroutinefunction(inspect.unwrap(function))
        return update_wrapper(recorded_later if is_async else recorded, function)

    def _record(self, kind: str, name: str, args: tuple[t.Any, ...], kwargs: t.Any) -> None:
        self.trace.append([kind, name, _arguments(kind, args, kwargs)])

    def _listen(self) -> None:
        import flask

        for name in SIGNALS:
            signal = getattr(flask, name)
            receiver = self._receiver(name)
            self._receivers.append(receiver)  # signals hold their receivers weakly
            signal.connect(receiver, self.app)

    def _receiver(self, name: str) -> t.Any:
        def receive(sender: t.Any, **said: t.Any) -> None:
            self.trace.append(["signal", name, _said(name, said)])

        return receive


def _arguments(kind: str, args: tuple[t.Any, ...], kwargs: t.Any) -> str:
    """What a function was called with, as far as it is to be alike on both engines."""
    if kind == "view":
        return ", ".join(f"{name}={value!r}" for name, value in sorted(kwargs.items()))
    if kind in ("errorhandler", "teardown_request", "teardown_appcontext"):
        return _error(args[0] if args else None)
    if kind == "after_request":
        return f"{args[0].status_code}" if args else ""
    if kind in ("url_value_preprocessor", "url_defaults"):
        return ", ".join(repr(value) for value in args)
    return ""


def _said(name: str, said: dict[str, t.Any]) -> str:
    if name in ("template_rendered", "before_render_template"):
        template = getattr(said.get("template"), "name", None)
        return f"{template} with {', '.join(sorted(said.get('context', {})))}"
    if name == "message_flashed":
        return f"{said.get('category')}: {said.get('message')}"
    if name == "request_finished":
        return f"{said['response'].status_code}"
    if name in ("got_request_exception", "request_tearing_down", "appcontext_tearing_down"):
        return _error(said.get("exception", said.get("exc")))
    return ""


def _error(error: t.Any) -> str:
    if error is None:
        return ""
    if hasattr(error, "code"):
        return f"{type(error).__name__} {error.code}"
    return f"{type(error).__name__}: {error}"


class _Recorder(logging.Handler):
    """Keeps the records of the root logger as level, message and exception."""

    def __init__(self, kept: list[list[str]]) -> None:
        super().__init__(logging.WARNING)
        self.kept = kept

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self.kept.append([record.levelname, record.getMessage(), _error(error)])

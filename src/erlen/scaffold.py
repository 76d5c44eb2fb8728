"""What applications and blueprints share: registering, static files, templates.

Registering appends plain data and nothing else; the engine reads it when it compiles. Source:
Flask, "API: Application Object, Blueprint Objects".
"""

from __future__ import annotations

import os
import typing as t
from collections import defaultdict
from functools import partial, wraps
from importlib import import_module

from werkzeug.exceptions import HTTPException, default_exceptions

from .helpers import _endpoint_from_view_func
from .paths import find_package, get_root_path
from .wrappers import lazy

if t.TYPE_CHECKING:
    import click
    from jinja2 import BaseLoader

    from . import typing as ft
    from .wrappers import Response

__all__ = [
    "Scaffold",
    "_endpoint_from_view_func",
    "find_package",
    "get_root_path",
    "setupmethod",
]

F = t.TypeVar("F", bound=t.Callable[..., t.Any])
if t.TYPE_CHECKING:
    T_after_request = t.TypeVar("T_after_request", bound="ft.AfterRequestCallable[t.Any]")
    T_before_request = t.TypeVar("T_before_request", bound="ft.BeforeRequestCallable")
    T_error_handler = t.TypeVar("T_error_handler", bound="ft.ErrorHandlerCallable")
    T_teardown = t.TypeVar("T_teardown", bound="ft.TeardownCallable")
    T_template_context_processor = t.TypeVar(
        "T_template_context_processor", bound="ft.TemplateContextProcessorCallable"
    )
    T_url_defaults = t.TypeVar("T_url_defaults", bound="ft.URLDefaultCallable")
    T_url_value_preprocessor = t.TypeVar(
        "T_url_value_preprocessor", bound="ft.URLValuePreprocessorCallable"
    )
    T_route = t.TypeVar("T_route", bound="ft.RouteCallable")
    T_websocket = t.TypeVar("T_websocket", bound="ft.WebsocketCallable")
    T_before_websocket = t.TypeVar("T_before_websocket", bound="ft.BeforeWebsocketCallable")
    T_after_websocket = t.TypeVar("T_after_websocket", bound="ft.AfterWebsocketCallable")
else:
    # PERF: the bounds, which are text, would be compiled.
    T_after_request = t.TypeVar("T_after_request")
    T_before_request = t.TypeVar("T_before_request")
    T_error_handler = t.TypeVar("T_error_handler")
    T_teardown = t.TypeVar("T_teardown")
    T_template_context_processor = t.TypeVar("T_template_context_processor")
    T_url_defaults = t.TypeVar("T_url_defaults")
    T_url_value_preprocessor = t.TypeVar("T_url_value_preprocessor")
    T_route = t.TypeVar("T_route")
    T_websocket = t.TypeVar("T_websocket")
    T_before_websocket = t.TypeVar("T_before_websocket")
    T_after_websocket = t.TypeVar("T_after_websocket")

_sentinel: t.Any = object()

_AROUND_VIEWS = (
    "before_request_funcs",
    "after_request_funcs",
    "teardown_request_funcs",
    "before_websocket_funcs",
    "after_websocket_funcs",
    "teardown_websocket_funcs",
    "url_value_preprocessors",
)
_ELSEWHERE = ("url_default_functions", "template_context_processors")


def setupmethod(f: F) -> F:
    """Let a method that registers something refuse to do so when it is too late."""

    name = f.__name__

    def registering(self: Scaffold, *args: t.Any, **kwargs: t.Any) -> t.Any:
        self._check_setup_finished(name)
        return f(self, *args, **kwargs)

    return t.cast("F", wraps(f)(registering))


def _template_loader(scaffold: Scaffold) -> BaseLoader | None:
    if scaffold.template_folder is None:
        return None
    from jinja2 import FileSystemLoader

    return FileSystemLoader(os.path.join(scaffold.root_path, scaffold.template_folder))


def _make_registry() -> defaultdict[ft.AppOrBlueprintKey, t.Any]:
    return defaultdict(list)


def keep_local_names(view: t.Any) -> None:
    """Keep what the annotations of a view name of the function that defines it."""
    # PERF: most views are defined in modules, and need none of this.
    name = getattr(view, "__qualname__", None)
    if isinstance(name, str) and "<locals>" in name and not name.endswith("<lambda>"):
        from .engine.names import keep_names

        keep_names(view)


def _append(registry: t.Any, function: t.Any) -> None:
    """Register a function for the object itself, also in a dict that somebody put there."""
    if isinstance(registry, defaultdict):
        registry[None].append(function)
    else:
        registry.setdefault(None, []).append(function)


class Scaffold:
    """Common base of `Erlen` and `Blueprint`; not meant to be used by itself."""

    name: str
    import_name: str
    #: View functions by endpoint.
    view_functions: dict[str, ft.RouteCallable]
    #: Error handlers by blueprint (or `None`), code (or `None`) and class.
    error_handler_spec: dict[
        ft.AppOrBlueprintKey, dict[int | None, dict[type[Exception], ft.ErrorHandlerCallable]]
    ]
    # The registries of functions, each by blueprint (`None`: the object itself).
    before_request_funcs: dict[ft.AppOrBlueprintKey, list[ft.BeforeRequestCallable]]
    after_request_funcs: dict[ft.AppOrBlueprintKey, list[ft.AfterRequestCallable[t.Any]]]
    teardown_request_funcs: dict[ft.AppOrBlueprintKey, list[ft.TeardownCallable]]
    before_websocket_funcs: dict[ft.AppOrBlueprintKey, list[ft.BeforeWebsocketCallable]]
    after_websocket_funcs: dict[ft.AppOrBlueprintKey, list[ft.AfterWebsocketCallable]]
    teardown_websocket_funcs: dict[ft.AppOrBlueprintKey, list[ft.TeardownCallable]]
    url_value_preprocessors: dict[ft.AppOrBlueprintKey, list[ft.URLValuePreprocessorCallable]]
    url_default_functions: dict[ft.AppOrBlueprintKey, list[ft.URLDefaultCallable]]
    template_context_processors: dict[
        ft.AppOrBlueprintKey, list[ft.TemplateContextProcessorCallable]
    ]

    _static_folder: str | None = None
    _static_url_path: str | None = None
    # Makes the command group of an application or blueprint; set by the module that has it.
    _make_command_group: t.ClassVar[t.Callable[[Scaffold], t.Any] | None] = None

    def __init__(
        self,
        import_name: str,
        static_folder: str | os.PathLike[str] | None = None,
        static_url_path: str | None = None,
        template_folder: str | os.PathLike[str] | None = None,
        root_path: str | None = None,
    ) -> None:
        self.import_name = import_name
        self.root_path = get_root_path(import_name) if root_path is None else root_path
        self.template_folder = template_folder
        self.static_folder = static_folder
        self.static_url_path = static_url_path
        self.view_functions = self._view_registry()
        self.error_handler_spec = defaultdict(lambda: defaultdict(dict))
        for name in _AROUND_VIEWS:
            setattr(self, name, self._registry())
        for name in _ELSEWHERE:
            setattr(self, name, _make_registry())

    def _registry(self) -> t.Any:
        return _make_registry()

    def _view_registry(self) -> t.Any:
        return {}

    if t.TYPE_CHECKING:
        cli: click.Group
        jinja_loader: BaseLoader | None
        dependencies: list[t.Any]
    else:

        @lazy
        def dependencies(self):
            """Dependencies (`Depends(...)`) of all views of this object, called for their effect
            before each of them; not of its WebSockets."""
            return []

        @lazy
        def cli(self):
            """Commands of this object, a click group."""
            return Scaffold._make_command_group(self)

        @lazy
        def jinja_loader(self):
            """Loads templates from `template_folder`; `None` without one."""
            return _template_loader(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    def _check_setup_finished(self, f_name: str) -> None:
        raise NotImplementedError

    # Static files

    @property
    def static_folder(self) -> str | None:
        """Absolute path of the folder with static files, `None` without one."""
        folder = self._static_folder
        return folder if folder is None else os.path.join(self.root_path, folder)

    @static_folder.setter
    def static_folder(self, value: str | os.PathLike[str] | None) -> None:
        self._static_folder = value if value is None else os.fspath(value).rstrip("\\/")

    @property
    def has_static_folder(self) -> bool:
        """Whether `static_folder` is set."""
        return self.static_folder is not None

    @property
    def static_url_path(self) -> str | None:
        """Prefix of the URLs of static files; by default the name of the folder."""
        if self._static_url_path is None and self.static_folder is not None:
            return f"/{os.path.basename(self.static_folder)}".rstrip("/")
        return self._static_url_path

    @static_url_path.setter
    def static_url_path(self, value: str | None) -> None:
        self._static_url_path = value if value is None else value.rstrip("/")

    def get_send_file_max_age(self, filename: str | None) -> int | None:
        """Seconds for which a client may keep a file (`SEND_FILE_MAX_AGE_DEFAULT`); or `None`.

        Meant to be overridden, to decide by the file's name.
        """
        from .globals import current_app

        age = current_app.config["SEND_FILE_MAX_AGE_DEFAULT"]
        if age is None or isinstance(age, int):
            return age
        return int(age.total_seconds())

    def send_static_file(self, filename: str) -> Response:
        """The view of the static route. Raises RuntimeError without a static folder."""
        if not self.has_static_folder:
            raise RuntimeError("'static_folder' must be set to serve static_files.")
        from .helpers import send_from_directory

        return send_from_directory(
            t.cast("str", self.static_folder),
            filename,
            max_age=self.get_send_file_max_age(filename),
        )

    def _open_for_reading(self, resource: str, mode: str, encoding: str | None) -> t.IO[t.AnyStr]:
        if mode not in {"r", "rt", "rb"}:
            raise ValueError("Resources can only be opened for reading.")
        path = os.path.join(self.root_path, resource)
        return t.cast(
            "t.IO[t.AnyStr]", open(path, mode, encoding=None if mode == "rb" else encoding)
        )

    # Routes

    def _method_route(
        self, method: str, rule: str, options: dict[str, t.Any]
    ) -> t.Callable[[T_route], T_route]:
        if "methods" in options:
            raise TypeError("Use the 'route' decorator to use the 'methods' argument.")
        return self.route(rule, methods=[method], **options)

    @setupmethod
    def get(self, rule: str, **options: t.Any) -> t.Callable[[T_route], T_route]:
        """`route` with `methods=["GET"]`."""
        return self._method_route("GET", rule, options)

    @setupmethod
    def post(self, rule: str, **options: t.Any) -> t.Callable[[T_route], T_route]:
        """`route` with `methods=["POST"]`."""
        return self._method_route("POST", rule, options)

    @setupmethod
    def put(self, rule: str, **options: t.Any) -> t.Callable[[T_route], T_route]:
        """`route` with `methods=["PUT"]`."""
        return self._method_route("PUT", rule, options)

    @setupmethod
    def delete(self, rule: str, **options: t.Any) -> t.Callable[[T_route], T_route]:
        """`route` with `methods=["DELETE"]`."""
        return self._method_route("DELETE", rule, options)

    @setupmethod
    def patch(self, rule: str, **options: t.Any) -> t.Callable[[T_route], T_route]:
        """`route` with `methods=["PATCH"]`."""
        return self._method_route("PATCH", rule, options)

    @setupmethod
    def route(self, rule: str, **options: t.Any) -> t.Callable[[T_route], T_route]:
        """Decorate a view function to answer a URL; options as for `add_url_rule`."""
        named = options.pop("endpoint", None)

        def register(view: T_route) -> T_route:
            self.add_url_rule(rule, named, view, **options)
            return view

        return register

    @setupmethod
    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: ft.RouteCallable | None = None,
        provide_automatic_options: bool | None = None,
        **options: t.Any,
    ) -> None:
        """Connect a URL rule with an endpoint and its view function.

        The endpoint is the function's name by default. Options go to `werkzeug.routing.Rule`.
        """
        raise NotImplementedError

    @setupmethod
    def predictor(self, rule: str, predictor: t.Any = None, /, **options: t.Any) -> t.Any:
        """Serve a model at a URL: an object with `predict(items)`, or a function of a list.

        What makes the typed endpoint of it, batches its items and loads it once a process is
        `erlen.ml`. Without a predictor this decorates a class or function. Raises SetupError.

        :param endpoint: by default the predictor's name
        :param max_size: items in a batch at most
        :param deadline: seconds after which a request is answered 504
        :param max_queue: items that wait at most, beyond which requests are answered 503
        :param pure: whether `predict` may be called again with part of a batch that failed
        :param collate: `list`, `stack`, `pad` or an object of `erlen.ml.batching.collate`
        :param workers: batches that are computed at the same time
        :param page: the path of a page to try it on, or True for `/try` below the rule
        :param examples: dicts by inputs, or values of the only input; the model is warmed up by
            them where it has no `warm_up`
        :param title: of page and document
        :param description: likewise
        :param max_body: bytes of a request; by default by what its inputs may be
        :param load: `start` (when serving starts), `background` (likewise, on a thread beside) or
            `first` (for the first request)
        :param options: further ones are the route's
        """
        # Above the registration; reached by name, and only from here.
        registry = import_module(".ml", __package__).part("registry", "app.predictor")
        return registry.register(self, rule, predictor, options)

    @setupmethod
    def endpoint(self, endpoint: str) -> t.Callable[[F], F]:
        """Decorate the view function of an endpoint whose rules are added elsewhere."""
        return partial(self._set_view, endpoint)

    def _set_view(self, endpoint: str, view: F) -> F:
        self.view_functions[endpoint] = view
        return view

    @setupmethod
    def websocket(self, rule: str, **options: t.Any) -> t.Callable[[T_websocket], T_websocket]:
        """Decorate the view of a WebSocket; options as for `add_websocket`."""
        named = options.pop("endpoint", None)

        def register(view: T_websocket) -> T_websocket:
            self.add_websocket(rule, named, view, **options)
            return view

        return register

    @setupmethod
    def add_websocket(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: ft.WebsocketCallable | None = None,
        **options: t.Any,
    ) -> None:
        """Connect a URL rule with an endpoint and the view of its WebSockets.

        Options go to `werkzeug.routing.Rule`, but for `cancel_on_disconnect`: whether a view that
        waits for something else than its socket is cancelled when the client leaves (it is,
        unless told otherwise).
        """
        options.update(websocket=True, methods=["GET"], on_socket=True)
        self.add_url_rule(
            rule,
            endpoint,
            t.cast("ft.RouteCallable | None", view_func),
            provide_automatic_options=False,
            **options,
        )

    # Functions around views

    @setupmethod
    def before_request(self, f: T_before_request) -> T_before_request:
        """Run a function before each request; what it returns, if not `None`, is the answer."""
        _append(self.before_request_funcs, f)
        return f

    @setupmethod
    def after_request(self, f: T_after_request) -> T_after_request:
        """Run a function on the response of each request; it returns the response to send."""
        _append(self.after_request_funcs, f)
        return f

    @setupmethod
    def teardown_request(self, f: T_teardown) -> T_teardown:
        """Run a function when the context of a request is popped, with the error or `None`."""
        _append(self.teardown_request_funcs, f)
        return f

    @setupmethod
    def before_websocket(self, f: T_before_websocket) -> T_before_websocket:
        """Run a function before each WebSocket's view; what it returns, if not `None`, is the
        answer, which refuses the connection."""
        _append(self.before_websocket_funcs, f)
        return f

    @setupmethod
    def after_websocket(self, f: T_after_websocket) -> T_after_websocket:
        """Run a function when a WebSocket's view has ended, on the response that refuses it, or
        on `None`; it returns the response."""
        _append(self.after_websocket_funcs, f)
        return f

    @setupmethod
    def teardown_websocket(self, f: T_teardown) -> T_teardown:
        """Run a function when the context of a WebSocket is popped, with the error or `None`."""
        _append(self.teardown_websocket_funcs, f)
        return f

    @setupmethod
    def context_processor(self, f: T_template_context_processor) -> T_template_context_processor:
        """Add the values of the dict that a function returns to templates' contexts."""
        _append(self.template_context_processors, f)
        return f

    @setupmethod
    def url_value_preprocessor(self, f: T_url_value_preprocessor) -> T_url_value_preprocessor:
        """Run a function on endpoint and URL values (which it may change) before the hooks."""
        _append(self.url_value_preprocessors, f)
        return f

    @setupmethod
    def url_defaults(self, f: T_url_defaults) -> T_url_defaults:
        """Let a function add values when a URL is built; it gets endpoint and values."""
        _append(self.url_default_functions, f)
        return f

    @setupmethod
    def errorhandler(
        self, code_or_exception: type[Exception] | int
    ) -> t.Callable[[T_error_handler], T_error_handler]:
        """Decorate the handler of an HTTP status or a class of exceptions."""

        def register(handler: T_error_handler) -> T_error_handler:
            self.register_error_handler(code_or_exception, handler)
            return handler

        return register

    @setupmethod
    def register_error_handler(
        self,
        code_or_exception: type[Exception] | int,
        f: ft.ErrorHandlerCallable,
    ) -> None:
        """As `errorhandler`, but not as a decorator."""
        cls, code = self._get_exc_class_and_code(code_or_exception)
        self.error_handler_spec[None][code][cls] = f

    @staticmethod
    def _get_exc_class_and_code(
        exc_class_or_code: type[Exception] | int,
    ) -> tuple[type[Exception], int | None]:
        """Class and status of what an error handler is registered for."""
        only = " Handlers can only be registered for Exception classes or HTTP error codes."
        given: t.Any = exc_class_or_code
        if isinstance(given, int):
            if given not in default_exceptions:
                raise ValueError(
                    f"'{given}' is not a recognized HTTP error code. Use a subclass of"
                    " HTTPException with that code instead."
                )
            given = default_exceptions[given]
        if isinstance(given, Exception):
            raise TypeError(f"{given!r} is an instance, not a class.{only}")
        if not issubclass(given, Exception):
            raise ValueError(f"'{given.__name__}' is not a subclass of Exception.{only}")
        return given, given.code if issubclass(given, HTTPException) else None

"""The application: what is registered and configured, and how its parts are made.

Source: Flask, "API: Application Object".
"""

from __future__ import annotations

import os
import sys
import typing as t
import weakref
from datetime import timedelta
from importlib import import_module

from werkzeug.datastructures import ImmutableDict
from werkzeug.exceptions import Aborter

from . import json as _json
from .config import Config, ConfigAttribute
from .ctx import _AppCtxGlobals
from .engine.compile import WATCHED, stages_of
from .engine.registry import HookDict, ViewDict
from .errors import SetupError
from .globals import g as g
from .globals import request
from .globals import session as session
from .helpers import get_debug_flag
from .helpers import get_flashed_messages as get_flashed_messages
from .json.provider import DefaultJSONProvider, JSONProvider
from .paths import caller_place, find_instance_path, find_source
from .running import Running
from .running import T_shell_context_processor as T_shell_context_processor
from .scaffold import _endpoint_from_view_func, keep_local_names, setupmethod
from .serving import Serving
from .sessions import SecureCookieSessionInterface, SessionInterface
from .stages import Stages
from .templates import T_template_filter as T_template_filter
from .templates import T_template_global as T_template_global
from .templates import T_template_test as T_template_test
from .templates import Templates
from .templating import _default_template_ctx_processor
from .urls import accept_host
from .wrappers import Request, Response, lazy

if t.TYPE_CHECKING:
    import logging
    from types import TracebackType

    from werkzeug.routing import MapAdapter, Rule

    from . import typing as ft
    from .blueprints import Blueprint
    from .broadcast import Groups
    from .engine.routing import Map
    from .templating import Environment
    from .websockets import Websocket

    T_teardown = t.TypeVar("T_teardown", bound="ft.TeardownCallable")
else:
    # PERF: the bound, which is text, would be compiled.
    T_teardown = t.TypeVar("T_teardown")

Request.json_module = _json
Response.json_module = _json

# Options of a route that are Erlen's, not Werkzeug's.
_RULE_OPTIONS = frozenset(
    {
        *("inline", "timeout", "cancel_on_disconnect", "on_socket"),
        # of typed endpoints
        *("dependencies", "status", "responses", "returns", "tags", "summary", "description"),
        *("deprecated", "operation_id", "hidden", "openapi", "security"),
        *("examples", "callbacks", "external_docs", "sends", "receives"),
        *("exclude_unset", "exclude_defaults", "exclude_none", "by_alias", "include", "exclude"),
    }
)


def _make_timedelta(value: timedelta | int | None) -> timedelta | None:
    return timedelta(seconds=value) if isinstance(value, (int, float)) else value


def _explain_missing_files(request: Request) -> None:
    from .debughelpers import attach_enctype_error_multidict

    attach_enctype_error_multidict(request)


Request._explain_missing_files = staticmethod(_explain_missing_files)


def _program_dropper(app: Erlen) -> t.Callable[[], None]:
    """What the parts of an application call when they change; they do not keep it alive."""
    this = weakref.ref(app)

    def drop() -> None:
        owner = this()
        if owner is not None:
            owner._drop_program()

    return drop


class _Imported:
    """A class as the default of an attribute, imported when it is asked for.

    PERF: neither Jinja nor the URL map is needed to import the package.
    """

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def __get__(self, instance: t.Any, owner: t.Any) -> t.Any:
        return getattr(import_module(self.module, __package__), self.name)


class Erlen(Templates, Running, Serving, Stages):
    """The application: routes, hooks and configuration; a WSGI callable.

    `import_name` (usually `__name__`) tells where templates, static files and the instance folder
    are. `static_host` and `host_matching` go together. `docs` is the path of a documentation page
    (see `enable_docs`). Raises ValueError for an `instance_path` that is not absolute.
    """

    request_class: type[Request] = Request
    response_class: type[Response] = Response
    aborter_class = Aborter
    app_ctx_globals_class = _AppCtxGlobals
    config_class = Config
    json_provider_class: type[JSONProvider] = DefaultJSONProvider
    session_interface: SessionInterface = SecureCookieSessionInterface()
    #: Options of the Jinja environment; without effect once `jinja_env` is made.
    jinja_options: dict[str, t.Any] = {}
    websocket_class: type[Websocket]

    if t.TYPE_CHECKING:
        jinja_environment: type[Environment]
        url_map_class: type[Map]
        url_rule_class: type[Rule]
    else:
        jinja_environment = _Imported(".templating", "Environment")
        url_map_class = _Imported(".engine.routing", "Map")
        url_rule_class = _Imported("werkzeug.routing", "Rule")
        websocket_class = _Imported(".websockets", "Websocket")

    testing = ConfigAttribute[bool]("TESTING")
    secret_key = ConfigAttribute[str | bytes | None]("SECRET_KEY")
    permanent_session_lifetime = ConfigAttribute[timedelta](
        "PERMANENT_SESSION_LIFETIME",
        get_converter=_make_timedelta,  # type: ignore[arg-type]
    )

    default_config: ImmutableDict[str, t.Any] = ImmutableDict(
        APPLICATION_ROOT="/",
        DEBUG=None,
        EXPLAIN_TEMPLATE_LOADING=False,
        MAX_CONTENT_LENGTH=None,
        MAX_COOKIE_SIZE=4093,
        MAX_FORM_MEMORY_SIZE=500_000,
        MAX_FORM_PARTS=1_000,
        PERMANENT_SESSION_LIFETIME=timedelta(days=31),
        PREFERRED_URL_SCHEME="http",
        PROPAGATE_EXCEPTIONS=None,
        PROVIDE_AUTOMATIC_OPTIONS=True,
        SECRET_KEY=None,
        SECRET_KEY_FALLBACKS=None,
        SEND_FILE_MAX_AGE_DEFAULT=None,
        SERVER_NAME=None,
        SESSION_COOKIE_DOMAIN=None,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_NAME="session",
        SESSION_COOKIE_PARTITIONED=False,
        SESSION_COOKIE_PATH=None,
        SESSION_COOKIE_SAMESITE=None,
        SESSION_COOKIE_SECURE=False,
        SESSION_REFRESH_EACH_REQUEST=True,
        TEMPLATES_AUTO_RELOAD=None,
        TESTING=False,
        TRAP_BAD_REQUEST_ERRORS=None,
        TRAP_HTTP_EXCEPTIONS=False,
        TRUSTED_HOSTS=None,
        USE_X_SENDFILE=False,
    )

    _got_first_request = False

    def __init__(
        self,
        import_name: str,
        static_url_path: str | None = None,
        static_folder: str | os.PathLike[str] | None = "static",
        static_host: str | None = None,
        host_matching: bool = False,
        subdomain_matching: bool = False,
        template_folder: str | os.PathLike[str] | None = "templates",
        instance_path: str | None = None,
        instance_relative_config: bool = False,
        root_path: str | None = None,
        *,
        docs: str | None = None,
    ) -> None:
        super().__init__(import_name, static_folder, static_url_path, template_folder, root_path)
        if instance_path is not None and not os.path.isabs(instance_path):
            raise ValueError(
                "If an instance path is provided it must be absolute."
                " A relative path was given instead."
            )
        self.instance_path = instance_path or self.auto_find_instance_path()
        self.config = self.make_config(instance_relative_config)
        self.aborter = self.make_aborter()
        self.json: JSONProvider = self.json_provider_class(self)
        #: Called with error, endpoint and values where a URL cannot be built; return one.
        self.url_build_error_handlers: list[
            t.Callable[[Exception, str, dict[str, t.Any]], str]
        ] = []
        self.teardown_appcontext_funcs: list[ft.TeardownCallable] = []
        self.shell_context_processors: list[ft.ShellContextProcessorCallable] = []
        #: Blueprints by the names under which they are registered, in that order.
        self.blueprints: dict[str, Blueprint] = {}
        #: A place for extensions to keep their state, by their names.
        self.extensions: dict[str, t.Any] = {}
        self.url_map = self.url_map_class(host_matching=host_matching)
        self.subdomain_matching = subdomain_matching
        self.template_context_processors[None].append(_default_template_ctx_processor)
        if self.has_static_folder:
            if bool(static_host) != host_matching:
                raise SetupError(
                    "Invalid static_host/host_matching combination",
                    caller_place(),
                )
            this = weakref.ref(self)
            self.add_url_rule(
                f"{self.static_url_path}/<path:filename>",
                endpoint="static",
                host=static_host,
                view_func=lambda **values: this().send_static_file(**values),  # type: ignore[union-attr]
            )
        if docs is not None:
            self.enable_docs(docs)

    # What makes the compiled program out of date

    def __setattr__(self, name: str, value: t.Any) -> None:
        object.__setattr__(self, name, value)
        if name == "config" and isinstance(value, Config):
            value._on_change = self._dropper
        elif name == "url_map" and hasattr(value, "listeners"):
            value.listeners += (self._dropper,)
        if name in _READ_BY_PROGRAM:
            self._drop_program()

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        if name in _READ_BY_PROGRAM:
            self._drop_program()

    def _registry(self) -> t.Any:
        return HookDict(self._dropper)

    def _view_registry(self) -> t.Any:
        return ViewDict(self._dropper)

    def _as_defined(self) -> dict[str, t.Callable[..., t.Any]]:
        return _AS_DEFINED

    def _check_setup_finished(self, f_name: str) -> None:
        if self._got_first_request:
            raise AssertionError(
                f"The setup method '{f_name}' can no longer be called"
                " on the application. It has already handled its first"
                " request, any changes will not be applied"
                " consistently.\n"
                "Make sure all imports, decorators, functions, etc."
                " needed to set up the application are done before"
                " running it."
            )

    # Parts, made on first use

    if t.TYPE_CHECKING:
        name: str
        logger: logging.Logger
        jinja_env: Environment
        groups: Groups
        dependency_overrides: dict[t.Callable[..., t.Any], t.Callable[..., t.Any]]
        _dropper: t.Callable[[], None]
    else:

        @lazy
        def _dropper(self):
            return _program_dropper(self)

        @lazy
        def name(self):
            """The import name, or for a script that of its file."""
            if self.import_name != "__main__":
                return self.import_name
            file = getattr(sys.modules["__main__"], "__file__", None)
            return "__main__" if file is None else os.path.splitext(os.path.basename(file))[0]

        @lazy
        def logger(self):
            """The logger of this application's name; has a handler where no other is set up."""
            from .logging import create_logger

            return create_logger(self)

        @lazy
        def jinja_env(self):
            """The Jinja environment; configure it before templates are rendered."""
            return self.create_jinja_environment()

        @lazy
        def dependency_overrides(self):
            """Functions to call in place of those that views and dependencies name in `Depends`;
            meant for tests, and in force as soon as they are written."""
            return {}

        @lazy
        def groups(self):
            """Groups by name, to send messages to all who listen (see `BROADCAST_URL`)."""
            from .broadcast import Groups

            return Groups(self)

    @property
    def debug(self) -> bool:
        """Whether debug mode is on (`DEBUG`); also reloads templates when they change."""
        return self.config["DEBUG"]  # type: ignore[no-any-return]

    @debug.setter
    def debug(self, value: bool) -> None:
        self.config["DEBUG"] = value
        if self.config["TEMPLATES_AUTO_RELOAD"] is None:
            # Without an environment there is nothing to tell: it will ask when it is made.
            environment = self.__dict__.get("jinja_env")
            if environment is not None:
                environment.auto_reload = value

    def make_config(self, instance_relative: bool = False) -> Config:
        """Make the configuration; paths in it are relative to the root or instance folder."""
        folder = self.instance_path if instance_relative else self.root_path
        return self.config_class(folder, {**self.default_config, "DEBUG": get_debug_flag()})

    def make_aborter(self) -> Aborter:
        """Make the object behind `erlen.abort`."""
        return self.aborter_class()

    def auto_find_instance_path(self) -> str:
        """Where the instance folder is unless it was given; it need not exist."""
        return find_instance_path(self.import_name)

    # Files

    def open_resource(
        self, resource: str, mode: str = "rb", encoding: str | None = None
    ) -> t.IO[t.AnyStr]:
        """Open a file below `root_path` for reading (modes `r`, `rt`, `rb`)."""
        return self._open_for_reading(resource, mode, encoding)

    def open_instance_resource(
        self, resource: str, mode: str = "rb", encoding: str | None = "utf-8"
    ) -> t.IO[t.AnyStr]:
        """Open a file below `instance_path`, also for writing."""
        path = os.path.join(self.instance_path, resource)
        return t.cast(
            "t.IO[t.AnyStr]", open(path, mode, encoding=None if "b" in mode else encoding)
        )

    # Registering

    @setupmethod
    def register_blueprint(self, blueprint: Blueprint, **options: t.Any) -> None:
        """Register a blueprint; options (`url_prefix`, `name`, ...) override its own."""
        blueprint.register(self, options)

    def iter_blueprints(self) -> t.ValuesView[Blueprint]:
        """The registered blueprints, in the order of registration."""
        return self.blueprints.values()

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

        `methods` (GET by default) is a list; options go to `werkzeug.routing.Rule`, but for
        `inline` (run a plain view on the event loop), `timeout` (seconds for a coroutine function
        and for a streamed response) and `cancel_on_disconnect` (cancel a coroutine function whose
        client has left). OPTIONS is answered by itself unless turned off. Raises AssertionError
        where the endpoint has another function already.
        """
        if endpoint is None:
            endpoint = _endpoint_from_view_func(t.cast("ft.RouteCallable", view_func))
        keep_local_names(view_func)
        methods, automatic = self._methods_of(
            view_func, options.pop("methods", None), provide_automatic_options
        )
        own = {name: options.pop(name) for name in _RULE_OPTIONS & options.keys()}
        made: t.Any = self.url_rule_class(rule, methods=methods, endpoint=endpoint, **options)
        made.provide_automatic_options = automatic
        for name, value in own.items():
            setattr(made, name, value)
        self.url_map.add(made)
        self._drop_program()
        if view_func is not None:
            known = self.view_functions.get(endpoint)
            if known is not None and known != view_func:
                raise SetupError(
                    "View function mapping is overwriting an existing"
                    f" endpoint function: {endpoint}",
                    find_source(known),
                    find_source(view_func),
                )
            self.view_functions[endpoint] = view_func

    def _methods_of(
        self, view: t.Any, asked: t.Iterable[str] | None, automatic: bool | None
    ) -> tuple[set[str], bool]:
        """The methods of a rule, and whether OPTIONS is answered by itself; the view may say."""
        if asked is None:
            asked = getattr(view, "methods", None) or ("GET",)
        if isinstance(asked, str):
            raise TypeError(
                "Allowed methods must be a list of strings, for"
                ' example: @app.route(..., methods=["POST"])'
            )
        methods = {method.upper() for method in asked}
        if automatic is None:
            automatic = getattr(view, "provide_automatic_options", None)
        if automatic is None:
            automatic = "OPTIONS" not in methods and self.config["PROVIDE_AUTOMATIC_OPTIONS"]
            methods |= {"OPTIONS"} if automatic else set()
        return methods | set(getattr(view, "required_methods", ())), automatic

    @setupmethod
    def teardown_appcontext(self, f: T_teardown) -> T_teardown:
        """Run a function when an application context ends, with the error or `None`."""
        self.teardown_appcontext_funcs.append(f)
        return f

    # Log lines and Werkzeug's warning of a host that is not `SERVER_NAME` tell the module that they
    # come from, which is `app` in Flask.

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Bind the URL map to a request, or outside of one to `SERVER_NAME`, else `None`.

        Raises `SecurityError` for a host that `TRUSTED_HOSTS` does not have, or that would change
        the meaning of the URL around it (RFC 9110, 7.2).
        """
        config = self.config
        if request is None:
            if config["SERVER_NAME"] is None:
                return None
            return self.url_map.bind(
                config["SERVER_NAME"],
                script_name=config["APPLICATION_ROOT"],
                url_scheme=config["PREFERRED_URL_SCHEME"],
            )
        accept_host(request, config["TRUSTED_HOSTS"])
        server_name: str | None = config["SERVER_NAME"]
        subdomain: str | None = None
        if self.url_map.host_matching:
            server_name = None
        elif not self.subdomain_matching:
            subdomain = self.url_map.default_subdomain or ""
        return self.url_map.bind_to_environ(
            request.environ, server_name=server_name, subdomain=subdomain
        )

    def log_exception(
        self,
        exc_info: (tuple[type, BaseException, TracebackType] | tuple[None, None, None]),
    ) -> None:
        """Log an error that `handle_exception` got, with the request's path and method."""
        about = request.path, request.method
        self.logger.error("Exception on %s [%s]", *about, exc_info=exc_info)


# What is compiled can depend on these; attributes with other names are the user's own.
_READ_BY_PROGRAM = frozenset(
    (*dir(Erlen), *WATCHED, "config", "json", "subdomain_matching", "url_map")
)

# Agents that trace applications replace methods of the class itself: these count as built in.
_AS_DEFINED = stages_of(Erlen)


def __getattr__(name: str) -> t.Any:
    if name in {"Map", "MapAdapter", "Rule"}:  # as in `flask.app`, but not imported for that
        return getattr(import_module("werkzeug.routing"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


#: Flask's name for the class.
Flask = Erlen

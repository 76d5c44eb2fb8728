"""Blueprints: registrations that are replayed on an application under a name and a prefix.

Source: Flask, "Modular Applications with Blueprints".
"""

from __future__ import annotations

import os
import typing as t
from functools import update_wrapper

from .scaffold import (
    Scaffold,
    T_after_request,
    T_after_websocket,
    T_before_request,
    T_before_websocket,
    T_error_handler,
    T_teardown,
    T_template_context_processor,
    T_url_defaults,
    T_url_value_preprocessor,
    _append,
    _endpoint_from_view_func,
    _sentinel,
    keep_local_names,
    setupmethod,
)

if t.TYPE_CHECKING:
    from . import typing as ft
    from .app import Erlen

DeferredSetupFunction = t.Callable[["BlueprintSetupState"], None]
if t.TYPE_CHECKING:
    T_template_filter = t.TypeVar("T_template_filter", bound="ft.TemplateFilterCallable")
    T_template_global = t.TypeVar("T_template_global", bound="ft.TemplateGlobalCallable")
    T_template_test = t.TypeVar("T_template_test", bound="ft.TemplateTestCallable")
else:
    # PERF: the bounds, which are text, would be compiled.
    T_template_filter = t.TypeVar("T_template_filter")
    T_template_global = t.TypeVar("T_template_global")
    T_template_test = t.TypeVar("T_template_test")


def _below(prefix: str | None, rule: str | None) -> str | None:
    """A URL below a prefix, with one slash between; either may be missing."""
    if prefix is None or rule is None:
        return rule if prefix is None else prefix
    return f"{prefix.rstrip('/')}/{rule.lstrip('/')}"


class BlueprintSetupState:
    """One registration of a blueprint: what recorded functions get."""

    def __init__(
        self,
        blueprint: Blueprint,
        app: Erlen,
        options: t.Any,
        first_registration: bool,
    ) -> None:
        #: The application.
        self.app = app
        #: The blueprint.
        self.blueprint = blueprint
        #: The options of `register_blueprint`.
        self.options = options
        #: Whether the blueprint is registered on this application for the first time.
        self.first_registration = first_registration
        subdomain, prefix = options.get("subdomain"), options.get("url_prefix")
        self.subdomain: str | None = blueprint.subdomain if subdomain is None else subdomain
        self.url_prefix: str | None = blueprint.url_prefix if prefix is None else prefix
        self.name: str = options.get("name", blueprint.name)
        self.name_prefix: str = options.get("name_prefix", "")
        #: Values that every URL of this registration has by default.
        self.url_defaults: dict[str, t.Any] = {
            **blueprint.url_values_defaults,
            **dict(options.get("url_defaults", ())),
        }

    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: ft.RouteCallable | None = None,
        **options: t.Any,
    ) -> None:
        """Add a rule to the application, below the prefix and with the blueprint's name."""
        if endpoint is None:
            endpoint = _endpoint_from_view_func(t.cast("ft.RouteCallable", view_func))
        options.setdefault("subdomain", self.subdomain)
        defaults = self.url_defaults
        if "defaults" in options:
            defaults = {**defaults, **options.pop("defaults")}
        self.app.add_url_rule(
            t.cast("str", _below(self.url_prefix, rule or None))
            if self.url_prefix is not None
            else rule,
            ".".join((self.name_prefix, self.name, endpoint)).lstrip("."),
            view_func,
            defaults=defaults,
            **options,
        )


class Blueprint(Scaffold):
    """A set of routes, hooks and templates, to be registered on an application.

    `name` (no dots) comes before the names of its endpoints; `url_prefix`, `subdomain` and
    `url_defaults` apply to all of its routes. `cli_group`: the group of its commands, `None` to
    put them at the top. Raises ValueError for a name that is empty or has a dot.
    """

    _got_registered_once = False

    def __init__(
        self,
        name: str,
        import_name: str,
        static_folder: str | os.PathLike[str] | None = None,
        static_url_path: str | None = None,
        template_folder: str | os.PathLike[str] | None = None,
        url_prefix: str | None = None,
        subdomain: str | None = None,
        url_defaults: dict[str, t.Any] | None = None,
        root_path: str | None = None,
        cli_group: str | None = _sentinel,
    ) -> None:
        super().__init__(import_name, static_folder, static_url_path, template_folder, root_path)
        for unusable, why in ((not name, "empty"), ("." in name, "contain a dot '.' character")):
            if unusable:
                raise ValueError(f"'name' may not {'be ' * (why == 'empty')}{why}.")
        self.name = name
        self.url_prefix = url_prefix
        self.subdomain = subdomain
        self.url_values_defaults: dict[str, t.Any] = {} if url_defaults is None else url_defaults
        self.cli_group = cli_group
        self.deferred_functions: list[DeferredSetupFunction] = []
        self._blueprints: list[tuple[Blueprint, dict[str, t.Any]]] = []

    def _check_setup_finished(self, f_name: str) -> None:
        if self._got_registered_once:
            raise AssertionError(
                f"The setup method '{f_name}' can no longer be called on the blueprint"
                f" '{self.name}'. It has already been registered at least once, any"
                " changes will not be applied consistently.\n"
                "Make sure all imports, decorators, functions, etc. needed to set up"
                " the blueprint are done before registering it."
            )

    def open_resource(
        self, resource: str, mode: str = "rb", encoding: str | None = "utf-8"
    ) -> t.IO[t.AnyStr]:
        """Open a file below `root_path` for reading (modes `r`, `rt`, `rb`)."""
        return self._open_for_reading(resource, mode, encoding)

    # Registration

    @setupmethod
    def record(self, func: DeferredSetupFunction) -> None:
        """Call a function with the setup state at each registration."""
        self.deferred_functions.append(func)

    @setupmethod
    def record_once(self, func: DeferredSetupFunction) -> None:
        """Call a function with the setup state at the first registration on an application."""

        def first_time_only(state: BlueprintSetupState) -> None:
            if state.first_registration:
                func(state)

        self.record(update_wrapper(first_time_only, func))

    def make_setup_state(
        self, app: Erlen, options: dict[str, t.Any], first_registration: bool = False
    ) -> BlueprintSetupState:
        """Make the object that recorded functions get; meant to be overridden."""
        return BlueprintSetupState(self, app, options, first_registration)

    @setupmethod
    def register_blueprint(self, blueprint: Blueprint, **options: t.Any) -> None:
        """Nest a blueprint; it is registered with this one, its options relative to it."""
        if blueprint is self:
            raise ValueError("Cannot register a blueprint on itself")
        self._blueprints.append((blueprint, options))

    def register(self, app: Erlen, options: dict[str, t.Any]) -> None:
        """Replay everything on an application; called by `Erlen.register_blueprint`.

        Raises ValueError where the name is taken.
        """
        own_name = options.get("name", self.name)
        name = f"{options.get('name_prefix', '')}.{own_name}".lstrip(".")
        known = app.blueprints
        if name in known:
            whose = "this" if known[name] is self else "a different"
            where = "" if own_name == name else f" '{name}'"
            raise ValueError(
                f"The name '{own_name}' is already registered for"
                f" {whose} blueprint{where}. Use 'name=' to"
                f" provide a unique name."
            )
        is_first = all(other is not self for other in known.values())
        known[name] = self
        self._got_registered_once = True
        state = self.make_setup_state(app, options, is_first)
        if self.has_static_folder:
            state.add_url_rule(
                f"{self.static_url_path}/<path:filename>",
                endpoint="static",
                view_func=self.send_static_file,
            )
        self._merge_blueprint_funcs(app, name)
        for replay in self.deferred_functions:
            replay(state)
        self._register_commands(app, name, options.get("cli_group", self.cli_group))
        for nested, given in self._blueprints:
            nested.register(app, {**given, **_nested_options(state, nested, given, name)})

    def _register_commands(self, app: Erlen, name: str, group: str | None) -> None:
        if "cli" not in self.__dict__ or not self.cli.commands:
            return
        if group is None:
            app.cli.commands.update(self.cli.commands)
            return
        self.cli.name = name if group is _sentinel else group
        app.cli.add_command(self.cli)

    def _merge_blueprint_funcs(self, app: Erlen, name: str) -> None:
        """Copy the registries to the application's, under the registered name."""
        pairs: list[tuple[t.Any, t.Any]] = [
            (self.before_request_funcs, app.before_request_funcs),
            (self.after_request_funcs, app.after_request_funcs),
            (self.teardown_request_funcs, app.teardown_request_funcs),
            (self.before_websocket_funcs, app.before_websocket_funcs),
            (self.after_websocket_funcs, app.after_websocket_funcs),
            (self.teardown_websocket_funcs, app.teardown_websocket_funcs),
            (self.url_default_functions, app.url_default_functions),
            (self.url_value_preprocessors, app.url_value_preprocessors),
            (self.template_context_processors, app.template_context_processors),
        ]
        for own, theirs in pairs:
            for key, functions in own.items():
                theirs[_joined(name, key)].extend(functions)
        for key, by_code in self.error_handler_spec.items():
            merged = app.error_handler_spec[_joined(name, key)]
            for code, by_class in by_code.items():
                merged[code].update(by_class)
        for endpoint, view in self.view_functions.items():
            app.view_functions[endpoint] = view

    @setupmethod
    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: ft.RouteCallable | None = None,
        provide_automatic_options: bool | None = None,
        **options: t.Any,
    ) -> None:
        """As the application's, below the blueprint's prefix and name.

        Raises ValueError for an endpoint or function name with a dot.
        """
        given = {
            "'endpoint'": endpoint,
            "'view_func' name": getattr(view_func, "__name__", None),
        }
        for what, text in given.items():
            if text and "." in text:
                raise ValueError(f"{what} may not contain a dot '.' character.")
        keep_local_names(view_func)

        def replay(state: BlueprintSetupState) -> None:
            state.add_url_rule(
                rule,
                endpoint,
                view_func,
                provide_automatic_options=provide_automatic_options,
                **options,
            )

        self.record(replay)

    # Registering on the application itself

    def _on_app(self, register: t.Callable[[Erlen], t.Any]) -> None:
        self.record_once(lambda state: register(state.app))

    def _for_all(self, registry: str, f: t.Any) -> t.Any:
        self._on_app(lambda app: _append(getattr(app, registry), f))
        return f

    @setupmethod
    def app_template_filter(
        self, name: str | None = None
    ) -> t.Callable[[T_template_filter], T_template_filter]:
        """`Erlen.template_filter`, for the whole application."""

        def register(f: T_template_filter) -> T_template_filter:
            self.add_app_template_filter(f, name=name)
            return f

        return register

    @setupmethod
    def add_app_template_filter(
        self, f: ft.TemplateFilterCallable, name: str | None = None
    ) -> None:
        """`Erlen.add_template_filter`, for the whole application."""
        self._on_app(lambda app: app.jinja_env.filters.__setitem__(name or f.__name__, f))

    @setupmethod
    def app_template_test(
        self, name: str | None = None
    ) -> t.Callable[[T_template_test], T_template_test]:
        """`Erlen.template_test`, for the whole application."""

        def register(f: T_template_test) -> T_template_test:
            self.add_app_template_test(f, name=name)
            return f

        return register

    @setupmethod
    def add_app_template_test(self, f: ft.TemplateTestCallable, name: str | None = None) -> None:
        """`Erlen.add_template_test`, for the whole application."""
        self._on_app(lambda app: app.jinja_env.tests.__setitem__(name or f.__name__, f))

    @setupmethod
    def app_template_global(
        self, name: str | None = None
    ) -> t.Callable[[T_template_global], T_template_global]:
        """`Erlen.template_global`, for the whole application."""

        def register(f: T_template_global) -> T_template_global:
            self.add_app_template_global(f, name=name)
            return f

        return register

    @setupmethod
    def add_app_template_global(
        self, f: ft.TemplateGlobalCallable, name: str | None = None
    ) -> None:
        """`Erlen.add_template_global`, for the whole application."""
        self._on_app(lambda app: app.jinja_env.globals.__setitem__(name or f.__name__, f))

    @setupmethod
    def before_app_request(self, f: T_before_request) -> T_before_request:
        """`before_request` for every request of the application."""
        return t.cast("T_before_request", self._for_all("before_request_funcs", f))

    @setupmethod
    def after_app_request(self, f: T_after_request) -> T_after_request:
        """`after_request` for every request of the application."""
        return t.cast("T_after_request", self._for_all("after_request_funcs", f))

    @setupmethod
    def teardown_app_request(self, f: T_teardown) -> T_teardown:
        """`teardown_request` for every request of the application."""
        return t.cast("T_teardown", self._for_all("teardown_request_funcs", f))

    @setupmethod
    def before_app_websocket(self, f: T_before_websocket) -> T_before_websocket:
        """`before_websocket` for every WebSocket of the application."""
        return t.cast("T_before_websocket", self._for_all("before_websocket_funcs", f))

    @setupmethod
    def after_app_websocket(self, f: T_after_websocket) -> T_after_websocket:
        """`after_websocket` for every WebSocket of the application."""
        return t.cast("T_after_websocket", self._for_all("after_websocket_funcs", f))

    @setupmethod
    def teardown_app_websocket(self, f: T_teardown) -> T_teardown:
        """`teardown_websocket` for every WebSocket of the application."""
        return t.cast("T_teardown", self._for_all("teardown_websocket_funcs", f))

    @setupmethod
    def app_context_processor(
        self, f: T_template_context_processor
    ) -> T_template_context_processor:
        """`context_processor` for every template of the application."""
        return t.cast(
            "T_template_context_processor", self._for_all("template_context_processors", f)
        )

    @setupmethod
    def app_errorhandler(
        self, code: type[Exception] | int
    ) -> t.Callable[[T_error_handler], T_error_handler]:
        """`errorhandler` for every request of the application."""

        def register(handler: T_error_handler) -> T_error_handler:
            self._on_app(lambda app: app.register_error_handler(code, handler))
            return handler

        return register

    @setupmethod
    def app_url_value_preprocessor(self, f: T_url_value_preprocessor) -> T_url_value_preprocessor:
        """`url_value_preprocessor` for every request of the application."""
        return t.cast("T_url_value_preprocessor", self._for_all("url_value_preprocessors", f))

    @setupmethod
    def app_url_defaults(self, f: T_url_defaults) -> T_url_defaults:
        """`url_defaults` for every URL of the application."""
        return t.cast("T_url_defaults", self._for_all("url_default_functions", f))


def _joined(name: str, key: str | None) -> str:
    return name if key is None else f"{name}.{key}"


def _nested_options(
    outer: BlueprintSetupState, nested: Blueprint, given: dict[str, t.Any], name: str
) -> dict[str, t.Any]:
    """Options of a nested blueprint that depend on the one around it."""
    options: dict[str, t.Any] = {"name_prefix": name}
    subdomain = given.get("subdomain")
    if subdomain is None:
        subdomain = nested.subdomain
    parts = [part for part in (subdomain, outer.subdomain) if part is not None]
    if parts:
        options["subdomain"] = ".".join(parts)
    prefix = given.get("url_prefix")
    prefix = _below(outer.url_prefix, nested.url_prefix if prefix is None else prefix)
    if prefix is not None:
        options["url_prefix"] = prefix
    return options

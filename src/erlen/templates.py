"""Templates of an application: their environment, filters, tests and globals, their context.

Source: Flask, "Templates", and "API: Application Object".
"""

from __future__ import annotations

import typing as t

from .globals import _cv_request, g, request, session
from .helpers import get_flashed_messages
from .scaffold import setupmethod
from .urls import Urls

if t.TYPE_CHECKING:
    from . import typing as ft
    from .config import Config
    from .json.provider import JSONProvider
    from .templating import DispatchingJinjaLoader, Environment

if t.TYPE_CHECKING:
    T_template_filter = t.TypeVar("T_template_filter", bound="ft.TemplateFilterCallable")
    T_template_global = t.TypeVar("T_template_global", bound="ft.TemplateGlobalCallable")
    T_template_test = t.TypeVar("T_template_test", bound="ft.TemplateTestCallable")
else:
    # PERF: the bounds, which are text, would be compiled.
    T_template_filter = t.TypeVar("T_template_filter")
    T_template_global = t.TypeVar("T_template_global")
    T_template_test = t.TypeVar("T_template_test")


class Templates(Urls):
    """What an application does for templates; for `Erlen` to inherit."""

    config: Config
    jinja_env: Environment
    jinja_environment: type[Environment]
    jinja_options: dict[str, t.Any]
    json: JSONProvider

    if t.TYPE_CHECKING:

        @property
        def debug(self) -> bool: ...

    def create_global_jinja_loader(self) -> DispatchingJinjaLoader:
        """Make the loader that asks the application's and the blueprints' loaders."""
        from .templating import DispatchingJinjaLoader

        return DispatchingJinjaLoader(self)

    def select_jinja_autoescape(self, filename: str | None) -> bool:
        """Whether a template escapes: strings and HTML, XML, SVG files do."""
        return filename is None or filename.endswith((".html", ".htm", ".xml", ".xhtml", ".svg"))

    def create_jinja_environment(self) -> Environment:
        """Make the Jinja environment, from `jinja_options` and the configuration."""
        reload = self.config["TEMPLATES_AUTO_RELOAD"]
        defaults = {
            "autoescape": self.select_jinja_autoescape,
            "auto_reload": self.debug if reload is None else reload,
        }
        made = self.jinja_environment(self, **{**defaults, **self.jinja_options})
        shared: dict[str, t.Any] = {"request": request, "session": session, "g": g}
        made.globals.update(
            shared,
            config=self.config,
            get_flashed_messages=get_flashed_messages,
            url_for=self.url_for,
        )
        made.policies["json.dumps_function"] = self.json.dumps
        return made

    def _named(
        self, register: t.Callable[..., None], name: str | None
    ) -> t.Callable[[t.Any], t.Any]:
        def decorate(f: t.Any) -> t.Any:
            register(f, name=name)
            return f

        return decorate

    @setupmethod
    def template_filter(
        self, name: str | None = None
    ) -> t.Callable[[T_template_filter], T_template_filter]:
        """Decorate a function to be a filter of templates, by its own or another name."""
        return self._named(self.add_template_filter, name)

    @setupmethod
    def add_template_filter(self, f: ft.TemplateFilterCallable, name: str | None = None) -> None:
        """As `template_filter`, but not as a decorator."""
        self.jinja_env.filters[name or f.__name__] = f

    @setupmethod
    def template_test(
        self, name: str | None = None
    ) -> t.Callable[[T_template_test], T_template_test]:
        """Decorate a function to be a test of templates, by its own or another name."""
        return self._named(self.add_template_test, name)

    @setupmethod
    def add_template_test(self, f: ft.TemplateTestCallable, name: str | None = None) -> None:
        """As `template_test`, but not as a decorator."""
        self.jinja_env.tests[name or f.__name__] = f

    @setupmethod
    def template_global(
        self, name: str | None = None
    ) -> t.Callable[[T_template_global], T_template_global]:
        """Decorate a function to be known in all templates, by its own or another name."""
        return self._named(self.add_template_global, name)

    @setupmethod
    def add_template_global(self, f: ft.TemplateGlobalCallable, name: str | None = None) -> None:
        """As `template_global`, but not as a decorator."""
        self.jinja_env.globals[name or f.__name__] = f

    def update_template_context(self, context: dict[str, t.Any]) -> None:
        """Add the context processors' values to a template's context, where not set already."""
        given = dict(context)
        request_ctx = _cv_request.get(None)
        names: list[str | None] = [None]
        if request_ctx is not None:
            names += reversed(request_ctx.request.blueprints)
        for name in names:
            for processor in self.template_context_processors.get(name, ()):
                context.update(self.ensure_sync(processor)())
        context.update(given)

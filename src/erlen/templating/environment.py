"""Jinja's environment and loader for an application with blueprints."""

from __future__ import annotations

import typing as t
from collections import ChainMap

from jinja2 import BaseLoader as BaseLoader
from jinja2 import Environment as _Environment
from jinja2 import Template as Template
from jinja2 import TemplateNotFound as TemplateNotFound
from jinja2.runtime import Context, new_context

from ..engine.bridge import await_
from ..engine.streams import iterate

BaseEnvironment = _Environment

if t.TYPE_CHECKING:
    Source = tuple[str, str | None, t.Callable[[], bool] | None]


class FlatTemplate(Template):
    """Jinja's template, with its globals looked up at once.

    PERF: Jinja keeps them as a ChainMap of the template's over the environment's, and copies that
    name by name for each rendering. Two dicts are copied many times faster, with the same result.
    """

    def new_context(
        self,
        vars: dict[str, t.Any] | None = None,
        shared: bool = False,
        locals: t.Mapping[str, t.Any] | None = None,
    ) -> Context:
        """The context of one rendering; parameters are Jinja's."""
        found: t.Any = self.globals
        if type(found) is ChainMap:
            outermost, *inner = reversed(found.maps)
            found = dict(outermost)
            for part in inner:
                found.update(part)
        return new_context(self.environment, self.name, self.blocks, vars, shared, found, locals)

    def render(self, *args: t.Any, **kwargs: t.Any) -> str:
        """The rendered text; parameters are Jinja's.

        In an asynchronous environment Jinja itself would start an event loop, also where one runs.
        """
        if self.environment.is_async:
            return await_(self.render_async(*args, **kwargs))
        return super().render(*args, **kwargs)

    def generate(self, *args: t.Any, **kwargs: t.Any) -> t.Iterator[str]:
        """The rendered text in pieces; parameters are Jinja's."""
        if self.environment.is_async:
            return iterate(self.generate_async(*args, **kwargs))
        return super().generate(*args, **kwargs)


class Environment(BaseEnvironment):
    """A Jinja environment that knows its application.

    :param options: as for Jinja's; `loader` is the application's unless given
    """

    def __init__(self, app: t.Any, **options: t.Any) -> None:
        if "loader" not in options:
            options["loader"] = app.create_global_jinja_loader()
        super().__init__(**options)
        self.app = app
        # Not on the class: another environment that is mixed in may bring its own.
        if self.template_class is Template:
            self.template_class = FlatTemplate


class DispatchingJinjaLoader(BaseLoader):
    """Looks in the application's templates, then in each blueprint's, in order of registration."""

    def __init__(self, app: t.Any) -> None:
        self.app = app

    def _iter_loaders(self, template: str) -> t.Iterator[tuple[t.Any, BaseLoader]]:
        for owner in (self.app, *self.app.iter_blueprints()):
            if (loader := owner.jinja_loader) is not None:
                yield owner, loader

    def _attempts(
        self, environment: BaseEnvironment, template: str
    ) -> t.Iterator[tuple[BaseLoader, t.Any, Source | None]]:
        for owner, loader in self._iter_loaders(template):
            try:
                yield loader, owner, loader.get_source(environment, template)
            except TemplateNotFound:
                yield loader, owner, None

    def get_source(
        self, environment: BaseEnvironment, template: str
    ) -> tuple[str, str | None, t.Callable[[], bool] | None]:
        """Text, file name and freshness check of a template; logged with EXPLAIN_TEMPLATE_LOADING.

        :raises jinja2.TemplateNotFound: if no loader has it
        """
        explain = self.app.config["EXPLAIN_TEMPLATE_LOADING"]
        find = self._get_source_explained if explain else self._get_source_fast
        return find(environment, template)

    def _get_source_fast(
        self, environment: BaseEnvironment, template: str
    ) -> tuple[str, str | None, t.Callable[[], bool] | None]:
        for _, _, source in self._attempts(environment, template):
            if source is not None:
                return source
        raise TemplateNotFound(template)

    def _get_source_explained(
        self, environment: BaseEnvironment, template: str
    ) -> tuple[str, str | None, t.Callable[[], bool] | None]:
        from ..debughelpers import explain_template_loading_attempts

        attempts = list(self._attempts(environment, template))
        explain_template_loading_attempts(self.app, template, attempts)
        for _, _, source in attempts:
            if source is not None:
                return source
        raise TemplateNotFound(template)

    def list_templates(self) -> list[str]:
        """The names of all templates."""
        names = {n for _, loader in self._iter_loaders("") for n in loader.list_templates()}
        return list(names)

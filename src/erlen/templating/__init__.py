"""Rendering of Jinja templates.

This module has the functions; the classes that need Jinja are in `environment`, and come from
here too (`erlen.templating.Environment`) when somebody asks: an application without templates
never loads Jinja.
"""

from __future__ import annotations

import typing as t
from contextlib import aclosing

from ..helpers import _app, stream_with_context
from ..signals import before_render_template, template_rendered
from ..state import current

if t.TYPE_CHECKING:
    from .environment import BaseEnvironment as BaseEnvironment
    from .environment import BaseLoader as BaseLoader
    from .environment import DispatchingJinjaLoader as DispatchingJinjaLoader
    from .environment import Environment as Environment
    from .environment import Template as Template
    from .environment import TemplateNotFound as TemplateNotFound
else:

    def __getattr__(name: str) -> t.Any:
        if name in _NEED_JINJA:
            from . import environment

            return globals().setdefault(name, getattr(environment, name))
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


_NEED_JINJA = frozenset(
    {
        "BaseEnvironment",
        "BaseLoader",
        "DispatchingJinjaLoader",
        "Environment",
        "Template",
        "TemplateNotFound",
    }
)


def _default_template_ctx_processor() -> dict[str, t.Any]:
    """What each template gets: `g`, and `request` during one; `session` is a global of Jinja."""
    app_ctx, request_ctx = current.get()
    holder = app_ctx or request_ctx
    found: dict[str, t.Any] = {} if holder is None else {"g": holder.g}
    if request_ctx is not None:
        found["request"] = request_ctx.request
    return found


def _announce(signal: t.Any, app: t.Any, template: Template, context: dict[str, t.Any]) -> None:
    if signal.receivers:
        signal.send(app, _async_wrapper=app.ensure_sync, template=template, context=context)


def _render(app: t.Any, template: Template, context: dict[str, t.Any]) -> str:
    app.update_template_context(context)
    _announce(before_render_template, app, template, context)
    text = template.render(context)
    _announce(template_rendered, app, template, context)
    return text


def _stream(app: t.Any, template: Template, context: dict[str, t.Any]) -> t.Iterator[str]:
    app.update_template_context(context)
    _announce(before_render_template, app, template, context)

    in_request = current.get()[1] is not None
    if template.environment.is_async:

        async def async_pieces() -> t.AsyncIterator[str]:
            async with aclosing(template.generate_async(context)) as rendered:
                async for piece in rendered:
                    yield piece
            _announce(template_rendered, app, template, context)

        from ..engine.streams import iterate

        return iterate(stream_with_context(async_pieces()) if in_request else async_pieces())

    def pieces() -> t.Iterator[str]:
        yield from template.generate(context)
        _announce(template_rendered, app, template, context)

    return stream_with_context(pieces()) if in_request else pieces()


def render_template(
    template_name_or_list: str | Template | list[str | Template], **context: t.Any
) -> str:
    """Render a template of the application or one of its blueprints.

    :param template_name_or_list: its name, or names of which the first that exists is taken
    :param context: variables for the template
    :raises jinja2.TemplateNotFound: if none exists
    """
    app = _app()
    return _render(app, app.jinja_env.get_or_select_template(template_name_or_list), context)


def render_template_string(source: str, **context: t.Any) -> str:
    """Render a template given as text, with autoescape. Never pass text that a user wrote.

    :param context: variables for the template
    """
    app = _app()
    return _render(app, app.jinja_env.from_string(source), context)


def stream_template(
    template_name_or_list: str | Template | list[str | Template], **context: t.Any
) -> t.Iterator[str]:
    """Render a template piece by piece: an iterator that a view can return.

    The parameters are those of `render_template`; contexts are kept until the last piece. Where
    Jinja's environment is asynchronous, `async for` goes over the iterator too.
    """
    app = _app()
    return _stream(app, app.jinja_env.get_or_select_template(template_name_or_list), context)


def stream_template_string(source: str, **context: t.Any) -> t.Iterator[str]:
    """Render text piece by piece; see `stream_template` and `render_template_string`."""
    app = _app()
    return _stream(app, app.jinja_env.from_string(source), context)

"""What views and templates call: URLs, redirects, flashed messages, files, streams.

Each function finds the application and request that are current; most are a door to a method of
the application, so that a subclass can change what they do.
"""

from __future__ import annotations

import os
import typing as t
from functools import cache, update_wrapper

import werkzeug.utils

from .engine.bridge import await_
from .globals import _cv_app, _cv_request, current_app, request, request_ctx, session
from .paths import get_root_path as get_root_path
from .signals import message_flashed
from .state import current_application

if t.TYPE_CHECKING:
    from datetime import datetime

    from werkzeug.wrappers import Response as BaseResponse

    from . import typing as ft
    from .wrappers import Response

T = t.TypeVar("T")
P = t.ParamSpec("P")

_NO = frozenset({"0", "false", "no"})


def _app() -> t.Any:
    """The current application itself; RuntimeError outside of any.

    PERF: attributes of the proxy `current_app` cost several times as much.
    """
    app = current_application()
    if app is None:
        app = current_app._get_current_object()  # type: ignore[attr-defined]
    return app


# -- settings of the process ------------------------------------------------------------------


def get_debug_flag() -> bool:
    """Whether `FLASK_DEBUG` asks for debug mode."""
    return os.environ.get("FLASK_DEBUG", "0").lower() not in _NO | {""}


def get_load_dotenv(default: bool = True) -> bool:
    """Whether dotenv files are to be read: not if `FLASK_SKIP_DOTENV` is set to a yes.

    :param default: the answer where the variable is not set
    """
    skip = os.environ.get("FLASK_SKIP_DOTENV")
    return skip.lower() in _NO if skip else default


# -- responses --------------------------------------------------------------------------------


def make_response(*args: t.Any) -> Response:
    """A response object from what a view could return, to set headers on it.

    Without arguments an empty response; several arguments count as a tuple.
    """
    app = _app()
    if not args:
        return t.cast("Response", app.response_class())
    return t.cast("Response", app.make_response(args[0] if len(args) == 1 else args))


def redirect(
    location: str, code: int = 302, Response: type[BaseResponse] | None = None
) -> BaseResponse:
    """A response that sends the client to another URL, made by `app.redirect` if there is an app.

    :param location: the target
    :param code: one of 301, 302, 303, 305, 307, 308
    :param Response: the class of the response where no application is current
    """
    if (app := current_application()) is not None:
        answer: BaseResponse = app.redirect(location, code=code)
        return answer
    from werkzeug.utils import redirect

    return redirect(location, code, Response)


def abort(code: int | BaseResponse, *args: t.Any, **kwargs: t.Any) -> t.NoReturn:
    """Raise the HTTP error of a status code, by `app.aborter` if there is an app.

    :param code: a status code, or a response to send as it is
    :raises LookupError: for a code without an exception
    """
    if (app := current_application()) is not None:
        app.aborter(code, *args, **kwargs)
    from werkzeug.exceptions import abort

    abort(code, *args, **kwargs)


def url_for(
    endpoint: str,
    *,
    _anchor: str | None = None,
    _method: str | None = None,
    _scheme: str | None = None,
    _external: bool | None = None,
    **values: t.Any,
) -> str:
    """The URL of an endpoint, made by `app.url_for`.

    :param endpoint: `name`, `blueprint.name`, or `.name` for the blueprint of this request
    :param _anchor: fragment to append
    :param _method: which of the endpoint's rules, where they differ by method
    :param _scheme: makes an external URL of this scheme
    :param _external: with scheme and host; the default outside of requests
    :param values: variables of the rule; others go to the query
    """
    url: str = _app().url_for(
        endpoint,
        _anchor=_anchor,
        _method=_method,
        _scheme=_scheme,
        _external=_external,
        **values,
    )
    return url


def get_template_attribute(template_name: str, attribute: str) -> t.Any:
    """A macro or variable that a template exports, for use from Python."""
    template = _app().jinja_env.get_template(template_name)
    if not template.environment.is_async:
        return getattr(template.module, attribute)
    exported: t.Any = getattr(await_(template.make_module_async()), attribute)
    from jinja2.runtime import Macro

    if not isinstance(exported, Macro):
        return exported
    macro: t.Any = exported  # which gives a coroutine there
    return lambda *args, **kwargs: await_(macro(*args, **kwargs))


# -- flashed messages -------------------------------------------------------------------------


def flash(message: str, category: str = "message") -> None:
    """Keep a message in the session for the next request that asks (`get_flashed_messages`).

    :param category: any word; templates choose colours by it
    """
    # Assigned, not only appended to: sessions notice assignments.
    session["_flashes"] = [*session.get("_flashes", ()), (category, message)]
    if message_flashed.receivers:
        app = _app()
        message_flashed.send(
            app, _async_wrapper=app.ensure_sync, message=message, category=category
        )


def get_flashed_messages(
    with_categories: bool = False, category_filter: t.Iterable[str] = ()
) -> list[str] | list[tuple[str, str]]:
    """Take the flashed messages from the session; the same ones again within this request.

    :param with_categories: give pairs of category and message
    :param category_filter: only messages of these categories
    """
    ctx = request_ctx._get_current_object()  # type: ignore[attr-defined]
    found = ctx.flashes
    if found is None:
        stored = ctx.session
        ctx.flashes = found = stored.pop("_flashes") if "_flashes" in stored else []
    if category_filter:
        found = [pair for pair in found if pair[0] in category_filter]
    return found if with_categories else [message for _, message in found]


# -- files ------------------------------------------------------------------------------------


def _prepare_send_file_kwargs(**kwargs: t.Any) -> dict[str, t.Any]:
    """Werkzeug's arguments for a file: those given, and those that app and request decide."""
    app = _app()
    if kwargs.get("max_age") is None:
        kwargs["max_age"] = app.get_send_file_max_age
    return {
        **kwargs,
        "environ": request.environ,
        "use_x_sendfile": app.config["USE_X_SENDFILE"],
        "response_class": app.response_class,
        "_root_path": app.root_path,
    }


def send_file(
    path_or_file: os.PathLike[t.AnyStr] | str | t.IO[bytes],
    mimetype: str | None = None,
    as_attachment: bool = False,
    download_name: str | None = None,
    conditional: bool = True,
    etag: bool | str = True,
    last_modified: datetime | int | float | None = None,
    max_age: None | (int | t.Callable[[str | None], int | None]) = None,
) -> Response:
    """A response with the contents of a file, which is streamed.

    Never pass a path that a user gives: that is what `send_from_directory` is for.

    :param path_or_file: a path, relative to `app.root_path`, or a binary file at its start
    :param mimetype: guessed from the name if not given
    :param as_attachment: ask the browser to save instead of to show
    :param download_name: the name to save under; the file's own if not given
    :param conditional: answer conditional and range requests
    :param etag: compute one, or the value to use
    :param last_modified: seconds or datetime; the file's own if not given
    :param max_age: seconds to cache, or a function from path to that; else `app` decides
    """
    options = _prepare_send_file_kwargs(
        environ=request.environ,
        path_or_file=path_or_file,
        mimetype=mimetype,
        as_attachment=as_attachment,
        download_name=download_name,
        conditional=conditional,
        etag=etag,
        last_modified=last_modified,
        max_age=max_age,
    )
    return t.cast("Response", werkzeug.utils.send_file(**options))


def send_from_directory(
    directory: os.PathLike[str] | str, path: os.PathLike[str] | str, **kwargs: t.Any
) -> Response:
    """A file below a folder; 404 for anything else, so that a user's path is safe here.

    :param directory: relative to `app.root_path`; never from a user
    :param path: relative to the directory
    :param kwargs: as for `send_file`
    :raises werkzeug.exceptions.NotFound: for what is outside, missing, or no regular file
    """
    options = _prepare_send_file_kwargs(**kwargs)
    return t.cast("Response", werkzeug.utils.send_from_directory(directory, path, **options))


# -- streams ----------------------------------------------------------------------------------


@t.overload
def stream_with_context(
    generator_or_function: t.Iterator[t.AnyStr],
) -> t.Iterator[t.AnyStr]: ...


@t.overload
def stream_with_context(
    generator_or_function: t.Callable[..., t.Iterator[t.AnyStr]],
) -> t.Callable[[t.Iterator[t.AnyStr]], t.Iterator[t.AnyStr]]: ...


@t.overload
def stream_with_context(
    generator_or_function: t.AsyncIterable[T],
) -> t.AsyncIterator[T]: ...


@t.overload
def stream_with_context(
    generator_or_function: t.Callable[P, t.AsyncIterable[T]],
) -> t.Callable[P, t.AsyncIterator[T]]: ...


def stream_with_context(generator_or_function: t.Any) -> t.Any:
    """Keep the contexts of this request for a generator that runs after the view has returned.

    The contexts are pushed again around the generator, so teardown functions run twice: when the
    request ends and when the generator ends. As a decorator, the contexts are those of the call.

    :param generator_or_function: an iterable, async iterable, or function that returns one
    :raises RuntimeError: outside of a request
    """
    source: t.Any = generator_or_function
    try:
        return _keeping_contexts(source)
    except TypeError:

        def start(*args: t.Any, **kwargs: t.Any) -> t.Any:
            return _keeping_contexts(source(*args, **kwargs))

        return update_wrapper(start, source)


def _keeping_contexts(source: t.Any) -> t.Any:
    if hasattr(type(source), "__aiter__") and not hasattr(source, "__iter__"):
        from .engine.streams import InContexts

        return InContexts(_contexts_to_keep(), source.__aiter__())
    items = iter(source)
    return _stream_in(_contexts_to_keep(), items)


def _contexts_to_keep() -> tuple[t.ContextManager[t.Any], ...]:
    """The current contexts in the order of pushing: the request's push must find its app's."""
    if (ctx := _cv_request.get(None)) is None:
        raise RuntimeError(
            "'stream_with_context' can only be used when a request"
            " context is active, such as in a view function."
        )
    return _cv_app.get(), ctx


def _stream_in(
    contexts: tuple[t.ContextManager[t.Any], ...], items: t.Iterator[t.AnyStr]
) -> t.Iterator[t.AnyStr]:
    app_ctx, ctx = contexts
    with app_ctx, ctx:
        try:
            yield from items
        finally:
            if (close := getattr(items, "close", None)) is not None:
                close()


# -- names ------------------------------------------------------------------------------------


def _endpoint_from_view_func(view_func: ft.RouteCallable) -> str:
    """The endpoint of a view that was registered without one: the function's name."""
    assert view_func is not None, "expected view func if endpoint is not provided."
    return view_func.__name__


@cache
def _split_blueprint_path(name: str) -> list[str]:
    """The blueprint's name and those of its parents, innermost first: `a.b` gives `a.b`, `a`."""
    parts = name.split(".")
    return [".".join(parts[:n]) for n in range(len(parts), 0, -1)]

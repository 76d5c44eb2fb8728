"""Errors and reports for debug mode: what went wrong in plain words, and what to do."""

from __future__ import annotations

import typing as t

from .state import current

if t.TYPE_CHECKING:
    from jinja2 import BaseLoader

    from .wrappers import Request

    Found = tuple[str, str | None, t.Callable[[], bool] | None]

_UPLOAD_MISSING = (
    "You tried to access the file {key!r} in the request.files dictionary but it does not exist."
    " The mimetype for the request is {mimetype!r} instead of 'multipart/form-data' which means"
    " that no file contents were transmitted. To fix this error you should provide"
    ' enctype="multipart/form-data" in your form.'
)
_NAMES_SENT = "\n\nThe browser instead transmitted some file names. This was submitted: {names}"

_REDIRECTED = (
    "A request was sent to '{url}', but routing issued a redirect to the canonical URL '{target}'."
)
_SLASH_MISSING = (
    " The URL was defined with a trailing slash. Flask will redirect to the URL with a trailing"
    " slash if it was accessed without one."
)
_REDIRECT_REMEDY = (
    " Send requests to the canonical URL, or use 307 or 308 for routing redirects. Otherwise,"
    " browsers will drop form data.\n\nThis exception is only raised in debug mode."
)

_TEMPLATES_HELP = "https://flask.palletsprojects.com/blueprints/#templates"


class UnexpectedUnicodeError(AssertionError, UnicodeError):
    """Text where only bytes can be right, or the other way round."""


class DebugFilesKeyError(KeyError, AssertionError):
    """`request.files` was asked for a file whose name came as a form field instead."""

    def __init__(self, request: Request, key: str) -> None:
        self.msg = _UPLOAD_MISSING.format(key=key, mimetype=request.mimetype)
        if names := ", ".join(map(repr, request.form.getlist(key))):
            self.msg += _NAMES_SENT.format(names=names)

    def __str__(self) -> str:
        return self.msg


class FormDataRoutingRedirect(AssertionError):
    """Routing redirects a request with a body in a way that makes browsers drop the body."""

    def __init__(self, request: Request) -> None:
        target: str = request.routing_exception.new_url  # type: ignore[union-attr]
        text = _REDIRECTED.format(url=request.url, target=target)
        if target.partition("?")[0] == f"{request.base_url}/":
            text += _SLASH_MISSING
        super().__init__(text + _REDIRECT_REMEDY)


def attach_enctype_error_multidict(request: Request) -> None:
    """Make a missing key of `request.files` raise `DebugFilesKeyError` if the form has it."""
    plain = type(request.files)

    def __getitem__(self: t.Any, key: str) -> t.Any:
        if key not in self and key in request.form:
            raise DebugFilesKeyError(request, key)
        return plain.__getitem__(self, key)

    explained = {"__getitem__": __getitem__, "__module__": plain.__module__}
    request.files.__class__ = type(plain.__name__, (plain,), explained)


# -- the search for a template --------------------------------------------------------------------


def _dump_loader_info(loader: BaseLoader) -> t.Iterator[str]:
    """Lines about a Jinja loader: its class, then its public attributes of simple types."""
    cls = type(loader)
    yield f"class: {cls.__module__}.{cls.__name__}"
    for name, value in sorted(vars(loader).items()):
        if name.startswith("_"):
            continue
        if isinstance(value, (str, int, float)):
            yield f"{name}: {value!r}"
        elif isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
            yield f"{name}:"
            yield from (f"  - {item}" for item in value)


def explain_template_loading_attempts(
    app: t.Any,
    template: str,
    attempts: list[tuple[BaseLoader, t.Any, Found | None]],
) -> None:
    """Log, as INFO, where a template was looked for, and a hint if none or several were found.

    :param template: the name
    :param attempts: for each loader tried: the loader, whose it is, and what it found
    """
    lines = [f"Locating template {template!r}:"]
    for number, (loader, owner, result) in enumerate(attempts, 1):
        lines.append(f"{number:5}: trying loader of {_describe_owner(owner)}")
        lines += [f"{'':7}{line}" for line in _dump_loader_info(loader)]
        outcome = "no match" if result is None else f"found ({result[1] or '<string>'!r})"
        lines.append(f"{'':7}-> {outcome}")
    lines += _hints(sum(result is not None for _, _, result in attempts))
    app.logger.info("\n".join(lines))


def _describe_owner(owner: t.Any) -> str:
    # Told by what they can do: the classes belong to layers that are built on this module.
    if hasattr(type(owner), "wsgi_app"):
        return f"application {owner.import_name!r}"
    if hasattr(type(owner), "make_setup_state"):
        return f"blueprint {owner.name!r} ({owner.import_name})"
    return repr(owner)


def _hints(found: int) -> t.Iterator[str]:
    if found == 1:
        return
    yield (
        "Warning: multiple loaders returned a match for the template."
        if found
        else "Error: the template could not be found."
    )
    ctx = current.get()[1]
    if ctx is not None and (blueprint := ctx.request.blueprint) is not None:
        yield (
            "  The template was looked up from an endpoint that belongs to"
            f" the blueprint {blueprint!r}."
        )
        yield "  Maybe you did not place a template in the right folder?"
        yield f"  See {_TEMPLATES_HELP}"

"""Building URLs.

Source: Flask, "API: Application Object", `url_for` and what it calls.
"""

from __future__ import annotations

import typing as t
from urllib.parse import quote

from werkzeug.exceptions import SecurityError
from werkzeug.wsgi import get_host

from .globals import _cv_app, _cv_request
from .scaffold import Scaffold

if t.TYPE_CHECKING:
    from werkzeug.routing import BuildError, MapAdapter
    from werkzeug.wrappers import Response as BaseResponse

    from .wrappers import Request, Response

_IN_FRAGMENT = "%!#$&'()*+,/:;=?@"
_NEVER_IN_HOST = frozenset("/?#@\\<>^|`{}\"' \t\r\n\0")


class Urls(Scaffold):
    """What an application does with URLs that it gives out; for `Erlen` to inherit."""

    response_class: type[Response]
    url_build_error_handlers: list[t.Callable[[Exception, str, dict[str, t.Any]], str]]

    if t.TYPE_CHECKING:

        def create_url_adapter(self, request: Request | None) -> MapAdapter | None: ...
        def ensure_sync(self, func: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]: ...

    def url_for(
        self,
        /,
        endpoint: str,
        *,
        _anchor: str | None = None,
        _method: str | None = None,
        _scheme: str | None = None,
        _external: bool | None = None,
        **values: t.Any,
    ) -> str:
        """The URL of an endpoint; a leading dot means the current blueprint.

        Values that the rule does not name go to the query. Outside of requests URLs are external
        and need `SERVER_NAME`. Raises BuildError where no rule fits and no handler helps.
        """
        ctx = _cv_request.get(None)
        if ctx is None:
            outer = _cv_app.get(None)
            adapter = self.create_url_adapter(None) if outer is None else outer.url_adapter
            external = True if _external is None else _external
        else:
            adapter = ctx.url_adapter
            external = _scheme is not None if _external is None else _external
            if endpoint.startswith("."):
                blueprint = ctx.request.blueprint
                endpoint = endpoint[1:] if blueprint is None else blueprint + endpoint
        if adapter is None:
            raise RuntimeError(
                "Unable to build URLs outside an active request"
                " without 'SERVER_NAME' configured. Also configure"
                " 'APPLICATION_ROOT' and 'PREFERRED_URL_SCHEME' as"
                " needed."
            )
        if _scheme is not None and not external:
            raise ValueError("When specifying '_scheme', '_external' must be True.")
        self.inject_url_defaults(endpoint, values)
        try:
            url = adapter.build(
                endpoint, values, method=_method, url_scheme=_scheme, force_external=external
            )
        except LookupError as error:
            if not _is_build_error(error):
                raise
            asked = {"_anchor": _anchor, "_method": _method, "_scheme": _scheme}
            return self.handle_url_build_error(
                error, endpoint, {**values, **asked, "_external": external}
            )
        if _anchor is None:
            return url
        return f"{url}#{quote(_anchor, safe=_IN_FRAGMENT)}"

    def redirect(self, location: str, code: int = 302) -> BaseResponse:
        """A response that redirects to a location."""
        from werkzeug.utils import redirect

        return redirect(location, code, Response=self.response_class)

    def inject_url_defaults(self, endpoint: str, values: dict[str, t.Any]) -> None:
        """Let the `url_defaults` functions of the application and blueprints add values."""
        registry = self.url_default_functions
        if not registry:
            return
        names: list[str | None] = [None]
        end = endpoint.find(".")
        while end >= 0:
            names.append(endpoint[:end])
            end = endpoint.find(".", end + 1)
        for name in names:
            for function in registry.get(name, ()):
                self.ensure_sync(function)(endpoint, values)

    def handle_url_build_error(
        self, error: BuildError, endpoint: str, values: dict[str, t.Any]
    ) -> str:
        """The first URL that a handler gives for what could not be built; or raise the error."""
        last = error
        for handler in self.url_build_error_handlers:
            try:
                url = handler(last, endpoint, values)
            except LookupError as again:
                if not _is_build_error(again):
                    raise
                last = again
            else:
                if url is not None:
                    return url
        raise last


def _is_build_error(error: LookupError) -> t.TypeGuard[BuildError]:
    from werkzeug.routing import BuildError

    return isinstance(error, BuildError)


def accept_host(request: Request, trusted: list[str] | None) -> None:
    """Set the request's host, and what it may be where the application says so.

    Raises SecurityError for one that is not trusted, or cannot stand in a URL.
    """
    if trusted is not None:
        request.trusted_hosts = trusted
    # Asked for its error; the URL map does not know of trusted hosts.
    host = request.host = get_host(request.environ, request.trusted_hosts)
    if not _NEVER_IN_HOST.isdisjoint(host) or not _is_address(host):
        raise SecurityError(f"Host {host!r} is not valid.")


def _is_address(host: str) -> bool:
    """Whether a host can stand in a URL: brackets around an IPv6 address only, and a port that is
    a number (RFC 3986, 3.2)."""
    name, port = host, ""
    if not host.endswith("]"):
        name, port = host.rpartition(":")[::2] if ":" in host else (host, "")
    if port and not (port.isascii() and port.isdigit() and int(port) <= 65_535):
        return False
    is_bracketed = name[:1] == "[" and name[-1:] == "]"
    return is_bracketed or ":" not in name and "[" not in name and "]" not in name

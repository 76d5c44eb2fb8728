"""The request that views see: where its values come from, and what was matched."""

from __future__ import annotations

import typing as t
from functools import cache

from werkzeug.datastructures import EnvironHeaders
from werkzeug.exceptions import HTTPException
from werkzeug.http import parse_etags
from werkzeug.wsgi import get_host

from .body import BODY_READERS, RequestBody
from .fields import args, fields_class, with_short_blanks
from .lazy import are_as_defined, as_they_are, lazy

if t.TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment
    from werkzeug.routing import Rule


def _text(environ: WSGIEnvironment, key: str) -> str:
    """A path of the environ as text (PEP 3333: bytes that pose as latin-1)."""
    value: str = environ.get(key) or ""
    return value if value.isascii() else value.encode("latin1").decode(errors="replace")


@cache
def _scope_module() -> t.Any:
    """PERF: only requests over ASGI need the module; `cache` is faster than the statement."""
    from . import scope

    return scope


class Request(RequestBody):
    """The request that views see as `erlen.request`; a subclass of Werkzeug's.

    Limits on the body come from the application's configuration (`MAX_CONTENT_LENGTH`,
    `MAX_FORM_MEMORY_SIZE`, `MAX_FORM_PARTS`) and can be set on a single request. Source: Flask,
    "Incoming Request Data".
    """

    #: The rule that matched; `None` before and without a match.
    url_rule: Rule | None = None
    #: Values of the URL's variables; `None` without a match.
    view_args: dict[str, t.Any] | None = None
    #: What matching raised, for `dispatch_request` to raise again.
    routing_exception: HTTPException | None = None

    if t.TYPE_CHECKING:
        scope: t.MutableMapping[str, t.Any] | None
        queue_time: float
    #: Of an ASGI request that the engine made.
    _receive: t.Any
    _plan: t.Any = None
    shallow = False

    def __init_subclass__(cls, **kwargs: t.Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._look_at_methods()

    @classmethod
    def _look_at_methods(cls) -> None:
        """Note whether the short ways of reading query and body are equivalent for this class."""
        args.kind = fields_class()
        cls._reads_plainly = are_as_defined(cls, BODY_READERS, AS_DEFINED)

    def __init__(
        self, environ: WSGIEnvironment, populate_request: bool = True, shallow: bool = False
    ) -> None:
        self.environ = environ
        self.shallow = shallow
        if populate_request and not shallow:
            environ["werkzeug.request"] = self

    if not t.TYPE_CHECKING:

        @lazy
        def environ(self):
            """The WSGI environ; under an ASGI server made of the scope."""
            late = _scope_module()
            return late.environ_of(self.scope, late.BodyStream(self._inbox))

        @lazy
        def _inbox(self):
            return _scope_module().Inbox(self._receive, self.scope, self._plan)

        @lazy
        def _content(self):
            return self._inbox.content

        @lazy
        def scope(self):
            """The ASGI scope; `None` under a WSGI server."""
            return self.environ.get("asgi.scope")

        @lazy
        def queue_time(self):
            """Seconds for which the request waited for a worker thread, under an ASGI server."""
            return self.environ.get("erlen.queue_time", 0.0)

        @lazy
        def method(self):
            """The request method in capitals."""
            if "environ" in self.__dict__:
                return self.environ.get("REQUEST_METHOD", "GET").upper()
            return self.scope["method"].upper()

        @lazy
        def scheme(self):
            """The scheme of the URL, such as `https`."""
            return self.environ.get("wsgi.url_scheme", "http")

        @lazy
        def server(self):
            """Address of the server: (host, port), or (socket path, None)."""
            name = self.environ.get("SERVER_NAME")
            if name is None:
                return None
            try:
                return name, int(self.environ.get("SERVER_PORT", None))
            except (TypeError, ValueError):
                return name, None

        @lazy
        def root_path(self):
            """Prefix under which the application is mounted, without a slash at its end."""
            return _text(self.environ, "SCRIPT_NAME").rstrip("/")

        @lazy
        def path(self):
            """The path behind `root_path`, with one slash in front."""
            if "environ" not in self.__dict__ and not self.scope.get("root_path"):
                path = self.scope["path"]
                if path.isascii():
                    return "/" + path.lstrip("/")
            return "/" + _text(self.environ, "PATH_INFO").lstrip("/")

        @lazy
        def query_string(self):
            """The raw query as bytes."""
            if "environ" in self.__dict__:
                return self.environ.get("QUERY_STRING", "").encode("latin1")
            return self.scope.get("query_string", b"")

        @lazy
        def headers(self):
            """The request's headers, a read-only view on the environ."""
            return EnvironHeaders(self.environ)

        @lazy
        def host(self):
            """The host that was asked for, with the port unless it is the scheme's own."""
            return get_host(self.environ, self.trusted_hosts)

        @lazy
        def if_match(self):
            """The ETags of `If-Match`."""
            return parse_etags(with_short_blanks(self.environ).get("HTTP_IF_MATCH"))

        @lazy
        def if_none_match(self):
            """The ETags of `If-None-Match`."""
            return parse_etags(with_short_blanks(self.environ).get("HTTP_IF_NONE_MATCH"))

        @lazy
        def remote_addr(self):
            """Address of the client."""
            if "environ" in self.__dict__:
                return self.environ.get("REMOTE_ADDR")
            client = self.scope.get("client")
            return client[0] if client else None

        #: Values of the query; the first one of a name by `[]`, all by `getlist`.
        args = args

    @property
    def endpoint(self) -> str | None:
        """The endpoint of the rule that matched, else `None`."""
        rule = self.url_rule
        return None if rule is None else rule.endpoint

    @property
    def blueprint(self) -> str | None:
        """Dotted name under which the blueprint of the matched endpoint is registered."""
        endpoint = self.endpoint
        if endpoint is None or "." not in endpoint:
            return None
        return endpoint[: endpoint.rindex(".")]

    @property
    def blueprints(self) -> list[str]:
        """Names of that blueprint and those around it, the innermost first."""
        name = self.blueprint
        names = []
        while name:
            names.append(name)
            name = name.rpartition(".")[0]
        return names

    @property
    def last_event_id(self) -> str | None:
        """The id of the last server-sent event that the client got before it lost its connection,
        or `None`. Source: WHATWG, HTML, "Server-sent events", 9.2.4."""
        sent = self.headers.get("Last-Event-ID")
        # Browsers send UTF-8, where other fields are Latin-1.
        return None if sent is None else sent.encode("latin1").decode(errors="replace")


# Of a request class: what making an instance without its constructor goes around.
MADE_DIRECTLY = (
    "__init__",
    "__new__",
    "__setattr__",
    "method",
    "routing_exception",
    "shallow",
    "url_rule",
    "view_args",
)
# Of a request class: what must be built in for its limit to be known before there is a request.
LIMITS = ("max_content_length", "_max_content_length")
AS_DEFINED: t.Final = as_they_are(Request, {*BODY_READERS, *MADE_DIRECTLY, *LIMITS, "close"})

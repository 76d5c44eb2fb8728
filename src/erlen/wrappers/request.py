"""The request, and the short ways of reading its body."""

from __future__ import annotations

import typing as t
from functools import cache
from io import BytesIO

from werkzeug.datastructures import EnvironHeaders
from werkzeug.exceptions import BadRequest, ClientDisconnected, HTTPException, RequestEntityTooLarge
from werkzeug.http import parse_etags
from werkzeug.wrappers import Request as _Request
from werkzeug.wsgi import LimitedStream, get_host, get_input_stream

from ..engine.bridge import await_, is_in_greenlet
from ..state import current_application
from .fields import args, fields_class, storage_of, with_short_blanks
from .forms import URLENCODED, FormParser, check_fields, file_for_upload, in_time, read_at_most
from .lazy import are_as_defined, as_they_are, lazy

if t.TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment
    from werkzeug.formparser import FormDataParser
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


class _BoundedStream(LimitedStream):
    """A body without a declared length, up to a limit; one that goes on behind it is refused.

    Werkzeug's own stream ends at the limit when it is read as a whole, as if nothing followed.
    """

    def __init__(self, stream: t.IO[bytes], limit: int) -> None:
        super().__init__(stream, limit, is_max=True)
        self._whole = stream

    def readall(self) -> bytes:
        body = super().readall()
        if self.is_exhausted and self._whole.read(1):
            raise RequestEntityTooLarge()
        return body


# What must be Werkzeug's own for the short way of reading a body or form to be equivalent.
_BODY_READERS = (
    "stream",
    "get_data",
    "input_stream",
    "content_length",
    "want_form_data_parsed",
    "make_form_data_parser",
    "form_data_parser_class",
    "_get_stream_for_parsing",
    "_load_form_data",
    "mimetype",
    "is_json",
)


# Of `request.headers` that nobody looked at, or nobody assigned: they are the environ's.
_UNTOUCHED_HEADERS = (type(None), EnvironHeaders)


class Request(_Request):
    """The request that views see as `erlen.request`; a subclass of Werkzeug's.

    Limits on the body come from the application's configuration (`MAX_CONTENT_LENGTH`,
    `MAX_FORM_MEMORY_SIZE`, `MAX_FORM_PARTS`) and can be set on a single request. Source: Flask,
    "Incoming Request Data".
    """

    #: Replaced by the provider of the application when a context takes the request.
    json_module: t.Any = None
    #: The rule that matched; `None` before and without a match.
    url_rule: Rule | None = None
    #: Values of the URL's variables; `None` without a match.
    view_args: dict[str, t.Any] | None = None
    #: What matching raised, for `dispatch_request` to raise again.
    routing_exception: HTTPException | None = None

    if t.TYPE_CHECKING:
        scope: t.MutableMapping[str, t.Any] | None
        queue_time: float
        _inbox: t.Any
        _content: t.Any
    #: Of an ASGI request that the engine made.
    _receive: t.Any
    #: Whether the form was parsed, so that there may be files to close.
    _form_loaded = False
    shallow = False
    _max_content_length: int | None = None
    _max_form_memory_size: int | None = None
    _max_form_parts: int | None = None
    _max_form_fields: int | None = None

    form_data_parser_class = FormParser

    #: Called with the request when its form was parsed in debug mode without files.
    _explain_missing_files: t.ClassVar[t.Callable[[t.Any], None] | None] = None
    _reads_plainly: t.ClassVar[bool] = True

    def __init_subclass__(cls, **kwargs: t.Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._look_at_methods()

    @classmethod
    def _look_at_methods(cls) -> None:
        """Note whether the short ways of reading query and body are equivalent for this class."""
        args.kind = fields_class()
        cls._reads_plainly = are_as_defined(cls, _BODY_READERS, AS_DEFINED)

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
            return _scope_module().Inbox(self._receive, self.scope)

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

        @lazy
        def stream(self):
            """The body as a stream that ends where the body ends; consumed by reading."""
            if "_cached_data" in self.__dict__:  # get_data took the short way and read it all
                return BytesIO()
            if self.shallow:
                raise RuntimeError(
                    "This request was created with 'shallow=True', reading"
                    " from the input stream is disabled."
                )
            limit = self.max_content_length
            if limit is not None and "wsgi.input_terminated" in self.environ:
                if self.content_length is None:
                    return _BoundedStream(self.environ["wsgi.input"], limit)
            return get_input_stream(self.environ, max_content_length=limit)

    def close(self) -> None:
        """Close the files of the form, if it was parsed."""
        if self.__dict__.get("files"):
            super().close()

    def _limit(self, own: int | None, key: str, outside: int | None) -> int | None:
        if own is not None:
            return own
        app = current_application()
        return outside if app is None else app.config[key]

    @property
    def max_content_length(self) -> int | None:
        """Most bytes that are read of this request's body; beyond it, 413. `None`: unlimited."""
        app = current_application()  # PERF: `_limit` without the call
        if self._max_content_length is not None or app is None:
            return self._max_content_length
        return app.config["MAX_CONTENT_LENGTH"]  # type: ignore[no-any-return]

    @max_content_length.setter
    def max_content_length(self, value: int | None) -> None:
        self._max_content_length = value

    @property
    def max_form_memory_size(self) -> int | None:
        """Most bytes that a form field which is no file may have; beyond it, 413."""
        return self._limit(self._max_form_memory_size, "MAX_FORM_MEMORY_SIZE", 500_000)

    @max_form_memory_size.setter
    def max_form_memory_size(self, value: int | None) -> None:
        self._max_form_memory_size = value

    @property  # type: ignore[override]
    def max_form_parts(self) -> int | None:
        """Most parts that a multipart form may have; beyond it, 413."""
        return self._limit(self._max_form_parts, "MAX_FORM_PARTS", 1_000)

    @max_form_parts.setter
    def max_form_parts(self, value: int | None) -> None:
        self._max_form_parts = value

    @property
    def max_form_fields(self) -> int | None:
        """Most fields that an urlencoded form may have (`MAX_FORM_FIELDS`); beyond it, 413."""
        app = current_application()
        if self._max_form_fields is not None or app is None:
            return self._max_form_fields
        return t.cast("int | None", app.config.get("MAX_FORM_FIELDS"))

    @max_form_fields.setter
    def max_form_fields(self, value: int | None) -> None:
        self._max_form_fields = value

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

    def _content_type(self) -> str | None:
        """The field `Content-Type` as it was sent; `None` also for more than one."""
        if "environ" in self.__dict__:
            return self.environ.get("CONTENT_TYPE")
        return self._content[0]  # type: ignore[no-any-return]

    def _declared_length(self) -> int | None:
        """The body's declared length where it is small and plain; else the long way decides."""
        mine = self.__dict__
        if "environ" not in mine:
            return None if self.shallow else self._content[1]
        environ = mine["environ"]
        declared = environ.get("CONTENT_LENGTH")
        if not declared or len(declared) > 5 or not (declared.isascii() and declared.isdigit()):
            return None
        if "HTTP_TRANSFER_ENCODING" in environ or self.shallow:
            return None
        if self.__dict__.get("headers").__class__ not in _UNTOUCHED_HEADERS:
            return None
        return int(declared)

    def _plain_json(self) -> bytes | None:
        """The body, kept as by `get_data`, where it is plainly JSON; else the long way decides.

        PERF: content type and body with few calls.
        """
        mine = self.__dict__
        if "environ" in mine:
            kind = mine["environ"].get("CONTENT_TYPE")
        else:
            kind = self._content[0]
        if kind != "application/json" or "stream" in mine or not self._reads_plainly:
            return None
        if "_cached_data" in mine:
            return mine["_cached_data"]  # type: ignore[no-any-return]
        body = self._read_body()
        if body is not None:
            mine["_cached_data"] = body
        return body

    def _read_body(self) -> bytes | None:
        """The whole body by its declared length, or `None` where the long way must decide."""
        mine = self.__dict__
        if "_inbox" in mine and mine["_inbox"].ended and "environ" not in mine and not self.shallow:
            # PERF: all of it is here, whatever length was declared.
            return mine["_inbox"].rest(self.max_content_length)  # type: ignore[no-any-return]
        length = self._declared_length()
        if length is None:
            return None
        limit = self.max_content_length
        if limit is not None and length > limit:
            raise RequestEntityTooLarge()
        if "environ" not in mine:
            return await_(self._inbox.whole(limit))  # type: ignore[no-any-return]
        terminated = "wsgi.input_terminated" in self.environ
        stream = self.environ["wsgi.input"]
        # Where the server says where the body ends, one byte more tells if it is longer. PERF: not
        # asked of Granian's own stream, where the question is dear and the length frames the body.
        is_open = terminated and stream.__class__.__module__ != "granian._granian"
        wanted = length + 1 if is_open else length
        body = b""
        try:
            while len(body) < wanted:
                piece = stream.read(wanted - len(body))
                if not piece:
                    break
                body += piece
        except (OSError, ValueError) as error:
            if terminated and limit is None:
                raise
            raise ClientDisconnected() from error
        if len(body) < length and not terminated:
            raise ClientDisconnected()
        if len(body) > length:
            body += stream.read() if limit is None else read_at_most(stream, limit - len(body))
        return body

    if not t.TYPE_CHECKING:

        def get_data(self, cache=True, as_text=False, parse_form_data=False):
            """The body as bytes, or text (UTF-8, faults replaced); kept unless `cache=False`.

            With `parse_form_data` a form is parsed first and its bytes are not returned.
            """
            mine = self.__dict__
            if "_cached_data" in mine:
                body = mine["_cached_data"]
            elif (
                cache
                and self._reads_plainly
                and "stream" not in mine
                and not (parse_form_data and self._content_type())
                and (body := self._read_body()) is not None
            ):
                mine["_cached_data"] = body
            else:
                return super().get_data(cache, as_text, parse_form_data)
            return body.decode(errors="replace") if as_text else body

        def get_json(self, force=False, silent=False, cache=True):
            """The body parsed as JSON.

            Raises 415 where the content type is not JSON (unless `force`) and 400 where the body
            is not valid or nested beyond what the parser takes; `silent` gives `None` instead.
            """
            mine = self.__dict__
            if (
                cache
                and self._reads_plainly
                and "_cached_json" not in mine
                and self._content_type() == "application/json"
                and mine.get("headers").__class__ in _UNTOUCHED_HEADERS
            ):
                try:
                    parsed = self.json_module.loads(self.get_data())
                except (ValueError, RecursionError):
                    pass  # told below, by the long way
                else:
                    self._cached_json = (parsed, parsed)
                    return parsed
            try:
                return super().get_json(force, silent, cache)
            except RecursionError:
                if silent:
                    return None
                return self.on_json_loading_failed(ValueError("The JSON is nested too deeply."))

    if not t.TYPE_CHECKING:

        def _get_file_stream(
            self, total_content_length, content_type, filename=None, content_length=None
        ):
            if is_in_greenlet():
                return file_for_upload()
            return super()._get_file_stream(
                total_content_length, content_type, filename, content_length
            )

    def make_form_data_parser(self) -> FormDataParser:
        """A parser of this request's form, with its limits."""
        parser = super().make_form_data_parser()
        if isinstance(parser, FormParser):
            parser.max_form_fields = self.max_form_fields
        return parser

    def _load_form_data(self) -> None:
        """Parse the form once; afterwards `stream`, `form` and `files` are in the instance."""
        mine = self.__dict__
        if "form" in mine:
            return
        self._form_loaded = True
        body = None
        if self._reads_plainly and self._content_type() == URLENCODED and "stream" not in mine:
            body = self._cached_urlencoded()
        if body is None:
            super()._load_form_data()
        else:
            storage = self.parameter_storage_class
            try:
                text = body.decode()
            except UnicodeDecodeError:
                text = ""
            check_fields(body, self.max_form_fields)
            mine["form"] = in_time(len(body), storage_of, storage, text)
            mine["files"] = storage()
        explain = type(self)._explain_missing_files
        if explain is not None and self.mimetype != "multipart/form-data" and not self.files:
            app = current_application()
            if app is not None and app.debug:
                explain(self)

    def _cached_urlencoded(self) -> bytes | None:
        """Bytes of a small urlencoded body; `None` sends the caller the long way."""
        length = self._declared_length()
        limit = self.max_form_memory_size
        if length is None or (limit is not None and length > limit):
            return None
        mine = self.__dict__
        if "_cached_data" in mine:
            return mine["_cached_data"]  # type: ignore[no-any-return]
        body = self._read_body()
        if body is not None:
            mine["stream"] = BytesIO()
        return body

    def on_json_loading_failed(self, e: ValueError | None) -> t.Any:
        """Raise the 400 or 415 for a body that `get_json` refused; texts only in debug mode."""
        app = current_application()
        if e is None or (app is not None and app.debug):
            return super().on_json_loading_failed(e)
        raise BadRequest() from e


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
AS_DEFINED: t.Final = as_they_are(Request, {*_BODY_READERS, *MADE_DIRECTLY, *LIMITS, "close"})

"""The response, and the short way of sending it."""

from __future__ import annotations

import typing as t

from werkzeug.datastructures import Headers
from werkzeug.utils import get_content_type
from werkzeug.wrappers import Response as _Response

from ..engine.internals import headers_of, pairs_of
from ..state import current_application
from .fields import with_short_blanks
from .lazy import are_as_defined, as_they_are, lazy

if t.TYPE_CHECKING:
    from http import HTTPStatus

    from _typeshed.wsgi import StartResponse, WSGIEnvironment


# What a subclass may change without being asked when a response is sent in short form.
_SENDERS = (
    "__init__",
    "__call__",
    "get_wsgi_response",
    "get_wsgi_headers",
    "get_app_iter",
    "iter_encoded",
    "set_data",
    "close",
    "headers",
    "response",
    "status",
    "status_code",
    "default_status",
    "autocorrect_location_header",
    "automatically_set_content_length",
)


_SENDING_METHODS = frozenset(_SENDERS) - {"headers", "response", "status", "status_code"}


class Response(_Response):
    """The response that views return; a subclass of Werkzeug's with HTML as its default type.

    Source: Flask, "Response Objects".
    """

    default_mimetype: str | None = "text/html"
    json_module: t.Any = None
    autocorrect_location_header = False

    _sends_plainly: t.ClassVar[bool] = True

    def __init_subclass__(cls, **kwargs: t.Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._look_at_methods()

    @classmethod
    def _look_at_methods(cls) -> None:
        """Note whether the short ways of making and sending are equivalent for this class."""
        cls._sends_plainly = are_as_defined(cls, _SENDERS, _AS_DEFINED)

    #: Body and content type of a response that the engine made of them.
    _ready: tuple[bytes, str]

    if not t.TYPE_CHECKING:
        _status = "200 OK"
        _status_code = 200
        direct_passthrough = False

        @lazy
        def headers(self):
            """The response's headers."""
            body, content_type = self._ready
            return headers_of([("Content-Type", content_type), ("Content-Length", str(len(body)))])

        @lazy
        def response(self):
            """The body: a list of bytes, or any iterable for a streamed one."""
            return [self._ready[0]]

        @lazy
        def _on_close(self):
            return []

    @classmethod
    def _from_bytes(cls, body: bytes, mimetype: str | None = None) -> t.Any:
        """A response of a ready body; with everything else as from the constructor."""
        if not cls._sends_plainly:
            return cls(body, mimetype=mimetype)
        if mimetype is None:
            mimetype = cls.default_mimetype
            if mimetype is None:
                return cls(body)
        made = cls.__new__(cls)
        made._ready = (body, get_content_type(mimetype, "utf-8"))
        return made

    @property
    def status(self) -> str:
        """The status line; assign text or a code. ValueError for control characters in it."""
        return self._status

    @status.setter
    def status(self, value: str | int | HTTPStatus) -> None:
        if isinstance(value, str) and not value.isprintable():
            raise ValueError(f"The status has a control character: {value!r}")
        self._status, self._status_code = self._clean_status(value)

    def let_sync_code_iterate(self) -> None:
        """Give an asynchronous body an iterator for sync code; `async for` still goes over it."""
        body: t.Any = self.response
        if hasattr(type(body), "__aiter__") and not hasattr(body, "__iter__"):
            from ..engine.streams import iterate

            self.response = iterate(body)

    def iter_encoded(self) -> t.Iterator[bytes]:
        """Iterate over the body as bytes, be it synchronous or not."""
        self.let_sync_code_iterate()
        return super().iter_encoded()

    def make_sequence(self) -> None:
        """Read the body to its end and keep it as a list of bytes."""
        self.let_sync_code_iterate()
        super().make_sequence()

    def close(self) -> None:
        """Close the body, iterated over or not, then call the functions of `call_on_close`."""
        self.let_sync_code_iterate()
        super().close()

    def make_conditional(
        self,
        request_or_environ: t.Any,
        accept_ranges: bool | str = False,
        complete_length: int | None = None,
    ) -> t.Any:
        """Answer conditional and range requests; see Werkzeug."""
        environ = getattr(request_or_environ, "environ", request_or_environ)
        return super().make_conditional(with_short_blanks(environ), accept_ranges, complete_length)

    @property
    def max_cookie_size(self) -> int:  # type: ignore[override]
        """Size in bytes beyond which a cookie warns (`MAX_COOKIE_SIZE`)."""
        app = current_application()
        return super().max_cookie_size if app is None else app.config["MAX_COOKIE_SIZE"]

    def _send(self, environ: WSGIEnvironment, start_response: StartResponse) -> t.Iterable[bytes]:
        """`self(environ, start_response)`, in short form where that gives the same bytes.

        PERF: a response that nobody touched needs no `Headers`; one with a plain list of
        bytes needs neither their copy nor an iterator around the list, which some servers
        send together with the head.
        """
        mine = self.__dict__
        if "_ready" not in mine or not self._sends_plainly or environ["REQUEST_METHOD"] == "HEAD":
            return self(environ, start_response)
        body, content_type = mine["_ready"]
        length = str(len(body))
        if "headers" not in mine:
            if len(mine) == 1 or self._sends_ready_body():
                start_response(
                    self._status, [("Content-Type", content_type), ("Content-Length", length)]
                )
                return [body]
        elif mine["headers"].__class__ is Headers and (len(mine) == 2 or self._sends_ready_body()):
            headers = pairs_of(mine["headers"])
            if ("Content-Length", length) in headers:
                for name, _ in headers:
                    if len(name) in (8, 16) and name.lower() in _LOCATIONS:
                        return self(environ, start_response)
                start_response(self._status, headers)
                return [body]
        return self(environ, start_response)

    def _sends_ready_body(self) -> bool:
        """Whether what was set on the instance leaves the ready body what is to be sent."""
        mine = self.__dict__
        status = self._status_code
        return (
            "response" not in mine
            and not mine.get("_on_close")
            and status >= 200
            and status not in (204, 304)
            and _SENDING_METHODS.isdisjoint(mine)
        )


_LOCATIONS = frozenset({"location", "content-location"})

_AS_DEFINED: t.Final = as_they_are(Response, _SENDERS)

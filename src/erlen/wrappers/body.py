"""The short ways of reading a request's body and form, and the limits on both."""

from __future__ import annotations

import typing as t
from io import BytesIO

from werkzeug.datastructures import EnvironHeaders
from werkzeug.exceptions import BadRequest, ClientDisconnected, RequestEntityTooLarge
from werkzeug.wrappers import Request as _Request
from werkzeug.wsgi import LimitedStream, get_input_stream

from ..engine.bridge import await_, is_in_greenlet
from ..state import current_application
from .fields import storage_of
from .forms import URLENCODED, FormParser, check_fields, file_for_upload, in_time, read_at_most
from .lazy import lazy

if t.TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment
    from werkzeug.formparser import FormDataParser


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
BODY_READERS = (
    "stream",
    "get_data",
    "input_stream",
    "content_length",
    "max_content_length",
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


def _small_length(environ: WSGIEnvironment) -> int | None:
    """The declared length of a body, where it is small and plain."""
    declared = environ.get("CONTENT_LENGTH", "")
    if len(declared) > 5 or not (declared.isdigit() and declared.isascii()):
        return None
    return None if "HTTP_TRANSFER_ENCODING" in environ else int(declared)


class RequestBody(_Request):
    """What a request does with its body; where it comes from, `Request` says."""

    #: Replaced by the provider of the application when a context takes the request.
    json_module: t.Any = None
    #: Whether the form was parsed, so that there may be files to close.
    _form_loaded = False
    _max_content_length: int | None = None
    _max_form_memory_size: int | None = None
    _max_form_parts: int | None = None
    _max_form_fields: int | None = None

    form_data_parser_class = FormParser

    #: Called with the request when its form was parsed in debug mode without files.
    _explain_missing_files: t.ClassVar[t.Callable[[t.Any], None] | None] = None
    _reads_plainly: t.ClassVar[bool] = True

    if t.TYPE_CHECKING:
        _inbox: t.Any
        _content: t.Any

    if not t.TYPE_CHECKING:

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
        if self._max_content_length is not None:  # PERF: `_limit` without the call
            return self._max_content_length
        app = current_application()
        return None if app is None else app.config["MAX_CONTENT_LENGTH"]

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

    def _content_type(self) -> str | None:
        """The field `Content-Type` as it was sent; `None` also for more than one."""
        if "environ" in self.__dict__:
            return self.environ.get("CONTENT_TYPE")
        return self._content[0]  # type: ignore[no-any-return]

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

    def _fresh_json(self) -> bytes | None:
        """:meth:`_plain_json` of a WSGI request that nobody has touched yet.

        PERF: without looking for what could only have been set since.
        """
        environ = self.environ
        if environ.get("CONTENT_TYPE") != "application/json" or not self._reads_plainly:
            return None
        length = _small_length(environ)
        if length is None or self.shallow:
            return None
        body = self._cached_data = self._read_declared(environ, length)
        return body

    def _read_body(self, most: int | None = None) -> bytes | None:
        """The whole body, where its declared length is small and plain; else the long way decides.

        :param most: bytes above which the long way decides, too
        """
        mine = self.__dict__
        environ = mine.get("environ")
        if environ is None:
            return self._receive_body(most)
        if "headers" in mine and mine["headers"].__class__ is not EnvironHeaders:
            return None
        length = _small_length(environ)
        if length is None or self.shallow or (most is not None and length > most):
            return None
        return self._read_declared(environ, length)

    def _read_declared(self, environ: WSGIEnvironment, length: int) -> bytes:
        """The whole body of a WSGI request, whose length was declared, and is small."""
        limit = self._max_content_length
        if limit is None:  # PERF: the property, which is nobody else's here
            app = current_application()
            limit = None if app is None else app.config["MAX_CONTENT_LENGTH"]
        if limit is not None and length > limit:
            raise RequestEntityTooLarge()
        stream = environ["wsgi.input"]
        terminated = "wsgi.input_terminated" in environ
        # Where the server says where the body ends, one byte more tells if it is longer. PERF: not
        # asked of Granian's own stream, where the question is dear and the length frames the body.
        is_open = terminated and stream.__class__.__module__ != "granian._granian"
        wanted = length + 1 if is_open else length
        try:
            body: bytes = stream.read(wanted)
            while len(body) < wanted and body:
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

    def _receive_body(self, most: int | None) -> bytes | None:
        """:meth:`_read_body` of an ASGI request, whose environ was not made."""
        inbox, length = self._inbox, self._content[1]
        if self.shallow or (most is not None and (length is None or length > most)):
            return None
        limit = self.max_content_length
        if inbox.ended:  # PERF: all of it is here, whatever length was declared
            return inbox.rest(limit)  # type: ignore[no-any-return]
        if length is None:
            return None
        if limit is not None and length > limit:
            raise RequestEntityTooLarge()
        return await_(inbox.whole(limit))  # type: ignore[no-any-return]

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
        mine = self.__dict__
        limit = self.max_form_memory_size
        if "_cached_data" in mine:
            body: bytes = mine["_cached_data"]
            return body if limit is None or len(body) <= limit else None
        read = self._read_body(limit)
        if read is not None:
            mine["stream"] = BytesIO()
        return read

    def on_json_loading_failed(self, e: ValueError | None) -> t.Any:
        """Raise the 400 or 415 for a body that `get_json` refused; texts only in debug mode."""
        app = current_application()
        if e is None or (app is not None and app.debug):
            return super().on_json_loading_failed(e)
        raise BadRequest() from e

"""Requests to an ASGI application without a server: the scope, and the server's end of a request.

Source: ASGI 3.0, "HTTP & WebSocket ASGI Message Format" 2.4.
"""

from __future__ import annotations

import sys
import typing as t
from collections import deque
from urllib.parse import quote, unquote_to_bytes

from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.wsgi import get_content_length

from ..engine.loops import call_later_on
from ..wrappers.scope import EXTRA

if t.TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    Message: t.TypeAlias = "dict[str, t.Any]"
    Application: t.TypeAlias = "Callable[[t.Any, t.Any, t.Any], Awaitable[None]]"

T = t.TypeVar("T")


class Wait(t.Protocol):
    """Runs a coroutine where the application runs and returns its result."""

    def __call__(self, coro: Coroutine[t.Any, t.Any, T], /) -> T: ...


#: Most bytes of a request's body in one message.
CHUNK_SIZE = 65_536
#: Seconds that an application gets to end when its client has left; then it is cancelled.
LEAVE_SECONDS = 5.0

# What the scope and the body say in their own words, and what a server says of itself.
_SAID = frozenset(
    {
        "REQUEST_METHOD",
        "SCRIPT_NAME",
        "PATH_INFO",
        "QUERY_STRING",
        "SERVER_NAME",
        "SERVER_PORT",
        "SERVER_PROTOCOL",
        "REMOTE_ADDR",
        "REMOTE_PORT",
        "CONTENT_TYPE",
        "CONTENT_LENGTH",
        "wsgi.version",
        "wsgi.url_scheme",
        "wsgi.input",
        "wsgi.input_terminated",
        "wsgi.file_wrapper",
        "wsgi.multithread",
        "wsgi.multiprocess",
        "wsgi.run_once",
        # Werkzeug's builder leaves the application's own path out of these.
        "REQUEST_URI",
        "RAW_URI",
    }
)
_DISCONNECT = {"type": "http.disconnect"}
_SOCKET_SCHEMES = {"http": "ws", "https": "wss"}
_IRREGULAR_NAMES = {"etag": "ETag", "www-authenticate": "WWW-Authenticate"}


class ClientLeft(OSError):
    """Raised in an application that sends to a client which has left."""

    def __init__(self) -> None:
        super().__init__("The client has left.")


def scope_of(environ: WSGIEnvironment, kind: str = "http") -> dict[str, t.Any]:
    """The ASGI scope of the request that an environ describes, `kind` "http" or "websocket".

    What a scope has no place for (`wsgi.errors`, entries of the test's own) goes along as
    `scope["extensions"]["erlen.environ"]` and is in `request.environ` again.
    """
    path = (environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).encode("latin1")
    scheme = environ.get("wsgi.url_scheme", "http")
    scope: dict[str, t.Any] = {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": environ.get("SERVER_PROTOCOL", "HTTP/1.1").partition("/")[2],
        "scheme": _SOCKET_SCHEMES.get(scheme, scheme) if kind == "websocket" else scheme,
        "path": path.decode(errors="replace"),
        "raw_path": _raw_path(environ, path),
        "query_string": environ.get("QUERY_STRING", "").encode("latin1"),
        "root_path": environ.get("SCRIPT_NAME", "").encode("latin1").decode(errors="replace"),
        "headers": list(_headers(environ)),
        "client": _address(environ.get("REMOTE_ADDR"), environ.get("REMOTE_PORT", 0)),
        "server": _address(environ.get("SERVER_NAME"), environ.get("SERVER_PORT", 80)),
        "state": {},
        "extensions": {},
    }
    extra = {
        key: value
        for key, value in environ.items()
        if not (key in _SAID or key.startswith("HTTP_") or value is sys.stderr)
    }
    if extra:
        scope["extensions"][EXTRA] = extra
    if kind == "http":
        scope["method"] = environ.get("REQUEST_METHOD", "GET").upper()
    else:
        offered = environ.get("HTTP_SEC_WEBSOCKET_PROTOCOL", "")
        scope["subprotocols"] = [name.strip() for name in offered.split(",") if name.strip()]
        scope["extensions"]["websocket.http.response"] = {}
    return scope


def _raw_path(environ: WSGIEnvironment, path: bytes) -> bytes:
    """The path as a client sends it: as the test wrote it, unless the path was changed since."""
    raw: str = environ.get("RAW_URI") or ""
    root = quote(environ.get("SCRIPT_NAME", "").encode("latin1"), safe=_PATH_SAFE)
    written = root + quote(raw.partition("?")[0].encode("latin1"), safe=f"%{_PATH_SAFE}")
    if unquote_to_bytes(written) == path:
        return written.encode()
    return quote(path, safe=_PATH_SAFE).encode()


# RFC 3986, 3.3: `pchar` and the slash.
_PATH_SAFE = "/:@!$&'()*+,;=~"


def _headers(environ: WSGIEnvironment) -> Iterator[tuple[bytes, bytes]]:
    for key, value in environ.items():
        if key.startswith("HTTP_"):
            name = key[5:]
        elif key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            name = key
        else:
            continue
        yield name.lower().replace("_", "-").encode("latin1"), str(value).encode("latin1")


def _address(host: str | None, port: t.Any) -> tuple[str, int | None] | None:
    """A host with its port, or the path of a Unix socket with `None`."""
    return None if host is None else (host, int(port) if port else None)


def _uploads(environ: WSGIEnvironment) -> Iterator[Message]:
    """The messages that carry the body; one that is shorter than declared ends with the client."""
    declared = get_content_length(environ)
    ends_itself = declared is None and "wsgi.input_terminated" in environ
    left = sys.maxsize if ends_itself else declared or 0
    while left > 0:
        chunk: bytes = environ["wsgi.input"].read(min(CHUNK_SIZE, left))
        if not chunk:
            break
        left -= len(chunk)
        yield {"type": "http.request", "body": chunk, "more_body": left > 0}
    if ends_itself or not declared:
        yield {"type": "http.request", "body": b"", "more_body": False}
    elif left > 0:
        yield _DISCONNECT


def text_headers(pairs: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    """Headers as text, with their names as they are usually written.

    Raises TypeError for what is no pair of bytes, ValueError for a name in capitals.
    """
    headers = []
    for name, value in pairs:
        if not (isinstance(name, bytes) and isinstance(value, bytes)):
            raise TypeError(f"A header is a pair of bytes, not {(name, value)!r}.")
        if name != name.lower():
            raise ValueError(f"Names of headers are in lower case in ASGI, not {name!r}.")
        text = name.decode("latin1")
        headers.append((_IRREGULAR_NAMES.get(text) or text.title(), value.decode("latin1")))
    return headers


def _status(message: Message) -> int:
    status = message["status"]
    if not (isinstance(status, int) and 100 <= status <= 999):
        raise ValueError(f"A status is a number of three digits, not {status!r}.")
    return status


class Call:
    """One call of an ASGI application, in a task of its own; lives on the application's loop."""

    def __init__(self, app: Application, scope: dict[str, t.Any]) -> None:
        import asyncio

        self.scope = scope
        self._app = app
        #: Whether the application returned, or raised `error`.
        self.done = False
        self.error: BaseException | None = None
        #: Whether the client left before the end.
        self.left = False
        self._news = asyncio.Event()
        self._cancelled = False

    def start(self) -> None:
        """Call the application on the loop that runs now."""
        import asyncio

        self.loop = asyncio.get_running_loop()
        self._task = self.loop.create_task(self._run())

    async def _run(self) -> None:
        from asyncio import CancelledError

        try:
            await self._app(self.scope, self._receive, self._send)
            self._check_end()
        except CancelledError as error:
            self.error = None if self._cancelled else error
        except ClientLeft as error:
            self.error = None if self.left else error
        except BaseException as error:  # raised again where the test waits
            self.error = error
        self.done = True
        self._news.set()

    async def _until(self, happened: Callable[[], bool]) -> None:
        """Wait until something is so, or the application has ended."""
        while not (self.done or happened()):
            self._news.clear()
            await self._news.wait()

    async def _end(self) -> None:
        """Let an application come to its end that has been told that its client is gone."""
        import asyncio

        self._news.set()
        if not self.done:
            await asyncio.wait([self._task], timeout=LEAVE_SECONDS)
        if not self.done:
            self._cancelled = True
            self._task.cancel()
            await asyncio.wait([self._task], timeout=LEAVE_SECONDS)

    def abandon(self) -> None:
        """Leave without waiting for the end."""
        self.left = True
        self._news.set()

    def raise_error(self) -> None:
        """Raise what left the application, once."""
        error, self.error = self.error, None
        if error is not None:
            try:
                raise error
            finally:
                error = None  # its traceback holds this frame: no cycle for the collector

    def _check_end(self) -> None:
        """Raise RuntimeError where the application may not have ended yet."""

    async def _receive(self) -> Message:
        raise NotImplementedError

    async def _send(self, message: Message) -> None:
        raise NotImplementedError


class Exchange(Call):
    """A request and its response, from the server's side.

    The application waits in `send` until the test asks for what comes next.
    """

    def __init__(self, app: Application, environ: WSGIEnvironment, state: t.Any = None) -> None:
        super().__init__(app, scope_of(environ))
        if state is not None:
            self.scope["state"] = dict(state)
        #: 0 until the response is started.
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        #: Whether the last message of the body was sent.
        self.complete = False
        self._uploads = _uploads(environ)
        # Whether the body broke off, or could not be read.
        self._is_broken = False
        self._chunks: deque[bytes] = deque()
        self._is_wanted = False

    async def begin(self, *, whole_head: bool = False) -> None:
        """Call the application and wait for the first piece of the body, or for the end.

        With `whole_head`, the head of the response is enough. Raises what the application raises;
        RuntimeError if it ends without a whole response.
        """
        self.start()
        try:
            await self._until(
                lambda: not self.complete and bool(self._chunks or (whole_head and self.status))
            )
        except BaseException:
            self.abandon()
            raise
        if self.done:
            self.raise_error()

    def take(self) -> bytes | None:
        """A piece of the body that is there already."""
        return self._chunks.popleft() if self._chunks else None

    @property
    def is_over(self) -> bool:
        """Whether nothing more can come."""
        return self.done and not self._chunks and self.error is None

    async def next_chunk(self) -> bytes | None:
        """The next piece of the body, `None` at its end. Raises what the application raises."""
        if not self._chunks:
            self._is_wanted = True
            self._news.set()
            await self._until(lambda: bool(self._chunks) and not self.complete)
        if not self._chunks:
            self.raise_error()
        return self.take()

    async def leave(self) -> None:
        """Leave as a client that closes its connection, and wait for the application to end."""
        if not self.done:
            self.left = True
            await self._end()
        self._chunks.clear()
        self.raise_error()

    def _check_end(self) -> None:
        if not (self.complete or self.left):
            begun = "before the end of its" if self.status else "without starting a"
            raise RuntimeError(f"The application ended {begun} response.")

    async def _receive(self) -> Message:
        is_broken, self._is_broken = self._is_broken, True
        message = None if is_broken or self.left else next(self._uploads, None)
        self._is_broken = is_broken or message == _DISCONNECT
        if message is not None:
            return message.copy()
        while not (self.complete or self.left or self._is_broken):
            self._news.clear()
            await self._news.wait()
        return _DISCONNECT.copy()

    async def _send(self, message: Message) -> None:
        if self.left:
            raise ClientLeft()
        kind = message["type"]
        if kind == "http.response.start" and not self.status:
            self.headers = text_headers(message.get("headers", ()))
            self.status = _status(message)
            self._news.set()
        elif kind == "http.response.body" and self.status and not self.complete:
            await self._take_in(message.get("body", b""), bool(message.get("more_body", False)))
        else:
            raise RuntimeError(f"The message {kind!r} is out of order here.")

    async def _take_in(self, chunk: t.Any, more: bool) -> None:
        if not isinstance(chunk, (bytes, bytearray, memoryview)):
            raise TypeError(f"A body is bytes, not {type(chunk).__name__}.")
        if chunk:
            self._chunks.append(bytes(chunk))
        self.complete = not more
        self._news.set()
        if chunk and more:
            self._is_wanted = False
            await self._until(lambda: self.left or self._is_wanted)
            if self.left:
                raise ClientLeft()


class Carrier:
    """An ASGI application as a WSGI callable: each call is a request over ASGI.

    So that everything which a WSGI client does around a request stays the same.
    """

    def __init__(
        self, app: Application, wait: Wait, state: t.Any = None, *, whole_head: bool = False
    ) -> None:
        self.app = app
        self.wait = wait
        self.state = state
        self.whole_head = whole_head

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Body:
        exchange = Exchange(self.app, environ, self.state)
        self.wait(exchange.begin(whole_head=self.whole_head))
        phrase = HTTP_STATUS_CODES.get(exchange.status, "Unknown")
        start_response(f"{exchange.status} {phrase.upper()}", exchange.headers)
        return Body(exchange, self.wait, begins_empty=self.whole_head)


class Body:
    """The body of a response, a piece at a time, as the application sends it."""

    def __init__(self, exchange: Exchange, wait: Wait, *, begins_empty: bool = False) -> None:
        self.exchange = exchange
        self._wait = wait
        # A WSGI client waits for a piece before it gives the response to the test.
        self._first: bytes | None = b"" if begins_empty else None

    def __iter__(self) -> Body:
        return self

    def __next__(self) -> bytes:
        chunk, self._first = self._first, None
        if chunk is None:
            chunk = self.exchange.take()
        if chunk is None and not self.exchange.is_over:
            chunk = self._wait(self.exchange.next_chunk())
        if chunk is None:
            raise StopIteration
        return chunk

    def close(self) -> None:
        """Leave, as a client that has enough of a response. Raises what the application raises."""
        if not self.exchange.is_over:
            self._wait(self.exchange.leave())

    def __del__(self) -> None:
        if not self.exchange.done:
            call_later_on(self.exchange.loop, self.exchange.abandon)

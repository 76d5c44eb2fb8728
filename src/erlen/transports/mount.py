"""From the edges to mounted applications, whichever interface these have.

- ASGI in ASGI and WSGI in WSGI: called with the path as their root;
- WSGI in ASGI: on a worker thread, as the application's own sync views;
- ASGI in WSGI: on the application's loop, with this thread carrying bodies both ways. Nothing is
  read before the application asks for it, nothing is sent on before the server asks for it.

Source: ASGI, "HTTP & WebSocket ASGI Message Format" (`root_path`); PEP 3333.
"""

from __future__ import annotations

import typing as t
from contextvars import copy_context
from queue import SimpleQueue
from urllib.parse import quote

from werkzeug.exceptions import ClientDisconnected
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.wsgi import get_input_stream

from ..lifespan import life_of
from ..mounts import ASGI, WSGI, Mount, find_mount
from ..wrappers.scope import BodyStream, Inbox, environ_of, path_in_app

if t.TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Generator, Iterable, Iterator

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from ..engine.plan import Program
    from ..wrappers.scope import Message, Receive, Scope, Send

#: Bytes of a request's body that are read at once.
CHUNK_SIZE = 65_536


def start_and_find(
    app: t.Any, program: Program, environ: WSGIEnvironment
) -> tuple[Program, Mount | None]:
    """For the WSGI edge: the program, after the application was started, and the mount that the
    request is for, if it is for one."""
    if program.waits:
        if app._waits_for_start():
            life_of(app).start()
        program = _ask_less(app)
    mount = find_mount(program.mounts, _decoded(environ.get("PATH_INFO") or ""))
    return program, mount


async def serve_start(app: t.Any, scope: Scope, receive: Receive, send: Send) -> Program | None:
    """For the ASGI edge: the program, after the application was started; `None` where a mounted
    application has answered."""
    program: Program = app._current_program()
    if program.waits:
        if app._waits_for_start():
            await life_of(app).start_here()
        program = _ask_less(app)
    mount = find_mount(program.mounts, path_in_app(scope)) if program.mounts else None
    if mount is None:
        return program
    if mount.interface == WSGI:
        await _serve_wsgi_on_thread(app, scope, receive, send)
    else:
        await mount.app(_scope_below(mount, scope), receive, send)
    return None


def _ask_less(app: t.Any) -> Program:
    """The program, which need no longer ask whether the application is started."""
    program: Program = app._current_program()
    program.waits = app._waits_for_start()
    program.asks = bool(program.foreign or program.mounts or program.waits)
    return program


# In ASGI


def _scope_below(mount: Mount, scope: Scope) -> dict[str, t.Any]:
    root = scope.get("root_path") or ""
    below = {**scope, "root_path": root + mount.path}
    path = root + path_in_app(scope)
    if path != scope["path"]:  # a server that leaves the root out of the path
        below["path"] = path
        if scope.get("raw_path"):
            below["raw_path"] = quote(root).encode() + scope["raw_path"]
    below.pop("state", None)
    if mount.state is not None:
        below["state"] = mount.state.copy()
    return below


async def _serve_wsgi_on_thread(app: t.Any, scope: Scope, receive: Receive, send: Send) -> None:
    """Through `app.wsgi_app`, with the middleware around it, which finds the mount again."""
    from .answer import Answer
    from .asgi import Exchange

    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1000})
        return
    exchange = Exchange(Inbox(receive, scope), send)
    environ = environ_of(scope, BodyStream(exchange.inbox))
    try:
        await exchange.run_on_thread(app, environ, Answer())
    except BaseException as error:
        if not exchange.explains(error):
            raise
    finally:
        await exchange.end()


# In WSGI


def _decoded(path: str) -> str:
    return path if path.isascii() else path.encode("latin1").decode(errors="replace")


def serve_below(
    app: t.Any, mount: Mount, environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    """Answer a request by a mounted application."""
    root = mount.path.encode().decode("latin1")
    below = {
        **environ,
        "SCRIPT_NAME": environ.get("SCRIPT_NAME", "") + root,
        "PATH_INFO": environ["PATH_INFO"][len(root) :],
    }
    if mount.interface != ASGI:
        return mount.app(below, start_response)  # type: ignore[no-any-return]
    return _Call(mount, below, life_of(app).home()).begin(start_response)


class _Call:
    """A request to an ASGI application from a WSGI server's thread.

    The application runs on its loop; this thread reads and writes for it, one thing at a time.
    """

    def __init__(
        self, mount: Mount, environ: WSGIEnvironment, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.mount = mount
        self.environ = environ
        self.loop = loop
        self.input = get_input_stream(environ)
        # What the loop wants of this thread: something to call, or `None` at the end.
        self.wishes: SimpleQueue[Callable[[], bytes | None] | None] = SimpleQueue()
        self.error: BaseException | None = None
        self.is_over = False
        # Set on the loop.
        self.gone = False
        self.head: tuple[str, list[tuple[str, str]]] | None = None
        self.is_complete = False
        self.is_read = False
        self.task: asyncio.Task[None] | None = None
        # Done when the client has left, or has got everything.
        self.leaving: asyncio.Future[None] = loop.create_future()

    # On this thread

    def begin(self, start_response: StartResponse) -> Iterator[bytes]:
        """Start the application, and the response with the first piece of its body.

        Raises what the application raises before that.
        """
        self.loop.call_soon_threadsafe(self._start, context=copy_context())
        pieces = self._pieces(start_response)
        first = next(pieces, b"")
        return _Body(self, first, pieces)

    def _pieces(self, start_response: StartResponse) -> Generator[bytes, None, None]:
        is_started = False
        while (wish := self.wishes.get()) is not None:
            piece = wish()
            if piece is None:
                continue
            if not is_started:
                is_started = True
                start_response(*t.cast("t.Any", self.head))
            yield piece
        self.is_over = True
        if self.error is not None:
            try:
                raise self.error
            finally:
                self.error = None
        if not is_started:
            raise RuntimeError(
                f"The application mounted at {self.mount.path!r} ended without a response."
            )

    def leave(self) -> None:
        """The client has left, or the response is not wanted any longer."""
        if not self.is_over:
            self.is_over = True
            self.loop.call_soon_threadsafe(self._leave)

    # On the loop

    def _start(self) -> None:
        self.task = self.loop.create_task(self._run())

    def _leave(self) -> None:
        self.gone = True
        _resolve(self.leaving)

    async def _run(self) -> None:
        try:
            await self.mount.app(_scope_of(self.mount, self.environ), self._receive, self._send)
            if not (self.is_complete or self.gone):
                raise RuntimeError(
                    f"The application mounted at {self.mount.path!r} ended before its response."
                )
        except BaseException as error:
            if not self.gone:
                self.error = error  # raised again in the thread of the request
            elif not _is_for_leaving(error):
                raise
        finally:
            self.wishes.put(None)

    async def _wish(self, wish: Callable[[], bytes | None]) -> bool:
        """Have the request's thread do something and go on; whether it still can."""
        from asyncio import FIRST_COMPLETED, wait

        done = self.loop.create_future()

        def perform() -> bytes | None:
            try:
                return wish()
            finally:
                self.loop.call_soon_threadsafe(_resolve, done)

        self.wishes.put(perform)
        await wait([done, self.leaving], return_when=FIRST_COMPLETED)
        return done.done()

    async def _receive(self) -> Message:
        from asyncio import wait

        if self.is_read or self.is_complete:
            await wait([self.leaving])
            return {"type": "http.disconnect"}
        read: list[bytes | BaseException] = []

        def read_some() -> None:
            try:
                read.append(self.input.read(CHUNK_SIZE))
            except Exception as error:
                read.append(error)

        if self.gone or not await self._wish(read_some):
            return {"type": "http.disconnect"}
        (chunk,) = read
        if isinstance(chunk, ClientDisconnected):
            self._leave()
            return {"type": "http.disconnect"}
        if isinstance(chunk, BaseException):
            raise chunk
        self.is_read = not chunk
        return {"type": "http.request", "body": chunk, "more_body": bool(chunk)}

    async def _send(self, message: Message) -> None:
        if self.gone:
            raise ClientLeft()
        kind = message["type"]
        if kind == "http.response.start" and self.head is None:
            status = message["status"]
            self.head = (
                f"{status} {HTTP_STATUS_CODES.get(status, 'Unknown').upper()}",
                [
                    (name.decode("latin1"), value.decode("latin1"))
                    for name, value in message.get("headers", ())
                ],
            )
        elif kind == "http.response.body" and self.head is not None and not self.is_complete:
            piece = bytes(message.get("body", b""))
            self.is_complete = not message.get("more_body", False)
            if self.is_complete:
                self.wishes.put(lambda: piece)
                _resolve(self.leaving)
            elif piece and not await self._wish(lambda: piece):
                raise ClientLeft()
        else:
            raise RuntimeError(f"The message {kind!r} is out of order here.")


class ClientLeft(OSError):
    """Raised in an application that sends to a client which has left (ASGI, "Disconnected
    Client")."""

    def __init__(self) -> None:
        super().__init__("The client has left.")


def _is_for_leaving(error: BaseException) -> bool:
    """Whether an error only says that the client has left: frameworks have their own for it."""
    return isinstance(error, OSError) or isinstance(error.__context__, OSError)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class _Body:
    """A response's body, which tells the application when it is closed before its end."""

    def __init__(self, call: _Call, first: bytes, pieces: Generator[bytes, None, None]) -> None:
        self._call = call
        self._first: bytes | None = first
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        first, self._first = self._first, None
        return first or next(self._pieces)

    def close(self) -> None:
        self._call.leave()
        self._pieces.close()


def _scope_of(mount: Mount, environ: WSGIEnvironment) -> dict[str, t.Any]:
    """The scope of a request to the mounted application (`environ` is that below the path)."""
    root = environ["SCRIPT_NAME"].encode("latin1")
    path = root + environ["PATH_INFO"].encode("latin1")
    raw = (environ.get("RAW_URI") or environ.get("REQUEST_URI") or "").partition("?")[0]
    host, port = environ.get("SERVER_NAME"), environ.get("SERVER_PORT")
    client = environ.get("REMOTE_ADDR")
    scope: dict[str, t.Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": environ.get("SERVER_PROTOCOL", "HTTP/1.1").rpartition("/")[2],
        "method": environ["REQUEST_METHOD"].upper(),
        "scheme": environ["wsgi.url_scheme"],
        "path": path.decode(errors="replace"),
        "raw_path": raw.encode("latin1") if raw.startswith("/") else quote(path).encode(),
        "query_string": environ.get("QUERY_STRING", "").encode("latin1"),
        "root_path": root.decode(errors="replace"),
        "headers": list(_headers_of(environ)),
        "client": (client, int(environ.get("REMOTE_PORT") or 0)) if client else None,
        "server": (host, int(port)) if host and port and port.isdigit() else None,
        "extensions": {},
    }
    if mount.state is not None:
        scope["state"] = mount.state.copy()
    return scope


def _headers_of(environ: WSGIEnvironment) -> Iterator[tuple[bytes, bytes]]:
    for key, value in environ.items():
        is_header = key.startswith("HTTP_") and key not in _TWICE
        if is_header or (key in _BARE and value):
            name = key.removeprefix("HTTP_").replace("_", "-").lower()
            yield name.encode("latin1"), value.encode("latin1")


# CGI has these two headers under a name of their own (RFC 3875, 4.1).
_BARE = frozenset({"CONTENT_TYPE", "CONTENT_LENGTH"})
_TWICE = frozenset({"HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"})

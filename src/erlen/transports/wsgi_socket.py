"""WebSockets of WSGI applications, over ASGI.

Libraries such as simple-websocket (Flask-Sock, Flask-SocketIO) speak the protocol themselves, on
the connection that a WSGI server leaves in the environ. An ASGI server has no connection to give,
so they get one end of a pair of sockets. At the other end is a client, which carries the messages
between them and the server, one by one, so that each side waits for the other.

Source: RFC 6455; ASGI, "WebSocket"; `werkzeug.socket` in the environ of Werkzeug's server.
"""

from __future__ import annotations

import asyncio
import io
import socket
import typing as t
from contextvars import copy_context
from functools import cache
from importlib.util import find_spec

from ..wrappers.scope import SCOPE, environ_of
from .answer import Answer

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed.wsgi import WSGIEnvironment
    from wsproto.events import Event

    from ..engine.plan import Program
    from ..wrappers.scope import Receive, Scope, Send

#: Bytes that are read at once from the library.
_READ = 65_536
_NORMAL, _GOING_AWAY, _INTERNAL_ERROR, _TRY_AGAIN_LATER = 1000, 1001, 1011, 1013
_LEFT: dict[str, t.Any] = {"type": "websocket.disconnect", "code": _GOING_AWAY}
#: Codes that say how a connection ended and are never sent (RFC 6455, 7.4.1).
_NEVER_SENT = (1005, 1006, 1015)


def is_meant_for_wsgi(program: Program, found: t.Any) -> bool:
    """Whether a WebSocket is for a view that takes the connection from the environ, or may be for
    middleware around `wsgi_app`.

    :param found: rule and values, or the error of a path that no rule has
    """
    if isinstance(found, tuple):
        is_meant = not getattr(found[0], "on_socket", False)
    else:
        is_meant = program.wraps_wsgi and program.proxy_fix is None
    return is_meant and _can_carry()


@cache
def _can_carry() -> bool:
    """Whether wsproto is there; it comes with every library that takes the connection."""
    return find_spec("wsproto") is not None


async def serve(app: t.Any, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one WebSocket whose `websocket.connect` was received."""
    here, there = socket.socketpair()
    here.setblocking(False)
    carrier = _Carrier(here, scope, receive, send)
    answer = Answer()
    environ = {**carrier.environ, "werkzeug.socket": there}
    call = app.websocket_threads.start(copy_context().run, _run, app.wsgi_app, environ, answer)
    del environ
    outward = None
    try:
        if call is None:  # to wait for another connection's end may take for ever
            await send({"type": "websocket.close", "code": _TRY_AGAIN_LATER})
            return
        outward = asyncio.ensure_future(carrier.carry_out())
        # Where nothing is carried any more, the library is to hear that its connection is gone.
        await asyncio.wait([call, outward], return_when=asyncio.FIRST_COMPLETED)
        _end(there)
        await asyncio.wait([call, outward])
        if outward.exception() is not None:
            await carrier.close(_INTERNAL_ERROR)
        await outward
        await _finish(carrier, answer, call)
        if carrier.failure is not None and not isinstance(carrier.failure, OSError):
            raise carrier.failure
    finally:
        await carrier.end()
        _end(there)
        if outward is not None:
            outward.cancel()
            await asyncio.wait([outward])
        there.close()
        here.close()


async def _finish(carrier: _Carrier, answer: Answer, call: asyncio.Future[list[bytes]]) -> None:
    """Refuse the connection or close it, and raise what the application raised."""
    error = call.exception()
    if not carrier.was_accepted:
        await carrier.refuse(answer, call.result() if error is None else [])
    elif isinstance(error, ConnectionError):
        error = None  # by this python-engineio tells Werkzeug's server that all is said
    await carrier.close(_NORMAL if error is None else _INTERNAL_ERROR)
    if error is not None:
        raise error


def _run(
    wsgi: Callable[..., Iterable[bytes]], environ: WSGIEnvironment, answer: Answer
) -> list[bytes]:
    """Call the application and take its body, which counts where no WebSocket was accepted."""
    body = wsgi(environ, answer)
    try:
        return [*answer.written, *body]
    finally:
        if hasattr(body, "close"):
            body.close()


def _end(there: socket.socket) -> None:
    """Let both ends read what is on its way, and then the end."""
    try:
        there.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the library has closed it


class _Carrier:
    """A client of the library at one end, for the server's client at the other."""

    def __init__(self, here: socket.socket, scope: Scope, receive: Receive, send: Send) -> None:
        from wsproto import ConnectionType, WSConnection

        self._loop = asyncio.get_running_loop()
        self._connection = WSConnection(ConnectionType.CLIENT)
        self._here = here
        self._scope = scope
        self._receive = receive
        self._send = send
        self._writing = asyncio.Lock()
        self._parts: list[t.Any] = []
        self._inward: asyncio.Future[None] | None = None
        #: Whether the client has left, or was told to.
        self._is_over = False
        self.was_accepted = False
        #: What the server raised instead of giving a message.
        self.failure: Exception | None = None
        self.environ = self._environ()

    def _environ(self) -> WSGIEnvironment:
        """The environ of a request by HTTP/1.1 that asks for a WebSocket."""
        from wsproto.events import Request

        scope = self._scope
        wished = scope.get("subprotocols") or ()
        request = self._connection.send(Request(host="-", target="/", subprotocols=[*wished]))
        environ = environ_of(scope, io.BytesIO())
        # A plain request, which nothing asynchronous belongs to.
        del environ[SCOPE]
        is_secure = environ["wsgi.url_scheme"] in ("https", "wss")
        environ["wsgi.url_scheme"] = "https" if is_secure else "http"
        for line in request.decode("latin1").split("\r\n")[1:]:
            name, _, value = line.partition(": ")
            if name and name.lower() != "host":
                environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
        # Between the server and its client; there is none between the two ends here.
        environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)
        return environ

    async def carry_out(self) -> None:
        """From the library to the client, until the library's end. Raises RemoteProtocolError."""
        from wsproto.events import CloseConnection, Message

        while True:
            try:
                data = await self._loop.sock_recv(self._here, _READ)
            except OSError:
                return
            if not data:
                return
            self._connection.receive_data(data)
            for event in self._connection.events():
                if self._is_over and isinstance(event, Message):
                    return  # it does not listen, and would speak to nobody for ever
                await self._tell(event)
                if isinstance(event, CloseConnection):
                    return  # also where what the library has sent cannot be understood

    async def _tell(self, event: Event) -> None:
        from wsproto.events import AcceptConnection, CloseConnection, Message, Ping

        if isinstance(event, AcceptConnection):
            self.was_accepted = True
            await self._say({"type": "websocket.accept", "subprotocol": event.subprotocol})
            self._inward = asyncio.ensure_future(self._carry_in())
        elif isinstance(event, Message):
            self._parts.append(event.data)
            if event.message_finished:
                parts, self._parts = self._parts, []
                kind = "text" if isinstance(parts[0], str) else "bytes"
                await self._say({"type": "websocket.send", kind: parts[0][:0].join(parts)})
        elif isinstance(event, Ping):
            await self._write(event.response())
        elif isinstance(event, CloseConnection):
            await self.close(int(event.code), event.reason or "")
            await self._write(event.response())

    async def _carry_in(self) -> None:
        """From the client to the library, until the client leaves."""
        from wsproto.events import BytesMessage, CloseConnection, TextMessage

        while True:
            try:
                message = await self._receive()
            except Exception as error:
                # Nothing more will come: the library is to hear that, and the server its error.
                self.failure = error
                message = _LEFT
            if message["type"] == "websocket.disconnect":
                self._is_over = True
                code = message.get("code") or _GOING_AWAY
                code = _GOING_AWAY if code in _NEVER_SENT else code
                await self._write(CloseConnection(code, message.get("reason") or None))
                return
            text = message.get("text")
            await self._write(
                TextMessage(text) if text is not None else BytesMessage(message["bytes"])
            )

    async def _write(self, event: Event) -> None:
        from wsproto.utilities import LocalProtocolError

        async with self._writing:
            try:
                await self._loop.sock_sendall(self._here, self._connection.send(event))
            except (OSError, LocalProtocolError):
                return  # the library has closed its end; its messages tell

    async def _say(self, message: dict[str, t.Any]) -> None:
        if self._is_over:
            return
        try:
            await self._send(message)
        except OSError:  # ASGI: the client has left
            self._is_over = True

    async def close(self, code: int, reason: str = "") -> None:
        """Close the connection for the client, unless that was done."""
        # Before the server is told: Granian closes only when nobody receives.
        await self.end()
        code = _NORMAL if code in _NEVER_SENT else code
        message: dict[str, t.Any] = {"type": "websocket.close", "code": code}
        await self._say({**message, "reason": reason} if reason else message)
        self._is_over = True

    async def refuse(self, answer: Answer, body: list[bytes]) -> None:
        """Answer with an HTTP response, where the server can (ASGI, "WebSocket Denial
        Response")."""
        if answer.is_started and "websocket.http.response" in (self._scope.get("extensions") or ()):
            prefix = "websocket."
            start = answer.message()
            await self._say({**start, "type": prefix + start["type"]})
            await self._say({"type": f"{prefix}http.response.body", "body": b"".join(body)})
            self._is_over = True

    async def end(self) -> None:
        """Stop receiving."""
        inward, self._inward = self._inward, None
        if inward is not None:
            inward.cancel()
            await asyncio.wait([inward])

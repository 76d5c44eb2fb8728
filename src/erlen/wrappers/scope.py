"""An ASGI request as a WSGI environ: the scope's values, and the body as a blocking stream.

Everything that reads an environ so works on both protocols. Source: ASGI, "HTTP & WebSocket ASGI
Message Format"; PEP 3333.
"""

from __future__ import annotations

import io
import sys
import typing as t
import weakref
from collections import deque
from functools import partial
from types import BuiltinMethodType

from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
from werkzeug.wsgi import FileWrapper

from ..engine.bridge import await_

if t.TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping, Sequence

    from _typeshed.wsgi import WSGIEnvironment

Scope: t.TypeAlias = "MutableMapping[str, t.Any]"
Message: t.TypeAlias = "MutableMapping[str, t.Any]"
Receive: t.TypeAlias = "Callable[[], Awaitable[Message]]"
Send: t.TypeAlias = "Callable[[Message], Awaitable[None]]"

#: The environ's key of the scope.
SCOPE = "asgi.scope"
#: Of the scope: what it was before middleware took the word of proxies for it.
PROXY_FIX = "erlen.proxy_fix"
#: Of the scope's extensions: entries for the environ, from a test client.
EXTRA = "erlen.environ"

_NAMES: dict[bytes, str | None] = {
    b"content-type": "CONTENT_TYPE",
    b"content-length": "CONTENT_LENGTH",
}
_MOST_NAMES = 512
# Bytes of a body that nobody reads, to be received in search of the client's end; and seconds
# after which it is looked at again whether somebody may read it.
_MOST_HELD = 65_536
_PATIENCE = 0.05


def path_in_app(scope: Scope) -> str:
    """The path of the request behind the application's own, `root_path`."""
    path: str = scope["path"]
    root = (scope.get("root_path") or "").rstrip("/")
    if root and path.startswith(root) and path[len(root) : len(root) + 1] in ("", "/"):
        return path[len(root) :]
    return path


def native(text: str) -> str:
    """Text as the environ has it: its UTF-8 bytes, posing as latin-1."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("latin1")


def _key_of(name: bytes) -> str | None:
    """The environ's key for a header; `None` for one whose name would pose as another's."""
    key = None if b"_" in name else "HTTP_" + name.decode("latin1").upper().replace("-", "_")
    if len(_NAMES) < _MOST_NAMES:
        _NAMES[name] = key
    return key


def environ_of(scope: Scope, body: t.Any) -> WSGIEnvironment:
    """The environ of a scope; `body` is the stream `wsgi.input`."""
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": scope.get("method", "GET"),
        "SCRIPT_NAME": native((scope.get("root_path") or "").rstrip("/")),
        "PATH_INFO": native(path_in_app(scope)),
        "QUERY_STRING": (scope.get("query_string") or b"").decode("latin1"),
        "SERVER_PROTOCOL": f"HTTP/{scope.get('http_version', '1.1')}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": body,
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileBlocks,
        SCOPE: scope,
    }
    raw = scope.get("raw_path")
    if raw:
        query = environ["QUERY_STRING"]
        target = raw.decode("latin1")
        if query and "?" not in target:
            target = f"{target}?{query}"
        environ["REQUEST_URI"] = environ["RAW_URI"] = target
    host, port = scope.get("server") or ("localhost", None)
    environ["SERVER_NAME"] = host
    environ["SERVER_PORT"] = str(
        port if port is not None else 443 if environ["wsgi.url_scheme"] in ("https", "wss") else 80
    )
    client = scope.get("client")
    if client:
        environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = client[0], str(client[1])
    for name, value in scope["headers"]:
        key = _NAMES[name] if name in _NAMES else _key_of(name)
        if key is None:
            continue
        text = value.decode("latin1")
        if key in environ:
            text = f"{environ[key]}{'; ' if key == 'HTTP_COOKIE' else ','}{text}"
        environ[key] = text
    if PROXY_FIX in scope:
        environ["werkzeug.proxy_fix.orig"] = scope[PROXY_FIX]
    extensions = scope.get("extensions")
    if extensions and EXTRA in extensions:
        environ.update(extensions[EXTRA])
    return environ


def content_of(scope: Scope) -> tuple[str | None, int | None]:
    """Content type and length of a request's body, as far as they are said once and plainly.

    Nothing of a body that the client sends only when it is asked to (RFC 9110, 10.1.1).
    """
    kind = length = None
    for name, value in scope["headers"]:
        if name == b"content-type":
            if kind is not None:
                return None, None
            kind = value.decode("latin1")
        elif name == b"content-length":
            if length is not None or len(value) > 5 or not value.isdigit():
                return kind, None
            length = int(value)
        elif name in (b"transfer-encoding", b"expect"):
            return None, None
    return kind, length


class FileBlocks(FileWrapper):
    """`wsgi.file_wrapper`: blocks as large as pays for a change of threads each."""

    def __init__(self, file: t.IO[bytes], buffer_size: int = 0) -> None:
        super().__init__(file, max(buffer_size, 262_144))


class Inbox:
    """What a request receives, a message at a time: pieces of its body, then that its client left.

    Several may wait at once, the body's reader and who watches for the client: one of them
    receives, the others take part. Little is held that nobody has asked for.
    """

    __slots__ = (
        "_came",
        "_content",
        "_drained",
        "_held",
        "_pieces",
        "_receive",
        "_receiving",
        "_scope",
        "ended",
        "gone",
        "plan",
        "reader",
    )

    def __init__(self, receive: Receive, scope: Scope, plan: t.Any = None) -> None:
        self._receive = receive
        self._scope = scope
        #: The request's plan, to note in that its view waits for the body.
        self.plan = plan
        self._content: tuple[str | None, int | None] | None = None
        #: Bytes of the body that were received.
        self._came = 0
        # PERF: `None` while there are none; an empty deque takes as much as a request.
        self._pieces: deque[bytes] | None = None
        self._held = 0
        # Futures for who has to wait: until a message has come, until a held piece was taken.
        self._receiving: t.Any = None
        self._drained: t.Any = None
        #: Refers to the object through which the body is read, `None` before there is one.
        self.reader: weakref.ref[t.Any] | None = None
        #: Whether the body was received to its end.
        self.ended = False
        #: Whether the client has left.
        self.gone = False

    @property
    def content(self) -> tuple[str | None, int | None]:
        """Content type and length, as `content_of` has them."""
        if self._content is None:
            self._content = content_of(self._scope)
        return self._content

    async def next_piece(self) -> bytes:
        """The next piece of the body, empty at its end. Raises ClientDisconnected."""
        while not (pieces := self._pieces):
            if self.ended:
                return b""
            if self.gone:
                raise ClientDisconnected()
            self._note_reading()
            await self._take()
        piece = pieces.popleft()
        self._held -= len(piece)
        self._tell_of_room()
        return piece

    async def whole(self, limit: int | None) -> bytes:
        """The rest of the body at once. Raises 413 beyond `limit` bytes, ClientDisconnected.

        PERF: most bodies come in one message, and nobody else receives.
        """
        if not (self._pieces or self.ended or self.gone) and self._receiving is None:
            self._note_reading()
            self._note(await self._receive())
        if self.ended:
            return self.rest(limit)
        pieces = []
        size = 0
        while piece := await self.next_piece():
            pieces.append(piece)
            size += len(piece)
            if limit is not None and size > limit:
                raise RequestEntityTooLarge()
        return b"".join(pieces)

    def rest(self, limit: int | None) -> bytes:
        """The rest of a body that was received to its end. Raises 413 beyond `limit` bytes."""
        pieces: Sequence[bytes] = self._pieces or ()
        self._pieces = None
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._held = 0
        if self._drained is not None:
            self._tell_of_room()
        if limit is not None and len(body) > limit:
            raise RequestEntityTooLarge()
        return body

    async def receive_early(self, limit: int | None) -> None:
        """Receive the first piece of a small JSON body, for somebody who is going to read it.

        What this raises, and what is wrong with the body, is told to the reader.
        """
        kind, length = self.content
        if kind != "application/json" or not length or (limit is not None and length > limit):
            return
        try:
            self._note(await self._receive())
        except Exception as error:
            self._receive = partial(_fail, error)

    def _note_reading(self) -> None:
        """Have the next requests of this plan find a small JSON body received."""
        plan, self.plan = self.plan, None
        if plan is not None and plan.may_receive_early:
            kind, length = self.content
            if kind == "application/json" and length:
                plan.receives_early = True

    async def until_gone(self) -> None:
        """Return when the client has left.

        A large body holds this up for as long as somebody may read it yet.
        """
        while not self.gone:
            if self._held < _MOST_HELD:
                await self._take()
            elif self.reader is not None and self.reader() is None:
                self._pieces = None
                self._held = 0
            else:
                await self._wait_for_reader()

    def _tell_of_room(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    async def _wait_for_reader(self) -> None:
        """Wait until a piece is taken, or a moment: the reader may end on any thread."""
        import asyncio

        self._drained = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait([self._drained], timeout=_PATIENCE)
        finally:
            self._drained = None

    async def _take(self) -> None:
        """Receive one message, or wait until the one has come that somebody else receives."""
        import asyncio

        if self._receiving is not None:
            await asyncio.wait([self._receiving])
            return
        self._receiving = asyncio.get_running_loop().create_future()
        try:
            self._note(await self._receive())
        finally:
            self._receiving.set_result(None)
            self._receiving = None

    def _note(self, message: Message) -> None:
        if message["type"] == "http.disconnect":
            self.gone = True
            return
        if self.ended:
            return
        piece = message.get("body")
        if piece:
            if self._pieces is None:
                self._pieces = deque()
            self._pieces.append(bytes(piece))
            self._held += len(piece)
            self._came += len(piece)
        if not message.get("more_body") or self._came == self._promised():
            self.ended = True

    def _promised(self) -> int | None:
        """The length at which the body ends though more was announced; `None` without one.

        PERF: Granian tells that a body has ended in a message of its own, to receive which is as
        dear as to receive the body. RFC 9112, 6.3: the declared length tells as well, but only
        what comes from the server itself is framed by it. Middleware that unpacks a body leaves
        the length as it was; it is Python code, where the server's `receive` is none.
        """
        return self.content[1] if self._receive.__class__ is BuiltinMethodType else None


async def _fail(error: Exception) -> t.NoReturn:
    raise error


class BodyStream(io.RawIOBase):
    """The body as a file: reading waits for the client, and takes no more than it needs."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._rest = memoryview(b"")
        inbox.reader = weakref.ref(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: t.Any) -> int:
        """As `read`: filled up to the end of the body. Streams around this one ask by this."""
        size, count = len(buffer), 0
        while count < size and (piece := self._piece(size - count)):
            buffer[count : count + len(piece)] = piece
            count += len(piece)
        return count

    def read(self, size: int | None = -1, /) -> bytes:
        """Up to `size` bytes, fewer only at the end; all of the body where it is negative."""
        if size is None or size < 0:
            return self.readall()
        first = self._piece(size)
        if len(first) == size or not first:
            return bytes(first)
        read = bytearray(first)
        while len(read) < size and (piece := self._piece(size - len(read))):
            read += piece
        return bytes(read)

    def readall(self) -> bytes:
        read = bytearray()
        while piece := self._piece(sys.maxsize):
            read += piece
        return bytes(read)

    def readline(self, size: int | None = -1, /) -> bytes:
        """A line with its end; up to `size` bytes of it where that is not negative."""
        most = sys.maxsize if size is None or size < 0 else size
        line = bytearray()
        while len(line) < most and (piece := self._piece(most - len(line))):
            end = bytes(piece).find(b"\n") + 1
            if end:
                self._rest = memoryview(bytes(piece[end:]) + bytes(self._rest))
                line += piece[:end]
                break
            line += piece
        return bytes(line)

    def _piece(self, most: int) -> memoryview:
        """What has come already, else the next that comes; empty at the end of the body."""
        if not most:
            return memoryview(b"")
        piece = self._rest
        if not piece:
            inbox = self._inbox
            if inbox.ended and not inbox._pieces:
                return piece
            piece = memoryview(await_(inbox.next_piece()))
        self._rest = piece[most:]
        return piece[:most]

"""Forms: Werkzeug's parsers, safe from how a network cuts bodies, and fit for event loops.

On an event loop nothing here keeps the loop waiting: a form is parsed a few parts at a time, a
large urlencoded one on a thread, and a file that has outgrown the memory is written and closed on
one.
"""

from __future__ import annotations

import typing as t
from functools import cache
from io import BytesIO
from tempfile import SpooledTemporaryFile

from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser, MultiPartParser
from werkzeug.sansio.multipart import (
    NEED_DATA,
    Data,
    Epilogue,
    Field,
    File,
    MultipartDecoder,
    NeedData,
    State,
)

from ..engine.bridge import await_, is_in_greenlet

if t.TYPE_CHECKING:
    from ..engine.threads import Threads

T = t.TypeVar("T")

URLENCODED = "application/x-www-form-urlencoded"
#: Bytes up to which an uploaded file is kept in memory, as Werkzeug has it.
_MOST_IN_MEMORY = 512_000
#: Events of a form, such as a part's beginning, after which the loop's other tasks get their turn.
_EVENTS_AT_ONCE = 64
#: Bytes up to which an urlencoded form is parsed on the loop: a few milliseconds.
_QUICK = 16_384
# CR, LF and two hyphens on either side of a boundary.
_AROUND_BOUNDARY = 8


class FormParser(FormDataParser):
    """Werkzeug's parser of forms; limits hold for bodies of unknown length too."""

    #: Most fields that an urlencoded form may have.
    max_form_fields: int | None = None

    def parse(
        self,
        stream: t.IO[bytes],
        mimetype: str,
        content_length: int | None,
        options: dict[str, str] | None = None,
    ) -> t.Any:
        """Parse a body: (stream, form, files). Raises RequestEntityTooLarge."""
        if mimetype == URLENCODED:
            return self._parse_fields(stream, content_length)
        boundary = (options or {}).get("boundary", "")
        if mimetype != "multipart/form-data" or not (boundary and boundary.isascii()):
            return super().parse(stream, mimetype, content_length, options)
        form = _Form(self, boundary.encode(), content_length)
        try:
            form.read(stream)
        except BaseException as error:
            form.close()
            if self.silent and isinstance(error, ValueError):
                return stream, self.cls(), self.cls()
            raise
        return stream, self.cls(form.fields), self.cls(form.files)

    def _parse_fields(self, stream: t.IO[bytes], content_length: int | None) -> t.Any:
        limit = self.max_form_memory_size
        if limit is None:
            body = stream.read()
        else:
            if content_length is not None and content_length > limit:
                raise RequestEntityTooLarge()
            body = read_at_most(stream, limit)
        check_fields(body, self.max_form_fields)
        parse = super().parse
        form = in_time(len(body), parse, BytesIO(body), URLENCODED, None)[1]
        return stream, form, self.cls()


def read_at_most(stream: t.IO[bytes], most: int) -> bytes:
    """The rest of a stream. Raises RequestEntityTooLarge beyond a number of bytes."""
    if most < 0:
        raise RequestEntityTooLarge()
    pieces = []
    while piece := stream.read(min(65_536, most + 1)):
        most -= len(piece)
        if most < 0:
            raise RequestEntityTooLarge()
        pieces.append(piece)
    return b"".join(pieces)


def check_fields(body: bytes, most: int | None) -> None:
    """Raise RequestEntityTooLarge for an urlencoded form of more fields."""
    if most is not None and body and body.count(b"&") >= most:
        raise RequestEntityTooLarge()


class _Decoder(MultipartDecoder):
    """Werkzeug's decoder of multipart bodies, which here waits until it can be sure.

    That of Werkzeug 3.1.5 takes line ends around a delimiter for data where it was given no more
    yet: a matter of how the network happens to cut a body.
    """

    def next_event(self) -> t.Any:
        return NEED_DATA if not self.complete and self._is_undecided() else super().next_event()

    def _is_undecided(self) -> bool:
        if self.state is not State.DATA and self.state is not State.DATA_START:
            return False
        buffer = self.buffer
        enough = len(self.boundary) + _AROUND_BOUNDARY
        last = buffer.rfind(b"--" + self.boundary, -2 * enough)
        if last < 0:
            return self.state is State.DATA_START and len(buffer) < enough
        return len(buffer) - last < enough and self.boundary_re.search(buffer) is None


class _Form:
    """A multipart form that is being received."""

    def __init__(self, parser: FormDataParser, boundary: bytes, length: int | None) -> None:
        limit = parser.max_form_memory_size
        self.decoder = _Decoder(boundary, limit, max_parts=parser.max_form_parts)
        self.fields: list[tuple[str, str]] = []
        self.files: list[tuple[str, FileStorage]] = []
        self._most = limit
        self._length = length
        # For what may be done with a part, but not for the whole.
        self._helper = MultiPartParser(parser.stream_factory)
        self._part: t.Any = None
        self._file: t.Any = None
        self._text = bytearray()

    def read(self, stream: t.IO[bytes]) -> None:
        """Parse the stream to its end. Raises ValueError, RequestEntityTooLarge."""
        may_wait = is_in_greenlet()
        left = _EVENTS_AT_ONCE
        is_ended = False
        while not is_ended:
            piece = stream.read(65_536)
            is_ended = not piece
            self.decoder.receive_data(piece or None)
            while self._take(self.decoder.next_event()):
                left -= 1
                if may_wait and not left:
                    left = _EVENTS_AT_ONCE
                    await_(_turn())

    def _take(self, event: t.Any) -> bool:
        """Whether there may be a further event at once."""
        if isinstance(event, (Field, File)):
            self._part, self._file, self._text = event, None, bytearray()
            if isinstance(event, File):
                self._file = self._helper.start_file_streaming(event, self._length)
        elif isinstance(event, Data):
            self._put(event.data)
            if not event.more_data:
                self._end_part()
        return not isinstance(event, (NeedData, Epilogue))

    def _put(self, data: bytes) -> None:
        if self._file is not None:
            self._file.write(data)
            return
        self._text += data
        if self._most is not None and len(self._text) > self._most:
            raise RequestEntityTooLarge()

    def close(self) -> None:
        """Close the files of a form that was not received as a whole."""
        for _, file in self.files:
            file.close()
        if self._file is not None:
            self._file.close()

    def _end_part(self) -> None:
        part, file = self._part, self._file
        if file is None:
            charset = self._helper.get_part_charset(part.headers)
            self.fields.append((part.name, self._text.decode(charset, "replace")))
        else:
            file.seek(0)
            whole = FileStorage(file, part.filename, part.name, headers=part.headers)
            self.files.append((part.name, whole))


async def _turn() -> None:
    """Let other tasks of the loop go on."""
    from asyncio import sleep

    await sleep(0)


# Work that would keep a loop waiting


@cache
def _threads() -> Threads:
    """Threads that never wait for anything but the disk."""
    from ..engine.threads import Threads

    return Threads(4, "erlen-file")


async def _on_thread(function: t.Callable[..., T], *args: t.Any) -> T:
    return await _threads().submit(function, *args)


def off_loop(function: t.Callable[..., T], *args: t.Any) -> T:
    """Call a function that takes a while: on a thread, where this code runs on an event loop."""
    return await_(_on_thread(function, *args)) if is_in_greenlet() else function(*args)


def in_time(size: int, function: t.Callable[..., T], *args: t.Any) -> T:
    """Call what works through a number of bytes: where it is, or as :func:`off_loop` does."""
    return function(*args) if size <= _QUICK else off_loop(function, *args)


class _Upload(SpooledTemporaryFile[bytes]):
    """An uploaded file that an event loop need not wait for once it is on the disk."""

    _is_large = False

    def write(self, data: t.Any) -> int:
        self._is_large = self._is_large or self.tell() + len(data) > _MOST_IN_MEMORY
        return off_loop(super().write, data) if self._is_large else super().write(data)

    def close(self) -> None:
        # The system frees all pages of the file, which takes as long as there are many.
        if self._is_large:
            off_loop(super().close)
        else:
            super().close()


def file_for_upload() -> t.IO[bytes]:
    """Where to put an uploaded file: memory, and the disk where it becomes large."""
    return t.cast("t.IO[bytes]", _Upload(max_size=_MOST_IN_MEMORY, mode="rb+"))

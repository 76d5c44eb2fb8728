"""Forms: any body, cut anywhere, gives the fields and files that were sent; limits hold."""

from __future__ import annotations

import asyncio
import io
import tempfile
import threading
import typing as t

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.exceptions import RequestEntityTooLarge

from erlen import Erlen, Request, request
from erlen.engine import bridge
from erlen.wrappers.forms import FormParser

BOUNDARIES = (b"b", b"boundary", b"-----x")
#: What looks like the parts of a delimiter.
TEXTS = st.lists(
    st.sampled_from([b"\r", b"\n", b"\r\n", b"-", b"--", b"b", b"boundary", b"x", b" ", b"\xff"]),
    max_size=12,
).map(b"".join)


class Pieces:
    """A body as it comes from a network; what `read` is told is the most that it gives."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = [piece for piece in pieces if piece]

    def read(self, size: int = -1) -> bytes:
        if not self.pieces:
            return b""
        piece = self.pieces.pop(0)
        if 0 <= size < len(piece):
            self.pieces.insert(0, piece[size:])
            piece = piece[:size]
        return piece


def multipart(parts: list[tuple[bytes, bool]], boundary: bytes) -> bytes:
    body = b""
    for number, (data, is_file) in enumerate(parts):
        name = b'; filename="f"' if is_file else b""
        body += b"--%s\r\nContent-Disposition: form-data; " % boundary
        body += b'name="%d"%s\r\n\r\n%s\r\n' % (number, name, data)
    return body + b"--%s--\r\n" % boundary


def read_back(pieces: list[bytes], boundary: bytes) -> dict[str, bytes]:
    options = {"boundary": boundary.decode()}
    stream: t.Any = Pieces(pieces)
    _, form, files = FormParser(silent=False).parse(stream, "multipart/form-data", None, options)
    found = {name: text.encode("latin1") for name, text in form.items()}
    for name, file in files.items():
        found[name] = file.read()
        file.close()
    return found


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.tuples(TEXTS, st.booleans()), min_size=1, max_size=3),
    st.sampled_from(BOUNDARIES),
    st.data(),
)
@pytest.mark.parametrize("on_loop", [False, True], ids=["thread", "loop"])
def test_a_multipart_body_may_be_cut_anywhere(
    on_loop: bool, parts: list[tuple[bytes, bool]], boundary: bytes, data: st.DataObject
) -> None:
    parts = [(text if is_file else text.replace(b"\xff", b""), is_file) for text, is_file in parts]
    for text, _ in parts:
        # The sender has to choose a boundary that is in no part.
        if any(end + b"--" + boundary in end + text for end in (b"\r", b"\n")):
            return
    body = multipart(parts, boundary)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(body)), max_size=8)))
    pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    for cut in (pieces, [body[i : i + 1] for i in range(len(body))]):
        if on_loop:
            found = asyncio.run(bridge.run(read_back, cut, boundary))
        else:
            found = read_back(cut, boundary)
        assert found == {str(number): text for number, (text, _) in enumerate(parts)}


URLENCODED = "application/x-www-form-urlencoded"


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
@pytest.mark.parametrize(("over", "status"), [(0, 200), (1, 413)])
def test_an_urlencoded_form_is_limited_in_bytes(
    app: Erlen, client: t.Any, declared: bool, over: int, status: int
) -> None:
    app.config["MAX_FORM_MEMORY_SIZE"] = 70_000

    @app.post("/")
    async def view() -> dict[str, int]:
        return {"length": len(request.form["a"])}

    body = b"a=" + b"x" * (70_000 - 2 + over)
    assert send(client, body, declared).status_code == status


@pytest.mark.parametrize("charset", ["", "; charset=utf-8"], ids=["plain", "with parameters"])
@pytest.mark.parametrize(("most", "status"), [(None, 200), (3, 200), (2, 413)])
def test_an_urlencoded_form_may_be_limited_in_fields(
    app: Erlen, client: t.Any, most: int | None, status: int, charset: str
) -> None:
    app.config["MAX_FORM_FIELDS"] = most

    @app.post("/")
    def view() -> dict[str, int]:
        return {"fields": len(request.form)}

    assert send(client, b"a=1&b=2&c=3", True, charset).status_code == status


def test_a_request_may_have_a_field_limit_of_its_own(app: Erlen, client: t.Any) -> None:
    app.config["MAX_FORM_FIELDS"] = 1

    @app.post("/")
    def view() -> dict[str, str]:
        request.max_form_fields = 2
        return request.form.to_dict()

    assert send(client, b"a=1&b=2", True).json == {"a": "1", "b": "2"}


def send(client: t.Any, body: bytes, declared: bool, parameters: str = "") -> t.Any:
    chunked = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    return client.post(
        "/",
        input_stream=io.BytesIO(body),
        content_type=URLENCODED + parameters,
        content_length=len(body) if declared else None,
        environ_overrides=None if declared else chunked,
    )


def request_of(kind: str, body: bytes) -> Request:
    environ = {
        "REQUEST_METHOD": "POST",
        "CONTENT_TYPE": kind,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "wsgi.url_scheme": "http",
    }
    return Request(t.cast("t.Any", environ))


def on_loop(function: t.Callable[[], t.Any]) -> tuple[t.Any, int]:
    """The result of a function that runs on an event loop, and how many turns others got."""

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def main() -> t.Any:
        counting = asyncio.create_task(count())
        result = await bridge.run(function)
        counting.cancel()
        return result

    turns = 0
    return asyncio.run(main()), turns


def test_many_parts_leave_the_loop_its_turns() -> None:
    body = multipart([(b"1", False)] * 1000, b"b")
    reading = request_of("multipart/form-data; boundary=b", body)
    form, turns = on_loop(lambda: reading.form)
    assert len(form) == 1000
    assert turns >= 30


def test_a_large_urlencoded_form_is_parsed_off_the_loop() -> None:
    parsed_on: list[int] = []

    class Storage(dict[str, str]):
        def __init__(self, pairs: t.Any = ()) -> None:
            parsed_on.append(threading.get_ident())
            super().__init__(pairs)

    for size, is_here in ((100, True), (40_000, False)):
        parsed_on.clear()
        reading = request_of(URLENCODED, b"a=" + b"x" * size)
        reading.parameter_storage_class = Storage  # type: ignore[assignment]
        form, _ = on_loop(lambda reading=reading: reading.form)  # type: ignore[misc]
        assert len(form["a"]) == size
        assert (parsed_on[0] == threading.get_ident()) is is_here


def test_a_large_upload_is_written_and_closed_off_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done_on: dict[str, set[int]] = {"write": set(), "close": set()}

    class Disk(io.BytesIO):
        def write(self, data: t.Any) -> int:
            done_on["write"].add(threading.get_ident())
            return super().write(data)

        def close(self) -> None:
            done_on["close"].add(threading.get_ident())
            super().close()

    monkeypatch.setattr("tempfile.TemporaryFile", lambda *args, **kwargs: Disk())
    data = bytes(range(256)) * 4096
    reading = request_of("multipart/form-data; boundary=b", multipart([(data, True)], b"b"))

    def use() -> bytes:
        content = reading.files["0"].read()
        reading.close()
        return content

    content, _ = on_loop(use)
    assert content == data
    assert all(threads and threading.get_ident() not in threads for threads in done_on.values())


def test_a_small_upload_needs_no_thread() -> None:
    before = threading.active_count()
    reading = request_of("multipart/form-data; boundary=b", multipart([(b"x" * 9999, True)], b"b"))
    file, _ = on_loop(lambda: reading.files["0"])
    assert file.read() == b"x" * 9999
    file.close()
    assert threading.active_count() == before


@pytest.mark.parametrize("size", [10, 600_000], ids=["in memory", "on disk"])
def test_files_of_a_body_that_breaks_off_are_closed(size: int) -> None:
    opened: list[t.Any] = []

    def open_file(*args: t.Any, **kwargs: t.Any) -> t.Any:
        opened.append(tempfile.SpooledTemporaryFile(500_000))
        return opened[-1]

    class Broken(Pieces):
        def read(self, size: int = -1) -> bytes:
            piece = super().read(size)
            if not piece:
                raise ConnectionResetError
            return piece

    body = multipart([(b"first", True), (b"x" * size, True)], b"b")
    stream: t.Any = Broken([body[:-10]])
    with pytest.raises(ConnectionResetError):
        FormParser(open_file).parse(stream, "multipart/form-data", None, {"boundary": "b"})
    assert [file.closed for file in opened] == [True, True]


def test_an_endless_urlencoded_form_is_refused_early() -> None:
    taken = 0

    class Endless:
        def read(self, size: int = -1) -> bytes:
            nonlocal taken
            taken += 1000
            return b"a=1&" * 250

    parser = FormParser(max_form_memory_size=10_000)
    stream: t.Any = Endless()
    with pytest.raises(RequestEntityTooLarge):
        parser.parse(stream, URLENCODED, None)
    assert taken <= 11_000


def test_a_subclass_chooses_where_uploads_go(app: Erlen, client: t.Any) -> None:
    class OwnFile(io.BytesIO):
        pass

    class OwnRequest(Request):
        _get_file_stream = staticmethod(lambda *args, **kwargs: OwnFile())

    app.request_class = OwnRequest

    @app.post("/")
    async def view() -> str:
        return type(request.files["f"].stream).__name__

    sent = client.post("/", data={"f": (io.BytesIO(b"x"), "x.txt")})
    assert sent.text == "OwnFile"

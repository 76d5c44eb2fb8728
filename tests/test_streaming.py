"""Responses that are sent item by item, over both protocols."""

from __future__ import annotations

import asyncio
import datetime
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erlen import (
    Erlen,
    Event,
    EventStream,
    Response,
    current_app,
    g,
    ndjson,
    request,
    session,
    stream_with_context,
)
from erlen.testing import FlaskClient


async def each(*items: Any) -> AsyncIterator[Any]:
    for item in items:
        await asyncio.sleep(0)
        yield item


def read_events(stream: bytes) -> tuple[list[dict[str, Any]], list[str]]:
    """Events and comments, as a browser finds them.

    Written after WHATWG, HTML, 9.2.5 and 9.2.6, "Interpreting an event stream".
    """
    text = stream.decode().replace("\r\n", "\n").replace("\r", "\n")
    events: list[dict[str, Any]] = []
    comments: list[str] = []
    data, kind, last_id, retry = "", "", "", None
    for line in text.split("\n")[:-1]:
        if not line:
            if data:
                events.append(
                    {"data": data[:-1], "event": kind or "message", "id": last_id, "retry": retry}
                )
            data, kind = "", ""
        elif line[0] == ":":
            comments.append(line[1:].removeprefix(" "))
        else:
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "data":
                data += f"{value}\n"
            elif field == "event":
                kind = value
            elif field == "id" and "\0" not in value:
                last_id = value
            elif field == "retry" and value.isascii() and value.isdigit():
                retry = int(value)
    return events, comments


# Events


@pytest.mark.parametrize(
    ("event", "lines"),
    [
        (Event("hi"), b"data: hi\n\n"),
        (Event(""), b"data: \n\n"),
        (Event("a\nb\r\nc\rd"), b"data: a\ndata: b\ndata: c\ndata: d\n\n"),
        (Event("ends\n"), b"data: ends\ndata: \n\n"),
        (Event(" leading"), b"data:  leading\n\n"),
        (Event("vertical\x0btab\x85\u2028"), "data: vertical\x0btab\x85\u2028\n\n".encode()),
        (Event({"a": [1, None]}), b'data: {"a": [1, null]}\n\n'),
        (Event(0), b"data: 0\n\n"),
        (Event("x", event="tick", id=7, retry=0), b"event: tick\nid: 7\nretry: 0\ndata: x\n\n"),
        (Event(id=""), b"id: \n\n"),
        (Event(comment="one\ntwo"), b": one\n: two\n\n"),
    ],
    ids=lambda value: None if isinstance(value, bytes) else repr(value),
)
def test_an_event_has_its_lines(event: Event, lines: bytes) -> None:
    assert event.encode() == lines


@pytest.mark.parametrize("name", ["event", "id"])
@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"], ids=repr)
def test_a_line_break_cannot_smuggle_in_a_field(name: str, end: str) -> None:
    with pytest.raises(ValueError, match=f"The {name} of an event cannot have a line break"):
        Event("x", **{name: f"a{end}data: forged"})


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"id": "a\0"}, ValueError),
        ({"retry": -1}, ValueError),
        ({"retry": 1.5}, TypeError),
        ({"retry": True}, TypeError),
        ({"retry": "1\ndata: forged"}, TypeError),
        ({}, ValueError),
    ],
    ids=["null-in-id", "negative", "fraction", "bool", "text", "nothing"],
)
def test_what_is_no_event_is_refused(fields: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        Event(**fields)


texts = st.text(st.characters(exclude_categories=["Cs"]))
line_texts = texts.filter(lambda text: not {"\n", "\r", "\0"} & set(text))


@given(texts, st.none() | line_texts, st.none() | line_texts, st.none() | texts)
def test_a_browser_reads_what_was_meant(
    data: str, kind: str | None, last_id: str | None, comment: str | None
) -> None:
    sent = Event(data, event=kind, id=last_id, comment=comment).encode()
    events, _ = read_events(sent + Event("next").encode())
    assert events == [
        {
            "data": data.replace("\r\n", "\n").replace("\r", "\n"),
            "event": kind or "message",
            "id": last_id or "",
            "retry": None,
        },
        {"data": "next", "event": "message", "id": last_id or "", "retry": None},
    ]


# Event streams


@pytest.fixture(params=[each, lambda *items: iter(items)], ids=["async", "sync"])
def source(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """An iterator over items, of both kinds."""
    return request.param  # type: ignore[no-any-return]


def test_items_are_sent_as_events(
    app: Erlen, client: FlaskClient, source: Callable[..., Any]
) -> None:
    @app.get("/")
    def stream() -> EventStream:
        items = source("text", {"a": "é"}, [1], Event("more", id=5), 4, datetime.date(2024, 5, 1))
        return EventStream(items, retry=3000)

    response = client.get("/")
    assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-cache"
    assert response.headers["X-Accel-Buffering"] == "no"
    assert "Content-Length" not in response.headers
    events, _ = read_events(response.data)
    assert response.data.startswith(b"retry: 3000\n\n")
    assert [event["data"] for event in events] == [
        "text",
        '{"a": "\\u00e9"}',
        "[1]",
        "more",
        "4",
        '"Wed, 01 May 2024 00:00:00 GMT"',
    ]


def test_status_and_headers_are_the_callers(app: Erlen, client: FlaskClient) -> None:
    @app.get("/")
    def stream() -> Any:
        made = EventStream(each("x"), status=203, headers={"Cache-Control": "no-store", "X-A": "1"})
        return made, {"X-B": "2"}

    response = client.get("/")
    assert response.status_code == 203
    assert response.headers.getlist("Cache-Control") == ["no-store"]
    assert (response.headers["X-A"], response.headers["X-B"]) == ("1", "2")


@pytest.mark.parametrize("items", ["text", b"bytes", {"a": 1}, 5, None], ids=repr)
def test_one_item_is_no_stream_of_items(app: Erlen, items: Any) -> None:
    with pytest.raises(TypeError, match="'EventStream' takes an iterable or async iterable"):
        EventStream(items)
    with app.app_context(), pytest.raises(TypeError, match="'ndjson' takes"):
        ndjson(items)


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_a_heartbeat_takes_time(seconds: float) -> None:
    with pytest.raises(ValueError, match="heartbeat"):
        EventStream(each(), heartbeat=seconds)


def test_an_item_that_cannot_be_sent_ends_the_stream(
    app: Erlen, client: FlaskClient, source: Callable[..., Any]
) -> None:
    app.testing = True

    @app.get("/")
    def stream() -> EventStream:
        return EventStream(source("fine", object()))

    with pytest.raises(TypeError, match="not JSON serializable"):
        client.get("/", buffered=True)


def test_a_silent_source_is_covered_by_comments_and_not_disturbed() -> None:
    async def main() -> list[bytes]:
        gate = asyncio.Event()

        async def gated() -> AsyncIterator[str]:
            await gate.wait()
            yield "one"
            yield "two"

        pieces: Any = EventStream(gated(), heartbeat=0.001).response
        found = [await pieces.__anext__(), await pieces.__anext__()]
        gate.set()
        return found + [piece async for piece in pieces]

    assert asyncio.run(main()) == [b":\n\n", b":\n\n", b"data: one\n\n", b"data: two\n\n"]


def test_a_stream_that_is_silent_from_the_start_is_opened_early(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("erlen.streaming.OPENING_SECONDS", 0.001)

    async def main() -> list[bytes]:
        gate = asyncio.Event()

        async def gated() -> AsyncIterator[str]:
            await gate.wait()
            yield "one"

        pieces: Any = EventStream(gated(), heartbeat=60).response
        found = [await pieces.__anext__()]
        asyncio.get_running_loop().call_later(0.01, gate.set)
        return found + [piece async for piece in pieces]

    assert asyncio.run(main()) == [b":\n\n", b"data: one\n\n"]


def test_comments_are_sent_over_the_protocols_too(app: Erlen, client: FlaskClient) -> None:
    heard: list[bytes] = []

    @app.get("/")
    async def stream() -> EventStream:
        async def silent_until_heard() -> AsyncIterator[str]:
            while not heard:
                await asyncio.sleep(0)
            yield "at last"

        return EventStream(silent_until_heard(), heartbeat=0.001)

    pieces = client.get("/").iter_encoded()
    heard.append(next(pieces))
    assert heard == [b":\n\n"]
    assert next(piece for piece in pieces if piece not in heard) == b"data: at last\n\n"
    assert list(pieces) == []


def test_no_heartbeat_means_no_task_of_its_own() -> None:
    tasks = []

    async def source() -> AsyncIterator[str]:
        tasks.append(asyncio.current_task())
        yield "x"

    async def main() -> Any:
        pieces: Any = EventStream(source(), heartbeat=None).response
        assert [piece async for piece in pieces] == [b"data: x\n\n"]
        return asyncio.current_task()

    assert asyncio.run(main()) is tasks[0]


@pytest.mark.parametrize("heartbeat", [None, 15.0], ids=["plain", "heartbeat"])
@pytest.mark.parametrize("steps", [0, 1], ids=["not-started", "started"])
def test_closing_it_closes_the_source_within_the_call(heartbeat: float | None, steps: int) -> None:
    log: list[str] = []

    class Source:
        def __aiter__(self) -> Source:
            return self

        async def __anext__(self) -> str:
            return "x"

        async def aclose(self) -> None:
            log.append("closed")

    async def main() -> int:
        pieces: Any = EventStream(Source(), heartbeat=heartbeat).response
        for _ in range(steps):
            await pieces.__anext__()
        await pieces.aclose()
        return len(asyncio.all_tasks())

    assert asyncio.run(main()) == 1
    assert log == ["closed"]


def test_a_source_that_waits_is_cancelled_when_the_stream_is_closed() -> None:
    log: list[str] = []

    async def waiting() -> AsyncIterator[str]:
        try:
            await asyncio.Event().wait()
            yield "never"
        except asyncio.CancelledError:
            log.append("cancelled")
            raise
        finally:
            log.append("closed")

    async def main() -> int:
        pieces: Any = EventStream(waiting(), heartbeat=0.001).response
        assert await pieces.__anext__() == b":\n\n"
        await pieces.aclose()
        return len(asyncio.all_tasks())

    assert asyncio.run(main()) == 1
    assert log == ["cancelled", "closed"]


def test_a_source_is_asked_for_the_next_item_when_the_one_before_was_taken() -> None:
    log: list[str] = []

    async def counting() -> AsyncIterator[int]:
        for number in range(3):
            log.append(f"make {number}")
            yield number

    async def main() -> None:
        pieces: Any = EventStream(counting()).response
        async for piece in pieces:
            await asyncio.sleep(0)
            log.append(f"sent {piece.decode()[6]}")

    asyncio.run(main())
    assert log == ["make 0", "sent 0", "make 1", "sent 1", "make 2", "sent 2"]


def test_the_stream_goes_on_after_the_last_event_of_the_client(
    app: Erlen, client: FlaskClient
) -> None:
    @app.get("/")
    def stream() -> EventStream:
        assert EventStream.last_event_id() == request.last_event_id
        return EventStream([repr(request.last_event_id)])

    def read(headers: dict[str, str]) -> Any:
        return read_events(client.get("/", headers=headers).data)[0][0]["data"]

    assert read({}) == "None"
    assert read({"Last-Event-ID": "42"}) == "'42'"
    assert read({"Last-Event-ID": "é".encode().decode("latin1")}) == "'é'"
    assert read({"Last-Event-ID": "\xe9"}) == "'\ufffd'"


def test_an_event_stream_outside_of_an_application_writes_plain_json() -> None:
    assert EventStream([{"a": 1}]).get_data() == b'data: {"a": 1}\n\n'


# Lines of JSON


def test_each_item_is_a_line(app: Erlen, client: FlaskClient, source: Callable[..., Any]) -> None:
    items = [{"a": 1}, "line\nbreak", None, [datetime.date(2024, 5, 1)]]

    @app.get("/")
    def lines() -> Any:
        return ndjson(source(*items), status=202, headers={"X-A": "1"})

    response = client.get("/")
    assert (response.status_code, response.mimetype) == (202, "application/x-ndjson")
    assert response.headers["X-A"] == "1"
    assert [json.loads(line) for line in response.data.splitlines()] == [
        {"a": 1},
        "line\nbreak",
        None,
        ["Wed, 01 May 2024 00:00:00 GMT"],
    ]


def test_a_provider_that_indents_still_writes_a_line_each(app: Erlen) -> None:
    class Indenting(type(app.json)):  # type: ignore[misc]
        def dumps(self, obj: Any, **kwargs: Any) -> str:
            return super().dumps(obj, indent=2, **kwargs)  # type: ignore[no-any-return]

    app.json = Indenting(app)
    with app.app_context():
        lines = ndjson([{"a": [1]}, {}]).get_data().splitlines()
    assert [json.loads(line) for line in lines] == [{"a": [1]}, {}]


def test_lines_come_in_the_applications_own_class(app: Erlen) -> None:
    class Own(Response):
        pass

    app.response_class = Own
    with app.app_context():
        assert type(ndjson([])) is Own


@pytest.mark.parametrize("make", [EventStream, ndjson])
def test_a_sync_source_is_closed_with_the_response(app: Erlen, make: Any) -> None:
    log: list[str] = []

    class Source:
        def __iter__(self) -> Iterator[str]:
            return iter(["x"])

        def close(self) -> None:
            log.append("closed")

    with app.app_context():
        make(Source()).close()
    assert log == ["closed"]


# Async iterables as bodies


class Pieces:
    """An async iterable that is no generator."""

    def __aiter__(self) -> AsyncIterator[str]:
        return each("iter", "able")


@pytest.mark.parametrize(
    ("value", "status", "data"),
    [
        (lambda: each("a", b"b", "é"), 200, "abé"),
        (lambda: (each("a"), 201), 201, "a"),
        (lambda: (each("a"), {"X-A": "1"}), 200, "a"),
        (lambda: (each("a"), 201, [("X-A", "1")]), 201, "a"),
        (lambda: Response(each("a"), 202), 202, "a"),
        (lambda: (Response(each("a")), 203), 203, "a"),
        (Pieces, 200, "iterable"),
        (lambda: each(), 200, ""),
    ],
    ids=["generator", "status", "headers", "both", "response", "with-status", "iterable", "empty"],
)
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_view_returns_an_async_iterable(
    app: Erlen, client: FlaskClient, value: Callable[[], Any], status: int, data: str, kind: str
) -> None:
    @app.get("/sync")
    def sync_view() -> Any:
        return value()

    @app.get("/async")
    async def async_view() -> Any:
        return value()

    response = client.get(f"/{kind}")
    assert (response.status_code, response.text) == (status, data)
    assert response.mimetype == "text/html"


def test_an_async_generator_function_is_a_view(app: Erlen, client: FlaskClient) -> None:
    @app.get("/")
    async def stream() -> AsyncIterator[str]:
        yield "a"
        yield "b"

    assert client.get("/").text == "ab"


def test_an_async_iterable_that_is_a_wsgi_application_is_called(app: Erlen) -> None:
    class Both(Pieces):
        def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
            start_response("200 OK", [])
            return [b"called"]

    with app.test_request_context():
        assert app.make_response(Both()).data == b"called"


@pytest.mark.parametrize("read", ["get_data", "make_sequence", "freeze"])
def test_the_body_can_be_read_before_it_is_sent(app: Erlen, client: FlaskClient, read: str) -> None:
    @app.after_request
    def look(response: Response) -> Response:
        getattr(response, read)()
        assert response.is_sequence
        response.headers["X-Length"] = str(len(response.data))
        return response

    @app.get("/sync")
    def sync_view() -> Any:
        return each("a", "b")

    @app.get("/async")
    async def async_view() -> Any:
        return each("a", "b")

    for path in ("/sync", "/async"):
        response = client.get(path)
        assert (response.data, response.headers["X-Length"]) == (b"ab", "2")


def test_a_body_that_is_replaced_is_not_iterated() -> None:
    response = Response(each("a"))
    response.set_data("other")
    assert response.get_data() == b"other"


def test_an_error_in_the_stream_reaches_the_server(app: Erlen, client: FlaskClient) -> None:
    @app.get("/")
    async def stream() -> AsyncIterator[str]:
        yield "a"
        raise LookupError("in the stream")

    with pytest.raises(LookupError, match="in the stream"):
        client.get("/", buffered=True)


def test_a_stream_runs_outside_of_the_request_as_in_flask(app: Erlen, client: FlaskClient) -> None:
    seen: list[bool] = []

    @app.get("/")
    async def stream() -> AsyncIterator[str]:
        seen.append(bool(request) or bool(current_app))
        yield "a"

    client.get("/", buffered=True)
    assert seen == [False]


# When the client leaves


@pytest.fixture
def log() -> list[Any]:
    return []


def endless(log: list[Any]) -> AsyncIterator[str]:
    async def stream() -> AsyncIterator[str]:
        log.append("started")
        try:
            while True:
                yield "x"
        finally:
            await asyncio.sleep(0)
            log.append("closed")

    return stream()


@pytest.mark.parametrize("make", [Response, EventStream], ids=["generator", "events"])
def test_a_generator_is_closed_when_the_client_leaves(
    app: Erlen, client: FlaskClient, log: list[Any], make: Callable[[Any], Response]
) -> None:
    @app.get("/")
    async def stream() -> Response:
        response = make(endless(log))
        response.call_on_close(lambda: log.append("response closed"))
        return response

    response = client.get("/")
    assert next(response.iter_encoded()).endswith((b"x", b"x\n\n"))
    response.close()
    assert log == ["started", "closed", "response closed"]


@pytest.mark.parametrize("make", [Response, EventStream, ndjson])
def test_a_head_request_starts_no_generator_and_closes_it(
    app: Erlen, client: FlaskClient, log: list[Any], make: Callable[[Any], Response]
) -> None:
    class Source:
        def __aiter__(self) -> Source:
            return self

        async def __anext__(self) -> str:
            log.append("started")
            return "x"

        async def aclose(self) -> None:
            log.append("closed")

    @app.get("/")
    def stream() -> Response:
        return make(Source())

    assert client.head("/", buffered=True).data == b""
    assert log == ["closed"]


# With contexts


@pytest.fixture
def streaming(app: Erlen, log: list[Any]) -> Erlen:
    """Streams that use what a request has, in the forms of `stream_with_context`."""

    async def pieces(name: str) -> AsyncIterator[str]:
        for number in range(3):
            g.count = g.get("count", 0) + 1
            await asyncio.sleep(0)
            yield f"{request.args['name']} {name} {session['user']} {g.count} {number};"

    @app.before_request
    def note_user() -> None:
        session["user"] = request.args["name"]

    @app.teardown_request
    async def note_end(error: BaseException | None) -> None:
        await asyncio.sleep(0)
        log.append(f"teardown {request.args['name']} {type(error).__name__}")

    @app.get("/call")
    def as_call() -> Any:
        return stream_with_context(pieces("call"))

    @app.get("/async")
    async def in_async_view() -> Any:
        return stream_with_context(pieces("async")), 200

    @app.get("/decorator/<name>")
    async def as_decorator(name: str) -> Any:
        @stream_with_context
        async def decorated(name: str) -> AsyncIterator[str]:
            async for piece in pieces(name):
                yield piece

        assert decorated.__name__ == "decorated"
        return decorated(name)

    @app.get("/view")
    @stream_with_context
    async def view() -> AsyncIterator[str]:
        async for piece in pieces("view"):
            yield piece

    @app.get("/events")
    async def events() -> EventStream:
        return EventStream(stream_with_context(pieces("events")))

    return app


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/call", "call"),
        ("/async", "async"),
        ("/decorator/decorated", "decorated"),
        ("/view", "view"),
    ],
)
def test_each_step_has_its_request(
    streaming: Erlen, client: FlaskClient, log: list[Any], path: str, name: str
) -> None:
    response = client.get(f"{path}?name=Ada", buffered=True)
    assert response.text == "".join(f"Ada {name} Ada {i + 1} {i};" for i in range(3))
    assert log == ["teardown Ada NoneType"] * 2


def test_events_have_their_request(streaming: Erlen, client: FlaskClient, log: list[Any]) -> None:
    events, _ = read_events(client.get("/events?name=Ada", buffered=True).data)
    assert [event["data"] for event in events] == [f"Ada events Ada {i + 1} {i};" for i in range(3)]
    assert log == ["teardown Ada NoneType"] * 2


def test_streams_that_take_turns_keep_their_requests_apart(
    streaming: Erlen, transport: str, log: list[Any]
) -> None:
    one, other = (streaming.test_client().get(f"/call?name={name}") for name in ("Ada", "Bob"))
    first, second = one.iter_encoded(), other.iter_encoded()
    found = [next(stream).decode() for stream in (first, second, second, first)]
    assert found == [
        "Ada call Ada 1 0;",
        "Bob call Bob 1 0;",
        "Bob call Bob 2 1;",
        "Ada call Ada 2 1;",
    ]
    assert not request
    assert not current_app
    one.close()
    assert b"".join(second) == b"Bob call Bob 3 2;"
    other.close()
    ends = ["teardown Ada NoneType", "teardown Bob NoneType"]
    assert log[:2] == ends
    assert log[2] in ("teardown Ada GeneratorExit", "teardown Ada CancelledError")
    assert log[3:] == ends[1:]


def test_a_context_stream_that_never_starts_tears_down_once(
    streaming: Erlen, client: FlaskClient, log: list[Any]
) -> None:
    client.head("/call?name=Ada")
    assert log == ["teardown Ada NoneType"]


def test_a_context_stream_needs_a_request() -> None:
    with pytest.raises(RuntimeError, match="'stream_with_context' can only be used when a request"):
        stream_with_context(each("a"))


def test_a_stream_can_be_watched_with_the_contexts_kept(streaming: Erlen, transport: str) -> None:
    with streaming.test_client() as client:
        response = client.get("/call?name=Ada")
        assert request.args["name"] == "Ada"
        assert response.text.count("Ada call") == 3
        assert g.count == 3


# Over ASGI


def test_pieces_are_sent_as_they_come_and_no_further(app: Erlen, log: list[Any]) -> None:
    @app.get("/")
    async def stream() -> EventStream:
        async def counting() -> AsyncIterator[int]:
            for number in range(5):
                log.append(number)
                yield number

        return EventStream(counting())

    async def main() -> None:
        async with app.async_test_client().stream("/") as response:
            pieces = aiter(response)
            for number in range(3):
                assert await anext(pieces) == f"data: {number}\n\n".encode()
                assert max(log) <= number + 1

    asyncio.run(main())


def test_a_generator_that_waits_is_closed_when_the_client_leaves(
    app: Erlen, log: list[Any]
) -> None:
    @app.get("/<kind>")
    async def stream(kind: str) -> Any:
        async def silent() -> AsyncIterator[str]:
            try:
                yield "begun"
                await asyncio.Event().wait()
            finally:
                log.append("closed")

        return {
            "generator": silent,
            "events": lambda: EventStream(silent()),
            "context": lambda: stream_with_context(silent()),
        }[kind]()

    async def main(kind: str) -> int:
        async with app.async_test_client().stream(f"/{kind}") as response:
            assert b"begun" in await anext(aiter(response))
        return len(asyncio.all_tasks())

    for kind in ("generator", "events", "context"):
        assert asyncio.run(main(kind)) == 1
        assert log == ["closed"]
        log.clear()


def test_a_sync_generator_has_one_context_for_all_steps(app: Erlen) -> None:
    @app.get("/")
    def stream() -> Any:
        @stream_with_context
        def pieces() -> Iterator[str]:
            for number in range(3):
                g.count = g.get("count", 0) + 1
                yield f"{request.path}{g.count}{number}"

        return pieces()

    client = app.test_client(transport="asgi")
    assert client.get("/", buffered=True).text == "/10/21/32"

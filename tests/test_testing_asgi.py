"""The server's end of a request over ASGI: scopes, bodies, responses and streams."""

from __future__ import annotations

import asyncio
import gc
import io
import threading
import typing as t
from collections.abc import AsyncIterator, Iterator

import pytest
from asgi_apps import (
    Message,
    Receive,
    Send,
    answering,
    ask,
    environ,
    piece,
    start,
)
from werkzeug.test import run_wsgi_app

import erlen.testing.asgi
from erlen import Erlen, redirect, request
from erlen.testing import (
    FlaskClient,
)
from erlen.testing.asgi import CHUNK_SIZE, Carrier, scope_of
from erlen.testing.loops import loop_thread


@pytest.fixture
def client(app: Erlen) -> FlaskClient:
    """A client over ASGI, whatever carries the other requests of this run."""
    return app.test_client(transport="asgi")


# Scopes


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({}, {"type": "http", "method": "GET", "path": "/"}, id="plain"),
        pytest.param({"method": "patch"}, {"method": "PATCH"}, id="method"),
        pytest.param(
            {"path": "/a%2Fb/\u00e9"},
            {"path": "/a/b/\u00e9", "raw_path": b"/a%2Fb/%C3%A9"},
            id="path",
        ),
        pytest.param(
            {"path": "/p", "base_url": "https://h.test:444/\u00e4/r"},
            {
                "root_path": "/\u00e4/r",
                "path": "/\u00e4/r/p",
                "raw_path": b"/%C3%A4/r/p",
                "scheme": "https",
                "server": ("h.test", 444),
            },
            id="root",
        ),
        pytest.param(
            {"environ_overrides": {"PATH_INFO": "/other path"}},
            {"path": "/other path", "raw_path": b"/other%20path"},
            id="path changed in the environ",
        ),
        pytest.param({"query_string": "a=1&b=%20"}, {"query_string": b"a=1&b=%20"}, id="query"),
        pytest.param(
            {"environ_base": {"REMOTE_ADDR": "192.0.2.1", "REMOTE_PORT": "7"}},
            {"client": ("192.0.2.1", 7)},
            id="client",
        ),
        pytest.param({}, {"client": None, "extensions": {}}, id="nothing else"),
        pytest.param(
            {"environ_overrides": {"SERVER_NAME": "/run/app.sock", "SERVER_PORT": ""}},
            {"server": ("/run/app.sock", None)},
            id="unix socket",
        ),
        pytest.param(
            {"environ_overrides": {"SERVER_PROTOCOL": "HTTP/2"}}, {"http_version": "2"}, id="http2"
        ),
        pytest.param(
            {"environ_base": {"my.key": 1}},
            {"extensions": {"erlen.environ": {"my.key": 1}}},
            id="own entries",
        ),
    ],
)
def test_a_scope_says_what_the_environ_says(options: t.Any, expected: Message) -> None:
    scope = scope_of(environ(**options))
    assert {key: scope[key] for key in expected} == expected


def test_headers_are_bytes_in_lower_case_in_the_order_of_the_environ() -> None:
    given = environ(headers=[("X-B", "1"), ("X-A", "\xe4"), ("X-B", "2")], data=b"x")
    given["CONTENT_TYPE"] = "a/b"
    assert scope_of(given)["headers"] == [
        (b"host", b"localhost"),
        (b"content-length", b"1"),
        (b"x-b", b"1, 2"),
        (b"x-a", b"\xe4"),
        (b"content-type", b"a/b"),
    ]


def test_what_a_scope_has_no_place_for_is_in_the_environ_again(
    app: Erlen, client: FlaskClient
) -> None:
    errors = io.StringIO()

    @app.route("/")
    def view() -> t.Any:
        assert request.environ["wsgi.errors"] is errors
        return [request.environ[key] for key in ("my.key", "REMOTE_USER", "my.base")]

    client.environ_base["my.base"] = 3
    answer = client.get(
        "/",
        errors_stream=errors,
        environ_base={"my.key": 1},
        environ_overrides={"REMOTE_USER": "me"},
    )
    assert answer.json == [1, "me", 3]


# Bodies of requests


def receiving(log: list[Message]) -> t.Any:
    """An application that writes down what it receives, up to the end of the body."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        while True:
            log.append(await receive())
            if not log[-1].get("more_body"):
                break
        await send(start())
        await send(piece())
        log.append(await receive())

    return app


@pytest.mark.parametrize(
    ("options", "sizes"),
    [
        pytest.param({}, [0], id="none"),
        pytest.param({"data": b"abc"}, [3], id="small"),
        pytest.param({"data": b"x" * CHUNK_SIZE}, [CHUNK_SIZE], id="one chunk"),
        pytest.param({"data": b"x" * (2 * CHUNK_SIZE + 1)}, [CHUNK_SIZE, CHUNK_SIZE, 1], id="big"),
        pytest.param(
            {"data": b"abc", "environ_overrides": {"CONTENT_LENGTH": "2"}}, [2], id="understated"
        ),
        pytest.param(
            {"data": b"abc", "environ_overrides": {"CONTENT_LENGTH": ""}}, [0], id="no length"
        ),
        pytest.param(
            {
                "data": b"x" * (CHUNK_SIZE + 1),
                "environ_overrides": {
                    "CONTENT_LENGTH": "",
                    "HTTP_TRANSFER_ENCODING": "chunked",
                    "wsgi.input_terminated": True,
                },
            },
            [CHUNK_SIZE, 1, 0],
            id="chunked",
        ),
    ],
)
def test_a_body_comes_in_chunks_of_bounded_size(options: t.Any, sizes: list[int]) -> None:
    log: list[Message] = []
    ask(receiving(log), method="POST", **options)
    *requests, last = log
    assert [len(message["body"]) for message in requests] == sizes
    assert [message["more_body"] for message in requests] == [True] * (len(sizes) - 1) + [False]
    assert last == {"type": "http.disconnect"}


def test_a_body_shorter_than_declared_ends_with_the_client(app: Erlen, client: FlaskClient) -> None:
    log: list[Message] = []
    ask(receiving(log), method="POST", data=b"abc", environ_overrides={"CONTENT_LENGTH": "5"})
    assert [message["type"] for message in log] == ["http.request", *["http.disconnect"] * 2]

    app.add_url_rule("/", "read", lambda: request.get_data(), methods=["POST"])
    app.config["PROPAGATE_EXCEPTIONS"] = False
    given = environ(method="POST", data=b"abc", environ_overrides={"CONTENT_LENGTH": "5"})
    answer = run_wsgi_app(Carrier(app, loop_thread().wait), given)
    assert answer[1] == "400 BAD REQUEST"


def test_a_body_that_cannot_be_read_fails_in_the_application() -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError("broken")

    seen = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        with pytest.raises(OSError, match="broken"):
            await receive()
        seen.append(await receive())
        await answering(start(), piece())(scope, receive, send)

    ask(app, method="POST", data=b"a", environ_overrides={"wsgi.input": Broken()})
    assert seen == [{"type": "http.disconnect"}]


def test_the_application_reads_a_body_when_it_wants_it(app: Erlen, client: FlaskClient) -> None:
    class Counted(io.BytesIO):
        count = 0

        def read(self, size: int | None = -1) -> bytes:
            Counted.count += 1
            return super().read(size)

    @app.route("/<path:how>", methods=["POST"])
    def view(how: str) -> str:
        return request.get_data(as_text=True) if how == "read" else ""

    assert client.post("/leave", input_stream=Counted(b"text")).text == ""
    assert Counted.count == 0
    assert client.post("/read", input_stream=Counted(b"text")).text == "text"
    assert Counted.count == 1


# Responses


def test_a_response_has_status_headers_and_body() -> None:
    app = answering(
        start(404, (b"content-type", b"a/b"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=\xe4")),
        piece(b"one", more=True),
        piece(more=True),
        piece(bytearray(b"two"), more=True),
        piece(memoryview(b"!")),
    )
    status, headers, body = ask(app)
    assert (status, body) == ("404 NOT FOUND", b"onetwo!")
    assert headers == [("Content-Type", "a/b"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=\xe4")]


def test_names_of_headers_are_written_as_usual(app: Erlen, client: FlaskClient) -> None:
    names = ["Content-Type", "ETag", "WWW-Authenticate", "X-Own"]

    @app.route("/")
    def view() -> t.Any:
        return "", 200, dict.fromkeys(names, "a/b")

    assert set(client.get("/").headers.keys()) >= set(names)


@pytest.mark.parametrize(
    ("messages", "error"),
    [
        pytest.param((), "ended without starting a response", id="nothing"),
        pytest.param((start(),), "ended before the end of its response", id="no end"),
        pytest.param((piece(),), "'http.response.body' is out of order", id="body first"),
        pytest.param((start(), start()), "'http.response.start' is out of order", id="two starts"),
        pytest.param((start(), piece(), piece()), "is out of order", id="after the end"),
        pytest.param(({"type": "http.response.trailers"},), "is out of order", id="unknown"),
        pytest.param((start("200"),), "three digits, not '200'", id="status text"),
        pytest.param((start(99),), "three digits, not 99", id="status too small"),
        pytest.param((start(200, ("a", b"b")),), "is a pair of bytes", id="header text"),
        pytest.param((start(200, (b"A", b"b")),), "in lower case", id="header in capitals"),
        pytest.param((start(), piece("text")), "A body is bytes, not str", id="body text"),
    ],
)
def test_what_breaks_the_protocol_is_an_error(messages: t.Any, error: str) -> None:
    with pytest.raises((RuntimeError, TypeError, ValueError), match=error):
        ask(answering(*messages))


@pytest.mark.parametrize("said", [(), (start(),), (start(), piece(b"x"))], ids=len)
@pytest.mark.parametrize("kind", [ZeroDivisionError, KeyboardInterrupt, SystemExit])
def test_what_the_application_raises_is_raised_in_the_test(
    said: t.Any, kind: type[BaseException]
) -> None:
    async def app(*args: t.Any) -> None:
        await answering(*said)(*args)
        raise kind

    with pytest.raises(kind):
        ask(app)
    assert ask(answering(start(), piece(b"still")))[2] == b"still"


@pytest.mark.parametrize("view", ["sync", "async"])
def test_an_error_of_a_view_is_raised_as_over_wsgi(
    app: Erlen, client: FlaskClient, view: str
) -> None:
    @app.route("/sync")
    def fail() -> t.NoReturn:
        raise ZeroDivisionError

    @app.route("/async")
    async def fail_later() -> t.NoReturn:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        client.get(f"/{view}")
    app.logger.disabled = True
    app.config["PROPAGATE_EXCEPTIONS"] = False
    assert client.get(f"/{view}").status_code == 500


def test_cookies_are_kept_and_redirects_followed(app: Erlen, client: FlaskClient) -> None:
    @app.route("/<int:code>", methods=["GET", "POST"])
    def go(code: int) -> t.Any:
        response = redirect("/end", code)
        response.set_cookie("name", str(code))
        return response

    @app.route("/end", methods=["GET", "POST"])
    def end() -> t.Any:
        return [request.method, request.get_data(as_text=True), request.cookies["name"]]

    assert client.post("/302", data="x", follow_redirects=True).json == ["GET", "", "302"]
    answer = client.post("/307", data="x", follow_redirects=True)
    assert answer.json == ["POST", "x", "307"]
    assert [response.status_code for response in answer.history] == [307]


# Streams


class Stream:
    """An application that sends pieces, and notes how far it came."""

    def __init__(self, pieces: int = 3) -> None:
        self.sent: list[int] = []
        self.ended: list[str] = []
        self.pieces = pieces

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        await send(start())
        try:
            for number in range(self.pieces):
                self.sent.append(number)
                await send(piece(b"%d" % number, more=True))
            await send(piece())
        except OSError as error:
            self.ended.append(str(error))
            self.ended.append((await receive())["type"])
            raise


def test_the_application_waits_until_the_test_has_taken_what_it_sent() -> None:
    app = Stream()
    body = iter(ask(app, buffered=False)[2])
    assert app.sent == [0]
    assert next(body) == b"0"
    assert app.sent == [0]
    assert next(body) == b"1"
    assert app.sent == [0, 1]
    assert list(body) == [b"2"]
    assert (app.sent, app.ended) == ([0, 1, 2], [])


def test_closing_a_response_early_is_leaving() -> None:
    app = Stream()
    body = ask(app, buffered=False)[2]
    body.close()
    assert app.ended == ["The client has left.", "http.disconnect"]
    assert app.sent == [0]
    body.close()


def test_a_response_that_nobody_closes_is_left_when_it_is_dropped() -> None:
    left = threading.Event()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(start())
        try:
            await send(piece(b"x", more=True))
        finally:
            left.set()

    answer = ask(app, buffered=False)
    del answer
    gc.collect()
    assert left.wait(5)


def test_an_application_that_goes_on_without_its_client_is_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(erlen.testing.asgi, "LEAVE_SECONDS", 0.01)
    ended = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(start())
        try:
            await send(piece(b"x", more=True))
        except OSError:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("cancelled")

    ask(app, buffered=False)[2].close()
    assert ended == ["cancelled"]


def test_an_error_behind_the_first_piece_is_raised_where_the_test_reads() -> None:
    async def app(*args: t.Any) -> None:
        await answering(start(), piece(b"x", more=True))(*args)
        raise ZeroDivisionError

    body = iter(ask(app, buffered=False)[2])
    assert next(body) == b"x"
    with pytest.raises(ZeroDivisionError):
        next(body)
    assert list(body) == []


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_streams_of_views_advance_with_the_test_and_end_with_it(
    app: Erlen, client: FlaskClient, kind: str
) -> None:
    steps: list[t.Any] = []

    def pieces() -> Iterator[str]:
        try:
            for number in range(3):
                steps.append(number)
                yield str(number)
        finally:
            steps.append("closed")

    async def async_pieces() -> AsyncIterator[str]:
        try:
            for number in range(3):
                steps.append(number)
                yield str(number)
        finally:
            steps.append("closed")

    @app.route("/")
    def view() -> t.Any:
        return app.response_class(pieces() if kind == "sync" else async_pieces())

    response = client.get("/")
    body = iter(response.response)
    assert (next(body), steps) == (b"0", [0])
    assert (next(body), steps) == (b"1", [0, 1])
    response.close()
    assert steps == [0, 1, "closed"]
    assert client.get("/").text == "012"

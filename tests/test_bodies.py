"""Short ways of receiving a body: they end as the long one does, with fewer messages received."""

from __future__ import annotations

import asyncio
import io
from collections import deque
from collections.abc import Callable, Generator, Sequence
from typing import Any

import pytest
from pydantic import BaseModel
from test_asgi import Message, http
from werkzeug.test import create_environ, run_wsgi_app

from erlen import Erlen, Request, has_request_context, request

pytestmark = pytest.mark.timeout(30)

ORDER = b'{"number": 7}'
GONE: Message = {"type": "http.disconnect"}


class Order(BaseModel):
    number: int


class Arrival:
    """A message that comes when the loop has turned once, or an error in its place."""

    def __init__(self, message: Message | Exception) -> None:
        self.message = message

    def __await__(self) -> Generator[Any, None, Message]:
        yield from asyncio.sleep(0).__await__()
        if isinstance(self.message, Exception):
            raise self.message
        return self.message


def piece(body: bytes, more: bool = True) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


class Server:
    """Calls an application as servers do.

    :param native: whether `receive` is no Python code, as on servers that are written in Rust
    """

    def __init__(self, native: bool = False) -> None:
        self.native = native
        self.left: deque[Arrival] = deque()
        #: Of each message, whether the request had begun when it was asked for.
        self.in_request: list[bool] = []
        self.on_receive: Callable[[], object] = lambda: None

    def ask(
        self, app: Any, *messages: Message | Exception, kind: str = "application/json", **more: Any
    ) -> tuple[int, bytes]:
        length = more.pop("length", len(ORDER))
        headers = [(b"host", b"localhost"), (b"content-type", kind.encode())]
        if length is not None:
            headers.append((b"content-length", b"%d" % length))
        scope = http(more.pop("path", "/"), "POST", headers=[*headers, *more.pop("headers", [])])
        return asyncio.run(self._ask(app, scope, messages))

    async def _ask(
        self, app: Any, scope: dict[str, Any], messages: Sequence[Message | Exception]
    ) -> tuple[int, bytes]:
        self.left = deque(map(Arrival, messages))
        self.in_request = []
        sent: list[Message] = []

        async def receive() -> Message:
            self.in_request.append(has_request_context())
            self.on_receive()
            return await self.left.popleft()

        async def send(message: Message) -> None:
            sent.append(message)

        await app(scope, self.left.popleft if self.native else receive, send)
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


async def bound(order: Order) -> Any:
    return {"number": order.number}


def bound_on_thread(order: Order) -> Any:
    return {"number": order.number}


async def read(**values: Any) -> Any:
    return {"number": Order.model_validate_json(request.get_data()).number}


def read_on_thread(**values: Any) -> Any:
    return {"number": Order.model_validate_json(request.get_data()).number}


VIEWS = [
    pytest.param(bound, id="typed"),
    pytest.param(bound_on_thread, id="typed on a thread"),
    pytest.param(read, id="untyped"),
    pytest.param(read_on_thread, id="untyped on a thread"),
]
TYPED, UNTYPED = VIEWS[:2], VIEWS[2:]


def serve(view: Callable[..., Any], **options: Any) -> Erlen:
    app = Erlen("bodies")
    app.add_url_rule("/", "view", view, methods=["POST"], **options)
    return app


def warmed(app: Erlen, server: Server) -> Server:
    """The server, when the application has compiled what it does at the first requests."""
    for _ in range(2):
        assert server.ask(app, piece(ORDER, more=False)) == (200, b'{"number":7}\n')
    return server


@pytest.mark.parametrize("native", [True, False], ids=["native", "python"])
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize(
    "pieces",
    [(ORDER,), (ORDER[:4], ORDER[4:]), (ORDER[:4], b"", ORDER[4:])],
    ids=["whole", "two pieces", "an empty one"],
)
def test_a_native_server_is_not_asked_for_the_end_of_a_body_that_its_length_tells(
    view: Any, native: bool, pieces: tuple[bytes, ...]
) -> None:
    app = serve(view)
    server = warmed(app, Server(native))
    answer = server.ask(app, *map(piece, pieces), piece(b"", more=False), piece(b"unasked"))
    assert answer == (200, b'{"number":7}\n')
    assert len(server.left) == (2 if native else 1)


@pytest.mark.parametrize("view", VIEWS)
def test_a_body_that_middleware_has_unpacked_may_be_longer_than_declared(view: Any) -> None:
    app = serve(view)
    server = warmed(app, Server())
    body = [piece(ORDER[:5]), piece(ORDER[5:], more=False)]
    assert server.ask(app, *body, length=5) == (200, b'{"number":7}\n')


@pytest.mark.parametrize("view", VIEWS)
def test_a_body_without_a_length_is_received_to_its_end(view: Any) -> None:
    app = serve(view)
    server = warmed(app, Server(native=True))
    body = [piece(ORDER[:5]), piece(ORDER[5:]), piece(b"", more=False)]
    chunked = [(b"transfer-encoding", b"chunked")]
    assert server.ask(app, *body, length=None, headers=chunked) == (200, b'{"number":7}\n')
    assert not server.left


MESSAGES: dict[str, tuple[Message | Exception, ...]] = {
    "whole": (piece(ORDER, more=False),),
    "pieces": (piece(ORDER[:3]), piece(ORDER[3:9]), piece(ORDER[9:], more=False)),
    "late": (piece(b""), piece(ORDER), piece(b"", more=False)),
    "invalid": (piece(b'{"number": "x"}', more=False),),
    "malformed": (piece(b'{"number"', more=False),),
    "empty": (piece(b"", more=False),),
    "nothing more than blanks": (piece(b"  ", more=False),),
    "gone": (GONE,),
    "gone in the body": (piece(ORDER[:3]), GONE),
    "error": (OSError("the connection broke"),),
    "error in the body": (piece(ORDER[:3]), OSError("the connection broke")),
    "beyond the limit": (piece(b" " * 40 + ORDER, more=False),),
    "beyond the limit in pieces": (piece(b" " * 40), piece(ORDER, more=False)),
}


@pytest.mark.parametrize("native", [True, False], ids=["native", "python"])
@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "a/b"])
@pytest.mark.parametrize("length", ["right", "short", "none"])
@pytest.mark.parametrize("case", MESSAGES)
@pytest.mark.parametrize("view", VIEWS)
def test_what_is_received_early_is_answered_as_what_is_received_when_it_is_read(
    view: Any, case: str, length: str, kind: str, native: bool
) -> None:
    messages = MESSAGES[case]
    options: dict[str, Any] = {"kind": kind}
    if length != "right":
        options["length"] = 3 if length == "short" else None
    early, late = serve(view), serve(view)
    late.before_request(lambda: None)  # with hooks a body is received when it is read
    for app in (early, late):
        app.config["MAX_CONTENT_LENGTH"] = 40
        warmed(app, Server(native))
    answers = [Server(native).ask(app, *messages, **options) for app in (early, late)]
    assert answers[0] == answers[1]


class Unlimited(Request):
    max_content_length = None


def _hook(app: Erlen) -> None:
    app.before_request_funcs[None].append(lambda: None)


def _limit(app: Erlen) -> None:
    app.config["MAX_CONTENT_LENGTH"] = len(ORDER) - 1


def _own_limit(app: Erlen) -> None:
    app.request_class = Unlimited


def _middleware(app: Erlen) -> None:
    app.wsgi_app = lambda *args, inner=app.wsgi_app: inner(*args)  # type: ignore[method-assign]


@pytest.mark.parametrize("view", TYPED)
@pytest.mark.parametrize(
    ("prepare", "options", "kind", "expected"),
    [
        pytest.param(None, {}, "application/json", [False], id="nothing"),
        pytest.param(_hook, {}, "application/json", [True], id="a hook"),
        pytest.param(_middleware, {}, "application/json", [True], id="middleware"),
        pytest.param(_own_limit, {}, "application/json", [True], id="a limit of the class"),
        pytest.param(None, {"timeout": 5.0}, "application/json", [True], id="a deadline"),
        pytest.param(
            None, {"cancel_on_disconnect": True}, "application/json", [True], id="cancelled"
        ),
        pytest.param(_limit, {}, "application/json", [], id="too large"),
        pytest.param(None, {}, "text/plain", [], id="no JSON"),
    ],
)
def test_a_body_is_received_before_the_request_begins_only_where_nothing_comes_before_it(
    view: Any, prepare: Any, options: dict[str, Any], kind: str, expected: list[bool]
) -> None:
    app = serve(view, **options)
    server = warmed(app, Server())
    if prepare is not None:
        prepare(app)
    server.ask(app, piece(ORDER, more=False), kind=kind)
    assert server.in_request == expected


def _none(app: Erlen) -> None:
    """Nothing is prepared."""


@pytest.mark.parametrize("view", UNTYPED)
@pytest.mark.parametrize(
    ("prepare", "options", "sent", "expected"),
    [
        pytest.param(_none, {}, {}, [False], id="nothing"),
        pytest.param(_none, {}, {"headers": [(b"expect", b"100-continue")]}, [True], id="expected"),
        pytest.param(_none, {}, {"kind": "text/plain"}, [True], id="no JSON"),
        pytest.param(_limit, {}, {}, [], id="too large"),
        pytest.param(_hook, {}, {}, [True], id="a hook"),
        pytest.param(_middleware, {}, {}, [True], id="middleware"),
        pytest.param(_own_limit, {}, {}, [True], id="a limit of the class"),
        pytest.param(_none, {"timeout": 5.0}, {}, [True], id="a deadline"),
        pytest.param(_none, {"cancel_on_disconnect": True}, {}, [True], id="cancelled"),
    ],
)
def test_of_a_view_that_was_seen_to_read_its_body_the_next_one_is_received_before(
    view: Any, prepare: Any, options: dict[str, Any], sent: dict[str, Any], expected: list[bool]
) -> None:
    app = serve(view, **options)
    server = Server()
    prepare(app)
    for _ in range(2):  # in the first, plans are made
        server.ask(app, piece(ORDER, more=False))
    server.ask(app, piece(ORDER, more=False), **sent)
    assert server.in_request == expected


@pytest.mark.parametrize(
    "sent", [{"kind": "text/plain"}, {"length": None}, {"headers": [(b"expect", b"100-continue")]}]
)
@pytest.mark.parametrize("view", UNTYPED)
def test_of_a_view_that_reads_other_bodies_none_is_received_before(
    view: Any, sent: dict[str, Any]
) -> None:
    app = serve(view)
    server = Server()
    for _ in range(3):
        server.ask(app, piece(ORDER, more=False), **sent)
    server.ask(app, piece(ORDER, more=False))
    assert server.in_request == [True]


@pytest.mark.parametrize("kind", ["async", "plain"])
def test_of_a_view_that_reads_no_body_none_is_received(kind: str) -> None:
    async def ignoring() -> str:
        return "read nothing"

    app = serve(ignoring if kind == "async" else lambda: "read nothing")
    server = Server()
    for _ in range(3):
        assert server.ask(app, piece(ORDER, more=False)) == (200, b"read nothing")
        assert server.in_request == []


@pytest.mark.parametrize("view", TYPED)
def test_what_is_registered_while_a_body_comes_counts(view: Any) -> None:
    app = serve(view)
    server = warmed(app, Server())
    server.on_receive = lambda: _refuse_all(app)
    assert server.ask(app, piece(ORDER, more=False)) == (200, b"refused")


def _refuse_all(app: Erlen) -> None:
    app.before_request_funcs[None].append(lambda: "refused")


class Stream:
    """A body as Granian's WSGI server gives it; keeps what was asked of it."""

    __module__ = "granian._granian"

    def __init__(self, body: bytes) -> None:
        self.file = io.BytesIO(body)
        self.asked: list[int | None] = []

    def read(self, size: int | None = None) -> bytes:
        self.asked.append(size)
        return self.file.read(size)


class OtherStream(Stream):
    __module__ = "middleware"


def ask_wsgi(stream: Stream, length: int = len(ORDER), **config: Any) -> tuple[int, bytes]:
    app = serve(read_on_thread)
    app.config.update(config)
    environ = create_environ(method="POST", content_type="application/json")
    environ.update({"wsgi.input": stream, "wsgi.input_terminated": True})
    environ["CONTENT_LENGTH"] = str(length)
    pieces, status, _ = run_wsgi_app(app, environ)
    return int(status[:3]), b"".join(pieces)


def test_granians_stream_is_not_asked_for_more_than_the_declared_length() -> None:
    stream = Stream(ORDER)
    assert ask_wsgi(stream) == (200, b'{"number":7}\n')
    assert stream.asked == [len(ORDER)]


@pytest.mark.parametrize(
    ("body", "limit"),
    [(ORDER, None), (ORDER[:-1], None), (b"", None), (ORDER, len(ORDER)), (ORDER, 5)],
    ids=["whole", "short", "empty", "within the limit", "beyond the limit"],
)
def test_granians_stream_is_read_as_any_other(body: bytes, limit: int | None) -> None:
    answers = [
        ask_wsgi(kind(body), MAX_CONTENT_LENGTH=limit, PROPAGATE_EXCEPTIONS=False)
        for kind in (Stream, OtherStream)
    ]
    assert answers[0] == answers[1]


def test_a_stream_of_middleware_may_be_longer_than_declared() -> None:
    assert ask_wsgi(OtherStream(ORDER), length=5) == (200, b'{"number":7}\n')

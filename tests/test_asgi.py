"""The ASGI edge: where a request runs, what it sees, how its response is sent."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import io
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from scopes import http
from werkzeug.exceptions import HTTPException

from erlen import Erlen, Request, Response, await_, g, request, session, stream_with_context
from erlen.views import MethodView, View

Message = dict[str, Any]


async def call(app: Any, scope: dict[str, Any], *bodies: bytes) -> list[Message]:
    """The messages that an application sends for a request with this body."""
    sent: list[Message] = []
    pieces = list(bodies or [b""])

    async def receive() -> Message:
        if not pieces:
            return {"type": "http.disconnect"}
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


def fetch(app: Any, path: str = "/", *bodies: bytes, **more: Any) -> tuple[int, bytes]:
    """Status and body; sent three times, as the way of the first request is another one."""
    answers = []
    for _ in range(3):
        sent = asyncio.run(call(app, http(path, **more), *bodies))
        body = b"".join(message.get("body", b"") for message in sent[1:])
        answers.append((sent[0]["status"], body))
    assert answers[0] == answers[1] == answers[2]
    return answers[0]


def thread() -> str:
    return "loop" if threading.current_thread() is threading.main_thread() else "worker"


async def native(**values: Any) -> str:
    return thread()


def plain(**values: Any) -> str:
    return thread()


def wrapped(**values: Any) -> str:
    return await_(native(**values))


def around(**values: Any) -> str:
    return f"{thread()} {wrapped(**values)}"


functools.update_wrapper(wrapped, native)
functools.update_wrapper(around, native)


class AsyncMethods(MethodView):
    async def get(self) -> str:
        return thread()

    def post(self) -> str:
        return thread()


class AsyncDispatch(View):
    async def dispatch_request(self) -> str:  # type: ignore[override]
        return thread()


@pytest.mark.parametrize(
    ("view", "options", "method", "place"),
    [
        pytest.param(native, {}, "GET", "loop", id="coroutine function"),
        pytest.param(plain, {}, "GET", "worker", id="plain function"),
        pytest.param(plain, {"inline": True}, "GET", "loop", id="plain function inline"),
        pytest.param(around, {}, "GET", "loop loop", id="code around a coroutine function"),
        pytest.param(around, {"inline": False}, "GET", "worker loop", id="the same not inline"),
        pytest.param(wrapped, {}, "GET", "loop", id="decorated coroutine function"),
        pytest.param(
            functools.partial(native, a=1), {"endpoint": "p"}, "GET", "loop", id="partial"
        ),
        pytest.param(AsyncMethods.as_view("m"), {}, "GET", "loop", id="async method"),
        pytest.param(AsyncMethods.as_view("m"), {}, "POST", "worker", id="plain method"),
        pytest.param(AsyncDispatch.as_view("d"), {}, "GET", "loop", id="async dispatch_request"),
    ],
)
def test_a_request_runs_where_its_view_belongs(
    app: Erlen, view: Any, options: dict[str, Any], method: str, place: str
) -> None:
    app.add_url_rule("/", view_func=view, **{"endpoint": "view", **options})
    assert fetch(app, method=method) == (200, place.encode())


def test_the_configuration_can_put_all_plain_views_on_the_loop(app: Erlen) -> None:
    app.config["ASGI_INLINE"] = True
    app.add_url_rule("/", view_func=plain)
    assert fetch(app) == (200, b"loop")


@pytest.mark.parametrize("options", [{"subdomain_matching": True}, {}], ids=["subdomains", "plain"])
def test_a_coroutine_function_runs_on_the_loop_however_its_rule_is_found(
    app: Erlen, options: dict[str, Any]
) -> None:
    app = Erlen("odd", **options)
    app.config["SERVER_NAME"] = "localhost"
    app.add_url_rule("/<any(a, b):which>/<int(signed=True):n>", view_func=native)
    assert fetch(app, "/a/-1") == (200, b"loop")


def test_a_sync_hook_runs_with_the_view_on_the_loop(app: Erlen) -> None:
    seen = []
    app.before_request(lambda: seen.append(thread()))
    app.teardown_request(lambda error: seen.append(thread()))
    app.add_url_rule("/", view_func=native)
    fetch(app)
    assert set(seen) == {"loop"}


def test_an_async_hook_of_a_plain_view_runs_on_the_servers_loop(app: Erlen) -> None:
    loops = []

    @app.before_request
    async def before() -> None:
        loops.append(asyncio.get_running_loop())

    app.add_url_rule("/", view_func=plain)

    async def main() -> None:
        await call(app, http())
        assert loops == [asyncio.get_running_loop()]

    asyncio.run(main())


def test_sync_code_of_a_coroutine_function_waits_natively(app: Erlen) -> None:
    async def later() -> str:
        await asyncio.sleep(0)
        return thread()

    @app.get("/")
    async def index() -> str:
        return await_(later())

    assert fetch(app) == (200, b"loop")


def test_views_that_wait_overlap(app: Erlen) -> None:
    meeting: dict[str, asyncio.Barrier | Any] = {}

    @app.get("/<int:n>")
    async def index(n: int) -> str:
        meeting["came"] += 1
        if meeting["came"] == 3:
            meeting["all"].set()
        await meeting["all"].wait()
        return f"{n} {request.path}"

    async def main() -> list[bytes]:
        meeting.update(came=0, all=asyncio.Event())
        answers = await asyncio.gather(*(call(app, http(f"/{n}")) for n in range(3)))
        return [sent[1]["body"] for sent in answers]

    for _ in range(3):
        assert asyncio.run(main()) == [b"0 /0", b"1 /1", b"2 /2"]


def test_context_variables_of_middleware_reach_a_plain_view(app: Erlen) -> None:
    var: contextvars.ContextVar[str] = contextvars.ContextVar("var")
    inner = app.asgi_app

    async def middleware(scope: Any, receive: Any, send: Any) -> None:
        var.set("from middleware")
        await inner(scope, receive, send)

    app.asgi_app = middleware  # type: ignore[method-assign]
    app.add_url_rule("/", view_func=lambda: var.get())
    assert fetch(app) == (200, b"from middleware")


@pytest.mark.parametrize("kind", ["plain", "native"])
def test_a_request_tells_how_long_it_waited_for_a_thread(app: Erlen, kind: str) -> None:
    async def index() -> dict[str, Any]:
        return {"waited": request.queue_time > 0}

    view: Any = index if kind == "native" else lambda: {"waited": request.queue_time > 0}
    app.add_url_rule("/", "index", view)
    assert fetch(app)[1].strip() == b'{"waited":%s}' % (b"false" if kind == "native" else b"true")


def test_a_request_has_its_scope(app: Erlen) -> None:
    @app.get("/")
    async def index() -> str:
        assert request.scope is not None
        return f"{request.scope['type']} {request.environ['asgi.scope'] is request.scope}"

    assert fetch(app) == (200, b"http True")
    with app.test_request_context():
        assert request.scope is None


def _echo_native() -> Any:
    async def index() -> Any:
        return _seen()

    return index


def _seen() -> dict[str, Any]:
    return {
        "url": request.url,
        "path": request.path,
        "root": request.root_path,
        "args": request.args.to_dict(flat=False),
        "method": request.method,
        "headers": sorted(request.headers.items()),
        "cookies": request.cookies.to_dict(),
        "remote": request.remote_addr,
        "server": request.server,
        "length": request.content_length,
        "body": request.get_data(as_text=True),
    }


SCOPES = [
    pytest.param({"query_string": b"a=1&a=2&b=%20"}, id="query"),
    pytest.param({"path": "/caf\u00e9/x"}, id="path beyond ASCII"),
    pytest.param({"path": "/sub/x", "root_path": "/sub"}, id="root_path"),
    pytest.param({"path": "/subx", "root_path": "/sub"}, id="path beside root_path"),
    pytest.param({"server": ("::1", "8000"), "client": None}, id="port as text, no client"),
    pytest.param({"server": ("/run/app.sock", None)}, id="Unix socket"),
    pytest.param({"scheme": "https"}, id="https"),
    pytest.param(
        {"headers": [(b"host", b"h"), (b"cookie", b"a=1"), (b"cookie", b"b=2")]}, id="two cookies"
    ),
    pytest.param(
        {"headers": [(b"host", b"h"), (b"x-list", b"a"), (b"x-list", b"b")]}, id="list of a header"
    ),
    pytest.param(
        {"headers": [(b"host", b"h"), (b"x-real", b"a"), (b"x_real", b"b")]}, id="underscore"
    ),
]


@pytest.mark.parametrize("scope", SCOPES)
def test_coroutine_and_plain_views_see_the_same_request(app: Erlen, scope: dict[str, Any]) -> None:
    for rule, endpoint in (("/", "i"), ("/<path:p>", "j")):
        app.add_url_rule(rule, endpoint, lambda p=None: _seen(), inline=False)

    async def seen(p: Any = None) -> Any:
        return _seen()

    other = Erlen("other")
    for rule, endpoint in (("/", "i"), ("/<path:p>", "j")):
        other.add_url_rule(rule, endpoint, seen)
    path = scope.get("path", "/x")
    more = {key: value for key, value in scope.items() if key != "path"}
    assert fetch(app, path, b"ab", b"c", **more) == fetch(other, path, b"ab", b"c", **more)


def test_a_header_with_an_underscore_does_not_pose_as_another(app: Erlen) -> None:
    @app.get("/")
    async def index() -> str:
        return request.headers.get("X-User", "nobody")

    headers = [(b"host", b"localhost"), (b"x_user", b"admin")]
    assert fetch(app, headers=headers) == (200, b"nobody")


BODY_READERS: list[tuple[str, Callable[[Request], Any]]] = [
    ("get_data", lambda r: r.get_data()),
    ("read in parts", lambda r: r.stream.read(3) + r.stream.read(2) + r.stream.read()),
    ("lines", lambda r: b"".join(r.stream.readlines())),
    ("readline", lambda r: r.stream.readline() + r.stream.readline(2) + r.stream.read()),
    ("readinto", lambda r: io.BufferedReader(r.stream).read()),  # type: ignore[type-var]
    ("iteration", lambda r: b"".join(r.stream)),
]


@pytest.mark.parametrize("inline", [True, False], ids=["loop", "worker"])
@pytest.mark.parametrize(
    "pieces",
    [(b"",), (b"ab\ncd\nef",), (b"a", b"b\nc", b"", b"d\ne", b"f")],
    ids=["empty", "at once", "in pieces"],
)
@pytest.mark.parametrize(
    "read", [r for _, r in BODY_READERS], ids=[name for name, _ in BODY_READERS]
)
def test_a_body_is_read_as_it_comes(
    app: Erlen, read: Callable[[Request], Any], pieces: tuple[bytes, ...], inline: bool
) -> None:
    app.add_url_rule("/", "i", lambda: read(request), methods=["POST"], inline=inline)
    assert fetch(app, "/", *pieces, method="POST") == (200, b"".join(pieces))


@pytest.mark.parametrize("limit", [None, 100])
@pytest.mark.parametrize("inline", [True, False], ids=["loop", "worker"])
def test_a_part_of_a_body_is_as_long_as_it_is_asked_for(
    app: Erlen, inline: bool, limit: int | None
) -> None:
    app.config["MAX_CONTENT_LENGTH"] = limit
    app.add_url_rule("/", "i", lambda: request.stream.read(4), methods=["POST"], inline=inline)
    assert fetch(app, "/", b"a", b"bc", b"def", method="POST") == (200, b"abcd")
    assert fetch(app, "/", b"a", b"b", method="POST") == (200, b"ab")


@pytest.mark.parametrize("inline", [True, False], ids=["loop", "worker"])
def test_nothing_is_received_before_it_is_read(app: Erlen, inline: bool) -> None:
    app.add_url_rule("/", "i", lambda: "unread", methods=["POST"], inline=inline)

    async def main() -> list[Message]:
        sent: list[Message] = []

        async def receive() -> Message:
            raise AssertionError("received without need")

        async def send(message: Message) -> None:
            sent.append(message)

        await app(http(method="POST"), receive, send)
        return sent

    assert asyncio.run(main())[1]["body"] == b"unread"


@pytest.mark.parametrize("inline", [True, False], ids=["loop", "worker"])
def test_a_body_beyond_the_limit_is_refused_by_its_real_bytes(app: Erlen, inline: bool) -> None:
    app.config["MAX_CONTENT_LENGTH"] = 4
    app.add_url_rule("/", "i", lambda: request.get_data(), methods=["POST"], inline=inline)
    assert fetch(app, "/", b"abc", b"def", method="POST")[0] == 413
    assert fetch(app, "/", b"ab", b"cd", method="POST") == (200, b"abcd")


@pytest.mark.parametrize("inline", [True, False], ids=["loop", "worker"])
def test_a_client_that_leaves_in_its_body_is_told_to_the_view(app: Erlen, inline: bool) -> None:
    seen: list[str] = []

    def index() -> str:
        try:
            request.get_data()
        except HTTPException as error:
            seen.append(type(error).__name__)
            raise
        return ""

    app.add_url_rule("/", "i", index, methods=["POST"], inline=inline)

    async def main() -> None:
        messages = [{"type": "http.request", "body": b"a", "more_body": True}]

        async def receive() -> Message:
            return messages.pop() if messages else {"type": "http.disconnect"}

        async def send(message: Message) -> None: ...

        await app(http(method="POST"), receive, send)

    asyncio.run(main())
    assert seen == ["ClientDisconnected"]


@pytest.mark.parametrize("has_left", [True, False], ids=["has left", "is there"])
@pytest.mark.parametrize("watches", [False, True], ids=["short way", "long way"])
def test_failing_to_send_is_an_error_unless_the_client_has_left(
    app: Erlen, has_left: bool, watches: bool
) -> None:
    @app.post("/", cancel_on_disconnect=watches)
    async def index() -> str:
        try:
            request.get_data()
        except HTTPException:
            return "answered all the same"
        return "answered"

    async def once() -> int:
        messages = [{"type": "http.request", "body": b"a", "more_body": has_left}]
        sendings = 0

        async def receive() -> Message:
            return messages.pop() if messages else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            nonlocal sendings
            sendings += 1
            raise OSError("nobody is there")

        if has_left:
            await app(http(method="POST"), receive, send)
        else:
            with pytest.raises(OSError, match="nobody is there"):
                await app(http(method="POST"), receive, send)
        return sendings

    assert [asyncio.run(once()) for _ in range(3)] == [1, 1, 1]


async def _some() -> AsyncIterator[str]:
    for n in range(3):
        await asyncio.sleep(0)
        yield str(n)


def _some_sync() -> Iterator[str]:
    yield from "012"


RETURNED: list[Any] = [
    pytest.param(lambda: "text", b"text", id="text"),
    pytest.param(lambda: ("text", 200, {"X": "y"}), b"text", id="tuple"),
    pytest.param(lambda: {"a": 1}, b'{"a":1}\n', id="dict"),
    pytest.param(lambda: Response([b"a", b"b"]), b"ab", id="list of bytes"),
    pytest.param(lambda: _some_sync(), b"012", id="generator"),
    pytest.param(lambda: stream_with_context(_some_sync()), b"012", id="with context"),
    pytest.param(lambda: _some(), b"012", id="async generator"),
    pytest.param(lambda: Response(_some()), b"012", id="response of one"),
    pytest.param(lambda: (_some(), 200), b"012", id="tuple of one"),
    pytest.param(
        lambda: lambda environ, start: [start("200 OK", []), b"wsgi"][1:], b"wsgi", id="WSGI"
    ),
]


@pytest.mark.parametrize("kind", ["coroutine", "inline", "worker"])
@pytest.mark.parametrize(("make", "body"), RETURNED)
def test_what_a_view_may_return_is_sent(
    app: Erlen, make: Callable[[], Any], body: bytes, kind: str
) -> None:
    async def waiting() -> Any:
        return make()

    view: Any = waiting if kind == "coroutine" else make
    app.add_url_rule("/", "i", view, inline=None if kind == "coroutine" else kind == "inline")
    assert fetch(app) == (200, body)


@pytest.mark.parametrize("kind", ["coroutine", "worker"])
@pytest.mark.parametrize("status", [200, 204, 304])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_answers_without_a_body_have_none(app: Erlen, method: str, status: int, kind: str) -> None:
    async def waiting() -> Any:
        return "text", status

    view: Any = waiting if kind == "coroutine" else lambda: ("text", status)
    app.add_url_rule("/", "i", view)
    expected = b"text" if (status, method) == (200, "GET") else b""
    assert fetch(app, method=method) == (status, expected)


def test_response_headers_are_lower_case_bytes(app: Erlen) -> None:
    @app.get("/")
    async def index() -> Any:
        session["n"] = 1
        return "x", {"X-Thing": "caf\u00e9"}

    (start, _) = asyncio.run(call(app, http()))
    headers = dict(start["headers"])
    assert headers[b"x-thing"] == "caf\u00e9".encode("latin1")
    assert headers[b"set-cookie"].startswith(b"session=")
    assert headers[b"vary"] == b"Cookie"


@pytest.mark.parametrize("kind", ["coroutine", "worker"])
def test_what_is_registered_for_the_close_of_a_response_is_called(app: Erlen, kind: str) -> None:
    closed: list[str] = []

    def make() -> Response:
        response = Response("x")
        response.call_on_close(lambda: closed.append(thread()))
        return response

    async def waiting() -> Response:
        return make()

    app.add_url_rule("/", "i", waiting if kind == "coroutine" else make)
    fetch(app)
    assert set(closed) == {"loop" if kind == "coroutine" else "worker"}


def test_errors_are_answered_by_their_handlers(app: Erlen) -> None:
    @app.errorhandler(LookupError)
    async def handle(error: LookupError) -> Any:
        await asyncio.sleep(0)
        return f"no {error}", 410

    @app.get("/")
    async def index() -> str:
        raise LookupError("x")

    assert fetch(app) == (410, b"no x")


@pytest.mark.parametrize("inline", [True, False], ids=["loop", "worker"])
def test_errors_of_an_application_under_test_reach_the_server(app: Erlen, inline: bool) -> None:
    app.add_url_rule("/", "i", lambda: 1 // 0, inline=inline)  # type: ignore[arg-type,return-value]
    with pytest.raises(ZeroDivisionError):
        asyncio.run(call(app, http()))
    app.config["PROPAGATE_EXCEPTIONS"] = False
    assert fetch(app)[0] == 500


@pytest.mark.parametrize("kind", ["coroutine", "worker"])
def test_contexts_of_requests_at_the_same_time_are_apart(app: Erlen, kind: str) -> None:
    if kind == "coroutine":

        @app.get("/<n>")
        async def index(n: str) -> str:
            g.n = n
            for _ in range(3):
                await asyncio.sleep(0)
            return f"{g.n} {request.path}"

    else:
        barrier = threading.Barrier(5)

        @app.get("/<n>")
        def index(n: str) -> str:
            g.n = n
            barrier.wait(10)
            return f"{g.n} {request.path}"

    async def main() -> None:
        answers = await asyncio.gather(*(call(app, http(f"/{n}")) for n in range(5)))
        assert [sent[1]["body"].decode() for sent in answers] == [f"{n} /{n}" for n in range(5)]

    for _ in range(3):
        asyncio.run(main())


def test_an_unknown_type_of_connection_is_refused(app: Erlen) -> None:
    with pytest.raises(RuntimeError, match="smoke-signal"):
        asyncio.run(call(app, {"type": "smoke-signal"}))


def test_wrapped_wsgi_middleware_takes_part(app: Erlen) -> None:
    inner = app.wsgi_app

    def louder(environ: Any, start_response: Any) -> Any:
        return [piece.upper() for piece in inner(environ, start_response)]

    app.wsgi_app = louder  # type: ignore[method-assign]
    app.add_url_rule("/", view_func=native)
    assert fetch(app) == (200, b"LOOP")  # where the middleware waits for it

"""WebSockets and lifespans in tests, from the server's end."""

from __future__ import annotations

import typing as t
from collections.abc import AsyncIterator

import pytest
from asgi_apps import (
    Living,
    Message,
    Receive,
    Send,
    answering,
    echo,
    serving,
)

from erlen import Erlen
from erlen.testing import (
    FlaskClient,
    WebSocketClosed,
    WebSocketRefused,
)


@pytest.fixture
def client(app: Erlen) -> FlaskClient:
    """A client over ASGI, whatever carries the other requests of this run."""
    return app.test_client(transport="asgi")


# WebSockets


def test_a_socket_carries_text_bytes_and_json(app: Erlen) -> None:
    with serving(app, echo).websocket("/") as socket:
        assert (socket.accepted, socket.subprotocol, socket.close_code) == (True, None, None)
        socket.send("text")
        socket.send(b"bytes")
        socket.send_json({"a": [1]})
        assert socket.receive() == "text"
        assert socket.receive() == b"bytes"
        assert socket.receive_json() == {"a": [1]}
    assert (socket.close_code, socket.close_reason) == (1000, "")


def test_the_scope_of_a_socket_says_what_was_asked(app: Erlen) -> None:
    seen: Message = {}

    async def asgi(scope: Message, receive: Receive, send: Send) -> None:
        seen.update(scope)
        await echo(scope, receive, send)

    client = serving(app, asgi)
    client.set_cookie("c", "1")
    with client.websocket(
        "/p?a=1",
        base_url="https://h.test",
        subprotocols=["b", "a"],
        headers={"Origin": "https://h.test"},
    ) as socket:
        assert socket.subprotocol == "b"
        assert socket.headers["X-Own"] == "a"
    assert {key: seen[key] for key in ("type", "scheme", "path", "query_string")} == {
        "type": "websocket",
        "scheme": "wss",
        "path": "/p",
        "query_string": b"a=1",
    }
    headers = dict(seen["headers"])
    assert headers[b"origin"] == b"https://h.test"
    assert headers[b"sec-websocket-protocol"] == b"b, a"
    assert (headers[b"connection"], headers[b"upgrade"]) == (b"Upgrade", b"websocket")
    assert seen["subprotocols"] == ["b", "a"]
    assert "method" not in seen


def test_cookies_go_both_ways_with_a_socket(app: Erlen) -> None:
    client = serving(app, echo)
    with client.websocket("/"):
        pass
    kept = client.get_cookie("seen")
    assert kept is not None
    assert kept.value == "1"


def test_iterating_a_socket_ends_when_the_application_closes(app: Erlen) -> None:
    with serving(app, echo).websocket("/") as socket:
        for text in ("a", "b", "close"):
            socket.send(text)
        assert list(socket) == ["a", "b"]
        assert (socket.close_code, socket.close_reason) == (4000, "asked")
        with pytest.raises(WebSocketClosed, match="4000 asked") as closed:
            socket.receive()
        assert (closed.value.code, closed.value.reason) == (4000, "asked")
        with pytest.raises(WebSocketClosed):
            socket.send("late")


@pytest.mark.parametrize("code", [1000, 1006, 4001])
def test_the_application_learns_why_a_client_closes(app: Erlen, code: int) -> None:
    seen: list[Message] = []

    async def asgi(scope: Message, receive: Receive, send: Send) -> None:
        await echo(scope, receive, send)
        seen.append(scope["state"]["ended"])
        assert await receive() == seen[0]
        with pytest.raises(OSError, match="has left"):
            await send({"type": "websocket.send", "text": "late"})

    with serving(app, asgi).websocket("/") as socket:
        socket.close(code, "why")
        assert socket.close_code == code
    assert seen == [{"type": "websocket.disconnect", "code": code, "reason": "why"}]


def test_a_refused_socket_is_an_error_with_the_response(app: Erlen) -> None:
    client = serving(app, answering({"type": "websocket.close"}))
    with pytest.raises(WebSocketRefused, match="403 FORBIDDEN") as refused:
        with client.websocket("/"):
            pytest.fail("it was not accepted")
    assert refused.value.response.data == b""

    client = serving(
        app,
        answering(
            {
                "type": "websocket.http.response.start",
                "status": 401,
                "headers": [(b"content-type", b"application/json"), (b"set-cookie", b"a=1")],
            },
            {"type": "websocket.http.response.body", "body": b'{"a":', "more_body": True},
            {"type": "websocket.http.response.body", "body": b"1}"},
        ),
    )
    with pytest.raises(WebSocketRefused) as refused:
        with client.websocket("/p"):
            pytest.fail("it was not accepted")
    response = refused.value.response
    assert (response.status_code, response.json, response.request.path) == (401, {"a": 1}, "/p")
    assert client.get_cookie("a") is not None


@pytest.mark.parametrize(
    ("messages", "error"),
    [
        pytest.param((), "neither accepted nor refused", id="nothing"),
        pytest.param(({"type": "websocket.send", "text": ""},), "out of order", id="send first"),
        pytest.param(
            ({"type": "websocket.close"}, {"type": "websocket.accept"}),
            "after the WebSocket was closed",
            id="accept after close",
        ),
        pytest.param(
            ({"type": "websocket.accept", "headers": [(b"A", b"")]},), "lower case", id="header"
        ),
        pytest.param(
            ({"type": "websocket.http.response.start", "status": 7},), "three digits", id="status"
        ),
    ],
)
def test_what_breaks_the_protocol_of_sockets_is_an_error(
    app: Erlen, messages: t.Any, error: str
) -> None:
    with pytest.raises((RuntimeError, ValueError), match=error):
        with serving(app, answering(*messages)).websocket("/"):
            pytest.fail("it was not accepted")


def test_an_error_behind_a_socket_is_raised_where_the_test_waits(app: Erlen) -> None:
    client = serving(app, echo)
    with client.websocket("/") as socket:
        socket.send("fail")
        with pytest.raises(ZeroDivisionError):
            socket.receive()
        with pytest.raises(WebSocketClosed):
            socket.receive()
    with pytest.raises(ZeroDivisionError):
        with client.websocket("/") as socket:
            socket.send("fail")


def test_an_error_in_the_block_of_a_socket_is_the_one_that_is_raised(app: Erlen) -> None:
    ended = []

    async def asgi(scope: Message, receive: Receive, send: Send) -> None:
        await echo(scope, receive, send)
        ended.append(scope["state"]["ended"]["code"])
        raise ZeroDivisionError

    with pytest.raises(KeyError), serving(app, asgi).websocket("/"):
        raise KeyError
    assert ended == [1006]


def test_waiting_for_a_message_can_have_a_limit(app: Erlen) -> None:
    with serving(app, echo).websocket("/") as socket:
        with pytest.raises(TimeoutError, match="No message came within 0.01 s"):
            socket.receive(timeout=0.01)
        socket.send("still open")
        assert socket.receive(timeout=5) == "still open"


def test_an_application_waits_when_a_client_does_not_receive(
    app: Erlen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("erlen.testing.sessions.MOST_UNREAD", 3)
    sent: list[int] = []

    async def flood(scope: Message, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        for number in range(10):
            sent.append(number)
            await send({"type": "websocket.send", "text": str(number)})
        await send({"type": "websocket.close"})

    with serving(app, flood).websocket("/") as socket:
        assert socket.receive() == "0"
        assert len(sent) <= 4
        assert list(socket) == [str(number) for number in range(1, 10)]


def test_two_sockets_are_open_at_once(app: Erlen) -> None:
    client = serving(app, echo)
    with client.websocket("/") as one, client.websocket("/") as other:
        one.send("1")
        other.send("2")
        assert (other.receive(), one.receive()) == ("2", "1")


def test_sockets_and_lifespans_need_asgi(app: Erlen) -> None:
    over_wsgi = app.test_client(transport="wsgi")
    for manager in (over_wsgi.websocket("/"), over_wsgi.lifespan()):
        with pytest.raises(RuntimeError, match=r"app.test_client\(transport='asgi'\)"):
            manager.__enter__()


# Lifespans


def test_a_lifespan_starts_and_ends_the_application(app: Erlen) -> None:
    living = Living()
    client = serving(app, living)
    with client.lifespan() as state:
        assert state == {"pool": "open"}
        client.get("/")
        with pytest.raises(WebSocketRefused), client.websocket("/"):
            pytest.fail("it was not accepted")
    client.get("/")
    served = ["http {'pool': 'open'}", "websocket {'pool': 'open'}", "shutdown", "http {}"]
    assert living.log == ["startup", *served]


@pytest.mark.parametrize(
    ("living", "kind", "text", "log"),
    [
        pytest.param(
            Living("failed"), RuntimeError, "startup failed: no database", "startup", id="startup"
        ),
        pytest.param(Living(KeyError()), KeyError, None, "startup", id="error at startup"),
        pytest.param(
            Living(end="failed"),
            RuntimeError,
            "shutdown failed: no database",
            "startup, shutdown",
            id="shutdown",
        ),
        pytest.param(
            Living(end=KeyError()), KeyError, None, "startup, shutdown", id="error at shutdown"
        ),
    ],
)
def test_a_lifespan_that_fails_is_an_error(
    app: Erlen, living: Living, kind: type[Exception], text: str | None, log: str
) -> None:
    living.log.clear()
    with pytest.raises(kind, match=text), serving(app, living).lifespan():
        pass
    assert ", ".join(living.log) == log


def test_a_lifespan_of_an_application_of_ours_runs_its_functions(
    app: Erlen, client: FlaskClient
) -> None:
    log = []

    @app.while_serving
    async def around() -> AsyncIterator[None]:
        log.append("start")
        yield
        log.append("end")

    app.add_url_rule("/", "view", lambda: ",".join(log))
    with client.lifespan():
        assert log == ["start"]
        assert client.get("/").text == "start"
    assert log == ["start", "end"]

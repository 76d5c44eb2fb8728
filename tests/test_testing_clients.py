"""Test clients over ASGI: transports, contexts, loops; and the one to await."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import subprocess
import threading
import typing as t
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

import pytest
from asgi_apps import (
    Living,
    Message,
    Receive,
    Send,
    echo,
    environ,
)
from werkzeug.test import run_wsgi_app

from erlen import Erlen, g, has_request_context, redirect, request, session
from erlen.testing import (
    AsyncFlaskClient,
    FlaskClient,
)
from erlen.testing.asgi import Carrier
from erlen.testing.loops import loop_thread


@pytest.fixture
def client(app: Erlen) -> FlaskClient:
    """A client over ASGI, whatever carries the other requests of this run."""
    return app.test_client(transport="asgi")


# Clients


def test_wsgi_carries_requests_unless_told_otherwise(
    app: Erlen, monkeypatch: pytest.MonkeyPatch
) -> None:
    @app.route("/")
    def view() -> str:
        return str("asgi.scope" in request.environ)

    monkeypatch.delenv("ERLEN_TEST_TRANSPORT", raising=False)
    assert app.test_client().transport == "wsgi"
    assert app.test_client().get("/").text == "False"
    assert app.test_client(transport="asgi").get("/").text == "True"
    monkeypatch.setenv("ERLEN_TEST_TRANSPORT", "asgi")
    assert app.test_client().get("/").text == "True"
    assert FlaskClient(app).get("/").text == "True"
    assert app.test_client(transport="wsgi").get("/").text == "False"


def test_an_unknown_transport_is_refused(app: Erlen, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="is 'wsgi' or 'asgi', not 'http'"):
        app.test_client(transport="http")
    monkeypatch.setenv("ERLEN_TEST_TRANSPORT", "ASGI")
    with pytest.raises(ValueError, match="not 'ASGI'"):
        app.test_client()


def test_a_class_of_ones_own_goes_over_asgi_too(app: Erlen) -> None:
    class Client(FlaskClient):
        def __init__(self, *args: t.Any, token: str, **kwargs: t.Any) -> None:
            super().__init__(*args, **kwargs)
            self.token = token

        def log_in(self) -> t.Any:
            return self.get("/", headers={"X-Token": self.token})

    app.test_client_class = Client
    app.add_url_rule("/", "view", lambda: request.headers["X-Token"])
    client = app.test_client(transport="asgi", token="t")
    assert isinstance(client, Client)
    assert client.log_in().text == "t"


@pytest.mark.parametrize("path", ["/sync", "/async", "/inline"])
def test_in_a_block_the_contexts_of_the_last_request_stay(
    app: Erlen, client: FlaskClient, path: str
) -> None:
    def view() -> str:
        g.path = session["path"] = request.path
        return ""

    async def async_view() -> str:
        return view()

    app.add_url_rule("/sync", "sync", view)
    app.add_url_rule("/async", "async", async_view)
    app.add_url_rule("/inline", "inline", view, inline=True)
    ended: list[str] = []
    app.teardown_request(lambda error: ended.append(request.path))
    with client:
        for _ in range(3):
            client.get(path)
            assert (request.path, g.path, session["path"]) == (path, path, path)
    assert not has_request_context()
    assert ended == [path] * 6
    client.get(path)
    assert not has_request_context()


def test_a_transaction_changes_the_session(app: Erlen, client: FlaskClient) -> None:
    app.add_url_rule("/", "view", lambda: dict(session))
    with client.session_transaction() as opened:
        opened["a"] = 1
    assert client.get("/").json == {"a": 1}


def test_what_the_client_does_for_the_application_waits_on_its_loop(
    app: Erlen, client: FlaskClient
) -> None:
    loops = []

    @app.route("/")
    async def view() -> str:
        loops.append(asyncio.get_running_loop())
        return ""

    @app.teardown_request
    async def end(error: t.Any) -> None:
        loops.append(asyncio.get_running_loop())

    with client:
        client.get("/")
    assert len(loops) == 3
    assert set(loops) == {loop_thread().loop}


def test_context_variables_of_the_test_reach_the_view(app: Erlen, client: FlaskClient) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    app.add_url_rule("/sync", "sync", lambda: variable.get())

    @app.route("/async")
    async def view() -> str:
        return variable.get()

    variable.set("of the test")
    assert client.get("/sync").text == client.get("/async").text == "of the test"


def test_an_application_context_of_the_test_is_shared(app: Erlen, client: FlaskClient) -> None:
    app.add_url_rule("/", "view", lambda: g.mark)
    with app.app_context():
        g.mark = "of the test"
        assert client.get("/").text == "of the test"


def test_a_sync_client_works_in_a_coroutine(app: Erlen, client: FlaskClient) -> None:
    @app.route("/")
    async def view() -> str:
        await asyncio.sleep(0)
        return "view"

    async def test() -> str:
        return client.get("/").text

    assert asyncio.run(test()) == "view"


@pytest.mark.parametrize("path", ["/sync", "/async"])
def test_a_view_can_ask_through_a_client(app: Erlen, client: FlaskClient, path: str) -> None:
    def nested() -> str:
        return f"outer and {app.test_client(transport='asgi').get('/inner').text}"

    async def nested_async() -> str:
        before = nested()
        await asyncio.sleep(0)
        return before

    app.add_url_rule("/inner", "inner", lambda: "inner")
    app.add_url_rule("/sync", "sync", nested)
    app.add_url_rule("/async", "async", nested_async)
    assert client.get(path).text == "outer and inner"


def test_each_thread_has_a_loop_beside_it_as_long_as_it_lives(app: Erlen) -> None:
    loops = []

    def serve() -> None:
        loops.append(loop_thread().loop)
        assert app.test_client(transport="asgi").get("/").status_code == 404
        assert loop_thread().loop is loops[-1]

    for _ in range(2):
        thread = threading.Thread(target=serve)
        thread.start()
        thread.join(10)
    gc.collect()
    assert loops[0] is not loops[1]
    assert all(loop.is_closed() for loop in loops)


def test_the_application_goes_on_between_calls(app: Erlen, client: FlaskClient) -> None:
    done = threading.Event()

    @app.route("/")
    async def view() -> str:
        asyncio.get_running_loop().call_later(0.01, done.set)
        return ""

    client.get("/")
    assert done.wait(5)


def test_an_interrupted_request_is_left(app: Erlen, client: FlaskClient) -> None:
    class Interrupted(Exception):
        pass

    left = threading.Event()

    async def endless(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        assert await receive() == {"type": "http.disconnect"}
        left.set()

    def interrupted(coro: Coroutine[t.Any, t.Any, t.Any]) -> t.Any:
        async def cancelled() -> None:
            await asyncio.wait_for(coro, 0.01)

        try:
            return loop_thread().wait(cancelled())
        except asyncio.TimeoutError:
            raise Interrupted from None

    with pytest.raises(Interrupted):
        run_wsgi_app(Carrier(endless, interrupted), environ())
    assert left.wait(5)


SCRIPT = """
import os
from erlen import Erlen
app = Erlen(__name__)
@app.get("/")
async def view():
    return "view"
client = app.test_client(transport="asgi")
"""


def test_the_loop_ends_with_the_process(
    run_python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    code = """
@app.get("/leave")
async def leave():
    import asyncio
    async def late():
        try:
            await asyncio.Event().wait()
        finally:
            print(await asyncio.to_thread(lambda: "ended"), flush=True)
    app.late = asyncio.create_task(late())
    await asyncio.sleep(0)
    return "left"
print(client.get("/leave").text, flush=True)
"""
    done = run_python(SCRIPT + code)
    assert (done.stdout.split(), done.stderr) == (["left", "ended"], "")


def test_a_stream_that_is_left_open_ends_with_the_process(
    run_python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    code = """
@app.get("/stream")
async def stream():
    async def pieces():
        try:
            yield "a"
            yield "b"
        finally:
            print("closed", flush=True)
    return pieces()
response = client.get("/stream")
print(next(response.iter_encoded()).decode(), flush=True)
"""
    done = run_python(SCRIPT + code)
    assert (done.stdout.split(), done.stderr) == (["a", "closed"], "")


def test_a_forked_process_has_a_loop_of_its_own(
    run_python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    code = """
print(client.get("/").text, flush=True)
child = os.fork()
if child:
    os.waitpid(child, 0)
    print("parent", client.get("/").text, flush=True)
else:
    print("child", client.get("/").text, flush=True)
"""
    # Python warns of the threads that a forked process leaves behind: that is what is tested.
    done = run_python("-W", "ignore::DeprecationWarning", "-c", SCRIPT + code)
    assert (done.stdout.split(), done.stderr) == (
        ["view", "child", "view", "parent", "view"],
        "",
    )


# The client to await


def run(test: Callable[[AsyncFlaskClient], Coroutine[t.Any, t.Any, None]], app: Erlen) -> None:
    """Run a test that is a coroutine function, as plugins of pytest do."""

    async def main() -> None:
        await test(app.async_test_client())

    asyncio.run(main())


@pytest.mark.parametrize("method", "get post put patch delete head options trace".split())
def test_every_method_can_be_awaited(app: Erlen, method: str) -> None:
    @app.route("/<name>", methods=[method.upper()], provide_automatic_options=False)
    def view(name: str) -> t.Any:
        return {"method": request.method, "name": name}, {"X-Method": request.method}

    async def test(client: AsyncFlaskClient) -> None:
        answer = await getattr(client, method)("/n", headers={"A": "b"})
        assert (answer.status_code, answer.headers["X-Method"]) == (200, method.upper())
        if method != "head":
            assert answer.json == {"method": method.upper(), "name": "n"}

    run(test, app)


def test_the_application_runs_on_the_loop_of_the_test(app: Erlen) -> None:
    loops = []

    @app.route("/", methods=["POST"])
    async def view() -> t.Any:
        loops.append(asyncio.get_running_loop())
        await asyncio.sleep(0)
        return await asyncio.gather(*[asyncio.sleep(0, request.get_json()["a"])] * 2)

    @app.before_request
    async def before() -> None:
        loops.append(asyncio.get_running_loop())

    async def test(client: AsyncFlaskClient) -> None:
        assert (await client.post("/", json={"a": 1})).json == [1, 1]
        assert loops == [asyncio.get_running_loop()] * 2

    run(test, app)


def test_the_awaited_client_keeps_cookies_and_follows_redirects(app: Erlen) -> None:
    app.add_url_rule("/", "go", lambda: redirect("/end"))
    app.add_url_rule("/end", "end", lambda: [request.cookies.get("a"), session.get("b")])

    async def test(client: AsyncFlaskClient) -> None:
        client.set_cookie("a", "1")
        async with client.session_transaction() as opened:
            opened["b"] = 2
        answer = await client.get("/", follow_redirects=True)
        assert (answer.json, len(answer.history)) == (["1", 2], 1)
        kept = client.get_cookie("a")
        assert kept is not None
        assert kept.value == "1"
        client.delete_cookie("a")
        assert (await client.get("/end")).json == [None, 2]
        client.environ_base["REMOTE_ADDR"] = "192.0.2.1"
        assert client.application is app

    run(test, app)


def test_in_an_async_block_contexts_stay_in_the_tests_task(app: Erlen) -> None:
    ended = []

    @app.route("/<kind>")
    async def view(kind: str) -> str:
        g.kind = session["kind"] = kind
        return ""

    @app.teardown_request
    async def end(error: t.Any) -> None:
        await asyncio.sleep(0)
        ended.append(request.path)

    async def test(client: AsyncFlaskClient) -> None:
        async with client:
            assert client.preserve_context
            for kind in ("one", "two"):
                await client.get(f"/{kind}")
                assert (g.kind, session["kind"], request.path) == (kind, kind, f"/{kind}")
        assert not has_request_context()
        assert ended == ["/one", "/one", "/two", "/two"]
        with pytest.raises(RuntimeError, match="Cannot nest"):
            async with client, client:
                pass

    run(test, app)


def test_an_error_of_the_application_is_raised_where_it_is_awaited(app: Erlen) -> None:
    @app.route("/")
    async def view() -> t.NoReturn:
        raise ZeroDivisionError

    async def test(client: AsyncFlaskClient) -> None:
        with pytest.raises(ZeroDivisionError):
            await client.get("/")

    run(test, app)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_stream_is_there_with_its_head_and_ends_with_its_block(app: Erlen, kind: str) -> None:
    steps: list[t.Any] = []
    go_on = asyncio.Event()

    async def async_pieces() -> AsyncIterator[str]:
        try:
            await go_on.wait()
            for number in range(3):
                steps.append(number)
                yield str(number)
        finally:
            steps.append("closed")

    def pieces() -> Iterator[str]:
        try:
            for number in range(3):
                steps.append(number)
                yield str(number)
        finally:
            steps.append("closed")

    @app.route("/")
    async def view() -> t.Any:
        return app.response_class(pieces() if kind == "sync" else async_pieces(), 202)

    async def test(client: AsyncFlaskClient) -> None:
        async with client.stream("/") as response:
            assert response.status_code == 202
            go_on.set()
            async for chunk in response:
                assert chunk == b"0"
                break
        assert steps == [0, "closed"]
        async with client.stream("/") as response:
            assert await response.read() == b"012"
            assert response.text == "012"
        async with client.stream("/") as response:
            assert [chunk async for chunk in response] == [b"0", b"1", b"2"]

    run(test, app)


def test_a_request_that_is_cancelled_leaves(app: Erlen) -> None:
    async def test(client: AsyncFlaskClient) -> None:
        left = asyncio.Event()

        async def endless(scope: Message, receive: Receive, send: Send) -> None:
            await receive()
            assert await receive() == {"type": "http.disconnect"}
            left.set()

        app.asgi_app = endless  # type: ignore[method-assign]
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.get("/"), 0.01)
        await asyncio.wait_for(left.wait(), 5)

    run(test, app)


def test_sockets_and_lifespans_can_be_awaited(app: Erlen) -> None:
    living = Living()

    async def asgi(scope: Message, receive: Receive, send: Send) -> None:
        await (living if scope["type"] == "lifespan" else echo)(scope, receive, send)

    async def test(client: AsyncFlaskClient) -> None:
        async with client.lifespan() as state, client.websocket("/", subprotocols=["a"]) as socket:
            assert (state, socket.subprotocol) == ({"pool": "open"}, "a")
            await socket.send("text")
            await socket.send_json([1])
            assert await socket.receive() == "text"
            assert await socket.receive_json(timeout=5) == [1]
            with pytest.raises(TimeoutError):
                await socket.receive(timeout=0.01)
            await socket.send("x")
            await socket.send("close")
            assert [message async for message in socket] == ["x"]
            assert socket.close_code == 4000
        assert living.log == ["startup", "shutdown"]
        async with client.websocket("/") as socket:
            await socket.close(1001)
        with pytest.raises(KeyError):
            async with client.websocket("/"):
                raise KeyError

    app.asgi_app = asgi  # type: ignore[method-assign]
    run(test, app)


def test_a_class_of_ones_own_is_behind_the_awaited_client(app: Erlen) -> None:
    class Client(FlaskClient):
        def open(self, *args: t.Any, **kwargs: t.Any) -> t.Any:
            return super().open(*args, **{**kwargs, "headers": {"X-Token": "t"}})

    app.test_client_class = Client
    app.add_url_rule("/", "view", lambda: request.headers["X-Token"])

    async def test(client: AsyncFlaskClient) -> None:
        assert (await client.get("/")).text == "t"
        assert repr(client) == "<AsyncFlaskClient <Erlen 'test_app'>>"

    run(test, app)

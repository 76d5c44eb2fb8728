"""The same WebSockets on Quart, whose API these follow: the same messages go to the client."""

from __future__ import annotations

import asyncio
import importlib
import warnings
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

import pytest
from sockets import Client, run_async

Script = Callable[[Client], Awaitable[None]]


@pytest.fixture(scope="module")
def packages() -> tuple[ModuleType, ModuleType]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quart = pytest.importorskip("quart", reason="Quart is not installed")
    return importlib.import_module("erlen"), quart


#: The stages of a WebSocket's life are no methods of the application: Quart's are coroutines,
#: which no override could share with ours. Hooks, error handlers and `websocket_class` are there.
LACKING = {
    "Quart": {
        *("asgi_websocket_class", "dispatch_websocket", "do_teardown_websocket"),
        *("finalize_websocket", "full_dispatch_websocket", "handle_websocket"),
        *("handle_websocket_exception", "postprocess_websocket", "preprocess_websocket"),
        "websocket_context",
    },
    # How messages are buffered: here they are not.
    "Websocket": {"buffer_class"},
}


class Left(Exception):
    """A client's own error, in views below."""


def build(package: ModuleType) -> Any:
    """The application under test, on one of the two."""
    cls = getattr(package, "Erlen", None) or package.Quart
    app = cls(__name__)
    app.config.update(SECRET_KEY="key", PROPAGATE_EXCEPTIONS=False)
    websocket, abort = package.websocket, package.abort
    blueprint = package.Blueprint("blueprint", __name__, url_prefix="/bp")

    @app.websocket("/echo")
    async def echo() -> None:
        while True:
            await websocket.send(await websocket.receive())

    @app.websocket("/json")
    async def json() -> None:
        value = await websocket.receive_json()
        await websocket.send_json(value)
        await websocket.send_json(1, 2)
        await websocket.send_json(a=value)

    @app.websocket("/accepts")
    async def accepts() -> None:
        await websocket.accept(headers={"X-Extra": "1"}, subprotocol="b")
        await websocket.accept(headers={"X-Extra": "2"})

    @app.websocket("/closes")
    async def closes() -> None:
        await websocket.accept()
        await websocket.close(4000, "reason")

    @app.websocket("/closes-first")
    async def closes_first() -> None:
        await websocket.close(1000)

    @app.websocket("/returns")
    async def returns() -> Any:
        return {"no": 1}, 400, {"X-Extra": "1"}

    @app.websocket("/returns-late")
    async def returns_late() -> Any:
        await websocket.accept()
        return "ignored", 400

    @app.websocket("/aborts")
    async def aborts() -> None:
        abort(401)

    @app.websocket("/ends")
    async def ends() -> None:
        await websocket.accept()

    @app.websocket("/fails-first")
    async def fails_first() -> None:
        raise ZeroDivisionError

    @app.websocket("/handled")
    async def handled() -> None:
        raise Left

    @app.errorhandler(Left)
    async def handler(error: Left) -> Any:
        return f"handled {websocket.path}", 409

    @app.websocket("/about/<int:number>")
    async def about(number: int) -> None:
        await websocket.send_json(
            args=websocket.args.getlist("q"),
            blueprint=websocket.blueprint,
            cookies=websocket.cookies,
            endpoint=websocket.endpoint,
            full_path=websocket.full_path,
            has=[package.has_websocket_context()],
            headers=websocket.headers.get("X-Own"),
            host=websocket.host,
            number=number,
            offered=websocket.requested_subprotocols,
            path=websocket.path,
            query=websocket.query_string.decode(),
            remote=websocket.remote_addr,
            root=websocket.root_path,
            scheme=websocket.scheme,
            url=websocket.url,
            url_root=websocket.url_root,
            view_args=websocket.view_args,
        )

    @blueprint.before_websocket
    async def before() -> Any:
        package.g.steps = ["before"]
        if "refuse" in websocket.args:
            return "refused by a hook", 403
        return None

    @blueprint.after_websocket
    async def after(response: Any) -> Any:
        if response is not None:
            response.headers["X-After"] = ",".join(package.g.steps)
        return response

    @blueprint.websocket("/hooked")
    async def hooked() -> None:
        await websocket.send(",".join(package.g.steps))

    @app.websocket("/session")
    async def session() -> None:
        await websocket.send_json(dict(package.session))

    app.register_blueprint(blueprint)
    return app


def seen_by_client(client: Client) -> list[Any]:
    """What the application has sent, without what servers do not tell apart."""
    seen: list[Any] = []
    body = b""
    for message in client.sent:
        kind = message["type"].removeprefix("websocket.")
        if kind == "accept":
            headers = sorted((k.lower(), v) for k, v in message.get("headers", ()))
            seen.append((kind, message.get("subprotocol"), headers))
        elif kind == "send":
            seen.append((kind, message.get("bytes") or message.get("text")))
        elif kind == "close":
            seen.append((kind, message.get("code", 1000), message.get("reason") or ""))
        elif kind == "http.response.start":
            headers = {k.lower(): v for k, v in message["headers"]}
            headers.pop(b"content-length", None)
            headers.pop(b"vary", None)  # with Quart's cookie interface of late on every response
            seen.append((kind, message["status"], sorted(headers.items())))
        else:
            body += message["body"]
    return [*seen, body]


async def nothing(client: Client) -> None:
    await asyncio.wait([client.task])


async def some_messages(client: Client) -> None:
    for message in ("text", b"bytes", "\N{SNOWMAN}"):
        client.send(message)
        assert await client.receive() == message
    client.leave()


async def one_value(client: Client) -> None:
    client.send('{"b": [1, null, "\\u00e9"], "a": 1.5}')
    await asyncio.wait([client.task])


@pytest.mark.parametrize(
    ("path", "script"),
    [
        ("/echo", some_messages),
        ("/json", one_value),
        ("/accepts", nothing),
        ("/closes", nothing),
        ("/closes-first", nothing),
        ("/returns", nothing),
        ("/returns-late", nothing),
        ("/aborts", nothing),
        ("/ends", nothing),
        ("/fails-first", nothing),
        ("/handled", nothing),
        ("/nowhere", nothing),
        ("/about/1?q=1&q=2", nothing),
        ("/bp/hooked", nothing),
        ("/bp/hooked?refuse", nothing),
        ("/session", nothing),
    ],
)
@run_async
async def test_the_client_gets_the_same_messages(
    packages: tuple[ModuleType, ModuleType], path: str, script: Script
) -> None:
    seen = []
    for package in packages:
        client = Client(build(package), path, subprotocols=["a", "b"], headers={"x-own": "1"})
        client.start()
        await asyncio.wait_for(script(client), 10)
        await client.end()
        seen.append(seen_by_client(client))
    assert seen[0] == seen[1]


def test_what_quart_has_for_websockets_is_here(packages: tuple[ModuleType, ModuleType]) -> None:
    erlen, quart = packages
    for there, here in (
        (quart, erlen),
        (quart.Blueprint, erlen.Blueprint),
        (quart.Quart, erlen.Erlen),
        (quart.Websocket, erlen.Websocket),
    ):
        public = {name for name in dir(there) if not name.startswith("_")}
        if there is quart.Websocket:
            # Those of a request are found on its instances.
            public -= set(dir(quart.Request))
        else:
            public = {name for name in public if "websocket" in name.lower()}
        lacking = {name for name in public if not hasattr(here, name)}
        assert lacking <= LACKING.get(there.__name__, set()), there

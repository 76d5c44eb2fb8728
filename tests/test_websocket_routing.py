"""How the view of a WebSocket is found, and which pages may connect to it."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner
from sockets import Client, connected, run_async

from erlen import (
    Blueprint,
    Erlen,
    Websocket,
    url_for,
    websocket,
)
from erlen.cli import FlaskGroup


async def without() -> None: ...
async def by_type(connection: Websocket) -> None: ...


# Finding the view


@run_async
async def test_a_page_and_a_socket_may_share_a_url(app: Erlen) -> None:
    @app.get("/both")
    def page() -> str:
        return "page"

    @app.websocket("/both")
    async def socket() -> None:
        await websocket.send("socket")

    assert app.test_client().get("/both").text == "page"
    async with connected(app, "/both") as client:
        assert await client.receive() == "socket"


@run_async
async def test_the_wrong_kind_of_connection_is_told(app: Erlen) -> None:
    app.add_url_rule("/page", "page", lambda: "page")
    app.add_websocket("/socket", "socket", without)
    for path, status in (("/page", 400), ("/nowhere", 404)):
        async with connected(app, path) as client:
            await client.end()
        assert client.status == status
    assert app.test_client().get("/socket").status_code == 400
    answer = app.test_client().get(
        "/socket", headers={"Connection": "Upgrade", "Upgrade": "websocket"}
    )
    assert answer.status_code == 501 and "WebSockets need an ASGI server" in answer.text


@run_async
async def test_a_socket_is_found_below_a_root_path(app: Erlen) -> None:
    @app.websocket("/socket")
    async def socket() -> None:
        await websocket.send(f"{websocket.root_path} {url_for('socket')}")

    async with connected(app, "/mounted/socket", root_path="/mounted") as client:
        assert await client.receive() == "/mounted ws://localhost/mounted/socket"


@run_async
async def test_a_host_that_is_not_trusted_is_refused(app: Erlen) -> None:
    app.config["TRUSTED_HOSTS"] = ["example.com"]
    app.add_websocket("/", "view", without)
    async with connected(app) as client:
        await client.end()
    assert client.status == 400
    async with connected(app, headers={"host": "example.com"}) as client:
        await client.end()
    assert client.kinds == ["close"]


@run_async
async def test_nested_blueprints_register_sockets_below_their_prefixes(app: Erlen) -> None:
    outer = Blueprint("outer", __name__, url_prefix="/outer")
    inner = Blueprint("inner", __name__, url_prefix="/inner")

    async def view(word: str) -> None:
        await websocket.send(f"{websocket.endpoint} {websocket.blueprints} {word}")

    inner.add_websocket("/<word>", "named", view, defaults={})
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    async with connected(app, "/outer/inner/x") as client:
        assert await client.receive() == "outer.inner.named ['outer.inner', 'outer'] x"


def test_an_endpoint_has_one_function(app: Erlen) -> None:
    app.add_websocket("/", "view", without)
    with pytest.raises(AssertionError, match="overwriting an existing endpoint function: view"):
        app.add_websocket("/other", "view", by_type)


# Origins

OWN = "http://localhost"


@pytest.mark.parametrize(
    ("origin", "host", "allowed", "is_let_in"),
    [
        (None, "localhost", None, True),
        ("http://localhost", "localhost", None, True),
        ("https://localhost", "localhost", None, True),
        ("https://LocalHost", "LOCALHOST", None, True),
        ("https://localhost:443", "localhost", None, True),
        ("http://localhost:8000", "localhost:8000", None, True),
        ("http://[::1]:8000", "[::1]:8000", None, True),
        ("http://localhost:8000", "localhost:8001", None, False),
        ("http://localhost", "localhost:8000", None, False),
        ("http://evil.com", "localhost", None, False),
        ("http://localhost.evil.com", "localhost", None, False),
        ("http://evil.com/localhost", "localhost", None, False),
        ("http://localhost@evil.com", "localhost", None, False),
        ("http://user@localhost", "localhost", None, False),
        ("http://localhost/", "localhost", None, False),
        ("http://localhost, http://evil.com", "localhost", None, False),
        ("http://localhost:x", "localhost", None, False),
        ("http://[::1", "localhost", None, False),
        ("file://localhost", "localhost", None, False),
        ("null", "localhost", None, False),
        ("", "localhost", None, False),
        ("https://app.example", "localhost", ["https://app.example"], True),
        ("https://APP.example", "localhost", ["https://app.EXAMPLE/"], True),
        ("http://app.example", "localhost", ["https://app.example"], False),
        ("https://app.example", "localhost", "https://app.example", True),
        ("http://localhost", "localhost", ["https://app.example"], True),
        ("capacitor://localhost", "localhost", ["capacitor://localhost"], True),
        ("null", "localhost", ["null"], True),
        ("https://evil.com", "localhost", ["*"], True),
        ("https://evil.com", "localhost", "*", True),
    ],
)
@run_async
async def test_only_pages_of_the_own_host_may_connect_unless_others_are_allowed(
    app: Erlen, origin: str | None, host: str, allowed: Any, is_let_in: bool
) -> None:
    if allowed is not None:
        app.config["WEBSOCKET_ALLOWED_ORIGINS"] = allowed

    @app.websocket("/")
    async def view() -> None:
        await websocket.accept()

    headers = {"host": host} if origin is None else {"host": host, "origin": origin}
    async with connected(app, headers=headers) as client:
        await client.end()
    assert client.kinds[0] == ("accept" if is_let_in else "http.response.start")
    assert is_let_in or client.status == 403


@run_async
async def test_two_origins_are_none(app: Erlen) -> None:
    app.add_websocket("/", "view", without)
    client = Client(app)
    client.scope["headers"] += [(b"origin", OWN.encode())] * 2
    client.start()
    await client.end()
    assert client.status == 403


@run_async
async def test_a_setting_that_is_no_list_of_origins_is_an_error(app: Erlen) -> None:
    app.config["WEBSOCKET_ALLOWED_ORIGINS"] = 3
    app.add_websocket("/", "view", without)
    client = Client(app, headers={"origin": OWN})
    client.start()
    with pytest.raises(AssertionError, match="WEBSOCKET_ALLOWED_ORIGINS has to be a list"):
        await client.end()


def test_the_list_of_routes_tells_sockets_from_pages(app: Erlen) -> None:
    app.add_websocket("/socket", "socket", without)
    app.add_url_rule("/page", "page", lambda: "page")
    group = FlaskGroup(create_app=lambda: app)
    result = CliRunner().invoke(group, ["routes"])
    rows = [line.split() for line in result.output.splitlines()]
    assert ["socket", "WebSocket", "/socket"] in rows
    assert ["page", "GET", "/page"] in rows

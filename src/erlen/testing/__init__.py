"""Requests and commands without a server: the test clients, their requests, and the command runner.

Source: Flask, "Testing Flask Applications".
"""

from __future__ import annotations

import typing as t

from .builder import EnvironBuilder
from .client import FlaskClient
from .runner import FlaskCliRunner

if t.TYPE_CHECKING:
    from .aclient import AsyncFlaskClient as AsyncFlaskClient
    from .aclient import AsyncTestResponse as AsyncTestResponse
    from .sessions import WebSocketClosed as WebSocketClosed
    from .sessions import WebSocketRefused as WebSocketRefused
    from .websocket import AsyncWebSocketSession as AsyncWebSocketSession
    from .websocket import WebSocketSession as WebSocketSession

__all__ = [
    "AsyncFlaskClient",
    "AsyncTestResponse",
    "AsyncWebSocketSession",
    "EnvironBuilder",
    "FlaskCliRunner",
    "FlaskClient",
    "WebSocketClosed",
    "WebSocketRefused",
    "WebSocketSession",
]

# Only tests over ASGI need these.
_LATER = {
    "AsyncFlaskClient": "aclient",
    "AsyncTestResponse": "aclient",
    "AsyncWebSocketSession": "websocket",
    "WebSocketClosed": "sessions",
    "WebSocketRefused": "sessions",
    "WebSocketSession": "websocket",
}


def __getattr__(name: str) -> t.Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_LATER[name]}", __package__), name)

"""WebSockets: the object that a view receives from and sends to, and its context.

The API is Quart's where Quart has one. Source: RFC 6455; ASGI, "WebSocket".
"""

from __future__ import annotations

from .blocking import BlockingWebsocket
from .context import PlainContext, WebsocketContext
from .errors import BadMessage, WebsocketDisconnected
from .socket import Websocket

__all__ = [
    "BadMessage",
    "BlockingWebsocket",
    "PlainContext",
    "Websocket",
    "WebsocketContext",
    "WebsocketDisconnected",
]

"""Erlen: Flask's API on an engine of its own."""

from __future__ import annotations

import typing as t
from importlib import import_module

from . import imports as imports  # first: it decides how Werkzeug is imported

from . import json as json  # isort: skip
from .app import Erlen as Erlen
from .app import Flask as Flask
from .blueprints import Blueprint as Blueprint
from .config import Config as Config
from .ctx import after_this_request as after_this_request
from .ctx import after_this_websocket as after_this_websocket
from .ctx import copy_current_request_context as copy_current_request_context
from .ctx import copy_current_websocket_context as copy_current_websocket_context
from .ctx import has_app_context as has_app_context
from .ctx import has_request_context as has_request_context
from .ctx import has_websocket_context as has_websocket_context
from .engine.bridge import await_ as await_
from .globals import current_app as current_app
from .globals import g as g
from .globals import request as request
from .globals import session as session
from .globals import websocket as websocket
from .helpers import abort as abort
from .helpers import flash as flash
from .helpers import get_flashed_messages as get_flashed_messages
from .helpers import get_template_attribute as get_template_attribute
from .helpers import make_response as make_response
from .helpers import redirect as redirect
from .helpers import send_file as send_file
from .helpers import send_from_directory as send_from_directory
from .helpers import stream_with_context as stream_with_context
from .helpers import url_for as url_for
from .json import jsonify as jsonify
from .signals import appcontext_popped as appcontext_popped
from .signals import appcontext_pushed as appcontext_pushed
from .signals import appcontext_tearing_down as appcontext_tearing_down
from .signals import before_render_template as before_render_template
from .signals import got_request_exception as got_request_exception
from .signals import got_websocket_exception as got_websocket_exception
from .signals import message_flashed as message_flashed
from .signals import request_finished as request_finished
from .signals import request_started as request_started
from .signals import request_tearing_down as request_tearing_down
from .signals import template_rendered as template_rendered
from .signals import websocket_finished as websocket_finished
from .signals import websocket_started as websocket_started
from .signals import websocket_tearing_down as websocket_tearing_down
from .templating import render_template as render_template
from .templating import render_template_string as render_template_string
from .templating import stream_template as stream_template
from .templating import stream_template_string as stream_template_string
from .wrappers import Request as Request
from .wrappers import Response as Response

if t.TYPE_CHECKING:
    from .client import AsyncClient as AsyncClient
    from .client import Client as Client
    from .streaming import Event as Event
    from .streaming import EventStream as EventStream
    from .streaming import ndjson as ndjson
    from .websockets import BadMessage as BadMessage
    from .websockets import BlockingWebsocket as BlockingWebsocket
    from .websockets import Websocket as Websocket
    from .websockets import WebsocketDisconnected as WebsocketDisconnected

__version__ = "0.1.0"

# PERF: names that most applications never use are imported when they are asked for.
_LATER = {
    "AsyncClient": "client",
    "BadMessage": "websockets",
    "BlockingWebsocket": "websockets",
    "Client": "client",
    "Event": "streaming",
    "EventStream": "streaming",
    "Websocket": "websockets",
    "WebsocketDisconnected": "websockets",
    "ndjson": "streaming",
}


def __getattr__(name: str) -> t.Any:
    if name in _LATER:
        return getattr(import_module(f".{_LATER[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""The AsyncAPI 3.0 document of an application: its WebSockets and its event streams.

Source: AsyncAPI Specification 3.0.0; WebSockets and HTTP bindings 0.1.0 and 0.3.0.
"""

from __future__ import annotations

import typing as t
from urllib.parse import urlsplit

from pydantic import TypeAdapter

from ..engine.derive import functions_of
from ..engine.internals import converters_of
from .openapi import about, tags_of
from .operations import content_of, texts_of
from .schemas import GENERATOR, PLACE, Schema, of_converter, template_of, variables_of
from .structs import adapted

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from werkzeug.routing import Rule

_STREAM = "text/event-stream"


class _Channel(t.NamedTuple):
    """A WebSocket or an event stream."""

    name: str
    rule: Rule
    function: t.Any
    is_socket: bool


def document(app: t.Any, **said: t.Any) -> Schema:
    """The document of an application.

    What goes over a channel is told by the options `sends` and `receives` of its route: types.

    :param said: as for `openapi.document`; what has no place here is left out
    """
    channels = [*_channels(app)]
    messages = _Messages(channels)
    made: Schema = {"asyncapi": "3.0.0", "info": about(app, said)}
    tags = tags_of(app, (each.rule.endpoint.rpartition(".")[0] for each in channels), said)
    if tags:
        made["info"]["tags"] = tags
    servers = _servers(said.get("servers") or ())
    if servers:
        made["servers"] = servers
    made["channels"] = {each.name: _channel(each, messages, servers) for each in channels}
    made["operations"] = {
        f"{each.name}_{action}": _operation(each, action)
        for each in channels
        for action in _actions(each)
    }
    if messages.definitions:
        made["components"] = {"schemas": messages.definitions}
    return made


def _channels(app: t.Any) -> Iterator[_Channel]:
    names: set[str] = set()
    for rule in app.url_map.iter_rules():
        view = app.view_functions.get(rule.endpoint)
        if view is None or rule.build_only or getattr(rule, "hidden", False):
            continue
        for function, _ in [*functions_of(view)] or [(view, False)]:
            if not rule.websocket and _STREAM not in (content_of(function) or ()):
                continue
            name = getattr(rule, "operation_id", None) or rule.endpoint.replace(".", "_")
            while name in names:
                name += "_"
            names.add(name)
            yield _Channel(name, rule, function, rule.websocket)


def _actions(each: _Channel) -> tuple[str, ...]:
    """What the application does: AsyncAPI 3.0 is written from its side."""
    return ("send", "receive") if each.is_socket else ("send",)


class _Messages:
    """The schemas of what goes over channels."""

    def __init__(self, channels: Iterable[_Channel]) -> None:
        inputs: list[tuple[t.Any, t.Any, TypeAdapter[t.Any]]] = []
        for each in channels:
            for action in _actions(each):
                kind = getattr(each.rule, f"{action}s", None)
                if kind is not None:
                    mode = "serialization" if action == "send" else "validation"
                    inputs.append(((each.name, action), mode, TypeAdapter(adapted(kind))))
        made, found = TypeAdapter.json_schemas(
            inputs, ref_template=PLACE + "{model}", schema_generator=GENERATOR
        )
        self._made = {key: schema for (key, _), schema in made.items()}
        self.definitions: Schema = found.get("$defs", {})

    def of(self, each: _Channel, action: str) -> Schema:
        """The message object of a channel's direction."""
        schema = self._made.get((each.name, action))
        if not each.is_socket:
            payload = schema or {"type": "string"}
            return {"contentType": _STREAM, "payload": payload}
        if schema is None:
            return {"payload": {}}
        return {"contentType": "application/json", "payload": schema}


def _channel(each: _Channel, messages: _Messages, servers: Schema) -> Schema:
    summary, description = texts_of(each.function, vars(each.rule))
    converters = converters_of(each.rule)
    parameters = {name: _parameter(converters[name]) for name in variables_of(each.rule.rule)}
    binding = {"ws": {"method": "GET", "bindingVersion": "0.1.0"}} if each.is_socket else None
    tags = getattr(each.rule, "tags", None) or [each.rule.endpoint.rpartition(".")[0]]
    wanted = "websocket" if each.is_socket else "http"
    made: dict[str, t.Any] = {
        "address": template_of(each.rule.rule),
        "summary": summary,
        "description": description,
        "servers": [{"$ref": f"#/servers/{name}"} for name in servers if name.startswith(wanted)],
        "parameters": parameters,
        "messages": {action: messages.of(each, action) for action in _actions(each)},
        "tags": [{"name": name} for name in tags if name],
        "bindings": binding,
    }
    return {key: value for key, value in made.items() if value}


def _parameter(converter: t.Any) -> Schema:
    """A variable of the URL; AsyncAPI knows them as texts, which may be of a few."""
    schema = of_converter(converter)
    if "enum" in schema:
        return {"enum": schema["enum"]}
    kind = schema.get("format") or schema["type"]
    return {} if kind == "string" else {"description": f"A value of type {kind}."}


def _operation(each: _Channel, action: str) -> Schema:
    reference = f"#/channels/{each.name}"
    made: Schema = {
        "action": action,
        "channel": {"$ref": reference},
        "messages": [{"$ref": f"{reference}/messages/{action}"}],
    }
    if not each.is_socket:
        methods = sorted({*(each.rule.methods or ())} - {"HEAD", "OPTIONS"})
        made["bindings"] = {"http": {"method": methods[0], "bindingVersion": "0.3.0"}}
    return made


def _servers(urls: Iterable[t.Any]) -> Schema:
    """Servers by names: of each URL one for WebSockets and one for streams."""
    made: Schema = {}
    for number, each in enumerate(urls):
        parts = urlsplit(each if isinstance(each, str) else each.get("url", ""))
        if not parts.netloc:
            continue
        suffix = f"_{number + 1}" if number else ""
        is_secure = parts.scheme in ("https", "wss")
        for name, protocol in (("websocket", "ws"), ("http", "http")):
            made[name + suffix] = {
                "host": parts.netloc,
                "protocol": protocol + ("s" if is_secure else ""),
                **({"pathname": parts.path} if parts.path.strip("/") else {}),
            }
    return made

"""Requests out of the OpenAPI document that an application serves."""

from __future__ import annotations

import base64
import json
import typing as t
from urllib.parse import quote, urlencode

SAFE = ("get", "head", "options")


def requests_of(answer: dict[str, t.Any], unsafe: bool) -> t.Iterator[dict[str, t.Any]]:
    """One request for each operation of the document that an answer is, if it is one."""
    headers = {name.lower(): value for name, value in answer["headers"]}
    if "json" not in headers.get("content-type", ""):
        return
    try:
        document = json.loads(base64.b64decode(answer["body"]))
    except ValueError:
        return
    if not isinstance(document, dict) or not ({"openapi", "swagger"} & document.keys()):
        return
    try:
        yield from [*_of_document(document, unsafe)]
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError):
        return  # it only looks like one, or is a broken one


def _of_document(document: dict[str, t.Any], unsafe: bool) -> t.Iterator[dict[str, t.Any]]:
    prefix = document.get("basePath", "").rstrip("/")
    for path, operations in (document.get("paths") or {}).items():
        shared = operations.get("parameters", [])
        for method, operation in operations.items():
            if method in SAFE or (unsafe and method in ("post", "put", "patch", "delete")):
                parameters = [*shared, *operation.get("parameters", [])]
                yield _request(document, prefix + path, method, parameters, operation)


def _request(
    document: dict[str, t.Any],
    path: str,
    method: str,
    parameters: list[dict[str, t.Any]],
    operation: dict[str, t.Any],
) -> dict[str, t.Any]:
    query, headers = {}, []
    for given in parameters:
        parameter = _resolved(document, given)
        name, place = parameter.get("name", ""), parameter.get("in")
        value = _example(document, parameter.get("schema", parameter), parameter)
        text = json.dumps(value) if isinstance(value, (dict, bool)) else str(value)
        if place == "path":
            path = path.replace(f"{{{name}}}", quote(text))
        elif place == "query":
            query[name] = text
        elif place == "header":
            headers.append([name, text])
    request: dict[str, t.Any] = {"method": method.upper(), "headers": headers}
    content = _resolved(document, operation.get("requestBody", {})).get("content", {})
    if "application/json" in content:
        body = _example(document, content["application/json"].get("schema", {}), {})
        request["body"] = base64.b64encode(json.dumps(body).encode()).decode()
        headers.append(["Content-Type", "application/json"])
    request["path"] = f"{path}?{urlencode(query)}" if query else path
    return request


def _resolved(document: dict[str, t.Any], given: dict[str, t.Any]) -> dict[str, t.Any]:
    reference = given.get("$ref", "")
    if not reference.startswith("#/"):
        return given
    found: t.Any = document
    for part in reference[2:].split("/"):
        found = found.get(part.replace("~1", "/").replace("~0", "~"), {})
    return found if isinstance(found, dict) else {}


_BY_TYPE: dict[str, t.Any] = {"integer": 1, "number": 1.5, "boolean": True, "string": "a"}
_BY_FORMAT = {
    "date": "2024-01-31",
    "date-time": "2024-01-31T12:00:00Z",
    "email": "ann@example.com",
    "uuid": "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
    "uri": "http://example.com/",
}


def _example(
    document: dict[str, t.Any], given: dict[str, t.Any], around: dict[str, t.Any], depth: int = 0
) -> t.Any:
    """A value for a schema: its example, its default, or one by its type."""
    schema = _resolved(document, given)
    for place in (around, schema):
        for key in ("example", "default"):
            if key in place:
                return place[key]
        if place.get("examples"):
            some = place["examples"]
            return some[0] if isinstance(some, list) else [*some.values()][0].get("value")
    if schema.get("enum"):
        return schema["enum"][0]
    for key in ("allOf", "anyOf", "oneOf"):
        if schema.get(key) and depth < 8:
            return _example(document, schema[key][0], {}, depth + 1)
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "array":
        return [_example(document, schema.get("items", {}), {}, depth + 1)] if depth < 8 else []
    if kind == "object" or "properties" in schema:
        wanted = schema.get("required", ()) if depth < 8 else ()
        properties = schema.get("properties", {})
        return {n: _example(document, properties.get(n, {}), {}, depth + 1) for n in wanted}
    if kind == "string" and schema.get("format") in _BY_FORMAT:
        return _BY_FORMAT[schema["format"]]
    if kind == "string":
        return "a" * max(1, int(schema.get("minLength", 1)))
    if kind in ("integer", "number") and "minimum" in schema:
        return schema["minimum"]
    return _BY_TYPE.get(str(kind), "a")

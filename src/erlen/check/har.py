"""Read a recording of a browser: HTTP Archive, format 1.2."""

from __future__ import annotations

import base64
import json
import typing as t
from pathlib import Path
from urllib.parse import urlsplit

from .findings import NothingToCompare

#: Headers that belong to the connection, or that the visit's own cookie jar sends.
_LEFT_OUT = ("host", "connection", "content-length", "cookie", "accept-encoding")


class BadRecording(NothingToCompare):
    """A file is no HTTP Archive."""


def read(path: Path) -> list[dict[str, t.Any]]:
    """The requests of the host that most of the entries are for, in order, as one visit."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["log"]["entries"]
        requests = [entry["request"] for entry in entries]
        hosts = [urlsplit(request["url"]).netloc for request in requests]
        host = max(hosts, key=hosts.count, default="")
        return [_request(r) for r, own in zip(requests, hosts, strict=True) if own == host]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadRecording(f"{path} is no HTTP Archive: {type(error).__name__}: {error}") from error


def _request(entry: dict[str, t.Any]) -> dict[str, t.Any]:
    url = urlsplit(entry["url"])
    headers = [
        [header["name"], header["value"]]
        for header in entry.get("headers", ())
        if header["name"].lower() not in _LEFT_OUT and not header["name"].startswith(":")
    ]
    request: dict[str, t.Any] = {
        "method": entry["method"],
        "path": (url.path or "/") + (f"?{url.query}" if url.query else ""),
        "headers": headers,
        "visit": "recording",
    }
    text = (entry.get("postData") or {}).get("text")
    if text is not None:
        request["body"] = base64.b64encode(text.encode()).decode()
    return request

"""Scopes of requests, as ASGI servers make them."""

from __future__ import annotations

from typing import Any


def http(path: str = "/", method: str = "GET", **more: Any) -> dict[str, Any]:
    """The scope of a request over HTTP."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 1234),
        "server": ("127.0.0.1", 80),
        **more,
    }

"""The typed route, once per framework: an order of 20 fields comes in, a receipt goes out.

Each module has its application as ``app``. Each validates the order by its own means and answers
by the type of the receipt.
"""

from __future__ import annotations

import json

from ..apps import Peer
from ..inprocess.cases import Case

_ADDRESS = {"street": "1 Dorset Street", "city": "London", "zip": "W1U 4EG", "country": "GB"}
_LINES = [
    {"sku": f"A-{number}", "title": f"Engine part {number}", "quantity": number, "price": 2.5}
    for number in range(1, 4)
]
ORDER = {
    "number": 1815,
    "placed": "2026-01-02T03:04:05Z",
    "paid": True,
    "tags": ["fragile", "gift"],
    "comment": None,
    "discount": 0.25,
    "customer": {
        "id": 12,
        "name": "Ada Lovelace",
        "email": "ada@example.com",
        "vip": True,
        "address": {**_ADDRESS, "note": None},
    },
    "lines": _LINES,
}
RECEIPT = {
    "number": 1815,
    "placed": "2026-01-02T03:04:05Z",
    "customer": {"id": 12, "name": "Ada Lovelace"},
    "lines": _LINES,
    "total": 14.75,
}
CASES = {
    "typed": Case(
        *("typed", "", "/orders", 200, "json", RECEIPT),
        method="POST",
        body=json.dumps(ORDER).encode(),
        content_type="application/json",
    ),
    "untyped": Case("untyped", "", "/untyped", 200, "json", {"message": "Hello, world!"}),
}


def _peer(name: str, package: str | None, kind: str = "asgi", module: str = "") -> Peer:
    module = module or f"{name.replace('-', '_')}_app"
    return _Peer(name, f"{module}:app", package, kind)


class _Peer(Peer):
    @property
    def reference(self) -> str:
        return f"{__name__}.{self.target}"


PEERS = {
    peer.name: peer
    for peer in (
        _peer("erlen", "erlen"),
        _peer("erlen-structs", "msgspec"),
        _peer("erlen-wsgi", "erlen", "wsgi"),
        _peer("fastapi", "fastapi"),
        _peer("litestar", "litestar"),
        _peer("blacksheep", "blacksheep"),
        _peer("flask-openapi3", "flask_openapi3", "wsgi"),
        _peer("apiflask", "apiflask", "wsgi"),
    )
}

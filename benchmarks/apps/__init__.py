"""The same routes, once per framework, for ASGI and for whole servers.

Each module has its application as ``app``; what a framework lacks, it does not answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec


@dataclass(frozen=True)
class Peer:
    """One application: where it is, and how it is served."""

    name: str
    #: ``module:attribute``, the module being one of this package
    target: str
    #: what has to be installed, by the name under which it is imported
    package: str | None
    #: asgi, wsgi or rsgi, all three served by Granian; gunicorn; own: the module is the server
    kind: str = "asgi"
    lacks: frozenset[str] = field(default_factory=frozenset)

    @property
    def reference(self) -> str:
        return f"{__name__}.{self.target}"

    @property
    def module(self) -> str:
        return self.reference.partition(":")[0]

    @property
    def is_installed(self) -> bool:
        return self.package is None or find_spec(self.package) is not None


def _lacks(*names: str) -> frozenset[str]:
    return frozenset(names)


_ALL_BUT_JSON = ("url", "echo", "sync", "websocket", "events", "upstream", "upstream-sync")
_ALL_BUT_HTTP = ("websocket", "events", "upstream", "upstream-sync")
PEERS = {
    peer.name: peer
    for peer in (
        Peer("asgi", "bare:app", None, lacks=_lacks("sync", "upstream-sync")),
        Peer("erlen", "erlen_app:app", "erlen"),
        Peer("erlen-inline", "erlen_app:inline", "erlen", lacks=_lacks(*_ALL_BUT_HTTP)),
        Peer("starlette", "starlette_app:app", "starlette"),
        Peer("fastapi", "fastapi_app:first", "fastapi", lacks=_lacks(*_ALL_BUT_JSON)),
        Peer("fastapi-annotated", "fastapi_app:app", "fastapi"),
        Peer("quart", "quart_app:app", "quart"),
        Peer("blacksheep", "blacksheep_app:app", "blacksheep", lacks=_lacks("upstream-sync")),
        Peer("litestar", "litestar_app:app", "litestar"),
        Peer("falcon", "falcon_app:app", "falcon", lacks=_lacks("sync", "upstream-sync")),
        Peer("sanic", "sanic_app:app", "sanic", "own", lacks=_lacks("upstream-sync")),
        Peer("robyn", "robyn_app:app", "robyn", "own", lacks=_lacks(*_ALL_BUT_HTTP)),
        Peer("emmett", "emmett_app:app", "emmett", "rsgi", lacks=_lacks(*_ALL_BUT_HTTP)),
        Peer("wsgi", "bare_wsgi:app", None, "wsgi", lacks=_lacks(*_ALL_BUT_HTTP)),
        Peer("erlen-wsgi", "flask_app:erlen_app", "erlen", "wsgi", lacks=_lacks(*_ALL_BUT_HTTP)),
        Peer("flask", "flask_app:flask_app", "flask", "gunicorn", lacks=_lacks(*_ALL_BUT_HTTP)),
    )
}

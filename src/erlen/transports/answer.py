"""What the pipeline hands to the ASGI edge: status, headers, and the body in the form it has."""

from __future__ import annotations

import typing as t

from ..wrappers import Response

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed.wsgi import WSGIEnvironment


def start_message(status: str, headers: list[tuple[str, str]]) -> dict[str, t.Any]:
    """The message that starts a response."""
    return {
        "type": "http.response.start",
        "status": int(status[:3]),
        "headers": [
            (name.lower().encode("latin1"), value.encode("latin1")) for name, value in headers
        ],
    }


class Answer:
    """A `start_response` that keeps what it is told (PEP 3333)."""

    __slots__ = ("body", "headers", "source", "status", "written")

    def __init__(self) -> None:
        self.status = ""
        #: The body as WSGI has it.
        self.body: t.Any = ()
        self.headers: list[tuple[str, str]] = []
        #: An asynchronous body, which the edge iterates itself.
        self.source: t.Any = None
        #: What was given to the callable that PEP 3333 has for old applications.
        self.written: list[bytes] = []

    def __call__(
        self, status: str, headers: list[tuple[str, str]], exc_info: t.Any = None
    ) -> Callable[[bytes], object]:
        self.status, self.headers = status, headers
        return self.written.append

    @property
    def is_started(self) -> bool:
        """Whether status and headers are known."""
        return bool(self.status)

    def message(self) -> dict[str, t.Any]:
        """The message that starts the response."""
        return start_message(self.status, self.headers)


class DirectAnswer(Answer):
    """An answer that gets the response itself, where no WSGI middleware stands between."""

    __slots__ = ()

    def take(self, response: t.Any, environ: WSGIEnvironment) -> DirectAnswer:
        """Call the response, but leave an asynchronous body to the edge, and a body that is at
        hand in one piece."""
        cls = response.__class__
        if any(getattr(cls, name) is not sender for name, sender in _SENDERS):
            self.body = response(environ, self)
        elif hasattr(response.response, "__aiter__"):
            self(response.status, response.get_wsgi_headers(environ).to_wsgi_list())
            if _has_body(response, environ):
                self.source = response.response
            self.body = Closing((), response.close)
        elif response.is_sequence and not response.direct_passthrough:
            self(response.status, response.get_wsgi_headers(environ).to_wsgi_list())
            body = b"".join(response.iter_encoded()) if _has_body(response, environ) else b""
            if response._on_close or hasattr(response.response, "close"):
                self.body = Closing((body,), response.close)
            else:
                self.body = (body,)
        else:
            self.body = response(environ, self)
        return self


# As they are defined: somebody may replace them on the class itself.
_SENDERS = tuple(
    (name, getattr(Response, name))
    for name in ("__call__", "get_wsgi_response", "get_app_iter", "iter_encoded")
)


def _has_body(response: t.Any, environ: WSGIEnvironment) -> bool:
    code = response.status_code
    return environ["REQUEST_METHOD"] != "HEAD" and code >= 200 and code not in (204, 304)


class Closing(tuple[bytes, ...]):
    """Pieces of a body that are at hand, with what is to be called when they were sent."""

    close: Callable[[], object]

    def __new__(cls, pieces: Iterable[bytes], close: Callable[[], object]) -> Closing:
        made = super().__new__(cls, pieces)
        made.close = close
        return made

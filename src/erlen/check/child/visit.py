"""Send requests to an application in this process and write down all that comes back."""

from __future__ import annotations

import base64
import signal
import time
import typing as t
from contextlib import contextmanager

from .watch import Watch

#: Most bytes of a body that are kept; what is longer is cut, on both engines alike.
LONGEST = 2_000_000
#: Seconds that a response may take, and then its body, which is cut off there.
REQUEST_SECONDS = 20.0
BODY_SECONDS = 3.0


class Visitor:
    """A WSGI client with a cookie jar for each visit, on an application that is watched."""

    def __init__(self, app: t.Any) -> None:
        self.app = app
        self.watch = Watch(app)
        self._jars: dict[str, t.Any] = {}

    def _client(self, visit: str | None) -> t.Any:
        from werkzeug.test import Client

        if visit is None:
            return Client(self.app)
        return self._jars.setdefault(visit, Client(self.app))

    def send(self, request: dict[str, t.Any]) -> dict[str, t.Any]:
        """The answer to a request: status, headers, body, hooks, signals, log and seconds."""
        builder, client = builder_of(request), self._client(request.get("visit"))
        self.watch.begin()
        began = time.perf_counter()
        answer: dict[str, t.Any] = {"raised": None}
        chunks: list[bytes] = []
        answer["cut"] = False
        try:
            with limited(REQUEST_SECONDS):
                response = client.open(builder, follow_redirects=False, buffered=False)
            try:
                with limited(BODY_SECONDS):
                    _receive(response, chunks)
            except TooLong:
                answer["cut"] = True  # a stream that goes on, as events do
            response.close()
        except (Exception, SystemExit, TooLong) as error:
            # The application let it out: that is its answer.
            answer["raised"] = f"{type(error).__name__}: {error}"
            response, chunks = None, []
        answer["seconds"] = time.perf_counter() - began
        answer["status"] = response.status if response is not None else ""
        answer["headers"] = [list(pair) for pair in response.headers] if response else []
        answer["body"] = base64.b64encode(b"".join(chunks)[:LONGEST]).decode()
        answer["chunks"] = len([chunk for chunk in chunks if chunk])
        answer["trace"] = [list(step) for step in self.watch.trace]
        answer["logs"] = [list(record) for record in self.watch.logs]
        return answer


def _receive(response: t.Any, chunks: list[bytes]) -> None:
    size = 0
    for chunk in response.response:
        chunks.append(bytes(chunk))
        size += len(chunk)
        if size > LONGEST:
            raise TooLong("the body is longer than what is kept")


class TooLong(BaseException):
    """A request takes longer than one waits for it; no handler of the application's catches it."""


@contextmanager
def limited(seconds: float) -> t.Iterator[None]:
    """Raise TooLong in what takes longer, also where it waits; Windows has no alarm for that."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def ring(*_: t.Any) -> t.NoReturn:
        raise TooLong(f"there was no answer within {seconds:g} seconds")

    before = signal.signal(signal.SIGALRM, ring)
    # Again each second: a call that may not raise swallows it.
    timer = signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, *timer)


def builder_of(request: dict[str, t.Any]) -> t.Any:
    from werkzeug.test import EnvironBuilder

    body = request.get("body")
    return EnvironBuilder(
        path=request["path"],
        method=request.get("method", "GET"),
        base_url=request.get("base_url"),
        headers=[(name, value) for name, value in request.get("headers", ())],
        data=base64.b64decode(body) if body is not None else None,
    )

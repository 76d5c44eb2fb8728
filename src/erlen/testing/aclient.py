"""The test client for tests that are coroutine functions.

Each method runs its namesake of :class:`FlaskClient` in a greenlet of the bridge, so that there is
one client, and the application runs on the loop of the test.
"""

from __future__ import annotations

import typing as t
from contextlib import asynccontextmanager

from werkzeug.test import TestResponse

from ..engine.bridge import await_, run
from .websocket import AsyncWebSocketSession

if t.TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from contextlib import AbstractAsyncContextManager, AbstractContextManager
    from types import TracebackType

    from werkzeug.test import Cookie

    from ..app import Erlen
    from ..sessions import SessionMixin
    from .client import FlaskClient

T = t.TypeVar("T")
_END: t.Any = object()


class AsyncTestResponse(TestResponse):
    """A response of :class:`AsyncFlaskClient`; one that is not read yet is iterated."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = t.cast("Iterator[bytes]", iter(self.response))
        while (piece := await run(next, pieces, _END)) is not _END:
            if piece:
                yield piece

    async def read(self) -> bytes:
        """The rest of the body, after which `data`, `text` and `json` have it."""
        return await run(self.get_data)


@asynccontextmanager
async def _entered(manager: AbstractContextManager[T]) -> AsyncIterator[T]:
    """A context manager of sync code that waits through the bridge."""
    value = await run(manager.__enter__)
    try:
        yield value
    except BaseException as error:
        if not await run(manager.__exit__, type(error), error, error.__traceback__):
            raise
    else:
        await run(manager.__exit__, None, None, None)


class AsyncFlaskClient:
    """`FlaskClient` with methods to await; `app.async_test_client()` makes one.

    Responses are read whole, but for those of `stream`. In an `async with` block the contexts of
    the last request stay pushed in the test's own task.
    """

    def __init__(self, client: FlaskClient) -> None:
        self._client = client
        client._wait = await_
        client._whole_head = True
        client.response_wrapper = type(
            "AsyncTestResponse", (AsyncTestResponse, client.response_wrapper), {}
        )

    @property
    def application(self) -> Erlen:
        """The application under test."""
        return self._client.application

    @property
    def environ_base(self) -> dict[str, t.Any]:
        """What each request's environ begins with."""
        return self._client.environ_base

    @property
    def preserve_context(self) -> bool:
        """Whether the contexts of requests are kept: in an `async with` block."""
        return self._client.preserve_context

    # Cookies

    def get_cookie(self, key: str, domain: str = "localhost", path: str = "/") -> Cookie | None:
        """The cookie of a name that is kept for a domain and path."""
        return self._client.get_cookie(key, domain, path)

    def set_cookie(self, key: str, value: str = "", **options: t.Any) -> None:
        """Keep a cookie; `domain`, `path`, `origin_only` and attributes as on `FlaskClient`."""
        self._client.set_cookie(key, value, **options)

    def delete_cookie(self, key: str, **options: t.Any) -> None:
        """Forget a cookie, of a `domain` and `path`."""
        self._client.delete_cookie(key, **options)

    def session_transaction(
        self, *args: t.Any, **kwargs: t.Any
    ) -> AbstractAsyncContextManager[SessionMixin]:
        """`async with`: change the session as a request would; see `FlaskClient`."""
        return _entered(self._client.session_transaction(*args, **kwargs))

    # Requests

    async def open(self, *args: t.Any, **kwargs: t.Any) -> AsyncTestResponse:
        """Send a request and read the response; arguments are those of `FlaskClient.open`."""
        kwargs["buffered"] = True
        response = await run(self._client.open, *args, **kwargs)
        return t.cast("AsyncTestResponse", response)

    @asynccontextmanager
    async def stream(self, *args: t.Any, **kwargs: t.Any) -> AsyncIterator[AsyncTestResponse]:
        """`async with`: send a request and get the response when it has begun.

        `async for` on it gives the pieces of its body as the application sends them; it waits
        for each to be taken. Leaving the block early closes the connection.
        """
        kwargs["buffered"] = False
        response = await run(self._client.open, *args, **kwargs)
        try:
            yield t.cast("AsyncTestResponse", response)
        finally:
            await run(response.close)

    async def get(self, *args: t.Any, **kwargs: t.Any) -> AsyncTestResponse:
        """Send a GET request."""
        return await self.open(*args, **kwargs, method="GET")

    async def post(self, *args: t.Any, **kwargs: t.Any) -> AsyncTestResponse:
        """Send a POST request."""
        return await self.open(*args, **kwargs, method="POST")

    async def put(self, *args: t.Any, **kwargs: t.Any) -> AsyncTestResponse:
        """Send a PUT request."""
        return await self.open(*args, **kwargs, method="PUT")

    async def patch(self, *args: t.Any, **kwargs: t.Any) -> AsyncTestResponse:
        """Send a PATCH request."""
        return await self.open(*args, **kwargs, method="PATCH")

    async def delete(self, *args: t.Any, **kwargs: t.Any) -> AsyncTestResponse:
        """Send a DELETE request."""
        return await self.open(*args, **kwargs, method="DELETE")

    async def head(self, *args: t.Any, **kwargs: t.Any) -> AsyncTestResponse:
        """Send a HEAD request."""
        return await self.open(*args, **kwargs, method="HEAD")

    async def options(self, *args: t.Any, **kwargs: t.Any) -> AsyncTestResponse:
        """Send an OPTIONS request."""
        return await self.open(*args, **kwargs, method="OPTIONS")

    async def trace(self, *args: t.Any, **kwargs: t.Any) -> AsyncTestResponse:
        """Send a TRACE request."""
        return await self.open(*args, **kwargs, method="TRACE")

    # WebSockets and the lifespan

    @asynccontextmanager
    async def websocket(
        self, *args: t.Any, subprotocols: Sequence[str] = (), **kwargs: t.Any
    ) -> AsyncIterator[AsyncWebSocketSession]:
        """`async with`: a WebSocket connection, as `FlaskClient.websocket` makes one."""
        opened = self._client.websocket(*args, subprotocols=subprotocols, **kwargs)
        async with _entered(opened) as session:
            yield AsyncWebSocketSession(session._socket, session._json)

    def lifespan(self) -> AbstractAsyncContextManager[dict[str, t.Any]]:
        """`async with`: start the application and end it after the block; see `FlaskClient`."""
        return _entered(self._client.lifespan())

    # Contexts

    async def __aenter__(self) -> AsyncFlaskClient:
        await run(self._client.__enter__)
        return self

    async def __aexit__(
        self,
        exc_type: type | None,
        exc_value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await run(self._client.__exit__, exc_type, exc_value, tb)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.application!r}>"

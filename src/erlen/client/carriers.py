"""How requests get to the application: a call in this process, or a connection."""

from __future__ import annotations

import time
import typing as t
from contextlib import ExitStack
from http.cookiejar import CookieJar, DefaultCookiePolicy
from urllib.parse import urljoin

from werkzeug.datastructures import Headers
from werkzeug.http import parse_cookie, parse_date

from ..errors import MissingExtra

if t.TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, MutableMapping

    from ..app import Erlen
    from ..wrappers import Response
    from .outgoing import Outgoing

_CHUNK = 65_536
# The body comes out of its coding here.
_OF_CODING = ("content-encoding", "content-length", "transfer-encoding")


class InProcess:
    """Calls the application over its test client."""

    def __init__(self, app: Erlen, transport: str | None) -> None:
        self.app = app
        self._client = app.test_client(use_cookies=False, transport=transport)
        self._stack = ExitStack()

    def send(self, request: Outgoing) -> Response:
        found = self._client.open(request.url, buffered=True, **_arguments_of(request))
        return self.app.response_class(found.get_data(), found.status, found.headers)

    def open(self) -> None:
        if self._client.transport == "asgi":
            self._stack.enter_context(self._client.lifespan())

    def close(self) -> None:
        self._stack.close()


class InProcessAsync:
    """Calls the application over its test client, on the loop of the caller."""

    def __init__(self, app: Erlen) -> None:
        self.app = app
        self._client = app.async_test_client(use_cookies=False)
        self._lifespan: t.Any = None

    async def send(self, request: Outgoing) -> Response:
        found = await self._client.open(request.url, **_arguments_of(request))
        return self.app.response_class(found.get_data(), found.status, found.headers)

    async def open(self) -> None:
        self._lifespan = self._client.lifespan()
        await self._lifespan.__aenter__()

    async def close(self) -> None:
        entered, self._lifespan = self._lifespan, None
        if entered is not None:
            await entered.__aexit__(None, None, None)


def _arguments_of(request: Outgoing) -> dict[str, t.Any]:
    made: dict[str, t.Any] = {"method": request.method, "headers": Headers(request.headers)}
    if isinstance(request.body, bytes):
        made["data"] = request.body
    else:
        stream, length = request.body
        made.update(input_stream=stream, headers=Headers([*request.headers]))
        made["headers"]["Content-Length"] = str(length)
    return made


class Network:
    """Sends requests over kept connections; `http` is an `httpx.Client` or `httpx.AsyncClient`."""

    def __init__(self, app: Erlen, url: str, timeout: float | None, http: t.Any, kind: str) -> None:
        self.app = app
        self.url = url
        self._httpx = _import_httpx()
        self._owns = http is None
        if http is None:
            # Cookies are kept by the client itself.
            jar = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
            http = getattr(self._httpx, kind)(timeout=timeout, cookies=jar)
        self._http = http

    def send(self, request: Outgoing) -> Response:
        try:
            return self._made_of(self._http.request(**self._arguments_of(request, _chunks)))
        except self._httpx.TransportError as error:
            raise self._failure(request, error) from error

    def open(self) -> None:
        pass

    def close(self) -> None:
        if self._owns:
            self._http.close()

    def _arguments_of(self, request: Outgoing, stream: t.Any) -> dict[str, t.Any]:
        content: t.Any = request.body
        headers = request.headers
        if not isinstance(content, bytes):
            headers = [*headers, ("Content-Length", str(content[1]))]
            content = stream(content[0])
        return {
            "method": request.method,
            "url": urljoin(self.url, request.url),
            "headers": [(key.encode("ascii"), each.encode("latin-1")) for key, each in headers],
            "content": content or None,
            "follow_redirects": False,
        }

    def _made_of(self, found: t.Any) -> Response:
        pairs = [pair for pair in found.headers.multi_items() if pair[0] not in _OF_CODING]
        return self.app.response_class(found.content, found.status_code, Headers(pairs))

    def _failure(self, request: Outgoing, error: Exception) -> OSError:
        said = f"{request} at {self.url}: {str(error) or type(error).__name__}"
        if isinstance(error, self._httpx.TimeoutException):
            return TimeoutError(said)
        return ConnectionError(said)


class NetworkAsync(Network):
    """`Network` for coroutines."""

    async def send(self, request: Outgoing) -> Response:  # type: ignore[override]
        try:
            arguments = self._arguments_of(request, _async_chunks)
            return self._made_of(await self._http.request(**arguments))
        except self._httpx.TransportError as error:
            raise self._failure(request, error) from error

    async def open(self) -> None:  # type: ignore[override]
        pass

    async def close(self) -> None:  # type: ignore[override]
        if self._owns:
            await self._http.aclose()


def _import_httpx() -> t.Any:
    try:
        import httpx
    except ImportError as error:
        raise MissingExtra("A client over the network", "httpx", "client") from error
    return httpx


def _chunks(stream: t.IO[bytes]) -> Iterator[bytes]:
    while chunk := stream.read(_CHUNK):
        yield chunk


async def _async_chunks(stream: t.IO[bytes]) -> AsyncIterator[bytes]:
    for chunk in _chunks(stream):
        yield chunk


def keep_cookies(jar: MutableMapping[str, str], response: Response) -> None:
    """Do what an answer says of cookies. All calls of a client are to one application."""
    for header in response.headers.getlist("Set-Cookie"):
        pair, *attributes = header.split(";")
        options = {
            key.strip().lower(): value.strip()
            for key, _, value in (each.partition("=") for each in attributes)
        }
        for key, value in parse_cookie(pair).items():
            if _is_over(options):
                jar.pop(key, None)
            else:
                jar[key] = value


def _is_over(options: dict[str, str]) -> bool:
    """Whether a cookie is to be forgotten (RFC 6265, 5.2)."""
    age = options.get("max-age")
    if age is not None and age.lstrip("-").isdigit():
        return int(age) <= 0
    until = parse_date(options.get("expires"))
    return until is not None and until.timestamp() <= time.time()

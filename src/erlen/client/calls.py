"""The typed clients: what type checkers know of a view, they know of its call."""

from __future__ import annotations

import copy
import typing as t
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlsplit

from .carriers import InProcess, InProcessAsync, Network, NetworkAsync, keep_cookies
from .outgoing import Outgoing, cookie_header, prepare
from .replies import Reader
from .routes import Route, Routes

if t.TYPE_CHECKING:
    from types import TracebackType

    from ..app import Erlen
    from ..views import View
    from ..wrappers import Response

    V = t.TypeVar("V", bound=View)

P = t.ParamSpec("P")
R = t.TypeVar("R")
Self = t.TypeVar("Self", bound="_Calls")


class _Calls:
    """What both clients know: routes, and what goes along with each request."""

    _carrier: t.Any

    def __init__(
        self,
        target: Erlen | str,
        app: Erlen | None,
        headers: Mapping[str, str] | None,
        auth: tuple[str, str] | None,
        token: str | None,
        cookies: Mapping[str, str] | None,
        url_values: Mapping[str, t.Any] | None,
    ) -> None:
        if isinstance(target, str):
            if app is None:
                raise TypeError("A client of a URL needs the application: Client(url, app=app).")
            self.app = app
            at = urlsplit(target)
            if at.scheme not in ("http", "https") or not at.netloc:
                raise ValueError(f"The URL of a client is as 'http://host/path', not {target!r}.")
            self._base = (at.scheme, at.netloc, at.path or "/")
        else:
            self.app = app = target
            config = app.config
            self._base = (
                config["PREFERRED_URL_SCHEME"],
                config["SERVER_NAME"] or "localhost",
                "/",
            )
        #: Sent with each request.
        self.headers: dict[str, str] = {"Accept": "application/json, */*;q=0.8", **(headers or {})}
        if auth is not None:
            pair = b64encode(":".join(auth).encode()).decode()
            self.headers["Authorization"] = f"Basic {pair}"
        elif token is not None:
            self.headers["Authorization"] = f"Bearer {token}"
        #: Sent with each request; the application's answers change them.
        self.cookies: dict[str, str] = dict(cookies or {})
        #: Sent in the query of each request.
        self.query: list[tuple[str, str]] = []
        #: Variables of URLs that are parameters of no view, such as a language.
        self.url_values: dict[str, t.Any] = dict(url_values or {})
        self._routes = Routes(app)
        self._within: str | None = None

    def at(self: Self, endpoint: str) -> Self:
        """This client for views that answer several endpoints: which one, or of which blueprint."""
        made = copy.copy(self)
        made._within = endpoint
        return made

    def sending(
        self: Self,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        cookies: Mapping[str, str] | None = None,
    ) -> Self:
        """This client with more in each request: what dependencies ask for, and views do not."""
        made = copy.copy(self)
        made.headers = {**self.headers, **(headers or {})}
        made.query = [*self.query, *(query or {}).items()]
        if cookies:
            made.cookies = {**self.cookies, **cookies}
        return made

    def _prepare(
        self, view: Callable[..., t.Any], args: tuple[t.Any, ...], kwargs: dict[str, t.Any]
    ) -> tuple[Route, Outgoing]:
        route = self._routes.of(view, self._within)
        request = prepare(
            self.app,
            route,
            args,
            kwargs,
            base=self._base,
            url_values=self.url_values,
            query=self.query,
        )
        own = {key.lower() for key, _ in request.headers}
        request.headers += [
            (key, value) for key, value in self.headers.items() if key.lower() not in own
        ]
        cookies = {**self.cookies, **dict(request.cookies)}
        if cookies:
            request.headers.append(("Cookie", cookie_header(cookies.items())))
        return route, request

    def _read(self, route: Route, request: Outgoing, response: Response) -> t.Any:
        keep_cookies(self.cookies, response)
        if route.reader is None:
            route.reader = Reader(route)
        return route.reader.read(str(request), response)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.app!r}>"


class Client(_Calls):
    """Calls the views of an application, in this process or over the network.

    `client.call(view, ...)` takes what the view takes and returns what it returns. `Client(app)`
    calls the application, over `transport` "wsgi" or "asgi"; `Client("http://host", app=app)`
    sends requests to a server of it. In a `with` block connections are closed at the end, and an
    application called over "asgi" is started and ended.

    :param headers: sent with each request
    :param auth: user and password, for HTTP basic authentication
    :param token: for HTTP bearer authentication
    :param timeout: seconds to wait for the server, over the network
    :param http: the `httpx.Client` to send with, where it is to be another than the usual one
    """

    @t.overload
    def __init__(
        self,
        target: Erlen,
        *,
        transport: t.Literal["wsgi", "asgi"] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        token: str | None = None,
        cookies: Mapping[str, str] | None = None,
        url_values: Mapping[str, t.Any] | None = None,
    ) -> None: ...
    @t.overload
    def __init__(
        self,
        target: str,
        *,
        app: Erlen,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        token: str | None = None,
        cookies: Mapping[str, str] | None = None,
        url_values: Mapping[str, t.Any] | None = None,
        timeout: float | None = 30.0,
        http: t.Any = None,
    ) -> None: ...
    def __init__(
        self,
        target: Erlen | str,
        *,
        app: Erlen | None = None,
        transport: str | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        token: str | None = None,
        cookies: Mapping[str, str] | None = None,
        url_values: Mapping[str, t.Any] | None = None,
        timeout: float | None = 30.0,
        http: t.Any = None,
    ) -> None:
        super().__init__(target, app, headers, auth, token, cookies, url_values)
        if isinstance(target, str):
            self._carrier = Network(self.app, target, timeout, http, "Client")
        else:
            self._carrier = InProcess(self.app, transport)

    # What a view returns, by its shape: a method of a class or a function, a coroutine function or
    # not, with a status (and headers) or without.
    @t.overload
    def call(
        self,
        view: Callable[t.Concatenate[V, P], Awaitable[tuple[R, t.Any] | tuple[R, t.Any, t.Any]]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R: ...
    @t.overload
    def call(
        self,
        view: Callable[t.Concatenate[V, P], Awaitable[R]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R: ...
    @t.overload
    def call(
        self,
        view: Callable[t.Concatenate[V, P], tuple[R, t.Any] | tuple[R, t.Any, t.Any]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R: ...
    @t.overload
    def call(
        self, view: Callable[t.Concatenate[V, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...
    @t.overload
    def call(
        self,
        view: Callable[P, Awaitable[tuple[R, t.Any] | tuple[R, t.Any, t.Any]]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R: ...
    @t.overload
    def call(self, view: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @t.overload
    def call(
        self,
        view: Callable[P, tuple[R, t.Any] | tuple[R, t.Any, t.Any]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R: ...
    @t.overload
    def call(self, view: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    def call(self, view: Callable[..., t.Any], /, *args: t.Any, **kwargs: t.Any) -> t.Any:
        """Call a view with the arguments that it takes; what it returned.

        A parameter that the server provides is left out, or `erlen.client.provided`. Raises
        ClientError for an answer that the view's type does not have, ProblemError where it has
        problem details; TypeError for arguments that the view does not take; SetupError for a
        function that is no view; TimeoutError and ConnectionError.
        """
        route, request = self._prepare(view, args, kwargs)
        try:
            response = self._carrier.send(request)
        finally:
            request.close()
        return self._read(route, request, response)

    def close(self) -> None:
        """Close the connections."""
        self._carrier.close()

    def __enter__(self) -> Client:
        self._carrier.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class AsyncClient(_Calls):
    """`Client` for coroutines: `await client.call(view, ...)`.

    In this process the application is called over ASGI, on the caller's loop.
    """

    @t.overload
    def __init__(
        self,
        target: Erlen,
        *,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        token: str | None = None,
        cookies: Mapping[str, str] | None = None,
        url_values: Mapping[str, t.Any] | None = None,
    ) -> None: ...
    @t.overload
    def __init__(
        self,
        target: str,
        *,
        app: Erlen,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        token: str | None = None,
        cookies: Mapping[str, str] | None = None,
        url_values: Mapping[str, t.Any] | None = None,
        timeout: float | None = 30.0,
        http: t.Any = None,
    ) -> None: ...
    def __init__(
        self,
        target: Erlen | str,
        *,
        app: Erlen | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        token: str | None = None,
        cookies: Mapping[str, str] | None = None,
        url_values: Mapping[str, t.Any] | None = None,
        timeout: float | None = 30.0,
        http: t.Any = None,
    ) -> None:
        super().__init__(target, app, headers, auth, token, cookies, url_values)
        if isinstance(target, str):
            self._carrier = NetworkAsync(self.app, target, timeout, http, "AsyncClient")
        else:
            self._carrier = InProcessAsync(self.app)

    @t.overload
    async def call(
        self,
        view: Callable[t.Concatenate[V, P], Awaitable[tuple[R, t.Any] | tuple[R, t.Any, t.Any]]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R: ...
    @t.overload
    async def call(
        self,
        view: Callable[t.Concatenate[V, P], Awaitable[R]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R: ...
    @t.overload
    async def call(
        self,
        view: Callable[t.Concatenate[V, P], tuple[R, t.Any] | tuple[R, t.Any, t.Any]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R: ...
    @t.overload
    async def call(
        self, view: Callable[t.Concatenate[V, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...
    @t.overload
    async def call(
        self,
        view: Callable[P, Awaitable[tuple[R, t.Any] | tuple[R, t.Any, t.Any]]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R: ...
    @t.overload
    async def call(
        self, view: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...
    @t.overload
    async def call(
        self,
        view: Callable[P, tuple[R, t.Any] | tuple[R, t.Any, t.Any]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R: ...
    @t.overload
    async def call(self, view: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    async def call(self, view: Callable[..., t.Any], /, *args: t.Any, **kwargs: t.Any) -> t.Any:
        """`Client.call`, to await."""
        route, request = self._prepare(view, args, kwargs)
        try:
            response = await self._carrier.send(request)
        finally:
            request.close()
        return self._read(route, request, response)

    async def close(self) -> None:
        """Close the connections."""
        await self._carrier.close()

    async def __aenter__(self) -> AsyncClient:
        await self._carrier.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

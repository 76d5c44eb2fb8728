"""The context of a WebSocket: that of the request which opened it, and the socket."""

from __future__ import annotations

import asyncio
import typing as t

from ..ctx import RequestContext
from ..signals import websocket_tearing_down
from .blocking import BlockingWebsocket

if t.TYPE_CHECKING:
    from werkzeug.datastructures import Headers

    from .socket import Websocket


class WebsocketContext(RequestContext):
    """Makes a WebSocket current; `request`, `session`, `g` and `current_app` are there too.

    :param plan: the steps of the WebSocket's life, whose last ones run when it is popped
    """

    def __init__(
        self, app: t.Any, socket: Websocket, plan: t.Any = None, session: t.Any = None
    ) -> None:
        super().__init__(app, socket.request.environ, request=socket.request, session=session)
        self.socket = socket
        self.plan = plan
        self._show_socket()

    def _show_socket(self) -> None:
        self.websocket = self.socket

    def copy(self) -> WebsocketContext:
        """A context of the same socket and session, not pushed; for other tasks and threads."""
        copied = type(self)(self.app, self.socket, session=self._session)
        copied._matched = True
        return copied

    def _tear_down(self, error: BaseException | None) -> None:
        if self.plan is None:  # a copy: the WebSocket's life is not its own
            return
        for function in self.plan.teardown:
            function(error)
        if websocket_tearing_down.receivers:
            app = self.app
            websocket_tearing_down.send(app, _async_wrapper=app.ensure_sync, exc=error)

    # What the answers carry

    def headers_to_accept(self) -> Headers:
        """Headers of the answer that accepts: the session's, and of `after_this_request`.

        The only time when a session can be sent: there is no response when the view has ended.
        """
        app = self.app
        response = app.response_class(status=101)
        own = self.__dict__
        for function in own.pop("_after_request_functions", ()):
            response = app.ensure_sync(function)(response)
        self.save_session(response)
        session: t.Any = own.get("_opened_session")
        if hasattr(session, "modified"):
            session.modified = False
        response.headers.pop("Vary", None)  # for caches, which keep no such answer
        return response.headers

    def save_session(self, response: t.Any) -> None:
        """Save the session, its cookie in a response."""
        app = self.app
        interface: t.Any = app.session_interface
        if "_opened_session" not in self.__dict__:
            environ = self.request.environ
            if "HTTP_COOKIE" not in environ or interface._may_skip(app, environ):
                return
        session: t.Any = self._session
        if session is not None and not interface.is_null_session(session):
            interface.save_session(app, session, response)

    def save_late_session(self) -> None:
        """Save what has changed since the connection was accepted, which needs no cookie.

        A session that is one big cookie cannot be saved any more: that is said in the log.
        """
        session: t.Any = self.__dict__.get("_opened_session")
        if session is None or not getattr(session, "modified", True):
            return
        response = self.app.response_class()
        self.save_session(response)
        if "Set-Cookie" in response.headers:
            self.app.logger.warning(
                "The session was changed after the WebSocket %s was accepted: its cookie cannot be"
                " sent any more. Change the session first, then accept.",
                self.request.path,
            )


class PlainContext(WebsocketContext):
    """The context of a WebSocket whose view is a plain function, on a thread of its own."""

    def _show_socket(self) -> None:
        """The property does."""

    if not t.TYPE_CHECKING:

        @property
        def websocket(self):
            """The socket: for plain code one whose methods wait."""
            if asyncio._get_running_loop() is None:
                return BlockingWebsocket(self.socket)
            return self.socket

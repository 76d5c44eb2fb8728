"""The ASGI edge of WebSockets: a life as that of a request, whose view has a socket.

Hooks and error handlers are plain code, as everywhere. With a coroutine view they run with it in
the connection's own task, in a greenlet of the bridge; with a plain view on a thread of its own.
Source: ASGI, "WebSocket".
"""

from __future__ import annotations

import asyncio
import io
import sys
import typing as t
from contextvars import copy_context

from werkzeug.exceptions import Forbidden, HTTPException, InternalServerError, ServiceUnavailable

from ..engine import bridge, greenlets
from ..engine.sockets import SocketPlan, SocketThreads, socket_plan
from ..signals import (
    got_request_exception,
    got_websocket_exception,
    websocket_finished,
    websocket_started,
)
from ..websockets import (
    BadMessage,
    PlainContext,
    Websocket,
    WebsocketContext,
    WebsocketDisconnected,
)
from ..websockets.attended import CONNECTING, OPEN
from ..websockets.errors import is_disconnection
from ..websockets.origin import is_allowed
from ..wrappers.scope import environ_of
from . import wsgi_socket
from .wsgi_socket import is_meant_for_wsgi

if t.TYPE_CHECKING:
    from ..engine.plan import Program
    from ..wrappers import Request
    from ..wrappers.scope import Receive, Scope, Send


async def websocket_app(app: t.Any, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one WebSocket, from the client's wish to connect to the end of the connection."""
    event = await receive()
    if event["type"] != "websocket.connect":
        return  # the client has left already
    program: Program = app._current_program()
    request = _request_of(app, scope)
    socket: Websocket = app.websocket_class(app, request, scope, receive, send)
    ctx = WebsocketContext(app, socket)
    plan = _match(program, ctx)
    if is_meant_for_wsgi(program, ctx._found):
        await wsgi_socket.serve(app, scope, receive, send)
        return
    if not plan.native:
        found = ctx._found
        ctx = PlainContext(app, socket)
        ctx._found = found
    ctx.plan = plan
    socket._more_headers = ctx.headers_to_accept
    life = _Life(program, plan, ctx)
    try:
        if plan.native:
            # PERF: what stands between this and the view is passed for each message.
            socket._watch(plan.cancels)
            begun: t.Any = greenlets.begin(life.run)
            if begun.__class__ is greenlets.Suspended:
                begun.watcher = socket
                await begun
        else:
            await _run_on_thread(life)
    except asyncio.CancelledError:
        if not socket._stop_watching():
            socket._abandon()
            raise
    except BaseException:
        socket._abandon()
        raise
    else:
        socket._stop_watching()
    finally:
        await socket._end()
    await _finish(socket, life)
    if life.error is not None:
        error, life.error = life.error, None
        raise error


def _request_of(app: t.Any, scope: Scope) -> Request:
    environ = environ_of(scope, io.BytesIO())
    is_secure = environ["wsgi.url_scheme"] in ("https", "wss")
    # As Werkzeug's URL map knows WebSockets; over HTTP/2 there are no such headers.
    environ["wsgi.url_scheme"] = "https" if is_secure else "http"
    environ["HTTP_CONNECTION"] = "Upgrade"
    environ["HTTP_UPGRADE"] = "websocket"
    request: Request = app.request_class(environ)
    request.scheme = "wss" if is_secure else "ws"
    return request


def _match(program: Program, ctx: WebsocketContext) -> SocketPlan:
    """Match before the context is pushed, since the match decides where that is done."""
    if ctx.url_adapter is None:  # the host is refused
        return socket_plan(program, None)
    try:
        ctx._found = ctx.url_adapter.match(return_rule=True)
    except HTTPException as failure:
        ctx._found = failure
        return socket_plan(program, None)
    return socket_plan(program, ctx._found[0])


async def _run_on_thread(life: _Life) -> None:
    threads: SocketThreads = life.program.app.websocket_threads
    call = threads.start(copy_context().run, life.run)
    if call is None:
        life.answer_at_once(ServiceUnavailable())
        return
    # A call that runs cannot be cancelled. Where this task is, the view hears that its socket is
    # closed, and ends by itself.
    await asyncio.wait([call])
    call.result()


class _Life:
    """One WebSocket's way through hooks, view and error handlers, and what came of it."""

    def __init__(self, program: Program, plan: SocketPlan, ctx: WebsocketContext) -> None:
        self.program = program
        self.plan = plan
        self.ctx = ctx
        #: What refuses the connection, if it was not accepted.
        self.response: t.Any = None
        #: How an accepted connection is closed.
        self.code, self.reason = 1000, ""
        #: To be raised again when the connection is closed: where it is propagated.
        self.error: BaseException | None = None

    def answer_at_once(self, error: HTTPException) -> None:
        """Refuse the connection without running anything."""
        self.response = self.program.app.response_class.force_type(
            error.get_response(), self.ctx.request.environ
        )

    def run(self) -> None:
        """Everything from pushing the context to popping it."""
        error: BaseException | None = None
        ctx = self.ctx
        try:
            ctx.push()
            self._dispatch()
        except BadMessage as raised:
            error = raised
            self.code, self.reason = raised.code, raised.reason
            self.response = self._response_to(400)
        except Exception as raised:
            error = raised
            if not is_disconnection(raised):
                self._handle(raised)
        except BaseException as raised:
            error = raised
            raise
        finally:
            if error is not None and ctx.app.should_ignore_error(error):
                error = None
            ctx.pop(error)
            error = None

    def _dispatch(self) -> None:
        """The view with everything around it; raises what no error handler takes."""
        app = self.program.app
        try:
            if websocket_started.receivers:
                websocket_started.send(app, _async_wrapper=app.ensure_sync)
            rv = self._before()
            if rv is None:
                rv = self._view()
        except Exception as error:
            if is_disconnection(error):
                self._finalize(None)
                raise
            rv = self.program.handle_user_exception(self.program, self.ctx, error)
            self._finalize(rv)
            self._close_for(self.response)
        except BaseException:
            if self.ctx.socket._has_cancelled:
                self._finalize(None)
            raise
        else:
            self._finalize(rv)

    def _before(self) -> t.Any:
        app = self.program.app
        request = self.ctx.request
        if not is_allowed(request, app.config.get("WEBSOCKET_ALLOWED_ORIGINS")):
            raise Forbidden("Pages of this origin may not open a WebSocket here.")
        for adjust in self.plan.url_values:
            adjust(request.endpoint, request.view_args)
        for hook in self.plan.before:
            answer = hook()
            if answer is not None:
                return answer
        return None

    def _view(self) -> t.Any:
        request, plan = self.ctx.request, self.plan
        if request.routing_exception is not None:
            self.program.app.raise_routing_exception(request)
        values: dict[str, t.Any] = request.view_args or {}
        if plan.parameter is not None:
            values = {**values, plan.parameter: self.ctx.websocket}
        view: t.Any = plan.view
        return view(**values)

    def _finalize(self, rv: t.Any, late: bool = False) -> None:
        """Make the response, and run what comes after the view."""
        app = self.program.app
        ctx = self.ctx
        try:
            response = None if rv is None else app.make_response(rv)
            for function in ctx.__dict__.pop("_after_websocket_functions", ()):
                response = app.ensure_sync(function)(response)
            for function in self.plan.after:
                response = function(response)
            self.response = None if response is None else app.make_response(response)
            self._save_session()
            if websocket_finished.receivers:
                websocket_finished.send(app, _async_wrapper=app.ensure_sync, response=self.response)
        except Exception:
            if not late:
                raise
            app.logger.exception(
                "WebSocket finalizing failed with an error while handling an error"
            )

    def _save_session(self) -> None:
        ctx = self.ctx
        if ctx.socket._state == CONNECTING and self.response is not None:
            ctx.save_session(self.response)
        else:
            ctx.save_late_session()

    def _handle(self, error: Exception) -> None:
        """An error that nothing handled: logged, or propagated; 500 or 1011 for the client."""
        app = self.program.app
        for signal in (got_websocket_exception, got_request_exception):
            signal.send(app, _async_wrapper=app.ensure_sync, exception=error)
        self.code, self.reason = 1011, ""
        propagate = app.config["PROPAGATE_EXCEPTIONS"]
        if app.testing or app.debug if propagate is None else propagate:
            self.error = error
            self.response = self._response_to(500)
            return
        app.log_exception(sys.exc_info())
        answer: t.Any = InternalServerError(original_exception=error)
        handler = app._find_error_handler(answer, self.ctx.request.blueprints)
        if handler is not None:
            answer = app.ensure_sync(handler)(answer)
        self._finalize(answer, late=True)
        if self.response is None:
            self.response = self._response_to(500)

    def _response_to(self, status: int) -> t.Any:
        return self.program.app.response_class(status=status)

    def _close_for(self, response: t.Any) -> None:
        """The code that says to an open connection what the status of a response would."""
        status = 200 if response is None else response.status_code
        if status >= 400:
            self.code = 1011 if status >= 500 else 1008


async def _finish(socket: Websocket, life: _Life) -> None:
    """Refuse the connection or close it, where that was not done and the client is there."""
    response = life.response
    try:
        if socket._state == OPEN:
            await socket.close(life.code, life.reason)
        elif socket._state == CONNECTING:
            if response is not None and "websocket.http.response" in (
                socket.scope.get("extensions") or ()
            ):
                await _refuse(socket, response)
            else:
                await socket.close()
    except WebsocketDisconnected:
        pass
    finally:
        if response is not None:
            await bridge.run(response.close)


async def _refuse(socket: Websocket, response: t.Any) -> None:
    """Answer with an HTTP response (ASGI, "WebSocket Denial Response")."""
    environ = socket.request.environ
    headers = response.get_wsgi_headers(environ).to_wsgi_list()
    await socket._give(
        {
            "type": "websocket.http.response.start",
            "status": response.status_code,
            "headers": [(n.lower().encode("latin1"), v.encode("latin1")) for n, v in headers],
        }
    )
    if hasattr(response.response, "__aiter__"):
        async for piece in response.response:
            await _give_piece(socket, piece.encode() if isinstance(piece, str) else piece, True)
        await _give_piece(socket, b"", False)
    else:
        body = await bridge.run(b"".join, response.iter_encoded())
        await _give_piece(socket, body, False)


async def _give_piece(socket: Websocket, piece: bytes, more: bool) -> None:
    await socket._give({"type": "websocket.http.response.body", "body": piece, "more_body": more})

"""The ASGI edge (ASGI 3): a scope comes in, messages are received and sent.

A request whose view is a coroutine function runs in the request's own task: the pipeline in a
greenlet of the bridge, so that whatever it waits for waits natively. Every other request runs on
a worker thread, as under a WSGI server. Both go through :func:`erlen.transports.wsgi.wsgi_app`
with an environ made of the scope, so that a request's life is the same on both protocols.
"""

from __future__ import annotations

import typing as t
from contextvars import copy_context
from functools import partial
from weakref import ref

from werkzeug.exceptions import BadRequest, HTTPException

from ..engine import bridge
from ..engine.greenlets import Suspended, begin
from ..engine.respond import Page
from ..engine.threads import waiting
from ..signals import audience
from ..state import NOTHING, current
from ..wrappers.scope import EXTRA, PROXY_FIX, BodyStream, Inbox, environ_of, path_in_app
from .answer import Answer, DirectAnswer, start_message
from .mount import serve_start
from .presence import Presence
from .wsgi import MOST_HOSTS, serve_directly, wsgi_app

if t.TYPE_CHECKING:
    from contextvars import Context

    from _typeshed.wsgi import WSGIEnvironment

    from ..engine.plan import Plan, Program
    from ..wrappers.scope import Receive, Scope, Send

#: The environ's key of the seconds for which a request waited for a worker thread.
QUEUE_TIME = "erlen.queue_time"
#: After so many pieces of an asynchronous body the loop's other tasks get a turn: neither the body
#: nor the server need ever make it wait.
_TURN = 16
_END: t.Any = object()
_new = object.__new__
_CONTENT_TYPES = {
    kind: (b"content-type", kind.encode())
    for kind in ("application/json", "text/html; charset=utf-8")
}


async def asgi_app(app: t.Any, scope: Scope, receive: Receive, send: Send) -> None:
    """The ASGI application itself; middleware is applied by wrapping this attribute.

    PERF: the way of a plan that goes directly is written out here, since each coroutine in between
    would cost as much as a step of it.
    """
    if scope["type"] != "http":
        await _serve_other(app, scope, receive, send)
        return
    program: Program = app._program
    if program is None or program.asks:
        scope = _as_forwarded(app._current_program(), scope)
        started = await serve_start(app, scope, receive, send)
        if started is None:  # a mounted application has answered
            return
        program = started
    matcher = program.matcher
    if matcher is None or program.wraps_wsgi or scope.get("root_path"):
        await _serve(program, scope, Inbox(receive, scope), send)
        return
    host = None
    marks: dict[str, t.Any] = {}
    for name, value in scope["headers"]:
        if name == b"host":
            if host is not None:
                host = None
                break
            host = value
        elif name == b"cookie":
            marks["HTTP_COOKIE"] = value
        elif name == b"upgrade":
            host = None
            break
    method = scope["method"]
    path = scope["path"]
    hit = None
    if host in program.raw_hosts and path and path[0] == "/":
        hit = matcher.find(method, path)
    if hit:
        entry, values = hit
        plan = program.plans[entry.index]
        if (
            plan is not None
            and plan.goes_directly
            and method in plan.direct_methods
            and current.get() is NOTHING
            and EXTRA not in (scope.get("extensions") or ())
            and not (audience.ever and audience.listens())
        ):
            inbox = None
            if plan.receives_early:
                # PERF: what is here when the view reads it costs no change of greenlets.
                inbox = Inbox(receive, scope)
                await inbox.receive_early(app.config["MAX_CONTENT_LENGTH"])
                if program is not app._program:
                    await _serve(app._current_program(), scope, inbox, send)
                    return
            request = _new(app.request_class)
            request.scope = scope
            request.json_module = app.json
            request.url_rule = plan.rule
            request.view_args = values
            if inbox is None:
                request._receive = receive
                request._plan = plan
            else:
                request._inbox = inbox
                request._content = inbox.content
            try:
                done: t.Any = begin(
                    serve_directly, program, plan, plan.call_on_loop, request, marks, None
                )
                if done.__class__ is Suspended:
                    done = await done
                if done.__class__ is tuple:
                    body, content_type = done
                    headers = [
                        _CONTENT_TYPES.get(content_type)
                        or (b"content-type", content_type.encode()),
                        (b"content-length", b"%d" % len(body)),
                    ]
                    await send({"type": "http.response.start", "status": 200, "headers": headers})
                    await send({"type": "http.response.body", "body": body})
                    return
                if done.__class__ is Page:
                    await send(start_message(done.status, done.headers))
                    await send({"type": "http.response.body", "body": done.body})
                    return
            except OSError as error:
                if not Exchange(request._inbox, send).explains(error):
                    raise
                return
            inbox = request._inbox
            if inbox.reader is None:
                inbox.reader = ref(request)
            del request, marks
            await Exchange(inbox, send).finish(app, done)
            return
    await _serve(program, scope, Inbox(receive, scope), send)


async def _serve_other(app: t.Any, scope: Scope, receive: Receive, send: Send) -> None:
    kind = scope["type"]
    if kind == "websocket":
        from .websocket import websocket_app

        scope = _as_forwarded(app._current_program(), scope)
        if await serve_start(app, scope, receive, send) is not None:
            await websocket_app(app, scope, receive, send)
    elif kind == "lifespan":
        from .lifespan import lifespan_app

        await lifespan_app(app, scope, receive, send)
    else:
        raise RuntimeError(f"Connections of type {kind!r} are not supported.")


async def _serve(program: Program, scope: Scope, inbox: Inbox, send: Send) -> None:
    app = program.app
    wraps_wsgi = program.wraps_wsgi
    wsgi = app if program.wraps_call else app.wsgi_app
    if program.proxy_fix is not None:
        # What this middleware does needs no thread.
        scope = _as_forwarded(program, scope)
        wraps_wsgi, wsgi = False, partial(wsgi_app, app)
    exchange = Exchange(inbox, send)
    environ = exchange.environ = environ_of(scope, BodyStream(inbox))
    host = environ.get("HTTP_HOST")
    if host and "," in host and [name for name, _ in scope["headers"]].count(b"host") > 1:
        # RFC 9112, 3.2: a proxy may have gone by one of them, and the application by another.
        await exchange.refuse(BadRequest("There is more than one host."), environ)
        return
    if host in program.hosts and len(program.raw_hosts) < MOST_HOSTS:
        program.raw_hosts.add(host.encode("latin1"))
    try:
        plan = None if wraps_wsgi else _plan_of(program, scope, environ)
        is_native = plan is not None and plan.runs_natively(environ["REQUEST_METHOD"])
        del environ
        if plan is not None:
            if plan.receives_early:
                # PERF: a worker thread that has to ask the loop for the body waits for two changes
                # of threads.
                await inbox.receive_early(app.config["MAX_CONTENT_LENGTH"])
            else:
                inbox.plan = plan
        if is_native:
            await exchange.run_natively(app, plan, exchange.hand_over())
        else:
            answer = Answer() if wraps_wsgi else DirectAnswer()
            await exchange.run_on_thread(app, exchange.hand_over(), answer, wsgi)
    except BaseException as error:
        if not exchange.explains(error):
            raise
    finally:
        await exchange.end()


def _plan_of(program: Program, scope: Scope, environ: WSGIEnvironment) -> Plan | None:
    """The plan that the request will have; `None` where it must run on a thread in any case."""
    matcher = program.matcher
    app = program.app
    hit: t.Any = None
    if matcher is not None and scope["path"].isascii():
        path = path_in_app(scope)
        if path and path[0] == "/":
            hit = matcher.find(environ["REQUEST_METHOD"], path)
    if hit is False:
        return program.no_match or app._plan_for_rule(program, None)
    if hit:
        entry = hit[0]
        return program.plans[entry.index] or app._plan_for_rule(  # type: ignore[no-any-return]
            program, entry.rule, entry.index
        )
    if not program.has_native:
        return None
    try:
        adapter = app.create_url_adapter(app.request_class(environ))
        rule = adapter.match(return_rule=True)[0]
    except HTTPException:
        return None
    return app._plan_for_rule(program, rule)  # type: ignore[no-any-return]


class Exchange(Presence):
    """One request and its response: what is received and sent, and whether the client is there."""

    __slots__ = ("environ", "send")

    def __init__(self, inbox: Inbox, send: Send) -> None:
        super().__init__(inbox)
        self.send = send
        #: Of the request, until it runs; whoever holds it may yet read the body.
        self.environ: t.Any = None

    def hand_over(self) -> t.Any:
        """The environ, for somebody who drops it at the end of the request."""
        environ, self.environ = self.environ, None
        return environ

    async def run_natively(self, app: t.Any, plan: t.Any, environ: WSGIEnvironment) -> None:
        """Run the request in this task, and send what comes of it."""
        if plan.cancels:
            self.watch()
        answer = DirectAnswer()
        answer.body = await bridge.run(wsgi_app, app, environ, answer)
        del environ
        await self._send(app, answer)

    async def finish(self, app: t.Any, answer: DirectAnswer) -> None:
        """Send what came of a request that ran in this task."""
        try:
            await self._send(app, answer)
        except BaseException as error:
            if not self.explains(error):
                raise
        finally:
            await self.end()

    async def refuse(self, error: HTTPException, environ: WSGIEnvironment) -> None:
        """Send an error's own page."""
        answer = Answer()
        body = error.get_response(environ)(environ, answer)
        await self._send_ready(answer, body)

    async def _send(self, app: t.Any, answer: DirectAnswer) -> None:
        body = answer.body
        context = None
        try:
            if answer.source is None and not isinstance(body, (tuple, list)):
                context = copy_context()
                await self._send_steps(app, answer, body, context)
            else:
                await self._send_ready(answer, body)
        finally:
            self.rest()
            if context is not None:
                await _close_on_thread(app, body, context)
            elif hasattr(body, "close"):
                await bridge.run(body.close)

    async def run_on_thread(
        self, app: t.Any, environ: WSGIEnvironment, answer: Answer, wsgi: t.Any = None
    ) -> None:
        """Run the request on a worker thread, through `app.wsgi_app` unless told otherwise, and
        send what comes of it."""
        context = copy_context()
        wsgi = wsgi or app.wsgi_app
        call = app.worker_threads.submit(context.run, _call, wsgi, environ, answer)
        del environ
        try:
            body = await call
        except BaseException:
            # The thread goes on after a cancellation, which then is told at its end.
            if call.done() and not call.cancelled() and call.exception() is None:
                await _close_on_thread(app, call.result(), context)
            raise
        try:
            if answer.source is None and not isinstance(body, (tuple, list)):
                await self._send_steps(app, answer, body, context)
            else:
                await self._send_ready(answer, body)
        finally:
            self.rest()
            await _close_on_thread(app, body, context)

    async def _send_ready(self, answer: Answer, body: t.Any) -> None:
        """Send a body that is at hand, or one that is asynchronous."""
        send = self.send
        await send(answer.message())
        if answer.source is not None:
            await self._send_source(answer.source)
            return
        await send({"type": "http.response.body", "body": b"".join([*answer.written, *body])})

    async def _send_source(self, source: t.Any) -> None:
        """Send an asynchronous body as it comes; closed in any case."""
        from asyncio import sleep

        self.watch()
        send = self.send
        sent = 0
        pieces = source.__aiter__()
        try:
            while True:
                try:
                    # Sync code in the generator may wait for coroutines, as in a view.
                    piece = await bridge.run(bridge.await_, pieces.__anext__())
                except StopAsyncIteration:
                    break
                if isinstance(piece, str):
                    piece = piece.encode()
                if piece:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                    sent += 1
                    if not sent % _TURN:
                        self.watch_now()
                        await sleep(0)
        finally:
            self.rest()
            if hasattr(pieces, "aclose"):
                await bridge.run(bridge.await_, pieces.aclose())
        await send({"type": "http.response.body", "body": b""})

    async def _send_steps(
        self, app: t.Any, answer: Answer, body: t.Iterable[bytes], context: Context
    ) -> None:
        """Send a body that is a sync iterator, each piece got on a thread, in one context."""
        self.watch()
        send = self.send
        threads = app.body_threads
        pieces = None
        is_started = False
        sent = 0
        while True:
            if answer.is_started and not is_started:
                is_started = True
                await send(answer.message())
            if pieces is None:
                pieces = await threads.submit(context.run, iter, body)
            piece = await threads.submit(context.run, next, pieces, _END)
            if not is_started:
                # Middleware may start the response as late as with its first piece.
                if not answer.is_started:
                    raise RuntimeError("The application has not called 'start_response'.")
                is_started = True
                await send(answer.message())
            if answer.written:
                early = b"".join(answer.written)
                answer.written.clear()
                await send({"type": "http.response.body", "body": early, "more_body": True})
            if piece is _END:
                break
            if piece:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                sent += 1
                if sent == _TURN:
                    self.watch_now()
        await send({"type": "http.response.body", "body": b""})


def _as_forwarded(program: Program, scope: Scope) -> Scope:
    """The scope as Werkzeug's `ProxyFix` around `wsgi_app` has it, if there is one."""
    middleware = program.proxy_fix
    if middleware is None or PROXY_FIX in scope:
        return scope
    from ..middleware import ProxyFix

    names = ("x_for", "x_proto", "x_host", "x_port", "x_prefix")
    return ProxyFix(middleware.app, *(getattr(middleware, name) for name in names)).fixed(scope)


def _call(
    wsgi: t.Callable[..., t.Any], environ: WSGIEnvironment, answer: Answer
) -> t.Iterable[bytes]:
    environ[QUEUE_TIME] = waiting.seconds
    return wsgi(environ, answer)  # type: ignore[no-any-return]


async def _close_on_thread(app: t.Any, body: t.Any, context: Context) -> None:
    if hasattr(body, "close"):
        from asyncio import shield

        # Also where the task is cancelled once more while this waits for a thread.
        await shield(app.body_threads.submit(context.run, body.close))

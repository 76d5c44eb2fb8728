"""The WSGI edge (PEP 3333): an environ comes in, an iterable of bytes goes out."""

from __future__ import annotations

import typing as t

from werkzeug.exceptions import NotFound

from ..ctx import RequestContext
from ..signals import (
    appcontext_popped,
    appcontext_pushed,
    appcontext_tearing_down,
    request_tearing_down,
)
from ..state import NOTHING, current

if t.TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from ..engine.plan import Program

_MOST_HOSTS = 256


def open_context(program: Program, environ: WSGIEnvironment) -> RequestContext:
    """A context for the environ, not pushed; matched already where the matcher could."""
    host = environ.get("HTTP_HOST")
    matcher = program.matcher
    if matcher is not None and host in program.hosts and "HTTP_UPGRADE" not in environ:
        path = environ.get("PATH_INFO")
        if path and path[0] == "/":
            hit = matcher.find(environ["REQUEST_METHOD"], path)
            if hit is not None:
                return _matched(program, environ, hit)
    ctx: RequestContext = program.app.request_context(environ)
    if host and matcher is not None and ctx.url_adapter is not None:
        # `create_url_adapter` took this host: it need not be asked again.
        if len(program.hosts) >= _MOST_HOSTS:
            program.hosts.clear()
        program.hosts.add(host)
    return ctx


def _matched(program: Program, environ: WSGIEnvironment, hit: t.Any) -> RequestContext:
    """What `request_context` and `match_request` make together, for a path that was found."""
    app = program.app
    ctx = RequestContext.__new__(RequestContext)
    ctx.app = app
    cls = app.request_class
    if program.plain_request:  # PERF: its constructor does no more than this
        ctx.request = request = cls.__new__(cls)
        request.environ = environ
        request.shallow = False
        environ["werkzeug.request"] = request
    else:
        ctx.request = request = cls(environ)
    request.json_module = app.json
    ctx._program = program
    if hit is False:  # no rule has such a path
        ctx._plan = program.no_match or app._plan_for_rule(program, None)
        if program.late_session:
            request.routing_exception = NotFound()
            ctx._matched = True
        else:
            ctx._found = NotFound()
        return ctx
    entry, values = hit
    ctx._plan = program.plans[entry.index] or app._plan_for_rule(program, entry.rule, entry.index)
    if program.late_session:
        request.url_rule = entry.rule
        request.view_args = values
        ctx._matched = True
    else:
        ctx._found = (entry.rule, values)
    return ctx


def serve(app: t.Any, environ: WSGIEnvironment, start_response: StartResponse) -> t.Any:
    """Serve one request: `wsgi_app` as built in."""
    program: Program = app._program
    if program is None or program.foreign:
        program = app._current_program()
    ctx = open_context(program, environ)
    error: BaseException | None = None
    try:
        try:
            if ctx._matched and current.get() is NOTHING and not appcontext_pushed.receivers:
                ctx._is_new = False
                ctx._cv_tokens = [(current.set((None, ctx)), None)]
            else:
                ctx.push()
            response = program.full_dispatch(program, ctx)
        except Exception as raised:
            error = raised
            response = program.handle_exception(program, ctx, raised)
        except BaseException as raised:
            error = raised
            raise
        if program.plain_response and response.__class__ is app.response_class:
            return response._send(environ, start_response)
        return response(environ, start_response)
    finally:
        if "werkzeug.debug.preserve_context" in environ:
            _preserve(environ["werkzeug.debug.preserve_context"])
        if error is not None and app.should_ignore_error(error):
            error = None
        if program.plain_end and program is app._program and _ends_simply(ctx):
            try:
                for function in ctx._plan.teardown:
                    function(error)
            finally:
                environ["werkzeug.request"] = None
                current.reset(ctx._cv_tokens.pop()[0])
        else:
            ctx.pop(error)
        error = None  # its traceback holds this frame: no cycle for the collector


def _ends_simply(ctx: RequestContext) -> bool:
    """Whether popping the context would call the plan's functions and nobody else.

    PERF: true of most requests.
    """
    own = ctx.__dict__
    tokens = ctx._cv_tokens
    return (
        len(tokens) == 1
        and tokens[0][1] is None
        and current.get() == (None, ctx)
        and ctx._plan is not None
        and not ctx.app.teardown_appcontext_funcs
        and "_own_app_context" not in own
        and "files" not in ctx.request.__dict__
        and not request_tearing_down.receivers
        and not appcontext_tearing_down.receivers
        and not appcontext_popped.receivers
    )


def _preserve(keep: t.Callable[[t.Any], t.Any]) -> None:
    """Hand the contexts to a test client or debugger, which keeps them alive."""
    from ..globals import _cv_app, _cv_request

    keep(_cv_app.get())
    keep(_cv_request.get())

"""The WSGI edge (PEP 3333): an environ comes in, an iterable of bytes goes out.

`wsgi_app` is the way of every request; it is a method of the application. `serve_directly` is the
same way for a request that was matched and whose stages nobody replaced: in one function, and
without objects that nobody could see.
"""

from __future__ import annotations

import collections.abc as cabc
import typing as t
from functools import partial

from werkzeug.exceptions import HTTPException, NotFound

from ..ctx import _IMPLIED, RequestContext
from ..engine.greenlets import Suspended
from ..engine.pipeline import now
from ..engine.respond import Ready, ready_body, ready_page
from ..signals import audience
from ..state import NOTHING, current
from .answer import DirectAnswer

if t.TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from ..engine.plan import Plan, Program
    from ..wrappers import Response

MOST_HOSTS = 256
_HTTP = frozenset({"http", "https"})
# What the constructors of a request class that may be gone around and of contexts are built on.
_new = object.__new__
#: Stands for the error of a request that has not ended.
_SUSPENDED = BaseException()


def wsgi_app(
    app: t.Any, environ: WSGIEnvironment, start_response: StartResponse
) -> cabc.Iterable[bytes]:
    """The WSGI application itself; middleware is applied by wrapping this attribute."""
    program: Program = app._program
    if program is None or program.asks:
        program = app._current_program()
        if program.asks:
            from . import mount as mounted

            program, mount = mounted.start_and_find(app, program, environ)
            if mount is not None:
                return mounted.serve_below(app, mount, environ, start_response)
    hit: t.Any = None
    path = None
    try:  # PERF: a look-up that may fail costs less than `get`
        if (
            environ["HTTP_HOST"] in program.hosts  # empty where there is no matcher
            and "HTTP_UPGRADE" not in environ
            and environ["wsgi.url_scheme"] in _HTTP
        ):
            path = environ["PATH_INFO"]
    except KeyError:
        pass
    if path:
        method = environ["REQUEST_METHOD"]
        hit = program.matcher.find(method, path)  # type: ignore[union-attr]
    if hit:
        entry, values = hit
        plan = program.plans[entry.index]
        if (
            plan is not None
            and method in plan.direct_methods
            and current.get() is NOTHING
            and "werkzeug.debug.preserve_context" not in environ
            and not (audience.ever and audience.listens())
        ):
            request = _new(program.request_class)
            request.environ = environ
            request.json_module = app.json
            request.url_rule = plan.rule
            request.view_args = values
            environ["werkzeug.request"] = request
            return serve_directly(  # type: ignore[no-any-return]
                program, plan, plan.call, request, environ, start_response
            )
    ctx = _open_context(program, environ, hit)
    error: BaseException | None = None
    try:
        try:
            ctx.push()
            response = program.full_dispatch(program, ctx)
        except Exception as raised:
            error = raised
            program = now(program)
            response = program.handle_exception(program, ctx, raised)
        except BaseException as raised:
            error = raised
            raise
        return _send(program, response, environ, start_response)
    finally:
        if "werkzeug.debug.preserve_context" in environ:
            _preserve(environ["werkzeug.debug.preserve_context"])
        _close(program, ctx, error)
        error = None  # its traceback holds this frame: no cycle for the collector


def _open_context(program: Program, environ: WSGIEnvironment, hit: t.Any) -> RequestContext:
    """The context of a request, not pushed; matched already where the matcher could."""
    app = program.app
    if hit is None:
        ctx: RequestContext = app.request_context(environ)
        host = environ.get("HTTP_HOST")
        if host and program.matcher is not None and ctx.url_adapter is not None:
            # `create_url_adapter` took this host: it need not be asked again.
            if len(program.hosts) >= MOST_HOSTS:
                program.hosts.clear()
            program.hosts.add(host)
        return ctx
    ctx = RequestContext.__new__(RequestContext)
    ctx.app = app
    ctx.request = request = app.request_class(environ)
    request.json_module = app.json
    ctx._program = program
    if hit is False:  # no rule has such a path
        ctx._plan = program.no_match or app._plan_for_rule(program, None)
        found: t.Any = NotFound()
    else:
        entry, values = hit
        ctx._plan = program.plans[entry.index] or app._plan_for_rule(
            program, entry.rule, entry.index
        )
        found = (entry.rule, values)
    if not program.late_session:
        ctx._found = found  # the session is opened first
    elif hit is False:
        request.routing_exception = found
        ctx._matched = True
    else:
        request.url_rule, request.view_args = found
        ctx._matched = True
    return ctx


def serve_directly(
    program: Program,
    plan: Plan,
    call: t.Callable[[dict[str, t.Any]], t.Any],
    request: t.Any,
    marks: dict[str, t.Any],
    start_response: StartResponse | None,
    ctx: RequestContext | None = None,
) -> t.Any:
    """A request's life for a plan of built-in stages. PERF: it takes half of the time.

    `call` calls the view, in the edge's form, with the values of the match. `marks` is the
    environ, or stands for it where that was not made: it tells whether there is a cookie. Without
    a `start_response` the answer is body and content type, a `Page`, or a `DirectAnswer`; or a
    `Suspended`, where the view is a coroutine that waits, and this is called again with the
    request's context and what goes on with the view.
    """
    app = program.app
    if ctx is None:
        ctx = _new(RequestContext)
        ctx.app = app
        ctx.request = request
        ctx._program = program
        ctx._plan = plan
        ctx._matched = True
        ctx._is_new = False
        ctx._is_used = False
        ctx._token = token = current.set((None, ctx))
        is_hooked = plan.hooked
    else:
        token = ctx._token
        is_hooked = False
    error: BaseException | None = None
    body = page = None
    try:
        try:
            try:
                if not is_hooked:
                    rv = call(request.view_args)
                else:
                    view: t.Any = plan.on_loop if start_response is None else plan.view
                    rv = _run_hooked(program, plan, ctx, view)
            except Exception as raised:
                current_program = now(program)
                rv = current_program.handle_user_exception(current_program, ctx, raised)
            if rv.__class__ is Suspended:
                rv.again = partial(_go_on, program, plan, request, marks, ctx)
                error = _SUSPENDED
                return rv
            if (
                plan.is_final
                and "HTTP_COOKIE" not in marks
                and program is app._program
                and (not ctx._is_used or _is_final(ctx))
                and not (audience.ever and audience.listens())
            ):
                kind = rv.__class__
                if kind is Ready:
                    body, content_type = rv
                elif kind is str and program.text_type is not None:
                    body, content_type = rv.encode(), program.text_type
                else:
                    ready = ready_body(program, rv)
                    if ready is not None:
                        body, content_type = ready
                    elif isinstance(rv, HTTPException):
                        page = ready_page(program, rv)
            if body is None and page is None:
                if program is not app._program:
                    program = now(program)
                if rv.__class__ is Ready:
                    rv = rv.response(app.response_class)
                response = program.finalize(program, ctx, rv, False)
        except Exception as raised:
            error = raised
            program = now(program)
            response = program.handle_exception(program, ctx, raised)
        except BaseException as raised:
            error = raised
            raise
        if start_response is None:
            if body is not None:
                return body, content_type
            return page or DirectAnswer().take(response, request.environ)
        if page is not None:
            start_response(page.status, [*page.headers])
            return [page.body]
        if body is None:
            return _send(program, response, marks, start_response)
        start_response(
            "200 OK", [("Content-Type", content_type), ("Content-Length", str(len(body)))]
        )
        # PERF: a list, as some servers send it together with the head, but a stream for itself.
        return [body]
    finally:
        if (
            error is None
            and (not ctx._is_used or _stands_alone(ctx))
            and ctx._program is app._program  # nothing was replaced since the plan was taken
            and ctx._program.plain_end
            and not app.teardown_appcontext_funcs
            and not request._form_loaded
            and not audience.ever
        ):
            try:
                for function in ctx._plan.teardown:
                    function(None)
            finally:
                marks["werkzeug.request"] = None
                current.reset(token)
                ctx._token = None
        elif error is not _SUSPENDED:
            _close(program, ctx, error)
        error = None


def _go_on(
    program: Program,
    plan: Plan,
    request: t.Any,
    marks: dict[str, t.Any],
    ctx: RequestContext,
    step: t.Callable[..., t.Any],
) -> t.Any:
    """:func:`serve_directly` for the next step of a view that has waited."""
    return serve_directly(program, plan, step, request, marks, None, ctx)


def _run_hooked(program: Program, plan: Plan, ctx: RequestContext, view: t.Any) -> t.Any:
    """What the hooks before the view answer, or else the view, as it is by then."""
    if not plan.has_only_before:
        rv = program.preprocess(program, ctx)
        if rv is None:
            program = now(program)
            rv = program.dispatch(program, ctx)
        return rv
    for hook in plan.before:
        rv = hook()
        if rv is not None:
            return rv
    request = ctx.request
    if (
        program is program.app._program
        and request.url_rule is plan.rule
        and request.routing_exception is None
        and request.__dict__.get("method") != "OPTIONS"  # set by a hook
    ):
        return view(**request.view_args)  # type: ignore[arg-type]
    program = now(program)
    return program.dispatch(program, ctx)


def _is_final(ctx: RequestContext) -> bool:
    """Whether a request that used its context left nothing to do between view and response."""
    own = ctx.__dict__
    return not ("_opened_session" in own or "_after_request_functions" in own)


def _stands_alone(ctx: RequestContext) -> bool:
    """Whether a context was pushed but once, and nobody asked for its application context."""
    own = ctx.__dict__
    return not ("_cv_tokens" in own or "_own_app_context" in own)


def _send(
    program: Program, response: Response, environ: WSGIEnvironment, start_response: StartResponse
) -> cabc.Iterable[bytes]:
    if start_response.__class__ is DirectAnswer:
        return start_response.take(response, environ).body  # type: ignore[no-any-return]
    if program.plain_response and response.__class__ is program.app.response_class:
        return response._send(environ, start_response)
    return response(environ, start_response)


def _close(program: Program, ctx: RequestContext, error: BaseException | None) -> None:
    """Pop the context; around the stages that do so where that would call nobody else."""
    app = program.app
    if error is not None and app.should_ignore_error(error):
        error = None
    planned = ctx._program
    if planned is not None and planned is app._program and planned.plain_end and _ends_simply(ctx):
        try:
            for function in ctx._plan.teardown:
                function(error)
        finally:
            ctx.request.environ["werkzeug.request"] = None
            ctx._cv_tokens.clear()
            current.set(NOTHING)
    else:
        ctx.pop(error)


def _ends_simply(ctx: RequestContext) -> bool:
    """Whether popping the context would call the plan's functions and nobody else."""
    tokens = ctx._cv_tokens
    return (
        len(tokens) == 1
        and tokens[0] == (None, _IMPLIED, None)
        and current.get() == (None, ctx)
        and ctx._plan is not None
        and not ctx.app.teardown_appcontext_funcs
        and "_own_app_context" not in ctx.__dict__
        and "files" not in ctx.request.__dict__
        and not audience.listens()
    )


def _preserve(keep: t.Callable[[t.Any], t.Any]) -> None:
    """Hand the contexts to a test client or debugger, which keeps them alive."""
    from ..globals import _cv_app, _cv_request

    keep(_cv_app.get())
    keep(_cv_request.get())

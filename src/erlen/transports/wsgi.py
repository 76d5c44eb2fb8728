"""The WSGI edge (PEP 3333): an environ comes in, an iterable of bytes goes out."""

from __future__ import annotations


import typing as t

from ..ctx import RequestContext


if t.TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse
    from _typeshed.wsgi import WSGIEnvironment

    from ..engine.plan import Program

_MOST_HOSTS = 256


def open_context(program: Program, environ: WSGIEnvironment) -> RequestContext:
    """A context for the environ, not pushed; matched already where the matcher could."""
    host = environ.get("HTTP_HOST")
    if (
        program.plain_context
        and host in program.hosts
        and "HTTP_UPGRADE" not in environ
        and program.matcher is not None
    ):
        path = environ.get("PATH_INFO")
        if path and path[0] == "/":
            hit = program.matcher.find(environ["REQUEST_METHOD"], path)
            if hit is not None:
                return _matched(program, environ, *hit)
    app = program.app
    ctx: RequestContext = app.request_context(environ)
    if host and program.plain_context and ctx.url_adapter is not None:
        if len(program.hosts) >= _MOST_HOSTS:
            program.hosts.clear()
        program.hosts.add(host)
    return ctx


def _matched(
    program: Program, environ: WSGIEnvironment, entry: t.Any, values: dict[str, t.Any]
) -> RequestContext:
    """What `request_context` and `match_request` make together, for a path that was found."""
    app = program.app
    plan = program.plans[entry.index]
    if plan is None:
        plan = program.plans[entry.index] = app._plan_for_rule(program, entry.rule)
    ctx = RequestContext.__new__(RequestContext)
    ctx.app = app
    ctx.request = request = app.request_class(environ)
    request.json_module = app.json
    ctx._cv_tokens = []
    ctx._program = program
    ctx._plan = plan
    if program.late_session:
        request.url_rule = entry.rule
        request.view_args = values
        ctx._matched = True
    else:
        ctx._found = (entry.rule, values)
    return ctx


def serve(app: t.Any, environ: WSGIEnvironment, start_response: StartResponse) -> t.Any:
    """Serve one request: `wsgi_app` as built in."""
    program: Program = app._current_program()
    ctx = open_context(program, environ)
    error: BaseException | None = None
    try:
        try:
            ctx.push()
            response = program.full_dispatch(program, ctx)
        except Exception as raised:
            error = raised
            response = program.handle_exception(program, ctx, raised)
        except BaseException as raised:
            error = raised
            raise
        send = getattr(response, "_send", response)
        return send(environ, start_response)
    finally:
        if "werkzeug.debug.preserve_context" in environ:
            _preserve(environ["werkzeug.debug.preserve_context"])
        if error is not None and app.should_ignore_error(error):
            error = None
        ctx.pop(error)


def _preserve(keep: t.Callable[[t.Any], t.Any]) -> None:
    """Hand the contexts to a test client or debugger, which keeps them alive."""
    from ..globals import _cv_app
    from ..globals import _cv_request

    keep(_cv_app.get())
    keep(_cv_request.get())




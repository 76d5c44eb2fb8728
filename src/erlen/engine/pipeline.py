"""The life of a request, written once.

Each stage is a function of the program, the request's context and what the stage before gave. The
program holds for each the function to call: the one here, or a call of the application's method
where a subclass or the instance replaces it. In order:

    full_dispatch   request_started, then
      preprocess      url value preprocessors, before_request functions
      dispatch        the view, or what matching raised
      handle_user_exception, handle_http_exception    where one of these raised
      finalize        make_response, then
        process         after_this_request, after_request, the session is saved
                      request_finished
    handle_exception  what is left becomes a 500
    teardown        teardown_request functions, request_tearing_down

Source: Flask, "Application Structure and Lifecycle".
"""

from __future__ import annotations

import sys
import typing as t

from werkzeug.exceptions import BadRequest, BadRequestKeyError, HTTPException, InternalServerError

from ..errors import http_form_of, http_forms
from ..signals import got_request_exception, request_finished, request_started, request_tearing_down

if t.TYPE_CHECKING:
    from ..ctx import RequestContext
    from ..wrappers import Request, Response
    from .plan import Plan, Program

_BODYLESS = frozenset({"GET", "HEAD", "OPTIONS"})
_KEEPS_BODY = frozenset({307, 308})


def plan_of(program: Program, ctx: RequestContext) -> Plan:
    """The plan for the rule that the request has now."""
    plan: Plan | None = ctx._plan
    rule = ctx.request.url_rule
    if plan is None or plan.rule is not rule or ctx._program is not program:
        plan = program.app._plan_for_rule(program, rule)
        ctx._plan = plan
        ctx._program = program
    return plan


def now(program: Program) -> Program:
    """The program as it is by now: a hook or view may have replaced or registered something."""
    if program is not program.app._program or program.foreign:
        program = program.app._current_program()
    return program


def full_dispatch(program: Program, ctx: RequestContext) -> Response:
    """From a pushed context to a response, errors that have a handler included."""
    app = program.app
    if not app._got_first_request:
        object.__setattr__(app, "_got_first_request", True)
    try:
        if request_started.receivers:
            request_started.send(app, _async_wrapper=app.ensure_sync)
        plan = ctx._plan or plan_of(program, ctx)
        rv = None
        if plan.hooked:
            rv = program.preprocess(program, ctx)
            program = now(program)
        if rv is None:
            rv = program.dispatch(program, ctx)
    except Exception as error:
        program = now(program)
        rv = program.handle_user_exception(program, ctx, error)
    program = now(program)
    return program.finalize(program, ctx, rv, False)


def preprocess(program: Program, ctx: RequestContext) -> t.Any:
    """Run what comes before the view; the first result that is not `None` replaces it."""
    plan = plan_of(program, ctx)
    request = ctx.request
    if plan.url_values:
        for adjust in plan.url_values:
            adjust(request.endpoint, request.view_args)
        plan = program.app._plan_for_rule(now(program), plan.rule)
    for hook in plan.before:
        answer = hook()
        if answer is not None:
            return answer
    return None


def dispatch(program: Program, ctx: RequestContext) -> t.Any:
    """Call the view with the values of the URL, or raise what matching raised."""
    request = ctx.request
    plan: Plan = ctx._plan
    if plan is None or plan.hooked or plan.view is None:
        if request.routing_exception is not None:
            program.app.raise_routing_exception(request)
        if plan is None or ctx._program is not program or plan.rule is not request.url_rule:
            plan = plan_of(program, ctx)
    if plan.provides_options and _is_options(program, request):
        return program.app.make_default_options_response()
    view = plan.view
    if view is None:
        view = program.app.ensure_sync(program.app.view_functions[plan.endpoint])
    return view(**request.view_args)  # type: ignore[arg-type]


def _is_options(program: Program, request: Request) -> bool:
    if program.plain_request and "method" not in request.__dict__:
        return request.environ["REQUEST_METHOD"].upper() == "OPTIONS"  # type: ignore[no-any-return]
    return request.method == "OPTIONS"


def finalize(
    program: Program, ctx: RequestContext, rv: t.Any, from_error_handler: bool
) -> Response:
    """A response from a view's or handler's value, with everything that comes after it.

    In the answer to an error that no handler took, an error of the `after_request` functions is
    logged, so that the client gets that answer.
    """
    response = program.make_response(program, rv)
    app = program.app
    try:
        plan = ctx._plan
        if plan is None or not plan.is_final or not _is_untouched(program, ctx):
            response = program.process(program, ctx, response)
        if request_finished.receivers:
            request_finished.send(app, _async_wrapper=app.ensure_sync, response=response)
    except Exception:
        if not from_error_handler:
            raise
        app.logger.exception("Request finalizing failed with an error while handling an error")
    return response


def _is_untouched(program: Program, ctx: RequestContext) -> bool:
    """Whether the request left nothing for `process` to do. PERF: true of most requests."""
    own = ctx.__dict__
    return (
        ctx._program is program
        and "_opened_session" not in own
        and "_after_request_functions" not in own
        and "HTTP_COOKIE" not in ctx.request.environ
        and program is program.app._program
    )


def process(program: Program, ctx: RequestContext, response: Response) -> Response:
    """Run what comes after the view, and save the session."""
    own = ctx.__dict__
    app = program.app
    if "_after_request_functions" in own:
        for function in own["_after_request_functions"]:
            response = app.ensure_sync(function)(response)
    # PERF: here and below `now` and `plan_of`, without the calls.
    if program is not app._program or program.foreign:
        program = app._current_program()
    plan = ctx._plan
    if plan is None or ctx._program is not program or plan.rule is not ctx.request.url_rule:
        plan = plan_of(program, ctx)
    if plan.after:
        for function in plan.after:
            response = function(response)
        if program is not app._program or program.foreign:
            program = app._current_program()
    interface = app.session_interface
    if "_opened_session" not in own and program.late_session:
        environ = ctx.request.environ
        if "HTTP_COOKIE" not in environ or interface._may_skip(app, environ):
            return response
    session = ctx._opened_session
    if not interface.is_null_session(session):
        interface.save_session(app, session, response)
    return response


def handle_user_exception(program: Program, ctx: RequestContext, error: Exception) -> t.Any:
    """The answer of the handler for an error; raises it again where there is none."""
    app = program.app
    if isinstance(error, BadRequestKeyError):
        error.show_exception |= bool(app.debug or app.config["TRAP_BAD_REQUEST_ERRORS"])
    if isinstance(error, HTTPException) and not app.trap_http_exception(error):
        return program.handle_http_exception(program, ctx, error)
    handler = app._find_error_handler(error, ctx.request.blueprints)
    if handler is None:
        form = http_form_of(error) if http_forms else None
        if form is None:
            raise error
        return program.handle_http_exception(program, ctx, form)
    return app.ensure_sync(handler)(error)


def handle_http_exception(program: Program, ctx: RequestContext, error: HTTPException) -> t.Any:
    """The answer of the handler for an HTTP error, or the error itself, which is an answer."""
    from werkzeug.routing import RoutingException

    if error.code is None or isinstance(error, RoutingException):
        return error
    app = program.app
    handler = app._find_error_handler(error, ctx.request.blueprints)
    return error if handler is None else app.ensure_sync(handler)(error)


def handle_exception(program: Program, ctx: RequestContext, error: Exception) -> Response:
    """Turn an error that nothing handled into a 500, logged; raise it again when debugging.

    `PROPAGATE_EXCEPTIONS` decides that; unset, testing and debug mode do.
    """
    app = program.app
    got_request_exception.send(app, _async_wrapper=app.ensure_sync, exception=error)
    propagate = app.config["PROPAGATE_EXCEPTIONS"]
    if app.testing or app.debug if propagate is None else propagate:
        raise error
    app.log_exception(sys.exc_info())
    answer: t.Any = InternalServerError(original_exception=error)
    handler = app._find_error_handler(answer, ctx.request.blueprints)
    if handler is not None:
        answer = app.ensure_sync(handler)(answer)
    return program.finalize(program, ctx, answer, True)


def raise_routing_exception(app: t.Any, request: t.Any) -> t.NoReturn:
    """Raise what matching raised. In debug mode a redirect that would lose a form is an error."""
    from werkzeug.routing import RequestRedirect

    failure = request.routing_exception
    loses_body = (
        app.debug
        and isinstance(failure, RequestRedirect)
        and failure.code not in _KEEPS_BODY
        and request.method not in _BODYLESS
    )
    if loses_body:
        from ..debughelpers import FormDataRoutingRedirect

        raise FormDataRoutingRedirect(request)
    raise failure


def is_trapped(app: t.Any, error: Exception) -> bool:
    """Whether an HTTP error counts as an ordinary one (`TRAP_HTTP_EXCEPTIONS`, ...)."""
    config = app.config
    if config["TRAP_HTTP_EXCEPTIONS"]:
        return True
    trap = config["TRAP_BAD_REQUEST_ERRORS"]
    if trap is None:
        return bool(app.debug) and isinstance(error, BadRequestKeyError)
    return bool(trap) and isinstance(error, BadRequest)


def teardown(program: Program, ctx: RequestContext, error: BaseException | None) -> None:
    """Run the teardown functions, the innermost blueprint's last registered one first."""
    plan = plan_of(program, ctx)
    for function in plan.teardown:
        function(error)
    if request_tearing_down.receivers:
        app = program.app
        request_tearing_down.send(app, _async_wrapper=app.ensure_sync, exc=error)

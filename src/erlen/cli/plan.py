"""``erlen plan URL``: the steps that a request takes, with file and line of each function."""

from __future__ import annotations

import functools
import inspect
import os
import typing as t
from dataclasses import dataclass

import click
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect, RoutingException

from .. import signals
from ..commands import with_appcontext
from ..engine.sockets import socket_plan
from ..errors import format_place
from ..globals import current_app
from ..mounts import find_mount

if t.TYPE_CHECKING:
    from ..app import Erlen
    from ..engine.plan import Plan, Program
    from ..engine.sockets import SocketPlan
    from ..wrappers import Request

Function = t.Callable[..., t.Any]

OUTER_STAGES = ("wsgi_app", "full_dispatch_request")
"""Methods that a request passes first; told where an application replaces them."""


@dataclass(frozen=True)
class Step:
    """One line: at which stage, for which part of the application, what is called or done."""

    stage: str
    scope: str
    what: Function | str

    def cells(self) -> tuple[str, str, str, str]:
        if isinstance(self.what, str):
            return self.stage, self.scope, self.what, ""
        return self.stage, self.scope, name_of(self.what), place_of(self.what)


# Functions


def inner(function: t.Any) -> t.Any:
    """What a user wrote, below decorators, partials, bound methods and callable objects."""
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        elif inspect.ismethod(function):
            function = function.__func__
        elif inspect.isroutine(function) or inspect.isclass(function):
            return function
        elif callable(function):
            function = type(function).__call__
        else:
            return function


def name_of(function: Function) -> str:
    """Module and name, marked where it is a coroutine function."""
    plain = inner(function)
    name = f"{plain.__module__}.{getattr(plain, '__qualname__', type(plain).__name__)}"
    return f"{name} (async)" if inspect.iscoroutinefunction(plain) else name


def place_of(function: Function) -> str:
    """``file:line``, relative to the current directory where it lies below; empty if built in."""
    plain = inner(function)
    try:
        file = inspect.getsourcefile(plain)
        code = getattr(plain, "__code__", None)
        line = code.co_firstlineno if code else inspect.getsourcelines(plain)[1]
    except (TypeError, OSError):
        return ""
    relative = os.path.relpath(file or "")
    return f"{file if relative.startswith(os.pardir) else relative}:{line}"


def view_of(view: Function, method: str) -> Function:
    """The function behind a view; of a class-based view the one for `method`."""
    cls = getattr(view, "view_class", None)
    if cls is None:
        return view
    names = [method.lower(), *(["get"] if method == "HEAD" else []), "dispatch_request"]
    return next((getattr(cls, name) for name in names if hasattr(cls, name)), view)


# Steps


def steps_of(app: Erlen, request: Request, program: Program, plan: Plan) -> list[Step]:
    """All that runs for a request which no step cuts short, in order."""
    failure = request.routing_exception
    home = request.blueprint or "app"
    planned = [
        Step("view", home, view_of(what, request.method))
        if stage == "view"
        else Step(stage, scope or "app", what)
        for stage, scope, what in plan.sources
        if stage != "view" or failure is None
    ]
    before, after, torn = _split(planned)
    called = [step for step in planned if step.stage == "view"] or _without_view(app, request)
    if plan.provides_options and request.method == "OPTIONS" and failure is None:
        called = [Step("view", home, "an answer to OPTIONS, made from the rules")]
    interface = type(app.session_interface).__name__
    opened = "at its first use" if program.late_session else "now"
    return [
        *_replaced(app, program, OUTER_STAGES),
        Step("session", "app", f"opened {opened} ({interface})"),
        *_receivers(app, "request_started"),
        *_replaced(app, program, ("preprocess_request",)),
        *before,
        *_replaced(app, program, ("dispatch_request",)),
        *called,
        *_replaced(app, program, ("finalize_request", "make_response", "process_response")),
        *after,
        Step("session", "app", f"saved if it was used ({interface})"),
        *_receivers(app, "request_finished"),
        *_replaced(app, program, ("do_teardown_request",)),
        *torn,
        *_receivers(app, "request_tearing_down"),
        *_end_of_context(app),
    ]


def steps_of_socket(app: Erlen, request: Request, plan: SocketPlan) -> list[Step]:
    """The same for a WebSocket."""
    home = request.blueprint or "app"
    planned = [
        Step("view", home, view_of(what, "GET"))
        if stage == "view"
        else Step(stage, scope or "app", what)
        for stage, scope, what in plan.sources
    ]
    before, after, torn = _split(planned)
    interface = type(app.session_interface).__name__
    return [
        *_receivers(app, "websocket_started"),
        Step("origin", "app", "has to be of the own host, or in WEBSOCKET_ALLOWED_ORIGINS"),
        *before,
        *([step for step in planned if step.stage == "view"] or _without_view(app, request)),
        Step("session", "app", f"saved if it was used, when the view accepts ({interface})"),
        *after,
        *_receivers(app, "websocket_finished"),
        *torn,
        *_receivers(app, "websocket_tearing_down"),
        *_end_of_context(app),
    ]


def _end_of_context(app: Erlen) -> list[Step]:
    functions = reversed(app.teardown_appcontext_funcs)
    return [
        *(Step("teardown_appcontext", "app", function) for function in functions),
        *_receivers(app, "appcontext_tearing_down"),
    ]


def _split(planned: list[Step]) -> tuple[list[Step], list[Step], list[Step]]:
    """What runs before the view, after it, and at the end."""
    after = [step for step in planned if step.stage.startswith("after_")]
    torn = [step for step in planned if step.stage.startswith("teardown_")]
    before = [step for step in planned if step not in after + torn and step.stage != "view"]
    return before, after, torn


def _without_view(app: Erlen, request: Request) -> list[Step]:
    """What answers where no view is called, since matching failed."""
    failure = request.routing_exception
    if failure is None:
        return []
    told = f"{failure.code} {failure.name}"
    if isinstance(failure, RequestRedirect):
        return [Step("no view", "app", f"{told} to {failure.new_url}")]
    handler = None
    if not isinstance(failure, RoutingException):
        handler = app._find_error_handler(failure, request.blueprints)
    raised = Step("no view", "app", f"raises {told}")
    if handler is None:
        return [raised, Step("error handler", "app", f"none: Werkzeug's page for {told}")]
    return [raised, Step("error handler", _scope_of(app, handler), handler)]


def _scope_of(app: Erlen, handler: Function) -> str:
    return next((step.scope for step in error_handlers(app) if step.what is handler), "app")


def _replaced(app: Erlen, program: Program, methods: t.Iterable[str]) -> list[Step]:
    """Stages that a subclass or the instance replaces."""
    own = {**dict.fromkeys(program.overridden), **vars(app)}
    return [Step("replaced stage", name, getattr(app, name)) for name in methods if name in own]


def _receivers(app: Erlen, signal: str) -> list[Step]:
    found = getattr(signals, signal).receivers_for(app)
    return [Step(f"signal {signal}", "app", receiver) for receiver in found]


def error_handlers(app: Erlen, blueprints: t.Iterable[str] | None = None) -> list[Step]:
    """The handlers in the order in which they are asked: by code first, inner blueprints first."""
    spec = app.error_handler_spec
    scopes = [*(spec if blueprints is None else blueprints), None]
    return [
        Step(
            str(code) if code is not None else error.__name__,
            scope or "app",
            handler,
        )
        for by_code in (True, False)
        for scope in dict.fromkeys(scopes)
        for code, handlers in spec.get(scope, {}).items()
        if (code is not None) is by_code
        for error, handler in handlers.items()
    ]


# The command

_SOCKET_SCHEMES = ("ws://", "wss://")


def _check_url(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if value.startswith(("/", "http://", "https://", *_SOCKET_SCHEMES)):
        return value
    raise click.BadParameter(
        "A path starts with '/', a URL with 'http://' or 'https://', for a WebSocket with 'ws://'"
        " or 'wss://'."
    )


@click.command("plan", short_help="Show the steps that a request takes.")
@click.argument("url", callback=_check_url)
@click.option("--method", "-m", default="GET", help="The request's method.", show_default=True)
@with_appcontext
def plan_command(url: str, method: str) -> None:
    """Show what runs for a request to URL, in order, with the file and
    line of each function.

    URL is a path, or a whole URL where hosts or subdomains decide; that
    of a WebSocket begins with ws:// or wss://. Nothing of it is run.
    """
    app: Erlen = current_app._get_current_object()  # type: ignore[attr-defined]
    is_socket = url.startswith(_SOCKET_SCHEMES)
    headers = {"Connection": "Upgrade", "Upgrade": "websocket"} if is_socket else {}
    url = url.replace("ws", "http", 1) if is_socket else url
    context = app.test_request_context(url, method=method.upper(), headers=headers)
    request = context.request
    mount = find_mount(app.mounts, request.path)
    if mount is not None:
        steps = [Step(f"mount {mount.path}", mount.interface, _entry_of(mount.app))]
        click.echo(f"{_asked(request)}: mounted at {format_place(mount.place)}\n")
        click.echo(_aligned(steps))
        return
    context.match_request()
    program = app._current_program()
    if is_socket:
        steps = steps_of_socket(app, request, socket_plan(program, request.url_rule))
    else:
        steps = steps_of(app, request, program, app._plan_for_rule(program, request.url_rule))
    click.echo(_heading(request))
    click.echo(_aligned(steps))
    handlers = error_handlers(app, request.blueprints)
    if handlers:
        click.echo("\nError handlers, in the order in which they are asked")
        click.echo(_aligned(handlers))


def _entry_of(app: t.Any) -> Function | str:
    """What is called of a mounted application, by its name where the package is not the user's."""
    try:
        return app if place_of(app) else repr(app)
    except AttributeError:
        return repr(app)


def _asked(request: Request) -> str:
    method = "WebSocket" if request.headers.get("Upgrade") == "websocket" else request.method
    return f"{method} {request.full_path.rstrip('?')}"


def _heading(request: Request) -> str:
    asked = _asked(request)
    rule = request.url_rule
    if rule is None:
        failure = t.cast(HTTPException, request.routing_exception)
        return f"{asked}: no rule, {failure.code} {failure.name}\n"
    values = ", ".join(f"{name}={value!r}" for name, value in (request.view_args or {}).items())
    return f"{asked}: rule {rule.rule}, endpoint {rule.endpoint}({values})\n"


def _aligned(steps: t.Iterable[Step]) -> str:
    rows = [step.cells() for step in steps]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
    return "\n".join(f"  {line}" for line in lines)

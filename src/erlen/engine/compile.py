"""From registrations to a program.

Compiling is cheap and lazy: the program itself looks for replaced stages, a plan is made when its
endpoint is first requested (or all at once by `app.prepare()`), and the matcher is kept for as
long as the map does not change.
"""

from __future__ import annotations

import typing as t
from functools import lru_cache, partial
from keyword import iskeyword
from math import inf

from werkzeug.exceptions import NotImplemented as NotImplementedByServer

from . import pipeline
from .bridge import is_bridged
from .derive import READS_JSON, TAKES_VALUES
from .greenlets import MOST_WAITING, stepping
from .internals import converters_of, is_outdated
from .plan import WRAPS_CALL, Function, Plan, Program
from .registry import fingerprint, foreign
from .respond import quick_response, text_type

if t.TYPE_CHECKING:
    from werkzeug.routing import Rule

    from .routing import Map, Matcher

# The application's method for each stage, and how it is called when it was replaced.
_STAGES: dict[str, tuple[str, t.Callable[..., t.Any], t.Callable[[t.Any], t.Any]]] = {
    "full_dispatch": (
        "full_dispatch_request",
        pipeline.full_dispatch,
        lambda app: lambda program, ctx: app.full_dispatch_request(),
    ),
    "preprocess": (
        "preprocess_request",
        pipeline.preprocess,
        lambda app: lambda program, ctx: app.preprocess_request(),
    ),
    "dispatch": (
        "dispatch_request",
        pipeline.dispatch,
        lambda app: lambda program, ctx: app.dispatch_request(),
    ),
    "finalize": (
        "finalize_request",
        pipeline.finalize,
        lambda app: (
            lambda program, ctx, rv, late: (
                app.finalize_request(rv, from_error_handler=True)
                if late
                else app.finalize_request(rv)
            )
        ),
    ),
    "make_response": (
        "make_response",
        quick_response,
        lambda app: lambda program, rv: app.make_response(rv),
    ),
    "process": (
        "process_response",
        pipeline.process,
        lambda app: lambda program, ctx, response: app.process_response(response),
    ),
    "handle_user_exception": (
        "handle_user_exception",
        pipeline.handle_user_exception,
        lambda app: lambda program, ctx, error: app.handle_user_exception(error),
    ),
    "handle_http_exception": (
        "handle_http_exception",
        pipeline.handle_http_exception,
        lambda app: lambda program, ctx, error: app.handle_http_exception(error),
    ),
    "handle_exception": (
        "handle_exception",
        pipeline.handle_exception,
        lambda app: lambda program, ctx, error: app.handle_exception(error),
    ),
    "teardown": (
        "do_teardown_request",
        pipeline.teardown,
        lambda app: lambda program, ctx, error: app.do_teardown_request(error),
    ),
}
# Methods that the engine may go around only while they are the built-in ones.
_CONTEXT_STAGES = ("request_context", "app_context", "create_url_adapter")
_AFTER_STAGES = ("process_response", "finalize_request", "make_response")
_END_STAGES = ("do_teardown_request", "do_teardown_appcontext")
_OTHER_STAGES = ("ensure_sync", "async_to_sync", "do_teardown_appcontext", "wsgi_app")
_WAITERS = ("ensure_sync", "async_to_sync")
_DIRECT_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
# Registries of the application that plans are made of.
WATCHED = (
    "view_functions",
    "before_request_funcs",
    "after_request_funcs",
    "teardown_request_funcs",
    "before_websocket_funcs",
    "after_websocket_funcs",
    "teardown_websocket_funcs",
    "url_value_preprocessors",
)


def stages_of(cls: type) -> dict[str, t.Callable[..., t.Any]]:
    """The methods of an application class that can be replaced, as they are now."""
    methods = [method for method, _, _ in _STAGES.values()]
    return {name: getattr(cls, name) for name in [*methods, *_CONTEXT_STAGES, *_OTHER_STAGES]}


def _overridden(app: t.Any, as_defined: t.Mapping[str, t.Any]) -> frozenset[str]:
    """The methods that the instance, its class or somebody who patched a base replaces."""
    own = vars(app)
    cls = type(app)
    return frozenset(
        name
        for name, function in as_defined.items()
        if name in own or getattr(cls, name, None) is not function
    )


def compile_program(app: t.Any, as_defined: t.Mapping[str, t.Any]) -> Program:
    """Compile an application.

    `as_defined` has the methods that count as not replaced, by name (see `stages_of`).
    """
    # These are looked up here, so that importing the engine does not import sessions and JSON.
    from ..json.provider import plain_provider
    from ..sessions import opens_late
    from ..wrappers import Request, Response
    from ..wrappers.lazy import are_as_defined
    from ..wrappers.request import AS_DEFINED, LIMITS, MADE_DIRECTLY
    from .routing import Map

    program = Program(app)
    program.overridden = _overridden(app, as_defined)
    for slot, (method, plain, replaced) in _STAGES.items():
        setattr(program, slot, replaced(app) if method in program.overridden else plain)
    config = app.config
    program.request_class = request_class = app.request_class
    program.plain_app_context = "app_context" not in program.overridden
    program.plain_context = (
        program.overridden.isdisjoint(_CONTEXT_STAGES)
        and issubclass(request_class, Request)
        and not app.subdomain_matching
        and config["TRUSTED_HOSTS"] is None
        and request_class.trusted_hosts is None
        and type(app.url_map) is Map
    )
    program.plain_request = are_as_defined(request_class, MADE_DIRECTLY, AS_DEFINED)
    program.plain_limits = are_as_defined(request_class, LIMITS, AS_DEFINED)
    program.plain_end = program.overridden.isdisjoint(_END_STAGES) and are_as_defined(
        request_class, ("close",), AS_DEFINED
    )
    response_class = app.response_class
    program.plain_response = issubclass(response_class, Response)
    for kind, cls in ((Request, request_class), (Response, response_class)):
        if issubclass(cls, kind):
            cls._look_at_methods()
    program.plain_types = program.plain_response and response_class._sends_plainly
    program.text_type = text_type(response_class) if program.plain_types else None
    program.json_body = app.json._response_body if plain_provider(app.json) else None
    program.late_session = opens_late(app.session_interface)
    if program.plain_context:
        program.matcher = _matcher(app.url_map)
        program.plans = [None] * len(program.matcher.entries)
    program.wraps_call = hasattr(type(app).__call__, WRAPS_CALL)
    program.wraps_wsgi = program.wraps_call or "wsgi_app" in program.overridden
    program.proxy_fix = None if program.wraps_call else _proxy_fix(app, as_defined["wsgi_app"])
    from .placement import place

    program.has_native = any(place(view, None, app) for view in app.view_functions.values())
    program.foreign = foreign((getattr(app, name) for name in WATCHED), app._dropper)
    program.seen = fingerprint(program.foreign)
    program.mounts = app.mounts
    program.waits = app._waits_for_start()
    program.asks = bool(program.foreign or app.mounts or program.waits)
    return program


def _proxy_fix(app: t.Any, built_in: t.Any) -> t.Any:
    """Werkzeug's middleware of this name, where it is around the built-in `wsgi_app` alone."""
    outer = vars(app).get("wsgi_app")
    kind = type(outer)
    if (kind.__module__, kind.__qualname__) != ("werkzeug.middleware.proxy_fix", "ProxyFix"):
        return None
    inner = outer.app
    is_own = getattr(inner, "__self__", None) is app
    return outer if is_own and getattr(inner, "__func__", None) is built_in else None


def is_current(program: Program) -> bool:
    """Whether registries that cannot tell of changes still hold what was compiled."""
    return not program.foreign or fingerprint(program.foreign) == program.seen


def _matcher(url_map: Map) -> Matcher:
    """The map's matcher, compiled again only after a change of the map."""
    from .routing import compile_matcher

    kept = url_map.__dict__.get("_compiled")
    version = url_map.version  # read first: another thread may change the map meanwhile
    if kept is None or kept[0] != version or is_outdated(url_map):
        kept = url_map.__dict__["_compiled"] = (version, compile_matcher(url_map))
    return t.cast("Matcher", kept[1])


def plan_for_rule(program: Program, rule: Rule | None, index: int = -1) -> Plan:
    """The plan for a rule, or for requests that match none; `index` is its matcher entry's."""
    plan = program.plans_by_rule.get(id(rule))
    if plan is None:
        # The plan holds its rule, so that the id stays the rule's.
        plan = program.plans_by_rule[id(rule)] = _compile_plan(program, rule)
    if index >= 0:
        program.plans[index] = plan
    if rule is None:
        program.no_match = plan
    return plan


class Steps:
    """Registered functions for a rule: flattened over its blueprints, ready for sync code."""

    def __init__(self, program: Program, rule: Rule | None) -> None:
        self.program = program
        #: The innermost first.
        self.blueprints = _blueprints_of(None if rule is None else rule.endpoint)
        #: (step, blueprint or None, function as registered), in order.
        self.sources: list[tuple[str, str | None, Function]] = []

    def inward(self, step: str, registry: t.Any) -> tuple[Function, ...]:
        """Those that run before a view: the application's first, each in its order."""
        return self._flattened(step, registry, (None, *reversed(self.blueprints)), iter)

    def outward(self, step: str, registry: t.Any) -> tuple[Function, ...]:
        """Those that run after a view: the innermost blueprint's first, each the latest first."""
        return self._flattened(step, registry, (*self.blueprints, None), reversed)

    def _flattened(
        self, step: str, registry: t.Any, names: t.Iterable[str | None], in_order: Function
    ) -> tuple[Function, ...]:
        found = [
            (step, name, function)
            for name in names
            for function in in_order(registry.get(name) or ())
        ]
        self.sources += found
        return tuple(_ready(self.program, function) for _, _, function in found)

    def view(
        self, view: Function, derived: Function, most_waiting: float = inf
    ) -> tuple[Function, Function]:
        """What stands in a view's place, ready for sync code, and as it is called on a loop."""
        self.sources.append(("view", None, view))
        ready = _ready(self.program, derived)
        if is_bridged(ready) and self.program.overridden.isdisjoint(_WAITERS):
            return ready, stepping(derived, most_waiting)
        return ready, ready


def _blueprints_of(endpoint: str | None) -> list[str]:
    names = []
    while endpoint and "." in endpoint:
        endpoint = endpoint.rpartition(".")[0]
        names.append(endpoint)
    return names


def _ready(program: Program, function: Function) -> Function:
    """The function in a form that sync code can call."""
    app = program.app
    if "ensure_sync" in program.overridden:
        return lambda *args, **kwargs: app.ensure_sync(function)(*args, **kwargs)
    return app.ensure_sync(function)  # type: ignore[no-any-return]


def _compile_plan(program: Program, rule: Rule | None) -> Plan:
    app = program.app
    steps = Steps(program, rule)
    plan = Plan(rule, steps.blueprints, steps.sources)
    plan.url_values = steps.inward("url_value_preprocessor", app.url_value_preprocessors)
    plan.before = steps.inward("before_request", app.before_request_funcs)
    timeout: float | None = getattr(rule, "timeout", None)
    view = app.view_functions.get(plan.endpoint)
    if view is not None:
        from .placement import place

        plan.native = place(view, rule, app)
        derived = _derived(view, rule, app, timeout)
        plan.view, plan.on_loop = steps.view(view, derived, MOST_WAITING)
        caller = _caller(tuple(converters_of(rule)) if rule else ())
        plan.call, plan.call_on_loop = caller(plan.view), caller(plan.on_loop)
        if plan.view is derived:  # PERF: without a call and a dict in between
            plan.call = getattr(derived, TAKES_VALUES, plan.call)
        wish = getattr(rule, "cancel_on_disconnect", None)
        plan.cancels = bool(app.config.get("CANCEL_ON_DISCONNECT") if wish is None else wish)
    plan.after = steps.outward("after_request", app.after_request_funcs)
    if timeout is not None:
        from .deadline import limit_body

        plan.after += (partial(limit_body, seconds=timeout),)
    plan.teardown = steps.outward("teardown_request", app.teardown_request_funcs)
    plan.provides_options = bool(getattr(rule, "provide_automatic_options", False))
    if view is None:
        # An error page is quickly made, unless somebody takes part.
        plan.native = not plan.sources and not any(app.error_handler_spec.values())
    _find_short_ways(program, plan)
    plan.may_receive_early = (
        view is not None
        and program.plain_limits
        and timeout is None
        and not (plan.hooked or plan.cancels or program.overridden)
    )
    plan.receives_early = plan.may_receive_early and getattr(derived, READS_JSON, False)
    return plan


def _derived(view: Function, rule: Rule | None, app: t.Any, timeout: float | None) -> Function:
    """The view, with what its types and its route's options ask for around it."""
    from .derive import derive

    if getattr(rule, "on_socket", False):
        return _refuse_socket
    derived = derive(view, rule, app)
    if timeout is None:
        return derived
    from .deadline import limited

    return limited(derived, timeout)


def _refuse_socket(**values: t.Any) -> t.NoReturn:
    """The view of a WebSocket, where a WSGI server asks for it."""
    raise NotImplementedByServer("WebSockets need an ASGI server.")


def _find_short_ways(program: Program, plan: Plan) -> None:
    """Find out what an edge and the pipeline may leave out for a plan."""
    overridden = program.overridden
    plan.hooked = bool(plan.url_values or plan.before or "preprocess_request" in overridden)
    plan.has_only_before = (
        bool(plan.before)
        and not plan.url_values
        and overridden.isdisjoint({"preprocess_request", "dispatch_request"})
    )
    if (
        plan.view is not None
        and not program.foreign
        and program.plain_request
        and program.late_session
        and "full_dispatch_request" not in overridden
        and (plan.hooked or "dispatch_request" not in overridden)
    ):
        plan.direct_methods = _DIRECT_METHODS
    plan.goes_directly = bool(plan.direct_methods) and plan.native is True and not plan.cancels
    plan.is_final = not plan.after and program.late_session and overridden.isdisjoint(_AFTER_STAGES)


@lru_cache(maxsize=256)
def _caller(names: tuple[str, ...]) -> t.Callable[[t.Any], t.Callable[[dict[str, t.Any]], t.Any]]:
    """What makes, of a view, a function that calls it with the values of these names.

    PERF: a call with its names written out costs Python half of one with `**values`.
    """
    if not all(name.isidentifier() and not iskeyword(name) for name in names):
        return lambda view: lambda values: view(**values)
    given = ", ".join(f"{name}=values[{name!r}]" for name in names)
    return eval(f"lambda view: lambda values: view({given})")  # type: ignore[no-any-return]


def prepare(program: Program) -> None:
    """Compile the plans of all rules now."""
    if program.matcher is not None:
        program.matcher.prepare()
        for entry in program.matcher.entries:
            plan_for_rule(program, entry.rule, entry.index)
    for rule in program.app.url_map.iter_rules():
        plan_for_rule(program, rule)
    plan_for_rule(program, None)

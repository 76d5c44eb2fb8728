"""What is decided once about the WebSockets of a rule."""

from __future__ import annotations

import inspect
import typing as t

from .compile import Steps
from .placement import waits
from .threads import Threads

if t.TYPE_CHECKING:
    import asyncio

    from werkzeug.routing import Rule

    from .plan import Function, Program

T = t.TypeVar("T")

#: A parameter without a type gets the socket if it has one of these names.
_NAMES_OF_SOCKET = frozenset({"socket", "websocket", "ws"})
# Annotations that say nothing, also as strings.
_NO_TYPE = (inspect.Parameter.empty, t.Any, "Any", "t.Any", "typing.Any")
_BY_KEYWORD = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class SocketPlan:
    """The steps of a WebSocket's life, each list flattened over its blueprints."""

    __slots__ = (
        "after",
        "before",
        "cancels",
        "native",
        "parameter",
        "rule",
        "sources",
        "teardown",
        "url_values",
        "view",
    )

    def __init__(self, program: Program, rule: Rule | None) -> None:
        app = program.app
        steps = Steps(program, rule)
        #: (step, blueprint or None, function as registered), in order.
        self.sources = steps.sources
        self.rule = rule
        self.url_values = steps.inward("url_value_preprocessor", app.url_value_preprocessors)
        self.before = steps.inward("before_websocket", app.before_websocket_funcs)
        view = None if rule is None else app.view_functions.get(rule.endpoint)
        self.view: Function | None = None
        #: Name of the view's parameter that gets the socket.
        self.parameter: str | None = None
        #: Whether the view is a coroutine function; any other runs on a thread of its own.
        self.native = True
        if view is not None:
            self.view = steps.view(view, view)[1]
            self.parameter = parameter_for_socket(view, t.cast("Rule", rule).arguments)
            cls = getattr(view, "view_class", None)
            self.native = waits(view if cls is None else cls.dispatch_request)
        self.after = steps.outward("after_websocket", app.after_websocket_funcs)
        self.teardown = steps.outward("teardown_websocket", app.teardown_websocket_funcs)
        wish = getattr(rule, "cancel_on_disconnect", None)
        #: Whether the view is cancelled when the client leaves.
        self.cancels = wish is None or bool(wish)


class SocketThreads(Threads):
    """Threads for WebSockets, each of which keeps one for as long as it is open."""

    #: WebSockets that have a thread.
    taken = 0

    def start(self, func: t.Callable[..., T], *args: t.Any) -> asyncio.Future[T] | None:
        """Have a call made on a thread at once; `None` where all threads are taken, since to wait
        for another connection's end may take for ever."""
        if self.taken >= self.limit:
            return None
        self.taken += 1
        call = self.submit(func, *args)
        call.add_done_callback(self._give_back)
        return call

    def _give_back(self, call: asyncio.Future[t.Any]) -> None:
        self.taken -= 1
        if not call.cancelled():
            call.exception()  # asked for, though perhaps nobody waits any more


def socket_plan(program: Program, rule: Rule | None) -> SocketPlan:
    """The plan for a rule, or for WebSockets that match none."""
    plan: SocketPlan | None = program.sockets.get(id(rule))
    if plan is None:
        # The plan holds its rule, so that the id stays the rule's.
        plan = program.sockets[id(rule)] = SocketPlan(program, rule)
    return plan


def parameter_for_socket(view: t.Any, variables: t.Container[str]) -> str | None:
    """The parameter that gets the socket: annotated as one, else named as one and required.

    An annotation counts also behind decorators, a name does not: the decorator may fill it.
    Never a variable of the URL.
    """
    try:
        outer = inspect.signature(view, follow_wrapped=False).parameters
        inner = inspect.signature(view).parameters
    except (TypeError, ValueError):  # it has no signature to be read
        return None
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in outer.values())
    for name, parameter in inner.items():
        if parameter.kind in _BY_KEYWORD and name not in variables:
            if (takes_any or name in outer) and _is_annotated(parameter, view):
                return name
    for name, parameter in outer.items():
        if (
            name in _NAMES_OF_SOCKET
            and name not in variables
            and parameter.kind in _BY_KEYWORD
            and parameter.annotation in _NO_TYPE
            and parameter.default is inspect.Parameter.empty
        ):
            return name
    return None


def _is_annotated(parameter: inspect.Parameter, view: t.Any) -> bool:
    """Whether a parameter is annotated with a class of sockets, also as a string."""
    from ..websockets.handshake import Handshake

    annotation = parameter.annotation
    if isinstance(annotation, str):
        names = getattr(inspect.unwrap(view), "__globals__", {})
        first, *attributes = annotation.split(".")
        annotation = names.get(first)
        for name in attributes:
            annotation = getattr(annotation, name, None)
        if annotation is None:  # imported for type checkers only
            return parameter.annotation.rpartition(".")[2] in ("Websocket", "BlockingWebsocket")
    return isinstance(annotation, type) and issubclass(annotation, Handshake)

"""What is decided once: a `Program` for the application, a `Plan` for each rule."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from werkzeug.routing import Rule

    from ..wrappers import Request, Response
    from .routing import Matcher

Function = t.Callable[..., t.Any]

#: The mark of a `__call__` that was made to take ASGI's arguments, too (see `transports.called`).
WRAPS_CALL = "_erlen_wraps_call"


class Plan:
    """The steps of a request to one rule, each list flattened over its blueprints.

    Every function is ready to be called from sync code. What is absent is an empty tuple.
    """

    __slots__ = (
        "after",
        "before",
        "blueprints",
        "call",
        "call_on_loop",
        "cancels",
        "direct_methods",
        "endpoint",
        "goes_directly",
        "has_only_before",
        "hooked",
        "is_final",
        "may_receive_early",
        "native",
        "on_loop",
        "provides_options",
        "receives_early",
        "rule",
        "sources",
        "teardown",
        "url_values",
        "view",
    )

    def __init__(
        self,
        rule: Rule | None,
        blueprints: list[str],
        sources: list[tuple[str, str | None, Function]],
    ) -> None:
        self.rule = rule
        self.endpoint: str | None = None if rule is None else rule.endpoint
        self.blueprints = blueprints
        #: (step, blueprint or None, function as registered), in order.
        self.sources = sources
        self.url_values: tuple[Function, ...] = ()
        self.before: tuple[Function, ...] = ()
        self.view: Function | None = None
        #: Call the view, and its form for a loop, with the values that a match has given.
        self.call: t.Callable[[dict[str, t.Any]], t.Any]
        self.call_on_loop: t.Callable[[dict[str, t.Any]], t.Any]
        self.after: tuple[Function, ...] = ()
        self.teardown: tuple[Function, ...] = ()
        self.provides_options = False
        #: Whether anything runs between the match and the view.
        self.hooked = False
        #: Whether these are `before_request` functions only, between built-in stages.
        self.has_only_before = False
        #: HTTP methods for which an edge may call hooks and view itself.
        self.direct_methods: frozenset[str] = frozenset()
        #: Whether the ASGI edge may do so, on the event loop.
        self.goes_directly = False
        #: Whether nothing follows the view, if the session was not used.
        self.is_final = False
        #: Whether the view belongs on the event loop; HTTP methods for which it does.
        self.native: bool | frozenset[str] = False
        #: The view in the form that is called on an event loop.
        self.on_loop: Function | None = None
        #: Whether the view is cancelled when the client leaves.
        self.cancels = False
        #: Whether under ASGI a small JSON body is received before the request begins, since the
        #: view will read it; and whether that is right once the view was seen to wait for one.
        self.receives_early = False
        self.may_receive_early = False

    def runs_natively(self, method: str) -> bool:
        """Whether a request of this method runs on the event loop, where there is one."""
        native = self.native
        return native if isinstance(native, bool) else method in native


class Program:
    """The application, compiled: the stages to call, how paths are found, the plans."""

    __slots__ = (
        "app",
        "asks",
        "dispatch",
        "finalize",
        "foreign",
        "full_dispatch",
        "handle_exception",
        "handle_http_exception",
        "handle_user_exception",
        "has_native",
        "hosts",
        "late_session",
        "json_body",
        "make_response",
        "matcher",
        "mounts",
        "no_match",
        "overridden",
        "plain_app_context",
        "plain_context",
        "plain_end",
        "plain_limits",
        "plain_request",
        "plain_response",
        "plain_types",
        "plans",
        "plans_by_rule",
        "preprocess",
        "process",
        "proxy_fix",
        "raw_hosts",
        "request_class",
        "seen",
        "sockets",
        "teardown",
        "text_type",
        "waits",
        "wraps_call",
        "wraps_wsgi",
    )

    # Stages, in the signatures of `pipeline`; set by `compile`.
    full_dispatch: t.Callable[..., Response]
    preprocess: Function
    dispatch: Function
    finalize: t.Callable[..., Response]
    make_response: t.Callable[..., Response]
    process: t.Callable[..., Response]
    handle_user_exception: Function
    handle_http_exception: Function
    handle_exception: t.Callable[..., Response]
    teardown: Function
    #: Whether `app_context` is the built-in one, so that its object need not be made.
    plain_app_context: bool
    #: Whether the constructor of requests is the built-in one.
    plain_request: bool
    #: Whether the most bytes of a body are the configuration's to say.
    plain_limits: bool
    #: Whether nobody replaced what tears contexts down.
    plain_end: bool
    #: The built-in provider's way from data to a body, `None` where it is not the built-in one.
    json_body: t.Callable[[t.Any], bytes] | None
    #: Whether responses can be made of bytes without their constructor.
    plain_types: bool
    request_class: type[Request]
    #: Content type of text that a view returns; `None` where the long way must be gone.
    text_type: str | None
    #: Whether a function for WSGI stands in the place of `__call__`.
    wraps_call: bool
    #: Whether this, or `wsgi_app`, was wrapped, so that every request has to go through it.
    wraps_wsgi: bool
    #: Werkzeug's `ProxyFix`, where it is all that `wsgi_app` is wrapped in.
    proxy_fix: t.Any
    #: Whether any view belongs on the event loop.
    has_native: bool

    def __init__(self, app: t.Any) -> None:
        self.app = app
        #: Names of the methods that a subclass or the instance replaces.
        self.overridden: frozenset[str] = frozenset()
        #: `None` where every request goes through `MapAdapter.match`.
        self.matcher: Matcher | None = None
        #: By the index of the matcher's entries.
        self.plans: list[Plan | None] = []
        #: The plan of requests that match no rule.
        self.no_match: Plan | None = None
        #: By the id of the rule.
        self.plans_by_rule: dict[int, Plan] = {}
        #: Plans of WebSockets (see `sockets`), by the id of the rule.
        self.sockets: dict[int, t.Any] = {}
        #: `Host` headers that `create_url_adapter` has accepted; bounded.
        self.hosts: set[str] = set()
        #: The same as bytes, for ASGI.
        self.raw_hosts: set[bytes | None] = set()
        #: Built-in contexts, types and matching.
        self.plain_context = False
        self.plain_response = False
        #: Whether nobody can tell that the session is opened at its first use.
        self.late_session = False
        #: Registries that cannot tell of their changes, and what they held when compiled.
        self.foreign: list[t.Any] = []
        self.seen: list[t.Any] = []
        #: Applications under a path (see `mounts`), the longest path first.
        self.mounts: tuple[t.Any, ...] = ()
        #: Whether an edge has more to do first than to look for a plan: to see whether foreign
        #: registries have changed, to start the application, to find a mount.
        self.asks = False
        #: Whether the application may have to be started first.
        self.waits = False

"""Which route a function answers, and what is sent to it: found by the function itself."""

from __future__ import annotations

import inspect
import typing as t
from functools import partial

from ..api.bind import operations_of
from ..api.fields import MISSING, Operation
from ..errors import SetupError
from ..paths import find_source
from ..views import MethodView

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..app import Erlen
    from .replies import Reader

    View = Callable[..., t.Any]

#: Methods in the order in which one is chosen where a route has several.
_WITHOUT_BODY = ("GET", "DELETE", "POST", "PUT", "PATCH", "OPTIONS", "HEAD", "TRACE")
_WITH_BODY = ("POST", "PUT", "PATCH", "DELETE")


class Route:
    """A view at an endpoint, as a caller sees it."""

    def __init__(
        self, app: Erlen, endpoint: str, view: View, function: View, verb: str | None
    ) -> None:
        self.endpoint = endpoint
        self.view = view
        self.rules = [rule for rule in app.url_map.iter_rules(endpoint) if not rule.websocket]
        if not self.rules:
            raise SetupError(f"{endpoint!r} is no route for requests.", find_source(function))
        self.verb = verb
        self.variables = frozenset(name for rule in self.rules for name in rule.arguments)
        operations = operations_of(view, self.rules[0], app)
        empty = Operation(function, (), (), (), ())
        self.operation = operations.get(verb) or operations.get(None) or empty
        self.fields = {field.name: field for field in self.operation.fields}
        self.provided = {each.name: each for each in self.operation.provided}
        self.name = getattr(function, "__qualname__", repr(function))
        self.signature = _signature_of(function)
        self.returned = _returned_by(function)
        #: Made with the first answer.
        self.reader: Reader | None = None

    def verb_for(self, has_body: bool) -> str:
        """The method of a request with, or without, a body."""
        if self.verb is not None:
            return self.verb
        allowed = {verb for rule in self.rules for verb in rule.methods or ("GET",)}
        order = (*_WITH_BODY, *_WITHOUT_BODY) if has_body else _WITHOUT_BODY
        return next((verb for verb in order if verb in allowed), min(allowed))


class Routes:
    """The routes of an application, by their functions."""

    def __init__(self, app: Erlen) -> None:
        self.app = app
        self._found: dict[tuple[t.Any, str | None], Route] = {}

    def of(self, function: View, within: str | None = None) -> Route:
        """The route of a function. Raises SetupError where there is none, or more than one.

        :param within: an endpoint, or a blueprint's name, that tells several apart
        """
        function = getattr(function, "__func__", function)
        key = (function, within)
        route = self._found.get(key)
        if route is None or self.app.view_functions.get(route.endpoint) is not route.view:
            route = self._found[key] = self._search(function, within)
        return route

    def _search(self, function: View, within: str | None) -> Route:
        places: list[tuple[str, View, str | None]] = []
        for each in _layers(function):
            places = [*self._places(each)]
            if places:
                break
        if within is not None:
            places = [
                place for place in places if place[0] == within or place[0].startswith(f"{within}.")
            ]
        name = getattr(function, "__qualname__", repr(function))
        if not places:
            where = f" at {within!r}" if within else ""
            raise SetupError(
                f"{name} is no view of {self.app.name!r}{where}.", find_source(function)
            )
        if len(places) > 1:
            names = ", ".join(repr(endpoint) for endpoint, *_ in places)
            raise SetupError(
                f"{name} answers several endpoints: {names}. Choose one with 'client.at(name)'.",
                find_source(function),
            )
        endpoint, view, verb = places[0]
        return Route(self.app, endpoint, view, function, verb)

    def _places(self, wanted: t.Any) -> Iterator[tuple[str, View, str | None]]:
        for endpoint, view in self.app.view_functions.items():
            if any(each is wanted for each in _layers(view)):
                yield endpoint, view, None
                continue
            cls = getattr(view, "view_class", None)
            if cls is None:
                continue
            if not issubclass(cls, MethodView):
                if any(each is wanted for each in _layers(cls.dispatch_request)):
                    yield endpoint, view, None
                continue
            for verb in sorted(cls.methods or ()):
                method = getattr(cls, verb.lower(), None)
                if any(each is wanted for each in _layers(method)):
                    yield endpoint, view, verb
                    break


def _layers(function: t.Any) -> Iterator[t.Any]:
    """A function and what it wraps, from the outside."""
    while function is not None:
        yield function
        if isinstance(function, partial):
            function = function.func
        else:
            function = getattr(function, "__wrapped__", None)


def _signature_of(function: View) -> inspect.Signature:
    """The signature without a method's `self`."""
    signature = inspect.signature(function)
    parameters: Sequence[inspect.Parameter] = [*signature.parameters.values()]
    if parameters and parameters[0].name == "self" and "." in function.__qualname__:
        parameters = parameters[1:]
    return signature.replace(parameters=parameters)


def _returned_by(function: View) -> t.Any:
    """The return annotation, resolved; `MISSING` where there is none that can be."""
    inner = [*_layers(function)][-1]
    if "return" not in getattr(inner, "__annotations__", {}):
        return MISSING
    only = {"return": inner.__annotations__["return"]}
    holder = type("Holder", (), {"__annotations__": only})
    try:
        space = getattr(inner, "__globals__", {})
        return t.get_type_hints(holder, space, include_extras=True)["return"]
    except NameError:
        return MISSING  # imported for type checkers only

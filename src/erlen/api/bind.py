"""A view with its parameters bound: compiled once, from its operation.

The derived view is a coroutine function where the view is; reading the request and calling
dependencies is plain sync code in both, which waits by itself (`erlen.await_`).
"""

from __future__ import annotations

import typing as t
from functools import update_wrapper

from ..engine.bridge import is_coroutine_function
from ..engine.derive import READS_JSON, TAKES_VALUES, functions_of
from ..state import current
from .annotations import signature_of
from .answers import FOR_WSGI, compile_answer
from .depends import Call, Shape, compile_reading, compile_steps, without_repeats
from .fields import Operation
from .places import Values, most_of
from .problems import ValidationProblem
from .signatures import read_view

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from werkzeug.routing import Rule

    View = Callable[..., t.Any]

#: Options of a route that the product reads.
OPTIONS = (
    *("dependencies", "status", "responses", "returns", "tags", "summary", "description"),
    *("deprecated", "operation_id", "hidden", "openapi", "security"),
    *("exclude_unset", "exclude_defaults", "exclude_none", "by_alias", "include", "exclude"),
)


def derive(view: View, rule: Rule, app: t.Any) -> View:
    """The view in bound form, or itself where nothing is to be bound. Raises SetupError."""
    operations = operations_of(view, rule, app)
    guard = _guard(rule, app) if hasattr(view, "view_class") else None
    if guard is None and all(operation.is_trivial for operation in operations.values()):
        return view
    if _is_left_to_application(operations, app):
        return view
    ways = {
        verb: _around(operation, view, app, rule.arguments)
        for verb, operation in operations.items()
    }
    if None in ways:
        bound = ways[None]
    else:
        other = view if guard is None else _around(guard, view, app, rule.arguments)
        bound = _by_method(ways, other)
    return t.cast("View", update_wrapper(bound, view))


def operations_of(view: View, rule: Rule, app: t.Any) -> dict[str | None, Operation]:
    """The operation of a view, under `None`; of a class-based one those of its HTTP methods."""
    rules = [*app.url_map.iter_rules(rule.endpoint)]
    variables = frozenset(name for other in rules for name in other.arguments)
    options = _options_of(rule, app)
    kept: dict[t.Any, t.Any] = app.extensions.setdefault("erlen.api", {})
    key = (rule.endpoint, id(view), variables, len(rules), repr(options))
    found = kept.get(key)
    if found is None:
        fillers = any(app.url_value_preprocessors.values())
        cls = getattr(view, "view_class", None)
        operations = {}
        for function, whole in functions_of(view):
            verb = None
            if cls is not None and function.__name__ != "dispatch_request":
                verb = function.__name__.upper()
            operations[verb] = read_view(
                function, variables, whole, options, rules=rules, fillers=fillers, owner=cls
            )
        found = kept[key] = (view, operations)  # the view is held, so that its id stays its own
    return t.cast("dict[str | None, Operation]", found[1])


def _options_of(rule: Rule, app: t.Any) -> dict[str, t.Any]:
    options = {name: getattr(rule, name) for name in OPTIONS if hasattr(rule, name)}
    names = []
    name = rule.endpoint
    while "." in name:
        name = name.rpartition(".")[0]
        names.append(name)
    around = [app.__dict__.get("dependencies")]
    for name in reversed(names):
        around.append(getattr(app.blueprints.get(name), "__dict__", {}).get("dependencies"))
    effects = [each for found in around for each in found or ()]
    if effects:
        options["dependencies"] = [*effects, *(options.get("dependencies") or ())]
    return options


def _guard(rule: Rule, app: t.Any) -> Operation | None:
    """The dependencies of a class-based view's methods that have no function of their own."""
    dependencies = _options_of(rule, app).get("dependencies")
    if not dependencies:
        return None
    return read_view(lambda: None, rule.arguments, True, {"dependencies": dependencies})


def _is_left_to_application(operations: dict[str | None, Operation], app: t.Any) -> bool:
    """Whether an application that makes responses of what it likes is all that is concerned."""
    from ..app import Erlen

    if "make_response" not in vars(app) and type(app).make_response is Erlen.make_response:
        return False
    return not any(each.binds or each.options for each in operations.values())


def _by_method(bound: dict[str | None, View], other: View) -> View:
    """A class-based view whose methods are bound each for itself; `other` for those unknown."""

    def choose(**values: t.Any) -> t.Any:
        method = current.get()[1].request.method  # type: ignore[union-attr]
        way = bound.get(method) or (bound.get("GET") if method == "HEAD" else None)
        return (way or other)(**values)

    return choose


def _around(operation: Operation, view: View, app: t.Any, variables: t.Collection[str]) -> View:
    """Binding and answering around a view of this operation."""
    answer = compile_answer(operation, app) or _as_it_is
    shape = Shape(
        app,
        operation.is_body_keyed,
        most_of(operation),
        operation.variables.union(variables),
    )
    if operation.provided or operation.effects or operation.scopes:
        return _depending(operation, view, answer, shape)
    read = compile_reading(operation, shape)
    if read is None:
        return _answering(view, answer)

    if is_coroutine_function(view):

        async def bound_async(**values: t.Any) -> t.Any:
            faults = read(current.get()[1].request, values)  # type: ignore[union-attr]
            if faults:
                raise ValidationProblem(faults)
            return answer(await view(**values))

        bound = bound_async
    else:

        def bound(**values: t.Any) -> t.Any:
            faults = read(current.get()[1].request, values)  # type: ignore[union-attr]
            if faults:
                raise ValidationProblem(faults)
            return answer(view(**values))

        read_fresh = t.cast("Callable[..., t.Any]", compile_reading(operation, shape, fresh=True))
        unmade = getattr(answer, FOR_WSGI, None) or (lambda rv, request: answer(rv))

        def take(matched: Values) -> t.Any:
            values = matched.copy()
            request = current.get()[1].request  # type: ignore[union-attr]
            faults = read_fresh(request, values)
            if faults:
                raise ValidationProblem(faults)
            return unmade(view(**values), request)

        setattr(bound, TAKES_VALUES, take)

    setattr(bound, READS_JSON, bool(operation.body))
    return bound


def _as_it_is(rv: t.Any) -> t.Any:
    return rv


def _answering(view: View, answer: Callable[[t.Any], t.Any]) -> View:
    """A view without parameters to bind."""
    if is_coroutine_function(view):

        async def answered_async(**values: t.Any) -> t.Any:
            return answer(await view(**values))

        return answered_async

    def answered(**values: t.Any) -> t.Any:
        return answer(view(**values))

    return answered


def _depending(
    operation: Operation, view: View, answer: Callable[[t.Any], t.Any], shape: Shape
) -> View:
    """A view with dependencies, which end when the answer is made, or with an error."""
    bind = compile_steps(operation, shape)
    app = shape.app
    strays = _only_of_dependencies(operation)

    def prepare(values: Values, call: Call) -> None:
        faults = bind(current.get()[1].request, values, call)  # type: ignore[union-attr]
        if faults:
            raise ValidationProblem(without_repeats(faults))
        for name in strays:
            values.pop(name, None)

    if is_coroutine_function(view):

        async def bound_async(**values: t.Any) -> t.Any:
            call = Call(app)
            try:
                prepare(values, call)
                rv = answer(await view(**values))
            except BaseException:
                call.fail()
                raise
            return call.finish(rv) if call.exits else rv

        return bound_async

    def bound(**values: t.Any) -> t.Any:
        call = Call(app)
        try:
            prepare(values, call)
            rv = answer(view(**values))
        except BaseException:
            call.fail()
            raise
        return call.finish(rv) if call.exits else rv

    return bound


def _only_of_dependencies(operation: Operation) -> tuple[str, ...]:
    """Variables of the URL that dependencies take and the view itself does not."""

    def taken(within: Operation) -> set[str]:
        names: set[str] = set()
        for provided in (*within.provided, *within.effects):
            inner = provided.operation
            names |= inner.variables | taken(inner)
            names.update(each.alias for each in inner.fields if each.location == "path")
        return names

    names = taken(operation)
    if not names:
        return ()
    parameters = signature_of(operation.function).parameters
    if any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        return ()
    return tuple(names - {*parameters} - {each.alias for each in operation.fields})


__all__ = ["OPTIONS", "derive", "operations_of"]

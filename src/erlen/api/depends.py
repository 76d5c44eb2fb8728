"""Calls dependencies: once a request, nested, and ends their generators.

All of it is sync code, which waits by itself for coroutines (`erlen.await_`).
"""

from __future__ import annotations

import inspect
import sys
import typing as t
from collections.abc import Callable
from dataclasses import dataclass

from ..engine.bridge import await_, is_coroutine_function
from .body import body_step
from .fields import Operation, Provided
from .params import SecurityScopes
from .places import Faults, Values, place_steps
from .problems import Problem

Step: t.TypeAlias = "Callable[[t.Any, Values, Call], Faults]"
Exit: t.TypeAlias = "Callable[[BaseException | None], None]"

_NOT_MADE: t.Any = object()


@dataclass(frozen=True)
class Shape:
    """What the steps of a view and those of all its dependencies have in common."""

    app: t.Any
    #: Whether the fields of the JSON body are values of an object's keys.
    keyed: bool
    #: Bytes that a file of the form may have.
    most: int | None
    #: Variables of the URL.
    variables: frozenset[str]


class Call:
    """What one request's binding has found and opened."""

    __slots__ = ("app", "cache", "exits", "scopes")

    def __init__(self, app: t.Any) -> None:
        self.app = app
        self.cache: dict[t.Any, t.Any] = {}
        self.exits: list[Exit] | None = None
        self.scopes: tuple[str, ...] = ()

    def on_exit(self, leave: Exit) -> None:
        """Have something called with the error, or `None`, when the response was made."""
        if self.exits is None:
            self.exits = []
        self.exits.append(leave)

    def fail(self) -> None:
        """End the generators of dependencies with the error that is being handled.

        One of them may raise another error in its place.
        """
        if self.exits:
            self._end(sys.exc_info()[1])

    def finish(self, rv: t.Any) -> t.Any:
        """End the generators, or have it done when a streamed answer was sent."""
        try:
            response = self.app.make_response(rv)
        except BaseException:
            self.fail()
            raise
        if response.is_streamed:
            response.call_on_close(self._end)
        else:
            self._end(None)
        return response

    def _end(self, error: BaseException | None = None) -> None:
        exits, self.exits = self.exits or [], None
        last = error
        while exits:
            try:
                exits.pop()(last)
            except BaseException as raised:
                last = raised
        if last is not error and last is not None:
            raise last


def compile_steps(operation: Operation, shape: Shape) -> Step:
    """What binds the parameters of an operation that has dependencies, or is one.

    Dependencies come first, as they may refuse who asks; then the cheap values, then the body.
    """
    asked: list[Step] = [_provided_step(each, None, shape) for each in operation.effects]
    asked += [_provided_step(each, each.name, shape) for each in operation.provided]
    read = compile_reading(operation, shape)
    given = operation.scopes

    def bind(request: t.Any, values: Values, call: Call) -> Faults:
        faults: Faults = None
        for step in asked:
            found = step(request, values, call)
            if found:
                faults = [*(faults or ()), *found]
        for name in given:
            values.setdefault(name, SecurityScopes(call.scopes))
        if read is not None:
            try:
                found = read(request, values)
            except Problem as problem:
                _tell_too(problem, faults)
                raise
            if found:
                faults = [*(faults or ()), *found]
        return faults

    return bind


def compile_reading(
    operation: Operation, shape: Shape, fresh: bool = False
) -> Callable[[t.Any, Values], Faults] | None:
    """What binds the parameters that come from the request; `None` without any.

    :param fresh: whether nobody has touched the request before, and it came over WSGI
    """
    steps = place_steps(operation, shape.most)
    for name in operation.requests:
        steps.append(_request_step(name))
    body = body_step(operation, shape.keyed, fresh and not steps)
    if body is not None:
        steps.append(body)
    if len(steps) < 2:
        return steps[0] if steps else None

    def read(request: t.Any, values: Values) -> Faults:
        faults: Faults = None
        for step in steps:
            try:
                found = step(request, values)
            except Problem as problem:
                _tell_too(problem, faults)
                raise
            if found:
                faults = found if faults is None else [*faults, *found]
        return faults

    return read


def _tell_too(problem: Problem, faults: Faults) -> None:
    """Let a refused body not hide what else is wrong."""
    if faults:
        problem.members["errors"] = [*faults, *problem.members.get("errors", ())]


def _request_step(name: str) -> t.Any:
    def step(request: t.Any, values: Values) -> None:
        values.setdefault(name, request)

    return step


def _provided_step(provided: Provided, into: str | None, shape: Shape) -> Step:
    function = provided.operation.function
    own = _Provider(provided.operation, shape)
    substitutes: dict[t.Any, _Provider] = {}
    scopes, is_cached = provided.scopes, provided.cached
    settings = shape.app.__dict__

    def substitute(other: t.Any) -> _Provider:
        found = substitutes.get(other)
        if found is None:
            from .signatures import read_dependency

            operation = read_dependency(other, shape.variables)
            found = substitutes[other] = _Provider(operation, shape)
        return found

    def step(request: t.Any, values: Values, call: Call) -> Faults:
        provider = own
        overrides = settings.get("dependency_overrides")
        if overrides and function in overrides:
            provider = substitute(overrides[function])
        around = call.scopes
        if scopes:
            call.scopes = (*around, *(each for each in scopes if each not in around))
        try:
            key = (provider.function, call.scopes if provider.sees_scopes else None)
            value = call.cache.get(key, call) if is_cached else call
            faults: Faults = None
            if value is call:
                value, faults = provider.provide(request, call)
                call.cache[key] = value
        finally:
            call.scopes = around
        if value is _NOT_MADE:
            # Told where it was tried first; whoever needs it must not be called either.
            return faults or [_ALREADY_TOLD]
        if into is not None:
            values[into] = value
        return None

    return step


# Stands for faults that are in the list already.
_ALREADY_TOLD: t.Any = {"location": [], "message": "", "type": "already told"}


def without_repeats(faults: list[t.Any]) -> list[t.Any]:
    """Faults without the marks of dependencies that two ask for."""
    return [fault for fault in faults if fault is not _ALREADY_TOLD]


class _Provider:
    """Calls one dependency."""

    def __init__(self, operation: Operation, shape: Shape) -> None:
        self.function: t.Any = operation.function
        self.name = getattr(self.function, "__name__", repr(self.function))
        self.bind = compile_steps(operation, shape)
        self.sees_scopes = _sees_scopes(operation)
        self.taken = operation.variables
        self.enter = self._way()

    def _way(self) -> Callable[[Values, Call], t.Any]:
        function = self.function
        code = _called(function)
        if inspect.isasyncgenfunction(code):
            return self._enter_async_generator
        if inspect.isgeneratorfunction(code):
            return self._enter_generator
        if is_coroutine_function(function):
            return lambda values, call: await_(function(**values))
        return lambda values, call: function(**values)

    def provide(self, request: t.Any, call: Call) -> tuple[t.Any, Faults]:
        """The value, or the faults for which the function was not called."""
        values: Values = {}
        taken = self.taken
        if taken:
            view_args = request.view_args or {}
            values = {name: view_args[name] for name in taken if name in view_args}
        faults = self.bind(request, values, call)
        if faults:
            return _NOT_MADE, faults
        return self.enter(values, call), None

    def _enter_generator(self, values: Values, call: Call) -> t.Any:
        generator = self.function(**values)
        try:
            value = next(generator)
        except StopIteration:
            raise RuntimeError(f"The dependency {self.name} yields nothing.") from None

        def leave(error: BaseException | None) -> None:
            try:
                if error is None:
                    next(generator)
                else:
                    generator.throw(error)
            except StopIteration:
                return
            generator.close()
            raise RuntimeError(f"The dependency {self.name} yields more than once.")

        call.on_exit(leave)
        return value

    def _enter_async_generator(self, values: Values, call: Call) -> t.Any:
        generator = self.function(**values)
        # The loop that this is awaited on must not take the generator for its own and close it.
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(None, None)
        try:
            first = generator.__anext__()
        finally:
            sys.set_asyncgen_hooks(*hooks)
        try:
            value = await_(first)
        except StopAsyncIteration:
            raise RuntimeError(f"The dependency {self.name} yields nothing.") from None

        def leave(error: BaseException | None) -> None:
            try:
                await_(generator.__anext__() if error is None else generator.athrow(error))
            except StopAsyncIteration:
                return
            await_(generator.aclose())
            raise RuntimeError(f"The dependency {self.name} yields more than once.")

        call.on_exit(leave)
        return value


def _called(function: t.Any) -> t.Any:
    """The function whose code runs when a dependency is called."""
    while True:
        inner = getattr(function, "func", None) or getattr(function, "__wrapped__", None)
        if inner is None or isinstance(function, type):
            break
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            break
        if not hasattr(function, "func"):
            break  # a decorator decides itself how it calls what it wraps
        function = inner
    if isinstance(function, type) or inspect.isroutine(function):
        return function
    return type(function).__call__


def _sees_scopes(operation: Operation) -> bool:
    return bool(operation.scopes) or any(
        _sees_scopes(each.operation) for each in operation.provided
    )

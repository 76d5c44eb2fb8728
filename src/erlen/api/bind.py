"""A view with its parameters bound: compiled once, from its operation.

The derived view is a coroutine function where the view is; reading the request and calling
dependencies is plain sync code in both, which waits by itself (`erlen.await_`).
"""

from __future__ import annotations

import inspect
import sys
import typing as t
from functools import update_wrapper

from pydantic import ValidationError, create_model
from pydantic.fields import FieldInfo

from ..engine.bridge import await_, is_coroutine_function
from ..engine.derive import functions_of
from ..state import current
from .answers import compile_answer
from .fields import MISSING, Field, Operation, Provided, SecurityScopes, read_view
from .params import UploadFile
from .problems import (
    Fault,
    MalformedJson,
    Problem,
    ValidationProblem,
    WrongMediaType,
    faults_of,
    missing,
)

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from werkzeug.routing import Rule

    View = Callable[..., t.Any]

Values = dict[str, t.Any]
Step = t.Callable[[t.Any, Values, "Call"], None]

_FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")
#: Options of a route that the product reads.
OPTIONS = (
    *("dependencies", "status", "responses", "returns", "tags", "summary", "description"),
    *("deprecated", "operation_id", "hidden", "openapi", "security"),
    *("exclude_unset", "exclude_defaults", "exclude_none", "by_alias", "include", "exclude"),
)


def derive(view: View, rule: Rule, app: t.Any) -> View:
    """The view in bound form, or itself where nothing is to be bound. Raises SetupError."""
    operations = operations_of(view, rule, app)
    if all(operation.is_trivial for operation in operations.values()):
        return view
    ways = {verb: _compile(operation, app) for verb, operation in operations.items()}
    if None in ways:
        bound = ways[None](view)
    else:
        bound = _by_method({verb: way(view) for verb, way in ways.items()}, view)
    return t.cast("View", update_wrapper(bound, view))


def operations_of(view: View, rule: Rule, app: t.Any) -> dict[str | None, Operation]:
    """The operation of a view, under `None`; of a class-based one those of its HTTP methods."""
    kept: dict[t.Any, t.Any] = app.extensions.setdefault("erlen.api", {})
    key = (rule.endpoint, id(view), *(repr(getattr(rule, name, None)) for name in OPTIONS))
    found = kept.get(key)
    if found is None:
        variables = {
            name for other in app.url_map.iter_rules(rule.endpoint) for name in other.arguments
        }
        options = _options_of(rule, app)
        cls = getattr(view, "view_class", None)
        operations = {}
        for function, whole in functions_of(view):
            verb = None if cls is None else function.__name__.upper()
            operations[verb] = read_view(function, variables, whole, options)
        found = kept[key] = (view, operations)  # the view is held, so that its id stays its own
    return t.cast("dict[str | None, Operation]", found[1])


def _options_of(rule: Rule, app: t.Any) -> dict[str, t.Any]:
    options = {name: getattr(rule, name) for name in OPTIONS if hasattr(rule, name)}
    names = []
    name = rule.endpoint
    while "." in name:
        name = name.rpartition(".")[0]
        names.append(name)
    around = [getattr(app, "dependencies", ())]
    around += [getattr(app.blueprints.get(name), "dependencies", ()) for name in reversed(names)]
    effects = [each for found in around for each in found or ()]
    if effects:
        options["dependencies"] = [*effects, *options.get("dependencies", ())]
    return options


def _by_method(bound: dict[str | None, View], view: View) -> View:
    """A class-based view whose methods are bound each for itself."""

    def choose(**values: t.Any) -> t.Any:
        method = current.get()[1].request.method  # type: ignore[union-attr]
        way = bound.get(method) or (bound.get("GET") if method == "HEAD" else None) or view
        return way(**values)

    return choose


def _compile(operation: Operation, app: t.Any) -> Callable[[View], View]:
    """What puts binding and answering around a view of this operation."""
    bind = _compile_binding(operation)
    answer = compile_answer(operation, app)

    def around(view: View) -> View:
        def bound(**values: t.Any) -> t.Any:
            request = current.get()[1].request  # type: ignore[union-attr]
            call = Call(app)
            try:
                bind(request, values, call)
                if call.faults:
                    raise ValidationProblem(call.faults)
                rv = view(**values)
                if answer is not None:
                    rv = answer(rv)
            except BaseException:
                call.fail()
                raise
            return call.finish(rv) if call.exits else rv

        async def bound_async(**values: t.Any) -> t.Any:
            request = current.get()[1].request  # type: ignore[union-attr]
            call = Call(app)
            try:
                bind(request, values, call)
                if call.faults:
                    raise ValidationProblem(call.faults)
                rv = await view(**values)
                if answer is not None:
                    rv = answer(rv)
            except BaseException:
                call.fail()
                raise
            return call.finish(rv) if call.exits else rv

        return bound_async if is_coroutine_function(view) else bound

    return around


class Call:
    """What one request's binding has found and opened."""

    __slots__ = ("app", "cache", "exits", "faults", "scopes")

    def __init__(self, app: t.Any) -> None:
        self.app = app
        self.faults: list[Fault] = []
        self.cache: dict[t.Any, t.Any] | None = None
        self.exits: list[t.Callable[[BaseException | None], None]] | None = None
        self.scopes: tuple[str, ...] = ()

    def fail(self) -> None:
        """End the generators of dependencies with the error that is being handled.

        One of them may raise another error in its place.
        """
        if self.exits:
            self._end(sys.exc_info()[1])

    def finish(self, rv: t.Any) -> t.Any:
        """End the generators, or have it done when a streamed answer was sent."""
        response = self.app.make_response(rv)
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


def _compile_binding(operation: Operation) -> Step:
    steps = [_step_of(each) for each in operation.fields if each.location != "json"]
    if operation.body:
        steps.append(_json_step(operation))
    steps += [_provided_step(each, None) for each in operation.effects]
    steps += [_provided_step(each, each.name) for each in operation.provided]
    for name in operation.requests:
        steps.append(_request_step(name))
    for name in operation.scopes:
        steps.append(_scopes_step(name))
    if len(steps) == 1:
        return steps[0]

    def bind(request: t.Any, values: Values, call: Call) -> None:
        for step in steps:
            step(request, values, call)

    return bind


def _request_step(name: str) -> Step:
    def step(request: t.Any, values: Values, call: Call) -> None:
        values.setdefault(name, request)

    return step


def _scopes_step(name: str) -> Step:
    def step(request: t.Any, values: Values, call: Call) -> None:
        values[name] = SecurityScopes(call.scopes)

    return step


# Values of a place


def _step_of(field: Field) -> Step:
    if field.location == "path":
        return _path_step(field)
    if field.location == "file":
        return _file_step(field)
    if field.members is not None:
        return _model_step(field)
    name, alias, location = field.name, field.alias, field.location
    validate = field.adapter.validator.validate_python
    default, is_required, is_list = field.default, field.is_required, field.is_list
    read = _READERS[location]

    def step(request: t.Any, values: Values, call: Call) -> None:
        if name in values:
            return
        place = read(request)
        raw = (place.getlist(alias) or None) if is_list else place.get(alias)
        if raw is None:
            if is_required:
                call.faults.append(missing(location, alias))
            else:
                values[name] = default
            return
        try:
            values[name] = validate(raw)
        except ValidationError as error:
            call.faults += faults_of(error, location, alias)

    return step


def _read_form(request: t.Any) -> t.Any:
    _check_form(request)
    return request.form


def _check_form(request: t.Any) -> None:
    kind = request.mimetype
    if kind and kind not in _FORM_TYPES and request.content_length:
        raise WrongMediaType(kind, *_FORM_TYPES)


_READERS: dict[str, t.Callable[[t.Any], t.Any]] = {
    "query": lambda request: request.args,
    "header": lambda request: request.headers,
    "cookie": lambda request: request.cookies,
    "form": _read_form,
}


def _path_step(field: Field) -> Step:
    name, alias = field.name, field.alias
    validate = field.adapter.validator.validate_python

    def step(request: t.Any, values: Values, call: Call) -> None:
        raw = values.get(name, MISSING)
        if raw is MISSING:
            raw = request.view_args.get(name, request.view_args.get(alias, MISSING))
        if raw is MISSING:
            if field.is_required:
                call.faults.append(missing("path", alias))
            else:
                values[name] = field.default
            return
        if alias != name:
            values.pop(alias, None)
        try:
            values[name] = validate(raw)
        except ValidationError as error:
            call.faults += faults_of(error, "path", alias)

    return step


def _model_step(field: Field) -> Step:
    name, location = field.name, field.location
    members = field.members or {}
    validate = field.adapter.validator.validate_python
    read = _READERS[location]
    from .fields import _is_list, _plain

    lists = {key for key, info in members.items() if _is_list(_plain(info.annotation))}
    attributes = {key: key.replace("-", "_") if location == "header" else key for key in members}

    def step(request: t.Any, values: Values, call: Call) -> None:
        place = read(request)
        if location == "header":
            present = [key for key in members if key in place]
        else:
            present = [*place]
        if not present and not field.is_required:
            values[name] = field.default
            return
        found = {
            attributes.get(key, key): place.getlist(key) if key in lists else place[key]
            for key in present
        }
        try:
            values[name] = validate(found)
        except ValidationError as error:
            call.faults += faults_of(error, location)

    return step


def _file_step(field: Field) -> Step:
    name, alias, is_list, upload = field.name, field.alias, field.is_list, field.upload
    from .fields import _plain

    plain = _plain(field.type)
    inner = (t.get_args(plain) or (plain,))[0] if is_list else plain
    wants_bytes = inner is bytes

    def accept(file: t.Any, call: Call, *place: str | int) -> t.Any:
        made = UploadFile.of(file)
        if upload is not None and upload.content_types:
            kind = made.mimetype
            if not any(_is_of(kind, wanted) for wanted in upload.content_types):
                wanted = ", ".join(upload.content_types)
                message = f"The file has to be of type {wanted}, not {kind or 'unknown'}"
                fault: Fault = {"location": ["file", *place], "message": message, "type": "type"}
                call.faults.append(fault)
        if upload is not None and upload.max_size is not None and made.size > upload.max_size:
            message = f"The file may have {upload.max_size} bytes, and has {made.size}"
            fault = {"location": ["file", *place], "message": message, "type": "too_large"}
            call.faults.append(fault)
        return made.read() if wants_bytes else made

    def step(request: t.Any, values: Values, call: Call) -> None:
        _check_form(request)
        files = [each for each in request.files.getlist(alias) if each.filename or each.read(1)]
        if not files:
            if field.is_required:
                call.faults.append(missing("file", alias))
            else:
                values[name] = field.default
            return
        for file in files:
            file.seek(0)
        if is_list:
            values[name] = [accept(file, call, alias, n) for n, file in enumerate(files)]
        else:
            values[name] = accept(files[0], call, alias)

    return step


def _is_of(kind: str, wanted: str) -> bool:
    return wanted in ("*/*", kind) or (
        wanted.endswith("/*") and kind.partition("/")[0] == wanted[:-2]
    )


# The JSON body


def _json_step(operation: Operation) -> Step:
    body = operation.body
    if len(body) > 1:
        return _keyed_json_step(body)
    (field,) = body
    name = field.name
    validate = field.adapter.validator.validate_json
    default, is_required = field.default, field.is_required

    def step(request: t.Any, values: Values, call: Call) -> None:
        data = _json_body(request)
        if not data:
            if is_required:
                call.faults.append(missing("json"))
            else:
                values[name] = default
            return
        try:
            values[name] = validate(data)
        except ValidationError as error:
            call.faults += _json_faults(error)

    return step


def _keyed_json_step(body: tuple[Field, ...]) -> Step:
    """Several fields: each the value of a key of one object."""
    members: dict[str, t.Any] = {}
    for index, field in enumerate(body):
        default = ... if field.is_required else field.default
        info = FieldInfo.from_annotated_attribute(field.type, default)
        info.alias = info.validation_alias = field.alias
        members[f"part_{index}"] = (field.type, info)
    model = create_model("Body", **members)
    names = {f"part_{index}": field.name for index, field in enumerate(body)}
    is_required = any(field.is_required for field in body)

    def step(request: t.Any, values: Values, call: Call) -> None:
        data = _json_body(request)
        if not data:
            if is_required:
                call.faults += [missing("json", f.alias) for f in body if f.is_required]
                return
            data = b"{}"
        try:
            made = model.model_validate_json(data)
        except ValidationError as error:
            call.faults += _json_faults(error)
            return
        for part, name in names.items():
            values[name] = getattr(made, part)

    return step


def _json_body(request: t.Any) -> bytes:
    if request._content_type() != "application/json" and not request.is_json:
        if request.get_data():
            raise WrongMediaType(request.mimetype, "application/json")
        return b""
    return request.get_data()  # type: ignore[no-any-return]


def _json_faults(error: ValidationError) -> list[Fault]:
    faults = faults_of(error, "json")
    if faults[0]["type"] == "json_invalid":
        message = faults[0]["message"].removeprefix("Invalid JSON: ")
        raise MalformedJson(message) from None
    return faults


# Dependencies


def _provided_step(provided: Provided, into: str | None) -> Step:
    function = provided.operation.function
    own = _Provider(provided.operation)
    substitutes: dict[t.Any, _Provider] = {}
    scopes, is_cached = provided.scopes, provided.cached

    def step(request: t.Any, values: Values, call: Call) -> None:
        provider = own
        overrides = getattr(call.app, "dependency_overrides", None)
        if overrides and function in overrides:
            other = overrides[function]
            if other not in substitutes:
                from .fields import read_dependency

                substitutes[other] = _Provider(read_dependency(other, request.view_args or ()))
            provider = substitutes[other]
        cache = call.cache
        if cache is None:
            cache = call.cache = {}
        around = call.scopes
        call.scopes = (*around, *(each for each in scopes if each not in around))
        try:
            key = (provider.function, call.scopes if provider.sees_scopes else None)
            if is_cached and key in cache:
                value = cache[key]
            else:
                value = cache[key] = provider.provide(request, call)
        finally:
            call.scopes = around
        if into is not None:
            values[into] = value

    return step


class _Provider:
    """Calls one dependency."""

    def __init__(self, operation: Operation) -> None:
        self.function = function = operation.function
        self.bind = _compile_binding(operation)
        self.names = [field.name for field in operation.fields if field.location == "path"]
        self.sees_scopes = _sees_scopes(operation)
        call = function if inspect.isroutine(function) else type(function).__call__
        if isinstance(function, type):
            call = function
        self.enter: t.Callable[[Values, Call], t.Any]
        if inspect.isasyncgenfunction(call):
            self.enter = self._enter_async_generator
        elif inspect.isgeneratorfunction(call):
            self.enter = self._enter_generator
        elif is_coroutine_function(function):
            self.enter = lambda values, call: await_(function(**values))
        else:
            self.enter = lambda values, call: function(**values)
        # Variables of the URL that it takes as they are.
        self.taken = _taken(operation)

    def provide(self, request: t.Any, call: Call) -> t.Any:
        values: Values = {}
        if self.taken and request.view_args:
            values.update(
                (name, value) for name, value in request.view_args.items() if name in self.taken
            )
        before = len(call.faults)
        self.bind(request, values, call)
        if len(call.faults) > before:
            return None  # the faults are told together; nothing is called
        return self.enter(values, call)

    def _enter_generator(self, values: Values, call: Call) -> t.Any:
        generator = self.function(**values)
        value = next(generator)

        def leave(error: BaseException | None) -> None:
            try:
                if error is None:
                    next(generator)
                else:
                    generator.throw(error)
            except StopIteration:
                return
            generator.close()
            if error is None:
                raise RuntimeError(f"{self.function.__name__} yields more than once.")

        _add_exit(call, leave)
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
        value = await_(first)

        def leave(error: BaseException | None) -> None:
            try:
                await_(generator.__anext__() if error is None else generator.athrow(error))
            except StopAsyncIteration:
                return
            await_(generator.aclose())
            if error is None:
                raise RuntimeError(f"{self.function.__name__} yields more than once.")

        _add_exit(call, leave)
        return value


def _add_exit(call: Call, leave: t.Callable[[BaseException | None], None]) -> None:
    if call.exits is None:
        call.exits = []
    call.exits.append(leave)


def _sees_scopes(operation: Operation) -> bool:
    return bool(operation.scopes) or any(
        _sees_scopes(each.operation) for each in operation.provided
    )


def _taken(operation: Operation) -> frozenset[str]:
    """Parameters of a dependency that a variable of the URL may fill."""
    function: t.Any = operation.function
    own = function.__init__ if isinstance(function, type) else function  # type: ignore[misc]
    try:
        names = {*inspect.signature(own).parameters}
    except (TypeError, ValueError):
        return frozenset()
    bound = {field.name for field in operation.fields if field.location != "path"}
    return frozenset(names - bound - {each.name for each in operation.provided} - {"self"})


__all__ = ["OPTIONS", "Problem", "derive", "operations_of"]

"""The OpenAPI 3.1 document of an application, from the same fields that its binder uses.

Source: OpenAPI Specification 3.1.1.
"""

from __future__ import annotations

import inspect
import re
import typing as t
from http import HTTPStatus

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from ..engine.derive import functions_of
from ..engine.internals import converters_of
from .bind import operations_of
from .fields import MISSING, Answer, Field, Operation
from .problems import MEDIA_TYPE
from .problems import SCHEMA as PROBLEM

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from werkzeug.routing import Rule

Schema = dict[str, t.Any]

_VARIABLE = re.compile(r"<(?:[a-zA-Z_]\w*(?:\((?:[^()'\"]|'[^']*'|\"[^\"]*\")*\))?:)?(\w+)>")
_REF = "#/components/schemas/{model}"
_PLACES = ("path", "query", "header", "cookie")
# Headers that OpenAPI describes elsewhere.
_NO_PARAMETERS = frozenset({"accept", "content-type", "authorization"})
_VERBS = ("GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE")


class _Described(t.NamedTuple):
    """One operation of the document: a method of a rule."""

    rule: Rule
    path: str
    verb: str
    function: Callable[..., t.Any]
    operation: Operation | None


def document(app: t.Any, **info: t.Any) -> Schema:
    """The document of an application.

    :param info: `title`, `version`, `description`, `servers`, `tags`, `security`, `webhooks`;
        further ones are members of the document
    """
    found = [*_operations(app)]
    schemas = _Schemas(found)
    paths: dict[str, dict[str, t.Any]] = {}
    schemes: Schema = {}
    names = _operation_ids(found)
    for each, name in zip(found, names, strict=True):
        described = _operation(app, each, name, schemas, schemes)
        paths.setdefault(each.path, {})[each.verb.lower()] = described
    title = info.pop("title", None) or app.name
    about = {"title": title, "version": info.pop("version", None) or "0.1.0"}
    if info.get("description"):
        about["description"] = info.pop("description")
    made: Schema = {"openapi": "3.1.0", "info": about, "paths": paths}
    components = {"schemas": {"Problem": PROBLEM, **schemas.definitions}}
    if schemes:
        components["securitySchemes"] = schemes
    made["components"] = components
    made.update({key: value for key, value in info.items() if value is not None})
    return made


def _operations(app: t.Any) -> Iterator[_Described]:
    """What the URL map offers, in order; not what is hidden, static files and WebSockets."""
    for rule in app.url_map.iter_rules():
        view = app.view_functions.get(rule.endpoint)
        if (
            view is None
            or rule.websocket
            or getattr(rule, "hidden", False)
            or rule.endpoint.rpartition(".")[2] == "static"
            or rule.build_only
        ):
            continue
        operations = operations_of(view, rule, app)
        methods = {function.__name__.upper(): function for function, _ in functions_of(view)}
        for verb in _VERBS:
            if verb not in (rule.methods or ("GET",)):
                continue
            if verb == "HEAD" or (verb == "OPTIONS" and _is_automatic(rule)):
                continue
            operation = operations.get(verb) or operations.get(None)
            function = view if None in operations else methods.get(verb)
            if function is not None:
                yield _Described(rule, _template(rule), verb, function, operation)


def _is_automatic(rule: Rule) -> bool:
    return bool(getattr(rule, "provide_automatic_options", False))


def _template(rule: Rule) -> str:
    """The rule as OpenAPI writes paths: `/items/{item_id}`."""
    return _VARIABLE.sub(r"{\1}", rule.rule)


def _operation_ids(found: list[_Described]) -> list[str]:
    """A name for each operation that does not change when others are added.

    It is the endpoint, with the method where an endpoint has several, and with the variables of
    the path where it has several of these.
    """
    verbs: dict[str, set[str]] = {}
    paths: dict[str, list[str]] = {}
    for each in found:
        endpoint = each.rule.endpoint
        verbs.setdefault(endpoint, set()).add(each.verb)
        if each.path not in paths.setdefault(endpoint, []):
            paths[endpoint].append(each.path)
    names = []
    for each in found:
        endpoint = each.rule.endpoint
        name = getattr(each.rule, "operation_id", None)
        if name is None:
            parts = [endpoint.replace(".", "_")]
            if len(verbs[endpoint]) > 1:
                parts.append(each.verb.lower())
            if len(paths[endpoint]) > 1:
                parts.append(re.sub(r"\W+", "_", each.path).strip("_") or "root")
            name = "_".join(parts)
        names.append(name)
    return names


class _Schemas:
    """The JSON Schemas of all types, made together, so that equal names are told apart."""

    def __init__(self, found: list[_Described]) -> None:
        inputs: list[tuple[t.Any, t.Any, TypeAdapter[t.Any]]] = []
        seen = set()
        for each in found:
            if each.operation is None:
                continue
            for field in each.operation.everything():
                if id(field) not in seen and not _is_file(field):
                    seen.add(id(field))
                    inputs.append((id(field), "validation", field.adapter))
            for answer in each.operation.answers:
                if answer.adapter is not None and id(answer) not in seen:
                    seen.add(id(answer))
                    inputs.append((id(answer), "serialization", answer.adapter))
        made, definitions = TypeAdapter.json_schemas(
            inputs, ref_template=_REF, schema_generator=_Generator
        )
        self._made = {key: schema for (key, _), schema in made.items()}
        self.definitions: Schema = definitions.get("$defs", {})

    def of(self, described: Field | Answer) -> Schema:
        """The schema of a field or an answer."""
        return self._made[id(described)]

    def properties(self, field: Field) -> tuple[Schema, set[str]]:
        """The properties of a field that is a model, and the names of the required ones."""
        schema = self.of(field)
        while "$ref" in schema:
            schema = self.definitions[schema["$ref"].rpartition("/")[2]]
        return schema.get("properties", {}), set(schema.get("required", ()))


class _Generator(GenerateJsonSchema):
    """Leaves out what has no schema, such as a default that is no JSON."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}


def _is_file(field: Field) -> bool:
    return field.location == "file"


# One operation


def _operation(
    app: t.Any, each: _Described, name: str, schemas: _Schemas, schemes: Schema
) -> Schema:
    rule, operation = each.rule, each.operation
    summary, description = _texts(each)
    made: Schema = {"operationId": name}
    tags = getattr(rule, "tags", None)
    if tags is None and "." in rule.endpoint:
        tags = [rule.endpoint.rpartition(".")[0]]
    if tags:
        made["tags"] = [*tags]
    if summary:
        made["summary"] = summary
    if description:
        made["description"] = description
    if getattr(rule, "deprecated", False):
        made["deprecated"] = True
    parameters = _parameters(rule, operation, schemas)
    if parameters:
        made["parameters"] = parameters
    body = _request_body(operation, schemas)
    if body:
        made["requestBody"] = body
    security = _security(operation, schemes)
    if security:
        made["security"] = security
    said = getattr(rule, "security", None)
    if said is not None:
        made["security"] = said
    made["responses"] = _responses(each, schemas, bool(security))
    made.update(getattr(rule, "openapi", None) or {})
    return made


def _texts(each: _Described) -> tuple[str | None, str | None]:
    """Summary and description: what the route says, else the docstring's."""
    rule = each.rule
    text = inspect.getdoc(each.function) or ""
    first, _, rest = text.partition("\n\n")
    summary = getattr(rule, "summary", None) or " ".join(first.split()) or None
    return summary, getattr(rule, "description", None) or rest.strip() or None


def _parameters(rule: Rule, operation: Operation | None, schemas: _Schemas) -> list[Schema]:
    fields = () if operation is None else operation.everything()
    in_path = {field.alias: field for field in fields if field.location == "path"}
    made: list[Schema] = []
    converters = converters_of(rule)
    for match in _VARIABLE.finditer(rule.rule):
        name = match[1]
        parameter: Schema = {"name": name, "in": "path", "required": True}
        schema = _schema_of_converter(converters[name])
        if name in in_path:
            schema = {**schema, **_bare(schemas.of(in_path[name]))}
            _describe(parameter, in_path[name], schema)
        made.append({**parameter, "schema": schema})
    for field in fields:
        if field.location not in _PLACES[1:]:
            continue
        if field.members is not None:
            made += _members(field, schemas)
        elif field.location != "header" or field.alias.lower() not in _NO_PARAMETERS:
            schema = dict(schemas.of(field))
            parameter = {"name": field.alias, "in": field.location}
            if field.is_required:
                parameter["required"] = True
            elif field.default is not None and "default" not in schema:
                default = _plain_json(field)
                if default is not MISSING:
                    schema["default"] = default
            _describe(parameter, field, schema)
            made.append({**parameter, "schema": schema})
    return made


def _members(field: Field, schemas: _Schemas) -> Iterator[Schema]:
    """The parameters that a model stands for."""
    properties, required = schemas.properties(field)
    for name, schema in properties.items():
        alias = name.replace("_", "-") if field.location == "header" else name
        parameter: Schema = {"name": alias, "in": field.location}
        if name in required and field.is_required:
            parameter["required"] = True
        schema = dict(schema)
        if "description" in schema:
            parameter["description"] = schema.pop("description")
        yield {**parameter, "schema": schema}


def _describe(parameter: Schema, field: Field, schema: Schema) -> None:
    """Move what is said of a parameter from its schema to where OpenAPI has it."""
    if "description" in schema:
        parameter["description"] = schema.pop("description")
    if schema.pop("deprecated", False):
        parameter["deprecated"] = True


def _bare(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if key != "title"}


def _plain_json(field: Field) -> t.Any:
    """A default as JSON has it; `MISSING` where it has none."""
    try:
        return field.adapter.dump_python(field.default, mode="json")
    except ValueError:
        return MISSING


def _schema_of_converter(converter: t.Any) -> Schema:
    """What a URL converter lets through."""
    from werkzeug.routing import (
        AnyConverter,
        FloatConverter,
        IntegerConverter,
        UnicodeConverter,
        UUIDConverter,
    )

    if isinstance(converter, (IntegerConverter, FloatConverter)):
        schema: Schema = {
            "type": "integer" if isinstance(converter, IntegerConverter) else "number"
        }
        least = converter.min if converter.min is not None else None if converter.signed else 0
        if least is not None:
            schema["minimum"] = least
        if converter.max is not None:
            schema["maximum"] = converter.max
        return schema
    if isinstance(converter, UUIDConverter):
        return {"type": "string", "format": "uuid"}
    if isinstance(converter, AnyConverter):
        return {"type": "string", "enum": sorted(converter.items)}
    schema = {"type": "string"}
    if isinstance(converter, UnicodeConverter):
        exact = re.fullmatch(r"\[\^/\]\{(\d+)\}", converter.regex)
        span = re.fullmatch(r"\[\^/\]\{(\d+),(\d*)\}", converter.regex)
        if exact:
            schema["minLength"] = schema["maxLength"] = int(exact[1])
        elif span:
            schema["minLength"] = int(span[1])
            if span[2]:
                schema["maxLength"] = int(span[2])
    return schema


def _request_body(operation: Operation | None, schemas: _Schemas) -> Schema | None:
    if operation is None:
        return None
    fields = operation.everything()
    body = [field for field in fields if field.location == "json"]
    if body:
        required = any(field.is_required for field in body)
        if len(operation.body) > 1 or len(body) > 1:
            schema: Schema = {
                "type": "object",
                "properties": {field.alias: schemas.of(field) for field in body},
            }
            wanted = [field.alias for field in body if field.is_required]
            if wanted:
                schema["required"] = wanted
        else:
            schema = schemas.of(body[0])
        return {"required": required, "content": {"application/json": {"schema": schema}}}
    forms = [field for field in fields if field.location in ("form", "file")]
    if not forms:
        return None
    kind = "application/x-www-form-urlencoded"
    if any(_is_file(field) for field in forms):
        kind = "multipart/form-data"
    properties: Schema = {}
    wanted = []
    for field in forms:
        if field.members is not None:
            more, needed = schemas.properties(field)
            properties.update(more)
            wanted += [name for name in more if name in needed and field.is_required]
            continue
        properties[field.alias] = _schema_of_file(field) if _is_file(field) else schemas.of(field)
        if field.is_required:
            wanted.append(field.alias)
    schema = {"type": "object", "properties": properties}
    if wanted:
        schema["required"] = wanted
    return {"required": bool(wanted), "content": {kind: {"schema": schema}}}


def _schema_of_file(field: Field) -> Schema:
    kinds = field.upload.content_types if field.upload is not None else ()
    media = kinds[0] if len(kinds) == 1 and "*" not in kinds[0] else "application/octet-stream"
    # `format` is OpenAPI 3.0's word, by which the pages know that a file is to be chosen.
    one: Schema = {"type": "string", "format": "binary", "contentMediaType": media}
    return {"type": "array", "items": one} if field.is_list else one


def _security(operation: Operation | None, schemes: Schema) -> list[Schema]:
    """What an operation's dependencies ask of who the client is."""
    found: dict[str, list[str]] = {}

    def look(within: Operation, scopes: tuple[str, ...]) -> None:
        for provided in (*within.effects, *within.provided):
            function = provided.operation.function
            wanted = (*scopes, *provided.scopes)
            scheme = getattr(function, "scheme", None)
            if scheme is not None:
                name = getattr(function, "scheme_name", None) or type(function).__name__
                schemes[name] = scheme
                listed = found.setdefault(name, [])
                if scheme.get("type") in ("oauth2", "openIdConnect"):
                    listed += [scope for scope in wanted if scope not in listed]
            look(provided.operation, wanted)

    if operation is not None:
        look(operation, ())
    return [{name: scopes} for name, scopes in found.items()]


def _responses(each: _Described, schemas: _Schemas, is_secured: bool) -> Schema:
    operation = each.operation
    made: Schema = {}
    problem = {"content": {MEDIA_TYPE: {"schema": {"$ref": _REF.format(model="Problem")}}}}
    for answer in () if operation is None else operation.answers:
        said: Schema = {"description": answer.description or HTTPStatus(answer.status).phrase}
        if answer.type is not None:
            said["content"] = {"application/json": {"schema": schemas.of(answer)}}
        made[str(answer.status)] = said
    if not any(code.startswith(("2", "3")) for code in made):
        status = getattr(each.rule, "status", None) or 200
        said = {"description": HTTPStatus(status).phrase}
        content = _content_of_untyped(each.function)
        if content:
            said["content"] = content
        made[str(status)] = said
    if operation is not None and (operation.fields or operation.provided or operation.effects):
        fields = operation.everything()
        faults = []
        if any(field.location == "json" for field in fields):
            faults += [400, 415]
        if any(field.location in ("form", "file") for field in fields):
            faults += [400, 413, 415]
        if is_secured:
            faults += [401, 403]
        if fields:
            faults.append(422)
        for code in sorted({*faults}):
            made.setdefault(str(code), {"description": HTTPStatus(code).phrase, **problem})
    return made


def _content_of_untyped(function: t.Any) -> Schema | None:
    """What the annotation of a view says that Flask answers itself."""
    returned = getattr(function, "__annotations__", {}).get("return")
    text = returned if isinstance(returned, str) else getattr(returned, "__name__", "")
    if text == "str":
        return {"text/html": {"schema": {"type": "string"}}}
    if text.rpartition(".")[2] == "EventStream":
        return {"text/event-stream": {"schema": {"type": "string"}}}
    if text.startswith(("dict", "Mapping")):
        return {"application/json": {"schema": {"type": "object"}}}
    if text.startswith("list"):
        return {"application/json": {"schema": {"type": "array", "items": {}}}}
    return None


def as_yaml(described: Mapping[str, t.Any]) -> str:
    """A document as YAML. Raises MissingExtra without PyYAML."""
    try:
        import yaml  # type: ignore[import-untyped,unused-ignore]
    except ImportError as error:
        from ..errors import MissingExtra

        raise MissingExtra("The document as YAML", "yaml", "api") from error
    return t.cast("str", yaml.safe_dump(dict(described), sort_keys=False, allow_unicode=True))

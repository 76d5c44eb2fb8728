"""One operation of an OpenAPI document: what it takes, asks for and answers.

Source: OpenAPI Specification 3.1.1, "Operation Object" and below.
"""

from __future__ import annotations

import inspect
import json
import sys
import typing as t
from dataclasses import dataclass, field

from ..engine.names import annotations_of
from .errors import errors_of
from .fields import Answer, Field, Operation
from .formats import JSON
from .kinds import is_class
from .problems import MEDIA_TYPE, Problem, phrase_of
from .schemas import Schema, Schemas, narrowed, of_converter, of_text

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_FORM = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"
# Headers that OpenAPI describes elsewhere.
_NO_PARAMETERS = frozenset({"accept", "content-type", "authorization"})
_LINK = {
    "description": "The first, previous, next and last page (RFC 8288).",
    "schema": {"type": "string"},
}
# Moved from a parameter's schema to the parameter.
_OF_PARAMETERS = ("description", "deprecated")


@dataclass(frozen=True)
class Described:
    """An HTTP method of a rule, of a webhook or of a callback."""

    path: str
    verb: str
    function: Callable[..., t.Any]
    operation: Operation
    #: Options of the route.
    options: Mapping[str, t.Any] = field(default_factory=dict)
    #: The converters of the URL's variables.
    variables: Mapping[str, t.Any] = field(default_factory=dict)
    endpoint: str = ""
    servers: tuple[Schema, ...] = ()

    @property
    def blueprint(self) -> str:
        return self.endpoint.rpartition(".")[0]


def describe(app: t.Any, each: Described, name: str, schemas: Schemas, schemes: Schema) -> Schema:
    """The operation object; security schemes that it needs are added to `schemes`.

    :param name: its `operationId`
    """
    options, operation = each.options, each.operation
    summary, description = texts_of(each.function, options)
    security = options.get("security")
    if security is None:
        security = _security(operation, schemes)
    made: dict[str, t.Any] = {
        "operationId": name,
        "tags": options.get("tags") or ([each.blueprint] if each.blueprint else None),
        "summary": summary,
        "description": description,
        "externalDocs": options.get("external_docs"),
        "deprecated": bool(options.get("deprecated")),
        "parameters": _parameters(each, schemas),
        "requestBody": _request_body(each, schemas),
        "responses": _responses(app, each, schemas),
        "callbacks": _callbacks(app, each, name, schemas, schemes),
        "servers": [*each.servers],
    }
    made = {key: value for key, value in made.items() if value}
    if security or options.get("security") is not None:
        made["security"] = security
    return _merged(made, options.get("openapi") or {})


def _merged(made: Schema, said: Mapping[str, t.Any]) -> Schema:
    """What was made, and in or beside it what an application says."""
    made = dict(made)
    for key, value in said.items():
        known = made.get(key)
        if isinstance(known, dict) and isinstance(value, dict):
            made[key] = _merged(known, value)
        else:
            made[key] = value
    return made


def texts_of(function: t.Any, options: Mapping[str, t.Any]) -> tuple[str | None, str | None]:
    """Summary and description: what the route says, else the docstring's."""
    # Not `inspect.getdoc`, which goes on to what a base class says of its own method.
    text = getattr(function, "__doc__", None) if inspect.isroutine(function) else None
    first, _, rest = inspect.cleandoc(text or "").partition("\n\n")
    return (
        options.get("summary") or " ".join(first.split()) or None,
        options.get("description") or rest.strip() or None,
    )


# What it takes


def _parameters(each: Described, schemas: Schemas) -> list[Schema]:
    fields = each.operation.everything()
    made = [*_variables(each, fields, schemas)]
    for field_ in fields:
        if field_.location not in ("query", "header", "cookie"):
            continue
        if field_.members is not None:
            made += _members(field_, schemas)
        elif field_.location != "header" or field_.alias.lower() not in _NO_PARAMETERS:
            schema = _with_default(field_, schemas.of(field_))
            made.append(_parameter(field_.alias, field_.location, schema, field_.is_required))
    return made


def _variables(each: Described, fields: tuple[Field, ...], schemas: Schemas) -> Iterator[Schema]:
    bound = {field_.alias: field_ for field_ in fields if field_.location == "path"}
    for name, converter in each.variables.items():
        schema = of_converter(converter)
        if name in bound:
            schema = narrowed({**schemas.of(bound[name])}, schema)
            schema.pop("title", None)
        yield _parameter(name, "path", schema, True)


def _parameter(name: str, location: str, schema: Schema, required: bool) -> Schema:
    schema = dict(of_text(schema))
    made: Schema = {"name": name, "in": location}
    if required:
        made["required"] = True
    for key in _OF_PARAMETERS:
        if schema.get(key):
            made[key] = schema.pop(key)
    return {**made, "schema": schema}


def _members(field_: Field, schemas: Schemas) -> Iterator[Schema]:
    """The parameters that a model stands for."""
    properties, required = schemas.properties(field_)
    for name, schema in properties.items():
        alias = name.replace("_", "-") if field_.location == "header" else name
        needed = name in required and field_.is_required
        yield _parameter(alias, field_.location, schema, needed)


def _with_default(field_: Field, schema: Schema) -> Schema:
    if field_.is_required or field_.default is None or "default" in schema:
        return schema
    try:
        default = field_.adapter.dump_python(field_.default, mode="json")
        json.dumps(default, allow_nan=False)
    except (TypeError, ValueError):  # it is nothing that JSON has
        return schema
    return {**schema, "default": default}


def _request_body(each: Described, schemas: Schemas) -> Schema | None:
    operation = each.operation
    fields = operation.everything()
    body = [field_ for field_ in fields if field_.location == "json"]
    forms = [field_ for field_ in fields if field_.location in ("form", "file")]
    if body:
        made = _json_body(operation, body, schemas)
    elif forms:
        made = _form_body(forms, schemas)
    else:
        return None
    _add_examples(made, each.options, "request")
    return made


def _json_body(operation: Operation, body: list[Field], schemas: Schemas) -> Schema:
    required = any(field_.is_required for field_ in body)
    if not operation.is_body_keyed:
        schema = _with_default(body[0], schemas.of(body[0]))
        if body[0].forms:
            return {"required": required, "content": _also_as_form(body[0], schema, schemas)}
    else:
        properties = {each.alias: _with_default(each, schemas.of(each)) for each in body}
        schema = {"type": "object", "properties": properties}
        wanted = [each.alias for each in body if each.is_required]
        if wanted:
            schema["required"] = wanted
    return {"required": required, "content": schemas.content(schema)}


def _also_as_form(field_: Field, schema: Schema, schemas: Schemas) -> Schema:
    """The content of a body that is JSON, or a form of the same members."""
    properties, required = schemas.properties(field_)
    whole: Schema = {
        "type": "object",
        "properties": {name: _of_part(each) for name, each in properties.items()},
    }
    if required:
        whole["required"] = [name for name in properties if name in required]
    return {**schemas.content(schema), _MULTIPART: {"schema": whole}}


def _of_part(schema: Schema) -> Schema:
    """The schema of a part of a form: a file is sent as it is, not in base64."""
    schema = of_text(schema)
    if schema.get("contentEncoding") != "base64":
        return schema
    kept: Schema = {key: schema[key] for key in ("title", "description") if key in schema}
    media = schema.get("contentMediaType", "application/octet-stream")
    return {**kept, "type": "string", "format": "binary", "contentMediaType": media}


def _form_body(forms: list[Field], schemas: Schemas) -> Schema:
    properties: Schema = {}
    wanted: list[str] = []
    encoding: Schema = {}
    for field_ in forms:
        if field_.members is not None:
            more, needed = schemas.properties(field_)
            here = [name for name in more if name in needed and field_.is_required]
            properties.update(
                (name, _in_form(schema, name in here)) for name, schema in more.items()
            )
            wanted += here
            continue
        if field_.location == "file":
            properties[field_.alias] = _schema_of_file(field_)
            kinds = field_.upload.content_types if field_.upload is not None else ()
            if kinds:
                encoding[field_.alias] = {"contentType": ", ".join(kinds)}
        else:
            schema = _with_default(field_, schemas.of(field_))
            properties[field_.alias] = _in_form(schema, field_.is_required)
        if field_.is_required:
            wanted.append(field_.alias)
    whole: Schema = {"type": "object", "properties": properties}
    if wanted:
        whole["required"] = wanted
    made: Schema = {"schema": whole}
    if encoding:
        made["encoding"] = encoding
    has_files = any(field_.location == "file" for field_ in forms)
    # Forms without files come either way.
    kinds = (_MULTIPART,) if has_files else (_FORM, _MULTIPART)
    return {"required": bool(wanted), "content": {kind: dict(made) for kind in kinds}}


def _in_form(schema: Schema, required: bool) -> Schema:
    """The schema of a form's field: one that is empty counts as not there."""
    schema = of_text(schema)
    if required and schema.get("type") == "string" and "enum" not in schema:
        schema = {"minLength": 1, **schema}
    return schema


def _schema_of_file(field_: Field) -> Schema:
    kinds = field_.upload.content_types if field_.upload is not None else ()
    media = kinds[0] if len(kinds) == 1 and "*" not in kinds[0] else "application/octet-stream"
    # `format` is OpenAPI 3.0's word, by which the pages know that a file is to be chosen.
    one: Schema = {"type": "string", "format": "binary", "contentMediaType": media}
    about = field_.info.description if field_.info is not None else None
    made: Schema = {"type": "array", "items": one} if field_.is_list else one
    return {**made, "description": about} if about else made


def _add_examples(body: Schema, options: Mapping[str, t.Any], key: t.Any) -> None:
    """Put a route's `examples`, values by their names, where they belong."""
    named = (options.get("examples") or {}).get(key)
    if named:
        for media in body.get("content", {}).values():
            media["examples"] = {name: {"value": value} for name, value in named.items()}


# Who may call it


def _security(operation: Operation, schemes: Schema) -> list[Schema]:
    """What an operation's dependencies ask of who the client is.

    All that are required are needed together; one that is not, by itself and if at all.
    """
    needed: Schema = {}
    optional: Schema = {}

    def look(within: Operation, scopes: tuple[str, ...]) -> None:
        for provided in (*within.effects, *within.provided):
            function = provided.operation.function
            wanted = (*scopes, *provided.scopes)
            scheme = getattr(function, "scheme", None)
            if isinstance(scheme, dict):
                name = getattr(function, "scheme_name", None) or type(function).__name__
                schemes[name] = scheme
                into = needed if getattr(function, "auto_error", True) else optional
                listed = into.setdefault(name, [])
                if scheme.get("type") in ("oauth2", "openIdConnect"):
                    listed += [scope for scope in wanted if scope not in listed]
            look(provided.operation, wanted)

    look(operation, ())
    if not optional:
        return [needed] if needed else []
    ways = [{**needed, name: scopes} for name, scopes in optional.items()]
    return [*ways, needed]


# What it answers


def _responses(app: t.Any, each: Described, schemas: Schemas) -> Schema:
    made: dict[str, Schema] = {}
    for answer in each.operation.answers:
        made[str(answer.status)] = _answer(answer, schemas)
    if not any(code[0] in "23" and code != "304" for code in made):
        status = int(each.options.get("status") or 200)
        made = {str(status): _untyped_answer(each.function, status), **made}
    for code, said in errors_of(app, each, schemas).items():
        known = made.setdefault(code, said)
        if "content" not in known and "content" in said:
            made[code] = {**said, **known}
    for key, written in (each.options.get("responses") or {}).items():
        if isinstance(written, dict):
            made[str(int(key))] = _merged(made[str(int(key))], written)
    for code, said in made.items():
        _add_examples(said, each.options, int(code))
    return made


def _answer(answer: Answer, schemas: Schemas) -> Schema:
    said: Schema = {"description": answer.description or phrase_of(answer.status)}
    if is_class(answer.type, Problem):
        said["content"] = {MEDIA_TYPE: {"schema": schemas.problem()}}
    elif answer.adapter is not None:
        said["content"] = schemas.content(schemas.of(answer))
    # Pages come with links, if that module is in use at all.
    paging = sys.modules.get(f"{__package__}.paging")
    if paging is not None and is_class(answer.type, paging.Page):
        said["headers"] = {"Link": _LINK}
    return said


def _untyped_answer(function: t.Any, status: int) -> Schema:
    content = content_of(function)
    said: Schema = {"description": phrase_of(status)}
    return {**said, "content": content} if content else said


def content_of(function: t.Any) -> Schema | None:
    """What the annotation of a view says that Flask answers itself."""
    returned = annotations_of(function).get("return")
    text = returned if isinstance(returned, str) else getattr(returned, "__name__", "")
    if text == "str":
        return {"text/html": {"schema": {"type": "string"}}}
    if text.rpartition(".")[2] == "EventStream":
        return {"text/event-stream": {"schema": {"type": "string"}}}
    if text.partition("[")[0].rpartition(".")[2] in ("dict", "Dict", "Mapping"):
        return {JSON: {"schema": {"type": "object"}}}
    if text.partition("[")[0].rpartition(".")[2] in ("list", "List"):
        return {JSON: {"schema": {"type": "array", "items": {}}}}
    return None


# What it calls


def _callbacks(app: t.Any, each: Described, name: str, schemas: Schemas, schemes: Schema) -> Schema:
    """Callbacks by name: by the expressions of their URLs, path items."""
    return {
        called: {
            url: path_item(app, item, f"{name}_{called}", schemas, schemes)
            for url, item in urls.items()
        }
        for called, urls in (each.options.get("callbacks") or {}).items()
    }


def path_item(app: t.Any, item: t.Any, name: str, schemas: Schemas, schemes: Schema) -> Schema:
    """A path item of what an application calls: of functions, or as it is written."""
    made: Schema = {}
    for verb, what in verbs_of(item).items():
        if not callable(what):
            made[verb] = what
            continue
        described = Described("", verb.upper(), what, operation_of(app, what))
        long = name if len(verbs_of(item)) == 1 else f"{name}_{verb}"
        made[verb] = describe(app, described, long, schemas, schemes)
    return made


def verbs_of(item: t.Any) -> Mapping[str, t.Any]:
    """Functions or written operations by methods; a function alone stands for POST."""
    return {"post": item} if callable(item) else {key.lower(): each for key, each in item.items()}


def operation_of(app: t.Any, function: Callable[..., t.Any]) -> Operation:
    """The operation of a function that describes what an application calls. Raises SetupError."""
    from .signatures import read_view

    known: dict[t.Any, Operation] = app.extensions.setdefault("erlen.api.outgoing", {})
    if function not in known:
        known[function] = read_view(function, (), True, {})
    return known[function]


__all__ = ["Described", "content_of", "describe", "path_item", "texts_of", "verbs_of"]

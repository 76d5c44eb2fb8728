"""JSON Schemas of what operations take and answer, and of what URL converters let through.

Source: JSON Schema 2020-12, as OpenAPI 3.1 has it.
"""

from __future__ import annotations

import re
import typing as t

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from .formats import JSON, MSGPACK
from .problems import SCHEMA as PROBLEM

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    from .fields import Answer, Field, Operation

Schema = dict[str, t.Any]

#: Where components are in a document.
PLACE = "#/components/schemas/"
_PROBLEM_NAMES = ("Problem", "ProblemDetails", "ErlenProblem")
# What options of a route leave away from an answer, so that it is not required of it.
_LEFT_AWAY = {
    "exclude_unset": "defaults",
    "exclude_defaults": "defaults",
    "exclude_none": "all",
    "include": "all",
    "exclude": "all",
}


class _Generator(GenerateJsonSchema):
    """Leaves out what has no schema, such as a default that is no JSON."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}


class _WithoutDefaults(_Generator):
    """Of answers that leave away what has its default."""

    def field_is_required(self, field: t.Any, total: bool) -> bool:
        inner = field["schema"] if "schema" in field else field
        if inner.get("type") == "default":
            return False
        return super().field_is_required(field, total)


class _NothingRequired(_Generator):
    """Of answers that leave away whatever they like."""

    def field_is_required(self, field: t.Any, total: bool) -> bool:
        return False


#: Makes the schemas of what is whole.
GENERATOR = _Generator
_GENERATORS = {"": _Generator, "defaults": _WithoutDefaults, "all": _NothingRequired}


class Schemas:
    """The schemas of all operations, made together, so that equal names are told apart.

    :param with_msgpack: whether MessagePack is described as a way to send what JSON can hold
    """

    def __init__(self, operations: Iterable[Operation], with_msgpack: bool = False) -> None:
        self._kinds = (JSON, MSGPACK) if with_msgpack else (JSON,)
        groups: dict[tuple[str, bool], dict[int, tuple[t.Any, t.Any, TypeAdapter[t.Any]]]] = {}
        # Held, since they are known by their identity.
        self._held = operations = [*operations]
        for operation in operations:
            for field in operation.everything():
                if field.location != "file":
                    kept = groups.setdefault(("", True), {})
                    kept[id(field)] = (id(field), "validation", field.adapter)
            for answer in operation.answers:
                if answer.adapter is not None:
                    kept = groups.setdefault(_group_of(operation, answer.adapter), {})
                    kept[id(answer)] = (id(answer), "serialization", answer.adapter)
        self._made: dict[t.Any, Schema] = {}
        #: The schemas that have names.
        self.definitions: Schema = {}
        for (left_away, by_alias), inputs in groups.items():
            suffix = {"": "", "defaults": ".Sparse", "all": ".Partial"}[left_away]
            suffix += "" if by_alias else ".ByName"
            made, found = TypeAdapter.json_schemas(
                [*inputs.values()],
                by_alias=by_alias,
                ref_template=PLACE + "{model}" + suffix,
                schema_generator=_GENERATORS[left_away],
            )
            self._made.update({key: schema for (key, _), schema in made.items()})
            for name, schema in found.get("$defs", {}).items():
                self.definitions[name + suffix] = schema
        self._problem = next(name for name in _PROBLEM_NAMES if name not in self.definitions)

    def problem(self) -> Schema:
        """The schema of problem details."""
        self.definitions[self._problem] = PROBLEM
        return {"$ref": PLACE + self._problem}

    def content(self, schema: Schema) -> Schema:
        """A schema under the content types in which its values are sent."""
        return {kind: {"schema": schema} for kind in self._kinds}

    def of(self, described: Field | Answer) -> Schema:
        """The schema of a field or an answer."""
        return self._made[id(described)]

    def properties(self, field: Field) -> tuple[Schema, set[str]]:
        """The properties of a field that is a model, and the names of the required ones."""
        schema = self.resolved(self.of(field))
        return schema.get("properties", {}), set(schema.get("required", ()))

    def resolved(self, schema: Schema) -> Schema:
        """What a schema refers to, or itself; of `None` or something, that."""
        while True:
            options = [each for each in schema.get("anyOf", ()) if each.get("type", "") != "null"]
            if "$ref" in schema:
                schema = self.definitions[schema["$ref"].removeprefix(PLACE)]
            elif len(options) == 1:
                schema = options[0]
            else:
                return schema


def _group_of(operation: Operation, adapter: TypeAdapter[t.Any]) -> tuple[str, bool]:
    """What an operation's answers leave away of a type's values, and whether these have aliases."""
    options = operation.options
    ways = {way for name, way in _LEFT_AWAY.items() if options.get(name)}
    way = "all" if "all" in ways else "defaults" if ways else ""
    if way and _schema_with("", adapter) == _schema_with(way, adapter):
        way = ""
    return way, options.get("by_alias", True) is not False


def _schema_with(way: str, adapter: TypeAdapter[t.Any]) -> Schema:
    return adapter.json_schema(mode="serialization", schema_generator=_GENERATORS[way])


# What converters let through

_VARIABLE = re.compile(
    r"<(?:[a-zA-Z_]\w*(?:\((?:[^()'\"]|'[^']*'|\"[^\"]*\")*\))?:)?([a-zA-Z_]\w*)>"
)


def variables_of(rule: str) -> list[str]:
    """The variables of a rule, in order."""
    return _VARIABLE.findall(rule)


def template_of(rule: str) -> str:
    """A rule as OpenAPI writes paths: `/items/{item_id}`."""
    return _VARIABLE.sub(r"{\1}", rule)


def of_converter(converter: t.Any) -> Schema:
    """What a URL converter lets through; one of an application's own may say it in `schema`."""
    from werkzeug.routing import AnyConverter, FloatConverter, IntegerConverter, UUIDConverter

    said = getattr(converter, "schema", None)
    if isinstance(said, dict):
        return dict(said)
    if isinstance(converter, (IntegerConverter, FloatConverter)):
        return _of_number(converter, "integer" if type(converter).num_convert is int else "number")
    if isinstance(converter, UUIDConverter):
        return {"type": "string", "format": "uuid"}
    if isinstance(converter, AnyConverter):
        return {"type": "string", "enum": sorted(converter.items)}
    return {"type": "string", **_lengths(getattr(converter, "regex", ""))}


def _of_number(converter: t.Any, kind: str) -> Schema:
    schema: Schema = {"type": kind}
    least = converter.min
    if least is None and not converter.signed:
        least = 0
    if least is not None:
        schema["minimum"] = least
    if converter.max is not None:
        schema["maximum"] = converter.max
    return schema


def _lengths(regex: str) -> Schema:
    """The lengths that a text may have, from the expression that Werkzeug makes of them."""
    found = re.fullmatch(r"\[\^/\](?:\{(\d+)(,?)(\d*)\})?", regex)
    if found is None or found[1] is None:
        return {}
    schema: Schema = {"minLength": int(found[1])}
    if not found[2]:
        schema["maxLength"] = int(found[1])
    elif found[3]:
        schema["maxLength"] = int(found[3])
    return schema


def narrowed(schema: Schema, by: Schema) -> Schema:
    """A schema of a variable's type within what its converter lets through."""
    if by["type"] == "string" != schema.get("type"):
        return schema
    merged = {**by, **schema}
    for name, choose in (("minimum", max), ("maximum", min)):
        if name in by and name in schema:
            merged[name] = choose(by[name], schema[name])
    return merged


def of_text(schema: Schema) -> Schema:
    """A schema without null, which no text in a URL, a header or a form stands for."""
    options = schema.get("anyOf")
    if not options or {"type": "null"} not in options:
        return schema
    made = {key: value for key, value in schema.items() if key != "anyOf"}
    if made.get("default", ...) is None:
        del made["default"]
    rest = [each for each in options if each != {"type": "null"}]
    return {**rest[0], **made} if len(rest) == 1 else {**made, "anyOf": rest}

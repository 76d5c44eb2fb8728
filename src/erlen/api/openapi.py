"""The OpenAPI 3.1 document of an application, from the same fields that its binder uses.

Source: OpenAPI Specification 3.1.1.
"""

from __future__ import annotations

import re
import sys
import typing as t

from ..engine.derive import functions_of
from ..engine.internals import converters_of
from .bind import operations_of
from .fields import Operation
from .operations import Described, describe, operation_of, path_item, verbs_of
from .schemas import Schema, Schemas, template_of, variables_of
from .yamltext import as_yaml as as_yaml

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from werkzeug.routing import Rule

_VERBS = ("GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE")
#: Members of the info object.
ABOUT = ("title", "version", "summary", "description", "terms_of_service", "contact", "license")


def document(app: t.Any, **said: t.Any) -> Schema:
    """The document of an application.

    :param said: members of the info object (`title`, `version`, `description`, ...); `servers`
        (URLs or server objects); `tags` (tag objects, or descriptions by names); `security` of all
        operations; `webhooks` by names, functions with types or path items; `external_docs`;
        `msgpack`, whether MessagePack is named beside JSON; further ones are members of the
        document
    """
    found = [*_operations(app)]
    webhooks = said.pop("webhooks", None) or {}
    outgoing = [*_called(app, webhooks.values())]
    for each in found:
        for urls in (each.options.get("callbacks") or {}).values():
            outgoing += _called(app, urls.values())
    operations = [*(each.operation for each in found), *outgoing]
    schemas = Schemas(operations, said.pop("msgpack", False))
    schemes: Schema = {}
    paths: dict[str, Schema] = {}
    for each, name in zip(found, operation_ids(found), strict=True):
        item = paths.setdefault(each.path, {})
        if each.verb.lower() not in item:
            item[each.verb.lower()] = describe(app, each, name, schemas, schemes)
    made: Schema = {"openapi": "3.1.0", "info": about(app, said)}
    servers = said.pop("servers", None)
    if servers:
        made["servers"] = [{"url": each} if isinstance(each, str) else each for each in servers]
    made["paths"] = paths
    if webhooks:
        made["webhooks"] = {
            name: path_item(app, item, name, schemas, schemes) for name, item in webhooks.items()
        }
    components = said.pop("components", None) or {}
    if schemas.definitions or "schemas" in components:
        components = {
            **components,
            "schemas": {**schemas.definitions, **components.get("schemas", {})},
        }
    if schemes or "securitySchemes" in components:
        components = {
            **components,
            "securitySchemes": {**schemes, **components.get("securitySchemes", {})},
        }
    if components:
        made["components"] = components
    tags = tags_of(app, (each.blueprint for each in found if not each.options.get("tags")), said)
    if tags:
        made["tags"] = tags
    made.update(
        (_camel(name), value)
        for name, value in said.items()
        if value is not None and name not in (*ABOUT, "tags")
    )
    return made


def about(app: t.Any, said: Mapping[str, t.Any]) -> Schema:
    """The info object."""
    info = {_camel(name): said[name] for name in ABOUT if said.get(name) is not None}
    return {"title": app.name, "version": "0.1.0", **info}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest)) if not name.startswith("x-") else name


def _called(app: t.Any, items: Iterable[t.Any]) -> Iterator[Operation]:
    """The operations of functions that describe what an application calls."""
    for item in items:
        for what in verbs_of(item).values():
            if callable(what):
                yield operation_of(app, what)


def tags_of(app: t.Any, blueprints: Iterable[str], said: Mapping[str, t.Any]) -> list[Schema]:
    """Tags with their descriptions: as said, else the docstring of a blueprint's module."""
    known = said.get("tags") or ()
    if isinstance(known, dict):
        known = [{"name": name, "description": text} for name, text in known.items()]
    tags = {each["name"]: each for each in known}
    used = {*blueprints}
    modules = [blueprint.import_name for blueprint in app.blueprints.values()]
    for name, blueprint in app.blueprints.items():
        if name not in used or name in tags:
            continue
        module = sys.modules.get(blueprint.import_name)
        text = (getattr(module, "__doc__", None) or "").partition("\n\n")[0].strip()
        # What is said of a module with several is not about one of them.
        if text and modules.count(blueprint.import_name) == 1:
            tags[name] = {"name": name, "description": " ".join(text.split())}
    return [*tags.values()]


# What there is


def _operations(app: t.Any) -> Iterator[Described]:
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
        options = vars(rule)
        for verb in _verbs_of(rule):
            operation = operations.get(verb) or operations.get(None)
            function = methods.get(verb) or _dispatch(view)
            if operation is not None:
                function = operation.function
            yield Described(
                template_of(rule.rule),
                verb,
                function,
                operation or Operation(function, (), (), (), ()),
                options,
                {name: converters_of(rule)[name] for name in variables_of(rule.rule)},
                rule.endpoint,
                tuple(_servers(app, rule)),
            )


def _dispatch(view: t.Any) -> t.Any:
    """What answers for all methods of a class-based view."""
    return getattr(getattr(view, "view_class", None), "dispatch_request", view)


def _verbs_of(rule: Rule) -> Iterator[str]:
    """The methods of a rule but those that come by themselves."""
    methods = rule.methods or {"GET"}
    for verb in _VERBS:
        if verb not in methods:
            continue
        if verb == "HEAD" and "GET" in methods:
            continue
        if verb == "OPTIONS" and getattr(rule, "provide_automatic_options", False):
            continue
        yield verb


def _servers(app: t.Any, rule: Rule) -> Iterator[Schema]:
    """Where a rule of a host or subdomain is served."""
    host = rule.host if app.url_map.host_matching else rule.subdomain
    if not host or (not app.url_map.host_matching and host == app.url_map.default_subdomain):
        return
    variables = {name: {"default": name} for name in re.findall(r"{(\w+)}", template_of(host))}
    url = f"//{template_of(host)}"
    if not app.url_map.host_matching:
        domain = app.config["SERVER_NAME"]
        url += f".{domain or '{domain}'}"
        if not domain:
            variables["domain"] = {"default": "localhost"}
    yield {"url": url, "variables": variables} if variables else {"url": url}


def operation_ids(found: list[Described]) -> list[str]:
    """A name for each operation that does not change when others are added.

    It is the endpoint, with the method where an endpoint has several or is a class, and with the
    variables of the path where it has several of these.
    """
    verbs: dict[str, set[str]] = {}
    paths: dict[str, list[str]] = {}
    for each in found:
        verbs.setdefault(each.endpoint, set()).add(each.verb)
        if each.path not in paths.setdefault(each.endpoint, []):
            paths[each.endpoint].append(each.path)
    names: list[str] = []
    for each in found:
        endpoint = each.endpoint
        name = each.options.get("operation_id")
        if name is None:
            parts = [endpoint.replace(".", "_")]
            if len(verbs[endpoint]) > 1:
                parts.append(each.verb.lower())
            if len(paths[endpoint]) > 1:
                parts.append(re.sub(r"\W+", "_", each.path).strip("_") or "root")
            name = "_".join(parts)
        while name in names:
            name += "_"
        names.append(name)
    return names


# Kept until the program changes


def kept_document(app: t.Any, said: Mapping[str, t.Any]) -> Schema:
    """The document, made anew only when the application's set-up has changed."""
    kept = app.extensions.setdefault("erlen.openapi", {})
    program = app._current_program()
    if kept.get("program") is not program or kept.get("said") != said:
        kept.update(program=program, said=dict(said), document=document(app, **said))
    return t.cast("Schema", kept["document"])

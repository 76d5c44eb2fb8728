"""``erlen openapi``: the document of an application, on standard output or in a file."""

from __future__ import annotations

import json
import typing as t
from importlib import import_module

import click

from ..commands import with_appcontext
from ..errors import MissingExtra
from ..globals import current_app


@click.command("openapi", short_help="Write the OpenAPI document of the app.")
@click.option("--yaml", "as_yaml", is_flag=True, help="Write YAML instead of JSON.")
@click.option(
    "--asyncapi", is_flag=True, help="Write the AsyncAPI document of WebSockets and streams."
)
@click.option(
    "--output",
    "-o",
    type=click.File("w", encoding="utf-8", lazy=True),
    default="-",
    help="A file to write to; by default the standard output.",
)
@with_appcontext
def openapi_command(as_yaml: bool, asyncapi: bool, output: t.IO[str]) -> None:
    """Write the OpenAPI 3.1 document of the application.

    It is the one that `/openapi.json` has where documentation is
    enabled, and can be written where it is not.
    """
    app: t.Any = current_app._get_current_object()  # type: ignore[attr-defined]
    # In a layer beside this one; reached by name, since it needs pydantic.
    package = __package__.rpartition(".")[0]
    try:
        documents = import_module(".api.asyncapi" if asyncapi else ".api.openapi", package)
    except ImportError as error:
        if error.name != "pydantic":
            raise
        raise MissingExtra("erlen openapi", "pydantic", "api") from error
    made = documents.document(app, **import_module(".api.docs", package).said_of(app))
    if as_yaml:
        output.write(import_module(".api.yamltext", package).as_yaml(made))
    else:
        output.write(json.dumps(made, indent=2, ensure_ascii=False) + "\n")

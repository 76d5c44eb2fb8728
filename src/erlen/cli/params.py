"""Types and options of the command line, and the environment files that it reads."""

from __future__ import annotations

import importlib
import os
import platform
import typing as t
from importlib import metadata

import click
from click.core import ParameterSource
from werkzeug.utils import import_string

from ..commands import ScriptInfo

ENV_FILES = (".flaskenv", ".env")
"""The files that are looked for, the one whose values win last."""

NOBODY_S_CHOICE = frozenset({ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP})


# Environment files


def load_dotenv(path: str | os.PathLike[str] | None = None, load_defaults: bool = True) -> bool:
    """Set the environment variables that the files say, and tell whether a file had any.

    ``.flaskenv`` and ``.env`` are searched from the current directory upwards unless
    `load_defaults` is false; `path` wins over them, and what is set already wins over all.
    Without python-dotenv nothing is read, and a file that lies there unread is pointed out.
    """
    try:
        dotenv = importlib.import_module("dotenv")
    except ImportError:
        if path or any(os.path.isfile(name) for name in ENV_FILES):
            tip = " * Tip: There are .env files present. Install python-dotenv to use them."
            click.secho(tip, fg="yellow", err=True)
        return False
    files = [dotenv.find_dotenv(name, usecwd=True) for name in ENV_FILES if load_defaults]
    if path is not None and os.path.isfile(path):
        files.append(os.fspath(path))
    values: dict[str, str | None] = {}
    for file in filter(None, files):
        values |= dotenv.dotenv_values(file, encoding="utf-8")
    for name, value in values.items():
        if value is not None:
            os.environ.setdefault(name, value)
    return bool(values)


def _env_file_callback(ctx: click.Context, param: click.Option, value: str | None) -> str | None:
    if value is not None and not _can_import("dotenv"):
        raise click.BadParameter(
            "python-dotenv must be installed to load an env file.", ctx=ctx, param=param
        )
    defaults = ctx.ensure_object(ScriptInfo).load_dotenv_defaults
    if defaults or value is not None:
        load_dotenv(value, load_defaults=defaults)
    return value


def _can_import(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True


# The options of the program itself


def _set_app(ctx: click.Context, param: click.Option, value: str | None) -> str | None:
    if value is not None:
        ctx.ensure_object(ScriptInfo).app_import_path = value
    return value


def _set_debug(ctx: click.Context, param: click.Option, value: bool) -> bool | None:
    if ctx.get_parameter_source(str(param.name)) not in NOBODY_S_CHOICE:
        # In the environment, since the reloader's child process has to know it too.
        os.environ["FLASK_DEBUG"] = str(int(value))
        return value
    return None


def get_version(ctx: click.Context, param: click.Parameter, value: t.Any) -> None:
    """Callback of ``--version``: print what runs here, and leave."""
    from ..compat.metadata import FLASK_VERSION

    if value and not ctx.resilient_parsing:
        lines = (
            ("Python", platform.python_version()),
            ("Erlen", metadata.version("erlen")),
            ("Flask", f"{FLASK_VERSION} (API)"),
            ("Werkzeug", metadata.version("werkzeug")),
        )
        click.echo("\n".join(f"{name} {version}" for name, version in lines), color=ctx.color)
        ctx.exit()


_env_file_option = click.Option(
    ["-e", "--env-file"],
    type=click.Path(exists=True, dir_okay=False),
    is_eager=True,
    expose_value=False,
    callback=_env_file_callback,
    help=(
        "Load environment variables from this file, taking precedence over"
        " those set by '.env' and '.flaskenv'. Variables set directly in the"
        " environment take highest precedence. python-dotenv must be installed."
    ),
)

_app_option = click.Option(
    ["-A", "--app"],
    metavar="IMPORT",
    is_eager=True,
    expose_value=False,
    callback=_set_app,
    help=(
        "The Flask application or factory function to load, in the form 'module:name'."
        " Module can be a dotted import or file path. Name is not required if it is"
        " 'app', 'application', 'create_app', or 'make_app', and can be 'name(args)' to"
        " pass arguments."
    ),
)

_debug_option = click.Option(
    ["--debug/--no-debug"], expose_value=False, callback=_set_debug, help="Set debug mode."
)

version_option = click.Option(
    ["--version"],
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=get_version,
    help="Show the Flask version.",
)


# The options of the development server


class CertParamType(click.ParamType):  # type: ignore[type-arg]
    """What ``--cert`` takes: a file, ``adhoc``, or the import path of an ``SSLContext``."""

    name = "path"

    def __init__(self) -> None:
        self.path_type = click.Path(exists=True, dir_okay=False, resolve_path=True)

    def convert(
        self, value: t.Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> t.Any:
        if not _can_import("ssl"):
            raise click.BadParameter(
                'Using "--cert" requires Python to be compiled with SSL support.', ctx, param
            )
        try:
            return self.path_type(value, param, ctx)
        except click.BadParameter:
            text = str(value)
            if text != "adhoc":
                found = import_string(text, silent=True)
                if _is_ssl_context(found):
                    return found
                raise
        if not _can_import("cryptography"):
            raise click.BadParameter(
                "Using ad-hoc certificates requires the cryptography library.", ctx, param
            )
        return "adhoc"


def _is_ssl_context(value: object) -> bool:
    if not _can_import("ssl"):
        return False
    import ssl

    return isinstance(value, ssl.SSLContext)


def _needs_no_key(cert: t.Any) -> str | None:
    """How messages call a certificate that brings its own key, None for one that does not."""
    if cert == "adhoc":
        return '"adhoc"'
    return "an SSLContext object" if _is_ssl_context(cert) else None


def _validate_key(ctx: click.Context, param: click.Parameter, value: t.Any) -> t.Any:
    """Check that certificate and key fit, and join them into the pair that the server takes."""
    cert = ctx.params.get("cert")
    keyless = _needs_no_key(cert)
    if value is None:
        problem = 'Required when using "--cert".' if cert and not keyless else None
    elif keyless:
        problem = f'When "--cert" is {keyless}, "--key" is not used.'
    else:
        problem = None if cert else '"--cert" must also be specified.'
    if problem:
        raise click.BadParameter(problem, ctx, param)
    if value is not None:
        ctx.params["cert"] = (cert, value)
    return value


class SeparatedPathType(click.Path):
    """Several paths in one value, separated as in ``PATH``: a colon, on Windows a semicolon."""

    def convert(
        self, value: t.Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> t.Any:
        one = super().convert
        return [one(path, param, ctx) for path in self.split_envvar_value(value)]

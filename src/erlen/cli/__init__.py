"""The command line, ``erlen`` (and ``flask`` under the alias): the group and its commands."""

from __future__ import annotations

import os
import sys
import traceback
import typing as t
from importlib import metadata

import click
from werkzeug.serving import is_running_from_reloader, run_simple
from werkzeug.utils import import_string

from ..commands import (
    AppGroup,
    NoAppException,
    ScriptInfo,
    _called_with_wrong_args,
    find_app_by_string,
    find_best_app,
    locate_app,
    pass_script_info,
    prepare_import,
    with_appcontext,
)
from ..globals import current_app
from ..helpers import get_debug_flag, get_load_dotenv
from ..state import current_application
from .params import (
    CertParamType,
    SeparatedPathType,
    _app_option,
    _debug_option,
    _env_file_callback,
    _env_file_option,
    _set_app,
    _set_debug,
    _validate_key,
    get_version,
    load_dotenv,
    version_option,
)

if t.TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication
    from werkzeug.routing import Rule

    from ..app import Erlen

__all__ = [
    "AppGroup",
    "CertParamType",
    "FlaskGroup",
    "NoAppException",
    "ScriptInfo",
    "SeparatedPathType",
    "_app_option",
    "_called_with_wrong_args",
    "_debug_option",
    "_env_file_callback",
    "_env_file_option",
    "_set_app",
    "_set_debug",
    "_validate_key",
    "cli",
    "click",
    "current_app",
    "erlen_cli",
    "find_app_by_string",
    "find_best_app",
    "get_debug_flag",
    "get_load_dotenv",
    "get_version",
    "import_string",
    "is_running_from_reloader",
    "load_dotenv",
    "locate_app",
    "main",
    "pass_script_info",
    "prepare_import",
    "routes_command",
    "run_command",
    "run_simple",
    "shell_command",
    "show_server_banner",
    "version_option",
    "with_appcontext",
]


class FlaskGroup(AppGroup):
    """An :class:`AppGroup` that also has the commands of extensions and of the application.

    Looked for in this order: its own commands (``run``, ``shell``, ``routes`` and what was added),
    those of installed packages (entry points ``flask.commands``), those of ``app.cli``.

    :param add_default_commands: have ``run``, ``shell`` and ``routes``.
    :param create_app: returns the application; without it, ``--app`` or discovery finds one.
    :param add_version_option: have ``--version``.
    :param load_dotenv: read ``.env`` and ``.flaskenv`` first.
    :param set_debug_flag: set ``app.debug`` from ``FLASK_DEBUG``.
    :param extra: for :class:`click.Group`.
    """

    def __init__(
        self,
        add_default_commands: bool = True,
        create_app: t.Callable[..., Erlen] | None = None,
        add_version_option: bool = True,
        load_dotenv: bool = True,
        set_debug_flag: bool = True,
        **extra: t.Any,
    ) -> None:
        extra["params"] = [
            *(extra.get("params") or ()),
            # Environment files first: they may say which application is meant.
            _env_file_option,
            _app_option,
            _debug_option,
            *([version_option] if add_version_option else []),
        ]
        settings = extra.setdefault("context_settings", {})
        settings.setdefault("auto_envvar_prefix", "FLASK")
        super().__init__(**extra)
        self.create_app = create_app
        self.load_dotenv = load_dotenv
        self.set_debug_flag = set_debug_flag
        self._loaded_plugin_commands = False
        for command in DEFAULT_COMMANDS if add_default_commands else ():
            self.add_command(command)

    def _load_plugin_commands(self) -> None:
        """Add what installed packages offer, on the first call."""
        pending, self._loaded_plugin_commands = not self._loaded_plugin_commands, True
        for entry in metadata.entry_points(group="flask.commands") if pending else ():
            self.add_command(entry.load(), entry.name)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        self._load_plugin_commands()
        # First what needs no application, so that it works when loading one fails.
        own = super().get_command(ctx, name)
        loaded = _load_or_tell(ctx) if own is None else None
        if loaded is None:
            return own
        # Pushed this early for the callbacks of the command's parameters.
        if current_application() is not loaded:
            ctx.with_resource(loaded.app_context())
        return loaded.cli.get_command(ctx, name)

    def list_commands(self, ctx: click.Context) -> list[str]:
        self._load_plugin_commands()
        names = {*super().list_commands(ctx)}
        try:
            loaded = _load_or_tell(ctx)
            names.update(loaded.cli.list_commands(ctx) if loaded is not None else ())
        except Exception:
            # What the user asked for is the list: a broken application makes it shorter, no more.
            _echo_error(traceback.format_exc())
        return sorted(names)

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: t.Any,
    ) -> click.Context:
        # Tells `app.run()` in a module that is about to be imported to stand back.
        os.environ["FLASK_RUN_FROM_CLI"] = "true"
        if "obj" not in {**self.context_settings, **extra}:
            extra["obj"] = ScriptInfo(
                create_app=self.create_app,
                set_debug_flag=self.set_debug_flag,
                load_dotenv_defaults=self.load_dotenv,
            )
        return super().make_context(info_name, args, parent=parent, **extra)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        asks_for_help = len(args) == 1 and args[0] in self.get_help_option_names(ctx)
        if asks_for_help or (self.no_args_is_help and not args):
            # The help lists the application's commands, and leaves before click gets to these.
            for option in (_env_file_option, _app_option):
                option.handle_parse_result(ctx, {}, [])
        return super().parse_args(ctx, args)


def _load_or_tell(ctx: click.Context) -> Erlen | None:
    """The application; if there is none, None and a message."""
    try:
        return ctx.ensure_object(ScriptInfo).load_app()
    except NoAppException as error:
        _echo_error(f"Error: {error.format_message()}")
        return None


def _echo_error(text: str) -> None:
    click.secho(f"{text}\n", fg="red", err=True)


# erlen run


def show_server_banner(debug: bool, app_import_path: str | None) -> None:
    """Say what is served and whether in debug mode; the reloader's child keeps quiet."""
    mode = None if debug is None else "on" if debug else "off"
    facts = ((" * Serving Flask app '{}'", app_import_path), (" * Debug mode: {}", mode))
    for text, fact in facts if not is_running_from_reloader() else ():
        if fact is not None:
            click.echo(text.format(fact))


def _load_or_defer(info: ScriptInfo) -> WSGIApplication:
    """The application; after a reload, one that raises what loading it raised.

    So a mistake saved while the server runs is shown in the browser, and the next save mends it.
    At the first start it ends the command.
    """
    try:
        return info.load_app()
    except Exception as error:
        if not is_running_from_reloader():
            raise error from None
        traceback.print_exc()
        failure = error

    def broken(environ: t.Any, start_response: t.Any) -> t.Iterable[bytes]:
        raise failure from None

    return broken


@click.command("run", short_help="Run a development server.")
@click.option("--host", "-h", default="127.0.0.1", help="The interface to bind to.")
@click.option("--port", "-p", default=5000, help="The port to bind to.")
@click.option(
    "--cert",
    type=CertParamType(),
    help="Specify a certificate file to use HTTPS.",
    is_eager=True,
)
@click.option(
    "--key",
    type=click.Path(exists=True, dir_okay=False, resolve_path=True),
    callback=_validate_key,
    expose_value=False,
    help="The key file to use when specifying a certificate.",
)
@click.option(
    "--reload/--no-reload",
    default=None,
    help="Enable or disable the reloader. By default the reloader is active if debug is enabled.",
)
@click.option(
    "--debugger/--no-debugger",
    default=None,
    help="Enable or disable the debugger. By default the debugger is active if debug is enabled.",
)
@click.option(
    "--with-threads/--without-threads", default=True, help="Enable or disable multithreading."
)
@click.option(
    "--extra-files",
    default=None,
    type=SeparatedPathType(),
    help=(
        "Extra files that trigger a reload on change. Multiple paths are separated by"
        f" {os.path.pathsep!r}."
    ),
)
@click.option(
    "--exclude-patterns",
    default=None,
    type=SeparatedPathType(),
    help=(
        "Files matching these fnmatch patterns will not trigger a reload on change."
        f" Multiple patterns are separated by {os.path.pathsep!r}."
    ),
)
@pass_script_info
def run_command(
    info: ScriptInfo,
    host: str,
    port: int,
    reload: bool | None,
    debugger: bool | None,
    with_threads: bool,
    cert: t.Any,
    extra_files: list[str] | None,
    exclude_patterns: list[str] | None,
) -> None:
    """Run a local development server.

    This server is for development purposes only. It does not provide
    the stability, security, or performance of production WSGI servers.

    The reloader and debugger are enabled by default with the '--debug'
    option.
    """
    from ..server.dev import run_server

    app = _load_or_defer(info)
    debug = get_debug_flag()
    show_server_banner(debug, info.app_import_path)
    run_server(
        app,
        host,
        port,
        debug if debugger is None else debugger,
        run_simple,
        use_reloader=debug if reload is None else reload,
        threaded=with_threads,
        ssl_context=cert,
        extra_files=extra_files,
        exclude_patterns=exclude_patterns,
    )


run_command.params.insert(0, _debug_option)


# erlen shell


@click.command("shell", short_help="Run a shell in the app context.")
@with_appcontext
def shell_command() -> None:
    """Run an interactive Python shell in the context of a given
    Flask application.  The application will populate the default
    namespace of this shell according to its configuration.

    This is useful for executing small snippets of management code
    without having to manually configure the application.
    """
    import code

    app: Erlen = current_app._get_current_object()  # type: ignore[attr-defined]
    banner = (
        f"Python {sys.version} on {sys.platform}\n"
        f"App: {current_app.import_name}\n"
        f"Instance: {current_app.instance_path}"
    )
    namespace: dict[str, t.Any] = {}
    startup = os.environ.get("PYTHONSTARTUP")
    if startup and os.path.isfile(startup):
        with open(startup, encoding="utf-8") as file:
            exec(compile(file.read(), startup, "exec"), namespace)
    namespace |= app.make_shell_context()
    _prepare_completion(namespace)
    code.interact(banner=banner, local=namespace)


def _prepare_completion(namespace: dict[str, t.Any]) -> None:
    """Let the tab key complete names of the shell, and call the hook of interactive Python."""
    hook = getattr(sys, "__interactivehook__", None)
    if hook is None:
        return
    try:
        import readline
        from rlcompleter import Completer
    except ImportError:
        pass
    else:
        # Before the hook, which keeps a completer that it finds set.
        readline.set_completer(Completer(namespace).complete)
    hook()


# erlen routes

ROUTE_COLUMNS = ("endpoint", "methods", "domain", "rule")


@click.command("routes", short_help="Show the routes for the app.")
@click.option(
    "--sort",
    "-s",
    type=click.Choice([*ROUTE_COLUMNS, "match"]),
    default="endpoint",
    help=(
        "Method to sort routes by. 'match' is the order that Flask will match routes when"
        " dispatching a request."
    ),
)
@click.option("--all-methods", is_flag=True, help="Show HEAD and OPTIONS methods.")
@with_appcontext
def routes_command(sort: str, all_methods: bool) -> None:
    """Show all registered routes with endpoints and methods."""
    by_host = current_app.url_map.host_matching
    hidden = frozenset() if all_methods else frozenset({"HEAD", "OPTIONS"})

    def cells(rule: Rule) -> dict[str, str]:
        domain = rule.host if by_host else rule.subdomain
        shown = sorted((rule.methods or set()) - hidden)
        if getattr(rule, "on_socket", False):
            shown = ["WebSocket"]
        values = (rule.endpoint, ", ".join(shown), domain or "", rule.rule)
        return dict(zip(ROUTE_COLUMNS, values, strict=True))

    rows = [cells(rule) for rule in current_app.url_map.iter_rules()]
    if not rows:
        click.echo("No routes were registered.")
        return
    if sort in ROUTE_COLUMNS:
        rows.sort(key=lambda row: row[sort])
    titles = {column: column.title() for column in ROUTE_COLUMNS}
    titles["domain"] = "Host" if by_host else "Subdomain"
    if not any(row["domain"] for row in rows):
        del titles["domain"]
    click.echo(_table(titles, rows))


def _table(titles: dict[str, str], rows: list[dict[str, str]]) -> str:
    """Lay out cells in columns two blanks apart, under titles and dashes."""
    widths = {c: max(len(title), *(len(row[c]) for row in rows)) for c, title in titles.items()}
    dashes = {column: "-" * width for column, width in widths.items()}
    lines = (
        "  ".join(line[column].ljust(width) for column, width in widths.items())
        for line in (titles, dashes, *rows)
    )
    return "\n".join(lines)


DEFAULT_COMMANDS = (run_command, shell_command, routes_command)

HELP = """\
A general utility script for {} applications.

An application to load must be given with the '--app' option,
'FLASK_APP' environment variable, or with a 'wsgi.py' or 'app.py' file
in the current directory.
"""

cli = FlaskGroup(name="flask", help=HELP.format("Flask"))


class _ErlenGroup(FlaskGroup):
    """What ``erlen`` runs: Flask's commands and Erlen's own, each imported when asked for."""

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        make = OWN_COMMANDS.get(name)
        return make() if make is not None else super().get_command(ctx, name)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *OWN_COMMANDS})


def _serve_command() -> click.Command:
    from ..server.launcher import make_command

    return make_command()


def _plan_command() -> click.Command:
    from .plan import plan_command

    return plan_command


def _openapi_command() -> click.Command:
    from .openapi import openapi_command

    return openapi_command


def _check_command() -> click.Command:
    from .check import check_command

    return check_command


OWN_COMMANDS: dict[str, t.Callable[[], click.Command]] = {
    "check": _check_command,
    "openapi": _openapi_command,
    "plan": _plan_command,
    "serve": _serve_command,
}

erlen_cli = _ErlenGroup(name="erlen", help=HELP.format("Erlen and Flask"))


def _started_as_flask() -> bool:
    """Whether the user typed ``flask`` or ``python -m flask``."""
    script = os.path.splitext(os.path.basename(sys.argv[0]))[0]
    return script == "flask" or getattr(sys.modules["__main__"], "__package__", None) == "flask"


def main() -> None:
    """Run the command line. Applications that import ``flask`` get Erlen."""
    from ..compat import install

    install()
    if _started_as_flask():
        cli.main()
    else:
        erlen_cli.main()

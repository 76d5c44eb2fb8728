"""The production server: ``erlen serve`` starts Granian on an application.

The parent binds the socket and looks after the workers; each worker loads the application itself,
so that neither connections nor threads nor models cross a fork.
"""

from __future__ import annotations

import functools
import importlib.util
import multiprocessing
import os
import re
import sys
import typing as t
from dataclasses import dataclass
from pathlib import Path

import click

from ..commands import NoAppException, ScriptInfo, pass_script_info, prepare_import
from ..errors import ErlenError, MissingExtra
from ..garbage import begin_serving
from ..ml.threads import limit_threads
from ..mounts import ASGI, WSGI
from .choice import reasons_for_asgi, said
from .stopping import (
    ends_on_signal,
    hear_on_threads,
    hear_once,
    held_back_signals,
    ignore_signals,
    release_signals,
    workers_stop_while_starting,
)

if t.TYPE_CHECKING:
    from ..app import Erlen

DEFAULT_BIND = "127.0.0.1:8000"
#: Seconds that requests have to finish when the server stops, before workers are killed.
GRACE = 30
ACCESS_FORMAT = '%(addr)s [%(time)s] "%(method)s %(path)s %(protocol)s" %(status)d %(dt_ms).1f ms'

#: Let the application decide which interface it is served on.
AUTO = "auto"
INTERFACES = (AUTO, WSGI, ASGI)


class BindError(ErlenError, ValueError):
    """An address to listen at that cannot be understood."""


@dataclass(frozen=True)
class Address:
    """Where the server listens: a host and port, or a Unix socket."""

    host: str = "127.0.0.1"
    port: int = 8000
    socket: Path | None = None

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``HOST:PORT``, ``[IPV6]:PORT``, ``:PORT`` (all interfaces), ``HOST`` or
        ``unix:PATH``. Raises :exc:`BindError`."""
        if text.startswith("unix:"):
            path = text.removeprefix("unix:")
            if not path:
                raise BindError(f"{text!r} names no socket: write unix:PATH.")
            return cls(socket=Path(path))
        found = re.fullmatch(
            r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^:\[\]]*))(?::(?P<port>\d+))?", text
        )
        if found is None or not text:
            raise BindError(
                f"{text!r} is not an address: write HOST:PORT, [IPV6]:PORT or unix:PATH."
            )
        port = int(found["port"]) if found["port"] else cls.port
        if port > 65535:
            raise BindError(f"{text!r}: a port is at most 65535.")
        return cls(found["v6"] or found["host"] or "0.0.0.0", port)


def serve(
    target: str | Erlen,
    bind: str = DEFAULT_BIND,
    *,
    workers: int = 1,
    threads: int | None = None,
    interface: str = AUTO,
    cert: str | os.PathLike[str] | None = None,
    key: str | os.PathLike[str] | None = None,
    access_log: bool = False,
    backlog: int = 1024,
    grace: int = GRACE,
    as_flask: bool = False,
    **options: t.Any,
) -> None:
    """Serve an application until SIGTERM or SIGINT, then let the running requests finish.

    :param target: an import string as ``--app`` takes it (``module``, ``module:name``,
        ``module:create_app("literal")``), or an application where workers can be forked
    :param bind: ``HOST:PORT``, ``:PORT`` or ``unix:PATH``
    :param workers: processes
    :param threads: threads of each worker that run the application, under ASGI its plain views:
        then 40 by default, else two per CPU and one
    :param interface: `wsgi`, `asgi`, or `auto`: ASGI where the application has async views,
        WebSockets or mounted ASGI applications. To see that, it is loaded once more, in a process
        that ends at once
    :param cert: file with the TLS certificate; `key` is the file with its key, in PKCS #8
    :param backlog: connections that may wait to be accepted
    :param grace: seconds until a worker that does not stop is killed
    :param as_flask: ``import flask`` gives Erlen in the workers
    :param options: further arguments of Granian's ``Server``

    Raises :exc:`erlen.errors.MissingExtra` without Granian, :exc:`BindError` for a wrong address.
    """
    granian = _import_granian()
    address = Address.parse(bind)
    if interface not in INTERFACES:
        raise ValueError(f"interface is one of {', '.join(INTERFACES)}, not {interface!r}")
    if (cert is None) != (key is None):
        raise ValueError("cert and key belong together: give both or none")
    if not isinstance(target, str) and multiprocessing.get_start_method() != "fork":
        raise ValueError(
            "An application object cannot be sent to workers that are not forked:"
            " give its import string, like 'module:app'."
        )
    with workers_stop_while_starting():
        if interface == AUTO:
            interface = _choose(target, as_flask)
        is_wsgi = interface == WSGI
        server = granian.Granian(
            **{
                "target": target if isinstance(target, str) else target.import_name,
                "address": address.host,
                "port": address.port,
                "uds": address.socket,
                "interface": granian.constants.Interfaces(interface),
                "workers": workers,
                "blocking_threads": threads or 2 * (os.cpu_count() or 1) + 1 if is_wsgi else 1,
                "websockets": not is_wsgi,
                "backlog": backlog,
                "ssl_cert": Path(cert) if cert else None,
                "ssl_key": Path(key) if key else None,
                "log_access": access_log,
                "log_access_format": ACCESS_FORMAT,
                "log_dictconfig": _log_config(),
                "respawn_failed_workers": True,
                "workers_kill_timeout": grace,
                **options,
            }
        )
        hear_on_threads(server)
        loader = functools.partial(_load_in_worker, target, is_wsgi, as_flask, threads, workers)
        try:
            server.serve(target_loader=loader, wrap_loader=False)
        except SystemExit:
            # To Granian a worker has failed that ends by a Ctrl-C before the server has heard it.
            if not server.interrupt_signal:
                raise
        if server.interrupt_signal:
            ignore_signals()


def _choose(target: str | Erlen, as_flask: bool) -> str:
    """The interface for an application, said on the terminal.

    Ends the process where there is no application, after its own message.
    """
    reasons = (
        _reasons_in_child(target, as_flask) if isinstance(target, str) else reasons_for_asgi(target)
    )
    interface = ASGI if reasons else WSGI
    click.echo(said(interface, reasons), err=True)
    return interface


def _reasons_in_child(target: str, as_flask: bool) -> list[str]:
    """What `reasons_for_asgi` says of a target.

    The parent does not load it: what that opens or starts would be carried over to workers by
    their fork, and code that has changed would stay as it was when workers are renewed.
    """
    method = multiprocessing.get_start_method()
    context = multiprocessing.get_context(method if method in ("fork", "spawn") else "spawn")
    receiver, sender = context.Pipe(duplex=False)
    child: t.Any = context.Process(  # type: ignore[attr-defined]
        target=_tell_reasons, args=(target, as_flask, sender), name="erlen-choice"
    )
    with ends_on_signal(), receiver:
        try:
            with held_back_signals():  # else one could come while nobody knows of the child
                child.start()
            sender.close()
            reasons: list[str] = receiver.recv()
        except EOFError:
            child.join()
            sys.exit(1)
        finally:
            if child.pid is not None:
                child.kill()
                child.join()
    return reasons


def _tell_reasons(target: str, as_flask: bool, sender: t.Any) -> None:
    release_signals()
    sender.send(reasons_for_asgi(load_target(target, as_flask)))
    sender.close()
    # At once: threads that loading has started are not waited for.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _load_in_worker(
    target: str | Erlen, is_wsgi: bool, as_flask: bool, threads: int | None, workers: int
) -> Erlen:
    hear_once()
    limit_threads(workers)
    app = load_target(target, as_flask)
    if not is_wsgi:
        if threads is not None:
            app.config["ASGI_THREADS"] = threads
    elif app._needs_start():
        # As an ASGI server does it: before the first request, and its failure is the worker's.
        app.start_serving()
    if is_wsgi:
        begin_serving(app)  # over ASGI when the server has started it
    return app


def load_target(target: str | Erlen, as_flask: bool) -> Erlen:
    """What a worker calls for the application: never in debug mode, whatever the environment says.

    Ends the process with the message where there is no application.
    """
    os.environ.update(FLASK_DEBUG="0", FLASK_RUN_FROM_CLI="true")
    if as_flask:
        from ..compat import install

        install()
    if isinstance(target, str):
        try:
            app = ScriptInfo(target or None, set_debug_flag=False).load_app()
        except NoAppException as error:
            error.show()
            sys.exit(error.exit_code)
    else:
        app = target
    app.debug = False
    return app


def _import_granian() -> t.Any:
    try:
        import granian
        import granian.constants
    except ImportError as error:
        raise MissingExtra("erlen serve", "granian", "server") from error
    return granian


def _log_config() -> dict[str, t.Any]:
    """Granian's logging, on stderr, and with nothing in an entry that ends its line."""
    escape = {"()": f"{__name__}.EscapeControls"}
    stream = {"class": "logging.StreamHandler", "stream": "ext://sys.stderr", "filters": ["escape"]}
    return {
        "filters": {"escape": escape},
        "handlers": {
            "console": {**stream, "formatter": "generic"},
            "access": {**stream, "formatter": "access"},
        },
    }


_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class EscapeControls:
    """A logging filter: control characters of a request's parts are logged as escapes."""

    def filter(self, record: t.Any) -> bool:
        if isinstance(record.args, dict):
            record.args = {name: _escaped(value) for name, value in record.args.items()}
        return True


def _escaped(value: object) -> object:
    if not isinstance(value, str):
        return value
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], value)


# The command


def make_command() -> click.Command:
    """The command ``serve`` for the command line."""
    return serve_command


def _bind_from(bind: str | None, host: str | None, port: int | None) -> str:
    if bind is not None and (host is not None or port is not None):
        raise click.UsageError("Give either '--bind' or '--host' and '--port'.")
    if bind is not None:
        return bind
    host = host or Address.host
    return f"{f'[{host}]' if ':' in host else host}:{Address.port if port is None else port}"


def _check_exists(target: str) -> None:
    """Refuse a module that is not there before any worker is started for it."""
    module = prepare_import(re.split(r":(?![\\/])", target, maxsplit=1)[0])
    # Only the outermost package: to look for more would import it, which is the workers' to do.
    if importlib.util.find_spec(module.partition(".")[0]) is None:
        raise NoAppException(f"Could not import {module!r}.")


_FILE = click.Path(exists=True, dir_okay=False)


@click.command("serve", short_help="Run the production server.")
@click.argument("target", required=False)
@click.option("--bind", "-b", metavar="ADDRESS", help="HOST:PORT, :PORT or unix:PATH.")
@click.option("--host", "-h", help=f"Instead of --bind; {Address.host} by default.")
@click.option("--port", "-p", type=click.IntRange(0, 65535), help=f"{Address.port} by default.")
@click.option(
    "--workers",
    "-w",
    type=click.IntRange(1),
    default=1,
    envvar="WEB_CONCURRENCY",
    show_default=True,
    show_envvar=True,
    help="Processes.",
)
@click.option(
    "--threads",
    "-t",
    type=click.IntRange(1),
    help="Threads of each worker that run the application (under ASGI: its plain views).",
)
@click.option(
    "--interface",
    "-i",
    type=click.Choice(INTERFACES),
    default=AUTO,
    show_default=True,
    help="ASGI for async views, WebSockets and mounted ASGI applications, else WSGI.",
)
@click.option("--cert", type=_FILE, help="Serve HTTPS with this certificate.")
@click.option("--key", type=_FILE, help="The certificate's key, in PKCS #8.")
@click.option("--access-log/--no-access-log", default=False, help="Log each request.")
@click.option(
    "--backlog",
    type=click.IntRange(128),
    default=1024,
    show_default=True,
    help="Connections that may wait to be accepted.",
)
@click.option(
    "--grace",
    type=click.IntRange(1, 1800),
    default=GRACE,
    show_default=True,
    help="Seconds that running requests have to finish when the server stops.",
)
@pass_script_info
def serve_command(
    info: ScriptInfo,
    /,
    target: str | None,
    bind: str | None,
    host: str | None,
    port: int | None,
    cert: str | None,
    key: str | None,
    **options: t.Any,
) -> None:
    """Run the production server.

    TARGET is the application, as '--app' takes it: 'module', 'module:name' or
    'module:create_app()'. It may be left out where '--app', FLASK_APP or a file 'wsgi.py' or
    'app.py' says it. Debug mode is off, whatever FLASK_DEBUG says; for development, with reloader
    and debugger, there is 'erlen run'.
    """
    if (cert is None) != (key is None):
        raise click.UsageError("'--cert' and '--key' belong together.")
    if os.environ.get("FLASK_DEBUG", "").lower() not in {"", "0", "false", "no"}:
        click.secho("Debug mode is off: 'serve' is for production.", fg="yellow", err=True)
    app: str | Erlen = target or info.app_import_path or ""
    if info.create_app is not None and not app:
        app = info.load_app()
    elif isinstance(app, str) and app:
        _check_exists(app)
    try:
        serve(
            app,
            _bind_from(bind, host, port),
            cert=cert,
            key=key,
            as_flask=_is_alias_installed(),
            **options,
        )
    except (MissingExtra, BindError) as error:
        raise click.ClickException(str(error)) from error


def _is_alias_installed() -> bool:
    """Whether this process imports Erlen as ``flask``, as one started by ``erlen`` does."""
    from ..app import Erlen

    return getattr(sys.modules.get("flask"), "Flask", None) is Erlen

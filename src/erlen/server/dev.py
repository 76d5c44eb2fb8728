"""The development server: Werkzeug's, with its reloader and the debugger."""

from __future__ import annotations

import os
import typing as t

import click
from werkzeug import serving

from ..helpers import get_debug_flag, get_load_dotenv

if t.TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from ..app import Erlen

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 5000


def with_debugger(
    app: WSGIApplication, host: str, *, reloading: bool, evalex: bool = True
) -> WSGIApplication:
    """The application behind the debugger, where this process is the one that serves.

    A server that is `reloading` watches in one process and serves in another: the first picks the
    PIN, so that it outlives the second. The user's own choice in ``WERKZEUG_DEBUG_PIN`` stands.
    """
    from .debugger import PIN_VARIABLE, Debugger, new_pin

    if reloading and not serving.is_running_from_reloader():
        os.environ.setdefault(PIN_VARIABLE, new_pin())
        return app
    return Debugger(app, host, evalex=evalex)


def run_server(
    app: WSGIApplication,
    host: str,
    port: int,
    debugs: bool,
    run_simple: t.Callable[..., None],
    **options: t.Any,
) -> None:
    """Serve over ASGI what needs it, everything else through `run_simple`; behind the debugger
    where `debugs` says so. The options are those of :func:`werkzeug.serving.run_simple`."""
    from . import dev_asgi

    reloading: bool = options["use_reloader"]
    is_for_asgi = dev_asgi.is_for_asgi(app, reloading)
    served = app
    if debugs:
        evalex = options.get("use_evalex", True)
        served = with_debugger(app, host, reloading=reloading, evalex=evalex)
    if not is_for_asgi:
        run_simple(host, port, served, **options)
        return
    known = {name: options[name] for name in dev_asgi.OPTIONS if name in options}
    dev_asgi.serve(t.cast("Erlen", app), host, port, debugger=served if debugs else None, **known)


def run_app(
    app: Erlen,
    host: str | None = None,
    port: int | None = None,
    debug: bool | None = None,
    load_dotenv: bool = True,
    **options: t.Any,
) -> None:
    """What ``app.run()`` does: serve `app` until interrupted.

    `host` and `port` default to those of ``SERVER_NAME``, then to 127.0.0.1 and 5000. `options` go
    to :func:`werkzeug.serving.run_simple`. Called while ``erlen run`` imports the application, it
    only says so.
    """
    if os.environ.get("FLASK_RUN_FROM_CLI") == "true":
        if not serving.is_running_from_reloader():
            click.secho(
                " * Ignoring a call to 'app.run()' that would block the current 'flask' CLI"
                " command.\n   Only call 'app.run()' in an 'if __name__ == \"__main__\"' guard.",
                fg="red",
            )
        return
    from .. import cli

    if get_load_dotenv(load_dotenv):
        cli.load_dotenv()
        # The files may say it, and the application was made before they were read.
        if "FLASK_DEBUG" in os.environ:
            app.debug = get_debug_flag()
    if debug is not None:
        app.debug = bool(debug)

    named_host, named_port = _named_address(app)
    host = host or named_host or DEFAULT_HOST
    port = int(next((p for p in (port, named_port) if p is not None), DEFAULT_PORT))

    for name, default in (
        ("use_reloader", app.debug),
        ("use_debugger", app.debug),
        ("threaded", True),
    ):
        options.setdefault(name, default)
    cli.show_server_banner(app.debug, app.name)
    debugs, options["use_debugger"] = options["use_debugger"], False
    try:
        run_server(app, host, port, debugs, serving.run_simple, **options)
    finally:
        # Back at an interactive prompt, the application may be set up further.
        app._got_first_request = False


def _named_address(app: Erlen) -> tuple[str | None, int | None]:
    """Host and port of ``SERVER_NAME``."""
    host, _, port = (app.config["SERVER_NAME"] or "").partition(":")
    return host or None, int(port) if port else None

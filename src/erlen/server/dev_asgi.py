"""The development server over ASGI: Granian within this process, behind Werkzeug's front.

Werkzeug's server opens the socket, says where it listens, and reloads; Granian serves on that
socket, so that connections wait through a reload.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import sys
import tempfile
import threading
import time
import typing as t
from pathlib import Path

import click
from werkzeug import serving

from ..errors import MissingExtra
from .choice import reasons_for_asgi
from .stopping import STOPPING, ends_on_signal

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from ..app import Erlen
    from ..wrappers.scope import Message, Receive, Scope, Send

#: Seconds that requests have to finish when the server stops or reloads.
GRACE = 1.0
_SOCKET = "WERKZEUG_SERVER_FD"
_BACKLOG = 128
#: Options of `run_simple` that mean something here as well.
OPTIONS = (
    "use_reloader",
    "ssl_context",
    "extra_files",
    "exclude_patterns",
    "reloader_interval",
    "reloader_type",
)


def is_for_asgi(app: t.Any, reloading: bool) -> bool:
    """Whether an application is to be served over ASGI; the process that serves says so.

    A server that is `reloading` serves in a child process. Without Granian it is WSGI after all.
    """
    if not hasattr(app, "_needs_start"):  # what stands for one that could not be loaded
        return False
    reasons = reasons_for_asgi(app)
    if not reasons:
        return False
    has = f"the application has {' and '.join(reasons)}"
    says = not reloading or serving.is_running_from_reloader()
    try:
        _import_granian()
    except MissingExtra as error:
        if says:
            click.secho(f" * Serving over WSGI, although {has}: {error}", fg="yellow", err=True)
        return False
    if says:
        click.echo(f" * Serving over ASGI, for {has}.", err=True)
    return True


def serve(
    app: Erlen,
    host: str,
    port: int,
    *,
    debugger: t.Any = None,
    use_reloader: bool = False,
    ssl_context: t.Any = None,
    extra_files: t.Any = None,
    exclude_patterns: t.Any = None,
    reloader_interval: float = 1,
    reloader_type: str = "auto",
) -> None:
    """Serve until interrupted; `debugger` is the :class:`~.debugger.Debugger`, if there is one.

    The options are those of :func:`werkzeug.serving.run_simple`. Raises ValueError for an
    `ssl_context` that is an object: Granian needs files.
    """
    is_child = serving.is_running_from_reloader()
    with contextlib.ExitStack() as at_end:
        at_end.enter_context(contextlib.suppress(KeyboardInterrupt))
        at_end.enter_context(ends_on_signal(KeyboardInterrupt))
        fd = int(os.environ[_SOCKET]) if is_child else None
        front = serving.make_server(host, port, app, fd=fd)
        at_end.callback(front.server_close)
        front.socket.set_inheritable(True)
        os.environ[_SOCKET] = str(front.fileno())
        front.ssl_context = ssl_context  # for what it says of itself
        if not is_child:
            front.log_startup()
        if use_reloader and not is_child:
            _supervise(reloader_type)
            return
        served: t.Any = app
        if debugger is not None:
            from .debugger import AsgiDebugger

            served = AsgiDebugger(app, debugger)
        files = at_end.enter_context(_certificate(ssl_context, host))
        running = _Running(Logged(served), front.socket.fileno(), files)
        at_end.callback(running.stop)
        if not use_reloader:
            running.run()
            return
        from .reloading import serve_and_watch

        try:
            serve_and_watch(
                running.run,
                reloader_type,
                extra_files=extra_files,
                exclude_patterns=exclude_patterns,
                interval=reloader_interval,
            )
        except SystemExit as ending:
            _exit_code.append(ending.code if isinstance(ending.code, int) else 1)
            raise


def _supervise(reloader_type: str) -> None:
    from .reloading import supervise

    logging.getLogger("werkzeug").info("Press CTRL+C to quit")
    code = supervise(reloader_type)
    if code is not None:
        sys.exit(code)


# Of the process, where it is known before its end.
_exit_code: list[int] = []


def _end_process() -> None:
    """The interpreter's last step, in place of its own: threads of Granian that still look for it
    would abort the process."""
    atexit.unregister(_end_process)
    atexit._run_exitfuncs()  # those that were registered before this one
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    failed = getattr(sys, "last_value", None) is not None
    os._exit(_exit_code[-1] if _exit_code else int(failed))


class _Running:
    """Granian on an open socket, on whichever thread calls `run`."""

    def __init__(self, app: t.Any, socket: int, files: tuple[Path, Path] | None) -> None:
        self.app = app
        self.socket = socket
        self.files = files
        self.ended = threading.Event()
        self.ended.set()
        # What begins and what stops it are on two threads.
        self.lock = threading.Lock()
        self.is_stopping = False
        self.loop: asyncio.AbstractEventLoop | None = None
        self.server: t.Any = None

    def run(self) -> None:
        """Serve until `stop` is called, or on the main thread until a signal comes."""
        with self.lock:
            if self.is_stopping:
                return
            self.ended.clear()
        try:
            # When the reloader ends the process, the application's end is still to be waited for.
            getattr(threading, "_register_atexit", atexit.register)(self.stop)
            atexit.register(_end_process)
            asyncio.run(self._serve())
        finally:
            self.ended.set()

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        server = _make_server(self.app, self.socket, self.files)
        with self.lock:
            if self.is_stopping:
                return
            self.loop, self.server = loop, server
        if threading.current_thread() is threading.main_thread():
            for number in STOPPING:
                with contextlib.suppress(NotImplementedError):
                    loop.add_signal_handler(number, server.stop)
        await server.serve()

    def stop(self) -> None:
        """Have it end, or never begin, and wait until it has ended."""
        with self.lock:
            self.is_stopping = True
            loop, server = self.loop, self.server
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # it has just ended
                loop.call_soon_threadsafe(server.stop)
        self.ended.wait(10)


def _make_server(app: t.Any, socket: int, files: tuple[Path, Path] | None) -> t.Any:
    granian = _import_granian()
    make_holder: t.Any = granian._granian.SocketHolder
    server: t.Any = granian.server.embed.Server

    class OnSocket(server):  # type: ignore[misc]
        """Granian's server within an event loop, on a socket that is open already."""

        def _init_shared_socket(self) -> None:
            own = os.dup(socket)
            os.set_blocking(own, False)
            self._ssp = None
            self._shd = make_holder(own, False, _BACKLOG)

        async def _stop_workers(self) -> None:
            for worker in self.wrks:
                worker.terminate()
            tasks = [worker._task for worker in self.wrks]
            await asyncio.wait(tasks, timeout=GRACE)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            self.wrks.clear()

    cert, key = files or (None, None)
    return OnSocket(
        app,
        interface=granian.constants.Interfaces.ASGI,
        log_level=granian.log.LogLevels.error,
        ssl_cert=cert,
        ssl_key=key,
    )


def _import_granian() -> t.Any:
    try:
        import granian
        import granian._granian
        import granian.constants
        import granian.log
        import granian.server.embed
    except ImportError as error:
        raise MissingExtra("erlen run over ASGI", "granian", "server") from error
    return granian


class Logged:
    """An ASGI application whose requests are logged as Werkzeug's server logs them."""

    def __init__(self, app: t.Any) -> None:
        self.app = app
        self.logger = logging.getLogger("werkzeug")
        if self.logger.level == logging.NOTSET:
            self.logger.setLevel(logging.INFO)
        if not self.logger.hasHandlers():
            self.logger.addHandler(logging.StreamHandler())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        status: t.Any = "-"

        async def noting(message: Message) -> None:
            nonlocal status
            status = _STATUS.get(message["type"], message.get("status", status))
            await send(message)

        try:
            await self.app(scope, receive, noting)
        finally:
            self._log(scope, status)

    def _log(self, scope: Scope, status: t.Any) -> None:
        client = scope.get("client") or ("-", 0)
        target = (scope.get("raw_path") or scope["path"].encode()).decode("latin1")
        if scope["query_string"]:
            target = f"{target}?{scope['query_string'].decode('latin1')}"
        version = scope.get("http_version", "1.1")
        line = f"{scope.get('method', 'WEBSOCKET')} {target} HTTP/{version}"
        shown = line.encode("ascii", "backslashreplace").decode().translate(_CONTROLS)
        now = time.strftime("%d/%b/%Y %H:%M:%S")
        self.logger.info('%s - - [%s] "%s" %s -', client[0], now, shown, status)


_STATUS = {"websocket.accept": 101}
_CONTROLS = {code: rf"\x{code:02x}" for code in (*range(0x20), 0x7F)}


@contextlib.contextmanager
def _certificate(context: t.Any, host: str) -> Iterator[tuple[Path, Path] | None]:
    """The files of certificate and key; made for the time of serving where it is `adhoc`."""
    if context is None:
        yield None
    elif isinstance(context, tuple) and len(context) == 2:
        yield Path(context[0]), Path(context[1])
    elif context == "adhoc":
        with tempfile.TemporaryDirectory() as folder:
            yield _make_certificate(Path(folder), host)
    else:
        raise ValueError(
            "Over ASGI the development server needs the files of certificate and key, or 'adhoc',"
            " not an SSLContext."
        )


def _make_certificate(folder: Path, host: str) -> tuple[Path, Path]:
    from cryptography.hazmat.primitives import serialization

    cert, key = serving.generate_adhoc_ssl_pair(host)
    files = folder / "cert.pem", folder / "key.pem"
    files[0].write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files

"""Signals that stop Granian and its workers: none is lost, and one more does no harm."""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import socket
import threading
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STOPPING = (signal.SIGTERM, signal.SIGINT)


@contextlib.contextmanager
def workers_stop_while_starting() -> Iterator[None]:
    """Let a signal end a forked worker that does not handle signals itself yet.

    Such a worker has the handlers of its parent, which would swallow the signal; and one that
    comes right after the fork would be forgotten, since the interpreter drops what is pending in
    a new process. So signals are held back over the fork and then have their default effect.
    """
    parent: int | None = os.getpid()
    held = threading.local()

    def before() -> None:
        if os.getpid() == parent:
            held.mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)

    def in_parent() -> None:
        mask = held.__dict__.pop("mask", None)
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def in_child() -> None:
        mask = held.__dict__.pop("mask", None)
        if mask is not None:
            for number in STOPPING:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=before, after_in_parent=in_parent, after_in_child=in_child)
    try:
        yield
    finally:
        parent = None


@contextlib.contextmanager
def held_back_signals() -> Iterator[None]:
    """Let signals that stop wait for the end of the block, where the platform can.

    A process started inside holds them back, too: it calls :func:`release_signals`.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def release_signals() -> None:
    """In a process started under :func:`held_back_signals`."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)


@contextlib.contextmanager
def ends_on_signal(ending: type[BaseException] = SystemExit) -> Iterator[None]:
    """Raise `ending` here on a first signal, and nothing on others: what it ends takes its time.

    So a process ends properly also as the first one of a container, which has no default for
    signals. Nothing outside of the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end() -> t.NoReturn:
        raise ending(0)

    first = _first_call_of(end)
    handlers = {number: signal.signal(number, lambda *_: first()) for number in STOPPING}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def hear_on_threads(server: t.Any) -> None:
    """Let signals reach Granian's main process each on a thread.

    What handles them sets an event, whose lock the code that was interrupted may hold: by the
    handler of the signal before, or since it was about to wait. It would wait for itself.
    """
    server.main_loop_interrupt = _Interrupt(server)
    for name in ("signal_handler_interrupt", "signal_handler_reload"):
        setattr(server, name, _on_thread(getattr(server, name)))


class _Interrupt(threading.Event):
    """Granian's event, which does not forget a signal that comes while it handles something else.

    It looks for signals first and clears the event then, when it renews a worker.
    """

    def __init__(self, server: t.Any) -> None:
        super().__init__()
        self._server = server

    def clear(self) -> None:
        super().clear()
        if self._server.interrupt_signal or self._server.reload_signal:
            self.set()


def ignore_signals() -> None:
    """Let signals that come once the server has ended change nothing: neither does its exit code.

    Handlers in Python have no effect in the interpreter's last moments, in which the default has.
    """
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _on_thread(handle: Callable[[], None]) -> Callable[..., None]:
    def start(*_: t.Any) -> None:
        # Without the locks of `threading`, for which the same is true.
        _thread.start_new_thread(handle, ())

    return start


def hear_once() -> None:
    """In a worker, before it handles signals: let only the first one reach Granian.

    Its event takes one signal before it is waited for, and one after. A third, such as a second
    Ctrl-C in a terminal, would block the interpreter, and with it the requests that are to finish.
    """
    import granian._signals as handlers

    def hearing_once(install: Callable[..., t.Any]) -> Callable[..., t.Any]:
        def install_once(*loop: t.Any) -> t.Any:
            event = install(*loop)
            _handle(_first_call_of(event.set), *loop)
            return event

        return install_once

    for name in ("set_loop_signals", "set_sync_signals"):
        setattr(handlers, name, hearing_once(getattr(handlers, name)))


def _handle(stop: Callable[[], None], loop: t.Any = None) -> None:
    with contextlib.suppress(NotImplementedError):  # by event loops on Windows
        if loop is not None:
            for number in STOPPING:
                loop.add_signal_handler(number, stop)
                # uvloop's handler forgets what comes while the loop does not run: before the
                # application's start, and between that and the first request.
                signal.signal(number, lambda *_: stop())
            return
    _handle_on_thread(stop)


def _handle_on_thread(stop: Callable[[], None]) -> None:
    """Call `stop` for signals, whatever the main thread does.

    It waits for a lock, and a signal that comes just before would not wake it.
    """
    ear, mouth = socket.socketpair()
    mouth.setblocking(False)
    signal.set_wakeup_fd(mouth.fileno(), warn_on_full_buffer=False)

    def listen() -> None:
        while mouth.fileno() >= 0:  # always: what the interpreter writes to is kept open
            if ear.recv(1)[0] in STOPPING:
                stop()

    for number in STOPPING:
        signal.signal(number, lambda *_: None)
    threading.Thread(target=listen, name="erlen-signals", daemon=True).start()


def _first_call_of(function: Callable[[], object]) -> Callable[[], None]:
    done = False

    def call() -> None:
        nonlocal done
        if not done:
            done = True
            function()

    return call

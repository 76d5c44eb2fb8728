"""The life of a model in a process: loaded once, after a fork; warm before it is ready; drained."""

from __future__ import annotations

import logging
import os
import threading
import typing as t
import weakref
from contextvars import copy_context

from ..engine.bridge import await_, is_in_greenlet
from ..garbage import spare_loaded
from ..globals import current_app
from .threads import limit_threads

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from .predictor import Definition, Verb

T = t.TypeVar("T")

#: What a model is at a time.
NEW, LOADING, READY, FAILED = "new", "loading", "ready", "failed"

_log = logging.getLogger(__name__)


def call(verb: Verb, *args: t.Any, **named: t.Any) -> t.Any:
    """Call a verb of a predictor from sync code; one that is a coroutine is waited for."""
    made = verb.function(*args, **named)
    return await_(made) if verb.is_coroutine else made


def beside(function: Callable[..., T], *args: t.Any) -> T:
    """Call what takes a while: on a thread for views, where this code runs on an event loop."""
    if not is_in_greenlet():
        return function(*args)
    return await_(_on_thread(function, args))


async def _on_thread(function: Callable[..., T], args: tuple[t.Any, ...]) -> T:
    return await current_app.worker_threads.submit(function, *args)


class Model:
    """A predictor's model in this process.

    :param warm: called after `load`, to compute what the first requests would be slowed down by
    """

    def __init__(self, definition: Definition, warm: Callable[[], None]) -> None:
        self.definition = definition
        self._warm = warm
        self._forget()
        _models.add(self)

    def _forget(self) -> None:
        self.state = NEW
        self.error: BaseException | None = None
        self._lock = threading.Lock()

    def ensure(self) -> None:
        """Load it now, or wait until whoever does it has done so. Raises what `load` raises.

        After an error the next who asks tries again.
        """
        if self.state == READY:
            return
        with self._lock:
            if self.state == READY:
                return
            self.state = LOADING
            try:
                limit_threads()
                if self.definition.load is not None:
                    call(self.definition.load)
                self._warm()
            except BaseException as error:
                self.state, self.error = FAILED, error
                raise
            self.error = None
            self.state = READY
            spare_loaded()

    def ensure_beside(self) -> threading.Thread:
        """Load it on a thread of its own; an error is logged, and whoever asks next tries again."""

        def run() -> None:
            try:
                self.ensure()
            except Exception:
                _log.exception("The model of %s could not be loaded", self.definition.name)

        name = f"erlen-load-{self.definition.name}"
        thread = threading.Thread(target=copy_context().run, args=(run,), name=name, daemon=True)
        thread.start()
        return thread


_models: weakref.WeakSet[Model] = weakref.WeakSet()


def _forget_models() -> None:
    """In a forked process nothing is loaded: threads of the model's library did not come along."""
    for model in list(_models):
        model._forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_models)

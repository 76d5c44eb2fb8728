"""The application's logger, and a handler that writes where the server wants errors."""

from __future__ import annotations

import logging
import sys
import typing as t

from werkzeug.local import LocalProxy

from .state import current


def _errors_stream() -> t.TextIO:
    ctx = current.get()[1]
    stream: t.TextIO = sys.stderr if ctx is None else ctx.request.environ["wsgi.errors"]
    return stream


#: The server's error stream during a request, `sys.stderr` otherwise.
wsgi_errors_stream: t.TextIO = t.cast(t.TextIO, LocalProxy(_errors_stream))

#: Writes to `wsgi_errors_stream`: what the application's logger gets if nobody configured any.
default_handler = logging.StreamHandler(wsgi_errors_stream)
default_handler.setFormatter(
    logging.Formatter("[%(asctime)s] %(levelname)s in %(module)s: %(message)s")
)


def has_level_handler(logger: logging.Logger) -> bool:
    """Whether a handler of the logger, or of one it propagates to, takes its effective level."""
    level = logger.getEffectiveLevel()
    node: logging.Logger | None = logger
    while node is not None:
        if min((handler.level for handler in node.handlers), default=level + 1) <= level:
            return True
        node = node.parent if node.propagate else None
    return False


def create_logger(app: t.Any) -> logging.Logger:
    """The logger named like the application.

    In debug mode its level becomes DEBUG unless set; `default_handler` is added unless some
    handler takes its level already.
    """
    logger = logging.getLogger(app.name)
    logger.setLevel(logger.level or (logging.DEBUG if app.debug else logging.NOTSET))
    if not has_level_handler(logger):
        logger.addHandler(default_handler)
    return logger

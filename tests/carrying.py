"""Applications that tests call with an environ: as they are, or carried over ASGI."""

from __future__ import annotations

import os
import typing as t


def over_asgi() -> bool:
    """Whether Erlen's requests of this test are carried over ASGI (Flask's never are)."""
    return os.environ.get("ERLEN_TEST_TRANSPORT") == "asgi"


def carried(app: t.Any) -> t.Any:
    """The WSGI callable to call for an application of Erlen."""
    if not over_asgi():
        return app
    from erlen.testing.asgi import Carrier
    from erlen.testing.loops import loop_thread

    return Carrier(app, loop_thread().wait)

"""The garbage collector of a process that serves.

What was imported and loaded before the first request stays until the process ends. A full
collection looks at all of it nevertheless, with every request waiting: with a library for models
for some 50 milliseconds, several times a second under load. So it is put where the collector does
not look (`gc.freeze`), once it is there.
"""

from __future__ import annotations

import gc
import os
import typing as t

#: The process that serves, if this is one; a forked one has to begin for itself.
_serving: int | None = None


def begin_serving(app: t.Any) -> None:
    """Spare what is there when a server starts an application, unless `GC_FREEZE` is false.

    Once a process; not in tests, which load and drop much.
    """
    global _serving
    if _serving != os.getpid() and app.config.get("GC_FREEZE", True) and not app.testing:
        _serving = os.getpid()
        spare_loaded()


def spare_loaded() -> None:
    """Spare what was loaded meanwhile, such as a model, where that is done."""
    if _serving == os.getpid() and hasattr(gc, "freeze"):
        gc.collect()
        gc.freeze()

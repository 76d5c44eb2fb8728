"""The garbage collector of a process that serves.

What was imported and loaded before the first request stays until the process ends. A full
collection looks at all of it nevertheless, with every request waiting: with a library for models
for some 50 milliseconds, several times a second under load. So it is put where the collector does
not look (`gc.freeze`), once it is there. And what many requests hold at the same time is no
garbage either: the collector looks for some less often than after every 700 new objects.
"""

from __future__ import annotations

import gc
import os
import typing as t

#: New objects, less those that are gone, after which the youngest are looked through.
YOUNG = 10_000

#: The process that serves, if this is one; a forked one has to begin for itself.
_serving: int | None = None


def begin_serving(app: t.Any) -> None:
    """Spare what is there when a server starts an application, unless `GC_TUNING` is false.

    Once a process; not in tests, which load and drop much. A larger threshold is left as it is, as
    is a collector that was switched off.
    """
    global _serving
    if _serving == os.getpid() or app.testing or not app.config.get("GC_TUNING", True):
        return
    _serving = os.getpid()
    young, *older = gc.get_threshold()
    if 0 < young < YOUNG:
        gc.set_threshold(YOUNG, *older)
    spare_loaded()


def spare_loaded() -> None:
    """Spare what was loaded meanwhile, such as a model, where that is done."""
    if _serving == os.getpid():
        gc.collect()
        gc.freeze()

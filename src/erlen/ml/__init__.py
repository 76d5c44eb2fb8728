"""Model serving: batching in any route, and predictors with their endpoint, page and life."""

from __future__ import annotations

import typing as t
from importlib import import_module

from ..errors import MissingExtra, http_forms
from .batching.errors import BatchingError

if t.TYPE_CHECKING:
    from .batching import BadResults as BadResults
    from .batching import Batcher as Batcher
    from .batching import BatcherClosed as BatcherClosed
    from .batching import BatchingError as BatchingError
    from .batching import BatchInterrupted as BatchInterrupted
    from .batching import Collate as Collate
    from .batching import DeadlineExceeded as DeadlineExceeded
    from .batching import Observer as Observer
    from .batching import QueueFull as QueueFull
    from .batching import Stats as Stats
    from .batching import batched as batched
    from .batching import bucket as bucket
    from .batching import pad as pad
    from .demo import Page as Page
    from .kinds import Array as Array
    from .kinds import Audio as Audio
    from .kinds import Choice as Choice
    from .kinds import File as File
    from .kinds import Image as Image
    from .kinds import Label as Label
    from .kinds import Limits as Limits
    from .kinds import Shown as Shown
    from .kinds import Table as Table
    from .kinds import Text as Text
    from .predictor import BadItem as BadItem
    from .predictor import Predictor as Predictor


def _http_form(error: BatchingError) -> t.Any:
    from .problems import problem_of

    return problem_of(error)


# Where a view calls a batched function itself, a full queue is a 503 as well.
http_forms[BatchingError] = _http_form

# PERF: batching needs none of what typed endpoints need.
_PARTS = {
    "batching": "BadResults Batcher BatcherClosed BatchingError BatchInterrupted Collate"
    " DeadlineExceeded Observer QueueFull Stats batched bucket pad",
    "demo": "Page",
    "kinds": "Array Audio Choice File Image Label Limits Shown Table Text",
    "predictor": "BadItem Predictor",
}
_LATER = {name: part for part, names in _PARTS.items() for name in names.split()}


def __getattr__(name: str) -> t.Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(part(_LATER[name], f"erlen.ml.{name}"), name)


def part(name: str, feature: str) -> t.Any:
    """A module of this package. Raises MissingExtra.

    :param feature: what needs it
    """
    try:
        return import_module(f".{name}", __name__)
    except ImportError as error:
        if getattr(error, "name", "") not in ("pydantic", "pydantic_core", "numpy"):
            raise
        raise MissingExtra(feature, str(error.name), "ml") from error

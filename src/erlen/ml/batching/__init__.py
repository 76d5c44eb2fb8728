"""Batching: many callers give one item each, a function is called with lists of them.

Knows no HTTP. :class:`Batcher` and :func:`batched` are the ways in; `line` and `estimate` decide,
`batcher` brings threads and event loops together, `computing` runs a batch.
"""

from __future__ import annotations

from .batcher import Batcher as Batcher
from .collate import Collate as Collate
from .collate import bucket as bucket
from .collate import pad as pad
from .decorator import AsyncBatched as AsyncBatched
from .decorator import Batched as Batched
from .decorator import batched as batched
from .errors import BadResults as BadResults
from .errors import BatcherClosed as BatcherClosed
from .errors import BatchingError as BatchingError
from .errors import BatchInterrupted as BatchInterrupted
from .errors import DeadlineExceeded as DeadlineExceeded
from .errors import QueueFull as QueueFull
from .stats import Observer as Observer
from .stats import Stats as Stats

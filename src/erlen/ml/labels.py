"""The answer of a classifier."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class Label:
    """What something is, and how probable that and the alternatives are."""

    label: str
    #: Probability of the label, from 0 to 1.
    score: float
    #: Probabilities by labels, the most probable first.
    scores: dict[str, float]

    @classmethod
    def of(
        cls,
        scores: Mapping[t.Any, float] | Sequence[float],
        names: Sequence[t.Any] | None = None,
        *,
        top: int | None = None,
    ) -> Label:
        """A label from probabilities. Raises ValueError for none.

        :param scores: by names, or in the order of `names`; also an array or tensor of one axis
        :param names: of the labels; by default their numbers from 0
        :param top: how many alternatives to keep
        """
        listed: t.Any = scores
        if hasattr(listed, "items"):
            pairs = [(str(name), float(score)) for name, score in listed.items()]
        else:
            if hasattr(listed, "tolist"):
                listed = listed.tolist()
            named = range(len(listed)) if names is None else names
            pairs = [(str(name), float(score)) for name, score in zip(named, listed, strict=True)]
        pairs.sort(key=lambda pair: pair[1], reverse=True)
        if not pairs:
            raise ValueError("A label is made from at least one probability.")
        (label, score), *_ = pairs
        return cls(label, score, dict(pairs[:top]))

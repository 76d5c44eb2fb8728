"""Erlen with a predictor, whose inputs are validated: the endpoint that most would write."""

from __future__ import annotations

import os
from typing import Any

from erlen import Erlen

from ..models import BATCH, from_environ

Item = str if os.environ["BENCHMARK_MODEL"] == "encoder" else list[float]
app = Erlen("predictor")


class Model:
    def load(self) -> None:
        self.predict_all = from_environ()

    def decode(self, input: Item) -> Any:  # type: ignore[valid-type]
        return input

    def predict(self, items: list[Any]) -> list[Any]:
        return self.predict_all(items)


app.predictor("/predict", Model(), max_size=BATCH)

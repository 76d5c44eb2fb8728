"""BentoML with adaptive batching; the endpoint takes a list, of which every request has one."""

from __future__ import annotations

import os
from typing import Any

import bentoml

from ..models import BATCH, from_environ

Item = str if os.environ["BENCHMARK_MODEL"] == "encoder" else list[float]


@bentoml.service(workers=1, traffic={"timeout": 30, "max_concurrency": 2048})
class Model:
    def __init__(self) -> None:
        self.predict_all = from_environ()

    @bentoml.api(batchable=True, max_batch_size=BATCH, max_latency_ms=10_000)
    def predict(self, input: list[Item]) -> list[Any]:  # type: ignore[valid-type]
        return self.predict_all(input)

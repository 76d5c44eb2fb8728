"""Erlen, without batching and with it, as a plain view for WSGI and as a coroutine for ASGI."""

from __future__ import annotations

import os
from typing import Any

from erlen import Erlen, request
from erlen.ml import batched

from ..models import BATCH, from_environ

#: seconds for an item, where the table sets any, and how many items may wait
DEADLINE = float(os.environ.get("BENCHMARK_DEADLINE", "0")) or None
QUEUE = int(os.environ.get("BENCHMARK_QUEUE", "0")) or None
#: whether a view ends when its client leaves
CANCELS = "BENCHMARK_CANCELS" in os.environ

predict = from_environ()
predict_one = batched(max_size=BATCH, max_queue=QUEUE, deadline=DEADLINE)(predict)

plain, plain_async = Erlen("plain"), Erlen("plain_async")
batching, batching_async = Erlen("batching"), Erlen("batching_async")


@plain.post("/predict")
def answer() -> Any:
    return {"output": predict([request.get_json()["input"]])[0]}


@plain_async.post("/predict")
async def answer_async() -> Any:
    return {"output": predict([request.get_json()["input"]])[0]}


@batching.post("/predict")
def answer_batched() -> Any:
    return {"output": predict_one(request.get_json()["input"])}


@batching_async.post("/predict", cancel_on_disconnect=CANCELS)
async def answer_batched_async() -> Any:
    return {"output": await predict_one.ask(request.get_json()["input"])}


for app in (batching, batching_async):

    @app.get("/stats")
    def stats() -> Any:
        found = predict_one.stats()
        sizes = {str(size): count for size, count in found.sizes.items()}
        return {"sizes": sizes, "run_seconds": found.run_seconds, "dropped": found.dropped}

"""An application whose model tells in which process it was loaded; for real servers."""

from __future__ import annotations

import os
import threading
import time
import typing as t

from erlen import Erlen
from erlen.ml import Label

app = Erlen(__name__)


class Model:
    def __init__(self) -> None:
        self.loaded: list[int] = []

    def load(self) -> None:
        # As libraries of models do, which a fork then breaks.
        threading.Thread(target=time.sleep, args=(0.01,)).start()
        self.loaded.append(os.getpid())

    def warm_up(self) -> list[float]:
        return [0.0]

    def predict(self, seconds: list[float]) -> list[dict[str, t.Any]]:
        time.sleep(max(seconds))
        return [{"loaded": self.loaded[-1], "here": os.getpid()} for _ in seconds]


served = app.predictor("/model", Model(), max_size=4)


@app.get("/given")
def given() -> str:
    """How many items the model was given."""
    return str(served.stats().requests)


@app.predictor("/label")
def label(texts: list[str]) -> list[Label]:
    return [Label.of({text: 1.0}) for text in texts]


app.enable_metrics()

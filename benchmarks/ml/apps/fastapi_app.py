"""FastAPI under uvicorn: one item, one call of the model, on the worker thread of a plain view."""

from __future__ import annotations

import os
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from ..models import from_environ

app = FastAPI()
predict = from_environ()
Item = str if os.environ["BENCHMARK_MODEL"] == "encoder" else list[float]


class Asked(BaseModel):
    input: Item  # type: ignore[valid-type]


class Answer(BaseModel):
    output: Any


@app.post("/predict")
def answer(asked: Asked) -> Answer:
    return Answer(output=predict([asked.input])[0])

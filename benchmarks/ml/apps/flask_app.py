"""Flask under Gunicorn: one item, one call of the model."""

from __future__ import annotations

from typing import Any

from flask import Flask, jsonify, request

from ..models import from_environ

app = Flask("bench")
predict = from_environ()


@app.post("/predict")
def answer() -> Any:
    return jsonify(output=predict([request.get_json()["input"]])[0])

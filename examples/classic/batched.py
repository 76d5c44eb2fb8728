"""The application of app.py with a second endpoint, which computes what comes together in one call.

The model has to be written for several texts; what makes a batch of the requests is two lines, the
import of `batched` and the decorator.
"""

import torch
from app import app, model
from flask import jsonify, request
from model import LABELS
from torch.nn.utils.rnn import pad_sequence

from erlen.ml import batched


@batched(max_size=32)
def score(texts):
    numbers = [model.encode(text)[0] for text in texts]
    with torch.no_grad():
        # Padding is 0, which the model leaves out of its mean.
        return torch.softmax(model(pad_sequence(numbers, batch_first=True)), dim=1)


@app.route("/predict/batched", methods=["POST"])
def predict_batched():
    data = request.get_json()
    if not isinstance(data, dict) or not isinstance(data.get("text"), str):
        return jsonify({"error": "field 'text' is missing"}), 400
    probabilities = score(data["text"])
    best = int(probabilities.argmax())
    return jsonify({"label": LABELS[best], "probability": float(probabilities[best])})

from pathlib import Path

import torch
from flask import Flask, jsonify, request
from model import LABELS

MODEL = Path(__file__).with_name("model.pt")

app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = 16 * 1024 * 1024

if not MODEL.exists():
    from train import save, train

    save(train(), MODEL)

torch.set_num_threads(1)  # the workers are the parallelism
# A whole model is a pickle, and loading one can run code: load only files that you made yourself.
model = torch.load(MODEL, weights_only=False).eval()


@app.route("/predict", methods=["POST"])
def predict():
    data = request.get_json()
    if not isinstance(data, dict) or not isinstance(data.get("text"), str):
        return jsonify({"error": "field 'text' is missing"}), 400

    with torch.no_grad():
        scores = model(model.encode(data["text"]))
    probabilities = torch.softmax(scores, dim=1)[0]
    best = int(probabilities.argmax())
    return jsonify({"label": LABELS[best], "probability": float(probabilities[best])})


@app.route("/health")
def health():
    return jsonify({"status": "ok"})


if __name__ == "__main__":
    app.run()

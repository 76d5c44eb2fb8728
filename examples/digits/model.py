"""The model: a small neural network, trained once on scikit-learn's digits, kept as plain arrays.

The file holds numbers only (NumPy's .npz, read with pickles refused), so that opening it can run no
code.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from PIL import Image, ImageDraw

from .images import FRAME, INK, SIDE, to_digit

VERSION = 1
COPIES = 6  # slanted, turned and stretched copies of each training picture

# Ways of writing that the data set's writers hardly used, as lines through points (right, down): a
# 1 with a flag, one with a foot as well, an open 4, a printed 4, a 6 that curls at the top, a 7
# without a bar and one with a hook.
OTHER_HANDS: tuple[tuple[int, tuple[tuple[tuple[float, float], ...], ...]], ...] = (
    (1, (((0.3, 0.2), (0.55, 0), (0.55, 1)),)),
    (1, (((0.25, 0.25), (0.5, 0), (0.5, 1)), ((0.2, 1), (0.8, 1)))),
    (4, (((0.2, 0), (0.1, 0.55), (0.9, 0.55)), ((0.7, 0.1), (0.65, 1)))),
    (4, (((0.7, 1), (0.7, 0), (0.05, 0.7), (0.95, 0.7)),)),
    (
        6,
        (
            ((0.85, 0.1), (0.6, 0), (0.35, 0.1), (0.15, 0.4), (0.15, 0.75), (0.4, 1), (0.7, 0.97))
            + ((0.9, 0.7), (0.75, 0.48), (0.45, 0.43), (0.15, 0.65)),
        ),
    ),
    (7, (((0.1, 0), (0.9, 0), (0.4, 1)),)),
    (7, (((0.1, 0.15), (0.1, 0), (0.9, 0), (0.55, 0.45), (0.4, 1)),)),
)
OTHER_COPIES = 60


@dataclass(frozen=True)
class Model:
    """Layers of a network with rectified units, ending in a softmax over the ten digits."""

    weights: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]
    accuracy: float  # on the fifth of the data that it was not trained on
    samples: np.ndarray  # one picture of each digit from that fifth, (10, 8, 8)

    def probabilities(self, digits: np.ndarray) -> np.ndarray:
        """Ten probabilities for each of some 8 × 8 pictures of numbers from 0 to 16."""
        signal = digits.reshape(len(digits), -1) / INK
        *hidden, last = zip(self.weights, self.biases, strict=True)
        for weight, bias in hidden:
            signal = np.maximum(signal @ weight + bias, 0)
        scores = signal @ last[0] + last[1]
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)


def load_or_train(folder: str | os.PathLike[str]) -> Model:
    """The model kept in the folder, or trained first (some seconds) where none can be read."""
    path = Path(folder) / f"digits-{VERSION}.npz"
    try:
        return _load(path)
    except (OSError, ValueError, KeyError, BadZipFile):
        model = train()
        _save(model, path)
        return model


def train() -> Model:
    """Fit the network; the same data and seeds give the same model each time."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPClassifier

    bundled = load_digits()
    kept, held_out, kept_answers, held_answers = train_test_split(
        bundled.images, bundled.target, test_size=0.2, random_state=0, stratify=bundled.target
    )
    pictures, answers = [*kept], [*kept_answers]
    chance = np.random.default_rng(0)
    models = [(picture, answer, COPIES) for picture, answer in zip(kept, kept_answers, strict=True)]
    models += [(_drawn(lines), answer, OTHER_COPIES) for answer, lines in OTHER_HANDS]
    for picture, answer, copies in models:
        pictures += [to_digit(_distorted(picture, chance)) for _ in range(copies)]
        answers += [answer] * copies
    network = MLPClassifier((96, 48), alpha=1e-2, max_iter=30, tol=0, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that thirty rounds are few: they are enough
        network.fit(np.stack(pictures).reshape(-1, SIDE * SIDE) / INK, answers)
    flat = held_out.reshape(-1, SIDE * SIDE) / INK
    return Model(
        tuple(network.coefs_),
        tuple(network.intercepts_),
        float(network.score(flat, held_answers)),
        np.stack([held_out[held_answers == number][0] for number in range(10)]),
    )


def _drawn(lines: Iterable[Iterable[tuple[float, float]]]) -> np.ndarray:
    side = 2 * FRAME
    picture = Image.new("L", (side, side))
    pen = ImageDraw.Draw(picture)
    for line in lines:
        points = [(side * (0.2 + 0.6 * x), side * (0.1 + 0.8 * y)) for x, y in line]
        pen.line(points, fill=255, width=6, joint="curve")
    return np.asarray(picture, dtype=float) / 255 * INK


def _distorted(picture: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """The picture as another hand might have written it: slanted, turned and stretched."""
    side = 2 * FRAME
    large = Image.fromarray((picture / INK * 255).astype(np.uint8))
    large = large.resize((side, side), Image.Resampling.BICUBIC)
    padded = Image.new("L", (2 * side, 2 * side))
    padded.paste(large, (side // 2, side // 2))
    angle, slant = chance.normal(0, 0.12), chance.normal(0, 0.12)
    wide, high = np.exp(chance.normal(0, 0.12, 2))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ np.array([[wide, slant], [0, high]])
    offset = side - matrix @ np.array([side, side])
    coefficients = (*matrix[0], offset[0], *matrix[1], offset[1])
    moved = padded.transform(
        padded.size, Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR
    )
    return np.asarray(moved, dtype=float) / 255


def _load(path: Path) -> Model:
    with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
        layers = int(file["layers"])
        return Model(
            tuple(file[f"weight{n}"] for n in range(layers)),
            tuple(file[f"bias{n}"] for n in range(layers)),
            float(file["accuracy"]),
            file["samples"],
        )


def _save(model: Model, path: Path) -> None:
    """Write beside the place, then rename: another process sees the whole file or none."""
    arrays = {f"weight{n}": weight for n, weight in enumerate(model.weights)}
    arrays |= {f"bias{n}": bias for n, bias in enumerate(model.biases)}
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as file:
        np.savez(
            file,
            layers=np.array(len(model.weights)),
            accuracy=np.array(model.accuracy),
            samples=model.samples,
            **arrays,
        )
    os.replace(file.name, path)

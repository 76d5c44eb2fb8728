"""A model behind HTTP: a picture in, a digit out at /predict, and a page to draw or upload one.

erlen --app examples/digits/app serve
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from erlen import Erlen
from erlen.ml import BadItem, Image, Label, Limits, Page, Shown

from .images import INK, Unreadable, read_ink, to_digit
from .model import Model, load_or_train

HERE = Path(__file__).parent
SAMPLES = HERE / "samples"  # pictures that the network was not trained on

Picture = Annotated[
    Image,
    # A photograph fits. Its size in pixels is told from the header, before it is decompressed.
    Limits(max_size=8_000_000, max_pixels=24_000_000, formats=("PNG", "JPEG")),
    Shown("A digit", draw=(280, 280)),
]


@dataclass
class Reading:
    """What the network makes of a picture."""

    digit: Label
    seen: Image


class Digits:
    """Reads a handwritten digit, drawn or photographed, on any even background."""

    model: Model

    def __init__(self, folder: str | Path) -> None:
        self.folder = folder

    def load(self) -> None:
        """Read the network, or train it where the folder has none yet (some seconds)."""
        self.model = load_or_train(self.folder)

    def decode(self, picture: Picture) -> np.ndarray:
        try:
            return to_digit(read_ink(picture.pil))
        except Unreadable as error:
            raise BadItem(str(error), "picture") from None

    def predict(self, digits: list[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
        return list(zip(digits, self.model.probabilities(np.stack(digits)), strict=True))

    def encode(self, result: tuple[np.ndarray, np.ndarray]) -> Reading:
        digit, probabilities = result
        squares = np.kron(1 - digit / INK, np.ones((12, 12)))
        return Reading(Label.of(probabilities.round(4).tolist()), Image.of(squares))

    def warm_up(self) -> list[np.ndarray]:
        return [np.zeros((8, 8))]


def create_app(config: Mapping[str, Any] | None = None) -> Erlen:
    """Build the application; its model is kept in the instance folder."""
    app = Erlen(__name__, instance_path=str(HERE / "instance"))
    app.config.update(MAX_CONTENT_LENGTH=9_000_000, MODEL_FOLDER=app.instance_path)
    app.config.from_prefixed_env("DIGITS")
    app.config.update(config or {})
    app.predictor(
        "/predict",
        Digits(app.config["MODEL_FOLDER"]),
        page=Page("/", title="Draw a digit", template="digits.html", live=True, button="Recognise"),
        examples=[{"picture": SAMPLES / f"{number}.png"} for number in range(10)],
    )
    return app

"""A sentence-embedding model with two uses, each with its endpoint and page.

erlen --app examples/text/app serve
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from erlen import Erlen, redirect, url_for
from erlen.ml import BadItem, Label, Limits, Page, Shown, Text

from .encoder import encode, load_encoder

CORPUS = Path(__file__).with_name("corpus.csv")
#: How much more probable a label is for being nearer: cosines of this model are close together.
SHARPNESS = 25.0
MOST_LABELS = 20


@dataclass
class Passage:
    """A passage of the corpus, and how near it is to what was asked."""

    title: str
    text: str
    #: Cosine of the angle between the two, 1 for the same direction.
    similarity: float


class Search:
    """Finds what is meant, not the same words: type a question or a few words."""

    def load(self) -> None:
        with CORPUS.open(newline="", encoding="utf-8") as file:
            self.passages = [*csv.DictReader(file)]
        self.vectors = encode([f"{each['title']}. {each['text']}" for each in self.passages])

    def decode(
        self,
        question: Annotated[str, Field(min_length=1), Limits(max_length=1000), Shown("Question")],
        count: Annotated[int, Field(ge=1, le=20), Shown("How many", slider=True)] = 4,
    ) -> tuple[str, int]:
        return question, count

    def predict(self, items: list[tuple[str, int]]) -> list[list[Passage]]:
        similarities = encode([question for question, _ in items]) @ self.vectors.T
        return [
            [self.passage(place, row[place]) for place in np.argsort(-row)[:count]]
            for row, (_, count) in zip(similarities, items, strict=True)
        ]

    def passage(self, place: int, similarity: float) -> Passage:
        found = self.passages[place]
        return Passage(found["title"], found["text"], round(float(similarity), 3))

    def warm_up(self) -> list[tuple[str, int]]:
        return [("How do animals survive the winter?", 1)]


class Labels:
    """Says which of some labels fits a text, without having been trained on any of them: write the
    labels yourself."""

    def load(self) -> None:
        load_encoder()

    def decode(
        self,
        text: Text,
        labels: Annotated[
            str, Limits(max_length=1000), Shown("Labels", help="At least two, with commas between.")
        ] = "sports, money, health, cooking, weather, technology",
    ) -> tuple[str, tuple[str, ...]]:
        names = tuple(dict.fromkeys(name.strip() for name in labels.split(",") if name.strip()))
        if not 2 <= len(names) <= MOST_LABELS:
            raise BadItem(f"Write 2 to {MOST_LABELS} labels, with commas between.", "labels")
        return text, names

    def predict(self, items: list[tuple[str, tuple[str, ...]]]) -> list[Label]:
        vectors = encode([text for text, _ in items])
        return [
            self.label(vector, names) for vector, (_, names) in zip(vectors, items, strict=True)
        ]

    def label(self, vector: np.ndarray, names: tuple[str, ...]) -> Label:
        cosines = np.stack([vector_of_label(name) for name in names]) @ vector
        powers = np.exp(SHARPNESS * (cosines - cosines.max()))
        return Label.of(powers / powers.sum(), names)

    def warm_up(self) -> list[tuple[str, tuple[str, ...]]]:
        return [("The match went to extra time.", ("sports", "money"))]


@lru_cache(maxsize=10_000)
def vector_of_label(name: str) -> np.ndarray:
    """Labels come back again and again; texts do not."""
    vector: np.ndarray = encode([f"This text is about {name}."])[0]
    return vector


def create_app(config: Mapping[str, Any] | None = None) -> Erlen:
    """Build the application; the model is loaded when a server starts it."""
    app = Erlen(__name__)
    app.config.update(MAX_CONTENT_LENGTH=1_000_000)
    app.config.from_prefixed_env("TEXT")
    app.config.update(config or {})
    app.predictor(
        "/search",
        Search(),
        max_size=32,
        page=Page("/try/search", title="Search by meaning", button="Search"),
        examples=[
            {"question": "How do animals get through the cold months?"},
            {"question": "why do I cry in the kitchen"},
            {"question": "protect my computer against thieves", "count": 2},
            {"question": "things that glow in the sky"},
        ],
    )
    app.predictor(
        "/labels",
        Labels(),
        max_size=32,
        page=Page("/try/labels", title="Labels of your own", button="Compare"),
        examples=[
            {"text": "Two goals in the last five minutes turned the match around."},
            {"text": "Simmer the tomatoes for an hour and stir now and then."},
            {
                "text": "My parcel has been on its way for three weeks and nobody answers!",
                "labels": "praise, complaint, question, cancellation",
            },
        ],
    )

    @app.get("/")
    def index() -> Any:
        return redirect(url_for("search_page"))

    return app

"""An application with predictors of every kind of input and answer, for tests of their pages."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from erlen import Erlen
from erlen.ml import (
    Array,
    Audio,
    BadItem,
    File,
    Image,
    Label,
    Limits,
    Page,
    QueueFull,
    Shown,
    Table,
    Text,
)


class Tone(Enum):
    DRY = "dry"
    WARM = "warm"


Language = Literal["Dutch", "English", "French", "German", "Polish"]


class Shout:
    """Says a text louder, and how loud that is."""

    def decode(self, text: Text, times: Annotated[int, Field(ge=1, le=5)] = 1) -> str:
        if text == "silence":
            raise BadItem("There is nothing to shout", "text")
        return text * times

    def predict(self, items: list[str]) -> list[Label]:
        if "crash" in items:
            raise RuntimeError("a secret of the model")
        if "busy" in items:
            raise QueueFull(3.0, "full")
        return [Label.of({item.upper(): 0.75, "nothing": 0.25}) for item in items]


@dataclass
class Everything:
    """An answer of all kinds."""

    label: Label
    picture: Image
    sound: Audio
    file: File
    table: list[dict[str, Any]]
    number: float
    words: str
    rest: dict[str, Any]


class All:
    """Takes inputs of all kinds, and answers in all kinds."""

    def decode(
        self,
        title: str,
        text: Text,
        share: Annotated[float, Field(ge=0, le=1), Shown("Share", help="From 0 to 1.")] = 0.5,
        count: Annotated[int, Field(ge=1, le=20), Shown(slider=True)] = 4,
        loud: bool = True,
        tone: Tone = Tone.DRY,
        language: Language = "English",
        tags: list[Literal["new", "old", "odd"]] = [],  # noqa: B006  # never changed
        photo: Annotated[Image | None, Shown("Photo")] = None,
        sketch: Annotated[Image | None, Shown("Sketch", draw=(200, 100))] = None,
        sound: Audio | None = None,
        document: Annotated[File, Limits(max_size=1000, formats=("txt",))] | None = None,
        table: Table | None = None,
        numbers: Annotated[np.ndarray, Array(2)] | None = None,
    ) -> dict[str, Any]:
        return {key: value for key, value in locals().items() if key != "self"}

    def predict(self, items: list[dict[str, Any]]) -> list[Everything]:
        return [self.one(item) for item in items]

    def one(self, item: dict[str, Any]) -> Everything:
        table, numbers = item["table"], item["numbers"]
        said = {name: item[name] for name in ("title", "share", "count", "loud", "tags")}
        said |= {"tone": item["tone"].value, "language": item["language"]}
        said["numbers"] = None if numbers is None else numbers.tolist()
        return Everything(
            Label.of({item["title"]: item["share"], "other": 1 - item["share"]}),
            item["photo"] or item["sketch"] or Image.of(np.zeros((8, 8))),
            item["sound"] or Audio.of(np.zeros(800), 8000),
            item["document"] or File(b"nothing", "nothing.txt", "text/plain"),
            [*table] if table is not None else [{"name": "a", "length": 1}],
            1 / 3,
            item["text"],
            said,
        )


class Tell:
    """Tells a text word by word; waits in the middle until it may go on."""

    may_go_on = threading.Event()

    def predict(self, text: Text) -> Iterator[str]:
        for number, word in enumerate(text.split(" ")):
            if word == "STOP":
                raise BadItem("There is a word that stops all", "text")
            if word == "WAIT":
                self.may_go_on.wait(20)
            yield word if number == 0 else f" {word}"


def create_app(config: dict[str, Any] | None = None) -> Erlen:
    """Build the application."""
    app = Erlen(__name__)
    app.config.update(config or {})
    app.predictor(
        "/shout",
        Shout(),
        page=Page("/", title="Shout", button="Shout"),
        examples=[{"text": "hello"}, {"text": "<b>bold</b>", "times": 2}],
    )
    app.predictor("/all", All(), page="/everything")
    app.predictor("/tell", Tell(), page=Page("/telling", button="Tell"))

    @app.post("/go-on")
    def go_on() -> str:
        Tell.may_go_on.set()
        return ""

    return app

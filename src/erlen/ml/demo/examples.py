"""Examples of a predictor's inputs, for people to click on."""

from __future__ import annotations

import mimetypes
import os
import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from werkzeug.datastructures import FileStorage

from ...errors import SetupError
from .inputs import texts_of

if t.TYPE_CHECKING:
    from ...errors import Place
    from ..fields import Input

_LONGEST = 70


@dataclass(frozen=True)
class ExampleFile:
    """A file of an example: on disk, or in memory."""

    name: str
    content_type: str
    path: Path | None = None
    data: bytes = b""

    def upload(self, name: str) -> FileStorage:
        """The file as if a form had brought it in a field."""
        data = self.data if self.path is None else self.path.read_bytes()
        return FileStorage(BytesIO(data), self.name, name, self.content_type)


@dataclass(frozen=True)
class Chosen:
    """An example: texts and files by inputs."""

    number: int
    label: str
    texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    files: Mapping[str, ExampleFile] = field(default_factory=dict)
    #: The input whose file can be shown on the example's button.
    pictured: str | None = None


def read_examples(
    given: Sequence[t.Any], inputs: Sequence[Input], place: Place | None
) -> list[Chosen]:
    """The examples as an application gives them: dicts by inputs, or values of the only input.

    Raises SetupError for one that has other inputs, or a file that is not there.
    """
    return [_read(number, each, inputs, place) for number, each in enumerate(given)]


def _read(number: int, given: t.Any, inputs: Sequence[Input], place: Place | None) -> Chosen:
    known = {each.name: each for each in inputs}
    values = given if isinstance(given, Mapping) else {inputs[0].name: given}
    strange = [str(name) for name in values if name not in known]
    if strange:
        raise SetupError(
            f"Example {number} has {', '.join(map(repr, strange))}, and the inputs are"
            f" {', '.join(map(repr, known))}.",
            place,
        )
    texts: dict[str, tuple[str, ...]] = {}
    files: dict[str, ExampleFile] = {}
    for name, value in values.items():
        if known[name].is_file and not isinstance(value, (list, dict)):
            files[name] = _file(number, name, value, place)
        else:
            texts[name] = texts_of(value)
    shown = [text for name in texts for text in texts[name]]
    # The first says enough; what comes after it are mostly settings.
    label = " ".join((shown or [file.name.rpartition(".")[0] for file in files.values()])[:1])
    label = label if len(label) <= _LONGEST else f"{label[: _LONGEST - 1].rstrip()}…"
    pictured = next((name for name in files if known[name].kind == "image"), None)
    return Chosen(number, label, texts, files, pictured)


def _file(number: int, name: str, value: t.Any, place: Place | None) -> ExampleFile:
    if isinstance(value, (str, os.PathLike)):
        path = Path(value).absolute()
        if not path.is_file():
            raise SetupError(f"{str(value)!r} of example {number} is no file.", place)
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        return ExampleFile(path.name, kind, path)
    data = getattr(value, "data", value)
    if not isinstance(data, bytes):
        raise SetupError(
            f"{name!r} of example {number} is a path, bytes or a file, not {type(value).__name__}.",
            place,
        )
    kind = getattr(value, "content_type", None) or "application/octet-stream"
    ending = mimetypes.guess_extension(kind) or ""
    filename = getattr(value, "filename", None) or f"{name}-{number}{ending}"
    return ExampleFile(filename, kind, data=data)

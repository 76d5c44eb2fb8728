"""The digits example: what it recognises, and what it says to requests that it cannot answer."""

from __future__ import annotations

import base64
import io
import random
import re
import struct
import zlib
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
pytest.importorskip("PIL", reason="Pillow is not installed")

import numpy as np
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from erlen import Erlen
    from erlen.testing import FlaskClient

# The first test trains the model.
pytestmark = pytest.mark.timeout(180)

# How people write digits: lines through points (right, down) of a unit square.
SHAPES = {
    0: [[(0.5, 0), (0.2, 0.2), (0.1, 0.5), (0.2, 0.85), (0.5, 1), (0.8, 0.85), (0.9, 0.5)]
        + [(0.8, 0.2), (0.5, 0)]],
    1: [[(0.3, 0.25), (0.55, 0), (0.55, 1)]],
    2: [[(0.15, 0.25), (0.3, 0.03), (0.65, 0), (0.85, 0.25), (0.6, 0.6), (0.1, 1), (0.9, 1)]],
    3: [[(0.15, 0.1), (0.5, 0), (0.8, 0.2), (0.45, 0.48), (0.85, 0.72), (0.55, 1), (0.12, 0.9)]],
    4: [[(0.65, 1), (0.65, 0), (0.1, 0.65), (0.95, 0.65)]],
    5: [[(0.8, 0), (0.25, 0), (0.2, 0.42), (0.6, 0.4), (0.85, 0.68), (0.6, 0.97), (0.15, 0.95)]],
    6: [[(0.7, 0), (0.3, 0.3), (0.15, 0.7), (0.4, 1), (0.75, 0.92), (0.8, 0.65), (0.5, 0.5)]
        + [(0.2, 0.68)]],
    7: [[(0.1, 0), (0.9, 0), (0.4, 1)], [(0.3, 0.5), (0.85, 0.5)]],
    8: [[(0.5, 0.47), (0.2, 0.25), (0.5, 0), (0.8, 0.22), (0.5, 0.47), (0.15, 0.75), (0.5, 1)]
        + [(0.85, 0.75), (0.5, 0.47)]],
    9: [[(0.8, 0.28), (0.5, 0.55), (0.2, 0.3), (0.5, 0), (0.8, 0.2), (0.8, 0.5), (0.7, 1)]],
}  # fmt: skip


def drawing(
    digit: int, *, paper: int = 255, ink: int = 0, width: int = 20, size: int = 280
) -> Image.Image:
    """The digit as somebody with an unsteady hand draws it, somewhere on the canvas."""
    hand = random.Random(digit)
    picture = Image.new("L", (size, size), paper)
    pen = ImageDraw.Draw(picture)
    left, top = hand.uniform(0.2, 0.35) * size, hand.uniform(0.1, 0.25) * size
    for line in SHAPES[digit]:
        points = [
            (left + size * (0.4 * x + hand.gauss(0, 0.006)), top + size * (0.6 * y))
            for x, y in line
        ]
        pen.line(points, fill=ink, width=width, joint="curve")
        for x, y in points:
            pen.ellipse([x - width / 2, y - width / 2, x + width / 2, y + width / 2], fill=ink)
    return picture


def saved(picture: Image.Image, kind: str = "PNG", **options: Any) -> io.BytesIO:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    file.seek(0)
    return file


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One model for all tests here; the first one trains it."""
    return tmp_path_factory.mktemp("digits")


@pytest.fixture
def app(examples: Path, folder: Path) -> Iterator[Erlen]:
    from digits.app import create_app

    app: Erlen = create_app({"TESTING": True, "SECRET_KEY": "test", "MODEL_FOLDER": str(folder)})
    yield app
    app.stop_serving()


@pytest.fixture
def digits_model(examples: Path) -> ModuleType:
    import digits.model

    return digits.model


def predict(client: FlaskClient, picture: io.BytesIO, name: str = "a.png") -> Any:
    return client.post("/predict", data={"picture": (picture, name)})


def read(client: FlaskClient, picture: io.BytesIO, name: str = "a.png") -> int:
    """The digit that is recognised."""
    return int(predict(client, picture, name).json["digit"]["label"])


def test_the_model_reads_nearly_all_that_it_was_not_trained_on(
    folder: Path, digits_model: ModuleType
) -> None:
    assert digits_model.load_or_train(folder).accuracy > 0.94


def test_the_model_is_read_back_as_it_was_saved(folder: Path, digits_model: ModuleType) -> None:
    first, second = digits_model.load_or_train(folder), digits_model.load_or_train(folder)
    assert len(list(folder.iterdir())) == 1
    for before, after in zip(
        first.weights + first.biases, second.weights + second.biases, strict=True
    ):
        assert np.array_equal(before, after)


def test_a_damaged_model_file_is_replaced(
    tmp_path: Path, digits_model: ModuleType, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    whole = digits_model.load_or_train(folder)
    monkeypatch.setattr(digits_model, "train", lambda: whole)
    file = tmp_path / next(folder.iterdir()).name
    file.write_bytes(b"PK\x03\x04 cut short")
    digits_model.load_or_train(tmp_path)
    assert digits_model._load(file).accuracy == whole.accuracy


@pytest.mark.parametrize("digit", range(10))
def test_a_drawn_digit_is_recognised(client: FlaskClient, digit: int) -> None:
    assert read(client, saved(drawing(digit))) == digit


@pytest.mark.parametrize(
    "style",
    [
        {"paper": 20, "ink": 230},
        {"paper": 200, "ink": 90},
        {"width": 8},
        {"width": 34},
        {"size": 90, "width": 6},
        {"size": 1500, "width": 100},
    ],
    ids=["white on black", "grey", "thin", "thick", "small", "large"],
)
def test_what_pen_and_paper_were_used_matters_little(
    client: FlaskClient, style: dict[str, int]
) -> None:
    right = [read(client, saved(drawing(n, **style))) == n for n in range(10)]
    assert sum(right) >= 9


def test_a_photograph_is_turned_as_the_camera_was_held(client: FlaskClient) -> None:
    turned = drawing(4).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: show it turned clockwise
    photo = saved(turned.convert("RGB"), "JPEG", exif=exif)
    assert read(client, photo, "photo.jpg") == 4


def test_a_transparent_background_is_paper(client: FlaskClient) -> None:
    black = Image.new("RGBA", (280, 280), (0, 0, 0, 0))
    black.putalpha(Image.eval(drawing(5), lambda level: 255 - level))
    assert read(client, saved(black)) == 5


def test_the_answer_says_how_probable_each_digit_is(client: FlaskClient) -> None:
    answer = predict(client, saved(drawing(3))).json
    scores = answer["digit"]["scores"]
    assert {*scores} == {*"0123456789"}
    assert sum(scores.values()) == pytest.approx(1, abs=1e-3)
    assert max(scores, key=scores.get) == answer["digit"]["label"] == "3"
    assert scores["3"] == answer["digit"]["score"]


def test_the_answer_shows_what_the_network_saw(client: FlaskClient) -> None:
    head, data = predict(client, saved(drawing(3))).json["seen"].split(",")
    assert head == "data:image/png;base64"
    seen = Image.open(io.BytesIO(base64.b64decode(data)))
    assert (seen.size, seen.getextrema()) == ((96, 96), (0, 255))


def test_a_picture_may_come_in_json(client: FlaskClient) -> None:
    picture = base64.b64encode(saved(drawing(3)).getvalue()).decode()
    for body in (picture, f"data:image/png;base64,{picture}"):
        answer = client.post("/predict", json={"picture": body})
        assert answer.json["digit"]["label"] == "3"


def test_a_batch_is_read_as_its_pictures_are_one_by_one(
    folder: Path, digits_model: ModuleType
) -> None:
    model = digits_model.load_or_train(folder)
    batch = model.probabilities(model.samples)
    for number, sample in enumerate(model.samples):
        assert np.allclose(batch[number], model.probabilities(sample[None])[0])


def faults(answer: Any) -> list[tuple[list[str], str]]:
    document = answer.get_json(force=True)
    return [(each["location"][1:], each["message"]) for each in document["errors"]]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, ["picture"]),
        ({"picture": None}, ["picture"]),
        ({"picture": 3}, ["picture"]),
        ({"picture": "?"}, ["picture"]),
        ({"picture": "https://elsewhere.example/3.png"}, ["picture"]),
        ({"picture": "AAAA", "more": 1}, ["more"]),
        ([], []),
    ],
)
def test_json_without_a_picture_gets_a_422_that_says_where(
    client: FlaskClient, body: object, place: list[str]
) -> None:
    answer = client.post("/predict", json=body)
    assert (answer.status_code, answer.mimetype) == (422, "application/problem+json")
    assert [found for found, _ in faults(answer)] == [place]


@pytest.mark.parametrize("body", [b"{", b'{"picture": [1,]}', b"\xff\xfe"])
def test_malformed_json_gets_a_400(client: FlaskClient, body: bytes) -> None:
    answer = client.post("/predict", data=body, content_type="application/json")
    assert (answer.status_code, "not valid JSON" in answer.text) == (400, True)


def test_another_content_type_gets_a_415(client: FlaskClient) -> None:
    answer = client.post("/predict", data=b"1 2 3", content_type="text/csv")
    assert (answer.status_code, "application/json" in answer.text) == (415, True)


def test_a_body_that_is_too_large_gets_a_413(app: Erlen, client: FlaskClient) -> None:
    app.config["MAX_CONTENT_LENGTH"] = 1000
    answer = client.post("/predict", data=b" " * 1001, content_type="application/json")
    assert (answer.status_code, "1000 bytes" in answer.text) == (413, True)


def test_only_the_right_method_is_taken(client: FlaskClient) -> None:
    answer = client.get("/predict")
    assert (answer.status_code, "POST" in answer.headers["Allow"]) == (405, True)


def send(client: FlaskClient, **data: Any) -> Any:
    """Send the page's form."""
    found = re.search(r'name="erlen-token" value="([^"]+)"', client.get("/").text)
    assert found is not None
    return client.post("/", data={"erlen-token": unescape(found[1]), **data})


def png_chunk(kind: bytes, data: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + check


def bomb(side: int) -> bytes:
    """A small file of one colour, with this many pixels a side once decompressed."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    rows = png_chunk(b"IDAT", zlib.compress(bytes(1_000_000)))
    return b"\x89PNG\r\n\x1a\n" + header + rows + png_chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("file", "says"),
    [
        (b"", "empty"),
        (b"GIF89a", "no image of these formats: PNG, JPEG"),
        (saved(drawing(3)).getvalue()[:200], "broken or cut off"),
        (saved(drawing(3), "JPEG").getvalue()[:900], "broken or cut off"),
        (saved(drawing(3), "BMP").getvalue(), "no image of these formats"),
        (bomb(5_000), "more than 24000000 pixels"),
        (bomb(40_000), "more than 24000000 pixels"),
        (saved(Image.new("L", (200, 200), 255)).getvalue(), "blank"),
        (saved(Image.new("L", (1, 1), 255)).getvalue(), "blank"),
        (saved(Image.new("L", (3000, 1), 255)).getvalue(), "blank"),
    ],
    ids=[
        "empty",
        "gif",
        "cut png",
        "cut jpeg",
        "bmp",
        "25 megapixels",
        "bomb",
        "blank",
        "pixel",
        "line",
    ],
)
@pytest.mark.parametrize("way", ["page", "program"])
def test_a_picture_that_cannot_be_read_gets_a_helpful_422(
    client: FlaskClient, file: bytes, says: str, way: str
) -> None:
    data: dict[str, Any] = {"picture": (io.BytesIO(file), "a.png")}
    answer = send(client, **data) if way == "page" else client.post("/predict", data=data)
    assert answer.status_code == 422
    assert says in answer.text
    if way == "program":
        assert [place for place, _ in faults(answer)] == [["picture"]]


def test_the_form_works_without_javascript(client: FlaskClient) -> None:
    answer = send(client, picture=(saved(drawing(7)), "seven.png"))
    assert answer.status_code == 200
    assert re.search(r'<p class="best">7 <', answer.text)
    assert '<img src="data:image/png;base64,' in answer.text
    assert "curl -F picture=@seven.png" in answer.text


@pytest.mark.parametrize("data", [{}, {"picture": "text"}], ids=["no field", "a text"])
def test_a_form_without_a_file_says_so(client: FlaskClient, data: dict[str, str]) -> None:
    answer = send(client, **data)
    assert answer.status_code == 422
    assert re.search(r'id="input-picture-error">[A-Z]', answer.text)


@pytest.mark.parametrize("number", range(10))
def test_the_examples_are_recognised(client: FlaskClient, number: int) -> None:
    answer = send(client, **{"erlen-choose": str(number)})
    assert re.findall(r'<p class="best">(\d) <', answer.text) == [str(number)]


def test_the_page_opens_and_allows_only_its_own_scripts(client: FlaskClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert "script-src 'self';" in answer.headers["Content-Security-Policy"]
    assert "had not seen" in " ".join(answer.text.split())  # the example's own words


def test_an_unknown_page_is_a_404(client: FlaskClient) -> None:
    assert client.get("/nowhere").status_code == 404

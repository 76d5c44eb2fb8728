"""What clients send in error or in malice: a problem that names the field, and others served."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import struct
import threading
import tracemalloc
import typing as t
import zlib
from dataclasses import dataclass
from functools import cache

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from erlen import Erlen
from erlen.ml import Array, Audio, File, Image, Limits, Table
from erlen.testing import FlaskClient

MEGABYTE = 1_000_000


class House(BaseModel):
    area: float
    rooms: t.Annotated[int, Field(ge=1, le=50)]
    kind: t.Literal["flat", "house"] = "flat"
    extras: list[float] = []


class Everything:
    def decode(
        self,
        number: float,
        vector: t.Annotated[np.ndarray, Array(2, 2)],
        anything: np.ndarray | None = None,
        image: t.Annotated[Image, Limits(max_size=50_000, max_pixels=1_000_000)] | None = None,
        sound: Audio | None = None,
        file: t.Annotated[File, Limits(max_size=1_000)] | None = None,
        table: Table | None = None,
        weights: list[float] = [],  # noqa: B006
    ) -> float:
        return number

    def predict(self, items: list[float]) -> list[float]:
        return [item * 2 for item in items]


@pytest.fixture
def predicting(app: Erlen, client: FlaskClient) -> FlaskClient:
    app.predictor("/all", Everything())

    @app.predictor("/price")
    def price(houses: list[House]) -> list[float]:
        return [house.area * 1_000 for house in houses]

    return client


def png(width: int = 40, height: int = 40) -> bytes:
    into = io.BytesIO()
    noise = np.random.default_rng(1).integers(0, 255, (height, width, 3), dtype=np.uint8)
    PIL.Image.fromarray(noise).save(into, "PNG")
    return into.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A small PNG of very many pixels, all black."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    packer = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def text_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


SVG = b"<svg xmlns='http://www.w3.org/2000/svg'/>"
BROKEN = png()[:500] + bytes(500) + png()[1_000:]
GOOD: dict[str, t.Any] = {"number": 1, "vector": [[1, 2], [3, 4]]}


def refused(answer: t.Any) -> tuple[int, list[t.Any]]:
    """Status of a problem document, and the locations of its faults."""
    assert answer.mimetype == "application/problem+json"
    document = answer.get_json()
    assert document["status"] == answer.status_code
    return answer.status_code, [each["location"] for each in document.get("errors", [])]


def test_what_is_right_is_answered(predicting: FlaskClient) -> None:
    assert predicting.post("/all", json=GOOD).get_json() == 2.0
    assert predicting.post("/price", json={"area": 2, "rooms": 1}).get_json() == 2_000.0


JSON_FAULTS: dict[str, tuple[dict[str, t.Any], list[t.Any]]] = {
    "missing": ({"number": None}, ["json", "number"]),
    "text-for-number": ({"number": "1"}, ["json", "number"]),
    "truth-for-number": ({"number": True}, ["json", "number"]),
    "list-for-number": ({"number": [1]}, ["json", "number"]),
    "unknown": ({"numbr": 1}, ["json", "numbr"]),
    "shape-short": ({"vector": [[1, 2]]}, ["json", "vector"]),
    "shape-long": ({"vector": [[1, 2], [3, 4], [5, 6]]}, ["json", "vector"]),
    "shape-ragged": ({"vector": [[1, 2], [3]]}, ["json", "vector", 1]),
    "shape-flat": ({"vector": [1, 2, 3, 4]}, ["json", "vector", 0]),
    "shape-deep": ({"vector": [[[1], [2]], [[3], [4]]]}, ["json", "vector", 0, 0]),
    "array-empty": ({"vector": []}, ["json", "vector"]),
    "array-of-texts": ({"vector": [["1", 2], [3, 4]]}, ["json", "vector", 0, 0]),
    "array-of-nulls": ({"vector": [[None, 2], [3, 4]]}, ["json", "vector", 0, 0]),
    "array-object": ({"vector": {"0": 1}}, ["json", "vector"]),
    "array-text": ({"vector": "[[1, 2], [3, 4]]"}, ["json", "vector"]),
    "array-too-large-for-type": ({"vector": [[1e300, 2], [3, 4]]}, ["json", "vector"]),
    "free-array-empty": ({"anything": [[]]}, ["json", "anything"]),
    "free-array-ragged": ({"anything": [[1], [2, 3]]}, ["json", "anything"]),
    "free-array-mixed": ({"anything": [[1], 2]}, ["json", "anything"]),
    "free-array-texts": ({"anything": ["1"]}, ["json", "anything"]),
    "image-no-base64": ({"image": "???"}, ["json", "image"]),
    "image-number": ({"image": 5}, ["json", "image"]),
    "image-empty": ({"image": ""}, ["json", "image"]),
    "image-address": ({"image": "http://127.0.0.1:9/a.png"}, ["json", "image"]),
    "image-file-address": ({"image": "file:///etc/passwd"}, ["json", "image"]),
    "image-odd-data-url": ({"image": "data:image/png,abc"}, ["json", "image"]),
    "image-of-text": ({"image": text_of(b"hello" * 100)}, ["json", "image"]),
    "image-svg": (
        {"image": text_of(b"<svg xmlns='http://www.w3.org/2000/svg'/>")},
        ["json", "image"],
    ),
    "image-cut-off": ({"image": text_of(png()[:2_000])}, ["json", "image"]),
    "image-broken": (
        {"image": text_of(png()[:500] + bytes(500) + png()[1_000:])},
        ["json", "image"],
    ),
    "image-too-large": ({"image": text_of(bytes(60_000))}, ["json", "image"]),
    "image-bomb": ({"image": text_of(bomb(5_000, 5_000))}, ["json", "image"]),
    "image-larger-bomb": ({"image": text_of(bomb(30_000, 30_000))}, ["json", "image"]),
    "sound-of-text": ({"sound": text_of(b"hello" * 100)}, ["json", "sound"]),
    "sound-cut-off": ({"sound": text_of(b"RIFF\0\0\0\0WAVEfmt ")}, ["json", "sound"]),
    "file-too-large": ({"file": text_of(bytes(1_001))}, ["json", "file"]),
    "table-empty": ({"table": []}, ["json", "table"]),
    "table-of-numbers": ({"table": [1]}, ["json", "table"]),
    "table-of-objects": ({"table": [{"a": {}}]}, ["json", "table"]),
    "table-uneven": ({"table": [{"a": 1}, {"b": 1}]}, ["json", "table"]),
    "table-short-row": ({"table": {"columns": ["a"], "rows": [[]]}}, ["json", "table"]),
    "table-csv-short-row": ({"table": "a,b\n1,2\n3\n"}, ["json", "table"]),
    "table-csv-only-names": ({"table": "a,b\n"}, ["json", "table"]),
    "list-of-texts": ({"weights": [1, "2"]}, ["json", "weights", 1]),
}


@pytest.mark.parametrize(("change", "location"), JSON_FAULTS.values(), ids=JSON_FAULTS)
def test_a_fault_in_json_is_named(
    predicting: FlaskClient, change: dict[str, t.Any], location: list[t.Any]
) -> None:
    body = {key: value for key, value in {**GOOD, **change}.items() if value is not None}
    assert refused(predicting.post("/all", json=body)) == (422, [location])


SQUARE = '"vector": [[1, 2], [3, 4]]'


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e400"])
@pytest.mark.parametrize(
    ("path", "body", "location"),
    [
        ("/all", '{"number": %s, "vector": [[1, 2], [3, 4]]}', ["json", "number"]),
        ("/all", '{"number": 1, "vector": [[1, %s], [3, 4]]}', ["json", "vector", 0, 1]),
        (
            "/all",
            '{"number": 1, "vector": [[1, 2], [3, 4]], "anything": [%s]}',
            ["json", "anything"],
        ),
        (
            "/all",
            '{"number": 1, "vector": [[1, 2], [3, 4]], "weights": [%s]}',
            ["json", "weights", 0],
        ),
        (
            "/all",
            '{"number": 1, "vector": [[1, 2], [3, 4]], "table": [{"a": %s}]}',
            ["json", "table"],
        ),
        ("/price", '{"area": %s, "rooms": 1}', ["json", "area"]),
        ("/price", '{"area": 1, "rooms": 1, "extras": [0, %s]}', ["json", "extras", 1]),
    ],
    ids=["number", "array", "free-array", "list", "table", "model", "list-of-model"],
)
def test_a_number_that_is_none_is_refused(
    predicting: FlaskClient, path: str, body: str, location: list[t.Any], literal: str
) -> None:
    answer = predicting.post(path, data=body % literal, content_type="application/json")
    assert refused(answer) == (422, [location])


@pytest.mark.parametrize("literal", ["NaN", "[1, NaN]", '{"a": [NaN]}', "1e400"])
def test_a_number_that_is_none_is_refused_within_any_value(
    app: Erlen, client: FlaskClient, literal: str
) -> None:
    app.predictor("/any", _takes(t.Any))
    answer = client.post("/any", data=f'{{"item": {literal}}}', content_type="application/json")
    status, ((where, name, *_),) = refused(answer)
    assert (status, where, name) == (422, "json", "item")


MODEL_FAULTS: dict[str, tuple[t.Any, list[t.Any]]] = {
    "missing": ({"area": 1}, ["json", "rooms"]),
    "text-for-number": ({"area": "1", "rooms": 1}, ["json", "area"]),
    "fraction-for-count": ({"area": 1, "rooms": 1.5}, ["json", "rooms"]),
    "out-of-range": ({"area": 1, "rooms": 51}, ["json", "rooms"]),
    "no-choice": ({"area": 1, "rooms": 1, "kind": "tent"}, ["json", "kind"]),
    "empty-batch": ([], ["json"]),
    "list": ([{"area": 1, "rooms": 1}], ["json"]),
    "null": (None, ["json"]),
}


@pytest.mark.parametrize(("body", "location"), MODEL_FAULTS.values(), ids=MODEL_FAULTS)
def test_a_fault_in_a_model_is_named(
    predicting: FlaskClient, body: t.Any, location: list[t.Any]
) -> None:
    assert refused(predicting.post("/price", json=body)) == (422, [location])


MALFORMED = {
    "cut-off": b'{"number": 1',
    "no-json": b"number=1",
    "latin-1": '{"number": "é"}'.encode("latin-1"),
    "zeros": bytes(10),
    "nested-lists": b"[" * 100_000,
    "nested-objects": b'{"a":' * 100_000,
    "nested-closed": b'{"number":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "long-integer": b'{"number": ' + b"9" * 1_000_000 + b"}",
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_malformed_json_is_refused(predicting: FlaskClient, body: bytes) -> None:
    answer = predicting.post("/all", data=body, content_type="application/json")
    assert refused(answer)[0] in (400, 422)


def test_nesting_in_a_form_is_refused(predicting: FlaskClient) -> None:
    form = {"number": "1", "vector": "[" * 100_000}
    assert refused(predicting.post("/all", data=form)) == (422, [["form", "vector"]])


FORM_FAULTS: dict[str, tuple[dict[str, t.Any], list[t.Any]]] = {
    "missing": ({"number": ""}, ["form", "number"]),
    "no-number": ({"number": "one"}, ["form", "number"]),
    "not-finite": ({"number": "nan"}, ["form", "number"]),
    "unknown": ({"numbr": "1"}, ["form", "numbr"]),
    "array-no-json": ({"vector": "1, 2"}, ["form", "vector"]),
    "array-nan": ({"vector": "[[NaN, 1], [2, 3]]"}, ["form", "vector", 0, 0]),
    "image-of-text": ({"image": (io.BytesIO(b"hello" * 9), "a.png")}, ["form", "image"]),
    "image-cut-off": ({"image": (io.BytesIO(png()[:900]), "a.png")}, ["form", "image"]),
    "image-bomb": ({"image": (io.BytesIO(bomb(5_000, 5_000)), "a.png")}, ["form", "image"]),
    "image-too-large": ({"image": (io.BytesIO(bytes(60_000)), "a.png")}, ["form", "image"]),
    "image-empty": ({"image": (io.BytesIO(b""), "a.png")}, ["form", "image"]),
    "sound-image": ({"sound": (io.BytesIO(png()), "a.wav")}, ["form", "sound"]),
    "table-image": ({"table": (io.BytesIO(png()), "a.csv")}, ["form", "table"]),
    "table-nul": ({"table": (io.BytesIO(b"a,b\n\0,1"), "a.csv")}, ["form", "table"]),
}


@pytest.mark.parametrize("name", FORM_FAULTS)
def test_a_fault_in_a_form_is_named(predicting: FlaskClient, name: str) -> None:
    change, location = FORM_FAULTS[name]
    form = {"number": "1", "vector": "[[1, 2], [3, 4]]"}
    for key, value in change.items():
        # Streams are consumed: each transport gets its own.
        form[key] = (io.BytesIO(value[0].getvalue()), value[1]) if key in _FILES else value
    assert refused(predicting.post("/all", data=form)) == (422, [location])


_FILES = ("image", "sound", "file", "table")


def test_another_type_of_body_is_refused(predicting: FlaskClient) -> None:
    for kind in ("text/plain", "application/octet-stream", "image/png"):
        answer = predicting.post("/all", data=b"{}", content_type=kind)
        assert refused(answer) == (415, [])


def test_no_body_is_refused(predicting: FlaskClient) -> None:
    assert refused(predicting.post("/all")) == (422, [["json"]])
    empty = predicting.post("/all", data=b"", content_type="application/json")
    assert refused(empty) == (422, [["json"]])


class Scanned(BaseModel):
    scan: File = Field(alias="picture")


@dataclass
class Sheet:
    table: Table


def test_files_are_read_under_any_name_and_within_any_type(app: Erlen, client: FlaskClient) -> None:
    class Sizes:
        def decode(
            self,
            file: t.Annotated[File, Field(alias="doc")],
            pages: list[Scanned],
            sheets: dict[str, Sheet],
        ) -> list[int]:
            tables = [len(sheet.table) for sheet in sheets.values()]
            return [file.size, *(page.scan.size for page in pages), *tables]

        def predict(self, items: list[list[int]]) -> list[list[int]]:
            return items

    app.predictor("/sizes", Sizes())
    good = {"doc": "aGVs", "pages": [{"picture": "aA=="}], "sheets": {"a": {"table": "x\n1\n"}}}
    assert client.post("/sizes", json=good).get_json() == [3, 1, 1]
    for change, place in [
        ({"doc": "!!!"}, ["json", "doc"]),
        ({"doc": "ä"}, ["json", "doc"]),
        ({"pages": [{"picture": "aA=="}, {"picture": "!"}]}, ["json", "pages", 1, "picture"]),
        ({"sheets": {"a": {"table": "x\n"}}}, ["json", "sheets", "a", "table"]),
    ]:
        assert refused(client.post("/sizes", json={**good, **change})) == (422, [place])


@pytest.mark.parametrize(
    "cell", ["1" * 400, "1e300", '"x"', "-" + "1" * 400], ids=["long", "large", "text", "negative"]
)
def test_cells_that_are_no_numbers_of_an_array_are_a_fault(
    app: Erlen, client: FlaskClient, cell: str
) -> None:
    class Total:
        def decode(self, table: Table) -> float:
            return float(table.array().sum())

        def predict(self, items: list[float]) -> list[float]:
            return items

    app.predictor("/total", Total())
    assert client.post("/total", json={"table": [{"a": 1}, {"a": 2.5}]}).get_json() == 3.5
    body = '{"table": [{"a": 1}, {"a": ' + cell + "}]}"
    answer = client.post("/total", data=body, content_type="application/json")
    assert refused(answer) == (422, [["json"]])


# 50 MB


def large_bodies() -> dict[str, tuple[bytes, str]]:
    zeros = bytes(50 * MEGABYTE)
    part = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    field = b'--x\r\nContent-Disposition: form-data; name="number"\r\n\r\n'
    return {
        "json": (b'{"number": "' + zeros + b'"}', "application/json"),
        "file": (part + zeros + b"\r\n--x--\r\n", "multipart/form-data; boundary=x"),
        "field": (field + zeros + b"\r\n--x--\r\n", "multipart/form-data; boundary=x"),
        "fields": (b"number=" + zeros, "application/x-www-form-urlencoded"),
    }


@pytest.mark.parametrize("kind", ["json", "file", "field", "fields"])
@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
def test_a_body_of_50_megabytes_is_refused_and_not_kept(
    app: Erlen, transport: str, kind: str, declared: bool
) -> None:
    app.predictor("/all", Everything())
    client = app.test_client()
    client.post("/all", json=GOOD)  # what is imported and kept for later is not counted
    body, content_type = large_bodies()[kind]
    stream = io.BytesIO(body)
    given: dict[str, t.Any] = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    if declared:
        given = {"CONTENT_LENGTH": str(len(body))}
    tracemalloc.start()
    try:
        answer = client.post(
            "/all", input_stream=stream, content_type=content_type, environ_overrides=given
        )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert refused(answer) == (413, [["body"]])
    most = app.extensions["erlen.ml"].served[0].reading.most
    assert stream.tell() <= (MEGABYTE if declared else most + MEGABYTE)
    assert peak < (2 * MEGABYTE if declared else 2 * most + 4 * MEGABYTE)


def test_the_limit_follows_the_inputs(app: Erlen, client: FlaskClient) -> None:
    image = app.predictor("/image", _takes(Image), endpoint="a")
    text = app.predictor("/text", _takes(str), endpoint="b")
    array = app.predictor(
        "/array", _takes(t.Annotated[np.ndarray, Array(1_000, 1_000)]), endpoint="c"
    )
    own = app.predictor("/own", _takes(str), endpoint="d", max_body=10)
    limits = [each.reading.most for each in (image, text, array, own)]
    assert limits == [15 * MEGABYTE, MEGABYTE, 25 * MEGABYTE, 10]
    assert refused(client.post("/own", json={"item": "a long text"}))[0] == 413


def test_the_limit_of_the_application_comes_first(app: Erlen, client: FlaskClient) -> None:
    app.config["MAX_CONTENT_LENGTH"] = 8 * MEGABYTE
    app.predictor("/text", _takes(str))
    body = {"item": "x" * 2 * MEGABYTE}
    assert client.post("/text", json=body).status_code == 200
    app.config["MAX_CONTENT_LENGTH"] = 100
    assert refused(client.post("/text", json=body))[0] == 413


def _takes(kind: t.Any) -> t.Any:
    def predict(items: list[t.Any]) -> list[int]:
        return [1 for _ in items]

    predict.__annotations__["items"] = list[kind]
    return predict


def test_a_million_faults_are_a_few(predicting: FlaskClient) -> None:
    body = {**GOOD, "weights": ["x"] * 200_000}
    answer = predicting.post("/all", json=body)
    assert refused(answer) == (422, [["json", "weights", 0]])
    rooms = {"area": 1, "rooms": 1, "extras": ["x"] * 150_000}
    answer = predicting.post("/price", json=rooms)
    assert refused(answer)[0] == 422
    assert len(answer.get_data()) < 100_000


def test_a_form_of_many_fields_is_refused(predicting: FlaskClient) -> None:
    fields = "&".join(f"a{number}=1" for number in range(2_000))
    kind = "application/x-www-form-urlencoded"
    assert refused(predicting.post("/all", data=fields, content_type=kind)) == (413, [["form"]])


def test_a_field_of_a_form_may_be_as_large_as_a_member_of_json(predicting: FlaskClient) -> None:
    weights = str([0.125] * 100_000)
    form = {"number": "1", "vector": "[[1, 2], [3, 4]]", "weights": weights}
    assert predicting.post("/all", data=form).status_code == 200


def test_a_long_name_is_not_echoed_whole(predicting: FlaskClient) -> None:
    answer = predicting.post("/all", json={**GOOD, "x" * 100_000: 1})
    assert refused(answer)[0] == 422
    assert len(answer.get_data()) < 2_000


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | st.binary(max_size=200).map(text_of)
    | st.sampled_from([text_of(png()), text_of(png()[:700]), "data:image/png;base64,", "a,b\n1,2"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)
MEMBERS = ("number", "vector", "anything", "image", "sound", "file", "table", "weights")


@settings(max_examples=300)
@given(st.dictionaries(st.sampled_from(MEMBERS), ANYTHING), st.booleans())
def test_whatever_comes_is_answered_or_refused(body: dict[str, t.Any], is_form: bool) -> None:
    client = kept_client()
    if is_form:
        form = {
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in body.items()
        }
        answer = client.post("/all", data={"number": "1", "vector": "[[1, 2], [3, 4]]", **form})
    else:
        data = json.dumps({**GOOD, **body})
        answer = client.post("/all", data=data, content_type="application/json")
    if answer.status_code == 200:
        assert isinstance(answer.get_json(), float)
    else:
        status, locations = refused(answer)
        assert status in (400, 422)
        assert locations or status == 400


@cache
def kept_client() -> FlaskClient:
    """A client of an application of its own: the examples of a property share it."""
    app = Erlen("kept")
    app.testing = True
    app.predictor("/all", Everything(), load="first")
    return app.test_client(transport="wsgi")


def mixed_requests() -> list[dict[str, t.Any]]:
    """By three, one is bad."""
    bad: list[dict[str, t.Any]] = [
        {"json": {"number": "x"}},
        {"data": b"[" * 100_000, "content_type": "application/json"},
        {"json": {**GOOD, "image": text_of(bomb(5_000, 5_000))}},
        {"json": {**GOOD, "vector": [[1]]}},
    ]
    return [
        {"json": {**GOOD, "number": number}} if number % 3 else bad[number // 3 % 4]
        for number in range(24)
    ]


def check_mixed(answers: dict[int, t.Any]) -> None:
    good = {number: answers[number].get_json() for number in range(24) if number % 3}
    assert good == {number: number * 2 for number in good}
    assert [answers[number].status_code for number in range(0, 24, 3)] == [422, 400, 422, 422] * 2


def test_other_requests_of_the_same_moment_are_untouched(app: Erlen) -> None:
    app.predictor("/all", Everything())
    requests = mixed_requests()
    answers: dict[int, t.Any] = {}
    start = threading.Barrier(len(requests))

    def ask(number: int) -> None:
        client = app.test_client()
        start.wait()
        answers[number] = client.post("/all", **requests[number])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(requests))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check_mixed(answers)


def test_other_requests_on_the_same_loop_are_untouched(app: Erlen) -> None:
    app.predictor("/all", Everything())

    async def ask_all() -> list[t.Any]:
        client = app.async_test_client()
        return await asyncio.gather(*(client.post("/all", **each) for each in mixed_requests()))

    check_mixed(dict(enumerate(asyncio.run(ask_all()))))


def test_problems_are_json_for_everybody(predicting: FlaskClient) -> None:
    answer = predicting.post("/all", json={}, headers={"Accept": "text/html"})
    assert json.loads(answer.get_data())["title"] == "Unprocessable Content"

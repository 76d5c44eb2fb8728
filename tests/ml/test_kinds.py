"""Kinds of inputs and answers by themselves."""

from __future__ import annotations

import base64
import io
import typing as t

import numpy as np
import PIL.Image
import pytest
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError
from werkzeug.datastructures import FileStorage

import erlen.ml
from erlen.ml import Array, Audio, Choice, File, Image, Label, Limits, Shown, Table, Text
from erlen.ml.answers import NoJson, as_data, as_json
from erlen.ml.fields import inputs_of_model, label_of, output_of


def encoded(image: PIL.Image.Image, kind: str = "PNG", **more: t.Any) -> bytes:
    into = io.BytesIO()
    image.save(into, kind, **more)
    return into.getvalue()


def of(kind: t.Any, value: t.Any) -> t.Any:
    """A value as a request has it, made one of a kind, and loaded."""
    made = TypeAdapter(kind).validate_python(value)
    made.load()
    return made


SQUARE = encoded(PIL.Image.new("RGB", (4, 4), "red"))


# Files


@pytest.mark.parametrize(
    "value",
    [
        SQUARE,
        base64.b64encode(SQUARE).decode(),
        f"data:image/png;base64,{base64.b64encode(SQUARE).decode()}",
        f"data:;base64,{base64.b64encode(SQUARE).decode()}",
        FileStorage(io.BytesIO(SQUARE), "../a.png", "image", "image/png"),
    ],
    ids=["bytes", "base64", "data-url", "data-url-without-type", "upload"],
)
def test_an_image_comes_in_several_forms(value: t.Any) -> None:
    image = of(Image, value)
    assert (image.width, image.height, image.content_type) == (4, 4, "image/png")
    assert image.data == SQUARE
    assert image.array().shape == (4, 4, 3)
    assert image.array("L", (2, 3)).shape == (3, 2)


def test_transparency_is_white_where_there_is_no_alpha() -> None:
    image = of(Image, encoded(PIL.Image.new("RGBA", (1, 1), (0, 0, 0, 0))))
    assert image.array("L").tolist() == [[255]]
    assert image.array("RGBA").tolist() == [[[0, 0, 0, 0]]]


def test_an_image_is_upright() -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    image = of(Image, encoded(PIL.Image.new("RGB", (8, 4)), "JPEG", exif=exif.tobytes()))
    assert (image.width, image.height) == (4, 8)


def test_only_the_formats_said_are_taken() -> None:
    kind = t.Annotated[Image, Limits(formats=("JPEG",))]
    with pytest.raises(PydanticCustomError, match="no image of these formats: JPEG"):
        of(kind, SQUARE)
    tiff = encoded(PIL.Image.new("RGB", (4, 4)), "TIFF")
    with pytest.raises(PydanticCustomError, match="no image of these formats"):
        of(Image, tiff)
    assert of(t.Annotated[Image, Limits(formats=("TIFF",))], tiff).width == 4


@pytest.mark.parametrize(
    ("pixels", "mode"),
    [
        (np.zeros((2, 3), np.uint8), "L"),
        (np.zeros((2, 3, 1), np.uint8), "L"),
        (np.ones((2, 3, 3)), "RGB"),
        (PIL.Image.new("1", (3, 2)), "1"),
    ],
    ids=["gray", "one-channel", "fractions", "pillow"],
)
def test_an_image_is_made_for_an_answer(pixels: t.Any, mode: str) -> None:
    image = Image.of(pixels)
    url = as_data(image)
    assert url.startswith("data:image/png;base64,")
    assert of(Image, url).pil.size == (3, 2)
    assert of(Image, url).pil.mode == mode


def test_sound_is_made_and_read() -> None:
    wave = np.sin(np.linspace(0, 20, 800))
    samples, rate = of(Audio, Audio.of(wave, 8_000).data).samples()
    assert (samples.shape, rate) == ((800, 1), 8_000)
    assert np.abs(samples[:, 0] - wave).max() < 1e-4
    assert as_data(Audio.of(wave, 8_000)).startswith("data:audio/wav;base64,")


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"fLaC", "flac"),
        (b"OggS", "ogg"),
        (b"ID3\x04", "mp3"),
        (b"\xff\xfb\x90", "mp3"),
        (b"\x1aE\xdf\xa3", "webm"),
        (b"\0\0\0\x20ftypM4A ", "mp4"),
    ],
    ids=["flac", "ogg", "mp3-tag", "mp3", "webm", "mp4"],
)
def test_formats_of_sound_are_told_by_their_beginning(head: bytes, name: str) -> None:
    assert of(Audio, head + bytes(20)).format == name


def test_a_file_keeps_its_name_and_type() -> None:
    file = of(File, FileStorage(io.BytesIO(b"abc"), "a.bin", "file", "application/x-own"))
    assert (file.filename, file.content_type, file.size) == ("a.bin", "application/x-own", 3)
    assert file.open().read() == b"abc"


# Tables

TABLES: dict[str, t.Any] = {
    "csv": b"name,size\na,1\nb,2.5\n",
    "csv-text": "name,size\na,1\nb,2.5\n",
    "semicolons": b"name;size\na;1\nb;2.5\n",
    "tabs": b"name\tsize\na\t1\nb\t2.5\n",
    "bom": b"\xef\xbb\xbfname,size\r\na,1\r\nb,2.5\r\n",
    "quoted": b'"name","size"\n"a","1"\n"b","2.5"\n',
    "objects": [{"name": "a", "size": 1}, {"name": "b", "size": 2.5}],
    "columns": {"columns": ["name", "size"], "rows": [["a", 1], ["b", 2.5]]},
    "upload": "upload",
}


@pytest.mark.parametrize("value", TABLES.values(), ids=TABLES)
def test_a_table_comes_in_several_forms(value: t.Any) -> None:
    if value == "upload":
        value = FileStorage(io.BytesIO(t.cast("bytes", TABLES["csv"])), "a.csv", "table")
    table = of(Table, value)
    assert (table.columns, table.rows) == (["name", "size"], [["a", 1], ["b", 2.5]])
    assert [*table] == [{"name": "a", "size": 1}, {"name": "b", "size": 2.5}]


def test_cells_are_numbers_only_where_they_look_so() -> None:
    table = of(Table, b"a,b,c,d,e,f\n1,-2.5e3,,nan,0x1,1_0\n")
    assert table.rows == [[1, -2500.0, None, "nan", "0x1", "1_0"]]
    assert of(Table, b"a,b\n1,2\n3,4\n").array().tolist() == [[1.0, 2.0], [3.0, 4.0]]


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (t.Annotated[Table, Limits(max_rows=1)], b"a\n1\n2\n", "1 rows at most"),
        (t.Annotated[Table, Limits(max_columns=1)], b"a,b\n1,2\n", "1 columns at most"),
        (t.Annotated[Table, Limits(max_rows=1)], [{"a": 1}, {"a": 2}], "1 rows at most"),
        (t.Annotated[Table, Limits(max_size=5)], b"a,b\n1,2\n", "larger than 5 bytes"),
        (Table, b"a,a\n1,2\n", "Two columns of the table have one name"),
        (Table, b"\xff\xfea\n", "no CSV in UTF-8"),
        (Table, b'a\n"' + b"x" * 200_000 + b'"\n', "This is no CSV: field larger"),
    ],
    ids=["rows", "columns", "rows-of-json", "bytes", "names", "utf-16", "long-cell"],
)
def test_a_table_has_limits(kind: t.Any, value: t.Any, message: str) -> None:
    with pytest.raises((PydanticCustomError, ValidationError), match=message):
        of(kind, value)


def test_a_table_is_an_answer() -> None:
    table = Table.of([{"a": 1}, {"a": 2, "b": "x"}])
    assert as_data(table) == [{"a": 1, "b": None}, {"a": 2, "b": "x"}]
    assert len(Table(["a"], [[1]])) == 1


# Arrays


def array_of(json: bytes | str, *shape: int | None, **more: t.Any) -> t.Any:
    return TypeAdapter(t.Annotated[np.ndarray, Array(*shape, **more)]).validate_json(
        json, strict=True
    )


def test_an_array_has_its_shape_and_type() -> None:
    array = array_of("[[1, 2.5], [3, 4]]", 2, 2)
    assert (array.dtype, array.tolist()) == (np.float32, [[1.0, 2.5], [3.0, 4.0]])
    assert array_of("[[1], [2]]", None, 1, dtype="int64").dtype == np.int64
    assert array_of("[[[1]], [[2]]]").shape == (2, 1, 1)
    assert array_of("[true]", 1, dtype="bool").tolist() == [True]
    assert np.isnan(array_of("[NaN]", 1, allow_nan=True)).all()


@pytest.mark.parametrize(
    ("json", "shape", "more"),
    [
        ("[256]", (1,), {"dtype": "uint8"}),
        ("[-1]", (1,), {"dtype": "uint8"}),
        ("[1.5]", (1,), {"dtype": "int32"}),
        ("[1.5]", (), {"dtype": "int32"}),
        ("[1]", (1,), {"dtype": "bool"}),
        ("[2]", (1,), {"maximum": 1}),
        ("[2]", (), {"maximum": 1}),
        ("[-2]", (None,), {"minimum": -1}),
        ("[256]", (), {"dtype": "uint8"}),
        ("[-1]", (), {"dtype": "uint8", "maximum": 5}),
        ("[]", (None,), {}),
        ("[[]]", (None, None), {}),
        ("1", (), {}),
    ],
)
def test_an_array_that_does_not_fit_is_refused(
    json: str, shape: t.Any, more: dict[str, t.Any]
) -> None:
    with pytest.raises(ValidationError):
        array_of(json, *shape, **more)


@pytest.mark.parametrize("number", ["9" * 400, "-" + "9" * 4000])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8"])
@pytest.mark.parametrize("allow_nan", [False, True])
def test_numbers_of_arrays_may_be_of_hundreds_of_digits(
    number: str, dtype: str, allow_nan: bool
) -> None:
    with pytest.raises(ValidationError, match="too large"):
        array_of(f"[{number}]", dtype=dtype, allow_nan=allow_nan)


def test_arrays_are_taken_from_python() -> None:
    adapter = TypeAdapter(t.Annotated[np.ndarray, Array(2)])
    assert adapter.validate_python(np.array([1, 2])).tolist() == [1.0, 2.0]
    assert adapter.validate_python("[1, 2]").tolist() == [1.0, 2.0]
    with pytest.raises(ValidationError):
        adapter.validate_python(np.array([1, 2, 3]))


def test_an_array_of_texts_is_no_type() -> None:
    with pytest.raises(TypeError, match="no type of numbers"):
        TypeAdapter(t.Annotated[np.ndarray, Array(2, dtype="U5")])


# Labels, texts, choices


def test_a_label_is_made_of_probabilities() -> None:
    assert Label.of({"a": 0.2, "b": 0.8}) == Label("b", 0.8, {"b": 0.8, "a": 0.2})
    assert Label.of(np.array([0.5, 0.25, 0.25]), ["x", "y", "z"], top=2).scores == {
        "x": 0.5,
        "y": 0.25,
    }
    assert Label.of([0.1, 0.9]).label == "1"
    with pytest.raises(ValueError, match="at least one"):
        Label.of({})
    with pytest.raises(ValueError, match="zip"):
        Label.of([0.5, 0.5], ["a"])


def test_texts_and_choices_are_limited() -> None:
    assert TypeAdapter(Text).validate_python("a") == "a"
    with pytest.raises(ValidationError):
        TypeAdapter(Text).validate_python("a" * 100_001)
    choice = TypeAdapter(t.Annotated[str, Choice(["a", "b"])])
    assert choice.validate_python("a") == "a"
    with pytest.raises(ValidationError):
        choice.validate_python("c")


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (t.Annotated[File | None, Limits(max_size=2)], "aGVsbG8="),
        (t.Annotated[list[File], Limits(max_size=2)], ["aA==", "aGVsbG8="]),
        (t.Annotated[list[File] | None, Limits(max_size=2)], ["aGVsbG8="]),
        (t.Annotated[File | None, Limits(max_size=2, formats=["txt"])], "aGVsbG8="),
        (t.Annotated[str | None, Limits(max_length=2)], "abc"),
        (t.Annotated[list[str], Limits(max_length=2)], ["a", "abc"]),
    ],
    ids=["optional", "list", "optional list", "formats in a list", "optional text", "texts"],
)
def test_limits_of_a_list_or_union_are_those_of_its_parts(kind: t.Any, value: t.Any) -> None:
    with pytest.raises(ValidationError, match="larger than 2 bytes|at most 2 char"):
        made = TypeAdapter(kind).validate_python(value)
        for each in made if isinstance(made, list) else [made]:
            each.load()


@pytest.mark.parametrize(
    ("value", "is_taken"),
    [
        (FileStorage(io.BytesIO(b"x"), "a.PDF", "file", "text/html"), True),
        (FileStorage(io.BytesIO(b"x"), "a.exe", "file", "application/pdf"), False),
        (FileStorage(io.BytesIO(b"x"), "a", "file", "application/pdf"), True),
        ("data:application/pdf;base64,aA==", True),
        ("data:text/html;base64,aA==", False),
        ("aA==", True),
    ],
    ids=["ending", "another ending", "type", "data url", "another data url", "unknown"],
)
def test_a_file_is_of_a_format_as_far_as_its_client_says(value: t.Any, is_taken: bool) -> None:
    kind = t.Annotated[File, Limits(formats=("pdf", ".txt"))]
    if is_taken:
        assert of(kind, value).size == 1
    else:
        with pytest.raises(PydanticCustomError, match="no file of these formats: pdf, .txt"):
            of(kind, value)


def test_formats_of_sound_are_said_in_any_case() -> None:
    wave = Audio.of([0.0], 8_000).data
    assert of(t.Annotated[Audio, Limits(formats=("WAV",))], wave).format == "wav"


def test_sound_whose_parts_lead_beyond_its_end_is_broken() -> None:
    wave = Audio.of([0.0] * 20, 8_000).data
    strange = wave[:12] + b"junk" + b"\xff\xff\xff\x7f" + wave[12:]
    with pytest.raises(PydanticCustomError, match="The sound is broken"):
        of(Audio, strange)


# What a page goes by


class Form(BaseModel):
    text: Text
    name: t.Annotated[str, Field(min_length=1, pattern="^a")] = "a"
    share: t.Annotated[float, Field(ge=0, lt=1, title="A share"), Shown(slider=True)] = 0.5
    count: int | None = None
    yes: bool = False
    kind: t.Literal["x", "y"] = "x"
    kinds: list[t.Literal["x", "y"]] = []
    picture: t.Annotated[Image, Shown("Draw here", help="With the mouse", draw=(28, 28))]
    pictures: list[Image] = []
    sound: Audio | None = None
    table: t.Annotated[Table, Limits(max_rows=3)]
    vector: t.Annotated[np.ndarray, Array(2, 3)]
    rest: dict[str, int] = {}


def test_inputs_are_read_from_types() -> None:
    found = {each.name: each for each in inputs_of_model(Form)}
    assert {name: each.kind for name, each in found.items()} == {
        "text": "text",
        "name": "text",
        "share": "number",
        "count": "number",
        "yes": "boolean",
        "kind": "choice",
        "kinds": "choice",
        "picture": "image",
        "pictures": "image",
        "sound": "audio",
        "table": "table",
        "vector": "array",
        "rest": "json",
    }
    assert found["text"].limits == {"max_length": 100_000, "lines": 6}
    assert found["name"].limits == {"min_length": 1, "pattern": "^a"}
    assert found["share"].label == "A share"
    assert found["share"].limits == {"minimum": 0, "exclusive_maximum": 1, "slider": True}
    assert (found["count"].required, found["count"].default) == (False, None)
    assert found["count"].limits == {"integer": True, "step": 1}
    assert found["kinds"].limits == {"multiple": True}
    assert found["kinds"].choices == ("x", "y")
    picture = found["picture"]
    assert (picture.label, picture.description) == ("Draw here", "With the mouse")
    assert picture.limits["draw"] == (28, 28)
    assert found["pictures"].limits["multiple"] is True
    assert found["sound"].limits["max_size"] == 20_000_000
    assert found["table"].limits["max_rows"] == 3
    assert found["vector"].limits == {"shape": (2, 3), "dtype": "float32"}


class Parts(BaseModel):
    label: Label
    picture: Image
    score: float


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (str, "text"),
        (float, "number"),
        (bool, "boolean"),
        (Label, "label"),
        (Image, "image"),
        (PIL.Image.Image, "image"),
        (Audio, "audio"),
        (Table, "table"),
        (list[Parts], "table"),
        (list[dict[str, t.Any]], "table"),
        (list[float], "json"),
        (np.ndarray, "array"),
        (Parts, "object"),
        (dict[str, float], "json"),
        (t.Any, "json"),
    ],
    ids=str,
)
def test_outputs_are_read_from_types(kind: t.Any, expected: str) -> None:
    assert output_of(kind).kind == expected


def test_an_object_has_members() -> None:
    assert [(each.name, each.kind) for each in output_of(Parts).members] == [
        ("label", "label"),
        ("picture", "image"),
        ("score", "number"),
    ]


def test_names_are_made_readable() -> None:
    assert [label_of(name) for name in ("max_price", "a", "URL", "")] == [
        "Max price",
        "A",
        "URL",
        "",
    ]


# JSON


def test_what_json_cannot_hold_is_named() -> None:
    with pytest.raises(NoJson, match=r"builtins\.object"):
        as_json(object())
    circle: list[t.Any] = []
    circle.append(circle)
    with pytest.raises(NoJson):
        as_json(circle)


def test_tensors_become_lists() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    assert as_data({"a": torch.ones(2, requires_grad=True), "b": torch.tensor(3)}) == {
        "a": [1.0, 1.0],
        "b": 3,
    }


def test_all_names_are_there() -> None:
    for name in erlen.ml._LATER:
        assert getattr(erlen.ml, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'Unheard'"):
        _ = erlen.ml.Unheard

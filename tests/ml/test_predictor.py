"""A predictor at a route: what its class says, what is answered, what goes wrong."""

from __future__ import annotations

import base64
import enum
import io
import subprocess
import threading
import typing as t
from collections.abc import AsyncIterator, Callable, Iterator

import numpy as np
import PIL.Image
import pytest
from pydantic import BaseModel, Field

from erlen import Blueprint, Erlen, current_app
from erlen.api import Depends, Header, Problem, Query
from erlen.api.openapi import document
from erlen.errors import SetupError
from erlen.ml import (
    Audio,
    BadItem,
    Choice,
    File,
    Image,
    Label,
    Predictor,
    QueueFull,
    Shown,
    Text,
    batched,
)
from erlen.ml.predictor import read_predictor, singular
from erlen.testing import FlaskClient


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Digits(Predictor):
    """Recognise digits.

    A model of the lines of a picture.
    """

    def load(self) -> None:
        self.scale = 255

    def decode(
        self,
        image: t.Annotated[PIL.Image.Image, Shown(draw=(280, 280))],
        top: t.Annotated[int, Field(ge=1, le=10)] = 2,
    ) -> tuple[np.ndarray, int]:
        return np.asarray(image.convert("L").resize((2, 2))) / self.scale, top

    def predict(self, items: list[tuple[np.ndarray, int]]) -> list[tuple[np.ndarray, int]]:
        return [(np.array([1 - item.mean(), item.mean()]), top) for item, top in items]

    def encode(self, result: tuple[np.ndarray, int]) -> Label:
        scores, top = result
        return Label.of(scores, ["dark", "bright"], top=top)


def png(color: str) -> io.BytesIO:
    into = io.BytesIO()
    PIL.Image.new("RGB", (8, 8), color).save(into, "PNG")
    into.seek(0)
    return into


def doubled(numbers: list[float]) -> list[float]:
    return [number * 2 for number in numbers]


# What is answered


def test_a_predictor_answers_forms_and_json(app: Erlen, client: FlaskClient) -> None:
    app.predictor("/digits", Digits())
    answer = client.post("/digits", data={"image": (png("white"), "a.png"), "top": "1"})
    assert answer.get_json() == {"label": "bright", "score": 1.0, "scores": {"bright": 1.0}}
    body = {"image": Image(png("black").getvalue()).data_url()}
    answer = client.post("/digits", json=body)
    assert answer.get_json()["label"] == "dark"
    assert [*answer.get_json()["scores"]] == ["dark", "bright"]


def test_a_function_of_a_list_is_a_predictor(app: Erlen, client: FlaskClient) -> None:
    served = app.predictor("/double", doubled)
    assert client.post("/double", json={"number": 2}).get_json() == 4.0
    assert client.post("/double", data={"number": "2.5"}).get_json() == 5.0
    assert served.stats().answered == 2


def test_it_is_a_decorator(app: Erlen, client: FlaskClient) -> None:
    @app.predictor("/shout", max_size=4)
    def shout(texts: list[str]) -> list[str]:
        return [text.upper() for text in texts]

    @app.predictor("/count")
    class Count:
        def predict(self, texts: list[str]) -> list[int]:
            return [len(text) for text in texts]

    assert shout(["a"]) == ["A"]
    assert Count().predict(["ab"]) == [2]
    assert client.post("/shout", json={"text": "a"}).get_json() == "A"
    assert client.post("/count", json={"text": "ab"}).get_json() == 2


def test_a_blueprint_has_predictors(app: Erlen, client: FlaskClient) -> None:
    blueprint = Blueprint("models", __name__, url_prefix="/models")
    served = blueprint.predictor("/double", doubled)
    app.register_blueprint(blueprint)
    assert client.post("/models/double", json={"number": 1}).get_json() == 2.0
    assert (served.endpoint, served.rule) == ("models.doubled", "/models/double")


def test_what_a_blueprints_prefix_brings_is_for_its_hooks(app: Erlen, client: FlaskClient) -> None:
    blueprint = Blueprint("models", __name__, url_prefix="/<lang>", url_defaults={"kind": "a"})
    blueprint.predictor("/double", doubled)
    app.register_blueprint(blueprint)
    assert client.post("/de/double", json={"number": 1}).get_json() == 2.0


@pytest.mark.parametrize(
    ("page", "path"), [(True, "/models/double/try"), ("/own", "/models/own")], ids=["below", "own"]
)
def test_the_page_of_a_blueprint_is_below_it(
    app: Erlen, client: FlaskClient, page: t.Any, path: str
) -> None:
    blueprint = Blueprint("models", __name__, url_prefix="/models")
    blueprint.predictor("/double", doubled, page=page)
    app.register_blueprint(blueprint)
    assert client.get(path).mimetype == "text/html"


def test_coroutines_are_awaited(app: Erlen, client: FlaskClient) -> None:
    class Async:
        async def load(self) -> None:
            self.factor = 3

        async def decode(self, number: int) -> int:
            return number + 1

        async def predict(self, items: list[int]) -> list[int]:
            return [item * self.factor for item in items]

        async def encode(self, result: int) -> dict[str, int]:
            return {"result": result}

        async def warm_up(self) -> list[int]:
            return [1, 2]

    app.predictor("/async", Async())
    assert client.post("/async", json={"number": 1}).get_json() == {"result": 6}


def test_models_are_bodies_as_they_are(app: Erlen, client: FlaskClient) -> None:
    class House(BaseModel):
        area: float
        color: Color = Color.RED

    class Price(t.TypedDict):
        price: float

    @app.predictor("/price")
    def price(houses: list[House]) -> list[Price]:
        return [{"price": house.area * (1 + (house.color is Color.BLUE))} for house in houses]

    assert client.post("/price", json={"area": 2, "color": "blue"}).get_json() == {"price": 4.0}
    assert client.post("/price", data={"area": "2"}).get_json() == {"price": 2.0}


def test_arrays_are_stacked_where_predict_takes_one(app: Erlen, client: FlaskClient) -> None:
    shapes = []

    class Stacked:
        def decode(self, values: list[float]) -> np.ndarray:
            return np.array(values)

        def predict(self, items: np.ndarray) -> np.ndarray:
            shapes.append(items.shape)
            return items.sum(axis=1)

    app.predictor("/sum", Stacked())
    assert client.post("/sum", json={"values": [1, 2, 3]}).get_json() == 6.0
    assert shapes == [(1, 3)]


ANSWERS: dict[str, tuple[t.Any, t.Any]] = {
    "array": (np.arange(3), [0, 1, 2]),
    "half": (np.arange(2, dtype=np.float16), [0.0, 1.0]),
    "transposed": (np.arange(4).reshape(2, 2).T, [[0, 2], [1, 3]]),
    "number": (np.float32(0.5), 0.5),
    "integer": (np.int64(7), 7),
    "truth": (np.bool_(True), True),
    "keys": ({np.str_("a"): np.float64(1), 2: 3}, {"a": 1.0, "2": 3}),
    "not-a-number": ([float("nan"), float("inf"), np.float32("nan")], [None, None, None]),
    "set": ({1}, [1]),
    "label": (
        Label.of({"a": 0.25, "b": 0.75}),
        {"label": "b", "score": 0.75, "scores": {"b": 0.75, "a": 0.25}},
    ),
    "nothing": (None, None),
}


@pytest.mark.parametrize(("value", "expected"), ANSWERS.values(), ids=ANSWERS)
def test_what_libraries_return_becomes_json(
    app: Erlen, client: FlaskClient, value: t.Any, expected: t.Any
) -> None:
    def any_of(texts: list[str]) -> list[t.Any]:
        return [value for _ in texts]

    app.predictor("/any", any_of)
    assert client.post("/any", json={"text": "a"}).get_json() == expected


def test_pictures_are_answered_as_the_client_wishes(app: Erlen, client: FlaskClient) -> None:
    @app.predictor("/gray")
    def gray(images: list[Image]) -> list[PIL.Image.Image]:
        return [image.pil.convert("L") for image in images]

    form = {"image": (png("red"), "a.png")}
    answer = client.post("/gray", data=form, headers={"Accept": "image/png"})
    assert answer.mimetype == "image/png"
    assert PIL.Image.open(io.BytesIO(answer.data)).mode == "L"
    answer = client.post("/gray", data={"image": (png("red"), "a.png")})
    assert answer.get_json().startswith("data:image/png;base64,")


BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def test_a_file_that_comes_back_runs_nothing_on_this_host(app: Erlen, client: FlaskClient) -> None:
    def same(files: list[File]) -> list[File]:
        return files

    app.predictor("/same", same)
    script = base64.b64encode(b"<script>alert(1)</script>").decode()
    sent = {"file": f"data:text/html;base64,{script}"}
    answer = client.post("/same", data=sent, headers={"Accept": BROWSER})
    assert answer.mimetype == "text/html"
    assert answer.headers["Content-Security-Policy"] == "sandbox"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("said", "expected"),
    [("text/html", "audio/mpeg"), ("audio/x-mp3", "audio/x-mp3"), ("audio/*", "audio/mpeg")],
)
def test_sound_has_a_type_of_sound_whatever_the_client_says(said: str, expected: str) -> None:
    sound = Audio(b"ID3<script>alert(1)</script>", content_type=said)
    sound.load()
    assert sound.content_type == expected


def test_a_value_that_json_cannot_hold_is_an_error(app: Erlen, client: FlaskClient) -> None:
    @app.predictor("/odd")
    def odd(texts: list[str]) -> list[t.Any]:
        return [object() for _ in texts]

    with pytest.raises(TypeError, match=r"builtins\.object.* cannot be written as JSON"):
        client.post("/odd", json={"text": "a"})


def test_who_may_call_it_is_asked_for_the_page_too(app: Erlen, client: FlaskClient) -> None:
    def check(key: Header[str] = "") -> None:
        if key != "right":
            raise Problem(401, "Who are you?")

    served = app.predictor("/double", doubled, page=True, dependencies=[Depends(check)])
    for method, path in (("POST", "/double"), ("GET", "/double/try"), ("POST", "/double/try")):
        assert client.open(path, method=method, json={"number": 1}).status_code == 401
    assert served.stats().requests == 0
    headers = {"Key": "right"}
    assert client.post("/double", json={"number": 1}, headers=headers).get_json() == 2.0
    assert client.get("/double/try", headers=headers).status_code == 200


def test_options_of_the_route_are_added_to_its_own(app: Erlen) -> None:
    app.predictor(
        "/double", doubled, tags=["numbers"], responses={429: "Slow down."}, operation_id="twice"
    )
    post = document(app)["paths"]["/double"]["post"]
    assert (post["tags"], post["operationId"]) == (["numbers"], "twice")
    assert {"429", "503"} <= {*post["responses"]}


# What goes wrong


class Picky:
    def decode(self, text: str) -> str:
        if text == "decode":
            raise BadItem("cannot be decoded", "text")
        if text == "decode-error":
            raise RuntimeError("a secret of decode")
        return text

    def predict(self, items: list[str]) -> list[t.Any]:
        if "predict" in items:
            raise BadItem("cannot be predicted")
        if "predict-error" in items:
            raise ValueError("a secret of predict")
        return [BadItem("is bad", "text") if item == "item" else item for item in items]

    def encode(self, result: str) -> str:
        if result == "encode":
            raise BadItem("cannot be encoded")
        return result


@pytest.mark.parametrize(
    ("text", "location", "message"),
    [
        ("decode", ["json", "text"], "cannot be decoded"),
        ("predict", ["json"], "cannot be predicted"),
        ("item", ["json", "text"], "is bad"),
        ("encode", ["json"], "cannot be encoded"),
    ],
)
def test_a_bad_item_is_told(
    app: Erlen, client: FlaskClient, text: str, location: list[str], message: str
) -> None:
    app.predictor("/picky", Picky())
    answer = client.post("/picky", json={"text": text})
    fault = {"location": location, "message": message, "type": "bad_item"}
    assert (answer.status_code, answer.get_json()["errors"]) == (422, [fault])


@pytest.mark.parametrize("text", ["decode-error", "predict-error"])
def test_other_errors_are_logged_and_tell_nothing(
    app: Erlen, client: FlaskClient, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    app.testing = False
    app.predictor("/picky", Picky())
    answer = client.post("/picky", json={"text": text})
    assert answer.mimetype == "application/problem+json"
    assert (answer.status_code, answer.get_json()["detail"]) == (
        500,
        "The model failed on this input.",
    )
    assert "secret" not in answer.text
    (record,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert "a secret" in str(record.exc_info)


def test_other_errors_are_raised_in_tests(app: Erlen, client: FlaskClient) -> None:
    app.predictor("/picky", Picky())
    with pytest.raises(ValueError, match="a secret of predict"):
        client.post("/picky", json={"text": "predict-error"})


def test_handlers_of_the_application_come_first(app: Erlen, client: FlaskClient) -> None:
    app.predictor("/picky", Picky())
    app.register_error_handler(ValueError, lambda error: ("handled", 418))
    answer = client.post("/picky", json={"text": "predict-error"})
    assert (answer.status_code, answer.text) == (418, "handled")


def test_a_passed_deadline_is_a_504(app: Erlen, client: FlaskClient) -> None:
    running, release = threading.Event(), threading.Event()

    @app.predictor("/slow", deadline=0.05)
    def slow(texts: list[str]) -> list[str]:
        running.set()
        release.wait(20)
        return texts

    served = app.extensions["erlen.ml"].served[0]
    # A batch that runs cannot be broken off: the request waits behind one.
    first = threading.Thread(target=served.batcher.submit, args=("first", 60))
    first.start()
    running.wait(20)
    answer = client.post("/slow", json={"text": "a"})
    release.set()
    first.join()
    assert answer.status_code == 504
    assert answer.get_json()["detail"] == "The model has not answered in time."


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_errors_of_a_batcher_are_answers_in_any_view(
    app: Erlen, client: FlaskClient, kind: str
) -> None:
    score = batched(lambda texts: [1 for _ in texts])
    score.close()

    @app.get("/plain")
    def plain() -> str:
        return str(score("a"))

    @app.get("/async")
    async def waiting() -> str:
        return str(await score.ask("a"))

    answer = client.get(f"/{kind}")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert answer.get_json()["detail"] == "The server is being stopped."


def test_a_full_queue_tells_when_to_come_again(app: Erlen, client: FlaskClient) -> None:
    @app.get("/")
    def full() -> str:
        raise QueueFull(2.2)

    answer = client.get("/")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "3")
    app2_handled = Erlen("other")
    app2_handled.add_url_rule("/", "full", full)
    app2_handled.register_error_handler(QueueFull, lambda error: ("later", 429))
    assert app2_handled.test_client().get("/").status_code == 429


def test_a_context_is_there(app: Erlen, client: FlaskClient) -> None:
    class Named:
        def decode(self, text: str) -> str:
            return f"{text} {current_app.name}"

        def predict(self, items: list[str]) -> list[str]:
            return items

    app.predictor("/named", Named())
    assert client.post("/named", json={"text": "a"}).get_json() == "a test_app"


def test_sound_that_cannot_be_read_is_a_bad_item(app: Erlen, client: FlaskClient) -> None:
    class Loudness:
        def decode(self, sound: Audio) -> float:
            samples, _ = sound.samples()
            return float(samples.max())

        def predict(self, items: list[float]) -> list[float]:
            return items

    app.predictor("/loudness", Loudness())
    wave = Audio.of([0.0, 0.5], 8_000)
    assert client.post("/loudness", json={"sound": wave.data_url()}).get_json() > 0.4
    answer = client.post("/loudness", data={"sound": (io.BytesIO(b"fLaC" + bytes(9)), "a.flac")})
    fault = answer.get_json()["errors"][0]
    assert (answer.status_code, fault["location"], fault["type"]) == (422, ["form"], "audio_broken")


@pytest.mark.parametrize("load", ["first", "background"])
def test_a_model_that_cannot_be_loaded_is_a_503(
    app: Erlen, client: FlaskClient, load: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def load(self) -> None:
            raise OSError("no such file: secret.bin")

        def predict(self, texts: list[str]) -> list[str]:
            return texts

    app.testing = False
    app.predictor("/broken", Broken(), load=load)
    answer = client.post("/broken", json={"text": "a"})
    assert (answer.status_code, answer.get_json()["detail"]) == (
        503,
        "The model could not be loaded.",
    )
    assert "secret.bin" in caplog.text


# What a page and a document go by


def test_a_definition_has_inputs_and_output() -> None:
    definition = read_predictor(Digits(), None)
    assert [(each.name, each.kind, each.required) for each in definition.inputs] == [
        ("image", "image", True),
        ("top", "number", False),
    ]
    image, top = definition.inputs
    assert image.limits["draw"] == (280, 280)
    assert image.limits["accept"].startswith("image/png,image/jpeg")
    assert (top.default, top.limits) == (
        2,
        {"minimum": 1, "maximum": 10, "integer": True, "step": 1},
    )
    assert definition.output.kind == "label"
    assert definition.description.startswith("Recognise digits.")


def test_the_document_has_both_ways_to_ask(app: Erlen) -> None:
    app.predictor("/digits", Digits(), title="Which digit?")
    app.predictor("/double", doubled, examples=[1, {"number": 2}])
    made = document(app)
    post = made["paths"]["/digits"]["post"]
    content = post["requestBody"]["content"]
    assert {*content} == {"application/json", "multipart/form-data"}
    part = content["multipart/form-data"]["schema"]["properties"]["image"]
    assert (part["type"], part["format"]) == ("string", "binary")
    schema = made["components"]["schemas"]["DigitsInput"]
    assert schema["properties"]["image"]["contentEncoding"] == "base64"
    assert {*post["responses"]} == {"200", "400", "413", "415", "422", "500", "503", "504"}
    answer = post["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer == {"$ref": "#/components/schemas/Label"}
    assert (post["summary"], post["operationId"]) == ("Which digit?", "digits")
    examples = made["paths"]["/double"]["post"]["requestBody"]["content"]["application/json"]
    assert [each["value"] for each in examples["examples"].values()] == [
        {"number": 1},
        {"number": 2},
    ]
    assert "/healthz" not in made["paths"]


def test_the_document_is_valid(app: Erlen) -> None:
    validator = pytest.importorskip("openapi_spec_validator", reason="it is not installed")
    app.predictor("/digits", Digits())
    app.predictor("/double", doubled)
    app.predictor("/stream", Tokens())
    validator.validate(document(app))


class Tokens:
    def predict(self, prompt: Text, count: int = 3) -> Iterator[str]:
        yield from [prompt] * count


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("texts", "text"),
        ("entries", "entry"),
        ("xs", "x"),
        ("items", "item"),
        ("batch", "batch"),
        ("s", "s"),
        ("class", "class"),
    ],
)
def test_an_input_has_the_name_of_one(given: str, expected: str) -> None:
    assert singular(given) == expected


@pytest.mark.parametrize("name", ["copy", "json", "schema", "model_name"])
def test_an_input_may_have_a_name_of_pydantics(app: Erlen, client: FlaskClient, name: str) -> None:
    space: dict[str, t.Any] = {}
    exec(f"def decode({name}: str) -> str: return {name} * 2", space)

    class Named:
        decode = staticmethod(space["decode"])

        def predict(self, items: list[str]) -> list[str]:
            return items

    app.predictor("/", Named())
    assert client.post("/", json={name: "a"}).get_json() == "aa"


# Mistakes


class NoItems:
    def predict(self) -> list[str]:
        return []


class TwoLists:
    def predict(self, texts: list[str], more: list[str]) -> list[str]:
        return texts


class NoType:
    def predict(self, items):  # type: ignore[no-untyped-def]
        return items


class NoList:
    def predict(self, item: str) -> str:
        return item


class UnknownType:
    def predict(self, items: list[Unheard]) -> list[str]:  # type: ignore[name-defined]  # noqa: F821
        return []


class UntypedDecode:
    def decode(self, text):  # type: ignore[no-untyped-def]
        return text

    def predict(self, items: list[str]) -> list[str]:
        return items


class YieldingDecode:
    def decode(self, text: str) -> Iterator[str]:
        yield text

    def predict(self, items: list[str]) -> list[str]:
        return items


class Strange:
    pass


class StrangeType:
    def predict(self, items: list[Strange]) -> list[str]:
        return []


class NotCallable:
    load = 3

    def predict(self, items: list[str]) -> list[str]:
        return items


MISTAKES: dict[str, tuple[t.Any, str]] = {
    "nothing": (object(), r"object has no method 'predict\(self, items\)'"),
    "base": (Predictor(), "Predictor has no method 'predict"),
    "class": (Digits, r"Digits is a class: pass an object, Digits\(\)"),
    "no-items": (NoItems(), "takes one argument, the list of items, not 0"),
    "two-lists": (TwoLists(), "takes one argument, the list of items, not 2"),
    "no-type": (NoType(), "annotate 'items' of 'predict' as a list"),
    "no-list": (NoList(), "annotate 'item' of 'predict' as a list"),
    "unknown-type": (UnknownType(), "The type 'Unheard' in UnknownType is not known"),
    "untyped-decode": (UntypedDecode(), "'text' of 'decode' of UntypedDecode has no type"),
    "yielding-decode": (YieldingDecode(), "'decode' of YieldingDecode yields"),
    "strange-type": (StrangeType(), "types of the inputs of StrangeType cannot be validated"),
    "not-callable": (NotCallable(), "NotCallable.load is 3, which cannot be called"),
}


@pytest.mark.parametrize(("predictor", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_with_its_place(app: Erlen, predictor: t.Any, message: str) -> None:
    with pytest.raises(SetupError, match=message) as raised:
        app.predictor("/", predictor)
    assert f"{__file__}:" in str(raised.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"load": "never"}, "load is 'never': known are start, background, first"),
        ({"max_size": 0}, "'max_size' is a number from 1, not 0"),
        ({"deadline": 0}, "'deadline' is a number of seconds above 0, not 0"),
        ({"collate": "heap"}, "'collate' is one of"),
        ({"max_body": "1 MB"}, "'max_body' is a number of bytes from 1, not '1 MB'"),
        ({"page": 5}, "'page' is True, a path, or a Page, not 5"),
        ({"examples": {"number": 1}}, "'examples' is a list of them"),
    ],
    ids=["load", "max_size", "deadline", "collate", "max_body", "page", "examples"],
)
def test_an_option_that_cannot_work_is_told(
    app: Erlen, options: dict[str, t.Any], message: str
) -> None:
    with pytest.raises(SetupError, match=message) as raised:
        app.predictor("/", doubled, **options)
    assert f"{__file__}:" in str(raised.value)


def test_two_predictors_of_one_name_are_told_with_the_place_of_theirs(app: Erlen) -> None:
    app.predictor("/one", doubled)
    with pytest.raises(SetupError, match="endpoint function: doubled") as raised:
        app.predictor("/two", doubled)
    own = (__file__, doubled.__code__.co_firstlineno)
    assert raised.value.places == (own, own)


def test_a_rule_with_variables_is_told(app: Erlen) -> None:
    with pytest.raises(SetupError, match="takes no variables of the URL, as '/<name>'"):
        app.predictor("/<name>", doubled)


def test_a_missing_extra_is_named(
    run_python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    code = (
        "import sys; sys.modules['pydantic'] = sys.modules['pydantic_core'] = None\n"
        "import erlen\n"
        "try: erlen.Erlen('x').predictor('/', lambda items: items)\n"
        "except ImportError as error: print(error)"
    )
    answer = run_python("-c", code).stdout
    assert answer.startswith("app.predictor needs pydantic")
    assert "pip install 'erlen[ml]'" in answer


def test_verbs_are_read_at_definition_only(app: Erlen, client: FlaskClient) -> None:
    served = app.predictor("/tokens", Tokens())
    assert served.definition.streams and not served.definition.is_async_stream

    class AsyncTokens:
        async def predict(self, prompt: str) -> AsyncIterator[str]:
            yield prompt

    served = app.predictor("/more", AsyncTokens())
    assert served.definition.is_async_stream


class Count(enum.Enum):
    ONE = 1
    TWO = 2


@pytest.mark.parametrize(
    ("kind", "sent", "expected"),
    [
        (t.Literal[1, 2], "2", 2),
        (t.Literal["1", 1], "1", "1"),
        (t.Literal[True, False], "true", True),
        (list[t.Literal[1, 2]], ["1", "2"], [1, 2]),
        (Count, "2", Count.TWO),
        (Color, "red", Color.RED),
        (t.Annotated[str, Choice(["a", "b"])] | None, "b", "b"),
    ],
    ids=["numbers", "text first", "truth", "list", "enum", "enum of texts", "choice"],
)
def test_choices_of_any_type_are_texts_in_a_form(
    app: Erlen, client: FlaskClient, kind: t.Any, sent: t.Any, expected: t.Any
) -> None:
    class Chosen:
        def decode(self, choice: t.Any) -> t.Any:
            return repr(choice)

        def predict(self, items: list[str]) -> list[str]:
            return items

    Chosen.decode.__annotations__["choice"] = kind
    app.predictor("/chosen", Chosen())
    assert client.post("/chosen", data={"choice": sent}).get_json() == repr(expected)
    assert client.post("/chosen", data={"choice": "other"}).status_code == 422


def test_an_endpoint_beside_has_its_own_parameters(app: Erlen, client: FlaskClient) -> None:
    score = batched(lambda numbers: [number * 2 for number in numbers])

    @app.get("/score")
    def view(number: Query[float]) -> dict[str, float]:
        return {"score": score(number)}

    assert client.get("/score?number=2").get_json() == {"score": 4.0}

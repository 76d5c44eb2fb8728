"""A model behind HTTP: JSON in and out at /predict, and a page to draw or upload a digit.

erlen --app examples/digits/app serve
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from werkzeug.exceptions import HTTPException

from erlen import Blueprint, Erlen, Response, current_app, render_template, request

from .images import INK, SIDE, Unreadable, read_ink, to_digit
from .model import Model, load_or_train

site = Blueprint("site", __name__)


def create_app(config: Mapping[str, Any] | None = None) -> Erlen:
    """Build the application; the model is trained here if the instance folder has none yet."""
    app = Erlen(__name__, instance_path=str(Path(__file__).parent / "instance"))
    # A photograph fits; the JSON of 64 numbers needs a thousandth of it.
    app.config.update(MAX_CONTENT_LENGTH=8_000_000, MODEL_FOLDER=app.instance_path)
    app.config.from_prefixed_env("DIGITS")
    app.config.update(config or {})
    app.register_blueprint(site)
    app.extensions["digits"] = load_or_train(app.config["MODEL_FOLDER"])
    return app


class Refused(ValueError):
    """The request holds nothing that can be recognised; the text says what to send."""


@site.get("/")
def index() -> str:
    """The page; with `?sample=4`, the answer for a picture that the model was not trained on."""
    sample = request.args.get("sample", type=int)
    if sample is None or not 0 <= sample < len(_model().samples):
        return _page()
    return _page(digit=_model().samples[sample])


@site.post("/")
def upload() -> str | tuple[str, int]:
    """The page's form, for browsers without JavaScript: the answer is the page itself."""
    try:
        return _page(digit=_uploaded())
    except (Refused, Unreadable) as error:
        return _page(problem=str(error)), 422


@site.post("/predict")
def predict() -> dict[str, Any]:
    """Ten probabilities for 8 rows of 8 numbers, for 64 numbers, or for an uploaded picture."""
    if request.mimetype == "multipart/form-data":
        return _answer(_uploaded())
    return _answer(_numbers(request.get_json()))


@site.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@site.errorhandler(Refused)
@site.errorhandler(Unreadable)
def refuse(error: ValueError) -> tuple[dict[str, str], int]:
    return {"error": str(error)}, 422


@site.app_errorhandler(HTTPException)
def explain(error: HTTPException) -> Any:
    """JSON for programs, and the page with a message for people."""
    message = _MESSAGES.get(error.code or 500, error.description or error.name)
    if request.path == "/":
        response = current_app.make_response(_page(problem=message))
    else:
        response = current_app.json.response({"error": message})
    response.status_code = error.code or 500
    response.headers.extend((name, value) for name, value in error.get_headers() if name == "Allow")
    return response


@site.after_app_request
def set_policy(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = "default-src 'self'; frame-ancestors 'self'"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


_MESSAGES = {
    400: "The body is not JSON that can be read.",
    413: "That is too large: at most 8 MB are taken.",
    415: "Send JSON with Content-Type: application/json, or a picture as multipart/form-data.",
    500: "Something went wrong here; it has been logged.",
}
_FORMS = f'Send {{"image": {SIDE} rows of {SIDE} numbers}} or {{"pixels": {SIDE * SIDE} numbers}}'


def _model() -> Model:
    model: Model = current_app.extensions["digits"]
    return model


def _uploaded() -> np.ndarray:
    """The picture in the form's field `picture`, made 8 × 8."""
    file = request.files.get("picture")
    if file is None or not file.filename:
        raise Refused("Choose a picture first: a PNG or JPEG file, in the field 'picture'.")
    return to_digit(read_ink(file.stream))


def _numbers(body: object) -> np.ndarray:
    """The 64 numbers of a JSON body, checked one by one."""
    if not isinstance(body, dict):
        raise Refused(f"The body is not a JSON object. {_FORMS}.")
    if "image" in body:
        rows = body["image"]
        if not _is_list_of(rows, SIDE) or not all(_is_list_of(row, SIDE) for row in rows):
            raise Refused(f"'image' has to be a list of {SIDE} rows with {SIDE} numbers each.")
        values = [value for row in rows for value in row]
    elif "pixels" in body:
        values = body["pixels"]
        if not _is_list_of(values, SIDE * SIDE):
            raise Refused(f"'pixels' has to be a list of {SIDE * SIDE} numbers, row by row.")
    else:
        raise Refused(f"A field is missing. {_FORMS}.")
    for place, value in enumerate(values):
        if not _is_level(value):
            where = f"row {place // SIDE}, column {place % SIDE}"
            raise Refused(f"The value at {where} is not a number from 0 to {INK}.")
    return np.array(values, dtype=float).reshape(SIDE, SIDE)


def _is_list_of(value: object, length: int) -> bool:
    return isinstance(value, list) and len(value) == length


def _is_level(value: object) -> bool:
    """A number in range: not `true`, an int to Python, and not NaN, which compares false."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= INK


def _answer(digit: np.ndarray) -> dict[str, Any]:
    probabilities = _model().probabilities(digit)
    return {
        "digit": int(probabilities.argmax()),
        "probabilities": [round(float(p), 4) for p in probabilities],
        "image": digit.astype(int).tolist(),
    }


def _page(digit: np.ndarray | None = None, problem: str | None = None) -> str:
    answer = None if digit is None else _answer(digit)
    return render_template(
        "index.html", answer=answer, problem=problem, accuracy=_model().accuracy, ink=INK
    )

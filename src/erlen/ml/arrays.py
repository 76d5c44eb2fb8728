"""Arrays of numbers as inputs: their shape and type are checked before they join a batch."""

from __future__ import annotations

import json
import math
import typing as t

from pydantic_core import core_schema

from .limits import Schema, fault

if t.TYPE_CHECKING:
    import numpy as np

#: Numbers of an array whose shape is not said.
MOST_NUMBERS = 1_000_000
_DEEPEST = 8


class Array:
    """Says what an array is: `Annotated[np.ndarray, Array(28, 28)]`.

    In JSON it is nested lists, in a form the text of these. Numbers as texts, lists of unequal
    length, NaN and infinities are refused.

    :param shape: numbers along each axis, `None` for any; without any, one array of any shape
    :param dtype: numpy's name of the numbers' type; fractions for a type of integers are refused
    :param minimum: of each number
    :param maximum: likewise
    :param allow_nan: whether NaN and infinities are taken
    """

    def __init__(
        self,
        *shape: int | None,
        dtype: str = "float32",
        minimum: float | None = None,
        maximum: float | None = None,
        allow_nan: bool = False,
    ) -> None:
        self.shape = shape
        self.dtype = dtype
        self.minimum = minimum
        self.maximum = maximum
        self.allow_nan = allow_nan

    def __repr__(self) -> str:
        return f"Array({', '.join(map(str, self.shape))}, dtype={self.dtype!r})"

    @property
    def count(self) -> int:
        """Most numbers that it has."""
        if not self.shape or None in self.shape:
            return MOST_NUMBERS
        return math.prod(t.cast("tuple[int, ...]", self.shape))

    def __get_pydantic_core_schema__(self, source: t.Any, handler: t.Any) -> Schema:
        import numpy as np

        kind = np.dtype(self.dtype).kind
        if kind not in "biuf":
            raise TypeError(f"{self!r} is of no type of numbers")
        lists = self._lists(self._number(kind)) if self.shape else core_schema.any_schema()
        made = core_schema.no_info_after_validator_function(
            self._made, core_schema.no_info_before_validator_function(_read_text, lists)
        )
        return core_schema.json_or_python_schema(
            json_schema=core_schema.no_info_after_validator_function(self._made, lists),
            python_schema=core_schema.no_info_before_validator_function(_as_lists, made),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda it: it.tolist()),
            metadata={"pydantic_js_functions": [lambda _schema, _handler: self.json_schema()]},
        )

    def _number(self, kind: str) -> t.Any:
        if kind == "b":
            return core_schema.bool_schema(strict=True)
        if kind == "f":
            return core_schema.float_schema(
                strict=True, allow_inf_nan=self.allow_nan, ge=self.minimum, le=self.maximum
            )
        import numpy as np

        about = np.iinfo(self.dtype)
        least = int(about.min) if self.minimum is None else math.ceil(self.minimum)
        most = int(about.max) if self.maximum is None else math.floor(self.maximum)
        return core_schema.int_schema(strict=True, ge=least, le=most)

    def _lists(self, inner: t.Any) -> t.Any:
        # A list of a million wrong numbers has one fault.
        for length in reversed(self.shape):
            most = MOST_NUMBERS if length is None else length
            inner = core_schema.list_schema(
                inner, min_length=length or 1, max_length=most, fail_fast=True, strict=True
            )
        return inner

    def _made(self, lists: t.Any) -> np.ndarray[t.Any, t.Any]:
        import numpy as np

        if not self.shape:
            self._check_free(lists)
        try:
            with np.errstate(over="ignore"):
                array: np.ndarray[t.Any, t.Any] = np.asarray(lists, dtype=self.dtype)
        except OverflowError:
            raise self._too_large() from None
        except ValueError:
            raise fault("array_shape", "The lists of an array are of one length") from None
        if array.dtype.kind == "f" and not self.allow_nan and not np.isfinite(array).all():
            raise self._too_large()
        return array

    def _too_large(self) -> Exception:
        return fault("finite_number", f"A number is too large for {self.dtype}")

    def _check_free(self, lists: t.Any) -> None:
        """Check an array of any shape."""
        import numpy as np

        kind = np.dtype(self.dtype).kind
        allowed = (bool,) if kind == "b" else (int,) if kind in "iu" else (int, float)
        level, shape = [lists], []
        while level and all(type(each) is list for each in level):
            lengths = {len(each) for each in level}
            if len(lengths) > 1:
                raise fault("array_shape", "The lists of an array are of one length")
            shape.append(lengths.pop())
            level = [inner for each in level for inner in each]
            if len(shape) > _DEEPEST or len(level) > MOST_NUMBERS:
                raise fault(
                    "array_size", f"An array has {MOST_NUMBERS} numbers on {_DEEPEST} axes at most"
                )
        if not shape or 0 in shape:
            raise fault("array_shape", "An array is a list of numbers that is not empty")
        about = np.iinfo(self.dtype) if kind in "iu" else None
        for each in level:
            if type(each) not in allowed:
                raise fault("array_number", "An array has numbers in it, and nothing else")
            if about is not None and not about.min <= each <= about.max:
                raise self._too_large()  # NumPy 1 would take what is left of it
            if isinstance(each, float) and not self.allow_nan and not math.isfinite(each):
                raise fault("finite_number", "Input should be a finite number")
            if (self.minimum is not None and each < self.minimum) or (
                self.maximum is not None and each > self.maximum
            ):
                raise fault("array_range", f"A number is outside of {self._range()}")

    def _range(self) -> str:
        return f"{self.minimum} to {self.maximum}"

    def json_schema(self) -> dict[str, t.Any]:
        """Nested lists, as JSON Schema says them."""
        import numpy as np

        kind = np.dtype(self.dtype).kind
        name = {"b": "boolean", "f": "number"}.get(kind, "integer")
        said = {"minimum": self.minimum, "maximum": self.maximum}
        schema: dict[str, t.Any] = {"type": name}
        schema.update((key, value) for key, value in said.items() if value is not None)
        if not self.shape:
            return {"type": "array", "items": {}, "description": "Nested lists of numbers."}
        for length in reversed(self.shape):
            schema = {"type": "array", "items": schema, "minItems": length or 1}
            if length is not None:
                schema["maxItems"] = length
        return schema


def _as_lists(value: t.Any) -> t.Any:
    """Also arrays are taken from Python, checked as lists are."""
    return value.tolist() if hasattr(value, "__array_interface__") else value


def _read_text(value: t.Any) -> t.Any:
    """In a form an array is the text of its JSON."""
    if not isinstance(value, (str, bytes)):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise fault("array_text", "An array in a form is JSON, such as [1, 2.5]") from None


def array_of(annotation: t.Any) -> Array | None:
    """What a bare `np.ndarray` or `NDArray[np.uint8]` says; `None` for other types."""
    import sys

    numpy = sys.modules.get("numpy")
    if numpy is None:
        return None
    origin = t.get_origin(annotation) or annotation
    if origin is not numpy.ndarray:
        return None
    for part in t.get_args(annotation)[1:]:
        for inner in t.get_args(part) or ():
            if isinstance(inner, type) and issubclass(inner, numpy.generic):
                return Array(dtype=numpy.dtype(inner).name)
    return Array()

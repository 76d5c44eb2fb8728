"""How the items of a batch are put together for the function.

An item is prepared when it is given, by whoever gives it, so that what cannot be made into an
array fails there and alone. What cannot stand in one array, such as images of different sizes,
gets different keys, and items with different keys never meet in a batch.
"""

from __future__ import annotations

import sys
import typing as t
from collections.abc import Callable, Sequence

from ...errors import MissingExtra, SetupError

if t.TYPE_CHECKING:
    from ...errors import Place

Prepared = tuple[t.Any, t.Any]


class Collate:
    """As they are: the function gets a list of the items."""

    def prepare(self, item: t.Any) -> Prepared:
        """The key and the value of an item. Raises for what can be in no batch."""
        return None, item

    def join(self, values: list[t.Any]) -> tuple[t.Any, ...]:
        """The arguments of the function for a batch."""
        return (values,)


class Stack(Collate):
    """Arrays of one shape and type: the function gets an array with one dimension more.

    NumPy arrays and torch tensors stay what they are; anything else is made a NumPy array.
    """

    def prepare(self, item: t.Any) -> Prepared:
        array = as_array(item)
        return (type(array), array.shape, array.dtype, getattr(array, "device", None)), array

    def join(self, values: list[t.Any]) -> tuple[t.Any, ...]:
        return (_stacked(values),)


class Pad(Collate):
    """Arrays that differ in their first dimension, filled up to the longest.

    :param fill: what the missing places hold
    :param lengths: give the function a second argument: how long each item was, as an array of
        integers of the same kind
    :param multiple_of: fill up to a multiple of this length, for models that prefer few shapes
    """

    def __init__(self, fill: t.Any = 0, *, lengths: bool = False, multiple_of: int = 1) -> None:
        if multiple_of < 1:
            raise SetupError(f"Lengths can be multiples of 1 or more, not of {multiple_of}.")
        self.fill = fill
        self.lengths = lengths
        self.multiple_of = multiple_of

    def prepare(self, item: t.Any) -> Prepared:
        array = as_array(item)
        if not array.shape:
            raise ValueError("A single number cannot be padded: give a sequence.")
        key = type(array), array.shape[1:], array.dtype, getattr(array, "device", None)
        return key, array

    def join(self, values: list[t.Any]) -> tuple[t.Any, ...]:
        first = values[0]
        lengths = [len(value) for value in values]
        length = -(-max(lengths) // self.multiple_of) * self.multiple_of
        shape = (len(values), length, *first.shape[1:])
        if _is_tensor(first):
            torch = sys.modules["torch"]
            padded = torch.full(shape, self.fill, dtype=first.dtype, device=first.device)
        else:
            padded = _numpy().full(shape, self.fill, dtype=first.dtype)
        for row, value in zip(padded, values, strict=True):
            row[: len(value)] = value
        if not self.lengths:
            return (padded,)
        if _is_tensor(first):
            return padded, torch.tensor(lengths, device=first.device)
        return padded, _numpy().asarray(lengths)


class Bucket(Collate):
    """Items of about the same size only, so that little is padded.

    :param size: the size of an item, such as `len`
    :param bounds: the largest size of each class, in ascending order; powers of two without any
    :param then: how the items of one class are put together: "list", "stack", "pad" or a `Collate`
    """

    def __init__(
        self,
        size: Callable[[t.Any], int],
        *bounds: int,
        then: CollateLike = None,
    ) -> None:
        if not callable(size):
            raise SetupError(f"A bucket needs a function that tells sizes, not {size!r}.")
        if list(bounds) != sorted(set(bounds)):
            raise SetupError(f"The bounds of buckets ascend, unlike {bounds!r}.")
        self.size = size
        self.bounds = bounds
        self.then = collate_for(then)

    def prepare(self, item: t.Any) -> Prepared:
        size = self.size(item)
        if self.bounds:
            bucket = sum(size > bound for bound in self.bounds)
        else:
            bucket = max(size - 1, 0).bit_length()
        key, value = self.then.prepare(item)
        return (bucket, key), value

    def join(self, values: list[t.Any]) -> tuple[t.Any, ...]:
        return self.then.join(values)


CollateLike = Collate | str | None

_BY_NAME: dict[str, type[Collate]] = {"list": Collate, "stack": Stack, "pad": Pad}


def collate_for(wish: CollateLike, place: Place | None = None) -> Collate:
    """What a user's `collate=` means. Raises SetupError."""
    if wish is None:
        return Collate()
    if isinstance(wish, str) and wish in _BY_NAME:
        return _BY_NAME[wish]()
    if isinstance(wish, Collate):
        return wish
    raise SetupError(
        f"'collate' is one of {', '.join(map(repr, _BY_NAME))}, Stack(), Pad(...) or Bucket(...),"
        f" not {wish!r}.",
        place,
    )


def pad(fill: t.Any = 0, *, lengths: bool = False, multiple_of: int = 1) -> Pad:
    """:class:`Pad`, as one writes it after `collate=`."""
    return Pad(fill, lengths=lengths, multiple_of=multiple_of)


def bucket(size: Callable[[t.Any], int], *bounds: int, then: CollateLike = None) -> Bucket:
    """:class:`Bucket`, as one writes it after `collate=`."""
    return Bucket(size, *bounds, then=then)


def as_array(item: t.Any) -> t.Any:
    """The item as a NumPy array, or the tensor that it is. Raises ValueError for a ragged one."""
    if _is_tensor(item):
        return item
    array = _numpy().asarray(item)
    if array.dtype == object:
        raise ValueError(f"{type(item).__name__} cannot be made an array of numbers.")
    return array


def _stacked(values: Sequence[t.Any]) -> t.Any:
    if _is_tensor(values[0]):
        return sys.modules["torch"].stack(values)
    return _numpy().stack(values)


def _is_tensor(value: t.Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _numpy() -> t.Any:
    try:
        import numpy
    except ImportError as error:
        raise MissingExtra("Stacking items", "numpy", "ml") from error
    return numpy

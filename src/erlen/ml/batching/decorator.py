"""`@batched`: a function of a list that is called with one item."""

from __future__ import annotations

import functools
import inspect
import typing as t

from ...engine import bridge
from ...errors import SetupError
from ...paths import caller_place, find_source
from .batcher import Batcher
from .collate import CollateLike
from .stats import Observer

if t.TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    import typing_extensions as te

T = t.TypeVar("T")
R = t.TypeVar("R")


class _Options(t.TypedDict, total=False):
    """Arguments of :class:`Batcher`."""

    max_size: int
    max_queue: int | None
    pure: bool
    deadline: float | None
    name: str | None
    collate: CollateLike
    workers: int
    observer: Observer | None


class Batched(Batcher[T, R]):
    """A function of a list, called with one item, which joins others in a batch.

    As a method it has a batcher for each object.
    """

    def __init__(self, function: Callable[..., t.Any], options: _Options) -> None:
        functools.update_wrapper(self, function)
        super().__init__(function, **options)
        self.options = options
        #: In objects; not the method's name, which a derived class may have for its own.
        self._key = f"_batched_{id(self):x}"

    #: PERF: itself, for a call in between would be noticed.
    __call__ = Batcher.submit

    def __get__(self, instance: t.Any, owner: type | None = None) -> Batched[T, R]:
        if instance is None:
            return self
        try:
            kept: _OfObject = vars(instance)[self._key]
            if kept.object is instance:
                return t.cast("Batched[T, R]", kept.batched)
        except KeyError:
            pass
        except TypeError:
            raise SetupError(
                f"A batched method needs an object with a '__dict__', and"
                f" {type(instance).__name__!r} has '__slots__'.",
                self.place,
            ) from None
        bound = type(self)(functools.partial(self.function, instance), self._bound_options())
        made = _OfObject(instance, bound)
        kept = vars(instance).setdefault(self._key, made)
        if kept.object is not instance:
            kept = vars(instance)[self._key] = made
        return t.cast("Batched[T, R]", kept.batched)

    def _bound_options(self) -> _Options:
        return {**self.options, "name": self.name}


class _OfObject:
    """The batched method of one object, kept by that; copies of the object have none yet."""

    def __init__(self, object: t.Any = None, batched: t.Any = None) -> None:
        self.object = object
        self.batched = batched

    def __reduce__(self) -> tuple[t.Any, ...]:
        return type(self), ()


class AsyncBatched(Batched[T, R]):
    """:class:`Batched` for an `async` function: the call is awaited."""

    __call__ = Batcher.ask  # type: ignore[assignment]


class _Decorator(t.Protocol):
    @t.overload
    def __call__(
        self, function: Callable[[list[T]], Awaitable[Iterable[R]]], /
    ) -> AsyncBatched[T, R]: ...
    @t.overload
    def __call__(self, function: Callable[[list[T]], Iterable[R]], /) -> Batched[T, R]: ...
    @t.overload
    def __call__(self, function: Callable[..., t.Any], /) -> Batched[t.Any, t.Any]: ...


@t.overload
def batched(function: Callable[[list[T]], Awaitable[Iterable[R]]], /) -> AsyncBatched[T, R]: ...
@t.overload
def batched(function: Callable[[list[T]], Iterable[R]], /) -> Batched[T, R]: ...
@t.overload
def batched(**options: te.Unpack[_Options]) -> _Decorator: ...
def batched(function: t.Any = None, /, **options: t.Any) -> t.Any:
    """Make a function of a list one that is called with a single item.

    Calls that come at the same time are answered by one call of the function::

        @batched(max_size=32)
        def predict(texts: list[str]) -> list[float]: ...

        @app.post("/score")
        def score(text: str):
            return {"score": predict(text)}

    The function is called anew with part of a batch when it raises, so that only the items that
    are to blame fail; `pure=False` prevents that, where calling it twice would do harm.

    :param options: as for :class:`Batcher`
    :raises SetupError: for what cannot be batched, such as a generator function
    """
    if function is None:
        return functools.partial(batched, **options)
    _check(function, options)
    kind = AsyncBatched if bridge.is_coroutine_function(function) else Batched
    return kind(function, t.cast(_Options, options))


def _check(function: t.Any, options: dict[str, t.Any]) -> None:
    place = find_source(function) if callable(function) else caller_place()
    if not callable(function) or isinstance(function, (type, staticmethod, classmethod)):
        raise SetupError(f"Only a function of a list can be batched, not {function!r}.", place)
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise SetupError(
            f"{function.__qualname__!r} yields, and a batch is answered all at once:"
            " return a list with one result for each item.",
            place,
        )

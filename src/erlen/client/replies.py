"""From an answer to the value that the view returned, by the types that it declares."""

from __future__ import annotations

import types
import typing as t
from collections.abc import Iterable, Iterator, Mapping

from werkzeug.wrappers import Response as BaseResponse

from ..api.fields import MISSING, Answer
from ..api.kinds import is_class, plain
from ..api.problems import MEDIA_TYPE
from .errors import error_of
from .outputs import restorer_of

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from ..wrappers import Response
    from .routes import Route

_UNIONS = (t.Union, types.UnionType)


class Reader:
    """Reads the answers of one route."""

    def __init__(self, route: Route) -> None:
        options = route.operation.options
        self.answers = {each.status: each for each in route.operation.answers}
        described = [each for each in route.operation.answers if each.adapter is not None]
        own = [each for each in described if each.status not in _said(options)]
        self.default: Answer | None = next(iter(own), None)
        #: Statuses that the route names, but not the return type.
        self.said = _said(options)
        self.normal = int(options.get("status") or 200)
        self.by_alias = options.get("by_alias", True)
        self.restorers: dict[int, Callable[[bytes], bytes] | None] = {}
        parts = [*_parts(route.returned)]
        tuples = [each for each in parts if t.get_origin(each) is tuple]
        #: Whether a caller gets tuples: for type checkers they are members of the union.
        self.keeps_tuples = bool(tuples) and len(parts) > len(tuples)
        inner = [part for each in tuples for part in _parts((t.get_args(each) or (t.Any,))[0])]
        #: Whether a view that says its status as it answers has answers of several types.
        self.varies = bool(tuples) and len({*map(_key, inner)}) > 1 or self.keeps_tuples
        self.kinds = [plain(each) for each in parts if t.get_origin(each) is not tuple]
        self.kinds += map(plain, inner)

    def read(self, call: str, response: Response) -> t.Any:
        """The value. Raises ClientError for an answer that the view does not declare."""
        status = response.status_code
        if response.mimetype == MEDIA_TYPE:
            raise error_of(call, response)
        answer = self.answers.get(status)
        if answer is not None and status in self.said and status >= 400:
            value = self._validated(call, response, answer)
            raise error_of(call, response, value=value)
        if answer is None:
            if status >= 400 and self.varies and status < 500 and response.is_json:
                return self._told(response, self._varying(call, response))
            if status >= 400 or (status >= 300 and not self._takes_response()):
                raise error_of(call, response)
            answer = self.default
        if answer is not None and answer.adapter is not None and response.is_json:
            return self._told(response, self._validated(call, response, answer))
        return self._told(response, self._untyped(call, response))

    def _told(self, response: Response, value: t.Any) -> t.Any:
        """The value, with its status where the return type has a tuple for it."""
        if self.keeps_tuples and response.status_code != self.normal and value is not response:
            return value, response.status_code
        return value

    def _varying(self, call: str, response: Response) -> t.Any:
        if self.default is None:
            raise error_of(call, response)
        return self._validated(call, response, self.default)

    def _validated(self, call: str, response: Response, answer: Answer) -> t.Any:
        if answer.adapter is None:
            return None
        data = response.get_data()
        if answer.status not in self.restorers:
            self.restorers[answer.status] = restorer_of(answer.type, by_alias=self.by_alias)
        restore = self.restorers[answer.status]
        try:
            return answer.adapter.validate_json(data if restore is None else restore(data))
        except ValueError as error:
            message = f"its body is not what {_name(answer.type)} is read from ({error})"
            raise error_of(call, response, message) from error

    def _takes_response(self) -> bool:
        return any(is_class(each, BaseResponse) for each in self.kinds)

    def _untyped(self, call: str, response: Response) -> t.Any:
        """What Flask makes an answer of, made of the answer."""
        if self._takes_response():
            return response
        kinds = self.kinds
        is_text = (response.mimetype or "").startswith("text/")
        anything = not kinds or any(each in (t.Any, object, MISSING) for each in kinds)
        if response.is_json and (anything or any(map(_is_of_json, kinds))):
            return response.get_json()
        if bytes in kinds and not (str in kinds and is_text):
            return response.get_data()
        if str in kinds:
            return response.get_data(as_text=True)
        if not response.get_data() and (anything or type(None) in kinds or None in kinds):
            return None
        if anything:
            return response.get_data(as_text=True) if is_text else response.get_data()
        names = " or ".join(map(_name, kinds))
        raise error_of(call, response, f"an answer of type {response.mimetype!r} is not {names}")


def _said(options: t.Any) -> frozenset[int]:
    return frozenset(int(status) for status in options.get("responses") or ())


def _parts(annotation: t.Any) -> Iterator[t.Any]:
    """The members of a union, without what is said about them."""
    if annotation is MISSING:
        return
    if t.get_origin(annotation) is t.Annotated:
        annotation = t.get_args(annotation)[0]
    if t.get_origin(annotation) in _UNIONS:
        for each in t.get_args(annotation):
            yield from _parts(each)
    else:
        yield annotation


def _key(kind: t.Any) -> str:
    return repr(kind)


def _is_of_json(kind: t.Any) -> bool:
    origin = t.get_origin(kind) or kind
    return isinstance(origin, type) and (
        issubclass(origin, Mapping)
        or (issubclass(origin, Iterable) and not issubclass(origin, (str, bytes, Iterator)))
    )


def _name(kind: t.Any) -> str:
    return getattr(kind, "__qualname__", None) or str(kind)

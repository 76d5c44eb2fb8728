"""A predictor at a route: from a request to its answer, by way of the batcher.

Above `submit` nothing knows where the model runs.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from pathlib import Path

from pydantic_core import PydanticCustomError
from werkzeug.exceptions import HTTPException

from ..api.formats import JSON
from ..api.problems import Problem
from ..engine.bridge import is_in_greenlet
from ..globals import current_app, request
from .answers import as_data, as_json
from .batching import Batcher
from .fields import is_pillow
from .files import File, Image
from .leaving import submit_while_there
from .life import READY, Model, beside, call
from .predictor import BadItem
from .problems import bad_item, failed, problem_of
from .reading import Reading
from .streaming import MOST_STREAMS, Places, in_turn, stream

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ..errors import Place
    from ..wrappers import Response
    from .batching import Stats
    from .fields import Input, Output
    from .predictor import Definition


#: Kinds of answers that take a while to be written.
_FILES = ("image", "audio", "file")
#: Of an answer that is a file. Its type may be what a client has said, and other sites can have
#: visitors send forms: opened as a page, it is none of this host, and runs nothing.
_OF_FILES = {"Content-Security-Policy": "sandbox", "X-Content-Type-Options": "nosniff"}


class Job(t.NamedTuple):
    """What a request asks for: an item for the batcher, or the arguments of a stream."""

    item: t.Any
    #: Where the inputs were: `json` or `form`.
    location: str


class Served:
    """A predictor as it is served at a route.

    :param definition: what its class says
    :param rule: the route's
    :param batching: arguments of the batcher
    :param examples: dicts by inputs, or values of the only input
    :param most: bytes that a body may have
    :param guards: options of the route that say who may call it
    """

    def __init__(
        self,
        definition: Definition,
        rule: str,
        *,
        batching: dict[str, t.Any],
        examples: Sequence[t.Any] = (),
        title: str | None = None,
        description: str | None = None,
        most: int | None = None,
        guards: Mapping[str, t.Any] | None = None,
        place: Place | None = None,
    ) -> None:
        self.definition = definition
        self.rule = rule
        self.examples = [*examples]
        self.title = title or definition.title
        self.description = definition.description if description is None else description
        #: Options of the route that say who may call it, for the page as well.
        self.guards = dict(guards or {})
        self.place = place
        #: The endpoint of its route; with the blueprint's name once that is registered.
        self.endpoint = ""
        self.model = Model(definition, self._warm)
        self.reading = Reading(definition, most)
        self.streams = Places(batching.get("max_queue") or MOST_STREAMS)
        self._batching = batching
        output = definition.output
        self._writes_files = any(each.kind in _FILES for each in (output, *output.members))
        #: Is told the status of each answer.
        self.note: Callable[[int], object] = bool
        self._users = 0
        self.batcher: Batcher[t.Any, t.Any] = self._new_batcher()

    def __repr__(self) -> str:
        return f"<Served {self.definition.name!r} at {self.rule!r}>"

    def _new_batcher(self) -> Batcher[t.Any, t.Any]:
        function = self.definition.predict.function
        if self.definition.streams:
            # Streams are not batched; the batcher is never asked.
            return Batcher(_never, name=self.definition.name)
        return Batcher(function, **{"name": self.definition.name, **self._batching})

    # What a page and a document go by

    @property
    def inputs(self) -> tuple[Input, ...]:
        """What it takes."""
        return self.definition.inputs

    @property
    def output(self) -> Output:
        """What it answers."""
        return self.definition.output

    def answer(self, values: Mapping[str, t.Any]) -> t.Any:
        """The answer, as JSON has it, to values as a form has them. Raises problems."""
        job = self._asked(values)
        return self._guarded(job.location, lambda: as_data(self._compute(job.item)))

    def pieces(self, values: Mapping[str, t.Any]) -> Iterator[t.Any]:
        """The same of a predictor that yields, item by item; an async one is waited for."""
        job = self._asked(values)
        given = self.definition, self.streams, job.item, self._told(job.location)
        return t.cast("Iterator[t.Any]", self._guarded(job.location, in_turn, *given))

    def _asked(self, values: Mapping[str, t.Any]) -> Job:
        self._wait_until_loaded()
        value = self.reading.validated(values)
        return t.cast("Job", self._guarded("form", self._decoded, value, "form"))

    def stats(self) -> Stats:
        """What the batcher has done so far."""
        return self.batcher.stats()

    # From a request to an answer

    def read(self, request: t.Any) -> Job:
        """What a request asks for, valid and decoded. Raises problems."""
        try:
            self._wait_until_loaded()
            value, location = self.reading.read(request)
            return t.cast("Job", self._guarded(location, self._decoded, value, location))
        except Exception as error:
            self.note(_status_of(error))
            raise

    def _wait_until_loaded(self) -> None:
        if self.model.state == READY:
            return
        try:
            beside(self.model.ensure)
        except Exception as error:
            raise failed(error, Problem(503, "The model could not be loaded.")) from error

    def _decoded(self, value: t.Any, location: str) -> Job:
        # Off the event loop where there are files.
        if self.reading.has_files:
            return beside(self._decode, value, location)
        return self._decode(value, location)

    def _decode(self, value: t.Any, location: str) -> Job:
        reading, definition = self.reading, self.definition
        if reading.has_files:
            reading.load(value, location)
        arguments = definition.arguments(value)
        decode = definition.decode
        if decode is not None:
            return Job(call(decode, **arguments), location)
        if definition.streams:
            return Job(arguments, location)
        (item,) = arguments.values()
        return Job(item, location)

    def _compute(self, item: t.Any) -> t.Any:
        return self._encoded(self._submitted(item))

    def _submitted(self, item: t.Any) -> t.Any:
        if is_in_greenlet():
            result = submit_while_there(self.batcher, item)
        else:
            result = self.batcher.submit(item)
        if isinstance(result, Exception):
            raise result
        return result

    def _encoded(self, result: t.Any) -> t.Any:
        encode = self.definition.encode
        return result if encode is None else call(encode, result)

    def respond(self, job: Job) -> Response:
        """The answer to a request."""
        try:
            made = self._guarded(job.location, self._respond, job)
        except Exception as error:
            self.note(_status_of(error))
            raise
        self.note(200)
        return t.cast("Response", made)

    def _respond(self, job: Job) -> t.Any:
        if self.definition.streams:
            return stream(self.definition, self.streams, job.item, self._told(job.location))
        result = self._submitted(job.item)
        wish = JSON
        if self._writes_files:
            # Off the event loop: images are packed.
            body, wish = beside(self._written, result, request.accept_mimetypes)
        else:
            body = as_json(self._encoded(result))
        cls: t.Any = current_app.response_class
        if wish != JSON:
            return cls(body, mimetype=wish, headers=_OF_FILES)
        # PERF: this spares most answers their headers.
        make = getattr(cls, "_from_bytes", None)
        return make(body, wish) if make is not None else cls(body, mimetype=wish)

    def _written(self, result: t.Any, accepted: t.Any) -> tuple[bytes, str]:
        """An answer with files in it: one that is a file as such, if that is what is accepted."""
        made = self._encoded(result)
        file = Image.of(made) if is_pillow(type(made)) else made
        if isinstance(file, File):
            wish = accepted.best_match([JSON, file.known_type()], JSON)
            if wish != JSON:
                return file.data, wish
        return as_json(made), JSON

    def _guarded(self, location: str, function: t.Any, *args: t.Any) -> t.Any:
        """Call what runs the model's own code; its errors as answers."""
        try:
            return function(*args)
        except HTTPException:
            raise
        except Exception as error:
            problem = self.problem(error, location)
            if problem is error:
                raise
            raise problem from error

    def problem(self, error: Exception, location: str) -> Exception:
        """What to raise for an error on the way to an answer."""
        app: t.Any = current_app
        if app._find_error_handler(error, request.blueprints) is not None:
            return error
        if isinstance(error, (BadItem, PydanticCustomError)):
            return bad_item(error, location)
        return problem_of(error) or failed(error, self._failure())

    def _failure(self) -> Problem:
        return Problem(500, "The model failed on this input.")

    def _told(self, location: str) -> Callable[[Exception], Problem]:
        """What tells of an error in a stream, whose request has been answered: a problem."""
        app: t.Any = current_app._get_current_object()  # type: ignore[attr-defined]
        name = self.definition.name

        def told(error: Exception) -> Problem:
            if isinstance(error, (BadItem, PydanticCustomError)):
                return bad_item(error, location)
            problem = problem_of(error)
            if problem is None:
                app.logger.error("Exception in a stream of %s", name, exc_info=error)
            return problem or self._failure()

        return told

    # Life

    def _warm(self) -> None:
        """Compute the items of `warm_up`, or those of the examples, once."""
        definition = self.definition
        if definition.streams and definition.warm_up is None:
            return
        items: t.Any = None
        if definition.warm_up is not None:
            items = call(definition.warm_up)
        elif self.examples:
            items = [self._example_item(each) for each in self.examples]
        if items is None or definition.streams:
            return
        for arguments in _batches(self.batcher, items):
            call(definition.predict, *arguments)

    def _example_item(self, example: t.Any) -> t.Any:
        inputs = {each.name: each for each in self.definition.inputs}
        values = example if isinstance(example, Mapping) else {[*inputs][0]: example}
        given = {
            name: Path(value).read_bytes()
            if name in inputs and inputs[name].is_file and isinstance(value, (str, Path))
            else value
            for name, value in values.items()
        }
        value = self.definition.adapter.validate_python(given)
        return self._decode(value, "json").item

    def open(self) -> None:
        """Take items, also again after `stop`."""
        self._users += 1
        if self.streams.closed:
            self.streams.closed = False
            self.batcher = self._new_batcher()

    def stop(self) -> None:
        """Answer what waits, and take no more."""
        # Applications that have registered a blueprint share its predictors.
        self._users = max(self._users - 1, 0)
        if not self._users:
            self.streams.closed = True
            self.batcher.close()


def _batches(batcher: Batcher[t.Any, t.Any], items: Iterable[t.Any]) -> Iterator[tuple[t.Any, ...]]:
    """The arguments of `predict` for items, those together that can be."""
    collate, most = batcher.collate, batcher.max_size
    groups: dict[t.Any, list[t.Any]] = {}
    for item in items:
        key, value = collate.prepare(item)
        groups.setdefault(key, []).append(value)
    for group in groups.values():
        for first in range(0, len(group), most):
            yield collate.join(group[first : first + most])


def _status_of(error: Exception) -> int:
    return getattr(error, "code", None) or 500


def _never(items: list[t.Any]) -> t.NoReturn:
    raise RuntimeError("Streams are not batched.")

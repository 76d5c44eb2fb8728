"""The view of a page: a form comes in, and the page goes out with the answer in it."""

from __future__ import annotations

import time
import typing as t
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain, islice

from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import HTTPException

from ...globals import request
from ...helpers import stream_with_context, url_for
from .calls import Sent, calls_of
from .inputs import Example, Field, field_of
from .outputs import View, json_text, view_of
from .page import Demo, Demos
from .token import FIELD, Token

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from werkzeug.datastructures import FileStorage

    from ...wrappers import Response
    from ..fields import Output
    from .examples import Chosen

#: Names in the form that no input can have.
EXAMPLE_FIELD = "erlen-example"
CHOOSE_FIELD = "erlen-choose"

_POLICY = "; ".join(
    f"{name} {value}"
    for name, value in {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data: blob:",
        "media-src": "'self' data: blob:",
        "font-src": "'self'",
        "connect-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'self'",
    }.items()
)
#: No `no-referrer`: browsers would send forms with `Origin: null`.
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "private, no-cache",
}
_EVENTS = "text/event-stream"
_HTML = "text/html"
_OK = 200


@dataclass
class Form:
    """What was asked, by the form or by an example."""

    texts: MultiDict[str, str]
    files: MultiDict[str, FileStorage]
    #: The example whose files stand in for those that nobody has chosen.
    example: int | None = None

    def given(self) -> dict[str, t.Any]:
        """The values by inputs, all that there are of each."""
        names = dict.fromkeys([*self.texts, *self.files])
        return {name: [*self.texts.getlist(name), *self.files.getlist(name)] for name in names}


@dataclass
class State:
    """What the page shows besides its form."""

    form: Form | None = None
    status: int = _OK
    headers: Mapping[str, str] = field(default_factory=dict)
    #: What went wrong with all of it, and with inputs.
    fault: str = ""
    faults: dict[str, str] = field(default_factory=dict)
    elsewhere: list[str] = field(default_factory=list)
    answer: t.Any = None
    #: Of an answer that comes item by item: the first ones, and what gives the others.
    ahead: Sequence[t.Any] = ()
    pieces: Iterator[t.Any] | None = None
    started: float = 0.0
    #: That the answer took; `None` where there is none.
    seconds: float | None = None


def respond(demos: Demos, demo: Demo) -> Response:
    """The page, with the answer to its form if that was sent."""
    token = Token(request, demos.app.config)
    if request.method == "POST":
        wants_events = request.accept_mimetypes.best_match([_HTML, _EVENTS]) == _EVENTS
        state = _read(demo, token)
        _ask(demo, state)
        if state.pieces is not None:
            if wants_events:
                return _guarded(demos, demo, token, _events(demos, demo, token, state))
            _collect(state)
    else:
        state = State()
    return _page(demos, demo, token, state)


def _page(demos: Demos, demo: Demo, token: Token, state: State) -> Response:
    text = demos.render(demo.page.template, _context(demos, demo, token, state))
    response = demos.app.response_class(text, status=state.status, mimetype=_HTML)
    response.headers.update(state.headers)
    return _guarded(demos, demo, token, response)


def _guarded(demos: Demos, demo: Demo, token: Token, response: Response) -> Response:
    response.headers.update(_HEADERS)
    response.vary.add("Cookie")
    token.keep(response, url_for(demo.endpoint))
    return response


# In


def _read(demo: Demo, token: Token) -> State:
    """What the form brings."""
    state = State()
    demo.served.reading.limit(request)
    try:
        form, files = request.form, request.files
    except HTTPException as error:
        _refuse(state, error)
        return state
    fault = token.fault(form.get(FIELD, ""))
    if fault is not None:
        state.status, state.fault = 403, fault
        return state
    chosen = _example(demo, form.get(CHOOSE_FIELD))
    if chosen is not None:
        state.form = _form_of(demo, chosen)
        return state
    found = Form(
        # Forms send lines as mail does; programs, and people who look at the field, do not.
        MultiDict((name, text.replace("\r\n", "\n")) for name, text in form.items(multi=True)),
        # Browsers send a part without a name where nobody chose a file.
        MultiDict((name, file) for name, file in files.items(multi=True) if file.filename),
    )
    for name in (FIELD, EXAMPLE_FIELD, CHOOSE_FIELD):
        found.texts.poplist(name)
    stand_in = _example(demo, form.get(EXAMPLE_FIELD))
    if stand_in is not None:
        for name, file in stand_in.files.items():
            if name not in found.files and not found.texts.get(name):
                found.files.add(name, file.upload(name))
                found.example = stand_in.number
    for each in demo.served.inputs:
        # A box that is not ticked sends nothing.
        if each.kind == "boolean" and each.name not in found.texts:
            found.texts.add(each.name, "false")
    state.form = found
    return state


def _example(demo: Demo, number: str | None) -> Chosen | None:
    if number is None or not number.isascii() or not number.isdigit() or len(number) > 6:
        return None
    return demo.examples[int(number)] if int(number) < len(demo.examples) else None


def _form_of(demo: Demo, chosen: Chosen) -> Form:
    """An example as if it had been typed; inputs that it does not have keep their defaults."""
    form = MultiDict((name, text) for name, texts in chosen.texts.items() for text in texts)
    for each in demo.served.inputs:
        if each.name not in chosen.texts and each.name not in chosen.files:
            for text in field_of(each).values:
                form.add(each.name, text)
    files = MultiDict((name, file.upload(name)) for name, file in chosen.files.items())
    return Form(form, files, example=chosen.number if chosen.files else None)


# The answer


def _ask(demo: Demo, state: State) -> None:
    """Have the form answered; of a predictor that yields, up to the first item."""
    if state.form is None:
        return
    given = state.form.given()
    state.started = time.perf_counter()
    try:
        if demo.served.output.stream:
            state.pieces = demo.served.pieces(given)
            state.ahead = [*islice(state.pieces, 1)]
        else:
            state.answer = demo.served.answer(given)
            state.seconds = time.perf_counter() - state.started
    except HTTPException as error:
        state.pieces = None
        _refuse(state, error)


def _taken(state: State) -> Iterator[t.Any]:
    """The items of an answer as they come; those that came are kept."""
    state.answer = []
    try:
        with closing(t.cast("t.Any", state.pieces)) as pieces:
            for each in chain(state.ahead, pieces):
                state.answer.append(each)
                yield each
    except HTTPException as error:
        _refuse(state, error)
    else:
        state.seconds = time.perf_counter() - state.started


def _collect(state: State) -> None:
    for _ in _taken(state):
        pass


def _refuse(state: State, error: HTTPException) -> None:
    """Take a problem into the page: each fault to its input."""
    state.status = error.code or 500
    state.headers = {
        name: value for name, value in error.get_headers() if name.lower() == "retry-after"
    }
    faults = getattr(error, "errors", None) or ()
    for each in faults:
        _, *place = each["location"]
        if place:
            state.faults.setdefault(str(place[0]), _said(each["message"], place[1:]))
        else:
            state.elsewhere.append(f"{each['message']}.")
    if not faults:
        state.fault = getattr(error, "description", None) or error.name


def _said(message: str, place: Sequence[t.Any]) -> str:
    within = "".join(f"[{each!r}]" for each in place)
    return f"{within}: {message}." if within else f"{message}."


def _events(demos: Demos, demo: Demo, token: Token, state: State) -> Response:
    """The answer piece by piece, as server-sent events, then the page with all of it."""
    from ...streaming import Event, EventStream

    def events() -> Iterator[Event]:
        for each in _taken(state):
            yield Event(each if isinstance(each, str) else json_text(each) + "\n")
        page = demos.render(demo.page.template, _context(demos, demo, token, state))
        yield Event(page, event="page")

    kept: t.Any = events()
    return EventStream(stream_with_context(kept))


# Out


def _context(demos: Demos, demo: Demo, token: Token, state: State) -> dict[str, t.Any]:
    """What the templates get."""
    served, page = demo.served, demo.page
    fields = [*_fields(demo, state)]
    shown = {each.name for each in fields}
    elsewhere = [*state.elsewhere]
    elsewhere += [f"{name}: {text}" for name, text in state.faults.items() if name not in shown]
    fault = state.fault or ("What is marked below has to be changed." if state.faults else "")
    url = url_for(demo.asked, _external=True)
    calls = None
    if state.seconds is not None:
        calls = calls_of(url, _sent(demo, state.form), streams=served.output.stream)
    docs = getattr(demos.app.extensions.get("erlen.docs"), "pages", ())
    about = {
        "title": demo.title,
        "description": served.description if page.description is None else page.description,
        "button": page.button,
        "url": url_for(demo.endpoint),
        "links": _links(demos, demo),
        "live": page.live,
        "streams": served.output.stream,
        "max_size": request.max_content_length or served.reading.most,
        "asset": lambda name: url_for(demo.asset_endpoint, name=name),
        "token": token.signed(),
        "token_field": FIELD,
        "example_field": EXAMPLE_FIELD,
        "choose_field": CHOOSE_FIELD,
        "endpoint_url": url_for(demo.asked),
        "docs_url": url_for(docs[0]) if docs else None,
    }
    return {
        **page.context,
        "page": about,
        "fields": fields,
        "example": state.form.example if state.form is not None else None,
        "examples": [_button(demo, each) for each in demo.examples],
        "problem": {"text": fault, "elsewhere": elsewhere} if fault or elsewhere else None,
        "failed": state.status != _OK or bool(fault),
        "result": _result(served.output, state),
        "calls": calls,
    }


def _links(demos: Demos, demo: Demo) -> list[dict[str, t.Any]]:
    """To the other pages of the application, where there are any."""
    if len(demos.all) < 2:
        return []
    return [
        {"url": url_for(each.endpoint), "label": each.title, "is_current": each is demo}
        for each in demos.all
    ]


def _button(demo: Demo, chosen: Chosen) -> dict[str, t.Any]:
    picture = None
    if chosen.pictured is not None:
        picture = url_for(demo.file_endpoint, number=chosen.number, name=chosen.pictured)
    return {"number": chosen.number, "label": chosen.label, "picture": picture}


def _fields(demo: Demo, state: State) -> Iterator[Field]:
    form = state.form
    for each in demo.served.inputs:
        example = None
        if form is not None and form.example is not None:
            file = demo.examples[form.example].files.get(each.name)
            if file is not None:
                url = url_for(demo.file_endpoint, number=form.example, name=each.name)
                example = Example(file.name, url)
        values = None if form is None else form.texts.getlist(each.name)
        yield field_of(each, values, state.faults.get(each.name, ""), example)


def _sent(demo: Demo, form: Form | None) -> list[Sent]:
    """What the form asked with, in the order of the inputs."""
    sent: list[Sent] = []
    if form is None:
        return sent
    for each in demo.served.inputs:
        sent += [Sent(each.name, text) for text in form.texts.getlist(each.name) if text]
        sent += [
            Sent(each.name, "", file.filename or each.name, file.mimetype)
            for file in form.files.getlist(each.name)
        ]
    return sent


def _result(output: Output, state: State) -> dict[str, t.Any] | None:
    if state.seconds is None:
        return None
    return {
        "outputs": [*_views(output, state.answer)],
        "json": json_text(state.answer),
        "took": f"{1000 * state.seconds:.0f} ms" if state.seconds < 1 else f"{state.seconds:.1f} s",
    }


def _views(output: Output, answer: t.Any) -> Iterator[View]:
    if output.stream:
        if all(isinstance(each, str) for each in answer):
            yield view_of("text", "".join(answer))
        else:
            for each in answer:
                yield view_of(output.kind, each)
    elif output.members and isinstance(answer, dict):
        for member in output.members:
            if member.name in answer:
                yield view_of(member.kind, answer[member.name], member.label)
    else:
        yield view_of(output.kind, answer)

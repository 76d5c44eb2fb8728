"""Runs one application on both frameworks and compares all that can be seen of it.

A case is a function `build(fw, log)` that makes an application: `fw` is the framework (attributes
of `flask`, submodules by `fw.sub("ctx")`), `log` a list to which hooks and views append. Its
script is a list of steps: requests (`get`, `post`, `call`) or functions of the application that
change something in between. Compared are status, headers with their order, body, what was raised,
what was logged, the signals, and the warnings.
"""

from __future__ import annotations

import re
import typing as t
import warnings
from dataclasses import dataclass, field
from importlib import import_module
from io import BytesIO

import pytest
from carrying import carried, over_asgi
from werkzeug.test import EnvironBuilder

SIGNALS = (
    "template_rendered",
    "before_render_template",
    "request_started",
    "request_finished",
    "request_tearing_down",
    "got_request_exception",
    "appcontext_tearing_down",
    "appcontext_pushed",
    "appcontext_popped",
    "message_flashed",
)


class Framework:
    """`flask` or `erlen`, so that an application can be written once for both."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._root = pytest.importorskip(name, reason=f"{name} is not installed")

    def __getattr__(self, name: str) -> t.Any:
        return getattr(self._root, name)

    def sub(self, name: str) -> t.Any:
        return import_module(f"{self.name}.{name}")

    def app(self, **options: t.Any) -> t.Any:
        """An application with a secret key, quiet about its errors."""
        config = options.pop("config", {})
        cls = options.pop("cls", self._root.Flask)
        options.setdefault("root_path", "/nonexistent")
        app = cls("differential", **options)
        app.config.update({"SECRET_KEY": "key", **config})
        app.logger.disabled = True
        return app


@dataclass
class Call:
    """A request, as arguments of Werkzeug's `EnvironBuilder` and changes of its environ."""

    path: str
    options: dict[str, t.Any] = field(default_factory=dict)
    environ: dict[str, t.Any] = field(default_factory=dict)
    leave_out: tuple[str, ...] = ()
    close: bool = True
    cookies: bool = False
    #: About the environ itself: not asked over ASGI.
    only_wsgi: bool = False

    def make_environ(self, jar: dict[str, str]) -> dict[str, t.Any]:
        builder = EnvironBuilder(self.path, **self.options)
        environ = builder.get_environ()
        builder.close()
        if self.cookies and jar:
            environ["HTTP_COOKIE"] = "; ".join(f"{k}={v}" for k, v in jar.items())
        body = self.environ.get("wsgi.input")
        environ.update(self.environ)
        if isinstance(body, bytes):
            environ["wsgi.input"] = BytesIO(body)
        if over_asgi():  # as an ASGI server has it
            environ.update({"wsgi.multithread": True, "wsgi.multiprocess": True})
        for name in self.leave_out:
            environ.pop(name, None)
        return environ


_CALL_OPTIONS = ("environ", "leave_out", "close", "cookies", "only_wsgi")


def call(path: str, **options: t.Any) -> Call:
    own = {name: options.pop(name) for name in _CALL_OPTIONS if name in options}
    return Call(path, options, **own)


def get(path: str, **options: t.Any) -> Call:
    return call(path, **options)


def post(path: str, data: t.Any = None, **options: t.Any) -> Call:
    return call(path, method="POST", data=data, **options)


@dataclass
class Outcome:
    """What a step gave; compared field by field."""

    status: str | None = None
    headers: list[tuple[str, str]] | None = None
    body: bytes | None = None
    raised: str | None = None
    value: t.Any = None
    log: list[t.Any] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)

    def leave_out_what_asgi_lacks(self) -> None:
        """A status has no reason, headers no capitals; a response begins after the teardown, and
        ends before the client knows."""
        self.status = self.status and self.status[:3]
        self.headers = self.headers and [(name.lower(), value) for name, value in self.headers]
        if self.raised is not None:
            self.status = self.headers = self.body = None
        self.log = [entry for entry in self.log if entry != "-- sent"]


_ADDRESS = re.compile(r"0x[0-9a-f]+")
_NAMES = re.compile(r"\b(flask|erlen|Flask|Erlen)\b")


def plain(text: str) -> str:
    """A text without addresses, and without the framework's name."""
    return _NAMES.sub("<framework>", _ADDRESS.sub("0x", text))


def describe(error: BaseException) -> str:
    """Class and text of an error; a class that Flask lacks counts as its base."""
    kind = next(c for c in type(error).__mro__ if not c.__module__.startswith("erlen.errors"))
    text = str(error).split("\n  at ")[0]
    return plain(f"{kind.__module__}.{kind.__qualname__}: {text}")


def _is_date(name: str) -> bool:
    return name in ("Date", "Expires")


def _steady(name: str, value: str) -> str:
    """A header without what depends on the second: times, and a session's signature."""
    if _is_date(name):
        return "<date>"
    if name == "Set-Cookie":
        value = re.sub(r"Expires=[^;]*", "Expires=<date>", value)
        value = re.sub(r"^(\w+=\.?[\w-]+)\.[\w-]{6}\.[\w-]{27}", r"\1.<signed>", value)
    return plain(value) if name.startswith("X-") else value


def run_call(app: t.Any, request: Call, log: list[t.Any], jar: dict[str, str]) -> Outcome:
    """Send a request as a server would, down to closing the iterable."""
    seen = Outcome()
    environ = request.make_environ(jar)
    written: list[bytes] = []

    def start_response(status: str, headers: list[t.Any], exc_info: t.Any = None) -> t.Any:
        seen.status = status
        assert type(headers) is list
        for name, value in headers:
            assert type(name) is str and type(value) is str
            if name == "Set-Cookie":
                key, _, rest = value.partition("=")
                jar[key] = rest.partition(";")[0]
        seen.headers = [(name, _steady(name, value)) for name, value in headers]
        return written.append

    answer = None
    try:
        answer = app(environ, start_response)
        for piece in answer:
            assert isinstance(piece, bytes)
            written.append(piece)
    except Exception as error:
        seen.raised = describe(error)
    finally:
        log.append("-- sent")
        if request.close and hasattr(answer, "close"):
            try:
                answer.close()
            except Exception as error:
                log.append(f"closing: {describe(error)}")
    seen.body = b"".join(written)
    return seen


REPEATED = 3
Build = t.Callable[[Framework, list[t.Any]], t.Any]
Step = t.Any


@dataclass
class Case:
    """An application and a script for it."""

    name: str
    build: Build
    steps: tuple[Step, ...]
    signals: bool
    fails: bool

    def run(self, framework: str) -> list[Outcome]:
        fw = Framework(framework)
        log: list[t.Any] = []
        jar: dict[str, str] = {}
        outcomes: list[Outcome] = []
        app: t.Any = None

        def build() -> Outcome:
            nonlocal app
            app = self.build(fw, log)
            return Outcome()

        receivers = []
        audience = getattr(fw.sub("signals"), "audience", None)
        if audience is not None:  # as in a process that never used signals
            audience.ever = False
        if self.signals:
            for name in SIGNALS:

                def receive(sender: t.Any, _name: str = name, **values: t.Any) -> None:
                    values.pop("_async_wrapper", None)
                    log.append(("signal", _name, sender is app, sorted(values)))

                signal = getattr(fw, name)
                signal.connect(receive)
                receivers.append((signal, receive))
        try:
            for step in (build, *self._repeated()):
                del log[:]
                with warnings.catch_warnings(record=True) as warned:
                    warnings.simplefilter("always")
                    if step is build:
                        outcome = build()
                    elif isinstance(step, Call):
                        outcome = run_call(
                            carried(app) if framework == "erlen" else app, step, log, jar
                        )
                    else:
                        outcome = _run_step(step, app, fw)
                outcome.log = [plain(x) if isinstance(x, str) else x for x in log]
                outcome.warned = [
                    plain(f"{w.category.__name__}: {w.message}")
                    for w in warned
                    if not issubclass(w.category, ResourceWarning)
                ]
                outcomes.append(outcome)
        finally:
            for signal, receive in receivers:
                signal.disconnect(receive)
        return outcomes

    def _repeated(self) -> list[Step]:
        """The steps, each request three times: what is learnt from one counts for the next."""
        return [
            step
            for step in self.steps
            if not (isinstance(step, Call) and step.only_wsgi and over_asgi())
            for _ in range(REPEATED if isinstance(step, Call) else 1)
        ]

    def check(self) -> None:
        if over_asgi() and not any(isinstance(step, Call) for step in self._repeated()):
            pytest.skip("about the WSGI environ itself")
        expected = self.run("flask")
        actual = self.run("erlen")
        if over_asgi():
            for outcome in (*expected, *actual):
                outcome.leave_out_what_asgi_lacks()
        names = ["build", *(_label(step) for step in self._repeated())]
        steps = list(zip(names, expected, actual, strict=True))
        differences = [
            f"{name}: {what}{_difference(value, vars(ours)[what])}"
            for name, theirs, ours in steps
            for what, value in vars(theirs).items()
            if value != vars(ours)[what]
        ]
        if differences:
            pytest.fail("\n".join([f"case {self.name!r}", *differences[:8]]), pytrace=False)
        if not self.fails:  # the oracle says that the case tests what it says
            for name, theirs, _ in steps:
                failed = theirs.raised or (theirs.status or "").startswith("500")
                assert not failed, f"{name} fails in Flask: {theirs}"


def _difference(theirs: t.Any, ours: t.Any) -> str:
    where = ""
    if isinstance(theirs, list) and isinstance(ours, list):
        pairs = zip([*theirs, None], [*ours, None], strict=False)
        start = next(n for n, (a, b) in enumerate(pairs) if a != b)
        where, theirs, ours = f" from item {start}", theirs[start:], ours[start:]
    return f"{where}\n    flask {theirs!r}\n    erlen {ours!r}"


def _run_step(step: t.Any, app: t.Any, fw: Framework) -> Outcome:
    outcome = Outcome()
    try:
        value = step(app, fw) if step.__code__.co_argcount == 2 else step(app)
    except Exception as error:
        outcome.raised = describe(error)
    else:
        outcome.value = plain(value) if isinstance(value, str) else value
        if callable(value):  # the result of an assignment by `setattr`, say
            outcome.value = None
    return outcome


def _label(step: Step) -> str:
    if isinstance(step, Call):
        query = "&".join(step.options.get("query_string", {}).values())
        return f"{step.options.get('method', 'GET')} {step.path} {query}".rstrip()
    return getattr(step, "__name__", repr(step))


class Cases(list[Case]):
    """Collects cases; each function decorated is one."""

    def case(
        self, *steps: Step, signals: bool = False, fails: bool = False
    ) -> t.Callable[[Build], Build]:
        def add(build: Build) -> Build:
            name = build.__name__.strip("_").replace("_", " ")
            assert name not in [case.name for case in self], f"two cases are called {name!r}"
            self.append(Case(name, build, steps, signals, fails))
            return build

        return add

    def parametrize(self) -> t.Any:
        return pytest.mark.parametrize("case", self, ids=lambda case: case.name)

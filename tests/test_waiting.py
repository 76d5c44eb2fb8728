"""Views that are coroutine functions and wait: few of them, in greenlets, and many, without."""

from __future__ import annotations

import asyncio
import contextvars
import gc
from collections.abc import Coroutine, Iterable
from typing import Any

import pytest
from greenlet import greenlet
from scopes import http
from sqlalchemy.util import await_only, greenlet_spawn
from werkzeug.exceptions import Conflict

from erlen import Erlen, await_, g, has_request_context, jsonify, request, session
from erlen.engine import compile as compiling
from erlen.engine import greenlets
from erlen.state import NOTHING, current

MANY = 300

Message = dict[str, Any]


@pytest.fixture(params=[-1, greenlets.MOST_WAITING], ids=["without", "in-greenlets"], autouse=True)
def most_waiting(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many may wait in greenlets; with -1 every view that waits gives its own back."""
    most: int = request.param
    monkeypatch.setattr(compiling, "MOST_WAITING", most)
    # Others may have left some of theirs at work, or taken them out.
    monkeypatch.setattr(greenlets.of_thread, "greenlets", greenlets.Pool(), raising=False)
    return most


class Caller:
    """Asks an application over ASGI."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, path: str, body: bytes = b"") -> tuple[int, bytes]:
        sent: list[Message] = []
        headers = [
            (b"host", b"localhost"),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        await self.app(http(path, "POST" if body else "GET", headers=headers), receive, send)
        return sent[0]["status"], b"".join(message["body"] for message in sent[1:])

    async def warm(self) -> None:
        """The first request of a host goes the long way."""
        await self("/not/to/be/found")


def ask(app: Any, path: str, body: bytes = b"") -> tuple[int, bytes]:
    async def main() -> tuple[int, bytes]:
        call = Caller(app)
        await call.warm()
        return await call(path, body)

    return asyncio.run(main())


async def all_of(calls: Iterable[Coroutine[Any, Any, tuple[int, bytes]]]) -> list[Any]:
    """The answers; an error where one never comes."""
    return await asyncio.wait_for(asyncio.gather(*calls), 60)


async def turns(number: int = 1) -> int:
    for _ in range(number):
        await asyncio.sleep(0)
    return number


# Whose answer, and in what context


def test_each_of_many_gets_its_own_answer() -> None:
    app = Erlen(__name__)
    ended: list[int] = []

    @app.post("/<int:number>")
    async def view(number: int) -> Any:
        g.number = number
        await turns(number % 5)
        value = request.get_json()["value"]
        await asyncio.sleep((number * 7 % 11) / 1000)
        assert (g.number, request.path) == (number, f"/{number}")
        return {"value": value, "number": g.number}

    @app.teardown_request
    def note(error: BaseException | None) -> None:
        ended.append(g.number)
        assert error is None

    async def main() -> None:
        call = Caller(app)
        await call("/0", b'{"value": 0}')
        bodies = [b'{"value": %d}' % (number + MANY) for number in range(MANY)]
        answers = await all_of(call(f"/{n}", body) for n, body in enumerate(bodies))
        for number, (status, body) in enumerate(answers):
            assert status == 200
            assert body == b'{"number":%d,"value":%d}\n' % (number, number + MANY)
        assert current.get() is NOTHING

    asyncio.run(main())
    assert sorted(ended) == [0, *range(MANY)]


def test_greenlets_are_given_back_while_many_wait(most_waiting: int) -> None:
    app = Erlen(__name__)
    gates: list[asyncio.Event] = []

    @app.get("/")
    async def view() -> str:
        await gates[0].wait()
        await gates[1].wait()
        return "done"

    async def main() -> None:
        gates[:] = asyncio.Event(), asyncio.Event()
        call = Caller(app)
        await call.warm()
        before = count_greenlets()
        tasks = [asyncio.create_task(call("/")) for _ in range(MANY)]
        for gate in gates:
            await turns(3)
            assert count_greenlets() - before <= most_waiting + 3
            gate.set()
        assert await asyncio.gather(*tasks) == [(200, b"done")] * MANY

    asyncio.run(main())


def count_greenlets() -> int:
    gc.collect()
    # By type: some objects answer `isinstance` with a warning.
    return sum(issubclass(type(thing), greenlet) for thing in gc.get_objects())


def test_context_variables_and_the_task_are_the_same_throughout() -> None:
    app = Erlen(__name__)
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")

    @app.get("/<name>")
    async def view(name: str) -> str:
        task = asyncio.current_task()
        token = variable.set(name)
        await turns()
        assert variable.get() == name
        assert asyncio.current_task() is task
        variable.reset(token)
        await turns()
        assert variable.get("unset") == "unset"
        async with asyncio.timeout(10) if hasattr(asyncio, "timeout") else asyncio.Lock():
            await turns()
        return name

    async def main() -> None:
        call = Caller(app)
        await call.warm()
        assert await asyncio.gather(call("/a"), call("/b")) == [(200, b"a"), (200, b"b")]

    asyncio.run(main())


def test_session_and_functions_after_the_request_are_served_as_ever() -> None:
    app = Erlen(__name__)
    app.secret_key = "not so secret"
    order: list[str] = []

    @app.before_request
    def before() -> None:
        order.append("before")

    @app.after_request
    def after(response: Any) -> Any:
        order.append("after")
        response.headers["X-After"] = session["name"]
        return response

    @app.get("/")
    async def view() -> Any:
        await turns()
        session["name"] = "somebody"
        await turns()
        order.append("view")
        return jsonify(done=True), 201

    sent: list[Message] = []

    async def main() -> None:
        call = Caller(app)
        await call.warm()
        order.clear()

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        await app(http("/"), receive, send)

    asyncio.run(main())
    headers = dict(sent[0]["headers"])
    assert sent[0]["status"] == 201
    assert headers[b"x-after"] == b"somebody"
    assert headers[b"set-cookie"].startswith(b"session=")
    assert order == ["before", "view", "after"]


def test_before_request_function_may_answer_and_the_view_may_wait_behind_it() -> None:
    app = Erlen(__name__)

    @app.before_request
    async def before() -> str | None:
        await turns()
        return "early" if request.path == "/early" else None

    @app.get("/<name>")
    async def view(name: str) -> str:
        await turns(2)
        return name

    assert ask(app, "/early") == (200, b"early")
    assert ask(app, "/late") == (200, b"late")


# Errors


def test_error_raised_after_a_wait_is_handled() -> None:
    app = Erlen(__name__)

    @app.get("/<kind>")
    async def view(kind: str) -> Any:
        await turns()
        raise {"lookup": LookupError("mine"), "conflict": Conflict("Both want it.")}[kind]

    @app.errorhandler(LookupError)
    async def handle(error: LookupError) -> Any:
        await turns()
        return f"{error} at {request.path}", 418

    assert ask(app, "/lookup") == (418, b"mine at /lookup")
    status, body = ask(app, "/conflict")
    assert (status, b"Both want it." in body) == (409, True)


def test_error_that_is_being_handled_while_the_view_waits_stays_its_own() -> None:
    app = Erlen(__name__)

    @app.get("/<int:number>")
    async def view(number: int) -> Any:
        try:
            raise LookupError(number)
        except LookupError:
            await turns(number % 4)
            raise

    @app.errorhandler(LookupError)
    def handle(error: LookupError) -> Any:
        assert error.__context__ is None
        return str(error), 418

    async def main() -> None:
        call = Caller(app)
        await call.warm()
        answers = await all_of(call(f"/{number}") for number in range(MANY))
        assert answers == [(418, b"%d" % number) for number in range(MANY)]

    asyncio.run(main())


def test_error_that_nobody_handles_is_told_with_its_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = Erlen(__name__)
    errors: list[BaseException | None] = []
    app.teardown_request(errors.append)

    @app.get("/")
    async def view() -> Any:
        await turns()
        return fail()

    def fail() -> None:
        raise ZeroDivisionError("in the midst")

    assert ask(app, "/")[0] == 500
    assert [type(error) for error in errors if error] == [ZeroDivisionError]
    assert "in the midst" in caplog.text
    assert ", in fail" in caplog.text


def test_cancelled_view_cleans_up_in_its_context() -> None:
    app = Erlen(__name__)
    seen: list[Any] = []

    @app.get("/<kind>")
    async def view(kind: str) -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await turns()
            seen.append(request.path)
            if kind == "stubborn":
                return "in spite of it"
            raise
        raise AssertionError

    @app.teardown_request
    def note(error: BaseException | None) -> None:
        seen.append(type(error))

    async def main() -> None:
        call = Caller(app)
        await call.warm()
        seen.clear()
        for path in ("/mild", "/stubborn"):
            task = asyncio.create_task(call(path))
            await turns(3)
            task.cancel()
            result = await asyncio.gather(task, return_exceptions=True)
            seen.append(type(result[0]))
        assert current.get() is NOTHING

    asyncio.run(main())
    mild = ["/mild", asyncio.CancelledError, asyncio.CancelledError]
    assert seen == [*mild, "/stubborn", type(None), tuple]


def test_closing_a_request_that_waits_runs_its_clean_up() -> None:
    app = Erlen(__name__)
    steps: list[str] = []

    @app.get("/")
    async def view() -> str:
        try:
            await turns(5)
        finally:
            steps.append("closing")
            with pytest.raises(RuntimeError, match="nothing can be awaited"):
                await turns()
            steps.append("closed")
        return "never"

    @app.teardown_request
    def note(error: BaseException | None) -> None:
        steps.append(type(error).__name__)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        raise AssertionError

    async def main() -> None:
        await Caller(app).warm()
        steps.clear()
        call = app(http("/"), receive, send)
        call.send(None)
        call.close()

    asyncio.run(main())
    assert steps == ["closing", "closed", "GeneratorExit"]


# Sync code in such a view


def test_sync_code_waits_before_and_after_the_view_does() -> None:
    app = Erlen(__name__)

    def waiting(value: int) -> int:
        return await_(turns(value)) + await_(turns(1))

    @app.get("/<int:number>")
    async def view(number: int) -> Any:
        first = waiting(2)
        await turns(number % 3)
        second = waiting(number % 4)
        await turns()
        with pytest.raises(LookupError):
            await_(failing())
        assert has_request_context()
        return {"values": [first, second, waiting(3)], "path": request.path}

    async def failing() -> None:
        await turns()
        raise LookupError

    async def main() -> None:
        call = Caller(app)
        await call.warm()
        answers = await all_of(call(f"/{number}") for number in range(MANY))
        for number, (status, body) in enumerate(answers):
            values = b"[3,%d,4]" % (number % 4 + 1)
            assert status == 200
            assert body == b'{"path":"/%d","values":%s}\n' % (number, values)

    asyncio.run(main())


def test_greenlets_made_in_a_view_lead_back_to_it() -> None:
    """As SQLAlchemy's do, in which sync code waits in the midst of a coroutine that waits."""
    app = Erlen(__name__)

    def query(number: int) -> list[int]:
        return [await_only(answer(number + step)) for step in range(4)]

    async def answer(value: int) -> int:
        await asyncio.sleep(value % 3 / 1000)
        return value

    @app.get("/<int:number>")
    async def view(number: int) -> Any:
        await turns(number % 3)
        found = await greenlet_spawn(query, number)
        await turns()
        return {"found": found, "path": request.path, "again": await greenlet_spawn(query, 0)}

    async def main() -> None:
        call = Caller(app)
        await call.warm()
        answers = await all_of(call(f"/{number}") for number in range(MANY))
        for number, (status, body) in enumerate(answers):
            found = b",".join(b"%d" % (number + step) for step in range(4))
            assert status == 200
            expected = b'{"again":[0,1,2,3],"found":[%s],"path":"/%d"}\n' % (found, number)
            assert body == expected

    asyncio.run(main())


def test_greenlet_that_a_view_keeps_finds_its_way_back() -> None:
    app = Erlen(__name__)

    def inner() -> Any:
        here = greenlet.getcurrent()
        value = None
        while value != "end":
            value = here.parent.switch(value)
        return "ended"

    @app.get("/<name>")
    async def view(name: str) -> str:
        kept = greenlet(inner)
        kept.switch()
        said = []
        for number in range(5):
            await turns(number % 3)
            said.append(kept.switch(f"{name}{number}"))
        said.append(kept.switch("end"))
        return " ".join(said)

    async def main() -> None:
        call = Caller(app)
        await call.warm()
        names = [f"n{number}-" for number in range(MANY)]
        answers = await all_of(call(f"/{name}") for name in names)
        for name, (status, body) in zip(names, answers, strict=True):
            expected = " ".join([*(f"{name}{number}" for number in range(5)), "ended"])
            assert (status, body.decode()) == (200, expected)

    asyncio.run(main())


def test_application_called_in_a_view_waits_too() -> None:
    inner, outer = Erlen("inner"), Erlen("outer")

    @inner.get("/<name>")
    async def innermost(name: str) -> str:
        await turns(2)
        return name + await_(asyncio.sleep(0, "!"))

    @outer.get("/<kind>/<name>")
    async def view(kind: str, name: str) -> str:
        call = Caller(inner)
        await call.warm()
        await turns()
        if kind == "awaited":
            status, body = await call(f"/{name}")
        elif kind == "bridged":
            status, body = await_(call(f"/{name}"))
        else:
            status, body = await asyncio.create_task(call(f"/{name}"))
        return f"{status} {body.decode()} {request.path}"

    async def main() -> None:
        call = Caller(outer)
        await call.warm()
        kinds = ["awaited", "bridged", "task"] * 30
        answers = await all_of(call(f"/{k}/{n}") for n, k in enumerate(kinds))
        for number, (kind, (status, body)) in enumerate(zip(kinds, answers, strict=True)):
            assert (status, body.decode()) == (200, f"200 {number}! /{kind}/{number}")

    asyncio.run(main())

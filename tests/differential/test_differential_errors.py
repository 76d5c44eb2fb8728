"""Errors that views raise or return reach the client as from Flask, whatever their class does."""

from __future__ import annotations

import typing as t
from datetime import datetime, timezone

import pytest
from werkzeug import exceptions as http
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.wrappers import Response

from .harness import Case, Cases, Framework, call, get, post

cases = Cases()
Log = list[t.Any]


def with_headers(*headers: tuple[t.Any, t.Any], code: int = 503) -> http.HTTPException:
    """An error whose headers are these."""

    class Special(http.HTTPException):
        def get_headers(self, environ: t.Any = None, scope: t.Any = None) -> t.Any:
            return list(headers)

    Special.code = code
    return Special("special")


HTML = ("Content-Type", "text/html; charset=utf-8")


class OfTheRequest(http.ServiceUnavailable):
    def get_body(self, environ: t.Any = None, scope: t.Any = None) -> str:
        assert environ is not None
        return f"nothing at {environ['PATH_INFO']}"


class Described(http.NotFound):
    def get_description(self, environ: t.Any = None, scope: t.Any = None) -> str:
        assert environ is not None
        return f"described at {environ['PATH_INFO']}"


class InBytes(http.NotFound):
    def get_body(self, environ: t.Any = None, scope: t.Any = None) -> t.Any:
        return "ä".encode()


class Responding(http.NotFound):
    def get_response(self, environ: t.Any = None, scope: t.Any = None) -> t.Any:
        return Response("own response", 418)


class Calling(http.NotFound):
    def __call__(self, environ: t.Any, start_response: t.Any) -> t.Any:
        start_response("404 Nowhere", [("X-Called", "yes")])
        return [b"called"]


class Unfinished(http.NotFound):
    """Without the constructor of the base."""

    def __init__(self) -> None:
        Exception.__init__(self, "unfinished")
        self.response = None


def _of_code(code: t.Any) -> http.HTTPException:
    error = http.HTTPException("of a code")
    error.code = code
    return error


MAKERS: dict[str, t.Callable[[], Exception]] = {
    "plain": http.NotFound,
    "markup": lambda: http.NotFound("a <b> & ä"),
    "methods": lambda: http.MethodNotAllowed(["GET", "PUT"]),
    "one challenge": lambda: http.Unauthorized(
        www_authenticate=WWWAuthenticate("basic", {"realm": "r"})
    ),
    "two challenges": lambda: http.Unauthorized(
        www_authenticate=[WWWAuthenticate("basic"), WWWAuthenticate("digest", {"nonce": "n"})]
    ),
    "later": lambda: http.TooManyRequests(retry_after=5),
    "at a time": lambda: http.ServiceUnavailable(
        retry_after=datetime(2030, 1, 1, tzinfo=timezone.utc)
    ),
    "range": lambda: http.RequestedRangeNotSatisfiable(10),
    "key": lambda: http.BadRequestKeyError("name"),
    "response": lambda: http.NotFound(response=Response("mine", 410)),
    "of the request": OfTheRequest,
    "described": Described,
    "in bytes": InBytes,
    "responding": Responding,
    "calling": Calling,
    "unfinished": Unfinished,
    "code 204": lambda: _of_code(204),
    "code 304": lambda: _of_code(304),
    "code 299": lambda: _of_code(299),
    "code 499": lambda: _of_code(499),
    "code 599": lambda: _of_code(599),
    "no headers": with_headers,
    "only another": lambda: with_headers(("X-Other", "1")),
    "another first": lambda: with_headers(("X-Other", "1"), HTML),
    "plain text": lambda: with_headers(("Content-Type", "text/plain")),
    "two types": lambda: with_headers(HTML, ("content-type", "text/plain")),
    "small letters": lambda: with_headers(("content-type", "text/plain")),
    "twice": lambda: with_headers(HTML, ("X-Twice", "1"), ("X-Twice", "2")),
    "twice in other letters": lambda: with_headers(HTML, ("X-Twice", "1"), ("x-twice", "2")),
    "cookies": lambda: with_headers(HTML, ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")),
    "length": lambda: with_headers(HTML, ("Content-Length", "2")),
    "location": lambda: with_headers(HTML, ("Location", "/ä b"), code=404),
    "content location": lambda: with_headers(HTML, ("content-location", "/ä b")),
    "latin": lambda: with_headers(HTML, ("X-Latin", "ä")),
    "a number": lambda: with_headers(HTML, ("X-Number", 5)),
    "tab": lambda: with_headers(HTML, ("X-Tab", "a\tb")),
    "empty": lambda: with_headers(HTML, ("X-Empty", "")),
}
FAILING = {"line end": lambda: with_headers(HTML, ("X-Split", "a\r\nX-Other: b"))}


def _views(app: t.Any, makers: dict[str, t.Callable[[], Exception]]) -> t.Any:
    def of(name: str) -> Exception:
        return makers[name.replace("-", " ")]()

    @app.route("/raised/<name>", methods=["GET", "POST"])
    def raised(name: str) -> t.NoReturn:
        raise of(name)

    @app.route("/awaited/<name>", methods=["GET", "POST"])
    async def awaited(name: str) -> t.NoReturn:
        raise of(name)

    @app.get("/returned/<name>")
    def returned(name: str) -> t.Any:
        return of(name)

    return app


def _everywhere(*names: str) -> list[t.Any]:
    return [
        asked
        for name in names
        for asked in (
            get(f"/raised/{name}"),
            get(f"/awaited/{name}"),
            get(f"/returned/{name}"),
            post(f"/awaited/{name}", b"x"),
            call(f"/raised/{name}", method="HEAD"),
        )
    ]


PATHS = [name.replace(" ", "-") for name in MAKERS]


@cases.case(*_everywhere(*PATHS), fails=True)
def _errors_of_all_kinds(fw: Framework, log: Log) -> t.Any:
    return _views(fw.app(), MAKERS)


@cases.case(*_everywhere("line-end"), fails=True)
def _headers_that_nobody_may_send(fw: Framework, log: Log) -> t.Any:
    return _views(fw.app(), FAILING)


SOME = _everywhere("plain", "later", "two-challenges")


@cases.case(*SOME, signals=True)
def _heard(fw: Framework, log: Log) -> t.Any:
    return _views(fw.app(), MAKERS)


@cases.case(*SOME)
def _with_hooks(fw: Framework, log: Log) -> t.Any:
    app = _views(fw.app(), MAKERS)
    app.before_request(lambda: log.append("before"))

    @app.after_request
    def after(response: t.Any) -> t.Any:
        log.append(("after", response.status, response.headers.to_wsgi_list()))
        response.headers["X-After"] = "1"
        return response

    @app.teardown_request
    def teardown(error: t.Any) -> None:
        log.append(("teardown", type(error).__name__))

    return app


@cases.case(get("/before/later"), get("/before/plain"))
def _raised_before_the_view(fw: Framework, log: Log) -> t.Any:
    app = fw.app()

    @app.before_request
    def refuse() -> None:
        raise MAKERS[fw.request.path.rpartition("/")[2]]()

    @app.get("/before/<name>")
    def view(name: str) -> str:
        return name

    return app


@cases.case(get("/session"), get("/after"), get("/cookie", cookies=True))
def _with_something_to_save(fw: Framework, log: Log) -> t.Any:
    app = fw.app()

    @app.get("/session")
    def in_session() -> None:
        fw.session["seen"] = "yes"
        fw.abort(404)

    @app.get("/after")
    async def after() -> None:
        @fw.after_this_request
        def change(response: t.Any) -> t.Any:
            response.headers["X-This"] = "1"
            return response

        fw.abort(409, "after")

    @app.get("/cookie")
    def with_cookie() -> None:
        log.append(dict(fw.session))
        fw.abort(404)

    return app


@cases.case(*(get(f"/{kind}/{n}") for kind in ("sync", "async") for n in (404, 409, 410, 500, 503)))
def _with_handlers(fw: Framework, log: Log) -> t.Any:
    app = fw.app()
    app.register_error_handler(404, lambda error: "as text")
    app.register_error_handler(409, lambda error: ({"as": "JSON"}, 409))
    app.register_error_handler(410, lambda error: http.ServiceUnavailable(retry_after=1))
    app.register_error_handler(ZeroDivisionError, lambda error: http.BadRequest("no zeros"))

    @app.get("/sync/<int:code>")
    def view(code: int) -> t.Any:
        return 1 / 0 if code == 500 else fw.abort(code)

    @app.get("/async/<int:code>")
    async def asynchronous(code: int) -> t.Any:
        return 1 / 0 if code == 500 else fw.abort(code)

    return app


def _handle_later(app: t.Any) -> None:
    app._got_first_request = False
    app.register_error_handler(404, lambda error: ("handled now", 404))


@cases.case(get("/raised/plain"), _handle_later, get("/raised/plain"), get("/awaited/plain"))
def _with_a_handler_that_comes_late(fw: Framework, log: Log) -> t.Any:
    return _views(fw.app(), MAKERS)


@cases.case(*SOME)
def _with_a_class_of_responses(fw: Framework, log: Log) -> t.Any:
    class Own(fw.Response):  # type: ignore[misc,name-defined]
        def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
            super().__init__(*args, **kwargs)
            self.headers["X-Own"] = "1"

    app = fw.app()
    app.response_class = Own
    return _views(app, MAKERS)


@cases.case(*SOME)
def _with_another_way_to_make_responses(fw: Framework, log: Log) -> t.Any:
    class Making(fw.Flask):  # type: ignore[misc,name-defined]
        def make_response(self, rv: t.Any) -> t.Any:
            log.append(type(rv).__name__)
            return super().make_response(rv)

    return _views(fw.app(cls=Making), MAKERS)


@cases.parametrize()
def test_erlen_answers_as_flask_does(case: Case) -> None:
    case.check()


@pytest.mark.parametrize("name", ["get_response", "get_body", "get_headers", "__call__"])
def test_what_replaces_a_method_of_all_errors_is_called(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(
        "replaced", lambda fw, log: _views(fw.app(), MAKERS), (get("/raised/plain"),), *[False] * 2
    )
    before = case.run("erlen")[-1]
    original = getattr(http.HTTPException, name)
    called = []

    def replaced(self: t.Any, *args: t.Any) -> t.Any:
        called.append(name)
        return original(self, *args)

    monkeypatch.setattr(http.HTTPException, name, replaced)
    assert vars(case.run("erlen")[-1]) == vars(before)
    assert called

"""Whatever a view returns becomes the response, or the error, that it is in Flask."""

from __future__ import annotations

import typing as t
from http import HTTPStatus

from werkzeug.datastructures import Headers
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as WerkzeugResponse

from .harness import Case, Cases, Framework, call

cases = Cases()
Log = list[t.Any]


class WithCall:
    def __call__(self, environ: t.Any, start_response: t.Any) -> t.Any:
        start_response("207 Multi", [("X-Custom", "wsgi"), ("Content-Type", "text/x")])
        return [b"called"]


def numbers() -> t.Iterator[str]:
    yield "a"
    yield "b"


RETURNS: dict[str, t.Callable[[Framework], t.Any]] = {
    "str": lambda fw: "text",
    "empty": lambda fw: "",
    "unicode": lambda fw: "snö ☃",
    "str subclass": lambda fw: type("S", (str,), {})("sub"),
    "bytes": lambda fw: b"\xff\x00",
    "bytearray": lambda fw: bytearray(b"ba"),
    "dict": lambda fw: {"b": 1, "a": [None, True]},
    "dict subclass": lambda fw: type("D", (dict,), {})(x=1),
    "list": lambda fw: [1, "ü"],
    "empty dict": lambda fw: {},
    "generator": lambda fw: numbers(),
    "iterator": lambda fw: iter([b"1", "2"]),
    "none": lambda fw: None,
    "int": lambda fw: 5,
    "bool": lambda fw: True,
    "float": lambda fw: 1.5,
    "object": lambda fw: frozenset(),
    "set": lambda fw: {1},
    "range": lambda fw: range(3),
    "class": lambda fw: dict,
    "response": lambda fw: fw.Response("r", 201, {"X-A": "b"}),
    "werkzeug": lambda fw: WerkzeugResponse("w", 202, mimetype="text/plain"),
    "wsgi object": lambda fw: WithCall(),
    "exception": lambda fw: NotFound(),
    "lambda": lambda fw: lambda: "bad",
    "memoryview": lambda fw: memoryview(b"mv"),
    "tuple 1": lambda fw: ("x",),
    "tuple 0": lambda fw: (),
    "tuple 4": lambda fw: ("x", 200, {}, 1),
    "status": lambda fw: ("x", 201),
    "status str": lambda fw: ("x", "202 Fine"),
    "status str code": lambda fw: ("x", "404"),
    "status word": lambda fw: ("x", "wrong"),
    "status empty": lambda fw: ("x", ""),
    "status bytes": lambda fw: ("x", b"204 No"),
    "status enum": lambda fw: ("x", HTTPStatus.CREATED),
    "status enum dict": lambda fw: ({"x": 1}, HTTPStatus.NO_CONTENT),
    "status bool": lambda fw: ("x", True),
    "status none": lambda fw: ("x", None),
    "status float": lambda fw: ("x", 200.5),
    "status unknown": lambda fw: ("x", 799),
    "status zero": lambda fw: ("x", 0),
    "status negative": lambda fw: ("x", -1),
    "status 204": lambda fw: ("x", 204),
    "status 304": lambda fw: ("x", 304),
    "status 100": lambda fw: ("x", 100),
    "headers dict": lambda fw: ("x", {"X-A": "1", "Content-Type": "text/x-own"}),
    "headers list": lambda fw: ("x", [("X-A", "1"), ("X-A", "2")]),
    "headers tuple": lambda fw: ("x", (("X-A", "1"),)),
    "headers object": lambda fw: ("x", Headers({"X-A": "1"})),
    "headers empty": lambda fw: ("x", {}),
    "headers int": lambda fw: ("x", {"X-N": 5}),
    "headers values": lambda fw: ("x", {"X-L": ["a", "b"]}),
    "headers newline": lambda fw: ("x", {"X-L": "a\nSet-Cookie: x"}),
    "headers wrong": lambda fw: ("x", ["no pairs"]),
    "three": lambda fw: ("x", 203, {"X-A": "1"}),
    "three none": lambda fw: ("x", None, None),
    "three list": lambda fw: ([1], 203, [("X-A", "1"), ("Content-Type", "application/x")]),
    "three dict": lambda fw: ({"a": 1}, "299 X", {"Content-Length": "3"}),
    "dict status": lambda fw: ({"a": 1}, 202),
    "list status": lambda fw: (["a"], 202),
    "list headers": lambda fw: ({"a": 1}, {"X": "y"}),
    "none status": lambda fw: (None, 200),
    "int status": lambda fw: (5, 200),
    "bytes status": lambda fw: (b"b", 203),
    "generator status": lambda fw: (numbers(), 203, {"X-A": "1"}),
    "response status": lambda fw: (fw.Response("r", 201), 202),
    "response headers": lambda fw: (fw.Response("r", 201, {"X-A": "1"}), {"X-A": "2", "X-B": "3"}),
    "response three": lambda fw: (fw.jsonify(a=1), "418 Tea", [("X-A", "1")]),
    "response three none": lambda fw: (fw.jsonify(a=1), None, None),
    "exception status": lambda fw: (NotFound(), 299),
    "exception headers": lambda fw: (NotFound("t"), 299, {"X-A": "1", "Content-Type": "a/b"}),
    "wsgi status": lambda fw: (WithCall(), 205),
    "werkzeug three": lambda fw: (WerkzeugResponse("w"), 201, {"X": "1"}),
    "str content type": lambda fw: ("x", 200, {"Content-Type": "text/plain"}),
    "str lower header": lambda fw: ("x", {"content-type": "text/plain", "content-length": "1"}),
    "redirect": lambda fw: fw.redirect("/somewhere?x=ü"),
    "redirect code": lambda fw: fw.redirect("http://x.test/", 303),
    "redirect relative": lambda fw: fw.redirect("rel/ative"),
    "make_response": lambda fw: fw.make_response(("m", 201, {"X": "1"})),
    "make_response args": lambda fw: fw.make_response("m", 201, {"X": "1"}),
    "make_response none": lambda fw: fw.make_response(),
    "jsonify nothing": lambda fw: fw.jsonify(),
    "jsonify args": lambda fw: fw.jsonify(1, "a"),
    "jsonify both": lambda fw: fw.jsonify(1, a=2),
    "tuple subclass": lambda fw: type("T", (tuple,), {})(("x", 201)),
    "huge": lambda fw: "x" * 100_000,
    "cookie": lambda fw: cookie(fw),
    "streamed with length": lambda fw: fw.Response(numbers(), headers={"Content-Length": "2"}),
    "direct passthrough": lambda fw: fw.Response(iter([b"dp"]), direct_passthrough=True),
}


def cookie(fw: Framework) -> t.Any:
    response = fw.make_response("c")
    response.set_cookie("a", "b", max_age=5, httponly=True)
    response.delete_cookie("z")
    response.vary.add("X-V")
    response.last_modified = 0
    response.set_etag("e")
    return response


#: A bytearray is no body in WSGI, a status has three digits in ASGI.
ONLY_WSGI = {"bytearray", *(f"status {odd}" for odd in ("word", "bool", "zero", "negative"))}


def returning(config: dict[str, t.Any]) -> t.Any:
    def build(fw: Framework, log: Log) -> t.Any:
        app = fw.app(config=config)
        for number, make in enumerate(RETURNS.values()):
            app.add_url_rule(
                f"/{number}", endpoint=str(number), view_func=lambda make=make: make(fw)
            )
        return app

    return build


for label, config in (
    ("", {}),
    (" in debug mode", {"DEBUG": True, "PROPAGATE_EXCEPTIONS": False}),
    (" propagated", {"PROPAGATE_EXCEPTIONS": True}),
):
    cases.append(
        Case(
            f"return types{label}",
            returning(config),
            tuple(
                call(
                    f"/{number}?{name.replace(' ', '_')}",
                    method=method,
                    only_wsgi=name in ONLY_WSGI,
                )
                for number, name in enumerate(RETURNS)
                for method in ("GET", "HEAD")
            ),
            False,
            True,
        )
    )


@cases.parametrize()
def test_values_of_views_are_as_in_flask(case: Case) -> None:
    case.check()

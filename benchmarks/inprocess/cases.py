"""The routes that are timed: what is asked, and what each framework has to answer."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode
from wsgiref.util import FileWrapper

ECHO = {
    "name": "Ada Lovelace",
    "tags": ["mathematics", "engines"],
    "values": [0.5, 1.25, 2.0, 3.75, 5.5, 8.0, 13.25, 21.5, 34.0, 55.75],
    "active": True,
    "address": {"city": "London", "zip": "W1", "country": None},
}
FORM = {f"field{number}": f"value {number}" for number in range(20)}
ROWS = [{"id": number, "name": f"Item <{number}>", "price": number * 1.5} for number in range(10)]
RULES = 300
SECRET_KEY = "a secret key of a benchmark"
SESSION_SALT = "cookie-session"


@dataclass(frozen=True)
class Case:
    """One route: the request, and the answer as (status, kind of content, body or None for any)."""

    name: str
    #: cases of one set share an application; others have their own
    route_set: str
    path: str
    status: int
    content: str
    expected: Any
    method: str = "GET"
    query: str = ""
    body: bytes = b""
    content_type: str = ""
    #: whether the request carries the cookie of an earlier one
    keeps_cookie: bool = False
    headers: dict[str, str] = field(default_factory=dict)


CASES = {
    case.name: case
    for case in (
        Case("json", "basic", "/json", 200, "json", {"message": "Hello, world!"}),
        Case("plain", "basic", "/plain", 200, "html", "Hello, world!"),
        Case(
            "url",
            "basic",
            "/users/ada/posts/42",
            200,
            "html",
            "ada 42 page 3",
            query="page=3&sort=date",
        ),
        Case(
            "echo",
            "basic",
            "/echo",
            200,
            "json",
            ECHO,
            method="POST",
            body=json.dumps(ECHO).encode(),
            content_type="application/json",
        ),
        Case(
            "form",
            "basic",
            "/form",
            200,
            "html",
            "20 value 7",
            method="POST",
            body=urlencode(FORM).encode(),
            content_type="application/x-www-form-urlencoded",
        ),
        Case("abort", "basic", "/abort", 409, "any", None),
        Case("404", "basic", "/missing", 404, "any", None),
        Case("404-handler", "handler", "/missing", 404, "json", {"error": "not found"}),
        Case("hooks", "hooks", "/hooks", 200, "html", "Hello, ada!"),
        Case("session", "basic", "/session", 200, "html", "2", keeps_cookie=True),
        Case("rules", "rules", "/section217/items/5", 200, "html", "217 5"),
        Case("template", "basic", "/template", 200, "html", None),
        Case("static", "basic", "/static/style.css", 200, "css", None),
    )
}
ROUTE_SETS = list(dict.fromkeys(case.route_set for case in CASES.values()))


def environ_of(case: Case, cookie: str = "") -> dict[str, Any]:
    """The environ as Gunicorn would make it for the case, without its body."""
    environ: dict[str, Any] = {
        "wsgi.errors": sys.stderr,
        "wsgi.version": (1, 0),
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
        "wsgi.input_terminated": True,
        "wsgi.url_scheme": "http",
        "SERVER_SOFTWARE": "gunicorn/23.0.0",
        "REQUEST_METHOD": case.method,
        "QUERY_STRING": case.query,
        "RAW_URI": f"{case.path}?{case.query}" if case.query else case.path,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost:8000",
        "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        "HTTP_ACCEPT": "text/html,application/xhtml+xml,application/json;q=0.9,*/*;q=0.8",
        "HTTP_ACCEPT_LANGUAGE": "en-GB,en;q=0.5",
        "HTTP_ACCEPT_ENCODING": "gzip, deflate, br",
        "HTTP_CONNECTION": "keep-alive",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": "51234",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "PATH_INFO": case.path,
        "SCRIPT_NAME": "",
    }
    if case.body:
        environ["CONTENT_TYPE"] = case.content_type
        environ["CONTENT_LENGTH"] = str(len(case.body))
    if cookie:
        environ["HTTP_COOKIE"] = cookie
    return environ


@dataclass(frozen=True)
class Answer:
    """What an application answered."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        found = [value for key, value in self.headers if key.lower() == name]
        return found[0] if found else ""


def ask(app: Any, case: Case, cookie: str = "") -> Answer:
    """Call the application once and collect its whole answer."""
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        started.append((status, list(headers)))
        return lambda data: None

    environ = environ_of(case, cookie)
    environ["wsgi.input"] = io.BytesIO(case.body)
    result = app(environ, start_response)
    try:
        body = b"".join(result)
    finally:
        getattr(result, "close", lambda: None)()
    status, headers = started[-1]
    return Answer(status, headers, body)


CONTENT_TYPES = {"json": "application/json", "html": "text/html", "css": "text/css"}


def faults_of(answer: Answer, case: Case) -> list[str]:
    """What is wrong with an answer, by the case's own contract."""
    faults = []
    if answer.status.split()[0] != str(case.status):
        faults.append(f"status {answer.status}, not {case.status}")
    mimetype = answer.header("content-type").partition(";")[0]
    if mimetype != CONTENT_TYPES.get(case.content, mimetype):
        faults.append(f"content type {mimetype}")
    length = answer.header("content-length")
    if length and length != str(len(answer.body)):
        faults.append(f"Content-Length {length} for {len(answer.body)} bytes")
    if case.content == "json" and not faults and json.loads(answer.body) != case.expected:
        faults.append(f"JSON {answer.body!r}")
    if case.content == "html" and case.expected not in (None, answer.body.decode()):
        faults.append(f"body {answer.body!r}")
    if case.keeps_cookie and not answer.header("set-cookie"):
        faults.append("no Set-Cookie")
    return faults

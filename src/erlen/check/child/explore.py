"""Make requests out of an application's rules, follow its links, and answer them all.

Run on the real Flask: what it says there is what Erlen's answers are compared with.
"""

from __future__ import annotations

import base64
import random
import typing as t
from html.parser import HTMLParser
from itertools import islice
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from . import openapi
from .facts import facts_of
from .load import load
from .values import ill_formed, samples
from .visit import Visitor

SAFE = ("GET", "HEAD", "OPTIONS")
#: Requests that a rule is tried with by unsafe methods: no body, JSON, a form, broken JSON.
BODIES: tuple[tuple[str, bytes], ...] = (
    ("", b""),
    ("application/json", b'{"name": "a", "value": 1}'),
    ("application/json", b'{"broken": '),
    ("application/x-www-form-urlencoded", b"name=a&value=1&name=b"),
)

Request = dict[str, t.Any]


def perform(task: dict[str, t.Any]) -> dict[str, t.Any]:
    """The requests that were made and their answers, in order."""
    app = load(task)
    facts = facts_of(app)
    explorer = Explorer(app, Visitor(app), int(task["most"]))
    for request in task.get("recorded", ()):
        explorer.visit(request)
    explorer.explore(bool(task.get("unsafe")))
    return {
        "requests": explorer.requests,
        "answers": explorer.answers,
        "facts": facts,
        "unreached": [rule.rule for rule in _rules(app) if not any(_paths(app, rule))],
    }


class Explorer:
    """Sends each request once, as long as there are fewer than `most`."""

    def __init__(self, app: t.Any, visitor: Visitor, most: int) -> None:
        self.app = app
        self.visitor = visitor
        self.most = most
        self.requests: list[Request] = []
        self.answers: list[dict[str, t.Any]] = []
        self._known: set[str] = set()

    def visit(self, request: Request) -> dict[str, t.Any] | None:
        """The answer; None if the request is known or there were enough."""
        key = repr(sorted(request.items()))
        if len(self.requests) >= self.most or (key in self._known and "visit" not in request):
            return None
        self._known.add(key)
        random.seed(0)
        answer = self.visitor.send(request)
        self.requests.append(request)
        self.answers.append(answer)
        return answer

    def explore(self, unsafe: bool) -> None:
        """By rules first, then by links and by the application's own document."""
        for request in from_rules(self.app, unsafe):
            answer = self.visit(request)
            if answer is not None and request["method"] == "GET":
                self._again(request, answer)
        self._follow()
        for answer in list(self.answers):
            for request in openapi.requests_of(answer, unsafe):
                self.visit(request)
        self._browse()

    def _again(self, request: Request, answer: dict[str, t.Any]) -> None:
        """The same with conditions and ranges, where the answer invites to that."""
        headers = {name.lower(): value for name, value in answer["headers"]}
        more = []
        if "etag" in headers:
            more.append(("If-None-Match", headers["etag"]))
        if "last-modified" in headers:
            more.append(("If-Modified-Since", headers["last-modified"]))
        if headers.get("accept-ranges") == "bytes" or "etag" in headers:
            more.append(("Range", "bytes=0-4"))
        if "vary" in headers:
            more.append(("Accept", "application/json"))
        for name, value in more:
            self.visit({**request, "headers": [[name, value]]})

    def _follow(self) -> None:
        """Links and redirects of the pages, and of the pages behind them."""
        position = 0
        while position < len(self.requests) and len(self.requests) < self.most:
            request, answer = self.requests[position], self.answers[position]
            position += 1
            for path in links(request, answer):
                self.visit({"method": "GET", "path": path})

    def _browse(self) -> None:
        """Once more what answered, as one visitor who keeps cookies."""
        pages = [
            request["path"]
            for request, answer in zip(self.requests, self.answers, strict=True)
            if request.get("method", "GET") == "GET" and answer["status"][:1] in ("2", "3")
        ]
        for path in dict.fromkeys(pages):
            self.visit({"method": "GET", "path": path, "visit": "browser"})


def from_rules(app: t.Any, unsafe: bool) -> t.Iterator[Request]:
    """Requests for each rule: what fits it, what nearly does, and methods that it lacks."""
    yield {"method": "GET", "path": "/erlen-check/no-such-page"}
    for rule in _rules(app):
        where = _place(app, rule)
        methods = sorted(rule.methods or ())
        for number, path in enumerate(_paths(app, rule)):
            for method in methods:
                if method in SAFE:
                    yield {"method": method, "path": path, **where}
                elif unsafe:
                    yield from _with_bodies(method, path, where, number)
            if number:
                continue
            lacking = "DELETE" if "DELETE" not in methods else "PATCH"
            if lacking not in methods:
                yield {"method": lacking, "path": path, **where}
            if "GET" in methods:
                yield {"method": "GET", "path": _other_slash(path), **where}
                yield {"method": "GET", "path": f"{path}?q=a&q=b&empty=&page=2", **where}


def _rules(app: t.Any) -> list[t.Any]:
    """Those that requests by HTTP are for."""
    return [
        rule
        for rule in app.url_map.iter_rules()
        if not (getattr(rule, "websocket", False) or rule.build_only)
    ]


def _with_bodies(method: str, path: str, where: dict[str, str], number: int) -> t.Iterator[Request]:
    for kind, body in BODIES if number == 0 else BODIES[:1]:
        headers = [["Content-Type", kind]] if kind else []
        encoded = base64.b64encode(body).decode()
        yield {"method": method, "path": path, "headers": headers, "body": encoded, **where}


def _place(app: t.Any, rule: t.Any) -> dict[str, str]:
    """The host that a rule is for, where it is for one."""
    scheme = app.config["PREFERRED_URL_SCHEME"]
    server = app.config["SERVER_NAME"]
    if rule.host:
        return {"base_url": f"{scheme}://{rule.host}"} if "<" not in rule.host else {}
    if rule.subdomain and server and "<" not in rule.subdomain:
        return {"base_url": f"{scheme}://{rule.subdomain}.{server}"}
    return {"base_url": f"{scheme}://{server}"} if server else {}


def _paths(app: t.Any, rule: t.Any) -> t.Iterator[str]:
    """Paths for a rule: each variable takes each of its samples, the others their first."""
    # Of Werkzeug's rules: the converters are what says which values fit.
    converters = rule._converters
    first = {name: samples(converter)[0] for name, converter in converters.items()}
    filled = [first]
    if rule.endpoint.rpartition(".")[2] == "static" and "filename" in first:
        filled += [{"filename": name} for name in _static_files(app, rule.endpoint)]
    for name, converter in converters.items():
        filled += [{**first, name: value} for value in samples(converter)[1:]]
    seen = set()
    for values in filled:
        path = _built(rule, values)
        if path is not None and path not in seen:
            seen.add(path)
            yield path
    marked = _built(rule, first)
    for name, converter in converters.items():
        text = ill_formed(converter)
        if text is not None and marked is not None:
            written = converter.to_url(first[name])
            yield marked.replace(written, text, 1)


def _built(rule: t.Any, values: dict[str, t.Any]) -> str | None:
    """The path of a rule with some values; None where there is none."""
    try:
        built = rule.build({**(rule.defaults or {}), **values}, append_unknown=False)
    except Exception:
        # A converter of the application's own, which wants objects of its own.
        return None
    return None if built is None else built[1]


def _static_files(app: t.Any, endpoint: str, count: int = 4) -> list[str]:
    """Some files of the folder that a static rule serves."""
    blueprint = app.blueprints.get(endpoint.rpartition(".")[0])
    folder = (blueprint or app).static_folder
    if folder is None:
        return []
    found = (path for path in sorted(Path(folder).rglob("*")) if path.is_file())
    return [path.relative_to(folder).as_posix() for path in islice(found, count)]


def _other_slash(path: str) -> str:
    return path[:-1] or "/" if path.endswith("/") else f"{path}/"


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value and name in ("href", "src") and tag in ("a", "link", "script", "img"):
                self.found.append(value)


#: What a link may not be called: to follow it would change something.
_CHANGES = ("logout", "log-out", "signout", "delete", "remove", "unsubscribe")


def links(request: Request, answer: dict[str, t.Any]) -> list[str]:
    """Paths of this application that an HTML answer links to, or is redirected to."""
    headers = {name.lower(): value for name, value in answer["headers"]}
    parser = _Links()
    if headers.get("content-type", "").startswith("text/html"):
        parser.feed(base64.b64decode(answer["body"]).decode("utf-8", "replace"))
    found = parser.found + ([headers["location"]] if "location" in headers else [])
    base = request.get("base_url") or "http://localhost"
    paths = []
    for link in found:
        target = urlsplit(urljoin(base + request["path"], link))
        query = f"?{target.query}" if target.query else ""
        if target.netloc == urlsplit(base).netloc and target.scheme in ("http", "https"):
            if not any(word in target.path.lower() for word in _CHANGES):
                paths.append((target.path or "/") + query)
    return list(dict.fromkeys(paths))

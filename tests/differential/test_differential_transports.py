"""The same requests to the same application on WSGI and ASGI: equal status, headers and bodies.

Environ and scope are made of the bytes of a request, each as servers make them.
"""

from __future__ import annotations

import asyncio
import io
import itertools
import sys
import time
import types
import typing as t
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

import pytest

from erlen import (
    Erlen,
    Response,
    make_response,
    redirect,
    request,
    send_file,
    session,
    url_for,
)

Pairs = list[tuple[bytes, bytes]]
HOST = (b"Host", b"localhost:8000")


@dataclass
class Sent:
    """A request as it is sent."""

    method: str
    target: bytes
    headers: Pairs = field(default_factory=lambda: [HOST])
    pieces: list[bytes] = field(default_factory=list)
    root: str = ""
    version: str = "1.1"

    @property
    def path(self) -> bytes:
        path = self.target.partition(b"?")[0]
        return b"/" + path[7:].partition(b"/")[2] if path.startswith(b"http://") else path

    @property
    def query(self) -> bytes:
        return self.target.partition(b"?")[2]

    def environ(self) -> dict[str, t.Any]:
        path = unquote_to_bytes(self.path).decode("latin1")
        if self.root and path.startswith(self.root):
            path = path[len(self.root) :]
        environ: dict[str, t.Any] = {
            "REQUEST_METHOD": self.method,
            "SCRIPT_NAME": self.root,
            "PATH_INFO": path,
            "QUERY_STRING": self.query.decode("latin1"),
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "8000",
            "SERVER_PROTOCOL": f"HTTP/{self.version}",
            "REMOTE_ADDR": "127.0.0.1",
            "REMOTE_PORT": "5",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(b"".join(self.pieces)),
            "wsgi.input_terminated": True,
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }
        for name, value in self.headers:
            if b"_" in name:  # as every server does that is not open to spoofing
                continue
            key = name.decode("latin1").upper().replace("-", "_")
            if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
                key = f"HTTP_{key}"
            text = value.decode("latin1")
            if key in environ:
                text = environ[key] + ("; " if key == "HTTP_COOKIE" else ",") + text
            environ[key] = text
        return environ

    def scope(self) -> dict[str, t.Any]:
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": self.version,
            "method": self.method,
            "scheme": "http",
            "path": unquote_to_bytes(self.path).decode(errors="replace"),
            "raw_path": self.target.partition(b"?")[0],
            "query_string": self.query,
            "root_path": self.root,
            "headers": [(name.lower(), value) for name, value in self.headers],
            "client": ("127.0.0.1", 5),
            "server": ("127.0.0.1", 8000),
        }


Answer = tuple[int, list[tuple[str, str]], bytes]


def answer_of_wsgi(app: t.Any, sent: Sent) -> Answer:
    started: list[t.Any] = []
    body = app(
        sent.environ(), lambda status, headers, exc_info=None: started.extend((status, headers))
    )
    try:
        content = b"".join(body)
    finally:
        if hasattr(body, "close"):
            body.close()
    status, headers = started
    return int(status[:3]), comparable(headers), content


def comparable(headers: t.Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Headers in order, without the second in which the answer was made."""
    return sorted((name.lower(), value) for name, value in headers if name.lower() != "date")


async def answer_of_asgi(app: t.Any, sent: Sent) -> Answer:
    pieces = sent.pieces or [b""]
    incoming = [
        {"type": "http.request", "body": piece, "more_body": number < len(pieces)}
        for number, piece in enumerate(pieces, 1)
    ]
    messages: list[dict[str, t.Any]] = []

    async def receive() -> dict[str, t.Any]:
        if not incoming:
            await asyncio.Event().wait()
        return incoming.pop(0)

    async def send(message: dict[str, t.Any]) -> None:
        messages.append(message)

    await app(sent.scope(), receive, send)
    headers = [
        (name.decode("latin1"), value.decode("latin1")) for name, value in messages[0]["headers"]
    ]
    content = b"".join(message.get("body", b"") for message in messages[1:])
    return messages[0]["status"], comparable(headers), content


def told() -> t.Any:
    """All that a view knows of its request."""
    return {
        "path": [request.path, request.root_path, request.full_path, request.view_args],
        "url": [request.url, request.base_url, request.host_url, request.host],
        "query": [request.query_string.decode("latin1"), list(request.args.items(multi=True))],
        "headers": sorted(request.headers),
        "cookies": request.cookies,
        "form": list(request.form.items(multi=True)),
        "files": [
            (name, file.filename, file.read().decode("latin1"))
            for name, file in request.files.items(multi=True)
        ],
        "data": request.get_data().decode("latin1"),
        "json": request.get_json(silent=True),
        "length": [request.content_length, request.content_type],
        "other": [request.method, request.scheme, request.remote_addr, request.server],
        "protocol": request.environ["SERVER_PROTOCOL"],
    }


def in_pieces() -> t.Any:
    return {"lengths": sum(len(piece) for piece in iter(lambda: request.stream.read(7), b""))}


def counted() -> t.Any:
    session["count"] = session.get("count", 0) + 1
    response = make_response({"count": session["count"]})
    response.set_cookie("a", "b")
    response.set_cookie("c", "d")
    return response


VIEWS: dict[str, t.Callable[..., t.Any]] = {
    "/": told,
    "/any/<path:rest>": lambda rest: told(),
    "/one/<name>": lambda name: told(),
    "/number/<int:number>": lambda number: told(),
    "/slash/": told,
    "/file": lambda: send_file(io.BytesIO(b"0123456789" * 10), mimetype="text/plain", etag="abc"),
    "/file/own": lambda: send_file(__file__),
    "/status/<int:code>": lambda code: ("body", code, {"X-A": "1"}),
    "/generated": lambda: Response(letter for letter in "abc"),
    "/redirect": lambda: redirect(url_for("_slash_", _external=True)),
    "/session": counted,
    "/fails": lambda: 1 / 0,
    "/pieces": in_pieces,
    "/lines": lambda: {"lines": [line.decode("latin1") for line in request.stream]},
    "/empty": lambda: ("", 204),
    "/headers": lambda: ("", 200, [("X-A", "1"), ("X-A", "2"), ("x-b", "\xe9")]),
}


def build(is_async: bool, **config: t.Any) -> Erlen:
    app = Erlen("transports")
    app.config.update(SECRET_KEY="key", **config)
    app.logger.disabled = True
    for rule, view in VIEWS.items():

        def plain(view: t.Any = view, **values: t.Any) -> t.Any:
            return view(**values)

        async def coroutine(view: t.Any = view, **values: t.Any) -> t.Any:
            await asyncio.sleep(0)
            return view(**values)

        app.add_url_rule(
            rule,
            rule.replace("/", "_"),
            coroutine if is_async else plain,
            methods=["GET", "POST", "PUT"],
        )
    return app


TARGETS = (
    *(b"/", b"", b"*", b"/?", b"/nowhere", b"/n%C3%A9", b"/%ff", b"//any/a", b"/any//a"),
    *(b"/any/a%2Fb", b"/any/%00x", b"/any/%ff%fe", b"/any/a;b=c", b"/any/%C3%A9", b"/any/\xc3\xa9"),
    *(b"/any/a%20b+c", b"/any/%25", b"/any/%zz", b"/any/a%3Fb", b"/any/a%23b", b"/any/../x"),
    *(b"/one/a%2Fb", b"/one/%2e%2e", b"/number/12", b"/number/x", b"/number/-1"),
    *(b"/number/%D9%A1", b"/slash", b"/slash?x=%C3%A9", b"/slash//", b"/any/" + b"a" * 20_000),
    *(b"/?a=1&a=2&b", b"/?%ff=%00&x=\xc3\xa9&y=\xff", b"/?a=1;b=2", b"/?" + b"q=1&" * 5_000),
    *(b"http://other/any/x", b"/any/x?http://a", b"/file", b"/file/own", b"/generated"),
    *(b"/redirect", b"/session", b"/fails", b"/empty", b"/headers"),
)
HEADERS: tuple[Pairs, ...] = (
    [(b"Cookie", b"a=1"), (b"Cookie", b"b=2")],
    [(b"Cookie", b'a="\\303"; =x; b')],
    [(b"X-A", b"1"), (b"X-A", b"2")],
    [(b"X_Forwarded_For", b"6.6.6.6"), (b"Content_Length", b"5"), (b"Host_", b"x")],
    [
        (b"X-Forwarded-For", b"6.6.6.6"),
        (b"X-Forwarded-Host", b"evil"),
        (b"X-Forwarded-Proto", b"https"),
        (b"X-Forwarded-Prefix", b"/evil"),
    ],
    [(b"X-A", b"\xe9\xff"), (b"X-B", b"")],
    [(b"X-A", b"a" * 60_000)],
    *([(b"Content-Length", length)] for length in (b"0", b"abc", b"-1", b"5,5", b"+5", b"0x5")),
    [(b"Transfer-Encoding", b"chunked")],
    [(b"Expect", b"100-continue")],
    [(b"Trailer", b"X-T")],
    [(b"Upgrade", b"websocket"), (b"Connection", b"Upgrade")],
    [(b"Upgrade", b"h2c")],
    [(b"Authorization", b"Basic YTpi")],
)
HOSTS = (
    *(b"", b" ", b"a b", b"h\xc3\xa9", b"a@b", b"a/b", b"a\\b", b"a?b", b"a#b", b"a,b"),
    *(b"[::1]:80", b"[::1", b"a:99999", b"a:b", b"LOCALHOST"),
)
CONDITIONS: tuple[Pairs, ...] = (
    *(
        [(b"Range", value)]
        for value in (
            *(b"bytes=0-3", b"bytes=-3", b"bytes=90-", b"bytes=200-300", b"bytes=0-1,4-5"),
            *(b"bytes=x", b"bytes=5-2", b"lines=0-1"),
        )
    ),
    *([(b"If-None-Match", tag)] for tag in (b'"abc"', b'"x"', b"*", b'W/"abc"')),
    *([(b"If-Match", tag)] for tag in (b'"abc"', b'"x"')),
    *([(b"Range", b"bytes=0-3"), (b"If-Range", tag)] for tag in (b'"abc"', b'"x"')),
    [(b"If-Modified-Since", b"Wed, 21 Oct 2099 07:28:00 GMT")],
)
MULTIPART = (
    b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nv\r\n'
    b'--b\r\nContent-Disposition: form-data; name="f"; filename="x.txt"\r\n'
    b"Content-Type: text/plain\r\n\r\nfile\r\n--b--\r\n"
)
FORM = b"application/x-www-form-urlencoded"
BODIES = (
    ("multipart", b"/", b"multipart/form-data; boundary=b", MULTIPART),
    ("cut off", b"/", b"multipart/form-data; boundary=b", MULTIPART[:-10]),
    ("no boundary", b"/", b"multipart/form-data", MULTIPART),
    ("urlencoded", b"/", FORM, b"a=1&b=2&a=3&c=%C3%A9"),
    ("no UTF-8", b"/", FORM, b"a=\xff"),
    ("empty", b"/", FORM, b""),
    ("JSON", b"/", b"application/json", b'{"a":[1]}'),
    ("broken JSON", b"/", b"application/json", b"{bad"),
    ("raw", b"/any/x", b"application/octet-stream", b"\x00\xff raw"),
    ("pieces", b"/pieces", b"application/octet-stream", b"x" * 100),
    ("lines", b"/lines", b"text/plain", b"a\nbb\r\n\nccc"),
    ("redirected", b"/slash", FORM, b"a=1"),
)


def bodies() -> t.Iterator[Sent]:
    for (_, target, kind, body), declared, size in itertools.product(
        BODIES, (True, False), (0, 1, 7)
    ):
        pieces = [body[at : at + size] for at in range(0, len(body), size)] if size else [body]
        length = (b"Content-Length", b"%d" % len(body))
        framing = length if declared else (b"Transfer-Encoding", b"chunked")
        yield Sent("POST", target, [HOST, (b"Content-Type", kind), framing], pieces)


def large_bodies() -> t.Iterator[Sent]:
    """Bodies around every limit."""
    part = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n%s\r\n'
    end = b"--b--\r\n"
    multipart = b"multipart/form-data; boundary=b"
    for kind, body in (
        *((multipart, part % (b"x" * size) + end) for size in (900, 1_001, 5_000)),
        *((multipart, part % b"" * parts + end) for parts in (5, 6)),
        *((FORM, b"a=" + b"x" * size) for size in (998, 999, 5_000)),
        *((FORM, b"a=1&" * fields + b"a=1") for fields in (8, 9, 10)),
        *((b"text/plain", b"x" * size) for size in (4_000, 4_001)),
    ):
        for declared in (True, False):
            length = (b"Content-Length", b"%d" % len(body))
            framing = length if declared else (b"Transfer-Encoding", b"chunked")
            pieces = [body[at : at + 700] for at in range(0, len(body), 700)]
            yield Sent("POST", b"/", [HOST, (b"Content-Type", kind), framing], pieces)


CASES: dict[str, list[Sent]] = {
    "targets": [
        Sent(method, target)
        for target in TARGETS
        for method in ("GET", "HEAD", "OPTIONS", "POST", "DELETE")
    ],
    "methods": [Sent(method, b"/") for method in ("get", "BREW", "TRACE", "CONNECT")],
    "statuses": [
        Sent(method, b"/status/%d" % code)
        for code in (200, 201, 204, 205, 301, 304, 404, 500)
        for method in ("GET", "HEAD")
    ],
    "headers": [
        Sent(method, target, [HOST, *headers])
        for headers in HEADERS
        for target in (b"/", b"/any/x", b"/session", b"/nowhere")
        for method in ("GET", "POST")
    ],
    "hosts": [
        Sent("GET", target, [(b"Host", host)])
        for host in HOSTS
        for target in (b"/", b"/slash", b"/redirect")
    ],
    "no host": [Sent("GET", target, []) for target in (b"/", b"/slash", b"/redirect")],
    "conditions": [
        Sent(method, target, [HOST, *headers])
        for headers in CONDITIONS
        for target in (b"/file", b"/file/own")
        for method in ("GET", "HEAD")
    ],
    "roots": [
        Sent("GET", target, root="/app")
        for target in (
            *(b"/app/any/x", b"/app", b"/app/", b"/appx/any/x", b"/any/x", b"/app/slash"),
            *(b"/app/redirect", b"/app/nowhere"),
        )
    ],
    "versions": [Sent("GET", b"/any/x", version=version) for version in ("1.0", "2", "3")],
    "bodies": list(bodies()),
    "large bodies": list(large_bodies()),
}
LIMITS = {
    "MAX_CONTENT_LENGTH": 4_000,
    "MAX_FORM_MEMORY_SIZE": 1_000,
    "MAX_FORM_PARTS": 5,
    "MAX_FORM_FIELDS": 10,
}


@pytest.mark.parametrize("limits", [{}, LIMITS], ids=["unlimited", "limited"])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("cases", CASES.values(), ids=CASES)
def test_requests_are_answered_alike_on_both_protocols(
    cases: list[Sent],
    is_async: bool,
    limits: dict[str, t.Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Sessions are signed with the second in which they are.
    now = time.time()
    monkeypatch.setattr("erlen.signing.time", types.SimpleNamespace(time=lambda: now))
    on_wsgi, on_asgi = build(False, **limits), build(is_async, **limits)

    async def main() -> list[str]:
        different = []
        for number, sent in enumerate([*cases, *cases]):  # known hosts and plans go a short way
            expected = answer_of_wsgi(on_wsgi, sent)
            actual = await answer_of_asgi(on_asgi, sent)
            if expected != actual:
                different.append(f"{number} {sent}\n  WSGI {expected}\n  ASGI {actual}")
        return different

    assert asyncio.run(main()) == []


@pytest.mark.parametrize(
    ("path", "body"),
    [("/app/any/x", b"/any/x"), ("/app/", b"/"), ("/other/any/x", b"/other/any/x")],
)
def test_a_root_may_end_with_a_slash(path: str, body: bytes) -> None:
    app = Erlen("root")

    @app.route("/", defaults={"rest": ""})
    @app.route("/<path:rest>")
    def view(rest: str) -> str:
        return request.path

    sent = Sent("GET", path.encode(), root="/app/")
    assert asyncio.run(answer_of_asgi(app, sent))[2] == body


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_several_hosts_are_refused(is_async: bool) -> None:
    app = build(is_async)
    once = Sent("GET", b"/")
    twice = Sent("GET", b"/", [HOST, HOST])
    # RFC 9112, 3.2
    statuses = [asyncio.run(answer_of_asgi(app, sent))[0] for sent in (twice, once, twice, once)]
    assert statuses == [400, 200, 400, 200]

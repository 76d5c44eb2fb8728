"""Lessons of the field's advisories: bodies, headers, hosts, files, cookies, on WSGI."""

from __future__ import annotations

import logging
import typing as t
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from urllib.parse import quote, unquote, unquote_to_bytes, urlsplit

import pytest
from carrying import carried
from hypothesis import example, given, settings
from hypothesis import strategies as st
from itsdangerous import URLSafeTimedSerializer
from werkzeug.exceptions import NotFound
from werkzeug.routing import BaseConverter
from werkzeug.test import create_environ
from werkzeug.urls import uri_to_iri
from werkzeug.utils import safe_join

import erlen
from erlen import Erlen, Response

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=b"


def send(app: t.Any, environ: dict[str, t.Any]) -> tuple[str, list[tuple[str, str]], bytes]:
    """Status, headers and body, as a server would get them."""
    seen: list[t.Any] = []

    def start_response(status: str, headers: t.Any, exc_info: t.Any = None) -> t.Any:
        seen[:] = [status, headers]
        return lambda data: None

    answer = carried(app)(environ, start_response)
    try:
        body = b"".join(answer)
    finally:
        if hasattr(answer, "close"):
            answer.close()
    return seen[0], seen[1], body


class CountedInput:
    """An endless or given body that counts what is read of it."""

    def __init__(self, pieces: t.Iterable[bytes]) -> None:
        self.pieces: Iterator[bytes] = iter(pieces)
        self.left = b""
        self.count = 0

    def read(self, size: int = -1) -> bytes:
        while size < 0 or len(self.left) < size:
            piece = next(self.pieces, None)
            if piece is None:
                break
            self.left += piece
        taken = self.left if size < 0 else self.left[:size]
        self.left = self.left[len(taken) :]
        self.count += len(taken)
        return taken

    def readline(self, size: int = -1) -> bytes:
        return self.read(size)


@pytest.fixture
def reading(app: Erlen) -> Erlen:
    """Reads its body in the way that the path names."""

    @app.route("/<way>", methods=["POST"])
    def read(way: str) -> t.Any:
        request = erlen.request
        ways: dict[str, t.Callable[[], t.Any]] = {
            "form": lambda: len(request.form),
            "files": lambda: len(request.files),
            "data": lambda: len(request.data),
            "json": lambda: [request.json],
            "stream": lambda: sum(
                len(line) for line in iter(lambda: request.stream.read(100), b"")
            ),
        }
        return {"read": ways[way]()}

    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.logger.disabled = True
    return app


def post(
    app: Erlen, way: str, body: t.Any, kind: str, length: int | str | None, **environ: t.Any
) -> str:
    made = create_environ(f"/{way}", method="POST")
    made["CONTENT_TYPE"] = kind
    made["wsgi.input"] = BytesIO(body) if isinstance(body, bytes) else body
    made.update(environ)
    made.pop("CONTENT_LENGTH", None)
    if length is not None:
        made["CONTENT_LENGTH"] = str(length)
    return send(app, made)[0][:3]


# Bodies (C1)

PART = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n'


def tiny_parts() -> Iterator[bytes]:
    while True:
        yield (PART + b"1\r\n") * 100


def one_big_part() -> Iterator[bytes]:
    yield PART
    while True:
        yield b"x" * 10_000


def many_fields() -> Iterator[bytes]:
    while True:
        yield b"a=1&" * 1000


ENDLESS = {
    "tiny parts": (tiny_parts, MULTIPART, "form"),
    "one big part": (one_big_part, MULTIPART, "form"),
    "many fields": (many_fields, URLENCODED, "form"),
    "data": (many_fields, "text/plain", "data"),
    "stream": (many_fields, "text/plain", "stream"),
}


@pytest.mark.parametrize("body", ENDLESS.values(), ids=ENDLESS)
@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
def test_a_body_over_the_limit_is_refused_before_twice_the_limit_is_read(
    reading: Erlen, body: tuple[t.Any, str, str], declared: bool
) -> None:
    pieces, kind, way = body
    limit = 100_000
    reading.config["MAX_CONTENT_LENGTH"] = limit
    source = CountedInput(pieces())
    chunked = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    more = {} if declared else chunked
    status = post(reading, way, source, kind, 10**9 if declared else None, **more)
    assert status == "413"
    assert source.count <= 2 * limit


@pytest.mark.parametrize("kind", [URLENCODED, MULTIPART], ids=["urlencoded", "multipart"])
@pytest.mark.parametrize("over", [0, 1])
def test_a_text_field_may_have_as_many_bytes_as_the_limit_says(
    reading: Erlen, kind: str, over: int
) -> None:
    size = 500_000 + over
    if kind == URLENCODED:
        body = b"a=" + b"x" * (size - 2)
    else:
        body = PART + b"x" * size + b"\r\n--b--\r\n"
    assert post(reading, "form", body, kind, len(body)) == ("413" if over else "200")


@pytest.mark.parametrize(("parts", "status"), [(1000, "200"), (1001, "413")])
def test_a_form_may_have_a_thousand_parts(reading: Erlen, parts: int, status: str) -> None:
    body = (PART + b"1\r\n") * parts + b"--b--\r\n"
    assert post(reading, "form", body, MULTIPART, len(body)) == status


LENGTHS = (
    "-1",
    "+10",
    "0x10",
    "1e3",
    "10_0",
    " ",
    "ten",
    "9" * 400,
    "9" * 5000,
    "\xb2",
    "-0",
    "1,2",
)


@pytest.mark.parametrize("length", [*LENGTHS, "", None], ids=repr)
@pytest.mark.parametrize("way", ["form", "data", "json", "files", "stream"])
@pytest.mark.parametrize("kind", [URLENCODED, MULTIPART, "application/json"])
def test_odd_lengths_never_bypass_the_limit_and_never_are_an_error_of_the_server(
    reading: Erlen, length: str | None, way: str, kind: str
) -> None:
    reading.config["MAX_CONTENT_LENGTH"] = 1000
    source = CountedInput(many_fields())
    status = post(reading, way, source, kind, length)
    assert status in ("200", "400", "413", "415")
    assert source.count <= 2000


@pytest.mark.parametrize("way", ["form", "data", "json", "stream"])
def test_an_understated_length_hides_the_rest(reading: Erlen, way: str) -> None:
    source = CountedInput(many_fields())
    kind = "application/json" if way == "json" else URLENCODED
    post(reading, way, source, kind, 9)
    assert source.count <= 9


@settings(max_examples=60)
@given(st.binary(max_size=300), st.integers(1, 70))
@example(b"\r\n--b", 1)
@example(b"x\r\n", 2)
@example(b"\r\n\r\n--b--\r", 3)
def test_any_file_arrives_as_sent_in_any_pieces(payload: bytes, size: int) -> None:
    if b"\r\n--b" in payload or payload.startswith(b"--b"):
        payload = payload.replace(b"--b", b"---")
    body = b'--b\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\n'
    body += payload + b"\r\n--b--\r\n"
    pieces = (body[at : at + size] for at in range(0, len(body), size))
    environ = create_environ("/", method="POST")
    environ.update(
        {"CONTENT_TYPE": MULTIPART, "CONTENT_LENGTH": str(len(body))},
        **{"wsgi.input": CountedInput(pieces)},
    )
    request = erlen.Request(environ)
    assert request.files["f"].read() == payload
    request.close()


def test_semicolons_separate_nothing_and_the_plain_filename_counts() -> None:
    environ = create_environ("/", method="POST", query_string="a=1;b=2", data="c=3;d=4")
    environ["CONTENT_TYPE"] = URLENCODED
    request = erlen.Request(environ)
    assert request.args.to_dict() == {"a": "1;b=2"}
    assert request.form.to_dict() == {"c": "3;d=4"}


@pytest.mark.parametrize(
    "body",
    [
        *(b"[" * 100_000, b'{"a":' * 100_000, b"9" * 1_000_000, b"1e" + b"9" * 10_000),
        *('{"a": 1}'.encode(code) for code in ("utf-16", "utf-32", "utf-16-le")),
        *(b"NaN", b"Infinity", b"1e400", b'"\\ud800"', b"\xff", b"", b"\x00" * 1000),
    ],
    ids=lambda body: repr(body[:8]),
)
def test_hostile_json_is_read_or_refused_but_no_error_of_the_server(
    reading: Erlen, body: bytes
) -> None:
    assert post(reading, "json", body, "application/json", len(body)) in ("200", "400")


def test_malformed_input_writes_no_log_lines(
    reading: Erlen, caplog: pytest.LogCaptureFixture
) -> None:
    reading.logger.disabled = False
    noise = bytes(range(256)) * 40
    with caplog.at_level(logging.DEBUG):
        post(reading, "form", noise, URLENCODED, len(noise), HTTP_COOKIE="\\" * 60_000 + "=;" * 99)
        post(reading, "form", noise, MULTIPART, len(noise))
        post(reading, "json", noise, "application/json", len(noise))
    assert len(caplog.records) <= 3


HEADERS = (
    *("CONTENT_TYPE", "HTTP_COOKIE", "HTTP_ACCEPT", "HTTP_RANGE", "HTTP_IF_NONE_MATCH"),
    *("HTTP_AUTHORIZATION", "HTTP_CACHE_CONTROL", "HTTP_IF_RANGE", "HTTP_ACCEPT_LANGUAGE"),
    *("HTTP_IF_MODIFIED_SINCE", "HTTP_X_FORWARDED_FOR", "HTTP_USER_AGENT"),
)
ADVERSARIAL = (
    *('"' * 65_536, "\\" * 65_536, ";" * 65_536, "," * 65_536, "=" * 65_536, " " * 65_536),
    *(
        "a=" * 30_000,
        '"\\' * 30_000,
        "; a" * 20_000,
        "*'" * 30_000,
        "q=0." * 16_000,
        "\t;" * 30_000,
    ),
    *("bytes=" + "0-," * 20_000, "text/html;" * 6_000, 'W/"a",' * 10_000, "a=b;" * 16_000),
)


@pytest.mark.parametrize("name", HEADERS)
def test_no_header_of_64_kilobytes_is_an_error_of_the_server(app: Erlen, name: str) -> None:
    @app.route("/")
    def read() -> str:
        request = erlen.request
        _ = request.cookies, request.accept_mimetypes.best, request.range, request.if_none_match
        _ = request.authorization, request.cache_control, request.if_range, request.mimetype_params
        _ = request.accept_languages.best, request.if_modified_since, request.access_route
        return "read"

    for text in ADVERSARIAL:  # how long they take is for `benchmarks/hostile`
        assert send(app, {**create_environ("/"), name: text})[0] == "200 OK"


# Outgoing headers (C2)

INJECTIONS = ("a\r\nSet-Cookie: x=y", "a\nb", "a\rb", "\r\n\r\n<script>")


@pytest.mark.parametrize("text", INJECTIONS, ids=repr)
@pytest.mark.parametrize(
    "put",
    [
        lambda text: ("x", {"X-A": text}),
        lambda text: ("x", 200, [("X-A", text)]),
        lambda text: Response("x", headers={"X-A": text}),
        lambda text: Response("x", content_type=text),
        lambda text: Response("x", mimetype=text),
        lambda text: ("x", f"200 {text}"),
        lambda text: Response("x", status=f"200 {text}"),
        lambda text: erlen.redirect("/" + text),
        lambda text: erlen.redirect(text),
        lambda text: with_cookie("c", text),
        lambda text: with_cookie("c", "v", path=text),
        lambda text: with_cookie("c", "v", domain=text),
        lambda text: ({"a": 1}, {"Content-Type": text}),
        lambda text: with_edited(text),
        lambda text: erlen.send_file(BytesIO(b"x"), download_name=text, mimetype="a/b"),
    ],
    ids=[
        *("dict", "list", "response", "content type", "mimetype", "status", "response status"),
        *("redirect path", "redirect", "cookie", "cookie path", "cookie domain", "json"),
        *("edited", "file name"),
    ],
)
def test_no_line_break_leaves_in_a_header(app: Erlen, put: t.Any, text: str) -> None:
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.logger.disabled = True
    app.add_url_rule("/", "view", lambda: put(text))
    for _ in range(3):
        status, headers, _ = send(app, create_environ("/"))
        for part in (status, *(name for name, _ in headers), *(value for _, value in headers)):
            assert "\r" not in part
            assert "\n" not in part
        assert not [value for name, value in headers if name == "Set-Cookie" and "x=y" in value[:3]]


def with_cookie(name: str, value: str, **options: t.Any) -> Response:
    response = Response("x")
    response.set_cookie(name, value, **options)
    return response


def with_edited(text: str) -> Response:
    response = erlen.make_response("x")
    response.headers["X-A"] = "a"
    response.headers.add("X-B", text)
    return response


# Hosts and URLs (C3)

HOSTS = st.sampled_from(
    (
        *("localhost", "a.test:8080", "evil.test/path?", "a@b", "a.test#", "[::1]", "a b", ""),
        *("localhost:80/x", "ünï.test", "a\\b", "xn--nxasmq6b", "a.test:99999", "a,b", "%2f"),
    )
) | st.text(max_size=10).map(lambda text: text.encode().decode("latin1"))
RAW_PATHS = st.lists(
    st.sampled_from(
        (
            *("/", "//", "a", "@evil.test", "\\", "?", "#", "%2F", "..", ".", ":", ";", "\t", "é"),
            "ä",
        )
    ),
    max_size=8,
).map(lambda parts: "/" + "".join(parts))


class AnythingConverter(BaseConverter):
    regex = ".*?"
    part_isolating = False


def path_app() -> Erlen:
    app = Erlen("paths")
    app.url_map.converters["anything"] = AnythingConverter
    app.url_map.merge_slashes = False

    @app.route("/")
    @app.route("/<anything:path>")
    def show(path: str = "") -> t.Any:
        request = erlen.request
        try:
            url = request.url
        except ValueError:
            url = None
        return {"routed": path, "path": request.path, "url": url, "host": request.host}

    return app


PATH_APP = path_app()


@settings(max_examples=300)
@given(HOSTS, RAW_PATHS)
@example("evil.test/admin?", "/public")
@example("localhost", "/@evil.test/")
@example("localhost", "//evil.test/")
def test_the_path_of_the_match_of_the_request_and_of_its_url_are_one(host: str, path: str) -> None:
    environ = create_environ("/")
    environ["HTTP_HOST"] = host
    environ["PATH_INFO"] = path.encode().decode("latin1")
    for _ in range(3):
        status, _, body = send(PATH_APP, dict(environ))
        if status[:3] == "400":
            return
        assert status[:3] == "200"
        seen = PATH_APP.json.loads(body)
        assert seen["path"] == "/" + path.lstrip("/")
        assert "/" + seen["routed"] == seen["path"]
        if seen["url"] is None:  # the host's port is none
            continue
        # The path of the URL, which shows some characters that are quoted in it, is that path.
        start = f"http://{seen['host']}"
        shown = seen["url"].removeprefix(uri_to_iri(start))
        assert unquote(shown) == unquote(quote(seen["path"], safe="%"))


REDIRECTS = (
    *("//evil.test", "//evil.test/x", "/\\evil.test", "/%5Cevil.test", "///evil.test"),
    *("/\t/evil.test", "/%09/evil.test", "//evil.test//x", "/.//evil.test", "/@evil.test"),
    *("//evil.test%2f..", "/x//evil.test", "/:@evil.test", "/;//evil.test"),
)


@pytest.mark.parametrize("path", REDIRECTS)
@pytest.mark.parametrize("rule", ["/<path:p>/", "/<p>/", "/<a>/<b>/", "/x/<path:p>/", "/<path:p>"])
def test_redirects_of_the_router_stay_on_this_origin(app: Erlen, rule: str, path: str) -> None:
    app.add_url_rule(rule, "view", lambda **values: "view")
    for raw in (path, path + "/"):
        environ = create_environ("/", base_url="http://localhost/")
        environ["PATH_INFO"] = raw
        for _ in range(3):
            status, headers, _ = send(app, dict(environ))
            if status.startswith("30"):
                target = urlsplit(dict(headers)["Location"])
                assert (target.scheme, target.netloc) == ("http", "localhost")


FORWARDED = {
    "HTTP_X_FORWARDED_HOST": "evil.test",
    "HTTP_X_FORWARDED_PROTO": "https",
    "HTTP_X_FORWARDED_FOR": "6.6.6.6",
    "HTTP_FORWARDED": "host=evil.test;proto=https;for=6.6.6.6",
    "HTTP_X_FORWARDED_PREFIX": "/evil",
    "HTTP_X_ORIGINAL_URL": "/evil",
}


def test_forwarded_headers_count_for_nothing(app: Erlen) -> None:
    @app.route("/")
    def show() -> t.Any:
        request = erlen.request
        return [
            request.url,
            request.host,
            request.remote_addr,
            erlen.url_for("show", _external=True),
        ]

    environ = {**create_environ("/"), "REMOTE_ADDR": "10.0.0.1", **FORWARDED}
    for _ in range(3):
        body = send(app, dict(environ))[2]
        assert app.json.loads(body) == [
            "http://localhost/",
            "localhost",
            "10.0.0.1",
            "http://localhost/",
        ]


TRUSTED = ["good.test", ".sub.test", "port.test:8080"]
HOST_ANSWERS = (
    ("good.test", "200"),
    ("GOOD.test", "400"),
    ("good.test:80", "200"),
    ("x.good.test", "400"),
    ("goodxtest", "400"),
    ("sub.test", "200"),
    ("a.b.sub.test", "200"),
    ("evilsub.test", "400"),
    ("good.test.evil.test", "400"),
    ("good.test@evil.test", "400"),
    ("evil.test", "400"),
    ("", "400"),
)


@pytest.mark.parametrize(("host", "status"), HOST_ANSWERS)
def test_only_trusted_hosts_are_served(app: Erlen, host: str, status: str) -> None:
    app.config["TRUSTED_HOSTS"] = TRUSTED
    app.add_url_rule("/", "view", lambda: "view")
    for path in ("/", "/missing", "/static/x"):
        answer = send(app, {**create_environ(path), "HTTP_HOST": host})[0][:3]
        assert answer == (status if path == "/" or status == "400" else "404")


def test_hosts_become_untrusted_when_the_configuration_says_so_later(app: Erlen) -> None:
    app.add_url_rule("/", "view", lambda: "view")
    environ = {**create_environ("/"), "HTTP_HOST": "evil.test"}
    assert [send(app, dict(environ))[0][:3] for _ in range(3)] == ["200"] * 3
    app.config["TRUSTED_HOSTS"] = ["good.test"]
    assert [send(app, dict(environ))[0][:3] for _ in range(3)] == ["400"] * 3
    app.config["TRUSTED_HOSTS"] = None
    assert send(app, dict(environ))[0][:3] == "200"


# Files (C4)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "secret.txt").write_text("for nobody")
    public = tmp_path / "public"
    (public / "sub").mkdir(parents=True)
    (public / "a.txt").write_text("0123456789")
    (public / "sub" / "b.txt").write_text("b")
    return public


STEPS = (
    *(
        "..",
        "%2e%2e",
        "%252e%252e",
        ".%2e",
        "..;",
        "..%00",
        "..%c0%af",
        "%c0%ae%c0%ae",
        "...",
        "..\\",
    ),
    *("..%5c", "....", "%u002e%u002e", "..%ef%bc%8f", "/..", "//", "..//", ".\\..", "C:", "C:\\.."),
)
TRAVERSALS = [
    *(f"{step}/secret.txt" for step in STEPS),
    *(f"sub/{step}/{step}/secret.txt" for step in STEPS),
    *(f"{step}/" * 12 + "etc/passwd" for step in STEPS),
    *("/etc/passwd", "//etc/passwd", "%2fetc%2fpasswd", "\\\\host\\share", "%5c%5chost%5cshare"),
    *(
        "a.txt%00.png",
        "a.txt%00",
        "%00",
        "~/x",
        "~root/x",
        "file:///etc/passwd",
        "sub/../../secret.txt",
    ),
    *("CON", "con.txt", "NUL ", "a/NUL", "COM¹", "C:x", "LPT1", "AUX.h", "a.txt::$DATA", "a.txt."),
]


@pytest.mark.parametrize("path", TRAVERSALS)
def test_nothing_outside_of_the_static_folder_is_sent(app: Erlen, tree: Path, path: str) -> None:
    served = Erlen("files", static_folder=str(tree), static_url_path="/s")
    served.add_url_rule("/d/<path:name>", "d", lambda name: erlen.send_from_directory(tree, name))
    for prefix in ("/s/", "/d/"):
        for raw in (path, path.replace("%", "%25")):
            environ = create_environ("/")
            environ["PATH_INFO"] = prefix + path if raw != path else unquoted(prefix + path)
            status, headers, body = send(served, environ)
            assert b"for nobody" not in body
            assert b"root:" not in body
            assert status[:3] in ("404", "308", "400")
            if status[:3] == "308":
                assert urlsplit(dict(headers)["Location"]).netloc == "localhost"


def unquoted(path: str) -> str:
    return unquote_to_bytes(path).decode("latin1")


@pytest.mark.parametrize("inside", [False, True], ids=["absent", "outside but there"])
def test_whether_a_file_outside_exists_cannot_be_told(app: Erlen, tree: Path, inside: bool) -> None:
    app.add_url_rule("/<path:name>", "d", lambda name: erlen.send_from_directory(tree, name))
    name = "../secret.txt" if inside else "../absent.txt"
    environ = {**create_environ("/"), "PATH_INFO": f"/sub/../{name}"}
    status, headers, body = send(app, environ)
    with app.test_request_context():
        expected = NotFound().get_body()
    assert (status[:3], body.decode()) == ("404", expected)
    assert dict(headers)["Content-Type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize("name", ["../x", "/x", "..", "a/../../x", "../", "./../x", "sub/../../y"])
def test_safe_join_stays_inside(name: str) -> None:
    assert safe_join("/base", name) is None


RANGES = (
    ("bytes=0-3", "206", "bytes 0-3/10", b"0123"),
    ("bytes=3-", "206", "bytes 3-9/10", b"3456789"),
    ("bytes=-3", "206", "bytes 7-9/10", b"789"),
    ("bytes=-100", "416", None, None),  # as in Flask; RFC 9110 would have the whole file
    ("bytes=0-999", "206", "bytes 0-9/10", b"0123456789"),
    ("bytes=10-", "416", None, None),
    ("bytes=10-11", "416", None, None),
    ("bytes=5-2", "416", None, None),
    (f"bytes=0-{'9' * 4000}", None, None, None),
    ("bytes=" + "0-," * 10_000 + "1-2", None, None, None),
    ("bytes=" + ",".join(f"{n}-{n}" for n in range(10_000)), None, None, None),
)


@pytest.mark.parametrize(
    ("asked", "status", "content_range", "body"), RANGES, ids=[row[0][:20] for row in RANGES]
)
def test_ranges_of_files(
    tree: Path, asked: str, status: str | None, content_range: str | None, body: bytes | None
) -> None:
    served = Erlen("files", static_folder=str(tree), static_url_path="/s")
    answer = send(served, {**create_environ("/s/a.txt"), "HTTP_RANGE": asked})
    headers = dict(answer[1])
    assert answer[0][:3] in ((status,) if status else ("200", "206", "416"))
    if content_range is not None:
        assert (headers["Content-Range"], answer[2]) == (content_range, body)
        assert headers["Content-Length"] == str(len(answer[2]))


# Cookies and sessions (C5)


@pytest.mark.parametrize(
    "access",
    [
        lambda session: session.get("a"),
        lambda session: "a" in session,
        lambda session: len(session),
        lambda session: list(session),
        lambda session: bool(session),
        lambda session: session.setdefault("a", 1),
        lambda session: session.pop("a", None),
        lambda session: dict(session),
        lambda session: session == {},
        lambda session: session.keys(),
        lambda session: setattr(session, "permanent", True),
        lambda session: session.permanent,
    ],
    ids=[
        *("get", "in", "len", "iteration", "truth", "setdefault", "pop", "copy", "comparison"),
        *("keys", "permanent", "is permanent"),
    ],
)
def test_every_look_at_the_session_makes_the_answer_vary_by_cookie(
    app: Erlen, access: t.Callable[[t.Any], t.Any]
) -> None:
    app.add_url_rule("/", "view", lambda: str(bool(access(erlen.session)) and ""))
    for _ in range(3):
        assert app.test_client().get("/").headers["Vary"] == "Cookie"


def test_refreshing_a_permanent_session_makes_the_answer_vary_by_cookie(app: Erlen) -> None:
    app.add_url_rule("/", "view", lambda: "untouched")
    client = app.test_client()
    with client.session_transaction() as session:
        session.permanent = True
    for _ in range(3):
        answer = client.get("/")
        assert answer.headers["Vary"] == "Cookie"
        assert "Set-Cookie" in answer.headers


def test_an_untouched_session_leaves_no_trace(app: Erlen) -> None:
    app.add_url_rule("/", "view", lambda: "untouched")
    for _ in range(3):
        answer = app.test_client().get("/")
        assert "Vary" not in answer.headers
        assert "Set-Cookie" not in answer.headers


def session_cookie(key: str | bytes, value: dict[str, t.Any], salt: str = "cookie-session") -> str:
    import hashlib

    made = URLSafeTimedSerializer(
        key, salt=salt, signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha1}
    )
    return t.cast("str", made.dumps(value))


@pytest.mark.parametrize(
    ("cookie", "accepted"),
    [
        (session_cookie("new", {"who": "a"}), True),
        (session_cookie("old", {"who": "a"}), True),
        (session_cookie("removed", {"who": "a"}), False),
        (session_cookie("new", {"who": "a"}, salt="other"), False),
        (session_cookie("new", {"who": "a"})[:-1], False),
        (session_cookie("new", {"who": "a"}) + "x", False),
        ("x" + session_cookie("new", {"who": "a"}), False),
        (session_cookie("new", {"who": "a"}).rpartition(".")[0], False),
        (session_cookie("new", {"who": "a"}).rpartition(".")[0] + ".", False),
        ("", False),
        ("..", False),
        ("garbage", False),
    ],
    ids=[
        *("newest", "fallback", "removed", "salt", "cut", "longer", "before", "unsigned"),
        *("empty signature", "empty", "dots", "garbage"),
    ],
)
def test_only_cookies_signed_with_a_known_key_count(
    app: Erlen, cookie: str, accepted: bool
) -> None:
    app.config.update(SECRET_KEY="new", SECRET_KEY_FALLBACKS=["older", "old"])
    app.add_url_rule("/", "view", lambda: erlen.session.get("who", "nobody"))
    for _ in range(3):
        answer = send(app, {**create_environ("/"), "HTTP_COOKIE": f"session={cookie}"})
        assert answer[2] == (b"a" if accepted else b"nobody")


def test_sessions_are_signed_with_the_newest_key(app: Erlen) -> None:
    app.config.update(SECRET_KEY="new", SECRET_KEY_FALLBACKS=["old"])

    @app.route("/")
    def touch() -> str:
        erlen.session["again"] = 1
        return "touched"

    cookie = session_cookie("old", {"who": "a"})
    headers = dict(send(app, {**create_environ("/"), "HTTP_COOKIE": f"session={cookie}"})[1])
    signed = headers["Set-Cookie"].removeprefix("session=").partition(";")[0]
    app.config.update(SECRET_KEY="new", SECRET_KEY_FALLBACKS=None)
    app.view_functions["touch"] = lambda: erlen.session["who"]
    assert send(app, {**create_environ("/"), "HTTP_COOKIE": f"session={signed}"})[2] == b"a"


@settings(max_examples=100)
@given(st.text('abc=;," \\.%\x00é', max_size=40))
@example("=__Host-x=bad")
@example('"__Secure-x"=bad')
@example("=__Host-x")
def test_no_prefixed_cookie_comes_of_a_nameless_one(header: str) -> None:
    environ = {**create_environ("/"), "HTTP_COOKIE": header}
    for name in erlen.Request(environ).cookies:
        assert not name.startswith(("__Host-", "__Secure-"))


def test_each_request_sees_its_own_session_and_g(app: Erlen) -> None:
    @app.route("/<name>")
    def view(name: str) -> t.Any:
        seen = [erlen.session.get("name"), erlen.g.get("name")]
        erlen.session["name"] = erlen.g.name = name
        return seen

    clients = [app.test_client() for _ in range(3)]
    for turn in range(3):
        for number, client in enumerate(clients):
            expected = [str(number) if turn else None, None]
            assert client.get(f"/{number}").json == expected

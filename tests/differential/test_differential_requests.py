"""Bodies, forms, JSON and the attributes of the request are read as Flask reads them."""

from __future__ import annotations

import typing as t
from dataclasses import replace
from io import BytesIO

from werkzeug.datastructures import Headers

from .harness import Call, Case, Cases, Framework, call, get, post

cases = Cases()
Log = list[t.Any]


def reading(fw: Framework) -> dict[str, t.Callable[[t.Any], t.Any]]:
    """Ways to read a body; the path of a request names those to try, in order."""

    def files(request: t.Any) -> t.Any:
        return [
            (name, file.filename, file.mimetype, file.read(), sorted(file.headers.keys()))
            for name, file in request.files.items(multi=True)
        ]

    def refusing(request: t.Any) -> t.Any:
        try:
            return request.get_json()
        except Exception as error:
            return [type(error).__name__, getattr(error, "description", None), str(error)]

    def lines(request: t.Any) -> t.Any:
        return [line.decode("latin1") for line in request.stream]

    return {
        "data": lambda r: r.get_data().decode("latin1"),
        "attribute": lambda r: r.data.decode("latin1"),
        "text": lambda r: r.get_data(as_text=True),
        "uncached": lambda r: r.get_data(cache=False).decode("latin1"),
        "parsed": lambda r: r.get_data(parse_form_data=True).decode("latin1"),
        "parsed-uncached": lambda r: r.get_data(False, parse_form_data=True).decode("latin1"),
        "form": lambda r: list(r.form.items(multi=True)),
        "files": files,
        "values": lambda r: sorted(r.values.items(multi=True)),
        "stream": lambda r: r.stream.read().decode("latin1"),
        "stream3": lambda r: r.stream.read(3).decode("latin1"),
        "line": lambda r: r.stream.readline().decode("latin1"),
        "lines": lines,
        "input": lambda r: r.input_stream.read(2).decode("latin1"),
        "json": lambda r: r.json,
        "get-json": lambda r: r.get_json(),
        "force": lambda r: r.get_json(force=True),
        "silent": lambda r: r.get_json(silent=True),
        "uncached-json": lambda r: r.get_json(cache=False),
        "all-json": lambda r: r.get_json(True, True, False),
        "refused": refusing,
        "is-json": lambda r: r.is_json,
        "length": lambda r: r.content_length,
        "type": lambda r: [r.content_type, r.mimetype, r.mimetype_params],
        "limit": lambda r: [r.max_content_length, r.max_form_memory_size, r.max_form_parts],
        "own-limit": lambda r: setattr(r, "max_content_length", 5),
        "own-memory": lambda r: setattr(r, "max_form_memory_size", 5),
        "own-parts": lambda r: setattr(r, "max_form_parts", 1),
        "no-limit": lambda r: setattr(r, "max_content_length", None),
        "close": lambda r: r.close(),
        "want": lambda r: r.want_form_data_parsed,
        "missing": lambda r: r.form["missing"],
        "missing-file": lambda r: r.files["missing"],
    }


def reader(**config: t.Any) -> t.Any:
    def build(fw: Framework, log: Log) -> t.Any:
        app = fw.app(config=config)
        ways = reading(fw)

        @app.route("/<path:how>", methods=["GET", "POST", "PUT", "DELETE"])
        def read(how: str) -> t.Any:
            for way in how.split("/"):
                try:
                    log.append((way, ways[way](fw.request)))
                except Exception as error:
                    log.append((way, type(error).__name__, str(error)))
                    if "stop" in fw.request.args:
                        raise
            return "read"

        return app

    return build


ORDERS = (
    *reading(t.cast("Framework", None)),
    "data/data",
    "data/form",
    "form/data",
    "form/stream",
    "stream/form",
    "stream3/data",
    "stream3/form",
    "line/lines",
    "data/json/form",
    "json/data",
    "json/form/json",
    "uncached/data",
    "uncached/form",
    "uncached-json/json",
    "parsed/form/data",
    "parsed/stream",
    "parsed-uncached/form",
    "data/stream",
    "stream/data",
    "stream/json",
    "refused/data",
    "force/json",
    "silent/json",
    "silent/get-json",
    "json/json",
    "values/data",
    "files/form/data",
    "form/close/files",
    "own-limit/data",
    "own-limit/form",
    "own-limit/json",
    "own-memory/form",
    "own-parts/form",
    "data/own-limit/form",
    "no-limit/data/form",
    "input/data",
)
URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = (
    b"--b\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n"
    b'--b\r\nContent-Disposition: form-data; name="f"; filename="../x.txt"\r\n'
    b"Content-Type: text/plain\r\nX-More: y\r\n\r\nfile\r\nline\r\n"
    b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xff\xc3\xa9\r\n--b--\r\n'
)
BODIES: dict[str, tuple[str | None, bytes]] = {
    "urlencoded": (URLENCODED, b"a=1&b=2&a=3&c"),
    "urlencoded with charset": (f"{URLENCODED}; charset=latin-1", b"a=%E4&b=\xe4"),
    "multipart": ("multipart/form-data; boundary=b", MULTIPART),
    "json": ("application/json", b'{"a": [1, 2.5, null], "b": "\\u00fc"}'),
    "json with charset": ("application/json; charset=utf-8", '{"ü": 1}'.encode()),
    "malformed json": ("application/json", b"{"),
    "empty json": ("application/json", b""),
    "text": ("text/plain", b"{}"),
    "no type": (None, b"a=1"),
    "nothing": (None, b""),
    "form without body": (URLENCODED, b""),
}


def body(path: str, kind: str | None, data: bytes, **environ: t.Any) -> Call:
    given = {"CONTENT_TYPE": kind} if kind is not None else {}
    leave_out = () if kind is not None else ("CONTENT_TYPE",)
    environ = {"CONTENT_LENGTH": str(len(data)), "wsgi.input": data, **given, **environ}
    return call(path, method="POST", environ=environ, leave_out=leave_out)


for name, (kind, data) in BODIES.items():
    for limits in ({}, {"MAX_CONTENT_LENGTH": 20}, {"MAX_FORM_MEMORY_SIZE": 2}):
        label = f"reading {name} {next(iter(limits), '')}"
        steps = tuple(
            replace(body(f"/{order}", kind, data), only_wsgi=order.startswith("input"))
            for order in ORDERS
        )
        cases.append(Case(label.strip(), reader(**limits), steps, False, True))

LENGTHS: dict[str, dict[str, t.Any]] = {
    "missing": {"CONTENT_LENGTH": None},
    "empty": {"CONTENT_LENGTH": ""},
    "negative": {"CONTENT_LENGTH": "-1"},
    "plus": {"CONTENT_LENGTH": "+3"},
    "hexadecimal": {"CONTENT_LENGTH": "0x3"},
    "underscore": {"CONTENT_LENGTH": "1_0"},
    "blank": {"CONTENT_LENGTH": " 3 "},
    "arabic": {"CONTENT_LENGTH": "\u0663"},
    "superscript": {"CONTENT_LENGTH": "\xb2"},
    "zero": {"CONTENT_LENGTH": "0"},
    "leading zeros": {"CONTENT_LENGTH": "0003"},
    "words": {"CONTENT_LENGTH": "three"},
    "understated": {"CONTENT_LENGTH": "3"},
    "overstated": {"CONTENT_LENGTH": "100"},
    "huge": {"CONTENT_LENGTH": "9" * 30},
    "beyond digits": {"CONTENT_LENGTH": "9" * 5000},
    "terminated": {"CONTENT_LENGTH": None, "wsgi.input_terminated": True},
    "terminated, with length": {"CONTENT_LENGTH": "3", "wsgi.input_terminated": True},
    "terminated, overstated": {"CONTENT_LENGTH": "100", "wsgi.input_terminated": True},
    "terminated falsely": {"CONTENT_LENGTH": "100", "wsgi.input_terminated": False},
    "chunked": {
        "CONTENT_LENGTH": None,
        "HTTP_TRANSFER_ENCODING": "chunked",
        "wsgi.input_terminated": True,
    },
    "chunked, unknown to the server": {"CONTENT_LENGTH": None, "HTTP_TRANSFER_ENCODING": "chunked"},
    "chunked, with length": {"CONTENT_LENGTH": "3", "HTTP_TRANSFER_ENCODING": "chunked"},
    "chunked, terminated, with length": {
        "CONTENT_LENGTH": "3",
        "HTTP_TRANSFER_ENCODING": "chunked",
        "wsgi.input_terminated": True,
    },
}
#: What no ASGI server hands on: it refuses the header, or goes by the length.
OF_NO_SERVER = {
    *("arabic", "superscript", "beyond digits"),
    *("terminated, with length", "terminated, overstated", "terminated falsely"),
}
LENGTH_ORDERS = (
    "data", "form", "json", "stream", "stream3/form", "files", "silent", "length", "data/form",
    "get-json?stop", "form?stop", "data?stop", "uncached", "lines", "force?stop",
)  # fmt: skip
LENGTH_BODIES = (
    (URLENCODED, b"a=1&b=2"),
    ("application/json", b'{"a":1}'),
    ("multipart/form-data; boundary=b", MULTIPART),
    (None, b"raw"),
)
for label, environ in LENGTHS.items():
    environ = {key: value for key, value in environ.items() if value is not None}
    left_out = () if "CONTENT_LENGTH" in environ else ("CONTENT_LENGTH",)
    # With a limit, Flask cuts a body off whose end only the server knows; Erlen refuses it (413).
    limited = [] if "wsgi.input_terminated" in environ else [{"MAX_CONTENT_LENGTH": 5}]
    for limits in ({}, *limited):
        steps_: list[t.Any] = []
        for kind, data in LENGTH_BODIES:
            for order in LENGTH_ORDERS:
                step = body(f"/{order}", kind, data, **environ)
                step.only_wsgi = label in OF_NO_SERVER
                step.leave_out += left_out
                steps_.append(step)
        cases.append(
            Case(
                f"content length {label}{', limited' * bool(limits)}",
                reader(**limits),
                tuple(steps_),
                False,
                True,
            )
        )


class Trickle:
    """A stream that gives a few bytes at a time, as sockets do."""

    def __init__(self, data: bytes, fails: bool = False) -> None:
        self.inner = BytesIO(data)
        self.fails = fails

    def read(self, size: int = -1) -> bytes:
        piece = self.inner.read(2 if size < 0 or size > 2 else size)
        if self.fails and not piece:
            raise OSError("connection reset")
        return piece

    def readline(self, size: int = -1) -> bytes:
        return self.inner.readline(size)

    def __iter__(self) -> t.Iterator[bytes]:
        return iter(self.inner)


def trickling(app: t.Any) -> None:
    serve = app.wsgi_app

    def slow(environ: t.Any, start_response: t.Any) -> t.Any:
        data = environ["wsgi.input"].read()
        environ["wsgi.input"] = Trickle(data, fails="HTTP_X_FAILS" in environ)
        return serve(environ, start_response)

    app.wsgi_app = slow


cases.append(
    Case(
        "bodies that come in pieces",
        reader(),
        (
            trickling,
            *(
                replace(
                    body(f"/{order}", kind, data, CONTENT_LENGTH=str(len(data) + more), **headers),
                    # With a length of its own, and an end, it is WSGI middleware's input alone.
                    only_wsgi=True,
                )
                for order in ("data", "form", "json", "stream", "silent", "lines", "data/form")
                for kind, data in LENGTH_BODIES
                for more in (0, 5)
                for headers in ({}, {"HTTP_X_FAILS": "1"})
                # Werkzeug 3.1.5 puts line ends into such forms: see tests/test_forms.py.
                if (order, data) != ("form", MULTIPART)
            ),
        ),
        False,
        True,
    )
)
PAIRS = (
    b"", b"&", b"=", b"a", b"a=", b"=a", b"a&b", b"a=1;b=2", b"a+b=c+d", b"a%20b=%2B", b"a=%",
    b"a=%4", b"a=%zz", b"a=%ff", b"%ff=1", b"a=\xff", b"a=%C3%A9", b"a=\xc3\xa9", b"a==b",
    b"a=b=c", b"&&a=1&&", b"a=1&a=2", b"a=%26&b=%3D", b"a=%00", b"a=\x00", b"%61=%62", b"a=%e4%b8",
    b"a=%u1234", b"a=1#x", b"a[]=1&a[b]=2", b"a=%2", b"a=%%41", b"\xff\xfe=1", b"a=+%2B+",
    b"a=%F0%9F%98%80", b"a=%ED%A0%80", b"a=%c0%af", b"a\n=1\r\n", b"a=\xc2\xa0", b"+=+",
)  # fmt: skip
cases.append(
    Case(
        "oddities of urlencoded forms",
        reader(),
        tuple(
            step
            for pairs in PAIRS
            for step in (
                body("/form", URLENCODED, pairs),
                body("/data/form", URLENCODED, pairs),
                body("/form", URLENCODED, pairs * 20_000),
            )
        ),
        False,
        True,
    )
)


def show_query(fw: Framework, log: Log) -> t.Any:
    app = fw.app()

    @app.route("/", methods=["GET", "POST"])
    def show() -> t.Any:
        request = fw.request
        log.append(list(request.args.items(multi=True)))
        log.append((request.query_string, request.full_path, request.url, request.base_url))
        log.append((request.args.get("a", type=int), request.args.getlist("a"), request.values))
        return "shown"

    return app


cases.append(
    Case(
        "oddities of queries",
        show_query,
        tuple(call("/", environ={"QUERY_STRING": pairs.decode("latin1")}) for pairs in PAIRS)
        + (call("/", leave_out=("QUERY_STRING",)),),
        False,
        True,
    )
)

JSON_TEXTS = (
    b"1", b"null", b"true", b'"x"', b"[]", b"{}", b"  {}  ", b"\xef\xbb\xbf{}", b"{'a':1}", b"NaN",
    b"[NaN, Infinity, -Infinity]", b"1e400", b"-0", b"-0.0", b"01", b"1.", b"[1,]", b"{,}", b"{}x",
    b'"\\ud800"', b'"\\ud83d\\ude00"', b'"\x00"', b'"\t"', b'"\xff"', b'{"a":1,"a":2}', b"9" * 30,
    b"1" * 5000, *('{"a":1}'.encode(name) for name in ("utf-16", "utf-32", "utf-16-le")),
    '"ä"'.encode("latin1"), b"\n", b"\x00", b"nul", b"[1 2]", b'{"a" 1}', b'{"a":}', b'{1:2}',
    b"/* c */ 1", b'["\\x"]', b"1.7976931348623157e309", b"0.1e-400", b'"\\u12"',
    b"[" * 50 + b"]" * 50,
)  # fmt: skip
JSON_TYPES = (
    "application/json", "application/json; charset=utf-16", "application/problem+json",
    "APPLICATION/JSON", "application/json;x", "text/json", "application/jsonx", "",
    "application/x-json", "application/vnd.api+json; v=1", "multipart/form-data", "*/*",
)  # fmt: skip


def json_steps() -> tuple[Call, ...]:
    by_text = [
        body(f"/{order}", "application/json", text)
        for text in JSON_TEXTS
        for order in ("refused", "silent", "get-json?stop", "json/json", "uncached-json/refused")
    ]
    by_type = [
        body(f"/{order}", kind, text)
        for kind in JSON_TYPES
        for text in (b'{"a":1}', b"{", b"")
        for order in ("refused", "silent/refused", "is-json", "force", "get-json?stop", "type")
    ]
    return (*by_text, *by_type, get("/refused"), get("/silent"), get("/force"), get("/json?stop"))


for debug in (False, True):
    cases.append(
        Case(
            f"JSON and its faults{', in debug mode' * debug}",
            reader(DEBUG=debug, PROPAGATE_EXCEPTIONS=False),
            json_steps(),
            False,
            True,
        )
    )


def odd_multipart() -> tuple[Call, ...]:
    part = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    bodies = [
        b"",
        b"--b--",
        b"--b--\r\n",
        b"garbage",
        b"--b\r\n",
        b"--b\r\n\r\n\r\n--b--\r\n",
        part % (b"a", b"1"),
        part % (b"a", b"1") + b"--b--",
        part % (b"\xff", b"\xff") + b"--b--\r\n",
        part % (b"a", b"x" * 600_000) + b"--b--\r\n",
        part % (b"a", b"1") * 1001 + b"--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; filename="x"\r\n\r\n1\r\n--b--\r\n',
        b"--b\r\nContent-Type: text/plain\r\n\r\n1\r\n--b--\r\n",
        b'--b\nContent-Disposition: form-data; name="a"\n\n1\n--b--\n',
        b"preamble\r\n" + part % (b"a", b"1") + b"--b--\r\nepilogue",
        b'--b\r\nContent-Disposition: form-data; name="f"; filename=""\r\n\r\n\r\n--b--\r\n',
        b'--b\r\nContent-Disposition: form-data; name="f"; filename="a";'
        b" filename*=UTF-8''b\r\n\r\nx\r\n--b--\r\n",
    ]
    types = ("multipart/form-data; boundary=b", 'multipart/form-data; boundary="b"')
    odd_types = ("multipart/form-data", f"{types[0][:-1]}", "multipart/mixed; boundary=b")
    orders = ("form/files", "files?stop")
    return (
        *(body(f"/{order}", types[0], data) for data in bodies for order in orders),
        *(body("/form/files", kind, bodies[7]) for kind in (*types, *odd_types)),
    )


cases.append(Case("oddities of multipart forms", reader(), odd_multipart(), False, True))


MISSING = ("missing", "missing-file", "missing?stop", "missing-file?stop", "form/missing-file")


@cases.case(
    *(body(f"/{order}", kind, data) for order in MISSING for kind, data in BODIES.values()),
    fails=True,
)
def keys_that_are_missing_in_debug_mode(fw: Framework, log: Log) -> t.Any:
    return reader(DEBUG=True, PROPAGATE_EXCEPTIONS=False)(fw, log)


def attributes(request: t.Any) -> dict[str, t.Any]:
    """Everything that a request tells, as plain values."""
    names = (
        "method scheme server root_path path query_string remote_addr full_path is_secure url"
        " base_url root_url host_url host cookies content_type content_length content_encoding"
        " content_md5 referrer date max_forwards mimetype mimetype_params pragma"
        " accept_mimetypes accept_charsets accept_encodings accept_languages cache_control"
        " if_match if_none_match if_modified_since if_unmodified_since if_range range user_agent"
        " authorization access_route access_control_request_headers access_control_request_method"
        " origin is_json want_form_data_parsed remote_user is_multithread is_multiprocess"
        " is_run_once script_root url_root url_rule endpoint view_args blueprint blueprints"
        " routing_exception trusted_hosts shallow"
    ).split()
    seen = {}
    for name in names:
        try:
            seen[name] = repr(getattr(request, name))
        except Exception as error:
            seen[name] = f"{type(error).__name__}: {error}"
    seen["headers"] = repr(list(request.headers))
    seen["args"] = repr(request.args)
    return seen


ENVIRONS: dict[str, dict[str, t.Any]] = {
    "plain": {},
    "headers": {
        "HTTP_ACCEPT": "text/html;q=0.5, application/json",
        "HTTP_COOKIE": 'a=b; c="d e"; a=f; =g; h',
        "HTTP_AUTHORIZATION": "Basic YTpi",
        "HTTP_IF_NONE_MATCH": '"x", W/"y"',
        "HTTP_RANGE": "bytes=0-5",
        "HTTP_X_FORWARDED_FOR": "1.2.3.4, 5.6.7.8",
        "HTTP_CACHE_CONTROL": "max-age=5",
        "HTTP_USER_AGENT": "test",
        "HTTP_REFERER": "http://ref.test/",
        "HTTP_DATE": "Wed, 21 Oct 2015 07:28:00 GMT",
        "HTTP_ORIGIN": "null",
        "HTTP_CONTENT_ENCODING": "gzip",
        "REMOTE_USER": "user",
        "REMOTE_ADDR": "10.0.0.1",
    },
    "mounted": {"SCRIPT_NAME": "/mount/", "PATH_INFO": "/x"},
    "no slash": {"PATH_INFO": "x"},
    "slashes": {"PATH_INFO": "//x//y"},
    "empty path": {"PATH_INFO": ""},
    "empty path below": {"PATH_INFO": "", "SCRIPT_NAME": "/mount"},
    "latin1": {"PATH_INFO": "/\xc3\xa9/\xff", "SCRIPT_NAME": "/\xc3\xa4"},
    "secure": {"wsgi.url_scheme": "https", "SERVER_PORT": "443"},
    "odd port": {"HTTP_HOST": "h.test:8080", "SERVER_PORT": "8080"},
    "odd host": {"HTTP_HOST": "ünï.test"},
    "punycode": {"HTTP_HOST": "xn--nxasmq6b.test"},
    "no host": {"HTTP_HOST": ""},
    "unix socket": {"SERVER_NAME": "/run/app.sock", "SERVER_PORT": ""},
    "port word": {"SERVER_PORT": "http"},
    "method": {"REQUEST_METHOD": "patch"},
    "query": {"QUERY_STRING": "a=1&b=%20&c=\xc3\xbc"},
    "content": {"CONTENT_TYPE": "text/plain; charset=x", "CONTENT_LENGTH": "0"},
    "reserved": {"PATH_INFO": "/a?b#c%2F;d"},
    "raw uri": {"RAW_URI": "/other", "REQUEST_URI": "/another?x"},
    "fragment": {"PATH_INFO": "/@evil.test/", "HTTP_HOST": "a.test"},
}
#: Ports that an ASGI scope cannot have.
ONLY_WSGI = {"unix socket", "port word"}


@cases.case(
    *(
        call("/x", environ=environ, only_wsgi=name in ONLY_WSGI)
        for name, environ in ENVIRONS.items()
    ),
    *(call("/x", leave_out=(name,)) for name in ("HTTP_HOST", "SCRIPT_NAME", "QUERY_STRING")),
    call("/x", leave_out=("REMOTE_ADDR",)),
    call("/x", leave_out=("REMOTE_ADDR", "PATH_INFO"), only_wsgi=True),
    call("/x", leave_out=("wsgi.multithread", "wsgi.run_once"), only_wsgi=True),
    signals=True,
)
def attributes_of_the_request(fw: Framework, log: Log) -> t.Any:
    app = fw.app()

    @app.before_request
    def note() -> None:
        log.append(attributes(fw.request))

    @app.route("/", defaults={"path": ""}, methods=["GET", "PATCH"])
    @app.route("/<path:path>", methods=["GET", "PATCH"])
    def show(path: str) -> t.Any:
        log.append(sorted(vars(fw.request._get_current_object()).keys() & {"environ", "shallow"}))
        log.append(repr(fw.request).replace(fw.name, ""))
        return {"path": path}

    return app


ASSIGNMENTS: dict[str, t.Any] = {
    "path": "/assigned",
    "method": "POST",
    "root_path": "/base",
    "host": "assigned.test",
    "scheme": "https",
    "query_string": b"a=2",
    "headers": Headers({"Host": "h", "Content-Type": "text/plain"}),
    "url": "http://set.test/",
    "remote_addr": "1.1.1.1",
    "server": ("s", 1),
    "view_args": {"path": "other"},
    "url_rule": None,
    "routing_exception": None,
    "args": {"x": 1},
    "form": {"f": 1},
    "data": b"set",
    "json": {"j": 1},
    "cookies": {"c": "1"},
    "endpoint": "e",
    "blueprint": "b",
    "own": 5,
    "max_content_length": 3,
    "shallow": True,
}


@cases.case(
    *(
        post(f"/{name}?when={when}", "a=1", content_type=URLENCODED)
        for name in ASSIGNMENTS
        for when in ("before", "view", "both")
    ),
    fails=True,
)
def attributes_that_are_assigned(fw: Framework, log: Log) -> t.Any:
    app = fw.app()

    def assign(name: str, when: str) -> None:
        if when == "both":
            getattr(fw.request, name, None)
        try:
            setattr(fw.request, name, ASSIGNMENTS[name])
        except Exception as error:
            log.append(f"{type(error).__name__}: {error}")

    @app.before_request
    def before() -> None:
        when = fw.request.args["when"]
        if when != "view":
            assign(fw.request.view_args["name"], when)

    @app.route("/<name>", methods=["POST"])
    @app.route("/<name>/<path>", methods=["POST"])
    def show(name: str = "", path: str = "") -> t.Any:
        if not name:
            log.append("view args were replaced")
        elif fw.request.environ.get("QUERY_STRING") == "when=view":
            assign(name, "view")
        log.append(attributes(fw.request))
        for attribute in ("form", "data", "json", "own"):
            try:
                log.append((attribute, repr(getattr(fw.request, attribute))))
            except Exception as error:
                log.append((attribute, type(error).__name__, str(error)))
        return {"path": path}

    return app


@cases.parametrize()
def test_requests_are_read_as_in_flask(case: Case) -> None:
    case.check()

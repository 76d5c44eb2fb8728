"""Responses, however they were edited, and files reach the client as Flask sends them."""

from __future__ import annotations

import io
import os
import typing as t
from pathlib import Path

import pytest
from werkzeug.datastructures import Headers, WWWAuthenticate

from .harness import Call, Case, Cases, Framework, call, get

cases = Cases()
Log = list[t.Any]
Edit = t.Callable[[t.Any, Framework, Log], t.Any]


def pieces(log: Log) -> t.Iterator[bytes]:
    try:
        yield b"one"
        yield b"two"
    finally:
        log.append("stream closed")


def _set(name: str, value: t.Any) -> Edit:
    return lambda response, fw, log: setattr(response, name, value)


def _header(name: str, value: t.Any) -> Edit:
    return lambda response, fw, log: response.headers.__setitem__(name, value)


def _call(name: str, *args: t.Any, **kwargs: t.Any) -> Edit:
    return lambda response, fw, log: log.append(repr(getattr(response, name)(*args, **kwargs)))


def _read(name: str) -> Edit:
    return lambda response, fw, log: log.append(repr(getattr(response, name)))


def _iterables(name: str) -> Edit:
    def edit(response: t.Any, fw: Framework, log: Log) -> None:
        made = {
            "generator": lambda: pieces(log),
            "list": lambda: [b"a", b"b"],
            "text list": lambda: ["ä", "b"],
            "tuple": lambda: (b"a",),
            "empty": list,
            "bytes": lambda: b"raw",
            "text": lambda: "text",
        }
        response.response = made[name]()

    return edit


def _direct(response: t.Any, fw: Framework, log: Log) -> None:
    response.direct_passthrough = True
    response.response = iter([b"direct"])


def _on_close(response: t.Any, fw: Framework, log: Log) -> None:
    response.call_on_close(lambda: log.append(("closed", fw.has_request_context())))


def _failing_on_close(response: t.Any, fw: Framework, log: Log) -> None:
    def fail() -> None:
        log.append("close fails")
        raise KeyError("close")

    response.call_on_close(fail)


def _other(response: t.Any, fw: Framework, log: Log) -> t.Any:
    return fw.Response("other", 201, {"X-Other": "1"})


def _not_a_response(response: t.Any, fw: Framework, log: Log) -> t.Any:
    return "text"


def _no_return(response: t.Any, fw: Framework, log: Log) -> t.Any:
    return NOTHING


NOTHING = object()


def _append(response: t.Any, fw: Framework, log: Log) -> None:
    response.stream.write("more")


def _data_twice(response: t.Any, fw: Framework, log: Log) -> None:
    response.data = b"first"
    log.append(response.data)
    response.set_data("zweite ü")
    log.append((response.get_data(), response.get_data(as_text=True), response.content_length))


def _www(response: t.Any, fw: Framework, log: Log) -> None:
    response.www_authenticate = WWWAuthenticate("basic", {"realm": "r"})


def _headers_object(response: t.Any, fw: Framework, log: Log) -> None:
    response.headers = Headers([("X-New", "1")])


def _headers_same(response: t.Any, fw: Framework, log: Log) -> None:
    log.append(list(response.headers))
    log.append((response.headers.get("content-type"), "Content-Length" in response.headers))


def _remove(name: str) -> Edit:
    return lambda response, fw, log: response.headers.remove(name)


EDITS: dict[str, Edit] = {
    "nothing": lambda response, fw, log: None,
    "headers read": _headers_same,
    "header": _header("X-A", "1"),
    "header int": _header("X-A", 1),
    "header unicode": _header("X-A", "ü☃"),
    "header newline": _header("X-A", "a\r\nb: c"),
    "header name": _header("X-Ä", "1"),
    "location relative": _header("Location", "rel/x?ü=ä#f"),
    "location path": _header("Location", "/path ü"),
    "location host": _header("Location", "http://ünï.test/ä"),
    "location lower": _header("location", "x"),
    "content location": _header("Content-Location", "/ü"),
    "content length removed": _remove("Content-Length"),
    "content length wrong": _header("Content-Length", "1"),
    "content length lower": _header("content-length", "2"),
    "content type": _header("Content-Type", "text/plain"),
    "content type removed": _remove("Content-Type"),
    "all removed": lambda response, fw, log: response.headers.clear(),
    "headers replaced": _headers_object,
    "headers added": lambda response, fw, log: response.headers.extend([("X", "1"), ("X", "2")]),
    "headers popped": lambda response, fw, log: log.append(response.headers.pop("Content-Type")),
    **{
        f"status {status!r}": _set("status_code", status)
        for status in (100, 101, 103, 199, 200, 204, 205, 206, 301, 304, 404, 599, 600, 99, 1000)
    },
    **{
        f"status text {status!r}": _set("status", status)
        for status in ("204", "304 Not", "204 Fine", "299 Mine", "wrong", "0", 404)
    },
    "data": _set("data", b"data"),
    "data text": _set("data", "tèxt"),
    "data empty": _set("data", b""),
    "data twice": _data_twice,
    "set_data": _call("set_data", "new"),
    "get_data": _call("get_data"),
    "get_data text": _call("get_data", as_text=True),
    "get_json": _call("get_json", force=True, silent=True),
    "json": _read("json"),
    "is_json": _read("is_json"),
    "is_streamed": _read("is_streamed"),
    "is_sequence": _read("is_sequence"),
    "response": _read("response"),
    "status read": _read("status"),
    "code read": _read("status_code"),
    "mimetype read": _read("mimetype"),
    "content_type read": _read("content_type"),
    "charset params": _read("mimetype_params"),
    "length": _read("content_length"),
    "calculate": _call("calculate_content_length"),
    "make_sequence": _call("make_sequence"),
    "iter_encoded": lambda response, fw, log: log.append(list(response.iter_encoded())),
    "freeze": _call("freeze"),
    "repr": lambda response, fw, log: log.append(repr(response).replace(fw.name, "")),
    "add_etag": _call("add_etag"),
    "set_etag": _call("set_etag", "tag", weak=True),
    "conditional": lambda response, fw, log: response.make_conditional(fw.request),
    "conditional ranges": lambda response, fw, log: response.make_conditional(
        fw.request, accept_ranges=True, complete_length=3
    ),
    "etag and conditional": lambda response, fw, log: (
        response.add_etag(),
        response.make_conditional(fw.request),
    ),
    "last_modified": _set("last_modified", 1_500_000_000),
    "expires": _set("expires", 1_500_000_000),
    "date": _set("date", 1_500_000_000),
    "age": _set("age", 5),
    "retry": _set("retry_after", 7),
    "cache": lambda response, fw, log: setattr(response.cache_control, "max_age", 5),
    "vary": lambda response, fw, log: response.vary.update(["Cookie", "X"]),
    "allow": lambda response, fw, log: response.allow.add("GET"),
    "language": lambda response, fw, log: response.content_language.add("de"),
    "csp": lambda response, fw, log: setattr(
        response.content_security_policy, "default_src", "'self'"
    ),
    "www": _www,
    "access": _set("access_control_allow_origin", "*"),
    "mimetype": _set("mimetype", "application/x-own"),
    "mimetype text": _set("mimetype", "text/css"),
    "cookie": _call("set_cookie", "a", "ü b", max_age=3, secure=True, samesite="lax"),
    "cookie big": _call("set_cookie", "a", "b" * 5000),
    "cookie bad": _call("set_cookie", "a b", "c"),
    "cookie deleted": _call("delete_cookie", "a", path="/x", domain="t.test"),
    **{
        f"response is {name}": _iterables(name)
        for name in ("generator", "list", "text list", "tuple", "empty", "bytes", "text")
    },
    "direct": _direct,
    "on close": _on_close,
    "on close fails": _failing_on_close,
    "on close twice": lambda response, fw, log: (
        _on_close(response, fw, log),
        _on_close(response, fw, log),
    ),
    "closed": _call("close"),
    "with": lambda response, fw, log: response.__enter__().__exit__(None, None, None),
    "append": _append,
    "no correction": _set("autocorrect_location_header", True),
    "corrected": lambda response, fw, log: (
        setattr(response, "autocorrect_location_header", True),
        response.headers.__setitem__("Location", "/x"),
    ),
    "no length": _set("automatically_set_content_length", False),
    "no implicit sequence": _set("implicit_sequence_conversion", False),
    "default status": _set("default_status", 404),
    "iter": _set("iter_encoded", lambda: [b"assigned"]),
    "wsgi headers": _set("get_wsgi_headers", lambda environ: Headers([("X-Mine", "1")])),
    "called": lambda response, fw, log: log.append(
        response.get_wsgi_response(fw.request.environ)[1:]
    ),
    "app iter": lambda response, fw, log: log.append(
        list(response.get_app_iter(fw.request.environ))
    ),
    "other": _other,
    "not a response": _not_a_response,
    "nothing returned": _no_return,
    "own attribute": _set("own", 1),
}


def edited(where: str) -> t.Any:
    """An application that edits its answers in a hook, or in the view itself."""

    def build(fw: Framework, log: Log) -> t.Any:
        app = fw.app()

        def change(response: t.Any) -> t.Any:
            edit = EDITS[fw.request.args["edit"]]
            try:
                result = edit(response, fw, log)
            except Exception as error:
                log.append((type(error).__name__, str(error)))
                raise
            if result is NOTHING:
                return None
            return response if result is None or isinstance(result, tuple) else result

        bodies: dict[str, t.Callable[[], t.Any]] = {
            "text": lambda: "text",
            "json": lambda: {"a": 1},
            "stream": lambda: pieces(log),
            "error": lambda: fw.abort(404),
            "empty": lambda: ("", 204),
        }

        @app.route("/<kind>")
        def view(kind: str) -> t.Any:
            if where == "view" and kind != "error":
                return change(fw.make_response(bodies[kind]()))
            if where == "after this request":
                fw.after_this_request(change)
            return bodies[kind]()

        if where == "after_request":
            app.after_request(change)
        if where == "signal":
            app.finished = lambda sender, response, **extra: change(response)
            fw.request_finished.connect(app.finished, app)
        return app

    return build


# Flask's answer to an HTTP error is the stream that the error gives as a WSGI application, with a
# length that was computed before, and empty for HEAD. Erlen's is an ordinary response.
OF_STREAMED_ERRORS = {
    *("content length removed", "all removed", "headers replaced", "is_streamed", "is_sequence"),
    *("response", "iter_encoded", "repr", "app iter"),
}
OF_HEAD_ERRORS = {
    *("get_data", "get_data text", "calculate", "freeze", "add_etag", "etag and conditional"),
    "append",
}


#: What no server sends, or what fails in its hands: on ASGI an error of the application already.
OF_NO_SERVER = {
    *("header unicode", "status 99", "status text '0'", "status text 'wrong'"),
    *("response is bytes", "on close fails"),
}


def edits(kind: str, edit: str, method: str = "GET", **headers: str) -> Call:
    return call(
        f"/{kind}",
        query_string={"edit": edit},
        method=method,
        headers=headers,
        only_wsgi=edit in OF_NO_SERVER,
    )


for place in ("after_request", "view", "after this request", "signal"):
    for kind in ("text", "json", "stream", "error", "empty"):
        names = [edit for edit in EDITS if kind != "error" or edit not in OF_STREAMED_ERRORS]
        steps = [edits(kind, edit) for edit in names]
        if place == "after_request":
            steps += [edits(kind, edit, **{"If-None-Match": "*"}) for edit in names]
            steps += [
                edits(kind, edit, "HEAD")
                for edit in names
                if kind != "error" or edit not in OF_HEAD_ERRORS
            ]
        cases.append(Case(f"{kind} edited in {place}", edited(place), tuple(steps), False, True))


def fill(folder: Path) -> None:
    """Write a few files of a fixed age."""
    files = {
        "a.txt": b"0123456789",
        "empty.txt": b"",
        "style.css": b"body {}",
        "page.html": "<p>ü</p>".encode(),
        "data.bin": bytes(range(256)) * 300,
        "archive.tar.gz": b"gz",
        "noext": b"x",
        "ü n.txt": b"name",
        "sub/b.js": b"b()",
        ".hidden": b"h",
        "UPPER.TXT": b"U",
    }
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (1_500_000_000, 1_500_000_000))


class Folder:
    """Where the files are; set for each test that sends some."""

    path: Path


@pytest.fixture(autouse=True)
def files(tmp_path_factory: pytest.TempPathFactory) -> None:
    if not hasattr(Folder, "path"):
        Folder.path = tmp_path_factory.mktemp("files")
        fill(Folder.path)


NAMES = (
    *("a.txt", "empty.txt", "style.css", "page.html", "archive.tar.gz", "noext", "ü n.txt"),
    *("sub/b.js", ".hidden", "UPPER.TXT", "missing", "sub", "sub/", "", "../x", "sub/../a.txt"),
    *("%2e%2e/x", "a.txt/", "//a.txt", "/etc/passwd", "a.txt%00", "..\\a.txt", "C:a", "./a.txt"),
)
CONDITIONS: tuple[dict[str, str], ...] = (
    {},
    {"If-None-Match": "*"},
    {"If-None-Match": '"x"'},
    {"If-Match": '"x"'},
    {"If-Modified-Since": "Fri, 14 Jul 2017 02:40:00 GMT"},
    {"If-Modified-Since": "Fri, 14 Jul 2007 02:40:00 GMT"},
    {"If-Modified-Since": "garbage"},
    {"If-Unmodified-Since": "Fri, 14 Jul 2007 02:40:00 GMT"},
    *(
        {"Range": value}
        for value in (
            "bytes=0-3", "bytes=3-", "bytes=-3", "bytes=0-0", "bytes=20-", "bytes=5-2", "bytes=-0",
            "bytes=-100", "bytes=0-1,3-4", "bytes=0-9999", "bits=0-1", "bytes", "bytes=",
            "bytes=a-b",
            "bytes=0-1;x", "bytes= 0 - 1", "bytes=9-9", "bytes=10-10", "bytes=--1", "bytes=0x1-2",
            f"bytes=0-{'9' * 50}", "bytes=" + ",".join(f"{n}-{n}" for n in range(500)),
        )
    ),
    {"Range": "bytes=0-3", "If-Range": '"x"'},
    {"Range": "bytes=0-3", "If-Range": "Fri, 14 Jul 2017 02:40:00 GMT"},
    {"Range": "bytes=0-3", "If-Range": "Fri, 14 Jul 2007 02:40:00 GMT"},
)  # fmt: skip
SENDING: dict[str, dict[str, t.Any]] = {
    "plain": {},
    "mimetype": {"mimetype": "application/x-own"},
    "attachment": {"as_attachment": True},
    "named": {"as_attachment": True, "download_name": 'nä"me;\n.txt'},
    "inline name": {"download_name": "other.pdf"},
    "not conditional": {"conditional": False},
    "no etag": {"etag": False},
    "own etag": {"etag": "own"},
    "modified": {"last_modified": 1_400_000_000},
    "age": {"max_age": 7},
    "age zero": {"max_age": 0},
    "age function": {"max_age": lambda name: 9 if name else None},
}


def file_app(config: dict[str, t.Any], debug: bool = False) -> t.Any:
    def build(fw: Framework, log: Log) -> t.Any:
        folder = Folder.path
        app = fw.app(
            static_folder=str(folder), static_url_path="/s", root_path=str(folder), config=config
        )
        bp = fw.Blueprint("bp", __name__, static_folder=str(folder / "sub"), url_prefix="/bp")
        bp.add_url_rule(
            "/x", endpoint="x", view_func=lambda: fw.url_for(".static", filename="b.js")
        )
        app.register_blueprint(bp)

        @app.route("/send/<how>/<path:name>")
        def send(how: str, name: str) -> t.Any:
            return fw.send_file(name, **SENDING[how])

        @app.route("/from/<how>/<path:name>")
        def send_from(how: str, name: str) -> t.Any:
            return fw.send_from_directory(folder, name, **SENDING[how])

        @app.route("/io/<kind>/<how>")
        def send_io(kind: str, how: str) -> t.Any:
            opened: dict[str, t.Callable[[], t.Any]] = {
                "bytes": lambda: io.BytesIO(b"0123456789"),
                "text": lambda: io.StringIO("text"),
                "file": lambda: (folder / "a.txt").open("rb"),
                "path": lambda: folder / "a.txt",
            }
            try:
                return fw.send_file(opened[kind](), **SENDING[how])
            except Exception as error:
                return f"{type(error).__name__}: {error}"

        @app.route("/open")
        def opening() -> t.Any:
            with app.open_resource("a.txt") as file, app.open_resource("a.txt", "r") as text:
                return [file.read().decode(), text.read(), app.get_send_file_max_age("a.txt")]

        return app

    return build


def _quoted(name: str) -> str:
    return name.replace(" ", "%20")


STATIC_STEPS = (
    *(get(f"/s/{_quoted(name)}") for name in NAMES),
    *(call(f"/s/{_quoted(name)}", method="HEAD") for name in NAMES),
    *(get(f"/bp/static/{name}") for name in ("b.js", "../a.txt", "missing")),
    *(
        call(path, headers=headers)
        for path in ("/s/a.txt", "/s/empty.txt")
        for headers in CONDITIONS
    ),
    *(call("/s/data.bin", headers=headers) for headers in CONDITIONS[8:20]),
    call("/s/a.txt", method="POST"),
    call("/s/a.txt", method="OPTIONS"),
    call("/s/a.txt", environ={"wsgi.file_wrapper": lambda file, size=5: iter([file.read(size)])}),
    get("/bp/x"),
)
SEND_STEPS = (
    *(get(f"/send/{how}/a.txt") for how in SENDING),
    *(get(f"/from/{how}/{name}") for how in SENDING for name in ("page.html", "missing", "sub")),
    *(get(f"/io/{kind}/{how}") for kind in ("bytes", "text", "file", "path") for how in SENDING),
    *(call("/io/bytes/named", headers=headers) for headers in CONDITIONS),
    *(call("/send/own%20etag/a.txt", headers={"If-None-Match": tag}) for tag in ('"own"', "W/own")),
    get("/open"),
)
for label, config in {
    "files": {},
    "files with a max age": {"SEND_FILE_MAX_AGE_DEFAULT": 5},
    "files sent by the server": {"USE_X_SENDFILE": True},
    "files in debug mode": {"DEBUG": True, "PROPAGATE_EXCEPTIONS": False},
}.items():
    cases.append(Case(label, file_app(config), (*STATIC_STEPS, *SEND_STEPS), False, True))


@cases.case(
    get("/open"),
    lambda app: setattr(app, "get_send_file_max_age", lambda name: 77),
    get("/s/a.txt"),
    lambda app: app.config.update(SEND_FILE_MAX_AGE_DEFAULT=3),
    lambda app: delattr(app, "get_send_file_max_age"),
    get("/s/a.txt"),
    lambda app: setattr(app, "send_static_file", lambda filename: f"own {filename}"),
    get("/s/a.txt"),
    lambda app: setattr(app, "static_folder", "/nonexistent"),
    get("/s/a.txt"),
    lambda app: setattr(app, "use_x_sendfile", True),
    get("/send/plain/a.txt"),
    fails=True,
)
def how_files_are_sent_changed_later(fw: Framework, log: Log) -> t.Any:
    return file_app({})(fw, log)


@cases.parametrize()
def test_responses_are_as_in_flask(case: Case) -> None:
    case.check()

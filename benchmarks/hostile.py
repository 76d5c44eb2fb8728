"""`python -m benchmarks.hostile`: time over length for requests that are made to cost much.

For each corpus of bodies, and for the most costly text in each header, the best of several runs
with n and with 4n bytes: a parser that is linear takes four times as long, one that is quadratic
sixteen times. Exit code 1 where a ratio is over its gate.
"""

from __future__ import annotations

import sys
import time
import typing as t
from collections.abc import Callable
from functools import partial
from io import BytesIO

from werkzeug.test import create_environ

from erlen import Request

#: Most that time(4n) / time(n) may be.
RATIO = 8.0
RUNS = 7
SIZE = 200_000

MULTIPART = "multipart/form-data; boundary=b"
URLENCODED = "application/x-www-form-urlencoded"
PART = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n'

BODIES: dict[str, tuple[str, Callable[[int], bytes]]] = {
    "CR": (MULTIPART, lambda n: PART + b"\r" * n),
    "LF": (MULTIPART, lambda n: PART + b"\n" * n),
    "CRLF": (MULTIPART, lambda n: PART + b"\r\n" * (n // 2)),
    "almost boundaries": (MULTIPART, lambda n: PART + b"\r\n--" * (n // 4)),
    "boundaries cut off": (MULTIPART, lambda n: PART + b"\r\n--a" * (n // 5)),
    "tiny parts": (MULTIPART, lambda n: (PART + b"1\r\n") * (n // 55) + b"--b--\r\n"),
    "ampersands": (URLENCODED, lambda n: b"&" * n),
    "percents": (URLENCODED, lambda n: b"a=" + b"%" * n),
    "one name": (URLENCODED, lambda n: b"a&" * (n // 2)),
    "many names": (URLENCODED, lambda n: b"".join(b"%06x&" % i for i in range(n // 7))),
    "encoded": (URLENCODED, lambda n: b"%41" * (n // 3)),
    "undecodable": (URLENCODED, lambda n: b"%ff" * (n // 3)),
}
HEADERS: dict[str, Callable[[Request], t.Any]] = {
    "CONTENT_TYPE": lambda request: request.mimetype_params,
    "HTTP_ACCEPT": lambda request: request.accept_mimetypes.best,
    "HTTP_ACCEPT_LANGUAGE": lambda request: request.accept_languages.best,
    "HTTP_AUTHORIZATION": lambda request: request.authorization,
    "HTTP_CACHE_CONTROL": lambda request: request.cache_control,
    "HTTP_COOKIE": lambda request: request.cookies,
    "HTTP_IF_MATCH": lambda request: request.if_match,
    "HTTP_IF_MODIFIED_SINCE": lambda request: request.if_modified_since,
    "HTTP_IF_NONE_MATCH": lambda request: request.if_none_match,
    "HTTP_IF_RANGE": lambda request: request.if_range,
    "HTTP_RANGE": lambda request: request.range,
    "HTTP_X_FORWARDED_FOR": lambda request: request.access_route,
}
TEXTS = tuple(
    (unit * 65_536)[:65_536]
    for unit in (
        *('"', "\\", ";", ",", "=", " ", "a=", '"\\', "; a", "*'", "q=0.", "\t;", "a=b;"),
        *("0-,", "text/html;", 'W/"a",', '"a" ', "bytes=0-,", "9", "%"),
    )
)


def seconds(run: Callable[[], t.Any], runs: int = RUNS) -> float:
    """The best of a few runs."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def ratio(few: Callable[[], t.Any], many: Callable[[], t.Any]) -> float:
    """How much longer the second takes; what takes less than a millisecond counts as linear."""
    times = seconds(few), seconds(many)
    return times[1] / times[0] if times[1] > 0.001 else 4.0


def read_header(name: str, text: str) -> None:
    HEADERS[name](Request({**create_environ("/"), name: text}))


def read_form(kind: str, body: bytes) -> None:
    environ = create_environ("/", method="POST")
    environ.update({"CONTENT_TYPE": kind, "CONTENT_LENGTH": str(len(body))})
    environ["wsgi.input"] = BytesIO(body)
    request = Request(environ)
    request.max_form_memory_size = request.max_form_parts = 10**9
    assert request.form is not None


def body_ratios() -> dict[str, float]:
    """time(4n) / time(n) of each corpus of bodies."""
    return {
        name: ratio(partial(read_form, kind, make(SIZE)), partial(read_form, kind, make(4 * SIZE)))
        for name, (kind, make) in BODIES.items()
    }


def header_ratios() -> dict[str, float]:
    """time(4n) / time(n) of the text that costs most, for each header."""
    ratios = {}
    for name in HEADERS:
        text = max(TEXTS, key=lambda text: seconds(partial(read_header, name, text), runs=1))
        quarter = text[: len(text) // 4]
        ratios[name] = ratio(partial(read_header, name, quarter), partial(read_header, name, text))
    return ratios


def main() -> int:
    kept = True
    for name, value in {**body_ratios(), **header_ratios()}.items():
        kept &= value <= RATIO
        print(f"{name:24} time(4n)/time(n) {value:5.2f}  {'' if value <= RATIO else 'OVER'}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())

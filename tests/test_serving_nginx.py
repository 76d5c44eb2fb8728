"""Behind nginx, set up as docs/deploying.md says: what the proxy tells, and what it keeps out."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import Server, free_port, read_all, running

pytestmark = [pytest.mark.live, pytest.mark.timeout(60)]

DEPLOYING = Path(__file__).parent.parent / "docs" / "deploying.md"

NGINX = """
daemon off;
master_process off;
pid nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    {site}
}}
"""


class Proxy(Server):
    """nginx, which is talked to like any server."""

    def __init__(self, folder: Path, upstream: Path) -> None:
        self.unix = None
        self.port = free_port()
        block = re.search(r"```nginx\n(.*?)```", DEPLOYING.read_text(), re.DOTALL)
        assert block is not None
        site = block[1].replace("/run/myapp/app.sock", str(upstream))
        site = site.replace("listen 80;", f"listen 127.0.0.1:{self.port};")
        (folder / "nginx.conf").write_text(NGINX.format(site=site))
        self.start(["nginx", "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"], folder, {})


@pytest.fixture(scope="module", params=["granian", "gunicorn-gthread"])
def proxy(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    if shutil.which("nginx") is None:
        pytest.skip("nginx is not installed")
    folder = tmp_path_factory.mktemp("nginx")
    upstream = folder / "app.sock"
    with running(request.param, unix=upstream, SERVING_BEHIND_PROXY="1"):
        proxy = Proxy(folder, upstream)
        try:
            yield proxy
        finally:
            proxy.stop()


def test_application_sees_the_client_and_the_public_address(proxy: Proxy) -> None:
    response, body = proxy.fetch("GET", "/where?a=1", Host="example.org")
    assert response.status == 200
    assert json.loads(body) == {
        "url": "http://example.org/where?a=1",
        "peer": "127.0.0.1",
        "secure": False,
    }


def test_client_cannot_forge_what_the_proxy_says(proxy: Proxy) -> None:
    _, body = proxy.fetch(
        "GET",
        "/where",
        Host="example.org",
        X_Forwarded_For="6.6.6.6",
        X_Forwarded_Proto="https",
        X_Forwarded_Host="evil.example",
    )
    assert json.loads(body) == {
        "url": "http://example.org/where",
        "peer": "127.0.0.1",
        "secure": False,
    }


def test_large_upload_passes_through(proxy: Proxy) -> None:
    content = os.urandom(12 * 1024 * 1024)
    response, body = proxy.fetch("POST", "/body", content)
    assert response.status == 200
    assert json.loads(body)["sha256"] == hashlib.sha256(content).hexdigest()


def test_body_over_the_application_s_limit_is_refused(proxy: Proxy) -> None:
    with proxy.connect() as connection:
        size = 20 * 1024 * 1024
        with contextlib.suppress(ConnectionError):
            connection.sendall(
                b"POST /body HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n"
                b"Content-Length: %d\r\n\r\n" % size
            )
            connection.sendall(bytes(size))
        # nginx says 502 where it was still sending when the server, its answer given, hung up.
        assert connection.recv(100).startswith((b"HTTP/1.1 413 ", b"HTTP/1.1 502 "))


def test_response_is_streamed(proxy: Proxy) -> None:
    _, body = proxy.fetch("GET", "/stream")
    assert body == b"".join(b"line %d\n" % number for number in range(100))


def test_async_view_answers(proxy: Proxy) -> None:
    assert json.loads(proxy.fetch("GET", "/async")[1]) == {"waited": True}


HIDDEN = b"GET /json HTTP/1.1\r\nHost: example.org\r\n\r\n"
SMUGGLING = {
    "two lengths": b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n%b" % (len(HIDDEN), HIDDEN),
    "two equal lengths": b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n" + HIDDEN,
    "length and chunks": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    + HIDDEN,
    "two codings": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n" + HIDDEN,
    "unknown coding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "coding with a control character": b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "negative length": b"Content-Length: -1\r\n\r\n" + HIDDEN,
    "signed length": b"Content-Length: +0\r\n\r\n" + HIDDEN,
    "hexadecimal length": b"Content-Length: 0x0\r\n\r\n" + HIDDEN,
    "list of lengths": b"Content-Length: 0, %d\r\n\r\n%b" % (len(HIDDEN), HIDDEN),
    "bad chunk size": b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n" + HIDDEN,
    "negative chunk size": b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n" + HIDDEN,
    "two hosts": b"Host: evil.example\r\n\r\n",
}


@pytest.mark.parametrize("headers", SMUGGLING.values(), ids=SMUGGLING)
def test_ambiguous_request_is_refused_and_the_connection_closed(
    proxy: Proxy, headers: bytes
) -> None:
    with proxy.connect() as connection:
        connection.sendall(b"POST /form HTTP/1.1\r\nHost: example.org\r\n" + headers)
        connection.shutdown(socket.SHUT_WR)
        received = read_all(connection)
    answers = re.findall(rb"HTTP/1\.1 (\d+)", received)
    assert answers in ([b"400"], [b"501"])

"""What the processes do in which `erlen check` has an application run."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("flask", reason="Flask is not installed")

from flask import Flask, Response

from erlen.check.child import openapi, visit
from erlen.check.children import Children
from erlen.check.sources import sources

CHILD = Path(visit.__file__).parent


# Requests


def endless(pause):
    while True:
        yield b"data: tick\n\n" * 100
        time.sleep(pause)


@pytest.fixture
def visitor(monkeypatch):
    monkeypatch.setattr(visit, "REQUEST_SECONDS", 0.2)
    monkeypatch.setattr(visit, "BODY_SECONDS", 0.2)
    app = Flask("visited")
    app.add_url_rule("/events", "events", lambda: Response(endless(0.01)))
    app.add_url_rule("/flood", "flood", lambda: Response(endless(0)))
    app.add_url_rule("/slow", "slow", lambda: time.sleep(30) or "late")
    app.add_url_rule("/exit", "exit", lambda: sys.exit("enough"))
    app.add_url_rule("/", "index", lambda: "index")
    return visit.Visitor(app)


@pytest.mark.parametrize("path", ["/events", "/flood"])
def test_stream_without_an_end_is_cut_off(visitor, path):
    answer = visitor.send({"path": path})
    assert (answer["status"], answer["cut"], answer["raised"]) == ("200 OK", True, None)
    assert answer["chunks"] > 1
    assert visitor.send({"path": "/"})["cut"] is False


@pytest.mark.parametrize(
    ("path", "raised"),
    [("/slow", "TooLong: there was no answer within 0.2 seconds"), ("/exit", "SystemExit: enough")],
)
def test_request_that_does_not_come_to_an_end_is_told(visitor, path, raised):
    assert visitor.send({"path": path})["raised"] == raised
    assert visitor.send({"path": "/"})["status"] == "200 OK"


# Documents


def answer_of(document):
    import base64
    import json

    body = base64.b64encode(json.dumps(document).encode()).decode()
    return {"headers": [["Content-Type", "application/json"]], "body": body}


NODE = {"$ref": "#/components/schemas/Node"}


def test_schema_that_leads_back_to_itself_has_a_value():
    parameter = {"name": "q", "in": "query", "schema": NODE}
    document = {
        "openapi": "3.1.0",
        "paths": {"/x": {"get": {"parameters": [parameter]}}},
        "components": {"schemas": {"Node": {"anyOf": [NODE]}}},
    }
    assert [request["path"] for request in openapi.requests_of(answer_of(document), False)] == [
        "/x?q=a"
    ]


@pytest.mark.parametrize(
    "document",
    [
        {"swagger": True, "paths": ["/a"]},
        {"openapi": "3.1.0", "basePath": None, "paths": {}},
        {"openapi": "3.1.0", "paths": {"/a": {"get": {"parameters": None}}}},
        {"openapi": "3.1.0", "paths": {"/a": None}},
    ],
)
def test_what_only_looks_like_a_document_is_none(document):
    assert [*openapi.requests_of(answer_of(document), True)] == []


# Rules


def test_converter_that_wants_objects_of_its_own_is_told(tmp_path):
    (tmp_path / "app.py").write_text(
        """
from flask import Flask
from werkzeug.routing import BaseConverter


class Thing(BaseConverter):
    def to_url(self, thing):
        return str(thing.id)


app = Flask(__name__)
app.url_map.converters["thing"] = Thing
app.add_url_rule("/things/<thing:thing>", "thing", lambda thing: thing)
app.add_url_rule("/", "index", lambda: "index")
"""
    )
    explored = Children("app:app", tmp_path).run("flask", "explore", most=20)
    assert explored["unreached"] == ["/things/<thing:thing>"]
    assert "/" in [request["path"] for request in explored["requests"]]


# Ends


def test_what_an_application_leaves_running_keeps_nobody_waiting(tmp_path):
    (tmp_path / "app.py").write_text(
        """
import subprocess
import sys
import threading
from pathlib import Path

from flask import Flask

app = Flask(__name__)
left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
Path("left").write_text(str(left.pid))
threading.Thread(target=threading.Event().wait).start()
"""
    )
    try:
        facts = Children("app:app", tmp_path, limit=20).run("flask", "replay", requests=[])["facts"]
    finally:
        os.kill(int((tmp_path / "left").read_text()), signal.SIGKILL)
    assert facts["name"] == "app"


# Other machines

REACH = """
import importlib.util, socket, sys

find = socket.getaddrinfo


def fake(host, *args):
    return find("192.0.2.7" if host == "db.example.com" else host, *args)


socket.getaddrinfo = fake
socket.gethostbyname = lambda host: "192.0.2.8"
spec = importlib.util.spec_from_file_location("network", sys.argv[1])
network = importlib.util.module_from_spec(spec)
spec.loader.exec_module(network)
network.keep_to_loopback(["db.example.com"])


def connect(host):
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.connect(socket.getaddrinfo(host, 9, socket.AF_INET, socket.SOCK_DGRAM)[0][4])


def send(host):
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendmsg([b"x"], [], 0, (host, 9))


try:
    eval(sys.argv[2])
except ConnectionRefusedError:
    print("refused", network.refused)
except OSError:
    print("let through")
else:
    print("let through")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no 'sendmsg'")
@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("connect('localhost')", "let through"),
        ("connect('db.example.com')", "let through"),
        ("connect('192.0.2.9')", "refused ['192.0.2.9:9']"),
        ("connect('other.example.com')", "refused ['other.example.com']"),
        ("socket.gethostbyname('other.example.com')", "refused ['other.example.com']"),
        ("socket.gethostbyaddr('192.0.2.9')", "refused ['192.0.2.9']"),
        ("socket.getnameinfo(('192.0.2.9', 9), 0)", "refused ['192.0.2.9']"),
        ("socket.getnameinfo(('192.0.2.9', 9), socket.NI_NUMERICHOST)", "let through"),
        ("send('192.0.2.9')", "refused ['192.0.2.9:9']"),
    ],
)
def test_only_what_is_allowed_is_reached(expression, said):
    command = [sys.executable, "-c", REACH, str(CHILD / "network.py"), expression]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == said


# Sources


def test_sources_are_read_once_and_within_the_project(tmp_path):
    project, outside = tmp_path / "project", tmp_path / "outside"
    (project / "inner").mkdir(parents=True)
    outside.mkdir()
    for path in (project / "a.py", project / "inner" / "b.py", outside / "c.py"):
        path.write_text("")
    for name, target in (("loop", "."), ("again", "."), ("elsewhere", "../outside")):
        (project / name).symlink_to(target, target_is_directory=True)
    assert [path.name for path in sources(project)] == ["a.py", "b.py"]


def test_folder_that_may_not_be_read_has_no_sources(tmp_path, monkeypatch):
    (tmp_path / "a.py").write_text("")
    (tmp_path / "secret").mkdir()
    inside = Path.iterdir

    def iterdir(path):
        if path.name == "secret":
            raise PermissionError(path)
        return inside(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    assert [path.name for path in sources(tmp_path)] == ["a.py"]

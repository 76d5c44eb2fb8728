"""What `erlen check` calls a difference, and by which name."""

import base64
import json

import pytest

from erlen.check import bodies, cookies, har
from erlen.check.compare import compare
from erlen.check.masks import fits, matches
from erlen.sessions import SecureCookieSessionInterface


@pytest.mark.parametrize(
    ("first", "second", "other", "expected"),
    [
        pytest.param("a", "a", "a", True, id="equal"),
        pytest.param("a", "a", "b", False, id="steady on Flask, other on Erlen"),
        pytest.param("id=17.", "id=93.", "id=5.", True, id="a nonce"),
        pytest.param("id=17.", "id=93.", "is=5.", False, id="beside a nonce"),
        pytest.param(
            "at Fri, 01 Mar 2024 10:59:58 GMT",
            "at Fri, 01 Mar 2024 10:59:59 GMT",
            "at Fri, 01 Mar 2024 11:00:00 GMT",
            True,
            id="the hour changes, too",
        ),
        pytest.param(
            "Fri, 01 Mar 2024 10:59:58 GMT",
            "Fri, 01 Mar 2024 10:59:58 GMT",
            "Fri, 01 Mar 2024 10:59:59 GMT",
            False,
            id="a date that stays",
        ),
        pytest.param("{1, 2}", "{2, 1}", "{2, 1}", True, id="the order of a set"),
        pytest.param("a\n" * 5000 + "1", "a\n" * 5000 + "2", "a\n" * 5000 + "3", True, id="long"),
        pytest.param("a\n" * 5000 + "1", "a\n" * 5000 + "2", "b\n" * 5000 + "3", False, id="long!"),
    ],
)
def test_only_what_varies_on_flask_may_differ(first, second, other, expected):
    assert fits(first, second, other) is expected


def test_many_nonces_alike_are_compared_at_once():
    def page(number, end):
        rows = (f'<input name="csrf" value="{1000 * number + row}">\n' for row in range(100))
        return "".join(rows) + end

    assert fits(page(1, "end"), page(2, "end"), page(3, "end"))
    assert not fits(page(1, "end"), page(2, "end"), page(3, "other"))


@pytest.mark.parametrize(
    ("parts", "text", "expected"),
    [
        pytest.param(["ab"], "ab", True, id="no gap"),
        pytest.param(["ab"], "abc", False, id="no gap, longer"),
        pytest.param(["ab", "ba"], "aba", False, id="parts do not overlap"),
        pytest.param(["ab", "ba"], "abba", True, id="a gap of nothing"),
        pytest.param(["", "a", "a", ""], "xa", False, id="each part once"),
        pytest.param(["", "a", "a", ""], "xaya", True, id="open at both ends"),
        pytest.param(["<", "a", "ab>"], "<a ab>", True, id="the last part stays at the end"),
    ],
)
def test_fixed_parts_come_in_order(parts, text, expected):
    assert matches(parts, text) is expected


@pytest.mark.parametrize(
    ("one", "two", "kind"),
    [
        (b"text", b"text\n", "body-newline"),
        (b"text", b"", "body-empty"),
        (b'{"a": 1, "b": 2}', b'{"b": 2, "a": 1}', "body-json-order"),
        (b'{"a": 1}', b'{"a":1}', "body-json-format"),
        (b'{"a": [1, 2]}', b'{"a": [1]}', "body-json-value"),
        (b'{"a": 1}', b'{"a": 1.0}', "body-json-value"),
        (b'{"a": null}', b"{}", "body-json-value"),
        (b"<p>&lt;b&gt;</p>", b"<p><b></p>", "body-escaping"),
        (b"<p>one  two</p>", b"<p>one two</p>", "body-blanks"),
        (b"one two", b"one three", "body-text"),
        (b"\xff\x00", b"\xfe\x00", "body-bytes"),
    ],
)
def test_body_that_differs_is_named_by_how(one, two, kind):
    assert bodies.describe(one, two)[0] == kind


def test_place_of_a_value_in_json_is_told():
    one = json.dumps({"users": [{"name": "Ann"}, {"name": "Bob"}]}).encode()
    two = json.dumps({"users": [{"name": "Ann"}, {"name": "Rob"}]}).encode()
    assert bodies.describe(one, two) == (
        "body-json-value",
        "the JSON value at $.users[1].name",
        "Flask: 'Bob'\nErlen: 'Rob'",
    )


def signed(held):
    from erlen import Erlen

    app = Erlen(__name__)
    app.secret_key = "a key"
    serializer = SecureCookieSessionInterface().get_signing_serializer(app)
    return f"session={serializer.dumps(held)}; HttpOnly; Path=/"


def test_session_cookie_is_compared_by_what_it_holds():
    first, other = signed({"user": 1, "_flashes": [("info", "hello")]}), signed({"user": 2})
    kinds = [kind for kind, _, _ in cookies.compare([first], [first], [other])]
    assert kinds == ["flash-content", "session-content"]


def test_long_session_is_read_too():
    held = {"text": "long " * 500}
    value = cookies.parse(signed(held)).value
    assert value.startswith(".")
    assert cookies.session_of(value) == held


def test_cookies_of_one_name_are_compared_one_by_one():
    both = ["a=1; Path=/", "a=2; Path=/b"]
    assert [*cookies.compare(both, both, both)] == []
    assert [kind for kind, *_ in cookies.compare(both, both, both[:1])] == ["cookie-missing"]
    assert [kind for kind, *_ in cookies.compare(both, both, [*both, "a=3"])] == ["cookie-added"]


def test_signature_that_differs_is_no_difference():
    first, other = signed({"user": 1}), signed({"user": 1})
    broken = other.replace("; HttpOnly", "x; HttpOnly")
    assert [*cookies.compare([first], [first], [broken])] == []


def answer(**changed):
    return {
        "status": "200 OK",
        "raised": None,
        "headers": [["Content-Type", "text/plain"], ["Vary", "Cookie"]],
        "body": base64.b64encode(b"text").decode(),
        "chunks": 1,
        "trace": [
            ["signal", "request_started", ""],
            ["before_request", "app.one", ""],
            ["before_request", "app.two", ""],
            ["view", "index", "number=1"],
        ],
        "logs": [],
        **changed,
    }


STARTED, ONE, TWO, VIEW = answer()["trace"]


@pytest.mark.parametrize(
    ("changed", "kinds"),
    [
        pytest.param({}, [], id="nothing"),
        pytest.param({"status": "201 CREATED"}, ["status"], id="status"),
        pytest.param({"raised": "ValueError: x", "status": ""}, ["exception"], id="raised"),
        pytest.param({"headers": [["Vary", "Cookie"]]}, ["header-missing"], id="lost header"),
        pytest.param(
            {"headers": [["Vary", "Cookie"], ["Content-Type", "text/plain"]]},
            ["header-order"],
            id="order of headers",
        ),
        pytest.param(
            {"headers": [["content-type", "text/plain"], ["vary", "Cookie"]]}, [], id="case"
        ),
        pytest.param({"chunks": 4}, ["streamed"], id="streamed"),
        pytest.param({"cut": True, "body": "dGU=", "chunks": 4}, [], id="less of a stream"),
        pytest.param({"cut": True, "body": "dGF4"}, ["body-text"], id="another stream"),
        pytest.param({"trace": [STARTED, ONE, VIEW]}, ["hook-missing"], id="lost hook"),
        pytest.param({"trace": [STARTED, TWO, ONE, VIEW]}, ["hook-order"], id="order of hooks"),
        pytest.param({"trace": [ONE, STARTED, TWO, VIEW]}, ["order"], id="signal between"),
        pytest.param({"trace": [ONE, TWO, VIEW]}, ["signal-missing"], id="lost signal"),
        pytest.param({"trace": [STARTED, ONE, ONE, TWO, VIEW]}, ["hook-added"], id="twice"),
        pytest.param(
            {"trace": [STARTED, ONE, TWO, ["view", "index", "number='1'"]]},
            ["hook-arguments"],
            id="arguments",
        ),
        pytest.param({"logs": [["ERROR", "oh", ""]]}, ["log"], id="log"),
        pytest.param({"logs": [["INFO", "oh", ""]]}, [], id="information"),
    ],
)
def test_answer_that_differs_is_named_by_how(changed, kinds):
    assert [
        difference.kind for difference in compare(answer(), answer(), answer(**changed))
    ] == kinds


def test_recording_is_read_as_one_visit(tmp_path):
    entry = {
        "method": "POST",
        "url": "http://here/submit?a=1",
        "headers": [
            {"name": "Host", "value": "here"},
            {"name": "Cookie", "value": "session=x"},
            {"name": "Content-Type", "value": "text/plain"},
        ],
        "postData": {"text": "words"},
    }
    other = {"method": "GET", "url": "http://elsewhere/", "headers": []}
    entries = [{"request": entry}, {"request": other}, {"request": entry}]
    file = tmp_path / "recorded.har"
    file.write_text(json.dumps({"log": {"entries": entries}}))
    expected = {
        "method": "POST",
        "path": "/submit?a=1",
        "headers": [["Content-Type", "text/plain"]],
        "visit": "recording",
        "body": base64.b64encode(b"words").decode(),
    }
    assert har.read(file) == [expected, expected]


@pytest.mark.parametrize("text", ["", "[]", '{"log": {}}', '{"log": {"entries": [{}]}}'])
def test_file_that_is_no_recording_is_refused(tmp_path, text):
    file = tmp_path / "recorded.har"
    file.write_text(text)
    with pytest.raises(har.BadRecording, match="no HTTP Archive"):
        har.read(file)


def test_recording_may_say_that_there_was_no_body(tmp_path):
    request = {"method": "GET", "url": "http://localhost/a?b", "headers": [], "postData": None}
    text = json.dumps({"log": {"entries": [{"request": request}]}})
    (tmp_path / "visit.har").write_text(text)
    [read] = har.read(tmp_path / "visit.har")
    assert (read["path"], "body" in read) == ("/a?b", False)

"""The proxy of a language model, in process, before models that misbehave; and its stand-in."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("aiohttp", reason="aiohttp is not installed")

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

    from erlen import Erlen
    from erlen.testing import FlaskClient

KEY = "sk-nobody-may-see-this"
LONGEST_WAIT = 20


class Upstream(ThreadingHTTPServer):
    """A model on a port of its own; `play` is called with each request's handler and answers it."""

    daemon_threads = False
    request_queue_size = 100

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.play: Callable[[Handler], None] = lambda call: call.say(*CHUNKS)
        self.calls: list[Handler] = []
        self.left = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}/v1/"

    def answer(self, *pieces: bytes, status: int = 200, **headers: str) -> None:
        self.play = lambda call: call.say(*pieces, status=status, **headers)


class Handler(BaseHTTPRequestHandler):
    server: Upstream
    body: dict[str, Any]

    def do_POST(self) -> None:
        self.connection.settimeout(LONGEST_WAIT)
        self.body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.calls.append(self)
        self.server.play(self)

    def say(self, *pieces: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        for piece in pieces:
            self.wfile.write(piece)

    def wait_until_left(self) -> None:
        """Until the other side has closed the connection."""
        with contextlib.suppress(ConnectionResetError):
            assert self.rfile.read(1) == b""
        self.server.left.set()

    def log_message(self, *args: object) -> None:
        """Keep quiet."""


def chunk(text: str | None, **more: object) -> bytes:
    delta = {} if text is None else {"content": text}
    return (
        b"data: %s\n\n" % json.dumps({"choices": [{"index": 0, "delta": delta}], **more}).encode()
    )


END = b"data: [DONE]\n\n"
CHUNKS = (chunk(""), chunk("Hello"), chunk(", <b>you</b>"), chunk(None), END)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        yield server
        server.shutdown()
        serving.join(LONGEST_WAIT)


@pytest.fixture
def app(examples: Path, upstream: Upstream) -> Erlen:
    from llm_proxy.app import create_app

    settings = {"UPSTREAM_URL": upstream.url, "UPSTREAM_API_KEY": KEY, "UPSTREAM_MODEL": "small"}
    made: Erlen = create_app({"TESTING": True, **settings})
    return made


@pytest.fixture
def client(app: Erlen) -> Iterator[FlaskClient]:
    client = app.test_client(transport="asgi")
    with client.lifespan():
        yield client


def events_of(text: str) -> list[tuple[str, Any]]:
    """The type and data of each event."""
    events = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
        if fields:
            events.append((fields.get("event", "message"), json.loads(fields["data"])))
    return events


def ask(client: FlaskClient, prompt: str = "Who is there?") -> list[tuple[str, Any]]:
    return events_of(client.post("/stream", json={"prompt": prompt}).text)


def failure(message: str) -> tuple[str, Any]:
    return ("error", {"message": message})


FAILED, BROKEN = failure("The model has failed."), failure("The answer broke off.")
SLOW, BUSY = (
    failure("The model took too long."),
    failure("The model is busy. Try again in a moment."),
)
FORBIDDEN = failure("This server is not allowed to use the model. Its owner has to see to it.")


# What the model is asked, and what it says


def test_pieces_are_events_of_their_own(client: FlaskClient) -> None:
    answer = client.post("/stream", json={"prompt": "Who is there?"})
    assert answer.mimetype == "text/event-stream"
    assert events_of(answer.text) == [
        ("message", {"text": "Hello"}),
        ("message", {"text": ", <b>you</b>"}),
        ("done", {"pieces": 2}),
    ]


def test_the_model_gets_the_prompt_and_the_key(client: FlaskClient, upstream: Upstream) -> None:
    ask(client, "Wer da? 🌱")
    (call,) = upstream.calls
    assert call.path == "/v1/chat/completions"
    assert call.headers["Authorization"] == f"Bearer {KEY}"
    assert call.body["messages"] == [{"role": "user", "content": "Wer da? 🌱"}]
    assert (call.body["model"], call.body["stream"]) == ("small", True)
    assert call.body["max_tokens"] > 0


@pytest.mark.parametrize(
    "said",
    [
        b"".join(CHUNKS).replace(b"\n", b"\r\n"),
        b": hello\n\nevent: x\nid: 1\n" + b"".join(CHUNKS) + b"data: and more\n\n",
        chunk("Hello", usage=None) + b'data: {"choices":[]}\n\n' + b"".join(CHUNKS[2:]),
        b"".join(CHUNKS).replace(b"data: {", b"data:{").replace(b'"index"', b'\ndata:  "index"'),
    ],
    ids=["CRLF", "comments-and-fields", "no-choices", "several-lines"],
)
@pytest.mark.parametrize("size", [1, 1000])
def test_a_stream_is_read_however_it_is_written(
    client: FlaskClient, upstream: Upstream, said: bytes, size: int
) -> None:
    upstream.answer(*(said[at : at + size] for at in range(0, len(said), size)))
    texts = [data.get("text", "") for _, data in ask(client)]
    assert "".join(texts) == "Hello, <b>you</b>"


@pytest.mark.parametrize(
    ("status", "told"),
    [(401, FORBIDDEN), (403, FORBIDDEN), (429, BUSY), (400, FAILED), (500, FAILED), (202, FAILED)],
)
def test_a_refusal_is_told_without_the_words_of_the_model(
    client: FlaskClient,
    upstream: Upstream,
    caplog: pytest.LogCaptureFixture,
    status: int,
    told: tuple[str, Any],
) -> None:
    upstream.answer(b'{"error": {"message": "Bad key %s"}}' % KEY.encode(), status=status)
    assert ask(client) == [told]
    assert f"status {status}" in caplog.text
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ([chunk("Hi"), b'data: {"error": {"message": "out of memory"}}\n\n'], FAILED),
        ([chunk("Hi")], BROKEN),
        ([chunk("Hi"), b"data: {\n\n"], BROKEN),
        ([chunk("Hi"), b"data: 7\n\n"], BROKEN),
        ([chunk("Hi"), b'data: {"choices": [{"delta": "x"}]}\n\n'], BROKEN),
        ([chunk("Hi"), b'data: "\xff"\n\n'], BROKEN),
        ([chunk("Hi"), b"data: " + b"x" * 1_000_000], BROKEN),
    ],
    ids=["error", "no-end", "no-JSON", "no-object", "no-chunk", "no-UTF-8", "endless-line"],
)
def test_an_answer_that_breaks_off_ends_with_an_error(
    client: FlaskClient, upstream: Upstream, said: list[bytes], told: tuple[str, Any]
) -> None:
    upstream.answer(*said)
    assert ask(client) == [("message", {"text": "Hi"}), told]


def test_a_body_shorter_than_said_is_an_error(client: FlaskClient, upstream: Upstream) -> None:
    upstream.answer(chunk("Hi"), Content_Length="9999")
    assert ask(client) == [("message", {"text": "Hi"}), BROKEN]


def test_the_key_follows_no_redirect(client: FlaskClient, upstream: Upstream) -> None:
    upstream.answer(status=307, Location=upstream.url)
    assert ask(client) == [FAILED]
    assert len(upstream.calls) == 1


def test_a_model_that_is_not_there_is_told(app: Erlen) -> None:
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        app.config["UPSTREAM_URL"] = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        client = app.test_client(transport="asgi")
        with client.lifespan():
            assert ask(client) == [failure("The model cannot be reached.")]


@pytest.mark.parametrize("limit", ["SILENCE", "WHOLE"])
def test_a_model_that_keeps_silent_is_left(
    client: FlaskClient, upstream: Upstream, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(f"llm_proxy.model.{limit}", 0.2)
    upstream.play = lambda call: (call.say(chunk("Hm")), call.wait_until_left())
    assert ask(client) == [("message", {"text": "Hm"}), SLOW]
    assert upstream.left.wait(LONGEST_WAIT)


def test_the_time_of_the_route_ends_what_nothing_else_does(app: Erlen, upstream: Upstream) -> None:
    (rule,) = app.url_map.iter_rules("site.stream")
    rule.timeout = 0.2
    upstream.play = lambda call: (call.say(chunk("Hm")), call.wait_until_left())
    client = app.test_client(transport="asgi")
    with client.lifespan(), pytest.raises(TimeoutError):
        ask(client)
    assert upstream.left.wait(LONGEST_WAIT)


def test_the_time_of_the_route_ends_the_form_with_a_page(app: Erlen, upstream: Upstream) -> None:
    for rule in app.url_map.iter_rules("site.ask"):
        rule.timeout = 0.2
    upstream.play = lambda call: (call.say(chunk("Hm")), call.wait_until_left())
    client = app.test_client(transport="asgi")
    with client.lifespan():
        answer = client.post("/", data={"prompt": "Think."})
    assert answer.status_code == 503
    assert "The model took too long." in answer.text.partition('role="status">')[2]
    assert upstream.left.wait(LONGEST_WAIT)


def test_an_endless_answer_is_cut_off(
    client: FlaskClient, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_proxy.model.LONGEST_ANSWER", 10)
    upstream.answer(*[chunk("four")] * 5, END)
    assert ask(client) == [("message", {"text": "four"})] * 2 + [BROKEN]


def test_half_a_character_does_not_break_the_answer(
    client: FlaskClient, upstream: Upstream
) -> None:
    upstream.answer(chunk("a\ud800b"), END)
    assert ask(client)[0] == ("message", {"text": "a?b"})
    assert "a?b" in client.post("/", data={"prompt": "x"}).text


# Leaving, and who is slow


def first_piece(answer: TestResponse) -> bytes:
    piece: bytes = next(iter(answer.response))
    return piece


def test_who_leaves_ends_the_call(client: FlaskClient, upstream: Upstream) -> None:
    upstream.play = lambda call: (call.say(chunk("Hm")), call.wait_until_left())
    answer = client.post("/stream", json={"prompt": "Think."})
    assert first_piece(answer) == b'data: {"text": "Hm"}\n\n'
    assert not upstream.left.is_set()
    answer.close()
    assert upstream.left.wait(LONGEST_WAIT)


def test_a_slow_reader_slows_the_model_down(client: FlaskClient, upstream: Upstream) -> None:
    held_up = threading.Event()

    def speak(call: Handler) -> None:
        call.connection.settimeout(1)
        try:
            call.say(*[chunk("x", padding="x" * 10_000)] * 6_000)  # more than sockets hold
        except TimeoutError:
            held_up.set()
        call.connection.settimeout(LONGEST_WAIT)
        call.wait_until_left()

    upstream.play = speak
    answer = client.post("/stream", json={"prompt": "Speak."})
    first_piece(answer)
    assert held_up.wait(LONGEST_WAIT)
    answer.close()
    assert upstream.left.wait(LONGEST_WAIT)


def test_many_calls_are_under_way_at_once(app: Erlen, upstream: Upstream) -> None:
    together = threading.Barrier(60)

    def speak(call: Handler) -> None:
        together.wait(LONGEST_WAIT)  # breaks unless all are there
        call.say(chunk(call.body["messages"][0]["content"]), END)

    async def ask_one(number: int) -> str:
        answer = await app.async_test_client().post("/stream", json={"prompt": str(number)})
        return events_of(answer.text)[0][1]["text"]

    async def ask_all() -> list[str]:
        async with app.async_test_client().lifespan():
            return await asyncio.gather(*map(ask_one, range(60)))

    upstream.play = speak
    assert asyncio.run(ask_all()) == [str(number) for number in range(60)]


def test_calls_beyond_the_limit_are_refused_until_one_ends(app: Erlen) -> None:
    app.config["MOST_CALLS"] = 1
    client = app.test_client(transport="asgi")
    with client.lifespan():
        first = client.post("/stream", json={"prompt": "x"})
        first_piece(first)
        assert ask(client) == [BUSY]
        first.close()
        assert ask(client)[-1][0] == "done"


# What comes in


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({"json": {"prompt": ""}}, 422, "Ask something"),
        ({"json": {"prompt": " \n"}}, 422, "Ask something"),
        ({"json": {"prompt": "x" * 4001}}, 422, "4000 characters"),
        ({"json": {"prompt": ["x"]}}, 422, "Send {"),
        ({"json": ["x"]}, 422, "Send {"),
        ({"json": {"prompt": "x" * 64_000}}, 413, "4000 characters"),
        ({"data": "{", "content_type": "application/json"}, 400, "not JSON"),
        ({"data": {"prompt": "x"}}, 415, "application/json"),
        ({"json": {"prompt": "x"}, "headers": {"Origin": "http://evil.test"}}, 403, "other sites"),
        ({"json": {"prompt": "x"}, "headers": {"Origin": "null"}}, 403, "other sites"),
    ],
    ids=[
        *("empty", "blank", "long", "list", "no-object", "too-large", "no-JSON", "form"),
        *("other-site", "nowhere"),
    ],
)
def test_what_is_no_question_is_refused(
    client: FlaskClient, upstream: Upstream, body: dict[str, Any], status: int, told: str
) -> None:
    answer = client.post("/stream", **body)
    assert answer.status_code == status
    assert told in answer.json["error"]
    assert upstream.calls == []


def test_the_longest_question_is_passed_on(client: FlaskClient, upstream: Upstream) -> None:
    prompt = "🌱" * 4000
    answer = client.post("/stream", json={"prompt": prompt}, headers={"Origin": "http://localhost"})
    assert answer.text.endswith('event: done\ndata: {"pieces": 2}\n\n')
    assert upstream.calls[0].body["messages"][0]["content"] == prompt


# The page


def test_the_page_runs_only_its_own_script_and_knows_no_key(client: FlaskClient) -> None:
    answer = client.get("/")
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert "unsafe" not in policy
    assert KEY not in answer.text + str(answer.headers)
    assert 'maxlength="4000"' in answer.text
    assert "Count to" not in answer.text  # a real model is not asked to fail


def test_the_form_gets_the_whole_answer_as_text(client: FlaskClient) -> None:
    answer = client.post("/", data={"prompt": "</textarea>\r\n<script>"})
    assert answer.status_code == 200
    assert '<div class="text">Hello, &lt;b&gt;you&lt;/b&gt;</div>' in answer.text
    assert "&lt;/textarea&gt;\n&lt;script&gt;</textarea>" in answer.text


@pytest.mark.parametrize(
    ("prompt", "status", "told"),
    [("", 422, "Ask something"), ("x" * 4001, 422, "4000"), ("x" * 64_000, 413, "4000")],
    ids=["empty", "long", "too-large"],
)
def test_the_form_tells_what_is_wrong(
    client: FlaskClient, upstream: Upstream, prompt: str, status: int, told: str
) -> None:
    answer = client.post("/", data={"prompt": prompt})
    assert answer.status_code == status
    assert told in answer.text.partition('role="status">')[2]
    assert upstream.calls == []


def test_the_form_shows_how_far_the_model_came(client: FlaskClient, upstream: Upstream) -> None:
    upstream.answer(chunk("Once upon"))
    answer = client.post("/", data={"prompt": "A story."})
    assert answer.status_code == 502
    assert '<div class="text">Once upon</div>' in answer.text
    assert "The answer broke off." in answer.text


def test_without_an_upstream_nothing_is_served(app: Erlen) -> None:
    app.config["UPSTREAM_URL"] = ""
    with pytest.raises(RuntimeError, match="Set UPSTREAM_URL"):
        with app.test_client(transport="asgi").lifespan():
            pytest.fail("it started")


def test_the_connections_are_closed_at_the_end(app: Erlen) -> None:
    client = app.test_client(transport="asgi")
    with client.lifespan():
        ask(client)
        session = app.extensions["model"]._session
        assert not session.closed
    assert session.closed


# The stand-in


@pytest.fixture
def stand_in(examples: Path) -> FlaskClient:
    from llm_proxy.fake_upstream import create_app

    settings = {"TESTING": True, "API_KEY": KEY, "TOKENS_PER_SECOND": 10_000}
    found: FlaskClient = create_app(settings).test_client(transport="asgi")
    return found


def complete(stand_in: FlaskClient, key: str = KEY, **body: object) -> TestResponse:
    body.setdefault("messages", [{"role": "user", "content": "Count to 3"}])
    return stand_in.post(
        "/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {key}"}
    )


def test_the_stand_in_counts(stand_in: FlaskClient) -> None:
    *chunks, end = complete(stand_in, stream=True).text.split("\n\n")[:-1]
    deltas = [json.loads(text.removeprefix("data: "))["choices"][0]["delta"] for text in chunks]
    assert "".join(delta.get("content", "") for delta in deltas) == "1 2 3 "
    assert end == "data: [DONE]"
    counts = stand_in.get("/counts").json
    assert (counts["running"], counts["finished"], counts["abandoned"]) == (0, 1, 0)


def test_the_stand_in_answers_as_a_whole_and_within_limits(stand_in: FlaskClient) -> None:
    answer = complete(stand_in, max_tokens=2).json
    assert answer["choices"][0]["message"] == {"role": "assistant", "content": "1 2 "}


def test_the_stand_in_wants_its_key(stand_in: FlaskClient) -> None:
    assert complete(stand_in, key="wrong").status_code == 401


@pytest.mark.parametrize(
    "body", [{"messages": []}, {"messages": 1}, {"max_tokens": "x"}], ids=["none", "number", "text"]
)
def test_the_stand_in_refuses_what_is_no_request(
    stand_in: FlaskClient, body: dict[str, object]
) -> None:
    answer = complete(stand_in, **body)
    assert answer.status_code == 400
    assert answer.json["error"]["code"] == "invalid_request_error"


def test_the_stand_in_counts_who_leaves(stand_in: FlaskClient) -> None:
    answer = complete(stand_in, stream=True)
    first_piece(answer)
    answer.close()
    counts = stand_in.get("/counts").json
    assert (counts["running"], counts["finished"], counts["abandoned"]) == (0, 0, 1)

"""The life of a model: loaded once a process, warm before it is ready, drained at the end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import os
import threading
import typing as t
from pathlib import Path

import pytest
from serving import Server, running, wait_until

from erlen import Erlen
from erlen.testing import FlaskClient


class Counted:
    """Counts what is called."""

    def __init__(self) -> None:
        self.loads = 0
        self.seen: list[list[int]] = []
        self.fails = False

    def load(self) -> None:
        if self.fails:
            raise OSError("no model file")
        self.loads += 1

    def predict(self, numbers: list[int]) -> list[int]:
        self.seen.append([*numbers])
        return [number + self.loads for number in numbers]


class Warm(Counted):
    def warm_up(self) -> list[int]:
        return [7, 8]


def test_a_model_is_loaded_once(app: Erlen, client: FlaskClient) -> None:
    model = Counted()
    app.predictor("/", model)
    assert model.loads == 0
    assert [client.post("/", json={"number": n}).get_json() for n in (1, 2)] == [2, 3]
    assert model.loads == 1


def test_many_who_come_first_load_it_once(app: Erlen) -> None:
    model = Counted()
    served = app.predictor("/", model, load="first")
    start = threading.Barrier(8)

    def load() -> None:
        start.wait()
        served.model.ensure()

    threads = [threading.Thread(target=load) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert model.loads == 1


def test_a_model_is_warmed_up_by_its_own_items(app: Erlen, client: FlaskClient) -> None:
    model = Warm()
    app.predictor("/", model, examples=[1])
    app.start_serving()
    assert (model.loads, model.seen) == (1, [[7, 8]])


def test_a_model_is_warmed_up_by_the_examples(app: Erlen, tmp_path: Path) -> None:
    from erlen.ml import File

    sizes = []

    class Sizes:
        def decode(self, file: File, times: int = 1) -> int:
            return len(file.data) * times

        def predict(self, items: list[int]) -> list[int]:
            sizes.append(items)
            return items

    (tmp_path / "a.bin").write_bytes(bytes(5))
    examples = [{"file": tmp_path / "a.bin"}, {"file": str(tmp_path / "a.bin"), "times": 2}]
    app.predictor("/", Sizes(), examples=examples)
    app.start_serving()
    assert sizes == [[5, 10]]


def test_an_error_in_load_fails_the_start_and_is_tried_again(
    app: Erlen, client: FlaskClient
) -> None:
    model = Counted()
    model.fails = True
    app.predictor("/", model)
    with pytest.raises(OSError, match="no model file"):
        client.post("/", json={"number": 1})
    model.fails = False
    assert client.post("/", json={"number": 1}).get_json() == 2


def test_an_asgi_server_does_not_start_with_a_broken_model(app: Erlen) -> None:
    model = Counted()
    model.fails = True
    app.predictor("/", model)
    sent: list[dict[str, t.Any]] = []

    async def start() -> None:
        messages = iter([{"type": "lifespan.startup"}])

        async def receive() -> dict[str, t.Any]:
            return next(messages)

        async def send(message: t.Any) -> None:
            sent.append(message)

        await app({"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send)

    asyncio.run(start())
    assert sent[0]["type"] == "lifespan.startup.failed"


@pytest.mark.parametrize(
    ("options", "host"),
    [
        ({"host_matching": True, "static_host": "example.com"}, "10.0.0.1:8080"),
        ({"subdomain_matching": True}, "10.0.0.1:8080"),
        ({"subdomain_matching": True}, "example.com"),
    ],
    ids=["host matching", "subdomain matching", "subdomain matching, by name"],
)
@pytest.mark.filterwarnings("ignore:Current server name")
def test_health_is_told_on_every_host(options: dict[str, t.Any], host: str) -> None:
    app = Erlen("hosts", **options)
    app.config["SERVER_NAME"] = "example.com"
    place = {"host": "example.com"} if "host_matching" in options else {"subdomain": "ml"}
    app.predictor("/", Counted(), **place)
    try:
        answer = app.test_client().get("/readyz", base_url=f"http://{host}")
    finally:
        app.stop_serving()
    assert answer.get_json() == {"status": "ready", "models": {"Counted": "ready"}}


def test_it_is_ready_when_all_models_are_warm(app: Erlen, client: FlaskClient) -> None:
    model = Counted()
    served = app.predictor("/", model, load="first")
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.get_json() == {"status": "loading", "models": {"Counted": "new"}}
    assert client.get("/healthz").get_json() == {"status": "alive"}
    served.model.ensure()
    answer = client.get("/readyz")
    assert (answer.status_code, answer.get_json()["status"]) == (200, "ready")
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_model_is_loaded_beside(app: Erlen, client: FlaskClient) -> None:
    proceed = threading.Event()

    class Large(Counted):
        def load(self) -> None:
            proceed.wait(20)
            super().load()

    served = app.predictor("/", Large(), load="background")
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 503
    proceed.set()
    assert client.post("/", json={"number": 1}).get_json() == 2
    assert client.get("/readyz").status_code == 200
    assert served.model.state == "ready"


def test_an_error_beside_is_logged_and_leaves_it_unready(
    app: Erlen, client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    model = Counted()
    model.fails = True
    served = app.predictor("/", model, load="first")
    served.model.ensure_beside().join()
    assert "could not be loaded" in caplog.text
    assert client.get("/readyz").get_json()["models"] == {"Counted": "failed"}


def test_routes_of_the_application_stay_its_own(app: Erlen, client: FlaskClient) -> None:
    app.predictor("/", Counted())
    app.add_url_rule("/readyz", "mine", lambda: "mine")
    assert client.get("/readyz").text == "mine"
    assert client.get("/healthz").get_json() == {"status": "alive"}


def test_health_can_be_elsewhere_and_without_models(app: Erlen, client: FlaskClient) -> None:
    app.enable_health("/live", None)
    assert client.get("/live").status_code == 200
    assert [client.get(path).status_code for path in ("/healthz", "/readyz")] == [404, 404]


def test_what_waits_is_answered_at_the_end_and_new_items_are_not(app: Erlen) -> None:
    running, release = threading.Event(), threading.Event()

    @app.predictor("/", max_size=1)
    def slow(numbers: list[int]) -> list[int]:
        running.set()
        release.wait(20)
        return [number + 1 for number in numbers]

    served = app.extensions["erlen.ml"].served[0]
    app.start_serving()
    answers: dict[int, int] = {}

    def ask(number: int) -> None:
        answers[number] = served.batcher.submit(number)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    running.wait(20)
    while served.stats().requests < 3:
        pass
    stop = threading.Thread(target=app.stop_serving)
    stop.start()
    while not app.extensions["erlen.ml"].is_stopping:
        pass
    with app.test_request_context("/", json={"number": 1}, method="POST"):
        from erlen import request
        from erlen.ml import BatcherClosed

        while not served.batcher._line.closed:
            pass
        with pytest.raises(BatcherClosed):
            served.batcher.submit(1)
        job = served.read(request)
        with pytest.raises(Exception, match="503") as refused:
            served.respond(job)
    assert refused.value.more_headers == {"Retry-After": "1"}  # type: ignore[attr-defined]
    release.set()
    stop.join()
    for thread in threads:
        thread.join()
    assert answers == {0: 1, 1: 2, 2: 3}


async def until(condition: t.Callable[[], bool]) -> None:
    """Wait for what happens on other threads, or soon on this loop."""
    async with asyncio.timeout(20) if hasattr(asyncio, "timeout") else contextlib.nullcontext():
        while not condition():
            await asyncio.sleep(0.001)


def test_an_item_whose_client_has_left_is_not_computed(app: Erlen) -> None:
    running_, release = threading.Event(), threading.Event()
    seen: list[int] = []

    @app.predictor("/", max_size=1)
    def slow(numbers: list[int]) -> list[int]:
        seen.extend(numbers)
        running_.set()
        release.wait(20)
        return numbers

    served = app.extensions["erlen.ml"].served[0]
    app.enable_metrics()
    first = threading.Thread(target=served.batcher.submit, args=(1,))
    body = b'{"number": 2}'
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "scheme": "http",
        "http_version": "1.1",
        "server": ("localhost", 80),
        "client": None,
        "asgi": {"version": "3.0"},
        "headers": [
            (b"host", b"localhost"),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ],
    }
    sent: list[dict[str, t.Any]] = []

    async def leave(times: int) -> None:
        messages = [{"type": "http.request", "body": body, "more_body": False}]
        leaving = asyncio.Event()

        async def receive() -> dict[str, t.Any]:
            if messages:
                return messages.pop()
            await leaving.wait()
            return {"type": "http.disconnect"}

        async def send(message: t.Any) -> None:
            sent.append(message)

        task = asyncio.ensure_future(app(scope, receive, send))
        await until(lambda: served.stats().queued == 1)
        leaving.set()
        await until(lambda: served.stats().dropped["left"] == times)
        await task

    async def leave_twice() -> None:
        await leave(1)
        await leave(2)  # on the short way, now that the host is known
        release.set()  # the end of the loop ends serving, which waits for what is computed

    first.start()
    running_.wait(20)
    try:
        asyncio.run(leave_twice())
    finally:
        release.set()
        first.join()
    assert seen == [1]


@pytest.mark.parametrize("load", ["start", "first", "background"])
def test_it_serves_again_after_a_stop(app: Erlen, client: FlaskClient, load: str) -> None:
    model = Counted()
    app.predictor("/", model, load=load)
    app.start_serving()
    app.stop_serving()
    app.start_serving()
    with app.test_request_context():
        assert app.extensions["erlen.ml"].served[0].answer({"number": "1"}) == 2
    assert model.loads == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_a_forked_process_loads_its_own(app: Erlen) -> None:
    served = app.predictor("/", Counted(), load="first")
    served.model.ensure()
    reader, writer = multiprocessing.Pipe(duplex=False)

    def tell() -> None:
        writer.send((served.model.state, served.definition.load is not None))
        served.model.ensure()
        writer.send(served.model.state)

    process = multiprocessing.get_context("fork").Process(target=tell)
    process.start()
    told = reader.recv(), reader.recv()
    process.join()
    assert told == (("new", True), "ready")
    assert served.model.state == "ready"


HERE = Path(__file__).parent
SERVERS = ["granian", "granian-serving-asgi", "gunicorn-gthread", "uvicorn"]


def ask(server: Server, seconds: float = 0.0) -> tuple[int, t.Any]:
    body = json.dumps({"second": seconds}).encode()
    response, answer = server.fetch("POST", "/model", body, Content_Type="application/json")
    return response.status, json.loads(answer)


@pytest.mark.live
@pytest.mark.parametrize("kind", SERVERS)
def test_each_worker_loads_its_own(kind: str) -> None:
    workers = 1 if kind == "uvicorn" else 2
    options = ("--preload",) if kind.startswith("gunicorn") else ()
    with running(kind, app="life_app:app", cwd=HERE, workers=workers, options=options) as server:
        found = [ask(server) for _ in range(20)]
        assert server.fetch("GET", "/readyz")[0].status == 200
        assert server.fetch("GET", "/healthz")[0].status == 200
    assert {status for status, _ in found} == {200}
    assert all(answer["loaded"] == answer["here"] for _, answer in found)


@pytest.mark.live
@pytest.mark.parametrize("kind", SERVERS)
def test_a_server_that_is_stopped_answers_what_it_has_taken(kind: str) -> None:
    with running(kind, app="life_app:app", cwd=HERE) as server:
        ask(server)
        answers: list[tuple[int, t.Any]] = []

        def wait_for_answer() -> None:
            answers.append(ask(server, 1.0))

        threads = [threading.Thread(target=wait_for_answer) for _ in range(3)]
        for thread in threads:
            thread.start()
        wait_until(lambda: server.fetch("GET", "/given")[1] == b"4", server.process)
        server.terminate()
        for thread in threads:
            thread.join()
    assert [status for status, _ in answers] == [200, 200, 200]

"""Numbers of models for Prometheus, of one process and of several."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import typing as t
from collections.abc import Callable
from pathlib import Path

import pytest
from serving import running

from erlen import Erlen
from erlen.errors import MissingExtra, SetupError
from erlen.ml import BadItem, batched
from erlen.testing import FlaskClient

pytest.importorskip("prometheus_client", reason="prometheus-client is not installed")


def numbers_of(client: FlaskClient, path: str = "/metrics") -> dict[str, float]:
    """Samples by their names with labels, sorted."""
    answer = client.get(path)
    assert answer.status_code == 200
    return parsed(answer.text)


def parsed(text: str) -> dict[str, float]:
    from prometheus_client.parser import text_string_to_metric_families

    return {
        f"{sample.name} {' '.join(f'{k}={v}' for k, v in sorted(sample.labels.items()))}": (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_what_a_model_does_is_counted(app: Erlen, client: FlaskClient, unique: str) -> None:
    def predict(numbers: list[int]) -> list[int]:
        if min(numbers) < 0:
            raise BadItem("too small")
        return numbers

    predict.__name__ = unique
    app.enable_metrics()
    app.predictor("/p", predict)
    for number in (1, 2, 3, -1):
        client.post("/p", json={"number": number})
    client.post("/p", json={"number": "x"})
    found = numbers_of(client)
    assert found[f"erlen_ml_requests_total code=200 predictor={unique}"] == 3
    assert found[f"erlen_ml_requests_total code=422 predictor={unique}"] == 2
    assert found[f"erlen_ml_answered_total predictor={unique}"] == 3
    assert found[f"erlen_ml_failed_total predictor={unique}"] == 1
    assert found[f"erlen_ml_latency_seconds_count predictor={unique}"] == 4
    assert found[f"erlen_ml_batch_size_sum predictor={unique}"] == 4
    assert found[f"erlen_ml_run_seconds_count predictor={unique}"] == 4
    assert found[f"erlen_ml_queue_length predictor={unique}"] == 0


def test_the_queue_and_what_is_dropped_are_counted(
    app: Erlen, client: FlaskClient, unique: str
) -> None:
    running_, release = threading.Event(), threading.Event()

    def predict(numbers: list[int]) -> list[int]:
        running_.set()
        release.wait(20)
        return numbers

    predict.__name__ = unique
    served = app.predictor("/p", predict, max_size=1, max_queue=1)
    app.enable_metrics()
    app.start_serving()
    threads = [threading.Thread(target=served.batcher.submit, args=(n,)) for n in range(2)]
    threads[0].start()
    running_.wait(20)
    threads[1].start()
    while not served.stats().queued:
        pass
    assert client.post("/p", json={"number": 1}).status_code == 503
    found = numbers_of(client)
    release.set()
    for thread in threads:
        thread.join()
    assert found[f"erlen_ml_queue_length predictor={unique}"] == 1
    assert found[f"erlen_ml_dropped_total cause=full predictor={unique}"] == 1
    assert found[f"erlen_ml_requests_total code=503 predictor={unique}"] == 1


def test_batched_functions_are_counted_too(app: Erlen, client: FlaskClient, unique: str) -> None:
    score = batched(max_size=4, name=unique)(lambda numbers: numbers)
    app.enable_metrics("/numbers")
    assert score(1) == 1
    assert numbers_of(client, "/numbers")[f"erlen_ml_answered_total predictor={unique}"] == 1


def test_it_is_off_unless_asked_for(app: Erlen, client: FlaskClient) -> None:
    app.predictor("/p", lambda_of())
    assert client.get("/metrics").status_code == 404


def lambda_of() -> t.Any:
    def predict(numbers: list[int]) -> list[int]:
        return numbers

    return predict


@pytest.fixture
def unique(request: pytest.FixtureRequest) -> str:
    """A name of its own: the metrics are those of the process."""
    return "".join(c if c.isalnum() else "_" for c in request.node.nodeid.rpartition("/")[2])


def test_openmetrics_is_sent_where_it_is_wished(app: Erlen, client: FlaskClient) -> None:
    app.enable_metrics()
    answer = client.get("/metrics", headers={"Accept": "application/openmetrics-text"})
    assert answer.mimetype == "application/openmetrics-text"
    assert answer.text.endswith("# EOF\n")


def test_a_path_is_absolute(app: Erlen) -> None:
    with pytest.raises(SetupError, match="not 'metrics'"):
        app.enable_metrics("metrics")


def test_a_missing_package_is_named(app: Erlen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(MissingExtra, match=r"pip install 'erlen\[metrics\]'"):
        app.enable_metrics()


def test_statistics_are_there_for_python(app: Erlen, client: FlaskClient) -> None:
    served = app.predictor("/p", lambda_of())
    client.post("/p", json={"number": 1})
    stats = served.stats()
    assert (stats.requests, stats.answered, stats.failed, stats.batches) == (1, 1, 0, 1)
    assert (stats.sizes, stats.queued) == ({1: 1}, 0)


def test_neither_import_loads_what_is_heavy(
    run_python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    code = (
        "import sys, erlen, erlen.ml; from erlen.ml import batched, QueueFull;"
        "print([m for m in ('pydantic', 'numpy', 'PIL', 'prometheus_client') if m in sys.modules])"
    )
    assert run_python("-c", code).stdout.strip() == "[]"


@pytest.mark.live
def test_processes_are_added_up(tmp_path: Path) -> None:
    here = Path(__file__).parent
    folder = str(tmp_path)
    with running(
        "gunicorn-gthread",
        app="life_app:app",
        cwd=here,
        workers=2,
        PROMETHEUS_MULTIPROC_DIR=folder,
    ) as server:
        body = json.dumps({"text": "a"}).encode()
        for _ in range(20):
            server.fetch("POST", "/label", body, Content_Type="application/json")
        found = parsed(server.fetch("GET", "/metrics")[1].decode())
    assert found["erlen_ml_answered_total predictor=label"] == 20
    assert found["erlen_ml_requests_total code=200 predictor=label"] == 20

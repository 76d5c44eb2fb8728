"""The classic endpoint with batching: the same answers, several requests in one call."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")

EXAMPLE = Path(__file__).parents[2] / "examples" / "classic"

# The first call of the model waits until all other requests stand in line behind it.
ASK = """
import json, threading, time
import batched

TEXTS = ["a wonderful story, I loved it", "awful, simply boring", "a story", ""]
REQUESTS = 4 * len(TEXTS)
forward = batched.model.forward
waiting = [True]


def slow(encoded):
    if waiting:
        waiting.clear()
        until = time.monotonic() + 60
        while batched.score.stats().queued < REQUESTS - 1:
            assert time.monotonic() < until, "the others did not come"
            time.sleep(0.001)
    return forward(encoded)


def ask(path, text):
    answer = batched.app.test_client().post(path, json={"text": text})
    assert answer.status_code == 200, answer.data
    return answer.json


alone = [ask("/predict", text) for text in TEXTS]
batched.model.forward = slow
together = {}
threads = [
    threading.Thread(
        target=lambda n=n: together.update({n: ask("/predict/batched", TEXTS[n % len(TEXTS)])})
    )
    for n in range(REQUESTS)
]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
refused = batched.app.test_client().post("/predict/batched", json={"txt": "a"})
print(json.dumps({
    "alone": alone,
    "together": [together[n] for n in range(REQUESTS)],
    "sizes": [[size, count] for size, count in batched.score.stats().sizes.items()],
    "refused": [refused.status_code, refused.json],
}))
"""


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("batched") / "app"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("model.pt", "__pycache__"))
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        cwd=folder,
        env={**os.environ, "ERLEN_AS_FLASK": "1"},
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.timeout(180)
def test_each_request_gets_the_answer_that_it_would_get_alone(asked: Any) -> None:
    for number, answer in enumerate(asked["together"]):
        expected = asked["alone"][number % len(asked["alone"])]
        assert answer["label"] == expected["label"]
        assert answer["probability"] == pytest.approx(expected["probability"], abs=1e-5)


@pytest.mark.timeout(180)
def test_those_that_came_together_were_computed_together(asked: Any) -> None:
    assert sum(size * count for size, count in asked["sizes"]) == 16
    assert sum(count for _, count in asked["sizes"]) < 16


@pytest.mark.timeout(180)
def test_a_missing_field_gets_the_400_of_the_view(asked: Any) -> None:
    assert asked["refused"] == [400, {"error": "field 'text' is missing"}]

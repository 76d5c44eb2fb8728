"""Changes of behaviour that are made on Erlen's side are found, and named."""

import time
from pathlib import Path

import pytest

from erlen.check import routes
from erlen.check.children import Children
from erlen.check.findings import Part

from .seeded_app import SEEDS

pytest.importorskip("flask", reason="Flask is not installed")

FOLDER = Path(__file__).parent


@pytest.fixture(scope="module")
def children():
    return Children("seeded_app:app", FOLDER)


@pytest.fixture(scope="module")
def on_flask(children):
    """What the application does on Flask, twice."""
    explored = children.run("flask", "explore", most=routes.MOST)
    began = time.time()
    again = children.run(
        "flask",
        "replay",
        hash_seed=1,
        requests=explored["requests"],
        not_before=began + routes.APART,
    )
    return explored, again


def found(children, on_flask):
    explored, again = on_flask
    requests = explored["requests"]
    erlen = children.run("erlen", "replay", requests=requests)
    return routes.compared(Part("routes"), requests, explored, again, erlen).findings


def test_application_without_a_change_has_no_difference(children, on_flask, monkeypatch):
    monkeypatch.delenv("SEED", raising=False)
    assert found(children, on_flask) == []


@pytest.mark.parametrize("seed", SEEDS)
def test_change_is_found_and_named(children, on_flask, monkeypatch, seed):
    monkeypatch.setenv("SEED", seed)
    assert SEEDS[seed][1] in {finding.kind for finding in found(children, on_flask)}


def test_there_are_enough_changes():
    assert len(SEEDS) >= 40

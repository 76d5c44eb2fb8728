"""Applications whose models are let go of after the test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from erlen import Erlen


@pytest.fixture
def app() -> Iterator[Erlen]:
    """An application in testing mode, which is stopped at the end."""
    app = Erlen("test_app")
    app.config.update(TESTING=True, SECRET_KEY="test key")
    yield app
    app.stop_serving()

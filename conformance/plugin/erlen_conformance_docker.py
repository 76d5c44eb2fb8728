"""A pytest plugin for suites that start services with Docker: here these run already."""

from __future__ import annotations

from typing import Any

import pytest


class Running:
    """What such suites ask of Docker, for services that need no starting."""

    def start(self, *names: str) -> None:
        """Nothing to do: the conformance run has started what it has."""

    def wait_for_service(self, name: str, port: int, *_: Any, **__: Any) -> int:
        return port


@pytest.fixture(scope="session")
def docker_services() -> Running:
    return Running()

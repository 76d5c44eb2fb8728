"""Large uploads to servers take little memory, and no event loop stands still for them."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from benchmarks.uploads import measure


@pytest.mark.live
@pytest.mark.timeout(120)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("server", measure.COMMANDS)
def test_an_upload_takes_little_memory_and_leaves_the_loop_its_turns(server: str) -> None:
    package = server.partition("-")[0]
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    over = [str(taken) for taken in measure.run(server, 64 << 20, 8) if not taken.is_kept]
    assert over == []

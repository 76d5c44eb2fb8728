"""What is asked of a running system, by ``load.c``."""

from __future__ import annotations

import http.client
import json
import math
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from ..http.loads import need
from ..http.processes import SetUpError, run_load
from .systems import ModelServer


@cache
def _program() -> tempfile.TemporaryDirectory[str]:
    """The directory of the load generator, compiled once a run."""
    compiler = need("cc", "the load generator is written in C")
    directory = tempfile.TemporaryDirectory(prefix="erlen-benchmark-")
    source = str(Path(__file__).with_name("load.c"))
    subprocess.run([compiler, "-O2", "-o", f"{directory.name}/load", source, "-lm"], check=True)
    return directory


def run(
    server: ModelServer, items: Iterable[Any], poisoned: Iterable[Any] = (), **settings: float
) -> dict[str, Any]:
    """Ask for the items, as ``load.c`` describes; what it printed, and how busy both sides were."""
    with tempfile.NamedTemporaryFile(prefix="erlen-requests-") as file:
        for kind, some in enumerate((items, poisoned)):
            for item in some:
                request = server.request(item)
                file.write(struct.pack("=IB", len(request), kind) + request)
        file.flush()
        argv = [f"{_program().name}/load", str(server.port), file.name]
        argv += [f"{name}={value}" for name, value in settings.items()]
        text, busy = run_load(argv, server)
    found: dict[str, Any] = json.loads(text)
    answered = sum(found["good"].values()) + sum(found["bad"].values())
    served = found["good"].get("200", 0) + found["bad"].get("200", 0)
    found["per_second"] = served / found["seconds"]
    found["answers_per_second"] = answered / found["seconds"]
    found["load_busy"] = found.pop("busy")
    # The generator measured for a part of the time; the server was as busy before.
    found["server_busy"] = busy["server_busy"]
    return found


def ask(server: ModelServer, item: Any) -> Any:
    """The result for one item; stops where the answer is none."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60.0)
    head, _, body = server.request(item).partition(b"\r\n\r\n")
    connection.request("POST", server.system.path, body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    text = response.read()
    connection.close()
    if response.status != 200:
        raise SetUpError(f"{server.name}: {response.status} {text[:300]!r}")
    return server.system.unwrap(json.loads(text))


def get(server: ModelServer, path: str) -> Any:
    """The document at a path."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60.0)
    connection.request("GET", path)
    document = json.loads(connection.getresponse().read())
    connection.close()
    return document


def wait_until_ready(server: ModelServer, item: Any, seconds: float = 180.0) -> None:
    """Bind the server to its core when the model answers; some take connections before."""
    end = time.monotonic() + seconds
    while True:
        try:
            ask(server, item)
            server.bind()
            return
        except (SetUpError, OSError, http.client.HTTPException) as error:
            if time.monotonic() > end or server.process.poll() is not None:
                raise SetUpError(f"{server.name}: {error}\n{server.said()}") from error
            time.sleep(0.1)


def alike(one: Any, other: Any) -> bool:
    """Equal, or for vectors equal but for what the size of a batch does to the last digits."""
    if isinstance(one, list) and isinstance(other, list):
        pairs = zip(one, other, strict=False)
        return len(one) == len(other) and all(math.isclose(*pair, abs_tol=1e-4) for pair in pairs)
    return bool(one == other)

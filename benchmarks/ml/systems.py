"""The systems: how each is started, asked, and how its answer is read."""

from __future__ import annotations

import json
import os
import signal
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..http.processes import LOAD_CORE, SERVER_CORE, Server, free_port
from .environments import python_of
from .models import BATCH, SINGLE

#: views of Erlen that wait for a batch, each on a thread of its own under WSGI: more than clients
THREADS = 96
#: what Gunicorn's documentation advises for one core: 2 × cores + 1, here of threads
GUNICORN_THREADS = 3
APPS = f"{__package__}.apps"


@dataclass(frozen=True)
class System:
    name: str
    #: the arguments after ``python``, for a port and a directory of its own
    command: Callable[[int, Path], list[str]]
    #: where an item is sent
    path: str = "/predict"
    #: the document with an item, and the result in the answer's document
    wrap: Callable[[Any], Any] = lambda item: {"input": item}
    unwrap: Callable[[Any], Any] = lambda answer: answer["output"]
    environment: str = "main"
    batches: bool = True


def _gunicorn(port: int, directory: Path) -> list[str]:
    worker = ["--workers=1", "--worker-class=gthread", f"--threads={GUNICORN_THREADS}"]
    # It rests longer than the time after which the arbiter would replace a silent worker.
    own = ["--timeout=0", f"--bind=127.0.0.1:{port}"]
    return ["-m", "gunicorn", *worker, *own, f"{APPS}.flask_app:app"]


def _uvicorn(port: int, directory: Path) -> list[str]:
    quiet = ["--no-access-log", "--log-level=warning"]
    return ["-m", "uvicorn", *quiet, f"--port={port}", f"{APPS}.fastapi_app:app"]


def _litserve(port: int, directory: Path) -> list[str]:
    return ["-m", f"{APPS}.litserve_app", str(port)]


def _bentoml(port: int, directory: Path) -> list[str]:
    reference = f"{APPS}.bentoml_app:Model"
    return ["-m", "bentoml", "serve", reference, f"--port={port}", "--host=127.0.0.1"]


def _mlserver(port: int, directory: Path) -> list[str]:
    """Settings that leave out what is not asked: no second process, no logs of requests."""
    settings = {
        "host": "127.0.0.1",
        "http_port": port,
        "grpc_port": free_port(),
        "metrics_endpoint": None,
        "debug": False,
        "parallel_workers": 0,
    }
    model = {
        "name": "model",
        "implementation": f"{APPS}.mlserver_app.Model",
        "max_batch_size": BATCH,
        "max_batch_time": 0.002,
    }
    (directory / "settings.json").write_text(json.dumps(settings))
    (directory / "model-settings.json").write_text(json.dumps(model))
    return ["-m", "mlserver.cli.main", "start", str(directory)]


def _granian(
    interface: str, target: str, module: str = "erlen_app"
) -> Callable[[int, Path], list[str]]:
    def command(port: int, directory: Path) -> list[str]:
        common = ["--workers=1", f"--port={port}", "--host=127.0.0.1", "--log-level=warning"]
        if interface == "wsgi":
            own = [f"--blocking-threads={THREADS}"]
        else:
            own = ["--loop=uvloop"]
        reference = f"{APPS}.{module}:{target}"
        return ["-m", "granian", f"--interface={interface}", *common, *own, reference]

    return command


def _wrap_for_mlserver(item: Any) -> Any:
    if isinstance(item, str):
        tensor = {"datatype": "BYTES", "shape": [1, 1], "data": [item]}
    else:
        tensor = {"datatype": "FP32", "shape": [1, len(item)], "data": item}
    return {"inputs": [{"name": "input", **tensor}]}


def _unwrap_of_mlserver(answer: Any) -> Any:
    output = answer["outputs"][0]
    return output["data"] if output["shape"][-1] > 1 else output["data"][0]


SYSTEMS = {
    system.name: system
    for system in (
        System("flask", _gunicorn, batches=False),
        System("fastapi", _uvicorn, batches=False),
        System("litserve", _litserve),
        System(
            "bentoml",
            _bentoml,
            wrap=lambda item: {"input": [item]},
            unwrap=lambda answer: answer[0],
        ),
        System(
            "mlserver",
            _mlserver,
            path="/v2/models/model/infer",
            wrap=_wrap_for_mlserver,
            unwrap=_unwrap_of_mlserver,
            environment="mlserver",
        ),
        System("erlen-wsgi-plain", _granian("wsgi", "plain"), batches=False),
        System("erlen-asgi-plain", _granian("asgi", "plain_async"), batches=False),
        System("erlen-wsgi", _granian("wsgi", "batching")),
        System("erlen-asgi", _granian("asgi", "batching_async")),
        System(
            "erlen-wsgi-predictor",
            _granian("wsgi", "app", "predictor_app"),
            unwrap=lambda answer: answer,
        ),
        System(
            "erlen-asgi-predictor",
            _granian("asgi", "app", "predictor_app"),
            unwrap=lambda answer: answer,
        ),
    )
}
#: interface → Erlen with the function that gives items back
ECHOES = {
    "wsgi": System("ids-wsgi", _granian("wsgi", "plain_view", "ids_app")),
    "asgi": System("ids-asgi", _granian("asgi", "async_view", "ids_app")),
}


class ModelServer(Server):
    """A system with a model, running while the block runs; starting, until it is bound."""

    core = f"{SERVER_CORE},{LOAD_CORE}"

    def __init__(
        self, system: System, model: str, models: Path, root: Path, **environ: str
    ) -> None:
        self.system = system
        self.name = f"{system.name} with {model}"
        self.port = free_port()
        self.directory = tempfile.TemporaryDirectory(prefix="erlen-benchmark-")
        arguments = self.system.command(self.port, Path(self.directory.name))
        self.command = [str(python_of(root, self.system.environment)), *arguments]
        self.environ = {
            **os.environ,
            **SINGLE,
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONWARNINGS": "ignore",
            "BENCHMARK_MODEL": model,
            "BENCHMARK_MODELS": str(models),
            "BENTOML_DO_NOT_TRACK": "True",
            "HF_HUB_OFFLINE": "1",
            **environ,
        }

    def request(self, item: Any) -> bytes:
        """The bytes of a request with an item."""
        body = json.dumps(self.system.wrap(item), separators=(",", ":")).encode()
        head = (
            f"POST {self.system.path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def family(self) -> list[int]:
        """The process that was started and its descendants, of whatever session they are."""
        children: dict[int, list[int]] = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                pid, _, rest = stat.read_text().partition(" (")
            except OSError:  # it has ended
                continue
            children.setdefault(int(rest.rpartition(")")[2].split()[1]), []).append(int(pid))
        found = [self.process.pid]
        for pid in found:
            found += children.get(pid, [])
        return found

    def rest(self) -> None:
        """Stop its processes, some of which would look for work, until :meth:`go_on`."""
        self._send_all(signal.SIGSTOP)

    def go_on(self) -> None:
        self._send_all(signal.SIGCONT)

    def _send_all(self, number: int) -> None:
        for pid in self.family():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _wait(self, seconds: float = 0.0) -> None:
        """Return at once: several start at the same time."""

    def bind(self) -> None:
        """Have all its threads run on the core of the servers from now on."""
        for pid in self.family():
            for task in Path(f"/proc/{pid}/task").iterdir():
                with suppress(ProcessLookupError):
                    os.sched_setaffinity(int(task.name), {SERVER_CORE})

    def __enter__(self) -> ModelServer:
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.go_on()
        super().__exit__(*error)
        self.directory.cleanup()

"""The numbers of models for Prometheus (`prometheus-client`).

They are those of the process, or, with `PROMETHEUS_MULTIPROC_DIR`, of all processes that share
this directory. Source: Prometheus, "Metric and label naming"; prometheus-client, "Multiprocess".
"""

from __future__ import annotations

import os
import typing as t
from functools import cache

from ..errors import MissingExtra, SetupError
from ..globals import current_app, request
from ..paths import caller_place
from .batching.batcher import Batcher, all_batchers
from .batching.stats import BOUNDS
from .registry import Serving

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from .served import Served

_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Numbers:
    """The metrics, made once in a process: a registry refuses a second one of a name."""

    def __init__(self, library: t.Any) -> None:
        def named(kind: t.Any, name: str, about: str, *labels: str, **more: t.Any) -> t.Any:
            return kind(f"erlen_ml_{name}", about, ["predictor", *labels], **more)

        counter, histogram, gauge = library.Counter, library.Histogram, library.Gauge
        self.requests = named(counter, "requests", "Requests by status", "code")
        self.answered = named(counter, "answered", "Items with a result")
        self.failed = named(counter, "failed", "Items for which the model raised")
        self.dropped = named(counter, "dropped", "Items not answered, by cause", "cause")
        self.latency = named(
            histogram, "latency_seconds", "From an item's coming to its result", buckets=BOUNDS
        )
        self.run = named(histogram, "run_seconds", "Time of one batch", buckets=BOUNDS)
        self.size = named(histogram, "batch_size", "Items in a batch", buckets=_SIZES)
        self.queued = named(gauge, "queue_length", "Items that wait", multiprocess_mode="livesum")


class Watch:
    """Tells the metrics what one batcher does."""

    def __init__(self, numbers: Numbers, batcher: Batcher[t.Any, t.Any]) -> None:
        self._batcher = batcher
        name = batcher.name
        self._size, self._run = numbers.size.labels(name), numbers.run.labels(name)
        self._answered, self._failed = numbers.answered.labels(name), numbers.failed.labels(name)
        self._latency, self._queued = numbers.latency.labels(name), numbers.queued.labels(name)
        self._dropped = {
            cause: numbers.dropped.labels(name, cause) for cause in batcher.stats().dropped
        }

    def batch(self, size: int, seconds: float) -> None:
        self._size.observe(size)
        self._run.observe(seconds)
        self._queued.set(self._batcher.stats().queued)

    def dropped(self, cause: str) -> None:
        self._dropped[cause].inc()

    def answered(self, seconds: float) -> None:
        self._answered.inc()
        self._latency.observe(seconds)

    def failed(self, seconds: float) -> None:
        self._failed.inc()
        self._latency.observe(seconds)


@cache
def _numbers() -> Numbers:
    import prometheus_client

    return Numbers(prometheus_client)


def watch_all() -> None:
    """Have all batchers of the process counted that nobody else watches."""
    for batcher in all_batchers():
        if batcher.observer is None:
            batcher.observer = Watch(_numbers(), batcher)


def watch_requests(served: Served) -> None:
    """Have the requests to a predictor counted."""
    requests, name = _numbers().requests, served.definition.name
    served.note = lambda code: requests.labels(name, str(code)).inc()


def enable(app: t.Any, path: str, route: Mapping[str, t.Any]) -> None:
    """`app.enable_metrics`. Raises MissingExtra and SetupError."""
    try:
        import prometheus_client  # noqa: F401
    except ImportError as error:
        raise MissingExtra("app.enable_metrics", "prometheus_client", "metrics") from error
    if not path.startswith("/"):
        raise SetupError(f"The path of metrics is like '/metrics', not {path!r}.", caller_place())
    serving = Serving.of(app)
    serving.watches = True
    for each in serving.served:
        watch_requests(each)
    watch_all()
    app.add_url_rule(path, "erlen_metrics", _metrics, **{"hidden": True, **route})


def _metrics() -> t.Any:
    """The view."""
    import prometheus_client
    from prometheus_client import exposition, multiprocess

    watch_all()
    queued: dict[str, int] = {}
    for batcher in all_batchers():
        queued[batcher.name] = queued.get(batcher.name, 0) + batcher.stats().queued
    for name, count in queued.items():
        _numbers().queued.labels(name).set(count)
    registry: t.Any = prometheus_client.REGISTRY
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        registry = prometheus_client.CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    encode, content_type = exposition.choose_encoder(request.headers.get("Accept", ""))
    return current_app.response_class(encode(registry), content_type=content_type)

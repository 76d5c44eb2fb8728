"""An application under OpenTelemetry's instrumentation, and its spans and metrics."""

from __future__ import annotations

import json

from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

exporter = InMemorySpanExporter()
tracing = TracerProvider()
tracing.add_span_processor(SimpleSpanProcessor(exporter))
reader = InMemoryMetricReader()
hooked: list[str] = []
FlaskInstrumentor().instrument(
    tracer_provider=tracing,
    meter_provider=MeterProvider([reader]),
    excluded_urls="health",
    request_hook=lambda span, environ: hooked.append(environ["PATH_INFO"]),
    response_hook=lambda span, status, headers: hooked.append(status),
)

import flask  # noqa: E402
from flask import stream_with_context  # noqa: E402

app = flask.Flask(__name__)
tracer = tracing.get_tracer("views")


@app.get("/orders/<int:number>")
def order(number):
    with tracer.start_as_current_span("looked up"):
        return {"number": number}


@app.get("/later/<int:number>")
async def later(number):
    with tracer.start_as_current_span("looked up later"):
        return {"number": number}


@app.get("/fails")
def fails():
    raise ValueError("no tea")


@app.get("/stream")
def stream():
    @stream_with_context
    def lines():
        yield flask.request.path
        yield "\n"

    return lines()


@app.get("/health")
def health():
    return ""


client = app.test_client()
paths = ["/orders/7", "/later/8", "/fails", "/stream", "/health", "/nowhere"]
statuses = [client.get(path).status_code for path in paths]
parent = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"}
client.get("/orders/9", headers=parent)

spans = exporter.get_finished_spans()
names = {span.context.span_id: span.name for span in spans}
histogram = next(
    metric
    for resource in reader.get_metrics_data().resource_metrics
    for scope in resource.scope_metrics
    for metric in scope.metrics
    if metric.name == "http.server.duration"
)


def about(span):
    attributes = span.attributes
    return {
        "name": span.name,
        "kind": span.kind.name,
        "route": attributes.get("http.route"),
        "status": attributes.get("http.status_code"),
        "result": span.status.status_code.name,
        "events": [[e.name, e.attributes.get("exception.message")] for e in span.events],
        "inside": names.get(span.parent.span_id, f"{span.parent.span_id:x}")
        if span.parent
        else None,
    }


print(
    json.dumps(
        {
            "statuses": statuses,
            "subclass": type(app).__name__,
            "spans": [about(span) for span in spans],
            "hooked": hooked,
            "counted": sum(point.count for point in histogram.data.data_points),
        }
    )
)

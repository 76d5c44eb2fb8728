"""An application under prometheus-flask-exporter, and its counters."""

from __future__ import annotations

import json

from flask import Flask, request
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from prometheus_flask_exporter import PrometheusMetrics

app = Flask(__name__)
metrics = PrometheusMetrics(app, group_by="endpoint", registry=CollectorRegistry())
metrics.info("app_info", "What runs", version="1")


@app.get("/orders/<int:number>")
@metrics.counter("orders", "Orders by item", labels={"item": lambda: request.view_args["number"]})
def order(number):
    return {"number": number}


@app.get("/later/<int:number>")
async def later(number):
    return {"number": number}


@app.get("/fails")
def fails():
    raise ValueError("no tea")


@app.get("/unseen")
@metrics.do_not_track()
def unseen():
    return ""


client = app.test_client()
for path in ["/orders/1", "/orders/1", "/orders/2", "/later/3", "/fails", "/unseen", "/nowhere"]:
    client.get(path)
answer = client.get("/metrics")
wanted = ("flask_http_request_total", "flask_http_request_exceptions_total", "orders_total")
wanted += ("flask_http_request_duration_seconds_count", "app_info")
samples = [
    [sample.name, sorted(sample.labels.items()), sample.value]
    for family in text_string_to_metric_families(answer.text)
    for sample in family.samples
    if sample.name in wanted
]
print(json.dumps({"type": answer.mimetype, "samples": sorted(samples)}))

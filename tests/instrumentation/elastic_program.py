"""An application under Elastic APM, and what its server would be sent."""

from __future__ import annotations

import json

from elasticapm import capture_span
from elasticapm.contrib.flask import ElasticAPM
from elasticapm.transport.base import Transport
from flask import Flask, render_template_string

kept: list[tuple[str, dict]] = []


class Keeper(Transport):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._flushed.set()

    def start_thread(self, pid=None):
        pass

    def queue(self, event_type, data, flush=False):
        kept.append((event_type, data))


app = Flask(__name__)
apm = ElasticAPM(
    app,
    transport_class="__main__.Keeper",
    service_name="tea",
    metrics_interval="0ms",
    central_config=False,
    cloud_provider="none",
    capture_body="all",
)


@app.get("/orders/<int:number>")
def order(number):
    with capture_span("looked up"):
        return render_template_string("{{ apm.is_sampled }}")


@app.get("/later/<int:number>")
async def later(number):
    with capture_span("looked up later"):
        return {"number": number}


@app.post("/fails")
def fails():
    raise ValueError("no tea")


client = app.test_client()
# A transaction ends when the response is closed.
text = client.get("/orders/7", buffered=True).text
statuses = [
    client.get("/later/8", buffered=True).status_code,
    client.post("/fails?size=2", data={"sugar": "no"}, buffered=True).status_code,
    client.get("/nowhere", buffered=True).status_code,
]


def about(kind, data):
    if kind == "transaction":
        request = data["context"]["request"]
        return [kind, data["name"], data["result"], data["outcome"], request["url"]["full"]]
    if kind == "span":
        return [kind, data["name"]]
    request = data["context"]["request"]
    error = data["exception"]
    return [kind, error["type"], error["message"], error["handled"], request["body"]]


print(
    json.dumps(
        {
            "sampled": text,
            "statuses": statuses,
            "kept": [
                about(kind, data) for kind, data in kept if kind in ("transaction", "span", "error")
            ],
        }
    )
)

"""An application under sentry-sdk, and what Sentry would be sent for some requests."""

from __future__ import annotations

import json

import sentry_sdk
from sentry_sdk.integrations.flask import FlaskIntegration
from sentry_sdk.transport import Transport

kept: list[dict] = []


class Keeper(Transport):
    def capture_envelope(self, envelope):
        kept.extend(
            {"type": item.headers["type"], **item.payload.json}
            for item in envelope.items
            if item.headers["type"] in ("event", "transaction")
        )


sentry_sdk.init(
    dsn="http://key@127.0.0.1/1",
    transport=Keeper,
    integrations=[FlaskIntegration()],
    default_integrations=False,
    traces_sample_rate=1.0,
    send_default_pii=True,
)

from flask import Flask, render_template_string  # noqa: E402
from flask_login import LoginManager, UserMixin, login_user  # noqa: E402

app = Flask(__name__)
app.secret_key = "key of a test"
login = LoginManager(app)


class User(UserMixin):
    id = "ada"


@login.user_loader
def load(key):
    return User()


@app.post("/login")
def log_in():
    login_user(User())
    return ""


@app.get("/page/<int:number>")
def page(number):
    return render_template_string("{{ sentry_trace_meta }}")


@app.post("/orders/<item>")
def order(item):
    raise ValueError(f"no {item}")


@app.post("/later/<item>")
async def later(item):
    raise LookupError(item)


client = app.test_client()
client.post("/login")
text = client.get("/page/7").text
answers = [
    client.post("/orders/tea?size=2", json={"sugar": True}),
    client.post("/later/tea", data={"milk": "no"}),
    client.get("/nowhere"),
]
sentry_sdk.flush()


def about(item):
    request = item["request"]
    found = {
        "type": item["type"],
        "name": item["transaction"],
        "method": request["method"],
        "url": request["url"],
        "query": request.get("query_string"),
        "data": request.get("data"),
        "user": item.get("user", {}).get("id"),
    }
    if item["type"] == "event":
        error = item["exception"]["values"][-1]
        found["error"] = [error["type"], error["value"], error["mechanism"]["type"]]
        found["place"] = error["stacktrace"]["frames"][-1]["function"]
    else:
        found["status"] = item["contexts"]["trace"]["data"].get("http.response.status_code")
    return found


print(
    json.dumps(
        {
            "statuses": [answer.status_code for answer in answers],
            "meta": text.count('<meta name="sentry-trace"'),
            "kept": [about(item) for item in kept],
        }
    )
)

"""A shop whose customers word their own letters: templates of strangers, rendered in a sandbox.

erlen --app examples/sandbox/app run
"""

from __future__ import annotations

from typing import Any

from erlen import Erlen, Response, render_template, request

from .renderer import DEEPEST, FILTERS, LONGEST_SOURCE, MOST_TURNS, Refused, render

app = Erlen(__name__)
app.config["MAX_CONTENT_LENGTH"] = 64_000

# What a letter may speak of. Plain data: no object of the application ever gets in.
ORDER: dict[str, Any] = {
    "customer": "Ann Archer",
    "number": 1047,
    "items": [
        {"name": "Fountain pen", "count": 1, "price": 24.5},
        {"name": "Ink, blue", "count": 2, "price": 6.9},
        {"name": "Paper, 100 sheets", "count": 3, "price": 4.25},
    ],
    "total": 51.05,
}
LETTER = """\
<h1>Thank you, {{ customer }}!</h1>
<p>Your order no. {{ number }}:</p>
<ol>
{% for item in items %}
  <li>{{ item.count }} × {{ item.name }}{% if loop.last %}.{% else %},{% endif %}</li>
{% endfor %}
</ol>
<p>Together <b>€ {{ total | round(2) }}</b>. Your shop.</p>
"""


@app.get("/")
def index() -> str:
    return page(LETTER)[0]


@app.post("/")
def preview() -> tuple[str, int]:
    return page(request.form.get("source", "").replace("\r\n", "\n"))


def page(source: str) -> tuple[str, int]:
    """The editor, and beside it the letter or why there is none."""
    letter, problem = "", None
    try:
        letter = render(source, ORDER)
    except Refused as error:
        problem = str(error)
    html = render_template(
        "editor.html",
        source=source,
        letter=letter,
        problem=problem,
        fields=ORDER,
        filters=FILTERS,
        limits={"source": LONGEST_SOURCE, "turns": MOST_TURNS, "nesting": DEEPEST},
    )
    return html, 422 if problem else 200


@app.after_request
def set_policy(response: Response) -> Response:
    """The sandbox guards the server; this, and the frame without rights, guard the reader."""
    policy = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'"
    response.headers["Content-Security-Policy"] = policy
    return response

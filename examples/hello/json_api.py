"""A JSON API: a dict or a list that a view returns is sent as JSON.

erlen --app examples/hello/json_api run
curl -d '{"text": "buy milk"}' -H 'Content-Type: application/json' localhost:5000/notes
"""

from __future__ import annotations

from erlen import Erlen, abort, request

app = Erlen(__name__)
notes: list[dict[str, object]] = []


@app.get("/notes")
def all_notes() -> list[dict[str, object]]:
    return notes


@app.post("/notes")
def add_note() -> tuple[dict[str, object], int]:
    body = request.get_json()
    if not isinstance(body, dict) or not isinstance(body.get("text"), str):
        abort(400, "Send a JSON object with a string 'text'.")
    note: dict[str, object] = {"id": len(notes) + 1, "text": body["text"]}
    notes.append(note)
    return note, 201

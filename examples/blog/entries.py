"""What is written: the list in pages, one entry, writing, editing, deleting."""

from __future__ import annotations

import re
import sqlite3
from datetime import datetime
from math import ceil

from markupsafe import Markup, escape

from erlen import (
    Blueprint,
    abort,
    current_app,
    flash,
    g,
    redirect,
    render_template,
    request,
    url_for,
)
from erlen.typing import ResponseReturnValue

from .accounts import login_required
from .database import connection

pages = Blueprint("entries", __name__)

LONGEST_TITLE = 120
LONGEST_BODY = 50_000
ENTRIES = """
    SELECT entry.*, author.name AS author_name
    FROM entry JOIN author ON author.id = entry.author_id
"""


@pages.app_template_filter("paragraphs")
def paragraphs(text: str) -> Markup:
    """Plain text as HTML: an empty line parts paragraphs, a line break stays one."""
    blocks = re.split(r"\n\s*\n", text.replace("\r\n", "\n").strip())
    lines = (Markup("<br>\n").join(escape(line) for line in block.split("\n")) for block in blocks)
    return Markup("\n").join(Markup("<p>{}</p>").format(block) for block in lines)


@pages.app_template_filter("day")
def day(moment: str) -> str:
    when = datetime.fromisoformat(moment.replace("Z", "+00:00"))
    return f"{when.day} {when:%B %Y}"


@pages.get("/")
def index() -> ResponseReturnValue:
    size = current_app.config["ENTRIES_PER_PAGE"]
    count = connection().execute("SELECT count(*) FROM entry").fetchone()[0]
    last = max(1, ceil(count / size))
    page = request.args.get("page", 1, type=int)
    if not 1 <= page <= last:
        abort(404, "There is no such page.")
    query = ENTRIES + "ORDER BY entry.id DESC LIMIT ? OFFSET ?"
    found = connection().execute(query, [size, (page - 1) * size]).fetchall()
    return render_template("entries/index.html", entries=found, page=page, last=last)


@pages.get("/entries/<int:number>")
def show(number: int) -> ResponseReturnValue:
    return render_template("entries/show.html", entry=entry_or_404(number))


@pages.route("/write", methods=["GET", "POST"])
@login_required
def write() -> ResponseReturnValue:
    if request.method == "GET":
        return form_page()
    title, body, problem = submitted()
    if problem:
        return form_page(problem=problem)
    with connection() as database:
        statement = "INSERT INTO entry (author_id, title, body) VALUES (?, ?, ?)"
        number = database.execute(statement, [g.author["id"], title, body]).lastrowid
    flash("Published.")
    return redirect(url_for(".show", number=number))


@pages.route("/entries/<int:number>/edit", methods=["GET", "POST"])
@login_required
def edit(number: int) -> ResponseReturnValue:
    entry = own_entry(number)
    if request.method == "GET":
        return form_page(entry)
    title, body, problem = submitted()
    if problem:
        return form_page(entry, problem)
    with connection() as database:
        now = "strftime('%Y-%m-%dT%H:%M:%SZ', 'now')"
        statement = f"UPDATE entry SET title = ?, body = ?, edited = {now} WHERE id = ?"
        database.execute(statement, [title, body, number])
    flash("Saved.")
    return redirect(url_for(".show", number=number))


@pages.post("/entries/<int:number>/delete")
@login_required
def delete(number: int) -> ResponseReturnValue:
    entry = own_entry(number)
    with connection() as database:
        database.execute("DELETE FROM entry WHERE id = ?", [number])
    flash(f"Deleted “{entry['title']}”.")
    return redirect(url_for(".index"))


def entry_or_404(number: int) -> sqlite3.Row:
    # SQLite's integers end at 64 bits; the URL's do not.
    entry: sqlite3.Row | None = None
    if number < 2**63:
        entry = connection().execute(ENTRIES + "WHERE entry.id = ?", [number]).fetchone()
    return entry or abort(404, "There is no such entry.")


def own_entry(number: int) -> sqlite3.Row:
    """The entry, if the author who asks has written it."""
    entry = entry_or_404(number)
    if entry["author_id"] != g.author["id"]:
        abort(403, "Only its author can change an entry.")
    return entry


def submitted() -> tuple[str, str, str | None]:
    """Title and body from the form, and what is wrong with them."""
    title, body = (request.form.get(name, "").strip() for name in ("title", "body"))
    if not title or not body:
        return title, body, "An entry needs a title and a text."
    if len(title) > LONGEST_TITLE:
        return title, body, f"A title has at most {LONGEST_TITLE} characters."
    if len(body) > LONGEST_BODY:
        return title, body, f"A text has at most {LONGEST_BODY} characters."
    return title, body, None


def form_page(entry: sqlite3.Row | None = None, problem: str | None = None) -> ResponseReturnValue:
    """The form with what was sent, else with the entry; 422 if there is a problem."""
    values = {
        name: request.form.get(name, entry[name] if entry else "") for name in ("title", "body")
    }
    if problem:
        flash(problem, "problem")
    page = render_template(
        "entries/form.html", entry=entry, values=values, longest_title=LONGEST_TITLE
    )
    return page, 422 if problem else 200

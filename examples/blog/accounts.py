"""Who writes: registering, logging in and out, and the decorator that asks for it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec
from urllib.parse import urlsplit

from werkzeug.security import check_password_hash, generate_password_hash

from erlen import Blueprint, flash, g, redirect, render_template, request, session, url_for
from erlen.typing import ResponseReturnValue

from .database import connection

P = ParamSpec("P")
pages = Blueprint("accounts", __name__)

SHORTEST_PASSWORD = 8
# Checked where the name is unknown, so that the time of an answer does not tell which names exist.
NOBODYS_HASH = generate_password_hash("nobody's password")


def login_required(view: Callable[P, ResponseReturnValue]) -> Callable[P, ResponseReturnValue]:
    @wraps(view)
    def only_for_authors(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
        if g.author is None:
            flash("Log in first.")
            wanted = request.full_path.rstrip("?") if request.method == "GET" else None
            return redirect(url_for("accounts.log_in", next=wanted))
        return view(*args, **kwargs)

    return only_for_authors


@pages.before_app_request
def recognise() -> None:
    """Put the author who is logged in, or None, in `g.author`."""
    g.author = None
    if request.endpoint != "static" and "author" in session:
        query = "SELECT id, name FROM author WHERE id = ?"
        g.author = connection().execute(query, [session["author"]]).fetchone()


@pages.route("/register", methods=["GET", "POST"])
def register() -> ResponseReturnValue:
    if request.method == "GET":
        return render_template("accounts/register.html", shortest=SHORTEST_PASSWORD)
    name, password = request.form.get("name", "").strip(), request.form.get("password", "")
    problem = problem_of(name, password, request.form.get("again", ""))
    if problem is None:
        row = [name, generate_password_hash(password)]
        try:
            with connection() as database:
                statement = "INSERT INTO author (name, password_hash) VALUES (?, ?)"
                number = database.execute(statement, row).lastrowid
        except sqlite3.IntegrityError:
            problem = f"The name {name} is taken."
        else:
            remember(number)
            flash(f"Welcome, {name}!")
            return redirect(url_for("entries.index"))
    flash(problem, "problem")
    return render_template("accounts/register.html", shortest=SHORTEST_PASSWORD), 422


def problem_of(name: str, password: str, again: str) -> str | None:
    if not 2 <= len(name) <= 40 or not name.isprintable():
        return "A name has 2 to 40 characters."
    if len(password) < SHORTEST_PASSWORD:
        return f"A password has at least {SHORTEST_PASSWORD} characters."
    return None if password == again else "The two passwords differ."


@pages.route("/log-in", methods=["GET", "POST"])
def log_in() -> ResponseReturnValue:
    if request.method == "GET":
        return render_template("accounts/log_in.html")
    query = "SELECT id, name, password_hash FROM author WHERE name = ?"
    author = connection().execute(query, [request.form.get("name", "").strip()]).fetchone()
    known_hash = author["password_hash"] if author else NOBODYS_HASH
    if not check_password_hash(known_hash, request.form.get("password", "")) or author is None:
        flash("Name or password is wrong.", "problem")
        return render_template("accounts/log_in.html"), 422
    remember(author["id"])
    flash(f"Welcome back, {author['name']}!")
    return redirect(local_path(request.args.get("next")) or url_for("entries.index"))


@pages.post("/log-out")
def log_out() -> ResponseReturnValue:
    session.clear()
    flash("You are logged out.")
    return redirect(url_for("entries.index"))


def remember(author_id: int | None) -> None:
    """Start a new session: what was in the old one, its form token too, ends here."""
    session.clear()
    session["author"] = author_id
    session.permanent = True


def local_path(target: str | None) -> str | None:
    """The target if it leads to this site: a redirect must not send people elsewhere."""
    if not target or not target.startswith("/") or target[1:2] in ("/", "\\"):
        return None
    if not target.isprintable() or urlsplit(target).netloc:
        return None
    return target

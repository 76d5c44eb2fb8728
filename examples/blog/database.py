"""SQLite: one connection for as long as a request lasts, and the command that makes the tables."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import click

from erlen import Erlen, current_app, g


def connection() -> sqlite3.Connection:
    """The connection of this request or command, opened at its first use."""
    if "connection" not in g:
        g.connection = sqlite3.connect(current_app.config["DATABASE"])
        g.connection.row_factory = sqlite3.Row
        g.connection.execute("PRAGMA foreign_keys = ON")
    opened: sqlite3.Connection = g.connection
    return opened


def close(error: BaseException | None = None) -> None:
    opened = g.pop("connection", None)
    if opened is not None:
        opened.close()


def create_tables() -> None:
    """Make the tables that are missing; those that are there keep what they hold."""
    Path(current_app.config["DATABASE"]).parent.mkdir(parents=True, exist_ok=True)
    with current_app.open_resource("schema.sql", "r") as file:
        connection().executescript(file.read())


def init_db() -> None:
    """Create the database, or what is missing of it."""
    create_tables()
    click.echo(f"The database is ready: {current_app.config['DATABASE']}")


def init_app(app: Erlen) -> None:
    app.teardown_appcontext(close)
    app.cli.command("init-db")(init_db)

"""A blog for several authors: accounts, entries, sessions, SQLite. Made by a factory, `create_app`.

erlen --app examples/blog init-db
erlen --app examples/blog run
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from werkzeug.exceptions import HTTPException

from erlen import Erlen, render_template

from . import accounts, csrf, database, entries


def create_app(config: Mapping[str, Any] | None = None) -> Erlen:
    """Build the application; `config` overrides what is set here."""
    app = Erlen(__name__, instance_path=str(Path(__file__).parent / "instance"))
    app.config.from_mapping(
        DATABASE=os.path.join(app.instance_path, "blog.sqlite3"),
        ENTRIES_PER_PAGE=5,
        MAX_CONTENT_LENGTH=200_000,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=timedelta(days=14),
    )
    app.config.from_mapping(config or {})
    app.config.from_prefixed_env("BLOG")
    if not app.secret_key:
        app.secret_key = kept_secret(Path(app.instance_path, "secret_key"))

    database.init_app(app)
    app.register_blueprint(accounts.pages)
    app.register_blueprint(entries.pages)
    csrf.init_app(app)  # checks once it is known who asks, so that its error page knows it too
    app.register_error_handler(HTTPException, show_error)
    app.after_request(set_policy)
    return app


def kept_secret(path: Path) -> bytes:
    """The key that signs sessions: made at the first start, and readable for its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with open(descriptor, "wb") as file:
        file.write(key := secrets.token_bytes(32))
    return key


def show_error(error: HTTPException) -> Any:
    page = render_template("error.html", error=error)
    return page, error.code, [(n, v) for n, v in error.get_headers() if n != "Content-Type"]


def set_policy(response: Any) -> Any:
    response.headers.setdefault("Content-Security-Policy", "default-src 'self'; base-uri 'none'")
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response

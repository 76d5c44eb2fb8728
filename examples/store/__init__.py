"""A store's API, typed from end to end: SQLAlchemy on SQLite, OAuth 2, files, pages of lists.

erlen --app examples/store fill
erlen --app examples/store run
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from werkzeug.exceptions import HTTPException

from erlen import Erlen
from erlen.api import as_problem

from . import accounts, database, orders, products


class Health(BaseModel):
    """What a load balancer asks for."""

    status: str = "ok"


async def health() -> Health:
    """Say whether the application answers."""
    return Health()


def create_app(config: Mapping[str, Any] | None = None) -> Erlen:
    """Build the application; `config` overrides what is set here."""
    app = Erlen(__name__, instance_path=str(Path(__file__).parent / "instance"))
    app.config.from_mapping(
        DATABASE=f"sqlite:///{Path(app.instance_path, 'store.sqlite3')}",
        MAX_CONTENT_LENGTH=2_000_000,
        PASSWORD_METHOD="scrypt",
        TOKEN_SECONDS=3600,
    )
    app.config.from_mapping(config or {})
    app.config.from_prefixed_env("STORE")
    if not app.secret_key:
        app.secret_key = secrets.token_bytes(32)  # tokens last until the application is restarted

    app.get("/health")(health)
    database.init_app(app)
    for part in (accounts.routes, products.routes, orders.routes):
        app.register_blueprint(part)
    # What no view answers, such as 404 and 405, has the form of the typed views' errors.
    app.register_error_handler(HTTPException, as_problem)
    app.enable_docs(
        title="Store",
        version="1.0.0",
        description="Products that users sell to each other.",
    )
    return app

"""What frameworks without sessions or templates of their own are given."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

from ..cases import ROWS, SECRET_KEY, SESSION_SALT
from . import FILES


@cache
def signer() -> Any:
    """A signer of cookies with Flask's parameters."""
    from itsdangerous import URLSafeTimedSerializer

    keyed = {"key_derivation": "hmac", "digest_method": hashlib.sha1}
    return URLSafeTimedSerializer(SECRET_KEY, salt=SESSION_SALT, signer_kwargs=keyed)


def next_count(cookie: str | None) -> tuple[str, str]:
    """Read the counter in a cookie; return the next count and the cookie that holds it."""
    count = (signer().loads(cookie)["count"] if cookie else 0) + 1
    return str(count), signer().dumps({"count": count})


@cache
def rows_template() -> Any:
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(loader=FileSystemLoader(FILES / "templates"), autoescape=True)
    return environment.get_template("rows.html")


def render_rows() -> str:
    text: str = rows_template().render(heading="Prices", rows=ROWS)
    return text

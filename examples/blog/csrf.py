"""Forms that other sites cannot send: each carries a token that only the session knows."""

from __future__ import annotations

import hmac
import secrets

from markupsafe import Markup

from erlen import Erlen, abort, request, session

FIELD = "csrf_token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


def token() -> str:
    """The session's token, made when a form first asks for it."""
    if FIELD not in session:
        session[FIELD] = secrets.token_urlsafe(24)
    value: str = session[FIELD]
    return value


def hidden_field() -> Markup:
    return Markup('<input type="hidden" name="{}" value="{}">').format(FIELD, token())


def check() -> None:
    """Refuse a request that changes something, unless it brings the token."""
    if request.method in SAFE_METHODS:
        return
    sent, known = request.form.get(FIELD, ""), session.get(FIELD, "")
    if not known or not hmac.compare_digest(sent.encode(), known.encode()):
        abort(400, "The form has expired. Go back, reload the page and send it again.")


def init_app(app: Erlen) -> None:
    app.before_request(check)
    app.add_template_global(hidden_field, "csrf_field")

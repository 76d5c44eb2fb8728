"""That a form was sent from its own page, and not by another site in a visitor's name.

A cookie holds a random text, the form the same text signed. Another site can read neither. What
signs is `SECRET_KEY`, so that all workers know each other's tokens. An application without one
cannot have that: the cookie's own text signs then, which every worker knows as well, and since
whoever can set a cookie here (a neighbouring host name) could make both, such a form also has to
bring the `Origin` or `Sec-Fetch-Site` that browsers send with it.

Source: OWASP, "Cross-Site Request Forgery Prevention", signed double submit cookie.
"""

from __future__ import annotations

import re
import secrets
import typing as t

from itsdangerous import BadData, URLSafeTimedSerializer

from ...websockets.origin import is_allowed

if t.TYPE_CHECKING:
    from ...wrappers import Request, Response

FIELD = "erlen-token"
COOKIE = "erlen_form"
#: Seconds for which a form may stand open.
LONGEST = 7 * 24 * 3600

_SALT = "erlen.ml.demo"
_TEXT = re.compile(r"[A-Za-z0-9_-]{32}")


class Token:
    """The token of one visitor's forms: from the cookie, or new."""

    def __init__(self, request: Request, config: t.Mapping[str, t.Any]) -> None:
        known = request.cookies.get(COOKIE, "")
        self._request = request
        self._config = config
        self.is_new = not _TEXT.fullmatch(known)
        self.text = secrets.token_urlsafe(24) if self.is_new else known

    def signed(self) -> str:
        """What the form carries."""
        return str(self._serializer().dumps(self.text))

    def fault(self, sent: str) -> str | None:
        """Why a form with this token is not taken; `None` where it is."""
        request = self._request
        site = request.headers.get("Sec-Fetch-Site")
        if site not in (None, "same-origin", "none") or not is_allowed(request, None):
            return "This form was sent from another site."
        is_told = site is not None or "Origin" in request.headers
        if not (is_told or self._config["SECRET_KEY"]):
            return "The request does not say where the form was sent from."
        if self.is_new:
            return "Cookies are needed to send this form. Try again."
        try:
            text = self._serializer().loads(sent, max_age=LONGEST)
        except BadData:
            text = ""
        if not isinstance(text, str) or not secrets.compare_digest(
            text.encode(errors="replace"), self.text.encode()
        ):
            return "The form has stood open for too long. Send it again."
        return None

    def keep(self, response: Response, path: str) -> None:
        """Set the cookie where there is none."""
        if self.is_new:
            response.set_cookie(
                COOKIE,
                self.text,
                path=path,
                httponly=True,
                samesite="Lax",
                secure=self._request.is_secure,
            )

    def _serializer(self) -> URLSafeTimedSerializer:
        key = self._config["SECRET_KEY"]
        keys = [*(self._config.get("SECRET_KEY_FALLBACKS") or ()), key] if key else [self.text]
        return URLSafeTimedSerializer(keys, salt=_SALT)

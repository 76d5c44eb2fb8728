"""Sessions: what they offer to views, and the interface that keeps them in a signed cookie.

Another place to keep sessions is a subclass of `SessionInterface`, assigned to
`app.session_interface`. Source: Flask, "Sessions", "Session Interface".
"""

from __future__ import annotations

import collections.abc as c
import hashlib
import typing as t
from collections.abc import MutableMapping
from datetime import datetime, timezone

from werkzeug.datastructures import CallbackDict
from werkzeug.wrappers import Request as _WerkzeugRequest
from werkzeug.wrappers import Response as _WerkzeugResponse

from .json.tag import TaggedJSONSerializer

if t.TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment
    from itsdangerous import URLSafeTimedSerializer

    from .wrappers import Request, Response


def __getattr__(name: str) -> t.Any:
    """Names of itsdangerous that used to be found here; it is imported when first needed."""
    if name in ("BadSignature", "URLSafeTimedSerializer"):
        import itsdangerous

        return getattr(itsdangerous, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class SessionMixin(MutableMapping[str, t.Any]):
    """What a session has beyond being a dict."""

    #: Whether the session was just begun. Interfaces that can tell set it.
    new = False

    #: Whether it has changed. Interfaces that cannot tell leave it true.
    modified = True

    #: Whether it was looked at in this request, so that the response varies by cookie.
    accessed = False

    @property
    def permanent(self) -> bool:
        """Whether the session outlives the browser's, for `PERMANENT_SESSION_LIFETIME`."""
        return t.cast("bool", self.get("_permanent", False))

    @permanent.setter
    def permanent(self, value: bool) -> None:
        self["_permanent"] = bool(value)


def _mark_modified(session: t.Any) -> None:
    session.modified = True


class SecureCookieSession(CallbackDict[str, t.Any], SessionMixin):
    """The contents of a signed cookie.

    A change of the dict itself sets `modified`; after a change within a value (a list, say), set
    it by hand.
    """

    modified = False

    def __init__(
        self,
        initial: c.Mapping[str, t.Any] | None = None,
    ) -> None:
        super().__init__(initial, _mark_modified)


class NullSession(SecureCookieSession):
    """Stands for a session where none can be kept: reads as empty, and says why on a change."""

    def _refuse(self, *args: t.Any, **kwargs: t.Any) -> t.NoReturn:
        raise RuntimeError(
            "The session is unavailable because no secret "
            "key was set.  Set the secret_key on the "
            "application to something unique and secret."
        )

    __setitem__ = __delitem__ = clear = pop = popitem = _refuse
    update = setdefault = _refuse
    del _refuse


class SessionInterface:
    """How sessions are opened at the start of a request and saved at its end.

    `open_session` returns a dict with the attributes of `SessionMixin`, or `None`: the request
    then gets what `make_null_session` returns, and nothing is saved. Requests of one session may
    overlap, in threads or processes; the interface decides what happens then.
    """

    #: The class of null sessions.
    null_session_class = NullSession

    #: Whether sessions are stored as pickles, for extensions that have to know.
    pickle_based = False

    def make_null_session(self, app: t.Any) -> NullSession:
        """The session of a request whose session could not be opened."""
        return self.null_session_class()

    def is_null_session(self, obj: object) -> bool:
        """Whether this is such a session, which is not saved."""
        return isinstance(obj, self.null_session_class)

    def get_cookie_name(self, app: t.Any) -> str:
        """The name of the cookie: `SESSION_COOKIE_NAME`."""
        return app.config["SESSION_COOKIE_NAME"]  # type: ignore[no-any-return]

    def get_cookie_domain(self, app: t.Any) -> str | None:
        """Its domain, subdomains included: `SESSION_COOKIE_DOMAIN`. `None`: this host only."""
        return app.config["SESSION_COOKIE_DOMAIN"]  # type: ignore[no-any-return]

    def get_cookie_path(self, app: t.Any) -> str:
        """Its path: `SESSION_COOKIE_PATH`, or else `APPLICATION_ROOT`."""
        config = app.config
        return config["SESSION_COOKIE_PATH"] or config["APPLICATION_ROOT"]  # type: ignore[no-any-return]

    def get_cookie_httponly(self, app: t.Any) -> bool:
        """Whether scripts cannot read it: `SESSION_COOKIE_HTTPONLY`."""
        return app.config["SESSION_COOKIE_HTTPONLY"]  # type: ignore[no-any-return]

    def get_cookie_secure(self, app: t.Any) -> bool:
        """Whether it is sent over HTTPS only: `SESSION_COOKIE_SECURE`."""
        return app.config["SESSION_COOKIE_SECURE"]  # type: ignore[no-any-return]

    def get_cookie_samesite(self, app: t.Any) -> str | None:
        """`"Strict"` or `"Lax"` to hold it back from other sites: `SESSION_COOKIE_SAMESITE`."""
        return app.config["SESSION_COOKIE_SAMESITE"]  # type: ignore[no-any-return]

    def get_cookie_partitioned(self, app: t.Any) -> bool:
        """Whether each embedding site has its own: `SESSION_COOKIE_PARTITIONED`."""
        return app.config["SESSION_COOKIE_PARTITIONED"]  # type: ignore[no-any-return]

    def get_expiration_time(self, app: t.Any, session: SessionMixin) -> datetime | None:
        """When the cookie ends, in UTC; `None`: with the browser's session."""
        if not session.permanent:
            return None
        return datetime.now(timezone.utc) + app.permanent_session_lifetime  # type: ignore[no-any-return]

    def should_set_cookie(self, app: t.Any, session: SessionMixin) -> bool:
        """Whether the response carries the cookie: the session has changed, or it is permanent
        and `SESSION_REFRESH_EACH_REQUEST` is on."""
        if session.modified:
            return True
        return session.permanent and app.config["SESSION_REFRESH_EACH_REQUEST"]

    def open_session(self, app: t.Any, request: Request) -> SessionMixin | None:
        """The session of a request, or `None` where that is not possible.

        Called when the request's context is pushed. Raises NotImplementedError here.
        """
        raise NotImplementedError

    def save_session(self, app: t.Any, session: SessionMixin, response: Response) -> None:
        """Keep the session, and put what is needed on the response.

        Called after all `after_request` functions, not for null sessions. Raises
        NotImplementedError here.
        """
        raise NotImplementedError


session_json_serializer = TaggedJSONSerializer()


def _lazy_sha1(string: bytes = b"") -> t.Any:
    """SHA-1, looked up when used: builds restricted to approved algorithms do not have it."""
    return hashlib.sha1(string)


class SecureCookieSessionInterface(SessionInterface):
    """Keeps sessions in a cookie signed with the application's secret key.

    Who has the cookie can read it, and cannot change it. Each setting can be overridden in a
    subclass.
    """

    #: Mixed with the secret key, so that the same key can sign other things.
    salt = "cookie-session"

    #: The hash function of the signature.
    digest_method = staticmethod(_lazy_sha1)

    #: How the key of the signature is made: a name that itsdangerous knows.
    key_derivation = "hmac"

    #: Turns contents into text and back.
    serializer = session_json_serializer

    session_class = SecureCookieSession

    def get_signing_serializer(self, app: t.Any) -> URLSafeTimedSerializer | None:
        """What signs and checks the cookie; `None` without a secret key.

        Signs with `SECRET_KEY`, and accepts the keys of `SECRET_KEY_FALLBACKS` too.
        """
        keys = _secret_keys(app)
        if not keys:
            return None
        from itsdangerous import URLSafeTimedSerializer

        signing = {"key_derivation": self.key_derivation, "digest_method": self.digest_method}
        return URLSafeTimedSerializer(
            t.cast("list[str]", list(keys)),
            salt=self.salt,
            serializer=self.serializer,
            signer_kwargs=signing,
        )

    def _signing(self, app: t.Any) -> URLSafeTimedSerializer | None:
        """The same, kept between requests unless a subclass makes its own."""
        own = type(self).get_signing_serializer is not _built_in_serializer
        if own or "get_signing_serializer" in vars(self):
            return self.get_signing_serializer(app)
        keys = _secret_keys(app)
        if not keys:
            return None
        digest = self.digest_method
        if digest is _lazy_sha1:
            digest = hashlib.sha1  # PERF: with the function itself, HMAC stays in C
        try:
            return _cookie_serializer(keys, self.salt, self.serializer, self.key_derivation, digest)
        except TypeError:  # a setting that cannot be hashed, or that is wrong
            return self.get_signing_serializer(app)

    def open_session(self, app: t.Any, request: Request) -> SecureCookieSession | None:
        """The session of the cookie; an empty one where there is none, or no valid one."""
        signing = self._signing(app)
        if signing is None:
            return None
        text = _cookie(request, self.get_cookie_name(app))
        if text:
            lifetime = app.permanent_session_lifetime
            try:
                contents = signing.loads(text, max_age=int(lifetime.total_seconds()))
                return self.session_class(contents)
            except __getattr__("BadSignature"):  # looked up only when something is raised
                pass
        return self.session_class()

    def save_session(self, app: t.Any, session: SessionMixin, response: Response) -> None:
        """Set, refresh or delete the cookie, or leave it, as the session asks for."""
        accessed = session.accessed
        if accessed:
            _vary_by_cookie(response)
        if not session:
            if not session.modified:
                return
            response.delete_cookie(self.get_cookie_name(app), **self._attributes(app))
        elif self.should_set_cookie(app, session):
            response.set_cookie(
                self.get_cookie_name(app),
                self._signing(app).dumps(dict(session)),  # type: ignore[union-attr]
                expires=self.get_expiration_time(app, session),
                **self._attributes(app),
            )
        else:
            return
        if not accessed:
            _vary_by_cookie(response)

    def _attributes(self, app: t.Any) -> dict[str, t.Any]:
        return {
            "domain": self.get_cookie_domain(app),
            "path": self.get_cookie_path(app),
            "secure": self.get_cookie_secure(app),
            "httponly": self.get_cookie_httponly(app),
            "samesite": self.get_cookie_samesite(app),
            "partitioned": self.get_cookie_partitioned(app),
        }

    def _may_skip(self, app: t.Any, environ: WSGIEnvironment) -> bool:
        """Whether a session that was never opened need not be: saving it would do nothing.

        Without its cookie an untouched session is empty, and stays so. With it, it may have to be
        refreshed; only opening it tells. The engine asks this at the end of a request; always
        false for a subclass, whose methods may do anything.
        """
        if type(self) is not SecureCookieSessionInterface or vars(self):
            return False
        cookies = environ.get("HTTP_COOKIE")
        config = app.config
        if not cookies or not config["SESSION_REFRESH_EACH_REQUEST"]:
            return True
        name = config["SESSION_COOKIE_NAME"]
        # The header is bytes in disguise, so that other names cannot simply be looked for.
        return name.isascii() and name not in cookies


_built_in_serializer: t.Final = SecureCookieSessionInterface.get_signing_serializer

# What is not called for a session that nobody uses, and asked for its cookie's name.
_CALLED_FOR_ANY: t.Final = {
    name: getattr(SecureCookieSessionInterface, name)
    for name in ("open_session", "save_session", "is_null_session", "get_cookie_name")
}


def opens_late(interface: t.Any) -> bool:
    """Whether nobody can tell that a session is opened at its first use, and else not at all."""
    return type(interface) is SecureCookieSessionInterface and not any(
        name in vars(interface) or getattr(SecureCookieSessionInterface, name) is not method
        for name, method in _CALLED_FOR_ANY.items()
    )


def _import_serializer(*settings: t.Any) -> URLSafeTimedSerializer:
    """Stand in for `signing.cookie_serializer` until it is first needed."""
    global _cookie_serializer
    from .signing import cookie_serializer

    _cookie_serializer = cookie_serializer
    return cookie_serializer(*settings)


_cookie_serializer: t.Callable[..., URLSafeTimedSerializer] = _import_serializer


def _secret_keys(app: t.Any) -> tuple[str | bytes, ...]:
    """The keys that are accepted, the one that signs last; empty without a secret key."""
    secret = app.secret_key
    if not secret:
        return ()
    fallbacks = app.config["SECRET_KEY_FALLBACKS"]
    return (*fallbacks, secret) if fallbacks else (secret,)


def _cookie(request: Request, name: str) -> str | None:
    """`request.cookies.get(name)`.

    PERF: one simple cookie is found in the header sooner than all are parsed.
    """
    built_in = getattr(type(request), "cookies", None) is _WerkzeugRequest.cookies
    if built_in and "cookies" not in request.__dict__:
        header = request.environ.get("HTTP_COOKIE", "")
        if header.isascii() and '"' not in header:
            for item in header.split(";"):
                key, _, value = item.partition("=")
                if key.strip() == name:
                    return t.cast("str", value.strip()) if name else None
            return None
    return request.cookies.get(name)


def _vary_by_cookie(response: Response) -> None:
    """Tell caches that the response depends on the cookie (RFC 9110, 12.5.5)."""
    # PERF: the property parses the header, and builds a set, each time.
    if getattr(type(response), "vary", None) is _WerkzeugResponse.vary:
        present = response.headers.get("Vary")
        if present is None:
            response.headers["Vary"] = "Cookie"
        if present is None or present == "Cookie":
            return
    response.vary.add("Cookie")

"""Dependencies that find out who the client is, and stand in the document as security schemes.

Each is an object to be named in `Depends(...)` or `Security(...)`; called with the request it
gives what the client sent, checked for its form only. Where nothing usable was sent it answers 401
with `WWW-Authenticate` (RFC 9110, 11.6.1), or gives `None` with `auto_error=False`.
"""

from __future__ import annotations

import binascii
import typing as t
from base64 import b64decode
from dataclasses import dataclass
from hmac import compare_digest

from pydantic import Field
from werkzeug.exceptions import Forbidden, Unauthorized
from werkzeug.http import quote_header_value

from ..wrappers import Request
from .params import Form
from .params import Security as Security
from .params import SecurityScopes as SecurityScopes
from .problems import Problem

if t.TYPE_CHECKING:
    from collections.abc import Mapping


class NotAuthenticated(Problem, Unauthorized):
    """Nobody knows who the client is (401).

    :param challenge: the value of `WWW-Authenticate`
    """

    code = 401

    def __init__(self, detail: str = "Not authenticated.", *, challenge: str = "Bearer") -> None:
        super().__init__(401, detail, headers={"WWW-Authenticate": challenge})


class NotPermitted(Problem, Forbidden):
    """The client is known, and may not do this (403).

    :param scopes: those that it would need
    """

    code = 403

    def __init__(self, detail: str = "Not permitted.", scopes: t.Sequence[str] = ()) -> None:
        headers = {}
        if scopes:
            quoted = quote_header_value(" ".join(scopes), allow_token=False)
            headers["WWW-Authenticate"] = f'Bearer error="insufficient_scope", scope={quoted}'
        super().__init__(403, detail, headers=headers)


class SecurityScheme:
    """Base of the schemes.

    :param name: its name in the document; by default that of the class
    :param description: for the document
    :param auto_error: whether a request without credentials is refused
    """

    #: The security scheme object of OpenAPI.
    scheme: dict[str, t.Any]
    #: Of `WWW-Authenticate`.
    challenge = "Bearer"

    def __init__(
        self, *, name: str | None = None, description: str | None = None, auto_error: bool = True
    ) -> None:
        self.scheme_name = name or type(self).__name__
        self.auto_error = auto_error
        self.scheme = self._described()
        if description:
            self.scheme["description"] = description

    def _described(self) -> dict[str, t.Any]:
        raise NotImplementedError

    def _refuse(self) -> None:
        """Raise NotAuthenticated, unless that is left to who asks."""
        if self.auto_error:
            raise NotAuthenticated(challenge=self.challenge)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.scheme_name!r}>"


def _authorization(request: Request) -> tuple[str, str]:
    """Scheme in lower case and credentials of `Authorization`; empty where there is none."""
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    return scheme.lower(), credentials.strip()


@dataclass(frozen=True)
class BearerCredentials:
    """What `HTTPBearer` gives."""

    #: As the client wrote it, such as `Bearer`.
    scheme: str
    credentials: str


class HTTPBearer(SecurityScheme):
    """A token in `Authorization: Bearer` (RFC 6750)."""

    def __init__(
        self,
        *,
        bearer_format: str | None = None,
        name: str | None = None,
        description: str | None = None,
        auto_error: bool = True,
    ) -> None:
        self.bearer_format = bearer_format
        super().__init__(name=name, description=description, auto_error=auto_error)

    def _described(self) -> dict[str, t.Any]:
        described = {"type": "http", "scheme": "bearer"}
        if self.bearer_format:
            described["bearerFormat"] = self.bearer_format
        return described

    def __call__(self, request: Request) -> BearerCredentials | None:
        scheme, credentials = _authorization(request)
        if scheme == "bearer" and credentials:
            return BearerCredentials("Bearer", credentials)
        self._refuse()
        return None


@dataclass(frozen=True)
class BasicCredentials:
    """What `HTTPBasic` gives."""

    username: str
    password: str

    def matches(self, username: str, password: str) -> bool:
        """Whether they are these, in a time that does not tell how much of them is right."""
        right_name = same_text(self.username, username)
        right_password = same_text(self.password, password)
        return right_name and right_password


def same_text(one: str, other: str) -> bool:
    """Whether two secrets are equal, in a time that depends on their lengths only."""
    return compare_digest(
        one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass")
    )


class HTTPBasic(SecurityScheme):
    """Name and password in `Authorization: Basic` (RFC 7617, as UTF-8).

    :param realm: what the password is for, shown by browsers
    """

    def __init__(
        self,
        *,
        realm: str | None = None,
        name: str | None = None,
        description: str | None = None,
        auto_error: bool = True,
    ) -> None:
        super().__init__(name=name, description=description, auto_error=auto_error)
        self.challenge = "Basic"
        if realm is not None:
            self.challenge = f"Basic realm={quote_header_value(realm, allow_token=False)}"

    def _described(self) -> dict[str, t.Any]:
        return {"type": "http", "scheme": "basic"}

    def __call__(self, request: Request) -> BasicCredentials | None:
        scheme, credentials = _authorization(request)
        if scheme != "basic" or not credentials:
            self._refuse()
            return None
        try:
            text = b64decode(credentials, validate=True).decode()
        except (ValueError, binascii.Error):
            raise NotAuthenticated("Credentials are malformed.", challenge=self.challenge) from None
        username, colon, password = text.partition(":")
        if not colon:
            raise NotAuthenticated("Credentials are malformed.", challenge=self.challenge)
        return BasicCredentials(username, password)


class _APIKey(SecurityScheme):
    """Base of keys under a name of the application's choice.

    :param key: the header, parameter or cookie that has it
    """

    challenge = "APIKey"
    place: t.ClassVar[str]

    def __init__(
        self,
        key: str,
        *,
        name: str | None = None,
        description: str | None = None,
        auto_error: bool = True,
    ) -> None:
        self.key = key
        super().__init__(name=name, description=description, auto_error=auto_error)

    def _described(self) -> dict[str, t.Any]:
        return {"type": "apiKey", "in": self.place, "name": self.key}

    def _sent(self, request: Request) -> str | None:
        raise NotImplementedError

    def __call__(self, request: Request) -> str | None:
        sent = self._sent(request)
        if not sent:
            self._refuse()
        return sent or None


class APIKeyHeader(_APIKey):
    """A key in a header."""

    place = "header"

    def _sent(self, request: Request) -> str | None:
        return request.headers.get(self.key)


class APIKeyQuery(_APIKey):
    """A key in the query; it stands in logs and histories, where a header does not."""

    place = "query"

    def _sent(self, request: Request) -> str | None:
        return request.args.get(self.key)


class APIKeyCookie(_APIKey):
    """A key in a cookie."""

    place = "cookie"

    def _sent(self, request: Request) -> str | None:
        return request.cookies.get(self.key)


class OAuth2(SecurityScheme):
    """A bearer token of OAuth 2, as text.

    :param flows: the OAuth flows object of OpenAPI, such as
        `{"clientCredentials": {"tokenUrl": "/token", "scopes": {}}}`
    """

    def __init__(
        self,
        flows: Mapping[str, t.Any],
        *,
        name: str | None = None,
        description: str | None = None,
        auto_error: bool = True,
    ) -> None:
        self.flows = {flow: dict(about) for flow, about in flows.items()}
        super().__init__(name=name, description=description, auto_error=auto_error)

    def _described(self) -> dict[str, t.Any]:
        return {"type": "oauth2", "flows": self.flows}

    def __call__(self, request: Request) -> str | None:
        scheme, credentials = _authorization(request)
        if scheme == "bearer" and credentials:
            return credentials
        self._refuse()
        return None


class OAuth2PasswordBearer(OAuth2):
    """A token that the client gets for name and password (RFC 6749, 4.3).

    :param token_url: where, relative to the document
    :param scopes: what can be asked for, with descriptions
    """

    def __init__(
        self,
        token_url: str,
        *,
        scopes: Mapping[str, str] | None = None,
        refresh_url: str | None = None,
        name: str | None = None,
        description: str | None = None,
        auto_error: bool = True,
    ) -> None:
        flow = _flow(scopes, refresh_url, tokenUrl=token_url)
        super().__init__(
            {"password": flow}, name=name, description=description, auto_error=auto_error
        )


class OAuth2AuthorizationCodeBearer(OAuth2):
    """A token that the client gets for a code (RFC 6749, 4.1)."""

    def __init__(
        self,
        authorization_url: str,
        token_url: str,
        *,
        scopes: Mapping[str, str] | None = None,
        refresh_url: str | None = None,
        name: str | None = None,
        description: str | None = None,
        auto_error: bool = True,
    ) -> None:
        flow = _flow(scopes, refresh_url, authorizationUrl=authorization_url, tokenUrl=token_url)
        super().__init__(
            {"authorizationCode": flow}, name=name, description=description, auto_error=auto_error
        )


def _flow(
    scopes: Mapping[str, str] | None, refresh_url: str | None, **urls: str
) -> dict[str, t.Any]:
    flow: dict[str, t.Any] = {**urls, "scopes": dict(scopes or {})}
    if refresh_url is not None:
        flow["refreshUrl"] = refresh_url
    return flow


class OpenIdConnect(SecurityScheme):
    """The value of `Authorization`, with a link to where OpenID Connect is described.

    :param url: of the provider's discovery document
    """

    def __init__(
        self,
        url: str,
        *,
        name: str | None = None,
        description: str | None = None,
        auto_error: bool = True,
    ) -> None:
        self.url = url
        super().__init__(name=name, description=description, auto_error=auto_error)

    def _described(self) -> dict[str, t.Any]:
        return {"type": "openIdConnect", "openIdConnectUrl": self.url}

    def __call__(self, request: Request) -> str | None:
        sent = request.headers.get("Authorization")
        if not sent:
            self._refuse()
        return sent or None


class OAuth2PasswordRequestForm:
    """The form that is sent for a token, as a dependency: `Depends()` of this type.

    Source: RFC 6749, 4.3.2. `scopes` is the list in `scope`.
    """

    def __init__(
        self,
        username: Form[str],
        password: Form[str],
        grant_type: Form[t.Annotated[str | None, Field(pattern="^password$")]] = None,
        scope: Form[str] = "",
        client_id: Form[str | None] = None,
        client_secret: Form[str | None] = None,
    ) -> None:
        self.grant_type = grant_type
        self.username = username
        self.password = password
        self.scopes = scope.split()
        self.client_id = client_id
        self.client_secret = client_secret


class OAuth2PasswordRequestFormStrict(OAuth2PasswordRequestForm):
    """The same, and `grant_type` has to be there, as the RFC says."""

    def __init__(
        self,
        grant_type: Form[t.Annotated[str, Field(pattern="^password$")]],
        username: Form[str],
        password: Form[str],
        scope: Form[str] = "",
        client_id: Form[str | None] = None,
        client_secret: Form[str | None] = None,
    ) -> None:
        super().__init__(username, password, grant_type, scope, client_id, client_secret)

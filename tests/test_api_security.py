"""Security schemes find what the client sent, and refuse requests without it."""

from __future__ import annotations

import typing as t
from base64 import b64encode
from typing import Annotated

import pytest

pytest.importorskip("pydantic", reason="pydantic is not installed")

from erlen import Erlen
from erlen.api import (
    APIKeyCookie,
    APIKeyHeader,
    APIKeyQuery,
    BasicCredentials,
    BearerCredentials,
    Depends,
    HTTPBasic,
    HTTPBearer,
    NotAuthenticated,
    NotPermitted,
    OAuth2,
    OAuth2AuthorizationCodeBearer,
    OAuth2PasswordBearer,
    OAuth2PasswordRequestForm,
    OAuth2PasswordRequestFormStrict,
    OpenIdConnect,
    Security,
    SecurityScheme,
    SecurityScopes,
    same_text,
)

Ask = t.Callable[..., t.Any]


@pytest.fixture
def ask(app: Erlen, transport: str) -> Ask:
    return lambda path="/", method="GET", **options: app.test_client(use_cookies=False).open(
        path, method=method, **options
    )


def authorization(value: str) -> dict[str, t.Any]:
    return {"headers": {"Authorization": value}}


def basic(text: str) -> str:
    return "Basic " + b64encode(text.encode()).decode()


FLOWS = {"clientCredentials": {"tokenUrl": "/t", "scopes": {}}}
SCHEMES: dict[str, tuple[SecurityScheme, t.Any, t.Any, str, t.Any]] = {
    "bearer": (
        HTTPBearer(bearer_format="JWT", description="A token."),
        authorization("Bearer abc"),
        BearerCredentials("Bearer", "abc"),
        "Bearer",
        {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "A token.",
        },
    ),
    "basic": (
        HTTPBasic(realm="the shop"),
        authorization(basic("ada:pass:wörd")),
        BasicCredentials("ada", "pass:wörd"),
        'Basic realm="the shop"',
        {"type": "http", "scheme": "basic"},
    ),
    "header": (
        APIKeyHeader("X-Key", name="key"),
        {"headers": {"X-Key": "abc"}},
        "abc",
        "APIKey",
        {"type": "apiKey", "in": "header", "name": "X-Key"},
    ),
    "query": (
        APIKeyQuery("key"),
        {"query_string": "key=abc"},
        "abc",
        "APIKey",
        {"type": "apiKey", "in": "query", "name": "key"},
    ),
    "cookie": (
        APIKeyCookie("key"),
        {"headers": {"Cookie": "key=abc"}},
        "abc",
        "APIKey",
        {"type": "apiKey", "in": "cookie", "name": "key"},
    ),
    "oauth2": (
        OAuth2(FLOWS),
        authorization("bearer abc"),
        "abc",
        "Bearer",
        {"type": "oauth2", "flows": FLOWS},
    ),
    "password": (
        OAuth2PasswordBearer("/token", scopes={"a": "A."}, refresh_url="/again"),
        authorization("Bearer abc"),
        "abc",
        "Bearer",
        {
            "type": "oauth2",
            "flows": {
                "password": {"tokenUrl": "/token", "scopes": {"a": "A."}, "refreshUrl": "/again"}
            },
        },
    ),
    "code": (
        OAuth2AuthorizationCodeBearer("/authorize", "/token"),
        authorization("Bearer abc"),
        "abc",
        "Bearer",
        {
            "type": "oauth2",
            "flows": {
                "authorizationCode": {
                    "authorizationUrl": "/authorize",
                    "tokenUrl": "/token",
                    "scopes": {},
                }
            },
        },
    ),
    "openid": (
        OpenIdConnect("https://id.example.com/.well-known/openid-configuration"),
        authorization("Bearer abc"),
        "Bearer abc",
        "Bearer",
        {
            "type": "openIdConnect",
            "openIdConnectUrl": "https://id.example.com/.well-known/openid-configuration",
        },
    ),
}


@pytest.mark.parametrize("name", SCHEMES)
def test_a_scheme_gives_what_was_sent_or_refuses(app: Erlen, ask: Ask, name: str) -> None:
    scheme, sent, expected, challenge, described = SCHEMES[name]
    found: list[t.Any] = []

    @app.get("/")
    def view(credentials: Annotated[t.Any, Depends(scheme)]) -> str:
        found.append(credentials)
        return ""

    assert ask(**sent).status_code == 200
    assert found == [expected]
    refused = ask()
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == challenge
    assert refused.content_type == "application/problem+json"
    assert scheme.scheme == described
    assert scheme.scheme_name == ("key" if name == "header" else type(scheme).__name__)


@pytest.mark.parametrize("name", SCHEMES)
def test_without_auto_error_nothing_is_none(app: Erlen, ask: Ask, name: str) -> None:
    scheme = SCHEMES[name][0]
    lax = object.__new__(type(scheme))
    lax.__dict__.update(scheme.__dict__, auto_error=False)

    @app.get("/")
    def view(credentials: Annotated[t.Any, Depends(lax)]) -> str:
        return repr(credentials)

    assert ask().data == b"None"


@pytest.mark.parametrize(
    "value",
    ["Basic", "Basic ", "Basic ?", basic("no colon"), "Basic " + b64encode(b"\xff:").decode()],
)
def test_malformed_basic_credentials_are_a_401(app: Erlen, ask: Ask, value: str) -> None:
    @app.get("/")
    def view(credentials: Annotated[BasicCredentials, Depends(HTTPBasic())]) -> str:
        return ""

    answer = ask(**authorization(value))
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Basic")


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer ", "Basic abc", "abc", "Bearerabc"])
def test_other_authorization_is_not_a_bearer_token(app: Erlen, ask: Ask, value: str) -> None:
    @app.get("/")
    def view(token: Annotated[str, Depends(OAuth2PasswordBearer("t"))]) -> str:
        return token

    assert ask(**authorization(value)).status_code == 401


def test_passwords_are_compared_as_a_whole() -> None:
    credentials = BasicCredentials("ada", "lövelace")
    assert credentials.matches("ada", "lövelace")
    assert not credentials.matches("ada", "lovelace")
    assert not credentials.matches("eve", "lövelace")
    assert same_text("ü", "ü")
    assert not same_text("a", "ab")


def test_scopes_add_up_on_the_way_to_who_asks_for_them(app: Erlen, ask: Ask) -> None:
    calls: list[str] = []

    def user(scopes: SecurityScopes) -> str:
        calls.append(scopes.scope_str)
        return str(scopes)

    def active(user: Annotated[str, Security(user, scopes=["me"])]) -> str:
        return user

    @app.get("/")
    def view(
        one: Annotated[str, Security(active, scopes=["items", "me"])],
        two: Annotated[str, Security(user, scopes=["other"])],
        three: Annotated[str, Depends(user)],
        again: Annotated[str, Depends(user)],
    ) -> list[str]:
        return [one, two, three, again]

    assert ask().get_json() == ["items me", "other", "", ""]
    assert calls == ["items me", "other", ""]  # once for each set of scopes


def test_scopes_of_dependencies_of_the_route(app: Erlen, ask: Ask) -> None:
    def check(scopes: SecurityScopes) -> None:
        raise NotPermitted("No.", scopes.scopes)

    @app.get("/", dependencies=[Security(check, scopes=["a", "b"])])
    def view() -> str:
        return ""

    answer = ask()
    assert answer.status_code == 403
    challenge = 'Bearer error="insufficient_scope", scope="a b"'
    assert answer.headers["WWW-Authenticate"] == challenge


def test_a_handler_of_401_gets_it(app: Erlen, ask: Ask) -> None:
    @app.errorhandler(401)
    def handle(error: NotAuthenticated) -> t.Any:
        return "own page", 401

    @app.get("/", dependencies=[Depends(HTTPBearer())])
    def view() -> str:
        return ""

    assert ask().data == b"own page"


@pytest.mark.parametrize("form", [OAuth2PasswordRequestForm, OAuth2PasswordRequestFormStrict])
def test_the_form_for_a_token(app: Erlen, ask: Ask, form: t.Any) -> None:
    def view(form):  # type: ignore[no-untyped-def]
        return [form.username, form.password, form.scopes, form.client_id, form.grant_type]

    view.__annotations__["form"] = Annotated[form, Depends()]
    app.add_url_rule("/", view_func=view, methods=["POST"])
    sent = {"username": "a", "password": "b", "scope": "x y", "grant_type": "password"}
    assert ask("/", "POST", data=sent).get_json() == ["a", "b", ["x", "y"], None, "password"]
    is_strict = form is OAuth2PasswordRequestFormStrict
    del sent["grant_type"]
    assert ask("/", "POST", data=sent).status_code == (422 if is_strict else 200)
    assert ask("/", "POST", data={**sent, "grant_type": "x"}).status_code == 422

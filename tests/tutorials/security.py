"""Security."""

import time
from typing import Annotated

import pytest
from pydantic import BaseModel

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
    OAuth2PasswordBearer,
    OAuth2PasswordRequestForm,
    Problem,
    Security,
    SecurityScopes,
)

from .harness import apps, fastapi, get, post, tutorial

jwt = pytest.importorskip("jwt", reason="PyJWT is not installed")
SECRET = "a secret of at least thirty-two bytes, for HS256"


def bearer(token: str) -> dict:
    return {"Authorization": f"Bearer {token}"}


ASKED = (
    *(get("/items"), get("/items", headers=bearer("abc"))),
    get("/items", headers={"Authorization": "Basic abc"}),
    get("/items", headers={"Authorization": "bearer abc"}),
)


@tutorial("Security - First Steps", *ASKED)
def first_steps():
    scheme = OAuth2PasswordBearer("token")
    other = fastapi.security.OAuth2PasswordBearer(tokenUrl="token")
    ours, theirs = apps()

    @ours.get("/items")
    def show(token: Annotated[str, Depends(scheme)]):
        return {"token": token}

    @theirs.get("/items")
    async def read(token: Annotated[str, fastapi.Depends(other)]):
        return {"token": token}

    return ours, theirs


class User(BaseModel):
    username: str
    disabled: bool = False


class Stored(User):
    password: str


USERS = {
    "johndoe": {"username": "johndoe", "password": "one"},
    "alice": {"username": "alice", "password": "two", "disabled": True},
}
LOGINS = (
    post("/token", data={"username": "johndoe", "password": "one"}),
    post("/token", data={"username": "johndoe", "password": "wrong"}),
    post("/token", data={"username": "nobody", "password": "one"}),
    post("/token", data={"username": "johndoe"}),
    post("/token", data={"username": "johndoe", "password": "one", "grant_type": "password"}),
    post("/token", data={"username": "johndoe", "password": "one", "grant_type": "code"}),
)


@tutorial("Get Current User", *(get("/me"), get("/me", headers=bearer("ada"))))
def current_user():
    scheme = OAuth2PasswordBearer("token")
    other = fastapi.security.OAuth2PasswordBearer(tokenUrl="token")
    ours, theirs = apps()

    def mine(token: Annotated[str, Depends(scheme)]):
        return User(username=token)

    async def who(token: Annotated[str, fastapi.Depends(other)]):
        return User(username=token)

    @ours.get("/me")
    def me(user: Annotated[User, Depends(mine)]) -> User:
        return user

    @theirs.get("/me")
    async def self(user: Annotated[User, fastapi.Depends(who)]):
        return user

    return ours, theirs


@tutorial(
    "Simple OAuth2 with Password and Bearer",
    *(*LOGINS, get("/me"), get("/me", headers=bearer("johndoe"))),
    *(get("/me", headers=bearer("alice")), get("/me", headers=bearer("nobody"))),
)
def password_and_bearer():
    scheme = OAuth2PasswordBearer("token")
    other = fastapi.security.OAuth2PasswordBearer(tokenUrl="token")
    ours, theirs = apps()

    def user_of(token: Annotated[str, Depends(scheme)]):
        if token not in USERS:
            raise NotAuthenticated()
        return Stored(**USERS[token])

    def active(user: Annotated[Stored, Depends(user_of)]):
        if user.disabled:
            raise Problem(400, "The user is disabled.")
        return user

    @ours.post("/token")
    def login(form: Annotated[OAuth2PasswordRequestForm, Depends()]):
        user = USERS.get(form.username)
        if user is None or user["password"] != form.password:
            raise Problem(400, "Wrong name or password.")
        return {"access_token": user["username"], "token_type": "bearer"}

    @ours.get("/me")
    def me(user: Annotated[Stored, Depends(active)]) -> User:
        return user

    async def their_user(token: Annotated[str, fastapi.Depends(other)]):
        if token not in USERS:
            raise fastapi.HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
        return Stored(**USERS[token])

    async def their_active(user: Annotated[Stored, fastapi.Depends(their_user)]):
        if user.disabled:
            raise fastapi.HTTPException(400)
        return user

    @theirs.post("/token")
    async def enter(
        form: Annotated[fastapi.security.OAuth2PasswordRequestForm, fastapi.Depends()],
    ):
        user = USERS.get(form.username)
        if user is None or user["password"] != form.password:
            raise fastapi.HTTPException(400)
        return {"access_token": user["username"], "token_type": "bearer"}

    @theirs.get("/me")
    async def self(user: Annotated[Stored, fastapi.Depends(their_active)]) -> User:
        return user

    return ours, theirs


def token(name: str, *, secret: str = SECRET, left: int = 900, scopes: str = "") -> str:
    payload = {"sub": name, "exp": int(time.time()) + left, "scope": scopes}
    return jwt.encode(payload, secret, algorithm="HS256")


@tutorial(
    "OAuth2 with Password, Bearer with JWT tokens",
    *(get("/me"), get("/me", headers=bearer(token("johndoe"))), get("/me", headers=bearer("x"))),
    get("/me", headers=bearer(token("johndoe", left=-60))),
    get("/me", headers=bearer(token("johndoe", secret="another secret of thirty-two bytes..."))),
    get("/me", headers=bearer(token("nobody"))),
)
def bearer_with_jwt():
    scheme = OAuth2PasswordBearer("token")
    other = fastapi.security.OAuth2PasswordBearer(tokenUrl="token")
    ours, theirs = apps()

    def name_in(text: str):
        try:
            return jwt.decode(text, SECRET, algorithms=["HS256"]).get("sub")
        except jwt.InvalidTokenError:
            return None

    def mine(token: Annotated[str, Depends(scheme)]):
        name = name_in(token)
        if name not in USERS:
            raise NotAuthenticated("The token is not valid.")
        return User(**USERS[name])

    def who(token: Annotated[str, fastapi.Depends(other)]):
        name = name_in(token)
        if name not in USERS:
            raise fastapi.HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
        return User(**USERS[name])

    @ours.get("/me")
    def me(user: Annotated[User, Depends(mine)]) -> User:
        return user

    @theirs.get("/me")
    async def self(user: Annotated[User, fastapi.Depends(who)]) -> User:
        return user

    return ours, theirs


@tutorial(
    "OAuth2 scopes",
    *(
        get(path, headers=bearer(token("johndoe", scopes=scopes)))
        for path in ("/me", "/items", "/status")
        for scopes in ("", "me", "items", "me items")
    ),
    *(get("/items"), get("/status")),
)
def scopes():
    known = {"me": "Read about the user.", "items": "Read items."}
    scheme = OAuth2PasswordBearer("token", scopes=known)
    other = fastapi.security.OAuth2PasswordBearer(tokenUrl="token", scopes=known)
    ours, theirs = apps()

    def challenge(wanted) -> str:
        return f'Bearer scope="{wanted.scope_str}"' if wanted.scopes else "Bearer"

    def granted(text: str) -> list:
        return jwt.decode(text, SECRET, algorithms=["HS256"])["scope"].split()

    def mine(wanted: SecurityScopes, token: Annotated[str, Depends(scheme)]):
        if not set(wanted.scopes) <= set(granted(token)):
            raise NotAuthenticated("Not enough permissions.", challenge=challenge(wanted))
        return User(username="johndoe")

    def active(user: Annotated[User, Security(mine, scopes=["me"])]):
        return user

    async def who(
        wanted: fastapi.security.SecurityScopes, token: Annotated[str, fastapi.Depends(other)]
    ):
        if not set(wanted.scopes) <= set(granted(token)):
            raise fastapi.HTTPException(401, headers={"WWW-Authenticate": challenge(wanted)})
        return User(username="johndoe")

    async def their_active(user: Annotated[User, fastapi.Security(who, scopes=["me"])]):
        return user

    @ours.get("/me")
    def me(user: Annotated[User, Depends(active)]) -> User:
        return user

    @ours.get("/items")
    def items(user: Annotated[User, Security(active, scopes=["items"])]):
        return [{"owner": user.username}]

    @ours.get("/status")
    def status(user: Annotated[User, Depends(mine)]):
        return {"status": "ok"}

    @theirs.get("/me")
    async def a(user: Annotated[User, fastapi.Depends(their_active)]) -> User:
        return user

    @theirs.get("/items")
    async def b(user: Annotated[User, fastapi.Security(their_active, scopes=["items"])]):
        return [{"owner": user.username}]

    @theirs.get("/status")
    async def c(user: Annotated[User, fastapi.Depends(who)]):
        return {"status": "ok"}

    return ours, theirs


@tutorial(
    "HTTP Basic Auth",
    *(get("/me"), get("/me", auth=("ada", "lovelace")), get("/me", auth=("ada", "wrong"))),
    get("/me", headers={"Authorization": "Basic !!!"}),
    get("/me", headers={"Authorization": "Basic YWRh"}),
    get("/me", headers=bearer("x")),
)
def basic():
    scheme, other = HTTPBasic(), fastapi.security.HTTPBasic()
    ours, theirs = apps()

    @ours.get("/me")
    def me(sent: Annotated[BasicCredentials, Depends(scheme)]):
        if not sent.matches("ada", "lovelace"):
            raise NotAuthenticated(challenge="Basic")
        return {"user": sent.username}

    @theirs.get("/me")
    def self(sent: Annotated[fastapi.security.HTTPBasicCredentials, fastapi.Depends(other)]):
        if (sent.username, sent.password) != ("ada", "lovelace"):
            raise fastapi.HTTPException(401, headers={"WWW-Authenticate": "Basic"})
        return {"user": sent.username}

    return ours, theirs


@tutorial("Security Tools", *ASKED, get("/maybe"), get("/maybe", headers=bearer("x")))
def http_bearer():
    scheme, other = HTTPBearer(), fastapi.security.HTTPBearer()
    lax, their_lax = HTTPBearer(auto_error=False), fastapi.security.HTTPBearer(auto_error=False)
    ours, theirs = apps()

    @ours.get("/items")
    def show(sent: Annotated[BearerCredentials, Depends(scheme)]):
        return {"token": sent.credentials}

    @ours.get("/maybe")
    def maybe(sent: Annotated[BearerCredentials | None, Depends(lax)]):
        return {"token": sent and sent.credentials}

    Theirs = fastapi.security.HTTPAuthorizationCredentials

    @theirs.get("/items")
    async def read(sent: Annotated[Theirs, fastapi.Depends(other)]):
        return {"token": sent.credentials}

    @theirs.get("/maybe")
    async def perhaps(sent: Annotated[Theirs | None, fastapi.Depends(their_lax)]):
        return {"token": sent and sent.credentials}

    return ours, theirs


@tutorial(
    "Security Tools",
    *(get("/header"), get("/header", headers={"X-Key": "a"}), get("/query"), get("/query?key=b")),
    *(get("/cookie"), get("/cookie", headers={"Cookie": "key=c"})),
)
def api_keys():
    tools = fastapi.security
    pairs = {
        "header": (APIKeyHeader("X-Key"), tools.APIKeyHeader(name="X-Key")),
        "query": (APIKeyQuery("key"), tools.APIKeyQuery(name="key")),
        "cookie": (APIKeyCookie("key"), tools.APIKeyCookie(name="key")),
    }
    ours, theirs = apps()
    for place, (scheme, other) in pairs.items():

        def show(key: Annotated[str, Depends(scheme)]):
            return {"key": key}

        def read(key: Annotated[str, fastapi.Depends(other)]):
            return {"key": key}

        ours.add_url_rule(f"/{place}", place, show)
        theirs.add_api_route(f"/{place}", read)
    return ours, theirs

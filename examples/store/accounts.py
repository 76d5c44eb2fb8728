"""Accounts and tokens: register, sign in, and who is asking."""

from __future__ import annotations

from typing import Annotated

from itsdangerous import BadData, URLSafeTimedSerializer
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from werkzeug.security import check_password_hash, generate_password_hash

from erlen import Blueprint, current_app
from erlen.api import (
    Depends,
    NotAuthenticated,
    NotPermitted,
    OAuth2PasswordBearer,
    OAuth2PasswordRequestForm,
    Problem,
    Security,
    SecurityScopes,
    Status,
)

from .database import Database, UserRow
from .models import NewUser, Token, User

routes = Blueprint("accounts", __name__)

SCOPES = {"products": "Sell products.", "orders": "Order products."}
password_bearer = OAuth2PasswordBearer("token", scopes=SCOPES, name="Account")


def _tokens() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(current_app.secret_key or b"", salt="store token")


def current_user(
    scopes: SecurityScopes, token: Annotated[str, Depends(password_bearer)], database: Database
) -> UserRow:
    """The user to whom the token was given, if it allows what is asked for."""
    try:
        said = _tokens().loads(token, max_age=current_app.config["TOKEN_SECONDS"])
    except BadData:
        raise NotAuthenticated("The token is not valid, or not any more.") from None
    user = database.get(UserRow, said["user"])
    if user is None:
        raise NotAuthenticated("The account is not there any more.")
    if not set(scopes.scopes) <= set(said["scopes"]):
        raise NotPermitted("The token does not allow this.", scopes=scopes.scopes)
    return user


Seller = Annotated[UserRow, Security(current_user, scopes=["products"])]
Customer = Annotated[UserRow, Security(current_user, scopes=["orders"])]


@routes.post("/users", status=201)
def register(new: NewUser, database: Database) -> User | Annotated[Problem, Status(409)]:
    """Register."""
    method = current_app.config["PASSWORD_METHOD"]
    user = UserRow(name=new.name, password_hash=generate_password_hash(new.password, method))
    database.add(user)
    try:
        database.commit()
    except IntegrityError:
        raise Problem(409, f"The name {new.name!r} is taken.") from None
    return User.model_validate(user)


@routes.get("/users/me")
def me(user: Annotated[UserRow, Depends(current_user)]) -> User:
    """Tell who is signed in."""
    return User.model_validate(user)


@routes.post("/token")
def sign_in(
    form: Annotated[OAuth2PasswordRequestForm, Depends()], database: Database
) -> Token | NotAuthenticated:
    """Get a token for name and password.

    Without `scope` it allows everything.
    """
    user = database.scalar(select(UserRow).where(UserRow.name == form.username))
    if user is None or not check_password_hash(user.password_hash, form.password):
        raise NotAuthenticated("Name or password is wrong.")
    scopes = sorted(set(form.scopes or SCOPES) & SCOPES.keys())
    return Token(
        access_token=_tokens().dumps({"user": user.id, "scopes": scopes}),
        expires_in=current_app.config["TOKEN_SECONDS"],
        scope=" ".join(scopes),
    )

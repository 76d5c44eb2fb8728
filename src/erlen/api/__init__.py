"""Typed endpoints: parameters bound and answers made by the types of a view's signature."""

from __future__ import annotations

import typing as t
from importlib import import_module

from .params import Cookie as Cookie
from .params import Depends as Depends
from .params import File as File
from .params import Form as Form
from .params import Header as Header
from .params import In as In
from .params import Json as Json
from .params import Path as Path
from .params import Query as Query
from .params import Security as Security
from .params import SecurityScopes as SecurityScopes
from .params import Status as Status
from .params import Upload as Upload
from .params import UploadFile as UploadFile
from .problems import FileTooLarge as FileTooLarge
from .problems import MalformedBody as MalformedBody
from .problems import MalformedJson as MalformedJson
from .problems import Problem as Problem
from .problems import ValidationProblem as ValidationProblem
from .problems import WrongMediaType as WrongMediaType
from .problems import as_problem as as_problem

if t.TYPE_CHECKING:
    from .conditional import PreconditionMissing as PreconditionMissing
    from .conditional import PreconditionNotMet as PreconditionNotMet
    from .conditional import etag as etag
    from .conditional import precondition as precondition
    from .conditional import send_etag as send_etag
    from .paging import Page as Page
    from .paging import PageParams as PageParams
    from .paging import links as links
    from .security import APIKeyCookie as APIKeyCookie
    from .security import APIKeyHeader as APIKeyHeader
    from .security import APIKeyQuery as APIKeyQuery
    from .security import BasicCredentials as BasicCredentials
    from .security import BearerCredentials as BearerCredentials
    from .security import HTTPBasic as HTTPBasic
    from .security import HTTPBearer as HTTPBearer
    from .security import NotAuthenticated as NotAuthenticated
    from .security import NotPermitted as NotPermitted
    from .security import OAuth2 as OAuth2
    from .security import OAuth2AuthorizationCodeBearer as OAuth2AuthorizationCodeBearer
    from .security import OAuth2PasswordBearer as OAuth2PasswordBearer
    from .security import OAuth2PasswordRequestForm as OAuth2PasswordRequestForm
    from .security import OAuth2PasswordRequestFormStrict as OAuth2PasswordRequestFormStrict
    from .security import OpenIdConnect as OpenIdConnect
    from .security import SecurityScheme as SecurityScheme
    from .security import same_text as same_text

# PERF: what many applications never use is imported when it is asked for.
_PARTS = {
    "conditional": "PreconditionMissing PreconditionNotMet etag precondition send_etag",
    "paging": "Page PageParams links",
    "security": "APIKeyCookie APIKeyHeader APIKeyQuery BasicCredentials BearerCredentials HTTPBasic"
    " HTTPBearer NotAuthenticated NotPermitted OAuth2 OAuth2AuthorizationCodeBearer"
    " OAuth2PasswordBearer OAuth2PasswordRequestForm OAuth2PasswordRequestFormStrict OpenIdConnect"
    " SecurityScheme same_text",
}
_LATER = {name: part for part, names in _PARTS.items() for name in names.split()}


def __getattr__(name: str) -> t.Any:
    if name in _LATER:
        return getattr(import_module(f".{_LATER[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

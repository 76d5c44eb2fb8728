"""Typed endpoints: parameters bound and answers made by the types of a view's signature."""

from __future__ import annotations

from .fields import SecurityScopes as SecurityScopes
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
from .params import Status as Status
from .params import Upload as Upload
from .params import UploadFile as UploadFile
from .problems import MalformedJson as MalformedJson
from .problems import Problem as Problem
from .problems import ValidationProblem as ValidationProblem
from .problems import WrongMediaType as WrongMediaType

"""A typed client: views are called with their own parameters and return their own types."""

from __future__ import annotations

from .calls import AsyncClient as AsyncClient
from .calls import Client as Client
from .errors import ClientError as ClientError
from .errors import ProblemError as ProblemError
from .outgoing import provided as provided

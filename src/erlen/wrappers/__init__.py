"""Request and response: Werkzeug's types, computed on first use.

`Request.__init__` stores the environ and nothing else: method, path, headers and the rest are
read from it when asked for, and kept in the instance, where they may be assigned as ever. A
`Response` made by the engine from ready bytes builds its `Headers` only if somebody looks.
"""

from __future__ import annotations

from .fields import parse_pairs
from .lazy import lazy
from .request import Request
from .response import Response

__all__ = ["Request", "Response", "lazy", "parse_pairs"]

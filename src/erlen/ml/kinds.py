"""Kinds of inputs and answers, for the annotations of predictors.

Besides these there are the types of Python: `str`, `int`, `float`, `bool`, `Literal`, `Enum`,
lists, dataclasses, TypedDicts and pydantic models, with pydantic's constraints (`Annotated[float,
Field(ge=0, le=1)]`).
"""

from __future__ import annotations

from .arrays import Array as Array
from .files import Audio as Audio
from .files import File as File
from .files import Image as Image
from .labels import Label as Label
from .limits import Choice as Choice
from .limits import Limits as Limits
from .limits import Shown as Shown
from .limits import Text as Text
from .tables import Table as Table

"""Documents of applications, checked, and what stands where in them."""

from __future__ import annotations

import enum
import json
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from erlen import Erlen
from erlen.api.openapi import document

Document = dict[str, Any]


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Item(BaseModel):
    """A thing."""

    name: str = Field(examples=["pen"], description="What it is called.")
    price: float = 1.0
    colour: Colour | None = None


class Missing(BaseModel):
    what: str


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    tricks: list[str]


Pet = Annotated[Cat | Dog, Field(discriminator="kind")]


def described(app: Erlen, **said: Any) -> Document:
    """The document, which is valid and can be written."""
    validator = pytest.importorskip("openapi_spec_validator", reason="it is not installed")
    made = document(app, **said)
    assert json.loads(json.dumps(made)) == made
    validator.validate(made)
    return made


def only(made: Document) -> Document:
    """The one operation of a document."""
    ((path, item),) = made["paths"].items()
    ((verb, operation),) = item.items()
    return {"path": path, "verb": verb, **operation}


def schema_of(operation: Document, status: str = "200") -> Any:
    (media,) = operation["responses"][status]["content"].values()
    return media["schema"]


def parameter(operation: Document, name: str) -> Document:
    (found,) = [each for each in operation["parameters"] if each["name"] == name]
    return found


def whole() -> Item:
    raise NotImplementedError

"""What clients send and get."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def as_whole(value: Any) -> Any:
    """JSON has one type of numbers, and JSON Schema takes 2.0 for an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


whole = BeforeValidator(as_whole)
Id = Annotated[int, Field(ge=1, le=2**31 - 1), whole]
Cents = Annotated[int, Field(ge=0, le=1_000_000_000, description="Price in cents."), whole]
Stock = Annotated[int, Field(ge=0, le=1_000_000), whole]
Percent = Annotated[int, Field(ge=1, le=100), whole]
Quantity = Annotated[int, Field(ge=1, le=1000), whole]
Tag = Annotated[str, Field(min_length=1, max_length=20)]


class Model(BaseModel):
    """JSON has types: a text is not taken for a number."""

    model_config = ConfigDict(strict=True, from_attributes=True)


# Accounts


class NewUser(Model):
    name: str = Field(pattern="^[a-z][a-z0-9_]{2,19}$", examples=["ann"])
    password: str = Field(min_length=8, max_length=100, examples=["correct horse"])


class User(Model):
    id: Id
    name: str


class Token(Model):
    """As RFC 6749, 5.1, has it."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"
    expires_in: int = Field(description="Seconds.")
    scope: str


# Products


class NewProduct(Model):
    name: str = Field(min_length=1, max_length=80, examples=["Lamp"])
    description: str | None = Field(None, max_length=1000)
    price: Cents
    stock: Stock = 0
    tags: list[Tag] = Field([], max_length=10)


def without_defaults(schema: dict[str, Any]) -> None:
    for described in schema["properties"].values():
        described.pop("default", None)


class ProductChange(Model):
    """What is not there stays as it is."""

    model_config = ConfigDict(json_schema_extra=without_defaults)

    name: str = Field("", min_length=1, max_length=80)
    description: str | None = Field(None, max_length=1000)
    price: Cents = 0
    stock: Stock = 0
    tags: list[Tag] = Field([], max_length=10)


class Product(NewProduct):
    id: Id
    seller_id: Id
    # Cancelled orders come back to whatever the seller has said since.
    stock: int = 0


class Picture(Model):
    content_type: str
    size: int = Field(description="Bytes.")


# Orders


class Card(Model):
    kind: Literal["card"]
    number: str = Field(pattern="^[0-9]{12,19}$", examples=["4111111111111111"])


class Transfer(Model):
    kind: Literal["transfer"]
    account: str = Field(min_length=5, max_length=34, examples=["DE02120300000000202051"])


class Voucher(Model):
    kind: Literal["voucher"]
    code: str = Field(min_length=1, max_length=20)
    percent: Percent


Payment = Annotated[Card | Transfer | Voucher, Field(discriminator="kind")]


class NewLine(Model):
    product_id: Id
    quantity: Quantity


class NewOrder(Model):
    lines: list[NewLine] = Field(min_length=1, max_length=20)
    payment: Payment


class Line(NewLine):
    name: str
    price: Cents


class Order(Model):
    id: Id
    lines: list[Line]
    payment: Payment


class OutOfStock(Model):
    """Products of which there are not as many, or which are not sold any more."""

    product_ids: list[Id]

"""The order and the receipt as pydantic's models."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field


class Address(BaseModel):
    street: str
    city: str
    zip: str
    country: str = Field(min_length=2, max_length=2)
    note: str | None = None


class Customer(BaseModel):
    id: int
    name: str
    email: str
    vip: bool = False
    address: Address


class Line(BaseModel):
    sku: str
    title: str
    quantity: int = Field(ge=1)
    price: float = Field(ge=0)


class Order(BaseModel):
    number: int
    placed: datetime
    paid: bool
    tags: list[str]
    comment: str | None
    discount: float = Field(0.0, ge=0, le=1)
    customer: Customer
    lines: list[Line]


class Buyer(BaseModel):
    id: int
    name: str


class Receipt(BaseModel):
    number: int
    placed: datetime
    customer: Buyer
    lines: list[Line]
    total: float


def receipt_of(order: Order) -> Receipt:
    total = sum(line.quantity * line.price for line in order.lines)
    return Receipt(
        number=order.number,
        placed=order.placed,
        customer=Buyer(id=order.customer.id, name=order.customer.name),
        lines=order.lines,
        total=total - order.discount,
    )

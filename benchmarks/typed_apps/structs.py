"""The order and the receipt as msgspec's Structs."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct


class Address(Struct):
    street: str
    city: str
    zip: str
    country: Annotated[str, Meta(min_length=2, max_length=2)]
    note: str | None = None


class Customer(Struct):
    id: int
    name: str
    email: str
    address: Address
    vip: bool = False


class Line(Struct):
    sku: str
    title: str
    quantity: Annotated[int, Meta(ge=1)]
    price: Annotated[float, Meta(ge=0)]


class Order(Struct):
    number: int
    placed: datetime
    paid: bool
    tags: list[str]
    comment: str | None
    customer: Customer
    lines: list[Line]
    discount: Annotated[float, Meta(ge=0, le=1)] = 0.0


class Buyer(Struct):
    id: int
    name: str


class Receipt(Struct):
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

"""Orders: a payment of several kinds, and an answer of two."""

from __future__ import annotations

from typing import Annotated

from sqlalchemy import func, select, update

from erlen import Blueprint
from erlen.api import Depends, Page, PageParams, Problem, Query, Status

from .accounts import Customer
from .database import Database, LineRow, OrderRow, ProductRow
from .models import NewOrder, Order, OutOfStock

routes = Blueprint("orders", __name__, url_prefix="/orders")

ONE = "/<int(min=1, max=2147483647):order_id>"


@routes.post("", status=201)
def place(
    new: NewOrder, user: Customer, database: Database
) -> Order | Annotated[OutOfStock, Status(409)]:
    """Order products, all of them or none."""
    wanted: dict[int, int] = {}
    for line in new.lines:
        wanted[line.product_id] = wanted.get(line.product_id, 0) + line.quantity
    short = [
        product_id
        for product_id, quantity in wanted.items()
        if not take(product_id, quantity, database)
    ]
    if short:
        database.rollback()
        return OutOfStock(product_ids=short)
    rows = database.scalars(select(ProductRow).where(ProductRow.id.in_(wanted)))
    products = {row.id: row for row in rows}
    order = OrderRow(user_id=user.id, payment=new.payment.model_dump())
    for line in new.lines:
        product = products[line.product_id]
        order.lines.append(LineRow(name=product.name, price=product.price, **line.model_dump()))
    database.add(order)
    database.commit()
    return Order.model_validate(order)


def take(product_id: int, quantity: int, database: Database) -> bool:
    """Take products from the stock, in one step, so that two customers do not get the same."""
    taken = database.execute(
        update(ProductRow)
        .where(ProductRow.id == product_id, ProductRow.stock >= quantity)
        .values(stock=ProductRow.stock - quantity)
        .returning(ProductRow.id)
    )
    return taken.first() is not None


@routes.get("")
def mine(page: Query[PageParams], user: Customer, database: Database) -> Page[Order]:
    """List one's own orders, the newest first."""
    wanted = select(OrderRow).where(OrderRow.user_id == user.id)
    total = database.scalar(select(func.count()).select_from(wanted.subquery()))
    rows = database.scalars(
        wanted.order_by(OrderRow.id.desc()).offset(page.offset).limit(page.limit)
    )
    return Page[Order].of(rows, page, total)


def find_own_order(order_id: int, user: Customer, database: Database) -> OrderRow:
    """The order that the URL names; another user's is not told from one that is not there."""
    found = database.get(OrderRow, order_id)
    if found is None or found.user_id != user.id:
        raise Problem(404, f"There is no order {order_id}.")
    return found


@routes.get(ONE, responses={404: Problem})
def one(own: Annotated[OrderRow, Depends(find_own_order)]) -> Order:
    """Get an order."""
    return Order.model_validate(own)


@routes.delete(ONE, responses={404: Problem})
def cancel(own: Annotated[OrderRow, Depends(find_own_order)], database: Database) -> None:
    """Cancel an order; the products go back to the stock."""
    for line in own.lines:
        database.execute(
            update(ProductRow)
            .where(ProductRow.id == line.product_id)
            .values(stock=ProductRow.stock + line.quantity)
        )
    database.delete(own)
    database.commit()

"""The tables, and a session a request: a dependency that ends it, whatever happens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import click
from sqlalchemy import JSON, Engine, ForeignKey, String, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship
from werkzeug.security import generate_password_hash

from erlen import Erlen, current_app
from erlen.api import Depends


class Table(DeclarativeBase):
    type_annotation_map = {list[str]: JSON, dict[str, Any]: JSON}


class UserRow(Table):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(20), unique=True)
    password_hash: Mapped[str]


class ProductRow(Table):
    __tablename__ = "products"

    id: Mapped[int] = mapped_column(primary_key=True)
    seller_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    name: Mapped[str] = mapped_column(String(80), index=True)
    description: Mapped[str | None]
    price: Mapped[int]
    stock: Mapped[int]
    tags: Mapped[list[str]]


class PictureRow(Table):
    __tablename__ = "pictures"

    product_id: Mapped[int] = mapped_column(
        ForeignKey("products.id", ondelete="CASCADE"), primary_key=True
    )
    content_type: Mapped[str]
    data: Mapped[bytes]


class OrderRow(Table):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    payment: Mapped[dict[str, Any]]
    lines: Mapped[list[LineRow]] = relationship(cascade="all, delete-orphan", lazy="selectin")


class LineRow(Table):
    """What was ordered; name and price as they were."""

    __tablename__ = "order_lines"

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id", ondelete="CASCADE"), index=True)
    product_id: Mapped[int]
    name: Mapped[str]
    price: Mapped[int]
    quantity: Mapped[int]


def open_session() -> Iterator[Session]:
    """A session for as long as the request needs it; what was not committed is rolled back."""
    with Session(current_app.extensions["store.engine"]) as session:
        yield session


Database = Annotated[Session, Depends(open_session)]


def init_app(app: Erlen) -> None:
    url = make_url(app.config["DATABASE"])
    if url.database and url.database != ":memory:":
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": 30})
    event.listen(engine, "connect", _set_up_connection)
    Table.metadata.create_all(engine)
    app.extensions["store.engine"] = engine
    app.cli.command("fill")(fill)


def _set_up_connection(connection: Any, record: Any) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA foreign_keys = ON")


def fill() -> None:
    """Add the user `ann` with the password `correct horse`, and products of hers."""
    engine: Engine = current_app.extensions["store.engine"]
    method = current_app.config["PASSWORD_METHOD"]
    with Session(engine) as session:
        ann = UserRow(name="ann", password_hash=generate_password_hash("correct horse", method))
        session.add(ann)
        session.flush()
        for number, name in enumerate(("Lamp", "Chair", "Desk", "Shelf"), 1):
            session.add(
                ProductRow(
                    seller_id=ann.id,
                    name=name,
                    description=f"A {name.lower()}, hardly used.",
                    price=number * 1500,
                    stock=number,
                    tags=["furniture"],
                )
            )
        session.commit()
    click.echo("The user 'ann' sells four products; the password is 'correct horse'.")

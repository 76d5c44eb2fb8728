"""Products: class-based views over one table, with pages, ETags and pictures."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from sqlalchemy import func, select

from erlen import Blueprint, Response
from erlen.api import (
    Depends,
    File,
    Page,
    PageParams,
    Problem,
    Query,
    Status,
    Upload,
    UploadFile,
    etag,
    precondition,
    send_etag,
)
from erlen.views import MethodView

from .accounts import Seller
from .database import Database, PictureRow, ProductRow
from .models import NewProduct, Picture, Product, ProductChange

routes = Blueprint("products", __name__, url_prefix="/products")

ONE = "/<int(min=1, max=2147483647):product_id>"
Image = Annotated[UploadFile, Upload(max_size=1_000_000)]
ORDERS = {
    "name": (ProductRow.name, ProductRow.id),
    "price": (ProductRow.price, ProductRow.id),
    "-price": (ProductRow.price.desc(), ProductRow.id),
}


def find_product(product_id: int, database: Database) -> ProductRow:
    """The product that the URL names."""
    found = database.get(ProductRow, product_id)
    if found is None:
        raise Problem(404, f"There is no product {product_id}.")
    return found


def find_own_product(
    found: Annotated[ProductRow, Depends(find_product)], user: Seller
) -> ProductRow:
    """The product that the URL names, if the user sells it."""
    if found.seller_id != user.id:
        raise Problem(403, "It is another user who sells this product.")
    return found


Found = Annotated[ProductRow, Depends(find_product)]
Own = Annotated[ProductRow, Depends(find_own_product)]


def version_of(row: ProductRow) -> str:
    return etag(Product.model_validate(row))


class Products(MethodView):
    """All products."""

    def get(
        self,
        page: Query[PageParams],
        database: Database,
        search: Query[Annotated[str | None, Field(max_length=50)]] = None,
        sort: Query[Literal["name", "price", "-price"]] = "name",
    ) -> Page[Product]:
        """List products, in pages."""
        wanted = select(ProductRow)
        if search:
            wanted = wanted.where(ProductRow.name.icontains(search, autoescape=True))
        total = database.scalar(select(func.count()).select_from(wanted.subquery()))
        rows = database.scalars(
            wanted.order_by(*ORDERS[sort]).offset(page.offset).limit(page.limit)
        )
        return Page[Product].of(rows, page, total)

    def post(
        self, new: NewProduct, user: Seller, database: Database
    ) -> Annotated[Product, Status(201)]:
        """Offer a product."""
        row = ProductRow(seller_id=user.id, **new.model_dump())
        database.add(row)
        database.commit()
        return Product.model_validate(row)


class OneProduct(MethodView):
    """One product. Its `ETag` in `If-Match` keeps one from changing what others have changed."""

    def get(self, found: Found) -> Product | Annotated[None, Status(304)]:
        """Get a product."""
        precondition(version_of(found))
        return Product.model_validate(found)

    def put(
        self, new: NewProduct, own: Own, database: Database
    ) -> Product | Annotated[Problem, Status(412)]:
        """Replace a product."""
        return self.change(own, new.model_dump(), database)

    def patch(
        self, change: ProductChange, own: Own, database: Database
    ) -> Product | Annotated[Problem, Status(412)]:
        """Change a part of a product."""
        return self.change(own, change.model_dump(exclude_unset=True), database)

    def delete(self, own: Own, database: Database) -> None | Annotated[Problem, Status(412)]:
        """Take a product off the market."""
        precondition(version_of(own))
        database.delete(own)
        database.commit()
        return None

    def change(self, row: ProductRow, values: dict[str, object], database: Database) -> Product:
        precondition(version_of(row))
        for name, value in values.items():
            setattr(row, name, value)
        database.commit()
        send_etag(version_of(row))
        return Product.model_validate(row)


routes.add_url_rule("", view_func=Products.as_view("all"))
routes.add_url_rule(ONE, view_func=OneProduct.as_view("one"), responses={404: Problem})


@routes.put(f"{ONE}/picture", responses={404: Problem})
def put_picture(picture: File[Image], own: Own, database: Database) -> Picture:
    """Upload a picture of a product."""
    row = database.get(PictureRow, own.id) or PictureRow(product_id=own.id)
    row.content_type = picture.mimetype or "application/octet-stream"
    row.data = picture.read()
    database.add(row)
    database.commit()
    return Picture(content_type=row.content_type, size=len(row.data))


@routes.get(
    f"{ONE}/picture",
    responses={
        200: {"content": {"application/octet-stream": {"schema": {}}}},
        204: "There is no picture yet.",
        404: Problem,
    },
)
def get_picture(found: Found, database: Database) -> Response:
    """Get the picture of a product."""
    row = database.get(PictureRow, found.id)
    if row is None:
        return Response(status=204)
    # Whatever was uploaded, a browser is not to show it as a page of this site.
    return Response(
        row.data,
        mimetype="application/octet-stream",
        headers={"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"},
    )

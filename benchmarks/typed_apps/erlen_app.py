"""The typed route in Erlen; also the untyped one, beside typed ones."""

from __future__ import annotations

from typing import Any

from erlen import Erlen

from .models import Order, Receipt, receipt_of

app = Erlen("bench")


@app.post("/orders")
async def orders(order: Order) -> Receipt:
    return receipt_of(order)


@app.get("/untyped")
async def untyped() -> Any:
    return {"message": "Hello, world!"}

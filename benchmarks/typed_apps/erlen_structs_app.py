"""The typed route in Erlen, with msgspec's Structs."""

from __future__ import annotations

from erlen import Erlen

from .structs import Order, Receipt, receipt_of

app = Erlen("bench")


@app.post("/orders")
async def orders(order: Order) -> Receipt:
    return receipt_of(order)

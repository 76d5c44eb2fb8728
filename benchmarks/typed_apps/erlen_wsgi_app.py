"""The typed route in Erlen as a plain function, for WSGI."""

from __future__ import annotations

from erlen import Erlen

from .models import Order, Receipt, receipt_of

app = Erlen("bench")


@app.post("/orders")
def orders(order: Order) -> Receipt:
    return receipt_of(order)

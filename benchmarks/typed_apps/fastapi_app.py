"""The typed route in FastAPI."""

from __future__ import annotations

from fastapi import FastAPI

from .models import Order, Receipt, receipt_of

app = FastAPI()


@app.post("/orders")
async def orders(order: Order) -> Receipt:
    return receipt_of(order)

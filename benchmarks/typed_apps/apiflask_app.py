"""The typed route in APIFlask, which takes pydantic's models."""

from typing import Any

from apiflask import APIFlask

from .models import Order, Receipt, receipt_of

app = APIFlask("bench")


@app.post("/orders")
@app.input(Order)
@app.output(Receipt)
def orders(json_data: Order) -> Any:
    return receipt_of(json_data)

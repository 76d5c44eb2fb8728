"""The typed route in flask-openapi3, which checks answers by their type if it is told to."""

from typing import Any

from flask_openapi3 import Info, OpenAPI

from .models import Order, Receipt, receipt_of

app = OpenAPI("bench", info=Info(title="bench", version="1"), validate_response=True)


@app.post("/orders", responses={200: Receipt})
def orders(body: Order) -> Any:
    return receipt_of(body).model_dump(mode="json")

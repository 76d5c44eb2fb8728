"""The typed route in BlackSheep."""

from blacksheep import Application, Content, FromJSON, Response

from .models import Order, receipt_of

# Annotations are read when routes are added: they have to be types, not text.
app = Application()


@app.router.post("/orders")
async def orders(data: FromJSON[Order]) -> Response:
    receipt = receipt_of(data.value)
    body = receipt.model_dump_json().encode()
    return Response(200, content=Content(b"application/json", body))

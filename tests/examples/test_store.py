"""The store: what clients can do, and that its document tells the truth."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from serving import Server
from werkzeug.datastructures import FileStorage
from werkzeug.test import encode_multipart

pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed")
pytest.importorskip("pydantic", reason="pydantic is not installed")
pytest.importorskip("flask_openapi3_swagger", reason="the extra 'docs' is not installed")

if TYPE_CHECKING:
    from erlen import Erlen
    from erlen.testing import FlaskClient

EXAMPLES = Path(__file__).parents[2] / "examples"
PASSWORD = "correct horse"
SETTINGS = {"PASSWORD_METHOD": "pbkdf2:sha256:1000", "SECRET_KEY": "key of the tests"}
CARD = {"kind": "card", "number": "4111111111111111"}


@pytest.fixture
def app(examples: Path, tmp_path: Path) -> Iterator[Erlen]:
    from store import create_app

    made: Erlen = create_app({"DATABASE": f"sqlite:///{tmp_path}/store.sqlite3", **SETTINGS})
    made.testing = True
    yield made
    made.extensions["store.engine"].dispose()


@pytest.fixture
def sign_in(client: FlaskClient) -> Callable[..., dict[str, str]]:
    """Register a user and sign in; gives the headers that say so."""

    def sign_in(name: str, scope: str = "") -> dict[str, str]:
        client.post("/users", json={"name": name, "password": PASSWORD})
        form = {"username": name, "password": PASSWORD, "scope": scope}
        token = client.post("/token", data=form).get_json()["access_token"]
        return {"Authorization": f"Bearer {token}"}

    return sign_in


@pytest.fixture
def ann(sign_in: Callable[..., dict[str, str]]) -> dict[str, str]:
    return sign_in("ann")


@pytest.fixture
def lamp(client: FlaskClient, ann: dict[str, str]) -> str:
    """The URL of a product of Ann's, of which there are three."""
    made = client.post("/products", json={"name": "Lamp", "price": 1500, "stock": 3}, headers=ann)
    return f"/products/{made.get_json()['id']}"


def order(client: FlaskClient, headers: dict[str, str], quantity: int) -> Any:
    lines = [{"product_id": 1, "quantity": quantity}]
    return client.post("/orders", json={"lines": lines, "payment": CARD}, headers=headers)


# Accounts


def test_a_user_registers_and_signs_in(client: FlaskClient, ann: dict[str, str]) -> None:
    assert client.get("/users/me", headers=ann).get_json() == {"id": 1, "name": "ann"}


def test_a_name_is_given_once(client: FlaskClient, ann: dict[str, str]) -> None:
    answer = client.post("/users", json={"name": "ann", "password": "another one"})
    assert answer.status_code == 409
    assert answer.content_type == "application/problem+json"
    assert answer.get_json()["detail"] == "The name 'ann' is taken."


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer made.up"}, {"Authorization": "Basic YW5uOng="}],
    ids=["no token", "a token of one's own", "another scheme"],
)
def test_without_a_token_nobody_is_told_apart(client: FlaskClient, headers: dict[str, str]) -> None:
    answer = client.get("/users/me", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_wrong_password_gets_no_token(client: FlaskClient, ann: dict[str, str]) -> None:
    answer = client.post("/token", data={"username": "ann", "password": "wrong"})
    assert answer.status_code == 401


def test_a_token_allows_what_it_was_asked_for(
    client: FlaskClient, sign_in: Callable[..., dict[str, str]]
) -> None:
    customer = sign_in("bob", scope="orders")
    answer = client.post("/products", json={"name": "Lamp", "price": 1}, headers=customer)
    assert answer.status_code == 403
    assert 'scope="products"' in answer.headers["WWW-Authenticate"]
    assert client.get("/orders", headers=customer).status_code == 200


# Products


def test_products_are_listed_in_pages_with_links(client: FlaskClient, ann: dict[str, str]) -> None:
    for number in range(5):
        new = {"name": f"Lamp {number}", "price": 100 - number}
        assert client.post("/products", json=new, headers=ann).status_code == 201
    answer = client.get("/products?size=2&page=2&sort=price&search=LAMP")
    page = answer.get_json()
    assert [item["name"] for item in page["items"]] == ["Lamp 2", "Lamp 1"]
    assert (page["page"], page["size"], page["total"]) == (2, 2, 5)
    assert 'page=3&sort=price&search=LAMP>; rel="next"' in ", ".join(answer.headers.getlist("Link"))


def test_a_change_of_a_version_that_is_gone_is_refused(
    client: FlaskClient, ann: dict[str, str], lamp: str
) -> None:
    seen = client.get(lamp).headers["ETag"]
    assert client.get(lamp, headers={"If-None-Match": seen}).status_code == 304
    headers = {**ann, "If-Match": seen}
    first = client.patch(lamp, json={"price": 1400}, headers=headers)
    second = client.patch(lamp, json={"price": 1300}, headers=headers)
    assert (first.status_code, second.status_code) == (200, 412)
    assert client.get(lamp).get_json()["price"] == 1400


def test_a_part_of_a_product_changes_and_the_rest_stays(
    client: FlaskClient, ann: dict[str, str], lamp: str
) -> None:
    before = client.get(lamp).get_json()
    after = client.patch(lamp, json={"stock": 0}, headers=ann).get_json()
    assert after == {**before, "stock": 0}


def test_only_who_sells_a_product_changes_it(
    client: FlaskClient, sign_in: Callable[..., dict[str, str]], lamp: str
) -> None:
    bob = sign_in("bob")
    for answer in (
        client.put(lamp, json={"name": "Mine", "price": 1}, headers=bob),
        client.patch(lamp, json={"price": 1}, headers=bob),
        client.delete(lamp, headers=bob),
    ):
        assert answer.status_code == 403


def test_a_product_that_is_deleted_is_gone(
    client: FlaskClient, ann: dict[str, str], lamp: str
) -> None:
    assert client.delete(lamp, headers=ann).status_code == 204
    assert client.get(lamp).status_code == 404


@pytest.mark.parametrize(
    ("new", "location"),
    [
        ({"name": "Lamp", "price": "12"}, ["json", "price"]),
        ({"name": "Lamp", "price": 1.5}, ["json", "price"]),
        ({"price": 12}, ["json", "name"]),
        ({"name": "Lamp", "price": 1, "tags": ["x", ""]}, ["json", "tags", 1]),
    ],
    ids=["text as number", "half a cent", "no name", "empty tag"],
)
def test_a_fault_is_told_with_its_place(
    client: FlaskClient, ann: dict[str, str], new: dict[str, Any], location: list[Any]
) -> None:
    answer = client.post("/products", json=new, headers=ann)
    assert answer.status_code == 422
    assert [fault["location"] for fault in answer.get_json()["errors"]] == [location]


def test_a_number_without_a_fraction_is_whole(client: FlaskClient, ann: dict[str, str]) -> None:
    answer = client.post("/products", json={"name": "Lamp", "price": 12.0}, headers=ann)
    assert answer.get_json()["price"] == 12


def test_a_picture_comes_back_as_it_was_and_is_not_shown_as_a_page(
    client: FlaskClient, ann: dict[str, str], lamp: str
) -> None:
    assert client.get(f"{lamp}/picture").status_code == 204
    data = b"<script>alert(1)</script>"
    sent = {"picture": (io.BytesIO(data), "lamp.html")}
    done = client.put(f"{lamp}/picture", data=sent, headers=ann)
    assert done.get_json() == {"content_type": "text/html", "size": len(data)}
    got = client.get(f"{lamp}/picture")
    assert (got.data, got.content_type) == (data, "application/octet-stream")
    assert got.headers["X-Content-Type-Options"] == "nosniff"


def test_a_picture_that_is_too_large_is_refused(
    client: FlaskClient, ann: dict[str, str], lamp: str
) -> None:
    large = FileStorage(io.BytesIO(b"x" * 1_000_001), "lamp.png")
    boundary, body = encode_multipart({"picture": large})
    kind = f"multipart/form-data; boundary={boundary}"
    answer = client.put(f"{lamp}/picture", data=body, content_type=kind, headers=ann)
    assert (answer.status_code, answer.content_type) == (413, "application/problem+json")


# Orders


def test_an_order_takes_from_the_stock_and_a_cancelled_one_gives_back(
    client: FlaskClient, ann: dict[str, str], lamp: str
) -> None:
    placed = order(client, ann, 2)
    assert placed.status_code == 201
    expected = {"product_id": 1, "quantity": 2, "name": "Lamp", "price": 1500}
    assert placed.get_json() == {"id": 1, "lines": [expected], "payment": CARD}
    assert client.get(lamp).get_json()["stock"] == 1
    assert client.get("/orders", headers=ann).get_json()["items"] == [placed.get_json()]
    assert client.delete("/orders/1", headers=ann).status_code == 204
    assert client.get(lamp).get_json()["stock"] == 3


def test_what_comes_back_can_be_more_than_a_seller_may_say(
    client: FlaskClient, ann: dict[str, str], lamp: str
) -> None:
    order(client, ann, 3)
    assert client.patch(lamp, json={"stock": 1_000_000}, headers=ann).status_code == 200
    assert client.delete("/orders/1", headers=ann).status_code == 204
    assert client.get(lamp).get_json()["stock"] == 1_000_003


def test_an_order_of_too_much_takes_nothing(
    client: FlaskClient, ann: dict[str, str], lamp: str
) -> None:
    answer = order(client, ann, 4)
    assert (answer.status_code, answer.get_json()) == (409, {"product_ids": [1]})
    assert client.get(lamp).get_json()["stock"] == 3


def test_an_order_of_another_user_is_as_if_it_were_not_there(
    client: FlaskClient, sign_in: Callable[..., dict[str, str]], ann: dict[str, str], lamp: str
) -> None:
    order(client, ann, 1)
    bob = sign_in("bob")
    assert client.get("/orders/1", headers=bob).status_code == 404
    assert client.delete("/orders/1", headers=bob).status_code == 404
    assert client.get("/orders/1", headers=ann).status_code == 200


def test_a_payment_of_an_unknown_kind_is_refused_by_its_name(
    client: FlaskClient, ann: dict[str, str], lamp: str
) -> None:
    lines = [{"product_id": 1, "quantity": 1}]
    body = {"lines": lines, "payment": {"kind": "shells"}}
    answer = client.post("/orders", json=body, headers=ann)
    assert answer.status_code == 422
    (fault,) = answer.get_json()["errors"]
    assert fault["location"] == ["json", "payment"]
    assert "'card', 'transfer', 'voucher'" in fault["message"]


# Errors that no view raises, and the command


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("PATCH", "/orders", 405), ("GET", "/products/x", 404)],
)
def test_errors_that_no_view_raises_are_problems_too(
    client: FlaskClient, method: str, path: str, status: int
) -> None:
    answer = client.open(path, method=method)
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
    assert answer.get_json()["status"] == status
    if status == 405:
        assert set(answer.allow) == {"GET", "HEAD", "OPTIONS", "POST"}


def test_the_command_fills_the_store(app: Erlen, client: FlaskClient) -> None:
    result = app.test_cli_runner().invoke(args=["fill"])
    assert result.exit_code == 0, result.output
    names = [item["name"] for item in client.get("/products").get_json()["items"]]
    assert names == ["Chair", "Desk", "Lamp", "Shelf"]


# The document


def test_the_document_is_valid(client: FlaskClient) -> None:
    validator = pytest.importorskip("openapi_spec_validator", reason="it is not installed")
    document = client.get("/openapi.json").get_json()
    validator.validate(document)
    assert len([verb for item in document["paths"].values() for verb in item]) == 16


@pytest.mark.live
@pytest.mark.timeout(300)
@pytest.mark.parametrize("interface", ["wsgi", "asgi"])
def test_schemathesis_finds_nothing_wrong(interface: str, tmp_path: Path) -> None:
    """All checks, 20 examples an operation, or as many as ERLEN_SCHEMATHESIS_EXAMPLES says."""
    if importlib.util.find_spec("schemathesis") is None:
        pytest.skip("schemathesis is not installed")
    server = Server(
        "granian",
        app=str(EXAMPLES / "store"),
        cwd=tmp_path,
        options=("--interface", interface),
        STORE_DATABASE=f"sqlite:///{tmp_path}/store.sqlite3",
        **{f"STORE_{name}": value for name, value in SETTINGS.items()},
    )
    try:
        account = json.dumps({"name": "ann", "password": PASSWORD}).encode()
        response, _ = server.fetch("POST", "/users", account, Content_Type="application/json")
        assert response.status == 201
        form = f"username=ann&password={PASSWORD.replace(' ', '+')}".encode()
        kind = "application/x-www-form-urlencoded"
        _, body = server.fetch("POST", "/token", form, Content_Type=kind)
        token = json.loads(body)["access_token"]
        done = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "run", "--no-color"),
                f"http://127.0.0.1:{server.port}/openapi.json",
                *("--header", f"Authorization: Bearer {token}"),
                *("--checks", "all", "--phases", "examples,coverage,fuzzing,stateful"),
                *("--max-examples", EXAMPLES_EACH, "--seed", "1", "--continue-on-failure"),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
    finally:
        server.stop()
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    assert "Tested: 16" in done.stdout


# Read now: tests see no such variables.
EXAMPLES_EACH = os.environ.get("ERLEN_SCHEMATHESIS_EXAMPLES", "20")

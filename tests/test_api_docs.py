"""Documentation pages: what is served, that nothing is asked of other hosts, and use in a browser.

ERLEN_SCREENSHOTS names a folder to keep pictures of the pages in.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest

pytest.importorskip("pydantic", reason="pydantic is not installed")
pytest.importorskip("flask_openapi3_swagger", reason="the extra 'docs' is not installed")
pytest.importorskip("flask_openapi3_redoc", reason="the extra 'docs' is not installed")
pytest.importorskip("flask_openapi3_scalar", reason="the extra 'docs' is not installed")

from browsing import SCREENSHOTS, start_browser
from describing import Item
from werkzeug.serving import make_server

from erlen import Erlen, abort, request
from erlen.api import Json, Query, docs
from erlen.errors import MissingExtra, SetupError

UIS = ("swagger", "redoc", "scalar")
DIRECTIVES = {
    "default-src": "'none'",
    "script-src": "'self'",
    "connect-src": "'self'",
    "font-src": "'self'",
    "img-src": "'self' data:",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}


def policy_of(response: Any) -> dict[str, str]:
    header = response.headers["Content-Security-Policy"]
    return dict(part.split(" ", 1) for part in header.split("; "))


def sources(page: str) -> list[str]:
    return re.findall(r'(?:src|href|data-document|data-assets)="([^"]*)"', page)


# What is served


def test_nothing_is_served_unless_it_is_asked_for(app: Erlen) -> None:
    client = app.test_client()
    for path in ("/docs", "/openapi.json", "/openapi.yaml", "/asyncapi.json"):
        assert client.get(path).status_code == 404


def test_the_constructor_enables_the_page_and_the_documents(transport: str) -> None:
    app = Erlen(__name__, docs="/docs")
    client = app.test_client()
    kinds = {
        path: client.get(path).content_type
        for path in ("/docs", "/openapi.json", "/openapi.yaml", "/asyncapi.json")
    }
    assert kinds == {
        "/docs": "text/html; charset=utf-8",
        "/openapi.json": "application/json",
        "/openapi.yaml": "application/yaml",
        "/asyncapi.json": "application/json",
    }
    assert client.get("/openapi.json").get_json()["paths"] == {}


@pytest.mark.parametrize("ui", UIS)
def test_a_page_and_its_assets_come_from_the_application(ui: str) -> None:
    app = Erlen("shop")
    app.enable_docs("/api/docs", ui=ui, title='<Sh"op>')
    client = app.test_client()
    page = client.get("/api/docs")
    assert "<title>&lt;Sh&#34;op&gt;</title>" in page.text
    assert "<script>" not in page.text and "style=" not in page.text
    found = sources(page.text)
    assert len(found) >= 5
    for url in found:
        assert urlsplit(url).netloc == "" and not url.startswith("/")
        if not url.endswith("/"):
            with client.get(urljoin("/api/docs", url)) as asset:
                assert asset.status_code == 200, url
                assert asset.headers["X-Content-Type-Options"] == "nosniff"
                assert len(asset.data) > 20


@pytest.mark.parametrize("ui", UIS)
def test_a_page_may_load_nothing_but_its_own(ui: str) -> None:
    app = Erlen("shop")
    app.enable_docs(ui=ui)
    response = app.test_client().get("/docs")
    policy = policy_of(response)
    assert DIRECTIVES.items() <= policy.items()
    more = {name: value for name, value in policy.items() if name not in DIRECTIVES}
    assert (
        more
        == {
            "swagger": {"style-src": "'self'"},
            "redoc": {"style-src": "'self' 'unsafe-inline'", "worker-src": "blob:"},
            "scalar": {"style-src": "'self' 'unsafe-inline'"},
        }[ui]
    )
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"


def test_requests_may_go_to_the_servers_that_the_document_names() -> None:
    app = Erlen("shop")
    servers = ["https://shop.example/v1", "/v2", {"url": "https://{place}.example"}]
    app.enable_docs(servers=servers)
    policy = policy_of(app.test_client().get("/docs"))
    assert policy["connect-src"] == "'self' https://shop.example"


def test_scripts_name_no_picture_of_another_host() -> None:
    app = Erlen("shop")
    app.enable_docs(ui="redoc")
    client = app.test_client()
    script = client.get("/docs/assets/js/redoc.standalone.js")
    assert b"cdn.redoc.ly" not in script.data
    assert b"docs/assets/images/redoc.svg" in script.data
    again = client.get(
        "/docs/assets/js/redoc.standalone.js", headers={"If-None-Match": script.headers["ETag"]}
    )
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize(
    "name", ["../docs.py", "..%2fdocs.py", "nothing.js", "redoc.js", "__init__.py", ""]
)
def test_nothing_else_of_the_packages_is_served(name: str) -> None:
    client = Erlen("shop", docs="/docs").test_client()
    assert client.get(f"/docs/assets/{name}").status_code == 404


def test_paths_can_be_chosen_and_documents_left_out() -> None:
    app = Erlen("shop")
    app.enable_docs(
        "/help", openapi="/api/description.json", yaml=None, asyncapi=None, title="Shop"
    )
    client = app.test_client()
    assert 'data-document="api/description.json"' in client.get("/help").text
    assert client.get("/api/description.json").get_json()["info"]["title"] == "Shop"
    for path in ("/openapi.json", "/openapi.yaml", "/asyncapi.json", "/docs"):
        assert client.get(path).status_code == 404


def test_several_pages_show_one_document() -> None:
    app = Erlen("shop", docs="/docs")
    app.enable_docs("/redoc", ui="redoc", title="Shop", version="2")
    app.enable_docs("/scalar", ui="scalar", ui_options={"theme": "<none>"})
    client = app.test_client()
    for path in ("/docs", "/redoc", "/scalar"):
        assert 'data-document="openapi.json"' in client.get(path).text
    assert client.get("/openapi.json").get_json()["info"] == {"title": "Shop", "version": "2"}
    page = client.get("/scalar").text
    assert "&#34;theme&#34;: &#34;&lt;none&gt;&#34;" in page


def test_a_page_can_be_for_some_only() -> None:
    def guarded(view: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(view)
        def guard(**values: Any) -> Any:
            if request.headers.get("X-Who") != "me":
                abort(403)
            return view(**values)

        return guard

    app = Erlen("shop")
    app.enable_docs(decorator=guarded)
    client = app.test_client()
    for path in ("/docs", "/openapi.json", "/docs/assets/page.css"):
        assert client.get(path).status_code == 403
        with client.get(path, headers={"X-Who": "me"}) as response:
            assert response.status_code == 200


def test_a_page_can_be_on_one_host() -> None:
    app = Erlen("shop", host_matching=True, static_folder=None)
    app.enable_docs(route={"host": "docs.example"})
    client = app.test_client()
    assert client.get("/docs", base_url="http://docs.example").status_code == 200
    assert client.get("/docs", base_url="http://www.example").status_code == 404


def test_below_a_path_the_document_says_where_it_is(transport: str) -> None:
    outer = Erlen("outer")
    inner = Erlen("inner", docs="/docs")
    outer.mount("/below", inner)
    client = outer.test_client()
    assert client.get("/below/openapi.json").get_json()["servers"] == [{"url": "/below"}]
    assert 'data-document="openapi.json"' in client.get("/below/docs").text
    servers = client.get("/below/asyncapi.json").get_json()["servers"]
    assert servers["websocket"] == {"host": "localhost", "protocol": "ws", "pathname": "/below"}
    assert "servers" not in inner.test_client().get("/openapi.json").get_json()


def test_a_document_is_sent_again_only_when_it_has_changed() -> None:
    app = Erlen("shop", docs="/docs")
    client = app.test_client()
    first = client.get("/openapi.json")
    headers = {"If-None-Match": first.headers["ETag"]}
    assert client.get("/openapi.json", headers=headers).status_code == 304
    assert first.headers["Cache-Control"] == "no-cache"


# Mistakes


def test_a_page_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docs, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'erlen\[docs\]'"):
        Erlen("shop", docs="/docs")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ui": "other"}, "known are swagger, redoc, scalar"),
        ({"path": "docs"}, "like '/docs'"),
        ({"path": "/"}, "like '/docs'"),
        ({"openapi": None}, "needs the path of the document"),
    ],
    ids=["ui", "relative", "root", "no document"],
)
def test_a_mistake_names_its_place(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(SetupError, match=message) as raised:
        Erlen("shop").enable_docs(**arguments)
    assert raised.value.places[0][0] == __file__  # type: ignore[index]


# In a browser

LONGEST_WAIT = 30


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    logs = ("browser", "performance")
    started = start_browser(tmp_path / "profile", window="1300,1100", logs=logs)
    yield started
    started.quit()


def keep_picture(browser: Any, name: str) -> None:
    if SCREENSHOTS:
        browser.save_screenshot(str(Path(SCREENSHOTS) / f"{name}.png"))


def wait_for(browser: Any, css: str, text: str = "") -> Any:
    """The first element that can be seen and has a text."""
    from selenium.common.exceptions import StaleElementReferenceException
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    def look(driver: Any) -> Any:
        with contextlib.suppress(StaleElementReferenceException):
            for element in driver.find_elements(By.CSS_SELECTOR, css):
                if element.is_displayed() and text in element.text:
                    return element
        return None

    return WebDriverWait(browser, LONGEST_WAIT).until(look)


def requested(browser: Any) -> set[str]:
    """The hosts of all requests over a network."""
    hosts = set()
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] in ("Network.requestWillBeSent", "Network.webSocketCreated"):
            params = message["params"]
            url = urlsplit(params["request"]["url"] if "request" in params else params["url"])
            if url.scheme in ("http", "https", "ws", "wss"):
                hosts.add(url.netloc)
    return hosts


def complaints(browser: Any) -> list[str]:
    return [e["message"] for e in browser.get_log("browser") if e["level"] in ("SEVERE", "WARNING")]


@pytest.fixture
def site() -> Iterator[tuple[str, list[Any]]]:
    """The address of a running shop with all three pages, and what was added to it."""
    app = Erlen("shop", docs="/docs")
    app.enable_docs("/redoc", ui="redoc", title="Shop", description="Things to *buy*.")
    app.enable_docs("/scalar", ui="scalar")
    added: list[Any] = []

    @app.post("/items")
    def add(item: Json[Item], count: Query[int]) -> Item:
        """Add items to the shop."""
        added.append((item.name, count))
        return item

    @app.get("/plain/<int:number>")
    def plain(number: int) -> str:
        """Show a number."""
        return str(number)

    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", added
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.live
@pytest.mark.timeout(180)
@pytest.mark.parametrize("ui", UIS)
def test_a_page_shows_the_document_and_asks_nothing_of_other_hosts(
    browser: Any, site: tuple[str, list[Any]], ui: str
) -> None:
    address, _ = site
    browser.get(f"{address}/{'docs' if ui == 'swagger' else ui}")
    wait_for(browser, "h1, h2", "Shop")
    wait_for(browser, "body", "Add items to the shop.")
    wait_for(browser, "body", "Show a number.")
    keep_picture(browser, f"docs_{ui}")
    assert complaints(browser) == []
    assert requested(browser) == {urlsplit(address).netloc}


@pytest.mark.live
@pytest.mark.timeout(180)
def test_an_operation_is_tried_out_on_the_page(browser: Any, site: tuple[str, list[Any]]) -> None:
    from selenium.webdriver.common.keys import Keys

    address, added = site
    browser.get(f"{address}/docs")
    wait_for(browser, ".opblock-post .opblock-summary-path").click()
    wait_for(browser, ".try-out__btn").click()
    count = wait_for(browser, "tr[data-param-name=count] input")
    count.send_keys("3")
    body = wait_for(browser, "textarea.body-param__text")
    body.send_keys(Keys.CONTROL, "a")
    body.send_keys('{"name": "ball"}')
    wait_for(browser, ".execute").click()
    answer = wait_for(browser, ".live-responses-table .response-col_description", '"ball"')
    assert '"price": 1' in answer.text
    assert wait_for(browser, ".live-responses-table .response-col_status", "200")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", answer)
    keep_picture(browser, "docs_tried_out")
    assert added == [("ball", 3)]
    assert complaints(browser) == []
    assert requested(browser) == {urlsplit(address).netloc}

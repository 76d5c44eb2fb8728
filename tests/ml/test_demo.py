"""The page of a predictor, as an HTTP client gets it."""

from __future__ import annotations

import contextlib
import io
import json
import re
import threading
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Annotated, Any

import pytest

pytest.importorskip("pydantic", reason="pydantic is not installed")
pytest.importorskip("numpy", reason="numpy is not installed")

import numpy as np

from erlen import Blueprint, Erlen
from erlen.errors import SetupError
from erlen.ml import Array, File, Image, Label, Page
from erlen.ml.demo import token as token_module
from erlen.testing import FlaskClient

MARKUP = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'"


@pytest.fixture
def make_app() -> Iterator[Callable[..., Erlen]]:
    """Makes applications with pages, and stops them."""
    from demo_app import create_app

    with contextlib.ExitStack() as made:

        def make(**config: Any) -> Erlen:
            app: Erlen = create_app({"SECRET_KEY": "test key", **config})
            made.callback(app.stop_serving)
            return app

        yield make


@pytest.fixture
def app(make_app: Callable[..., Erlen]) -> Erlen:
    return make_app()


@pytest.fixture
def client(app: Erlen, transport: str) -> FlaskClient:
    return app.test_client()


def token_of(client: FlaskClient, path: str = "/", **options: Any) -> str:
    found = re.search(r'name="erlen-token" value="([^"]+)"', client.get(path, **options).text)
    assert found is not None
    return unescape(found[1])


def send(client: FlaskClient, path: str = "/", /, **data: Any) -> Any:
    """Send the form as a browser does."""
    data = {"erlen-token": token_of(client, path), **data}
    return client.post(path, data=data, content_type="multipart/form-data")


def part(text: str, name: str) -> str:
    """What is within the element of an id, roughly."""
    return text.split(f'id="{name}"', 1)[1].split("</section>")[0]


def calls(text: str) -> dict[str, str]:
    found = re.findall(r'<code data-call="(\w+)">(.*?)</code>', text, re.DOTALL)
    return {name: unescape(code) for name, code in found}


# What it loads, and what it may


@pytest.mark.parametrize("path", ["/", "/everything", "/telling"])
def test_a_page_has_scripts_and_styles_from_its_own_host_only(
    client: FlaskClient, path: str
) -> None:
    answer = client.get(path)
    policy = dict(
        each.split(" ", 1) for each in answer.headers["Content-Security-Policy"].split("; ")
    )
    assert (policy["default-src"], policy["script-src"]) == ("'none'", "'self'")
    assert (policy["style-src"], policy["base-uri"]) == ("'self'", "'none'")
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert re.findall(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", answer.text) == []
    loaded = re.findall(r'(?:src|href|action)="([^"]*)"', answer.text)
    assert [each for each in loaded if not re.match(r"/|#", each) or each[:2] == "//"] == []


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("page.js", "text/javascript"),
        ("draw.js", "text/javascript"),
        ("page.css", "text/css"),
        ("icon.svg", "image/svg+xml"),
    ],
)
def test_scripts_and_styles_are_served(client: FlaskClient, name: str, kind: str) -> None:
    with client.get(f"/_erlen/demo/{name}") as answer:
        assert (answer.status_code, answer.mimetype) == (200, kind)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("name", ["../page.py", "..%2fpage.py", "none.js", "%2e%2e/view.py"])
def test_nothing_else_is(client: FlaskClient, name: str) -> None:
    assert client.get(f"/_erlen/demo/{name}").status_code == 404


def test_scripts_import_nothing_from_elsewhere() -> None:
    import erlen.ml.demo

    folder = Path(erlen.ml.demo.__file__).parent / "static"
    scripts = {each.name: each.read_text() for each in folder.glob("*.js")}
    imported = {
        name for text in scripts.values() for name in re.findall(r'from "\./([\w.]+)"', text)
    }
    assert imported | {"page.js"} == set(scripts)
    assert [text for text in scripts.values() if re.search(r"https?://|innerHTML\s*=", text)] == []


# Asking


def test_a_form_is_answered_with_the_page(client: FlaskClient) -> None:
    answer = send(client, text="hello", times="2")
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    result = part(answer.text, "result")
    assert "HELLOHELLO" in result
    assert re.findall(r'class="part" width="([\d.]+)%"', result) == ["75.0", "25.0"]
    assert ">hello</textarea>" in answer.text.replace("\n", "")


def test_defaults_are_in_the_fields_and_are_used(client: FlaskClient) -> None:
    page = client.get("/everything").text
    assert re.search(r'name="share" value="0.5"', page)
    assert re.search(r'name="loud" value="true"[^>]* checked', page)
    assert re.search(r'<option selected value="English">', page)
    answer = send(client, "/everything", title="a", text="b", share="", loud="true")
    assert answer.status_code == 200
    rest = json.loads(unescape(re.findall(r"<pre[^>]*><code>(.*?)</code>", answer.text, re.S)[0]))
    assert (rest["share"], rest["loud"], rest["tone"]) == (0.5, True, "dry")


def test_a_box_that_is_not_ticked_is_a_no(client: FlaskClient) -> None:
    answer = send(client, "/everything", title="a", text="b")
    assert "&#34;loud&#34;: false" in answer.text


def test_lines_end_as_they_do_in_programs(client: FlaskClient) -> None:
    answer = send(client, text="one\r\ntwo")
    assert "--form-string 'text=one\ntwo'" in calls(answer.text)["curl"]


def test_every_kind_of_answer_is_shown(client: FlaskClient) -> None:
    answer = send(client, "/everything", title="a", text="words")
    kinds = re.findall(r'class="output output-(\w+)"', answer.text)
    assert kinds == ["label", "image", "audio", "file", "table", "number", "text", "json"]
    assert '<img src="data:image/png;base64,' in answer.text
    assert '<audio controls src="data:audio/wav;base64,' in answer.text
    assert 'download="file.txt"' in answer.text


def test_files_are_uploaded(client: FlaskClient) -> None:
    from PIL import Image as Pillow

    picture = io.BytesIO()
    Pillow.new("RGB", (3, 2), "red").save(picture, "PNG")
    picture.seek(0)
    answer = send(
        client,
        "/everything",
        title="a",
        text="b",
        photo=(picture, "red one.png"),
        table=(io.BytesIO(b"name,length\nbee,1.5\n"), "t.csv", "text/csv"),
    )
    assert answer.status_code == 200
    assert '<td class="number">1.5</td>' in answer.text
    said = calls(answer.text)
    assert "-F 'photo=@red one.png'" in said["curl"]
    assert "('table', open('t.csv', 'rb'))" in said["python"]


# Faults


@pytest.mark.parametrize(
    ("data", "field", "says"),
    [
        ({}, "text", "Field required"),
        ({"text": "silence"}, "text", "There is nothing to shout"),
        ({"text": "a", "times": "9"}, "times", "less than or equal to 5"),
        ({"text": "a", "times": "x"}, "times", "valid integer"),
        ({"text": "a" * 100_001}, "text", "at most 100000 characters"),
    ],
    ids=["missing", "of the model", "too large", "no number", "too long"],
)
def test_a_fault_is_told_at_its_field(
    client: FlaskClient, data: dict[str, str], field: str, says: str
) -> None:
    answer = send(client, **data)
    assert answer.status_code == 422
    told = answer.text.split(f'id="input-{field}-error"', 1)[1].split("</p>")[0]
    assert says in told and not told.startswith(" hidden")
    assert answer.text.count('aria-invalid="true"') == 1
    assert "There is no answer to this." in answer.text
    assert calls(answer.text) == {}


@pytest.mark.parametrize(
    ("name", "file", "says"),
    [
        ("photo", b"GIF89a", "no image of these formats"),
        ("photo", b"", "empty"),
        ("document", b"x" * 1001, "larger than 1000 bytes"),
        ("table", b"a,b\n1\n", "Row 1 has 1 cells"),
    ],
)
def test_a_file_that_cannot_be_taken_is_told_at_its_field(
    client: FlaskClient, name: str, file: bytes, says: str
) -> None:
    answer = send(client, "/everything", title="a", text="b", **{name: (io.BytesIO(file), "a")})
    assert answer.status_code == 422
    assert says in answer.text.split(f'id="input-{name}-error"', 1)[1].split("</p>")[0]


def test_a_fault_of_an_input_that_is_none_is_told_above(client: FlaskClient) -> None:
    answer = send(client, text="a", strange="b")
    assert answer.status_code == 422
    assert "strange: Extra inputs are not permitted" in part(answer.text, "problem")


def test_a_busy_model_is_told_with_when_to_come_back(client: FlaskClient) -> None:
    answer = send(client, text="busy")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "3")
    assert "Try again in 3" in part(answer.text, "problem")


def test_nothing_is_told_of_an_error_of_the_model(client: FlaskClient) -> None:
    answer = send(client, text="crash")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "The model failed" in part(answer.text, "problem")


def test_a_form_that_is_too_large_gets_a_413_in_place(app: Erlen, client: FlaskClient) -> None:
    app.config["MAX_CONTENT_LENGTH"] = 2000
    answer = send(client, text="a" * 3000)
    assert (answer.status_code, answer.mimetype) == (413, "text/html")
    assert 'role="alert"' in part(answer.text, "problem")


def test_a_page_has_limits_where_the_application_has_none(app: Erlen, client: FlaskClient) -> None:
    app.predictor("/titled", Titled(), page="/t", max_body=1000)
    assert send(client, "/t", text="a" * 100).status_code == 200
    answer = send(client, "/t", text="a" * 1000)
    assert (answer.status_code, answer.mimetype) == (413, "text/html")


def test_a_field_of_the_page_may_be_as_large_as_one_of_the_endpoint(
    app: Erlen, client: FlaskClient
) -> None:
    class Sum:
        def decode(self, numbers: Annotated[np.ndarray, Array(None)]) -> float:
            return float(numbers.sum())

        def predict(self, items: list[float]) -> list[float]:
            return items

    app.predictor("/sum", Sum(), page="/s")
    numbers = str([1] * 200_000)
    assert client.post("/sum", data={"numbers": numbers}).get_json() == 200_000
    form = {"erlen-token": token_of(client, "/s"), "numbers": numbers}
    assert client.post("/s", data=form).status_code == 200


# Hosts


def links_of(answer: Any) -> list[str]:
    return re.findall(r'(?:href|src|action)="(/[^"]*)"', answer.text)


@pytest.mark.parametrize("way", ["host", "subdomain", "blueprint"])
def test_a_page_is_whole_on_the_host_of_its_predictor_and_only_there(way: str) -> None:
    is_host = way == "host"
    app = Erlen(__name__, host_matching=is_host, static_host="ml.example.com" if is_host else None)
    app.subdomain_matching = not is_host
    app.config.update(SECRET_KEY="test key", SERVER_NAME="example.com")
    if way == "blueprint":
        blueprint = Blueprint("models", __name__, subdomain="ml")
        blueprint.predictor("/titled", Titled(), page=True)
        app.register_blueprint(blueprint)
    else:
        place = {"host": "ml.example.com"} if is_host else {"subdomain": "ml"}
        app.predictor("/titled", Titled(), page=True, **place)
    client = app.test_client()
    try:
        there = client.get("/titled/try", base_url="http://ml.example.com")
        elsewhere = client.get("/titled/try", base_url="http://example.com")
        assert (there.status_code, elsewhere.status_code) == (200, 404)
        links = links_of(there)
        assert len(links) > 3
        for link in links:
            with client.get(link, base_url="http://ml.example.com") as answer:
                assert answer.status_code == 200
    finally:
        app.stop_serving()


def test_applications_that_share_a_blueprint_have_their_own_pages() -> None:
    blueprint = Blueprint("models", __name__)
    blueprint.predictor("/titled", Titled(), page=True)
    for name, again in (("models", "others"), ("others", "models")):
        first, second = Erlen(__name__), Erlen(__name__)
        first.register_blueprint(blueprint, name=name, url_prefix="/a")
        second.register_blueprint(blueprint, name=again, url_prefix="/b")
        for app, prefix in ((first, "/a"), (second, "/b")):
            app.config["SECRET_KEY"] = "test key"
            answer = app.test_client().get(f"{prefix}/titled/try")
            app.stop_serving()
            assert answer.status_code == 200
            assert f"POST {prefix}/titled" in answer.text


# Escaping


@pytest.mark.parametrize("autoescape", [True, False], ids=["as usual", "switched off"])
def test_what_people_and_models_say_is_text(app: Erlen, transport: str, autoescape: bool) -> None:
    app.jinja_options = {} if autoescape else {"autoescape": False}
    client = app.test_client()
    for path in ("/", "/everything", "/telling"):
        more = {"title": MARKUP} if path == "/everything" else {}
        answer = send(client, path, text=MARKUP, **more)
        assert answer.status_code == 200
        assert "alert(1)" in answer.text.lower()
        assert "<script>alert" not in answer.text.lower()
        assert "<img src=x" not in answer.text.lower()
        assert "\"'" not in part(answer.text, "result").lower()


def test_so_is_what_comes_with_files_and_faults(client: FlaskClient) -> None:
    answer = send(
        client,
        "/everything",
        title="a",
        text="b",
        table=(io.BytesIO(f"a\n{MARKUP.replace(chr(34), '')}\n".encode()), f"{MARKUP}.csv"),
        **{MARKUP: "c"},
    )
    assert "<script>alert" not in answer.text
    assert "<img src=x" not in answer.text


class Titled:
    """<script>alert(1)</script>"""

    def predict(self, texts: list[str]) -> list[Label]:
        return [Label.of({MARKUP: 1.0}) for _ in texts]


def test_so_is_what_the_application_says(app: Erlen, client: FlaskClient) -> None:
    app.predictor("/titled", Titled(), page=Page("/t", title=MARKUP), examples=[MARKUP])
    answer = send(client, "/t", text="a")
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text
    assert "<img src=x" not in answer.text


class Liar:
    """Answers files whose types are not what is expected."""

    def predict(self, texts: list[str]) -> list[Image]:
        page = b"<script>alert(1)</script>"
        return [Image(page, content_type="text/html") for _ in texts]


def test_a_file_of_another_type_is_only_offered(app: Erlen, client: FlaskClient) -> None:
    app.predictor("/liar", Liar(), page="/l")
    answer = send(client, "/l", text="a")
    assert '<img src="data:' not in answer.text
    assert re.search(r'<a class="button" href="data:text/html;[^"]*" download="', answer.text)


# The token


def test_a_form_without_the_token_is_refused(client: FlaskClient) -> None:
    client.get("/")
    answer = client.post("/", data={"text": "hello"})
    assert (answer.status_code, "HELLO" in answer.text) == (403, False)
    assert ">hello</textarea>" not in answer.text.replace("\n", "")


def test_a_token_is_good_for_one_visitor_only(app: Erlen, transport: str) -> None:
    mine, other = app.test_client(), app.test_client()
    other.get("/")
    answer = other.post("/", data={"erlen-token": token_of(mine), "text": "hello"})
    assert answer.status_code == 403


def test_a_visitor_without_the_cookie_is_told_so(app: Erlen, transport: str) -> None:
    answer = app.test_client().post(
        "/", data={"erlen-token": token_of(app.test_client()), "text": "hello"}
    )
    assert (answer.status_code, "Cookies are needed" in answer.text) == (403, True)


def test_what_comes_back_with_a_refusal_can_be_sent(client: FlaskClient) -> None:
    refused = client.post("/", data={"text": "hello"})
    found = re.search(r'name="erlen-token" value="([^"]+)"', refused.text)
    assert found is not None
    again = client.post("/", data={"text": "hello", "erlen-token": unescape(found[1])})
    assert again.status_code == 200


@pytest.mark.parametrize("key", ["test key", None], ids=["a secret key", "none"])
def test_workers_take_each_others_forms(
    make_app: Callable[..., Erlen], transport: str, key: str | None
) -> None:
    first, second = (make_app(SECRET_KEY=key) for _ in range(2))
    client, other = first.test_client(), second.test_client()
    token = token_of(client)
    cookie = client.get_cookie("erlen_form")
    assert cookie is not None
    other.set_cookie("erlen_form", cookie.value)
    answer = other.post(
        "/",
        data={"erlen-token": token, "text": "hello"},
        headers={"Origin": "http://localhost"},
    )
    assert answer.status_code == 200


def test_a_key_that_is_rotated_out_is_taken_until_it_is_forgotten(
    make_app: Callable[..., Erlen], transport: str
) -> None:
    client = make_app(SECRET_KEY="old").test_client()
    token = token_of(client)
    cookie = client.get_cookie("erlen_form")
    assert cookie is not None
    statuses = []
    for fallbacks in (["old"], []):
        other = make_app(SECRET_KEY="new", SECRET_KEY_FALLBACKS=fallbacks).test_client()
        other.set_cookie("erlen_form", cookie.value)
        answer = other.post("/", data={"erlen-token": token, "text": "hello"})
        statuses.append(answer.status_code)
    assert statuses == [200, 403]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"Origin": "http://localhost"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_without_a_secret_key_the_origin_has_to_be_told(
    app: Erlen, client: FlaskClient, headers: dict[str, str], status: int
) -> None:
    app.config["SECRET_KEY"] = None
    data = {"erlen-token": token_of(client), "text": "hello"}
    assert client.post("/", data=data, headers=headers).status_code == status


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_form_of_another_site_is_refused_even_with_a_token(
    client: FlaskClient, site: str
) -> None:
    data = {"erlen-token": token_of(client), "text": "hello"}
    answer = client.post("/", data=data, headers={"Sec-Fetch-Site": site})
    assert (answer.status_code, "from another site" in answer.text) == (403, True)


def test_a_token_grows_old(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_module, "LONGEST", -1)
    answer = send(client, text="hello")
    assert (answer.status_code, "open for too long" in answer.text) == (403, True)


@pytest.mark.parametrize("sent", ["", "a", "é", "..", "IiI.", "\x00"])
def test_a_token_that_is_none_is_refused(client: FlaskClient, sent: str) -> None:
    client.get("/")
    assert client.post("/", data={"erlen-token": sent, "text": "a"}).status_code == 403


def test_the_cookie_is_out_of_reach(client: FlaskClient) -> None:
    plain = client.get("/").headers["Set-Cookie"]
    assert "HttpOnly" in plain and "SameSite=Lax" in plain and "Secure" not in plain
    assert "Set-Cookie" not in client.get("/").headers
    safe = client.get("/", base_url="https://localhost:8443").headers
    assert "Set-Cookie" not in safe or "Secure" in safe["Set-Cookie"]


def test_a_cookie_that_somebody_made_up_is_replaced(app: Erlen, transport: str) -> None:
    client = app.test_client()
    client.set_cookie("erlen_form", "short")
    assert "erlen_form=" in client.get("/").headers["Set-Cookie"]


# Examples


def test_an_example_is_asked_and_put_into_the_fields(client: FlaskClient) -> None:
    answer = send(client, text="something else", **{"erlen-choose": "1"})
    assert answer.status_code == 200
    assert "&lt;b&gt;bold&lt;/b&gt;</textarea>" in answer.text.replace("\n", "")
    assert 'name="times" value="2"' in answer.text
    assert "&lt;B&gt;BOLD&lt;/B&gt;" in part(answer.text, "result")


@pytest.mark.parametrize("number", ["2", "-1", "x", "", "1" * 5000, "²"])
def test_an_example_that_there_is_not_is_ignored(client: FlaskClient, number: str) -> None:
    answer = send(client, text="mine", **{"erlen-choose": number})
    assert (answer.status_code, "MINE" in answer.text) == (200, True)


class Size:
    """Tells how large a file is."""

    def decode(self, file: File, unit: str = "bytes") -> tuple[int, str]:
        return file.size, unit

    def predict(self, items: list[tuple[int, str]]) -> list[str]:
        return [f"{size} {unit}" for size, unit in items]


@pytest.fixture
def sized(app: Erlen, tmp_path: Path, client: FlaskClient) -> FlaskClient:
    (tmp_path / "five.txt").write_text("12345")
    examples = [{"file": tmp_path / "five.txt"}, {"file": b"123", "unit": "B"}]
    app.predictor("/size", Size(), page="/sizes", examples=examples)
    return client


def test_a_files_example_stands_in_until_one_is_chosen(sized: FlaskClient) -> None:
    first = send(sized, "/sizes", **{"erlen-choose": "0"})
    assert "5 bytes" in part(first.text, "result")
    assert 'name="erlen-example" value="0"' in first.text
    assert "-F file=@five.txt" in calls(first.text)["curl"]
    again = send(sized, "/sizes", unit="octets", **{"erlen-example": "0"})
    assert "5 octets" in part(again.text, "result")
    mine = (io.BytesIO(b"1234567"), "seven.txt")
    other = send(sized, "/sizes", unit="bytes", file=mine, **{"erlen-example": "0"})
    assert "7 bytes" in part(other.text, "result")
    assert "erlen-example" not in other.text


def test_files_of_examples_are_served_as_no_pages_of_this_host(sized: FlaskClient) -> None:
    for number, content in ((0, b"12345"), (1, b"123")):
        with sized.get(f"/_erlen/demo/size/{number}/file") as answer:
            assert (answer.status_code, answer.data) == (200, content)
            assert "sandbox" in answer.headers["Content-Security-Policy"]
            assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["0/unit", "2/file", "0/..%2f", "99999999999/file"])
def test_no_other_files_are(sized: FlaskClient, path: str) -> None:
    assert sized.get(f"/_erlen/demo/size/{path}").status_code == 404


# What an application says of the page


def test_templates_of_the_application_come_first(tmp_path: Path, transport: str) -> None:
    from demo_app import Shout

    templates = tmp_path / "templates"
    (templates / "erlen" / "demo" / "inputs").mkdir(parents=True)
    (templates / "mine.html").write_text(
        "{% extends 'erlen/demo/base.html' %}"
        "{% block heading %}{{ super() }}, {{ greeting }}{% endblock %}"
        "{% block footer %}<footer>Mine</footer>{% endblock %}"
    )
    (templates / "erlen" / "demo" / "inputs" / "number.html").write_text(
        '<input class="mine" name="{{ field.name }}">'
    )
    app = Erlen("mine", root_path=str(tmp_path))
    app.config["SECRET_KEY"] = "test key"
    page = Page("/", template="mine.html", context={"greeting": "<you>"})
    app.predictor("/shout", Shout(), page=page)
    client = app.test_client()
    answer = send(client, text="hello")
    assert "<h1>Shout, &lt;you&gt;</h1>" in answer.text
    assert "<footer>Mine</footer>" in answer.text
    assert '<input class="mine" name="times">' in answer.text
    assert "HELLO" in part(answer.text, "result")
    app.stop_serving()


def test_a_page_links_to_no_documentation_where_there_is_none(client: FlaskClient) -> None:
    assert "API documentation" not in client.get("/").text


def test_pages_of_one_application_lead_to_each_other(client: FlaskClient) -> None:
    page = client.get("/everything").text
    links = re.findall(r'<a href="([^"]+)"( aria-current="page")?>(\w+)</a>', page)
    assert links == [("/", "", "Shout"), ("/everything", ' aria-current="page"', "All")] + [
        ("/telling", "", "Tell")
    ]


def test_a_page_below_a_root_stays_there(client: FlaskClient) -> None:
    answer = client.get("/everything", base_url="http://localhost/models/")
    assert 'action="/models/everything"' in answer.text
    assert 'src="/models/_erlen/demo/page.js"' in answer.text


def test_a_page_links_to_the_documentation_where_that_is_served(
    app: Erlen, client: FlaskClient
) -> None:
    pytest.importorskip("flask_openapi3_swagger", reason="the extra docs is not installed")
    app.enable_docs("/docs")
    assert '<a href="/docs">API documentation</a>' in client.get("/").text
    paths = client.get("/openapi.json").json["paths"]
    assert {"/shout", "/all", "/tell"} <= set(paths)
    assert [path for path in paths if "demo" in path or path in ("/", "/everything")] == []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"page": "try"}, "like '/try', not 'try'"),
        ({"page": "/<lang>/try"}, "like '/try', not '/<lang>/try'"),
        ({"page": "/x", "examples": [{"words": "a"}]}, "Example 0 has 'words'"),
    ],
)
def test_what_cannot_be_is_told_when_it_is_registered(
    app: Erlen, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(SetupError, match=re.escape(says)) as caught:
        app.predictor("/titled", Titled(), **options)
    assert Path(__file__).name in str(caught.value)


def test_an_example_whose_file_is_not_there_is_told_as_well(app: Erlen) -> None:
    with pytest.raises(SetupError, match=r"none.txt' of example 0 is no file"):
        app.predictor("/size", Size(), page="/x", examples=[{"file": "none.txt"}])


# Streams


def test_a_stream_is_gathered_for_those_without_the_script(client: FlaskClient) -> None:
    answer = send(client, "/telling", text="one two three")
    assert "one two three" in part(answer.text, "result")


def test_a_stream_ends_with_the_page(client: FlaskClient) -> None:
    data = {"erlen-token": token_of(client, "/telling"), "text": "one two\r\nthree"}
    answer = client.post("/telling", data=data, headers={"Accept": "text/event-stream"})
    assert answer.mimetype == "text/event-stream"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    *pieces, page = re.split(r"\r?\n\r?\n", answer.text.strip())
    assert pieces == ["data: one", "data:  two\ndata: three"]
    assert page.startswith("event: page\n")
    assert "one two\nthree" in part(page.replace("\ndata: ", "\n"), "result")


class Endless:
    """Counts for as long as somebody listens."""

    closed = threading.Event()

    def predict(self, text: str) -> Iterator[str]:
        try:
            while True:
                yield text
        finally:
            self.closed.set()


def test_a_stream_ends_when_nobody_reads_it_any_more(app: Erlen) -> None:
    app.predictor("/endless", Endless(), page="/e")
    client = app.test_client()
    Endless.closed.clear()
    data = {"erlen-token": token_of(client, "/e"), "text": "on"}
    answer = client.post("/e", data=data, headers={"Accept": "text/event-stream"})
    pieces = iter(answer.response)
    assert next(pieces) == b"data: on\n\n"
    assert not Endless.closed.is_set()
    answer.close()
    assert Endless.closed.wait(20)


def test_an_error_before_the_first_item_is_a_page(client: FlaskClient) -> None:
    data = {"erlen-token": token_of(client, "/telling"), "text": "STOP"}
    answer = client.post("/telling", data=data, headers={"Accept": "text/event-stream"})
    assert (answer.status_code, answer.mimetype) == (422, "text/html")
    assert "a word that stops all" in answer.text


def test_a_later_one_is_on_the_page_that_ends_the_stream(client: FlaskClient) -> None:
    data = {"erlen-token": token_of(client, "/telling"), "text": "one STOP"}
    answer = client.post("/telling", data=data, headers={"Accept": "text/event-stream"})
    assert answer.status_code == 200
    assert "a word that stops all" in answer.text
    assert 'class="call"' not in answer.text

"""Views called through the typed clients: in process over both protocols, and by connections."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Iterator
from datetime import date
from http.cookiejar import CookieJar, DefaultCookiePolicy
from io import BytesIO
from typing import Any
from uuid import UUID

import pytest

pytest.importorskip("pydantic", reason="pydantic is not installed")
httpx = pytest.importorskip("httpx", reason="httpx is not installed")

import client_app as views  # noqa: E402
from client_app import Color, Item, Login, NotFound, Window, app  # noqa: E402
from serving import running  # noqa: E402

import erlen  # noqa: E402
from erlen.api import UploadFile  # noqa: E402
from erlen.client import AsyncClient, Client, ClientError, ProblemError, provided  # noqa: E402
from erlen.errors import SetupError  # noqa: E402

KEY = UUID(int=7)


class _Waiting:
    """An `AsyncClient` whose calls are waited for, each on a loop of its own."""

    def __init__(self, client: AsyncClient) -> None:
        self.client = client

    def call(self, view: Any, *args: Any, **kwargs: Any) -> Any:
        return asyncio.run(self.client.call(view, *args, **kwargs))

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.client, name)
        if name not in ("at", "sending"):
            return found
        return lambda *args, **kwargs: _Waiting(found(*args, **kwargs))


def make_client(over: str, **options: Any) -> Any:
    if over in ("wsgi", "asgi"):
        return Client(app, transport=over, **options)
    if over == "async":
        return _Waiting(AsyncClient(app, **options))
    # Everything of a connection but the socket.
    jar = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    http = httpx.AsyncClient(transport=httpx.ASGITransport(app), cookies=jar)
    return _Waiting(AsyncClient("http://shop.test", app=app, http=http, **options))


@pytest.fixture(params=["wsgi", "asgi", "async", "httpx"])
def over(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def client(over: str) -> Any:
    return make_client(over)


# Places


def test_each_argument_goes_where_the_view_takes_it_from(client: Any) -> None:
    found = client.call(
        views.get_item,
        3,
        color=Color.BLUE,
        tags=["a", "ü &"],
        day=date(2024, 2, 29),
        x_trace="t 1",
        theme='da"rk; ü',
    )
    assert found == Item(name='3 BLUE 2024-02-29 t 1 da"rk; ü', tags=["a", "ü &"])


def test_arguments_that_are_not_given_are_not_sent(client: Any) -> None:
    assert client.call(views.get_item, 3) == Item(name="3 RED None  light")


def test_parts_of_the_path_are_written_as_its_converters_read_them(client: Any) -> None:
    found = client.call(views.of_day, date(2024, 1, 2), rest="a/b ü?", key=KEY)
    assert found == ["2024-01-02", str(KEY), "a/b ü?"]


def test_a_model_may_be_the_whole_query(client: Any) -> None:
    window = Window(first=4, words=("a", "b"))
    assert client.call(views.window, window) == window
    assert client.call(views.window, Window()) == Window()


def test_a_value_that_text_cannot_tell_is_refused(client: Any) -> None:
    assert client.call(views.nullable) == {"number": 5}
    with pytest.raises(ValueError, match="None for 'number' cannot be told in a query"):
        client.call(views.nullable, number=None)


def test_json_bodies_are_written_from_models(client: Any) -> None:
    item = Item(name="ü", price=0.5, tags=["a"])
    assert client.call(views.make_item, item) == item


def test_fields_that_nobody_set_stay_unset(client: Any) -> None:
    assert client.call(views.names_set, Item(name="a")) == ["name"]
    assert client.call(views.names_set, Item(name="a", price=1.0)) == ["name", "price"]


def test_a_default_that_was_changed_in_place_is_sent(client: Any) -> None:
    item = Item(name="a")
    item.tags.append("b")
    assert client.call(views.names_set, item) == ["name", "tags"]


def test_several_bodies_are_keys_of_one_object(client: Any) -> None:
    found = client.call(views.both, Item(name="a"), second=[1, 2])
    assert found == {
        "first": {"name": "a", "price": 1.0, "tags": []},
        "second": [1, 2],
        "limit": 9,
    }


def test_files_go_beside_fields_and_stay_open(client: Any) -> None:
    file = UploadFile(BytesIO(b"abc"), filename="ü.txt", content_type="text/x")
    assert client.call(views.upload, file, title="T") == "ü.txt text/x abc T 0"
    file.stream.seek(0)
    found = client.call(views.upload, file, title="T\r\nU", more=[b"1", b"2"])
    assert found == "ü.txt text/x abc T\r\nU 2"


def test_aliases_secrets_and_excluded_fields_arrive_as_validation_takes_them(client: Any) -> None:
    sent = Login(u="me", password="secret", hint="!")
    back = client.call(views.login, sent)
    assert (back.user, back.password.get_secret_value()) == ("me", "**********")
    assert client.call(views.logged_in) == {"user": "me", "password": "secret!"}


# Dependencies


def test_what_the_server_provides_is_not_sent(client: Any) -> None:
    assert client.call(views.me, provided) == "nobody 1"
    assert client.call(views.me, user=provided, page=provided) == "nobody 1"


def test_what_a_dependency_takes_is_sent_for_it(client: Any) -> None:
    found = client.call(views.me, provided(authorization="x"), page=provided(page=4))
    assert found == "x 4"
    found = client.call(views.of_product, provided(product_id=3, day=date(2024, 1, 2)))
    assert found == "3 2024-01-02"


@pytest.mark.parametrize(
    ("view", "argument", "said"),
    [
        (views.me, provided(page=1), "what provides 'user' does not take 'page'"),
        (views.get_item, provided, "'key' is provided by nothing on the server"),
        (views.keyless, views.Keyless(4), "does not keep 'key': give it=provided(key=...)"),
    ],
    ids=["not taken", "not provided", "not kept"],
)
def test_what_no_dependency_takes_is_refused(
    client: Any, view: Any, argument: Any, said: str
) -> None:
    with pytest.raises(TypeError, match=re.escape(said)):
        client.call(view, argument)


def test_what_dependencies_ask_for_goes_along(client: Any) -> None:
    with_more = client.sending(query={"page": "4"}, headers={"Authorization": "x"})
    assert with_more.call(views.me, provided) == "x 4"
    assert client.call(views.me, provided) == "nobody 1"


def test_an_object_of_a_class_that_is_provided_is_sent_in_its_parts(client: Any) -> None:
    window = Window(first=4, words=("a",))
    assert client.call(views.paged, window) == window


def test_what_a_function_provides_cannot_be_sent(client: Any) -> None:
    with pytest.raises(TypeError, match="'page' is what get_page provides; it cannot be sent"):
        client.call(views.me, provided, page=3)


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({"auth": ("me", "päss")}, "Basic bWU6cMOkc3M="),
        ({"token": "t"}, "Bearer t"),
        ({"headers": {"authorization": "own"}}, "own"),
    ],
    ids=["basic", "bearer", "header"],
)
def test_a_client_says_who_it_is(over: str, options: Any, sent: str) -> None:
    assert make_client(over, **options).call(views.me, provided) == f"{sent} 1"


def test_cookies_are_kept_until_they_are_over(client: Any) -> None:
    client.call(views.login, Login(u="me", password="p"))
    assert [*client.cookies] == ["session"]
    assert client.call(views.get_item, 1, theme="dark").name.endswith("dark")
    assert client.call(views.logged_in)["user"] == "me"
    client.cookies.clear()
    assert client.call(views.logged_in) == {}


# Answers


def test_a_union_is_told_apart_by_status(client: Any) -> None:
    assert client.call(views.get_item, 0) == NotFound(missing="zero")


def test_a_union_with_tuples_gives_them(client: Any) -> None:
    assert client.call(views.either, 200) == Item(name="one")
    assert client.call(views.either, 404) == (NotFound(missing="all"), 404)


def test_a_status_that_the_view_chooses_is_no_error_where_the_types_vary(client: Any) -> None:
    assert client.call(views.varied, 203) == Item(name="one")
    assert client.call(views.varied, 409) == NotFound(missing="one")


def test_an_answer_that_only_the_route_names_is_raised(client: Any) -> None:
    with pytest.raises(ClientError) as caught:
        client.call(views.said, code=409)
    assert caught.value.status == 409
    assert caught.value.value == NotFound(missing="said")


def test_problem_details_are_raised(client: Any) -> None:
    with pytest.raises(ProblemError) as caught:
        client.call(views.said, code=418)
    problem = caught.value
    assert (problem.status, problem.title, problem.detail) == (418, "I'm a Teapot", "It is said.")
    assert problem.type == "about:blank"
    assert problem.document["hint"] == "be quiet"
    assert str(problem) == "GET /said?code=418 answered 418 I'M A TEAPOT: It is said."


def test_faults_of_validation_are_raised_with_their_locations(client: Any) -> None:
    with pytest.raises(ProblemError) as caught:
        client.call(views.make_item, {"name": 1, "price": "x"})
    assert [fault["location"] for fault in caught.value.errors] == [
        ["json", "name"],
        ["json", "price"],
    ]
    assert "json.name: Input should be a valid string" in str(caught.value)


@pytest.mark.parametrize(
    ("view", "arguments", "value"),
    [
        (views.remove, {"key": 1}, None),
        (views.text, {}, "ü"),
        (views.octets, {}, b"\x00\xff"),
        (views.anything, {"kind": "json"}, [1]),
        (views.anything, {"kind": "text"}, "t"),
        (views.anything, {"kind": "none"}, None),
        (views.anything, {"kind": "octets"}, b"o"),
    ],
    ids=["none", "str", "bytes", "json", "text", "no content", "octets"],
)
def test_what_is_no_model_is_given_as_it_was(
    client: Any, view: Any, arguments: Any, value: Any
) -> None:
    assert client.call(view, **arguments) == value


def test_responses_are_given_whole(client: Any) -> None:
    response = client.call(views.made, 302)
    assert isinstance(response, erlen.Response)
    assert (response.status_code, response.get_data(as_text=True)) == (302, "made")


def test_responses_with_a_status_of_errors_are_raised(client: Any) -> None:
    with pytest.raises(ClientError, match="GET /made/404 answered 404 NOT FOUND: made") as caught:
        client.call(views.made, 404)
    assert caught.value.response.mimetype == "text/html"


@pytest.mark.parametrize(
    ("view", "said"),
    [
        (views.faulty, "its body is not what Item is read from"),
        (views.html, "an answer of type 'text/html' is not Item"),
    ],
    ids=["other JSON", "no JSON"],
)
def test_an_answer_that_is_not_of_the_type_is_raised(client: Any, view: Any, said: str) -> None:
    with pytest.raises(ClientError, match=said):
        client.call(view)


# Routes


def test_decorators_on_both_sides_of_the_route_are_seen_through(client: Any) -> None:
    assert client.call(views.greet, name="you") == "HELLO YOU"
    assert client.call(views.bye, "you") == "bye you"


def test_methods_of_classes_are_called_with_their_verbs(client: Any) -> None:
    german = client.at("v1")
    german.url_values["language"] = "de"
    assert german.call(views.Items.get, 3, page=2) == Item(name="3", price=2)
    assert german.call(views.Items.put, key=1, item=Item(name="a")) == Item(name="a")
    assert client.call(views.Page.dispatch_request, number=2) == "page 2"


def test_variables_that_a_preprocessor_takes_are_values_of_the_client(over: str) -> None:
    client = make_client(over, url_values={"language": "de"})
    assert client.call(views.part, 3) == {"endpoint": "v1.part", "path": "/v1/de/part/3"}


def test_a_view_of_several_endpoints_is_called_where_the_client_says(client: Any) -> None:
    with pytest.raises(SetupError, match=r"several endpoints: 'a.where', 'b.where'\. Choose") as e:
        client.call(views.where)
    assert f"{views.__file__}:" in str(e.value)
    assert client.at("a").call(views.where) == "/a/where"
    assert client.at("b.where").call(views.where) == "/b/where"


def test_method_and_rule_are_chosen_by_the_arguments(client: Any) -> None:
    assert client.call(views.several) == {"method": "GET", "path": "/several", "body": False}
    found = client.call(views.several, 3, body=Item(name="a"))
    assert found == {"method": "POST", "path": "/several/3", "body": True}


def test_a_function_that_is_no_view_is_refused(client: Any) -> None:
    with pytest.raises(SetupError, match=r"unknown is no view of 'client_app'\.") as caught:
        client.call(views.unknown)
    assert caught.value.places == ((views.__file__, views.unknown.__code__.co_firstlineno),)


@pytest.mark.parametrize(
    ("view", "arguments", "said"),
    [
        (views.get_item, {}, "The call of get_item has no value for 'key'"),
        (views.part, {}, "The call of part has no value for 'key', 'language' of its URL"),
        (views.get_item, {"key": 1, "colour": 1}, "unexpected keyword argument 'colour'"),
        (views.upload, {"file": "a.png", "title": "a"}, "'file' is a file, not 'a.png'"),
        (views.make_item, {}, "The call of make_item has no value for 'item'"),
    ],
    ids=["parameter", "variable", "unknown", "file", "body"],
)
def test_arguments_that_no_request_can_have_are_refused(
    client: Any, view: Any, arguments: Any, said: str
) -> None:
    with pytest.raises(TypeError, match=said):
        client.call(view, **arguments)


def test_a_view_that_is_replaced_is_found_again() -> None:
    other = erlen.Erlen("other")

    @other.get("/")
    def index() -> str:
        return "first"

    client = Client(other)
    assert client.call(index) == "first"

    def second() -> str:
        return "second"

    other.view_functions["index"] = second
    assert client.call(second) == "second"
    with pytest.raises(SetupError, match="is no view of 'other'"):
        client.call(index)


def test_applications_below_a_path_or_at_a_name_are_called_there() -> None:
    other = erlen.Erlen("other", subdomain_matching=True)
    other.config.update(SERVER_NAME="shop.test", PREFERRED_URL_SCHEME="https")

    @other.get("/page", subdomain="www")
    def page() -> str:
        return erlen.request.url

    assert Client(other).call(page) == "https://www.shop.test/page"
    asked: list[str] = []

    def answer(request: Any) -> Any:
        asked.append(str(request.url))
        return httpx.Response(200, text="x")

    http = httpx.Client(transport=httpx.MockTransport(answer))
    for url in ("http://host:81/below", "http://host:81/below/"):
        Client(url, app=app, http=http).call(views.text)
    assert asked == ["http://host:81/below/text"] * 2


# Clients


def test_a_client_of_a_url_needs_the_application() -> None:
    with pytest.raises(TypeError, match=r"Client\(url, app=app\)"):
        Client("http://host")  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="as 'http://host/path', not 'host'"):
        Client("host", app=app)


def test_a_client_over_asgi_starts_and_ends_the_application() -> None:
    other = erlen.Erlen("other")
    seen: list[str] = []
    other.before_serving(lambda: seen.append("start"))
    other.after_serving(lambda: seen.append("end"))
    with Client(other, transport="asgi"):
        assert seen == ["start"]
    assert seen == ["start", "end"]

    async def later() -> None:
        async with AsyncClient(other):
            assert seen == ["start", "end", "start"]

    asyncio.run(later())
    assert seen == ["start", "end", "start", "end"]


def test_errors_of_connections_are_pythons_own() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with Client(url, app=app) as client, pytest.raises(ConnectionError, match="GET /text at"):
            client.call(views.text)

        async def later() -> None:
            async with AsyncClient(url, app=app) as client:
                await client.call(views.text)

        with pytest.raises(ConnectionError):
            asyncio.run(later())


def test_httpx_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "httpx", None)
    with pytest.raises(erlen.errors.MissingExtra, match=r"pip install 'erlen\[client\]'"):
        Client("http://host", app=app)


# Another process


@pytest.fixture(scope="module", params=["granian", "granian-asgi"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with running(request.param, app="client_app:app") as server:
        yield f"http://127.0.0.1:{server.port}"


@pytest.mark.live
def test_another_process_with_the_same_code_is_called(url: str) -> None:
    file = UploadFile(BytesIO(b"a" * 2_000_000), filename="ü.txt", content_type="text/x")
    with Client(url, app=app) as client:
        assert client.call(views.make_item, Item(name="ü")) == Item(name="ü")
        assert client.call(views.get_item, 0) == NotFound(missing="zero")
        assert len(client.call(views.upload, file, title="T")) > 2_000_000
        client.call(views.login, Login(u="me", password="p"))
        assert client.call(views.logged_in)["user"] == "me"
        with pytest.raises(ProblemError):
            client.call(views.said, code=418)


@pytest.mark.live
def test_another_process_is_called_by_coroutines(url: str) -> None:
    async def calls() -> list[Item | NotFound]:
        async with AsyncClient(url, app=app) as client:
            file = UploadFile(BytesIO(b"a" * 2_000_000), filename="a")
            assert len(await client.call(views.upload, file, title="T")) > 2_000_000
            return await asyncio.gather(*(client.call(views.get_item, key) for key in range(5)))

    first, *others = asyncio.run(calls())
    assert first == NotFound(missing="zero")
    assert [found.name[0] for found in others if isinstance(found, Item)] == ["1", "2", "3", "4"]


@pytest.mark.live
def test_a_server_that_does_not_answer_in_time_is_given_up(url: str) -> None:
    with Client(url, app=app, timeout=0.2) as client, pytest.raises(TimeoutError, match="/slow"):
        client.call(views.slow)

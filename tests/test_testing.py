"""The test client, its requests and the command runner; beside Flask's where both can be asked."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from types import ModuleType
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder as PlainBuilder
from werkzeug.wrappers import Request as PlainRequest

from erlen import Erlen, g, redirect, request, session, stream_with_context
from erlen.commands import ScriptInfo
from erlen.ctx import has_request_context
from erlen.sessions import SecureCookieSessionInterface, SessionInterface
from erlen.testing import EnvironBuilder, FlaskClient, FlaskCliRunner


@pytest.fixture
def echo(app: Erlen) -> FlaskClient:
    """A client of an application that tells what reached it."""

    @app.route("/", methods=["GET", "POST"])
    @app.route("/<path:path>", methods=["GET", "POST"])
    def tell(path: str = "") -> dict[str, Any]:
        return {
            "url": request.url,
            "address": request.remote_addr,
            "agent": request.user_agent.string,
            "body": request.get_data(as_text=True),
            "type": request.mimetype,
            "cookies": request.cookies,
        }

    return app.test_client()


# Environs


def builder_of(framework: ModuleType, config: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
    app = getattr(framework, "Erlen", framework.Flask)("x")
    app.config.update(config)
    return import_module(f"{framework.__name__}.testing").EnvironBuilder(app, *args, **kwargs)


def outcome(framework: ModuleType, config: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
    """The environ as far as it is comparable, or the error."""
    try:
        builder = builder_of(framework, config, *args, **kwargs)
        environ = builder.get_environ()
    except Exception as error:
        return type(error), str(error)
    finally:
        if "builder" in locals():
            builder.close()
    return {k: v for k, v in environ.items() if not k.startswith(("wsgi.input", "wsgi.errors"))}


PATHS = ["/", "", "?a=1", "/?", "a/b", "/p?a=1&b=", "//other/p", "http://other", "/é?ü=1"]
PATHS += ["https://other:1/p;x?q#fragment", "//other", "/p#fragment", "mailto:x", "/%2F?%26"]
CONFIGS = [
    {},
    {"SERVER_NAME": "example.com:81", "APPLICATION_ROOT": "/base/x"},
    {"PREFERRED_URL_SCHEME": "https", "APPLICATION_ROOT": "root"},
    {"SERVER_NAME": "example.com", "APPLICATION_ROOT": "//base/"},
]
ARGUMENTS = [
    {},
    {"subdomain": "sub"},
    {"url_scheme": "wss"},
    {"subdomain": "", "url_scheme": ""},
    {"base_url": "http://base:8/x"},
    {"base_url": "http://base", "subdomain": "sub"},
    {"base_url": "http://base", "url_scheme": "https"},
    {"query_string": {"k": "v"}},
    {"json": {"k": [1, "é"]}},
    {"json": 1, "data": "x"},
    {"data": {"k": "v"}, "method": "PUT"},
    {"headers": {"Host": "forged"}, "auth": ("u", "p")},
]


@given(
    path=st.sampled_from(PATHS) | st.text(max_size=12).map(lambda text: f"/{text}"),
    config=st.sampled_from(CONFIGS),
    arguments=st.sampled_from(ARGUMENTS),
)
def test_an_environ_is_what_flask_builds(
    path: str, config: dict[str, Any], arguments: dict[str, Any]
) -> None:
    flask = pytest.importorskip("flask", reason="Flask is not installed")
    erlen = import_module("erlen")
    assert outcome(erlen, config, path, **arguments) == outcome(flask, config, path, **arguments)


def test_a_builder_serializes_json_as_the_application_does(app: Erlen) -> None:
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    builder = EnvironBuilder(app, json="\u20ac")
    assert builder.input_stream is not None
    assert builder.input_stream.read().decode() == '"\u20ac"'
    assert builder.content_type == "application/json"


@pytest.mark.parametrize("argument", ["subdomain", "url_scheme"])
def test_a_base_url_excludes_what_would_change_it(app: Erlen, argument: str) -> None:
    with pytest.raises(AssertionError, match='Cannot pass "subdomain" or "url_scheme"'):
        EnvironBuilder(app, base_url="http://x", **{argument: "y"})  # type: ignore[arg-type]


def test_a_request_context_takes_the_builders_arguments(app: Erlen) -> None:
    app.config["SERVER_NAME"] = "example.com"
    with app.test_request_context("/p", subdomain="s", url_scheme="https", method="PUT") as ctx:
        assert (ctx.request.url, ctx.request.method) == ("https://s.example.com/p", "PUT")


# Requests


def test_a_request_has_an_address_and_an_agent(echo: FlaskClient) -> None:
    told = echo.get("/p?a=1").json
    assert told["url"] == "http://localhost/p?a=1"
    assert told["address"] == "127.0.0.1"
    assert told["agent"] == f"Werkzeug/{version('werkzeug')}"


def test_what_requests_begin_with_can_be_changed(echo: FlaskClient) -> None:
    echo.environ_base.update(REMOTE_ADDR="192.0.2.1", HTTP_USER_AGENT="x")
    told = echo.get("/").json
    assert (told["address"], told["agent"]) == ("192.0.2.1", "x")
    told = echo.get("/", environ_base={"REMOTE_ADDR": "192.0.2.2"}).json
    assert (told["address"], told["agent"]) == ("192.0.2.2", "x")


@pytest.mark.parametrize(
    "make",
    [
        lambda builder: builder,
        lambda builder: builder.get_environ(),
        lambda builder: builder.get_request(),
    ],
    ids=["builder", "environ", "request"],
)
@pytest.mark.parametrize("builder_class", [EnvironBuilder, PlainBuilder], ids=["own", "werkzeug"])
def test_a_request_can_be_given_whole_and_used_again(
    app: Erlen, echo: FlaskClient, make: Any, builder_class: Any
) -> None:
    first = (app,) if builder_class is EnvironBuilder else ()
    builder = builder_class(*first, path="/p", headers={"Cookie": "a=1"})
    whole = make(builder)
    for address in ("192.0.2.1", "192.0.2.2"):
        echo.environ_base["REMOTE_ADDR"] = address
        told = echo.open(whole).json
        assert (told["url"], told["address"]) == ("http://localhost/p", address)
    builder.close()


def test_other_arguments_make_the_request(echo: FlaskClient) -> None:
    assert echo.open("/p", method="POST", data="x").json["body"] == "x"
    assert echo.post("https://other/p?a=1").json["url"] == "https://other/p?a=1"
    assert echo.get("/", subdomain="s", url_scheme="https").json["url"] == "https://s.localhost/"


def test_json_goes_both_ways_through_the_applications_provider(
    app: Erlen, echo: FlaskClient
) -> None:
    class Provider(app.json_provider_class):  # type: ignore[name-defined, misc]
        def dumps(self, obj: Any, **kwargs: Any) -> str:
            return json.dumps({"wrapped": obj})

        def loads(self, s: str | bytes, **kwargs: Any) -> Any:
            return json.loads(s)["wrapped"]

    app.json = Provider(app)
    told = echo.post("/", json=[1]).json
    assert (told["body"], told["type"]) == ('{"wrapped": [1]}', "application/json")


def test_cookies_are_kept_and_sent_back(app: Erlen, echo: FlaskClient) -> None:
    @app.route("/set")
    def set_cookie() -> Any:
        response = redirect("/told")
        response.set_cookie("name", "value")
        return response

    response = echo.get("/set", follow_redirects=True)
    assert [r.status_code for r in response.history] == [302]
    assert response.json["cookies"] == {"name": "value"}
    assert app.test_client(use_cookies=False).get("/set", follow_redirects=True).json[
        "cookies"
    ] == ({})


def test_a_subclass_is_used_with_its_own_arguments(app: Erlen) -> None:
    class Client(FlaskClient):
        def __init__(self, *args: Any, token: str = "", **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.token = token

    app.test_client_class = Client
    client = app.test_client(token="t")
    assert isinstance(client, Client)
    assert client.token == "t"


# Contexts


class Recorded:
    """An application of either framework that writes down what happens to its contexts."""

    def __init__(self, framework: ModuleType) -> None:
        self.flask = framework
        self.app = app = getattr(framework, "Erlen", framework.Flask)("x")
        self.events: list[str] = []
        app.config.update(TESTING=True, SECRET_KEY="k")
        app.add_url_rule("/<name>", "remember", self.remember)
        app.add_url_rule("/go/", "go", lambda: framework.redirect("/there"))
        app.teardown_request(lambda error: self.events.append(f"end {framework.request.path}"))
        app.teardown_appcontext(lambda error: self.events.append("end app"))
        framework.appcontext_pushed.connect(self.pushed, app)
        framework.appcontext_popped.connect(self.popped, app)

    def remember(self, name: str) -> str:
        self.flask.g.name = name
        self.flask.session["name"] = name
        return "answer"

    def pushed(self, app: Any) -> None:
        self.events.append("pushed")

    def popped(self, app: Any) -> None:
        self.events.append("popped")

    def drain(self) -> list[str]:
        drained, self.events = self.events, []
        return drained


@pytest.fixture
def recorded(framework: ModuleType) -> Recorded:
    return Recorded(framework)


@pytest.fixture
def remembering() -> FlaskClient:
    return Recorded(import_module("erlen")).app.test_client()


ENDED = ["end app", "popped"]


def test_in_a_block_the_last_requests_contexts_stay(recorded: Recorded) -> None:
    flask = recorded.flask
    with recorded.app.test_client() as client:
        client.get("/one")
        assert (flask.request.path, flask.g.name, flask.session["name"]) == ("/one", "one", "one")
        # Ended when the request was, and pushed again to be looked at.
        assert recorded.drain() == ["pushed", "end /one", *ENDED, "pushed"]
        client.get("/two")
        assert (flask.request.path, flask.g.name) == ("/two", "two")
        assert recorded.drain() == ["end /one", *ENDED, "pushed", "end /two", *ENDED, "pushed"]
    assert recorded.drain() == ["end /two", *ENDED]
    assert not flask.has_request_context()


def test_outside_of_a_block_they_end_at_once(recorded: Recorded) -> None:
    recorded.app.test_client().get("/one")
    assert recorded.drain() == ["pushed", "end /one", *ENDED]
    assert not recorded.flask.has_app_context()


def test_the_context_of_each_redirect_stays_as_long_as_the_block(recorded: Recorded) -> None:
    with recorded.app.test_client() as client:
        client.get("/go/", follow_redirects=True)
        assert recorded.flask.session["name"] == "there"
        served = ["pushed", "end /go/", *ENDED, "pushed", "end /there", *ENDED]
        assert recorded.drain() == [*served, "pushed", "pushed"]
    assert sorted(recorded.drain()) == sorted(["end /go/", *ENDED, "end /there", *ENDED])
    assert not recorded.flask.has_app_context()


def test_clients_of_two_applications_keep_their_own_contexts(framework: ModuleType) -> None:
    first, second = Recorded(framework).app, Recorded(framework).app
    with first.test_client() as outer:
        outer.get("/outer")
        with second.test_client() as inner:
            inner.get("/inner")
            assert framework.g.name == "inner"
            assert framework.current_app == second
        assert framework.g.name == "outer"
        assert framework.current_app == first


def test_after_an_error_the_context_stays_too(app: Erlen) -> None:
    @app.route("/")
    def fail() -> str:
        g.value = 1
        raise ZeroDivisionError

    with app.test_client() as client:
        with pytest.raises(ZeroDivisionError):
            client.get("/")
        app.testing = False
        app.config["PROPAGATE_EXCEPTIONS"] = False
        app.logger.disabled = True
        assert client.get("/").status_code == 500
        assert g.value == 1
    assert not has_request_context()


def test_a_streamed_response_and_the_block_both_keep_the_context(app: Erlen) -> None:
    @app.route("/")
    def stream() -> Iterator[str]:
        return stream_with_context(iter(["a", request.path]))

    with app.test_client() as client:
        response = client.get("/")
        assert response.get_data(as_text=True) == "a/"
        response.close()
        assert has_request_context()
    assert not has_request_context()


def test_blocks_cannot_be_nested_but_follow_each_other(remembering: FlaskClient) -> None:
    with remembering:
        with pytest.raises(RuntimeError, match="Cannot nest client invocations"):
            with remembering:
                pass
    with remembering as client:
        client.get("/again")
        assert g.name == "again"


# Sessions


def test_a_transaction_changes_the_session_of_later_requests(remembering: FlaskClient) -> None:
    app = remembering.application
    app.add_url_rule("/x/show", "show", lambda: dict(session))
    with remembering.session_transaction() as opened:
        assert dict(opened) == {}
        opened["cart"] = [1]
    assert remembering.get("/x/show").json == {"cart": [1]}
    with remembering.session_transaction() as opened:
        del opened["cart"]
    assert remembering.get("/x/show").json == {}


def test_a_transaction_takes_the_arguments_of_a_request(remembering: FlaskClient) -> None:
    app = remembering.application
    app.config["SESSION_COOKIE_PATH"] = "/p"
    with remembering.session_transaction("/p/x", base_url="http://other.org:81") as opened:
        opened["k"] = 1
    assert remembering.get_cookie("session", "other.org", "/p") is not None
    assert remembering.get_cookie("session") is None


def test_a_transaction_leaves_the_current_context_alone(
    app: Erlen, remembering: FlaskClient
) -> None:
    with app.test_request_context("/mine"):
        with remembering.session_transaction():
            assert request.path == "/mine"
    with remembering.session_transaction():
        assert not has_request_context()


def test_an_error_in_a_transaction_saves_nothing(remembering: FlaskClient) -> None:
    with pytest.raises(ZeroDivisionError), remembering.session_transaction() as opened:
        opened["k"] = 1
        raise ZeroDivisionError
    assert remembering.get_cookie("session") is None


def test_a_transaction_needs_cookies(app: Erlen) -> None:
    client = app.test_client(use_cookies=False)
    with pytest.raises(TypeError, match="Cookies are disabled. Create a client with"):
        with client.session_transaction():
            pass


def test_a_transaction_needs_a_session(app: Erlen) -> None:
    app.secret_key = None
    with pytest.raises(RuntimeError, match="Session backend did not open a session"):
        with app.test_client().session_transaction():
            pass


def test_a_null_session_is_not_saved(app: Erlen) -> None:
    class Nothing(SecureCookieSessionInterface):
        def open_session(self, app: Any, request: Any) -> Any:
            return self.make_null_session(app)

        def save_session(self, *args: Any) -> None:
            raise AssertionError("not to be called")

    app.session_interface = Nothing()
    with app.test_client().session_transaction() as opened:
        assert SessionInterface().is_null_session(opened)


# Private names that extensions use


def test_a_request_is_made_from_builder_arguments(app: Erlen, client: FlaskClient) -> None:
    made = client._request_from_builder_args(("/p",), {"method": "POST", "data": "x"})
    assert isinstance(made, PlainRequest)
    assert (made.path, made.method, made.data) == ("/p", "POST", b"x")
    assert made.environ["REMOTE_ADDR"] == "127.0.0.1"


def test_a_block_asks_for_the_contexts_through_the_environ(client: FlaskClient) -> None:
    assert "werkzeug.debug.preserve_context" not in client._copy_environ({})
    with client:
        environ = client._copy_environ({"REMOTE_ADDR": "192.0.2.1"})
    assert callable(environ["werkzeug.debug.preserve_context"])
    assert environ["REMOTE_ADDR"] == "192.0.2.1"


# Commands


@pytest.fixture
def runner(app: Erlen) -> FlaskCliRunner:
    @app.cli.command("hello")
    @click.argument("name", default="you")
    def hello(name: str) -> None:
        click.echo(f"Hello, {name}, of {g._get_current_object() is not None}")

    return app.test_cli_runner()


def test_a_command_runs_by_its_name(runner: FlaskCliRunner) -> None:
    result = runner.invoke(args=["hello", "them"])
    assert (result.output, result.exit_code) == ("Hello, them, of True\n", 0)


def test_a_command_runs_as_an_object(app: Erlen, runner: FlaskCliRunner) -> None:
    command = app.cli.commands["hello"]
    assert runner.invoke(command).output == "Hello, you, of True\n"
    assert runner.invoke(command, "them").output == "Hello, them, of True\n"


def test_a_runner_takes_clicks_arguments(app: Erlen) -> None:
    @app.cli.command("env")
    @click.pass_context
    def env(ctx: click.Context) -> None:
        click.echo(f"{os.environ['GIVEN']} {sys.stdin.read()}")

    runner = app.test_cli_runner(env={"GIVEN": "g"})
    assert runner.invoke(args=["env"], input="i").output == "g i\n"


def test_a_command_can_get_another_script_info(app: Erlen, runner: FlaskCliRunner) -> None:
    asked = []
    info = ScriptInfo(create_app=lambda: asked.append(1) or app)  # type: ignore[func-returns-value]
    assert runner.invoke(args=["hello"], obj=info).exit_code == 0
    assert asked == [1]


def test_a_subclass_of_the_runner_is_used(app: Erlen) -> None:
    class Runner(FlaskCliRunner):
        pass

    app.test_cli_runner_class = Runner
    assert isinstance(app.test_cli_runner(), Runner)

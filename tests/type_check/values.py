"""What is known about the types of values that an application works with; checked, never run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from blinker import NamedSignal
from jinja2 import Environment
from werkzeug.datastructures import FileStorage, ImmutableMultiDict, MultiDict
from werkzeug.test import TestResponse
from werkzeug.wrappers import Response as PlainResponse

from erlen import (
    Config,
    Erlen,
    Request,
    Response,
    abort,
    current_app,
    flash,
    g,
    get_flashed_messages,
    jsonify,
    make_response,
    redirect,
    request,
    request_finished,
    session,
    url_for,
)
from erlen.ctx import AppContext, RequestContext
from erlen.globals import app_ctx, request_ctx
from erlen.json.provider import JSONProvider
from erlen.sessions import SecureCookieSessionInterface, SessionInterface, SessionMixin
from erlen.testing import FlaskClient, FlaskCliRunner

if TYPE_CHECKING:
    from typing_extensions import assert_type

    def proxies() -> None:
        assert_type(current_app, Erlen)
        assert_type(request, Request)
        assert_type(session, SessionMixin)
        assert_type(app_ctx, AppContext)
        assert_type(request_ctx, RequestContext)
        assert_type(request.args, MultiDict[str, str])
        assert_type(request.form, ImmutableMultiDict[str, str])
        assert_type(request.files, ImmutableMultiDict[str, FileStorage])
        assert_type(request.json, Any)
        assert_type(request.view_args, dict[str, Any] | None)
        assert_type(request.endpoint, str | None)
        assert_type(request.max_content_length, int | None)
        assert_type(g.anything, Any)
        assert_type(g.get("name"), Any)
        assert_type(session["name"], Any)
        assert_type(session.permanent, bool)
        session.permanent = True
        g.user = 1

    def application(app: Erlen) -> None:
        assert_type(app.config, Config)
        assert_type(app.config["X"], Any)
        assert_type(app.config.from_prefixed_env(), bool)
        assert_type(app.debug, bool)
        assert_type(app.testing, bool)
        assert_type(app.secret_key, str | bytes | None)
        assert_type(app.name, str)
        assert_type(app.json, JSONProvider)
        assert_type(app.session_interface, SessionInterface)
        assert_type(app.make_response("x"), Response)
        assert_type(app.app_context(), AppContext)
        assert_type(app.request_context({}), RequestContext)
        assert_type(app.url_for("x", _anchor="a", page=1), str)
        jinja: Environment = app.jinja_env
        jinja.globals["x"] = 1
        app.secret_key = b"key"

    def functions() -> None:
        assert_type(url_for("x", _external=True, key=1), str)
        assert_type(redirect("/"), PlainResponse)
        assert_type(jsonify([1]), Response)
        assert_type(make_response("x", 200), Response)
        assert_type(flash("x", "error"), None)
        assert_type(get_flashed_messages(), list[str] | list[tuple[str, str]])
        assert_type(request_finished, NamedSignal)

    def never(name: str | None) -> str:
        if name is None:
            abort(404)
        return name  # no longer None: `abort` does not return

    def tests(app: Erlen) -> None:
        client = app.test_client()
        assert_type(client, FlaskClient)
        assert_type(client.get("/"), TestResponse)
        with client as entered, client.session_transaction() as opened:
            assert_type(entered, FlaskClient)
            assert_type(opened, SessionMixin)
        runner = app.test_cli_runner()
        assert_type(runner, FlaskCliRunner)
        assert_type(runner.invoke(args=["x"]).output, str)


class OwnRequest(Request):
    @property
    def user(self) -> str:
        return self.headers.get("X-User", "")


class OwnInterface(SecureCookieSessionInterface):
    def should_set_cookie(self, app: Erlen, session: SessionMixin) -> bool:
        return False


class Own(Erlen):
    request_class = OwnRequest
    session_interface = OwnInterface()

    def dispatch_request(self) -> str:
        return "own"

    def make_default_options_response(self) -> Response:
        return self.response_class(status=204)

    def handle_exception(self, e: Exception) -> Response:
        self.logger.exception("failed")
        return super().handle_exception(e)

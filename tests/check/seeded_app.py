"""An application for Flask in which, on Erlen only, one behaviour is changed: `SEED` says which."""

import os
from functools import wraps

import flask
from flask import (
    Blueprint,
    Flask,
    Response,
    abort,
    flash,
    g,
    jsonify,
    make_response,
    redirect,
    render_template_string,
    request,
    session,
    stream_with_context,
    url_for,
)
from werkzeug.datastructures import Headers

app = Flask(__name__, static_folder="static_files", static_url_path="/files")
app.secret_key = "a key for tests of erlen check, no other use"
pages = Blueprint("pages", __name__, url_prefix="/pages")


@app.before_request
def load_user():
    g.user = "ann"


@app.before_request
def count():
    g.count = 1


@app.after_request
def add_header(response):
    response.headers["X-App"] = "one"
    return response


@app.after_request
def add_other_header(response):
    response.headers["X-Other"] = "two"
    return response


@app.teardown_request
def leave(error):
    g.pop("user", None)


@app.teardown_appcontext
def close(error):
    pass


@app.context_processor
def names():
    return {"site": "Seeds"}


@app.template_filter()
def shout(text):
    return text.upper()


@app.errorhandler(404)
def lost(error):
    return {"error": "lost"}, 404


@app.errorhandler(LookupError)
def looked(error):
    return "looked up in vain", 400


@pages.before_request
def on_pages():
    g.section = "pages"


@pages.route("/")
def index():
    links = "".join(
        f'<a href="{url}">x</a>'
        for url in (url_for("data"), url_for("pages.page", number=3), url_for("remember"))
    )
    return f"<h1>Pages</h1>{links}"


@pages.route("/<int:number>")
def page(number):
    return {"number": number, "kind": type(number).__name__}


app.register_blueprint(pages)


@app.route("/")
def home():
    return render_template_string(
        "<p>{{ site }} {{ title }} {{ name|shout }}</p>\n", title="<Home>", name="ann"
    )


@app.route("/data")
def data():
    return {"name": "Ann & Bob", "price": 1.5, "tags": ["a", "b"], "none": None}


@app.route("/listed")
def listed():
    return jsonify([3, 2, 1])


@app.route("/text")
def text():
    return "plain words", {"Content-Type": "text/plain"}


@app.route("/remember")
def remember():
    session["seen"] = session.get("seen", 0) + 1
    flash("Welcome", "info")
    return redirect(url_for("recall"))


@app.route("/recall")
def recall():
    return render_template_string(
        "{{ session.get('seen') }} {{ get_flashed_messages(with_categories=true) }}"
    )


@app.route("/cookie")
def cookie():
    response = make_response("with a cookie")
    response.set_cookie("taste", "sweet", max_age=60, httponly=True, samesite="Lax", path="/cookie")
    return response


@app.route("/args")
def args():
    return {key: request.args.getlist(key) for key in request.args}


@app.route("/stream")
def stream():
    return Response(stream_with_context(part for part in ("one ", "two ", "three")))


@app.route("/etag")
def tagged():
    response = make_response("tagged")
    response.add_etag()
    return response.make_conditional(request)


@app.route("/gone")
def gone():
    abort(410)


@app.route("/forbidden")
def forbidden():
    abort(Response("no entry", 403))


@app.route("/broken")
def broken():
    raise ZeroDivisionError("seeded on purpose")


@app.route("/missing")
def missing():
    raise KeyError("nothing")


@app.route("/created")
def created():
    return {"id": 1}, 201, {"Location": "/data", "X-Kind": "new"}


@app.route("/several")
def several():
    headers = Headers([("Link", "</a>"), ("Link", "</b>")])
    return "two links", 200, headers


@app.route("/slash/")
def slash():
    return "slash"


@app.route("/external")
def external():
    return url_for("data", _external=True, page=2, _anchor="top")


@app.route("/german")
def german():
    return "Grüße"


@app.route("/logged")
def logged():
    app.logger.warning("somebody looks")
    return "looked"


@app.route("/vary")
def vary():
    return "in" if "user" in session else "out"


# What is changed on Erlen


def _answer(path, change):
    """Change the answers to requests of a path, after all hooks."""
    inner = app.wsgi_app

    def changed(environ, start_response):
        if environ["PATH_INFO"] != path:
            return inner(environ, start_response)
        response = Response.from_app(inner, environ, buffered=True)
        change(response)
        return response(environ, start_response)

    app.wsgi_app = changed


def _header(path, change):
    _answer(path, lambda response: change(response.headers))


def _body(path, change):
    def to(response):
        response.set_data(change(response.get_data()))

    _answer(path, to)


def _cookie(change):
    def to(headers):
        headers["Set-Cookie"] = change(headers["Set-Cookie"])

    _header("/cookie", to)


def _view(endpoint):
    """Replace a view by what a function makes of it."""

    def decorate(make):
        view = app.view_functions[endpoint]
        app.view_functions[endpoint] = wraps(view)(make(view))

    return decorate


def _status_of(path, status):
    def to(response):
        response.status = status

    _answer(path, to)


def _lose_flash():
    def without(view):
        def changed(**values):
            answer = view(**values)
            session.pop("_flashes", None)
            return answer

        return changed

    _view("remember")(without)


def _change_session():
    def other(view):
        def changed(**values):
            answer = view(**values)
            session["seen"] = "1"
            return answer

        return changed

    _view("remember")(other)


def _twice(functions):
    functions.append(functions[0])


def _no_signal(name):
    getattr(flask, name).send = lambda *args, **kwargs: []


def _drop_log():
    app.logger.disabled = True


def _leak():
    def propagate(error):
        raise error

    app.handle_exception = propagate


def _text_number():
    def textual(view):
        return lambda number: view(str(number))

    _view("pages.page")(textual)


def _convert_to_float():
    from werkzeug.routing import IntegerConverter

    class Loose(IntegerConverter):
        num_convert = float

    app.url_map.converters["int"] = Loose
    app.add_url_rule("/pages/<int:number>", "pages.page", page)
    rules = list(app.url_map.iter_rules("pages.page"))
    app.url_map._rules.remove(rules[0])
    app.url_map._rules_by_endpoint["pages.page"].remove(rules[0])
    rules[1]._converters["number"].num_convert = float
    app.url_map._matcher = type(app.url_map._matcher)(app.url_map.merge_slashes)
    for rule in app.url_map._rules:
        app.url_map._matcher.add(rule)


def _lose_context():
    app.template_context_processors[None].remove(names)


def _no_handler(code, error):
    del app.error_handler_spec[None][code][error]


def _wrong_escape():
    _body("/", lambda body: body.replace(b"&lt;Home&gt;", b"<Home>"))


def _config():
    app.config["PERMANENT_SESSION_LIFETIME"] = 60


def _rule_more():
    app.add_url_rule("/extra", "extra", text)


def _join_stream():
    def joined(view):
        return lambda: Response(iter([view().get_data()]))

    _view("stream")(joined)


def _no_range():
    _status_of("/files/words.txt", "200 OK")


#: name → what changes it, the kind by which it has to be named
SEEDS = {
    "status": (lambda: _status_of("/created", "200 OK"), "status"),
    "status-text": (lambda: _status_of("/data", "200 FINE"), "status"),
    "no-vary": (lambda: _header("/vary", lambda h: h.pop("Vary")), "header-missing"),
    "more-headers": (lambda: _header("/data", lambda h: h.add("X-New", "1")), "header-added"),
    "other-type": (
        lambda: _header("/text", lambda h: h.set("Content-Type", "text/html")),
        "header-value",
    ),
    "no-charset": (
        lambda: _header("/german", lambda h: h.set("Content-Type", "text/html")),
        "header-value",
    ),
    "one-link": (lambda: _header("/several", lambda h: h.set("Link", "</a>")), "header-value"),
    "header-order": (
        lambda: _header("/data", lambda h: h.extend([("Content-Type", h.pop("Content-Type"))])),
        "header-order",
    ),
    "no-allow": (lambda: _header("/text", lambda h: h.pop("Allow", None)), "header-missing"),
    "no-etag": (lambda: _header("/etag", lambda h: h.pop("ETag", None)), "header-missing"),
    "location": (
        lambda: _header("/remember", lambda h: h.set("Location", "/recall?x")),
        "redirect",
    ),
    "redirect-code": (lambda: _status_of("/slash", "301 MOVED PERMANENTLY"), "status"),
    "no-httponly": (lambda: _cookie(lambda c: c.replace("; HttpOnly", "")), "cookie-attribute"),
    "no-samesite": (
        lambda: _cookie(lambda c: c.replace("; SameSite=Lax", "")),
        "cookie-attribute",
    ),
    "cookie-path": (lambda: _cookie(lambda c: c.replace("/cookie", "/")), "cookie-attribute"),
    "cookie-value": (lambda: _cookie(lambda c: c.replace("sweet", "sour")), "cookie-value"),
    "no-cookie": (lambda: _header("/cookie", lambda h: h.pop("Set-Cookie")), "cookie-missing"),
    "lost-flash": (_lose_flash, "flash-content"),
    "other-session": (_change_session, "session-content"),
    "newline": (lambda: _body("/data", lambda body: body + b"\n"), "body-newline"),
    "json-order": (
        lambda: _body("/data", lambda b: b'{"price":1.5,' + b[1:].replace(b'"price":1.5,', b"")),
        "body-json-order",
    ),
    "json-blanks": (lambda: _body("/listed", lambda b: b.replace(b",", b", ")), "body-json-format"),
    "json-number": (
        lambda: _body("/data", lambda b: b.replace(b"1.5", b"1.50001")),
        "body-json-value",
    ),
    "json-null": (lambda: _body("/data", lambda b: b.replace(b"null", b"0")), "body-json-value"),
    "no-escape": (_wrong_escape, "body-escaping"),
    "other-text": (lambda: _body("/text", lambda b: b.replace(b"words", b"word")), "body-text"),
    "no-body": (lambda: _body("/gone", lambda b: b""), "body-empty"),
    "other-bytes": (
        lambda: _body("/german", lambda b: b.decode().encode("latin-1")),
        "body-bytes",
    ),
    "external-url": (lambda: _body("/external", lambda b: b.replace(b"#top", b"")), "body-text"),
    "joined-stream": (_join_stream, "streamed"),
    "one-argument": (
        lambda: _body("/args", lambda b: b.replace(b'"a","b"', b'"a"')),
        "body-json-value",
    ),
    "hook-order": (lambda: app.before_request_funcs[None].reverse(), "hook-order"),
    "after-order": (lambda: app.after_request_funcs[None].reverse(), "hook-order"),
    "lost-hook": (lambda: app.before_request_funcs[None].pop(), "hook-missing"),
    "hook-twice": (lambda: _twice(app.before_request_funcs[None]), "hook-added"),
    "no-teardown": (lambda: app.teardown_appcontext_funcs.clear(), "hook-missing"),
    "blueprint-hook": (lambda: app.before_request_funcs["pages"].clear(), "hook-missing"),
    "no-signal": (lambda: _no_signal("request_finished"), "signal-missing"),
    "no-template-signal": (lambda: _no_signal("template_rendered"), "signal-missing"),
    "no-log": (_drop_log, "log"),
    "leaked-error": (_leak, "exception"),
    "text-for-number": (_text_number, "body-json-value"),
    "converter": (_convert_to_float, "hook-arguments"),
    "no-context": (_lose_context, "hook-missing"),
    "no-404-handler": (lambda: app.error_handler_spec[None].pop(404), "hook-missing"),
    "no-class-handler": (lambda: _no_handler(None, LookupError), "status"),
    "configuration": (_config, "config-value"),
    "rule": (_rule_more, "rules-differ"),
    "no-range": (_no_range, "status"),
}

if Flask.__module__ == "erlen.app" and os.environ.get("SEED"):
    SEEDS[os.environ["SEED"]][0]()

"""Names that Flask's modules have only because they import them, and that Erlen's do not import.

Code in the wild takes some of them from there. Each is looked up where it is at home, when it is
asked for. Of the standard library only a class that values are compared with is here.
"""

from __future__ import annotations

#: module of Flask → module where the names are → the names, or `name=other` for another one there
IMPORTED = {
    "flask.app": {
        "erlen.app": "App=Erlen",
        "erlen.ctx": "AppContext RequestContext",
        "erlen.globals": "_cv_app _cv_request current_app request_ctx",
        "erlen.helpers": "get_load_dotenv send_from_directory",
        "erlen.scaffold": "_sentinel",
        "erlen.signals": (
            "appcontext_tearing_down got_request_exception request_finished request_started"
            " request_tearing_down"
        ),
        "erlen.templating": "Environment",
        "werkzeug.datastructures": "Headers",
        "werkzeug.exceptions": "BadRequestKeyError HTTPException InternalServerError",
        "werkzeug.routing": "BuildError MapAdapter RequestRedirect RoutingException Rule",
        "werkzeug.serving": "is_running_from_reloader",
        "werkzeug.wrappers": "BaseResponse=Response",
        "werkzeug.wsgi": "get_host",
    },
    "flask.blueprints": {
        "erlen.blueprints": "SansioBlueprint=Blueprint",
        "erlen.commands": "AppGroup",
        "erlen.globals": "current_app",
        "erlen.helpers": "send_from_directory",
    },
    "flask.cli": {"click.core": "ParameterSource"},
    "flask.config": {"werkzeug.utils": "import_string"},
    "flask.ctx": {"erlen.globals": "_cv_app _cv_request"},
    "flask.debughelpers": {
        "erlen.app": "App=Erlen",
        "erlen.blueprints": "Blueprint",
        "erlen.globals": "request_ctx",
        "jinja2.loaders": "BaseLoader",
        "werkzeug.routing": "RequestRedirect",
    },
    "flask.helpers": {
        "werkzeug.exceptions": "_wz_abort=abort",
        "werkzeug.utils": "_wz_redirect=redirect",
        "werkzeug.wrappers": "BaseResponse=Response",
    },
    "flask.json.tag": {"uuid": "UUID"},
    "flask.logging": {"erlen.globals": "request"},
    "flask.templating": {"erlen.globals": "_cv_app _cv_request current_app request"},
    "flask.testing": {
        "click.testing": "CliRunner Result",
        "erlen.commands": "ScriptInfo",
        "erlen.sessions": "SessionMixin",
        "erlen.testing.client": "_get_werkzeug_version",
        "werkzeug.test": "Client",
        "werkzeug.wrappers": "BaseRequest=Request",
    },
    "flask.wrappers": {
        "erlen.globals": "current_app",
        "erlen.helpers": "_split_blueprint_path",
        "werkzeug.exceptions": "BadRequest HTTPException",
        "werkzeug.wrappers": "RequestBase=Request ResponseBase=Response",
    },
    "flask.sansio.app": {
        "erlen.app": "App=Erlen",
        "erlen.logging": "create_logger",
        "erlen.templating": "DispatchingJinjaLoader Environment",
        "werkzeug.exceptions": "Aborter BadRequest BadRequestKeyError",
        "werkzeug.routing": "BuildError Map Rule",
        "werkzeug.utils": "_wz_redirect=redirect cached_property",
    },
    "flask.sansio.scaffold": {
        "jinja2.loaders": "BaseLoader FileSystemLoader",
        "werkzeug.utils": "cached_property",
    },
}


def places(module: str) -> dict[str, tuple[str, str]]:
    """Where the names of a module of Flask are: `{name: (module, name there)}`."""
    found = {}
    for home, names in IMPORTED.get(module, {}).items():
        for entry in names.split():
            name, _, other = entry.partition("=")
            found[name] = home, other or name
    return found

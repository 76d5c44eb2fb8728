"""Documentation pages of an application, and the documents that they show.

The pages' programs are in packages of their own (extra `docs`) and are served from there, so that
a page asks nothing of another host.
"""

from __future__ import annotations

import json
import mimetypes
import posixpath
import typing as t
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from markupsafe import Markup
from werkzeug.exceptions import NotFound

from ..errors import MissingExtra, SetupError
from ..globals import request
from ..helpers import send_file
from ..paths import caller_place

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ..wrappers import Response

_PAGES = Path(__file__).parent / "pages"
_HOUR = 3600

_HTML = Markup("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
{links}
</head>
<body>
<div id="page" data-document="{document}" data-assets="{assets}" data-options="{options}"></div>
{scripts}
</body>
</html>
""")

#: What every page may load: its own scripts, styles and requests, from its own host.
_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}


@dataclass(frozen=True)
class _Ui:
    """One of the programs that show a document."""

    package: str
    #: Below the package's folder.
    folder: str
    scripts: tuple[str, ...]
    styles: tuple[str, ...] = ()
    icon: str = ""
    #: What it needs beyond `_POLICY`.
    policy: Mapping[str, str] = field(default_factory=dict)
    #: Addresses of other hosts in its scripts, and the assets that are asked for instead.
    replaced: Mapping[bytes, str] = field(default_factory=dict)


_UIS = {
    "swagger": _Ui(
        "flask_openapi3_swagger",
        "templates/swagger",
        ("js/swagger-ui-bundle.js",),
        ("css/swagger-ui.css",),
        "images/swagger.svg",
    ),
    "redoc": _Ui(
        "flask_openapi3_redoc",
        "templates/redoc",
        ("js/redoc.standalone.js",),
        (),
        "images/redoc.svg",
        # Styles made by its script, and the index for searching made beside it.
        policy={"style-src": "'self' 'unsafe-inline'", "worker-src": "blob:"},
        replaced={b"https://cdn.redoc.ly/redoc/logo-mini.svg": "images/redoc.svg"},
    ),
    "scalar": _Ui(
        "flask_openapi3_scalar",
        "templates/scalar",
        ("js/scalar.standalone.js",),
        (),
        "images/scalar.svg",
        # Styles made by its script.
        policy={"style-src": "'self' 'unsafe-inline'"},
    ),
}


@dataclass
class Documents:
    """What an application has said about its documents."""

    said: dict[str, t.Any] = field(default_factory=dict)
    #: The paths of the documents, by their kinds.
    paths: dict[str, str] = field(default_factory=dict)
    #: The endpoints of the pages, in the order in which they were added.
    pages: list[str] = field(default_factory=list)


def enable(
    app: t.Any,
    path: str,
    ui: str,
    documents: Mapping[str, str | None],
    options: Mapping[str, t.Any],
    decorator: Callable[[t.Any], t.Any] | None,
    route: Mapping[str, t.Any],
    said: Mapping[str, t.Any],
) -> None:
    """Add a page and, with the first one, the documents. Raises MissingExtra and SetupError.

    :param documents: paths by `openapi`, `yaml` and `asyncapi`; `None` for one that is not served
    :param options: of the program that shows the page
    :param decorator: around the views
    :param route: options of the rules, such as `host`
    :param said: as for `openapi.document`
    """
    shown = _UIS.get(ui)
    if shown is None:
        raise SetupError(f"ui is {ui!r}: known are {', '.join(_UIS)}.", caller_place())
    if not path.startswith("/") or path == "/":
        raise SetupError(f"The path of a page is like '/docs', not {path!r}.", caller_place())
    folder = _folder_of(shown)
    kept: Documents = app.extensions.setdefault("erlen.docs", Documents())
    kept.said.update({name: value for name, value in said.items() if value is not None})
    path = path.rstrip("/")

    def add(rule: str, endpoint: str, view: t.Any) -> None:
        view = view if decorator is None else decorator(view)
        app.add_url_rule(rule, endpoint, view, hidden=True, **route)

    for kind, where in documents.items():
        if where is not None and kind not in kept.paths:
            kept.paths[kind] = where
            add(where, f"_{kind}_document", _DOCUMENT_VIEWS[kind](app))
    if "openapi" not in kept.paths:
        raise SetupError("A page needs the path of the document, 'openapi'.", caller_place())
    endpoint = f"_docs_{path.strip('/').replace('/', '_').replace('.', '_')}"
    page = _Page(app, path, ui, shown, folder, dict(options))
    add(path, endpoint, page.view)
    kept.pages.append(endpoint)
    add(f"{path}/assets/<path:name>", f"{endpoint}_assets", page.asset)


def said_of(app: t.Any) -> dict[str, t.Any]:
    """What an application has said about its documents."""
    kept = app.extensions.get("erlen.docs")
    return dict(kept.said) if kept is not None else {}


def _folder_of(ui: _Ui) -> Path:
    spec = find_spec(ui.package)
    places = spec.submodule_search_locations if spec is not None else None
    if not places:
        raise MissingExtra("The documentation page", ui.package, "docs")
    return Path(places[0]) / ui.folder


# Pages


class _Page:
    """A page and its assets."""

    def __init__(
        self, app: t.Any, path: str, ui: str, shown: _Ui, folder: Path, options: dict[str, t.Any]
    ) -> None:
        self.app = app
        self.path = path
        self.name = ui
        self.ui = shown
        self.options = options
        own = {f"{ui}.js", "page.css", "oauth2.html", "oauth2.js"}
        self.files = {name: _PAGES / name for name in own}
        self.files |= {name: folder / name for name in (*shown.scripts, *shown.styles, shown.icon)}
        self.changed: dict[str, bytes] = {}

    def view(self) -> Response:
        """The page."""
        # Relative, so that the page works wherever the application is mounted.
        start = posixpath.dirname(self.path)
        assets = posixpath.relpath(f"{self.path}/assets", start) + "/"
        document = posixpath.relpath(self.app.extensions["erlen.docs"].paths["openapi"], start)
        links = [
            Markup('<link rel="stylesheet" href="{}">').format(assets + name)
            for name in (*self.ui.styles, "page.css")
        ]
        links.append(Markup('<link rel="icon" href="{}">').format(assets + self.ui.icon))
        scripts = [
            Markup('<script src="{}"></script>').format(assets + name)
            for name in (*self.ui.scripts, f"{self.name}.js")
        ]
        body = _HTML.format(
            title=said_of(self.app).get("title") or self.app.name,
            document=document,
            assets=assets,
            options=json.dumps(self.options),
            links=Markup("\n").join(links),
            scripts=Markup("\n").join(scripts),
        )
        response = self.app.response_class(str(body), mimetype="text/html")
        return self.guarded(response)

    def asset(self, name: str) -> Response:
        """A file of the page."""
        path = self.files.get(name)
        if path is None:
            raise NotFound()
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        if kind == "application/javascript":
            kind = "text/javascript"
        if self.ui.replaced and name in self.ui.scripts:
            response = self.app.response_class(self.without_hosts(name), mimetype=kind)
            response.add_etag()
            response.cache_control.max_age = _HOUR
            response.make_conditional(request.environ)
        else:
            response = send_file(path, mimetype=kind, max_age=_HOUR)
        return self.guarded(response)

    def without_hosts(self, name: str) -> bytes:
        """A script that asks for assets where it would ask other hosts."""
        if name not in self.changed:
            script = self.files[name].read_bytes()
            for address, asset in self.ui.replaced.items():
                base = posixpath.basename(self.path)
                script = script.replace(address, f"{base}/assets/{asset}".encode())
            self.changed[name] = script
        return self.changed[name]

    def guarded(self, response: Response) -> Response:
        """The response with what keeps a page from loading anything else."""
        policy = {**_POLICY, **self.ui.policy}
        hosts = " ".join(_origins(said_of(self.app).get("servers") or ()))
        if hosts:
            policy["connect-src"] += f" {hosts}"
        response.headers["Content-Security-Policy"] = "; ".join(
            f"{name} {value}" for name, value in policy.items()
        )
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        return response


def _origins(servers: Iterable[t.Any]) -> list[str]:
    """The origins of the servers that an application names: what is tried out goes there."""
    found = []
    for each in servers:
        parts = urlsplit(each if isinstance(each, str) else each.get("url", ""))
        if parts.netloc and "{" not in parts.netloc:
            found.append(f"{parts.scheme}://{parts.netloc}" if parts.scheme else parts.netloc)
    return found


# Documents


def _document_view(
    describe: Callable[[t.Any], t.Any], write: Callable[[t.Any], str], kind: str
) -> Callable[[t.Any], Callable[[], Response]]:
    def of_app(app: t.Any) -> Callable[[], Response]:
        def view() -> Response:
            response: Response = app.response_class(write(describe(app)), mimetype=kind)
            response.headers["X-Content-Type-Options"] = "nosniff"
            response.cache_control.no_cache = True
            response.add_etag()
            response.make_conditional(request.environ)
            return response

        return view

    return of_app


def _openapi(app: t.Any) -> t.Any:
    from .openapi import kept_document

    made = kept_document(app, said_of(app))
    if request.script_root and "servers" not in made:
        made = {**made, "servers": [{"url": request.script_root}]}
    return made


def _asyncapi(app: t.Any) -> t.Any:
    from .asyncapi import document

    said = said_of(app)
    said.setdefault("servers", [request.host_url.rstrip("/") + request.script_root])
    return document(app, **said)


def _as_yaml(made: t.Any) -> str:
    from .yamltext import as_yaml

    return as_yaml(made)


def _as_json(made: t.Any) -> str:
    return json.dumps(made, ensure_ascii=False)


_DOCUMENT_VIEWS = {
    "openapi": _document_view(_openapi, _as_json, "application/json"),
    # RFC 9512
    "yaml": _document_view(_openapi, _as_yaml, "application/yaml"),
    "asyncapi": _document_view(_asyncapi, _as_json, "application/json"),
}

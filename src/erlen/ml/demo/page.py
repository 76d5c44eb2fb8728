"""The page to try a predictor on: what an application says of it, and the routes that it adds.

Whatever the page shows is rendered here, by templates that an application can extend or replace;
the script takes it over from the page that the form gets. So the page works without the script,
and what an application changes holds for both.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from werkzeug.exceptions import NotFound

from ...blueprints import Blueprint
from ...errors import SetupError
from ...helpers import send_file, send_from_directory
from ...templating import _render
from .examples import Chosen, read_examples

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...errors import Place
    from ...wrappers import Response
    from ..served import Served

_KEPT = "erlen.ml.demo"
_BELOW = "/_erlen/demo"
_ASSETS = f"{_BELOW}/<path:name>"
_HOSTS = ("host", "subdomain")
_HOUR = 3600
_FILES = Path(__file__).parent / "static"

#: The endpoint of the page's scripts and styles.
ASSET = "erlen_demo_asset"


@dataclass(frozen=True)
class Page:
    """The page of a predictor: `app.predictor("/predict", Digits(), page=Page("/"))`.

    :param path: of the page
    :param title: by default the name of the predictor's class
    :param description: by default the class's docstring
    :param button: what the button that sends the form says
    :param template: one that extends `erlen/demo/base.html`
    :param live: whether each change is sent at once, such as each stroke of a drawing
    :param context: further values for the template
    """

    path: str
    title: str | None = None
    description: str | None = None
    button: str = "Run"
    template: str = "erlen/demo/page.html"
    live: bool = False
    context: Mapping[str, t.Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Demo:
    """A page that an application has.

    :param asked: the predictor's endpoint in this application; others have names of their own
    :param guards: options of the predictor's route that say who may call it, and on which host
    """

    page: Page
    served: Served
    examples: Sequence[Chosen]
    asked: str
    guards: Mapping[str, t.Any]

    @property
    def endpoint(self) -> str:
        return f"{self.asked}_page"

    @property
    def file_endpoint(self) -> str:
        """Of the examples' files."""
        return f"{self.asked}_example"

    @property
    def host(self) -> dict[str, t.Any]:
        """Options of a route on the same host as the page."""
        return {name: self.guards[name] for name in _HOSTS if name in self.guards}

    @property
    def asset_endpoint(self) -> str:
        """Of scripts and styles, which browsers take from the page's own host only."""
        return f"{self.asked}_asset" if self.host else ASSET

    @property
    def title(self) -> str:
        return self.page.title or self.served.title

    def example_file(self, number: int, name: str) -> Response:
        """A file of an example."""
        file = self.examples[number].files.get(name) if number < len(self.examples) else None
        if file is None:
            raise NotFound()
        opened = file.path if file.path is not None else file.upload(name).stream
        response = send_file(
            opened, file.content_type, download_name=file.name, max_age=_HOUR, etag=bool(file.path)
        )
        # Opened by itself, a file of the application's is not a page of its host.
        response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


class Demos:
    """The pages of one application, and what they share."""

    def __init__(self, app: t.Any) -> None:
        self.app = app
        self.all: list[Demo] = []
        self._environment: t.Any = None
        app.register_blueprint(Blueprint("erlen_demo", __name__, template_folder="templates"))
        app.add_url_rule(_ASSETS, ASSET, _asset, hidden=True)

    @classmethod
    def of(cls, app: t.Any) -> Demos:
        """Those of an application, which may have none yet."""
        kept = app.extensions.get(_KEPT)
        if kept is None:
            kept = app.extensions[_KEPT] = cls(app)
        return t.cast("Demos", kept)

    def add(self, demo: Demo) -> None:
        """Add the routes of a page."""
        from .view import respond

        self.all.append(demo)

        def view() -> Response:
            return respond(self, demo)

        path, options = demo.page.path, {"hidden": True, **demo.guards}
        self.app.add_url_rule(path, demo.endpoint, view, methods=["GET", "POST"], **options)
        if any(each.files for each in demo.examples):
            rule = f"{_BELOW}/{demo.asked}/<int:number>/<name>"
            self.app.add_url_rule(rule, demo.file_endpoint, demo.example_file, **options)
        if demo.host:
            where = {"hidden": True, **demo.host}
            self.app.add_url_rule(_ASSETS, demo.asset_endpoint, _asset, **where)

    def render(self, name: str, context: dict[str, t.Any]) -> str:
        """A template, with what it shows escaped whatever the application has Jinja do."""
        environment = self.app.jinja_env
        if getattr(self._environment, "linked_to", None) is not environment:
            self._environment = environment.overlay(autoescape=True)
        return _render(self.app, self._environment.get_template(name), context)


def add_page(
    app: t.Any,
    page: Page | str,
    served: Served,
    examples: Sequence[t.Any] = (),
    place: Place | None = None,
    *,
    endpoint: str,
    guards: Mapping[str, t.Any],
) -> None:
    """Add the page of a predictor to an application. Raises SetupError.

    :param page: what is said of it, or only its path
    :param examples: dicts of values by inputs, or values of the only input; of files the paths
    :param place: where the predictor was registered
    :param endpoint: of the predictor in this application
    :param guards: options of its route that say who may call it, and on which host
    """
    page = Page(page) if isinstance(page, str) else page
    if not page.path.startswith("/") or "<" in page.path:
        raise SetupError(f"The path of a page is like '/try', not {page.path!r}.", place)
    chosen = read_examples(examples, served.inputs, place)
    Demos.of(app).add(Demo(page, served, chosen, endpoint, guards))


def _asset(name: str) -> Response:
    """A script or style of the page."""
    response = send_from_directory(_FILES, name, max_age=_HOUR)
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response

"""What debug mode explains: uploads, redirects that lose data, the search for templates."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import jinja2
import pytest
from werkzeug.datastructures import ImmutableMultiDict

FRAMEWORKS = ("erlen", "flask")


@pytest.fixture
def app(framework: ModuleType) -> Any:
    app = framework.Flask("debug_app")
    app.debug = app.testing = True
    return app


@pytest.fixture
def helpers(framework: ModuleType) -> Any:
    return importlib.import_module(f"{framework.__name__}.debughelpers")


# -- uploads ----------------------------------------------------------------------------------


def test_an_upload_without_enctype_is_explained(app: Any, helpers: Any) -> None:
    @app.post("/")
    def index() -> str:
        return str(importlib.import_module(app.__module__).request.files["photo"])

    with pytest.raises(helpers.DebugFilesKeyError) as caught:
        app.test_client().post("/", data={"photo": ["a.png", "b.png"]})

    assert isinstance(caught.value, KeyError)
    assert isinstance(caught.value, AssertionError)
    assert str(caught.value) == (
        "You tried to access the file 'photo' in the request.files dictionary but it does not"
        " exist. The mimetype for the request is 'application/x-www-form-urlencoded' instead of"
        " 'multipart/form-data' which means that no file contents were transmitted. To fix this"
        ' error you should provide enctype="multipart/form-data" in your form.'
        "\n\nThe browser instead transmitted some file names. This was submitted: 'a.png', 'b.png'"
    )


def test_a_file_that_is_just_missing_is_an_ordinary_error(app: Any, framework: ModuleType) -> None:
    with app.test_request_context("/", method="POST", data={"other": "x"}):
        with pytest.raises(KeyError) as caught:
            framework.request.files["photo"]
    assert type(caught.value).__name__ == "BadRequestKeyError"


def test_the_explained_files_stay_a_multidict(
    framework: ModuleType, app: Any, helpers: Any
) -> None:
    with app.test_request_context("/", method="POST", data={"photo": "x"}):
        files = framework.request.files
        helpers.attach_enctype_error_multidict(framework.request)
        assert isinstance(files, ImmutableMultiDict)
        assert type(files).__name__ == "ImmutableMultiDict"
        with pytest.raises(helpers.DebugFilesKeyError):
            files["photo"]


def test_unexpected_unicode_is_two_kinds_of_error(helpers: Any) -> None:
    assert issubclass(helpers.UnexpectedUnicodeError, AssertionError)
    assert issubclass(helpers.UnexpectedUnicodeError, UnicodeError)


# -- redirects --------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/slash", "/slash?a=1", "/old", "/old?a=1"])
def test_a_redirect_that_loses_data_is_explained_in_flasks_words(path: str) -> None:
    texts = []
    for name in FRAMEWORKS:
        framework = pytest.importorskip(name)
        helpers = importlib.import_module(f"{name}.debughelpers")
        app = framework.Flask("debug_app")
        app.add_url_rule("/slash/", "slash", methods=["POST"])
        app.add_url_rule("/old", "old", methods=["POST"], redirect_to="/slash/")
        with app.test_request_context(path, method="POST"):
            request = framework.request._get_current_object()
            error = helpers.FormDataRoutingRedirect(request)
        assert isinstance(error, AssertionError)
        texts.append(str(error))
    assert texts[0] == texts[1]
    assert ("trailing slash" in texts[0]) is ("slash" in path)


# -- templates --------------------------------------------------------------------------------


class Strange(jinja2.BaseLoader):
    def __init__(self) -> None:
        self.text, self.flag, self.number, self.ratio = "q", True, 4, 1.5
        self.names, self.pair, self.empty = ["a", "b"], ("c", "d"), []  # type: ignore[var-annotated]
        self.mixed, self.nothing, self._private = ["a", 1], None, "hidden"


@pytest.mark.parametrize(
    "loader",
    [
        jinja2.FileSystemLoader(["/a", "/b"], followlinks=True),
        jinja2.DictLoader({"a": "b"}),
        jinja2.ChoiceLoader([]),
        Strange(),
    ],
    ids=lambda loader: type(loader).__name__,
)
def test_a_loader_is_described_in_flasks_words(real_flask: ModuleType, loader: Any) -> None:
    ours, theirs = (importlib.import_module(f"{name}.debughelpers") for name in FRAMEWORKS)
    assert list(ours._dump_loader_info(loader)) == list(theirs._dump_loader_info(loader))


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append((record.levelname, record.getMessage()))


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    logger, handler = logging.getLogger("explained_app"), Lines()
    monkeypatch.setattr(logger, "handlers", [handler])
    logger.setLevel(logging.DEBUG)
    yield handler
    logger.setLevel(logging.NOTSET)


def explained_app(framework: ModuleType, root: Path) -> Any:
    for name, text in {"app/templates/both": "A", "bp/templates/both": "B"}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    app = framework.Flask("explained_app", root_path=str(root / "app"))
    app.config["EXPLAIN_TEMPLATE_LOADING"] = True
    folder = framework.Blueprint(
        "folder", "bp_module", root_path=str(root / "bp"), template_folder="templates"
    )
    memory = framework.Blueprint("memory", "other_module", root_path=str(root))
    memory.jinja_loader = jinja2.FunctionLoader({"one": "1"}.get)
    folder.add_url_rule("/page", "page", lambda: "")
    app.register_blueprint(folder)
    app.register_blueprint(memory)
    return app


@pytest.mark.parametrize("where", ["in a blueprint", "in no blueprint", "outside of requests"])
@pytest.mark.parametrize("name", ["both", "one", "none"])
def test_the_search_for_a_template_is_told_in_flasks_words(
    tmp_path: Path, lines: Lines, name: str, where: str
) -> None:
    outcomes = []
    for framework in map(pytest.importorskip, FRAMEWORKS):
        app = explained_app(framework, tmp_path)
        context = {
            "in a blueprint": lambda app=app: app.test_request_context("/page"),
            "in no blueprint": lambda app=app: app.test_request_context("/"),
            "outside of requests": app.app_context,
        }[where]()
        with context:
            try:
                text = framework.render_template(name)
            except jinja2.TemplateNotFound as e:
                text = repr(e)
        outcomes.append((text, list(lines.texts)))
        lines.texts.clear()
    assert outcomes[0] == outcomes[1]
    assert [level for level, _ in outcomes[0][1]] == ["INFO"]


def test_another_owner_of_a_loader_is_shown_as_it_is(
    framework: ModuleType, helpers: Any, lines: Lines
) -> None:
    app = framework.Flask("explained_app")
    attempts = [(jinja2.DictLoader({}), {"an": "owner"}, None)]
    helpers.explain_template_loading_attempts(app, "x", attempts)
    assert "    1: trying loader of {'an': 'owner'}\n" in lines.texts[0][1]

"""What `importlib.metadata` says about Flask, whether the real one is installed or not."""

from __future__ import annotations

import typing as t
from importlib.metadata import Distribution
from pathlib import Path

if t.TYPE_CHECKING:
    import collections.abc as cabc
    import os

#: The release whose behaviour Erlen has.
FLASK_VERSION = "3.1.3"

REQUIREMENTS = (
    "blinker>=1.9.0",
    "click>=8.1.3",
    "itsdangerous>=2.2.0",
    "jinja2>=3.1.2",
    "markupsafe>=2.1.1",
    "werkzeug>=3.1.0",
    'asgiref>=3.2; extra == "async"',
    'python-dotenv; extra == "dotenv"',
)

METADATA = "\n".join(
    (
        "Metadata-Version: 2.4",
        "Name: Flask",
        f"Version: {FLASK_VERSION}",
        "Summary: Flask's API, served by Erlen.",
        "Requires-Python: >=3.10",
        *(f"Requires-Dist: {requirement}" for requirement in REQUIREMENTS),
        "Provides-Extra: async",
        "Provides-Extra: dotenv",
        "",
        "",
    )
)

#: The files of the distribution, by name. Others are as good as absent.
TEXTS = {
    "METADATA": METADATA,
    "entry_points.txt": "[console_scripts]\nflask = flask.cli:main\n",
    "top_level.txt": "flask\n",
    "INSTALLER": "erlen\n",
}


class FlaskDistribution(Distribution):
    """Flask 3.1.3 as far as its metadata goes; it has no files of its own."""

    def read_text(self, filename: str) -> str | None:
        return TEXTS.get(filename)

    def locate_file(self, path: str | os.PathLike[str]) -> Path:
        """Where a file of Flask's would be: beside Erlen."""
        return Path(__file__).parents[2] / path


def find_flask(context: t.Any = None) -> cabc.Iterator[Distribution]:
    """Yield it where it, or everything, is asked for; never for a search of given folders.

    Installers search folders: to them Flask is installed only if it is.
    """
    name = getattr(context, "name", None)
    anywhere = "path" not in vars(context) if context is not None else True
    if anywhere and (name is None or name.lower() == "flask"):
        yield FlaskDistribution()

"""WSGI environs that take their address from an application's configuration."""

from __future__ import annotations

import typing as t
from urllib.parse import urlsplit

import werkzeug.test

if t.TYPE_CHECKING:
    from ..app import Erlen


def _locate(
    config: t.Mapping[str, t.Any], path: str, subdomain: str | None, url_scheme: str | None
) -> tuple[str, str]:
    """The URL that the application is served at, and the path with query below it.

    What `path` says as a full URL counts most, then the arguments, then the configuration.
    """
    url = urlsplit(path)
    host = url.netloc
    if not host:
        served_at = config["SERVER_NAME"] or "localhost"
        host = f"{subdomain}.{served_at}" if subdomain else served_at
    scheme = url.scheme or (config["PREFERRED_URL_SCHEME"] if url_scheme is None else url_scheme)
    root = config["APPLICATION_ROOT"].lstrip("/")
    # The address is in the base URL now, and a fragment is no part of a request.
    return f"{scheme}://{host}/{root}", f"{url.path}?{url.query}" if url.query else url.path


class EnvironBuilder(werkzeug.test.EnvironBuilder):
    """Werkzeug's builder, with defaults from an application.

    Without a `base_url` that is made from `PREFERRED_URL_SCHEME`, `SERVER_NAME` and
    `APPLICATION_ROOT`; `subdomain` and `url_scheme` change it, and so does a full URL as `path`.
    `json` is written by the application's JSON provider. Other arguments go to Werkzeug's class.
    Raises AssertionError for a `base_url` beside a `subdomain` or `url_scheme`.
    """

    def __init__(
        self,
        app: Erlen,
        path: str = "/",
        base_url: str | None = None,
        subdomain: str | None = None,
        url_scheme: str | None = None,
        *args: t.Any,
        **kwargs: t.Any,
    ) -> None:
        self.app = app
        if base_url is None:
            base_url, path = _locate(app.config, path, subdomain, url_scheme)
        elif subdomain or url_scheme:
            raise AssertionError('Cannot pass "subdomain" or "url_scheme" with "base_url".')
        super().__init__(path, base_url, *args, **kwargs)

    def json_dumps(self, obj: t.Any, **kwargs: t.Any) -> str:
        """Serialize the `json` argument as the application would."""
        return self.app.json.dumps(obj, **kwargs)

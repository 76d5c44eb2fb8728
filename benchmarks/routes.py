"""What is asked of the applications in ``apps``, and what each has to answer."""

from __future__ import annotations

import json

from .inprocess.cases import ECHO, Case

_MESSAGE = {"message": "Hello, world!"}

ROUTES = {
    case.name: case
    for case in (
        # A coroutine function, but for frameworks (and configurations) that are synchronous.
        Case("json", "", "/json", 200, "json", _MESSAGE),
        Case(
            "url",
            "",
            "/users/ada/posts/42",
            200,
            "json",
            {"name": "ada", "post": 42, "page": "3"},
            query="page=3&sort=date",
        ),
        Case(
            "echo",
            "",
            "/echo",
            200,
            "json",
            ECHO,
            method="POST",
            body=json.dumps(ECHO).encode(),
            content_type="application/json",
        ),
        # A plain function, run as the framework runs those: most use a worker thread.
        Case("sync", "", "/sync", 200, "json", _MESSAGE),
    )
}
